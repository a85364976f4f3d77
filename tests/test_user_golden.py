"""`stepc golden`: a compile is recorded, repeated without the model, compared and blessed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stepc.cli import app
from stepc.diagnostics import StepcError
from stepc.world.films import make_films

SHORT = "split,keyframes,parse(samples=1),merge,bridge(samples=1),sample,compose,check"
SPEC = 'spec mine "mine"\nimport step\noverride paths {\n  count 9 per video\n}\n'


@pytest.mark.embedded
def test_a_recording_is_repeated_without_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_films(tmp_path / "films", 1, 5)
    (tmp_path / "mine.step").write_text(SPEC, "utf-8")
    folder = tmp_path / "golden"
    run = CliRunner()
    order = ["golden", "record", str(tmp_path / "films"), "-o", str(folder), "--pipeline", SHORT]
    done = run.invoke(app, [*order, "--spec", str(tmp_path / "mine.step")])
    assert done.exit_code == 0, done.output
    facts = json.loads((folder / "golden.json").read_text())
    assert facts["videos"] == ["../films"] and facts["spec"] == "../mine.step"
    assert {p.name for p in folder.iterdir()} == {"golden.json", "calls.jsonl", "expected"}

    monkeypatch.setattr("stepc.model.transformers.TransformersModel.generate", None)
    done = run.invoke(app, ["golden", "run", str(folder)])
    assert done.exit_code == 0 and "no differences" in done.output, done.output

    (tmp_path / "mine.step").write_text(SPEC.replace("9 per", "3 per"), "utf-8")
    done = run.invoke(app, ["golden", "run", str(folder)])
    assert done.exit_code == 1 and "- sample  " in done.output and "rel" not in done.output
    assert run.invoke(app, ["golden", "bless", str(folder)]).exit_code == 0
    assert run.invoke(app, ["golden", "run", str(folder)]).exit_code == 0
    assert {p.name for p in folder.iterdir()} == {"golden.json", "calls.jsonl", "expected"}

    (folder / "calls.jsonl").write_text("", "utf-8")
    done = run.invoke(app, ["golden", "run", str(folder)])
    assert done.exit_code == 1 and "M001" in done.output and "unit    film-5-000" in done.output


def test_what_is_no_recording_is_told(tmp_path: Path) -> None:
    error = CliRunner().invoke(app, ["golden", "run", str(tmp_path)]).exception
    assert isinstance(error, StepcError) and error.diagnostics[0].code == "B006"
    assert "golden record" in error.diagnostics[0].help
    (tmp_path / "golden.json").write_text("[]")
    error = CliRunner().invoke(app, ["golden", "bless", str(tmp_path)]).exception
    assert isinstance(error, StepcError) and error.diagnostics[0].code == "B006"
