"""Wordings of a spec: texts with placeholders, phrases put in, each placeholder checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from lark import Token

from stepc.diagnostics import Place, did_you_mean
from stepc.edges import EDGES
from stepc.forms import FORMS
from stepc.lang.inflect import FILTERS as WORD_FILTERS
from stepc.lang.parse import SpecSource
from stepc.lang.schema import ANSWER_LINES, TOTAL_LINES, placeholders
from stepc.lang.symbols import Node, Part, trees
from stepc.lang.types import Lines, Phrase, Placeholder, Wording
from stepc.lang.values import Values

LONGEST = 10_000
"""Characters of a wording with all its phrases."""
_HOLE = re.compile(r"\{([^{}]*)\}")
Allowed = dict[tuple[str, str], str]
"""(name, part) of a placeholder → the name its hole gets, or `!CODE message` of why it may not."""


class Wordings:
    """Makes wordings of strings."""

    def __init__(self, values: Values) -> None:
        self.values, self.made = values, values.made
        self.wide: dict[int, int] = {}
        """The most characters of each phrase, by its identity."""
        self.phrases: dict[tuple[str, int], tuple[Phrase, Allowed]] = {}
        """Phrases by name and by the placeholders of where they are used."""

    def lines(self, table: dict[str, Part], allowed: Any) -> Lines:
        """The lines of a table; `allowed(word, part)` gives their placeholders."""
        made = []
        for word, part in table.items():
            if word:
                made.append((word, self.wordings(part, trees(part.tree, "wordings")[0],
                                                 allowed(word, part))))  # fmt: skip
        return Lines(lines=tuple(made))

    def wordings(self, part: Part, tree: Node, allowed: Allowed) -> tuple[Wording, ...]:
        """The alternatives of a line, each with its weight."""
        made, weighed = [], set()
        for each in trees(tree, "wording"):
            token = next(c for c in each.children if isinstance(c, Token))
            weights = trees(each, "weight")
            weighed.add(bool(weights))
            weight = self.values.ratio(weights[0], {}, part.source) if weights else 1.0
            parts = self.text(part.source, token, allowed, ())
            made.append(Wording(parts=parts, weight=weight))
        if len(weighed) == 2:
            message = "either every wording has a weight or none"
            part.source.say("S204", message, tree, '"…": 2/3 | "…": 1/3')
        elif weighed == {True} and not sum(w.weight for w in made):
            part.source.say("S204", "no wording is ever drawn", tree, "give one a weight")
        return tuple(made)

    def text(
        self, source: SpecSource, token: Token, allowed: Allowed, within: tuple[str, ...]
    ) -> tuple[str | Placeholder | Phrase, ...]:
        """The parts of one string."""
        text = source.string(token)
        parts: list[str | Placeholder | Phrase] = []
        end = 0
        for m in _HOLE.finditer(text):
            parts.append(text[end : m.start()])
            end = m.end()
            at = source.place(token, max(0, token.find(m[0])), len(m[0]))
            made = self.hole(source, m[1], at, allowed, within)
            if made is not None:
                parts.append(made)
        parts.append(text[end:])
        rest = _HOLE.sub("", text)
        if "{" in rest or "}" in rest:
            source.say(
                "S303", "a brace without its partner", token, "placeholders are written {name}"
            )
        if not text.strip():
            source.say("S304", "an empty wording", token, "say something, or remove it")
        made_parts = tuple(p for p in parts if p != "")
        if self.length(made_parts) > LONGEST:
            message = f"with its phrases a text of more than {LONGEST} characters"
            source.say("S408", message, token, "use fewer phrases in phrases")
            return ()
        return made_parts

    def length(self, parts: tuple[str | Placeholder | Phrase, ...]) -> int:
        """The most characters that parts make, a hole counted as ten."""
        total = 0
        for part in parts:
            if isinstance(part, Phrase):
                total += self.wide.get(id(part), 0)
            else:
                total += len(part) if isinstance(part, str) else 10
        return total

    def hole(
        self, source: SpecSource, inside: str, at: Place, allowed: Allowed, within: tuple[str, ...]
    ) -> str | Placeholder | Phrase | None:
        """What a placeholder stands for."""
        head, *filters = [w.strip() for w in inside.split("|")]
        name, _, part = head.partition(".")
        for each in filters:
            if each not in WORD_FILTERS:
                help = did_you_mean(each, WORD_FILTERS)
                source.say("S111", f"there is no filter `{each}` for words", at, help)
                return None
        if (name, part) not in allowed and not part:
            if name in self.made.phrases:
                return self.phrase(source, name, at, filters, allowed, within)
            if name in self.made.lets:
                self.values.used.add(("let", name))
                atom = trees(self.made.lets[name].tree, "atom")[0]
                value = atom.children[0]
                assert isinstance(value, Token)
                text = (
                    self.made.lets[name].source.string(value)
                    if value.type == "STRING"
                    else str(value)
                )
                for each in filters:
                    text = WORD_FILTERS[each](text)
                return text
        names = sorted({n for n, _ in allowed})
        if name not in names:
            known = [*names, *self.made.phrases, *self.made.lets]
            source.say("S301", f"`{name}` means nothing here", at, did_you_mean(name, known))
            return None
        if (name, part) not in allowed:
            known = [f for n, f in allowed if n == name and f]
            help = did_you_mean(part, known) if known else f"write {{{name}}} alone"
            source.say("S302", f"`{name}` has no `{part}`", at, help)
            return None
        target = allowed[name, part]
        if target.startswith("!"):
            code, _, message = target[1:].partition(" ")
            source.say(code, message, at, "say it by the other end and the edge")
        return Placeholder(name=target, field=part, filters=tuple(filters))

    def phrase(
        self,
        source: SpecSource,
        name: str,
        at: Place,
        filters: list[str],
        allowed: Allowed,
        within: tuple[str, ...],
    ) -> Phrase | None:
        """A phrase where it is used; its own placeholders mean what they mean there."""
        self.values.used.add(("phrase", name))
        if name in within or len(within) > 20:
            message = f"`{name}` is used in itself"
            source.say("S407", message, at, "a phrase is made of other phrases")
            return None
        if filters:
            source.say("S111", "a phrase has no filters", at, "put them into the phrase")
        key = (name, id(allowed))
        if key not in self.phrases:
            part = self.made.phrases[name]
            tree = trees(part.tree, "wordings")[0]
            options = []
            for each in trees(tree, "wording"):
                token = next(c for c in each.children if isinstance(c, Token))
                weights = trees(each, "weight")
                weight = self.values.ratio(weights[0], {}, part.source) if weights else 1.0
                parts = self.text(part.source, token, allowed, (*within, name))
                options.append(Wording(parts=parts, weight=weight))
            made = Phrase.model_construct(options=tuple(options))
            self.wide[id(made)] = max((self.length(o.parts) for o in options), default=0)
            self.phrases[key] = (made, allowed)
        return self.phrases[key][0]

    def says(self, kind: str, wordings: Iterable[Wording], end: str) -> bool:
        """Whether every wording has a hole for what is found."""
        hole = EDGES[kind].edge_placeholder if end == "edge" else end

        def has(parts: Iterable[Any]) -> bool:
            return any(
                (isinstance(p, Placeholder) and p.name == hole and not p.field)
                or (isinstance(p, Phrase) and all(has(o.parts) for o in p.options))
                for p in parts
            )

        return all(has(w.parts) for w in wordings)

    def find_words(self, kind: str, end: str, word: str, part: Part) -> Allowed:
        """The placeholders of one line of a `find`."""
        allowed: Allowed = placeholders(kind, end, word, part.names)
        for name, side in part.names.items():
            if side != end or word in ANSWER_LINES:
                continue
            allowed[name, ""] = f"!S311 `{word}` says `{name}`, which is its answer"
            if word == "name":
                allowed[name, ""] = f"!S312 `name` says `{name}`, the node it describes"
            elif word in TOTAL_LINES:
                allowed[name, ""] = (
                    f"!S311 `{word}` says `{name}`, and there are several: use {{all}}"
                )
        return allowed

    def time_words(self, kind: str, word: str, part: Part) -> Allowed:
        """The placeholders of the lines of an edge's `time`."""
        allowed: Allowed = {(x, ""): x for x in ("start", "end", "length")}
        for name, side in part.names.items():
            if side in EDGES[kind].time_ends:
                allowed[name, ""] = side
        return allowed

    def time_holes(self, word: str, part: Part) -> Allowed:
        """The placeholders of the lines of `time`; each must say both of its."""
        needed = ("event", "question") if word != "span" else ("start", "end", "question")
        allowed: Allowed = {(x, ""): x for x in needed}
        for each in trees(trees(part.tree, "wordings")[0], "wording"):
            token = next(c for c in each.children if isinstance(c, Token))
            said = {m.split("|")[0].strip() for m in _HOLE.findall(str(token))}
            used = said & set(self.made.phrases)
            for missing in [n for n in needed if n not in said and not used]:
                help = {"span": "From {start} to {end}, {question}"}.get(
                    word, {"during": "While"}.get(word, word.capitalize()) + " {event}, {question}"
                )
                message = f"`{word}` does not say {{{missing}}}"
                part.source.say("S306", message, token, f"such as: {help}")
        return allowed

    def pair_holes(self, word: str, part: Part) -> Allowed:
        """The placeholders of the lines of `pair`."""
        return {(x, ""): x for x in FORMS[word].pair_placeholders}
