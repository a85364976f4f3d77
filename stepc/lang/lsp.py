"""`stepc lsp`: a language server for `.step` files, over standard input and output.

Supports diagnostics while typing with quick fixes, completion, hover, go to definition, rename,
formatting and document symbols (Language Server Protocol 3.17, implemented with pygls).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.workspace import ServerTextPosition, ServerTextRange, TextDocument

from stepc import __version__
from stepc.diagnostics import Diagnostic, Place, StepcError
from stepc.edges import EDGES
from stepc.forms import FORMS
from stepc.lang.format import format_spec
from stepc.lang.outline import (
    STARTERS,
    Here,
    OutlineBlock,
    Span,
    here,
    holes,
    names,
    outline,
    uses,
    variables,
)
from stepc.lang.parse import BLOCKS, shipped
from stepc.lang.resolve import checked_spec
from stepc.lang.schema import (
    EXPANDABLE,
    FILTERS,
    FORMATS,
    KINDS,
    LINES,
    REVISITS,
    SETS,
    SOURCES,
    TIME_LINES,
    placeholders,
)
from stepc.lang.text_templates import TIME_HOLES
from stepc.languages import DEFAULT, LANGUAGES
from stepc.languages.base import Filters

LINES_OF_TIME = frozenset(TIME_LINES)

HELP = {
    **{name: kind.help for name, kind in EDGES.items()},
    **{name: form.help for name, form in FORMS.items()},
    "spec": "`spec NAME \"title\"`: the head of a spec.",
    "use": "`use english`: the language of the wordings.",
    "import": "`import \"other.step\"` reads a file of this folder; `import step` reads a shipped spec.",
    "override": "Changes an imported declaration, line by line.",
    "let": "A constant: `let few = 4`, `let nested = attr, rel`.",
    "phrase": "`phrase NAME \"…\" | \"…\"`: a text that wordings use as {NAME}.",
    "paths": "Which paths are sampled. Every clause has a default.",
    "edge": "`edge KIND(near -> far) { … }`: the wordings of one edge kind.",
    "word": "`word \"bus\" ~ \"coach\"`: words with one meaning; `<`: kinds of others; `!`: exclusions.",
    "allow": "`allow negates, dates`: turns off S323 for these kinds of words in this file.",
    "if": "`edge KIND(near -> far) if near person and … { … }`: wordings for the edges that fit.",
    "and": "Joins two conditions of an `edge` block.",
    "path": "`path s rel => o attr => v { ask … }`: the wordings of a whole path.",
    "pattern": "`pattern NAME { where … find … ask … }`: a question about several facts at once.",
    "where": "`where s rel(r) => o and not o attr(k) => v`: the facts of a pattern, with variables.",
    "or": "Between facts: one of them is enough. `find o or \"nothing\"`: what is said if there is none.",
    "then": "The facts after it hold at a later time than those before it.",
    "either": "Like `find`; the question offers the answer and something else, as {either}.",
    "exists": "Asks whether the facts of a pattern hold together of some objects.",
    "time": "Wordings that add a time range to a question. In an edge: wordings of its time.",
    "pair": "Wordings that compare two edges.",
    "dataset": "Requirements on the dataset; sets options of the link passes.",
    "find": "Wordings for a question that asks for this end, or for the edge itself.",
    "count": "`count 18 per video`: paths per video. As a line: asks how many there are.",
    "total": "The final sentence of a count, with {n} and {all}.",
    "steps": "`steps 1: 1/3, 2: 2/3` or `steps 1..3`: numbers of steps, with optional shares.",
    "start": "Kinds of the edge that the question asks about, each with an optional direction.",
    "expand": "Edge kinds that describe an object in a longer question.",
    "form": "`form ask: 1/2, choice: 1/2`: question forms, with optional shares.",
    "options": "`options 4 from clip, graph, corpus`: number and sources of the options.",
    "during": "Share of paths limited to the time of an event. In `time`: the wording.",
    "before": "Share of paths limited to the time before an event. In `time`: the wording.",
    "after": "Share of paths limited to the time after an event. In `time`: the wording.",
    "span": "Share of paths limited to a range of seconds. In `time`: the wording.",
    "scene": "Share of paths limited to a clip by its number. In `time`: the wording.",
    "showing": "Share of paths limited to the clip that shows an object. In `time`: the wording.",
    "moment": "Share of paths limited to one keyframe, by its time. In `time`: the wording.",
    "evidence": "`evidence 2.. clips`: in how many clips or keyframes the facts are seen at least.",
    "require": "`require confidence >= 2/3`: minimum confidence of each edge and its objects.",
    "only": "Uses only matching edges: `only label \"cup\"`, `only dynamic`.",
    "forbid": "Uses no matching edge: `forbid label \"thing\"`, `forbid static`.",
    "no-revisit": "`no-revisit labels, kinds`: what a path must not visit twice, besides a node.",
    "unique": "Every step has exactly one answer in the graph (the default).",
    "ambiguous": "The last step may have several answers; all are recorded.",
    "enumerate": "Draws uniformly from all possible paths, without repetition.",
    "seed": "Added to the seed of the run.",
    "tries": "Maximum number of draws for one path.",
    "margin": "By how much times must differ that are compared: a share of a duration, or seconds.",
    "deny": "How many questions per video the pass `deny` may make answerable by no.",
    "name": "Describes the found object in a longer question; must not contain its label.",
    "because": "The sentence of this step in the rationale.",
    "denies": "The sentence that says that this is not so, of a fact that the graph denies.",
    "fact": "The edge as a clause, used in comparisons.",
    "answers": "`answers <= 1/2`: maximum share of one answer among questions of the same kind.",
    "most": "`most 40 per video`: maximum number of samples per video.",
    "sets": "`sets train: 80%, val: 10%, test: 10%`: share of the videos in each set.",
    "formats": "`formats jsonl, chat, parquet`: output formats.",
}  # fmt: skip
_SEVERITY = {"error": lsp.DiagnosticSeverity.Error, "warning": lsp.DiagnosticSeverity.Warning}
server = LanguageServer("stepc", __version__)


def _range(document: TextDocument, start: int, end: int) -> lsp.Range:
    """Convert character offsets to a range in the client's units."""
    text = document.source
    lines = (text.count("\n", 0, at) for at in (start, end))
    columns = (at - (text.rfind("\n", 0, at) + 1) for at in (start, end))
    places = (ServerTextPosition(*place) for place in zip(lines, columns, strict=True))
    return document.range_to_client_units(ServerTextRange(*places))


