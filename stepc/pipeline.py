"""Passes and pipelines: what a pass is, pipelines as text, and running them.

A pass is a frozen, typed set of options and one pure function from one level to the next. It
reads nothing but its input, its options and the tools it is handed. The file in `passes/`
is the registration: `split_uniform.py` holds `split-uniform`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import pkgutil
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput
from pydantic import BaseModel, ConfigDict, ValidationError

from stepc.diagnostics import Place, Statistics, StepcError, did_you_mean, fail
from stepc.ir.types import LEVELS, Qras, Unit, from_json
from stepc.ir.verify import verify
from stepc.link import Corpus, Held
from stepc.store import Entry, Store, name_of

if TYPE_CHECKING:
    from stepc.model.ask import Asker
    from stepc.spec.types import Spec
    from stepc.video import Pictures

In = TypeVar("In", bound=Unit)
Out = TypeVar("Out", bound=Unit)

DEFAULT = "split,keyframes,parse,confirm,merge,bridge,confirm,sample,compose,check,refine,check"
"""The paper's method; the last `confirm` asks about the motions and events that came later."""
LINK = "dedupe,balance,split-sets,emit"
"""What joins the units of a corpus."""


@dataclass
class Tools:
    """What a pass may use besides its input and its options."""

    pictures: Pictures
    model: Callable[[], Asker] | None = None
    """Gives the model; it is loaded when a pass first asks."""
    spec: Spec | None = None
    seed: int = 0
    counts: Statistics = field(default_factory=Statistics)

    uses: frozenset[str] = frozenset(["model", "seed", "drawing", "wording"])
    """What the running pass has said it uses; the rest it may not."""

    def ask(self) -> Asker:
        """The model, counting its calls here. Raises StepcError (P006) if there is none."""
        self._said("model")
        if self.model is None:
            raise fail("P006", "this pass asks a model and none is given", help="give --model")
        asker = self.model()
        if (
            asker.counts is not self.counts
        ):  # another pass: what it counts does not depend on others
            asker.forget()
            asker.counts = self.counts
        return asker

    def the_spec(self) -> Spec:
        """The spec. Raises StepcError (P007) if there is none."""
        self._said("drawing", "wording")
        if self.spec is None:
            raise fail("P007", "this pass needs a .step spec", help="give --spec FILE")
        return self.spec

    def rng(self, unit: Unit, name: str, index: int = 0) -> random.Random:
        """A generator that depends on seed, video, pass and index, and on nothing else."""
        self._said("seed")
        key = f"{self.seed}/{unit.video.sha256}/{name}/{index}"
        return random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big"))

    def _said(self, *one_of: str) -> None:
        if not self.uses & {*one_of}:
            raise TypeError(f"a pass that uses {' or '.join(one_of)} says so in `uses`")


class Options(BaseModel):
    """Frozen options of a pass; its fields are its options, their docstrings the help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    name: ClassVar[str]

    def text(self) -> str:
        """The pass as written in a pipeline, options that differ from the default named."""
        given = [
            f"{key}={_shown(value)}"
            for key, value in self.model_dump().items()
            if value != type(self).model_fields[key].default
        ]
        return self.name + (f"({','.join(given)})" if given else "")


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Pass(Options, Generic[In, Out]):
    """A pass over one unit. Its type arguments are the level it takes and the one it gives.

    The unit verifies before and after, not necessarily during.
    """

    keeps_level: ClassVar[bool] = False
    """Whether it takes any level from its input's on, and gives the same level."""
    uses: ClassVar[frozenset[str]] = frozenset()
    """What else it depends on: `model`, `seed`, `drawing` and `wording` of the spec."""

    @classmethod
    def levels(cls) -> tuple[type[Unit], type[Unit]]:
        """Input and output level."""
        for base in cls.__mro__:
            args = getattr(base, "__pydantic_generic_metadata__", {}).get("args", ())
            if len(args) == 2:
                return args[0], args[1]
        raise TypeError(f"{cls.__name__} names no levels")

    def run(self, unit: In, tools: Tools) -> Out:
        """The unit at the next level."""
        raise NotImplementedError

    def joins(self, following: Pass[Any, Any]) -> bool:
        """Whether the pass after this one may run along with it."""
        return False

    def run_joined(
        self, following: Sequence[Any], unit: Any, tools: Sequence[Tools]
    ) -> list[tuple[Any, float]]:
        """The unit after this pass and after each of those that follow, and the seconds of each."""
        raise NotImplementedError


