"""Patterns: questions about several facts at once, drawn, proved and read back."""

from __future__ import annotations

import random
import re
from collections import Counter

import drawn
import pytest
from test_reader import STREET

from stepc.diagnostics import StepcError
from stepc.driver.compile_video import split_pipeline
from stepc.ir import types as t
from stepc.ir.literals import quote
from stepc.ir.text import read, write
from stepc.ir.verify import verify
from stepc.lang.outline import variables
from stepc.lang.resolve import read_spec
from stepc.lang.types import Spec
from stepc.ops import KEYWORDS
from stepc.passes.sample import census
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.proof.facts import facts
from stepc.proof.prover import REPEATED, SEVERAL, UNKNOWN, Prover
from stepc.proof.solver import NoAnswer, NotKnown, answers
from stepc.reader.reader import Reader
from stepc.video.decode import Pictures

KITCHEN = STREET.replace(
    "motion  c0.k0/man -> c0.k1/man",
    'attr    c0/cup/red color "red" at c0.k0 c0.k1 [6/6 yes]\n'
    'attr    c0/box/blue color "blue" at c0.k0 c0.k1 [6/6 yes]\n'
    'attr    c0/table/large size "large" at c0.k0 c0.k1 [6/6 yes]\n'
    'attr    c0/cup/small size "small" at c0.k0 c0.k1 [6/6 yes]\n'
    'attr    c0/box/small size "small" at c0.k0 c0.k1 [6/6 yes]\n'
    'attr    c0.k0/man/large size "large" [6/6 yes]\n'
    'attr    c0.k1/man/large size "large" [6/6 yes]\n'
    'attr    c0.k0/woman/large size "large" [6/6 yes]\n'
    'attr    c0.k1/woman/large size "large" [6/6 yes]\n'
    "motion  c0.k0/man -> c0.k1/man",
)


def _unit(text: str = KITCHEN) -> t.Stsg:
    unit = read(text).unit
    assert isinstance(unit, t.Stsg)
    return unit


def _spec(pattern: str) -> Spec:
    return read_spec(f"spec mine\nimport agqa-like without paths\npattern p {{\n{pattern}\n}}\n")


def _asked(pattern: str, unit: t.Stsg | None = None, seed: int = 0) -> list[t.Sample]:
    tools = Tools(Pictures(), spec=_spec(pattern), seed=seed)
    *_, last = run(split_pipeline("sample,compose,check")[0], unit or _unit(), tools)
    assert isinstance(last.unit, t.Qras)
    return list(last.unit.samples)


def _query(text: str) -> t.Query:
    made = []
    for part in text.split(" | "):
        word, *rest = part.split(" ", 1)
        arguments = [x if i % 2 == 0 else quote(x) for i, x in enumerate("".join(rest).split('"'))]
        flat = [y for x in arguments for y in ([x] if x.startswith('"') else x.split())]
        made.append(KEYWORDS[word].parse(word, flat))
    assert " | ".join(op.text() for op in made) == text
    return tuple(made)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('during "a car stops" | fact a attr "size" "small" | fact a rel "on" b | find a', ("cup",)),
        ('during "a car stops" | the b "table" | fact a rel "on" b | find a', ("cup",)),
        ('anytime | the a "man" | fact a rel "holding" b | fact b rel "on" c | find c', ("table",)),
        ('anytime | fact a attr "color" "brown" | find a', ("table", "shelf")),
        ('during "a car stops" | fact a attr "size" b | fact c attr "size" b | find b', ("large", "small")),
        ('during "a car stops" | the a "box" | the b "table" | no a rel "on" b', ()),
        ('during "a car stops" | fact a attr "size" "medium" | exists', ("no",)),
        ('during "a car stops" | fact a attr "size" "small" | exists', ("yes",)),
        ('anytime | fact a attr "size" b | fact a attr "size" c | find a', ()),  # one fact is not two
        ('anytime | fact a attr "color" "red" | or a rel "holding" b | find a', ("cup", "man")),
        (
            'during "a car stops" | the b "table" | fact a rel "on" b | or a rel "under" b'
            ' | fact a attr "size" "small" | find a',
            ("cup", "box"),
        ),
        ('during "a car stops" | fact a attr "size" "medium" | or a attr "size" "medium" | exists', ("no",)),
        ('during "a car stops" | fact a attr "size" "medium" | or a attr "size" "small" | exists', ("yes",)),
        ('during "a car stops" | or a attr "size" "small" | find a', ("cup", "box")),
        ('scene 2 | fact a attr "color" "brown" | find a', ("shelf",)),
        ('scene 3 | fact a attr "color" "brown" | find a', ()),
        ('showing "shelf" | fact a attr "color" "brown" | find a', ("shelf",)),
        ('showing "piano" | fact a attr "color" "brown" | find a', ()),
    ],
)  # fmt: skip
def test_facts_are_joined(text: str, found: tuple[str, ...]) -> None:
    query = _query(f"{text} | get label" if " | find " in text else text)
    got = answers(query, facts(_unit()))
    assert sorted(got) == sorted(found)


