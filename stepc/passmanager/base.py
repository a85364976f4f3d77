"""What a pass is: frozen options, levels, and the tools that a pass may use."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from stepc.diagnostics import Statistics, fail
from stepc.ir.types import Unit
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
    """What a pass may use besides its input and its options."""

    pictures: Pictures
    model: Callable[[], ModelClient] | None = None
    """Gives the model; it is loaded when a pass first asks."""
    spec: Spec | None = None
    seed: int = 0
    counts: Statistics = field(default_factory=Statistics)

    uses: frozenset[str] = frozenset(["model", "seed", "drawing", "wording"])
    """What the running pass has said it uses; the rest it may not."""

    def ask(self) -> ModelClient:
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

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    name: ClassVar[str] = ""
    """What pipelines call it: the name of its file in `passes/`, elsewhere that of its class."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            package, _, module = cls.__module__.rpartition(".")
            name = module if package == "stepc.passes" else _kebab(cls.__name__)
            cls.name = name.replace("_", "-")

    def text(self) -> str:
        """The pass as written in a pipeline, options that differ from the default named."""
        given = [
            f"{key}={shown(value)}"
            for key, value in self.model_dump().items()
            if value != type(self).model_fields[key].default
        ]
        return self.name + (f"({','.join(given)})" if given else "")


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def shown(value: object) -> str:
    """A value as a pipeline writes it."""
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

    def plan(self, about: VideoStats, costs: Plan) -> None:
        """Add what the pass will ask a model to the estimate of `stepc plan`.

        A pass that asks a model and does not override this is named there as having an unknown cost.
        """
        if "model" in self.uses:
            costs.unknown.append(self.name)

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
