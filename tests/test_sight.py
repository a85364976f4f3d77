"""Whether a model sees: one that looks at the picture, and those that do not."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from test_golden import HERE, footage
from test_zoo import film

from stepc.dataset.read import spread
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.lang.parse import builtin
from stepc.model.backends import identity_of
from stepc.model.client import Call, Completion, ModelClient
from stepc.model.load import ModelConfig
from stepc.model.sight import Sight, measure
from stepc.model.templates import Templates
from stepc.reporter import Collector
from stepc.store.open import open_store
from stepc.video.decode import Pictures
from stepc.video.probe import probe


class Model:
    """Answers by what a function says of the picture: labels of what is there."""

    identity, templates, together = "model", "default", 1

    def __init__(self, labels: Callable[[Any], list[str]], yes: bool | None = None) -> None:
        self.labels, self.yes = labels, yes

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        for prompt in prompts:
            labels = self.labels(pictures.at(prompt.frames[0]))
            if prompt.request == "narrate":
                said: dict[str, Any] = {"narrative": "A picture."}
            elif prompt.request == "list_objects":
                said = {"objects": labels}
            else:
                there = any(f" {label} " in prompt.text for label in labels)
                said = {"yes": there if self.yes is None else self.yes}
            done(Completion.of(prompt, [json.dumps(said)] * len(prompt.seeds)))


def looks(picture: Any) -> list[str]:
    """The darker the picture, the later the word; its mirror image is as dark."""
    words = ["cup", "dog", "tree", "bench", "lamp", "shoe", "boat", "drum"]
    return [words[int(picture[:, :, 0].mean()) * 7 % 8], words[int(picture.std()) * 5 % 8]]


class Wordy:
    """What `inner` sees, each in one of several words, another one each time."""

    def __init__(self, inner: Callable[[Any], list[str]], words: int) -> None:
        self.inner, self.words, self.rng = inner, words, random.Random(0)

    def __call__(self, picture: Any) -> list[str]:
        return [
            f"{label} {chr(97 + self.rng.randrange(self.words))}" for label in self.inner(picture)
        ]


MODELS = {
    "sees": (Model(looks), True),
    "sees, and varies its words": (Model(Wordy(looks, 2)), True),
    "says anything": (Model(Wordy(lambda _: ["man", "dog", "tree"], 5)), False),
    "says the same of everything": (Model(lambda _: ["man", "table"]), False),
    "says yes to everything": (Model(looks, yes=True), False),
    "sees the left of a picture": (
        Model(lambda p: [f"thing {int(p[:, : p.shape[1] // 3].mean() * 10)}"]),
        False,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_sees_is_told_from_those_that_do_not(name: str, tmp_path: Path) -> None:
    model, sees = MODELS[name]
    source = probe(film(tmp_path / "a.mp4", [0, 9000, 255, 61000, 77, 30000, 4095, 65000] * 4))
    pictures = Pictures()
    pictures.add(source)
    client = ModelClient(model, Templates("default"), pictures)
    seen = measure(client, spread(source, 8))
    assert isinstance(seen, Sight) and seen.frames == 8
    assert seen.sees is sees, seen
    if name == "sees":
        assert seen.mirrored == 1 and seen.absurd == 0 and seen.own == 1


def test_the_command_tells_what_it_measured() -> None:
    """The embedded model refuses what it does not know, also here."""
    video = str(footage("bikes.mp4"))
    done = subprocess.run(
        [sys.executable, "-m", "stepc", "model", "check", "embedded", "--videos", video],
        cwd=HERE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "M006" in done.stderr


def test_a_compile_warns_of_a_model_that_was_found_blind(tmp_path: Path) -> None:
    tape = tmp_path / "calls.jsonl"
    tape.write_text('{"model":"m","templates":"compact"}\n')
    model = ModelConfig(f"replay:{tape}")
    key, place = identity_of(model), str(tmp_path / "store")
    assert key is not None
    order = CompileConfig("split,keyframes,parse,merge,bridge,sample,compose", "emit", builtin("step"),
                          "step.step", model, store=place)  # fmt: skip
    path = film(tmp_path / "a.mp4")
    for own, warned in ((0.9, False), (0.0, True), (0.9, False)):
        Sight(4, 0.9, own, 0.2, 0.0, 1.0).remember(open_store(place), key)
        heard = Collector()
        compile_corpus([path], tmp_path / "out", order, reporter=heard)
        assert any(d.code == "M013" for d in heard.diagnostics) is warned
