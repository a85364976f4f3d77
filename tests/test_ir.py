"""The IR: both forms of every level, the verifier on true graphs, and the graph itself."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import drawn
import orjson
import pytest
from fuzz import GRAPHS, mutated_text
from generated import units
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_golden import GOLDEN

from stepc.diagnostics import StepcError
from stepc.driver.compile_video import split_pipeline
from stepc.ir import types as t
from stepc.ir.graph import graph
from stepc.ir.text import Read, read, write
from stepc.ir.types import from_json
from stepc.ir.verify import RULES, verify
from stepc.lang.parse import builtin
from stepc.lang.resolve import read_spec
from stepc.lang.types import Spec
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.video.decode import Pictures
from stepc.world.ground_truth import truth
from stepc.world.scene import make_film

SETTINGS = settings(
    max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@pytest.mark.parametrize("level", t.LEVELS)
def test_text_form_round_trips(level: str) -> None:
    @SETTINGS
    @given(units(level))
    def check(unit: t.Unit) -> None:
        text = write(unit)
        again = read(text).unit
        assert again == unit
        assert write(again) == text

    check()


def test_keys_of_calls_are_written_unless_left_out() -> None:
    text = (GOLDEN / "merge" / "one-clip" / "input.fsg").read_text("utf-8")
    unit = read(text).unit
    assert text.count(" by ") > 20 and write(unit) == text
    short = write(unit, calls=False)
    assert short == re.sub(r" by( [0-9a-f]{12})+$", "", text, flags=re.MULTILINE)
    assert write(read(short).unit) == short != text


@pytest.mark.parametrize("level", t.LEVELS)
def test_json_form_round_trips(level: str) -> None:
    @SETTINGS
    @given(units(level))
    def check(unit: t.Unit) -> None:
        data = unit.to_json()
        again = from_json(data)
        assert again == unit
        assert again.to_json() == data

    check()


@SETTINGS
@given(st.text(max_size=200))
@example('stsg 1 "x"\nvideo "x" 1.000s 25fps 1x1 sha256:' + "0" * 64 + "\n\x0c")
@example('clips 1 "\\ud800"\n')
@example('clips 1 "x"\n' * 2)
def test_any_text_reads_or_is_diagnosed(text: str) -> None:
    try:
        unit = read(text).unit
    except StepcError as error:
        assert all(d.code.startswith("I0") for d in error.diagnostics)
    else:
        assert write(read(write(unit)).unit) == write(unit)


@SETTINGS
@given(st.data())
def test_a_damaged_dump_is_diagnosed_at_its_line(data: st.DataObject) -> None:
    text = write(_truth(5))
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = (
        text[:at] + data.draw(st.sampled_from(['"', "\\", "@", "\n", " -> "])) + text[at + 1 :]
    )
    try:
        again = read(damaged).unit
    except StepcError as error:
        place = error.diagnostics[0].place
        assert place is not None
        assert 1 <= place.line <= damaged.count("\n") + 1
        assert abs(place.line - 1 - text[:at].count("\n")) <= 1
    else:
        assert write(read(write(again)).unit) == write(again)


def _truth(seed: int) -> t.Stsg:
    film = make_film(random.Random(seed))
    return truth(film, f"film-{seed}", "film.mp4", f"{seed:064x}")


def test_thousands_of_nodes_round_trip() -> None:
    trust = t.Trust(votes=1, asked=1)
    unit = _truth(1)
    frame = unit.clips[0].keyframes[0].id
    objects = tuple(
        t.Object(op="dynamic", id=f"{frame}/o{i}", label=f'"{i}\\\n', frames=(frame,), trust=trust)
        for i in range(5000)
    )
    big = unit.evolve(objects=(*unit.objects, *objects))
    text = write(big)
    assert write(read(text).unit) == text
    assert from_json(big.to_json()) == big
    assert not verify(big)


@pytest.mark.parametrize("seed", range(20))
def test_true_graphs_verify_and_are_multigraphs(seed: int) -> None:
    unit = _truth(seed)
    assert verify(unit) == []
    made = graph(unit)
    assert made.multigraph
    assert made.num_nodes() == len(unit.objects) + len(unit.attributes) + len(unit.events)
    edges = made.edges()
    for kind in ("attributes", "relations", "motions", "references"):
        assert (
            [e for e in edges if type(e) is type(getattr(unit, kind)[0])]
            == list(getattr(unit, kind))
            if getattr(unit, kind)
            else True
        )
    for a, b, e in made.weighted_edge_list():
        if isinstance(e, t.Relation):
            assert (made[a].id, made[b].id) == (e.subject, e.object)


@SETTINGS
@given(units("qra"))
def test_the_verifier_takes_whatever_the_types_allow(unit: t.Unit) -> None:
    codes = {rule.code for rule in RULES}
    assert {d.code for d in verify(unit)} <= codes


@pytest.mark.parametrize("version", [0, 3, "1", True, 1.0, None])
def test_a_schema_of_another_time_in_json(version: object) -> None:
    with pytest.raises(ValueError, match="schema version"):
        from_json(orjson.dumps({"level": "clips", "schema_version": version}))


def test_boxes_go_along_and_change_no_question() -> None:
    """Through the text form, the JSON form and the passes that ask."""
    spec = read_spec(builtin("step"))
    for seed in range(150):
        rng = random.Random(seed)
        plain = drawn.graph(rng).evolve(boxes=(), tracks=())
        unit = drawn.boxed(plain, rng)
        assert verify(unit) == []
        assert read(write(unit)).unit == unit == from_json(unit.to_json())
        if seed < 20:
            made = [_asked(x, spec) for x in (plain, unit)]
            assert made[1].boxes == unit.boxes
            assert made[0] == made[1].evolve(boxes=(), tracks=())


def _asked(unit: t.Stsg, spec: Spec) -> t.Qras:
    tools = Tools(Pictures(), spec=spec, seed=1)
    made: t.Unit = unit
    for done in run(split_pipeline("canonicalize,sample,compose,check")[0], unit, tools):
        made = done.unit
    assert isinstance(made, t.Qras)
    return made


def test_a_unit_has_the_oldest_schema_that_says_all_of_it() -> None:
    text = (GOLDEN / "sample" / "kitchen" / "input.stsg").read_text("utf-8")
    old = read(text).unit
    assert isinstance(old, t.Stsg) and write(old).startswith("stsg 1 ")
    assert orjson.loads(old.to_json())["schema_version"] == 1
    assert write(read(text.replace("stsg 1 ", "stsg 2 ", 1)).unit) == text
    o = old.objects[0]
    box = t.Box(
        owner=o.id, frame=o.frames[0], left=0, top=10, right=500, bottom=1000, source="annotation"
    )
    r, clip = old.relations[0], old.clips[0]
    said = r.model_copy(update={"origin": t.Origin(source="annotation")})
    timed = r.model_copy(update={"during": (clip.start, clip.end)})
    point = t.TrackPoint(at=clip.start, left=0, top=0, right=10, bottom=10)
    for new in (
        old.evolve(boxes=(box,)),
        old.evolve(relations=(said, *old.relations[1:])),
        old.evolve(relations=(timed, *old.relations[1:])),
        old.evolve(tracks=(t.Track(clip=clip.id, number=1, source="a", points=(point,)),)),
        old.evolve(gaps=(t.Gap(where=r.subject, what="rel", other=r.object, word="near"),)),
    ):
        assert write(new).startswith("stsg 2 ") and verify(new) == []
        assert orjson.loads(new.to_json())["schema_version"] == 2
        assert read(write(new)).unit == new == from_json(new.to_json())


def test_unknown_level_in_json() -> None:
    with pytest.raises(ValueError, match="unknown level"):
        from_json(b'{"level": "dsg"}')


@pytest.mark.parametrize(
    "old, new",
    [
        ("24.000s", "9" * 5000 + ".000s"),
        ("[3/3", f"[{'9' * 5000}/3"),
        ("stsg 1", "stsg " + "9" * 5000),
        ("640x360", "9" * 5000 + "x360"),
        ("640x360", "0x0"),
        ("25fps", "0fps"),
        ("25fps", "25/0fps"),
        ("c0.k0", f"c{'9' * 5000}.k0"),
        ('"kitchen.mp4"', '"\\ud800"'),
        ('"behind"', '"\\ud800"'),
    ],
)
def test_numbers_and_texts_out_of_all_bounds(old: str, new: str) -> None:
    text = (GOLDEN / "sample" / "kitchen" / "input.stsg").read_text("utf-8")
    assert old in text
    with pytest.raises(StepcError) as error:
        read(text.replace(old, new, 1))
    assert error.value.diagnostics[0].code in ("I001", "I003")
    assert all(len(line) < 400 for line in str(error.value).splitlines())


@pytest.mark.parametrize("part", range(4))
def test_lines_are_read_by_their_shape_as_by_the_grammar(part: int) -> None:
    """Golden graphs, as they are and damaged: the same unit, or the same diagnostic."""
    by_shape = 0
    for number in range(part * 60, part * 60 + 60):
        rng = random.Random(number)
        text = rng.choice(GRAPHS) if number % 3 == 0 else mutated_text(rng, GRAPHS)
        slow = outcome(text, by_grammar)
        assert outcome(text, read) == slow
        by_shape += isinstance(slow, Read)
    assert by_shape > 10


def by_grammar(text: str) -> Read:
    """Read a unit by the grammar alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stepc.ir.shapes.ShapeParser.trees", lambda *args: None)
        return read(text)


