"""The base class of edge kinds: everything that stepc knows about one kind of scene graph edge."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from stepc.ir.elements import Element, Way, clip_of

if TYPE_CHECKING:
    from stepc.ir.levels import Step, Stsg
    from stepc.ir.spans import Bounds
    from stepc.ops.base import Op
    from stepc.ops.follow import Follow
    from stepc.ops.make import Make
    from stepc.proof.facts import Facts
    from stepc.proof.solver import Reached, State
    from stepc.sampling.edge_table import EdgeTable
    from stepc.sampling.query_builder import QueryBuilder

Texts = dict[tuple[str, str], str]
"""(name, part) of a placeholder → its text."""


class Edge(ABC):
    """One kind of edge (sections 3.1 and 3.2 of the paper). Each subclass is in its own file.

    An edge has a near and a far end. A step takes an edge in a direction: `=>` finds the far end, `<=`
    finds the near end, and `--` knows both ends and finds the edge itself.
    """

    # --- in the language -----------------------------------------------------------------
    name: ClassVar[str]
    """The keyword in specs and in the text form of the IR."""
    order: ClassVar[int]
    """Sort key of the kind. The order of edges in the edge table, and so sampling, depends on it."""
    help: ClassVar[str]
    """One sentence, shown by editors."""
    directions: ClassVar[tuple[Way, ...]]
    """The directions in which a step may take the edge."""
    values: ClassVar[frozenset[str]] = frozenset()
    """The ends that are values, not objects: `near`, `far`."""
    parts: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """End → parts of its placeholder, such as `kind` for `{v.kind}`."""
    lines: ClassVar[Mapping[str, tuple[str, ...]]]
    """Found end (`near`, `far`, `edge`) → lines of its `find` block, besides those of question forms.

    An end that is not listed cannot be found.
    """
    refused: ClassVar[Mapping[str, str]] = {}
    """End without lines → why it cannot be found (message of S104)."""
    edge_placeholder: ClassVar[str] = ""
    """The placeholder of the edge itself. Empty if wordings cannot name it."""
    names_found: ClassVar[bool] = True
    """Whether its wordings name what they find by its label. Else the label is what a question says."""
    timed: ClassVar[bool] = False
    """Whether the edge has a time of its own."""
    time_ends: ClassVar[tuple[str, ...]] = ("near", "far")
    """The ends that the lines of its `time` block may name."""
    describes: ClassVar[bool] = False
    """Whether the edge can describe an object, so that paths may expand along it."""
    leads: ClassVar[bool] = False
    """Whether expanding along the edge leads from one object to another."""
    says: ClassVar[tuple[str, ...]] = ()
    """What a wording of the edge may say besides its words: `dates` where it joins moments."""
    frame: ClassVar[str] = ""
    """How its word stands in a sentence: as a `clause` after "while", or `progressive` after "is"."""
    vocabulary: ClassVar[str] = ""
    """The edge kind whose words its values are. Empty: its own."""
    filter: ClassVar[str] = ""
    """The filter (of `only` and `forbid`) that selects edges by their word. Empty if there is none."""

    # --- in the IR -----------------------------------------------------------------------
    element: ClassVar[type[Element] | None] = None
    """The IR type of the edges. None if the kind is derived from other edges."""
    field: ClassVar[str] = ""
    """The field of a unit that contains the edges."""
    syntax: ClassVar[str] = ""
    """The grammar rule of the statement in the text form of the IR."""

    def statement(self, edge: Any) -> str:
        """The statement of an edge, without confidence and provenance."""
        raise TypeError(f"{self.name} has no statement")

    def fields(self, arguments: Sequence[Any]) -> dict[str, Any]:
        """The fields of `element` (without frames) from the arguments of a parsed statement."""
        raise TypeError(f"{self.name} has no statement")

    def placed(self, fields: dict[str, Any]) -> tuple[str, ...]:
        """The ids that imply the keyframes of an edge. Only for kinds that hold in keyframes."""
        return ()

    @abstractmethod
    def in_graph(self, unit: Stsg) -> Callable[[Step], bool]:
        """Return a test for whether the edge of a step is in the graph of `unit`."""

    @abstractmethod
    def elements(self, step: Step, index: Mapping[tuple[str, ...], Element]) -> list[Element]:
        """The elements that a step uses. `index` maps (kind, *keys) to elements."""

    def keys(self, edge: Any) -> tuple[str, ...]:
        """What identifies an edge of this kind, for the index of `elements`."""
        raise TypeError(f"{self.name} has no edges of its own")

    # --- for the sampler -----------------------------------------------------------------

    @abstractmethod
    def rows(self, unit: Stsg, table: EdgeTable) -> None:
        """Add rows to the table: one per edge and direction in which a step may take it."""

    @abstractmethod
    def ends(self, edge: Any, table: EdgeTable, row: int) -> tuple[str, str, str]:
        """(near end, far end, word) of the step of a table row."""

    @abstractmethod
    def times(self, edge: Any, table: EdgeTable) -> tuple[int, int]:
        """The time range (start, end) in which an edge is visible, in milliseconds."""

    @abstractmethod
    def start(self, step: Step, graph: QueryBuilder) -> Op:
        """The query operation that names the known end of the first step of a path."""

    @abstractmethod
    def steps(self, step: Step, graph: QueryBuilder) -> tuple[Op, ...]:
        """The query operations of a step."""

    def bounds(self, step: Step, graph: QueryBuilder) -> tuple[Bounds, ...]:
        """What is known of the time ranges of the edge. Only for timed edges."""
        clip = clip_of(step.near)
        return tuple(graph.around(clip, span) for span in self.spans(step, graph))

    def spans(self, step: Step, graph: QueryBuilder) -> tuple[tuple[int, int], ...]:
        """The time ranges in which the edge of a step holds, in milliseconds. Only for timed kinds."""
        raise TypeError(f"{self.name} has no time of its own")

    # --- in words ------------------------------------------------------------------------

    def knows_value(self, step: Step) -> bool:
        """Whether the known end of a step is a value, not an object."""
        return ("far" if step.way == "<=" else "near") in self.values

    def finds_value(self, step: Step) -> bool:
        """Whether a step finds a value, not an object."""
        return step.way == "--" or ("far" if step.way == "=>" else "near") in self.values

    def known(self, step: Step, graph: QueryBuilder) -> str:
        """The known end in words: the label of an object with article (`the cup`), or a value unchanged."""
        return step.word if self.knows_value(step) else graph.the(step.known)

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        """What a step finds, in words: a label or a value."""
        return step.word if self.finds_value(step) else graph.labels[step.found]

    def category(self, step: Step, graph: QueryBuilder) -> tuple[str, ...]:
        """The category of the answer of a step. Its distractors have the same category."""
        return (self.name,) if self.finds_value(step) else ("label",)

    def words(self, unit: Stsg) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """All words of edges that can be answers, as (category, clip, word)."""
        yield from ()

    def texts(self, step: Step, graph: QueryBuilder) -> Texts:
        """The texts of the placeholders of a step, besides its known end."""
        return {}

    def fact(self, step: Step, graph: QueryBuilder) -> str:
        """A step as a short statement that identifies it among the alternatives of a comparison."""
        return f"{graph.labels[step.near]} {step.word}"

    # --- for the reader ------------------------------------------------------------------

    def begins(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        """The operations that name a known value or event. Empty if the known end is an object.

        `said` maps `near` and `far` to labels or values, `word` to the predicate, `kind` to the kind of an
        attribute, and `near.event` and `far.event` to events, as far as a text says them.
        """
        return ()

    @abstractmethod
    def means(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        """The operations of a step along the edge, from the words of a text (see `begins`)."""

    # --- for the solver ------------------------------------------------------------------

    @abstractmethod
    def facts(self, unit: Stsg, known: Facts) -> None:
        """Add the edges of this kind to the facts of the solver."""

    def scope(self, op: Follow, state: State) -> frozenset[str]:
        """The clips in scope after following."""
        return state.scope

    @abstractmethod
    def follow(self, op: Follow, state: State) -> Iterable[Reached]:
        """The positions reached by following edges of this kind from each position of the state.

        Raises NotKnown if there may be others.
        """

    def refutes(self, op: Follow, claim: str, state: State) -> bool:
        """Whether the graph refutes that following finds `claim`, a label or a value."""
        return False


def clips_of(*identifiers: str) -> list[str]:
    """The different clips of the ids, in order."""
    return list(dict.fromkeys(clip_of(i) for i in identifiers))