@pytest.mark.parametrize(
    "text",
    [
        'during "a car stops" | fact a attr "color" "green" | exists',  # the man's color is not stated
        'during "a car stops" | fact a attr "size" "medium" | or a attr "color" "green" | exists',
        'during "a car stops" | the a "cup" | no a rel "next to" b | find a | get label',
        'during "a car stops" | the a "cup" | the b "table" | no a rel "next to" b | find a | get label',
    ],
)
def test_what_is_not_known_has_no_answer(text: str) -> None:
    with pytest.raises(NotKnown):
        answers(_query(text), facts(_unit()))


@pytest.mark.parametrize("label", ["cup", "man"])
def test_what_two_clips_show_or_may_show_tells_no_scene(label: str) -> None:
    text = KITCHEN.replace('"woman"', '"man"')  # and the cup is in both clips
    with pytest.raises(NoAnswer):
        answers(
            _query(f'showing "{label}" | node "shelf" | unique | get label'), facts(_unit(text))
        )


def test_a_scene_is_not_told_by_what_a_gap_may_hide() -> None:
    text = KITCHEN.replace("frame   c1.k0", "gap     c0.k1 object\nframe   c1.k0")
    with pytest.raises(NotKnown):
        answers(_query('showing "shelf" | node "shelf" | unique | get label'), facts(_unit(text)))


def test_a_label_of_several_objects_is_no_start() -> None:
    with pytest.raises(NoAnswer) as error:
        answers(
            _query('anytime | the a "man" | fact a motion "" b | find b | get value'),
            facts(_unit(KITCHEN.replace('"woman"', '"man"'))),
        )
    assert error.value.found == ("man", "man")


def _told(samples: list[t.Sample]) -> dict[str, str]:
    return {s.question: s.answer for s in samples}


def test_every_sort_of_pattern_is_asked() -> None:
    both = _asked(
        'where o attr "size" => v and o rel(r) => p find o ask "What is {v} and {r} {p}?"'
    )
    assert _told(both) == {
        "What is small and on the table?": "cup",
        "What is small and under the table?": "box",
        "What is large and holding the cup?": "man",
    }
    assert [b.text for b in both[0].rationale if "small" in b.text or "large" in b.text]
    assert {len(s.rationale) for s in both} == {2}
    count = _asked(
        'during 1 where o attr "size" => v count o ask "How many are {v}?" total "So {n}."'
    )
    assert sorted(_told(count).values()) == ["2", "3"]
    assert all(s.rationale[-1].text.endswith(f" So {s.answer}.") for s in count)
    known = Counter[str]()
    for seed in range(8):
        rows = 'count 2 per video during 1 where o attr "size" => v and o attr "color" => w exists'
        for sample in _asked(f'{rows} ask "Is anything {{v}} and {{w}}?"', seed=seed):
            known[sample.answer] += 1
            if sample.answer == "no":
                assert {b.answer for b in sample.rationale} <= {"yes", "no"}
    assert known["yes"] > 3 and known["no"] > 3
    either = _asked('where o rel(r) => p either p ask "What {o|is} {o} {r}, {either}?"')
    assert either and all(s.form == "compare" and len(s.options) == 2 for s in either)
    assert all(s.answer in s.options and f" {s.answer}" in s.question for s in either)


