"""A backend that repeats what it was asked: `--model parrot:WORD` puts a word before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from stepc.model.backends import BackendType, ModelFacts
from stepc.model.client import Backend, Call, Completion

if TYPE_CHECKING:
    from stepc.model.load import ModelConfig
    from stepc.video.decode import Pictures


class Parrot:
    """Answers a call with its own text."""

    templates = "default"
    together = 1

    def __init__(self, word: str) -> None:
        self.word = word
        self.identity = f"parrot:{word}"

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        for prompt in prompts:
            done(Completion.of(prompt, tuple(f"{self.word} {prompt.text}" for _ in prompt.seeds)))


class ParrotType(BackendType):
    """`parrot:WORD`."""

    def open(self, name: str, config: ModelConfig) -> Backend:
        return Parrot(name)

    def key(self, name: str, config: ModelConfig) -> str | None:
        return f"parrot:{name}"

    def facts(self, name: str, config: ModelConfig) -> ModelFacts:
        return ModelFacts(f"parrot:{name}")
