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
        "evidence": [
            {"step": number, **seen}
            for number, step in enumerate(path.steps, 1)
            for seen in _evidence(unit, step)
        ],
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


def _evidence(unit: t.Qras, step: t.Step) -> Iterator[dict[str, Any]]:
    """Where one step is seen: clip, time in seconds, keyframes and nodes; a reference in two clips."""
    objects = {o.id: o for o in unit.objects}
    edge = _edge(unit, step)
    ends = [i for i in (step.near, step.far) if "/" in i]
    if isinstance(edge, t.Reference):
        for end in ends if step.way == "=>" else ends[::-1]:
            yield _seen(unit, list(objects[end].frames), [end])
    elif isinstance(edge, t.Event):
        held = [f for f in unit.keyframes if t.clip_of(f) == edge.clip]
        yield _seen(unit, held, ends, (edge.start, edge.end))
    elif isinstance(edge, t.Motion):
        held = [f for i in ends for f in objects[i].frames]
        yield _seen(unit, held, ends, (edge.start, edge.end))
    elif isinstance(edge, t.Attribute | t.Relation):
        yield _seen(unit, list(edge.frames), ends)


def _seen(
    unit: t.Qras, frames: list[str], nodes: list[str], span: tuple[int, int] | None = None
) -> dict[str, Any]:
    """One piece of evidence; without a span from the first of its keyframes to the last."""
    times = {f: unit.keyframes[f].at for f in frames}
    start, end = span or (min(times.values()), max(times.values()))
    return {
        "clip": t.clip_of(frames[0]),
        "start": start / 1000,
        "end": end / 1000,
        "keyframes": [{"id": f, "at": at / 1000} for f, at in times.items()],
        "nodes": nodes,
    }


def _asks(unit: t.Qras, path: t.Path) -> list[str]:
    """Keys of the model calls that gave the path's edges."""
    return list(dict.fromkeys(k for s in path.steps for k in _edge(unit, s).origin.asks))
