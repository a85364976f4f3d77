"""`stepc lsp`: a language server for `.step` files, over standard input and output.

Diagnostics as one types, completion, hover, definition, rename, formatting and symbols; after
the Language Server Protocol 3.17, by pygls.
"""

from __future__ import annotations

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.workspace import ServerTextPosition, ServerTextRange, TextDocument

from stepc import __version__
from stepc.diagnostics import Diagnostic, StepcError
from stepc.spec.format import format_spec
from stepc.spec.outline import STARTERS, Block, Here, Span, here, holes, outline, uses
from stepc.spec.read import FIELDS, FILTERS, KINDS, VALUES, read_spec

HELP = {
    "spec": "`spec NAME \"what it is for\"` begins a spec.",
    "paths": "What is sampled; everything in it has a default.",
    "edge": "`edge KIND(near -> far) { … }`: how one kind of edge is worded.",
    "find": "How an edge reads when this end is what is looked for.",
    "count": "`count 18 per video`: how many paths a video.",
    "steps": "`steps 1: 1/3, 2: 2/3` or `steps 1..3`: how many steps, with shares.",
    "start": "Kinds of the edge that the question asks about.",
    "expand": "Kinds that describe an object inside a longer question.",
    "during": "In `paths`: the share of paths with an event's time range. As a block: its wording.",
    "require": "`require confidence >= 2/3`: how sure an edge and its objects must be.",
    "only": "Only edges that fit are used: `only label \"cup\"`, `only dynamic`.",
    "forbid": "No edge that fits is used: `forbid label \"thing\"`, `forbid static`.",
    "unique": "Every step has exactly one answer on the graph (the default).",
    "ambiguous": "Steps may have more than one answer; `check` drops them all the same.",
    "tries": "How often a path that cannot be kept is drawn anew.",
    "ask": "The step as a question; it cannot say its own answer.",
    "name": "What stands for the found object in a longer question; never its label.",
    "because": "The step's sentence in the rationale.",
    "before": "How a question gets its time: `\"While {event}, {question}\"`.",
    "attr": "An attribute: near end the object, far end the value; `{v.kind}` is its kind.",
    "rel": "A relation: near end the subject, far end the object; `{rel}` is its predicate.",
    "motion": "A motion: near end the object, far end what it does.",
    "ref": "One object in two clips, the earlier first; `{a.event}` is what happens meanwhile.",
    "event": "What happens in a clip: near end an object seen, far end the event.",
}  # fmt: skip
server = LanguageServer("stepc", __version__)


def _range(document: TextDocument, start: int, end: int) -> lsp.Range:
    """Characters of the text as a client's range."""
    text = document.source
    lines = (text.count("\n", 0, at) for at in (start, end))
    columns = (at - (text.rfind("\n", 0, at) + 1) for at in (start, end))
    places = (ServerTextPosition(*place) for place in zip(lines, columns, strict=True))
    return document.range_to_client_units(ServerTextRange(*places))


def _at(document: TextDocument, position: lsp.Position) -> int:
    """A client's position as a character of the text."""
    return document.offset_at_position(position)


def _shown(document: TextDocument, d: Diagnostic) -> lsp.Diagnostic:
    assert d.place is not None
    line, column = d.place.line - 1, d.place.column - 1
    where = ServerTextRange(
        ServerTextPosition(line, column), ServerTextPosition(line, column + d.place.length)
    )
    return lsp.Diagnostic(
        range=document.range_to_client_units(where),
        message=d.message + (f"\n{d.help}" if d.help else ""),
        severity=lsp.DiagnosticSeverity.Error,
        code=d.code,
        source="stepc",
    )


@server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
@server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
def diagnose(
    ls: LanguageServer, params: lsp.DidOpenTextDocumentParams | lsp.DidChangeTextDocumentParams
) -> None:
    """Say all that is wrong with the text."""
    document = ls.workspace.get_text_document(params.text_document.uri)
    found: tuple[Diagnostic, ...] = ()
    try:
        read_spec(document.source)
    except StepcError as error:
        found = error.diagnostics
    ls.text_document_publish_diagnostics(
        lsp.PublishDiagnosticsParams(
            uri=document.uri,
            diagnostics=[_shown(document, d) for d in found],
            version=document.version,
        )
    )


