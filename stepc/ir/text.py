"""Reads and writes the text form of every IR level, as printed by `dump` and kept in golden files.

`write` is canonical: `write(read(text).unit) == text` for canonical text, byte for byte. Any other
valid text is normalised by the same call. The grammar is `grammar/ir.lark`.
"""

# Long: what each statement is written as and how it is read belong beside each other.
from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput
from pydantic import ValidationError

from stepc.diagnostics import Diagnostic, Place, StepcError, brief, did_you_mean
from stepc.edges import EDGES, ELEMENTS
from stepc.ir import types as t
from stepc.ir.literals import (
    at_frames,
    implied_frames,
    millis,
    quote,
    seconds,
    span,
    unquote,
    unspan,
)
from stepc.ir.shapes import ShapeParser
from stepc.ir.syntax import unexpected
from stepc.ops import KEYWORDS
from stepc.runtime.grammars import lalr_parser

# --- write -------------------------------------------------------------------------------


def _believed(e: t.Element, calls: bool) -> str:
    verdict = "-" if e.trust.verdict == "unasked" else e.trust.verdict
    text = f" [{e.trust.votes}/{e.trust.asked} {verdict}]"
    if e.origin.nodes:
        text += " from " + " ".join(e.origin.nodes)
    by = [quote(e.origin.source)] if e.origin.source else []
    by += e.origin.asks if calls else ()
    return f"{text} by {' '.join(by)}" if by else text


def statement(e: t.Element | t.Gap | t.Box | t.Track, calls: bool = True) -> str:
    """The line of anything in a graph; without the keys of its model calls if `calls` is False."""
    if isinstance(e, t.Gap):
        more = (e.other, quote(e.word) if e.word else None)
        return " ".join([f"gap     {e.where} {e.what}", *filter(None, more)])
    if isinstance(e, t.Track):
        points = (f"{seconds(p.at)} {p.left} {p.top} {p.right} {p.bottom}" for p in e.points)
        return f"track   {e.clip} {e.number} {quote(e.source)} {' '.join(points)}"
    if isinstance(e, t.Box):
        at, track = at_frames((e.frame,), e.owner), "" if e.track is None else f" track {e.track}"
        edges = f"{e.left} {e.top} {e.right} {e.bottom}"
        return f"box     {e.owner}{at} {edges} {seconds(e.score)} {quote(e.source)}{track}"
    if isinstance(e, t.WordRelation):
        line = f"word    {e.of} {quote(e.one)} {e.how} {quote(e.other)}"
    elif isinstance(e, t.Object):
        noun = f" {e.noun}" if e.noun else ""
        called = "".join(f" {quote(name)}" for name in e.called)
        called = f" called{called}" if called else ""
        line = f"{e.op:7} {e.id} {quote(e.label)}{called}{noun}{at_frames(e.frames, e.id)}"
    else:
        line = ELEMENTS[type(e)].statement(e)
    return line + _believed(e, calls)


def denial(e: t.Element, calls: bool = True) -> str:
    """The line of a denied fact."""
    return re.sub(r"^(\w+) *", r"no \1 ", statement(e, calls))


def query_text(query: t.Query) -> str:
    """The text of a query: `during "…" | node "cup" | follow attr => "color" | …`."""
    return " | ".join(op.text() for op in query)


def write(unit: t.Unit, calls: bool = True) -> str:
    """The canonical text of `unit`.

    With `calls=False` the text omits the keys of the model calls (`by 3f2a9c01b7de …`), which depend
    on the wording of the templates. Such a text reads back without the keys.
    """
    return "\n".join(_lines(unit, calls)) + "\n"


