"""Dataset formats: convert each sample to the records of a file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import orjson

from stepc.dataset.parquet import NUMBER, TEXT, WHOLE, YES, Features, many
from stepc.edges import EDGES, ELEMENTS
from stepc.ir import types as t
from stepc.ir.graph import entities, identities_only, numbered
from stepc.ir.spans import join_spans, moments
from stepc.ir.text import query_text
from stepc.plugins import Plugin, Registry
from stepc.runtime.names import Name

if TYPE_CHECKING:
    from stepc.model.templates import Templates


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

    Messages follow the format of `transformers` chat templates. The instruction, that of the templates
    `answer` and `rationale`, tells which of the two is asked for; a rationale ends with the answer.
    """
    from stepc.model.requests import Ask, Explain

    templates, made = _templates(), []
    for s in unit.samples:
        asks: list[Ask | Explain] = [
            kind(frames=(), question=s.question, options=tuple(x for _, x in _lettered(s)))
            for kind in (Ask, Explain)
        ]
        answer = next((f"{a}. {x}" for a, x in _lettered(s) if x == s.answer), s.answer)
        told = " ".join([*(b.text for b in s.rationale), f"Answer: {answer}"])
        made.append(
            [
                {
                    "id": f"{unit.name}/{s.id}/{task}",
                    "task": task,
                    "set": "",
                    "messages": [
                        {"role": "user", "content": [
                            {"type": "video", "video": unit.video.file},
                            {"type": "text", "text": templates.render(ask)},
                        ]},
                        {"role": "assistant", "content": [{"type": "text", "text": reply}]},
                    ],
                }
                for ask, (task, reply) in zip(
                    asks, (("answer", answer), ("rationale", told)), strict=True
                )
            ]
        )  # fmt: skip
    return made


@functools.cache
def _templates() -> Templates:
    from stepc.model.templates import Templates

    return Templates("default")


def grounded(
    unit: t.Qras, model: str, spec: str, thousandths: bool = False
) -> list[list[dict[str, Any]]]:
    """Convert each sample to a row whose rationale names boxes and times: the format `open-o3`.

    The tags are those of Open-o3 Video: `<obj>dog</obj><box>[64,72,192,216]</box>at<t>1.3</t>s`, with edges
    in pixels of the displayed video, or in `thousandths` of it as Qwen3-VL and InternVL write them. The
    columns `answers`, `steps`, `boxes` and `spans` are those that the rewards of `stepc.grading` take.
    """
    paths = {p.id: p for p in unit.paths}
    seen, identity = _Evidence(unit), identities_only(unit)
    size = unit.video.width, unit.video.height
    scale = (1000, 1000) if thousandths else size
    made = []
    for s in unit.samples:
        steps, scope = numbered(paths[s.path], identity), s.query[0]
        where = [[w for n, step in steps if n == i for w in seen.of(step, scope)]
                 for i in range(1, len(s.rationale) + 1)]  # fmt: skip
        boxes = [[_scaled(b, scale) for w in there for b in w.get("boxes", ())] for there in where]
        told = [
            " ".join([b.text, *dict.fromkeys(map(_tags, places))])
            for b, places in zip(s.rationale, boxes, strict=True)
        ]
        asked = "\n".join([s.question, *(f"{a}. {x}" for a, x in _lettered(s))])
        answer = next((f"{a}. {x}" for a, x in _lettered(s) if x == s.answer), s.answer)
        made.append([{
            "id": f"{unit.name}/{s.id}",
            "video": unit.video.file,
            "set": "",
            "image_size": [*size],
            "prompt": [{"role": "user", "content": asked}],
            "reply": f"<think>{' '.join(told)}</think><answer>{answer}</answer>",
            "answers": [s.answer, *s.also],
            "steps": [b.text for b in s.rationale],
            "spans": [[w["start"], w["end"]] for there in where for w in there],
            "boxes": [b for places in boxes for b in places],
        }])  # fmt: skip
    return made


