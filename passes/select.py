"""select: keep samples that need the video, as the probes tell.   corpus → corpus"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from stepc.diagnostics import Statistics
from stepc.passmanager.base import LinkPass
from stepc.passmanager.corpus import Corpus, SampleSummary

NAMED = 20
"""Suspicious samples that the manifest names."""


class Select(LinkPass):
    """Keeps samples that a model can answer, but not without looking, as `probe` found.

    A sample is dropped if the model answers it too often without the video, too rarely with it (it is too
    hard or wrong), or always (nothing is left to learn). On request, it must also need several keyframes, or
    each of its steps. The shares are those of the answers that were right. Samples without probes are kept
    and counted. The manifest gets the pass rates: by what was shown, by number of steps, and by the number of
    keyframes with evidence.
    """

    least: float = Field(0.0, ge=0, le=1)
    """Minimum share of right answers from the video; 0.25 also drops what is suspicious."""
    most: float = Field(1.0, ge=0, le=1)
    """Maximum share of right answers from the video; less than 1 drops what is easy."""
    nothing: float = Field(0.5, ge=0, le=1)
    """Maximum share of right answers without the video; 1 disables this."""
    keyframe: float = Field(1.0, ge=0, le=1)
    """Maximum share of right answers from one keyframe; 0.5 keeps what needs several."""
    without: float = Field(1.0, ge=0, le=1)
    """Maximum share of right answers without the evidence of a step; 0.5 keeps what needs all steps."""

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        rates = _Rates()

        def keep(card: Any, _: int, s: SampleSummary) -> bool:
            rates.add(f"{card.name}/{s.id}", s)
            why = self._objection(s)
            counts.add(f"dropped: {why}" if why else "kept" if s.probes else "kept: not probed")
            return not why

        made = corpus.keeping(keep)
        if not rates.by_shown:
            return made
        return replace(made, measured={**made.measured, "probe": rates.told()})

    def _objection(self, s: SampleSummary) -> str:
        """Why a sample is dropped, or ""."""
        share = {shown: right / asked for shown, right, asked in s.probes}
        video = share.get("video")
        if video is not None and video < self.least:
            return "too rarely answered from the video"
        if video is not None and video > self.most:
            return "too easy"
        if share.get("nothing", 0.0) > self.nothing:
            return "answered without the video"
        if share.get("keyframe", 0.0) > self.keyframe:
            return "answered from one keyframe"
        missed = (shown for shown, rate in share.items()
                  if shown.startswith("without") and rate > self.without)  # fmt: skip
        return "answered without the evidence of a step" if any(missed) else ""


class _Rates:
    """The right answers of all samples that were probed, before any is dropped."""

    def __init__(self) -> None:
        self.by_shown: dict[str, _Rate] = defaultdict(_Rate)
        self.by_steps: dict[int, _Rate] = defaultdict(_Rate)
        self.by_keyframes: dict[int, _Rate] = defaultdict(_Rate)
        self.suspicious: list[str] = []

    def add(self, id: str, s: SampleSummary) -> None:
        for shown, right, asked in s.probes:
            rates = [self.by_shown[shown.partition(" ")[0]]]
            if shown == "video":
                rates += [self.by_steps[s.steps], self.by_keyframes[s.demand[1]]]
                self.suspicious += [] if right else [id]
            for rate in rates:
                rate.right, rate.asked, rate.questions = (
                    rate.right + right, rate.asked + asked, rate.questions + 1
                )  # fmt: skip

    def told(self) -> dict[str, Any]:
        """For the manifest: shares of right answers, and numbers of questions."""

        def sorted_of(rates: Mapping[Any, _Rate]) -> dict[str, Any]:
            return {str(key): rates[key].told() for key in sorted(rates)}

        return {
            **sorted_of(self.by_shown),
            "video_by_steps": sorted_of(self.by_steps),
            "video_by_keyframes": sorted_of(self.by_keyframes),
            "suspicious": {"questions": len(self.suspicious), "first": self.suspicious[:NAMED]},
        }


@dataclass
class _Rate:
    right: int = 0
    asked: int = 0
    questions: int = 0

    def told(self) -> dict[str, Any]:
        return {"right": round(self.right / self.asked, 4), "questions": self.questions}
