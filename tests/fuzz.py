"""Fuzzing campaigns: whatever the input, an answer or a diagnostic, and never a traceback or a hang.

    python tests/fuzz.py [--seconds 60] [--inputs N] [--seed 0] [--keep FOLDER] [TARGET …]

Each target draws inputs from golden files, mutates them, and hands them to the functions that read
them. Anything but a StepcError or a stated ValueError is a finding; so is an input that takes more than
10 seconds of CPU time, a unit whose text cannot be read back, and a file written outside its folder. Findings are
written to FOLDER. The same seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import drawn
import orjson
from pygls.workspace import TextDocument

from stepc.dataset.read import read_samples
from stepc.diagnostics import StepcError
from stepc.eval.records import load_result
from stepc.grading.reward import answered, reasoned
from stepc.grading.rules import chosen
from stepc.ir import types as t
from stepc.ir.text import read, write
from stepc.ir.types import from_json
from stepc.ir.verify import verify
from stepc.lang import lsp as language
from stepc.lang.format import format_spec
from stepc.lang.outline import here
from stepc.lang.parse import builtin, shipped
from stepc.lang.resolve import read_spec
from stepc.model.cassette import Cassette
from stepc.model.reply import ModelReply, boxed, last_json, parted
from stepc.model.requests import REQUESTS, Several
from stepc.model.server_features import Refusal
from stepc.model.server_response import BadResponse, parse_body, replies_of, tokens_of
from stepc.model.templates import Templates
from stepc.passmanager.base import Tools
from stepc.passmanager.registry import pass_type
from stepc.passmanager.run import run
from stepc.store.sqlite import Database
from stepc.video.decode import Pictures, decoded_frames
from stepc.video.probe import probe

HERE = Path(__file__).parent.parent
SLOW = 10
"""Seconds of CPU time that one input may take."""
ODD = [
    None, True, False, 0, -1, 1, 7, 10**9, 10**12, 10**25, 0.5, -0.0, "", " ", "\u00a0", "x", "\x00", "\n", "a\nb",
    "../x", "/tmp/x", "a/b", "<image>", "<|im_end|>", "\u202e", "ねこ", "x" * 3000, [], {}, [[]], [None], {"": 1},
    "inf", "NaN", "c0", "c0.k0", "c0.k0/cup", "{x}", '"', ";",
]  # fmt: skip
"""Values that are put in the place of others."""


def dumps(data: Any) -> bytes:
    """JSON with integers of any size, which some writers make."""
    return json.dumps(data).encode()


class Slow(Exception):
    """An input took too long."""


def _golden(*endings: str) -> list[str]:
    files = [p for e in endings for p in sorted((HERE / "golden").rglob(f"*{e}"))]
    texts = [p.read_text("utf-8", "replace") for p in files]
    cases = [p.read_text("utf-8") for p in sorted((HERE / "golden").rglob("*.case"))]
    parts = [part for case in cases for part in re.split(r"^--- .*\n", case, flags=re.MULTILINE)]
    heads = tuple(f"{e.removeprefix('.')} 1 " for e in endings)
    return texts + [part for part in parts if part.startswith(heads)]


GRAPHS = _golden(".clips", ".fsg", ".tsg", ".stsg", ".paths", ".qra")
SPECS = [builtin(name) for name in shipped()] + [drawn.EVERYTHING]
TOKEN = re.compile(r"\"(?:\\.|[^\"\\])*\"|[\w.]+|\s+|.", re.DOTALL)


def mutated_text(rng: random.Random, texts: list[str]) -> str:
    """A text with characters, words or lines changed, removed, doubled, or taken from another."""
    text = rng.choice(texts)
    for _ in range(rng.choice([1, 1, 2, 4, 9])):
        kind = rng.random()
        if kind < 0.3:
            at, size = rng.randrange(len(text) + 1), rng.choice([0, 1, 1, 5])
            put = rng.choice(
                ['"', ";", "\n", "{", "}", "\x00", "|", "->", "0", "é", "\U0001f600", ""]
            )
            text = text[:at] + put + text[at + size :]
        elif kind < 0.65:
            words = TOKEN.findall(text)
            if words:
                at = rng.randrange(len(words))
                words[at : at + rng.choice([0, 1, 1])] = [rng.choice(words)] * rng.choice(
                    [0, 1, 1, 2]
                )
                text = "".join(words)
        else:
            lines, others = text.split("\n"), rng.choice(texts).split("\n")
            at = rng.randrange(len(lines))
            lines[at : at + rng.choice([0, 1])] = [rng.choice(others if kind > 0.85 else lines)]
            text = "\n".join(lines)
    return text[:20_000]


def mutated_data(rng: random.Random, data: Any) -> Any:
    """JSON-compatible data in which a few values are others."""
    data = json.loads(dumps(data))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places: list[tuple[Any, Any]] = []
        left = [data]
        while left:
            each = left.pop()
            keys = (
                list(each)
                if isinstance(each, dict)
                else range(len(each))
                if isinstance(each, list)
                else ()
            )
            for key in keys:
                places.append((each, key))
                if isinstance(each[key], dict | list):
                    left.append(each[key])
        if not places:
            return rng.choice(ODD)
        holder, key = rng.choice(places)
        other_holder, other = rng.choice(places)
        value = rng.choice(
            [rng.choice(ODD), other_holder[other], json.loads(dumps(other_holder[other]))]
        )
        if rng.random() < 0.15 and isinstance(holder, dict):
            del holder[key]
        elif not (isinstance(value, dict | list) and _holds(value, holder)):
            holder[key] = value
    return data


def _holds(value: Any, holder: Any) -> bool:
    left = [value]
    while left:
        each = left.pop()
        if each is holder:
            return True
        left += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
    return False


def mutated_bytes(rng: random.Random, data: bytes) -> bytes:
    """Bytes changed, cut, or repeated."""
    made = bytearray(data)
    for _ in range(rng.choice([1, 3, 10, 40])):
        at = rng.randrange(len(made) + 1)
        match rng.randrange(4):
            case 0:
                made[at : at + 1] = rng.randbytes(1)
            case 1:
                made[at : at + rng.randrange(1, 64)] = rng.randbytes(rng.randrange(16))
            case 2:
                made = made[: max(1, at)] if rng.random() < 0.3 else made
            case _:
                made[at:at] = made[at : at + rng.randrange(1, 200)]
    return bytes(made)


# --- targets ---------------------------------------------------------------------------------


def whole(unit: t.Unit, rng: random.Random) -> bool:
    """Check that what verifies is read back, in both forms, and crashes no pass. Returns whether it verifies."""
    if verify(unit):
        return False
    text = write(unit)
    assert write(read(text, "again").unit) == text, "the text form reads back as something else"
    assert from_json(unit.to_json()) == unit, "the JSON form reads back as something else"
    if rng.random() < 0.1:
        spec = read_spec(builtin(rng.choice(list(shipped()))), "spec.step")
        tools = Tools(Pictures(), spec=spec, seed=rng.randrange(9))
        names = {
            t.Stsg: ["sample", "compose", "check"],
            t.Paths: ["compose", "check"],
            t.Qras: ["check"],
        }
        passes = [pass_type(name)() for name in names.get(type(unit), [])]
        for done in run(passes, unit, tools) if passes else ():  # type: ignore[arg-type]
            unit = done.unit
            assert write(read(write(unit), "made").unit) == write(unit)
    return True


def ir_text(rng: random.Random, folder: Path) -> bool:
    return whole(read(mutated_text(rng, GRAPHS), "fuzz").unit, rng)


def ir_json(rng: random.Random, folder: Path) -> bool:
    data = mutated_data(rng, orjson.loads(read(rng.choice(GRAPHS), "golden").unit.to_json()))
    try:
        unit = from_json(dumps(data))
    except (ValueError, TypeError):
        return False
    return whole(unit, rng)


def units(rng: random.Random, folder: Path) -> bool:
    """Valid graphs with odd words through the passes."""
    unit = drawn.graph(rng)
    words = [
        "<image>",
        "a\u00a0b",
        "{x}",
        "the the",
        "is on the",
        "\u202e",
        "glasses",
        "A",
        "0",
        '"',
        "none",
        "<|x|>",
    ]
    objects = tuple(
        o.model_copy(update={"label": rng.choice(words)}) if rng.random() < 0.2 else o
        for o in unit.objects
    )
    unit = unit.evolve(objects=objects)
    return whole(drawn.boxed(unit, rng) if rng.random() < 0.3 else unit, rng)


def spec(rng: random.Random, folder: Path) -> bool:
    text = mutated_text(rng, SPECS)
    try:
        made = format_spec(text)
        assert format_spec(made) == made, "formatting twice differs"
    except StepcError:
        made = ""
    if rng.random() < 0.3:
        document = TextDocument("file:///a.step", text)
        for _ in range(4):
            line = rng.randrange(text.count("\n") + 3)
            at = language._at(document, language.lsp.Position(line, rng.randrange(200)))
            place = here(text, at)
            language._words(place, text, at)
            found = language._symbol(place, text, at)
            if found:
                language._range(document, found.declared.start, found.declared.end)
    read_spec(text, "fuzz.step")
    return True


PIECES = [
    "{", "}", "[", "]", '"', "'", ",", ":", "\\", "\n", " ", "```json\n", "```", "<think>", "</think>", "<answer>",
    "</answer>", "<|im_end|>", "<|channel|>", "final", "<|message|>", "yes", "no", "true", "None", "1", "2.", "- ",
    '"yes"', '"objects"', '"kind"', '"static"', "dynamic", '"attributes"', '"predicates"', "left of", "the", "...",
    '"motion"', '"event"', "walking", "I cannot", "n/a", "|", ";", "Answer:", r"\boxed{", "\ud83d", "\x00", "“", "”",
    "//", "#", "1e400", "-3", "A.", "(B)",
]  # fmt: skip


def reply(rng: random.Random, folder: Path) -> bool:
    kind = rng.choice(list(REQUESTS.values()))
    request = _REQUESTS[kind.name]
    text = "".join(rng.choice(PIECES) for _ in range(rng.choice([1, 5, 20, 60])))
    if rng.random() < 0.3:
        text = mutated_text(rng, _REPLIES)
    asked = rng.choice([request, Several(frames=(), items=(request, request))])
    if kind.listed == 1:
        asked = request
    for templates in _SETS:
        reading = templates.reading(
            asked, ModelReply(text, finish=rng.choice(["stop", "length"])), "x"
        )
        assert (reading.answer is None) == bool(reading.why)
    parted(text), boxed(text), answered([text], [["cup"]]), reasoned([text], [["The cup is red."]])
    chosen(text, ("a cup", "red", "B"))
    try:
        last_json(text)
    except ValueError:
        return False
    return True


BODY = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "{}", "refusal": None,
                     "tool_calls": [{"function": {"arguments": "{}"}}], "reasoning_content": "x"},
                     "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}  # fmt: skip
ERROR = {"error": {"message": "no", "param": "n", "code": "x", "type": "y"},
         "detail": [{"loc": ["body", "seed"], "msg": "no"}]}  # fmt: skip


def response(rng: random.Random, folder: Path) -> bool:
    data = (
        mutated_bytes(rng, orjson.dumps(BODY))
        if rng.random() < 0.3
        else dumps(mutated_data(rng, BODY))
    )
    error = mutated_data(rng, ERROR)
    assert isinstance(Refusal.read(400, error).meaning, str)
    try:
        body = parse_body(data)
        tokens_of(body)
        for made in replies_of(body):
            assert ModelReply.load(made.stored()) == made
            orjson.dumps(made.stored())
    except BadResponse:
        return False
    return True


ROW = {"id": "a/q0", "video": "a.mp4", "sha256": "0" * 64, "question": "What?", "answer": "red", "options": ["red", "b"],
       "rationale": [{"question": "q", "answer": "a", "text": "It is red."}], "answers": ["red"], "steps": 1,
       "query": "x", "set": "train"}  # fmt: skip
CALLS = [
    {"model": "m", "templates": "compact", "together": {"a": 1}},
    {
        "key": "0" * 12,
        "request": "narrate",
        "text": "t",
        "frames": [["f", 1]],
        "replies": ["a", {"text": "b"}],
    },
]
RESULT = {
    "benchmark": "agqa",
    "how": "direct",
    "frames": 4,
    "video": False,
    "seed": 0,
    "model": "m",
    "missing": {"all": 1},
}
RECORD = {
    "id": "1",
    "video": "v",
    "question": "q",
    "answer": "a",
    "rule": "match",
    "groups": [["a", "b"]],
    "steps": 1,
}


def own_files(rng: random.Random, folder: Path) -> bool:
    """Datasets, cassettes, results and stores."""
    match rng.randrange(4):
        case 0:
            lines = [dumps(mutated_data(rng, ROW)), orjson.dumps(ROW)]
            (folder / "qra.jsonl").write_bytes(
                mutated_bytes(rng, b"\n".join(lines)) if rng.random() < 0.2 else b"\n".join(lines)
            )
            samples, _ = read_samples(folder)
            for sample in samples:
                sample.set.below(folder / "x", ".json").relative_to(folder / "x")
                assert isinstance(sample.reply + sample.told, str)
        case 1:
            data = b"\n".join(dumps(mutated_data(rng, row)) for row in CALLS)
            (folder / "c.jsonl").write_bytes(
                mutated_bytes(rng, data) if rng.random() < 0.2 else data
            )
            Cassette(folder / "c.jsonl")
        case 2:
            (folder / "run.json").write_bytes(dumps(mutated_data(rng, RESULT)))
            (folder / "records.jsonl").write_bytes(dumps(mutated_data(rng, RECORD)))
            load_result(folder)
        case _:
            path = folder / "store-1.sqlite"
            path.write_bytes(mutated_bytes(rng, _store()))
            store = Database(folder)
            store.stats(), store.verify(), store.collect(100)
            store.put(b"n" * 32, "call", b"x", {})
            store.close()
    return True


def _store() -> bytes:
    if not _STORES:
        with tempfile.TemporaryDirectory() as place:
            store = Database(Path(place))
            for i in range(40):
                store.put(bytes([i]) * 32, "call", b"content" * i, {"a": i})
            store.close()
            with sqlite3.connect(Path(place) / "store-1.sqlite") as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            _STORES.append((Path(place) / "store-1.sqlite").read_bytes())
    return _STORES[0]


BENCHES: dict[str, tuple[str, Any]] = {
    "msvd-qa": ("test_qa.json", [{"id": 1, "video_id": 1, "question": "who?", "answer": "man"}] * 2),
    "mvbench": ("json/action_sequence.json", [{"video": "a.mp4", "question": "q", "candidates": ["a", "b"], "answer": "a",
                                               "start": 1.0, "end": 2.0}] * 2),
    "moviechat": ("film.json", {"info": {"video_path": "a.mp4", "fps": 25}, "global": [{"question": "q", "answer": "a"}],
                                "breakpoint": [{"question": "q", "answer": "a", "time": 50}]}),
    "tempcompass": ("questions/yes_no.json", {"1": {"action": [{"question": "q", "answer": "yes"}]}}),
    "star": ("STAR_val.json", [{"question_id": "Interaction_T1_1", "question": "q", "video_id": "a", "answer": "x",
                                "choices": [{"choice": "x"}], "start": 0, "end": 1}]),
    "agqa": ("test_balanced.txt", {"1": {"question": "q", "answer": "a", "video_id": "v", "steps": 1}}),
}  # fmt: skip


def benchmark(rng: random.Random, folder: Path) -> bool:
    name, (file, data) = rng.choice(list(BENCHES.items()))
    path = folder / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    made = dumps(mutated_data(rng, data))
    path.write_bytes(mutated_bytes(rng, made) if rng.random() < 0.1 else made)
    from stepc.eval.run import _read

    return bool(_read(name, folder / name).items)


def video(rng: random.Random, folder: Path) -> bool:
    name, data = rng.choice(_videos())
    path = folder / name
    path.write_bytes(mutated_bytes(rng, data))
    source = probe(path, keep=rng.random() < 0.5)
    last = -1
    for frame in decoded_frames(source):
        assert frame.at > last
        last = frame.at
    return last >= 0


def _videos() -> list[tuple[str, bytes]]:
    if not _FILMS:
        from test_zoo import film

        with tempfile.TemporaryDirectory() as place:
            for ending, codec in (("mp4", "libx264"), ("mkv", "libx264"), ("ts", "libx264"), ("avi", "mpeg4"),
                                  ("webm", "libvpx"), ("flv", "flv1"), ("mov", "mjpeg"), ("h264", "libx264")):  # fmt: skip
                path = film(Path(place) / f"a.{ending}", range(8), codec=codec)
                _FILMS.append((path.name, path.read_bytes()))
    return _FILMS


_STORES: list[bytes] = []
_FILMS: list[tuple[str, bytes]] = []
_SETS = [Templates("default"), Templates("compact")]
_REPLIES = [
    '{"objects": ["cup", "table"]}', "{'yes': true}", '{"1": {"kind": "static"}, "2": {"kind": "dynamic"}}',
    '<think>x {"yes": true}</think>{"yes": false}', '{"attributes": {"color": "red", "parts": ["lid"]}}',
    '{"objects": [{"label": "cup", "kind": "static", "attributes": []}], "relations": []}',
    "circle dynamic, color red; square static | circle left of square", "1. static\n2. dynamic", "yes | no",
]  # fmt: skip


def _requests() -> dict[str, Any]:
    from stepc.model import requests as r

    cup = r.Mention(label="cup")
    fields: dict[str, dict[str, Any]] = {
        "list_objects": {"narrative": "A cup."}, "classify": {"target": cup}, "describe": {"target": cup},
        "relate": {"subject": cup, "object": cup}, "confirm": {"claim": r.ObjectClaim(target=cup)},
        "motion": {"target": cup}, "same_object": {"first": cup, "second": cup},
        "reword": {"form": "open", "question": "q", "reply": "a"},
        "smooth": {"question": "q", "steps": ("s",), "reply": "a"},
        "match_names": {"names": ("cup", "mug")}, "relate_all": {"objects": (cup, cup)},
        "locate": {"objects": (cup, r.Mention(label="dog"))}, "track": {"target": cup},
        "match_words": {"lists": (r.WordList(kind="color", words=("red", "blue")),)},
        "match_objects": {"objects": tuple(r.Sighting(frame=n, target=cup) for n in (1, 2))},
    }  # fmt: skip
    return {name: kind(frames=(), **fields.get(name, {})) for name, kind in REQUESTS.items()}


_REQUESTS = _requests()
Target = Callable[[random.Random, Path], bool]
TARGETS: dict[str, tuple[Target, float]] = {
    "ir-text": (ir_text, 0.2), "ir-json": (ir_json, 0.1), "units": (units, 0.1), "spec": (spec, 0.15),
    "reply": (reply, 0.15), "response": (response, 0.05), "own-files": (own_files, 0.1), "benchmark": (benchmark, 0.05),
    "video": (video, 0.1),
}  # fmt: skip
"""Each target, and its share of the time."""


@dataclass
class Count:
    """What came of a campaign."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    findings: list[str] = field(default_factory=list)
    slowest: float = 0.0