def _lines(unit: t.Unit, calls: bool) -> Iterator[str]:
    v = unit.video
    yield f"{unit.LEVEL} {unit.schema_version} {quote(unit.name)}"
    yield (
        f"video   {quote(v.file)} {seconds(v.duration)}s {v.rate}fps "
        f"{v.width}x{v.height} sha256:{v.sha256}"
    )
    yield from (statement(w, calls) for w in getattr(unit, "lexicon", ()))
    groups: dict[str, list[str]] = {}
    for clip in unit.clips:
        group = groups.setdefault(clip.id, [])
        group.append(f"clip    {clip.id} {span(clip.start, clip.end)}")
        group += [f"frame   {k.id} at {seconds(k.at)}" for k in clip.keyframes]
    inside = [
        kind.field for kind in ELEMENTS.values() if kind.field not in ("events", "references")
    ]
    for name in ("events", "objects", *inside):
        for e in getattr(unit, name, ()):
            groups.setdefault(t.clip_of(e.place), []).append(statement(e, calls))
    for where in (*getattr(unit, "tracks", ()), *getattr(unit, "boxes", ())):
        groups.setdefault(t.clip_of(where.place), []).append(statement(where))
    for e in getattr(unit, "denied", ()):
        groups.setdefault(t.clip_of(e.place), []).append(denial(e, calls))
    for gap in getattr(unit, "gaps", ()):
        groups.setdefault(t.clip_of(gap.place), []).append(statement(gap))
    for group in groups.values():
        yield ""
        yield from group
    if isinstance(unit, t.Stsg) and unit.references:
        yield ""
        yield from (statement(r, calls) for r in unit.references)
    for path in unit.paths if isinstance(unit, t.Paths) else ():
        yield ""
        block = f" of {path.block}" if path.block != "paths" else ""
        form = f" as {path.form}" if path.form != "ask" else ""
        time = f" {path.time} {path.clip}" if path.time else ""
        alone = ("" if path.unique else " ambiguous") + " pattern" * path.pattern
        yield f"path    {path.id} wanted {path.wanted}{block}{form}{time}{alone}"
        for word, steps in (("step", path.steps), ("also", path.also)):
            for s in steps:
                denied = "no " * s.denied
                yield f"{word}    {denied}{s.edge} {s.near} {s.way} {s.far} {quote(s.word)}"
        yield f"query   {query_text(path.query)}"
    for sample in unit.samples if isinstance(unit, t.Qras) else ():
        yield ""
        yield from _sample_lines(sample)


def _sample_lines(sample: t.Sample) -> Iterator[str]:
    checked = "checked" if sample.checked else "unchecked"
    yield f"sample  {sample.id} of {sample.path} {sample.form} {sample.wording} {checked}"
    yield f"question {quote(sample.question)}"
    yield f"answer  {quote(sample.answer)}"
    if sample.claim:
        yield f"claim   {quote(sample.claim)}"
    yield from (f"option  {quote(option)}" for option in sample.options)
    if sample.room:
        yield f"room    {sample.room}"
    yield from (f"or      {quote(answer)}" for answer in sample.also)
    yield f"query   {query_text(sample.query)}"
    for b in sample.rationale:
        yield f"because {quote(b.question)} {quote(b.answer)} {quote(b.text)}"
        yield f"query   {query_text(b.query)}"
    for w in sample.wrong:
        yield f"wrong   {w.step} {w.what} {quote(w.text)} {quote(w.answer)} {quote(w.instead)}"
    for probe in sample.probes:
        yield f"probe   {probe.shown} {probe.right}/{probe.asked}"


# --- read --------------------------------------------------------------------------------


@dataclass
class Read:
    """A unit, and the line number of each node, edge, clip, keyframe, path and sample."""

    unit: t.Unit
    lines: dict[t.Value, int] = field(default_factory=dict)


@functools.cache
def _parser() -> Lark:
    grammar = (files("stepc.grammar") / "ir.lark").read_text("utf-8")
    rules = [f"{kind.name}: {kind.syntax}" for kind in ELEMENTS.values()]
    grammar += "\n".join([f"?edge: {' | '.join(k.name for k in ELEMENTS.values())}", *rules, ""])
    return lalr_parser(grammar, lexer="contextual", propagate_positions=True)


def _string(token: Any) -> str:
    try:
        return unquote(str(token))
    except ValueError as error:
        raise _Bad(token, str(error)) from error


class _Bad(ValueError):
    """An invalid value at a token or tree; becomes I003."""

    def __init__(self, token: Token | Tree[Token], message: str, help: str = "") -> None:
        super().__init__(message)
        self.token, self.help = token, help


def _believe(trust: Tree[Token], origin: Tree[Token]) -> dict[str, Any]:
    votes, verdict = trust.children
    share, asked = str(votes).split("/")
    said: dict[str, list[Any]] = {"ID": [], "ASK": [], "STRING": []}
    for token in origin.children:
        assert not isinstance(token, Tree)
        said[token.type].append(_string(token) if token.type == "STRING" else str(token))
    made = NO_ORIGIN
    if origin.children:
        source = next(iter(said["STRING"]), None)
        made = t.Origin(nodes=tuple(said["ID"]), asks=tuple(said["ASK"]), source=source)
    return {"trust": _trust(int(share), int(asked), str(verdict)), "origin": made}


