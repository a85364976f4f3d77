"""The evidence of a merged element: votes, verdict and origin of all that were merged into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from stepc.ir import types as t


def verdict_of(elements: Iterable[t.Element]) -> Literal["yes", "no", "unasked"]:
    """The verdict on merged elements: all of them are denied, or none."""
    verdicts = {e.trust.verdict for e in elements}
    return "no" if "no" in verdicts else "yes" if "yes" in verdicts else "unasked"


def trust_of(seen: Sequence[t.Element]) -> t.Trust:
    """The votes on all of the elements, and the verdict on them."""
    return t.Trust(
        votes=sum(e.trust.votes for e in seen),
        asked=sum(e.trust.asked for e in seen),
        verdict=verdict_of(seen),
    )


def origin_of(elements: Sequence[t.Object | t.Attribute | t.Relation]) -> t.Origin:
    """All that the elements come from."""
    return t.Origin(
        nodes=tuple(e.id for e in elements if not isinstance(e, t.Relation)),
        asks=tuple(dict.fromkeys(k for e in elements for k in e.origin.asks)),
        source=next((e.origin.source for e in elements if e.origin.source), None),
    )
