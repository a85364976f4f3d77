"""Dataset formats: convert each sample to the records of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

import orjson

from stepc.dataset.parquet import NUMBER, TEXT, WHOLE, YES, Features, many
from stepc.edges import EDGES, ELEMENTS
from stepc.ir import types as t
from stepc.ir.graph import identities_only, numbered
from stepc.ir.text import query_text
from stepc.plugins import Plugin, Registry
from stepc.runtime.names import Name


def records(unit: t.Qras, model: str, spec: str) -> list[list[dict[str, Any]]]:
    """Convert each sample to one record: the formats `jsonl` and `parquet`.

    `set` is left empty; linking fills it in. The columns are `COLUMNS`.
    """
    paths = {p.id: p for p in unit.paths}
    seen = _Evidence(unit)
    made = []
    for s in unit.samples:
        row = _record(unit, paths[s.path], s, seen)
        row["set"] = ""
        row["origin"] = {
            "unit": unit.name,
            "path": s.path,
            "block": paths[s.path].block,
            "wording": s.wording,
            "spec": spec,
            "model": model,
            "asks": seen.asks(paths[s.path]),
        }
        made.append([row])
    return made


def chats(unit: t.Qras, model: str, spec: str) -> list[list[dict[str, Any]]]:
    """Convert each sample to two conversations, for the answer and for the rationale: the format `chat`.

    Messages follow the format of `transformers` chat templates.
    """
    made = []
    for s in unit.samples:
        asked = "\n".join([s.question, *(f"{a}. {x}" for a, x in _lettered(s))])
        answer = next((f"{a}. {x}" for a, x in _lettered(s) if x == s.answer), s.answer)
        told = " ".join(b.text for b in s.rationale)
        shown = [{"type": "video", "video": unit.video.file}, {"type": "text", "text": asked}]
        made.append(
            [
                {
                    "id": f"{unit.name}/{s.id}/{task}",
                    "task": task,
                    "set": "",
                    "messages": [
                        {"role": "user", "content": shown},
                        {"role": "assistant", "content": [{"type": "text", "text": reply}]},
                    ],
                }
                for task, reply in (("answer", answer), ("rationale", told))
            ]
        )
    return made


@dataclass(frozen=True)
class Format:
    """A file format of datasets, which a spec's `formats` may name."""

    file: str
    """The file's name; the stem of the shards if it is sharded."""
    records: Callable[[t.Qras, str, str], list[list[dict[str, Any]]]]
    """From a unit, the model's identity and the spec's name: for each sample its records (JSON)."""
    sharded: bool = False
    """Whether records are written as Parquet shards with the columns of `COLUMNS`, instead of JSON lines."""


def _accept(value: Any) -> str:
    """What is wrong with a format of a plug-in: its file must be one of its own, in the dataset's folder."""
    if not isinstance(value, Format):
        return f"`{value!r}` is not a stepc.dataset.formats.Format"
    try:
        file = Name.single(value.file)
    except ValueError as error:
        return f"its file is {value.file!r}: {error}"
    taken = {"manifest.json", "qra.jsonl", "chat.jsonl", "qra", "units", "crashes"}
    return f"its file, {file!r}, belongs to stepc" if file in taken else ""


class _Formats(Registry[Format]):
    def _concerns(self, plugin: Plugin) -> bool:
        return plugin.is_of(Format)


FORMATS = _Formats(
    "stepc.formats",
    lambda: {
        "jsonl": lambda: Format("qra.jsonl", records),
        "chat": lambda: Format("chat.jsonl", chats),
        "parquet": lambda: Format("qra", records, sharded=True),
    },
    _accept,
)
"""The formats that a spec's `formats` may name."""


def rows_of(name: str, unit: t.Qras, model: str, spec: str) -> list[list[dict[str, Any]]]:
    """The records of each sample of a unit in the format `name`. Raises StepcError (X004)."""
    with FORMATS.guarded(name, "`records`"):
        made = FORMATS.get(name).records(unit, model, spec)
        for rows in made:
            orjson.dumps([{**row} for row in rows])
        if len(made) != len(unit.samples):
            raise ValueError(f"it returned {len(made)} records for {len(unit.samples)} samples")
    return made


_STEP: Features = {"question": TEXT, "answer": TEXT, "text": TEXT}

_SEEN: Features = {"step": WHOLE, "clip": TEXT, "start": NUMBER, "end": NUMBER,
                   "keyframes": many({"id": TEXT, "at": NUMBER}), "nodes": many(TEXT)}  # fmt: skip

