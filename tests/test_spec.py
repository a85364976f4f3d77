"""Specs: whatever is written, it is a spec or it is diagnosed, at once and at its place."""

from __future__ import annotations

import random
import re
import shlex
import time
from pathlib import Path

import forked
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_golden import HERE

from stepc.diagnostics import Diagnostic, Place, StepcError
from stepc.diagnostics.catalogue import PAGES
from stepc.driver.compile_video import split_pipeline
from stepc.ir import types as t
from stepc.lang.format import _tokens, format_spec
from stepc.lang.outline import STARTERS
from stepc.lang.parse import BLOCKS, builtin, shipped
from stepc.lang.resolve import checked_spec, fixed_spec, read_spec
from stepc.lang.schema import FILTERS, FIND_LINES, FORMS, KINDS, TIME_LINES
from stepc.lang.types import Spec
from stepc.languages.english import FILTERS as WORD_FILTERS
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.video.decode import Pictures
from stepc.world.ground_truth import truth
from stepc.world.scene import make_film

SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
STEP = builtin("step")
DOCS = (HERE / "docs" / "reference" / "step.md").read_text("utf-8")
PIECES = [
    "spec x", "paths {", "}", "{", "count 3 per video", "steps 1..3", "start attr", "unique",
    "edge rel(s -> o) {", "find o {", 'ask "What is {s} {rel}?"', 'name "{o}"', "|", '"', "#",
    "time {", 'during "{event}"', "1/0", "200%", '"\\q"', '"\\ud800"', "expand rel, rel",
    "import step", 'import "x.step"', "let n = 3", "let k = attr, rel =>", 'phrase p "{p}"', "override",
    "paths a(k) {", "paths b from a(rel)", "path s rel => o {", "form choice: 1/2, count", "{n|a}",
    "pair {", 'same "{a}"', "dataset {", "sets train: 1", "only time 1s..2s", "start rel --", "count n",
    "require confidence >= 1/2", "only label", "forbid static", "forbid", ">=",
    "\n", "\t", "茶", "\x1b[2J",
]  # fmt: skip


def _meaning(text: str) -> Spec:
    """What a text says, whatever its layout."""
    return read_spec(text).model_copy(update={"digest": ""})


def _diagnosed(text: str) -> None:
    try:
        read_spec(text, "x.step")
    except StepcError as error:
        rows = text.split("\n")
        for d in error.diagnostics:
            assert d.code in PAGES
            assert d.place is not None and 1 <= d.place.line <= len(rows)
            assert 1 <= d.place.column <= len(rows[d.place.line - 1]) + 1
        assert "\x1b" not in str(error)


@SETTINGS
@given(st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join) | st.text(max_size=200))
def test_any_text(text: str) -> None:
    _diagnosed(text)


@SETTINGS
@given(
    st.sampled_from(shipped()),
    st.integers(0, 10_000),
    st.integers(0, 30),
    st.sampled_from(["", *PIECES]),
)
def test_a_shipped_spec_damaged_anywhere(name: str, at: int, cut: int, put: str) -> None:
    text = builtin(name)
    at %= len(text)
    _diagnosed(text[:at] + put + text[at + cut :])


