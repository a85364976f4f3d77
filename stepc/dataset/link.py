"""Links the units of a corpus and writes the dataset with its manifest."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from stepc.diagnostics import Diagnostic, Statistics
from stepc.runtime.atomic_files import appearing, write_parts, writing
from stepc.runtime.names import Name

if TYPE_CHECKING:
    from stepc.passmanager.base import LinkPass
from stepc.dataset.card import split_name
from stepc.dataset.measures import measures
from stepc.dataset.spool import Spool
from stepc.passmanager.corpus import Corpus

NOTED = ("jsonl", "parquet")
"""Formats whose records have what link passes found out about a sample."""


@dataclass
class Linked:
    """The result of linking."""

    by_steps: dict[int, int] = field(default_factory=dict)
    """Number of samples by number of steps."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each data file, by its name."""
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    """For each split, as the hub calls it: its file, the SHA-256 of it, and the number of samples."""


def link_corpus(
    out: Path,
    spool: Spool,
    links: Sequence[LinkPass],
    seed: int,
    formats: Sequence[str],
    spec: str,
    counts: dict[str, dict[str, int]],
    about: Callable[[Linked], dict[str, Any]],
    skipped: Iterable[Diagnostic],
) -> Linked:
    """Run the link passes over the units of a spool; write the dataset and its manifest.

    `about` returns the first entries of the manifest. The statistics of the passes are added to
    `counts`. `skipped` are the diagnostics of videos that were not compiled. Raises StepcError (B014,
    T005).
    """
    from stepc.dataset.card import card, schema
    from stepc.dataset.formats import COLUMNS, FORMATS
    from stepc.dataset.parquet import write_shards

    corpus = Corpus(spool)
    for number, link in enumerate(links, 1):
        told = Statistics()
        corpus = link.run(corpus, seed, told)
        counts[f"link {number}:{link.name}"] = dict(told)
    linked = Linked()
    left: list[int] = []
    for _, _, samples in corpus.walk():
        left.append(len(samples))
        for _, sample in samples:
            linked.by_steps[sample.steps] = linked.by_steps.get(sample.steps, 0) + 1
    for name in formats:
        form = FORMATS.get(name)
        rows = _records(corpus, spool, name, spec)
        if form.sharded:
            linked.files |= write_shards(out, form.file, rows, COLUMNS)
        elif name == "jsonl":
            with _Splits(out / "data") as splits:
                linked.files[form.file] = write_parts(out / form.file, splits.lines(rows))
            linked.splits = splits.told()
        else:
            lines = (orjson.dumps(row) + b"\n" for row in rows)
            linked.files[form.file] = write_parts(out / form.file, lines)
    head = about(linked)
    if measured := {**measures(corpus), **corpus.measured}:
        head["measured"] = measured
    if linked.splits:
        head["splits"] = linked.splits
        numbers = {name: split["samples"] for name, split in linked.splits.items()}
        write_parts(out / "README.md", (card(head, numbers, COLUMNS).encode(),))
        write_parts(out / "schema.json", (schema(COLUMNS),))
    write_parts(out / "manifest.json", _manifest(corpus, head, left, counts, skipped))
    return linked


class _Splits:
    """Writes the lines of samples a second time, to one file for each set, as `load_dataset` takes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open = contextlib.ExitStack()
        self.files: dict[str, BinaryIO] = {}
        self.hashes: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.count: Counter[str] = Counter()

    def __enter__(self) -> _Splits:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *error: Any) -> None:
        self.open.__exit__(*error)

    def lines(self, rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
        """The lines of rows, each after it was written to its file."""
        for row in rows:
            if row["set"] not in self.names:
                self.names[row["set"]] = split_name(row["set"], self.names.values())
            name, line = self.names[row["set"]], orjson.dumps(row) + b"\n"
            if name not in self.files:
                self.files[name] = self.open.enter_context(appearing(self.folder / f"{name}.jsonl"))
                self.hashes[name] = hashlib.sha256()
            self.files[name].write(line)
            self.hashes[name].update(line)
            self.count[name] += 1
            yield line

    def told(self) -> dict[str, dict[str, Any]]:
        """For the manifest."""
        return {
            name: {"file": f"{self.folder.name}/{name}.jsonl", "sha256": made.hexdigest(),
                   "samples": self.count[name]}
            for name, made in sorted(self.hashes.items())
        }  # fmt: skip


def _records(corpus: Corpus, spool: Spool, name: str, spec: str) -> Iterator[dict[str, Any]]:
    """The records of the kept samples in a format, with what the link passes found out about them."""
    from stepc.dataset.formats import rows_of

    for place, card, samples in corpus.walk():
        if any(number in corpus.options for number, _ in samples):
            made = rows_of(name, corpus.unit(place, samples), card.model, spec)
        elif samples:
            ids = (s.id for s in card.samples)
            every = dict(zip(ids, spool.rows(place)[name], strict=True))
            made = [every[s.id] for _, s in samples]
        else:
            continue
        for (number, _), of_sample in zip(samples, made, strict=True):
            notes = corpus.notes.get(number, {}) if name in NOTED else {}
            for row in of_sample:
                yield {**row, "set": corpus.set_of(place), **notes}


def _manifest(
    corpus: Corpus,
    about: dict[str, Any],
    left: list[int],
    counts: dict[str, dict[str, int]],
    skipped: Iterable[Diagnostic],
) -> Iterator[bytes]:
    """Yield the manifest in parts, so that it is never in memory as a whole."""
    head = {**about, "counts": {k: dict(sorted(v.items())) for k, v in sorted(counts.items())}}
    yield orjson.dumps(head, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "videos": ['
    first = True
    for place, card, _ in corpus.walk():
        video = {
            "name": card.name,
            "file": card.file,
            "sha256": card.sha256,
            "set": corpus.set_of(place) if corpus.sets else None,
            "samples": left[place],
            "stsg": {"file": _unit_file(card.name), "sha256": card.stsg},
        }
        text = orjson.dumps(video, option=orjson.OPT_INDENT_2).replace(b"\n", b"\n    ")
        yield (b"\n    " if first else b",\n    ") + text
        first = False
    yield b"]" if first else b"\n  ]"
    told = [
        {"file": Path(d.place.file).name if d.place else None, "code": d.code, "why": d.message}
        for d in sorted(skipped, key=lambda d: (d.place.file if d.place else "", d.code))
    ]
    text = orjson.dumps({"skipped": told}, option=orjson.OPT_INDENT_2)
    yield b"," + text[1:] + b"\n"


def _unit_file(name: str) -> str:
    return Name(name).below(Path("units"), ".stsg").as_posix()
