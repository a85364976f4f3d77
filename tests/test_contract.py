"""One contract for bad samples: each is reported with its line and costs itself, in every command."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from speaking import Speaker
from test_zoo import DAMAGED, RIGHT, copied, film, garbled, half, open_gop, zeroed

from stepc.dataset.read import load_dataset
from stepc.diagnostics import Diagnostic
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.eval.records import EvalSettings
from stepc.eval.run import evaluate
from stepc.ir.words import chat_mark
from stepc.lang.parse import builtin
from stepc.model.client import ModelClient
from stepc.model.templates import Templates
from stepc.reporter import Collector
from stepc.train.export import EXPORTS, export
from stepc.train.loop import Recipe, train
from stepc.train.rounds import selftrain
from stepc.world.render import write
from stepc.world.scene import make_film

GOOD: dict[str, Any] = {
    "id": "good/q0", "video": "good.mp4", "question": "What is red?", "answer": "the cup",
    "rationale": [{"question": "What is red?", "answer": "the cup", "text": "The cup is red."}], "steps": 1,
    "wrong_steps": [{"step": 1, "what": "object", "text": "The box is red.", "answer": "the box"}],
}  # fmt: skip
ODD_TEXTS = [
    "<image>", "<video>", "</s>", "<|im_end|>", "<|image_pad|>", "<|vision_start|>", "[INST]", "<think>",
    "<IMG_CONTEXT>", "<image_soft_token>", "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "\x00", "\x07", "x" * 30_000, "", "   ", 5, None, ["a"], {"a": 1},
]  # fmt: skip
ODD_ROWS: list[Any] = [
    *({**GOOD, "question": text if isinstance(text, str) and len(text) > 9_000 else
       f"What says {text}?" if isinstance(text, str) and text.strip() else text} for text in ODD_TEXTS),
    *({**GOOD, "answer": text} for text in ODD_TEXTS),
    *({**GOOD, "rationale": [{"text": text}]} for text in ODD_TEXTS if text not in ("", "   ")),
    *({**GOOD, "rationale": [{"question": text, "text": "x"}]} for text in ODD_TEXTS
      if text not in ("", "   ")),
    *({**GOOD, "wrong_steps": [{"step": 1, "text": text, "answer": text}]} for text in ODD_TEXTS
      if text not in ("", "   ")),
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


SHORT = "split,keyframes,parse(samples=1),merge,bridge(samples=1),sample,compose,check"


def _zoo(folder: Path) -> Iterator[Path]:
    """About fifty odd videos, made one by one in `folder`."""
    makers = [make for make, *_ in [*RIGHT.values(), *DAMAGED.values()]]
    makers += [
        *(lambda f, e=e: garbled(film(f / f"a.{e}")) for e in ("mp4", "mkv", "ts")),
        *(lambda f, s=s: half(film(f / "a.mp4"), s) for s in (0.0, 0.01, 0.3, 0.9, 0.99)),
        *(lambda f, s=s: half(film(f / "a.mkv"), s) for s in (0.01, 0.1, 0.9)),
        *(lambda f, s=s: half(film(f / "a.ts"), s) for s in (0.01, 0.1, 0.9)),
        *(
            lambda f, s=s: film(f / "a.mp4", range(9), size=s)
            for s in ((16, 16), (2, 2), (640, 16), (16, 900))
        ),
        *(lambda f, n=n: film(f / "a.mp4", range(n)) for n in (2, 3)),
        *(lambda f, c=c: film(f / "a.mkv", range(20), codec=c) for c in ("mjpeg", "ffv1", "mpeg4")),
        open_gop,
        lambda f: film(f / "a.mkv", range(200), lost=range(20, 150)),
        *(lambda f, b=b, e=e: _file(f / f"a.{e}", b) for e in ("mp4", "mkv") for b in (
            b"\0" * 5000, random.Random(1).randbytes(5000), b"<html>404</html>", b"ftypmp42")),
    ]  # fmt: skip
    for number, make in enumerate(makers):
        place = folder / f"making {number}"
        place.mkdir()
        made = make(place)
        ending = made.suffix.replace(".h264", ".mp4")
        yield made.rename(folder / f"odd {number}{ending}")
        shutil.rmtree(place)


def _file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of the embedded model's world, and about fifty odd videos."""
    folder = tmp_path_factory.mktemp("odd")
    write(make_film(random.Random("contract"), 2), folder / "good.mp4")
    assert len(list(_zoo(folder))) >= 50
    return folder


def _order(**more: Any) -> CompileConfig:
    return CompileConfig(SHORT, "dedupe,emit", builtin("step"), "step.step", seed=1, **more)