def campaign(
    name: str, seed: int, seconds: float, inputs: int = 0, keep: Path | None = None
) -> Count:
    """Run one target for a time, or for a number of inputs."""
    target, _ = TARGETS[name]
    count, end = Count(), time.monotonic() + seconds

    def late(*_: object) -> None:
        raise Slow(f"more than {SLOW} seconds")

    old = [signal.signal(number, late) for number in (signal.SIGPROF, signal.SIGALRM)]
    try:
        with tempfile.TemporaryDirectory() as place:
            while (count.inputs < inputs) if inputs else (time.monotonic() < end):
                rng = random.Random(f"{name}/{seed}/{count.inputs}")
                count.inputs += 1
                folder = Path(place) / "in"
                folder.mkdir(exist_ok=True)
                began = time.process_time()
                signal.setitimer(signal.ITIMER_PROF, SLOW)
                signal.alarm(6 * SLOW)  # what hangs without working
                try:
                    accepted = target(rng, folder)
                    count.accepted += accepted
                    count.refused += not accepted
                except StepcError:
                    count.refused += 1
                except Exception:  # whatever is raised is a finding
                    count.findings.append(
                        f"{name} seed {seed} input {count.inputs - 1}\n{traceback.format_exc()}"
                    )
                finally:
                    signal.setitimer(signal.ITIMER_PROF, 0)
                    signal.alarm(0)
                count.slowest = max(count.slowest, time.process_time() - began)
                outside = [p.name for p in Path(place).iterdir() if p.name != "in"]
                if outside:
                    count.findings.append(
                        f"{name} input {count.inputs - 1} wrote {outside} outside its folder"
                    )
                for file in folder.rglob("*"):
                    if file.is_file():
                        file.unlink()
    finally:
        for number, before in zip((signal.SIGPROF, signal.SIGALRM), old, strict=True):
            signal.signal(number, before)
    if keep is not None and count.findings:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{name}.txt").write_text("\n\n".join(count.findings), "utf-8", "backslashreplace")
    return count


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60.0, help="time of all targets together")
    parser.add_argument(
        "--inputs", type=int, default=0, help="inputs per target, instead of a time"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    given = parser.parse_args()
    names = given.targets or list(TARGETS)
    shares = sum(TARGETS[name][1] for name in names)
    found = 0
    print(
        f"{'target':12}{'inputs':>10}{'accepted':>10}{'refused':>10}{'findings':>10}{'slowest':>10}{'peak MB':>9}"
    )
    for name in names:
        made = campaign(
            name, given.seed, given.seconds * TARGETS[name][1] / shares, given.inputs, given.keep
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{name:12}{made.inputs:10,}{made.accepted:10,}{made.refused:10,}{len(made.findings):10}"
              f"{made.slowest:9.2f}s{peak:9}", flush=True)  # fmt: skip
        found += len(made.findings)
        for finding in made.findings[:3]:
            print(finding, file=sys.stderr)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