def test_one_of_two_facts_is_enough() -> None:
    """And the rationale tells those that hold."""
    count = _asked(
        'count 40 per video during 1 where o attr "size" => v or o attr "color" => w count o '
        'ask "How many are {v} or {w}?" total "So {n}."'
    )
    assert {q.split(", ")[-1]: a for q, a in _told(count).items()}[
        "how many are small or red?"
    ] == "2"
    for sample in count:
        assert len(sample.rationale) == int(sample.answer)
    place = _asked(
        "count 40 per video where o rel(r) => p or o rel(q) => s find o "
        'ask "What is {r} {p} or {q} {s}?"'
    )
    assert _told(place)["What is held by the man or on the table?"] == "cup"
    assert not any("holding the cup or on" in q for q in _told(place))  # the man, and the cup
    assert all(len(s.rationale) == 1 for s in place)
    known = Counter[str]()
    for seed in range(8):
        rows = 'count 4 per video during 1 where o attr "size" => v or o attr "color" => w exists'
        for sample in _asked(f'{rows} ask "Is anything {{v}} or {{w}}?"', seed=seed):
            known[sample.answer] += 1
    assert known["yes"] > 3


def test_then_is_later() -> None:
    text = STREET.replace(
        "frame   c0.k1 at 9.000", "frame   c0.k1 at 4.000\nframe   c0.k2 at 9.000"
    )
    text = text.replace(
        'motion  c0.k0/man -> c0.k1/man "walks" 1.000..9.000 [3/3 yes]',
        'dynamic c0.k2/man "man" [3/3 yes]\n'
        'motion  c0.k0/man -> c0.k1/man "strolling" 1.000..4.000 [3/3 yes]\n'
        'motion  c0.k1/man -> c0.k2/man "waving" 4.000..9.000 [3/3 yes]',
    ).replace("1.000..9.000", "1.000..4.000")
    rows = "where o motion => m then where o motion => n"
    after = _asked(f'{rows} find first n ask "What is {{o}} doing after {{m}}?"', _unit(text))
    assert _told(after) == {"What is the man doing after strolling?": "waving"} or not after
    plain = _asked(f'{rows} find n ask "What is {{o}} doing after {{m}}?"', _unit(text))
    assert _told(plain) == {"What is the man doing after strolling?": "waving"}
    assert plain[0].rationale[0].text == "The man is strolling from 1.0 to 4.0 seconds."
    back = _asked(f'{rows} find m ask "What is {{o}} doing before {{n}}?"', _unit(text))
    assert _told(back) == {"What is the man doing before waving?": "strolling"}


def test_what_is_not_so_is_shown_by_what_excludes_it() -> None:
    text = KITCHEN.replace(
        'rel     c0/cup -> c0/table "on"',
        'rel     c0/box -> c0/cup "below" at c0.k0 c0.k1 [3/3 yes]\n'
        'rel     c0/box -> c0/cup "left of" at c0.k0 c0.k1 [3/3 yes]\n'
        'rel     c0/cup -> c0/box "right of" at c0.k0 c0.k1 [3/3 yes]\n'
        'rel     c0/cup -> c0/box "above" at c0.k0 c0.k1 [3/3 yes]\n'
        'rel     c0/cup -> c0/table "on"',
    )
    rows = 'where o attr "size" => v and o rel(r) => p and not o rel(q) => p'
    asked = _asked(
        f'{rows} find o ask "What is {{v}}, {{r}} {{p}}, but not {{q}} it?"', _unit(text)
    )
    assert _told(asked)["What is small, left of the cup, but not above it?"] == "box"
    assert len(asked) == 4
    for sample in asked:
        assert [b.answer for b in sample.rationale] == ["yes", "yes", "no"]
    last = next(s for s in asked if "left of the cup, but not above" in s.question).rationale[-1]
    assert (last.question, last.text) == ("Is the box above the cup?", "The box is below the cup.")


def test_a_unit_with_patterns_is_written_and_read() -> None:
    spec = _spec('where o attr "size" => v and o rel(r) => p find o ask "What is {v} and {r} {p}?"')
    for done in run(split_pipeline("sample,compose")[0], _unit(), Tools(Pictures(), spec=spec)):
        assert read(write(done.unit)).unit == done.unit
        assert verify(done.unit) == []
    assert isinstance(done.unit, t.Qras) and all(p.pattern for p in done.unit.paths)
    counted = census(_unit(), spec, 1000)
    assert sum(n for (*_, why), n in counted.counts.items() if not why) == 3


def test_an_import_without_paths_brings_only_wordings() -> None:
    spec = _spec('where o attr "size" => v find o ask "What is {v}?"')
    assert [b.name for b in spec.blocks] == ["p"] and spec.edges and spec.pair.lines
    with pytest.raises(StepcError) as error:
        read_spec("spec mine\nimport agqa-like without paths\n")
    assert [d.code for d in error.value.diagnostics] == ["S307"]


