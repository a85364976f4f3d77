"""Asks a model a benchmark's questions and writes one record per question.

Records are written as the run proceeds, so an interrupted run resumes. Replies that could not be judged, or
whose judgement could not be parsed, are judged again by the next run.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson
from PIL import Image, UnidentifiedImageError

from stepc import __version__
from stepc.dataset.read import spread, undecodable
from stepc.diagnostics import Diagnostic, Place, StepcError, fail, printable
from stepc.eval.benchmarks import BENCHMARKS
from stepc.eval.blind import LONG, blanked, guesses
from stepc.eval.records import EvalResult, EvalSettings, Record, read_records, write_records
from stepc.grading.items import MANY, Item, Reading, VideoIndex, kinds
from stepc.grading.judge import judged
from stepc.grading.process import verdicts
from stepc.grading.reward import held
from stepc.grading.rules import JUDGED, RULES, Grade
from stepc.ir.types import Frame
from stepc.model.client import ModelClient
from stepc.model.requests import Ask, Explain
from stepc.reporter import SILENT, Reporter
from stepc.runtime.atomic_files import claim, write_whole
from stepc.runtime.names import Name
from stepc.runtime.output_folder import locked
from stepc.video.decode import Pictures, encode
from stepc.video.probe import probe
from stepc.video.source import VideoSource

PART = 64
"""Number of questions per batch; records are written after each batch."""
RATE = 3
"""Frame rate of videos stored as folders of pictures, in fps (MVBench, Episodic Reasoning)."""


def evaluate(
    settings: EvalSettings,
    folders: Sequence[Path],
    out: Path,
    ask: Callable[[Pictures], ModelClient],
    judges: Sequence[Callable[[Pictures], ModelClient]] = (),
    *,
    reporter: Reporter = SILENT,
) -> EvalResult:
    """Ask a model all questions of a benchmark, grade the replies and write the result to `out`.

    The benchmark's files are in the first of `folders`; videos are searched in all of them (folders or
    files). Raises StepcError: E001 for the benchmark's files, E003 if none of its videos is found, E004 if
    `out` holds a different run, B024 if another process writes to `out`. If a judge fails (M008), the
    error is reported and the replies are kept.
    """
    if not folders[0].exists():
        raise fail("E001", "no such folder", Place(printable(str(folders[0]))))
    with locked(out):
        return _evaluate(settings, folders, out, ask, judges, reporter)


def _evaluate(
    settings: EvalSettings,
    folders: Sequence[Path],
    out: Path,
    ask: Callable[[Pictures], ModelClient],
    judges: Sequence[Callable[[Pictures], ModelClient]],
    reporter: Reporter,
) -> EvalResult:
    reading = _read(settings.benchmark, folders[0])
    _once(reading)
    every = [item.id for item in reading.items]
    data = hashlib.sha256(repr(reading.items).encode()).hexdigest()
    if settings.limit:
        reading.items = reading.items[: settings.limit]
    pictures = Pictures()
    shown = _shown(reading, VideoIndex(folders), settings.frames, pictures, out)
    for diagnostic in _some(reading.wrong):
        reporter.diagnostic(diagnostic)
    if not shown:
        place = Place(printable(str(folders[0])))
        if not reading.items:
            message = "the benchmark has no question that can be used"
            raise fail("E001", message, place, "the warnings above say why")
        raise fail("E003", "no video of this benchmark was found", place, "pass --videos FOLDER")
    asker = ask(pictures)
    asker.video = settings.video
    gone = [item for item in reading.items if item.id not in shown]
    missing = Counter(f"{n} {v}" for item in gone for n, v in kinds(item.steps, item.groups))
    missing |= {"all": reading.missing} if reading.wrong else {}
    result = EvalResult(settings, asker.backend.identity, [], dict(missing))
    known = {id: record for id, record in _claim(out, result, asker, data).items() if record.reply}
    items = [item for item in reading.items if item.id in shown]
    file = out / "records.jsonl"
    left = [item for item in items if item.id not in known]
    for start in range(0, len(left), PART):
        part = left[start : start + PART]
        made = [
            _asked(*pair) for pair in zip(part, _replies(asker, part, shown, settings), strict=True)
        ]
        known |= {record.id: record for record in made}
        with file.open("ab") as lines:
            lines.writelines(orjson.dumps(asdict(record)) + b"\n" for record in made)
        reporter.note(f"{len(items) - len(left) + start + len(part)} of {len(items)} questions")
    by_id = {item.id: item for item in items}
    if settings.blank:
        _ask_blank([known[i.id] for i in items], by_id, asker, shown, settings, file)
    guessed = guesses(items, settings.seed)
    for id, (text, majority) in guessed.items():
        known[id].text, known[id].majority = text, majority
    for diagnostic in asker.usage.losses():
        reporter.diagnostic(diagnostic)
    result.unanswered = asker.usage.unanswered
    result.records = [known[item.id] for item in items]
    try:
        _judge(result, by_id, judges, pictures, reporter)
    except StepcError as error:
        for diagnostic in error.diagnostics:
            reporter.diagnostic(diagnostic)
    write_records(out, result, [known[id] for id in every if id in known])
    return result


def _read(benchmark: str, folder: Path) -> Reading:
    """Read a benchmark's files. Raises StepcError (E001), whatever is wrong with them."""
    try:
        return BENCHMARKS.get(benchmark).read(folder)
    except (StepcError, MemoryError):
        raise
    except Exception as error:  # files of others may hold anything
        why = f"{type(error).__name__}: {printable(str(error))[:200]}"
        place = Place(printable(str(folder)))
        raise fail("E001", f"the benchmark's files cannot be read ({why})", place) from error


