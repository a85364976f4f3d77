"""Reading a `.step` file: parsed by Lark, resolved and type-checked against the IR's schema."""

from __future__ import annotations

import functools
import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, get_args

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from stepc.diagnostics import Diagnostic, Place, StepcError, brief, did_you_mean
from stepc.ir.types import EdgeKind
from stepc.spec.types import EdgeRule, End, Filter, Find, Hole, Sampling, Spec, Wording

KINDS: tuple[EdgeKind, ...] = get_args(EdgeKind)
VALUES = {"attr": "far", "motion": "far", "event": "far"}
"""Kinds whose far end is a value, not an object."""
FIELDS = {
    ("attr", "far"): ("", "kind"),
    ("motion", "far"): ("",),
    ("event", "far"): ("",),
    ("rel", "near"): ("",),
    ("rel", "far"): ("",),
    ("attr", "near"): ("",),
    ("motion", "near"): ("",),
    ("event", "near"): ("",),
    ("ref", "near"): ("", "event"),
    ("ref", "far"): ("", "event"),
}
"""The fields of each end of each kind of edge; the empty one is the end itself."""
_BLOCK = re.compile(r"^(?:paths|edge|during)\b", re.MULTILINE)
MOST = 20
"""Blocks that do not parse before the reader gives up."""
SHARES = "shares are 1/3, 50% or 1"
FILTERS: tuple[str, ...] = get_args(Filter.model_fields["what"].annotation)
_HOLE = re.compile(r"\{([^{}]*)\}")