def _at(document: TextDocument, position: lsp.Position) -> int:
    """Convert a client's position to a character offset, at most the length of the text."""
    try:
        return min(document.offset_at_position(position), len(document.source))
    except IndexError:  # past the end of a line with characters outside the basic plane
        return len(document.source)


def _shown(document: TextDocument, d: Diagnostic) -> lsp.Diagnostic:
    assert d.place is not None
    return lsp.Diagnostic(
        range=_place(document, d.place),
        message=d.message + (f"\n{d.help}" if d.help else ""),
        severity=_SEVERITY[d.severity],
        code=d.code,
        source="stepc",
        related_information=[
            lsp.DiagnosticRelatedInformation(
                lsp.Location(document.uri, _place(document, note.place)), note.message
            )
            for note in d.notes
            if not note.place.file
        ],
        data={"fix": d.fix.text, "range": _plain(_place(document, d.fix.place))} if d.fix else None,
    )


def _place(document: TextDocument, place: Place) -> lsp.Range:
    line, column = place.line - 1, place.column - 1
    where = ServerTextRange(
        ServerTextPosition(line, column), ServerTextPosition(line, column + place.length)
    )
    return document.range_to_client_units(where)


def _plain(range: lsp.Range) -> list[int]:
    """A range as numbers: the data of a diagnostic are JSON."""
    return [range.start.line, range.start.character, range.end.line, range.end.character]


