"""A model that says anything: the compile goes on, and what comes out is proved all the same."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from speaking import Speaker

from stepc.driver.compile_video import CompileConfig, Compiler, split_pipeline
from stepc.ir import types as t
from stepc.ir.text import read, write
from stepc.lang.parse import builtin
from stepc.model.client import Call, ModelClient
from stepc.model.templates import Templates
from stepc.passmanager.base import Tools
from stepc.passmanager.pipeline_text import DEFAULT
from stepc.passmanager.run import run

WORDS = [
    "cup", "Cups", "the cup", "a red cup", "CUP", "man", "men", "person", "table", "!!!", "…",
    '"quoted"', "back\\slash", "two\nlines", "tab\there", "naïve café", "茶碗", "🍵", "{brace}",
    "x" * 199, "a", "the", "is", "no", "None", "<script>", "c0.k0/cup", "; rel", "left of", "on",
    "holding", "being held", "moving", "moving left", "red", "color", "state", "it rains",
    "cup on table", " cup ", "cup.", "cup's",
]  # fmt: skip


class Chaos(Speaker):
    """Answers of the right shape with strange words, of the wrong shape, and none at all."""

    def __init__(self) -> None:
        super().__init__(lambda p, seed: self._reply(p, random.Random(f"{p.key}/{seed}")))

    def _reply(self, p: Call, rng: random.Random) -> str:
        if rng.random() < 0.05:
            return rng.choice(
                ["", "I cannot.", "[" * 2000, '{"objects": 7}', "null", "```json\n```"]
            )

        def word() -> str:
            return rng.choice(WORDS)

        def words(most: int) -> list[str]:
            return [word() for _ in range(rng.randint(0, most))]

        def pairs() -> list[dict[str, str]]:
            return [{"kind": word(), "value": word()} for _ in range(rng.randint(0, 3))]

        def number() -> int:
            return rng.randint(-1, 9)

        shapes: dict[str, Any] = {
            "match_names": lambda: {"same": [words(4) for _ in range(rng.randint(0, 3))]},
            "match_words": lambda: {
                "same": [words(4) for _ in range(rng.randint(0, 4))],
                "narrower": [[word(), word()] for _ in range(rng.randint(0, 3))],
            },
            "relate_all": lambda: {
                "relations": [
                    {"subject": number(), "predicate": word(), "object": number()}
                    for _ in range(rng.randint(0, 8))
                ]
            },
            "locate": lambda: {
                "boxes": [
                    {"object": number(), "bbox_2d": [rng.randint(-9, 1300) for _ in range(4)]}
                    for _ in range(rng.randint(0, 5))
                ]
            },
            "track": lambda: {
                "phases": [
                    {"motion": word(), "from": number(), "to": number()}
                    for _ in range(rng.randint(0, 3))
                ]
            },
            "match_objects": lambda: {
                "same": [
                    [number() for _ in range(rng.randint(0, 4))] for _ in range(rng.randint(0, 6))
                ]
            },
            "narrate": lambda: {"narrative": " ".join(words(9)) or "x"},
            "list_objects": lambda: {"objects": words(6)},
            "classify": lambda: {"kind": rng.choice(["static", "dynamic"])},
            "describe": lambda: {"attributes": pairs()},
            "relate": lambda: {"predicates": words(2)},
            "confirm": lambda: {"yes": rng.random() < 0.9},
            "same_object": lambda: {"yes": rng.random() < 0.5},
            "motion": lambda: {"motion": word()},
            "event": lambda: {"event": word()},
            "draw_graph": lambda: {
                "objects": [
                    {"label": w, "kind": rng.choice(["static", "dynamic"]), "attributes": pairs()}
                    for w in words(5)
                ],
                "relations": [
                    {"subject": word(), "predicate": word(), "object": word()} for _ in range(5)
                ],
            },
            "reword": lambda: {"text": "Is " + " ".join(words(6)) + "?"},
            "smooth": lambda: {"text": ". ".join(words(4)) + "."},
            "from_facts": lambda: {"answer": rng.choice(["yes", "no", word()])},
        }
        one = shapes[p.request]
        if p.items == 1:
            return json.dumps(one())
        numbers = [n for n in range(1, p.items + 1) if rng.random() < 0.95]
        return json.dumps({str(n): one() for n in numbers})


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "parse", ["parse(keep=0.3)", "parse(keep=0.3,names=words,relate=pairs)", "parse-oneshot"]
)
@pytest.mark.parametrize(
    ("merge", "together"), [("merge", 1), ("lift", 1), ("merge(identity=doubt,motions=pairs)", 8)]
)
def test_whatever_a_model_says(
    seed: int, parse: str, merge: str, together: int, film: Path
) -> None:
    text = DEFAULT.replace("parse", parse).replace("merge", merge)
    text = text.replace("split,keyframes", "split-uniform(seconds=1),keyframes-uniform(per_clip=2)")
    compiler = Compiler(CompileConfig(text, "", builtin("step"), "step.step", seed=seed))
    unit: t.Unit = compiler.start(film)
    asker = ModelClient(Chaos(), Templates("default"), compiler.pictures, seed, together=together)
    tools = Tools(compiler.pictures, lambda: asker, compiler.spec, seed)
    for done in run(split_pipeline(text)[0], unit, tools):
        unit = done.unit
        assert write(read(write(unit)).unit) == write(unit)
    assert isinstance(unit, t.Qras)
    assert all(s.checked for s in unit.samples)
