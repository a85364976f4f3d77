"""Base classes of passes: frozen options, levels, and the tools that a pass may use."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from stepc.diagnostics import Statistics, fail
from stepc.ir.types import LEVELS, Unit
from stepc.passmanager.corpus import Corpus

if TYPE_CHECKING:
    from stepc.lang.types import Spec
    from stepc.model.client import ModelClient
    from stepc.model.plan import Plan, VideoStats
    from stepc.video.decode import Pictures

In = TypeVar("In", bound=Unit)

Out = TypeVar("Out", bound=Unit)


@dataclass
class Tools:
    """Everything a pass may use besides its input and its options."""

    pictures: Pictures
    model: Callable[[], ModelClient] | None = None
    """Returns the model client. The first call loads the model."""
    spec: Spec | None = None
    seed: int = 0
    counts: Statistics = field(default_factory=Statistics)

    uses: frozenset[str] = frozenset(["model", "seed", "drawing", "wording", "vocabulary"])
    """What the running pass declares in `uses`. Anything else raises TypeError."""

    def ask(self) -> ModelClient:
        """The model client; it counts calls in `counts`. Raises StepcError (P006) if there is none."""
        self._said("model")
        if self.model is None:
            raise fail("P006", "this pass needs a model, but none is given", help="give --model")
        asker = self.model()
        if asker.counts is not self.counts:
            # a new pass: its counts must not depend on the calls of earlier passes
            asker.forget()
            asker.counts = self.counts
        return asker

    def the_spec(self) -> Spec:
        """The spec. Raises StepcError (P007) if there is none."""
        self._said("drawing", "wording", "vocabulary")
        if self.spec is None:
            raise fail("P007", "this pass needs a .step spec", help="give --spec FILE")
        return self.spec

    def rng(self, unit: Unit, name: str, index: int = 0) -> random.Random:
        """A random generator that depends only on the seed, the video, `name` and `index`."""
        self._said("seed")
        key = f"{self.seed}/{unit.video.sha256}/{name}/{index}"
        return random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big"))

    def _said(self, *one_of: str) -> None:
        if not self.uses & {*one_of}:
            raise TypeError(f"a pass that uses {' or '.join(one_of)} must declare it in `uses`")


class Options(BaseModel):
    """Frozen options of a pass. Each field is an option; its docstring is the help text."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    name: ClassVar[str] = ""
    """Name in pipelines: that of its file in `passes/`, or elsewhere that of its class."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            package, _, module = cls.__module__.rpartition(".")
            name = module if package == "stepc.passes" else _kebab(cls.__name__)
            cls.name = name.replace("_", "-")

    @classmethod
    def options(cls) -> dict[str, str]:
        """Option as written in a pipeline → field: `from` → `from_`, as Python keeps `from` for itself."""
        return {field.rstrip("_"): field for field in cls.model_fields}

    def text(self) -> str:
        """The pass as written in a pipeline, with the options that differ from their defaults."""
        given = [
            f"{key.rstrip('_')}={shown(value)}"
            for key, value in self.model_dump().items()
            if value != type(self).model_fields[key].get_default(call_default_factory=True)
        ]
        return self.name + (f"({','.join(given)})" if given else "")


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._+-]*")


def shown(value: Any) -> str:
    """A value as a pipeline writes it: a number, a word, or JSON, quoted if it is neither."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value not in ("none", "true", "false")
        return value if plain else json.dumps(value)
    if isinstance(value, set | frozenset):
        value = sorted(value)
    return json.dumps(json.dumps(value, ensure_ascii=False))


class Pass(Options, Generic[In, Out]):
    """A pass over one unit. Its type arguments are its input and output level.

    The unit must verify before and after the pass, but not while it runs.
    """

    keeps_level: ClassVar[bool] = False
    """Whether it accepts its input level and all later ones, and returns the level it got."""
    uses: ClassVar[frozenset[str]] = frozenset()
    """What else it depends on: `model`, `seed`, `decoding`, and the spec's `drawing`, `wording`
    and `vocabulary`."""

    @classmethod
    def levels(cls) -> tuple[type[Unit], type[Unit]]:
        """Input and output level. Raises StepcError (P011) if the class does not name them."""
        for base in cls.__mro__:
            args = getattr(base, "__pydantic_generic_metadata__", {}).get("args", ())
            if len(args) == 2 and all(a in LEVELS.values() for a in args):
                return args[0], args[1]
        message = (
            f"pass `{cls.name}` ({cls.__qualname__}) does not say which levels it takes and gives"
        )
        raise fail("P011", message, help="for example: class Mine(Pass[Stsg, Stsg])")

    def run(self, unit: In, tools: Tools) -> Out:
        """Return the unit at the output level. Raises StepcError."""
        raise NotImplementedError

    def ready(self) -> None:
        """Check, before the first video, what no video can do without. Raises StepcError."""

    def reads(self, video: str) -> str:
        """A hash of the files that it reads for a video, given the name of its file; empty if none."""
        return ""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        """Add the model calls of this pass to the estimate of `stepc plan`.

        `stepc plan` reports an unknown cost for a pass that uses a model and does not override this.
        """
        if "model" in self.uses:
            costs.unknown.append(self.name)

    def joins(self, following: Pass[Any, Any]) -> bool:
        """Whether this pass and the one after it can run together."""
        return False

    def run_joined(
        self, following: Sequence[Any], unit: Any, tools: Sequence[Tools]
    ) -> list[tuple[Any, float]]:
        """Run this pass together with those in `following`: the unit after each pass, and its seconds."""
        raise NotImplementedError


class LinkPass(Options):
    """A pass over the whole corpus. It reads unit summaries, and decides which samples to keep."""

    whole: ClassVar[bool] = False
    """Whether it also reads whole units."""

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        """Return the corpus after the pass. Raises StepcError."""
        raise NotImplementedError
