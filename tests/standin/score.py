"""Compares the graph of a described video with what is really there.

    python -m standin.score OUT VIDEO... [--folder FOLDER]

prints the score of the units of a compile, from the folder `tests`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import combinations
from pathlib import Path

from standin.footage import HERE, Clue, Footage, View, noun
from stepc.ir import types as t
from stepc.ir.graph import entities
from stepc.ir.text import read
from stepc.ir.union_find import UnionFind
from stepc.ir.words import normal
from stepc.model.client import Mentions
from stepc.model.requests import Mention
from stepc.video.decode import Pictures
from stepc.video.probe import probe

OBVIOUS = 0.9
"""How often a thing is mentioned that anybody would see."""


@dataclass
class Score:
    """Counts of one or more videos. A thing in a keyframe is a sighting."""

    obvious: int = 0
    """Sightings of what anybody would see."""
    kept: int = 0
    """Those of them that are in the graph."""
    invented: int = 0
    """Nodes that are nothing in their keyframe."""
    doubled: int = 0
    """Nodes of a keyframe that are one thing with another node."""
    individuals: int = 0
    """Things in a clip, each counted once, that the graph has."""
    split: int = 0
    """Those of them that are several individuals in the graph."""
    joined: int = 0
    """Individuals of a clip in the graph that are several things."""
    moving: int = 0
    """Things of a clip in the graph that are dynamic and seen twice, as the descriptions say."""
    moved: int = 0
    """Those of them for which the graph has a motion."""
    recurring: int = 0
    """Pairs of clips with the same thing."""
    referred: int = 0
    """Those of them that references join."""
    false: int = 0
    """References between different things."""
    facts: int = 0
    """Attributes and relations in the graph."""
    untrue: int = 0
    """Those of them that the descriptions do not allow."""
    notes: list[str] = field(default_factory=list)
    """What was lost, invented, doubled, split or false."""

    def add(self, other: Score) -> Score:
        """Add another score to this one."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        return self

    def text(self) -> str:
        """One line for each measure."""
        return "\n".join(
            (
                f"obvious objects kept    {self.kept} of {self.obvious} ({self.kept / self.obvious:.1%})",
                f"invented, doubled       {self.invented}, {self.doubled}",
                f"individuals split       {self.split} of {self.individuals}"
                f" ({self.split / max(1, self.individuals):.1%}), joined {self.joined}",
                f"moving, with a motion   {self.moved} of {self.moving}"
                f" ({self.moved / max(1, self.moving):.1%})",
                f"references              {self.referred} of {self.recurring}, false {self.false}",
                f"attributes, relations   {self.facts}, untrue {self.untrue}",
            )
        )


Views = Mapping[str, View]
"""Keyframe → what is to be seen in it."""
Thing = tuple[str, str]
"""(described clip, identity in it)."""


def things(view: View, nodes: Iterable[t.Object], named: Mapping[str, Mention]) -> dict[str, str]:
    """Node → the thing that it is in a keyframe, at most one node a thing. Others are left out.

    A node is what the stand-in takes its mention for. If another node is that already, it is what else has
    one of its names.
    """
    found: dict[str, str] = {}
    left = []
    for node in nodes:
        mention = named[node.id]
        thing = view.meant(Clue(mention.label, mention.number, mention.of))
        if (
            thing is not None
            and thing not in found.values()
            and noun(node.label) in _nouns(view, thing)
        ):
            found[node.id] = thing
        else:
            left.append(node)
    for node in left:
        free = [i for i in view.things if i not in found.values()]
        fits = [i for i in free if {*map(noun, (node.label, *node.called))} & _nouns(view, i)]
        if fits:
            found[node.id] = max(fits, key=lambda i: view.things[i][0])
    return found


def _nouns(view: View, thing: str) -> set[str]:
    """The names of a thing, as they are compared."""
    return {*map(noun, view.labels(thing))}


def score(unit: t.Stsg, footage: Footage, pictures: Pictures) -> Score:
    """The score of the graph of a video. Its keyframes are recognised by their pictures."""
    made = Score()
    views = {
        k.id: footage.view(pictures.at(t.Frame(video=unit.video.sha256, at=k.at)))
        for k in unit.keyframes.values()
    }
    entity, named = entities(unit), Mentions(unit)
    thing_of: dict[tuple[str, str], Thing] = {}
    for name, view in views.items():
        at = unit.keyframes[name].at
        nodes = [o for o in unit.objects if name in o.frames]
        found = things(view, nodes, named)
        obvious = [i for i, (often, *_) in view.things.items() if often >= OBVIOUS]
        made.obvious += len(obvious)
        made.kept += len(set(obvious) & set(found.values()))
        made.notes += [f"lost: {i} at {at}" for i in obvious if i not in found.values()]
        for node in nodes:
            if node.id in found:
                thing_of[name, node.id] = view.clip.name, found[node.id]
                continue
            known = view.called(node.label)
            made.doubled += bool(known)
            made.invented += not known
            made.notes.append(f"{'doubled' if known else 'invented'}: {node.label} at {at}")
    _individuals(unit, views, made, thing_of, entity)
    _references(unit, made, thing_of)
    _facts(unit, views, made, thing_of)
    return made


