"""Reads a text: finds everything that it may mean, by the patterns of a spec and the words of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from stepc.edges import EDGES, Edge
from stepc.forms import FORMS
from stepc.ir import types as t
from stepc.ir.elements import Way
from stepc.lang.conditions import SORTS, Occasion
from stepc.lang.types import EdgeRule
from stepc.lang.types import Pattern as SpecPattern
from stepc.ops.make import cached
from stepc.proof import words
from stepc.reader.lexicon import GraphWords, WordTable, box_at, ends_word, number_at
from stepc.reader.meanings import MAKE, WHOLE, Meaning, NounPhrase, Total
from stepc.reader.patterns import Either, Hole, Nodes, PathPattern, Patterns, WordingPattern

Found = Mapping[str, Any]
"""What the holes of a pattern are bound to."""


class Parser:
    """Reads one text."""

    def __init__(self, text: str, patterns: Patterns, lexicon: GraphWords) -> None:
        self.text = " ".join(text.lower().split())
        self.patterns, self.lexicon, self.language = patterns, lexicon, lexicon.language
        self._objects: dict[int, list[tuple[int, NounPhrase]]] = {}
        """Cache: place → the objects that are described from there."""

    # --- whole texts ---------------------------------------------------------------------

    def question(self) -> list[Meaning]:
        """All meanings of the text as a question."""
        found = [r for end, r in self._questions(0) if end == len(self.text)]
        every = (each for r in found for each in self._closed(r))
        return [*{(r.form, r.scope, r.ops, r.claim): r for r in every}.values()]

    def _closed(self, reading: Meaning) -> Iterator[Meaning]:
        """A reading whose reference leads to a clip that the text does not name: one for each event."""
        if not any(
            isinstance(op, t.Follow) and op.edge == "ref" and not op.word for op in reading.ops
        ):
            yield reading
            return
        for event in self.lexicon.told["event"]:
            yield reading.leading_to(event)

    def sentences(self, place: int = 0) -> list[tuple[Meaning | Total, ...]]:
        """All meanings of the text as sentences, each as a sequence."""
        made: list[tuple[Meaning | Total, ...]] = []
        words_ = (x for x in self.language.connectives if self.text.startswith(x, place))
        starts = [place, *(place + len(word) for word in words_)]
        for end, first in dict.fromkeys(x for start in starts for x in self._sentences(start)):
            if end == len(self.text):
                made.append((first,))
            elif self.text.startswith(self.language.space, end):
                after = end + len(self.language.space)
                made += [(first, *rest) for rest in self.sentences(after)]
        return made

    # --- questions -----------------------------------------------------------------------

    def _questions(self, place: int) -> Iterator[tuple[int, Meaning]]:
        for when, nodes in self.patterns.times:
            for end, found in self._match(nodes, place, None):
                inner: Meaning = found["question"]
                scoped = self._scoped(when, found, inner)
                if scoped is not None:
                    yield end, scoped
        yield from self._untimed(place)

    def _untimed(self, place: int) -> Iterator[tuple[int, Meaning]]:
        for pattern in self.patterns.questions:
            for end, found in self._match(pattern.nodes, place, pattern.edge):
                for reading in self._asked(pattern, found):
                    yield end, reading
        for path in self.patterns.paths:
            for end, found in self._match(path.nodes, place, None):
                for reading in self._walked(path, found):
                    yield end, reading
        for asked in self.patterns.facts_asked:
            for end, found in self._match(asked.nodes, place, None):
                for reading in self._of_facts(asked.pattern, found):
                    yield end, reading
        yield from self._whether(place)
        for form, nodes in self.patterns.pairs:
            for end, found in self._match(nodes, place, None):
                for reading in self._compared(form, found):
                    yield end, reading

    def _whether(self, place: int) -> Iterator[tuple[int, Meaning]]:
        """A sentence with a question mark in place of its full stop, as a yes-no question."""
        before, after = self.language.whether
        end = self.text.find(after, place) if after else -1
        if end >= 0 and self.text.startswith(before, place):
            said_text = self.text[place + len(before) : end] + self.language.full_stop
            for said in Parser(said_text, self.patterns, self.lexicon).sentences():
                if len(said) == 1 and isinstance(said[0], Meaning) and not said[0].denies:
                    yield end + len(after), said[0]._replace(form="yes-no")

    def _scoped(self, when: str, found: Found, inner: Meaning) -> Meaning | None:
        """A question with its time range; None if it contradicts the question's own."""
        if when == "span":
            start, end = (round(float(found[x]) * 1000) for x in ("start", "end"))
            scope: t.Op = t.Between(start=start, end=end) if start < end else WHOLE
        elif when == "scene":
            number = self.language.ordinals.index(found["ordinal"]) + 1
            scope = cached(t.Scene, number=number)
        elif when == "moment":
            scope = cached(t.Moment, at=round(float(found["time"]) * 1000))
        elif when == "showing":
            if not found["object"].label:
                return None
            scope = cached(t.Showing, label=found["object"].label)
        elif when == "during":
            scope = cached(t.During, event=found["event"])
            if inner.scope is not None and not inner.event:
                return inner.leading_to(found["event"])
            if inner.scope is not None:
                same = words.phrase(inner.event) == words.phrase(found["event"])
                return inner if same else None
        else:
            scope = cached(t.Beyond, op=when, event=found["event"])
        return inner._replace(scope=scope) if inner.scope is None else None

    def _asked(self, pattern: WordingPattern, found: Found) -> Iterator[Meaning]:
        edge, form = pattern.edge, pattern.form
        assert form is not None
        for start, said in self._steps(edge, pattern.way, pattern.rule, found):
            ops = (*start.ops, *edge.means(pattern.way, said, MAKE))
            event = said.get("far.event" if pattern.way == "=>" else "near.event", start.event)
            side = {"=>": "far", "<=": "near", "--": "word"}[pattern.way]
            finds_value = pattern.way == "--" or side in edge.values
            claim = ""
            if form.answer_lines:
                held = found.get(side)
                claim = held.label if isinstance(held, NounPhrase) else held or ""
                if not claim:
                    continue
            ending = form.ending(finds_value, True, MAKE)
            yield Meaning(form.sample_form, (*ops, *ending), start.scope, event, claim)

    def _walked(self, path: PathPattern, found: Found) -> Iterator[Meaning]:
        """The meaning of a wording of a whole path."""
        hops = path.rule.hops
        before = [NounPhrase(())]
        for i, (kind, way) in enumerate(hops):
            edge, known = EDGES[kind], "far" if way == "<=" else "near"
            at: dict[str, Any] = {known: found.get("0")} if i == 0 else {}
            at |= {"word": found.get(f"{i + 1}.rel")} if f"{i + 1}.rel" in found else {}
            for n in (0, 1) if i == 0 else (i + 1,):
                at |= {"kind": found[f"{n}.kind"]} if f"{n}.kind" in found else {}
            if f"{i + 1}.event" in found:
                at["far.event" if way == "=>" else "near.event"] = found[f"{i + 1}.event"]
            after = []
            for start in before:
                at_start = at if i == 0 else {**at, known: start}
                for begun, said in self._steps(edge, way, EdgeRule(kind=edge.name), at_start):
                    last = i == len(hops) - 1
                    ops = (*begun.ops, *edge.means(way, said, MAKE))
                    side = "far" if way == "=>" else "near"
                    value = way == "--" or side in edge.values
                    ops += FORMS["ask"].ending(value, True, MAKE) if last else (MAKE.unique,)
                    event = said.get("far.event" if way == "=>" else "near.event", begun.event)
                    after.append(NounPhrase(ops, "", begun.scope, event))
            before = after
        for x in before:
            yield Meaning("open", x.ops, x.scope, x.event)

    def _of_facts(self, pattern: SpecPattern, found: Found) -> Iterator[Meaning]:
        """The meanings of a question about several facts: one for each kind that a value may have."""
        held = {x: y.label if isinstance(y, NounPhrase) else y for x, y in found.items()}
        if not all(held.values()):
            return  # an object that is described, where only a label may stand
        open_: list[tuple[str, list[str]]] = []
        for fact in pattern.facts:
            if not fact.link or fact.link in held or fact.link in dict(open_):
                continue
            if f"{fact.far}.kind" in held:
                held[fact.link] = held[f"{fact.far}.kind"]
            elif fact.edge == "attr":
                value = fact.value if fact.value is not None else held.get(fact.far, "")
                open_.append((fact.link, self.lexicon.kinds.get(words.phrase(value), [])))
            else:
                open_.append((fact.link, self.lexicon.told["rel"]))
        forms = {"find": "open", "count": "count", "exists": "yes-no", "compare": "compare"}
        form = forms[pattern.result]
        form = "compare" if pattern.offer else form
        claim = self.language.yes if pattern.result == "exists" else ""
        for choice in product(*(kinds for _, kinds in open_)):
            whole = {**held, **dict(zip(dict(open_), choice, strict=True))}
            if self._kinds_fit(pattern, whole):
                yield Meaning(form, pattern.program(whole, MAKE, self.language), claim=claim)

    def _kinds_fit(self, pattern: SpecPattern, held: Mapping[str, str]) -> bool:
        """Whether the conditions of a pattern that are about words hold, and each value has its kind."""
        for fact in pattern.facts:
            value = fact.value if fact.value is not None else held.get(fact.far)
            kind = fact.word if fact.word is not None else held.get(fact.link, "")
            if (
                fact.edge == "attr"
                and value is not None
                and kind not in self.lexicon.kinds.get(words.phrase(value), ())
            ):
                return False
            at = Occasion(
                None, None, held.get(fact.link, "") if fact.edge == "rel" else value or "", kind
            )
            known = value is not None or fact.edge == "rel"
            tests = (
                c
                for name, c in pattern.conditions
                if name in (fact.link, fact.far) and c.subject != "near"
                if c.what in ("word", *SORTS) and (known or c.subject == "kind")
            )
            if not all(c.holds(at) for c in tests):
                return False
        return True

    def _compared(self, form: Any, found: Found) -> Iterator[Meaning]:
        """The meaning of a comparison."""
        options: tuple[str, ...] = (self.language.yes, self.language.no)
        if form.time_compared:
            (one, a), (other, b) = found["a"], found["b"]
            if one.ops[-1].op != other.ops[-1].op:
                return  # nobody compares the times of a motion and an event
            options = options if form.yes_no else (a, b)
            parts = [(*x.ops, *form.ending(True, True, MAKE)) for x in (one, other)]
            yield self._pair(form, parts, options)
            return
        attr = EDGES["attr"]
        for kind in [found["kind"]] if "kind" in found else self.lexicon.every_kind:
            step = attr.means("=>", {"kind": kind}, MAKE)
            parts = [
                (*x.ops, *step, *form.ending(True, True, MAKE)) for x in (found["a"], found["b"])
            ]
            yield self._pair(form, parts, options)

    @staticmethod
    def _pair(form: Any, parts: list[t.Query], options: tuple[str, ...]) -> Meaning:
        compare = t.Compare(how=form.how, one=options[0], other=options[1])
        return Meaning("compare", (*parts[0], *parts[1], compare))

    # --- sentences -----------------------------------------------------------------------

    def _sentences(self, place: int) -> Iterator[tuple[int, Meaning | Total]]:
        for pattern in self.patterns.sentences:
            for end, found in self._match(pattern.nodes, place, pattern.edge):
                for reading in self._told(pattern, found):
                    placed = self._placed(pattern, found, reading)
                    if placed is not None:
                        yield end, placed._replace(denies=pattern.denies)
        for nodes in self.patterns.totals:
            for end, found in self._match(nodes, place, None):
                if "n" in found:
                    yield end, Total(int(float(found["n"])))

    def _told(self, pattern: WordingPattern, found: Found) -> Iterator[Meaning]:
        edge = pattern.edge
        for start, said in self._steps(edge, pattern.way, pattern.rule, found):
            ops = (*start.ops, *edge.means(pattern.way, said, MAKE))
            if pattern.way == "--":
                if not {"start", "end"} <= found.keys():
                    continue
                claim = self.language.span(found["start"], found["end"])
                yield Meaning("fact", (*ops, MAKE.get("span")), start.scope, "", claim)
                continue
            if edge.edge_placeholder:  # a relation: what is one to the other?
                if "word" in said and "far" in said and words.is_comparison(said["word"]):
                    ops = (*start.ops, *edge.means("=>", said, MAKE), MAKE.get("label"))
                    yield Meaning("fact", ops, start.scope, "", said["far"])
                elif "word" in said and "far" in said:
                    ops = (*start.ops, *edge.means("--", said, MAKE), MAKE.get("value"))
                    yield Meaning("fact", ops, start.scope, "", said["word"])
                continue
            held = found.get("far")
            claim = held.label if isinstance(held, NounPhrase) else held or ""
            if claim:
                get = MAKE.get("value" if "far" in edge.values else "label")
                yield Meaning("fact", (*ops, get), start.scope, said.get("far.event", ""), claim)
            if {"near", "far"} <= edge.values and {"near", "far"} <= said.keys():
                back = (
                    *edge.begins("<=", said, MAKE),
                    *edge.means("<=", said, MAKE),
                    MAKE.get("value"),
                )
                yield Meaning("fact", back, claim=said["near"])

    def _placed(self, pattern: WordingPattern, found: Found, reading: Meaning) -> Meaning | None:
        """A sentence at the time that it says, with its boxes; None if it does not tell whose they are."""
        if "time" not in found:
            return None if any(x.endswith(".box") for x in found) else reading
        scope = cached(t.Moment, at=round(float(found["time"]) * 1000))
        boxes = []
        for end in (x for x in ("near", "far") if f"{x}.box" in found):
            thing = found.get(end)
            if isinstance(thing, NounPhrase):
                ops = thing.ops
            elif not pattern.edge.names_found:
                ops = reading.ops[:-1]
            else:
                return None
            boxes.append(((scope, *ops, MAKE.get("box")), found[f"{end}.box"]))
        return reading._replace(scope=scope, boxes=tuple(boxes))

    # --- steps ---------------------------------------------------------------------------

    def _steps(
        self, edge: Edge, way: Way, rule: EdgeRule, found: Found
    ) -> Iterator[tuple[NounPhrase, dict[str, str]]]:
        """The known end of a step and its words, for each meaning of what was found."""
        known = "far" if way == "<=" else "near"
        said = {x: held for x, held in found.items() if isinstance(held, str)}
        for x in ("near", "far"):
            if isinstance(found.get(x), NounPhrase) and found[x].label:
                said[x] = found[x].label
        if way == "--" and edge.name == "rel" and "far" not in said:
            return
        for more in self._unsaid(edge, way, rule, said):
            begins = edge.begins(way, more, MAKE) if self._says(edge, way, more) else ()
            if begins:
                yield NounPhrase(begins), more
                continue
            start = found.get(known)
            if not isinstance(start, NounPhrase):
                continue
            event = more.get(f"{known}.event")
            if event is not None:
                if start.scope is not None:
                    continue
                start = start._replace(scope=cached(t.During, event=event))
            yield start, more

    @staticmethod
    def _says(edge: Edge, way: Way, said: Mapping[str, str]) -> bool:
        """Whether the text says the value or event at which a step begins."""
        known = "far" if way in ("<=", "--") else "near"
        return known in edge.values and known in said

    def _unsaid(
        self, edge: Edge, way: Way, rule: EdgeRule, said: dict[str, str]
    ) -> Iterator[dict[str, str]]:
        """The words of a step, with those that the text leaves open in each way that it may be meant."""
        if edge.name == "attr":
            kinds = self.lexicon.every_kind
            if "far" in said:
                kinds = self.lexicon.kinds.get(words.phrase(said["far"]), [])
            for kind in [said["kind"]] if "kind" in said else kinds:
                known = "kind" not in said or "far" not in said or kind in kinds
                if known and self._fits(rule, said.get("far"), kind):
                    yield {**said, "kind": kind}
            return
        if edge.name == "rel" and way != "--" and "word" not in said:
            for word in self.lexicon.told["rel"]:
                if self._fits(rule, word, ""):
                    yield {**said, "word": word}
            return
        open_ = said.get("word") or (said.get("far") if "far" in edge.values else None)
        if self._fits(rule, open_, ""):
            yield said

    @staticmethod
    def _fits(rule: EdgeRule, word: str | None, kind: str) -> bool:
        """Whether the conditions of a block that are about words hold. Those about objects are left out."""
        for c in rule.conditions:
            if c.subject in ("form", "block") or c.what in ("noun", "op", "number", "name", "said"):
                continue
            if c.subject == "kind":
                if not c.holds(Occasion(None, None, "", kind)):
                    return False
            elif (
                c.subject in ("far", "edge")
                and word is not None
                and not (c.subject == "far" and rule.kind == "rel")
                and not c.holds(Occasion(None, None, word, kind))
            ):
                return False
        return True

    # --- objects -------------------------------------------------------------------------

    def objects(self, place: int) -> list[tuple[int, NounPhrase]]:
        """All objects that a description from a place of the text may name, as (end, description)."""
        if place not in self._objects:
            made = self._objects[place] = []
            for end, label in self.lexicon.objects.at(self.text, place):
                made.append((end, NounPhrase((MAKE.node(label), MAKE.unique), label)))
            while True:  # a description may begin with another
                more = [x for x in self._descriptions(place) if x not in made]
                made += dict.fromkeys(more)
                if not more:
                    break
        return self._objects[place]

    def _descriptions(self, place: int) -> Iterator[tuple[int, NounPhrase]]:
        for pattern in self.patterns.names:
            for end, found in self._match(pattern.nodes, place, pattern.edge):
                if not ends_word(self.text, end):
                    continue
                for start, said in self._steps(pattern.edge, pattern.way, pattern.rule, found):
                    step = pattern.edge.means(pattern.way, said, MAKE)
                    side = "far" if pattern.way == "=>" else "near"
                    event = said.get(f"{side}.event", start.event)
                    ops = (*start.ops, *step, MAKE.unique)
                    yield end, NounPhrase(ops, "", start.scope, event)

    # --- matching ------------------------------------------------------------------------

    def _match(
        self, nodes: Nodes, place: int, edge: Edge | None, found: Found | None = None
    ) -> Iterator[tuple[int, Found]]:
        """(end, what the holes are bound to) of each match of a pattern from a place of the text."""
        found = found or {}
        if not nodes:
            yield place, found
            return
        node, rest = nodes[0], nodes[1:]
        if isinstance(node, str):
            if self.text.startswith(node, place):
                yield from self._match(rest, place + len(node), edge, found)
            return
        if isinstance(node, Either):
            for option in node.options:
                yield from self._match((*option, *rest), place, edge, found)
            return
        for end, held in self._held(node, place):
            if node.name in found:
                if found[node.name] == held:
                    yield from self._match(rest, end, edge, found)
            else:
                more = {**found, node.name: held} if node.name else found
                yield from self._match(rest, end, edge, more)

    def _held(self, hole: Hole, place: int) -> Iterable[tuple[int, Any]]:
        """(end, what it is bound to) of all texts from a place that fit a hole."""
        match hole.sort:
            case "object":
                kept = tuple(f for f in hole.filters if f not in ("cap", "low"))
                if not kept:
                    return self.objects(place)
                return self._labels(self.lexicon.named(kept), place)
            case "word":
                return self.lexicon.words(hole.words, hole.filters).at(self.text, place)
            case "one of":
                return self.lexicon.forms(hole.forms, hole.filters).at(self.text, place)
            case "number":
                return number_at(self.text, place)
            case "box":
                return box_at(self.text, place)
            case "question":
                return self._untimed(place)
            case "fact":
                return self._facts(place)
            case "all":
                return self._list(hole, place)
            case "either":
                return self._either(hole, place)

    def _labels(self, table: WordTable, place: int) -> Iterator[tuple[int, NounPhrase]]:
        for end, label in table.at(self.text, place):
            yield end, NounPhrase((MAKE.node(label), MAKE.unique), label)

    def _facts(self, place: int) -> Iterator[tuple[int, tuple[NounPhrase, str]]]:
        for pattern in self.patterns.facts:
            for end, found in self._match(pattern.nodes, place, pattern.edge):
                for start, said in self._steps(pattern.edge, "--", pattern.rule, found):
                    ops = (*start.ops, *pattern.edge.means("--", said, MAKE))
                    yield end, (NounPhrase(ops), self.text[place:end])

    def _either(self, hole: Hole, place: int) -> Iterator[tuple[int, str]]:
        """Two objects or values that a question offers."""
        table = self.lexicon.words(hole.words, ()) if hole.words else self.lexicon.objects
        for end, _ in table.at(self.text, place):
            if self.text.startswith(self.language.or_, end):
                for last, _ in table.at(self.text, end + len(self.language.or_)):
                    yield last, self.text[place:last]

    def _list(self, hole: Hole, place: int) -> Iterator[tuple[int, tuple[str, ...]]]:
        """A list of objects or values, as in "a, b and c"."""
        table = (
            self.lexicon.objects
            if "far" not in EDGES[hole.words].values
            else self.lexicon.words(hole.words, ())
        )
        for end, one in table.at(self.text, place):
            yield end, (one,)
            for link in self.language.links:
                if self.text.startswith(link, end):
                    for last, rest in self._list(hole, end + len(link)):
                        yield last, (one, *rest)