def test_an_editor_knows_the_variables() -> None:
    text = '{ where s rel(r) => o and not o attr "color" => v then where o motion => m find '
    assert variables(text) == ["s", "r", "o", "v", "m"]


@pytest.mark.parametrize("part", range(4))
def test_sampler_solver_and_reader_agree_on_random_patterns(part: int) -> None:
    """Only this is left to `check`: labels of several objects, repeated events, and what is not known."""
    asked = 0
    for seed in range(part * 100, part * 100 + 100):
        rng = random.Random(seed)
        unit, spec = drawn.graph(rng), drawn.spec(rng)
        if not any(b.pattern for b in spec.blocks):
            continue
        tools = Tools(Pictures(), spec=spec, seed=seed)
        passes = split_pipeline("sample,compose,check")[0]
        _, composed, proved = (d.unit for d in run(passes, unit, tools))
        assert isinstance(composed, t.Qras) and isinstance(proved, t.Qras)
        prover = Prover(composed)
        reader = Reader(composed, prover.known, spec)
        patterns = {p.id for p in composed.paths if p.pattern}
        for sample in (s for s in composed.samples if s.path in patterns):
            objection = prover.objection(sample) or reader.objection(sample)
            assert objection in ("", SEVERAL, REPEATED, UNKNOWN), (seed, sample.question, objection)
            asked += not objection
        assert reader.unread == [], seed
    assert asked > 8


THINGS = ("cup", "book", "phone", "towel")
ORDINALS = {"first": 0, "second": 1, "third": 2, "last": -1}


def _held(rng: random.Random) -> tuple[t.Stsg, dict[str, list[int]]]:
    """A woman who holds one or two things in each of eight keyframes, and the keyframes of each thing."""
    held: dict[str, list[int]] = {}
    for k in range(8):
        for thing in rng.sample(THINGS, rng.choice([0, 1, 1, 1, 2])):
            held.setdefault(thing, []).append(k)
    rows = ["clip    c0 0.000..9.000", *(f"frame   c0.k{k} at {k + 1}.000" for k in range(8))]
    for thing, when in held.items():
        rows.append(
            f'static  c0/{thing} "{thing}" at {" ".join(f"c0.k{k}" for k in when)} [3/3 yes]'
        )
    rows += [f'dynamic c0.k{k}/woman "woman" [3/3 yes]' for k in range(8)]
    rows += [
        f'rel     c0.k{k}/woman -> c0/{thing} "holding" [3/3 yes]'
        for thing, when in held.items()
        for k in when
    ]
    rows += [
        f'motion  c0.k{k}/woman -> c0.k{k + 1}/woman "standing" {k + 1}.000..{k + 2}.000 [3/3 yes]'
        for k in range(7)
    ]
    head = f'stsg 1 "x"\nvideo   "x.mp4" 9.000s 25fps 640x360 sha256:{"1" * 64}\n\n'
    unit = read(head + "\n".join(rows) + "\n").unit
    assert isinstance(unit, t.Stsg)
    return unit, held


@pytest.mark.parametrize("which", ORDINALS)
def test_what_comes_first_second_third_and_last(which: str) -> None:
    """Asked where the order is known, and only there, with the answer that the keyframes give."""
    asked = 0
    for seed in range(40):
        unit, held = _held(random.Random(seed))
        end, place = (max, 0) if which == "last" else (min, ORDINALS[which])
        at = sorted(((end(when), thing) for thing, when in held.items()), reverse=which == "last")
        times = [k for k, _ in at]
        known = len(at) > max(1, place) and times.count(times[place]) == 1
        made = _asked(
            f'where s rel(r) => o find {which} o ask "What is {{s}} {{r}} {which}?"', unit
        )
        if which == "first" or which == "last":
            assert bool(made) == known, seed
        for sample in made:
            assert known and sample.answer == at[place][1], seed
            asked += 1
    assert asked > 15


