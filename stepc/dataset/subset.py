"""Writes a part of a dataset as a dataset of its own."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import orjson

from stepc.dataset.card import card, schema
from stepc.dataset.dataset import Dataset
from stepc.dataset.formats import COLUMNS
from stepc.dataset.parquet import read_rows, shards, write_shards
from stepc.dataset.previous import CARD
from stepc.diagnostics import Place, fail, printable
from stepc.runtime.atomic_files import write_parts
from stepc.runtime.names import Name
from stepc.runtime.output_folder import OutputFolder

TAKEN = ("manifest.json", "data", "units", *CARD)
"""What a dataset has in its folder, besides files of samples."""


def write_part(dataset: Path, out: Path, kept: Collection[str], why: dict[str, Any]) -> int:
    """Write a dataset of stepc to `out` with only the samples in `kept`; returns how many there are.

    Graphs of videos without samples are left out, too, and so is the name of a minimal pair's other sample if
    that is not kept. `why` is added to the manifest; what was measured of the whole dataset is not. Raises
    StepcError: T001 if the dataset is damaged, T003 if no sample is left, B014 if `out` cannot be written,
    B023 if it holds another dataset or files that would be overwritten.
    """
    place = Place(printable(str(out)))
    there = next((name for name in TAKEN if (out / name).exists()), "")
    if there:
        help = "name another folder with -o"
        raise fail("B023", f"`{there}` is in this folder, and would be overwritten", place, help)
    old = Dataset(dataset)
    try:
        left = [row for row in old if row["id"] in kept]
        if not left:
            raise fail("T003", "no sample is left", Place(printable(str(dataset))))
        with OutputFolder(out, apart=True) as folder:
            _write(dataset, folder.work, old, left, why)
            folder.commit()
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = printable(f"{type(error).__name__}: {error}")[:200]
        message = f"the dataset is damaged ({what})"
        raise fail("T001", message, Place(printable(str(dataset)))) from error
    return len(left)


def _write(
    dataset: Path, work: Path, old: Dataset, left: list[dict[str, Any]], why: dict[str, Any]
) -> None:
    ids, videos = {r["id"] for r in left}, Counter(r["id"].rpartition("/")[0] for r in left)
    files: dict[str, str] = {}
    for name in map(Name.single, old.manifest["files"]):
        if name.endswith(".jsonl"):
            files[name] = write_parts(work / name, _lines(dataset / name, ids))
    if parts := shards(dataset, "qra"):
        rows = (_unpaired(row, ids) for row in read_rows(parts) if row["id"] in ids)
        files |= write_shards(work, "qra", rows, COLUMNS)
    splits = {}
    for name, split in (old.manifest.get("splits") or {}).items():
        place = Name.single(name).below(Path("data"), ".jsonl")
        lines = [*_lines(dataset / place, ids)]
        if lines:
            (work / "data").mkdir(exist_ok=True)
            sha = write_parts(work / place, lines)
            splits[name] = {**split, "sha256": sha, "samples": len(lines)}
    units = [
        {**video, "samples": videos[video["name"]]}
        for video in old.manifest["videos"]
        if videos[video["name"]]
    ]
    for video in units:
        place = Name(video["name"]).below(Path("units"), ".stsg")
        if (dataset / place).is_file():
            (work / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dataset / place, work / place)
    steps = Counter(str(row["steps"]) for row in left)
    manifest = {**old.manifest, "samples": len(left), "steps": dict(sorted(steps.items())),
                "files": {str(n): {"sha256": sha} for n, sha in files.items()}, "videos": units,
                "splits": splits, "without": {**why, "samples": len(old) - len(left)}}  # fmt: skip
    manifest.pop("measured", None)
    if splits:
        numbers = {name: split["samples"] for name, split in splits.items()}
        write_parts(work / "README.md", [card(manifest, numbers, COLUMNS).encode()])
        write_parts(work / "schema.json", [schema(COLUMNS)])
    write_parts(work / "manifest.json", [orjson.dumps(manifest, option=orjson.OPT_INDENT_2)])


def _lines(file: Path, kept: Collection[str]) -> Iterator[bytes]:
    """The lines of a file of samples, or of conversations about them, that are kept."""
    for line in file.read_bytes().splitlines():
        row = orjson.loads(line) if line.strip() else {}
        id = str(row.get("id", ""))
        if id in kept or id.rpartition("/")[0] in kept:
            yield orjson.dumps(_unpaired(row, kept)) + b"\n"


def _unpaired(row: dict[str, Any], kept: Collection[str]) -> dict[str, Any]:
    """A record without the other sample of its pair if that is not kept."""
    if row.get("pair") is None or row["pair"] in kept:
        return row
    return {k: v for k, v in row.items() if k != "pair"}
