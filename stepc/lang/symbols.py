"""Collects the declarations of a spec and its imports, and applies overrides."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from lark import Token, Tree

from stepc.diagnostics import Place, did_you_mean
from stepc.edges import EDGES
from stepc.lang.parse import BLOCKS, SpecSource, builtin, shipped
from stepc.lang.schema import (
    ALL_LINES,
    KINDS,
    LINES,
    PAIR_LINES,
    TIME_LINES,
    TIMED,
    WHENS,
)
from stepc.lang.source import read_spec_file

_FILE = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*\.step")
Node = Tree[Token]
DRAWN = frozenset(["paths", "pattern", "dataset"])
"""Declarations that say what is drawn, not how it is worded: `import NAME without paths` leaves them out."""


def trees(tree: Node, *data: str) -> list[Node]:
    return [c for c in tree.children if isinstance(c, Tree) and c.data in data]


def tokens(tree: Node, kind: str | None = None) -> list[Token]:
    return [c for c in tree.children if isinstance(c, Token) and kind in (None, c.type)]


@dataclass
class Part:
    """A piece of a declaration and its file."""

    source: SpecSource
    tree: Node
    names: dict[str, str] = field(default_factory=dict)
    """Names of the ends of the edge in this piece: name → `near`, `far` or `edge`."""


@dataclass
class EdgeParts:
    """The lines of an edge, by found end (or `time`) and by first word ("" is the block itself)."""

    head: Part
    kind: str
    lines: dict[str, dict[str, Part]] = field(default_factory=dict)


@dataclass
class Declared:
    """All declarations of a spec and its imports."""

    lets: dict[str, Part] = field(default_factory=dict)
    phrases: dict[str, Part] = field(default_factory=dict)
    allowed: dict[str, dict[str, Part]] = field(default_factory=dict)
    """File → what its wordings may say without a warning (`overclaims.SAYS`), with the declaration."""
    use: list[Part] = field(default_factory=list)
    """The `use` declarations, those of imports first."""
    vocabulary: list[Part] = field(default_factory=list)
    """The `word` declarations."""
    blocks: dict[str, list[Part]] = field(default_factory=dict)
    edges: dict[str, EdgeParts] = field(default_factory=dict)
    """Edge kind, with its conditions as they are written → what is declared."""
    paths: dict[tuple[tuple[str, str], ...], Part] = field(default_factory=dict)
    patterns: dict[str, Part] = field(default_factory=dict)
    time: dict[str, Part] = field(default_factory=dict)
    pair: dict[str, Part] = field(default_factory=dict)
    dataset: dict[str, Part] = field(default_factory=dict)
    places: dict[tuple[str, str], Place] = field(default_factory=dict)
    """(kind of declaration, name) → the place of its first declaration."""
    texts: dict[str, str] = field(default_factory=dict)
    """File name → its text."""


def collect(
    source: SpecSource,
    made: Declared,
    within: tuple[str, ...],
    left_out: frozenset[str] = frozenset(),
) -> Node:
    """Add the declarations of a file to `made`, after those of its imports. Returns the file's tree.

    Declarations of the kinds `left_out` are not added, neither from this file nor from its imports.
    """
    made.texts[source.file] = source.text
    tree = source.tree()
    items = trees(tree, *BLOCKS)
    for item in items:  # imports first, wherever they are, so that the file can override
        if item.data == "import":
            _import(source, item, made, (*within, source.file), left_out)
    for item in items:
        if item.data == "allow":
            told = made.allowed.setdefault(source.file, {})
            told |= dict.fromkeys(map(str, tokens(item)), Part(source, item))
        elif item.data == "use":
            made.use.append(Part(source, item))
        elif item.data == "word":
            made.vocabulary.append(Part(source, item))
        elif item.data != "import" and item.data not in left_out:
            _declare(Part(source, item), made)
    return tree


def _import(
    source: SpecSource,
    item: Node,
    made: Declared,
    within: tuple[str, ...],
    left_out: frozenset[str],
) -> None:
    if tokens(item, "WITHOUT"):
        left_out = DRAWN
    token = next(c for c in item.children if isinstance(c, Token))
    if token.type == "NAME":
        name, folder = f"{token}.step", None
        try:
            text = builtin(str(token))
        except FileNotFoundError:
            message = f"unknown shipped spec `{token}`"
            source.say("S401", message, token, did_you_mean(str(token), shipped()))
            return
    else:
        name, folder = source.string(token), source.folder
        if not _FILE.fullmatch(name) or ".." in name.split("/"):
            message = "an imported .step file must be in the folder of the spec or below it"
            source.say("S401", message, token, 'such as: import "common.step"')
            return
        if folder is None:
            message = "a spec without a folder cannot import files"
            source.say("S401", message, token, "import a shipped spec instead: import step")
            return
        path = folder / name
        try:
            if not path.resolve().is_relative_to(folder.resolve()):
                raise OSError(0, "it is in another folder")
            text = read_spec_file(path)
        except (
            OSError,
            UnicodeDecodeError,
            RuntimeError,
        ) as error:  # RuntimeError: a link to itself
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            reason = "it is a link to itself" if isinstance(error, RuntimeError) else reason
            source.say("S401", f"`{name}` cannot be read ({reason})", token)
            return
    if name in within:
        message = f"`{name}` imports itself" + (
            f" through {within[-1]}" if within[-1] != name else ""
        )
        source.say("S402", message, token, "remove one of the imports")
    elif name not in made.texts:
        collect(SpecSource(name, text, folder, source.found), made, within, left_out)


def _declare(part: Part, made: Declared) -> None:
    """Add one declaration. An existing one is changed only by `override`."""
    source, item = part.source, part.tree
    override = any(t.type == "OVERRIDE" for t in tokens(item))
    words = [t for t in tokens(item) if t.type != "OVERRIDE"]
    data = str(item.data)
    name, key = words[0] if words else None, str(words[0]) if words else ""
    if data == "path":
        hops = tuple((str(h.children[0]), str(h.children[1])) for h in trees(item, "hop"))
        key = " ".join(x for hop in hops for x in hop)
    if data == "paths" and not words:
        key = "paths"
    if data == "edge":
        key = _edge_key(item)
    shown = f"{data} {key}" if key and data != "paths" else key or data
    there = (data, key) in made.places
    at = source.place(name) if name is not None else source.place(item, length=len(data))
    if override and not there and not (data == "edge" and key.split()[0] not in KINDS):
        known = [k for d, k in made.places if d == data and k]
        help = did_you_mean(key, known) if known and key else "declare it without `override`"
        source.say("S403", f"there is no `{shown}` to override", at, help)
    elif there and not override:
        first = made.places[data, key]
        help = "merge the two"
        if first.file != source.file:
            help = f"it comes from {first.file}; write: override {data}"
        notes = [source.note(first, "first declared here")]
        source.say("S305", f"duplicate `{shown}`", at, help, notes=notes)
    made.places.setdefault((data, key), at)
    match data:
        case "let":
            made.lets[key] = part
        case "phrase":
            made.phrases[key] = part
        case "paths":
            made.blocks[key] = [*(made.blocks.get(key, []) if override else []), part]
        case "edge":
            _edge(part, key, made)
        case "path":
            made.paths[hops] = part
        case "pattern":
            made.patterns[key] = part
        case "dataset":
            for wish in trees(item, "mix", "answers", "most", "sets", "formats"):
                word = "steps" if wish.data == "mix" else str(wish.data)
                _once(source, made.dataset, word, Part(source, wish), source.place(wish))
        case _:
            table = made.time if data == "time" else made.pair
            known_lines = WHENS if data == "time" else PAIR_LINES
            take_lines(part, trees(item, "lines")[0], table, known_lines, data)


def _once(source: SpecSource, table: dict[str, Part], word: str, part: Part, at: Place) -> None:
    """Put a clause or line into a table. A second one in the same file is an error."""
    old = table.get(word)
    if old is not None and old.source is source:
        notes = [source.note(old.tree, "the first one")]
        help = "separate alternative wordings by |"
        source.say("S305", f"duplicate `{word}`", at, help, notes=notes)
    table[word] = part


def take_lines(
    part: Part,
    lines: Node,
    table: dict[str, Part],
    known: Iterable[str],
    where: str,
    elsewhere: Iterable[str] = (),
) -> None:
    """Put the lines of a block that are in `known` into a table, and report the others."""
    for line in trees(lines, "line"):
        token = tokens(line)[0]
        word = str(token)
        if word == "name" and word not in known and where.startswith("find"):
            message = "a value is never expanded, so it needs no `name`"
            part.source.say("S313", message, token, "remove it")
        elif word not in known and word in elsewhere:
            message = f"`{word}` does not fit `{where}`"
            part.source.say("S108", message, token, "allowed: " + ", ".join(known))
        elif word not in known:
            help = did_you_mean(word, known)
            part.source.say("S107", f"unknown line `{word}` in `{where}`", token, help)
        else:
            at = part.source.place(token)
            _once(part.source, table, word, Part(part.source, line, part.names), at)


def _edge_key(item: Node) -> str:
    """The kind of an edge, with its conditions in sorted order and its ends as `near` and `far`."""
    kind, *ends = (str(t) for t in tokens(item) if t.type != "OVERRIDE")
    sides = dict(zip(ends, ("near", "far"), strict=False))
    said = []
    for condition in (c for tree in trees(item, "conditions") for c in trees(tree, "condition")):
        subject = str(tokens(condition)[0])
        parts = "".join(f".{tokens(p)[0]}" for p in trees(condition, "part"))
        tests = sorted(str(tokens(test)[0]) for test in trees(condition, "test"))
        said.append(f"{sides.get(subject, subject)}{parts} {', '.join(tests)}")
    return f"{kind} if {' and '.join(sorted(said))}" if said else kind


def _edge(part: Part, key: str, made: Declared) -> None:
    source, item = part.source, part.tree
    kind, near, far = (t for t in tokens(item) if t.type != "OVERRIDE")
    if str(kind) not in KINDS:
        help = did_you_mean(str(kind), KINDS)
        source.say("S101", f"unknown edge kind `{kind}`", kind, help)
        return
    if len({str(near), str(far), str(kind)}) < 3:
        message = "the two ends and the edge need three different names"
        source.say("S102", message, far, f"such as: edge {kind}(a -> b)")
        return
    part.names = {str(near): "near", str(far): "far"}
    if EDGES[str(kind)].edge_placeholder:
        part.names[EDGES[str(kind)].edge_placeholder] = "edge"
    edge = made.edges.setdefault(key, EdgeParts(part, str(kind)))
    seen: set[str] = set()
    for block in trees(item, "find", "time"):
        lines = trees(block, "lines")[0]
        if block.data == "time":
            end, shown, token = "time", "time", None
            known: tuple[str, ...] = TIME_LINES if str(kind) in TIMED else ()
            if not known:
                message = f"only {' and '.join(TIMED)} edges have a `time` block"
                source.say("S108", message, source.place(block, length=4), "remove it")
                continue
        else:
            token = tokens(block)[0]
            shown = f"find {token}"
            if str(token) not in part.names:
                help = did_you_mean(str(token), part.names)
                source.say("S103", f"`{token}` is not an end of this edge", token, help)
                continue
            end = part.names[str(token)]
            known = LINES.get((str(kind), end), ())
            if not known:
                message = EDGES[str(kind)].refused.get(end, "it cannot be asked for")
                source.say("S104", message, token, f"write: find {far}")
                continue
        if end in seen:
            at = source.place(token) if token is not None else source.place(block, length=4)
            help = "put all lines of an end in one block, with | between alternative wordings"
            notes = [source.note(edge.lines[end][""].tree, "the first one")]
            source.say("S305", f"duplicate `{shown}`", at, help, notes=notes)
        seen.add(end)
        head = Part(source, block, part.names)
        table = edge.lines.setdefault(end, {})
        take_lines(head, lines, table, known, shown, ALL_LINES)
        edge.lines[end].setdefault("", head)