def test_how_often_counts_what_is_interrupted_in_sight() -> None:
    rows = [f"frame   c0.k{k} at {k + 1}.000" for k in range(5)]
    rows += [f'dynamic c0.k{k}/man "man" [3/3 yes]' for k in range(5)]
    does = ["jumping", "sitting", "jumping", "jumping"]
    rows += [
        f'motion  c0.k{k}/man -> c0.k{k + 1}/man "{m}" {k + 1}.000..{k + 2}.000 [3/3 yes]'
        for k, m in enumerate(does)
    ]
    head = f'stsg 1 "x"\nvideo   "x.mp4" 6.000s 25fps 640x360 sha256:{"1" * 64}\n\n'
    text = head + "\n".join(["clip    c0 0.000..6.000", *rows]) + "\n"
    spec = read_spec(
        "spec mine\nimport agqa-like without paths\npaths { steps 1 start motion form how-often }\n"
    )

    def told(graph: str) -> dict[str, str]:
        unit = read(graph).unit
        tools = Tools(Pictures(), spec=spec)
        *_, last = run(split_pipeline("sample,compose,check")[0], unit, tools)
        assert isinstance(last.unit, t.Qras)
        return _told(list(last.unit.samples))

    assert told(text) == {
        "How many times does the man jump?": "2",
        "How many times does the man sit?": "1",
    }
    out_of_sight = text.replace('dynamic c0.k2/man "man" [3/3 yes]\n', "")
    out_of_sight = re.sub("motion  c0.k2.*\n", "", out_of_sight)
    out_of_sight = out_of_sight.replace("c0.k2/man", "c0.k3/man").replace("2.000..3", "2.000..4")
    assert told(out_of_sight) == {}, "what he did in between is not known"
    query = (
        'anytime | node "man" | unique | follow motion => "" | where "jumping" | unique | get times'
    )
    unit = read(out_of_sight).unit
    assert isinstance(unit, t.Stsg)
    with pytest.raises(NotKnown):
        answers(_query(query), facts(unit))


COUNTED = {">": "more", "<": "fewer", "=": "equal"}


@pytest.mark.parametrize("sign", COUNTED)
def test_two_numbers_are_compared(sign: str) -> None:
    """With both counts in the rationale, and the answer that they give."""
    rows = f'during 1 where a attr "size" => v and b attr "size" => w count a {sign} b'
    made = _asked(f'{rows} ask "{{v}} {sign} {{w}}?" total "So {{n}}."')
    for sample in made:
        assert sample.form == "compare" and sample.options == ("yes", "no")
        numbers = [int(n) for b in sample.rationale for n in re.findall(r"So (\d+)\.", b.text)]
        assert len(numbers) == 2 and sum(numbers) == len(sample.rationale)
        m, n = numbers
        assert sample.answer == ("yes" if {">": m > n, "<": m < n, "=": m == n}[sign] else "no")
    assert made


def test_a_wrong_number_in_a_comparison_is_found() -> None:
    rows = 'during 1 where a attr "size" => v and b attr "size" => w count a > b'
    pattern = f'{rows} ask "Are there more {{v}} things than {{w}} ones?" total "So {{n}}."'
    tools = Tools(Pictures(), spec=_spec(pattern))
    *_, last = run(split_pipeline("sample,compose")[0], _unit(), tools)
    made = last.unit
    assert isinstance(made, t.Qras) and made.samples
    reader = Reader(made, facts(made), _spec(pattern))
    for sample in made.samples:
        assert reader.objection(sample) == ""
        for i, because in enumerate(sample.rationale):
            wrong = re.sub(r"So (\d+)\.", lambda m: f"So {int(m[1]) + 1}.", because.text)
            if wrong != because.text:
                rationale = list(sample.rationale)
                rationale[i] = because.model_copy(update={"text": wrong})
                said = sample.model_copy(update={"rationale": tuple(rationale)})
                assert Reader(made, facts(made), _spec(pattern)).objection(said) != ""


def test_the_only_clip_gives_no_time() -> None:
    text = KITCHEN[: KITCHEN.index("clip    c1")]
    rows = 'during 1 where o attr "size" => v and o rel(r) => p find o'
    asked = _asked(f'{rows} ask "What is {{v}} and {{r}} {{p}}?"', _unit(text))
    assert asked and not any("while" in s.question.lower() for s in asked)


def test_a_large_graph_is_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepc.sampling.matcher.LOOKED", 40)
    spec = _spec(
        'where a attr(k) => v and b rel(r) => c and d motion => m find a ask "{k} {v} {r} {m}?"'
    )
    done = next(run(split_pipeline("sample")[0], _unit(), Tools(Pictures(), spec=spec)))
    assert dict(done.counts)["patterns looked at in part"] == 1
    monkeypatch.setattr("stepc.ops.fact.MANY", 2)
    with pytest.raises(NotKnown):
        answers(_query('anytime | fact a attr "size" b | find a | get label'), facts(_unit()))
