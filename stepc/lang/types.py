"""A resolved and checked spec: what `sample` and `compose` are driven by."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from stepc.forms import FORMS
from stepc.ir.types import EdgeKind, FormName, Value, Way, When
from stepc.lang.inflect import FILTERS

End = Literal["near", "far", "edge"]
"""What of an edge is found: an end, or the edge itself."""
Source = Literal["graph", "clip", "corpus"]
Revisit = Literal["nodes", "labels", "kinds"]


class Placeholder(Value):
    """A placeholder of a wording: `{o}`, `{v.kind}` or `{o|a}`, by what it stands for."""

    name: str
    """`near`, `far`, `rel`, `event`, `question`, `a`, `n` …: what is put there."""
    field: str = ""
    filters: tuple[str, ...] = ()
    """Names of `english.FILTERS`, applied from left to right."""


class Phrase(Value):
    """A user's phrase where it is used: one of several wordings."""

    options: tuple[Wording, ...]


class Wording(Value):
    """A text with holes."""

    parts: tuple[str | Placeholder | Phrase, ...]
    weight: float = 1.0
    """How often it is drawn, against its alternatives."""

    def fill(self, said: Mapping[tuple[str, str], str], rng: random.Random) -> str:
        """The text with each hole filled by (name, field); phrases are drawn by `rng`."""
        made = ""
        for part in self.parts:
            if isinstance(part, str):
                made += part
            elif isinstance(part, Placeholder):
                text = said[part.name, part.field]
                for name in part.filters:
                    text = FILTERS[name](text)
                made += text
            else:
                made += draw_wording(part.options, rng).fill(said, rng)
        return made


def draw_wording(wordings: Sequence[Wording], rng: random.Random) -> Wording:
    """One of `wordings`, by their weights."""
    if len(wordings) == 1:
        return wordings[0]
    at = rng.random() * sum(w.weight for w in wordings)
    for wording in wordings:
        at -= wording.weight
        if at < 0:
            return wording
    return wordings[-1]


class Lines(Value):
    """The wordings of a block, by the word their line begins with."""

    lines: tuple[tuple[str, tuple[Wording, ...]], ...] = ()

    def line(self, name: str) -> tuple[Wording, ...]:
        """The wordings of a line; none if it is not there."""
        return next((w for n, w in self.lines if n == name), ())


class Find(Lines):
    """The wordings of an edge one end of which, or which itself, is found."""

    end: End


class EdgeRule(Value):
    """How one kind of edge is worded."""

    kind: EdgeKind
    finds: tuple[Find, ...] = ()
    time: Lines = Lines()
    """How its time is asked and said."""

    def find(self, way: Way) -> Find | None:
        """The wordings for what a step of `way` finds, or None."""
        end = {"=>": "far", "<=": "near", "--": "edge"}[way]
        return next((f for f in self.finds if f.end == end), None)

    def words(self, form: FormName, way: Way) -> tuple[Wording, ...]:
        """The questions of a form about an edge taken in a way; none if it is not worded."""
        return FORMS[form].wordings(self, way)


class PathRule(Value):
    """How a whole path is asked: its hops from what is known to the answer."""

    hops: tuple[tuple[EdgeKind, Way], ...]
    ask: tuple[Wording, ...]
    """Holes are `0` for what is known first and `1`, `2` … for what each hop finds."""


class Filter(Value):
    """Which edges or paths may be used: only those that fit, or only those that do not."""

    keep: bool
    """`only` keeps what fits, `forbid` drops it."""
    what: Literal[
        "label",
        "predicate",
        "motion",
        "kind",
        "value",
        "event",
        "static",
        "dynamic",
        "clip",
        "time",
        "same-clip",
        "across-clips",
    ]
    words: tuple[str, ...] = ()
    """Compared as the solver compares."""
    ranges: tuple[tuple[int, int], ...] = ()
    """clip: numbers, both ends in; time: milliseconds, the second end out."""


