"""The output folder is a dataset: its card, its splits, its schema; and its way to the hub."""

from __future__ import annotations

import base64
import json
import random
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stepc.cli import app
from stepc.dataset.card import split_name
from stepc.dataset.dataset import Dataset
from stepc.dataset.hub import push
from stepc.dataset.subset import write_part
from stepc.diagnostics import StepcError
from stepc.ir.text import write
from stepc.video.source import digest
from stepc.world.ground_truth import truth
from stepc.world.scene import make_film

PASSES = "split,keyframes,parse-none,lift,bridge-none,sample,compose,check"


def _compile(folder: Path, links: str, *more: str) -> Path:
    done = CliRunner().invoke(
        app,
        ["compile", str(folder / "units"), "-o", str(folder / "out"), "--pipeline", f"{PASSES},{links},emit",
         "--no-store", *more],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "out"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A dataset about twelve films, in three sets."""
    (tmp_path / "units").mkdir()
    for seed in range(12):
        name = f"f{seed:02}"
        unit = truth(make_film(random.Random(seed)), name, f"{name}.mp4", f"{seed:064x}")
        (tmp_path / "units" / f"{name}.stsg").write_text(write(unit), "utf-8")
    return _compile(tmp_path, "split-sets(val=0.3,test=0.3)")


def test_load_dataset_opens_it_with_its_splits_wherever_it_is(out: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    moved = tmp_path / "elsewhere" / "films"
    shutil.copytree(out, moved)
    shutil.rmtree(out)
    opened = load_dataset(str(moved), cache_dir=str(tmp_path / "cache"))
    rows = [*Dataset(moved)]
    assert set(opened) == {"train", "validation", "test"}
    for name, split in opened.items():
        mine = [r for r in rows if split_name(r["set"]) == name]
        assert [r["id"] for r in split] == [r["id"] for r in mine] and mine
        assert [r["evidence"][0]["start"] for r in split] == [
            r["evidence"][0]["start"] for r in mine
        ]
        assert split.features == opened["train"].features
    told = Dataset(moved).manifest["splits"]
    for name, about in told.items():
        assert (
            about["samples"] == len(opened[name])
            and digest(moved / about["file"]) == about["sha256"]
        )


def test_the_card_says_how_it_was_made(out: Path) -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(out / "README.md")
    assert card.data.size_categories == ["n<1K"] and "stepc" in card.data.tags
    manifest = Dataset(out).manifest
    assert card.data.configs[0]["data_files"] == [
        {"split": name, "path": about["file"]} for name, about in manifest["splits"].items()
    ]
    for said in (manifest["pipeline"].split(",")[0], "seed: 0", "model: none", "## Limits"):
        assert said in card.text
    assert str(out) not in card.content and "/home" not in card.content


def test_a_record_fits_the_schema(out: Path) -> None:
    schema = json.loads((out / "schema.json").read_bytes())
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list,
             "object": dict, "null": type(None)}  # fmt: skip

    def fits(value: Any, form: dict[str, Any]) -> bool:
        types = form["type"] if isinstance(form["type"], list) else [form["type"]]
        if not any(isinstance(value, kinds[name]) for name in types):  # type: ignore[arg-type]
            return False
        if isinstance(value, list):
            return all(fits(x, form["items"]) for x in value)
        if isinstance(value, dict):
            return all(
                k in form["properties"] and fits(v, form["properties"][k]) for k, v in value.items()
            )
        return True

    for row in Dataset(out):
        assert fits(row, schema) and set(schema["required"]) <= set(row)
    assert not fits({"steps": "three"}, schema)


def test_a_set_that_is_gone_leaves_no_file(out: Path, tmp_path: Path) -> None:
    assert {p.name for p in (out / "data").iterdir()} == {
        "train.jsonl",
        "validation.jsonl",
        "test.jsonl",
    }
    (out / "data" / "mine.jsonl").write_text("mine")
    _compile(tmp_path, "dedupe")
    assert {p.name for p in (out / "data").iterdir()} == {"train.jsonl", "mine.jsonl"}
    assert (out / "data" / "train.jsonl").read_bytes() == (out / "qra.jsonl").read_bytes()
    assert "validation" not in (out / "README.md").read_text("utf-8")


def test_a_part_of_it_is_a_dataset_too(out: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    kept = {r["id"] for r in Dataset(out) if r["set"] != "val"}
    left = write_part(out, tmp_path / "part", kept, {"against": ["x"]})
    opened = load_dataset(str(tmp_path / "part"), cache_dir=str(tmp_path / "cache"))
    assert set(opened) == {"train", "test"} and sum(map(len, opened.values())) == left > 0


def test_files_of_others_are_not_overwritten(out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name in ("README.md", "schema.json", "data/train.jsonl"):
        shutil.rmtree(other, ignore_errors=True)
        (other / name).parent.mkdir(parents=True)
        (other / name).write_text("mine")
        command = ["compile", str(tmp_path / "units"), "-o", str(other), "--no-store",
                   "--pipeline", f"{PASSES},emit"]  # fmt: skip
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 1 and "B023" in done.output and name in done.output
        assert (other / name).read_text() == "mine"
    assert CliRunner().invoke(app, [*command, "--replace"]).exit_code == 0
    assert Dataset(other).manifest["splits"]


def test_another_format_leaves_no_card(out: Path, tmp_path: Path) -> None:
    (tmp_path / "chat.step").write_text("spec mine\nimport step\ndataset { formats chat }\n")
    _compile(tmp_path, "dedupe", "-s", str(tmp_path / "chat.step"))
    assert not (out / "README.md").exists() and not (out / "schema.json").exists()
    assert not [*(out / "data").iterdir()] and (out / "chat.jsonl").exists()


def test_names_of_sets_stay_apart() -> None:
    taken: list[str] = []
    for name in ("my set", "my_set", "val", "validation", "all", "no", "123", "é"):
        taken.append(split_name(name, taken))
    assert taken == ["my_set", "my_set_2", "validation", "validation_2", "all_2", "no", "123", "é"]


# --- the hub -----------------------------------------------------------------------------


class Hub(ThreadingHTTPServer):
    """As much of the hub's HTTP interface as an upload of small files needs."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.made: list[dict[str, Any]] = []
        self.refuses = 0
        super().__init__(("127.0.0.1", 0), _Answers)
        self.address = f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self._body()
        if self.server.refuses:
            return self._say({"error": "You don't have the rights"}, self.server.refuses)
        if self.path == "/api/repos/create":
            told = json.loads(body)
            self.server.made.append(told)
            place = f"{self.server.address}/datasets/{told['organization']}/{told['name']}"
            return self._say({"url": place})
        if "/preupload/" in self.path:
            files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for f in json.loads(body)["files"]]  # fmt: skip
            return self._say({"files": files})
        if "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    self.server.files[value["path"]] = base64.b64decode(value["content"])
        return self._say(
            {"commitUrl": f"{self.server.address}/datasets/me/films/commit/abc", "commitOid": "abc"}
        )

    def do_GET(self) -> None:
        if self.server.refuses:
            return self._say({"error": "You don't have the rights"}, self.server.refuses)
        tree = "/tree/" in self.path
        return self._say([] if tree else {"id": "me/films", "sha": "abc", "siblings": []})

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline().strip(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _say(self, told: Any, code: int = 200) -> None:
        text = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_push_uploads_the_dataset_and_nothing_else(out: Path, hub: Hub) -> None:
    (out / "crashes").mkdir()
    (out / "crashes" / "x.txt").write_text("traceback")
    (out / ".lock").write_text("{}")
    for name in ("notes.txt", "holiday.mp4", "calls.jsonl", "data/mine.jsonl"):
        (out / name).write_text("private")
    assert push(out, "me/films", private=True, endpoint=hub.address, token="hf_x").endswith(
        "/commit/abc"
    )
    assert (
        hub.made[0]["name"] == "films"
        and hub.made[0]["visibility" if "visibility" in hub.made[0] else "private"]
    )
    assert set(hub.files) == {
        "README.md", "schema.json", "manifest.json", "qra.jsonl",
        *(f"data/{x}.jsonl" for x in ("train", "validation", "test")),
        *(f"units/f{i:02}.stsg" for i in range(12)),
    }  # fmt: skip
    assert hub.files["README.md"] == (out / "README.md").read_bytes()
    assert hub.files["data/train.jsonl"] == (out / "data" / "train.jsonl").read_bytes()


@pytest.mark.parametrize("code", [401, 403, 500])
def test_a_hub_that_refuses_is_said(code: int, out: Path, hub: Hub) -> None:
    hub.refuses = code
    with pytest.raises(StepcError) as error:
        push(out, "me/films", endpoint=hub.address, token="hf_x")
    assert error.value.diagnostics[0].code == "T007" and not hub.files


def test_what_cannot_be_pushed_is_said(out: Path, tmp_path: Path, hub: Hub) -> None:
    for place, name, code in ((tmp_path, "me/films", "T001"), (out, "two words", "T007")):
        with pytest.raises(StepcError) as error:
            push(place, name, endpoint=hub.address, token="hf_x")
        assert error.value.diagnostics[0].code == code
    (out / "README.md").unlink()
    with pytest.raises(StepcError) as error:
        push(out, "me/films", endpoint=hub.address, token="hf_x")
    assert error.value.diagnostics[0].code == "T001" and "compile it again" in str(error.value)
    with pytest.raises(StepcError) as error:
        push(_nowhere(out), "me/films", endpoint="http://127.0.0.1:9", token="hf_x")
    assert error.value.diagnostics[0].code == "T007"


def _nowhere(out: Path) -> Path:
    (out / "README.md").write_text("---\n---\n")
    return out
