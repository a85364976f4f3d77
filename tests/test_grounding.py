"""Boxes and times in the data: the evidence of samples, the format `open-o3`, and its rewards."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from stepc.dataset.formats import FORMATS, rows_of
from stepc.driver.compile_video import split_pipeline
from stepc.grading.grounding import formed, located, timed
from stepc.grading.reward import answered, reasoned
from stepc.ir import types as t
from stepc.lang.parse import builtin
from stepc.lang.resolve import read_spec
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.video.decode import Pictures
from stepc.world.ground_truth import truth
from stepc.world.scene import make_film


def asked(seed: int, boxes: bool = True) -> t.Qras:
    unit: t.Unit = truth(make_film(random.Random(seed)), "film", "film.mp4", f"{seed:064x}")
    if not boxes:
        unit = unit.evolve(boxes=(), tracks=())
    tools = Tools(Pictures(), spec=read_spec(builtin("step")), seed=1)
    for done in run(split_pipeline("sample,compose,check")[0], unit, tools):
        unit = done.unit
    assert isinstance(unit, t.Qras) and unit.samples
    return unit


def test_evidence_has_the_boxes_of_each_step() -> None:
    unit, bare = asked(3), asked(3, boxes=False)
    rows = [row for (row,) in rows_of("jsonl", unit, "m", "step")]
    plain = [row for (row,) in rows_of("jsonl", bare, "m", "step")]
    there = {b.owner for b in unit.boxes}
    for row, old in zip(rows, plain, strict=True):
        for e in row["evidence"]:
            boxes = e.pop("boxes")
            assert {b["node"] for b in boxes} <= there and all(len(b["box"]) == 4 for b in boxes)
            times = {k["at"] for k in e["keyframes"]}
            assert {b["at"] for b in boxes} <= times
            seen = [n for n in e["nodes"] if n.count("/") == 1]
            assert not seen or boxes, e
        assert row == old, "all else is as without boxes"


def test_rationales_with_boxes_and_times_earn_all_rewards() -> None:
    rows = [row for (row,) in rows_of("open-o3", asked(3), "m", "step")]
    columns: dict[str, Any] = {
        k: [r[k] for r in rows] for k in ("answers", "steps", "boxes", "spans")
    }
    replies = [[{"role": "assistant", "content": r["reply"]}] for r in rows]
    assert set(answered(replies, **columns)) == set(formed(replies)) == {1.0}
    assert set(located(replies, **columns)) == {1.0}
    assert min(timed(replies, **columns)) > 0.4, (
        "moments lie in the ranges of the steps, but there are many"
    )
    assert rows[0]["image_size"] == [256, 256]
    assert all(0 <= e <= 256 for r in rows for b in r["boxes"] for e in b["box"])
    assert orjson.loads(orjson.dumps(rows)) == rows
    thousandths = [row for (row,) in rows_of("open-o3-1000", asked(3), "m", "step")]
    wide, high = rows[0]["image_size"]
    for one, other in zip(rows, thousandths, strict=True):
        for b, c in zip(one["boxes"], other["boxes"], strict=True):
            assert b["box"] == [
                round(e * (wide, high)[i % 2] / 1000) for i, e in enumerate(c["box"])
            ]
            assert f"<box>[{','.join(map(str, c['box']))}]</box>" in other["reply"]
    assert any(row["boxes"] for row in rows)
    assert "open-o3" in FORMATS.names() and FORMATS.get("open-o3").file == "open-o3.jsonl"
    assert all(x == 0 for x in reasoned(["no"] * len(rows), **columns))


BOXES = [[{"label": "dog", "at": 1.0, "box": [0, 0, 100, 100]}]]


@pytest.mark.parametrize(
    ("reply", "reward"),
    [
        (
            "<think>A <obj>dog</obj><box>[0,0,100,100]</box>at<t>1.0</t>s.</think><answer>x</answer>",
            1,
        ),
        ("<think><obj>the dog</obj><box>[0, 0, 100, 100]</box> at <t>1.4</t>s</think>x", 1),
        ("<think><obj>dog</obj><box>0,0,100,100</box></think>x", 1),
        ("<think><obj>dog</obj><box>[0,0,100,50]</box>at<t>1.0</t>s</think>x", 0.5),
        ("<think><obj>cat</obj><box>[0,0,100,100]</box>at<t>1.0</t>s</think>x", 0),
        ("<think><obj>dog</obj><box>[0,0,100,100]</box>at<t>3.0</t>s</think>x", 0),
        (
            "<think><obj>dog</obj><box>[0,0,100,100]</box><obj>dog</obj><box>[5,5,9,9]</box></think>x",
            0.5,
        ),
        ("<think><obj>dog</obj><box>[100,100,0,0]</box></think>x", 0),
        ("<think><obj>dog</obj><box>[1.2.3,0,1,1]</box></think>x", 0),
        ("x", 0),
        ("", 0),
    ],
)
def test_boxes_of_a_reasoning(reply: str, reward: float) -> None:
    assert located([reply], boxes=BOXES) == [pytest.approx(reward)]


@pytest.mark.parametrize(
    ("reply", "reward"),
    [
        ("<think>at <t>2.5</t>s</think>x", 1),
        ("<think>from <t>2 to 4</t>s</think>x", 1),
        ("<think>from <t>2-3</t>s</think>x", 0.5),
        ("<think>at <t>4.4</t>s</think>x", 1),
        ("<think>at <t>9</t>s</think>x", 0),
        ("<think><t>3</t><t>5</t><t>6</t><t>7</t></think>x", 0.5),
        ("<think>soon</think>x", 0),
    ],
)
def test_times_of_a_reasoning(reply: str, reward: float) -> None:
    assert timed([reply], spans=[[[2.0, 4.0]]]) == [pytest.approx(reward)]


@pytest.mark.parametrize(
    ("reply", "reward"),
    [
        ("<think>a</think><answer>b</answer>", 1),
        (" <think>a <obj>d</obj><box>[1,2,3,4]</box>at<t>1</t>s</think>\n<answer>b</answer>\n", 1),
        ("<think>a <obj>d<box>[1,2,3,4]</box></think><answer>b</answer>", 0),
        ("<think>a</think><answer> </answer>", 0),
        ("<think>a</think>b", 0),
        ("<think><think>a</think><answer>b</answer>", 0),
        ("b", 0),
    ],
)
def test_the_form_of_a_reply(reply: str, reward: float) -> None:
    assert formed([reply]) == [reward]