@server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
def layout(ls: LanguageServer, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
    """The canonical layout; nothing where the text does not parse."""
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
    """What can stand at a place: clauses, kinds, filters, ends, placeholders."""
    document = ls.workspace.get_text_document(params.text_document.uri)
    at = _at(document, params.position)
    place = here(document.source, at)
    if place.string is not None:
        typed = document.source[place.string.start : at]
        words = placeholders(place) if typed.rfind("{") > typed.rfind("}") else []
        kind = lsp.CompletionItemKind.Variable
    else:
        words, kind = _words(place, document.source, at), lsp.CompletionItemKind.Keyword
    return [lsp.CompletionItem(label=w, kind=kind, detail=HELP.get(w)) for w in words]


def placeholders(place: Here) -> list[str]:
    """What `{…}` may say at a place."""
    if place.blocks[-1].kind == "during":
        return ["event", "question"]
    edge = place.edge
    if edge is None or len(edge.ends) < 2:
        return []
    kind = edge.head[1].text
    find = place.blocks[-1].head[1].text if len(place.blocks[-1].head) > 1 else ""
    word = place.clause[0].text if place.clause else ""
    found = ["rel"] if kind == "rel" else []
    for end, side in zip(edge.ends, ("near", "far"), strict=True):
        for part in FIELDS.get((kind, side), ("",)):
            own = end.text == find and not part and word != "because"
            if not own:
                found.append(end.text + (f".{part}" if part else ""))
    return found


def _words(place: Here, text: str, at: int) -> list[str]:
    """Words that can stand at a place outside strings."""
    done = [w for w in place.clause if not w.start < at <= w.end]  # not what is being typed
    typed = min([at, *(w.start for w in place.clause if w.start < at <= w.end)])
    if done and "\n" in text[done[-1].end : typed]:
        done = []
    clause = [w.text for w in done]
    block = place.blocks[-1]
    match clause:
        case ["start", *_]:
            return [k for k in KINDS if k not in clause]
        case ["expand", *_]:
            return [k for k in KINDS if k not in clause and k != "event"]
        case ["only" | "forbid"]:
            return list(FILTERS)
        case ["require"]:
            return ["confidence"]
        case ["edge"]:
            return list(KINDS)
        case ["find"] if place.edge is not None:
            edge = place.edge
            taken = [b.head[1].text for b in edge.blocks if len(b.head) > 1]
            ends = [e.text for e in edge.ends]
            if edge.head[1].text == "event":
                ends = ends[1:]
            return [e for e in ends if e not in taken]
        case ["find" | "edge" | "spec", *_]:
            return []
    starters = list(STARTERS.get(block.kind, ()))
    if block.kind == "find" and place.edge is not None:
        kind, far = place.edge.head[1].text, place.edge.ends[-1:]
        if kind in VALUES and far and block.head[1].text == far[0].text:
            starters.remove("name")
    line = text.rfind("\n", 0, at) + 1
    return starters if not text[line:at].strip(" \t").count(" ") else []


def _word(place: Here, text: str, at: int) -> Span | None:
    """The word or placeholder name at a place."""
    if place.string is not None:
        return next((h for h in holes(place.string) if h.start <= at <= h.end), None)
    start = at
    while start and (text[start - 1].isalnum() or text[start - 1] == "-"):
        start -= 1
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] == "-"):
        end += 1
    return Span(start, end, text[start:end]) if end > start else None


def _end_at(place: Here, text: str, at: int) -> tuple[Block, str] | None:
    """The edge block and the name of its end that is named at a place."""
    word, edge = _word(place, text, at), place.edge
    if edge is None:  # the head stands before the block
        edge = next(
            (
                b
                for b in outline(text).blocks
                if b.kind == "edge" and b.head[0].start <= at < b.start
            ),
            None,
        )
    if word is None or edge is None:
        return None
    named = [u for u in uses(edge, word.text) if u.start <= at <= u.end]
    return (edge, word.text) if named else None


@server.feature(lsp.TEXT_DOCUMENT_HOVER)
def hover(ls: LanguageServer, params: lsp.HoverParams) -> lsp.Hover | None:
    """What a word means."""
    document = ls.workspace.get_text_document(params.text_document.uri)
    at = _at(document, params.position)
    place = here(document.source, at)
    word = _word(place, document.source, at)
    if word is None:
        return None
    found = _end_at(place, document.source, at)
    told = HELP.get(word.text) if place.string is None else None
    if found is not None:
        edge, name = found
        sides = [e.text for e in edge.ends]
        side = ("near", "far")[sides.index(name)] if name in sides else "far"
        told = f"The {side} end of `edge {edge.head[1].text}`. {HELP.get(edge.head[1].text, '')}"
    if told is None:
        return None
    content = lsp.MarkupContent(lsp.MarkupKind.Markdown, told)
    return lsp.Hover(content, _range(document, word.start, word.end))


def _named(
    ls: LanguageServer, params: lsp.DefinitionParams | lsp.RenameParams
) -> tuple[TextDocument, tuple[Block, str] | None]:
    """The document, and the edge block and end that a request points at."""
    document = ls.workspace.get_text_document(params.text_document.uri)
    at = _at(document, params.position)
    return document, _end_at(here(document.source, at), document.source, at)


@server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
def definition(ls: LanguageServer, params: lsp.DefinitionParams) -> lsp.Location | None:
    """Where an end's name is declared."""
    document, found = _named(ls, params)
    if found is None:
        return None
    edge, name = found
    declared = next((e for e in edge.ends if e.text == name), None)
    if declared is None:
        return None
    return lsp.Location(document.uri, _range(document, declared.start, declared.end))


@server.feature(lsp.TEXT_DOCUMENT_RENAME)
def rename(ls: LanguageServer, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
    """Another name for an end, everywhere in its block."""
    document, found = _named(ls, params)
    if found is None:
        return None
    edge, name = found
    edits = [
        lsp.TextEdit(_range(document, use.start, use.end), params.new_name)
        for use in uses(edge, name)
    ]
    return lsp.WorkspaceEdit(changes={document.uri: edits})


@server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def symbols(ls: LanguageServer, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
    """The blocks."""
    document = ls.workspace.get_text_document(params.text_document.uri)

    def symbol(block: Block) -> lsp.DocumentSymbol:
        head = block.head[:2] or [Span(block.start, block.start + 1, "{")]
        return lsp.DocumentSymbol(
            name=" ".join(w.text for w in head),
            kind=lsp.SymbolKind.Class if block.kind == "edge" else lsp.SymbolKind.Field,
            range=_range(document, head[0].start, min(block.end + 1, len(document.source))),
            selection_range=_range(document, head[0].start, head[-1].end),
            children=[symbol(b) for b in block.blocks],
        )

    return [symbol(b) for b in outline(document.source).blocks]


def serve() -> None:
    """Serve one client until it leaves."""
    server.start_io()
