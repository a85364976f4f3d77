"""A session of an editor with `stepc lsp`, over standard input and output."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient
from test_golden import HERE
from textmate_grammar.parsers.base import LanguageParser

from stepc.lang.format import _tokens, format_spec
from stepc.lang.outline import STARTERS, here, outline, uses
from stepc.lang.parse import BLOCKS, builtin, shipped
from stepc.lang.schema import FILTERS, FORMS, KINDS, LINES
from stepc.languages.english import FILTERS as WORD_FILTERS

URI = "file:///mine.step"
STEP = builtin("step")
DOCUMENT = lsp.TextDocumentIdentifier(URI)


class Editor(LanguageClient):
    """A client that keeps what the server publishes."""

    def __init__(self) -> None:
        super().__init__("editor", "1")
        self.published: asyncio.Queue[lsp.PublishDiagnosticsParams] = asyncio.Queue()
        self.version = 0

        @self.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def keep(params: lsp.PublishDiagnosticsParams) -> None:
            self.published.put_nowait(params)

    async def type(self, text: str) -> list[lsp.Diagnostic]:
        """Set the whole text; what the server says of it."""
        self.version += 1
        if self.version == 1:
            item = lsp.TextDocumentItem(URI, "step", self.version, text)
            self.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        else:
            change = lsp.TextDocumentContentChangeWholeDocument(text)
            where = lsp.VersionedTextDocumentIdentifier(self.version, URI)
            self.text_document_did_change(lsp.DidChangeTextDocumentParams(where, [change]))
        while True:
            params = await asyncio.wait_for(self.published.get(), 30)
            if params.version == self.version:
                return list(params.diagnostics)


def session(what: Callable[[Editor], Awaitable[None]], python: str = sys.executable) -> None:
    """Start the server, do `what` in an editor, and end both."""

    async def run() -> None:
        editor = Editor()
        env = {**os.environ, "PYTHONPATH": str(HERE)}
        await editor.start_io(python, "-m", "stepc", "lsp", env=env)
        capabilities = lsp.ClientCapabilities()
        answer = await editor.initialize_async(lsp.InitializeParams(capabilities))
        assert answer.server_info is not None and answer.server_info.name == "stepc"
        editor.initialized(lsp.InitializedParams())
        await what(editor)
        await editor.shutdown_async(None)
        editor.exit(None)
        await asyncio.wait_for(editor.stop(), 30)

    asyncio.run(run())


def _place(text: str, mark: str, nth: int = 0) -> lsp.Position:
    """The place right behind the `nth` occurrence of `mark` (in UTF-16 units)."""
    at = -1
    for _ in range(nth + 1):
        at = text.index(mark, at + 1)
    at += len(mark)
    line = text.count("\n", 0, at)
    column = len(text[text.rfind("\n", 0, at) + 1 : at].encode("utf-16-le")) // 2
    return lsp.Position(line, column)


def test_mistakes_are_shown_as_one_types() -> None:
    async def what(editor: Editor) -> None:
        assert await editor.type(STEP) == []
        wrong = STEP.replace("What {o|is} {o} doing?", "飲み物🍵 {nobody}?")
        (found,) = await editor.type(wrong)
        assert found.code == "S301"
        assert found.range.start.line == wrong[: wrong.index("{nobody}")].count("\n")
        row = wrong.split("\n")[found.range.start.line]
        units = row[: row.index("{nobody}")].encode("utf-16-le")
        assert found.range.start.character == len(units) // 2
        assert found.range.end.character == len(units) // 2 + len("{nobody}")
        both = await editor.type(wrong.replace("count ", "cuont "))
        assert [d.code for d in both] == ["S001", "S301"]
        assert await editor.type(STEP) == []

    session(what)


async def completed(editor: Editor, text: str, mark: str, nth: int = 0) -> list[str]:
    await editor.type(text)
    params = lsp.CompletionParams(DOCUMENT, _place(text, mark, nth))
    answer: Any = await editor.text_document_completion_async(params)
    return [item.label for item in answer or []]


def test_completion() -> None:
    broken = STEP.replace("  unique", "  only \n  st", 1)

    async def what(editor: Editor) -> None:
        assert await completed(editor, STEP, "start   attr, ") == [
            "rel", "motion", "ref", "event", "next", "seen"
        ]  # fmt: skip
        assert "event" not in await completed(editor, STEP, "expand  attr, ")
        assert "label" in await completed(editor, broken, "  only ")
        assert "steps" in await completed(editor, broken, "\n  st", 2)
        assert await completed(editor, STEP, 'ask     "{o.who|cap} {s|is} {s} {') == [
            "s", "s.who", "s.noun", "s.that", "o.who", "o.noun", "o.that", "rel", "looks"
        ]  # fmt: skip
        assert await completed(editor, STEP, 'because "The {') == [
            "o", "o.who", "o.noun", "o.that", "o.time", "o.box", "v", "v.kind", "looks"
        ]  # fmt: skip
        assert await completed(editor, STEP, 'during  "While {') == ["event", "question", "looks"]
        assert await completed(editor, STEP, 'during  "While') == []
        assert await completed(
            editor, STEP + "\nedge ", "\n\nedge ", STEP.count("\n\nedge ")
        ) == list(KINDS)
        assert await completed(editor, "", "") == ["spec", *BLOCKS, "override"]
        one = 'spec x\n\nedge rel(a -> b) {\n  find a {\n    ask "x"\n  }\n  find \n}\n'
        assert await completed(editor, one, "  }\n  find ") == ["b", "rel"]
        assert await completed(editor, one, "find a {\n    ") == list(LINES["rel", "near"])

    session(what)


@pytest.mark.parametrize("orderly", [True, False])
def test_the_server_ends_with_its_editor(orderly: bool) -> None:
    """After `shutdown` and `exit` the code is 0; it also ends when the editor is gone without a word."""
    server = subprocess.Popen(
        [sys.executable, "-m", "stepc", "lsp"], env={**os.environ, "PYTHONPATH": str(HERE)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    calls: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": {"capabilities": {}}},
        {"method": "initialized", "params": {}},
    ]
    calls += [{"id": 2, "method": "shutdown"}, {"method": "exit"}] if orderly else []
    said = b""
    for call in calls:
        text = json.dumps({"jsonrpc": "2.0", **call}).encode()
        said += b"Content-Length: %d\r\n\r\n%s" % (len(text), text)
    out, wrong = server.communicate(said, timeout=60)
    assert b'"stepc"' in out and b"Traceback" not in wrong
    assert server.returncode == 0


def test_hover_definition_rename_symbols_and_layout() -> None:
    async def what(editor: Editor) -> None:
        await editor.type(STEP)
        told = await editor.text_document_hover_async(
            lsp.HoverParams(DOCUMENT, _place(STEP, "expan"))
        )
        assert told is not None and "describe an object" in str(told.contents)
        told = await editor.text_document_hover_async(
            lsp.HoverParams(DOCUMENT, _place(STEP, 'ask     "{o.who|cap} {s'))
        )
        assert told is not None and "near end of `edge rel`" in str(told.contents)
        nothing = lsp.HoverParams(DOCUMENT, _place(STEP, 'ask     "Wha'))
        assert await editor.text_document_hover_async(nothing) is None

        where: Any = await editor.text_document_definition_async(
            lsp.DefinitionParams(DOCUMENT, _place(STEP, 'ask     "{o.who|cap} {s'))
        )
        assert where.range.start == lsp.Position(
            _place(STEP, "edge rel(").line, _place(STEP, "edge rel(").character
        )

        at = _place(STEP, 'ask     "{o.who|cap} {s')
        edit = await editor.text_document_rename_async(lsp.RenameParams(DOCUMENT, at, "subject"))
        assert edit is not None and edit.changes is not None
        rows = STEP.split("\n")
        for change in sorted(
            edit.changes[URI], key=lambda e: (e.range.start.line, -e.range.start.character)
        ):
            row = rows[change.range.start.line]
            first, last = change.range.start.character, change.range.end.character
            rows[change.range.start.line] = row[:first] + change.new_text + row[last:]
        renamed = "\n".join(rows)
        assert (
            "edge rel(subject -> o) {" in renamed
            and "{subject|cap} {subject|is} {rel} {o}." in renamed
        )
        assert "find subject {" in renamed and "s plain, short {" in renamed
        assert "{a} {a|is}" not in renamed and "seen while {a.event}" in renamed
        assert await editor.type(renamed) == []

        shown: Any = await editor.text_document_document_symbol_async(
            lsp.DocumentSymbolParams(DOCUMENT)
        )
        names = [s.name for s in shown]
        first = names.index("edge rel")
        assert names[:2] == ["paths", "edge attr"] and names[-1] == "time"
        assert [c.name for c in shown[first].children] == ["find o", "find subject"]

        ugly = STEP.replace("\n  ", "\n").replace("  ", " ")
        await editor.type(ugly)
        options = lsp.FormattingOptions(tab_size=2, insert_spaces=True)
        edits = await editor.text_document_formatting_async(
            lsp.DocumentFormattingParams(DOCUMENT, options)
        )
        assert edits is not None and [e.new_text for e in edits] == [format_spec(ugly)]
        await editor.type("spec {")
        edits = await editor.text_document_formatting_async(
            lsp.DocumentFormattingParams(DOCUMENT, options)
        )
        assert not edits

    session(what)


def test_names_of_the_whole_spec() -> None:
    text = """spec x "y"

