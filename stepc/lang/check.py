"""Checks of a spec as a whole: whether its paths can be drawn and worded, and what is unused."""

from __future__ import annotations

from typing import Protocol

from lark import Token

from stepc.edges import EDGES
from stepc.forms import FORMS
from stepc.ir.types import When
from stepc.lang.blocks import ResolvedBlock, has_name
from stepc.lang.parse import SpecSource
from stepc.lang.schema import KINDS
from stepc.lang.symbols import Part, tokens, trees
from stepc.lang.types import Block, Spec
from stepc.lang.values import Values


def check_whole(
    spec: Spec, blocks: list[ResolvedBlock], name: Token, source: SpecSource, values: Values
) -> None:
    """Report errors that concern several declarations (S206, S209, S210, S307-S310, S315-S317).

    `name` is the token of the spec's name in `source`. Blocks that already have errors are not checked.
    """
    if not blocks and not values.made.patterns:
        help = "add: paths { count 18 per video  steps 1..3 }"
        message = "the spec has no `paths` block"
        if values.made.blocks:
            message = "all `paths` blocks have parameters, so none is sampled"
            help = "add a block that sets them: paths NAME from OTHER(…)"
        source.say("S307", message, name, help)
        return
    for block in spec.blocks:
        _pattern_worded(spec, block, source, values)
        _deniable(spec, block, values)
    for made in blocks:
        if made.sound:
            _reachable(spec, made.block, made.where)
    whole = len(values.made.patterns) == sum(b.pattern is not None for b in spec.blocks)
    if whole and all(made.sound for made in blocks):
        _unused(spec, source, values)


class Say(Protocol):
    """Reports an error: its code, its message, the first word of the clause to mark, and help.

    `other` is the first word of another clause that it is about, and `why` what that has to do with it.
    """

    def __call__(
        self, code: str, message: str, word: str, help: str, other: str = "", why: str = ""
    ) -> None: ...


def _reachable(spec: Spec, block: Block, where: dict[str, Part]) -> None:
    """Report why the paths of a block cannot be drawn or worded."""

    def say(code: str, message: str, word: str, help: str, other: str = "", why: str = "") -> None:
        part, head = where.get(word), where[""]
        notes = (
            [head.source.note(where[other].source.place(where[other].tree), why)]
            if other in where and other
            else []
        )
        if part is not None:
            part.source.say(code, message, part.tree, help, notes=notes)
            return
        token = next((t for t in tokens(head.tree) if t.type == "NAME"), None)
        at = head.source.place(token) if token else head.source.place(head.tree, length=5)
        head.source.say(code, message, at, help, notes=notes)

    _edges_worded(spec, block, say)
    _lengths_possible(block, where, say)
    _count_shared(block, where, say)
    asked: list[tuple[When, str, float]] = [(when, when, share) for when, share in block.time]
    asked += [("moment", "form", share) for name, share in block.form if FORMS[name].momentary]
    for when, where_said, share in asked:
        if share > 0 and not spec.time.line(when):
            help = f'add: time {{ {when} "…" }}'
            message = f"the `time` block has no line for `{when}`"
            say("S310", message, where_said, help)
    _forms_worded(spec, block, say)
    if block.deny and not any(name == "claim" and share > 0 for name, share in block.form):
        message = "no question of this block is answered by yes or no"
        say("S325", message, "deny", "add `form claim`, or remove `deny`")


def _longest(block: Block) -> int:
    return max((n for n, _ in block.steps), default=1)


def _edges_worded(spec: Spec, block: Block, say: Say) -> None:
    for k in block.start:
        if not any(e.finds or e.time.lines for e in spec.edges if e.kind == k.kind):
            help = f"add: edge {k.kind}(…) {{ find … }}"
            message = f"`start` names `{k.kind}`, which has no wording"
            say("S308", message, "start", help)
    for k in block.expand if _longest(block) > 1 else ():
        if not has_name(spec.edges, k.kind, k.ways):
            help = "add a `name` to one of its `find` blocks, or remove it from `expand`"
            message = f"`expand` names `{k.kind}`, which has no `name`"
            say("S309", message, "expand", help)


def _lengths_possible(block: Block, where: dict[str, Part], say: Say) -> None:
    longest = _longest(block)
    if longest == 1 or all(FORMS[f].compares for f, _ in block.form):
        return
    leading = [name for name, kind in EDGES.items() if kind.leads]
    message = f"no path can have {longest} steps: "
    if longest > 2 and not any(EDGES[k.kind].leads for k in block.expand):
        names = " and ".join(f"`{name}`" for name in leading)
        help = f"add `{leading[0]}` to `expand`, or use at most 2 steps"
        word = "expand" if "expand" in where else "steps"
        say("S210", f"{message}only {names} lead from one object to another", word, help)
    elif not block.expand:
        say("S210", f"{message}`expand` is empty", "steps", "add: expand rel")
    elif all({"near", "far"} <= EDGES[k.kind].values for k in block.start):
        say("S210", f"{message}an event is not described by other edges", "steps", "write: steps 1")


def _count_shared(block: Block, where: dict[str, Part], say: Say) -> None:
    if "count" not in where:
        return
    lengths = [n for n, w in block.steps if w > 0]
    if block.count < len(lengths) and "steps" in where:
        message = f"`count {block.count}` is too small for {len(lengths)} numbers of steps"
        say("S206", message, "count", "raise `count`, or name fewer numbers of steps")
    if block.count < len([f for f, w in block.form if w > 0]):
        message = f"`count {block.count}` is too small for {len(block.form)} forms"
        say("S206", message, "count", "raise `count`, or name fewer forms")


def _forms_worded(spec: Spec, block: Block, say: Say) -> None:
    for name, share in block.form:
        form = FORMS[name]
        if form.compares and not spec.pair.line(name):
            say("S317", f"`form {name}` has no line in `pair`", "form", f'pair {{ {name} "…" }}')
        elif share > 0 and not any(
            spec.worded(name, k.kind, way) for k in block.start for way in k.ways
        ):
            turned = [
                (k.kind, way)
                for k in block.start
                for way in EDGES[k.kind].directions
                if spec.worded(name, k.kind, way)
            ]
            help = f'add a line `{form.spec_line()} "…"` to one of the kinds in `start`'
            if turned:  # the words are there, but `start` goes another way
                kind, way = turned[0]
                help = f"write `start {kind}` or `start {kind} {way}`"
            message = f"no kind in `start` has a wording for form `{name}`"
            say(
                "S317",
                message,
                "form",
                help,
                "start",
                "the kinds, and the directions they are taken in",
            )
        elif not form.ambiguous and not block.unique:
            say("S209", f"`form {name}` needs `unique`", "form", "replace `ambiguous` by `unique`")


def _deniable(spec: Spec, block: Block, values: Values) -> None:
    """Report a `deny` of a pattern that has no use for facts known to be false (S325)."""
    if block.pattern is None or not block.deny:
        return
    part = values.made.patterns[block.name]
    head, facts = tokens(part.tree, "NAME")[0], block.pattern.facts
    if not block.pattern.may_be_none and not any(f.negated for f in facts):
        message = f"`{block.name}` has no `exists`, `not` or `find … or`, so it needs no negative"
        part.source.say("S325", message, head, "remove `deny`")
        return
    for kind in dict.fromkeys(f.edge for f in facts):
        if not spec.worded("denies", kind, "=>"):
            message = f"`edge {kind}` has no `denies`, which words its denied facts"
            help = "add a line `denies` to the `find` block of its far end"
            part.source.say("S325", message, head, help)


def _pattern_worded(spec: Spec, block: Block, source: SpecSource, values: Values) -> None:
    """Report edge kinds of a pattern whose facts cannot be told one by one (S324)."""
    if block.pattern is None:
        return
    part = values.made.patterns[block.name]
    for kind in dict.fromkeys(f.edge for f in block.pattern.facts):
        if not spec.worded("claim", kind, "=>") or not spec.worded("because", kind, "=>"):
            message = f"`edge {kind}` has no `claim`, which the rationale of `{block.name}` needs"
            help = "add lines `claim` and `because` to the `find` block of its far end"
            part.source.say("S324", message, tokens(part.tree, "NAME")[0], help)
    for when, share in block.time:
        if share > 0 and not spec.time.line(when):
            message = f"the `time` block has no line for `{when}`"
            at = tokens(part.tree, "NAME")[0]
            part.source.say("S310", message, at, f'add: time {{ {when} "…" }}')


def _unused(spec: Spec, source: SpecSource, values: Values) -> None:
    """Report declarations of this file that nothing uses."""
    places = {k: p for k, p in values.made.places.items() if p.file == source.file}
    kinds = {k.kind for b in spec.blocks for k in (*b.start, *b.expand)}
    kinds |= {f.edge for b in spec.blocks if b.pattern for f in b.pattern.facts}
    for (data, key), place in places.items():
        message = ""
        if data == "edge" and (kind := key.split()[0]) in KINDS and kind not in kinds:
            message = f"`edge {kind}` is not used by `start` or `expand`"
        elif data in ("let", "phrase") and (data, key) not in values.used:
            message = f"`{data} {key}` is never used"
        elif data == "paths" and (data, key) not in values.used:
            if any(trees(p.tree, "params") for p in values.made.blocks.get(key, [])):
                message = f"`{key}` has parameters, but no block is made from it"
        elif data == "path" and key:
            hops = tuple(zip(key.split()[::2], key.split()[1::2], strict=True))
            if hops and not any(_draws(b, hops) for b in spec.blocks):
                message = "no block draws this path"
        if message:
            code = "S315" if data == "edge" else "S316"
            source.say(code, message, place, "use it or remove it")


def _draws(block: Block, hops: tuple[tuple[str, str], ...]) -> bool:
    """Whether a block can draw a path of these (kind, direction) hops. The last hop is the one asked."""
    if len(hops) not in {n for n, _ in block.steps}:
        return False
    starts = {(k.kind, w) for k in block.start for w in k.ways}
    expands = {(k.kind, w) for k in block.expand for w in k.ways}
    return hops[-1] in starts and all(h in expands for h in hops[:-1])