NO_ORIGIN = t.Origin()


@functools.lru_cache(1 << 10)
def _trust(votes: int, asked: int, verdict: str) -> t.Trust:
    return t.Trust.model_validate(
        {"votes": votes, "asked": asked, "verdict": "unasked" if verdict == "-" else verdict}
    )


def _frames(at: Tree[Token], *ids: str) -> tuple[str, ...]:
    return tuple(str(c) for c in at.children) or implied_frames(*ids)


def _read_op(tree: Tree[Token]) -> t.Op:
    keyword, *arguments = (str(c) for c in tree.children)
    if keyword not in KEYWORDS:
        helps = did_you_mean(keyword, KEYWORDS)
        raise _Bad(tree, f"unknown query operation `{brief(keyword)}`", helps)
    try:
        return KEYWORDS[keyword].parse(keyword, arguments)
    except ValidationError:
        raise
    except ValueError as error:
        raise _Bad(tree, f"`{keyword}`: {error}", f"such as: {KEYWORDS[keyword].SYNTAX}") from None


def _element(tree: Tree[Token]) -> tuple[str, t.Element]:
    """(field of the unit, element) of the statement of a node or an edge."""
    c: list[Any] = tree.children
    if tree.data == "object":
        data: dict[str, Any] = {"op": str(c[0]), "id": str(c[1]), "label": _string(c[2])}
        called, *noun, at, trust, origin = c[3:]
        data |= {"called": tuple(map(_string, called.children))}
        data |= {"noun": str(noun[0])} if noun else {}
        data |= {"frames": _frames(at, data["id"]), **_believe(trust, origin)}
        return "objects", t.Object.model_validate(data)
    kind = EDGES[tree.data]
    assert kind.element is not None
    parts = {str(x.data): x for x in c if isinstance(x, Tree)}
    tokens = (x for x in c if not isinstance(x, Tree))
    data = kind.fields([_string(x) if x.type == "STRING" else str(x) for x in tokens])
    if "at" in parts:
        data["frames"] = _frames(parts["at"], *kind.placed(data))
    data |= _believe(parts["trust"], parts["origin"])
    return kind.field, kind.element.model_validate(data)


def _box(c: list[Any]) -> t.Box:
    """The box of a statement."""
    owner, at, *edges, score, source, track = c
    frames = _frames(at, str(owner))
    if len(frames) != 1:
        raise _Bad(owner, "a box is in one keyframe")
    data = dict(zip(("left", "top", "right", "bottom"), (int(str(x)) for x in edges), strict=True))
    number = [int(str(x)) for x in track.children]
    return t.Box.model_validate(
        {"owner": str(owner), "frame": frames[0], "score": millis(score), "source": _string(source),
         "track": number[0] if number else None, **data}
    )  # fmt: skip


def _track(c: list[Any]) -> t.Track:
    """The track of a statement."""
    clip, number, source, *rest = c
    points = tuple(
        t.TrackPoint(at=millis(at), left=int(str(left)), top=int(str(top)), right=int(str(right)),
                     bottom=int(str(bottom)))
        for at, left, top, right, bottom in zip(*[iter(rest)] * 5, strict=True)
    )  # fmt: skip
    return t.Track(clip=str(clip), number=int(str(number)), source=_string(source), points=points)


_PARTS = {
    "block": ["block"],
    "form": ["form"],
    "time": ["time", "clip"],
    "ambiguous": [],
    "pattern": [],
}
"""Part of the head of a path → the fields that it sets."""


