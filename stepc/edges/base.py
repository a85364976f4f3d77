"""What an edge kind is: everything that stepc knows about one kind of edge of the scene graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from stepc.ir.elements import Element, Way, clip_of

if TYPE_CHECKING:
    from stepc.ir.levels import Step, Stsg
    from stepc.ops.base import Op
    from stepc.ops.follow import Follow
    from stepc.proof.solver import Facts, Here, State
    from stepc.sampling.edge_table import EdgeTable
    from stepc.sampling.query_builder import QueryBuilder

Texts = dict[tuple[str, str], str]
"""What the placeholders of a wording stand for, by name and part."""


class Edge(ABC):
    """One kind of edge (sections 3.1 and 3.2). A subclass is one file of this package.

    An edge has a near and a far end. A step takes it in a direction: `=>` finds the far end, `<=` finds
    the near end, and `--` knows both ends and finds the edge itself.
    """

    # --- in the language -----------------------------------------------------------------
    name: ClassVar[str]
    """The keyword in specs and in the IR's text form."""
    order: ClassVar[int]
    """Its place among the kinds; the order of a path's alternatives depends on it."""
    help: ClassVar[str]
    """One sentence for editors."""
    directions: ClassVar[tuple[Way, ...]]
    """The directions in which a step may take it."""
    values: ClassVar[frozenset[str]] = frozenset()
    """Ends that are values and not objects: `near`, `far`."""
    parts: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Parts of an end's placeholder besides the end itself: `{v.kind}`."""
    lines: ClassVar[Mapping[str, tuple[str, ...]]]
    """The lines of each `find` block besides those of question forms, by what it finds: `near`, `far`,
    `edge`. What is not listed cannot be found."""
    refused: ClassVar[Mapping[str, str]] = {}
    """Why an end cannot be found, for ends without lines."""
    edge_placeholder: ClassVar[str] = ""
    """The placeholder for the edge itself, if a wording may name it."""
    timed: ClassVar[bool] = False
    """Whether it has a time of its own."""
    time_ends: ClassVar[tuple[str, ...]] = ("near", "far")
    """The ends that the lines of its `time` block may name."""
    describes: ClassVar[bool] = False
    """Whether it can describe an object, so that paths may expand along it."""
    leads: ClassVar[bool] = False
    """Whether expanding along it leads from one object to another."""
    filter: ClassVar[str] = ""
    """The name of the filter (`only`, `forbid`) that selects it by its word."""

    # --- in the IR -----------------------------------------------------------------------
    element: ClassVar[type[Element] | None] = None
    """The IR type of its edges; None for a kind that follows from other edges."""
    field: ClassVar[str] = ""
    """The field of a unit that holds its edges."""
    syntax: ClassVar[str] = ""
    """The grammar rule of its statement in the IR's text form."""

    def statement(self, edge: Any) -> str:
        """The statement of an edge, up to its confidence and provenance."""
        raise TypeError(f"{self.name} has no statement")

    def fields(self, arguments: Sequence[Any]) -> dict[str, Any]:
        """The fields of `element` from the arguments of a parsed statement, without frames."""
        raise TypeError(f"{self.name} has no statement")

    def placed(self, fields: dict[str, Any]) -> tuple[str, ...]:
        """The ids that imply the keyframes of an edge, for a kind that holds in keyframes."""
        return ()

    @abstractmethod
    def in_graph(self, unit: Stsg) -> Callable[[Step], bool]:
        """A test whether the edge of a step is in a graph."""

    @abstractmethod
    def elements(self, step: Step, index: Mapping[tuple[str, ...], Element]) -> list[Element]:
        """The elements that a step rests on, from an index by `keys`."""

    def keys(self, edge: Any) -> tuple[str, ...]:
        """What identifies an edge of this kind in an index."""
        raise TypeError(f"{self.name} has no edges of its own")

    # --- for the sampler -----------------------------------------------------------------

    @abstractmethod
    def rows(self, unit: Stsg, table: EdgeTable) -> None:
        """Add a row to the table for each edge and each direction in which a step may take it."""

    @abstractmethod
    def ends(self, edge: Any, table: EdgeTable, row: int) -> tuple[str, str, str]:
        """Near end, far end and word of the step that a row stands for."""

    @abstractmethod
    def times(self, edge: Any, table: EdgeTable) -> tuple[int, int]:
        """The time range in which an edge is seen, in milliseconds."""

    @abstractmethod
    def start(self, step: Step, graph: QueryBuilder) -> Op:
        """The query operation that names the known end of a path's first step."""

    @abstractmethod
    def steps(self, step: Step, graph: QueryBuilder) -> tuple[Op, ...]:
        """The query operations that take a step."""

    def spans(self, step: Step, graph: QueryBuilder) -> tuple[tuple[int, int], ...]:
        """When a step's edge is true, for a kind with a time of its own; in milliseconds."""
        raise TypeError(f"{self.name} has no time of its own")

    # --- in words ------------------------------------------------------------------------

    def knows_value(self, step: Step) -> bool:
        """Whether a step starts from a value and not from an object."""
        return ("far" if step.way == "<=" else "near") in self.values

    def finds_value(self, step: Step) -> bool:
        """Whether a step finds a value and not an object."""
        return step.way == "--" or ("far" if step.way == "=>" else "near") in self.values

    def known(self, step: Step, graph: QueryBuilder) -> str:
        """The known end in words: an object's label (`the cup`), or a value as it is."""
        return step.word if self.knows_value(step) else graph.the(step.known)

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        """What a step finds, in words: a label, or a value."""
        return step.word if self.finds_value(step) else graph.labels[step.found]

    def category(self, step: Step, graph: QueryBuilder) -> tuple[str, ...]:
        """The kind of words that answer a step; distractors are of the same category."""
        return (self.name,) if self.finds_value(step) else ("label",)

    def words(self, unit: Stsg) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """All words of a graph's edges that can be answers: category, clip, word."""
        yield from ()

    def texts(self, step: Step, graph: QueryBuilder) -> Texts:
        """What the placeholders of a step's wording stand for, besides its known end."""
        return {}

    def fact(self, step: Step, graph: QueryBuilder) -> str:
        """A step as a plain statement, by which one alternative is told from another."""
        return f"{graph.labels[step.near]} {step.word}"

    # --- for the solver ------------------------------------------------------------------

    @abstractmethod
    def facts(self, unit: Stsg, known: Facts) -> None:
        """Add what a graph's edges of this kind say to the solver's facts."""

    def scope(self, op: Follow, state: State) -> frozenset[str]:
        """The clips in sight after following."""
        return state.scope

    @abstractmethod
    def follow(self, op: Follow, state: State) -> Iterable[Here]:
        """Where following edges of this kind leads from each place of the state."""


def clips_of(*identifiers: str) -> list[str]:
    """The different clips that ids lie in, in order."""
    return list(dict.fromkeys(clip_of(i) for i in identifiers))
