"""The public API, as a program of somebody else uses it."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hearing import Heard
from test_golden import HERE

import stepc
from stepc.passmanager.registry import PASSES
from stepc.reporter import JsonReporter, LoggingReporter
from stepc.world.render import write
from stepc.world.scene import make_film

GRAPH = HERE / "golden" / "sample" / "the-shortest" / "input.stsg"
FAST = "split-uniform,keyframes-uniform,parse-oneshot,lift,bridge-none,sample,compose,check"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "films"
    folder.mkdir()
    write(make_film(random.Random("api"), 2), folder / "one.mp4")
    return folder


def test_every_public_name_is_there_and_documented() -> None:
    assert sorted(stepc.__all__) == sorted({*stepc._WHERE, "__version__"})
    for name in stepc.__all__:
        assert hasattr(stepc, name) and name in dir(stepc)
        if name != "__version__":
            assert getattr(stepc, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'compose'"):
        _ = stepc.compose


def test_importing_is_light() -> None:
    script = "import stepc, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"import json; {script}"], cwd=HERE, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    heavy = {"torch", "transformers", "numpy", "pydantic", "cv2", "lark", "rich", "sklearn"}
    assert not heavy & set(json.loads(done.stdout))


@pytest.mark.embedded
def test_a_corpus_and_one_video(films: Path, tmp_path: Path) -> None:
    heard: list[str] = []
    reporter = Heard(lambda d: heard.append(d.code), progress=lambda *a: heard.append(str(a[:2])))
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    dataset = stepc.compile(
        [films, tmp_path / "bad.mp4"], tmp_path / "out", pipeline=FAST, store=False, jobs=1,
        reporter=reporter,
    )  # fmt: skip
    assert heard[0] == "(0, 2)" and heard[-1] == "(2, 2)" and "B002" in heard
    assert [d.code for d in dataset.diagnostics] == ["B002"] and dataset.names == ["one"]
    rows = list(dataset)
    assert len(rows) == len(dataset) > 0 and rows[0]["question"]
    assert "samples of 1 videos" in repr(dataset) and rows[0]["id"] in dataset._repr_html_()
    again = stepc.Dataset(tmp_path / "out")
    assert list(again) == rows and again.diagnostics == ()
    unit = stepc.compile_video(films / "one.mp4", pipeline=FAST, store=False)
    assert isinstance(unit, stepc.Qras) and [s.question for s in unit.samples] == [
        r["question"] for r in rows
    ]
    assert "<pre>qra 1" in unit._repr_html_() and "<ol>" in unit.samples[0]._repr_html_()
    assert isinstance(dataset.unit("one"), stepc.Stsg)


def test_what_is_wrong_is_raised_with_its_code(films: Path, tmp_path: Path) -> None:
    for call, code in (
        (lambda: stepc.load(tmp_path / "none.stsg"), "B006"),
        (lambda: stepc.load_spec(tmp_path / "none.step"), "B006"),
        (lambda: stepc.Dataset(tmp_path), "T001"),
        (lambda: stepc.run("sampel", stepc.load(GRAPH)), "P002"),
        (lambda: stepc.run("split", stepc.load(GRAPH)), "P005"),
        (lambda: stepc.compile_video(tmp_path / "none.mp4", store=False), "B006"),
        (lambda: stepc.compile(tmp_path / "none", tmp_path / "out", store=False), "B006"),
        (lambda: stepc.compile(tmp_path, tmp_path / "out", store=False), "B010"),
        (lambda: stepc.compile([], tmp_path / "out", store=False), "B010"),
        (lambda: stepc.compile_video(films / "one.mp4", model="opnai:x", store=False), "U001"),
    ):
        with pytest.raises(stepc.StepcError) as error:
            call()
        assert error.value.diagnostics[0].code == code


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: stepc.run([object()], stepc.load(GRAPH)), TypeError),  # type: ignore[list-item]
        (lambda: stepc.run("sample", None), TypeError),  # type: ignore[arg-type]
        (lambda: stepc.compile([], "out", jobs=-1), ValueError),
        (lambda: stepc.compile(None, "out"), TypeError),  # type: ignore[arg-type]
        (lambda: stepc.compile("a\0b", "out"), ValueError),
        (lambda: stepc.compile([""], "out"), ValueError),
        *(
            (
                lambda name=name, value=value: stepc.compile(
                    "films", **{"out": "out", name: value}
                ),
                error,
            )
            for name, values, error in (
                ("out", (None, 5), TypeError),
                ("out", ("", "a\0b"), ValueError),
                ("spec", (5, b"x"), TypeError),
                ("model", (None, Path("model")), TypeError),
                ("store", (None, b"x", 5), TypeError),
                ("jobs", ("2", 1.5, True), TypeError),
                ("seed", ("x", None), TypeError),
                ("replace", ("no", 1), TypeError),
                ("verify_each", (1,), TypeError),
                ("reporter", (print, stepc.Reporter), TypeError),
                ("pipeline", (b"split", 5), TypeError),
            )
            for value in values
        ),
    ],
)
def test_a_wrong_call_is_a_python_error(call: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"needed|consists|must be|is not the path"):
        call()


def test_passes_run_on_a_unit_by_text_or_as_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PASSES, "_loaded", {**PASSES._loaded})

    class Halve(stepc.Pass[stepc.Qras, stepc.Qras]):
        """Keeps every other sample."""

        first: int = 0
        """Which of two."""

        def run(self, unit: stepc.Qras, tools: stepc.Tools) -> stepc.Qras:
            return unit.evolve(samples=unit.samples[self.first :: 2])

    graph = stepc.load(GRAPH)
    made = stepc.run("sample,compose,check", graph)
    half = stepc.run(["sample,compose,check", Halve(first=1)], graph)
    assert isinstance(made, stepc.Qras) and isinstance(half, stepc.Qras)
    assert half.samples == made.samples[1::2] and len(made.samples) > 2
    assert Halve.name == "halve"


class Odd(stepc.Pass[stepc.Stsg, stepc.Stsg]):
    """Has an option of every kind."""

    word: str = "x"
    number: float = 0.5
    maybe: int | None = 3
    flag: bool = False
    many: tuple[str, ...] = ()
    counts: dict[str, int] = {}  # noqa: RUF012

    def run(self, unit: stepc.Stsg, tools: stepc.Tools) -> stepc.Stsg:
        assert self == Odd.given
        return unit


@pytest.mark.parametrize(
    "options",
    [
        {"word": word}
        for word in ("", " ", "the cup", "a,b", '"', '\\"', "none", "true", "5", "é\n", "[1]", "(")
    ]
    + [
        {"number": 1e-9}, {"number": -1e300}, {"maybe": None}, {"maybe": 0}, {"flag": True},
        {"many": ("a", 'b "c"')}, {"counts": {"a,b": 1}},
    ],
)  # fmt: skip
def test_a_pass_object_keeps_its_options(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PASSES, "_loaded", {**PASSES._loaded})
    graph = stepc.load(GRAPH)
    given = Odd.model_validate(options)
    monkeypatch.setattr(Odd, "given", given, raising=False)
    assert stepc.run(given, graph) == stepc.run([given], graph) == graph


def test_what_a_pass_object_does_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PASSES, "_loaded", {**PASSES._loaded})
    graph = stepc.load(GRAPH)

    class Untyped(stepc.Pass):  # type: ignore[type-arg]
        """A pass without levels."""

    class Lazy(stepc.Pass[stepc.Stsg, stepc.Paths]):
        """Returns its input."""

        def run(self, unit: stepc.Stsg, tools: stepc.Tools) -> stepc.Paths:
            return unit  # type: ignore[return-value]

    class Boom(stepc.Pass[stepc.Stsg, stepc.Stsg]):
        """Raises."""

        def run(self, unit: stepc.Stsg, tools: stepc.Tools) -> stepc.Stsg:
            raise LookupError("boom")

    def other() -> type[stepc.Pass[stepc.Stsg, stepc.Stsg]]:
        class Boom(stepc.Pass[stepc.Stsg, stepc.Stsg]):
            """Another class of the same name."""

        return Boom

    for broken, code in (
        (Untyped(), "P011"),
        (Lazy(), "P008"),
        (Boom(), "P010"),
        (other()(), "X001"),
    ):
        with pytest.raises(stepc.StepcError) as error:
            stepc.run(broken, graph)
        assert error.value.diagnostics[0].code == code
        assert "crash file" not in error.value.diagnostics[0].help
        if code == "P010":
            assert isinstance(error.value.__cause__, LookupError)


def test_specs_are_named_or_files(tmp_path: Path) -> None:
    with pytest.raises(stepc.StepcError) as error:
        stepc.load_spec("setp")
    assert error.value.diagnostics[0].help == "did you mean `step`?"
    assert stepc.load_spec("choice").name == "choice"
    (tmp_path / "mine.step").write_text('spec mine "mine"\nimport step\n')
    assert stepc.load_spec(tmp_path / "mine.step").blocks == stepc.load_spec("step").blocks


def test_reporters_log_and_write_json(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    from stepc.diagnostics import Diagnostic
    from stepc.model.client import Usage

    wrong = Diagnostic("B006", "cannot be read", severity="warning")
    with caplog.at_level(logging.DEBUG, "stepc"):
        LoggingReporter().diagnostic(wrong)
        LoggingReporter().usage(Usage(calls=3))
        LoggingReporter().progress(1, 2, "one")
        LoggingReporter().note("done")
    levels = [r.levelname for r in caplog.records]
    assert levels == ["WARNING", "DEBUG", "INFO", "INFO"] and caplog.records[0].code == "B006"  # type: ignore[attr-defined]
    with (tmp_path / "log").open("w") as file:
        reporter = JsonReporter(file)
        reporter.diagnostic(wrong)
        reporter.usage(Usage(calls=3))
    rows = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [r["event"] for r in rows] == ["diagnostic", "usage"] and rows[1]["calls"] == 3
