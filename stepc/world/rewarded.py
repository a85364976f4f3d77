"""A model's own rationales that the rewards rank highest: rejection sampling (RAFT, Dong et al., 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stepc.dataset.read import TrainingSample, load_dataset
from stepc.diagnostics import Place, fail, printable
from stepc.grading.reward import reasoned, right
from stepc.model.load import load
from stepc.model.requests import Explain, Explained
from stepc.runtime.atomic_files import write_whole
from stepc.world.artifacts import DataArtifact, Lab, Model

REPLIES, TEMPERATURE = 4, 0.7


@dataclass(frozen=True)
class RewardedArtifact(DataArtifact):
    """A dataset whose rationales are a model's own: for each question the best of several replies.

    Only replies with the right answer count; the best has the highest process reward.
    Questions that the model never answers right are left out.
    """

    of: DataArtifact
    by: Model
    frames: int
    seed: int

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        dataset = load_dataset(self.of.place(lab), self.filmed(lab), self.frames)
        asker = load(lab.choice(self.by), dataset.pictures, seed=self.seed)
        asked = [
            Explain(frames=dataset.frames[s.video], question=s.question, options=s.options)
            for s in dataset.samples
        ]
        replies = asker.ask(asked, samples=REPLIES, temperature=TEMPERATURE)
        rows = []
        for record, sample, reply in zip(
            dataset.records(dataset.samples), dataset.samples, replies, strict=True
        ):
            best = self._best(sample, reply.read)
            if best is not None:
                rows.append({**record, "rationale": [{"text": best.rationale}], "facts": []})
        if not rows:
            place = Place(printable(str(folder)))
            raise fail("T003", "the model answers no question right", place)
        write_whole(folder / "qra.jsonl", b"".join(orjson.dumps(row) + b"\n" for row in rows))
        return {"samples": len(rows), "asked": len(asked)}

    @staticmethod
    def _best(sample: TrainingSample, replies: Any) -> Explained | None:
        """The reply with the right answer whose steps are right most often; None without a right one."""
        accepted = [sample.answer, sample.reply, *sample.answers]
        good = [x for x in replies if right(x.text, accepted)]
        steps = [step.text for step in sample.rationale]
        facts = [fact.model_dump() for fact in sample.facts]
        told = [f"{x.rationale} Answer: {x.text}" for x in good]
        scores = reasoned(told, [steps] * len(good), [facts] * len(good)) if good else []
        return max(zip(scores, good, strict=True), key=lambda pair: pair[0])[1] if good else None

    def filmed(self, lab: Lab) -> list[Path]:
        return self.of.filmed(lab)
