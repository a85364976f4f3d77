"""The benchmark MovieChat-1K."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepc.eval.benchmarks._reading import Benchmark, text_of
from stepc.grading.items import Item, Reading, load_json, parse_json, read_rows
from stepc.runtime.atomic_files import read_regular


def moviechat(folder: Path) -> Reading:
    """MovieChat-1K: one JSON file per film with `info` (`video_path`, `fps`), `global` (a list of records
    with `question`, `answer`) and `breakpoint` (the same plus `time`, a frame number; only the part of the
    film before that frame is shown).
    Source: rese1f/MovieChat, eval_code/result_prepare/run_inference_qa_moviechat.py.
    """
    reading = Reading()
    paths = sorted(p for p in folder.rglob("*.json"))
    films: dict[Path, Any] = {}
    for path in paths:
        try:
            data = parse_json(read_regular(path))
        except (OSError, ValueError, RecursionError) as error:
            reading.file_missing(path.name, 0, f"not valid JSON ({error})")
            continue
        if _is_film(data):
            films[path] = data
    if not films:
        load_json(folder, ["FILM.json"])
    for path, data in films.items():

        def make(
            row: tuple[str, int, Any], number: int, data: Any = data, path: Path = path
        ) -> Item:
            mode, place, told = row
            span = None
            if mode == "breakpoint":
                end = float(told["time"]) / float(data["info"]["fps"])
                if not 0 < end < float("inf"):
                    raise ValueError("`time` must be greater than 0")
                span = (0.0, end)
            return Item(f"{path.stem}/{mode}/{place}", text_of(data["info"]["video_path"], "video_path"),
                        text_of(told["question"], "question"), (text_of(told["answer"], "answer"),), "judge",
                        groups=(("mode", mode),), span=span)  # fmt: skip

        rows = [
            (mode, place, told)
            for mode in ("global", "breakpoint")
            for place, told in enumerate(_list(data.get(mode)))
        ]
        read_rows(rows, path.name, make, reading)
    return reading


def _list(value: Any) -> list[Any]:
    """A list, empty for None; anything else is one record, which is reported as malformed."""
    return value if isinstance(value, list) else [value] if value else []


def _is_film(data: Any) -> bool:
    return (
        isinstance(data, dict)
        and isinstance(data.get("info"), dict)
        and "video_path" in data["info"]
    )


BENCHMARK = Benchmark("MovieChat-1K", moviechat, frames=32)
