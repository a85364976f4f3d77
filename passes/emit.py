"""emit: what goes into the dataset, and each sample as a record.   corpus → corpus"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from stepc.diagnostics import Statistics
from stepc.ir import types as t
from stepc.ir.text import query_text
from stepc.pipeline import Corpus, LinkPass


class Emit(LinkPass):
    """Lets through only samples that were checked, in the order of the units' names."""

    unchecked: bool = False
    """Also emit samples that `check` has not proved."""

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        """The corpus as it is written."""
        units = []
        for unit in sorted(corpus.units, key=lambda u: u.name):
            kept = tuple(s for s in unit.samples if s.checked or self.unchecked)
            counts.add("dropped: not proved", len(unit.samples) - len(kept))
            counts.add("samples", len(kept))
            units.append(unit.evolve(samples=kept))
        return corpus.model_copy(update={"units": tuple(units)})


def records(corpus: Corpus, model: str, spec: str) -> Iterator[bytes]:
    """One JSON line a sample."""
    sets = dict(corpus.sets)
    for unit in corpus.units:
        paths = {p.id: p for p in unit.paths}
        for s in unit.samples:
            row = _record(unit, paths[s.path], s)
            row["set"] = sets.get(unit.name, "train")
            row["origin"] = {
                "unit": unit.name,
                "path": s.path,
                "wording": s.wording,
                "spec": spec,
                "model": model,
                "asks": _asks(unit, paths[s.path]),
            }
            yield orjson.dumps(row) + b"\n"


def _record(unit: t.Qras, path: t.Path, s: t.Sample) -> dict[str, Any]:
    return {
        "id": f"{unit.name}/{s.id}",
        "video": unit.video.file,
        "sha256": unit.video.sha256,
        "question": s.question,
        "answer": s.answer,
        "rationale": [
            {"question": b.question, "answer": b.answer, "text": b.text} for b in s.rationale
        ],
        "steps": len(s.rationale),
        "type": s.form,
        "asks_for": path.steps[-1].edge,
        "during": _during(unit, path),
        "query": query_text(s.query),
        "evidence": [_evidence(unit, step) for step in path.steps],
    }


def _during(unit: t.Qras, path: t.Path) -> dict[str, Any] | None:
    event = next((e for e in unit.events if e.clip == path.during), None)
    if event is None:
        return None
    return {"event": event.event, "start": event.start / 1000, "end": event.end / 1000}


def _edge(unit: t.Qras, step: t.Step) -> t.Element:
    """The edge of a step."""
    found: list[t.Element] = []
    match step.edge:
        case "attr":
            found = [a for a in unit.attributes if a.id == step.far]
        case "rel":
            found = [
                r
                for r in unit.relations
                if (r.subject, r.object, r.predicate) == (step.near, step.far, step.word)
            ]
        case "motion":
            found = [m for m in unit.motions if (m.source, m.target) == (step.near, step.far)]
        case "ref":
            found = [r for r in unit.references if (r.first, r.second) == (step.near, step.far)]
        case "event":
            found = [e for e in unit.events if e.clip == step.far]
    return found[0]


def _evidence(unit: t.Qras, step: t.Step) -> dict[str, Any]:
    """Where one step is seen: clip, time in seconds, keyframes and nodes."""
    frames = unit.keyframes
    objects = {o.id: o for o in unit.objects}
    edge = _edge(unit, step)
    ends = [i for i in (step.near, step.far) if i in objects]
    held = list(getattr(edge, "frames", ()))
    if not held:
        held = [f for i in ends for f in objects[i].frames]
    if isinstance(edge, t.Event):
        held = [f for f in frames if t.clip_of(f) == edge.clip]
    times = [frames[f].at for f in held]
    clip = t.clip_of(step.near if step.way == "<=" or step.edge != "ref" else step.far)
    span = (min(times), max(times))
    if isinstance(edge, t.Motion | t.Event):
        span = (edge.start, edge.end)
    nodes = list(dict.fromkeys(i for i in (step.near, step.far) if "/" in i))
    return {
        "clip": clip,
        "start": span[0] / 1000,
        "end": span[1] / 1000,
        "keyframes": [{"id": f, "at": frames[f].at / 1000} for f in dict.fromkeys(held)],
        "nodes": nodes,
    }


def _asks(unit: t.Qras, path: t.Path) -> list[str]:
    """Keys of the model calls that gave the path's edges."""
    return list(dict.fromkeys(k for s in path.steps for k in _edge(unit, s).origin.asks))