class EdgeChoice(Value):
    """A kind of edge, and the ways it may be taken."""

    kind: EdgeKind
    ways: tuple[Way, ...]


class Block(Value):
    """What paths are sampled (section 3.2)."""

    name: str = "paths"
    count: int = 18
    """Paths a video."""
    steps: tuple[tuple[int, float], ...] = ((1, 1.0), (2, 1.0), (3, 1.0))
    """Numbers of steps and their weights."""
    start: tuple[EdgeChoice, ...] = ()
    """Kinds of the initial connected pair."""
    expand: tuple[EdgeChoice, ...] = ()
    """Kinds along which a node is expanded."""
    form: tuple[tuple[FormName, float], ...] = (("ask", 1.0),)
    """How paths are asked, and their weights."""
    options: int = 4
    """Options of a multiple choice, the answer among them."""
    sources: tuple[Source, ...] = ("clip", "graph")
    """Where wrong options come from, in this order."""
    time: tuple[tuple[When, float], ...] = ()
    """Shares of the paths that are given a time range, by how; the rest has none."""
    unique: bool = True
    """Whether every step must have exactly one answer."""
    enumerate: bool = False
    """Whether paths are drawn without repetition from all there are, each as likely."""
    confidence: float = 0.0
    """The lowest confidence of an edge that a path uses, and of the objects it joins."""
    filters: tuple[Filter, ...] = ()
    """What paths may use; whether an answer is unique is judged on the whole graph all the same."""
    no_revisit: tuple[Revisit, ...] = ()
    """What a path may not visit twice, besides a node."""
    seed: int = 0
    """Added to the seed of the run."""
    tries: int = 60
    """How often a path is drawn anew before it is given up."""


class DatasetBlock(Value):
    """What the corpus shall be like: options of the link passes. None leaves a pass as it is."""

    steps: tuple[tuple[int, float], ...] = ()
    """The target mix of numbers of steps."""
    answers: float | None = None
    """The largest share of one answer among questions of one kind."""
    most: int | None = None
    """Samples a video at most."""
    sets: tuple[tuple[str, float], ...] = ()
    """Shares of the videos in `train`, `val` and `test`."""
    formats: tuple[str, ...] = ()
    """What is written."""


class Spec(Value):
    """A whole spec."""

    name: str
    title: str = ""
    blocks: tuple[Block, ...]
    edges: tuple[EdgeRule, ...]
    paths: tuple[PathRule, ...] = ()
    time: Lines = Lines()
    """How a question is given its time range."""
    pair: Lines = Lines()
    """How two edges are compared."""
    dataset: DatasetBlock = DatasetBlock()
    digest: str = ""
    """SHA-256 of all files it was read from."""
    phrased: bool = False
    """Whether a wording draws phrases, so that it reads otherwise each time."""

    def wording(self) -> Any:
        """JSON of all that words depend on."""
        return self.model_dump(mode="json", exclude={"name", "title", "dataset", "digest"})

    def drawing(self) -> Any:
        """JSON of all that the paths drawn depend on: not on words, but on what is worded."""

        def lines(of: Lines) -> list[str]:
            return sorted(name for name, told in of.lines if told)

        edges = [[e.kind, lines(e.time), [[f.end, lines(f)] for f in e.finds]] for e in self.edges]
        return [[b.model_dump(mode="json") for b in self.blocks], edges]

    def rule(self, kind: str) -> EdgeRule | None:
        """The rule of a kind of edge, or None."""
        return next((e for e in self.edges if e.kind == kind), None)

    def block(self, name: str) -> Block:
        """The sampling block of a name; a plain one if it is not there (an older path's)."""
        return next((b for b in self.blocks if b.name == name), Block())

    def words(self, form: FormName, kind: str, way: Way) -> tuple[Wording, ...]:
        """The questions of a form about a kind of edge; none if it is not worded."""
        rule = self.rule(kind)
        return rule.words(form, way) if rule else ()


Phrase.model_rebuild()