@pytest.mark.embedded
@pytest.mark.parametrize("keep", [False, True])
def test_odd_videos_cost_the_good_one_nothing(keep: bool, odd: Path, tmp_path: Path) -> None:
    heard = Collector()
    alone = compile_corpus([odd / "good.mp4"], tmp_path / "alone", _order())
    chosen = [odd / "good.mp4", *sorted(odd.glob("odd *"))[:: 3 if keep else 1]]
    made = compile_corpus(chosen, tmp_path / "out", _order(keep_decodable=keep), reporter=heard)
    assert alone.compiled == 1 and made.compiled >= 1
    named = {Path(str(d.place.file)).name for d in heard.diagnostics if d.place}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    compiled = {video["file"] for video in manifest["videos"]}
    assert {path.name for path in chosen} <= named | compiled
    assert not {"B021", "P010", "B022"} & {d.code for d in heard.diagnostics}
    for where in ("alone", "out"):
        rows = map(json.loads, (tmp_path / where / "qra.jsonl").read_text().splitlines())
        (tmp_path / f"{where}.json").write_text(
            json.dumps([r for r in rows if r["video"] == "good.mp4"])
        )
    assert (tmp_path / "alone.json").read_text() == (tmp_path / "out.json").read_text()
    unit = Path("units", "good.stsg")
    assert (tmp_path / "alone" / unit).read_text() == (tmp_path / "out" / unit).read_text()


@pytest.mark.embedded
def test_training_and_its_rounds_go_on_without_what_is_bad(
    odd: Path, corpus: Path, tmp_path: Path
) -> None:
    recipe = Recipe(frames=2, steps=1)
    made = train(_loaded(corpus)[0], "embedded", tmp_path / "trained", recipe)
    assert made.samples == 3 and (tmp_path / "trained" / "model.safetensors").exists()
    films = tmp_path / "films"
    films.mkdir()
    for path in [odd / "good.mp4", *sorted(odd.glob("odd *"))[::5]]:
        shutil.copy(path, films / path.name)
    heard = Collector()
    ran = selftrain([films], tmp_path / "run", _order(), recipe, 1, reporter=heard)
    assert ran.rounds[1].samples > 0 and len(heard.diagnostics) >= 4


@pytest.mark.embedded
def test_odd_videos_cost_only_themselves_in_every_other_command(odd: Path, tmp_path: Path) -> None:
    """Loading, every export, a training and an evaluation, with a sample or question about each."""
    names = sorted(path.name for path in odd.iterdir() if path.is_file())
    rows = [{**GOOD, "id": f"{name}/q0", "video": name} for name in names]
    (tmp_path / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)))
    loaded = load_dataset(tmp_path, [odd], 2)
    used = {sample.video for sample in loaded.samples}
    told = "".join(d.text() for d in loaded.left_out)
    assert "good.mp4" in used and 10 < len(used) < len(names)
    for number, name in enumerate(names, 1):
        assert (name in used) != (f"sample {number} is skipped" in told)
    for to in EXPORTS.names():
        written = export(loaded, to, tmp_path / to, Templates("default"), "apart")
        assert len(written.samples) + len(written.left_out) == len(loaded.samples)
    made = train(loaded, "embedded", tmp_path / "trained", Recipe(frames=2, steps=1))
    assert made.samples == len(loaded.samples)
    asked = [
        {"question_id": i, "video_name": Path(name).stem, "question": "what is red?"}
        for i, name in enumerate(names)
    ]
    bench = tmp_path / "bench"
    bench.mkdir()
    (bench / "test_q.json").write_text(json.dumps(asked))
    (bench / "test_a.json").write_text(
        json.dumps([{"question_id": i, "answer": "cup"} for i in range(len(names))])
    )
    result = evaluate(
        EvalSettings("msrvtt-qa", frames=2), [bench, odd], tmp_path / "result",
        lambda p: ModelClient(Speaker(lambda call, seed: "cup"), Templates("default"), p),
    )  # fmt: skip
    assert len(result.records) + result.missing.get("all", 0) == len(names)
    assert 10 < len(result.records) < len(names)


def test_a_video_damaged_anywhere_is_left_out_before_a_trainer_meets_it(tmp_path: Path) -> None:
    """Its first and its last frame may decode and one between them not."""
    rows = []
    for i in range(24):
        path = film(tmp_path / f"v{i}.mp4", range(40))
        data, rng = bytearray(path.read_bytes()), random.Random(i)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data) // 4, 3 * len(data) // 4)
            data[at : at + 40] = rng.randbytes(40)
        path.write_bytes(data)
        rows.append(json.dumps({**GOOD, "id": f"v{i}/q0", "video": path.name}))
    film(tmp_path / "good.mp4", range(40))
    (tmp_path / "qra.jsonl").write_text("\n".join([*rows, json.dumps(GOOD)]))
    loaded = load_dataset(tmp_path, [tmp_path], 8)
    assert loaded.samples
    for frames in loaded.frames.values():
        for frame in frames:
            assert loaded.pictures.at(frame).any()
    written = export(loaded, "grpo", tmp_path / "out", Templates("default"), "apart")
    assert len(written.samples) == len(loaded.samples)