@functools.cache
def _parser() -> Lark:
    grammar = (files("stepc.grammar") / "step.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


@dataclass
class _Reader:
    """Collects diagnostics while a tree becomes a spec."""

    file: str
    rows: list[str]
    found: list[Diagnostic] = field(default_factory=list)

    def place(self, at: Any, offset: int = 0, length: int | None = None) -> Place:
        """The place of a token or tree; with an offset into a one-line token."""
        meta = at.meta if isinstance(at, Tree) else at
        line, column = meta.line, meta.column + offset
        if length is None:
            end = meta.end_column if meta.end_line == line else len(self.rows[line - 1]) + 1
            length = end - column
        return Place(self.file, line, column, max(1, length), self.rows[line - 1])

    def say(self, code: str, message: str, at: Place, help: str = "") -> None:
        """Note one mistake and go on."""
        self.found.append(Diagnostic(code, message, at, help))

    def string(self, token: Token) -> str:
        """What a string literal says."""
        try:
            text = str(json.loads(token, strict=False))
            text.encode()  # half of a character written as \\u… is no text
            return text
        except (json.JSONDecodeError, UnicodeEncodeError):
            message = "this string has an unknown escape"
            self.say("S002", message, self.place(token), r"use \" or \\")
            return "?"

    def wordings(self, tokens: list[Token], allowed: dict[tuple[str, str], str]) -> list[Wording]:
        """Wordings whose holes are all in `allowed` ((name, field) to what it is)."""
        return [self.wording(token, allowed) for token in tokens]

    def wording(self, token: Token, allowed: dict[tuple[str, str], str]) -> Wording:
        """One string with its holes."""
        text = self.string(token)
        parts: list[str | Hole] = []
        end = 0
        for m in _HOLE.finditer(text):
            parts.append(text[end : m.start()])
            end = m.end()
            name, _, part = m[1].partition(".")
            at = self.place(token, token.find("{" + m[1] + "}"), len(m[0]))
            names = sorted({n for n, _ in allowed})
            if name not in names:
                self.say("S301", f"`{m[1]}` means nothing here", at, did_you_mean(name, names))
            elif (name, part) not in allowed:
                known = [f for n, f in allowed if n == name and f]
                help = did_you_mean(part, known) if known else f"write {{{name}}} alone"
                self.say("S302", f"`{name}` has no `{part}`", at, help)
            elif allowed[name, part]:
                code, _, message = allowed[name, part].partition(" ")
                self.say(code, message, at, "say it by the other end and the edge")
            parts.append(Hole(name=name, field=part))
        parts.append(text[end:])
        rest = "".join(p for p in parts if isinstance(p, str))
        if "{" in rest or "}" in rest:
            at = self.place(token)
            self.say("S303", "a brace without its partner", at, "placeholders are written {name}")
        if not text.strip():
            self.say("S304", "an empty wording", self.place(token), "say something, or remove it")
        return Wording(parts=tuple(p for p in parts if p != ""))


def read_spec(text: str, file: str = "<spec>") -> Spec:
    """The spec in `text`. Raises StepcError with all mistakes found (S001-S320)."""
    reader = _Reader(file, text.split("\n"))
    tree = _parse(text, reader)
    broken = bool(reader.found)
    name, title = tree.children[0], tree.children[1]
    sampling = Sampling()
    clauses: dict[str, Tree[Token]] = {}
    edges: dict[str, EdgeRule] = {}
    wheres: dict[str, Place] = {}
    before: list[Wording] = []
    blocks: dict[str, int] = {}
    for item in tree.children[2:]:
        assert isinstance(item, Tree)
        data = str(item.data)
        if data == "edge":
            rule = _edge(item, reader)
            if rule is not None:
                if rule.kind in edges:
                    help = "put all its `find` blocks into one"
                    reader.say(
                        "S305", f"`edge {rule.kind}` is there twice", wheres[rule.kind], help
                    )
                edges[rule.kind] = rule
                wheres[rule.kind] = reader.place(item.children[0])
            continue
        blocks[data] = blocks.get(data, 0) + 1
        if blocks[data] > 1:
            where = reader.place(item, length=len(data))
            reader.say("S305", f"`{data}` is there twice", where, "make them one block")
        if data == "paths":
            sampling, clauses = _paths(item, reader)
        else:
            allowed = {("event", ""): "", ("question", ""): ""}
            before = reader.wordings([c for c in item.children if isinstance(c, Token)], allowed)
            for token, wording in zip(item.children, before, strict=True):
                holes = {p.name for p in wording.parts if isinstance(p, Hole)}
                for missing in [n for n in ("event", "question") if n not in holes]:
                    at = reader.place(token)
                    help = "such as: While {event}, {question}"
                    reader.say("S306", f"`before` does not say {{{missing}}}", at, help)
    if not broken:
        _whole(reader, sampling, clauses, edges, before, tree)
    headline = reader.string(title) if isinstance(title, Token) else ""
    if reader.found:
        raise StepcError(*sorted(reader.found, key=lambda d: (d.place.line, d.place.column)))  # type: ignore[union-attr]
    return Spec(
        name=str(name),
        title=headline,
        sampling=sampling,
        edges=tuple(edges.values()),
        before=tuple(before),
    )


def _parse(text: str, reader: _Reader) -> Tree[Token]:
    """The tree of `text` without the blocks that do not parse, each with one mistake noted.

    Raises StepcError (S001) where nothing is left to go on with.
    """
    starts = [m.start() for m in _BLOCK.finditer(text)]
    while True:
        try:
            return _parser().parse(text)
        except UnexpectedInput as error:
            found = syntax_error(error, reader.file, reader.rows)
            reader.found.append(found)
            assert found.place is not None
            at = sum(len(row) + 1 for row in reader.rows[: found.place.line - 1])
            at += found.place.column - 1
            n = bisect_right(starts, at) - 1
            if n < 0 or len(reader.found) >= MOST:
                raise StepcError(*reader.found) from None
            end = starts[n + 1] if n + 1 < len(starts) else len(text)
            blank = re.sub(r"[^\n]", " ", text[starts.pop(n) : end])
            text = text[: end - len(blank)] + blank + text[end:]


def _ratio(tree: Tree[Token], reader: _Reader) -> float:
    token = tree.children[0]
    text = str(token)
    if text.endswith("%"):
        share = int(text[:-1]) / 100
    else:
        above, _, below = text.partition("/")
        if below == "0":
            reader.say("S202", "a share divided by nothing", reader.place(token), SHARES)
            return 1.0
        share = int(above) / int(below or 1)
    if share > 1:
        message = f"a share of {text} is more than the whole"
        reader.say("S202", message, reader.place(token), SHARES)
    return share


def _paths(block: Tree[Token], reader: _Reader) -> tuple[Sampling, dict[str, Tree[Token]]]:
    fields: dict[str, Any] = {}
    clauses: dict[str, Tree[Token]] = {}
    filters: list[Filter] = []
    for clause in block.children:
        assert isinstance(clause, Tree)
        name = {"start_kinds": "start", "expand_kinds": "expand", "during_share": "during"}.get(
            str(clause.data), str(clause.data)
        )
        name = "unique" if name == "ambiguous" else name
        if name in ("only", "forbid", "require"):
            name += f" {clause.children[0]}"
        if name in clauses:
            reader.say("S305", f"`{name}` is there twice", reader.place(clause), "keep one of them")
        clauses[name] = clause
        match str(clause.data):
            case "count" | "tries":
                fields[name] = int(str(clause.children[0]))
                if fields[name] < 1:
                    help = "a spec that samples nothing is not a spec"
                    message = f"`{name}` must be at least 1"
                    reader.say("S203", message, reader.place(clause), help)
            case "steps":
                fields["steps"] = _steps(clause, reader)
            case "start_kinds" | "expand_kinds":
                fields[name] = _kinds(clause, reader, name)
            case "during_share":
                fields["during"] = _ratio(clause.children[0], reader)  # type: ignore[arg-type]
            case "require":
                if str(clause.children[0]) != "confidence":
                    where = reader.place(clause.children[0])
                    message = f"`{clause.children[0]}` cannot be required"
                    reader.say("S105", message, where, "write: require confidence >= 2/3")
                fields["confidence"] = _ratio(clause.children[1], reader)  # type: ignore[arg-type]
            case "only" | "forbid":
                filters += _filter(clause, reader)
            case "unique":
                fields["unique"] = True
            case _:
                fields["unique"] = False
    fields["filters"] = tuple(filters)
    return Sampling.model_construct(**{**Sampling().__dict__, **fields}), clauses


def _filter(clause: Tree[Token], reader: _Reader) -> list[Filter]:
    what, *strings = (c for c in clause.children if isinstance(c, Token))
    if str(what) not in FILTERS:
        message = f"there is no filter `{what}`"
        reader.say("S105", message, reader.place(what), did_you_mean(str(what), FILTERS))
        return []
    if bool(strings) == (str(what) in ("static", "dynamic")):
        message = f"`{what}` takes no words" if strings else f"`{what}` needs words"
        help = f"write: {clause.data} {what}" + ("" if strings else ' "…"')
        reader.say("S106", message, reader.place(what), help)
        return []
    words = tuple(reader.string(s) for s in strings)
    data = {"keep": clause.data == "only", "what": str(what), "words": words}
    return [Filter.model_validate(data)]


def _steps(clause: Tree[Token], reader: _Reader) -> tuple[tuple[int, float], ...]:
    weights: dict[int, float] = {}
    weighed: set[bool] = set()
    for share in clause.children:
        assert isinstance(share, Tree)
        first, last, ratio = share.children
        low, high = int(str(first)), int(str(last if last is not None else first))
        if low < 1 or high < low:
            help = "the least number first, from 1 on: 1..3"
            reader.say("S201", f"no path has {low}..{high} steps", reader.place(share), help)
            continue
        weighed.add(ratio is not None)
        weight = _ratio(ratio, reader) if isinstance(ratio, Tree) else 1.0
        for n in range(low, min(high, low + 63) + 1):
            if n in weights:
                help = "each number of steps once"
                reader.say("S205", f"{n} steps are there twice", reader.place(share), help)
            weights[n] = weight / (high - low + 1)
    total = sum(weights.values())
    if weighed == {True} and abs(total - 1) > 0.005:
        message = f"the shares add up to {total:.2f}, not to 1"
        help = "steps 1: 1/3, 2: 1/3, 3: 1/3"
        reader.say("S204", message, reader.place(clause), help)
    elif len(weighed) == 2:
        message = "either every number of steps has a share or none"
        reader.say("S204", message, reader.place(clause), "steps 1..3, or 1: 1/2, 2..3: 1/2")
    return tuple(sorted(weights.items()))


def _kinds(clause: Tree[Token], reader: _Reader, name: str) -> tuple[str, ...]:
    kinds = []
    for token in clause.children:
        if str(token) not in KINDS:
            help = did_you_mean(str(token), KINDS)
            reader.say("S101", f"there is no edge kind `{token}`", reader.place(token), help)
        elif name == "expand" and str(token) == "event":
            reader.say(
                "S104",
                "an event does not describe an object: many are seen while it happens",
                reader.place(token),
                "leave `event` out of `expand`",
            )
        else:
            kinds.append(str(token))
    return tuple(dict.fromkeys(kinds))


def _edge(block: Tree[Token], reader: _Reader) -> EdgeRule | None:
    kind, near, far = block.children[:3]
    if str(kind) not in KINDS:
        help = did_you_mean(str(kind), KINDS)
        reader.say("S101", f"there is no edge kind `{kind}`", reader.place(kind), help)
        return None
    if str(near) == str(far) or str(kind) in (str(near), str(far)):
        message = "the two ends and the edge need three different names"
        reader.say("S102", message, reader.place(far), f"such as: edge {kind}(a -> b)")
        return None
    ends: dict[str, End] = {str(near): "near", str(far): "far"}
    finds: dict[str, Find] = {}
    for part in block.children[3:]:
        assert isinstance(part, Tree)
        token = part.children[0]
        if str(token) not in ends:
            help = did_you_mean(str(token), ends)
            reader.say("S103", f"`{token}` is no end of this edge", reader.place(token), help)
            continue
        end = ends[str(token)]
        if kind == "event" and end == "near":
            reader.say(
                "S104",
                "an event does not single out an object: many are seen while it happens",
                reader.place(token),
                f"find `{far}`",
            )
            continue
        if end in finds:
            help = "wordings of one end stand in one block, with | between them"
            reader.say("S305", f"`find {token}` is there twice", reader.place(token), help)
        finds[end] = _find(part, str(kind), ends, end, reader)
    known = next(k for k in KINDS if k == str(kind))
    return EdgeRule(kind=known, near=str(near), far=str(far), finds=tuple(finds.values()))


def _find(part: Tree[Token], kind: str, ends: dict[str, End], found: End, reader: _Reader) -> Find:
    said: dict[str, tuple[Wording, ...]] = {}
    for line in part.children[1:]:
        assert isinstance(line, Tree)
        word = str(line.children[0])
        if word in said:
            where = reader.place(line.children[0])
            reader.say("S305", f"`{word}` is there twice", where, "put | between two wordings")
        allowed: dict[tuple[str, str], str] = {}
        for name, end in ends.items():
            for f in FIELDS[kind, end]:
                allowed[name, f] = ""
                if end == found and word != "because" and f == "":
                    allowed[name, f] = (
                        f"S311 `ask` says `{name}`, which is its answer"
                        if word == "ask"
                        else f"S312 `name` says `{name}`, the node it describes"
                    )
        if kind == "rel":
            allowed["rel", ""] = ""
        tokens = [c for c in line.children[1:] if isinstance(c, Token)]
        said[word] = tuple(reader.wordings(tokens, allowed))
        if word == "name" and kind in VALUES and found == "far":
            at = reader.place(line.children[0])
            reader.say("S313", "a value is never expanded, so it needs no `name`", at, "remove it")
    for word in ("ask", "because"):
        if word not in said:
            at = reader.place(part.children[0])
            message = f"`find {part.children[0]}` has no `{word}`"
            reader.say("S314", message, at, f'add a line: {word} "…"')
    return Find(
        end=found,
        ask=said.get("ask", ()),
        name=said.get("name", ()),
        because=said.get("because", ()),
    )


def _whole(
    reader: _Reader,
    sampling: Sampling,
    clauses: dict[str, Tree[Token]],
    edges: dict[str, EdgeRule],
    before: list[Wording],
    tree: Tree[Token],
) -> None:
    """What can be said only of the spec as a whole."""

    def at(clause: str) -> Place:
        return reader.place(clauses[clause] if clause in clauses else tree.children[0])

    if "paths" not in {str(c.data) for c in tree.children if isinstance(c, Tree)}:
        help = "add: paths { count 18 per video  steps 1..3 }"
        reader.say("S307", "there is no `paths` block", reader.place(tree.children[0]), help)
        return
    longest = max((n for n, _ in sampling.steps), default=1)
    for kind in sampling.start:
        if kind not in edges or not edges[kind].finds:
            help = f"add: edge {kind}(…) {{ find … }}"
            reader.say("S308", f"`start` names `{kind}`, which has no wording", at("start"), help)
    for kind in sampling.expand if longest > 1 else ():
        rule = edges.get(kind)
        named = [f for f in rule.finds if f.name] if rule else []
        if not named:
            help = "give one of its `find` blocks a `name`, or leave it out of `expand`"
            reader.say("S309", f"`expand` names `{kind}`, which has no `name`", at("expand"), help)
    far_enough = {"rel", "ref"} & set(sampling.expand)
    if longest > 2 and not far_enough:
        reader.say(
            "S210",
            f"no path can have {longest} steps: only `rel` and `ref` lead from object to object",
            at("expand" if "expand" in clauses else "steps"),
            "add `rel` to `expand`, or ask for at most 2 steps",
        )
    if longest > 1 and not sampling.expand and "expand" not in clauses:
        message = f"no path can have {longest} steps: nothing expands"
        reader.say("S210", message, at("steps"), "add: expand rel")
    if sampling.during > 0 and not before:
        help = 'add: during { before "While {event}, {question}" }'
        reader.say(
            "S310", "paths get a time range and there is no `during` block", at("during"), help
        )
    used = set(sampling.start) | set(sampling.expand)
    for used_kind, rule in edges.items():
        if used_kind not in used:
            message = f"`edge {used_kind}` is never used by `start` or `expand`"
            place = next(
                reader.place(c.children[0])
                for c in tree.children
                if isinstance(c, Tree) and c.data == "edge" and str(c.children[0]) == rule.kind
            )
            reader.say("S315", message, place, "use it or remove it")


def syntax_error(error: UnexpectedInput, file: str, rows: list[str]) -> Diagnostic:
    line, column = error.line or -1, error.column or -1
    if line < 1 or line > len(rows):
        line = len(rows)
        column = len(rows[-1]) + 1
    source = rows[line - 1]
    rest = re.match(r"[A-Za-z-]+|\S", source[column - 1 :])
    word = rest[0] if rest else "the end"
    expected: set[str] = set()
    if isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected)
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed or ())
    shown = sorted(_TERMINALS.get(e, e.lower()) for e in expected if not e.startswith("__"))
    names = [s for s in shown if s.isalpha()]
    close = did_you_mean(word, names) if word.isalpha() and names else ""
    help = close if close.startswith("did you") else "expected " + " or ".join(shown)
    return Diagnostic(
        "S001", f"unexpected {brief(word)}", Place(file, line, column, len(word), source), help
    )


_TERMINALS = {
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "VBAR": "`|`",
    "STRING": 'a "string"',
    "INT": "a number",
    "RATIO": "a share such as 1/3",
    "PERCENT": "a share such as 50%",
    "NAME": "a name",
    "WORDING": "ask, name or because",
    "$END": "the end of the file",
}


def builtin(name: str) -> str:
    """The text of a spec that comes with stepc. Raises FileNotFoundError."""
    return (files("stepc.specs") / f"{name}.step").read_text("utf-8")
