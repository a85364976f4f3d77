"""Lessons about inventories: all names, relations, phases or individuals of pictures in one request.

They examine models (`stepc model check`). The embedded model is not taught them: it asks one by one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import orjson

from stepc.model.requests import (
    DescribeTrack,
    MatchNames,
    MatchObjects,
    MatchWords,
    Mention,
    RelateAll,
    Request,
    Sighting,
    WordList,
)
from stepc.world.scene import STILL, Actor, Shot, predicates, reading_order

Lesson = tuple[Request, str]
SYNONYMS = {
    "size": (("large", "big"), ("small", "little")),
    "color": (("gray", "grey"),),
    "motions": (("moving left", "going left"), ("staying still", "not moving")),
}
"""Kind of word → pairs that mean the same."""
OTHERS = {
    "size": ("medium",),
    "color": ("red", "blue", "green"),
    "motions": ("moving up", "moving right"),
}
"""Kind of word → words that mean something else than each other and than the pairs."""


def _json(answer: Any) -> str:
    return orjson.dumps(answer).decode()


def _mention(actor: Actor) -> Mention:
    return Mention(label=actor.thing.shape, attributes=tuple(v for _, v in actor.thing.attributes))


def of_still(shot: Shot, progress: float, rng: random.Random) -> list[Lesson]:
    """Lessons about one picture: which names mean the same, and all relations."""
    actors = sorted(shot.actors, key=lambda a: reading_order(a.at(progress)))
    twice = rng.sample(actors, 2)
    longer = {a: f"{a.thing.attributes[0][1]} {a.thing.shape}" for a in twice}
    names = [a.thing.shape for a in actors] + [*longer.values()]
    rng.shuffle(names)
    same = [[a.thing.shape, longer[a]] for a in twice]
    related = [
        {"subject": i, "predicate": p, "object": j}
        for i, a in enumerate(actors, 1)
        for j, b in enumerate(actors, 1)
        if i < j
        for p in predicates(a.at(progress), b.at(progress))
    ]
    return [
        (MatchNames(frames=(), names=tuple(names)), _json({"same": same})),
        (
            RelateAll(frames=(), objects=tuple(map(_mention, actors))),
            _json({"relations": related}),
        ),
    ]


def of_track(shot: Shot, shown: Sequence[float]) -> list[Lesson]:
    """Lessons about consecutive pictures of one shot: what each moving thing does."""
    whole = shown[-1] - shown[0] > 0.5
    return [
        (
            DescribeTrack(frames=(), target=_mention(a)),
            _json(
                {"phases": [{"motion": a.motion if whole else STILL, "from": 1, "to": len(shown)}]}
            ),
        )
        for a in shot.actors
        if a.thing.dynamic
    ]


def of_identity(first: Shot, second: Shot) -> list[Lesson]:
    """A lesson about pictures of two shots: which things are the same."""
    known, found = first.actors, second.actors
    same = [
        [i, len(known) + j]
        for i, a in enumerate(known, 1)
        for j, b in enumerate(found, 1)
        if a.thing == b.thing
    ]
    request = MatchObjects(
        frames=(),
        objects=tuple(
            Sighting(frame=n, target=_mention(a))
            for n, actors in enumerate((known, found), 1)
            for a in actors
        ),
    )
    return [(request, _json({"same": same}))]


def of_words(rng: random.Random) -> list[Lesson]:
    """A lesson without pictures: which words mean the same."""
    lists, same = [], []
    for kind, pairs in SYNONYMS.items():
        words = [w for pair in pairs for w in pair] + [*OTHERS[kind]]
        rng.shuffle(words)
        lists.append(WordList(kind=kind, words=tuple(words)))
        same += [list(pair) for pair in pairs]
    return [(MatchWords(frames=(), lists=tuple(lists)), _json({"same": same, "narrower": []}))]
