"""Measures paths and questions per second, against a plain networkx implementation of the same sampler.

    python benchmarks/sampling.py [--edges 100 10000 1000000] [--seconds 2] [--rounds 3]

Both draw paths of three steps (attr, rel) from the same graph, where every step has exactly one answer. Both
use the same wordings and verify each question: the question and its sub-questions are walked again from
their labels, no question contains an answer, and no question occurs twice. The networkx sampler is what a
careful user would write: labels in dictionaries, neighbours from the graph, wordings as precompiled Jinja
templates. The two alternate within one run, so that a busy machine slows down both; compare their ratio.
Setup (converting the graph into each sampler's data structures) is linear in the edges and printed separately.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import networkx as nx
from jinja2 import Environment

from stepc.ir import types as t
from stepc.lang.parse import builtin
from stepc.lang.resolve import read_spec
from stepc.lang.types import Block, EdgeChoice
from stepc.proof.prover import Prover
from stepc.sampling.edge_table import EdgeTable
from stepc.sampling.paths import PathSampler
from stepc.sampling.plan import PathKind
from stepc.sampling.query_builder import query_leaks
from stepc.writer.paths import PathWriter, UnitWords

SURE = t.Trust(votes=3, asked=3, verdict="yes")
PREDICATES = [f"{word} {way}" for word in ("next", "close", "tied", "glued", "nailed", "leaning")
              for way in ("to", "on", "under", "over", "behind", "beside")]  # fmt: skip
SPEC = read_spec(builtin("step"))
STEPS = 3
BATCH = 4096
"""Paths that are drawn before both samplers forget which questions they have asked."""


def make_graph(edges: int, seed: int = 0) -> t.Stsg:
    """A video's graph with about `edges` edges: clips of twenty objects with a hundred edges each."""
    rng = random.Random(seed)
    clips, objects, attributes, relations = [], [], [], []
    per_clip = 100
    for c in range(max(1, edges // per_clip)):
        k = t.Keyframe(id=f"c{c}.k0", at=c * 1000)
        clips.append(t.Clip(id=f"c{c}", start=c * 1000, end=(c + 1) * 1000, keyframes=(k,)))
        names = [f"thing{c}x{i}" for i in range(20)]
        ids = [f"c{c}/{name}" for name in names]
        objects += [
            t.Object(op="static", id=i, label=name, frames=(k.id,), trust=SURE)
            for i, name in zip(ids, names, strict=True)
        ]
        for i in ids:
            value = f"shade{rng.randrange(edges // 2 + 10)}"
            attributes.append(
                t.Attribute(
                    id=f"{i}/{value}", kind="color", value=value, frames=(k.id,), trust=SURE
                )
            )
        said = set()
        while len(said) < per_clip - len(ids):
            one, two = rng.sample(ids, 2)
            said.add((one, two, rng.choice(PREDICATES)))
        relations += [
            t.Relation(subject=a, object=b, predicate=p, frames=(k.id,), trust=SURE)
            for a, b, p in sorted(said)
        ]
    video = t.Video(
        file="v.mp4", sha256="0" * 64, duration=len(clips) * 1000, rate="25", width=640, height=360
    )
    return t.Stsg.model_construct(
        name="v",
        video=video,
        clips=tuple(clips),
        objects=tuple(objects),
        attributes=tuple(attributes),
        relations=tuple(relations),
        motions=(),
        references=(),
        events=(),
    )


# --- the networkx sampler -----------------------------------------------------------------

Taken = tuple[str, Any, Any, str, str]
"""(kind, known, found, word, way)"""


class Plain:
    """The sampler written with networkx."""

    def __init__(self, unit: t.Stsg, seed: int) -> None:
        self.rng = random.Random(seed)
        self.graph = nx.MultiDiGraph()
        for o in unit.objects:
            self.graph.add_node(o.id, label=o.label)
        for a in unit.attributes:
            self.graph.add_edge(a.owner, ("value", a.value), kind="attr", word=a.value, of=a.kind)
        for r in unit.relations:
            self.graph.add_edge(r.subject, r.object, kind="rel", word=r.predicate)
        self.labels = Counter(o.label for o in unit.objects)
        self.edges = {
            kind: [e for e in self.graph.edges(data=True) if e[2]["kind"] == kind]
            for kind in ("attr", "rel")
        }
        self.labelled: dict[str, list[str]] = {}
        for o in unit.objects:
            self.labelled.setdefault(o.label, []).append(o.id)
        self.asked: set[str] = set()
        self.drawn = 0
        templates: dict[tuple[str, str], dict[str, list[str]]] = {
            ("attr", "=>"): {"ask": ["What is the {{ of }} of {{ known }}?", "What {{ of }} is {{ known }}?"],
                             "because": ["The {{ of }} of {{ known }} is {{ found }}."]},
            ("attr", "<="): {"ask": ["What has the {{ of }} {{ known }}?", "Which object has the {{ of }} {{ known }}?"],
                             "name": ["the object that has the {{ of }} {{ known }}", "the object with the {{ of }} {{ known }}"],
                             "because": ["The object that has the {{ of }} {{ known }} is {{ found }}."]},
            ("rel", "=>"): {"ask": ["What is {{ known }} {{ word }}?"],
                            "name": ["the object that {{ known }} is {{ word }}"],
                            "because": ["{{ known }} is {{ word }} {{ found }}."]},
            ("rel", "<="): {"ask": ["What is {{ word }} {{ known }}?", "Which object is {{ word }} {{ known }}?"],
                            "name": ["the object that is {{ word }} {{ known }}", "the object {{ word }} {{ known }}"],
                            "because": ["{{ found }} is {{ word }} {{ known }}."]},
        }  # fmt: skip
        env = Environment()
        self.compiled = {
            key: {line: [env.from_string(x) for x in texts] for line, texts in lines.items()}
            for key, lines in templates.items()
        }

    def begin_anew(self) -> None:
        """Forget what was asked as often as stepc's sampler does, so that a small graph is not exhausted."""
        self.drawn += 100
        if self.drawn >= BATCH:
            self.drawn = 0
            self.asked.clear()

    def answers(self, step: Taken) -> set[Any]:
        """All answers to the step's question."""
        kind, known, _, word, way = step
        if way == "=>":
            found = self.graph.out_edges(known, data=True)
            return {
                v
                for _, v, d in found
                if d["kind"] == kind and (kind == "attr" or d["word"] == word)
            }
        found = self.graph.in_edges(known, data=True)
        return {u for u, _, d in found if d["kind"] == kind and d["word"] == word}

    def alone(self, step: Taken) -> bool:
        """Whether the step has exactly one answer and its known end has a unique label."""
        known = step[1]
        if isinstance(known, str) and self.labels[self.graph.nodes[known]["label"]] != 1:
            return False
        return len(self.answers(step)) == 1

    def path(self) -> list[Taken] | None:
        """A path of three steps, or None at a dead end."""
        kind = self.rng.choice(["attr", "rel"])
        u, v, data = self.rng.choice(self.edges[kind])
        way = self.rng.choice(["=>", "<="])
        step = (kind, u, v, data["word"], "=>") if way == "=>" else (kind, v, u, data["word"], "<=")
        if not self.alone(step):
            return None
        steps, seen = [step], {step[1], step[2]}
        while len(steps) < STEPS:
            node = steps[-1][1]
            if not isinstance(node, str):
                return None
            last = len(steps) == STEPS - 1
            ways: dict[str, list[Taken]] = {"attr": [], "rel": []}
            for a, _, d in self.graph.in_edges(node, data=True):
                ways["rel"].append(("rel", a, node, d["word"], "=>"))
            for _, b, d in self.graph.out_edges(node, data=True):
                if d["kind"] == "rel":
                    ways["rel"].append(("rel", b, node, d["word"], "<="))
                elif last:
                    ways["attr"].append(("attr", b, node, d["word"], "<="))
            kinds = [k for k, found in ways.items() if found]
            if not kinds:
                return None
            step = self.rng.choice(ways[self.rng.choice(kinds)])
            if step[1] in seen or not self.alone(step):
                return None
            seen.add(step[1])
            steps.append(step)
        return steps[::-1]

    def say(self, step: Taken, line: str, known: str) -> str:
        """Render one line (`ask`, `name` or `because`) of a step."""
        kind, one, found, word, way = step
        owner = found if way == "<=" else one
        of = "color" if kind == "attr" and owner else ""
        template = self.rng.choice(self.compiled[kind, way][line])
        return template.render(known=known, word=word, of=of, found=self.name(found))

    def name(self, node: Any) -> str:
        """A node as text."""
        return node[1] if isinstance(node, tuple) else f"the {self.graph.nodes[node]['label']}"

    def begin(self, step: Taken) -> set[Any]:
        """All nodes that the name of the step's known end can refer to."""
        known = step[1]
        if isinstance(known, tuple):
            return {known}
        return set(self.labelled[self.graph.nodes[known]["label"]])

    def says(self, text: str, answer: str) -> bool:
        """Whether a text contains the answer."""
        return re.search(rf"\b{re.escape(answer.removeprefix('the '))}s?\b", text, re.I) is not None

    def question(self, steps: list[Taken]) -> dict[str, Any] | None:
        """The finished question, or None if a check fails."""
        said = self.name(steps[0][1])
        for step in steps[:-1]:
            said = self.say(step, "name", said)
        text = self.say(steps[-1], "ask", said)
        rationale = [
            (
                self.say(s, "ask", self.name(s[1])),
                self.name(s[2]),
                self.say(s, "because", self.name(s[1])),
            )
            for s in steps
        ]
        at = self.begin(steps[0])
        for step in steps:
            at = {x for node in at for x in self.answers((step[0], node, *step[2:]))}
            own = {x for node in self.begin(step) for x in self.answers((step[0], node, *step[2:]))}
            if len(at) != 1 or own != {step[2]}:
                return None
        answer = self.name(steps[-1][2])
        if self.name(next(iter(at))) != answer or text in self.asked:
            return None
        self.asked.add(text)
        if any(self.says(text, a) for _, a, _ in rationale):
            return None
        if any(self.says(q, a) for q, a, _ in rationale):
            return None
        return {"question": text, "answer": answer, "rationale": rationale}


# --- measuring ---------------------------------------------------------------------------


def rate(draw: Callable[[], int], seconds: float) -> float:
    """Items per second, over at least `seconds` seconds."""
    began, made = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds:
        made += draw()
    return made / took


def timed(make: Callable[[], Any]) -> tuple[float, Any]:
    """Wall-clock seconds, and the result."""
    began = time.perf_counter()
    made = make()
    return time.perf_counter() - began, made


class Ours:
    """The sampler of stepc's passes, on one graph."""

    def __init__(self, unit: t.Stsg) -> None:
        kinds = tuple(EdgeChoice(kind=k, ways=("=>", "<=")) for k in ("attr", "rel"))  # type: ignore[arg-type]
        block = Block(count=10**9, steps=((STEPS, 1.0),), start=kinds, expand=kinds, tries=1000)
        self.spec = SPEC.model_copy(update={"blocks": (block,)})
        self.walk = PathSampler(EdgeTable(unit), self.spec, block)
        self.kind = PathKind(STEPS, "ask", None)
        self.rng = random.Random(1)
        whole = t.raise_to(t.Qras, unit, paths=(), samples=())
        self.words, self.prover = UnitWords(whole, self.spec), Prover(whole)
        self.questions = self._questions()
        self.batches = self.walk.batches(self.kind, 1)

    def paths(self) -> int:
        """Draw a batch of paths where every step has one answer; returns their number."""
        return len(self.batches.chains(4096))

    def _questions(self) -> Iterator[t.Sample]:
        known: set[object] = set()
        while True:
            known.clear()  # keep generating, even on a small graph
            batches = self.walk.proposed(self.kind, BATCH, self.rng)
            for rows in (rows for _, batch in batches for rows in batch):
                path, key, why = self.walk.finisher.drawn(self.kind, rows, self.rng, known)
                if why or path is None:
                    continue
                known.add(key)
                sample = PathWriter(self.words, path, self.rng).sample("q0")
                if isinstance(sample, str) or query_leaks(sample):
                    continue
                if not self.prover.objection(sample):
                    yield sample

    def asked(self) -> int:
        """Draw a hundred finished and checked questions."""
        for _ in range(100):
            next(self.questions)
        return 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--edges", type=int, nargs="+", default=[100, 10_000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(f"{'edges':>9}  {'':10} {'networkx':>12} {'stepc':>12} {'ratio':>7}")
    for edges in given.edges:
        unit = make_graph(edges)
        setup_plain, plain = timed(lambda: Plain(unit, 1))  # noqa: B023
        setup_ours, ours = timed(lambda: Ours(unit))  # noqa: B023

        def plain_paths() -> int:
            return sum(plain.path() is not None for _ in range(100))  # noqa: B023

        def plain_asked() -> int:
            plain.begin_anew()  # noqa: B023
            paths = (plain.path() for _ in range(100))  # noqa: B023
            return sum(plain.question(p) is not None for p in paths if p)  # noqa: B023

        print(f"{edges:9,}  {'setup, s':10} {setup_plain:12.2f} {setup_ours:12.2f}")
        for name, theirs, mine in (
            ("paths/s", plain_paths, ours.paths),
            ("asked/s", plain_asked, ours.asked),
        ):
            pairs = [
                (rate(theirs, given.seconds), rate(mine, given.seconds))
                for _ in range(given.rounds)
            ]
            one, other = (statistics.median(x) for x in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            print(f"{'':9}  {name:10} {one:12,.0f} {other:12,.0f} {ratio:7.1f}")


if __name__ == "__main__":
    main()