class _Builder:
    """Collects statements into the fields of a unit."""

    def __init__(self) -> None:
        self.video: t.Video | None = None
        self.clips: list[dict[str, Any]] = []
        self.fields: dict[str, list[Any]] = {}
        self.lines: dict[t.Value, int] = {}
        self.clip_lines: list[int] = []
        self.open: dict[str, Any] | None = None
        self.waiting: tuple[str, int, dict[str, Any]] | None = None

    def add(self, name: str, line: int, value: t.Value) -> None:
        self.fields.setdefault(name, []).append(value)
        self.lines.setdefault(value, line)

    def close(self) -> None:
        """Finish the current path or sample, after its last line."""
        if self.waiting is not None:
            name, line, data = self.waiting
            self.waiting = None
            if name == "paths":
                self.add(name, line, t.Path.model_validate(data))
            else:
                data["rationale"] = tuple(t.Because.model_validate(b) for b in data["rationale"])
                self.add(name, line, t.Sample.model_validate(data))

    def statement(self, tree: Tree[Token]) -> None:
        c: list[Any] = tree.children
        line = tree.meta.line
        match tree.data:
            case "video":
                if self.video is not None:
                    raise _Bad(tree, "duplicate video statement")
                width, _, height = c[3].partition("x")
                self.video = t.Video(
                    file=_string(c[0]),
                    duration=millis(c[1]),
                    rate=str(c[2]).removesuffix("fps"),
                    width=int(width),
                    height=int(height),
                    sha256=str(c[4]).removeprefix("sha256:"),
                )
            case "clip":
                start, end = unspan(c[1])
                self.clips.append({"id": str(c[0]), "start": start, "end": end, "keyframes": []})
                self.clip_lines.append(line)
            case "frame":
                if not self.clips or t.clip_of(c[0]) != self.clips[-1]["id"]:
                    raise _Bad(c[0], f"`{c[0]}` does not follow the statement of its clip")
                keyframe = t.Keyframe(id=str(c[0]), at=millis(c[1]))
                self.clips[-1]["keyframes"].append(keyframe)
                self.lines.setdefault(keyframe, line)
            case "word":
                of, one, how, other, trust, origin = c
                said = {
                    "of": str(of),
                    "one": _string(one),
                    "how": str(how),
                    "other": _string(other),
                }
                entry = t.WordRelation.model_validate({**said, **_believe(trust, origin)})
                self.add("lexicon", line, entry)
            case "gap":
                data = dict(zip(("where", "what"), map(str, c), strict=False))
                for more in c[2:]:
                    named = more.type == "ID"
                    data |= {"other": str(more)} if named else {"word": _string(more)}
                self.add("gaps", line, t.Gap.model_validate(data))
            case "box":
                self.add("boxes", line, _box(c))
            case "track":
                self.add("tracks", line, _track(c))
            case "denied":
                if c[0].data == "ref":
                    raise _Bad(tree, "a reference cannot be denied")
                self.add("denied", line, _element(c[0])[1])
            case name if name == "object" or name in EDGES:
                field_, made = _element(tree)
                self.add(field_, line, made)
            case _:
                self.path_or_sample(tree, line)

    def path_or_sample(self, tree: Tree[Token], line: int) -> None:
        c: list[Any] = tree.children
        if tree.data in ("path", "sample"):
            self.close()
        if tree.data == "path":
            data: dict[str, Any] = {"id": str(c[0]), "wanted": int(c[1])}
            data |= {"steps": (), "also": (), "query": ()}
            for more in c[2:]:
                data |= dict(zip(_PARTS[more.data], map(str, more.children), strict=True))
                data |= {"unique": False} if more.data == "ambiguous" else {}
                data |= {"pattern": True} if more.data == "pattern" else {}
            self.waiting, self.open = ("paths", line, data), data
            return
        if tree.data == "sample":
            data = {"id": str(c[0]), "path": str(c[1]), "form": str(c[2]), "wording": str(c[3])}
            data |= {"checked": c[4] == "checked", "question": "", "answer": "", "claim": ""}
            data |= {"options": (), "also": (), "query": (), "rationale": []}
            data |= {"probes": (), "wrong": ()}
            self.waiting, self.open = ("samples", line, data), data
            return
        if self.waiting is None or self.open is None:
            raise _Bad(tree, f"`{tree.data}` must follow a path or sample statement")
        name, _, whole = self.waiting
        if tree.data == "query":
            self.open["query"] = tuple(_read_op(op) for op in c)
        elif tree.data in ("step", "also") and name == "paths":
            denied = c[0].type == "NOT"
            c = c[denied:]
            step = {"edge": str(c[0]), "near": str(c[1]), "way": str(c[2]), "far": str(c[3])}
            step |= {"denied": denied, "word": _string(c[4])}
            made = (t.Step.model_validate(step),)
            whole["steps" if tree.data == "step" else "also"] += made
        elif tree.data == "room" and name == "samples":
            whole["room"] = int(str(c[0]))
        elif tree.data in ("option", "or") and name == "samples":
            whole["options" if tree.data == "option" else "also"] += (_string(c[0]),)
        elif tree.data == "because" and name == "samples":
            texts = dict(zip(("question", "answer", "text"), map(_string, c), strict=True))
            self.open = {**texts, "query": ()}
            whole["rationale"].append(self.open)
        elif tree.data == "wrong" and name == "samples":
            false: dict[str, Any] = {"step": int(c[0]), "what": str(c[1])}
            false |= dict(zip(("text", "answer", "instead"), map(_string, c[2:]), strict=True))
            whole["wrong"] += (t.WrongStep.model_validate(false),)
        elif tree.data == "probe" and name == "samples":
            *shown, votes = map(str, c)
            right, _, asked = votes.partition("/")
            result = {"shown": " ".join(shown), "right": int(right), "asked": int(asked)}
            whole["probes"] += (t.ProbeResult.model_validate(result),)
        elif tree.data in ("question", "answer", "claim") and name == "samples":
            whole[str(tree.data)] = _string(c[0])
        else:
            raise _Bad(tree, f"`{tree.data}` is not allowed in a {name[:-1]}")


