"""Votes on the objects of a keyframe, which several lists call by different names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import combinations, permutations

from stepc.ir import types as t
from stepc.ir.words import normal
from stepc.model.client import Vote
from stepc.model.synonyms import joined

TRIED = 1000
"""Maximum ways to assign labels to objects that are compared; of more, none is preferred to their order."""
Labels = tuple[str, ...]


def ballots_of(
    lists: list[Labels], same: dict[str, str]
) -> list[list[tuple[tuple[str, int], str]]]:
    """The labels of each list with their objects: a name that stands for it, and a number.

    Two labels of one list are two objects. Among several objects with one name, a label is assigned to the
    one that other lists call by the same label. Otherwise the order of the lists decides.
    """
    known: dict[str, list[Counter[str]]] = {}
    """Name that stands for others → for each of its objects, the labels that it has."""
    made: dict[int, list[tuple[tuple[str, int], str]]] = {}
    for i in sorted(range(len(lists)), key=lambda i: -len(lists[i])):
        places: dict[str, list[int]] = {}
        for place, label in enumerate(lists[i]):
            places.setdefault(same.get(normal(label), normal(label)), []).append(place)
        chosen: dict[int, tuple[str, int]] = {}
        for name, mine in places.items():
            objects = known.setdefault(name, [])
            objects += [Counter[str]() for _ in range(len(mine) - len(objects))]
            labels = [normal(lists[i][place]) for place in mine]
            for place, label, n in zip(mine, labels, _assigned(labels, objects), strict=True):
                chosen[place] = name, n
                objects[n][label] += 1
        made[i] = [(chosen[place], label) for place, label in enumerate(lists[i])]
    return [made[i] for i in range(len(lists))]


def _assigned(labels: list[str], objects: list[Counter[str]]) -> tuple[int, ...]:
    """The number of an object for each label: they agree most, and are least out of order."""
    if math.perm(len(objects), len(labels)) > TRIED:
        return tuple(range(len(labels)))

    def fits(numbers: tuple[int, ...]) -> float:
        agree = sum(
            objects[n][label] / max(1, objects[n].total())
            for n, label in zip(numbers, labels, strict=True)
        )
        return agree - 0.25 * sum(a > b for a, b in combinations(numbers, 2))

    return max(permutations(range(len(objects)), len(labels)), key=fits)


def known_by(v: Vote, said: Counter[str], call: str) -> Vote:
    """A vote for an object, with its names as the value: the most common one, then the others."""
    names: dict[str, str] = {}
    for label, _ in sorted(said.items(), key=lambda x: (-x[1], len(x[0]))):
        names.setdefault(normal(label), label)
    asks = (*v.origin.asks, call) if call and len(names) > 1 else v.origin.asks
    return Vote(tuple(names.values()), v.trust, t.Origin(asks=asks))


def seen_beside(faint: list[Vote], sure: list[Vote], beside: list[list[Vote]]) -> list[Vote]:
    """Of the objects with few votes, those that a keyframe beside has more of under one of their names."""

    def number(name: str, objects: Iterable[Vote]) -> int:
        return sum(name in map(normal, v.value) for v in objects)

    made: list[Vote] = []
    for v in faint:
        names = set(map(normal, v.value))
        if any(number(n, there) > number(n, (*sure, *made)) for n in names for there in beside):
            made.append(v)
    return made


def doubtful_names(lists: list[Labels]) -> dict[str, str]:
    """Name → its first wording, of all names of a keyframe; empty if no two of them can mean the same."""
    names = {normal(x): x for labels in reversed(lists) for x in reversed(labels)}
    together = [frozenset(map(normal, labels)) for labels in lists]
    apart = any(not any({a, b} <= said for said in together) for a, b in combinations(names, 2))
    return names if apart else {}


def joined_names(names: list[str], readings: list[list[frozenset[str]]]) -> dict[str, str]:
    """Name → the name that stands for all that mean the same.

    Two names are joined if most readings put them into one group, and in a group each name is so joined
    with each other.
    """
    votes = Counter(
        pair for groups in readings for g in groups for pair in combinations(sorted(g), 2)
    )
    sure = [pair for pair, count in votes.most_common() if 2 * count > len(readings)]
    stands = {name: name for name in names}
    for group in joined([pair for pair in sure if {*pair} <= stands.keys()]):
        first = min(group, key=names.index)
        stands |= dict.fromkeys(group, first)
    return stands