class LinkPass(Options):
    """A pass over the whole corpus. It walks over the units' cards, and decides which samples stay."""

    whole: ClassVar[bool] = False
    """Whether it looks into units, too."""

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        """The corpus after the pass."""
        raise NotImplementedError


# --- finding passes ----------------------------------------------------------------------


@functools.cache
def pass_names() -> tuple[str, ...]:
    """The names of all passes, from the files in `passes/`."""
    package = importlib.import_module("stepc.passes")
    return tuple(sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(package.__path__)))


@functools.cache
def pass_type(name: str) -> type[Pass[Any, Any]] | type[LinkPass]:
    """The pass called `name`. Raises KeyError if there is none."""
    if name not in pass_names():
        raise KeyError(name)
    module = importlib.import_module("stepc.passes." + name.replace("-", "_"))
    for kind in vars(module).values():
        if (
            inspect.isclass(kind)
            and issubclass(kind, (Pass, LinkPass))
            and kind.__module__ == module.__name__
            and "[" not in kind.__name__  # pydantic puts Pass[In, Out] into the module too
        ):
            kind.name = name
            return kind
    raise TypeError(f"{module.__name__} holds no pass")


# --- pipelines as text -------------------------------------------------------------------


@functools.cache
def _parser() -> Lark:
    grammar = (files("stepc.grammar") / "pipeline.lark").read_text("utf-8")
    return Lark(grammar, parser="earley", propagate_positions=True, maybe_placeholders=False)


def _mark(text: str, token: Any) -> Place:
    column = getattr(token, "column", None) or len(text) + 1
    return Place("--pipeline", 1, column, max(1, len(str(token))), text)


def parse_pipeline(text: str) -> list[Pass[Any, Any] | LinkPass]:
    """The passes of a pipeline. Raises StepcError (P001-P004) with the place in `text`."""
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        column = error.column if error.column and error.column > 0 else len(text) + 1
        place = Place("--pipeline", 1, column, 1, text)
        help = "passes are separated by commas: split,keyframes(per_clip=3)"
        raise fail("P001", "this is not a pipeline", place, help) from None
    made: list[Pass[Any, Any] | LinkPass] = []
    for node in tree.children:
        assert isinstance(node, Tree)
        name = node.children[0]
        assert isinstance(name, Token)
        try:
            kind = pass_type(str(name))
        except KeyError:
            helps = did_you_mean(str(name), pass_names())
            raise fail("P002", f"there is no pass `{name}`", _mark(text, name), helps) from None
        options: dict[str, str] = {}
        for option in node.children[1:]:
            assert isinstance(option, Tree)
            key, value = option.children
            if str(key) not in kind.model_fields:
                helps = did_you_mean(str(key), kind.model_fields) if kind.model_fields else ""
                message = f"`{name}` has no option `{key}`"
                raise fail("P003", message, _mark(text, key), helps)
            options[str(key)] = str(value).strip('"')
        try:
            made.append(kind.model_validate(options))
        except ValidationError as error:
            first = error.errors()[0]
            where = str(first["loc"][0]) if first["loc"] else str(name)
            token = next(
                (o.children[1] for o in node.children[1:] if str(o.children[0]) == where),  # type: ignore[union-attr]
                name,
            )
            raise fail("P004", f"{name}, {where}: {first['msg']}", _mark(text, token)) from None
    return made


def pipeline_text(passes: list[Pass[Any, Any] | LinkPass]) -> str:
    """The canonical text of a pipeline."""
    return ",".join(p.text() for p in passes)


def check_levels(passes: list[Pass[Any, Any]], start: type[Unit]) -> type[Unit]:
    """The level after `passes` from `start`. Raises StepcError (P005) where levels do not meet."""
    order = list(LEVELS)
    level = start
    for p in passes:
        takes, gives = p.levels()
        fits = level is takes or (p.keeps_level and issubclass(level, takes))
        if not fits:
            between = [
                n
                for n in pass_names()
                if issubclass(kind := pass_type(n), Pass)
                and not kind.keeps_level
                and kind.levels()[0] is level
                and kind.levels()[1] is not level
            ]
            late = order.index(level.LEVEL) > order.index(takes.LEVEL)
            help = (
                "it comes too late in the pipeline"
                if late
                else f"{' or '.join(f'`{n}`' for n in between)} takes {level.LEVEL} further"
            )
            message = f"`{p.name}` takes {takes.LEVEL}, and here it would get {level.LEVEL}"
            raise fail("P005", message, Place("--pipeline"), help)
        if not p.keeps_level:
            level = gives
    return level


