"""Exports, each read by the loader that it is for; where that is too large, held to what is published."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import families
import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet
from recipes import encode
from test_golden import HERE
from test_train import _sample

from stepc.dataset.parquet import TEXT, write_parquet
from stepc.dataset.read import TrainingData, load_dataset
from stepc.diagnostics import StepcError
from stepc.grading.reward import answered, parted, reasoned, right
from stepc.model.templates import Templates
from stepc.runtime.names import Name
from stepc.train.export import EXPORTS, export
from stepc.train.tables import PICTURES
from stepc.video.probe import probe


@pytest.fixture(scope="module")
def dataset(film: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """Four samples, one held out, one a multiple choice, one without a rationale."""
    folder = tmp_path_factory.mktemp("data")
    rows = [_sample(i, film, set="val" if i == 3 else "train", query="q?") for i in range(4)]
    rows[1]["options"] = ["green", "blue"]
    rows[2]["rationale"] = []
    rows[0]["wrong_steps"] = [
        {"step": 2, "what": "value", "text": "So it is blue.", "answer": "blue"}
    ]
    (folder / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return load_dataset(folder, [film], 2)


def _export(dataset: TrainingData, to: str, out: Path, thought: Any = "apart") -> Path:
    export(dataset, to, out / to, Templates("default"), thought)
    return out / to


def _open(folder: Path, name: str = "train") -> Any:
    from datasets import load_dataset as load

    files = {name: str(folder / f"{name}.parquet")}
    return load("parquet", data_files=files, cache_dir=str(folder / "cache"))[name]


def test_hf_opens_as_a_dataset(dataset: TrainingData, tmp_path: Path) -> None:
    from datasets import load_dataset as load

    folder = _export(dataset, "hf", tmp_path)
    whole = load(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in whole.items()} == {"train": 3, "validation": 1}
    row = whole["train"][1]
    assert row["options"] == ["green", "blue"] and row["answer"] == "blue"
    assert [step["text"] for step in row["rationale"]] == ["It stands there.", "So it is blue."]
    assert whole["validation"][0]["query"] == "q?"
    assert "evidence" not in row, "it is no dataset of stepc, which says where its answers are seen"


def test_hf_keeps_all_columns_of_a_dataset_of_stepc(
    dataset: TrainingData, film: Path, tmp_path: Path
) -> None:
    from datasets import load_dataset as load

    seen = {"step": 1, "clip": "c0", "start": 0.5, "end": 1.0, "nodes": ["c0/cup"],
            "keyframes": [{"id": "c0.k0", "at": 0.5}],
            "boxes": [{"node": "c0/cup", "label": "cup", "at": 0.5, "box": [1, 2, 3, 4],
                       "score": 1.0}]}  # fmt: skip
    rows = [
        {**_sample(i, film, set="train"), "form": "ask", "type": "open", "asks_for": "attr",
         "evidence": [seen], "time": None, "demand": {"clips": 1, "keyframes": 1, "seconds": 0.5},
         "origin": {"unit": f"u{i}", "path": "p0", "block": "paths", "wording": "template",
                    "spec": "s", "model": "m", "asks": []}}
        for i in range(3)
    ]  # fmt: skip
    (tmp_path / "ds").mkdir()
    (tmp_path / "ds" / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (tmp_path / "ds" / "manifest.json").write_text('{"files": {"qra.jsonl": ""}}', "utf-8")
    folder = _export(load_dataset(tmp_path / "ds", [film], 2), "hf", tmp_path)
    found = load(str(folder), cache_dir=str(tmp_path / "cache"))["train"]
    assert len(found) == 3 and "set" not in found.column_names
    row = found[1]
    assert row["origin"]["unit"] == "u1" and row["form"] == "ask"
    assert row["evidence"][0]["boxes"][0]["box"] == [1, 2, 3, 4]
    assert row["demand"]["seconds"] == 0.5 and row["time"] is None
    odd = {"time": "3 s", "demand": {"clips": 2**70}, "origin": [], "form": 1}
    rows = [{**row, **odd} for row in rows]
    (tmp_path / "ds" / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    again = _export(load_dataset(tmp_path / "ds", [film], 2), "hf", tmp_path / "again")
    (told, *_) = load(str(again), cache_dir=str(tmp_path / "cache2"))["train"]
    assert told["question"] and all(told[k] in (None, []) for k in odd), (
        "what is of no type is left out"
    )


def test_trl_collates_what_is_written_for_it(dataset: TrainingData, tmp_path: Path) -> None:
    from transformers import AutoProcessor
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    rows = _open(_export(dataset, "trl", tmp_path))
    assert [r["id"] for r in rows] == [
        "film/q0/answer", "film/q0/rationale", "film/q1/answer", "film/q1/rationale",
        "film/q2/answer",
    ]  # fmt: skip
    assert rows[0]["images"][0].size == (256, 256) and len(rows[0]["images"]) == 2
    processor = AutoProcessor.from_pretrained(families.make("llava", tmp_path / "tiny"))
    collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    batch = collate([dict(rows[0]), dict(rows[1])])
    said = []
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        assert (labels == ids)[labels != -100].all()
        said.append(processor.tokenizer.decode(labels[labels != -100], skip_special_tokens=True))
    assert "red" in said[0] and "So it is red. Answer: red" in said[1]
    assert batch["pixel_values"].shape[0] == 4


def test_grpo_carries_what_its_rewards_look_at(dataset: TrainingData, tmp_path: Path) -> None:
    rows = _open(_export(dataset, "grpo", tmp_path))
    columns = {name: rows[name] for name in ("answers", "steps", "query", "id")}
    said = ["It stands there. So it is red. Answer: red", "Answer: B. blue", "green"]
    completions = [[{"role": "assistant", "content": text}] for text in said]
    prompts = [row["prompt"] for row in rows]
    # as TRL calls them: everything by keyword, the row's columns as lists
    given = {"prompts": prompts, "completions": completions, "completion_ids": [[]] * 3, **columns}
    assert answered(**given) == [1, 1, 1]
    assert reasoned(**given) == [1, 0, 0]
    assert "step by step" in prompts[0][0]["content"] and "B. blue" in prompts[1][0]["content"]
    assert "few words" in prompts[2][0]["content"]  # nothing to reason about is known of it


@pytest.mark.parametrize("to", ["ms-swift", "llamafactory", "llava"])
def test_others_as_they_publish_it(
    to: str, dataset: TrainingData, tmp_path: Path, film: Path
) -> None:
    folder = _export(dataset, to, tmp_path)
    if to == "ms-swift":
        lines = (folder / "train.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
    else:
        rows = json.loads((folder / "train.json").read_text("utf-8"))
    assert len(rows) == 5
    for row in rows:
        if to == "llava":
            assert set(row) == {"id", "video", "conversations"}
            turns = [(t["from"], t["value"]) for t in row["conversations"]]
            videos, roles = [row["video"]], ["human", "gpt"]
        else:
            assert set(row) == {"messages", "videos"}
            turns = [(t["role"], t["content"]) for t in row["messages"]]
            videos, roles = row["videos"], ["user", "assistant"]
        assert [role for role, _ in turns] == roles
        assert turns[0][1].count("<video>") == len(videos) == 1
        assert (
            videos == ["videos/film.mp4"] and (folder / videos[0]).read_bytes() == film.read_bytes()
        )
    if to == "llamafactory":
        info = json.loads((folder / "dataset_info.json").read_text("utf-8"))
        assert set(info) == {"stepc_train", "stepc_validation"}
        one = info["stepc_train"]
        assert (folder / one["file_name"]).is_file() and one["formatting"] == "sharegpt"
        assert all(column in rows[0] for column in one["columns"].values())
        assert set(one["tags"].values()) == {"role", "content", "user", "assistant"}


def test_boxes_as_ms_swift_publishes_them(film: Path, tmp_path: Path) -> None:
    """The pictures of the evidence, and a mark in the rationale for each box."""
    rows = [_sample(i, film, query="q?") for i in range(2)]
    dog = {
        "node": "c0.k0/dog",
        "label": "dog",
        "at": 0.5,
        "box": [100, 200, 300, 400],
        "score": 900,
    }
    cup = {"node": "c0.k1/cup", "label": "cup", "at": 1.0, "box": [500, 0, 1000, 250], "score": 900}
    rows[0]["evidence"] = [
        {"step": 1, "clip": "c0", "start": 0.5, "end": 0.5, "nodes": [], "boxes": [dog]},
        {"step": 2, "clip": "c0", "start": 0.5, "end": 1.0, "nodes": [], "boxes": [dog, cup]},
    ]
    (tmp_path / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    folder = _export(
        load_dataset(tmp_path, [film], 2), "ms-swift-grounded", tmp_path / "out", "block"
    )
    (row, plain) = map(json.loads, (folder / "train.jsonl").read_text("utf-8").splitlines())
    asked, reply = (m["content"] for m in row["messages"])
    assert asked.startswith("0.5 s: <image>\n1 s: <image>\n") and len(row["images"]) == 2
    assert reply.count("<ref-object><bbox>") == 3 and "there. <ref-object><bbox> So" in reply
    assert row["objects"] == {
        "ref": ["dog", "dog", "cup"],
        "bbox": [[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], [0.5, 0.0, 1.0, 0.25]],
        "bbox_type": "norm1",
        "image_id": [0, 0, 1],
    }
    assert all(Image.open(folder / name).size == (256, 256) for name in row["images"])
    assert "objects" not in plain and plain["videos"] == [f"videos/{film.name}"]


def test_a_video_of_one_frame_is_left_out_where_a_trainer_cannot_read_it(
    film: Path, tmp_path: Path
) -> None:
    single = tmp_path / "single.mp4"
    encode(single, [np.zeros((48, 64, 3), np.uint8)])
    rows = [_sample(0, film), _sample(1, single), _sample(2, single)]
    (tmp_path / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    loaded = load_dataset(tmp_path, [film, single], 2)
    assert len(loaded.samples) == 3
    for to in ("llamafactory", "ms-swift", "llava"):
        written = export(loaded, to, tmp_path / to, Templates("default"), "apart")
        assert [s.video for s in written.samples] == [film.name]
        assert [d.code for d in written.left_out] == ["T002", "T002"]
        assert "sample 2 is skipped: its video has 1 frame" in written.left_out[0].text()
        assert "single.mp4" not in "".join(p.read_text() for p in (tmp_path / to).glob("*.json*"))
    assert len(export(loaded, "hf", tmp_path / "hf", Templates("default"), "apart").samples) == 3
    (tmp_path / "qra.jsonl").write_text(json.dumps(rows[1]), "utf-8")
    with pytest.raises(StepcError) as caught:
        export(
            load_dataset(tmp_path, [single], 2),
            "llava",
            tmp_path / "no",
            Templates("default"),
            "apart",
        )
    assert [d.code for d in caught.value.diagnostics] == ["T002", "T003"]


@pytest.mark.parametrize("times", [[0, 60_000], [0, 40]])
def test_two_frames_are_enough_however_far_apart(times: list[int], tmp_path: Path) -> None:
    encode(tmp_path / "two.mp4", [np.full((48, 64, 3), n, np.uint8) for n in (0, 90)], times)
    (tmp_path / "qra.jsonl").write_text(json.dumps(_sample(0, tmp_path / "two.mp4")), "utf-8")
    loaded = load_dataset(tmp_path, [tmp_path / "two.mp4"], 2)
    assert len(export(loaded, "llava", tmp_path / "o", Templates("default"), "apart").samples) == 1


def test_a_set_may_be_called_like_the_list_of_sets(film: Path, tmp_path: Path) -> None:
    row = _sample(0, film, set="dataset_info")
    (tmp_path / "qra.jsonl").write_text(json.dumps(row), "utf-8")
    folder = _export(load_dataset(tmp_path, [film], 2), "llamafactory", tmp_path)
    info = json.loads((folder / "dataset_info.json").read_text())
    rows = json.loads((folder / info["stepc_dataset_info-2"]["file_name"]).read_text())
    assert len(rows) == 2 and rows[0]["messages"]


def test_one_conversation_with_a_thinking_block(dataset: TrainingData, tmp_path: Path) -> None:
    folder = _export(dataset, "ms-swift", tmp_path, "block")
    lines = (folder / "train.jsonl").read_text("utf-8").splitlines()
    said = [json.loads(line)["messages"][1]["content"] for line in lines]
    assert said == [
        "<think>\nIt stands there. So it is red.\n</think>\nred",
        "<think>\nIt stands there. So it is blue.\n</think>\nB. blue",
        "green",
    ]
    assert reasoned([said[0]], steps=[["It stands there.", "So it is red."]]) == [1.0]


def test_every_format_is_written_twice_the_same(dataset: TrainingData, tmp_path: Path) -> None:
    for to in EXPORTS.names():
        folder = _export(dataset, to, tmp_path)
        first = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        _export(dataset, to, tmp_path)
        assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == first


def test_an_export_is_not_replaced_by_less(film: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    encode(other, [np.full((48, 64, 3), n, np.uint8) for n in (0, 90)])
    rows = [_sample(0, film), _sample(1, other, set="val")]
    out, templates = tmp_path / "out", Templates("default")

    def written(rows: list[dict[str, Any]], to: str = "llava", **more: Any) -> dict[str, bytes]:
        (tmp_path / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
        loaded = load_dataset(tmp_path, [film, other], 2)
        with contextlib.suppress(StepcError):
            export(loaded, to, out, templates, "apart", **more)
        return {
            p.name: p.read_bytes() for p in out.rglob("*") if p.is_file() and p.suffix != ".mp4"
        }

    (out / "notes.txt").parent.mkdir()
    (out / "notes.txt").write_text("mine")
    both = written(rows)
    assert set(both) == {"notes.txt", "train.json", "validation.json", "export.json"}
    assert json.loads(both["export.json"])["videos"] == {film.name: 1, other.name: 1}
    assert written(rows[:1]) == both, "one video less"
    assert written(rows, "ms-swift") == both, "another format"
    assert written([*rows, _sample(2, film)]) != both, "one sample more"
    less = written(rows[:1], replace=True)
    assert set(less) == {"notes.txt", "train.json", "export.json"}, (
        "no set of the old export is left"
    )
    swift = written(rows, "ms-swift", replace=True)
    assert set(swift) == {"notes.txt", "train.jsonl", "validation.jsonl", "export.json"}
    with pytest.raises(StepcError) as caught:
        export(load_dataset(tmp_path, [film, other], 2), "llava", out, templates, "apart")
    assert "holds one for `ms-swift`" in caught.value.diagnostics[0].message


def test_an_export_touches_nothing_that_is_not_its_own(
    dataset: TrainingData, tmp_path: Path
) -> None:
    """Links inside the folder, files of others, and a record that names them."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "x.txt").write_text("precious")

    def run(out: Path, to: str = "llava", **more: Any) -> str:
        try:
            export(dataset, to, out, Templates("default"), "apart", **more)
        except StepcError as error:
            return error.diagnostics[0].code
        return ""

    one = tmp_path / "one"
    one.mkdir()
    (one / ".partial").symlink_to(victim)
    assert run(one) == "" and not (one / "x.txt").exists(), "files are moved out of a link"
    two = tmp_path / "two"
    two.mkdir()
    (two / "link").symlink_to(victim)
    (two / "mine.txt").write_text("mine")
    (two / "export.json").write_text('{"to": "llava", "videos": {}, "files": ["link/x.txt"]}')
    assert run(two) == "" and (two / "mine.txt").exists()
    three = tmp_path / "three"
    three.mkdir()
    (three / "data").symlink_to(victim)
    assert run(three, "hf") == "B014" and not (victim / "train.parquet").exists()
    assert [p.read_text() for p in victim.iterdir()] == ["precious"]
    for to, file in (("ms-swift", "train.jsonl"), ("hf", "README.md"), ("llava", "export.json")):
        four = tmp_path / f"four-{to}"
        four.mkdir()
        (four / file).write_text("mine")
        assert run(four, to) == "B023" and (four / file).read_text() == "mine", file
        assert run(four, to, replace=True) == "" and (four / file).read_text() != "mine"
    assert run(one) == ""
    (one / "export.json").write_text("{")
    assert run(one, "ms-swift") == "B023", "a damaged record hides no export"


