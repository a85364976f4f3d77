"""One contract for bad samples: each is reported with its line and costs itself, in every command."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from speaking import Speaker
from test_zoo import copied, film, half, zeroed

from stepc.dataset.read import load_dataset
from stepc.diagnostics import Diagnostic
from stepc.eval.run import EvalSettings, evaluate
from stepc.ir.words import chat_mark
from stepc.model.client import ModelClient
from stepc.model.templates import Templates
from stepc.reporter import Collector
from stepc.train.export import EXPORTS, export

GOOD: dict[str, Any] = {
    "id": "good/q0", "video": "good.mp4", "question": "What is red?", "answer": "the cup",
    "rationale": [{"question": "What is red?", "answer": "the cup", "text": "The cup is red."}], "steps": 1,
}  # fmt: skip
ODD_TEXTS = [
    "<image>", "<video>", "</s>", "<|im_end|>", "<|image_pad|>", "<|vision_start|>", "[INST]", "<think>",
    "\x00", "\x07", "x" * 30_000, "", "   ", 5, None, ["a"], {"a": 1},
]  # fmt: skip
ODD_ROWS: list[Any] = [
    *({**GOOD, "question": text if isinstance(text, str) and len(text) > 9_000 else
       f"What says {text}?" if isinstance(text, str) and text.strip() else text} for text in ODD_TEXTS),
    *({**GOOD, "answer": text} for text in ODD_TEXTS),
    *({**GOOD, "rationale": [{"text": text}]} for text in ODD_TEXTS if text not in ("", "   ")),
    {**GOOD, "set": "../../x"}, {**GOOD, "set": "tmp/x"}, {**GOOD, "set": "a\x00"}, {**GOOD, "set": 3},
    {**GOOD, "options": ["a"] * 30}, {**GOOD, "steps": 10**25}, {**GOOD, "video": "none.mp4"},
    {**GOOD, "video": "half.mkv", "sha256": "0" * 64}, {"id": "x"}, [1], 7, None, "text",
]  # fmt: skip
RAW = [b'{"id": "x", "question": "\\ud83d"}', b"{", b"\xff\xfe", b'{"id": NaN}', b"[" * 5000]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good and odd videos, and a dataset about them."""
    folder = tmp_path_factory.mktemp("contract")
    (folder / "videos").mkdir()
    film(folder / "videos" / "good.mp4", range(50))
    half(film(folder / "videos" / "half.mkv"))
    zeroed(copied(film(folder / "a.mp4"), folder / "videos" / "zero.mp4", movflags="faststart"))
    (folder / "videos" / "noise.mp4").write_bytes(random.Random(0).randbytes(5000))
    (folder / "videos" / "empty.mp4").write_bytes(b"")
    rows: list[Any] = [*ODD_ROWS, {**GOOD, "id": "half/q0", "video": "half.mkv"},
                       {**GOOD, "id": "zero/q0", "video": "zero.mp4"},
                       *({**GOOD, "video": f"{name}.mp4"} for name in ("noise", "empty"))]  # fmt: skip
    random.Random(1).shuffle(rows)
    lines = [json.dumps(row).encode() for row in rows]
    lines = [*lines[:9], json.dumps(GOOD).encode(), *lines[9:], *RAW]
    (folder / "ds").mkdir()
    (folder / "ds" / "qra.jsonl").write_bytes(b"\n".join(lines))
    return folder


def _loaded(corpus: Path) -> tuple[Any, list[Diagnostic]]:
    data = load_dataset(corpus / "ds", [corpus / "videos"], 4)
    return data, data.left_out


def test_what_is_bad_is_left_out_and_named(corpus: Path) -> None:
    data, wrong = _loaded(corpus)
    ids = [s.id for s in data.samples]
    assert set(ids) == {"good/q0", "half/q0", "zero/q0"}  # of damaged videos, what can be decoded
    lines = (corpus / "ds" / "qra.jsonl").read_bytes().count(b"\n") + 1
    named = [d for d in wrong if d.code == "T002" and d.message.startswith("sample ")]
    assert len(named) + len(ids) == lines
    for sample in data.samples:
        for frame in data.frames[sample.video]:
            data.pictures.at(frame)


@pytest.mark.parametrize("to", [name for name in EXPORTS.names() if name != "example"])
@pytest.mark.parametrize("thought", ["apart", "block"])
def test_every_export_writes_the_rest_inside_its_folder(
    to: str, thought: Any, corpus: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    data, _ = _loaded(corpus)
    before = sorted(corpus.rglob("*"))
    export(data, to, tmp_path / "out", Templates("default"), thought)
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert written and all(p.is_relative_to(tmp_path / "out") for p in written)
    assert sorted(corpus.rglob("*")) == before
    for path in written:
        if path.suffix in (".json", ".jsonl"):
            text = path.read_text("utf-8")
            assert "<image>" not in text and "im_end" not in text
            whole = (
                json.loads(text) if path.suffix == ".json" else map(json.loads, text.splitlines())
            )
            for record in whole if isinstance(whole, list) else ():
                assert json.dumps(record).count("<video>") <= 1


def test_an_evaluation_goes_on_without_what_cannot_be_shown(corpus: Path, tmp_path: Path) -> None:
    names = ["good.mp4", "half.mkv", "zero.mp4", "noise.mp4", "none.mp4"]
    asked: list[Any] = [
        {"question_id": i, "video_name": name, "question": "what is red?"}
        for i, name in enumerate(names)
    ]
    replies = [{"question_id": i, "answer": "cup"} for i in range(len(names))]
    folder = tmp_path / "bench"
    folder.mkdir()
    (folder / "test_q.json").write_bytes(b"\xef\xbb\xbf" + json.dumps([*asked, {"id": 9}]).encode())
    (folder / "test_a.json").write_text(
        json.dumps([*replies, {"question_id": 7, "answer": float("nan")}])
    )
    heard = Collector()
    made = evaluate(
        EvalSettings("msrvtt-qa", frames=2), [folder, corpus / "videos"], tmp_path / "out",
        lambda p: ModelClient(Speaker(lambda call, seed: "cup"), Templates("default"), p), reporter=heard,
    )  # fmt: skip
    assert [r.right for r in made.records] == [True] * len(made.records) and made.records
    assert len(made.records) + made.missing["all"] == 6
    assert {d.code for d in heard.diagnostics} <= {"E002", "E003"}


def test_marks_of_chat_templates_are_found() -> None:
    for text in ("<image>", "a <|im_end|> b", "</s>", "x\x00", "\ud83d", "[INST]", "<VIDEO>"):
        assert chat_mark("fine", text)
    for text in ("a < b", "<b>", "the | sign", "image", "5 > 3", "[in]", "a\tb\nc"):
        assert not chat_mark(text)
