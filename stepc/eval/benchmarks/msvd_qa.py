"""The benchmark MSVD-QA."""

from __future__ import annotations

from pathlib import Path

from stepc.eval.benchmarks._reading import Benchmark, read_one_file
from stepc.grading.items import Reading, found


def msvd_qa(folder: Path) -> Reading:
    """MSVD-QA: `test_qa.json`, a list of records with `id`, `question`, `answer`, `video_id` (a number), and
    `youtube_mapping.txt`, which maps a YouTube name to `vidNUMBER` on each line
    (xudejing/video-question-answering). Alternatively Video-ChatGPT's `test_q.json` and `test_a.json`,
    which contain the video names.
    """
    path = found(folder, "youtube_mapping.txt")
    lines = path.read_text("utf-8").splitlines() if path is not None else []
    names = {two[1]: two[0] for two in (line.split() for line in lines) if len(two) == 2}
    return read_one_file(folder, lambda number: names.get(f"vid{number}", f"vid{number}"))


BENCHMARK = Benchmark("MSVD-QA", msvd_qa)