def test_blocks_that_do_not_parse_hide_no_mistake_in_others() -> None:
    broken = STEP.replace("  count   18", "  cuont   18").replace("find v {", "find w {", 1)
    broken = broken.replace("find e {\n    ask", "find e {\n    aks").replace('"step', '"\\q', 1)
    with pytest.raises(StepcError) as error:
        read_spec(broken.replace('spec step "one', 'spec step "\\q'), "x.step")
    found = [(d.code, d.place.line) for d in error.value.diagnostics if d.place]
    rows = broken.split("\n")
    at = {w: next(i for i, r in enumerate(rows, 1) if w in r) for w in ("cuont", "find w", "aks")}
    header = next(i for i, r in enumerate(rows, 1) if r.startswith("spec"))
    assert found == [
        ("S002", header), ("S001", at["cuont"]), ("S103", at["find w"]),
        ("S314", at["aks"] - 1), ("S107", at["aks"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "spec x\n" + "paths { x }\n" * 20_000,
        "{" * 50_000,
        '"' * 50_000,
        "spec x " + "paths {} " * 20_000,
        "spec x\n" + "edge rel(a -> b) {\n" * 10_000,
        "spec x paths { start " + "attr, " * 20_000 + "attr }",
        'spec x time { during "' + "{a}" * 20_000 + '" }',
        "spec x\n"
        + "".join(f'phrase p{i} "{{p{i + 1}}}{{p{i + 1}}}"\n' for i in range(300))
        + 'phrase p300 "x"\nedge attr(o -> v) { find v { ask "{p0}" } }',
        "spec x\n"
        + "".join(f"let a{i} = a{i + 1}\n" for i in range(3000))
        + "paths { count a0 per video }",
        "spec x\n" + "".join(f"paths b{i}(k) from b{i + 1}(k) {{ }}\n" for i in range(900)),
        "spec x\nlet a = a\npaths { count a per video start a only label a }",
        STEP.replace("18", "9" * 10_000, 1),
        STEP.replace("What", "\\ud800"),
        STEP.replace('"one', '"\\ud800'),
    ],
    ids=range(14),
)
def test_hostile_texts_take_no_time(text: str) -> None:
    began = time.process_time()
    _diagnosed(text)
    assert time.process_time() - began < 60  # linear ones take seconds; squares, minutes


def test_the_caret_stands_under_the_word() -> None:
    row = '\task "飲み物 {nobody}?"'
    column = row.index("{") + 1
    shown = Diagnostic("S301", "x", Place("f", 3, column, 8, row)).text().splitlines()
    assert shown[3] == f"3 | {row}"
    assert shown[4] == "  | \t" + " " * (len('ask "') + 6 + 1) + "^" * 8
    long = Diagnostic("S301", "x", Place("f", 3, 5001, 4, "a" * 5000 + "here" + "b" * 5000)).text()
    above, below = long.splitlines()[3:5]
    assert above[below.index("^") :].startswith("here") and len(above) < 200


# --- layout ------------------------------------------------------------------------------


def _words(text: str) -> list[str]:
    return [str(token) for token in _tokens(text, "x.step")[0]]


def _remarks(text: str) -> list[str]:
    return sorted(str(token).rstrip() for token in _tokens(text, "x.step")[1])


def _formatted(text: str) -> str:
    """The canonical layout of `text`, with all that must hold of it."""
    made = format_spec(text)
    assert format_spec(made) == made
    assert _words(made) == _words(text)
    assert _remarks(made) == _remarks(text)
    assert "\n\n\n" not in made and made.endswith("\n")
    return made


@pytest.mark.parametrize("name", shipped())
def test_the_built_in_specs_are_in_canonical_layout(name: str) -> None:
    text = builtin(name)
    assert _formatted(text) == text
    assert _meaning(_formatted(" ".join(_words(text)))) == _meaning(text)


@SETTINGS
@given(st.data())
def test_layout_keeps_tokens_and_comments_and_settles(data: st.DataObject) -> None:
    """A shipped spec with its white space drawn anew and comments put anywhere."""
    original = builtin(data.draw(st.sampled_from(shipped())))
    space = st.sampled_from(
        [" ", "\n", "\n\n\n", "\t", "  # why not\n", '\n# \u00fcber {x} "\n', " #\n"]
    )
    words = _words(original)
    at = data.draw(st.integers(0, len(words) - 40))
    parts = [w + (data.draw(space) if at <= i < at + 40 else " ") for i, w in enumerate(words)]
    text = "".join(parts)
    made = _formatted(text)
    assert _meaning(made) == _meaning(text)


def test_comments_stay_with_their_clauses() -> None:
    text = """# first
spec x "t" # title
paths{count 3 # how many
 per video
# above
unique}#end
edge rel(s->o){find o{ask "a"|"b" # two
because "x"}
# last
}
# after
"""
    assert (
        format_spec(text)
        == """# first
spec x "t"  # title

paths {
  # how many
  count   3 per video
  # above
  unique
}  #end

edge rel(s -> o) {
  find o {
    ask     "a" | "b"  # two
    because "x"
  }
  # last
}
# after
"""
    )


BLOCK = """
paths {
  steps 1
  start rel
}

edge rel(s -> o) {
  find o {
    ask     "What is {s} {rel}?"
    because "{s} is {rel} {o}."
  }
}
"""


def test_an_import_that_links_to_itself_and_a_wrong_name_in_an_import(tmp_path: Path) -> None:
    (tmp_path / "loop.step").symlink_to("loop.step")
    (tmp_path / "odd.step").write_text('spec odd "an unknown kind"\nallow foo\n')
    for name, code in (("loop", "S401"), ("odd", "S404")):
        with pytest.raises(StepcError) as error:
            read_spec(f'spec x "x"\nimport "{name}.step"\n{BLOCK}', "x.step", tmp_path)
        assert code in [d.code for d in error.value.diagnostics]


@pytest.mark.parametrize("name", shipped())
def test_the_built_in_specs_say_what_they_ask(name: str) -> None:
    assert checked_spec(builtin(name))[1] == []


@pytest.mark.parametrize("example", re.findall(r"```step\n(.*?)```", DOCS, re.DOTALL))
def test_the_examples_of_the_documentation(example: str) -> None:
    """They are specs, in canonical layout, and give proved questions on true graphs."""
    spec, warnings = checked_spec(example)
    assert format_spec(example) == example and warnings == []
    proved = 0
    for seed in range(6):
        unit = truth(make_film(random.Random(seed)), "film", "film.mp4", f"{seed:064x}")
        tools = Tools(Pictures(), spec=spec, seed=seed)
        done = list(run(split_pipeline("sample,compose,check")[0], unit, tools))[-1].unit
        assert isinstance(done, t.Qras)
        proved += len(done.samples)
    assert proved > 6


def test_the_page_of_the_shipped_specs_shows_what_they_print(
    request: pytest.FixtureRequest,
) -> None:
    page = HERE / "docs" / "reference" / "specs.md"
    text = page.read_text("utf-8")

    def run(m: re.Match[str]) -> str:
        done = forked.stepc(shlex.split(m[1]), HERE)
        assert done.returncode == 0, done.stderr
        return f"```console\n$ stepc {m[1]}\n{done.stdout.rstrip()}\n```"

    got = re.sub(r"```console\n\$ stepc (.*?)\n(.*?)```", run, text, flags=re.DOTALL)
    if request.config.getoption("--bless"):
        page.write_text(got, "utf-8")
    assert got == text
    for name in shipped():
        title = "Specs in Chinese" if name.endswith("-chinese") else name
        assert f"## {title}\n" in text and f"stepc ask specs/{name}.step" in text


def test_the_documentation_holds_the_grammar_and_all_codes(request: pytest.FixtureRequest) -> None:
    page = HERE / "docs" / "reference" / "step.md"
    text = page.read_text("utf-8")
    grammar = (HERE / "grammar" / "step.lark").read_text("utf-8")
    rows = [f"| `{code}` | {p.title} |" for code, p in sorted(PAGES.items()) if code[0] == "S"]
    got = re.sub(r"```lark\n.*?```", lambda _: f"```lark\n{grammar}```", text, flags=re.DOTALL)
    table = "| code | what is wrong |\n| ---- | ------------- |\n" + "\n".join(rows) + "\n"
    got = re.sub(r"\| code \|.*?\n\n", lambda _: table + "\n", got, flags=re.DOTALL)
    if request.config.getoption("--bless"):
        page.write_text(got, "utf-8")
    assert got == text


def test_the_documentation_names_every_clause_and_kind() -> None:
    clauses = [w for w in (*STARTERS["paths"], *STARTERS["dataset"]) if w not in ("only", "forbid")]
    words = [*KINDS, *FILTERS, *clauses, *FORMS, *FIND_LINES, *TIME_LINES, *WORD_FILTERS, *BLOCKS]
    for word in [*words, "only", "forbid", "override"]:
        assert f"`{word}" in DOCS


def _mistakes(text: str, folder: Path) -> list[Diagnostic]:
    try:
        return checked_spec(text, "mine.step", folder)[1]
    except StepcError as error:
        return [*error.diagnostics]


WRONG = [c for c in sorted((HERE / "golden" / "diagnostics").glob("S*.case"))
         if "stepc check mine.step" in c.read_text("utf-8")]  # fmt: skip


def test_every_fix_removes_its_error(tmp_path: Path) -> None:
    fixed = 0
    for case in WRONG:
        parts = re.split(r"^--- (?:file )?(\S+)\n", case.read_text("utf-8"), flags=re.MULTILINE)
        files = dict(zip(parts[1::2], parts[2::2], strict=True))
        folder = tmp_path / case.stem
        for name, text in files.items():
            if name.endswith(".step"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text, "utf-8")
        before = _mistakes(files["mine.step"], folder)
        fixes = [d for d in before if d.fix]
        made, number = fixed_spec(files["mine.step"], "mine.step", folder)
        assert number >= len({d.fix for d in fixes}), case.name
        after = {(d.code, d.message) for d in _mistakes(made, folder)}
        assert not after & {(d.code, d.message) for d in fixes}, case.name
        fixed += len(fixes)
    assert fixed > 8


def test_a_fix_marks_what_it_replaces() -> None:
    text = 'spec Mine "x"\nimport step\noverride paths { cuont 4 per video }\n'
    made, number = fixed_spec(text, "mine.step", None)
    assert made == 'spec mine "x"\nimport step\noverride paths { count 4 per video }\n'
    assert number == 2 and checked_spec(made, "mine.step")[1] == []