let few = 3
phrase well "please"

paths about(k) {
  count few per video
  steps 1
  start k
}

paths a from about(rel)

edge rel(s -> o) {
  find o {
    ask "What is {s} {rel}, {well}?"
    because "{s|cap} is {rel} {o}."
  }
}

path s rel => o {
  ask "What is {s} {o.rel}?"
}
"""

    async def what(editor: Editor) -> None:
        assert await editor.type(text) == []
        (found,) = await editor.type(text + "\npaths c from a { steps 0 }")
        assert found.code == "S201"
        (found,) = await editor.type('spec x\n\nimport "gone.step"\n' + text[11:])
        assert found.code == "S401" and found.range.start.line == 2
        assert await editor.type(text) == []
        for mark, nth, uses_ in (
            ("count fe", 0, 2),
            ("{wel", 0, 2),
            ("from abou", 0, 2),
            ("path s", 0, 2),
        ):
            at = _place(text, mark, nth)
            edit = await editor.text_document_rename_async(lsp.RenameParams(DOCUMENT, at, "other"))
            assert edit is not None and edit.changes is not None, mark
            assert len(edit.changes[URI]) == uses_, mark
            where: Any = await editor.text_document_definition_async(
                lsp.DefinitionParams(DOCUMENT, at)
            )
            assert where is not None, mark
        told = await editor.text_document_hover_async(
            lsp.HoverParams(DOCUMENT, _place(text, "{wel"))
        )
        assert told is not None and "phrase" in str(told.contents)
        assert await completed(editor, text, "paths a from ") == ["about", "a"]
        assert await completed(editor, text, "{s|") == list(WORD_FILTERS)
        assert "well" in await completed(editor, text, '"What is {')
        assert await completed(editor, text + "\nimport ", "\n}\n\nimport ") == shipped()
        assert await completed(editor, text, '  ask "What is {', 1) == ["s", "few", "well"]

    session(what)


@settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(st.integers(0, len(STEP)), st.integers(0, 200), st.text(max_size=20), st.integers(0, 2000))
def test_the_outline_of_any_text(at: int, cut: int, put: str, place: int) -> None:
    text = STEP[:at] + put + STEP[at + cut :]
    found = here(text, min(place, len(text)))
    assert found.blocks[0].start == 0
    for block in outline(text).blocks:
        assert 0 <= block.start <= block.end <= len(text)
        for end in block.ends:
            assert all(text[u.start : u.end] == end.text for u in uses(block, end.text))


@pytest.mark.parametrize("size", [20_000])
def test_a_long_text_takes_no_time(size: int) -> None:
    import time

    began = time.process_time()
    here("edge rel(a -> b) {\n" * size, size)
    here('"' * size, size)
    assert time.process_time() - began < 10


@pytest.mark.parametrize("name", shipped())
def test_the_extension_for_vs_code_highlights_what_the_grammar_reads(name: str) -> None:
    folder = HERE / "editors" / "vscode"
    told = json.loads((folder / "package.json").read_text("utf-8"))["contributes"]
    grammar = json.loads((folder / told["grammars"][0]["path"]).read_text("utf-8"))
    assert (folder / told["languages"][0]["configuration"]).exists()
    logging.getLogger("textmate_grammar").setLevel(logging.ERROR)
    text = builtin(name)
    rows = LanguageParser(grammar).parse_string(text).flatten()
    scopes = {place: scope[-1] for place, _, scope in rows}
    tokens, comments = _tokens(text, name)
    wanted = {"STRING": "string", "COMMENT": "comment", "WAY": "keyword.operator", "LINE": "keyword",
              "INT": "constant", "RATIO": "constant", "PERCENT": "constant"}  # fmt: skip
    for token in [*tokens, *comments]:
        scope = wanted.get(token.type, "keyword" if token.type.startswith("_") else "")
        assert scopes.get((token.line - 1, token.column - 1), "").startswith(scope), token
    assert any(s.startswith("variable.parameter") for s in scopes.values())


def test_the_extension_knows_all_words() -> None:
    syntax = (HERE / "editors/vscode/syntaxes/step.tmLanguage.json").read_text("utf-8")
    words = [*BLOCKS, *KINDS, *FILTERS, *FORMS, *(w for ws in STARTERS.values() for w in ws)]
    assert [w for w in words if not re.search(rf"[|(]{w}[|)]", syntax)] == []


def test_a_quick_fix_mends_a_word_and_another_place_is_shown() -> None:
    async def what(editor: Editor) -> None:
        wrong = STEP.replace("expand  attr", "expand  atr")
        (found,) = await editor.type(wrong)
        where = lsp.CodeActionContext([found])
        params = lsp.CodeActionParams(DOCUMENT, found.range, where)
        (action,) = await editor.text_document_code_action_async(params) or ()
        assert isinstance(action, lsp.CodeAction) and action.title == "Replace by `attr`"
        assert action.edit is not None and action.edit.changes is not None
        (edit,) = action.edit.changes[URI]
        rows = wrong.split("\n")
        row = rows[edit.range.start.line]
        rows[edit.range.start.line] = (
            row[: edit.range.start.character] + edit.new_text + row[edit.range.end.character :]
        )
        assert "\n".join(rows) == STEP
        twice = STEP.replace("  unique ", "  count 4 per video\n  unique ")
        (found,) = await editor.type(twice)
        (other,) = found.related_information or ()
        assert other.message == "the first one"
        assert twice.split("\n")[other.location.range.start.line].strip() == "count   18 per video"
        params = lsp.CodeActionParams(DOCUMENT, found.range, lsp.CodeActionContext([found]))
        assert not await editor.text_document_code_action_async(params)

    session(what)
