"""A compiled dataset as a Python object: its samples, its graphs, its manifest."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from stepc.dataset.parquet import read_rows, shards
from stepc.diagnostics import Diagnostic, Place, fail, printable
from stepc.runtime.atomic_files import read_regular

if TYPE_CHECKING:
    from stepc.ir.types import Unit

SHOWN = 10
"""Samples that a notebook shows of a dataset."""


class Dataset:
    """A folder that a compile wrote. Iterating gives the samples, each a dictionary (`qra.jsonl`'s rows)."""

    def __init__(
        self, path: str | os.PathLike[str], diagnostics: Sequence[Diagnostic] = ()
    ) -> None:
        """Open a dataset. Raises StepcError (T001) if the folder has no readable manifest."""
        self.path = Path(path)
        self.diagnostics = tuple(diagnostics)
        """What was wrong during the compile that made it; empty if it was opened."""
        _ = self.manifest

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """`manifest.json`: versions, hashes, pipeline, seed, model, counts, and what was skipped."""
        file = self.path / "manifest.json"
        try:
            manifest = orjson.loads(read_regular(file))
            count, files, videos = (manifest[key] for key in ("samples", "files", "videos"))
            if not isinstance(count, int) or count < 0 or not isinstance(files, dict):
                raise ValueError("`samples` or `files` is damaged")
            _ = [str(video["name"]) for video in videos]
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            help = "a dataset is the folder that `stepc compile … -o DATASET` writes"
            message = f"the dataset has no readable manifest ({why})"
            raise fail("T001", message, Place(printable(str(self.path))), help) from None
        return dict(manifest)

    def __len__(self) -> int:
        return int(self.manifest["samples"])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the samples. Raises StepcError (T001) if there is no file of samples, or a damaged one."""
        parts = shards(self.path, "qra")
        try:
            if "qra.jsonl" in self.manifest["files"]:
                if not (self.path / "qra.jsonl").is_file():
                    raise ValueError("qra.jsonl is missing, or not a regular file")
                with (self.path / "qra.jsonl").open("rb") as file:
                    for line in file:
                        if line.strip():
                            yield orjson.loads(line)
            elif parts:
                yield from read_rows(parts)
            else:
                raise ValueError("its formats have no file of samples; add jsonl or parquet")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            message = f"the samples cannot be read ({why})"
            raise fail("T001", message, Place(printable(str(self.path)))) from None

    @property
    def names(self) -> list[str]:
        """The names of its units, one per video."""
        return [video["name"] for video in self.manifest["videos"]]

    def unit(self, name: str) -> Unit:
        """The scene graph (level `stsg`) of a video, by the unit's name. Raises StepcError."""
        from stepc.ir.load import load

        return load(self.path / "units" / f"{name}.stsg")

    def __repr__(self) -> str:
        return f"Dataset({str(self.path)!r}: {len(self)} samples of {len(self.names)} videos)"

    def _repr_html_(self) -> str:
        cells = ("id", "question", "answer")
        head = "".join(f"<th>{name}</th>" for name in cells)
        rows = []
        for _, row in zip(range(SHOWN), self, strict=False):
            rows.append("".join(f"<td>{html.escape(str(row[name]))}</td>" for name in cells))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return (
            f"<p>{html.escape(repr(self))}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )
