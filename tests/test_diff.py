"""`stepc diff`: units, folders, datasets; every change is found, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from generated import units
from hypothesis import given
from typer.testing import CliRunner

from stepc.cli import app
from stepc.dataset.changes import compared, counted
from stepc.diagnostics import StepcError
from stepc.ir import types as t
from stepc.ir.changes import unit_changes
from stepc.ir.load import load
from stepc.ir.text import write

HERE = Path(__file__).parent


@pytest.fixture
def home() -> t.Stsg:
    unit = load(HERE / "home.stsg")
    assert isinstance(unit, t.Stsg)
    return unit


@given(units("qra"))
def test_a_unit_does_not_differ_from_itself(unit: t.Unit) -> None:
    assert list(unit_changes(unit, unit)) == []


def test_what_is_added_removed_and_changed(home: t.Stsg) -> None:
    first, second, *rest = home.relations
    doubted = second.model_copy(update={"trust": t.Trust(votes=1, asked=3)})
    more = first.model_copy(update={"predicate": "admiring"})
    other = home.evolve(relations=(more, doubted, *rest), motions=home.motions[1:])
    found = list(unit_changes(home, other))
    assert counted(found) == {
        "rel": {"added": 1, "changed": 1, "removed": 1}, "motion": {"removed": 1}
    }  # fmt: skip
    changed = next(c for c in found if c.how == "changed")
    assert "[1/3" in changed.after and "[1/3" not in changed.before
    back = list(unit_changes(other, home))
    assert sorted((c.after, c.before) for c in back) == sorted((c.before, c.after) for c in found)
    assert "changed" not in {c.how for c in unit_changes(home, other, trust=False)}


def test_clips_and_events_count_too(home: t.Stsg) -> None:
    last = home.clips[-1]
    longer = last.model_copy(update={"end": last.end - 1})
    event = home.events[0].model_copy(update={"event": "nothing at all"})
    other = home.model_copy(
        update={"clips": (*home.clips[:-1], longer), "events": (event, *home.events[1:])}
    )
    assert counted(unit_changes(home, other)) == {
        "clip": {"changed": 1}, "event": {"changed": 1}
    }  # fmt: skip


def _dataset(folder: Path, home: t.Stsg, rows: list[dict[str, object]]) -> Path:
    (folder / "units").mkdir(parents=True)
    (folder / "units" / "home.stsg").write_text(write(home), "utf-8")
    (folder / "manifest.json").write_text('{"files": {"qra.jsonl": ""}}', "utf-8")
    (folder / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return folder


def test_two_datasets(home: t.Stsg, tmp_path: Path) -> None:
    rows = [{"id": f"{n}", "video": "v.mp4", "question": f"Q{n}?", "answer": "a"} for n in range(3)]
    one = _dataset(tmp_path / "one", home, rows)
    changed = [
        {**rows[0], "answer": "b"},
        {**rows[1], "id": "new id"},
        {**rows[2], "video": "w.mp4"},
    ]
    less = home.evolve(events=home.events[1:])
    two = _dataset(tmp_path / "two", less, changed)
    assert counted(compared(one, two)) == {
        "event": {"removed": 1}, "sample": {"added": 1, "changed": 1, "removed": 1}
    }  # fmt: skip
    assert list(compared(one, one)) == []
    shutil.copy(one / "units" / "home.stsg", one / "units" / "other.stsg")
    assert counted(compared(one / "units", two / "units"))["unit"] == {"removed": 1}


def test_the_command_says_what_differs(home: t.Stsg, tmp_path: Path) -> None:
    (tmp_path / "b.stsg").write_text(write(home.evolve(events=home.events[1:])), "utf-8")
    run = CliRunner()
    done = run.invoke(app, ["diff", str(HERE / "home.stsg"), str(tmp_path / "b.stsg")])
    assert done.exit_code == 1 and "- event   c0 " in done.output
    assert "event: 1 removed" in done.output
    done = run.invoke(app, ["diff", str(HERE / "home.stsg"), str(tmp_path / "b.stsg"), "--json"])
    assert json.loads(done.stdout)["counts"] == {"event": {"removed": 1}}
    done = run.invoke(app, ["diff", str(HERE / "home.stsg"), str(HERE / "home.stsg")])
    assert done.exit_code == 0 and "no differences" in done.output
    error = run.invoke(app, ["diff", str(HERE / "home.stsg"), str(HERE)]).exception
    assert isinstance(error, StepcError) and error.diagnostics[0].code == "U001"
    error = run.invoke(app, ["diff", str(HERE / "home.stsg"), str(tmp_path / "none")]).exception
    assert isinstance(error, StepcError) and error.diagnostics[0].code == "B006"
