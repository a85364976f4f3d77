"""Training: losses by hand, targets by construction, resumed to the same bytes; rewards by hand."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from hearing import Heard

from stepc.dataset.read import TrainingData, TrainingSample, load_dataset, spread
from stepc.diagnostics import StepcError
from stepc.grading.reward import answered, held, parted, reasoned, words
from stepc.model.cassette import Cassette
from stepc.model.client import Call
from stepc.model.templates import Templates
from stepc.model.transformers import LocalOptions, TransformersModel, embedded_folder
from stepc.train.collate import TASKS, Collator
from stepc.train.loop import Recipe, losses, train, weigh
from stepc.video.decode import Pictures
from stepc.video.probe import probe
from stepc.world.examination import parsing_accuracy

FAST = Recipe(frames=2, steps=6, rate=3e-3, batch=2, save_every=2)


def _sample(number: int, video: Path, **more: Any) -> dict[str, Any]:
    color = ("red", "blue", "green")[number % 3]
    return {
        "id": f"film/q{number}",
        "video": video.name,
        "question": f"Which color has thing {number}?",
        "answer": color,
        "rationale": [{"text": "It stands there."}, {"text": f"So it is {color}."}],
        "steps": 2,
        **more,
    }


@pytest.fixture(scope="module")
def data(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six samples about one film, one of them held out."""
    folder = tmp_path_factory.mktemp("data")
    rows = [_sample(i, film, set="val" if i == 5 else "train") for i in range(6)]
    (folder / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny LLaVA with random weights."""
    return families.make("llava", tmp_path_factory.mktemp("tiny") / "llava")


def _load(data: Path, film: Path) -> TrainingData:
    return load_dataset(data, [film], 2)


# --- the loss ----------------------------------------------------------------------------


def _batch(task: list[int], lengths: list[int]) -> dict[str, Any]:
    targets = torch.full((len(lengths), max(lengths)), -100)
    for row, length in enumerate(lengths):
        targets[row, :length] = 1
    return {"targets": targets, "task": torch.tensor(task)}


def test_the_loss_is_what_a_hand_computes() -> None:
    # answers of 1 and 3 tokens, rationales of 4 and 2, in two batches of one step
    batches = [_batch([0, 1], [1, 4]), _batch([0, 1], [3, 2])]
    ce = [torch.tensor([[1.0] * 4, [2.0] * 4]), torch.tensor([[5.0] * 3, [8.0] * 3])]

    def loss(mean: str, weight: float) -> float:
        weigh(batches, (1.0, weight, 0.0), mean)
        return sum(float((b["weights"] * c).sum()) for b, c in zip(batches, ce, strict=True))

    by_token = (1 * 1 + 3 * 5) / 4, (4 * 2 + 2 * 8) / 6
    by_sample = (1 + 5) / 2, (2 + 8) / 2
    for weight in (0.0, 0.5, 1.0):
        assert loss("token", weight) == pytest.approx(by_token[0] + weight * by_token[1])
        assert loss("sample", weight) == pytest.approx(by_sample[0] + weight * by_sample[1])


def test_cross_entropy_is_of_the_target_alone() -> None:
    logits = torch.tensor([[[0.0, math.log(3)], [7.0, -7.0]]])
    each = losses(logits, torch.tensor([[1, -100]]))
    assert each[0].tolist() == pytest.approx([math.log(4 / 3), 0.0])


@pytest.mark.parametrize("family", ["llava", "idefics3"])
def test_targets_stand_behind_their_instructions(
    family: str, data: Path, film: Path, tmp_path: Path
) -> None:
    model = TransformersModel(families.make(family, tmp_path / family))
    dataset = _load(data, film)
    rows = dataset.rows(dataset.samples[0], Templates("default"), True)
    assert [r.task for r in rows] == ["answer", "rationale"]
    assert rows[1].target == "It stands there. So it is red. Answer: red"

    def inputs(prompts: list[Call]) -> Any:
        return model.inputs(prompts, dataset.pictures, False)

    collate = Collator(model.processor, inputs)
    batch = collate([rows])
    length = batch["targets"].shape[1]
    alone = inputs([Call("", r.task, r.text, r.frames, 0.0, (0,)) for r in rows])["input_ids"]
    assert torch.equal(batch["input_ids"][:, :-length], alone)
    for row, ids, there in zip(rows, batch["targets"], batch["attention_mask"], strict=True):
        learnt = ids[ids != -100].tolist()
        assert learnt == collate.target(row.target) and learnt[-1:] == collate.end[-1:]
        assert there[-length:].tolist() == [1] * len(learnt) + [0] * (length - len(learnt))
    # what a row's loss is depends neither on its padding nor on who else is in the batch
    model.model.eval()

    def mean(samples: list[list[Any]]) -> list[float]:
        made = collate(samples)
        given = {k: v for k, v in made.items() if k not in ("targets", "task")}
        with torch.no_grad():
            logits = model.model(**given).logits[:, -made["targets"].shape[1] - 1 : -1]
        each = losses(logits, made["targets"])
        return (each.sum(1) / (made["targets"] != -100).sum(1)).tolist()  # type: ignore[no-any-return]

    together = mean([rows])
    assert together == pytest.approx([mean([[row]])[0] for row in rows], rel=1e-3)


# --- training ----------------------------------------------------------------------------


def _train(data: Path, film: Path, tiny: str, out: Path, recipe: Recipe, **more: Any) -> Any:
    return train(_load(data, film), tiny, out, recipe, **more)


def _weights(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


def test_lora_lowers_the_loss_and_the_model_is_a_model(
    data: Path, film: Path, tiny: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    recipe = Recipe(frames=2, steps=40, rate=3e-2, batch=4, lora=8, mean="sample",
                    more=(("logging_steps", 5),))  # fmt: skip
    made = _train(data, film, tiny, out, recipe)
    logged = [row for row in made.history if "loss" in row]
    assert logged[-1]["loss"] < 0.6 * logged[0]["loss"]
    assert {"loss_answer", "loss_rationale"} <= set(logged[0])
    assert logged[0]["loss"] == pytest.approx(
        logged[0]["loss_answer"] + logged[0]["loss_rationale"], rel=1e-3
    )
    assert any("eval_loss" in row for row in made.history)
    assert made.rows == {"answer": 5, "rationale": 5, "parse": 0}
    assert (out / "adapter" / "adapter_config.json").exists()
    card = json.loads((out / "training.json").read_text())
    assert card["recipe"]["weight"] == 1.0 and card["model"].startswith("llava@sha256:")
    assert "λ" in (out / "README.md").read_text("utf-8")
    assert TransformersModel(str(out)).identity != TransformersModel(tiny).identity
    adapted = TransformersModel(tiny, LocalOptions(adapter=str(out / "adapter")))
    assert "+adapter@sha256:" in adapted.identity


def test_accumulated_batches_are_one_step(
    data: Path, film: Path, tiny: str, tmp_path: Path
) -> None:
    one = Recipe(frames=2, steps=2, rate=1e-3, batch=4)
    cut = Recipe(frames=2, steps=2, rate=1e-3, batch=1, accumulate=4)
    logs = [
        _train(data, film, tiny, tmp_path / name, r, templates="default").history[-1]
        for name, r in (("one", one), ("cut", cut))
    ]
    assert logs[0]["train_loss"] == pytest.approx(logs[1]["train_loss"], rel=1e-4)


def test_without_weight_there_are_no_rationales(
    data: Path, film: Path, tiny: str, tmp_path: Path
) -> None:
    made = _train(data, film, tiny, tmp_path / "out", Recipe(weight=0, frames=2, steps=1))
    assert made.rows == {"answer": 5, "rationale": 0, "parse": 0}


def test_parsing_is_kept_as_most_samples_had_it(
    data: Path, film: Path, tiny: str, tmp_path: Path
) -> None:
    sha = probe(film).video.sha256
    tape = Cassette(tmp_path / "calls.jsonl")
    shown = {"request": "classify", "text": "is it static?", "frames": [[sha[:12], 0]]}
    other = {**shown, "frames": [["0" * 12, 0]]}
    tape.add({"key": "a", **shown, "replies": ["static", "dynamic", "static"]})
    tape.add({"key": "b", **shown, "replies": ["static", "dynamic", "both"]})
    tape.add({"key": "c", **other, "replies": ["static"]})
    rows = _load(data, film).parses(tape, 10_000, 1)
    assert [(r.task, r.text, r.target) for r in rows] == [("parse", "is it static?", "static")]
    recipe = Recipe(frames=2, steps=1, parse=0.5)
    assert _train(data, film, tiny, tmp_path / "out", recipe, tape=tape).rows["parse"] == 1


def _command(data: Path, film: Path, tiny: str, out: Path) -> list[str]:
    return [sys.executable, "-m", "stepc", "train", str(data), "--videos", str(film), "-o", str(out),
            "--model", tiny, "--frames", "2", "--max-steps", "6", "--learning-rate", "3e-3",
            "--batch-size", "2", "--save-every", "2"]  # fmt: skip


def test_killed_and_resumed_it_ends_with_the_same_weights(
    data: Path, film: Path, tiny: str, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert _train(data, film, tiny, whole, FAST).steps == 6
    process = subprocess.Popen(
        _command(data, film, tiny, cut), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        for _ in range(1200):
            if any(cut.glob("steps/checkpoint-*/whole")) or process.poll() is not None:
                break
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert any(cut.glob("steps/checkpoint-*/whole"))
    (cut / "model.safetensors").unlink(missing_ok=True)
    (cut / "steps" / "checkpoint-5").mkdir()  # one that was not written to its end
    said: list[str] = []
    train(_load(data, film), tiny, cut, FAST, reporter=Heard(note=said.append))
    assert said[0].startswith("resuming from checkpoint-")
    assert _weights(cut) == _weights(whole)
    assert json.loads((cut / "training.json").read_text())["steps"] == 6


def test_another_training_in_the_folder_is_left_alone(
    data: Path, film: Path, tiny: str, tmp_path: Path
) -> None:
    _train(data, film, tiny, tmp_path, Recipe(frames=2, steps=1))
    before = _weights(tmp_path)
    with pytest.raises(StepcError) as caught:
        _train(data, film, tiny, tmp_path, Recipe(frames=2, steps=1, rate=1e-3))
    assert caught.value.diagnostics[0].code == "T004" and "recipe" in str(caught.value)
    assert _weights(tmp_path) == before


# --- data that is not whole --------------------------------------------------------------


def test_bad_samples_are_left_out_by_number(film: Path, tmp_path: Path) -> None:
    lines = [
        json.dumps(_sample(0, film)),
        "{half a line",
        json.dumps(_sample(2, film, answer=" ")),
        json.dumps({"id": "x"}),
        "",
        json.dumps(_sample(5, Path("gone.mp4"))),
        json.dumps(_sample(6, film, sha256="0" * 64)),
    ]
    (tmp_path / "qra.jsonl").write_text("\n".join(lines), "utf-8")
    dataset = load_dataset(tmp_path, [film], 2)
    assert [s.id for s in dataset.samples] == ["film/q0"]
    told = [d.message for d in dataset.left_out]
    assert {d.code for d in dataset.left_out} == {"T002"}
    for number, why in ((2, ""), (3, "empty"), (4, "video"), (6, "not found"), (7, "not the file")):
        assert any(f"sample {number} is skipped" in m and why in m for m in told), (number, told)


def test_what_is_too_long_for_the_model_is_left_out(film: Path, tiny: str, tmp_path: Path) -> None:
    rows = [_sample(i, film) for i in range(3)]
    rows[1]["question"] = "so " * 3000
    (tmp_path / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    told: list[Any] = []
    recipe = Recipe(frames=2, steps=1)
    made = _train(tmp_path, film, tiny, tmp_path / "out", recipe, reporter=Heard(told.append))
    assert made.samples == 2 and [d.code for d in told] == ["T002"]
    assert "sample 2 is skipped" in told[0].message and "tokens long" in told[0].message


def test_nothing_to_train_on_is_said(film: Path, tmp_path: Path) -> None:
    for write, code in (("", "T001"), (json.dumps(_sample(0, Path("gone.mp4"))), "T003")):
        (tmp_path / "qra.jsonl").write_text(write, "utf-8")
        with pytest.raises(StepcError) as caught:
            load_dataset(tmp_path, [film], 2)
        assert caught.value.diagnostics[-1].code == code
    with pytest.raises(StepcError) as caught:
        load_dataset(tmp_path / "none", [film], 2)
    assert caught.value.diagnostics[0].code == "T001"


def test_arguments_that_do_not_fit_are_said(
    data: Path, film: Path, tiny: str, tmp_path: Path
) -> None:
    recipe = Recipe(frames=2, steps=1, more=(("no_such", 1),))
    with pytest.raises(StepcError) as caught:
        _train(data, film, tiny, tmp_path, recipe)
    assert caught.value.diagnostics[0].code == "T006"


def test_frames_are_at_the_middles_of_equal_parts(film: Path) -> None:
    source = probe(film)
    pictures = Pictures()
    pictures.add(source)
    length = source.video.duration
    chosen = spread(source, 4)
    for i, frame in enumerate(chosen):
        assert abs(frame.at - (2 * i + 1) * length / 8) <= 45
        assert pictures.at(frame).shape == (256, 256, 3)
    assert len(spread(source, 10_000)) == round(length * 24 / 1000)


# --- rewards -----------------------------------------------------------------------------


def test_words_are_compared_without_marks_and_articles() -> None:
    assert words("The  Red cup.") == words("a red, CUP") == ("red", "cup")
    assert words("moving left") != words("moving right")


def test_rewards_by_hand() -> None:
    steps = ["The cup is red.", "So the box is blue."]
    true = "the cup is red . so the box is blue ."
    rows = [
        f"{true} Answer: Blue.",
        f"<think>{true}</think> the blue",
        "So the box is blue. The cup is red. Answer: blue",  # out of order: one step
        [{"role": "assistant", "content": "Answer: blue or red"}],
        [{"role": "assistant", "content": [{"type": "text", "text": "blue"}]}],
        f"{true} {'And more of it. ' * 10} Answer: blue",
    ]
    columns: dict[str, Any] = {"answers": [["blue"]] * 6, "steps": [steps] * 6}
    assert answered(rows, **columns) == [1, 1, 1, 0, 1, 1]
    scores = reasoned(rows, **columns)
    assert scores[:5] == [1, 1, 0.5, 0, 0] and 0 < scores[5] < 0.5
    assert parted("no mark at all") == ("", "no mark at all")
    assert held("the cup is red", ["The cup is red.", "The cup is red."]) == 1
    assert held("", []) == 0 and answered([""], answers=[["blue"]]) == [0]


def test_a_choice_is_answered_with_its_letter() -> None:
    sample = TrainingSample(
        id="x", video="v", question="q?", answer="blue", options=("red", "blue")
    )
    assert sample.reply == "B. blue" and sample.told == ""
    assert TASKS == ("answer", "rationale", "parse")


# --- going round -------------------------------------------------------------------------

SHORT = "split,keyframes,parse(samples=1),merge,bridge(samples=1),sample,compose,check"


@pytest.mark.embedded
def test_a_run_goes_round_is_found_again_and_stops(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import stepc.train.rounds as rounds_
    from stepc.driver.compile_video import CompileConfig
    from stepc.lang.parse import builtin

    order = CompileConfig(SHORT, "dedupe,emit", builtin("step"), "step.step", seed=1)
    recipe = Recipe(frames=2, steps=1, parse=1.0)
    out, said = tmp_path / "run", []
    quiz = tmp_path / "quiz"
    quiz.mkdir()
    (quiz / "qra.jsonl").write_text(json.dumps(_sample(0, film)), "utf-8")
    scores = iter([0.2, 0.5, 0.3, 0.9])
    see = rounds_._see

    def marked(one: Any, *given: Any) -> None:
        see(one, *given)
        one.right["direct"] = next(scores)

    monkeypatch.setattr(rounds_, "_see", marked)

    def go(rounds: int, recipe: Recipe) -> Any:
        heard = Heard(lambda d: said.append(d.message), said.append)
        return rounds_.selftrain([film], out, order, recipe, rounds, quiz=rounds_.Quiz(quiz, (film,), 2),
                                 parsing=parsing_accuracy, reporter=heard)  # fmt: skip

    ran = go(1, recipe)
    assert [r.number for r in ran.rounds] == [0, 1] and ran.best == 1
    one = ran.rounds[1]
    assert one.samples > 0 and sum(one.by_steps.values()) == one.samples
    assert one.parsing["classify"] > 0.5 and "direct, steps 2" in one.right
    assert one.blank.keys() == {"direct", "reasoned"}
    assert "from grey pictures, direct" in ran.table()
    card = json.loads((out / "round-1" / "model" / "training.json").read_text())
    assert card["round"] == 1 and card["rows"]["parse"] > 0
    again = go(3, recipe)
    assert again.rounds[1] == one and len(again.rounds) == 3  # the first is not made again
    assert again.rounds[2].model == str(out / "round-2" / "model") and again.best == 1
    second = json.loads((out / "round-2" / "model" / "training.json").read_text())
    assert second["model"].startswith("model@sha256:")
    assert any("stopping" in line for line in said)
    assert "round 2" in again.table() and "parsing, classify" in again.table()
    with pytest.raises(StepcError) as caught:
        go(3, Recipe(frames=2, steps=2, parse=1.0))
    assert caught.value.diagnostics[0].code == "T004"


def test_a_missing_package_is_said(
    data: Path, film: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepc.model.templates import Templates
    from stepc.train.export import export

    for package, extra in (("peft", "adapters"), ("pyarrow", "export")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(StepcError) as caught:
            if package == "peft":
                _train(data, film, tiny, tmp_path / "out", Recipe(frames=2, steps=1, lora=4))
            else:
                export(_load(data, film), "trl", tmp_path, Templates("default"), "apart")
        found = caught.value.diagnostics[0]
        assert found.code == "T005" and f"stepc[{extra}]" in found.help


def test_a_report_without_its_package_is_said(
    data: Path, film: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.integrations import integration_utils

    monkeypatch.setattr(integration_utils, "is_tensorboard_available", lambda: False)
    recipe = Recipe(frames=2, steps=1, more=(("report_to", "tensorboard"),))
    with pytest.raises(StepcError) as caught:
        _train(data, film, tiny, tmp_path / "out", recipe)
    found = caught.value.diagnostics[0]
    assert found.code == "T005" and "tensorboard" in found.message.lower()


# --- several processes -------------------------------------------------------------------

SHARDED = """
import sys
import accelerate.state as state
from accelerate.utils import DistributedType

begin = state.PartialState.__init__


def __init__(self, *args, **given):  # accelerate shards on accelerators only, torch on processors, too
    begin(self, *args, **given)
    if self._shared_state.get("distributed_type") == DistributedType.MULTI_CPU:
        self._shared_state["distributed_type"] = DistributedType.MULTI_GPU


if "--sharded" in sys.argv:
    sys.argv.remove("--sharded")
    state.PartialState.__init__ = __init__
from stepc.cli import main

main()
"""


@pytest.mark.embedded
@pytest.mark.parametrize("sharded", [False, True], ids=["replicated", "sharded"])
def test_several_processes_train_as_one(
    sharded: bool, data: Path, film: Path, tmp_path: Path
) -> None:
    """Two processes with half of each batch, weights whole (DDP) or in parts (FSDP2)."""
    from safetensors.torch import load_file

    script, config = tmp_path / "run.py", tmp_path / "config.json"
    script.write_text(SHARDED)
    given: dict[str, Any] = {"use_cpu": True, "ddp_backend": "gloo", "logging_steps": 1}
    if sharded:
        layers = {"version": 2, "transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"]}
        given |= {
            "fsdp": "full_shard",
            "fsdp_config": {**layers, "state_dict_type": "FULL_STATE_DICT"},
        }
    config.write_text(json.dumps(given))
    done = subprocess.run(
        [Path(sys.executable).with_name("torchrun"), "--standalone", "--nproc_per_node", "2",
         script, "train", data, "--videos", film, "-o", tmp_path / "two", "--frames", "2",
         "--max-steps", "2", "--batch-size", "1", "--learning-rate", "1e-4", "--seed", "1",
         "--training-arguments", config,
         *(["--sharded"] if sharded else [])],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("2 steps on") == 1
    recipe = Recipe(frames=2, steps=2, batch=2, rate=1e-4, seed=1, more=(("use_cpu", True),))
    _train(data, film, "embedded", tmp_path / "one", recipe)
    two, one = (load_file(tmp_path / x / "model.safetensors") for x in ("two", "one"))
    before = load_file(embedded_folder() / "model.safetensors")
    moved = max(float((one[k] - before[k]).abs().max()) for k in one)
    assert moved > 1e-4 and max(float((two[k] - one[k]).abs().max()) for k in one) < moved / 10