def _at_home(d: Diagnostic, text: str) -> Diagnostic:
    """Move an error of an imported file to the `import` line in `text`."""
    if d.place is None or not d.place.file:
        return d
    rows = text.split("\n")
    imports = [i for i, row in enumerate(rows) if row.startswith("import")] or [0]
    name = d.place.file.removesuffix(".step")
    row = next(
        (i for i in imports if re.search(rf"[\s\"]{re.escape(name)}\b", rows[i])), imports[0]
    )
    message = f"{d.place.file}:{d.place.line}: {d.message}"
    return replace(
        d,
        message=message,
        place=Place("", row + 1, 1, max(1, len(rows[row])), rows[row]),
        notes=(),
        fix=None,
    )


@server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
@server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
def diagnose(
    ls: LanguageServer, params: lsp.DidOpenTextDocumentParams | lsp.DidChangeTextDocumentParams
) -> None:
    """Publish all errors of the text."""
    document = ls.workspace.get_text_document(params.text_document.uri)
    found: tuple[Diagnostic, ...] = ()
    path = Path(document.path) if document.path else None
    try:
        told = checked_spec(document.source, "", path.parent if path else None)[1]
    except StepcError as error:
        told = [*error.diagnostics]
    found = tuple(_at_home(d, document.source) for d in told)
    ls.text_document_publish_diagnostics(
        lsp.PublishDiagnosticsParams(
            uri=document.uri,
            diagnostics=[_shown(document, d) for d in found],
            version=document.version,
        )
    )