COLUMNS: Features = {
    **dict.fromkeys(("id", "video", "sha256", "question", "answer"), TEXT),
    "rationale": many(_STEP),
    "steps": WHOLE,
    **dict.fromkeys(("type", "form", "asks_for"), TEXT),
    "time": {"how": TEXT, "start": NUMBER, "end": NUMBER, "event": TEXT},
    "query": TEXT,
    "evidence": many(_SEEN),
    "options": many(TEXT),
    "ambiguous": YES,
    "answers": many(TEXT),
    "set": TEXT,
    "origin": {**dict.fromkeys(("unit", "path", "block", "wording", "spec", "model"), TEXT),
               "asks": many(TEXT)},
}  # fmt: skip
"""The columns of a record and their types."""


def _lettered(s: t.Sample) -> list[tuple[str, str]]:
    """Return the options of a multiple-choice question with their letters."""
    return list(zip(ascii_uppercase, s.options, strict=False)) if s.form == "choice" else []


def _record(unit: t.Qras, path: t.Path, s: t.Sample, seen: _Evidence) -> dict[str, Any]:
    row: dict[str, Any] = {
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
        "form": path.form,
        "asks_for": path.steps[-1].edge,
        "time": _time(unit, path),
        "query": query_text(s.query),
        "evidence": [
            {"step": number, **where}
            for number, step in [
                *numbered(path, identities_only(unit)),
                *((len(s.rationale), other) for other in path.also),
            ]
            for where in seen.of(step)
        ],
    }
    if s.options:
        row["options"] = list(s.options)
    if not path.unique:
        row["ambiguous"] = True
        row["answers"] = [s.answer, *s.also]
    return row


def _time(unit: t.Qras, path: t.Path) -> dict[str, Any] | None:
    """Return the time range in a question: how it is given, its start and end in seconds, its event."""
    if path.time is None:
        return None
    event = next((e for e in unit.events if e.clip == path.clip), None)
    clip = next(c for c in unit.clips if c.id == path.clip)
    told = path.time in ("during", "before", "after")
    span = (event.start, event.end) if event is not None and told else (clip.start, clip.end)
    row: dict[str, Any] = {"how": path.time, "start": span[0] / 1000, "end": span[1] / 1000}
    return {**row, "event": event.event} if event and told else row


class _Evidence:
    """Looks up where the steps of a unit's paths are visible in the video."""

    def __init__(self, unit: t.Qras) -> None:
        self.frames = unit.keyframes
        self.objects = {o.id: o for o in unit.objects}
        self.held: dict[str, list[str]] = {c.id: [k.id for k in c.keyframes] for c in unit.clips}
        self.edges: dict[tuple[str, ...], t.Element] = {}
        self.denied: dict[tuple[str, ...], t.Element] = {}
        for kind in ELEMENTS.values():
            for edge in getattr(unit, kind.field):
                self.edges[kind.name, *kind.keys(edge)] = edge
            for edge in unit.denied:
                if kind.element is not None and isinstance(edge, kind.element):
                    self.denied[kind.name, *kind.keys(edge)] = edge

    def edge(self, step: t.Step) -> list[t.Element]:
        """Return the elements that a step rests on; for a step between events, both events."""
        return EDGES[step.edge].elements(step, self.denied if step.denied else self.edges)

    def of(self, step: t.Step) -> Iterator[dict[str, Any]]:
        """Yield clip, time in seconds, keyframes and nodes of a step; for a reference, both clips."""
        ends = [i for i in (step.near, step.far) if "/" in i]
        for edge in self.edge(step):
            if isinstance(edge, t.Reference):
                for end in ends if step.way == "=>" else ends[::-1]:
                    yield self._seen(list(self.objects[end].frames), [end])
            elif isinstance(edge, t.Event):
                yield self._seen(self.held[edge.clip], ends, (edge.start, edge.end))
            elif isinstance(edge, t.Motion):
                frames = [f for i in ends for f in self.objects[i].frames]
                yield self._seen(frames, ends, (edge.start, edge.end))
            elif isinstance(edge, t.Attribute | t.Relation):
                yield self._seen(list(edge.frames), ends)

    def _seen(
        self, frames: list[str], nodes: list[str], span: tuple[int, int] | None = None
    ) -> dict[str, Any]:
        """Build one piece of evidence; without a span, it lasts from the first keyframe to the last."""
        times = {f: self.frames[f].at for f in frames}
        start, end = span or (min(times.values()), max(times.values()))
        return {
            "clip": t.clip_of(frames[0]),
            "start": start / 1000,
            "end": end / 1000,
            "keyframes": [{"id": f, "at": at / 1000} for f, at in times.items()],
            "nodes": nodes,
        }

    def asks(self, path: t.Path) -> list[str]:
        """Return the keys of the model calls that produced the path's edges."""
        steps = (*path.steps, *path.also)
        keys = (k for s in steps for e in self.edge(s) for k in e.origin.asks)
        return list(dict.fromkeys(keys))
