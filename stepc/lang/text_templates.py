"""Builds the wordings of a spec: inserts phrases and constants, and checks each placeholder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lark import Token

from stepc.diagnostics import Place, did_you_mean
from stepc.edges import EDGES
from stepc.forms import FORMS
from stepc.lang.parse import SpecSource
from stepc.lang.schema import ANSWER_LINES, TOTAL_LINES, placeholders
from stepc.lang.symbols import Node, Part, trees
from stepc.lang.types import Lines, Phrase, Placeholder, Wording
from stepc.lang.values import Values
from stepc.languages import Language

LONGEST = 10_000
"""Maximum number of characters of a wording with its phrases expanded."""
TIME_HOLES: Mapping[str, tuple[str, ...]] = {
    "during": ("event",), "before": ("event",), "after": ("event",),
    "span": ("start", "end"), "scene": ("ordinal",), "showing": ("object",),
    "moment": ("time",),
}  # fmt: skip
"""Line of the top-level `time` block → its placeholders, besides the question."""
EXAMPLES = {
    "during": "While {event}, {question}",
    "span": "From {start} to {end}, {question}",
    "scene": "In the {ordinal} scene, {question}",
    "showing": "In the scene with {object}, {question}",
    "moment": "At {time} seconds, {question}",
}
_HOLE = re.compile(r"\{([^{}]*)\}")
Allowed = dict[tuple[str, str], str]
"""(name, part) of a placeholder → its internal name, or `!CODE message` if it is not allowed."""


class Wordings:
    """Builds wordings from string literals."""

    def __init__(self, values: Values, language: Language) -> None:
        self.values, self.made = values, values.made
        self.filters = language.filters
        """The word filters of the spec's language."""
        self.wide: dict[int, int] = {}
        """`id` of a phrase → its maximum number of characters."""
        self.phrases: dict[tuple[str, int], tuple[Phrase, Allowed]] = {}
        """Cached phrases, by name and by `id` of the placeholders allowed where they are used."""

    def lines(self, table: dict[str, Part], allowed: Any) -> Lines:
        """The lines of a table; `allowed(word, part)` gives their placeholders."""
        made = []
        for word, part in table.items():
            if word:
                made.append((word, self.wordings(part, trees(part.tree, "wordings")[0],
                                                 allowed(word, part))))  # fmt: skip
        return Lines(lines=tuple(made))

    def wordings(self, part: Part, tree: Node, allowed: Allowed) -> tuple[Wording, ...]:
        """The alternative wordings of a line with their weights."""
        made, weighed = [], set()
        for each in trees(tree, "wording"):
            token = next(c for c in each.children if isinstance(c, Token))
            weights = trees(each, "weight")
            weighed.add(bool(weights))
            weight = self.values.ratio(weights[0], {}, part.source) if weights else 1.0
            parts = self.text(part.source, token, allowed, ())
            made.append(Wording(parts=parts, weight=weight))
        if len(weighed) == 2:
            message = "some wordings have a weight and some have none"
            part.source.say("S204", message, tree, '"…": 2/3 | "…": 1/3')
        elif weighed == {True} and not sum(w.weight for w in made):
            part.source.say("S204", "all weights are 0", tree, "give one wording a weight")
        return tuple(made)

    def text(
        self, source: SpecSource, token: Token, allowed: Allowed, within: tuple[str, ...]
    ) -> tuple[str | Placeholder | Phrase, ...]:
        """The parts of one string. Errors: S303, S304, S408, and those of its placeholders."""
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
            source.say("S303", "unmatched brace", token, "placeholders are written {name}")
        if not text.strip():
            source.say("S304", "empty wording", token, "write some text, or remove it")
        made_parts = tuple(p for p in parts if p != "")
        if self.length(made_parts) > LONGEST:
            message = f"the wording has more than {LONGEST:,} characters with its phrases expanded"
            source.say("S408", message, token, "use fewer phrases inside phrases")
            return ()
        return made_parts

    def length(self, parts: tuple[str | Placeholder | Phrase, ...]) -> int:
        """The maximum number of characters of `parts`. A placeholder counts as ten."""
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
        """Resolve a placeholder. Returns None after an error (S111, S301, S302)."""
        head, *filters = [w.strip() for w in inside.split("|")]
        name, _, part = head.partition(".")
        for each in filters:
            if each not in self.filters:
                help = did_you_mean(each, self.filters)
                source.say("S111", f"unknown word filter `{each}`", at, help)
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
                    text = self.filters[each](text)
                return text
        names = sorted({n for n, _ in allowed})
        if name not in names:
            known = [*names, *self.made.phrases, *self.made.lets]
            source.say("S301", f"unknown placeholder `{name}`", at, did_you_mean(name, known))
            return None
        if (name, part) not in allowed:
            known = [f for n, f in allowed if n == name and f]
            help = did_you_mean(part, known) if known else f"write {{{name}}} without a part"
            source.say("S302", f"`{name}` has no part `{part}`", at, help)
            return None
        target = allowed[name, part]
        if target.startswith("!"):
            code, _, message = target[1:].partition(" ")
            source.say(code, message, at, "use only the other end and the edge")
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
        """Expand a phrase. Its placeholders are those allowed where the phrase is used."""
        self.values.used.add(("phrase", name))
        if name in within or len(within) > 20:
            message = f"the phrase `{name}` contains itself"
            source.say("S407", message, at, "use only other phrases in it")
            return None
        if filters:
            source.say("S111", "a phrase takes no filters", at, "put them inside the phrase")
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
        """Whether every wording mentions what is found."""
        hole = EDGES[kind].edge_placeholder if end == "edge" else end

        def has(parts: Iterable[Any]) -> bool:
            return any(
                (isinstance(p, Placeholder) and p.name == hole and not p.field)
                or (isinstance(p, Phrase) and all(has(o.parts) for o in p.options))
                for p in parts
            )

        return all(has(w.parts) for w in wordings)

    def find_words(self, kind: str, end: str, word: str, part: Part) -> Allowed:
        """The placeholders of one line of a `find` block."""
        allowed: Allowed = placeholders(kind, end, word, part.names)
        for name, side in part.names.items():
            if side != end or word in ANSWER_LINES:
                continue
            allowed[name, ""] = f"!S311 `{word}` reveals its answer `{name}`"
            if word == "count":
                allowed[name, ""] = f"!S311 `count` names `{name}`, which is what it counts"
            if word == "name":
                allowed[name, ""] = f"!S312 `name` mentions `{name}`, the node it describes"
            elif word in TOTAL_LINES:
                allowed[name, ""] = (
                    f"!S311 `{word}` mentions `{name}`, but there are several: use {{all}}"
                )
        return allowed

    def time_words(self, kind: str, word: str, part: Part) -> Allowed:
        """The placeholders of the lines of an edge's `time` block."""
        allowed: Allowed = {(x, ""): x for x in ("start", "end", "length")}
        for name, side in part.names.items():
            if side in EDGES[kind].time_ends:
                allowed[name, ""] = side
        return allowed

    def time_holes(self, word: str, part: Part) -> Allowed:
        """The placeholders of the lines of the top-level `time` block. All are required (S306)."""
        needed = (*TIME_HOLES[word], "question")
        allowed: Allowed = {(x, ""): x for x in needed}
        for each in trees(trees(part.tree, "wordings")[0], "wording"):
            token = next(c for c in each.children if isinstance(c, Token))
            said = {m.split("|")[0].strip() for m in _HOLE.findall(str(token))}
            used = said & set(self.made.phrases)
            for missing in [n for n in needed if n not in said and not used]:
                help = EXAMPLES.get(word, f"{word.capitalize()} {{event}}, {{question}}")
                message = f"`{word}` lacks the placeholder {{{missing}}}"
                part.source.say("S306", message, token, f"such as: {help}")
        return allowed

    def pair_holes(self, word: str, part: Part) -> Allowed:
        """The placeholders of the lines of the `pair` block."""
        return {(x, ""): x for x in FORMS[word].pair_placeholders}