@server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix]))
def quick_fixes(ls: LanguageServer, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    """Offer the fix of each error at a place that has one."""
    made = []
    for d in params.context.diagnostics:
        data: Any = d.data
        if not isinstance(data, dict) or "fix" not in data:
            continue
        a, b, c, e = data["range"]
        where = lsp.Range(lsp.Position(a, b), lsp.Position(c, e))
        edit = lsp.WorkspaceEdit({params.text_document.uri: [lsp.TextEdit(where, data["fix"])]})
        made.append(
            lsp.CodeAction(
                title=f"Replace by `{data['fix']}`",
                kind=lsp.CodeActionKind.QuickFix,
                diagnostics=[d],
                edit=edit,
                is_preferred=True,
            )
        )
    return made


@server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
def layout(ls: LanguageServer, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
    """Format the text. No edits if it does not parse."""
    document = ls.workspace.get_text_document(params.text_document.uri)
    try:
        made = format_spec(document.source)
    except StepcError:
        return []
    if made == document.source:
        return []
    return [lsp.TextEdit(_range(document, 0, len(document.source)), made)]


@server.feature(
    lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=["{", ".", " "])
)
def complete(ls: LanguageServer, params: lsp.CompletionParams) -> list[lsp.CompletionItem]:
    """Complete clauses, edge kinds, filters, ends and placeholders."""
    document = ls.workspace.get_text_document(params.text_document.uri)
    at = _at(document, params.position)
    place = here(document.source, at)
    if place.string is not None:
        typed = document.source[place.string.start : at]
        open_ = typed[typed.rfind("{") :] if typed.rfind("{") > typed.rfind("}") else ""
        words = placeholders_at(place, document.source) if open_ else []
        words = list(_filters(document.source)) if "|" in open_ else words
        kind = lsp.CompletionItemKind.Variable
    else:
        words, kind = _words(place, document.source, at), lsp.CompletionItemKind.Keyword
    return [lsp.CompletionItem(label=w, kind=kind, detail=HELP.get(w)) for w in words]


def placeholders_at(place: Here, text: str) -> list[str]:
    """The placeholders allowed in a string: those of the block, then phrases and constants."""
    block, edge = place.blocks[-1], place.edge
    word = place.clause[0].text if place.clause else ""
    made: list[str] = []
    if edge is None and block.kind == "time":
        made = [*TIME_HOLES.get(word, ("event",)), "question"]
    elif block.kind == "pair":
        made = ["a", "b", *(["kind"] if word == "same" else [])]
    elif block.kind == "pattern":
        made = ["n"] if word == "total" else variables(text[block.start : block.end])
    elif edge is not None and edge.kind == "path":
        made = [edge.ends[0].text] if edge.ends else []
    elif edge is not None and len(edge.ends) >= 2:
        made = _of_edge(edge, block, word)
    own = names(text)
    return made + [n for n, name in own.items() if name.kind != "paths"]


def _of_edge(edge: OutlineBlock, block: OutlineBlock, word: str) -> list[str]:
    """The placeholders of a line in an `edge` block."""
    kind = edge.words[1].text
    if kind not in EDGES:
        return []
    names = dict(zip((e.text for e in edge.ends), ("near", "far"), strict=False))
    if block.kind == "time":
        return [
            "start",
            "end",
            "length",
            *(n for n, s in names.items() if s in EDGES[kind].time_ends),
        ]
    if EDGES[kind].edge_placeholder:
        names[EDGES[kind].edge_placeholder] = "edge"
    find = block.words[1].text if len(block.words) > 1 else ""
    found = placeholders(kind, names.get(find, ""), word, names)
    return [name + (f".{part}" if part else "") for name, part in found]


LISTS: dict[str, tuple[str, ...]] = {
    "start": KINDS,
    "expand": EXPANDABLE,
    "form": tuple(FORMS),
    "no-revisit": REVISITS,
    "sets": SETS,
    "formats": FORMATS,
}
"""Clause → the names that it may list."""


def _filters(text: str) -> Filters:
    """The word filters of the language that a text names."""
    named = re.search(r"^\s*use\s+([a-z][a-z-]*)", text, re.MULTILINE)
    name = named[1] if named else DEFAULT
    return LANGUAGES[name if name in LANGUAGES else DEFAULT].filters


def _words(place: Here, text: str, at: int) -> list[str]:
    """The words that may follow at a position outside strings."""
    done = [w for w in place.clause if not w.start < at <= w.end]  # without the word being typed
    typed = min([at, *(w.start for w in place.clause if w.start < at <= w.end)])
    if done and "\n" in text[done[-1].end : typed]:
        done = []
    clause = [w.text for w in done]
    block = place.blocks[-1]
    match clause:
        case [word, *_] if word in LISTS:
            return [k for k in LISTS[word] if k not in clause]
        case ["only" | "forbid"]:
            return list(FILTERS)
        case ["require"]:
            return ["confidence"]
        case ["options", "from", *_]:
            return [s for s in SOURCES if s not in clause]
        case ["edge"] | ["override", "edge"]:
            return list(KINDS)
        case ["use"]:
            return sorted(LANGUAGES)
        case ["import"]:
            return shipped()
        case ["override"]:
            return [b for b in BLOCKS if b not in ("use", "import")]
        case [*_, "from"]:
            return [n for n, name in names(text).items() if name.kind == "paths"]
        case ["find"] if place.edge is not None:
            edge = place.edge
            taken = [b.words[1].text for b in edge.blocks if len(b.words) > 1]
            rule = EDGES.get(edge.words[1].text)
            if rule is None:
                return []
            ends = [(e.text, side) for e, side in zip(edge.ends, ("near", "far"), strict=False)]
            ends.append((rule.edge_placeholder, "edge"))
            return [e for e, side in ends if side in rule.lines and e not in taken]
        case ["find" | "edge" | "spec" | "let" | "phrase" | "path" | "paths", *_]:
            return []
    starters = list(STARTERS.get(block.kind, ()))
    if block.kind == "find" and place.edge is not None and len(place.edge.ends) == 2:
        kind, (near, far) = place.edge.words[1].text, place.edge.ends
        sides = {near.text: "near", far.text: "far"}
        if kind in EDGES and EDGES[kind].edge_placeholder:
            sides[EDGES[kind].edge_placeholder] = "edge"
        side = sides.get(block.words[1].text if len(block.words) > 1 else "", "far")
        starters = list(LINES.get((kind, side), STARTERS["find"]))
    elif block.kind == "time":
        inside = place.edge is not None
        starters = [x for x in starters if (x in LINES_OF_TIME) == inside]
    line = text.rfind("\n", 0, at) + 1
    return starters if not text[line:at].strip(" \t").count(" ") else []


def _word(place: Here, text: str, at: int) -> Span | None:
    """The word or placeholder name at a position, or None."""
    if place.string is not None:
        return next((h for h in holes(place.string) if h.start <= at <= h.end), None)
    start = at
    while start and (text[start - 1].isalnum() or text[start - 1] == "-"):
        start -= 1
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] == "-"):
        end += 1
    return Span(start, end, text[start:end]) if end > start else None


