"""Models that tests make up, and what a model says to some prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from stepc.model.client import Backend, Call, Completion
from stepc.video.decode import Pictures


class Speaker:
    """Answers with `say(prompt, seed)`, once a seed, and counts calls."""

    identity = "speaker@1"
    templates = "default"
    together = 1

    def __init__(self, say: Callable[[Call, int], str]) -> None:
        self.say, self.asked = say, 0

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """All of them, in order."""
        for prompt in prompts:
            self.asked += 1
            done(Completion(prompt, tuple(self.say(prompt, seed) for seed in prompt.seeds)))


class Lister:
    """A model that answers lists of the `compact` templates, by another that answers one by one."""

    together = 8

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.identity, self.templates = backend.identity, backend.templates

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Each list's questions by themselves, their answers put together."""
        for prompt in prompts:
            questions = prompt.text.removeprefix("each : ").split(" | ")
            singles = [replace(prompt, key=q, text=q, items=1) for q in questions]
            told = said(self.backend, list({p.key: p for p in singles}.values()), pictures)
            texts = dict(zip(dict.fromkeys(questions), told, strict=True))
            rows = zip(*(texts[q] for q in questions), strict=True)
            done(Completion(prompt, tuple(" | ".join(row) for row in rows)))


def said(model: Backend | Any, prompts: Sequence[Call], pictures: Any = None) -> list[list[str]]:
    """The texts that a model gives, prompt by prompt."""
    calls: dict[str, list[str]] = {}

    def done(call: Completion) -> None:
        assert call.prompt.key not in calls
        calls[call.prompt.key] = list(call.texts)

    model.generate(prompts, pictures or Pictures(), done)
    return [calls[p.key] for p in prompts]
