"""Writes a dataset again without some of its samples."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import orjson

from stepc.dataset.dataset import Dataset
from stepc.dataset.formats import COLUMNS
from stepc.dataset.parquet import read_rows, shards, write_shards
from stepc.diagnostics import Place, fail, printable
from stepc.runtime.atomic_files import write_parts
from stepc.runtime.names import Name
from stepc.runtime.output_folder import OutputFolder


def write_without(dataset: Path, out: Path, gone: Collection[str], why: dict[str, Any]) -> int:
    """Write a dataset of stepc to `out` without the samples in `gone`; returns how many are left.

    Graphs of videos without samples are left out, too. `why` is added to the manifest; what was measured of
    the whole dataset is not. Raises StepcError: T001 if the dataset cannot be read, B014 if `out` cannot be
    written, B023 if it holds another result.
    """
    if (out / "manifest.json").exists():
        help = "name another folder with -o"
        raise fail("B023", "this folder holds a dataset", Place(printable(str(out))), help)
    old = Dataset(dataset)
    left = [row for row in old if row["id"] not in gone]
    kept, videos = (
        {row["id"] for row in left},
        Counter(row["id"].rpartition("/")[0] for row in left),
    )
    with OutputFolder(out, apart=True) as folder:
        files: dict[str, str] = {}
        for name in map(Name.single, old.manifest["files"]):
            if name.endswith(".jsonl"):
                lines = [line + b"\n" for line in _lines(dataset / name, kept)]
                files[name] = write_parts(folder.work / name, iter(lines))
        if parts := shards(dataset, "qra"):
            rows = (row for row in read_rows(parts) if row["id"] in kept)
            files |= write_shards(folder.work, "qra", rows, COLUMNS)
        units = []
        for video in old.manifest["videos"]:
            if videos[video["name"]]:
                units.append({**video, "samples": videos[video["name"]]})
                place = Name(video["name"]).below(Path("units"), ".stsg")
                if (dataset / place).is_file():
                    (folder.work / place).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(dataset / place, folder.work / place)
        steps = Counter(str(row["steps"]) for row in left)
        manifest = {**old.manifest, "samples": len(left), "steps": dict(sorted(steps.items())),
                    "files": {str(n): {"sha256": sha} for n, sha in files.items()}, "videos": units,
                    "without": {**why, "samples": len(gone)}}  # fmt: skip
        manifest.pop("measured", None)
        whole = orjson.dumps(manifest, option=orjson.OPT_INDENT_2)
        write_parts(folder.work / "manifest.json", iter([whole]))
        folder.commit()
    return len(left)


def _lines(file: Path, kept: Collection[str]) -> Iterator[bytes]:
    """The lines of a file of samples, or of conversations about them, that are kept."""
    for line in file.read_bytes().splitlines():
        id = str(orjson.loads(line).get("id", "")) if line.strip() else ""
        if id in kept or id.rpartition("/")[0] in kept:
            yield line