@pytest.mark.parametrize("to", ["llamafactory", "llava", "ms-swift", "hf"])
def test_each_set_has_a_file_of_its_own(to: str, film: Path, tmp_path: Path) -> None:
    sets = [
        "export",
        "dataset_info",
        "dataset_info-2",
        "manifest",
        "\N{GRINNING FACE}" * 64,
        "my-set",
        "my_set",
    ]
    rows = [_sample(i, film, set=name) for i, name in enumerate(sets)]
    (tmp_path / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    folder = _export(load_dataset(tmp_path, [film], 2), to, tmp_path)
    if to == "hf":
        from datasets import load_dataset as load

        opened = load(str(folder), cache_dir=str(tmp_path / "cache"))
        assert len(opened) == len(sets) and all(len(split) == 1 for split in opened.values())
        return
    kept = {"export.json", "dataset_info.json", "videos"}
    files = [
        p
        for p in folder.iterdir()
        if p.name not in kept or (to == "ms-swift" and p.suffix == ".jsonl")
    ]
    assert len(files) == len(sets) and not (folder / "manifest.json").exists()
    if to == "llamafactory":
        info = json.loads((folder / "dataset_info.json").read_text())
        named = [json.loads((folder / one["file_name"]).read_text()) for one in info.values()]
        assert len(named) == len(sets) and all(len(rows) == 2 for rows in named)


def test_a_task_of_lmms_eval_stands_by_itself(dataset: TrainingData, tmp_path: Path) -> None:
    """Its YAML names functions of a module that knows nothing of stepc; pictures come from Parquet."""
    import importlib.util

    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))
    samples = [
        s.model_copy(update={"set": Name("test" if s.set == "val" else "train")})
        for s in dataset.samples
    ]
    held = replace(dataset, samples=samples)
    folder = _export(held, "lmms-eval", tmp_path)
    others = yaml.load((folder / "stepc_train.yaml").read_text(), Loader)
    assert others["task"] == "stepc_train" and len(_open(folder, "train")) == 3
    task = yaml.load((folder / "stepc.yaml").read_text(), Loader)
    assert task["task"] == "stepc" and task["output_type"] == "generate_until"
    place = importlib.util.spec_from_file_location("stepc_task", folder / "stepc_task.py")
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    loaded = "import sys, stepc_task; print({'torch', 'transformers'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", loaded], cwd=folder, env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "set()\n", "what grades must be light"
    named = [task["doc_to_visual"], task["doc_to_messages"], task["process_results"],
             *(m["aggregation"] for m in task["metric_list"])]  # fmt: skip
    assert all(hasattr(module, name.removeprefix("stepc_task.")) for name in named)
    exam = [type(s)(**s.model_dump(exclude={"set"})) for s in dataset.samples]
    whole = _export(replace(dataset, samples=exam), "lmms-eval", tmp_path / "exam")
    assert len(_open(whole, "test")) == len(exam), "an exam has no sets"
    rows = _open(folder, "test")
    assert task["dataset_kwargs"]["data_files"] == {
        "test": "test.parquet"  # the evaluator looks beside the task
    }
    assert len(rows) == 1, "the samples of the set `test` alone"
    row = rows[0]
    message = module.messages(row)[0]["content"]
    assert message[-1]["text"] == row["text"] and message[0]["url"].mode == "RGB"
    true = module.graded(row, [f"Answer: {row['answer']}"])
    assert true["accuracy"] == 1 and len(true) == 2
    assert (
        module.graded(row, ["no such thing"])["accuracy"] == 0 and module.share([1.0, 0.0]) == 0.5
    )


