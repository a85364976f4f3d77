"""Tests a model on every kind of request, with rendered pictures that have ground truth."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from stepc.ir.types import Frame
from stepc.ir.words import normal, words_of
from stepc.model.client import ModelClient, in_one
from stepc.model.coordinates import SaidBox, in_thousandths_of
from stepc.model.load import ModelConfig, load
from stepc.model.picture_tokens import boxes_of, seen_by
from stepc.model.requests import (
    REQUESTS,
    DescribeMotion,
    Locate,
    PlacedObjects,
    Request,
    Several,
)
from stepc.model.templates import Templates
from stepc.video.decode import Picture, Pictures
from stepc.world.inventories import of_words
from stepc.world.scene import SIDE
from stepc.world.training_examples import Lesson, Phrasing, packs


class Shown(Pictures):
    """Rendered pictures, by frame."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: dict[Frame, Picture] = {}

    def at(self, frame: Frame) -> Picture:
        return self.drawn[frame]


@dataclass
class Mark:
    """Test result for one kind of request."""

    asked: int = 0
    read: int = 0
    """Number of replies that could be parsed."""
    right: float = 0.0
    """Sum of correctness, 0 to 1 per reply; an unparsable reply counts as 0."""
    seconds: float = 0.0
    """Wall-clock time of all requests."""


@dataclass
class Examination:
    """Test questions with ground-truth answers, `number` per kind of request."""

    number: int
    seed: int = 0
    pictures: Shown = field(default_factory=Shown)

    def questions(self) -> dict[str, list[tuple[Request, BaseModel]]]:
        """Requests and their ground-truth answers, by request name."""
        compact = Templates("compact")
        made: dict[str, list[tuple[Request, BaseModel]]] = defaultdict(list)
        for request, reply in self._lessons():
            if len(made[request.name]) < self.number and not isinstance(request, Several):
                answer = compact.read(request, reply)
                if answer is not None:
                    made[request.name].append((request, answer))
                if isinstance(request, DescribeMotion) and len(made["locate"]) < self.number:
                    # the reply begins with the cell of the thing in the first picture
                    where = Locate(frames=request.frames[:1], objects=(request.target,))
                    if (place := compact.read(where, reply)) is not None:
                        made["locate"].append((where, place))
        return {name: made[name] for name in REQUESTS if made[name]}

    def _lessons(self) -> Iterator[Lesson]:
        """Yield training examples; renders their pictures."""
        n = 4 + 4 * self.number
        for i, pack in enumerate(packs(self.seed, stills=n, pairs=n, couples=n, foreigners=0)):
            frames = tuple(Frame(video=f"exam {i}", at=at) for at in range(len(pack.pictures)))
            self.pictures.drawn |= dict(zip(frames, pack.pictures, strict=True))
            for request, reply in (*pack.lessons, *pack.inventories):
                yield request.model_copy(update={"frames": frames}), reply
        for n in range(self.number):
            yield from of_words(random.Random(f"{self.seed}/{n}"))
        for pack in Phrasing(4)(random.Random(self.seed), 4 * self.number, 4):
            yield from pack.lessons

    def ask(self, asker: ModelClient) -> Iterator[tuple[str, Mark]]:
        """Ask all questions and yield (name, result) per kind of request.

        Each request is asked on its own. If the client batches requests into lists, batchable kinds are then
        asked again in lists and reported as `NAME*`. An unparsable list counts as wrong, because in a
        compilation it would be retried.
        """
        together = asker.together
        for name, questions in self.questions().items():
            if not asker.knows(REQUESTS[name]):
                continue
            asker.together = 1
            yield name, self._marked(asker, questions)
            size = min(in_one(together, name), asker.templates.most(questions[0][0]))
            if size > 1:
                yield f"{name}*", self._listed(asker, questions, size)
        asker.together = together

    def _marked(self, asker: ModelClient, questions: list[tuple[Request, BaseModel]]) -> Mark:
        began = time.perf_counter()
        replies = asker.ask([request for request, _ in questions])
        mark = Mark(asked=len(questions), seconds=time.perf_counter() - began)
        for (_, true), reply in zip(questions, replies, strict=True):
            mark.read += len(reply.read)
            mark.right += (
                alike(_said(true, asker), _said(reply.read[0], asker)) if reply.read else 0
            )
        return mark

    def _listed(
        self, asker: ModelClient, questions: list[tuple[Request, BaseModel]], size: int
    ) -> Mark:
        shown: dict[tuple[Frame, ...], list[tuple[Request, BaseModel]]] = defaultdict(list)
        for request, true in questions:
            shown[request.frames].append((request, true))
        lists = [same[i : i + size] for same in shown.values() for i in range(0, len(same), size)]
        lists = [one for one in lists if len(one) > 1]
        requests = [
            Several(frames=one[0][0].frames, items=tuple(r for r, _ in one)) for one in lists
        ]
        began = time.perf_counter()
        replies = asker.ask(requests)
        mark = Mark(asked=sum(map(len, lists)), seconds=time.perf_counter() - began)
        for one, reply in zip(lists, replies, strict=True):
            answers = reply.read[0].items if reply.read else [None] * len(one)
            for (_, true), got in zip(one, answers, strict=True):
                mark.read += got is not None
                mark.right += alike(true, got) if got is not None else 0.0
        return mark


def _said(answer: Any, asker: ModelClient) -> Any:
    """An answer as it is compared: of boxes, in which ninths of the picture their middles are."""
    if not isinstance(answer, PlacedObjects):
        return answer
    system, seen = boxes_of(asker.backend) or "thousandths", seen_by(asker.backend, SIDE, SIDE)
    cells = []
    for b in answer.boxes:
        edges = in_thousandths_of(SaidBox("", b.edges, b.whole), system, seen)
        if edges is not None:
            left, top, right, bottom = edges
            cells.append(f"{b.object} {(left + right) * 3 // 2001} {(top + bottom) * 3 // 2001}")
    return tuple(cells)


def alike(true: Any, got: Any) -> float:
    """Correctness of an answer, 0 to 1. Lists and texts are compared by the F1 of their items or words."""
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
    """Normalised text of a list item, for comparison."""
    if isinstance(item, BaseModel):
        return " ".join(_key(v) for v in item.model_dump().values())
    return normal(str(item))


def _f1(true: Counter[str], got: Counter[str]) -> float:
    if not true and not got:
        return 1.0
    both = sum((true & got).values())
    return 2 * both / (sum(true.values()) + sum(got.values()))


def parsing_accuracy(choice: ModelConfig, seed: int) -> dict[str, float]:
    """How right a model's answers to parsing requests about rendered pictures are (0 to 1), by request."""
    exam = Examination(8, seed)
    client = load(replace(choice, together=1), exam.pictures, seed=seed)
    return {name: mark.right / mark.asked for name, mark in exam.ask(client) if mark.asked}