def outcome(text: str, reading: Callable[[str], Read]) -> object:
    """The unit and the lines of its elements, or the diagnostics."""
    try:
        made = reading(text)
    except StepcError as error:
        return error.diagnostics
    return made


@pytest.mark.parametrize(
    "line",
    [
        'attr    c0.k0/man/tall height "tall" [3/3 yes] by deadbeefcafe 123456789012',
        'attr    c0.k0/man/tall deadbeefcafe "tall" [3/3 yes]',
        'attr    c0.k0/man/tall c0 "tall" [3/3 yes]',
        'attr    c0.k0/man/tall 12 "tall" [3/3 yes]',
        'attr\tc0.k0/man/tall   height "ta\\"ll"  [3/3 yes]   ; and more',
        'attr c0.k0/man/tall height"tall"[3/3 yes]',
        'attr c0.k0/man/tall height "tall" [ 3/3 yes ]',
        'attr c0.k0/man/tall height "tall" [3/3 yes] from c0.k0/man',
        'dynamic c0.k0/man.2 "man" called "cook" "chef" person [3/3 yes]',
        'dynamic c0.k0/x|y "man" [1/2 -]',
        'gap c0.k0 rel',
        'word label "man" ~ "cook" [2/3 -]',
        'box c0.k0/man 10 20 30 40 0.930 "detect:yolos" track 3',
        'box c0.k0/man 10 20 30 40 1.000 "annotation"',
        'box c0/man at c0.k0 10 20 30 40 0.930 "x"',
        'box c0/man 10 20 30 40 0.930 "x"',
        'box c0/man at c0.k0 c0.k1 10 20 30 40 0.930 "x"',
        'box c0.k0/man 10 20 30 4000 0.930 "x"',
        'box c0.k0/man 10 20 30 40 1.930 "x"',
        'box c0.k0/man 10 20 30 40 "x"',
        'track c0 1 "x" 0.000 10 20 30 40 1.500 10 20 30 41',
        'track c0.k0 1 "x" 0.000 10 20 30 40',
        'track c0 1 "x" 0.000 10 20 30',
        'track c0 1 "x"',
        'attr c0.k0/man/tall height "tall" [3/3 yes] by "annotation"',
        'attr c0.k0/man/tall height "tall" [3/3 yes] by "annotation" deadbeefcafe',
        'attr c0.k0/man/tall height "tall" [3/3 yes] by deadbeefcafe "annotation"',
        'attr c0.k0/man/tall height "tall" [3/3 yes] by',
        'rel c0.k0/man -> c0.k0/man "next to" 0.500..1.500 [3/3 yes]',
        'gap c0.k0/man rel c0.k0/man "left of"',
        'gap c0.k0 rel "left of"',
        "",
        "   ; only a comment",
        'rel c0.k0/man -> c0.k0/man "next to" [3/3 yes]\r',
        "nonsense",
    ],
)  # fmt: skip
def test_a_line_of_any_form_is_read_as_by_the_grammar(line: str) -> None:
    text = (
        'fsg 1 "x"\nvideo "x.mp4" 4.000s 25fps 640x360 sha256:'
        + "0" * 64
        + "\nclip c0 0.000..4.000\n"
        'frame c0.k0 at 1.000\ndynamic c0.k0/man "man" person [3/3 yes]\n' + line + "\n"
    )
    assert outcome(text, read) == outcome(text, by_grammar)
    assert outcome(text, read) == outcome(text, by_grammar), "the second time, the shape is known"