# --- media and further formats -----------------------------------------------------------


@pytest.fixture
def proved(film: Path, tmp_path: Path) -> TrainingData:
    """A multiple choice with evidence and facts, and a count."""
    duration = probe(film).video.duration / 1000
    evidence = [
        {"step": 1, "start": 0.0, "end": 0.0, "keyframes": [{"id": "c0.k0", "at": 0.0}]},
        {"step": 2, "start": 0.2, "end": duration, "keyframes": [{"id": "c0.k0", "at": 0.0}]},
    ]
    fact = {"step": 1, "true": True, "denied": False, "subject": ["cup"], "relation": [], "inverse": [],
            "object": ["there"], "answer": []}  # fmt: skip
    rows = [_sample(0, film, set="train"), _sample(1, film, set="train")]
    rows[0] |= {"options": ["red", "blue"], "answer": "red", "evidence": evidence, "facts": [fact]}
    rows[0]["rationale"] = [
        {"question": "Where is the cup?", "answer": "there", "text": "The cup is there."},
        {"question": "What color is it?", "answer": "red", "text": "The cup is red."},
    ]
    rows[1] |= {
        "answer": "3",
        "rationale": [{"question": "How many?", "answer": "3", "text": "Three."}],
    }
    (tmp_path / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return load_dataset(tmp_path, [film], 2)


@pytest.mark.parametrize(
    "to", ["ms-swift", "llamafactory", "llava", "video-r1", "turns", "tool-calls", "verl"]
)
def test_an_export_can_be_moved(to: str, proved: TrainingData, film: Path, tmp_path: Path) -> None:
    for media in ("link", "copy"):
        out = tmp_path / f"{media}-{to}"
        export(proved, to, out, Templates("default"), "apart", media=media)  # type: ignore[arg-type]
        moved = tmp_path / "elsewhere" / out.name
        shutil.copytree(out, moved)
        shutil.rmtree(out)
        assert (moved / "videos" / film.name).read_bytes() == film.read_bytes()
        assert not (moved / "videos" / film.name).is_symlink() or media == "link"
        text = "".join(p.read_text("utf-8") for p in moved.glob("train.json*"))
        assert str(tmp_path) not in text and (to == "verl" or f"videos/{film.name}" in text)
        assert [p.name for p in (moved / "videos").iterdir()] == [film.name]


def test_frames_are_written_once(proved: TrainingData, film: Path, tmp_path: Path) -> None:
    export(proved, "ms-swift", tmp_path / "o", Templates("default"), "apart", media="frames")
    rows = [json.loads(x) for x in (tmp_path / "o" / "train.jsonl").read_text("utf-8").splitlines()]
    (frames,) = rows[0]["videos"]
    assert len(frames) == 2 and all(row["videos"] == [frames] for row in rows)
    assert sorted(p.name for p in (tmp_path / "o" / "frames" / film.name).iterdir()) == sorted(
        Path(f).name for f in frames
    )
    assert Image.open(tmp_path / "o" / frames[0]).size[0] > 0
    with pytest.raises(StepcError) as error:
        export(proved, "verl", tmp_path / "v", Templates("default"), "apart", media="frames")
    assert error.value.diagnostics[0].code == "U001"


def test_hf_has_frames_on_request(dataset: TrainingData, tmp_path: Path) -> None:
    from datasets import load_dataset as load

    export(dataset, "hf", tmp_path / "hf", Templates("default"), "apart", media="frames")
    found = load(str(tmp_path / "hf"), cache_dir=str(tmp_path / "cache"))["train"]
    (frames,) = {s.video: dataset.frames[s.video] for s in dataset.samples}.values()
    for row in found:
        assert len(row["images"]) == len(frames) == 2
        for image, frame in zip(row["images"], frames, strict=True):
            off = np.abs(np.asarray(image, float) - dataset.pictures.at(frame))
            assert off.mean() < 5


def test_a_frame_in_parquet_is_stored_once(tmp_path: Path) -> None:
    frames = [{"bytes": os.urandom(300_000), "path": None} for _ in range(8)]
    rows = [{"images": frames, "text": f"{n}"} for n in range(40)]
    write_parquet(tmp_path / "x.parquet", rows, {"images": PICTURES, "text": TEXT}, 20)
    assert 2 * 8 * 300_000 < (tmp_path / "x.parquet").stat().st_size < 2.1 * 8 * 300_000
    assert parquet.read_table(tmp_path / "x.parquet").to_pylist() == rows


def test_two_videos_of_one_name_stay_apart(film: Path, tmp_path: Path) -> None:
    paths = []
    for n, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        encode(
            tmp_path / folder / "clip.mp4",
            [np.full((48, 64, 3), 40 * n + x, np.uint8) for x in (0, 90)],
        )
        paths.append(tmp_path / folder / "clip.mp4")
    rows = [{**_sample(i, p), "video": f"{p.parent.name}/clip.mp4"} for i, p in enumerate(paths)]
    (tmp_path / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    loaded = load_dataset(tmp_path / "qra.jsonl", [tmp_path / "a", tmp_path / "b"], 2, [tmp_path])
    export(loaded, "llava", tmp_path / "o", Templates("default"), "apart")
    made = json.loads((tmp_path / "o" / "train.json").read_text("utf-8"))
    by_video = {
        row["id"].split("/")[0]: (tmp_path / "o" / row["video"]).read_bytes() for row in made
    }
    assert by_video == {
        r["id"].split("/")[0]: p.read_bytes() for r, p in zip(rows, paths, strict=True)
    }


def test_odd_names_and_steps_cost_nothing_else(film: Path, tmp_path: Path) -> None:
    odd = tmp_path / "what? a\ncat: 1.mp4"
    encode(odd, [np.full((48, 64, 3), x, np.uint8) for x in (0, 90)])
    rows = [_sample(0, odd), _sample(1, odd), _sample(2, film)]
    rows[0]["wrong_steps"] = [
        {"step": n, "what": "value", "text": "So it is blue.", "answer": "blue"} for n in (2, 9)
    ]
    rows[1]["video"] = "<image>.mp4"  # trainers take it for a picture
    (tmp_path / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    loaded = load_dataset(tmp_path / "qra.jsonl", [odd, film], 2)
    assert [d.code for d in loaded.left_out] == ["T002"]
    out = _export(loaded, "llava", tmp_path)
    videos = {row["video"] for row in json.loads((out / "train.json").read_text("utf-8"))}
    assert videos == {"videos/what_ a_cat_ 1.mp4", f"videos/{film.name}"}
    assert all((out / video).is_file() for video in videos)
    assert [row["step"] for row in _open(_export(loaded, "dpo", tmp_path))] == [2]


def test_a_file_that_is_the_export_itself_is_not_lost(
    proved: TrainingData, film: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o"
    export(proved, "llava", out, Templates("default"), "apart")
    again = load_dataset(tmp_path / "qra.jsonl", [out / "videos"], 2)
    with pytest.raises(StepcError) as error:
        export(again, "llava", out, Templates("default"), "apart", media="absolute")
    assert error.value.diagnostics[0].code == "U001"
    export(again, "llava", out, Templates("default"), "apart")
    assert (out / "videos" / film.name).read_bytes() == film.read_bytes()


def test_video_r1_as_it_is_published(proved: TrainingData, tmp_path: Path) -> None:
    rows = json.loads((_export(proved, "video-r1", tmp_path) / "train.json").read_text("utf-8"))
    choice, count = rows
    assert choice["options"] == ["A. red", "B. blue"] and choice["solution"] == "<answer>A</answer>"
    assert choice["process"] == "<think>The cup is there. The cup is red.</think>"
    assert [r["problem_type"] for r in rows] == ["multiple choice", "numerical"]
    assert count["solution"] == "<answer>3</answer>" and count["options"] == []
    assert {r["data_type"] for r in rows} == {"video"} and [r["problem_id"] for r in rows] == [1, 2]
    assert set(choice) == {"problem_id", "problem", "data_type", "problem_type", "options", "process",
                           "solution", "path", "data_source"}  # fmt: skip


def test_turns_ask_the_sub_questions_first(proved: TrainingData, tmp_path: Path) -> None:
    lines = (_export(proved, "turns", tmp_path) / "train.jsonl").read_text("utf-8").splitlines()
    said = [[m["content"] for m in json.loads(x)["messages"]] for x in lines]
    assert said[0][:4] == [
        "<video>Where is the cup?",
        "The cup is there.",
        "What color is it?",
        "The cup is red.",
    ]
    assert "Answer with the letter" in said[0][4] and said[0][5] == "A. red"
    assert len(said[1]) == 2 and said[1][1] == "3", "one step: nothing to ask before"


def test_tool_calls_crop_to_the_evidence(proved: TrainingData, film: Path, tmp_path: Path) -> None:
    folder = _export(proved, "tool-calls", tmp_path)
    one, other = (json.loads(x) for x in (folder / "train.jsonl").read_text("utf-8").splitlines())
    roles = [m["role"] for m in one["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    said = "".join(m["content"] for m in one["messages"])
    calls = [json.loads(x) for x in re.findall(r"<tool_call>\n(.*?)\n</tool_call>", said)]
    duration = probe(film).video.duration / 1000
    assert [(c["arguments"]["start_time"], c["arguments"]["end_time"]) for c in calls] == [
        (0.0, 0.5), (0.2, round(duration, 2)),
    ]  # fmt: skip
    assert (
        {c["arguments"]["video_path"] for c in calls} == {f"videos/{film.name}"} == {*one["videos"]}
    )
    last = one["messages"][-1]["content"]
    assert last == "<think>The cup is red.</think><answer>A. red</answer>"
    assert one["messages"][3]["content"].startswith(
        "<think>The cup is there. What color is it?</think>"
    )
    shown = sum(m["content"].count("<image>") for m in one["messages"])
    assert shown == len(one["images"]) == 2 and all((folder / p).is_file() for p in one["images"])
    assert json.loads(one["tools"])[0]["function"]["name"] == "crop_video"
    assert [m["role"] for m in other["messages"]] == ["user", "assistant"], "it has no evidence"
    assert parted(last)[1] == "A. red" and right(parted(last)[1], ["A. red"])


@pytest.mark.parametrize("to", ["verl", "easyr1"])
def test_rows_of_verl_are_graded_by_the_file_beside_them(
    to: str, proved: TrainingData, tmp_path: Path
) -> None:
    folder = _export(proved, to, tmp_path)
    row = _open(folder)[0]
    prompt = row["prompt"] if to == "easyr1" else row["prompt"][0]["content"]
    assert prompt.count("<video>") == 1 and "B. blue" in prompt
    truth = row["answer"] if to == "easyr1" else row["reward_model"]["ground_truth"]
    names: dict[str, Any] = {}
    exec((folder / "stepc_reward.py").read_text("utf-8"), names)
    reply = "<think>The cup is there.</think><answer>A</answer>"
    if to == "verl":
        assert row["videos"][0] == {"type": "video", "video": "videos/film.mp4"}
        score = names["compute_score"](row["data_source"], reply, truth, row["extra_info"])
        assert score == {"score": 1.5, "answered": 1.0, "reasoned": 1.0}
    else:
        score = names["compute_score"]({"response": reply, "ground_truth": truth})
        assert score["overall"] == 1.5 and row["videos"] == ["videos/film.mp4"]
