"""probe: ask a model each question with all, with a part, and with nothing of the video.   qra → qra"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from stepc.grading.reward import right
from stepc.ir import types as t
from stepc.ir.sightings import Sightings
from stepc.model.requests import Ask
from stepc.passmanager.base import Pass, Tools
from stepc.video.decode import blank

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


class Probe(Pass[t.Qras, t.Qras]):
    """Measures what a model needs of the video to answer a question.

    Each question is asked with keyframes of the whole video, without it, with one keyframe of its evidence,
    and, for each step, with the keyframes that are no evidence of that step. How often the answer is right
    (`stepc.grading`) is noted at the sample, for `select` and for the record. The keyframe is the one that
    shows most of the steps; what it alone does not answer needs several.

    A question that is answered from nothing teaches a model to guess (MVP, Krojer et al., 2025); one that the
    model never answers right is too hard for it or wrong, and is counted as suspicious. Without the evidence
    of a step, the other keyframes may still show what the graph does not state there.

    Multiple choices whose options are not complete yet are left out.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model"])

    samples: int = Field(4, ge=1)
    """Answers per question and showing."""
    temperature: float = Field(0.7, ge=0)
    """Sampling temperature."""
    frames: int = Field(16, ge=1)
    """Maximum keyframes of the whole video: those of the evidence and others between them."""
    nothing: Literal["grey", "text"] = "grey"
    """What is shown without the video: as many grey pictures, or none. A model that has always seen pictures
    may not know what to do without any; one that says what it sees will not answer about grey ones."""
    steps: bool = True
    """Whether it is also asked without the evidence of each step."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        most = min(self.frames, about.keyframes)
        costs.add(Ask, 1, about.paths, most, self.samples)
        costs.add(Ask, 1, about.paths, most if self.nothing == "grey" else 0, self.samples)
        costs.add(Ask, 1, about.paths, 1, self.samples)
        if self.steps:
            costs.add(Ask, 1, about.paths * 2, max(1, most - 1), self.samples)

    def run(self, unit: t.Qras, tools: Tools) -> t.Qras:
        paths, seen = {p.id: p for p in unit.paths}, Sightings(unit)
        asked: list[tuple[str, str, Ask]] = []
        for s in unit.samples:
            if s.room:
                tools.counts.add("choices without all options, not asked")
                continue
            for shown, pictures in self._shown(unit, seen, paths[s.path], len(s.rationale)):
                options = s.options if s.form == "choice" else ()
                ask = Ask(frames=pictures, question=s.question, options=options)
                asked.append((s.id, shown, ask))
        requests = [ask for _, _, ask in asked]
        replies = (
            tools.ask().ask(requests, samples=self.samples, temperature=self.temperature)
            if requests
            else []
        )
        samples = {s.id: s for s in unit.samples}
        found: dict[str, list[t.ProbeResult]] = {}
        for (id, shown, _), reply in zip(asked, replies, strict=True):
            if reply.read:
                good = sum(right(r.text, _accepted(samples[id])) for r in reply.read)
                result = t.ProbeResult(shown=shown, right=good, asked=len(reply.read))
                found.setdefault(id, []).append(result)
                what = shown.partition(" ")[0]
                tools.counts.add(f"{what}: answers", len(reply.read))
                tools.counts.add(f"{what}: right", good)
                if shown == "video" and not good:
                    tools.counts.add("suspicious: never answered right from the video")
        made = (s.model_copy(update={"probes": tuple(found.get(s.id, ()))}) for s in unit.samples)
        return unit.evolve(samples=tuple(made))

    def _shown(
        self, unit: t.Qras, seen: Sightings, path: t.Path, steps: int
    ) -> Iterator[tuple[str, tuple[t.Frame, ...]]]:
        """What is shown for the question of a path, and the pictures of it."""

        def pictures(names: Sequence[str]) -> tuple[t.Frame, ...]:
            return tuple(t.Frame(video=unit.video.sha256, at=seen.at[f]) for f in names)

        every = [*unit.keyframes]
        of_step: list[set[str]] = [set() for _ in range(steps)]
        for number, sighting in seen.of_path(path):
            of_step[number - 1] |= {*sighting.frames}
        whole = _thinned(every, set().union(*of_step), self.frames)
        yield "video", pictures(whole)
        grey = tuple(blank(unit.video, seen.at[f]) for f in whole)
        yield "nothing", grey if self.nothing == "grey" else ()
        one = max(whole, key=lambda f: sum(f in frames for frames in of_step), default="")
        if len(whole) > 1:
            yield "keyframe", pictures([one])
        for number, frames in enumerate(of_step, 1):
            left = [f for f in whole if f not in frames]
            if self.steps and 0 < len(left) < len(whole):
                yield f"without {number}", pictures(left)


def _accepted(s: t.Sample) -> list[str]:
    """The right answers of a sample; of a multiple choice with their letters."""
    if s.form == "choice":
        return [f"{ascii_uppercase[s.options.index(s.answer)]}. {s.answer}"]
    return [s.answer, *s.also]


def _thinned(frames: Sequence[str], needed: set[str], most: int) -> list[str]:
    """At most `most` of the keyframes, evenly: first those that are needed, then others."""
    if len(frames) <= most:
        return [*frames]
    first, rest = (
        [f for f in frames if f in needed],
        [f for f in frames if f not in needed],
    )
    kept = {*_evenly(first, most)}
    kept |= {*_evenly(rest, most - len(kept))}
    return [f for f in frames if f in kept]


def _evenly(frames: Sequence[str], most: int) -> list[str]:
    """`most` of the keyframes, at equal distances."""
    number = min(most, len(frames))
    return [frames[(2 * i + 1) * len(frames) // (2 * number)] for i in range(number)]
