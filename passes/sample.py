"""sample: multi-step reasoning paths over the graph, as a `.step` spec declares.   stsg → paths"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from stepc.ir import types as t
from stepc.ir.graph import GraphEdge, graph
from stepc.ir.meaning import inverse, mentions, normal, plain
from stepc.ir.verify import entities, identities
from stepc.pipeline import Pass, Tools
from stepc.query import answer_of, build, finds_value, knows_value
from stepc.spec.types import Filter, Spec

Times = frozenset[str]


class Sample(Pass[t.Stsg, t.Paths]):
    """Multi-step reasoning path sampling (section 3.2).

    A random connected pair gives the innermost question: its one end is found (A), its other
    end is open (Q). Then, a step at a time, the open node is expanded along one of its edges:
    it becomes an answer and is described by that edge, and the edge's other end is open in its
    place. At last an event may give the time range. One edge a step makes a path a chain, and
    the number of steps the number of edges; a dead end, an ambiguous step or a leaked answer is
    drawn anew.
    """

    def run(self, unit: t.Stsg, tools: Tools) -> t.Paths:
        """The unit with the paths of the spec."""
        spec = tools.the_spec()
        walk = _Walk(unit, spec)
        plan = tools.rng(unit, "sample")
        numbers = [n for n, _ in spec.sampling.steps]
        weights = [w for _, w in spec.sampling.steps]
        made: list[t.Path] = []
        known: set[t.Query] = set()
        for index, wanted in enumerate(_shares(numbers, weights, spec.sampling.count, plan)):
            rng = tools.rng(unit, "sample", index + 1)
            for _ in range(spec.sampling.tries):
                path = walk.draw(rng, wanted, f"p{len(made)}")
                if path is None:
                    tools.counts.add("drawn anew: dead end")
                elif path.query in known:
                    tools.counts.add("drawn anew: the same question")
                elif walk.leaks(path):
                    tools.counts.add("drawn anew: says its answer")
                elif spec.sampling.unique and not walk.unique(path):
                    tools.counts.add("drawn anew: more than one answer")
                else:
                    known.add(path.query)
                    made.append(path)
                    tools.counts.add(f"paths of {len(path.steps)} steps")
                    break
            else:
                tools.counts.add(f"given up: {wanted} steps")
        return t.raise_to(t.Paths, unit, paths=tuple(made))


def _shares(numbers: list[int], weights: list[float], count: int, rng: random.Random) -> list[int]:
    """`count` numbers of steps in the proportions of `weights`, as nearly as whole numbers allow."""
    total = sum(weights)
    exact = [w / total * count for w in weights]
    whole = [int(e) for e in exact]
    rest = sorted(range(len(exact)), key=lambda i: whole[i] - exact[i])
    for i in rest[: count - sum(whole)]:
        whole[i] += 1
    drawn = [n for n, times in zip(numbers, whole, strict=True) for _ in range(times)]
    rng.shuffle(drawn)
    return drawn


@dataclass
class Census:
    """How many different paths there are: by steps, kind of the last edge, and why not kept."""

    counts: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    """(steps, kind, rule that drops it or nothing) → how many."""
    whole: bool = True
    """Whether all were counted."""


def census(unit: t.Stsg, spec: Spec, most: int) -> Census:
    """Count the different paths that `spec` allows on `unit`, `most` at most.

    Paths are the same if their queries are; each is counted with an event's time range and
    without, as far as the spec draws such.
    """
    walk = _Walk(unit, spec)
    found = Census()
    during = spec.sampling.during
    for wanted in sorted({n for n, _ in spec.sampling.steps}):
        known: set[t.Query] = set()
        for timed in [t_ for t_, there in ((True, during > 0), (False, during < 1)) if there]:
            for path in walk.every(wanted, timed):
                if path.query in known:
                    continue
                if sum(found.counts.values()) >= most:
                    found.whole = False
                    return found
                known.add(path.query)
                found.counts[wanted, path.steps[-1].edge, walk.judge(path, timed)] += 1
    return found


class _Walk:
    """The graph as the sampler walks it, and what it knows of times and identities."""

    def __init__(self, unit: t.Stsg, spec: Spec) -> None:
        self.unit, self.spec = unit, spec
        self.graph = graph(unit)
        self.entity = entities(unit)
        self.identity = identities(unit)
        self.labels = {o.id: o.label for o in unit.objects}
        self.frames = {o.id: frozenset(o.frames) for o in unit.objects}
        self.events = {e.clip: e.event for e in unit.events}
        self.timing = {
            e.clip
            for e in unit.events
            if e.trust.confidence >= spec.sampling.confidence
            and all(f.keep == _says(e, f) for f in spec.sampling.filters if f.what == "event")
        }
        """Clips whose event may be named."""
        self.attributes = {a.id: a for a in unit.attributes}
        self.ops = {o.id: o.op for o in unit.objects}
        self.trust = {o.id: o.trust.confidence for o in unit.objects}
        least = spec.sampling.confidence
        steps = [
            s for e in self.graph.edges() if e.trust.confidence >= least for s in _both_ways(e)
        ]
        steps += [
            t.Step(edge="event", near=o.id, far=c, word=e, way="=>")
            for o in unit.objects
            for c, e in self.events.items()
            if t.clip_of(o.id) == c and c in self.timing
        ]
        steps = [s for s in steps if self._worded(s) and self._wanted(s)]
        self.alone: dict[tuple[t.Step, bool], bool] = {}
        self.starts: dict[str, list[t.Step]] = defaultdict(list)
        self.into: dict[str, dict[str, list[t.Step]]] = defaultdict(lambda: defaultdict(list))
        for s in steps:
            if s.edge in spec.sampling.start:
                self.starts[s.edge].append(s)
            rule = spec.rule(s.edge)
            find = rule.find("far" if s.way == "=>" else "near") if rule else None
            if s.edge in spec.sampling.expand and not finds_value(s) and find and find.name:
                self.into[s.found][s.edge].append(s)

    def _worded(self, s: t.Step) -> bool:
        rule = self.spec.rule(s.edge)
        if rule is None or rule.find("far" if s.way == "=>" else "near") is None:
            return False
        return s.edge != "ref" or {t.clip_of(s.near), t.clip_of(s.far)} <= self.timing

    def _wanted(self, s: t.Step) -> bool:
        """Whether the spec's filters let paths use a step."""
        ends = [end for end in (s.near, s.far) if end in self.labels]
        if any(self.trust[end] < self.spec.sampling.confidence for end in ends):
            return False
        for f in self.spec.sampling.filters:
            words = {plain(w) for w in f.words}
            labels = {normal(w) for w in f.words}
            fits: list[bool] = []
            match f.what:
                case "label":
                    fits = [normal(self.labels[end]) in labels for end in ends]
                case "static" | "dynamic":
                    fits = [self.ops[end] == f.what for end in ends]
                case "predicate" if s.edge == "rel":
                    fits = [plain(s.word) in words]
                case "kind" if s.edge == "attr":
                    fits = [plain(self.attributes[s.far].kind) in words]
                case "value" if s.edge == "attr":
                    fits = [plain(s.word) in words]
                case "motion" if s.edge == "motion":
                    fits = [plain(s.word) in words]
            if (f.keep and not all(fits)) or (not f.keep and any(fits)):
                return False
        return True

    def draw(self, rng: random.Random, wanted: int, name: str) -> t.Path | None:
        """One path of `wanted` steps, or None at a dead end. Steps are found answer first."""
        timed = rng.random() < self.spec.sampling.during
        kinds = [k for k in self.spec.sampling.start if self.starts[k]]
        rng.shuffle(kinds)
        visited: set[object] = set()
        steps: list[t.Step] = []
        for kind in kinds[:1]:
            step = self._pick(rng, self.starts[kind], timed, visited)
            if step is None:
                return None
            visited |= {self._found(step), self._known(step)}
            steps.append(step)
        while steps and len(steps) < wanted:
            if knows_value(steps[-1]):
                return None
            into = self.into[steps[-1].known]
            ways = [k for k in into if len(steps) + 1 == wanted or k in ("rel", "ref")]
            rng.shuffle(ways)
            picks = (self._pick(rng, into[k], timed, visited) for k in ways)
            step = next((s for s in picks if s is not None), None)
            if step is None:
                return None
            visited.add(self._known(step))
            steps.append(step)
        if not steps:
            return None
        return self._path(steps[::-1], timed, wanted, name)

    def _path(self, steps: list[t.Step], timed: bool, wanted: int, name: str) -> t.Path:
        """The path of `steps` in reasoning order; timed where that does not say an answer."""
        for during, scope in self._contexts(steps, timed):
            query = build(steps, scope, self.unit)
            path = t.Path(id=name, wanted=wanted, during=during, steps=tuple(steps), query=query)
            if not self.leaks(path):
                break
        return path

    def every(self, wanted: int, timed: bool) -> Iterator[t.Path]:
        """All paths of `wanted` steps that the spec's kinds allow, whatever they say."""

        def grow(steps: list[t.Step], visited: set[object]) -> Iterator[t.Path]:
            if len(steps) == wanted:
                yield self._path(steps[::-1], timed, wanted, "p0")
            elif not knows_value(steps[-1]):
                for kind, more in self.into[steps[-1].known].items():
                    if len(steps) + 1 < wanted and kind not in ("rel", "ref"):
                        continue
                    for step in more:
                        known = self._known(step)
                        if known not in visited:
                            yield from grow([*steps, step], {*visited, known})

        for start in [s for kind in self.spec.sampling.start for s in self.starts[kind]]:
            yield from grow([start], {self._found(start), self._known(start)})

    def judge(self, path: t.Path, timed: bool) -> str:
        """Why the sampler would not keep `path`, or nothing."""
        if self.leaks(path):
            return "says its answer"
        if not self.spec.sampling.unique:
            return ""
        if not all(self._alone(step, timed) for step in path.steps):
            return "a step has more than one answer"
        return "" if self.unique(path) else "more than one answer"

    def _pick(
        self, rng: random.Random, steps: list[t.Step], timed: bool, visited: set[object]
    ) -> t.Step | None:
        """A random step to a node not yet visited that has one answer by itself."""
        for step in rng.sample(steps, len(steps)):
            if self._known(step) in visited:
                continue
            if not self.spec.sampling.unique or self._alone(step, timed):
                return step
        return None

    def _alone(self, step: t.Step, timed: bool) -> bool:
        """Whether `step` is a question with one answer, in its clip or in the whole video."""
        key = (step, timed)
        if key not in self.alone:
            clip = t.clip_of(step.near if knows_value(step) else step.known)
            scope = {c.id for c in self.unit.clips}
            if (timed or step.edge == "ref") and step.edge != "event" and clip in self.events:
                scope = self._clips(self.events[clip])
            at = self._begin(step, scope)
            self.alone[key] = bool(at) and self._one(self._along(step, at, scope))
        return self.alone[key]

    def _clips(self, event: str) -> set[str]:
        return {c for c, e in self.events.items() if plain(e) == plain(event)}

    def _known(self, step: t.Step) -> object:
        """What counts as one node: a value, or an object in a clip, at whatever time."""
        return step.word if knows_value(step) else (self.entity[step.known], t.clip_of(step.known))

    def _found(self, step: t.Step) -> object:
        return step.word if finds_value(step) else (self.entity[step.found], t.clip_of(step.found))

    def _contexts(self, steps: list[t.Step], timed: bool) -> list[tuple[str | None, str | None]]:
        """The clip of the time range and the event that is the first step's scope, best first."""
        last = t.clip_of(steps[-1].near if finds_value(steps[-1]) else steps[-1].found)
        first = t.clip_of(steps[0].near if knows_value(steps[0]) else steps[0].known)
        if any(s.edge == "ref" for s in steps):
            return [(last, self.events[first])]
        whole: list[tuple[str | None, str | None]] = [(None, None)]
        if timed and steps[-1].edge != "event" and last in self.timing:
            return [(last, self.events[last]), *whole]
        return whole

    def leaks(self, path: t.Path) -> bool:
        """Whether what the question will say contains an answer or a sub-answer."""
        said = [
            op.label if isinstance(op, t.Node) else getattr(op, "value", getattr(op, "word", ""))
            for op in path.query
        ]
        if path.during is not None:
            said += [self.events[path.during], getattr(path.query[0], "event", "") or ""]
        answers = [answer_of(s, self.unit) for s in path.steps]
        return any(mentions(text, answer) for text in said for answer in answers)

    def unique(self, path: t.Path) -> bool:
        """Whether each step, walked from the known end, and each step by itself, finds one thing."""
        scope = {t.clip_of(path.steps[0].near)}
        if isinstance(path.query[0], t.During) and path.query[0].event is None:
            scope = {c.id for c in self.unit.clips}
        elif isinstance(path.query[0], t.During):
            scope = self._clips(path.query[0].event or "")
        at = self._begin(path.steps[0], scope)
        if not at:
            return False
        for i, step in enumerate(path.steps):
            alone = at if i == 0 else self._begin(step, scope)
            if not alone or not self._one(self._along(step, alone, scope)):
                return False
            at = self._along(step, at, scope)
            if not self._one(at):
                return False
            if step.edge == "ref":
                scope = self._clips(self.events[t.clip_of(step.found)])
        return True

    def _begin(self, step: t.Step, scope: Iterable[str]) -> dict[str, Times]:
        """The objects a viewer would take for the known end, with their times.

        Empty if there is more than one; a value stands for itself.
        """
        if knows_value(step):
            return {step.word: frozenset()}
        alike = {
            o: self.frames[o]
            for o, label in self.labels.items()
            if normal(label) == normal(self.labels[step.known]) and t.clip_of(o) in scope
        }
        return alike if self._one(alike) else {}

    def _one(self, at: dict[str, Times]) -> bool:
        names = {
            ("thing", self.identity[self.entity[node]])
            if node in self.entity
            else ("value", plain(node))
            for node in at
        }
        return len(names) == 1

    def _along(self, step: t.Step, at: dict[str, Times], scope: Iterable[str]) -> dict[str, Times]:
        """All nodes (or value texts) reached by edges that read like `step`, with their times."""
        reached: dict[str, Times] = {}

        def reach(node: str, when: Times) -> None:
            if when:
                reached[node] = reached.get(node, frozenset()) | when

        mine = {self.entity[o]: when for o, when in self._whole(at).items() if o in self.entity}
        inside = set(scope)
        for e in self.graph.edges():
            match e:
                case t.Attribute() if step.edge == "attr":
                    held, owner = frozenset(e.frames), self.entity[e.owner]
                    wanted = self.attributes[step.far]
                    if e.kind != wanted.kind:
                        continue
                    if step.way == "=>" and owner in mine:
                        reach(e.value, held & mine[owner])
                    elif (
                        step.way == "<="
                        and plain(e.value) == plain(wanted.value)
                        and t.clip_of(e.owner) in inside
                    ):
                        reach(e.owner, held)
                case t.Relation() if step.edge == "rel":
                    for s, p, o in _readings(e):
                        if p != plain(step.word):
                            continue
                        start, end = (s, o) if step.way == "=>" else (o, s)
                        if self.entity[start] in mine:
                            reach(end, frozenset(e.frames) & mine[self.entity[start]])
                case t.Motion() if step.edge == "motion":
                    held = self._between(e)
                    if step.way == "=>" and self.entity[e.source] in mine:
                        reach(e.motion, held & mine[self.entity[e.source]])
                    elif (
                        step.way == "<="
                        and plain(e.motion) == plain(step.word)
                        and t.clip_of(e.source) in inside
                    ):
                        reach(e.source, held)
                case t.Event() if step.edge == "event":
                    for o, when in at.items():
                        if t.clip_of(o) == e.clip and e.clip in inside:
                            reach(e.event, when)
        if step.edge == "ref":
            target = plain(self.events[t.clip_of(step.found)])
            groups = {self.identity[e] for e in mine}
            for o in self.labels:
                named = plain(self.events.get(t.clip_of(o), "")) == target
                if named and self.entity[o] not in mine and self.identity[self.entity[o]] in groups:
                    reach(o, self.frames[o])
        return reached

    def _whole(self, at: dict[str, Times]) -> dict[str, Times]:
        """Every node of an object that is at several times with the times of all of them."""
        times: dict[int, Times] = {}
        for o, when in at.items():
            if o in self.entity:
                times[self.entity[o]] = times.get(self.entity[o], frozenset()) | when
        return {o: times[self.entity[o]] for o in at if o in self.entity}

    def _between(self, m: t.Motion) -> Times:
        clip = t.clip_of(m.source)
        return frozenset(
            k.id
            for k in self.unit.keyframes.values()
            if t.clip_of(k.id) == clip and m.start <= k.at <= m.end
        )


def _says(e: t.Event, f: Filter) -> bool:
    """Whether an event's words are among those of a filter."""
    return plain(e.event) in {plain(w) for w in f.words}


def _both_ways(e: GraphEdge) -> list[t.Step]:
    """The steps an edge can be taken as, finding its far or its near end."""
    match e:
        case t.Attribute():
            data = ("attr", e.owner, e.id, e.value)
        case t.Relation():
            data = ("rel", e.subject, e.object, e.predicate)
        case t.Motion():
            data = ("motion", e.source, e.target, e.motion)
        case t.Reference():
            data = ("ref", e.first, e.second, "")
        case _:
            return []
    edge, near, far, word = data
    return [
        t.Step.model_validate({"edge": edge, "near": near, "far": far, "word": word, "way": way})
        for way in ("=>", "<=")
    ]


def _readings(r: t.Relation) -> list[tuple[str, str, str]]:
    """A relation and, where an inverse is known, its reading the other way round."""
    p = plain(r.predicate)
    back = inverse(p)
    return [(r.subject, p, r.object)] + ([(r.object, back, r.subject)] if back else [])