def _individuals(
    unit: t.Stsg,
    views: Views,
    made: Score,
    thing_of: dict[tuple[str, str], Thing],
    entity: dict[str, int],
) -> None:
    """Count the individuals of each clip, and which of them move."""
    nodes: dict[tuple[str, Thing], set[int]] = defaultdict(set)
    meant: dict[tuple[str, int], set[Thing]] = defaultdict(set)
    for (frame, node), thing in thing_of.items():
        nodes[t.clip_of(frame), thing].add(entity[node])
        meant[t.clip_of(frame), entity[node]].add(thing)
    moving = {entity[m.source] for m in unit.motions}
    made.individuals += len(nodes)
    for (where, thing), found in nodes.items():
        made.split += len(found) > 1
        if len(found) > 1:
            made.notes.append(f"split: {thing[1]} of {where}")
    made.joined += sum(len(x) > 1 for x in meant.values())
    made.notes += [
        f"joined: {sorted(x)} of {where}" for (where, _), x in meant.items() if len(x) > 1
    ]
    for c in unit.clips:
        seen: dict[Thing, int] = defaultdict(int)
        clips = {views[k.id].clip.name: views[k.id].clip for k in c.keyframes}
        for k in c.keyframes:
            for thing in views[k.id].things:
                seen[views[k.id].clip.name, thing] += 1
        for thing, times in seen.items():
            clip, name = clips[thing[0]], thing[1]
            if (
                (c.id, thing) in nodes
                and times > 1
                and clip.kind(name) == "dynamic"
                and clip.moves(name)
            ):
                made.moving += 1
                has = bool(nodes.get((c.id, thing), set()) & moving)
                made.moved += has
                if not has:
                    made.notes.append(f"no motion: {name} of {c.id}")


def _references(unit: t.Stsg, made: Score, thing_of: dict[tuple[str, str], Thing]) -> None:
    """Count the things that come back, and the references that join them, over others if need be."""
    of_node: dict[str, set[Thing]] = defaultdict(set)
    clips: dict[Thing, set[str]] = defaultdict(set)
    for (frame, node), thing in thing_of.items():
        of_node[node].add(thing)
        clips[thing].add(t.clip_of(frame))
    made.recurring += sum(len(x) * (len(x) - 1) // 2 for x in clips.values())
    nodes = {*(o.id for o in unit.objects)}
    joined = UnionFind(nodes)
    entity = entities(unit)
    first: dict[int, str] = {}
    for o in unit.objects:
        joined.join(first.setdefault(entity[o.id], o.id), o.id)
    for r in unit.references:
        joined.join(r.first, r.second)
        if not of_node[r.first] & of_node[r.second]:
            made.false += 1
            made.notes.append(f"false: {r.first} is {r.second}")
    for thing, where in clips.items():
        mine = [n for n, found in of_node.items() if thing in found]
        for pair in combinations(sorted(where), 2):
            one, other = ([n for n in mine if t.clip_of(n) == c] for c in pair)
            known = any(joined.root(a) == joined.root(b) for a in one for b in other)
            made.referred += known
            made.notes += [f"not referred: {thing[1]} in {pair}"] * (not known)


def _facts(unit: t.Stsg, views: Views, made: Score, thing_of: dict[tuple[str, str], Thing]) -> None:
    """Count the attributes and relations of known things, and those that are not true."""
    from standin.replies import _interactions, _places, relation

    for a in unit.attributes:
        found = [thing_of[f, a.owner] for f in a.frames if (f, a.owner) in thing_of]
        for clip, thing in found[:1]:
            known = views[a.frames[0]].clip.attributes(thing) if clip else {}
            values = {v for _, vs in known.values() for v in vs if v[:1] != "!"}
            made.facts += 1
            if normal(a.value) not in map(normal, values):
                made.untrue += 1
                made.notes.append(f"untrue: {thing} {a.kind} {a.value}")
    for r in unit.relations:
        for frame in r.frames:
            one, other = (thing_of.get((frame, x)) for x in (r.subject, r.object))
            if one is None or other is None or one == other:
                continue
            view = views[frame]
            ends = one[1], other[1]
            true = {*map(relation, _interactions(view, *ends)), *_places(view, *ends)}
            made.facts += 1
            if relation(r.predicate) not in true:
                made.untrue += 1
                made.notes.append(f"untrue: {ends[0]} {r.predicate} {ends[1]} in {frame}")
            break


def main() -> None:
    """Print the score of a compile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--folder", type=Path, default=HERE)
    parser.add_argument("--notes", action="store_true", help="also what was lost or is wrong")
    given = parser.parse_args()
    footage, total, pictures = Footage(given.folder), Score(), Pictures()
    for path in given.videos:
        pictures.add(probe(path))
    for path in sorted(given.out.glob("units/*.stsg")) or sorted(given.out.glob("*.stsg")):
        unit = read(path.read_text("utf-8"), path.name).unit
        assert isinstance(unit, t.Stsg)
        total.add(score(unit, footage, pictures))
    print(total.text())
    if given.notes:
        print(*total.notes, sep="\n")


if __name__ == "__main__":
    main()
