"""Studies: what is made once, what goes on after a failure, tables by hand, every arm of every study."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hearing import Heard

from stepc.diagnostics import Diagnostic, StepcError, fail
from stepc.eval.records import HOWS, Record
from stepc.lang.resolve import read_spec
from stepc.model.transformers import LocalOptions
from stepc.passmanager.pipeline_text import DEFAULT, parse_pipeline
from stepc.train.loop import Recipe
from stepc.world.artifacts import (
    DONE,
    Artifact,
    Compiled,
    Examined,
    Films,
    GivenArtifact,
    Lab,
    Questions,
    RenderedVideos,
    SampledPart,
    Start,
    TrainedArtifact,
    all_of,
    make_all,
)
from stepc.world.outcome import Cell, Outcome
from stepc.world.score import KINDS
from stepc.world.study import (
    ABLATED,
    FILTERS,
    MIXES,
    STUDIES,
    Setup,
    _outcome,
    spec,
    study,
)


@dataclass(frozen=True)
class Part(Artifact):
    """Counts how often it is made; a bad one cannot be."""

    name: str
    of: Artifact | None = None
    bad: bool = False

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        with (lab.root / "made.txt").open("a") as file:
            file.write(f"{self.name}\n")
        if self.bad:
            raise fail("T003", f"{self.name} cannot be made")
        return {"pid": os.getpid()}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, LocalOptions())


def _make(lab: Lab, *things: Artifact) -> list[str]:
    told: list[Diagnostic] = []
    make_all(things, lab, 2, Heard(told.append))
    return [d.message for d in told]


def test_what_is_shared_is_made_once_and_what_fails_stops_only_what_needs_it(lab: Lab) -> None:
    root = Part("root")
    bad = Part("bad", root, bad=True)
    things = [Part("one", root), Part("two", root), Part("child", bad)]
    assert _make(lab, *things) == ["bad cannot be made"]
    made = (lab.root / "made.txt").read_text().split()
    assert made[0] == "root" and sorted(made) == ["bad", "one", "root", "two"]
    assert lab.known(things[0]) and lab.known(things[2]) is None
    assert _make(lab, *things) == ["bad cannot be made"]  # tried again; the rest is there
    assert (lab.root / "made.txt").read_text().split()[4:] == ["bad"]
    assert lab.known(root)["made"] == {"name": "root", "of": None, "bad": False}  # type: ignore[index]


@dataclass(frozen=True)
class Slow(Artifact):
    """Takes longer than anybody waits."""

    number: int

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        (lab.root / f"{self.number}.pid").write_text(str(os.getpid()))
        time.sleep(600)
        return {}


def test_workers_end_with_a_run_that_was_killed(lab: Lab) -> None:
    """Else they go on in folders where the next run works, too."""
    script = lab.root / "run.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nfrom stepc.reporter import PrintReporter\n"
        "from test_study import Lab, LocalOptions, Slow, make_all\n"
        "if __name__ == '__main__':\n"
        f"    lab = Lab(Path({str(lab.root)!r}), LocalOptions())\n"
        "    make_all([Slow(1), Slow(2)], lab, 2, PrintReporter())\n"
    )
    run = subprocess.Popen([sys.executable, str(script)])
    files = [lab.root / "1.pid", lab.root / "2.pid"]
    _until(lambda: all(f.exists() and f.read_text() for f in files) or run.poll() is not None, 200)
    workers = [int(f.read_text()) for f in files]
    run.kill()
    run.wait()
    _until(lambda: not any(_lives(pid) for pid in workers), 30)


def _until(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_a_folder_is_named_by_all_that_a_thing_is_made_of(lab: Lab) -> None:
    one = TrainedArtifact(Start("m"), Questions(Films(1, 1), spec(), 1), Recipe())
    others = [
        replace(one, on=Start("n")),
        replace(one, data=Questions(Films(2, 1), spec(), 1)),
        replace(one, recipe=Recipe(weight=0.5)),
        TrainedArtifact(one, one.data, one.recipe),
    ]
    folders = {lab.folder(x) for x in (one, *others)}
    assert len(folders) == 5 and lab.folder(replace(one)) == lab.folder(one)


def test_arms_differ_in_what_they_are_named_for_and_share_the_rest() -> None:
    setup = Setup(films=4, recipe=Recipe(frames=2))
    arms = STUDIES["controls"][0](setup, 3)
    base = arms["base"]
    assert base == Start("embedded") and "as given" not in arms
    for name in ("Instruct", "Distillation", "STEP, 1 round"):
        arm = arms[name]
        assert (
            isinstance(arm, TrainedArtifact)
            and arm.on == base
            and arm.data.videos == Films(4, 10_003)
        )
        assert arm.recipe.weight == (0 if name == "Instruct" else 1) and arm.recipe.seed == 3
    second = arms["STEP"]
    assert isinstance(second, TrainedArtifact) and second.on == arms["STEP, 1 round"]
    assert isinstance(second.data, Compiled) and second.data.by == arms["STEP, 1 round"]
    assert isinstance(arms["Instruct"], TrainedArtifact) and isinstance(
        arms["Instruct"].data, Questions
    )
    assert "count 36 per video" in arms["Instruct"].data.spec

    left_out = STUDIES["ablations"][0](setup, 3)
    assert left_out.pop("STEP") == arms["STEP, 1 round"]
    assert list(left_out) == [f"w/o {name}" for name in ABLATED]
    for name, arm in left_out.items():
        assert isinstance(arm, TrainedArtifact) and isinstance(arm.data, Compiled)
        parse_pipeline(arm.data.pipeline)
        passes = ABLATED[name.removeprefix("w/o ")]
        assert all(new in arm.data.pipeline for new in passes.values())
        assert arm.data.after == arms["STEP, 1 round"].data  # type: ignore[union-attr]
    assert STUDIES["lambda"][0](setup, 3)["λ = 1"] == arms["STEP, 1 round"]
    mixed = STUDIES["steps"][0](setup, 3)
    assert list(mixed) == list(MIXES) and mixed["balanced"] == arms["STEP, 1 round"]
    for mix in MIXES.values():
        read_spec(spec(18, mix), "study.step", None)

    taken_apart = STUDIES["rounds"][0](setup, 3)
    one, true = taken_apart["1 round"], taken_apart["true graphs"]
    assert one == arms["STEP, 1 round"] and taken_apart["2 rounds"] == arms["STEP"]
    assert taken_apart["true graphs, no parsing"] == arms["Distillation"]
    assert isinstance(one, TrainedArtifact) and isinstance(true, TrainedArtifact)
    assert true.data == arms["Distillation"].data and true.replay == one.replay  # type: ignore[union-attr]
    assert taken_apart["no parsing"] == replace(one, replay=None)
    longer = taken_apart["twice as long"]
    assert longer == replace(one, recipe=replace(one.recipe, epochs=2 * one.recipe.epochs))
    assert taken_apart["trained again"] == replace(one, on=one)
    filtered = STUDIES["filters"][0](setup, 3)
    assert filtered.pop("base") == base and filtered.keys() > FILTERS.keys()
    for name, links in FILTERS.items():
        arm = filtered[name]
        assert isinstance(arm, TrainedArtifact) and isinstance(arm.data, SampledPart)
        assert isinstance(arm.data.of, Questions) and arm.data.of.links == links
        assert arm.data.number == 40 and arm.recipe == one.recipe.__class__(frames=2, seed=3)
    assert "true graphs" not in STUDIES["rounds"][0](Setup(model="m", videos=("v",)), 0)


def test_real_videos_need_a_quiz_annotations_and_a_teacher(lab: Lab) -> None:
    setup = Setup(model="m", videos=("v",))
    with pytest.raises(StepcError) as error:
        study("controls", setup, 1, lab)
    message = error.value.diagnostics[0].message
    assert all(o in message for o in ("--quiz", "--quiz-videos", "--annotated", "--teacher"))
    whole = replace(setup, quiz="q", quiz_videos=("w",), annotated="a", teacher="openai:gpt")
    arms = STUDIES["controls"][0](whole, 0)
    assert arms["base"] == Start("m")
    kinds = {name: type(arm.data) for name, arm in arms.items() if isinstance(arm, TrainedArtifact)}
    assert kinds == {
        "Instruct": GivenArtifact, "Distillation": Compiled, "STEP, 1 round": Compiled, "STEP": Compiled
    }  # fmt: skip
    tuned = replace(whole, initial="i").base(0)
    assert tuned == TrainedArtifact(
        Start("m"), GivenArtifact("i", RenderedVideos(("v",))), Recipe(weight=0.0)
    )
    assert [*STUDIES["controls"][0](replace(whole, initial="i"), 0)][:2] == ["as given", "base"]


def test_means_and_intervals_by_hand() -> None:
    cell = Cell([0.1, 0.2, 0.3])
    assert cell.mean == pytest.approx(0.2)
    assert cell.half == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-5)  # t(0.975, 2)
    assert cell.text() == "20.0 ± 24.8" and Cell([0.5]).text() == "50.0"
    assert Cell([math.nan, 0.5]).text("+") == "+50.0" and Cell([math.nan]).text() == "-"
    assert cell.minus(Cell([0.0, 0.1, 0.2])).text("+") == "+10.0 ± 0.0"


def _done(lab: Lab, thing: Artifact, **told: Any) -> Path:
    folder = lab.folder(thing)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DONE).write_text(json.dumps(told))
    return folder


def _data(folder: Path, questions: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": f"q{i}", "video": "v", "question": q, "answer": "a", "steps": i % 3 + 1}
        for i, q in enumerate(questions)
    ]
    (folder / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)))


def test_questions_that_an_arm_was_trained_on_do_not_count(lab: Lab, tmp_path: Path) -> None:
    setup = Setup(model="m", films=2, quiz_films=1)
    quiz = setup.asked()
    _data(_done(lab, quiz), ["One?", "Two?", "Three?", "Seen?", "Two again?"])
    arms = [STUDIES["controls"][0](setup, seed) for seed in (0, 1)]
    exams = [{a: Examined(m, quiz, setup.recipe.frames) for a, m in of.items()} for of in arms]
    for seed, of in enumerate(arms):
        for model in of.values():
            if isinstance(model, TrainedArtifact):
                folder = _done(
                    lab, model.data, samples=10 * seed, graph=dict.fromkeys(KINDS, 0.5 + seed / 4)
                )
                _data(
                    folder if isinstance(model.data, Questions) else folder / "data", ["the seen"]
                )
    for seed, of in enumerate(exams):
        for arm, exam in of.items():
            if arm == "Distillation":
                continue  # it could not be made
            right = [arm == "STEP" and (seed == 0 or i == 2) for i in range(5)]
            rows = [
                Record(f"q{i}", "v", "", "a", "match", i % 3 + 1, right=r, steps_right=int(arm == "STEP"),
                       blank=i == 0 if arm == "STEP" else None, text=i < 2, majority=i == 4)
                for i, r in enumerate(right)
            ]  # fmt: skip
            for how in HOWS:
                place = _done(lab, exam) / how / "records.jsonl"
                place.parent.mkdir(exist_ok=True)
                place.write_text("\n".join(json.dumps(asdict(r)) for r in rows))
    made = _outcome("controls", setup, lab, arms, exams)
    assert [made.asked[n].mean for n in (1, 2, 3, None)] == [1, 2, 1, 4]
    assert made.cells["STEP", "direct", 3].values == [1, 1]
    assert made.cells["STEP", "direct", 2].values == [1, 0]
    assert made.cells["STEP", "reasoned", None].values == [1, 0.25]
    assert made.cells["STEP", "rationale", None].values == [0.5, 0.5]  # 4 of 1 + 2 + 3 + 2 steps
    assert made.blank["STEP", "direct", 1].values == [1, 1]
    assert made.blank["STEP", "direct", None].values == [0.25, 0.25]
    assert made.guessed["text", None].values == [0.5, 0.5]
    assert made.guessed["majority", 2].values == [0.5, 0.5]
    table = made.markdown()
    assert re.search(r"\| STEP, blank pictures +\| +\| +100.0 ± 0.0 \| +0.0 ± 0.0", table)
    assert re.search(r"\| text classifier +\| +\| +100.0 ± 0.0 \| +50.0 ± 0.0", table)
    assert "| commonest answers" in table and "base, blank" not in table
    missing = next(x for x in table.splitlines() if x.startswith("| Distillation"))
    assert missing.count(" - ") == 6 and "57.9 / 35.4" in table
    assert "| 62.5 ± " in table and "+100.0 ± 0.0" in table and "2 seeds" in table
    assert re.search(r"\| STEP, 1 round +\| 62.5 ± ", table)
    assert Outcome.read(made.json()).markdown() == table
    twice = made.joined(Outcome.read(made.json()))
    assert twice.seeds == 4 and twice.cells["STEP", "direct", 2].values == [1, 0, 1, 0]
    with pytest.raises(ValueError, match="different arms"):
        made.joined(replace(made, samples={}))
    made.plot(tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_bytes()
    made.plot(tmp_path / "plot.svg")
    assert drawn == (tmp_path / "plot.svg").read_bytes() and b"</svg>" in drawn


@pytest.mark.embedded
def test_a_study_of_real_models_is_found_again(lab: Lab) -> None:
    """All of it: films, their compiling, training and exams; a second time nothing is made."""
    setup = Setup(films=1, quiz_films=1, recipe=Recipe(frames=2, steps=1, batch=2, rate=1e-4))
    local = replace(lab, local=LocalOptions(batch=64))
    said: list[str] = []
    told: list[Diagnostic] = []
    made = study("lambda", setup, 1, local, reporter=Heard(told.append, said.append))
    assert not told and said[-1].startswith("0 to do")
    assert len(made.arms) == 6 and all(c.values[0] >= 0 for c in made.cells.values())
    assert {k: 0 < c.mean <= 1 for k, c in made.graphs["λ = 1"].items()}["objects"]
    again: list[str] = []
    assert study("lambda", setup, 1, local, reporter=Heard(told.append, again.append)) == made
    assert again == [] and (lab.root / "lambda.md").read_text() == made.markdown()
    arms = STUDIES["lambda"][0](setup, 0)
    models = [x for x in all_of(arms.values()) if isinstance(x, TrainedArtifact)]
    recipes = [json.loads((local.folder(x) / "model" / "training.json").read_text())["recipe"]
               for x in models]  # fmt: skip
    assert sorted(r["weight"] for r in recipes) == [0, 0.25, 0.5, 1, 2, 4]
    steps = {lab.known(x)["steps"] for x in models}  # type: ignore[index]
    assert steps == {1}
    kept = [x.replay for x in models if x.replay is not None]
    assert len(kept) == 6 and {c.pipeline for c in kept} == {DEFAULT}
