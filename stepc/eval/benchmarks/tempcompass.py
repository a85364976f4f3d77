"""The benchmark TempCompass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepc.eval.benchmarks._reading import Benchmark, object_of, option_of, text_of
from stepc.grading.items import Item, Reading, found, load_json, read_rows

TEMPCOMPASS = {"multi-choice": 1580, "yes_no": 2453, "caption_matching": 1503, "captioning": 2004}
"""The four answer forms of TempCompass, and their numbers of questions (Liu et al. 2024, table 2)."""


def tempcompass(folder: Path) -> Reading:
    """TempCompass: four files `questions/FORM.json`. Each maps a video and then a dimension to a list of
    records with `question` and `answer`; the question text lists the options, one per line.
    `meta_info.json` is not needed. Source: llyx97/TempCompass.

    To grade a caption, a judge that sees only the caption answers the video's multiple-choice question of
    that dimension.
    """
    reading = Reading()
    questions: dict[str, Any] = {}
    for form in TEMPCOMPASS:
        if found(folder, f"{form}.json") is None:
            reading.file_missing(f"{form}.json", TEMPCOMPASS[form])
        else:
            questions[form] = object_of(*load_json(folder, [f"{form}.json"]))
    if not questions:
        load_json(folder, [f"{form}.json" for form in TEMPCOMPASS])

    def make(row: tuple[str, str, str, int, Any], number: int) -> Item:
        form, video, dimension, place, told = row
        asked = text_of(told["question"], "question")
        answer = text_of(told["answer"], "answer")
        lines = asked.split("\n")
        options: tuple[str, ...] = ()
        points: tuple[str, ...] = ()
        rule = {"yes_no": "yes_no", "caption_matching": "caption"}.get(form, "letters")
        if form in ("multi-choice", "caption_matching"):
            options = tuple(line.strip() for line in lines[1:] if line.strip())
            asked = lines[0].strip()
            option_of(answer, options)
            if form == "caption_matching" and not all(": " in o for o in options):
                raise ValueError("an option has no `NAME: ` prefix")
        if form == "captioning":
            first = questions["multi-choice"][video][dimension][0]
            rule, answer = "captioning", text_of(first["answer"], "answer")
            points = (text_of(first["question"], "question"),)
        return Item(f"{form}/{video}/{dimension}/{place}", video, asked, (answer,), rule, options,
                    (("form", form), ("dimension", dimension)), points=points)  # fmt: skip

    for form, data in questions.items():
        rows = [
            (form, str(video), str(dimension), place, told)
            for video, by_dimension in data.items()
            for dimension, asked in object_of(by_dimension, f"{form}.json").items()
            for place, told in enumerate(asked)
        ]
        read_rows(rows, f"{form}.json", make, reading)
    return reading


BENCHMARK = Benchmark("TempCompass", tempcompass)
