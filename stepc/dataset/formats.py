"""Dataset formats: convert each sample to the records of a file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import orjson

from stepc.dataset.facts import StepFacts
from stepc.dataset.parquet import NUMBER, TEXT, WHOLE, YES, Features, many
from stepc.ir import types as t
from stepc.ir.sightings import FactSighting, Sightings
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
    kept = _Records(unit)
    made = []
    for s in unit.samples:
        row = _record(unit, paths[s.path], s, kept)
        row["set"] = ""
        row["origin"] = {
            "unit": unit.name,
            "path": s.path,
            "block": paths[s.path].block,
            "wording": s.wording,
            "spec": spec,
            "model": model,
            "asks": kept.asks(paths[s.path]),
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
    kept = _Records(unit)
    size = unit.video.width, unit.video.height
    scale = (1000, 1000) if thousandths else size
    made = []
    for s in unit.samples:
        evidence = kept.evidence(paths[s.path])
        where = [[e for e in evidence if e["step"] == i + 1] for i in range(len(s.rationale))]
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
    "facts": many({"step": WHOLE, "true": YES, "denied": YES,
                   **dict.fromkeys(("subject", "relation", "inverse", "object", "answer"), many(TEXT))}),
    "demand": {"clips": WHOLE, "keyframes": WHOLE, "seconds": NUMBER},
    "options": many(TEXT),
    "ambiguous": YES,
    "answers": many(TEXT),
    "set": TEXT,
    "wrong_steps": many({"step": WHOLE,
                         **dict.fromkeys(("what", "text", "answer", "instead"), TEXT)}),
    "probes": many({"shown": TEXT, "right": WHOLE, "asked": WHOLE}),
    "blind": {"score": NUMBER, "right": YES},
    "pair": TEXT,
    "origin": {**dict.fromkeys(("unit", "path", "block", "wording", "spec", "model"), TEXT),
               "asks": many(TEXT)},
}  # fmt: skip
"""The columns of a record and their types."""


def _lettered(s: t.Sample) -> list[tuple[str, str]]:
    """Return the options of a multiple-choice question with their letters."""
    return list(zip(ascii_uppercase, s.options, strict=False)) if s.form == "choice" else []


def _record(unit: t.Qras, path: t.Path, s: t.Sample, kept: _Records) -> dict[str, Any]:
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
        "evidence": kept.evidence(path),
    }
    row["facts"] = list(kept.facts.of(path, s))
    clips, keyframes, millis = kept.seen.demand(path)
    row["demand"] = {"clips": clips, "keyframes": keyframes, "seconds": millis / 1000}
    if s.wrong:
        row["wrong_steps"] = [w.model_dump() for w in s.wrong]
    if s.probes:
        row["probes"] = [p.model_dump() for p in s.probes]
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


class _Records:
    """Writes the evidence of a unit's paths as records have it: times in seconds, boxes, model calls."""

    def __init__(self, unit: t.Qras) -> None:
        self.seen = Sightings(unit)
        self.facts = StepFacts(unit, self.seen)
        self.boxes = {(b.owner, b.frame): b for b in unit.boxes}

    def evidence(self, path: t.Path) -> list[dict[str, Any]]:
        """Where the facts of a path are seen: step, clip, time, keyframes, nodes and boxes."""
        return [{"step": number, **self._row(seen)} for number, seen in self.seen.of_path(path)]

    def _row(self, seen: FactSighting) -> dict[str, Any]:
        row: dict[str, Any] = {
            "clip": seen.clip,
            "start": seen.start / 1000,
            "end": seen.end / 1000,
            "keyframes": [{"id": f, "at": self.seen.at[f] / 1000} for f in seen.frames],
            "nodes": [*seen.nodes],
        }
        if self.boxes:
            both = ((n, f) for f in seen.frames for n in seen.nodes)
            row["boxes"] = [self._box(self.boxes[key]) for key in both if key in self.boxes]
        return row

    def _box(self, b: t.Box) -> dict[str, Any]:
        """A box as evidence: the edges in thousandths of the picture, and where and when it is."""
        row: dict[str, Any] = {
            "node": b.owner,
            "label": self.seen.objects[b.owner].label,
            "at": self.seen.at[b.frame] / 1000,
            "box": [b.left, b.top, b.right, b.bottom],
            "score": b.score / 1000,
        }
        return row if b.track is None else {**row, "track": b.track}

    def asks(self, path: t.Path) -> list[str]:
        """The keys of the model calls that produced the path's edges."""
        steps = (*path.steps, *path.also)
        keys = (k for s in steps for e in self.seen.facts(s) for k in e.origin.asks)
        return list(dict.fromkeys(keys))