# --- running -----------------------------------------------------------------------------


@dataclass
class Done:
    """What a pass did: the unit after it, its seconds, and its counts."""

    name: str
    load: Callable[[], Unit]
    """Gives the unit."""
    seconds: float
    counts: Statistics
    why: str = ""
    """Why it was made, where there is a store."""
    found: bool = False
    """Whether it was there before."""

    @functools.cached_property
    def unit(self) -> Unit:
        """The unit after the pass. Raises StepcError (B016) if the store has lost it since."""
        return self.load()


NAMES = {
    "model": "the model or how it is asked",
    "seed": "the seed",
    "drawing": "what the spec draws",
    "wording": "the spec's words",
}


@functools.cache
def code() -> str:
    """A hash of the code that makes results: what other code has made is not believed.

    Model calls do not depend on it, so that a newer stepc asks no model again.
    """
    whole = hashlib.sha256()
    for folder in ("", "ir", "model", "passes", "spec", "grammar"):
        place = files("stepc") / folder if folder else files("stepc")
        for part in sorted(place.iterdir(), key=lambda p: p.name):
            if part.name.endswith((".py", ".lark")):
                whole.update(part.read_bytes())
    return whole.hexdigest()


@dataclass
class Memo:
    """What a store knows of passes: each by its input, itself, and all that it uses."""

    store: Store
    depends: Callable[[str], Any]
    """JSON that stands for a thing that passes use, by its name."""

    def name(self, p: Pass[Any, Any], content: bytes) -> bytes:
        """The name of what a pass makes of a unit whose JSON has this hash."""
        return name_of("pass", p.name, code(), p.model_dump(mode="json"), content.hex(),
                       {thing: self.depends(thing) for thing in sorted(p.uses)})  # fmt: skip

    def chain(self, passes: list[Pass[Any, Any]], content: bytes) -> list[Entry]:
        """What is stored of the first passes, without a gap."""
        found: list[Entry] = []
        for p in passes:
            entry = self.store.find(self.name(p, content))
            if entry is None:
                break
            found.append(entry)
            content = entry.hash
        return found

    def found(
        self, passes: list[Pass[Any, Any]], content: bytes
    ) -> tuple[list[Entry], Unit] | None:
        """The chain and the unit at its end, or nothing; what is damaged is not part of it."""
        chain = self.chain(passes, content)
        while chain:
            stored = self.store.read(chain[-1])
            if stored is not None:
                return chain, from_json(stored)
            chain.pop()
        return None

    def load(self, entry: Entry) -> Unit:
        """A stored unit. Raises StepcError (B016) if it is gone or damaged."""
        content = self.store.read(entry)
        if content is None:
            raise fail("B016", "what was stored is gone", Place(self.store.place), "run again")
        return from_json(content)

    def keep(self, p: Pass[Any, Any], before: bytes, unit: Unit, done: Done) -> Entry:
        """Store what a pass made."""
        facts = {"counts": dict(done.counts), "seconds": round(done.seconds, 6)}
        return self.store.keep(self.name(p, before), p.name, unit.to_json(), facts)

    def why(self, p: Pass[Any, Any], place: int, unit: Unit, before: bytes) -> str:
        """Why a pass at its place in the pipeline has to run on a video; and note this run."""
        now: dict[str, Any] = {
            "its input": before.hex(),
            "the code": code(),
            **{f"its option {k}": v for k, v in p.model_dump(mode="json").items()},
            **{NAMES[x]: name_of(self.depends(x)).hex() for x in sorted(p.uses)},
        }
        name = name_of("last", unit.video.sha256, unit.name, place, p.name)
        last = self.store.find(name)
        self.store.keep(name, "last", b"", now)
        if last is None:
            return "never made"
        changed = [k for k, v in now.items() if last.facts.get(k) != v]
        shown = [
            f"{k}, {last.facts.get(k)} → {now[k]}" if k.startswith("its option") else k
            for k in changed
        ]
        return f"changed: {'; '.join(shown)}" if shown else "no longer in the store"


