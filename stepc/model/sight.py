"""Measures on a user's own frames whether a model sees, without knowing what the frames show.

A model that does not see, or does not look, says the same of every picture, agrees to everything, and
lists other objects when a picture is mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stepc.ir.types import Frame
from stepc.ir.words import Policy
from stepc.model.client import ModelClient
from stepc.model.requests import Confirm, ListObjects, Mention, Narrate, ObjectClaim, Request
from stepc.store.base import Store, name_of
from stepc.video.decode import Picture, Pictures

if TYPE_CHECKING:
    import numpy as np
else:
    from stepc.runtime.lazy import LazyModule

    np = LazyModule("numpy")

ABSURD = ("submarine", "volcano", "space shuttle", "walrus", "harp", "igloo")
"""Objects that hardly any picture shows; a model that says they are there says yes to anything."""
MIRRORED, CREDULOUS, ALIKE, TOLD = 0.15, 0.5, 0.8, 0.05
"""A model sees if it says yes to at most CREDULOUS of the absurd objects, lists at most ALIKE of the same
objects in different pictures, and at least TOLD more of them when it is asked about one picture again, and if
a mirrored picture is that much nearer to the same picture: at least MIRRORED of the way from another picture
to the same one. A model that varies its words shares few of them with itself, whatever it sees."""


@dataclass(frozen=True)
class Sight:
    """What was measured; each is a share, 0 to 1."""

    frames: int
    again: float
    """Objects listed in a picture that are listed when the model is asked again."""
    mirrored: float
    """Objects listed in a picture that are listed in its mirror image as well."""
    alike: float
    """Objects listed in a picture that are listed in a picture of another moment as well."""
    absurd: float
    """Absurd objects that the model says are there."""
    own: float
    """Objects that the model listed, and then says are there."""

    @property
    def sees(self) -> bool:
        """Whether the model's answers depend on what is shown."""
        other = self.alike if self.frames > 1 else 0.0
        way = self.again - other
        mirror = self.mirrored >= other + MIRRORED * way
        return other <= ALIKE and way >= TOLD and mirror and self.absurd <= CREDULOUS

    def remember(self, store: Store, model: str) -> None:
        """Keep the result for the compiles to come. `model` is what its replies are stored by."""
        store.put(name_of("sight", model), "sight", b"", {"sees": self.sees})


def remembered(store: Store, model: str) -> bool | None:
    """Whether a model saw when it was last measured; None if it was not."""
    entry = store.get(name_of("sight", model))
    sees = entry.facts.get("sees") if entry is not None else None
    return sees if isinstance(sees, bool) else None


class _Mirrored(Pictures):
    """Pictures with left and right exchanged."""

    def __init__(self, of: Pictures) -> None:
        super().__init__()
        self.of = of

    def at(self, frame: Frame) -> Picture:
        """The mirror image of a keyframe."""
        return np.ascontiguousarray(self.of.at(frame)[:, ::-1])


def measure(client: ModelClient, frames: Sequence[Frame]) -> Sight:
    """Ask a model about frames and their mirror images. Raises StepcError if it cannot be asked."""

    def asker(pictures: Pictures, seed: int) -> ModelClient:
        return ModelClient(
            client.backend,
            client.templates,
            pictures,
            seed,
            together=client.together,
            usage=client.usage,
        )

    mirror = asker(_Mirrored(client.pictures), client.seed + 1)
    one, other = _listed(client, frames), _listed(mirror, frames)
    again = _listed(asker(client.pictures, client.seed + 2), frames)
    turned = [*one[1:], *one[:1]]
    absurd = _confirmed(client, [(f, word) for f in frames for word in ABSURD])
    pairs = [(f, label) for f, labels in zip(frames, one, strict=True) for label in sorted(labels)]
    return Sight(
        len(frames), _shared(one, again), _shared(one, other),
        _shared(one, turned) if len(frames) > 1 else 0.0, absurd, _confirmed(client, pairs),
    )  # fmt: skip


def _listed(client: ModelClient, frames: Sequence[Frame]) -> list[set[str]]:
    """The labels of the objects in each frame."""
    told = client.ask([Narrate(frames=(frame,)) for frame in frames])
    asked: list[Request] = [
        ListObjects(frames=(frame,), narrative=reply.read[0].narrative if reply.read else "-")
        for frame, reply in zip(frames, told, strict=True)
    ]
    return [
        {str(Policy.LABEL.key(o)) for o in reply.read[0].objects} if reply.read else set()
        for reply in client.ask(asked)
    ]


def _confirmed(client: ModelClient, pairs: Sequence[tuple[Frame, str]]) -> float:
    """The share of labels that the model says are in their frames; 0 without an answer."""
    asked = [
        Confirm(frames=(frame,), claim=ObjectClaim(target=Mention(label=label)))
        for frame, label in pairs
    ]
    said = [reply.read[0].yes for reply in client.ask(asked) if reply.read]
    return sum(said) / len(said) if said else 0.0


def _shared(one: Sequence[set[str]], other: Sequence[set[str]]) -> float:
    """The mean share of labels that two lists of sets have in common."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a or b]
    return sum(len(a & b) / len(a | b) for a, b in pairs) / len(pairs) if pairs else 0.0