def _once(reading: Reading) -> None:
    """Skip items with a duplicate id, because records are looked up by id."""
    first: dict[str, Item] = {}
    for item in reading.items:
        if first.setdefault(item.id, item) is not item:
            why = f"question {item.id} skipped: duplicate id"
            reading.wrong.append(Diagnostic("E002", why, severity="warning"))
    reading.items = list(first.values())


def _some(wrong: list[Diagnostic]) -> Iterable[Diagnostic]:
    yield from wrong[:MANY]
    if len(wrong) > MANY:
        yield Diagnostic("E002", f"{len(wrong) - MANY} more skipped", severity="warning")


def _shown(
    reading: Reading, videos: VideoIndex, number: int, pictures: Pictures, out: Path
) -> dict[str, tuple[Frame, ...]]:
    """Frames of each question, by question id; questions without a usable video go to `reading.wrong`."""
    sources: dict[str, VideoSource | str] = {}
    shown: dict[str, tuple[Frame, ...]] = {}
    tried: dict[tuple[Frame, ...], str] = {}
    for item in reading.items:
        path, span = videos.find(item.video), item.span
        if path is None and span is not None and (part := videos.cut(item.video, span)) is not None:
            path, span = part, None
        name = item.video if span == item.span else str(path)
        if name not in sources:
            sources[name] = _source(path, item, number, out)
        source = sources[name]
        if isinstance(source, VideoSource) and item.sha256 not in ("", source.video.sha256):
            source = f"video `{printable(item.video)}` is not the file the question was made from"
        elif isinstance(source, VideoSource) and span and span[0] * 1000 >= source.video.duration:
            there = source.video.duration / 1000
            source = f"its span starts at {span[0]:g} s, but the video ends at {there:g} s"
        if isinstance(source, str):
            reading.wrong.append(
                Diagnostic("E003", f"question {item.id} skipped: {source}", severity="warning")
            )
            continue
        if source.video.sha256 not in pictures.sources:
            pictures.add(source)
        frames = spread(source, number, span)
        if frames not in tried:
            tried[frames] = undecodable(pictures, frames)
        if why := tried[frames]:
            reading.wrong.append(
                Diagnostic("E003", f"question {item.id} skipped: {why}", severity="warning")
            )
            continue
        shown[item.id] = frames
    return shown