def hash_of(unit: Unit) -> bytes:
    """The hash of a unit's JSON, by which a store knows it."""
    return hashlib.sha256(unit.to_json()).digest()


def run(
    passes: list[Pass[Any, Any]],
    unit: Unit,
    tools: Tools,
    *,
    verify_each: bool = True,
    memo: Memo | None = None,
    first: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Done]:
    """Run `passes` on `unit` one after another, telling of each; the first is the pipeline's `first`.

    With `verify_each` the unit is verified before the first and after every pass that runs. With
    a `memo` what is stored is not made again, and what is made is stored. Raises StepcError: the
    diagnostics of the verifier or of the pass.
    """
    check_levels(passes, type(unit))
    before: list[str] = []
    if verify_each:
        _verified(unit, "the input")
    content = hash_of(unit) if memo else b""
    place = 0
    while place < len(passes):
        found = memo.found(passes[place:], content) if memo else None
        if memo and found:
            chain, unit = found
            for entry in chain:
                p, last = passes[place], entry is chain[-1]
                load = (
                    functools.partial(_same, unit) if last else functools.partial(memo.load, entry)
                )
                before.append(p.name)
                yield Done(p.name, load, 0.0, Statistics(entry.facts["counts"]), found=True)
                content, place = entry.hash, place + 1
            continue
        joined = [passes[place]]
        while passes[place + len(joined) :] and joined[-1].joins(passes[place + len(joined)]):
            joined.append(passes[place + len(joined)])
        for p, made, seconds, counts in _made(joined, unit, tools, clock):
            why = memo.why(p, first + place, unit, content) if memo else ""
            unit = made
            if verify_each:
                after = f"after {', '.join(before)}" if before else "first"
                _verified(unit, f"the output of `{p.name}` ({after})")
            before.append(p.name)
            done = Done(p.name, functools.partial(_same, unit), seconds, counts, why)
            if memo:
                content = memo.keep(p, content, unit, done).hash
            place += 1
            yield done


def _made(
    joined: list[Pass[Any, Any]], unit: Unit, tools: Tools, clock: Callable[[], float]
) -> Iterator[tuple[Pass[Any, Any], Unit, float, Statistics]]:
    """What passes that run at one time make, each with its seconds and counts."""
    if len(joined) > 1:
        own = [replace(tools, counts=Statistics(), uses=p.uses) for p in joined]
        many = joined[0].run_joined(joined[1:], unit, own)
        for p, with_, (made, seconds) in zip(joined, own, many, strict=True):
            yield p, made, seconds, with_.counts
        return
    (p,), began = joined, clock()
    tools.counts, tools.uses = Statistics(), p.uses
    made = p.run(unit, tools)
    yield p, made, clock() - began, tools.counts


def _same(unit: Unit) -> Unit:
    return unit


def run_alone(
    done: Iterator[Done],
    unit: Unit,
    links: list[LinkPass],
    seed: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Done]:
    """Go on from `done` with link passes over a corpus of this one unit.

    Raises StepcError (P005) if it is not at level qra by then.
    """
    for each in done:
        unit = each.unit
        yield each
    for link in links:
        if not isinstance(unit, Qras):
            message = f"`{link.name}` joins units of level qra, and this one is {unit.LEVEL}"
            raise fail("P005", message, Place("--pipeline"), "compose it first")
        began, counts = clock(), Statistics()
        corpus = link.run(Corpus(Held([unit])), seed, counts)
        _, unit = next(corpus.left())
        yield Done(link.name, functools.partial(_same, unit), clock() - began, counts)


def _verified(unit: Unit, what: str) -> None:
    found = verify(unit)
    if found:
        head = fail("P008", f"{what} breaks the IR's rules", Place(unit.name)).diagnostics
        raise StepcError(*head, *found)


def option_lines(kind: type[Options]) -> list[tuple[str, str, str, str]]:
    """Name, type, default and help of each option of a pass."""
    rows = []
    for name, info in kind.model_fields.items():
        wanted = info.annotation
        choices = get_args(wanted)
        shown = (
            " | ".join(str(c) for c in choices)
            if choices and not hasattr(choices[0], "__name__")
            else getattr(wanted, "__name__", str(wanted))
        )
        help = " ".join((info.description or "").split())
        rows.append((name, shown, _shown(info.default), help))
    return rows
