"""Reads a spec: joins imports, resolves names, and checks everything against the IR schema."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from lark import Token

from stepc.diagnostics import Diagnostic, Place, StepcError, did_you_mean
from stepc.edges import EDGES
from stepc.forms import FORMS
from stepc.lang.blocks import Blocks, bad_way
from stepc.lang.check import check_whole
from stepc.lang.conditions import SORTS, WORDS, Condition, undecided
from stepc.lang.overclaims import SAYS, overclaims
from stepc.lang.parse import SpecSource
from stepc.lang.patterns import PatternBlocks
from stepc.lang.schema import ALL_LINES, FORMATS, KINDS, OBJECT_PARTS, SETS, end_parts
from stepc.lang.symbols import Declared, EdgeParts, Node, Part, collect, take_lines, tokens, trees
from stepc.lang.text_templates import Allowed, Wordings
from stepc.lang.types import DatasetBlock, EdgeRule, Find, Lines, PathRule, Spec
from stepc.lang.values import Values
from stepc.lang.vocabulary import vocabulary
from stepc.languages import DEFAULT, LANGUAGES

_TESTS = (
    'such as: o "cup", "mug"; o person; o plural; o dynamic; rel "on"; rel verb; v.kind "color"'
)


def read_spec(text: str, file: str = "<spec>", folder: Path | None = None) -> Spec:
    """Parse, resolve and check a spec. Raises StepcError with all errors found (codes S…).

    Files named by `import` are read from `folder`. Without a folder they are an error (S401).
    """
    return checked_spec(text, file, folder)[0]


def checked_spec(
    text: str, file: str = "<spec>", folder: Path | None = None
) -> tuple[Spec, list[Diagnostic]]:
    """Like `read_spec`, with the warnings (S323) if there are no errors."""
    source = SpecSource(file, text, folder)
    made = Declared()
    tree = collect(source, made, ())
    whole = not source.found
    reader = _Reader(source, made)
    spec = reader.spec(tree, whole)
    found = {(d.code, d.place): d for d in source.found}
    order = sorted(found.values(), key=lambda d: _order(d.place, file))
    if errors := [d for d in order if d.severity == "error"]:
        raise StepcError(*errors)
    return spec, order


FIXED = 20
"""Maximum number of times that a text is fixed: a fix may show further errors."""


def fixed_spec(text: str, file: str = "<spec>", folder: Path | None = None) -> tuple[str, int]:
    """The text after all fixes of its errors, and their number. Imported files stay as they are."""
    number = 0
    for _ in range(FIXED):
        try:
            found = checked_spec(text, file, folder)[1]
        except StepcError as error:
            found = [*error.diagnostics]
        fixes = {d.fix.place: d.fix for d in found if d.fix and d.fix.place.file == file}
        rows = text.split("\n")
        for place, fix in sorted(
            fixes.items(), key=lambda x: (x[0].line, x[0].column), reverse=True
        ):
            row, at = rows[place.line - 1], place.column - 1
            rows[place.line - 1] = row[:at] + fix.text + row[at + place.length :]
        made = "\n".join(rows)
        if made == text:
            break
        text, number = made, number + len(fixes)
    return text, number


def _order(place: Place | None, file: str) -> tuple[bool, str, int, int]:
    assert place is not None
    return place.file != file, place.file, place.line, place.column


class _Reader:
    """Builds a spec from declarations."""

    def __init__(self, source: SpecSource, made: Declared) -> None:
        self.source, self.made = source, made
        self.values = Values(made)
        self.language = LANGUAGES[self.use()]
        self.words = Wordings(self.values, self.language)
        self.blocks = Blocks(self.values)
        self.whole = True
        """Whether there are no errors so far."""

    def use(self) -> str:
        """The name of the spec's language. Error: S327 if it is unknown, or if its files have several."""
        named = DEFAULT
        for number, part in enumerate(self.made.use):
            token = tokens(part.tree)[0]
            if str(token) not in LANGUAGES:
                help = did_you_mean(str(token), LANGUAGES)
                part.source.say("S327", f"unknown language `{token}`", token, help)
            elif number and str(token) != named:
                first = self.made.use[0]
                message = f"a spec is in one language, but its files are in `{named}` and `{token}`"
                place = first.source.place(tokens(first.tree)[0])
                notes = [part.source.note(place, f"`{named}` is named here")]
                part.source.say(
                    "S327", message, token, "import a spec of the language", notes=notes
                )
            else:
                named = str(token)
        return named

    def spec(self, tree: Node, whole: bool) -> Spec:
        """Build the spec. Checks of the spec as a whole run only if `whole` (no errors so far)."""
        made = self.made
        name, title = tree.children[0], tree.children[1]
        assert isinstance(name, Token)
        self.whole = whole
        edges = tuple(self.edge(edge) for edge in made.edges.values())
        if not self.source.found:
            self.decided(edges)
        paths = tuple(self.path(hops, part) for hops, part in made.paths.items())
        time = self.words.lines(made.time, self.words.time_holes)
        pair = self.words.lines(made.pair, self.words.pair_holes)
        blocks = [
            self.blocks.block(key, edges)
            for key, parts in made.blocks.items()
            if not any(trees(p.tree, "params") for p in parts)
        ]
        made_of = PatternBlocks(self.values, self.words, self.condition)
        patterns = [made_of.block(key, part) for key, part in made.patterns.items()]
        spec = Spec.model_construct(
            name=str(name),
            title=self.source.string(title) if isinstance(title, Token) else "",
            use=self.language.name,
            blocks=(*(made.block for made in blocks), *(p for p in patterns if p is not None)),
            edges=edges,
            paths=tuple(p for p in paths if p is not None),
            time=time,
            vocabulary=vocabulary(made.vocabulary),
            pair=pair,
            dataset=self.dataset(),
            phrased=bool(made.phrases),
            digest=hashlib.sha256(
                b"\0".join(made.texts[n].encode() for n in sorted(made.texts))
            ).hexdigest(),
        )
        self.warn()
        if whole:
            check_whole(spec, blocks, name, self.source, self.values)
        return spec

    def warn(self) -> None:
        """Warn of wordings of this file that say what their question does not ask (S323)."""
        for told in self.made.allowed.values():
            for word in told.keys() - SAYS.keys():
                at, help = told[word], did_you_mean(word, SAYS)
                at.source.say("S404", f"unknown kind of words `{word}`", at.tree, help)
        for part, token, kind, word, line in overclaims(self.made, self.language):
            if part.source is not self.source:
                continue
            message = f"`{line}` says `{word.strip()}`, but its query does not {SAYS[kind]}"
            help = f"only placeholders are proved, not other words; to silence it: allow {kind}"
            part.source.say("S323", message, token, help, "warning")

    def edge(self, edge: EdgeParts) -> EdgeRule:
        """The rule of one `edge` block; reports missing lines."""
        kind = edge.kind
        conditions = tuple(c for c in self.conditions(edge) if c is not None)
        whole = self.made.edges.get(kind, edge)  # the block without conditions has what others lack
        complete = self.whole or edge is whole  # otherwise what is lacking may be where an error is
        finds: list[Find] = []
        time = Lines()
        for end, table in edge.lines.items():
            head = table[""]
            if end == "time":
                time = self.words.lines(table, partial(self.words.time_words, kind))
                for word in ("when", "because") if complete else ():
                    self.needs(head, {**whole.lines.get(end, {}), **table}, word, "time")
                continue
            made = self.words.lines(table, partial(self.words.find_words, kind, end))
            finds.append(Find.model_validate({"end": end, "lines": made.lines}))
            shown = f"find {tokens(head.tree)[0]}"
            there = {**whole.lines.get(end, {}), **table}
            self.timed_boxes(table, made)
            must = ("ask", "because") if EDGES[edge.kind].names_found else ("because",)
            for word in must if complete else ():
                self.needs(head, there, word, shown)
            for form in FORMS.values():
                for word in sorted(form.total_lines) if complete and form.name in table else ():
                    self.needs(head, there, word, shown)
                for word in form.answer_lines & table.keys():
                    if not self.words.says(kind, dict(made.lines)[word], end):
                        part = table[word]
                        message = (
                            f"`{word}` does not mention `{tokens(head.tree)[0]}`, which it claims"
                        )
                        help = "such as: Is {o} {v}?"
                        part.source.say("S319", message, tokens(part.tree)[0], help)
        return EdgeRule(kind=kind, conditions=conditions, finds=tuple(finds), time=time)

    def conditions(self, edge: EdgeParts) -> Iterator[Condition | None]:
        """The conditions of an `edge` block; None for each that has an error (S321)."""
        part = edge.head
        for tree in trees(part.tree, "conditions"):
            for each in trees(tree, "condition"):
                yield self.condition(edge.kind, part, each)

    def condition(self, kind: str, part: Part, tree: Node) -> Condition | None:
        """One condition, or None after an error (S321)."""
        source, head = part.source, tokens(tree)[0]
        fields = [tokens(p)[0] for p in trees(tree, "part")]
        subject = part.names.get(str(head), str(head) if str(head) in ("form", "block") else "")
        if not subject:
            known = [*part.names, "form", "block"]
            source.say(
                "S321", f"`{head}` is no part of this edge", head, did_you_mean(str(head), known)
            )
            return None
        if fields and (
            str(fields[0]) != "kind" or "kind" not in EDGES[kind].parts.get(subject, ())
        ):
            source.say("S321", f"`{head}` has no part `{fields[0]}` to test", fields[0], _TESTS)
            return None
        subject = "kind" if fields else subject
        found: dict[str, list[str]] = {}
        own = [tokens(test)[0] for test in trees(tree, "test")]
        for test in self.tests(tree, source):
            what = self.tested(kind, subject, test)
            if what is None:
                at = test if test in own else head  # the word of a constant may be in another file
                source.say("S321", f"`{test}` is no test of `{head}`", at, _TESTS)
                return None
            word = source.string(test) if test.type == "STRING" else str(test)
            found.setdefault(what, []).append(word)
        if len(found) > 1:
            message = "the words of a condition must all test the same"
            source.say("S321", message, head, "join two conditions by `and`")
            return None
        ((what, tests),) = found.items()
        fields_ = {"subject": subject, "what": what, "tests": tuple(tests)}
        return Condition.model_validate({**fields_, "language": self.language.name})

    def tests(self, tree: Node, source: SpecSource) -> Iterator[Token]:
        """The tests of a condition, with constants replaced by their values."""
        for test in (tokens(test)[0] for test in trees(tree, "test")):
            atoms = self.values.let(test, {}, source) if test.type == "NAME" else None
            yield from [test] if atoms is None else (tokens(atom)[0] for atom in atoms)

    def tested(self, kind: str, subject: str, test: Token) -> str | None:
        """What a word of a condition tests of its subject; None if it cannot."""
        word = str(test)
        if subject == "form":
            return "form" if word in FORMS else None
        if subject == "block":
            return "block" if word in self.made.blocks else None
        if test.type == "STRING":
            return "word"
        what = WORDS.get(word)
        if word == "place":  # a predicate that is no verb, or an object of that class
            what = "verb" if subject == "edge" else "noun"
        is_object = subject in ("near", "far") and subject not in EDGES[kind].values
        fits = ("noun", "op", "number", "name", "said") if is_object else SORTS
        return what if what in fits and subject != "kind" else None

    def decided(self, edges: tuple[EdgeRule, ...]) -> None:
        """Report two blocks of an edge kind that may both word the same (S322)."""
        for kind in KINDS:
            rules = [
                (e.conditions, e, parts.head)
                for e, parts in zip(edges, self.made.edges.values(), strict=True)
                if e.kind == kind
            ]
            lines = [
                (
                    c,
                    frozenset(
                        [f"{f.end} {word}" for f in e.finds for word, told in f.lines if told]
                        + [f"time {word}" for word, told in e.time.lines if told]
                    ),
                )
                for c, e, _ in rules
            ]
            if found := undecided(lines):
                one, other, line = found
                first, second = (next(h for c, _, h in rules if c == x) for x in (one, other))
                at = tokens(first.tree)
                message = f"two blocks may both word `{line.split()[1]}` of the same edge"
                help = "add a block for what fits both, with the conditions of both joined by `and`"
                other_place = second.source.place(tokens(second.tree)[0])
                notes = [first.source.note(other_place, "the other block")]
                first.source.say("S322", message, at[0], help, notes=notes)

    @staticmethod
    def timed_boxes(table: dict[str, Part], made: Lines) -> None:
        """Report a sentence that says a box and not at which time (S328)."""
        for wording in made.line("because"):
            said = {part for _, part in wording.parts_said()}
            if "box" in said and "time" not in said:
                part = table["because"]
                message = "`because` says a box, and not when the object is there"
                part.source.say("S328", message, tokens(part.tree)[0], "say {o.time}, too")
                return

    def needs(self, head: Part, table: dict[str, Part], word: str, shown: str) -> None:
        if word not in table:
            names = [t for t in tokens(head.tree) if t.type == "NAME"]
            at = head.source.place(names[0]) if names else head.source.place(head.tree, length=4)
            message = f"`{shown}` has no `{word}`"
            head.source.say("S314", message, at, f'add a line: {word} "…"')

    def path(self, hops: tuple[tuple[str, str], ...], part: Part) -> PathRule | None:
        """The rule of a whole path, or None if it has errors."""
        source = part.source
        head = [t for t in tokens(part.tree) if t.type == "NAME"]
        rows = [tuple(tokens(h)) for h in trees(part.tree, "hop")]
        names = [str(head[0]), *(str(r[2]) for r in rows)]
        table: dict[str, Part] = {}
        take_lines(part, trees(part.tree, "lines")[0], table, ("ask",), "path", ALL_LINES)
        for kind, way, _ in rows:
            if str(kind) not in KINDS:
                help = did_you_mean(str(kind), KINDS)
                source.say("S101", f"unknown edge kind `{kind}`", kind, help)
                return None
            if str(way) not in EDGES[str(kind)].directions:
                bad_way(source, kind, way)
                return None
        if len(set(names)) < len(names):
            again = next(t for t in (r[2] for r in rows) if names.count(str(t)) > 1)
            source.say("S102", f"two nodes of the path are named `{again}`", again, "rename one")
            return None
        ends = [self.found_end(str(k), str(w)) for k, w, _ in rows]
        for (kind, _way, token), end in zip(rows[:-1], ends[:-1], strict=True):
            if end in EDGES[str(kind)].values or end == "edge":
                message = f"the path continues from `{token}`, which is a value"
                source.say("S320", message, token, "only objects lead to further edges")
                return None
        allowed: Allowed = {(names[0], ""): "0"}
        first = rows[0]
        known = "far" if str(first[1]) == "<=" else "near"
        if known in EDGES[str(first[0])].values:
            for p in EDGES[str(first[0])].parts.get(known, ()):
                allowed[names[0], p] = "0"
        else:
            allowed |= dict.fromkeys(((names[0], p) for p in OBJECT_PARTS), "0")
        for i, ((kind, way, token), end) in enumerate(zip(rows, ends, strict=True), 1):
            allowed[str(token), ""] = f"!S311 `ask` reveals `{token}`, an answer of the path"
            edge = EDGES[str(kind)]
            for p in end_parts(str(kind), end):
                allowed[str(token), p] = str(i)
            if edge.edge_placeholder and str(way) != "--":
                allowed[str(token), edge.edge_placeholder] = str(i)
        if "ask" not in table:
            source.say("S314", "`path` has no `ask`", head[0], 'add a line: ask "…"')
            return None
        ask = self.words.wordings(part, trees(table["ask"].tree, "wordings")[0], allowed)
        return PathRule.model_validate({"hops": hops, "ask": ask})

    @staticmethod
    def found_end(kind: str, way: str) -> str:
        """The part of an edge that a direction finds: `far`, `near` or `edge`."""
        return {"=>": "far", "<=": "near", "--": "edge"}[way]

    def dataset(self) -> DatasetBlock:
        fields: dict[str, Any] = {}
        for word, part in self.made.dataset.items():
            source, tree = part.source, part.tree
            if word == "steps":
                fields["steps"] = self.values.steps(tree, {}, source)
            elif word == "answers":
                fields["answers"] = self.values.ratio(trees(tree, "ratio")[0], {}, source)
            elif word == "most":
                fields["most"] = self.values.num(trees(tree, "num")[0], {}, source)
            elif word == "sets":
                fields["sets"] = self.values.shares(tree, {}, source, SETS, "S501", "set")
            else:
                for token in tokens(tree):
                    if str(token) not in FORMATS:
                        help = did_you_mean(str(token), FORMATS)
                        source.say("S502", f"unknown output format `{token}`", token, help)
                fields["formats"] = tuple(str(t) for t in tokens(tree))
        return DatasetBlock.model_construct(**{**DatasetBlock().__dict__, **fields})
