"""Resolves and checks the `paths` blocks of a spec, including clauses inherited by `from`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lark import Token, Tree

from stepc.diagnostics import did_you_mean
from stepc.edges import EDGES
from stepc.lang.parse import SpecSource
from stepc.lang.schema import (
    BARE_FILTERS,
    EXPANDABLE,
    FILTERS,
    FORMS,
    KINDS,
    REVISITS,
    SOURCES,
    WHENS,
)
from stepc.lang.symbols import Node, Part, tokens, trees
from stepc.lang.types import Block, EdgeChoice, EdgeRule, Filter
from stepc.lang.values import Env, Values

LARGEST = 1_000_000
"""Upper limit of `count` (paths per video) and of `tries` (per path)."""


@dataclass(frozen=True)
class ResolvedBlock:
    """A sampling block, the place of each clause ("" is the head), and whether it is free of errors."""

    block: Block
    where: dict[str, Part]
    sound: bool


class Blocks:
    """Builds sampling blocks from declarations."""

    def __init__(self, values: Values) -> None:
        self.values, self.made = values, values.made

    def block(self, key: str, edges: tuple[EdgeRule, ...]) -> ResolvedBlock:
        """Resolve one `paths` block. Clauses that are not given get their defaults."""
        clauses: dict[str, tuple[Part, dict[str, Part]]] = {}
        parts = self.made.blocks[key]
        found = parts[0].source.found
        before = len(found)
        for part in parts:
            self.clauses(part, {}, clauses, (key,))
        fields: dict[str, Any] = {"name": key}
        filters: list[Filter] = []
        times: list[tuple[str, float]] = []
        for word, (part, env) in clauses.items():
            self.clause(word, part, env, fields, filters, times)
        if sum(share for _, share in times) > 1.0005 and max(x for _, x in times) <= 1:
            part = next(p for w, (p, _) in clauses.items() if w in WHENS)
            total = sum(share for _, share in times)
            message = f"the shares of time ranges add up to {total:.2f}, more than 1"
            part.source.say("S207", message, part.tree, "such as: during 1/2, after 1/4")
        worded = {e.kind for e in edges}
        ways = {k: EDGES[k].directions for k in KINDS}
        if "start" not in fields:
            fields["start"] = tuple(EdgeChoice(kind=k, ways=ways[k]) for k in KINDS if k in worded)
        if "expand" not in fields:
            named = [k for k in EXPANDABLE if has_name(edges, k, ways[k])]
            fields["expand"] = tuple(
                EdgeChoice.model_validate({"kind": k, "ways": ways[k]}) for k in named
            )
        fields["filters"] = tuple(filters)
        fields["time"] = tuple(times)
        block = Block.model_construct(**{**Block().__dict__, **fields})
        where = {"": parts[0], **{w: p for w, (p, _) in clauses.items()}}
        return ResolvedBlock(block, where, len(found) == before)

    def clauses(
        self,
        part: Part,
        env: Env,
        made: dict[str, tuple[Part, dict[str, Part]]],
        within: tuple[str, ...],
    ) -> None:
        """Collect the clauses of a block into `made`, after those of the blocks it is made from."""
        source = part.source
        for base in trees(part.tree, "from"):
            token = tokens(base)[0]
            name = str(token)
            if name not in self.made.blocks:
                known = list(self.made.blocks)
                help = did_you_mean(name, known)
                source.say("S404", f"unknown block `{name}`", token, help)
                continue
            if name in within:
                source.say("S407", f"`{name}` is made from itself", token, "name another block")
                continue
            self.values.used.add(("paths", name))
            bases = self.made.blocks[name]
            params = [t for p in bases for tree in trees(p.tree, "params") for t in tokens(tree)]
            atoms = [a for tree in trees(base, "args") for a in trees(tree, "atom")]
            if len(atoms) != len(params):
                given = len(atoms) or "no"
                message = f"`{name}` gets {given} value{'' if given == 1 else 's'}"
                wanted = f"it takes {', '.join(params) or 'none'}"
                source.say("S406", message, token, wanted)
                continue
            inner = {str(p): self.bound(a, env, source) for p, a in zip(params, atoms, strict=True)}
            for each in bases:
                self.clauses(each, inner, made, (*within, name))
        seen: set[str] = set()
        for body in trees(part.tree, "body"):
            for clause in body.children:
                assert isinstance(clause, Tree)
                word = str(clause.data).replace("_", "-")
                if word in ("only", "forbid", "require", "when"):
                    word = (f"{word} " if word != "when" else "") + str(tokens(clause)[0])
                slot = "unique" if word == "ambiguous" else word
                if slot in WHENS and not seen & set(WHENS):
                    for when in WHENS:  # own time clauses replace all inherited ones
                        made.pop(when, None)
                if slot in seen:
                    notes = (
                        [source.note(made[slot][0].tree, "the first one")] if slot in made else []
                    )
                    source.say(
                        "S305", f"duplicate `{slot}`", clause, "keep one of them", notes=notes
                    )
                seen.add(slot)
                made.pop(slot, None)
                made[slot] = (Part(source, clause), env)

    def bound(self, atom: Node, env: Env, source: SpecSource) -> Part:
        """The value of an argument. A parameter of the enclosing block is replaced by its value."""
        token = atom.children[0]
        if isinstance(token, Token) and token.type == "NAME" and str(token) in env:
            return env[str(token)]
        return Part(source, Tree("let", [atom], atom.meta))

    def clause(  # long: one case per clause of the language
        self,
        word: str,
        part: Part,
        env: Env,
        fields: dict[str, Any],
        filters: list[Filter],
        times: list[tuple[str, float]],
    ) -> None:
        """Evaluate one clause into `fields`, `filters` or `times`."""
        source, tree = part.source, part.tree
        match word.split()[0]:
            case "count" | "tries" | "seed" | "deny":
                number = self.values.num(trees(tree, "num")[0], env, source)
                if number is not None and not 1 <= number <= LARGEST and word != "seed":
                    help = "use at least 1"
                    help = help if number < 1 else "use a smaller number"
                    source.say("S203", f"`{word}` must be between 1 and {LARGEST:,}", tree, help)
                elif number is not None:
                    fields[word] = number
            case "steps":
                fields["steps"] = self.values.steps(tree, env, source)
            case "start" | "expand":
                fields[word] = self.kinds(word, tree, env, source)
            case "form":
                fields["form"] = self.values.shares(tree, env, source, FORMS, "S109", "form")
            case "options":
                number = self.values.num(trees(tree, "num")[0], env, source)
                if number is not None and not 2 <= number <= 26:
                    message = "a multiple choice needs 2 to 26 options"
                    source.say("S208", message, tree, "such as: options 4")
                elif number is not None:
                    fields["options"] = number
                sources = tokens(tree)
                for token in sources:
                    if str(token) not in SOURCES:
                        help = did_you_mean(str(token), SOURCES)
                        message = f"unknown source of options `{token}`"
                        source.say("S112", message, token, help)
                if sources:
                    fields["sources"] = tuple(dict.fromkeys(map(str, sources)))
            case "during" | "before" | "after" | "span" | "scene" | "showing" | "moment":
                times.append((word, self.values.ratio(trees(tree, "ratio")[0], env, source)))
            case "require":
                token = tokens(tree)[0]
                if str(token) != "confidence":
                    message = f"`require` does not take `{token}`"
                    source.say("S105", message, token, "write: require confidence >= 2/3")
                fields["confidence"] = self.values.ratio(trees(tree, "ratio")[0], env, source)
            case "only" | "forbid":
                filters += self.filter(word.split()[0], tree, env, source)
            case "no-revisit":
                made = []
                for token in tokens(tree):
                    if str(token) not in REVISITS:
                        help = did_you_mean(str(token), REVISITS)
                        source.say("S112", f"`no-revisit` does not take `{token}`", token, help)
                    else:
                        made.append(str(token))
                fields["no_revisit"] = tuple(made)
            case "margin":
                fields |= self.values.margin(tree, env, source)
            case "evidence":
                more = self.values.evidence(tree, env, source)
                fields["evidence"] = (*fields.get("evidence", ()), *more)
            case "enumerate":
                fields["enumerate"] = True
            case _:
                fields["unique"] = tree.data == "unique"

    def kinds(self, word: str, tree: Node, env: Env, source: SpecSource) -> tuple[EdgeChoice, ...]:
        """The edge kinds of `start` or `expand`, with the directions in which each may be taken."""
        made: dict[str, tuple[str, ...]] = {}
        weights: dict[str, float] = {}
        for each in trees(tree, "kind"):
            first, *more = tokens(each)
            given = trees(each, "ratio")
            if given and word == "expand":
                source.say("S204", "`expand` takes no weights", given[0], "remove it")
            for token, its_way, at in self.values.names([first], env, source, KINDS):
                way = next((str(t) for t in more), its_way)
                kind = str(token)
                if kind not in KINDS:
                    help = did_you_mean(kind, [*KINDS, *env, *self.made.lets])
                    source.say("S101", f"unknown edge kind `{kind}`", at, help)
                elif word == "expand" and kind not in EXPANDABLE:
                    message = "an event cannot describe an object: many are visible during it"
                    if not EDGES[kind].names_found:
                        message = f"`{kind}` cannot describe an object: its label says which it is"
                    help = f"remove `{kind}` from `expand`"
                    source.say("S104", message, at, help)
                elif way is not None and way not in EDGES[kind].directions:
                    bad_way(source, token, more[0] if more else token)
                else:
                    ways = (way,) if way is not None else EDGES[kind].directions
                    made[kind] = tuple(dict.fromkeys([*made.get(kind, ()), *ways]))
                    weights[kind] = self.values.ratio(given[0], env, source) if given else 1.0
        if made and not any(weights.values()):
            source.say("S204", "all weights are 0", tree, "give one kind a weight")
        return tuple(
            EdgeChoice.model_validate({"kind": k, "ways": w, "weight": weights[k]})
            for k, w in made.items()
            if weights[k] > 0
        )

    def filter(self, word: str, tree: Node, env: Env, source: SpecSource) -> list[Filter]:
        """The filter of one `only` or `forbid` clause, as a list of none or one."""
        what = tokens(tree)[0]
        atoms = trees(tree, "atom")
        if str(what) not in FILTERS:
            help = did_you_mean(str(what), FILTERS)
            source.say("S105", f"unknown filter `{what}`", what, help)
            return []
        bare = str(what) in BARE_FILTERS
        if bool(atoms) == bare:
            message = f"`{what}` takes no arguments" if atoms else f"`{what}` needs arguments"
            help = f"write: {word} {what}" + ("" if atoms else f" {_example(str(what))}")
            source.say("S106", message, what, help)
            return []
        words: list[str] = []
        ranges: list[tuple[int, int]] = []
        for atom in self.values.literals(atoms, env, source):
            given = tokens(atom)
            types = [t.type for t in given]
            if str(what) == "clip" and set(types) == {"INT"}:
                ranges.append((int(given[0]), int(given[-1])))
            elif str(what) == "time" and types == ["SECONDS", "SECONDS"]:
                start, end = (round(float(t[:-1]) * 1000) for t in given)
                ranges.append((start, end))
                if start >= end:
                    source.say(
                        "S106", "a time range must start before its end", atom, "write: 2s..8.5s"
                    )
            elif str(what) not in ("clip", "time") and types == ["STRING"]:
                words.append(source.string(given[0]))
            else:
                help = f"write: {word} {what} {_example(str(what))}"
                source.say("S106", f"invalid argument of `{what}`", atom, help)
        data = {"keep": word == "only", "what": str(what), "words": tuple(words)}
        return [Filter.model_validate({**data, "ranges": tuple(ranges)})]


def bad_way(source: SpecSource, kind: Token, way: Token) -> None:
    ways = ", ".join(EDGES[str(kind)].directions)
    source.say("S110", f"`{kind}` does not allow the direction `{way}`", way, f"allowed: {ways}")


def has_name(edges: Iterable[EdgeRule], kind: str, ways: Iterable[Any]) -> bool:
    """Whether some block of an edge kind words a node that is found in one of these directions."""
    return any(e.line(way, "name") for e in edges if e.kind == kind for way in ways)


def _example(what: str) -> str:
    """Example arguments of a filter."""
    return {"clip": "0..2", "time": "2s..8.5s"}.get(what, '"…"')