@dataclass(frozen=True)
class _Symbol:
    """The declaration and uses of a name, and its hover text."""

    declared: Span
    uses: list[Span]
    told: str


def _symbol(place: Here, text: str, at: int) -> _Symbol | None:
    """The end, block, phrase or constant named at a position, or None."""
    word, edge = _word(place, text, at), place.edge
    if word is None:
        return None
    if edge is None:  # the head is outside the braces of the block
        heads = (b for b in outline(text).blocks if b.kind in ("edge", "path"))
        edge = next((b for b in heads if b.head[0].start <= at < b.start), None)
    if edge is not None:
        found = uses(edge, word.text)
        declared = next((e for e in edge.ends if e.text == word.text), None)
        if declared is not None and any(u.start <= at <= u.end for u in found):
            if edge.kind == "path":
                return _Symbol(declared, found, "A node of the path.")
            kind = edge.words[1].text
            side = ("near", "far")[[e.text for e in edge.ends].index(word.text)]
            told = f"The {side} end of `edge {kind}`. {HELP.get(kind, '')}"
            return _Symbol(declared, found, told)
    name = names(text).get(word.text)
    if name is not None and any(u.start <= at <= u.end for u in name.uses):
        row = text[name.declared.start : text.find("\n", name.declared.end)].strip(" {")
        return _Symbol(name.declared, name.uses, f"`{name.kind} {row}`")
    return None


def _here(
    ls: LanguageServer, params: lsp.HoverParams | lsp.DefinitionParams | lsp.RenameParams
) -> tuple[TextDocument, int]:
    """The document and character offset of a request."""
    document = ls.workspace.get_text_document(params.text_document.uri)
    return document, _at(document, params.position)


@server.feature(lsp.TEXT_DOCUMENT_HOVER)
def hover(ls: LanguageServer, params: lsp.HoverParams) -> lsp.Hover | None:
    """Explain the word under the cursor."""
    document, at = _here(ls, params)
    place = here(document.source, at)
    word = _word(place, document.source, at)
    if word is None:
        return None
    found = _symbol(place, document.source, at)
    told = HELP.get(word.text) if place.string is None else None
    told = found.told if found is not None else told
    if told is None:
        return None
    content = lsp.MarkupContent(lsp.MarkupKind.Markdown, told)
    return lsp.Hover(content, _range(document, word.start, word.end))


@server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
def definition(ls: LanguageServer, params: lsp.DefinitionParams) -> lsp.Location | None:
    """Find the declaration of a name."""
    document, at = _here(ls, params)
    found = _symbol(here(document.source, at), document.source, at)
    if found is None:
        return None
    where = _range(document, found.declared.start, found.declared.end)
    return lsp.Location(document.uri, where)


@server.feature(lsp.TEXT_DOCUMENT_RENAME)
def rename(ls: LanguageServer, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
    """Rename a declaration and all its uses."""
    document, at = _here(ls, params)
    found = _symbol(here(document.source, at), document.source, at)
    if found is None:
        return None
    edits = [
        lsp.TextEdit(_range(document, use.start, use.end), params.new_name) for use in found.uses
    ]
    return lsp.WorkspaceEdit(changes={document.uri: edits})


@server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def symbols(ls: LanguageServer, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
    """List the blocks of the document."""
    document = ls.workspace.get_text_document(params.text_document.uri)

    def symbol(block: OutlineBlock) -> lsp.DocumentSymbol:
        head = block.words[:2] or [Span(block.start, block.start + 1, "{")]
        return lsp.DocumentSymbol(
            name=" ".join(w.text for w in head),
            kind=lsp.SymbolKind.Class if block.kind == "edge" else lsp.SymbolKind.Field,
            range=_range(document, head[0].start, min(block.end + 1, len(document.source))),
            selection_range=_range(document, head[0].start, head[-1].end),
            children=[symbol(b) for b in block.blocks],
        )

    return [symbol(b) for b in outline(document.source).blocks]


def serve() -> None:
    """Serve one client until it disconnects."""
    server.start_io()
