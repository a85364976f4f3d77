"""Writes the sample of a pattern: a question about several facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, cast

from stepc.edges import EDGES
from stepc.ir import types as t
from stepc.ir.elements import NounClass
from stepc.ir.words import excludes, plain
from stepc.lang.types import Pattern, PatternFact, draw_wording
from stepc.languages.base import Noun, NoWording, Order
from stepc.writer.paths import PathWriter, Texts


class PatternWriter(PathWriter):
    """Writes the sample of a pattern: its question, and a yes-no question for each of its facts."""

    def sample(self, name: str) -> t.Sample | str:
        """The sample, or the reason why it is dropped."""
        pattern = self.spec.block(self.path.block).pattern
        if pattern is None:
            raise NoWording
        answer, form, claim = self.found(pattern)
        texts, options = Texts(), tuple[str, ...]()
        for writer, part in self.halves(pattern):
            texts |= writer.held(part)
        if pattern.result == "compare":
            options = self.language.yes, self.language.no
        if pattern.offer:
            options = self.options(pattern, answer)
            if not options:
                return "too few options"
            step = self.step_of_target(pattern)
            texts["either", ""] = self.language.either(
                [self.noun(step, option) for option in options]
            )
        question = self.fill(pattern.ask, texts)
        if self.path.time is not None:
            question = self.timed_question(question, self.path.time, self.path.clip or "")
        rationale = [x for writer, part in self.halves(pattern) for x in writer.rationale(part)]
        return t.Sample.model_construct(
            id=name,
            path=self.path.id,
            form=form,
            wording="template",
            checked=False,
            question=self.language.sentence(question),
            answer=answer,
            claim=claim,
            options=options,
            room=0,
            also=(),
            query=self.path.query,
            rationale=tuple(rationale),
        )

    def halves(self, pattern: Pattern) -> list[tuple[PatternWriter, Pattern]]:
        """A writer for each of two counts that are compared; else itself."""
        if pattern.result != "compare":
            return [(self, pattern)]
        scope, *ops = self.path.query
        end = next(i for i, op in enumerate(ops) if isinstance(op, t.Count)) + 1
        each = zip(
            pattern.parts, (self.path.steps, self.path.also), (ops[:end], ops[end:-1]), strict=True
        )
        made = []
        for part, steps, query in each:
            fields = {"steps": steps, "also": (), "query": (scope, *query)}
            path = self.path.model_copy(update=fields)
            made.append((PatternWriter(self.words, path, self.rng), part))
        return made

    def rationale(self, pattern: Pattern) -> list[t.Because]:
        """What shows the facts, and for a count the sentence with the number."""
        made = [self.shown(step, pattern) for step in dict.fromkeys(self.path.steps)]
        if pattern.total:
            number = str(len(self.targets(pattern)))
            whole = self.sentence(pattern.total, {("n", ""): number})
            told = self.language.joined([made[-1].text, whole])
            made[-1] = made[-1].model_copy(update={"text": told})
        return made

    def options(self, pattern: Pattern, answer: str) -> tuple[str, ...]:
        """The answer and something else of its category, in random order; none if there is nothing else."""
        last = self.step_of_target(pattern)
        said = " ".join(op.words for op in self.path.query)
        wrong = self.distractors.options(last, [answer], said, 1, ("clip", "graph"), self.rng)
        return tuple(self.rng.sample([answer, *wrong], 2)) if wrong else ()

    def step_of_target(self, pattern: Pattern) -> t.Step:
        """The first step of the target, taken in the direction that finds it."""
        step, far = next(self.steps_of_target(pattern))
        return self.changed(step, way="=>" if far else "<=")

    def steps_of_target(self, pattern: Pattern) -> Iterator[tuple[t.Step, bool]]:
        """The first step of the target in each place that fits, and whether the target is its far end."""
        clauses = self.clauses(pattern)
        first = next(
            i for i, x in enumerate(pattern.clauses) if pattern.target in (x[0].near, x[0].far)
        )
        for step in self.path.steps[first :: len(clauses)]:
            fact, _ = self.shown_by(step, clauses[first])
            yield step, fact.far == pattern.target

    def clauses(self, pattern: Pattern) -> list[list[tuple[PatternFact, t.Fact]]]:
        """The facts, each with its words; those that may hold in place of each other together."""
        words = iter(self.facts)
        return [[(fact, next(words)) for fact in clause] for clause in pattern.clauses]

    def shown_by(
        self, step: t.Step, clause: list[tuple[PatternFact, t.Fact]]
    ) -> tuple[PatternFact, t.Fact]:
        """The fact of a clause that a step shows; the first one if it refutes all."""
        return next((x for x in clause if self.says(step, x[1])), clause[0])

    def found(
        self, pattern: Pattern
    ) -> tuple[str, Literal["open", "count", "yes-no", "compare"], str]:
        """(answer, form, claim) of the sample."""
        yes, no = self.language.yes, self.language.no
        if pattern.result == "exists":
            return (yes if self.all_hold(pattern) else no), "yes-no", yes
        if pattern.result == "compare":
            m, n = (len(writer.targets(part)) for writer, part in self.halves(pattern))
            wins = {"more": m > n, "fewer": m < n, "equal": m == n}[pattern.more]
            return (yes if wins else no), "compare", ""
        if pattern.otherwise and not self.all_hold(pattern):
            return pattern.otherwise, "open", ""
        found = self.targets(pattern)
        if pattern.result == "count":
            return str(len(found)), "count", ""
        answer = found[pattern.place]
        return answer, "compare" if pattern.offer else "open", ""

    def targets(self, pattern: Pattern) -> list[str]:
        """What the target is in each place that fits: labels, or values."""
        steps = [*self.steps_of_target(pattern)]
        if not pattern.is_object(pattern.target):
            return [*{plain(x.word): x.word for x, _ in steps}.values()]
        objects = [x.far if far else x.near for x, far in steps]
        named = {self.graph.entity[o]: self.graph.labels[o] for o in reversed(objects)}
        return [*reversed(named.values())]

    @property
    def facts(self) -> list[t.Fact]:
        """The facts of the question, with their words."""
        return [op for op in self.path.query if isinstance(op, t.Fact)]

    def all_hold(self, pattern: Pattern) -> bool:
        """Whether the steps are the facts that are asked about, not those that refute them."""
        steps, clauses = self.path.steps, self.clauses(pattern)
        return len(steps) == len(clauses) and all(
            any(
                self.refutes(step, op) if op.op == "no" else not step.denied and self.says(step, op)
                for _, op in clause
            )
            for step, clause in zip(steps, clauses, strict=True)
        )

    def says(self, step: t.Step, op: t.Fact) -> bool:
        """Whether a step has the words of a fact, and its objects those that the question names."""
        word = op.word if step.edge == "rel" else op.value
        same = word is None or plain(step.word) == plain(word)
        if not same or step.edge != op.edge or (step.edge == "attr" and self.kind(step) != op.word):
            return False
        named = {x.variable: plain(x.label) for x in self.path.query if isinstance(x, t.The)}
        ends = ((op.near, step.near), *([(op.far, step.far)] if op.edge == "rel" else []))
        first = ((x, self.graph.node_of[self.graph.entity[o]]) for x, o in ends if x in named)
        return all(plain(self.graph.labels[o]) == named[x] for x, o in first)

    def refutes(self, step: t.Step, op: t.Fact) -> bool:
        """Whether a step denies a fact or excludes it, by its words."""
        if step.denied:
            return self.says(step, op)
        word = op.word if step.edge == "rel" else op.value
        kind = self.kind(step)
        alike = step.edge == op.edge and (step.edge != "attr" or kind == op.word)
        return alike and word is not None and excludes(step.word, word, kind)

    def kind(self, step: t.Step) -> str:
        """The kind of an attribute, "" for other edges."""
        return self.graph.kinds[step.far] if step.edge == "attr" else ""

    def against(self, step: t.Step, pattern: Pattern) -> t.Fact | None:
        """The fact that is asked about and that a step refutes, or None."""
        if pattern.may_be_none and not self.all_hold(pattern):
            asked = (op for op in self.facts if op.op != "no" and self.refutes(step, op))
            return next(asked, None)  # what holds refutes a fact with `not`
        clauses = self.clauses(pattern)
        _, op = clauses[self.path.steps.index(step) % len(clauses)][0]
        return op if op.op == "no" else None

    def shown(self, step: t.Step, pattern: Pattern) -> t.Because:
        """The rationale of one fact: is it so? Of one that is not, the fact that refutes it."""
        op = self.against(step, pattern)
        asked = step
        if op is not None:
            word = op.word if step.edge == "rel" else op.value or ""
            asked = self.changed(step, word=word)
        texts = self.texts(asked, self.known(asked))
        texts["far", ""] = self.noun(asked, self.graph.answer(asked))
        question = self.fill(self.line(asked, "claim"), texts)
        if self.path.time is not None:
            question = self.timed_question(question, self.path.time, self.path.clip or "")
        scope = self.path.query[0]
        text = self.told_of(step, pattern)
        return t.Because.model_construct(
            question=self.language.sentence(question),
            answer=self.language.yes if op is None else self.language.no,
            text=text,
            query=(scope, *self.graph.stated(asked)),
        )

    def told_of(self, step: t.Step, pattern: Pattern) -> str:
        """The sentence of a fact; where order matters, with the times of a motion or a word of order."""
        if step.denied:
            return self.true(step, draw_wording(self.line(step, "denies"), self.rng))
        moments = [clause[0].moment for clause in pattern.clauses]
        if self.timed(step) and (pattern.pick or any(moments)):
            return self.fact(step, "because")
        place, fact = divmod(self.path.steps.index(step), len(moments))
        word: Order | None = "later" if moments[fact] else None
        if pattern.pick in ("first", "second", "third") and not any(moments):
            word = "later" if place else "first"
        elif pattern.pick == "last" and not any(moments):
            final = len(self.path.steps) // len(moments) - 1
            word = "finally" if place == final else "earlier"
        return self.language.ordered(word, self.true(step)) if word else self.true(step)

    def held(self, pattern: Pattern) -> Texts:
        """The texts of the placeholders of the question, from the query and the objects of the steps."""
        texts: Texts = {}
        named: dict[str, str] = {}
        letters = {pattern.letter(x): x for x in pattern.ends}
        for op in self.path.query:
            if isinstance(op, t.The):
                texts[letters[op.variable], ""] = self.graph.the_label(op.label)
                named[letters[op.variable]] = op.label
        for fact, op in zip(pattern.facts, self.facts, strict=True):
            if fact.link:
                word = op.word.replace("_", " ") if fact.edge == "attr" else op.word
                texts[fact.link, ""] = self.language.framed(EDGES[fact.edge].frame, word)
            if fact.far and fact.edge == "attr":
                texts[fact.far, "kind"] = op.word.replace("_", " ")
            if fact.far and op.value is not None:
                texts[fact.far, ""] = self.language.framed(EDGES[fact.edge].frame, op.value)
        several = pattern.result == "count"
        for clause, step in zip(self.clauses(pattern), self.path.steps, strict=False):
            fact, _ = self.shown_by(step, clause)
            for end, object_ in ((fact.near, step.near), (fact.far, step.far)):
                for part, text in self.parts(object_).items():
                    texts.setdefault((end, part), text)
        for end, label in named.items():  # of a fact that another one replaces
            for part, text in self.language.parts_of(self.graph.noun(label)).items():
                texts.setdefault((end, part), text)
        for end in pattern.ends:
            if pattern.is_object(end) and (
                pattern.may_be_none or (several and end == pattern.target)
            ):
                texts |= {(end, part): x for part, x in self.anything(pattern, end).items()}
        return texts

    def anything(self, pattern: Pattern, end: str) -> Mapping[str, str]:
        """The parts of an object that may be any one of the classes that the head names."""
        tests = (c.tests for x, c in pattern.conditions if x == end and c.what == "noun")
        classes = [cast(NounClass, test) for each in tests for test in each]
        made = [self.language.parts_of(Noun("?", each)) for each in classes]
        return made[0] if made and all(x == made[0] for x in made) else self.language.anything
