"""The result of a benchmark run, one record per question, and its files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import TypeAdapter

from stepc.diagnostics import Place, fail, printable
from stepc.eval.benchmarks import BENCHMARKS
from stepc.runtime.atomic_files import read_regular, write_whole

HOWS: tuple[Literal["direct", "reasoned"], ...] = ("direct", "reasoned")
"""The two ways of prompting a model."""


@dataclass(frozen=True)
class EvalSettings:
    """How a benchmark is run; stored in the result."""

    benchmark: str
    how: Literal["direct", "reasoned"] = "direct"
    """The instruction to the model: answer directly, or give the rationale first."""
    frames: int = 8
    """Frames per question."""
    video: bool = False
    """Whether to pass the frames as a video to models that accept one."""
    limit: int = 0
    """Ask only the first `limit` questions; 0 asks all."""
    seed: int = 0
    blank: bool = True
    """Whether each question is also asked about blank pictures, which tells what needs no video."""


@dataclass
class Record:
    """One question, the model's reply and its grades."""

    id: str
    video: str
    question: str
    answer: str
    rule: str
    steps: int = 0
    groups: list[tuple[str, str]] = field(default_factory=list)
    reply: str = ""
    """The model's answer, without the rationale."""
    rationale: str = ""
    right: bool | None = None
    """Grade by the sound rule; None if the reply or its judgement cannot be parsed."""
    official: bool | None = None
    """Grade by the benchmark's own rule; None if that rule gives none."""
    score: float | None = None
    """The judge's score: 0 to 5, or 2 to 10 for a long reply."""
    exact: bool | None = None
    """Exact match of the words, independent of the judge; open-ended questions only."""
    second: bool | None = None
    """Verdict of the second judge."""
    steps_right: int | None = None
    """Number of ground-truth steps that the model's rationale states: by meaning if the benchmark has facts,
    otherwise whole sentences in order."""
    steps_wrong: int | None = None
    """Number of steps that it gets wrong; None if the benchmark has no facts."""
    judge: str = ""
    """Identity of the judge; empty if there is no judgement."""
    blank_reply: str = ""
    """The model's answer to blank pictures."""
    blank: bool | None = None
    """Grade of that answer, as of `right`; None if it was not asked for."""
    blank_judge: str = ""
    """Identity of the judge of that answer, where one is needed."""
    text: bool | None = None
    """Whether a classifier guesses the answer from text; None if there are too few questions."""
    majority: bool | None = None
    """Whether the commonest answer to such questions is right."""
    pair: str = ""
    """The question with the same words and another answer, if there is one."""


_MISSING: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, int])


_RECORD: TypeAdapter[Record] = TypeAdapter(Record)


@dataclass
class EvalResult:
    """All records of a run, and the questions that could not be asked."""

    settings: EvalSettings
    model: str
    records: list[Record]
    missing: dict[str, int] = field(default_factory=dict)
    """Number of questions skipped because their record or video is unusable: the total under `all`, and
    per group (`steps 2`) if the record is readable."""
    judge: str = ""
    second: str = ""
    unanswered: bool = False
    """Whether no reply to some kind of request could be used (M011)."""


def read_records(out: Path) -> list[Record]:
    """Read the records of a result. Incomplete lines are ignored; the last record per question counts."""
    file = out / "records.jsonl"
    records: dict[str, Record] = {}
    for line in read_regular(file).splitlines() if file.exists() else ():
        try:
            record = _RECORD.validate_python(orjson.loads(line))
        except ValueError:  # truncated line of an interrupted run
            continue
        records[record.id] = record
    return list(records.values())


def write_records(out: Path, result: EvalResult, records: Sequence[Record]) -> None:
    """Write all records in benchmark order as JSON lines and, if pyarrow is installed, also as Parquet."""
    rows = [asdict(record) for record in records]
    write_whole(out / "records.jsonl", b"".join(orjson.dumps(row) + b"\n" for row in rows))
    told = orjson.loads(read_regular(out / "run.json"))
    told |= {
        "missing": result.missing,
        "judge": result.judge or told.get("judge", ""),
        "second": result.second or told.get("second", ""),
    }
    write_whole(out / "run.json", orjson.dumps(told, option=orjson.OPT_INDENT_2))
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return
    flat = [{**row, "groups": [{"name": n, "value": v} for n, v in row["groups"]]} for row in rows]
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(flat), file)
    write_whole(out / "records.parquet", file.getvalue())


def load_result(out: Path) -> EvalResult:
    """Load a result from its folder. Raises StepcError (E005) if it is not an evaluation result."""
    try:
        told: dict[str, Any] = orjson.loads(read_regular(out / "run.json"))
        if told["benchmark"] not in BENCHMARKS:
            raise ValueError(f"unknown benchmark `{printable(str(told['benchmark']))[:40]}`")
        missing = _MISSING.validate_python(told.get("missing") or {})
        settings = EvalSettings(
            told["benchmark"], told["how"], told["frames"], told["video"], 0, told["seed"]
        )
        records = read_records(out)
        if not records:
            raise ValueError("no records")
    except (OSError, ValueError, KeyError, TypeError) as error:
        shown = Place(printable(str(out)))
        help = "create one with `stepc eval BENCHMARK … -o RESULT`"
        raise fail("E005", f"not an evaluation result folder: {error}", shown, help) from None
    return EvalResult(settings, str(told.get("model", "")), records, missing, str(told.get("judge", "")),
                  str(told.get("second", "")))  # fmt: skip
