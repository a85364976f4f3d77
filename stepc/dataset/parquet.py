"""Parquet files: typed columns in the notation of Hugging Face `datasets`, atomic writes, shards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson

from stepc.diagnostics import fail
from stepc.runtime.atomic_files import appearing

Features = dict[str, Any]
"""Types by the name of a column or of its part, in the form `datasets` writes to a file's metadata."""
NUMBER, WHOLE, TEXT, YES = (
    {"dtype": kind, "_type": "Value"} for kind in ("float64", "int64", "string", "bool")
)
DICTIONARY = 1 << 30
"""Bytes of different values in a column of a group up to which equal ones are stored once."""
GROUP = 1000
"""Rows per row group, which are in memory at the same time."""
SHARD = 50_000
"""Rows per shard."""


def many(of: Any) -> Features:
    """Return the type of a list of `of`."""
    return {"feature": of, "_type": "List"}


def fits(value: Any, feature: Any) -> bool:
    """Whether a JSON value can be written to a column of this type. Fields that a type lacks are left out."""
    match feature:
        case _ if value is None:
            return True
        case {"_type": "List", "feature": of}:
            return isinstance(value, list) and all(fits(x, of) for x in value)
        case {"_type": "Value", "dtype": "string"}:
            return isinstance(value, str)
        case {"_type": "Value", "dtype": "bool"}:
            return isinstance(value, bool)
        case {"_type": "Value", "dtype": "int64"}:
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
        case {"_type": "Value"}:
            return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, dict) and all(fits(value.get(k), of) for k, of in feature.items())


def needed() -> tuple[Any, Any]:
    """Import pyarrow and pyarrow.parquet. Raises StepcError (T005) if pyarrow is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        help = "pip install 'stepc[export]'"
        raise fail("T005", "Parquet requires pyarrow", None, help) from None
    return pa, pq


def write_parquet(
    path: Path, rows: Iterable[dict[str, Any]], features: Features, group: int = GROUP
) -> int:
    """Write rows in groups of `group`; return their number. Raises StepcError (T005, B014).

    What several rows of a group have in common, such as the frames of a video, is stored once.
    """
    pa, pq = needed()

    def kind(feature: Any) -> Any:
        match feature:
            case {"_type": "List", "feature": of}:
                return pa.list_(kind(of))
            case {"_type": "Image"}:
                return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            case {"_type": "Value", "dtype": dtype}:
                return pa.bool_() if dtype == "bool" else getattr(pa, dtype)()
        return pa.struct([(name, kind(of)) for name, of in feature.items()])

    known = orjson.dumps({"info": {"features": features}}).decode()
    fields = [(name, kind(of)) for name, of in features.items()]
    schema = pa.schema(fields, metadata={"huggingface": known})
    count, left = 0, iter(rows)
    with (
        appearing(path) as file,
        pq.ParquetWriter(file, schema, dictionary_pagesize_limit=DICTIONARY) as made,
    ):
        while (part := list(islice(left, group))) or not count:
            made.write_table(pa.Table.from_pylist(part, schema))
            count += len(part)
            if not part:
                break
    return count


def write_shards(
    folder: Path, stem: str, rows: Iterable[dict[str, Any]], features: Features, most: int = SHARD
) -> dict[str, str]:
    """Write shards `STEM-00000.parquet` and so on, with at most `most` rows each; delete old shards.

    Returns the SHA-256 of each file. Raises StepcError (T005, B014).
    """
    files: dict[str, str] = {}
    left = iter(rows)
    while (first := next(left, None)) is not None or not files:
        name = f"{stem}-{len(files):05}.parquet"
        part = chain([first], islice(left, most - 1)) if first is not None else ()
        write_parquet(folder / name, part, features)
        with (folder / name).open("rb") as file:
            files[name] = hashlib.file_digest(file, "sha256").hexdigest()
        if first is None:
            break
    for path in shards(folder, stem):
        if path.name not in files:
            path.unlink()
    return files


def shards(folder: Path, stem: str) -> list[Path]:
    """Return the shards in a folder, in order."""
    return sorted(folder.glob(f"{stem}-[0-9][0-9][0-9][0-9][0-9].parquet"))


READ, LARGEST = 64, 64 << 20
"""Rows that are read at once, and their maximum size in memory."""
INFLATED = 1000
"""Maximum ratio of the uncompressed data of a Parquet file to its size."""


def read_rows(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Yield the rows of Parquet files, without null fields, at any depth.

    Raises StepcError (T005); OSError and ValueError if a file is not readable as Parquet, or would expand
    without bound: it claims more rows than it has bytes, or INFLATED times its bytes.
    """
    pa, pq = needed()
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                size, about = path.stat().st_size, file.metadata
                groups = (about.row_group(i).total_byte_size for i in range(about.num_row_groups))
                if about.num_rows > size or sum(groups) > INFLATED * size:
                    raise ValueError(f"{size} bytes expand to {about.num_rows} rows: not a dataset")
                for part in file.iter_batches(READ):
                    if part.nbytes > LARGEST:
                        raise ValueError(
                            f"{part.num_rows} rows are {part.nbytes:,} bytes: not a dataset"
                        )
                    for row in part.to_pylist():
                        yield _without_nulls(row)
        except pa.ArrowInvalid as error:
            raise ValueError(str(error)) from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value
