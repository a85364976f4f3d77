"""Who is who: groups of objects that are the same, and the register of a video's individuals."""

from __future__ import annotations

import random

import pytest

from stepc.ir import types as t
from stepc.ir.coreference import Appearance, IdentityGroups
from stepc.model.individuals import RECENT, InventoryMatch, Register


@pytest.mark.parametrize("seed", range(60))
def test_groups_are_joined_and_told_apart_like_sets(seed: int) -> None:
    """Against sets of members that are searched one by one."""
    rng = random.Random(seed)
    place = {f"o{i}": f"c{rng.randint(0, 5)}" for i in range(14)}
    groups = IdentityGroups(place.items())
    sets, apart = [{x} for x in place], list[tuple[str, str]]()

    def of(member: str) -> set[str]:
        return next(s for s in sets if member in s)

    for _ in range(60):
        one, other = rng.sample([*place], 2)
        a, b = of(one), of(other)
        if rng.random() < 0.4:
            assert groups.part(one, other) == (a is not b)
            apart += [(one, other)] if a is not b else []
            continue
        clash = {place[x] for x in a} & {place[x] for x in b}
        enemies = any({id(of(x)), id(of(y))} == {id(a), id(b)} for x, y in apart)
        assert groups.join(one, other) == (a is b or not (clash or enemies))
        if a is not b and not clash and not enemies:
            a |= b
            sets.remove(b)
    assert sorted(map(sorted, groups.groups().values())) == sorted(map(sorted, sets))


def _look(name: str, noun: t.NounClass | None) -> Appearance:
    return Appearance(name, (), frozenset([name]), noun)


def test_who_was_seen_long_ago_is_found_by_name_among_many() -> None:
    """And no clip is compared with more individuals than one after a few clips."""
    look: dict[str, Appearance] = {}
    frames: dict[str, t.Frame] = {}
    register = Register(look)
    offered = []
    for clip in range(400):
        names = ["policeman" if clip % 200 == 0 else f"person {clip}", "car", f"thing {clip}"]
        found = [f"c{clip}.k0/{i}" for i in range(3)]
        for node, name in zip(found, names, strict=True):
            look[node] = _look(name, "vehicle" if name == "car" else "person")
            frames[node] = t.Frame(video="0" * 64, at=clip * 1000)
        known = register.like(found)
        offered.append(len(known))
        if clip == 200:
            assert "c0.k0/0" in known
        for match in InventoryMatch.of_many(known, found, look, frames):
            for old, new in match.alike:
                if look[old].label == look[new].label == "car":
                    register.again(old, new)
        register.add(found)
    assert max(offered) <= 5 * RECENT
    assert list(register.groups["name", "car"]) == ["c399.k0/1"]


def test_what_has_no_class_may_be_anything() -> None:
    look = {"a": _look("it", None), "b": _look("dog", "animal"), "c": _look("cup", "thing")}
    register = Register(look)
    register.add(["a", "b"])
    assert register.like(["c"]) == ["a"]
    look["d"] = _look("something", None)
    assert register.like(["d"]) == ["a", "b"]