@functools.cache
def _shapes() -> ShapeParser:
    def statement(row: str) -> Tree[Token]:
        made = _parser().parse(f'qra 1 "x"\n{row}\n').children[1]
        assert isinstance(made, Tree)
        return made

    return ShapeParser(statement)


def read(text: str, file: str = "<text>") -> Read:
    """Read a unit. Raises StepcError (I001-I004) with the place of the error."""
    rows = text.split("\n")
    head = _HEAD.fullmatch(rows[0])
    if head is not None and (trees := _shapes().trees(rows[1:], 2)) is not None:
        header = Tree("header", [*map(Token, ("LEVEL", "INT", "STRING"), head.groups())])
        with contextlib.suppress(StepcError):
            return _unit(header, trees, file, rows)
    try:  # for the place of the error, or what no line has alone
        tree = _parser().parse(text if text.endswith("\n") else text + "\n")
    except UnexpectedInput as error:
        raise StepcError(unexpected(error, file, rows)) from None
    header, *trees = (x for x in tree.children if isinstance(x, Tree))
    return _unit(header, trees, file, rows)


_HEAD = re.compile(r'(clips|fsg|tsg|stsg|paths|qra)[ \t]+(\d{1,9})[ \t]+("(?:\\.|[^"\\])*")[ \t]*')


def _unit(  # long: from header to unit, with the errors of each part
    header: Tree[Token], trees: list[Tree[Token]], file: str, rows: list[str]
) -> Read:
    """The unit of a parsed text."""

    def place(at: Any) -> Place:
        meta = at.meta if isinstance(at, Tree) else at
        line, column = getattr(meta, "line", 1) or 1, getattr(meta, "column", 1) or 1
        end = getattr(meta, "end_column", None)
        length = end - column if end and getattr(meta, "end_line", line) == line else 1
        source = rows[line - 1] if line <= len(rows) else ""
        return Place(file, line, column, max(1, length), source)

    level, version, name = header.children
    if not 1 <= int(str(version)) <= t.SCHEMA:
        message = f"unsupported schema version {version}"
        raise StepcError(
            Diagnostic("I002", message, place(version), f"this stepc reads schemas 1 to {t.SCHEMA}")
        )
    builder = _Builder()
    current: Any = header
    try:
        title = _string(name)
        for current in trees:
            builder.statement(current)
        builder.close()
        current = header
        if builder.video is None:
            raise _Bad(header, "the video statement is missing")
        clips = tuple(
            t.Clip.model_validate({**clip, "keyframes": tuple(clip["keyframes"])})
            for clip in builder.clips
        )
        for clip, line in zip(clips, builder.clip_lines, strict=True):
            builder.lines.setdefault(clip, line)
        kind = t.LEVELS[str(level)]
        for foreign in [name for name in builder.fields if name not in kind.model_fields]:
            at = builder.lines[builder.fields[foreign][0]]
            what = f"a file of level {level} cannot have {foreign}"
            raise StepcError(
                Diagnostic("I004", what, Place(file, at, 1, len(rows[at - 1]), rows[at - 1]))
            )
        values = {key: tuple(value) for key, value in builder.fields.items()}
        unit = kind.model_validate(
            {"name": title, "video": builder.video, "clips": clips, **values}
        )
    except _Bad as error:
        raise StepcError(Diagnostic("I003", str(error), place(error.token), error.help)) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        message = f"{where}: {first['msg']}" if where else first["msg"]
        raise StepcError(Diagnostic("I003", message, place(current))) from None
    return Read(unit, builder.lines)