def _scaled(b: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """A box of the evidence in a picture of this width and height."""
    edges = (round(e * size[i % 2] / 1000) for i, e in enumerate(b["box"]))
    return {"label": b["label"], "at": b["at"], "box": [*edges]}


def _tags(b: dict[str, Any]) -> str:
    edges = ",".join(map(str, b["box"]))
    return f"<obj>{b['label']}</obj><box>[{edges}]</box>at<t>{b['at']:g}</t>s"


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
    taken = {
        "manifest.json",
        "qra.jsonl",
        "chat.jsonl",
        "open-o3.jsonl",
        "open-o3-1000.jsonl",
        "qra",
        "units",
        "crashes",
    }
    return f"its file, {file!r}, belongs to stepc" if file in taken else ""


class _Formats(Registry[Format]):
    def _concerns(self, plugin: Plugin) -> bool:
        return plugin.is_of(Format)


FORMATS = _Formats(
    "stepc.formats",
    lambda: {
        "jsonl": lambda: Format("qra.jsonl", records),
        "chat": lambda: Format("chat.jsonl", chats),
        "open-o3": lambda: Format("open-o3.jsonl", grounded),
        "open-o3-1000": lambda: Format("open-o3-1000.jsonl", partial(grounded, thousandths=True)),
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
                   "keyframes": many({"id": TEXT, "at": NUMBER}), "nodes": many(TEXT),
                   "boxes": many({"node": TEXT, "label": TEXT, "at": NUMBER, "box": many(WHOLE),
                                  "score": NUMBER, "track": WHOLE})}  # fmt: skip

COLUMNS: Features = {
    **dict.fromkeys(("id", "video", "sha256", "question", "answer"), TEXT),
    "rationale": many(_STEP),
    "steps": WHOLE,
    **dict.fromkeys(("type", "form", "asks_for"), TEXT),
    "time": {"how": TEXT, "start": NUMBER, "end": NUMBER, "event": TEXT},
    "query": TEXT,
    "evidence": many(_SEEN),
    "demand": {"clips": WHOLE, "keyframes": WHOLE, "seconds": NUMBER},
    "options": many(TEXT),
    "ambiguous": YES,
    "answers": many(TEXT),
    "set": TEXT,
    "blind": {"score": NUMBER, "right": YES},
    "pair": TEXT,
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
            for where in seen.of(step, path.query[0])
        ],
    }
    row["demand"] = _demand(row["evidence"])
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
    if isinstance(path.query[0], t.Moment):
        span = path.query[0].at, path.query[0].at
    row: dict[str, Any] = {"how": path.time, "start": span[0] / 1000, "end": span[1] / 1000}
    return {**row, "event": event.event} if event and told else row


def _demand(evidence: list[dict[str, Any]]) -> dict[str, Any]:
    """In how many different clips and keyframes the evidence is seen, and in how many seconds in all."""
    spans = join_spans((round(1000 * e["start"]), round(1000 * e["end"])) for e in evidence)
    return {
        "clips": len({e["clip"] for e in evidence}),
        "keyframes": len({k["id"] for e in evidence for k in e["keyframes"]}),
        "seconds": sum(end - start for start, end in spans) / 1000,
    }


class _Evidence:
    """Looks up where the steps of a unit's paths are visible in the video."""

    def __init__(self, unit: t.Qras) -> None:
        self.frames = unit.keyframes
        self.moments = moments(unit)
        self.objects = {o.id: o for o in unit.objects}
        self.held: dict[str, list[str]] = {c.id: [k.id for k in c.keyframes] for c in unit.clips}
        self.boxes = {(b.owner, b.frame): b for b in unit.boxes}
        self.edges: dict[tuple[str, ...], t.Element] = {}
        self.denied: dict[tuple[str, ...], t.Element] = {}
        self.edges |= {("object", o.id): o for o in unit.objects}
        self.alike: dict[int, list[t.Object]] = {}
        """Entity → its objects."""
        self.entity = entities(unit)
        for o in unit.objects:
            self.alike.setdefault(self.entity[o.id], []).append(o)
        for kind in ELEMENTS.values():
            for edge in getattr(unit, kind.field):
                self.edges[kind.name, *kind.keys(edge)] = edge
            for edge in unit.denied:
                if kind.element is not None and isinstance(edge, kind.element):
                    self.denied[kind.name, *kind.keys(edge)] = edge

    def edge(self, step: t.Step) -> list[t.Element]:
        """Return the elements that a step rests on; for a step between events, both events."""
        return EDGES[step.edge].elements(step, self.denied if step.denied else self.edges)

    def of(self, step: t.Step, scope: t.Op | None = None) -> Iterator[dict[str, Any]]:
        """Yield clip, time in seconds, keyframes and nodes of a step; for a reference, both clips.

        Of a step that a question at one moment is about, only the keyframe of the scope.
        """
        for where in self._everywhere(step):
            if isinstance(scope, t.Moment):
                shown = {
                    k["id"] for k in where["keyframes"] if self.moments.get(k["id"]) == scope.at
                }
                where["keyframes"] = [k for k in where["keyframes"] if k["id"] in shown]
                times = [k["at"] for k in where["keyframes"]] or [scope.at / 1000]
                where |= {"start": min(times), "end": max(times)}
                if "boxes" in where:
                    where["boxes"] = [b for b in where["boxes"] if b["at"] in times]
            yield where

    def _everywhere(self, step: t.Step) -> Iterator[dict[str, Any]]:
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
            elif isinstance(edge, t.Relation):
                yield self._seen(list(edge.frames), ends, edge.during)
            elif isinstance(edge, t.Attribute):
                yield self._seen(list(edge.frames), ends)
            elif isinstance(edge, t.Object):
                same = self.alike[self.entity[edge.id]]
                yield self._seen([f for o in same for f in o.frames], [o.id for o in same])

    def _seen(
        self, frames: list[str], nodes: list[str], span: tuple[int, int] | None = None
    ) -> dict[str, Any]:
        """Build one piece of evidence; without a span, it lasts from the first keyframe to the last."""
        times = {f: self.frames[f].at for f in frames}
        start, end = span or (min(times.values()), max(times.values()))
        row: dict[str, Any] = {
            "clip": t.clip_of(frames[0]),
            "start": start / 1000,
            "end": end / 1000,
            "keyframes": [{"id": f, "at": at / 1000} for f, at in times.items()],
            "nodes": nodes,
        }
        if self.boxes:
            row["boxes"] = [
                self._box(self.boxes[n, f]) for f in times for n in nodes if (n, f) in self.boxes
            ]
        return row

    def _box(self, b: t.Box) -> dict[str, Any]:
        """A box as evidence: the edges in thousandths of the picture, and where and when it is."""
        row: dict[str, Any] = {
            "node": b.owner,
            "label": self.objects[b.owner].label,
            "at": self.frames[b.frame].at / 1000,
            "box": [b.left, b.top, b.right, b.bottom],
            "score": b.score / 1000,
        }
        return row if b.track is None else {**row, "track": b.track}

    def asks(self, path: t.Path) -> list[str]:
        """Return the keys of the model calls that produced the path's edges."""
        steps = (*path.steps, *path.also)
        keys = (k for s in steps for e in self.edge(s) for k in e.origin.asks)
        return list(dict.fromkeys(keys))