def _source(path: Path | None, item: Item, number: int, out: Path) -> VideoSource | str:
    """Open a video, or return the reason why it cannot be used.

    A folder of pictures is encoded into a video once.
    """
    if path is None:
        return f"video `{printable(item.video)}` not found, or its name is ambiguous"
    try:
        if path.is_dir():
            return probe(_film(path, out))
        return probe(path)
    except StepcError as error:
        return f"unusable video: {error.diagnostics[0].message}"


def _film(folder: Path, out: Path) -> Path:
    """Encode a folder of numbered pictures as a video at `RATE` fps. Raises StepcError (B003).

    The film of the same pictures is used again.
    """
    import numpy as np

    paths = sorted(p for p in folder.iterdir() if p.suffix in (".jpg", ".png"))
    about = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
    mark = hashlib.sha256(repr((str(folder.resolve()), about)).encode()).hexdigest()[:12]
    film = Name(f"{folder.name}-{mark}").below(out / "videos", ".mp4")
    if not film.exists():
        film.parent.mkdir(parents=True, exist_ok=True)
        try:
            frames = [np.asarray(Image.open(p).convert("RGB")) for p in paths]
        except (OSError, UnidentifiedImageError) as error:
            raise fail("B003", f"cannot read a picture: {error}", Place(str(folder))) from None
        write_whole(film, encode(frames, [i * 1000 // RATE for i in range(len(frames))]))
    return film


def _replies(
    asker: ModelClient,
    items: Sequence[Item],
    shown: dict[str, tuple[Frame, ...]],
    settings: EvalSettings,
) -> list[tuple[str, str]]:
    """Return (answer, rationale) per question; both are empty if the reply cannot be parsed."""
    kind: type[Ask | Explain] = Ask if settings.how == "direct" else Explain
    requests = [
        kind(frames=shown[i.id], question=i.question, options=_plain(i.options)) for i in items
    ]
    replies = []
    for reply in asker.ask(requests):
        answer = reply.answers[0]
        rationale = getattr(answer, "rationale", "") if answer is not None else ""
        replies.append((answer.text.strip() if answer is not None else "", rationale))
    return replies


def _ask_blank(
    records: Sequence[Record],
    items: dict[str, Item],
    asker: ModelClient,
    shown: dict[str, tuple[Frame, ...]],
    settings: EvalSettings,
    file: Path,
) -> None:
    """Ask all questions that were not asked yet about blank pictures; appends the records to `file`."""
    wanted = [r for r in records if r.blank is None and r.rule not in LONG]
    for start in range(0, len(wanted), PART):
        part = wanted[start : start + PART]
        grey = {r.id: blanked(shown[r.id], asker.pictures) for r in part}
        replies = _replies(asker, [items[r.id] for r in part], grey, settings)
        for record, (reply, _) in zip(part, replies, strict=True):
            record.blank_reply = reply
            record.blank = bool(_grade(reply, items[record.id]).right)
        with file.open("ab") as lines:
            lines.writelines(orjson.dumps(asdict(record)) + b"\n" for record in part)


def _plain(options: tuple[str, ...]) -> tuple[str, ...]:
    """Strip the letters `A. `, `B. `, … from options, because the prompt template adds its own."""
    marked = all(o.startswith(f"{chr(65 + i)}. ") for i, o in enumerate(options))
    return tuple(o[3:] for o in options) if options and marked else options


def _asked(item: Item, said: tuple[str, str]) -> Record:
    """Build a record and grade it as far as possible without a judge."""
    reply, rationale = said
    record = Record(item.id, item.video, item.question, item.answer, item.rule, item.steps,
                    list(item.groups), reply, rationale, pair=item.pair)  # fmt: skip
    if item.rule == "judge":
        record.exact = RULES["match"](reply, item).right
    verdict = _grade(reply, item)
    record.right, record.official = verdict.right, verdict.official
    if item.facts and rationale:
        steps = verdicts(rationale, item.facts)
        record.steps_right, record.steps_wrong = len(steps.right), len(steps.wrong)
    elif item.rationale and rationale:
        record.steps_right = held(rationale, item.rationale)
    return record


def _grade(reply: str, item: Item) -> Grade:
    """The verdicts on a reply, as far as they need no judge."""
    if item.rule in JUDGED and item.rule != "judge":
        return Grade(None, None)
    if not reply:
        return Grade(None, False)
    if item.rule == "judge":
        exact = RULES["match"](reply, item).right
        return Grade(exact, exact)
    return RULES[item.rule](reply, item)


def _judge(
    result: EvalResult,
    items: dict[str, Item],
    judges: Sequence[Callable[[Pictures], ModelClient]],
    pictures: Pictures,
    reporter: Reporter,
) -> None:
    """Have each judge grade the records it has not graded yet."""
    for place, make in enumerate(judges):
        judge = make(pictures)
        name = judge.backend.identity
        wanted = [r for r in result.records if _needs(r, name, place)]
        for start in range(0, len(wanted), PART):
            part = wanted[start : start + PART]
            said = judged(judge, [(items[r.id], r.reply) for r in part])
            if place == 0:
                result.judge = name
            else:
                result.second = name
            for record, judgement in zip(part, said, strict=True):
                if place:
                    record.second = judgement.right
                    continue
                record.official, record.score = judgement.right, judgement.score
                if record.rule in JUDGED:
                    record.right = judgement.right
                record.judge = (
                    name if judgement.right is not None or judgement.score is not None else ""
                )
            reporter.note(f"{start + len(part)} of {len(wanted)} replies judged")
        if place == 0:
            _judge_blank(result.records, items, judge)


def _judge_blank(records: Sequence[Record], items: dict[str, Item], judge: ModelClient) -> None:
    """Have the judge grade the open answers to blank pictures that it has not graded yet."""
    name = judge.backend.identity
    wanted = [r for r in records if r.rule == "judge" and r.blank_reply and r.blank_judge != name]
    for start in range(0, len(wanted), PART):
        part = wanted[start : start + PART]
        said = judged(judge, [(items[r.id], r.blank_reply) for r in part])
        for record, judgement in zip(part, said, strict=True):
            if judgement.right is not None:
                record.blank, record.blank_judge = judgement.right, name


def _needs(record: Record, judge: str, place: int) -> bool:
    """Whether a judge must grade this record: open answers, and replies TempCompass's rules cannot grade."""
    if place:
        return record.rule == "judge" and record.second is None
    if record.judge == judge:
        return False
    return record.rule in JUDGED or (
        record.rule in ("letters", "yes_no", "caption") and record.official is None
    )


def _claim(out: Path, result: EvalResult, asker: ModelClient, data: str) -> dict[str, Record]:
    """Write `run.json` to `out`, or check that it describes this run; returns the records of earlier runs.

    Raises StepcError: E004 if `out` holds a different run, B014 if it cannot be written.
    """
    facts = {
        "benchmark": result.settings.benchmark, "model": result.model, "templates": asker.templates.digest,
        "data": data,
        **{k: v for k, v in asdict(result.settings).items() if k not in ("benchmark", "limit", "blank")},
    }  # fmt: skip
    file = out / "run.json"
    if claim(file, facts, "E004", "result") is None:
        told = {**facts, "stepc": __version__}
        write_whole(file, orjson.dumps(told, option=orjson.OPT_INDENT_2))
    try:
        return {record.id: record for record in read_records(out)}
    except OSError as error:
        place = Place(printable(str(out / "records.jsonl")))
        message = f"the records cannot be read ({error.strerror})"
        raise fail("B014", message, place, "name another folder with -o") from None
