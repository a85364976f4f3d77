"""Languages of specs: what each must have, and Chinese from replies to questions that are read back."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from speaking import Speaker
from test_golden import HERE

from stepc.driver.compile_video import split_pipeline
from stepc.ir import types as t
from stepc.ir.text import read
from stepc.ir.words import normal, plain
from stepc.lang.parse import builtin, shipped
from stepc.lang.resolve import read_spec
from stepc.languages import DEFAULT, LANGUAGES, Language, normalised
from stepc.languages.chinese import de, doing, measured
from stepc.model.client import Call, ModelClient
from stepc.model.templates import Templates
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.proof.facts import facts
from stepc.proof.prover import Prover
from stepc.reader.prose import told
from stepc.reader.reader import Reader
from stepc.video.decode import Pictures

CHINESE = LANGUAGES["chinese"]
SPECS = [name for name in shipped() if name.endswith("-chinese")]


def _kitchen() -> t.Stsg:
    unit = read((HERE / "tests" / "kitchen-chinese.stsg").read_text("utf-8")).unit
    assert isinstance(unit, t.Stsg)
    return unit


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda language: language.name)
def test_every_language_has_what_a_language_needs(language: Language) -> None:
    assert language.help.endswith(".")
    assert language.yes and language.no and language.yes != language.no
    assert language.listed(["x"]) == "x"
    listed = language.listed(["x", "y", "z"])
    assert re.sub(r"[xyz]", "|", listed) == "|{}|{}|".format(*language.links)
    assert language.either(["x", "y"]) == f"x{language.or_}y"
    assert "1.5" in language.span("1.5", "2.5") and "2.5" in language.span("1.5", "2.5")
    assert set(language.order) == {"first", "later", "earlier", "finally"}
    assert set(language.anything) == set(language.parts) == {"who", "noun", "that"}
    for label in ("cup", "人", "object"):
        parts = language.parts_of(language.noun(label))
        assert all(text in language.parts[part] for part, text in parts.items())
    assert set(language.facts) == {"part", "event", "alike", "attr", "rel", "motion", "ref", "all"}
    for sentence in language.order.values():
        assert sentence.lower() in language.connectives
    folder = HERE / "grammar" / language.name
    assert {p.name for p in folder.iterdir()} >= {"forms.txt", "predicates.txt", "exclusions.txt"}


def test_a_spec_without_use_is_in_the_language_of_its_imports_or_english() -> None:
    assert read_spec('spec x "x"\nimport step').use == DEFAULT == "english"
    assert read_spec('spec x "x"\nimport step-chinese').language is CHINESE
    alone = """spec x "x"
