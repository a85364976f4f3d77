"""What a model understands: every kind of request, about pictures whose truth is known."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from stepc.ir.meaning import normal, words_of
from stepc.ir.types import Frame
from stepc.model.ask import Asker
from stepc.model.prompts import Templates
from stepc.model.requests import REQUESTS, Request
from stepc.video import Picture, Pictures
from stepc.world.lessons import Lesson, Phrasing, packs


class Shown(Pictures):
    """Pictures that were drawn, by the frame they are shown as."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: dict[Frame, Picture] = {}

    def at(self, frame: Frame) -> Picture:
        """The picture of a frame."""
        return self.drawn[frame]


@dataclass
class Mark:
    """How one kind of request went."""

    asked: int = 0
    read: int = 0
    """Replies that could be read as the request's answer."""
    right: float = 0.0
    """Sum of how right they were, each 0 to 1; one that cannot be read is 0."""
    seconds: float = 0.0


@dataclass
class Exam:
    """Questions with the replies that are true, `number` of each kind of request."""

    number: int
    seed: int = 0
    pictures: Shown = field(default_factory=Shown)

    def questions(self) -> dict[str, list[tuple[Request, BaseModel]]]:
        """Requests and their true answers, by the requests' names."""
        compact = Templates("compact")
        made: dict[str, list[tuple[Request, BaseModel]]] = defaultdict(list)
        for request, reply in self._lessons():
            if len(made[request.name]) < self.number:
                answer = compact.read(request, reply)
                if answer is not None:
                    made[request.name].append((request, answer))
        return {name: made[name] for name in REQUESTS if made[name]}

    def _lessons(self) -> Iterator[Lesson]:
        """Lessons, their pictures drawn."""
        n = 2 + 2 * self.number
        for i, pack in enumerate(packs(self.seed, stills=n, pairs=n, couples=n, foreigners=0)):
            frames = tuple(Frame(video=f"exam {i}", at=at) for at in range(len(pack.pictures)))
            self.pictures.drawn |= dict(zip(frames, pack.pictures, strict=True))
            for request, reply in pack.lessons:
                yield request.model_copy(update={"frames": frames}), reply
        for pack in Phrasing(4)(random.Random(self.seed), 4 * self.number, 4):
            yield from pack.lessons

    def ask(self, asker: Asker) -> Iterator[tuple[str, Mark]]:
        """Ask everything, a kind of request at a time; tells of each."""
        for name, questions in self.questions().items():
            began = time.perf_counter()
            replies = asker.ask([request for request, _ in questions])
            mark = Mark(asked=len(questions), seconds=time.perf_counter() - began)
            for (_, true), reply in zip(questions, replies, strict=True):
                mark.read += len(reply.read)
                mark.right += alike(true, reply.read[0]) if reply.read else 0.0
            yield name, mark


def alike(true: Any, got: Any) -> float:
    """How right an answer is, 0 to 1: for lists and texts the F1 of their items or words."""
    if isinstance(true, BaseModel):
        names = list(type(true).model_fields)
        return sum(alike(getattr(true, n), getattr(got, n)) for n in names) / len(names)
    if isinstance(true, tuple):
        return _f1(Counter(map(_key, true)), Counter(map(_key, got)))
    if isinstance(true, str):
        one, other = normal(true), normal(str(got))
        return 1.0 if one == other else _f1(Counter(words_of(one)), Counter(words_of(other)))
    return float(true == got)


def _key(item: Any) -> str:
    """An item of a list, as it is compared."""
    if isinstance(item, BaseModel):
        return " ".join(_key(v) for v in item.model_dump().values())
    return normal(str(item))


def _f1(true: Counter[str], got: Counter[str]) -> float:
    if not true and not got:
        return 1.0
    both = sum((true & got).values())
    return 2 * both / (sum(true.values()) + sum(got.values()))
