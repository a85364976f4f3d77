"""What a compile costs on a server, beside a pipeline of few calls."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from forked import stepc
from standin.footage import Footage
from standin.replies import Manner
from standin.server import Standin, serving
from test_standin import DATA

from stepc.driver.bench import Measured, in_flight, measure, table
from stepc.driver.compile_video import CompileConfig
from stepc.driver.local_engine import LocalEngine
from stepc.lang.parse import builtin
from stepc.model.load import ModelConfig
from stepc.model.server_options import ServerOptions


@pytest.mark.parametrize("seed", range(20))
def test_calls_at_once_are_counted_over_time(seed: int) -> None:
    """Against a look at each of many moments."""
    rng = random.Random(seed)
    spans = []
    for _ in range(rng.randint(1, 30)):
        start = rng.randint(0, 50)
        spans.append((float(start), float(start + rng.randint(1, 20))))
    moments = [x / 4 + 0.1 for x in range(300)]
    there = sorted(n for n in (sum(a <= at < b for a, b in spans) for at in moments) if n)
    median, most = in_flight(spans)
    assert most == max(there)
    assert there[(len(there) - 1) // 2] <= median <= there[len(there) // 2]


def test_no_calls_are_none_at_once() -> None:
    assert in_flight([]) == (0.0, 0)


def _measured(**fields: Any) -> Measured:
    given = {"pipeline": "", "videos": 1, "samples": 0, "calls": 9, "tokens_in": 1000, "tokens_out": 50,
             "tokens_cached": 0, "seconds": 2.0, "in_flight": 3.0, "most_in_flight": 4,
             "cost": 0.0}  # fmt: skip
    return Measured(**{**given, **fields})


def test_without_samples_nothing_is_per_sample() -> None:
    lines = "\n".join(table([_measured(), _measured(samples=3, tokens_cached=250)], ("a", "b")))
    assert "-" in lines and "of them cached" in lines and "0.25" in lines
    assert _measured().data()["calls_per_sample"] is None
    assert _measured(samples=3).data()["calls_per_sample"] == 3


def test_two_pipelines_are_measured_on_a_server() -> None:
    short = "split,keyframes,{},merge,bridge,sample,compose,check"
    with serving(Standin(Footage(), Manner()), delay=0.01) as url:
        options = ServerOptions(url, at_once=8, prices=(1.0, 2.0), handshake=False)
        choice = ModelConfig("openai:standin-7b", server=options)
        order = CompileConfig("", "", builtin("step"), "step", choice)
        mine, other = (
            measure([DATA / "carphone_pristine.mp4"], order, short.format(parse), LocalEngine(1))
            for parse in ("parse(samples=1)", "parse-oneshot")
        )
    for each in (mine, other):
        assert each.videos == 1 and each.calls >= 3 and each.seconds > 0
        assert 1 <= each.in_flight <= each.most_in_flight <= 8
        assert each.cost == pytest.approx((each.tokens_in + 2 * each.tokens_out) / 1e6)
    assert mine.samples > 0 and (mine.each(mine.tokens_in) or 0) > 0
    assert "parse-oneshot" in other.pipeline and other.calls < mine.calls


def test_what_bench_prints_is_for_people_or_programs(tmp_path: Path) -> None:
    """Without videos, nothing is measured, and stderr says why."""
    done = stepc(["bench", "nowhere.mp4", "--json"], tmp_path)
    assert done.returncode == 1 and "nowhere.mp4" in done.stderr and not done.stdout