paths { steps 1 start rel }
edge rel(s -> o) { find o { ask "{s}" because "{o}" } }"""
    assert read_spec(alone).use == "english"


def test_no_word_of_english_is_in_a_chinese_text() -> None:
    """Nothing but the names of files and attribute kinds is Latin in the texts of the Chinese specs."""
    unit = _kitchen()
    for name in SPECS:
        spec = read_spec(builtin(name))
        for done in run(
            split_pipeline("sample,compose,check")[0], unit, Tools(Pictures(), spec=spec)
        ):
            made = done.unit
        assert isinstance(made, t.Qras) and made.samples
        for s in made.samples:
            steps = (x for b in s.rationale for x in (b.question, b.answer, b.text))
            for text in (s.question, s.answer, *s.options, *steps):
                assert not re.search("[A-Za-z]", text), text
                assert " " not in text and "的的" not in text


@pytest.mark.parametrize("name", SPECS)
def test_chinese_texts_are_proved_and_read_back(name: str) -> None:
    """The reader reads all of them, and finds nothing that the proof did not allow."""
    spec, unit = read_spec(builtin(name)), _kitchen()
    objections: Counter[str] = Counter()
    for seed in range(6):
        *_, last = run(
            split_pipeline("sample,compose")[0], unit, Tools(Pictures(), spec=spec, seed=seed)
        )
        made = last.unit
        assert isinstance(made, t.Qras)
        prover = Prover(made, spec.language)
        reader = Reader(made, prover.known, spec)
        for sample in made.samples:
            if not (objection := prover.objection(sample)):
                assert reader.objection(sample) == "", sample.question
            objections[objection] += 1
        assert reader.unread == []
    assert objections.pop("") > 40
    assert set(objections) <= {"it depends on what is not known"}


WORDS: list[tuple[str, str, str, bool]] = [
    # a predicate as a model says it, in a graph, as it is compared, whether it is a verb
    ("在上面", "上面", "上面", False),
    ("在…旁边", "旁边", "旁边", False),
    ("左边", "左边", "左边", False),
    ("右侧", "右侧", "右侧", False),
    ("附近", "附近", "附近", False),
    ("正在拿着", "拿着", "拿着", True),
    ("穿上", "穿上", "穿上", True),
    ("看着", "看着", "看着", True),
    ("holding", "holding", "holding", True),
]


@pytest.mark.parametrize(("said", "kept", "compared", "verb"), WORDS)
def test_chinese_predicates(said: str, kept: str, compared: str, verb: bool) -> None:
    assert normalised(said) == kept
    assert plain(said) == compared
    assert CHINESE.takes_object(said) == verb


def test_chinese_nouns_filters_and_measure_words() -> None:
    assert [CHINESE.class_of(x) for x in ("女警察", "一只小猫", "公交车", "木头", "手机", "孩子们")] == [
        "person", "animal", "vehicle", "stuff", "thing", "person",
    ]  # fmt: skip
    assert CHINESE.the(CHINESE.noun("一只猫")) == "猫" and normal("一只猫") == normal("猫")
    assert normal("孩子们") == "孩子" and plain("红色的") == plain("红色")
    assert [measured(x) for x in ("人", "动物", "车", "物体", "那个")] == [
        "个人", "只动物", "辆车", "个物体", "个",
    ]  # fmt: skip
    assert de("红色") == de("红色的") == "红色的"
    assert doing("走路") == "在走路" and doing("坐着") == "坐着"
    assert CHINESE.parts_of(CHINESE.noun("人"))["noun"] == "那个"
    assert CHINESE.retells("正在骑着自行车的人在做什么？", "骑自行车")
    assert not CHINESE.retells("拿着书的人在做什么？", "看书")
    assert CHINESE.is_foreign("walking") and not CHINESE.is_foreign("T恤")


def test_facts_are_told_in_the_language_of_the_spec() -> None:
    unit = _kitchen()
    said = told(unit, facts(unit, CHINESE), ["c1"])
    assert said[0] == "视频的第2部分，18.0到36.0秒，男孩在院子里踢足球："
    assert "门的状态是打开。" in said and "男孩在跑步，18.4到35.6秒。" in said
    assert "猫就是第1部分的猫。" in said


CLIPS = f"""clips 1 "kitchen"
video   "kitchen.mp4" 4.000s 25fps 640x360 sha256:{"2" * 64}

clip    c0 0.000..4.000
frame   c0.k0 at 1.000
"""
REPLIES = {
    "narrate": {"narrative": "一个男人站在桌子旁边。"},
    "list_objects": {"objects": ["一个男人", "桌子"]},
    "describe": {"attributes": {"颜色": "棕色"}},
    "match_words": {"same": [], "narrower": []},
    "relate_all": {
        "relations": [
            {"subject": 1, "predicate": "在左边", "object": 2},
            {"subject": 1, "predicate": "看着", "object": 2},
        ]
    },
}


def test_a_graph_in_chinese_comes_from_replies_in_chinese() -> None:
    def say(call: Call, seed: int) -> str:
        if call.request == "classify":
            person = "男人" in call.text
            kind = ("dynamic", "person") if person else ("static", "furniture")
            return json.dumps({"kind": kind[0], "class": kind[1]})
        assert re.search("[\u4e00-\u9fff]", call.text), "the instruction is in Chinese"
        return json.dumps(REPLIES[call.request], ensure_ascii=False)

    asker = ModelClient(Speaker(say), Templates("chinese"), Pictures(), 0)
    clips = read(CLIPS).unit
    *_, last = run(split_pipeline("parse")[0], clips, Tools(Pictures(), model=lambda: asker))
    made = last.unit
    assert isinstance(made, t.Fsg)
    assert [normal(o.label) for o in made.objects] == ["男人", "桌子"]
    assert {(a.kind, a.value) for a in made.attributes} == {("颜色", "棕色")}
    assert {r.predicate for r in made.relations} >= {"看着"}
    assert all(not r.predicate.startswith("在") for r in made.relations)


def test_a_language_of_a_plug_in_needs_its_own_name(tmp_path: Path) -> None:
    from stepc.languages import _REGISTRY

    assert "not a subclass" in _REGISTRY.wrong("x", int)
    assert "is named 'x'" in _REGISTRY.wrong("x", type(CHINESE))
    assert "no `links`" in _REGISTRY.wrong(
        "x", type("Few", (Language,), {"name": "x", "help": "."})
    )
    assert _REGISTRY.wrong("chinese", type(CHINESE)) == ""
