"""Answers queries on an STSG, as a second opinion on the sampler.

The solver builds its own facts, follows edges with its own code, and compares words with its own code
(`stepc.proof.words`), so that `check` does not repeat errors of the sampler. Both share the IR types and
helpers such as `join_spans` and `UnionFind`.

A position is an object of a clip or a value, with the keyframes in which the whole description so far
holds and the time ranges of the last fact. Edges are chained only if their times overlap.

A query that depends on what the graph does not know has no answer (NotKnown): each operation asks
`stepc.proof.unknown` whether it may find more than the graph states.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from stepc.ir import types as t
from stepc.ir.spans import Bounds, around, join_spans, tenth, within
from stepc.proof import words
from stepc.proof.facts import Facts, Frames, Span

if TYPE_CHECKING:
    from stepc.ops.fact import Fact


class NoAnswer(ValueError):
    """A query has no answer or several. `found` are the answers."""

    def __init__(self, found: tuple[str, ...]) -> None:
        shown = ", ".join(found) if found else "nothing"
        super().__init__(f"{len(found)} answers: {shown}")
        self.found = found


class NotKnown(NoAnswer):
    """A query depends on what the graph does not know."""

    def __init__(self) -> None:
        super().__init__(())


class Repeated(NoAnswer):
    """A query names an event that also happens in another clip."""

    def __init__(self, event: str) -> None:
        super().__init__((event, event))


class Reached(NamedTuple):
    """A position: a thing (by number) or a value (by text), and when it holds."""

    thing: int | None
    value: str
    kind: str
    """The attribute kind of a value, or the clip of an event."""
    when: Frames
    spans: tuple[Span, ...] = ()
    loose: bool = False
    """Whether it happens at some time in its spans, as events do, instead of filling them."""


class Row(NamedTuple):
    """Objects and values that facts are about, and the keyframes in which all facts so far hold."""

    bound: dict[str, Reached]
    """Variable → object or value."""
    when: Frames | None = None
    """The keyframes of the current moment; None before its first fact."""
    before: Bounds | None = None
    """What is known of the time of the moment before it."""
    told: frozenset[tuple[object, ...]] = frozenset()
    """The facts of the current moment: (near end, edge kind, word, far end). No two are the same."""
    unsure: bool = False
    """Whether its moments may come in another order, as far as exact times are known."""
    used: frozenset[str] = frozenset()
    """The variables of the facts so far. No two are the same object."""

    def binding(self, variable: str, to: Reached) -> Row:
        """The row with one more variable."""
        return self._replace(bound={**self.bound, variable: to})

    def at(self, when: Frames) -> Row:
        """The row at the time of one more fact."""
        return self._replace(when=when if self.when is None else self.when & when)

    def also(self, variable: str, to: Reached, state: State) -> list[Row]:
        """The row with one more variable of a fact; none if another one is the same object."""
        if variable in self.used:
            return [self]
        others = (state.identity(self.bound[x]) for x in self.used)
        if to.thing is not None and state.identity(to) in others:
            return []
        return [self.binding(variable, to)._replace(used=self.used | {variable})]


def answers(query: t.Query, known: Facts) -> tuple[str, ...]:
    """All answers to `query`. Raises NoAnswer if one of its `unique` operations fails."""
    return _solved(query, known).found


def stated(query: t.Query, known: Facts) -> tuple[str, ...]:
    """The answers that the graph states, whether or not its last step may find more. Raises NoAnswer."""
    return _solved(query, known, stated=True).found


def called(label: str, query: t.Query, known: Facts) -> int:
    """How many different objects have a label in the clips that a query ends in. Raises NoAnswer."""
    state = _solved(query, known, stated=True)
    state.open = False
    there = state.labelled(label)
    return len({known.same[h.thing] for h in there if h.thing is not None})


def refuted(claim: str, query: t.Query, known: Facts) -> bool:
    """Whether the graph refutes a claim about the result of a query. Raises NoAnswer.

    It does so if a fact that is denied, or that another one excludes, makes the claim false at each time
    that the question is about. That a graph says something else refutes nothing.
    """
    last = max((i for i, op in enumerate(query) if op.ROLE == "step"), default=0)
    while last and not isinstance(query[last], t.Follow | t.To):
        last -= 1
    return query[last].refutes(claim, _solved(query[:last], known))


def _solved(query: t.Query, known: Facts, stated: bool = False) -> State:
    """The state after a query. Raises NoAnswer.

    With `stated`, its last step finds what the graph states, whether or not there may be more.
    """
    state = State(known)
    last = max((i for i, op in enumerate(query) if isinstance(op, t.Follow | t.To)), default=-1)
    for i, op in enumerate(query):
        state.open = stated and i >= last >= 0
        if op.ROLE == "scope" and op in known.scopes:
            state.scope, state.shown = known.scopes[op]
            state.forget_rows()
            continue
        op.solve(state)
        if op.ROLE == "scope":
            known.scopes[op] = state.scope, state.shown
            state.forget_rows()
    return state


class State:
    """The state of a running query, changed by operations and edge kinds."""

    def __init__(self, known: Facts) -> None:
        self.known = known
        self.scope = known.everywhere
        """The clips in scope."""
        self.shown: Frames | None = None
        """The keyframes in scope; None for all of the clips."""
        self.open = False
        """Whether more than the graph states does not matter now."""
        self.here: list[Reached] = []
        """The current positions."""
        self.got: list[tuple[str, Bounds | None, str]] = []
        """The results of `get` so far, for `compare`: text, what is known of its time, attribute kind."""
        self.found: tuple[str, ...] = ()
        """The answers."""
        self.rows: list[Row] | None = None
        """The rows of a pattern; None before its first operation."""
        self.named = [Row({})]
        """The rows that bind no more than the objects that the text names."""
        self.before_fact: list[Row] = []
        """The rows before the last fact that is no alternative to another."""
        self.facts: list[tuple[int, Fact]] = []
        """The facts of a pattern so far, each with the number of its moment."""
        self.moments: list[int] = []
        """The number of rows at the end of each moment that is over."""

    @staticmethod
    def thing(number: int, when: Frames = frozenset(), spans: tuple[Span, ...] = ()) -> Reached:
        """A position at a thing."""
        return Reached(number, "", "", when, spans)

    @staticmethod
    def value(
        text: str,
        kind: str = "",
        when: Frames = frozenset(),
        spans: tuple[Span, ...] = (),
        loose: bool = False,
    ) -> Reached:
        """A position at a value."""
        return Reached(None, text, kind, when, spans, loose)

    @staticmethod
    def thing_of(here: Reached) -> int:
        """The thing of a position, or -1 for a value."""
        return -1 if here.thing is None else here.thing

    @staticmethod
    def refuse(found: Iterable[str]) -> NoReturn:
        """Raise NoAnswer."""
        raise NoAnswer(tuple(found))

    def stop_if(self, may_be_more: bool) -> None:
        """Raise NotKnown if there may be more than the graph states, unless that does not matter."""
        if may_be_more and not self.open:
            raise NotKnown

    # --- patterns ------------------------------------------------------------------------

    def forget_rows(self) -> None:
        """Begin another pattern."""
        self.rows, self.named = None, [Row({}, self.shown)]
        self.facts, self.moments = [], []

    def all_rows(self) -> list[Row]:
        """The rows of a pattern: one that binds nothing before its first operation."""
        return [Row({}, self.shown)] if self.rows is None else self.rows

    def next_moment(self) -> None:
        """End a moment: keep the rows in which it is, or may be, later than the one before."""
        if not any(n == len(self.moments) for n, _ in self.facts):
            return
        kept = []
        for row in self.all_rows():
            times = self._times(row.when or frozenset())
            follows = True if row.before is None else self._follows(row.before, times)
            if follows is not False:
                unsure = row.unsure or follows is None
                kept.append(Row(row.bound, None, times, unsure=unsure, used=row.used))
        self.rows = kept
        self.moments.append(len(kept))

    def _times(self, when: Frames) -> Bounds:
        known = self.known
        shown = sorted(known.at[f] for f in when)
        clip = t.clip_of(next(iter(when)))
        return around((shown[0], shown[-1]), known.keyframes[clip], known.ranges[clip])

    @staticmethod
    def _follows(one: Bounds, other: Bounds) -> bool | None:
        """Whether the other begins and ends later; None if that depends on exact times."""
        if one.begins[1] <= other.begins[0] and one.ends[1] <= other.ends[0]:
            return True
        later = other.begins[1] <= one.begins[0] and other.ends[1] <= one.ends[0]
        return False if later or one == other else None

    def limit_to(self, at: int) -> None:
        """Limit the scope to the only keyframe at a time, in ms to a tenth. Raises NoAnswer without one."""
        frames = [f for f, time in self.known.at.items() if tenth(time) == at]
        if len(frames) != 1:
            self.refuse(())
        self.shown, self.scope = frozenset(frames), frozenset(map(t.clip_of, frames))

    def in_scope(self, positions: Iterable[Reached]) -> list[Reached]:
        """The positions that hold in a keyframe in scope, at these keyframes only."""
        if self.shown is None:
            return [*positions]
        held = (h._replace(when=h.when & self.shown) for h in positions)
        return [h for h in held if h.when]

    def things(self) -> list[Reached]:
        """All things in scope. Raises NotKnown if there may be others."""
        known = self.known
        self.stop_if(known.unknown.objects(self.scope, frames=self.shown))
        there = (self.thing(n, known.seen[n]) for n, c in known.clip.items() if c in self.scope)
        return self.in_scope(there)

    def identity(self, here: Reached) -> object:
        """A number shared by all positions at one object, or the words of a value."""
        if here.thing is None:
            return self.known.phrase(here.value)
        return self.known.same[here.thing]

    def same(self, one: Reached, other: Reached) -> bool:
        """Whether two positions are at one object of one clip, or at equal values."""
        if one.thing is not None or other.thing is not None:
            return one.thing == other.thing
        alike = one.kind == other.kind or not (one.kind and other.kind)
        return alike and self.identity(one) == self.identity(other)

    def one_event(self, event: str) -> None:
        """Raise Repeated or NotKnown if a clip in scope may show an event besides those that state it."""
        if self.known.unknown.repeated(event, self.scope):
            raise Repeated(event)
        self.stop_if(self.known.unknown.event(event, self.scope))

    def unrelated(self, ones: Iterable[Reached], predicate: str, others: Iterable[Reached]) -> bool:
        """Whether the graph refutes that one of the first things has this relation to one of the others.

        It must do so in each keyframe in which both are seen, and there must be one. Things of different
        clips are never related.
        """
        known = self.known
        pairs = [
            (self.thing_of(one), self.thing_of(two), one.when & two.when)
            for one, two in product(ones, others)
            if known.clip[self.thing_of(one)] == known.clip[self.thing_of(two)]
        ]
        return bool(pairs) and all(self._unrelated(*pair, predicate) for pair in pairs)

    def _unrelated(self, one: int, two: int, when: Frames, predicate: str) -> bool:
        known = self.known
        denied = known.unrelated.get((one, known.phrase(predicate), two), frozenset())
        for other, stated, frames in known.between.get(one, ()):
            if other == two and known.excludes("rel", stated, predicate):
                denied |= frames
        return bool(when) and when <= denied

    def labelled(self, label: str) -> list[Reached]:
        """Positions at the things in scope with a label. Raises NotKnown if there may be others.

        There may be if one of them is a group, which is never "the" one, or if something is called by a
        broader word, and one that a narrower word calls is another: "the vehicle" may be a van, and a van is
        a vehicle. So may what has this as another of its names.
        """
        known = self.known
        self.stop_if(known.unknown.objects(self.scope, label, self.shown))
        things = known.labelled.get(words.label(label), ())
        also = (n for x in known.lexicon.related("label", label) for n in known.labelled.get(x, ()))
        called = (n for n in known.called.get(words.label(label), ()) if n not in things)
        groups = (n for n in things if n in known.groups)
        self.stop_if(any(known.clip[n] in self.scope for n in (*also, *called, *groups)))
        there = (self.thing(n, known.seen[n]) for n in things if known.clip[n] in self.scope)
        return self.in_scope(there)

    def name(self, here: Reached) -> str:
        """The label or value of a position."""
        return here.value if here.thing is None else self.known.label[here.thing]

    def names(self) -> tuple[str, ...]:
        """The names of the different things or values in the current positions.

        Raises NotKnown if one of them is a group: nobody knows how many things it is.
        """
        self.stop_if(any(h.thing in self.known.groups for h in self.here))
        if len(self.here) == 1:
            return (self.name(self.here[0]),)
        names: dict[object, str] = {}
        for h in self.here:
            key = words.phrase(h.value) if h.thing is None else self.known.same[h.thing]
            names.setdefault(key, self.name(h))
        return tuple(names.values())

    def boxes(self) -> tuple[str, ...]:
        """The boxes of the current positions at the moment in scope. Raises NotKnown if one is missing."""
        if self.shown is None:
            self.refuse(())
        known = self.known.boxes
        found = [known.get((self.thing_of(h), f), "") for h in self.here for f in self.shown]
        self.stop_if("" in found)
        return tuple(dict.fromkeys(found))

    def may_be_called(self, label: str) -> bool:
        """Whether something in scope has another label, and may as well have this one: a man, "person"."""
        known, own = self.known, words.label(label)
        noun = known.language.class_of(label)
        if noun not in ("person", "animal", "vehicle"):
            return False
        return any(
            known.language.class_of(known.label[h.thing]) == noun
            and words.label(known.label[h.thing]) != own
            and not known.excludes("label", words.label(known.label[h.thing]), own, "label")
            for h in self.in_scope(
                self.thing(n, seen) for n, seen in known.seen.items() if known.clip[n] in self.scope
            )
            if h.thing is not None
        )

    def spans(self) -> tuple[Span, ...]:
        """The time ranges of the current positions; overlapping or touching ranges are joined."""
        return join_spans(s for h in self.here for s in h.spans)

    def bounds(self, here: Reached) -> list[Bounds]:
        """What is known of the times of a position: those of its last fact, or where it is shown."""
        known = self.known
        if here.loose:
            return [within(span) for span in here.spans]
        shown = sorted(known.at[f] for f in here.when)
        spans = here.spans or ([(shown[0], shown[-1])] if shown else [])
        made = []
        for span in spans:
            clip = next(c for c, (start, end) in known.ranges.items() if start <= span[0] < end)
            made.append(around(span, known.keyframes[clip], known.ranges[clip]))
        return made

    @staticmethod
    def joined(here: Iterable[Reached]) -> list[Reached]:
        """Merge positions at the same thing or value; the result holds at the times of all of them."""
        here = list(here)
        if len(here) < 2:
            return here
        when: dict[tuple[int | None, str, str, bool], tuple[Frames, list[Span]]] = {}
        for h in here:
            key = (h.thing, words.phrase(h.value), h.kind, h.loose)
            frames, spans = when.get(key, (frozenset(), []))
            when[key] = (frames | h.when, [*spans, *h.spans])
        return [
            Reached(*key[:3], frames, join_spans(spans), key[3])
            for key, (frames, spans) in when.items()
        ]
