"""compose: a question, its answer and a step-by-step rationale from each path.   paths → qra"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from stepc.ir import types as t
from stepc.ir.words import mentions, unfinished
from stepc.lang.inflect import cap, listed, low, the
from stepc.lang.schema import FORMS
from stepc.lang.types import PathRule, Spec, Wording, draw_wording
from stepc.passmanager.base import Pass, Tools
from stepc.sampling.distractors import Distractors, apart
from stepc.sampling.query_builder import WHOLE, QueryBuilder, finds_value, knows_value, query_leaks

Texts = dict[tuple[str, str], str]
SAMPLE_FORM = {"ask": "open", "claim": "yes-no", "choice": "choice", "count": "count",
               "when": "time", "how-long": "time"}  # fmt: skip
"""The form of a sample by that of its path; picks are open, pairs compare."""


class Compose(Pass[t.Paths, t.Qras]):
    """Questions in the words of the spec (section 3.2).

    The question is the last step's, in which every known node is replaced by the `name` of the
    step that found it, or that of a whole path where the spec words it; the rationale has each
    step's own question, answer and sentence. A claim is false by what the graph says, and an
    option wrong by it. A question that says its answer or a sub-answer is dropped and counted.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["seed", "wording"])

    def run(self, unit: t.Paths, tools: Tools) -> t.Qras:
        """The unit with a sample for each path."""
        spec = tools.the_spec()
        writer = Writer(unit, spec)
        made: list[t.Sample] = []
        for index, path in enumerate(unit.paths):
            sample = writer.sample(path, tools.rng(unit, "compose", index), f"q{len(made)}")
            if isinstance(sample, str):
                tools.counts.add(f"dropped: {sample}")
                continue
            leak = query_leaks(sample)
            texts = (x for b in sample.rationale for x in (b.question, b.text))
            if unfinished(sample.question, sample.answer, *texts):
                leak = "a label or value with braces"
            if leak:
                tools.counts.add(f"dropped: {leak}")
                continue
            made.append(sample)
            tools.counts.add("samples")
        return t.raise_to(t.Qras, unit, samples=tuple(made))


class Writer:
    """Words for the paths of a unit."""

    def __init__(self, unit: t.Paths, spec: Spec) -> None:
        self.unit, self.spec = unit, spec
        self.said = QueryBuilder(unit)
        self.rivals = Distractors(unit, self.said)
        self.whole: dict[tuple[tuple[str, str], ...], PathRule] = {p.hops: p for p in spec.paths}
        self.lines: dict[tuple[str, str, str], tuple[Wording, ...]] = {}
        """Wordings by kind of edge, way and word of their line, of the forms too."""
        self.told: dict[tuple[object, ...], tuple[t.Step, t.Because]] = {}
        """Sentences of steps by themselves: many paths share a step, and it is said once."""

    def sample(self, path: t.Path, rng: random.Random, name: str) -> t.Sample | str:
        """The finished sample, or why there is none."""
        one = _One(self, path, rng)
        if path.form in t.PAIRS:
            return one.compare(name)
        return one.chain(name)


class _One:
    """Words for one path."""

    def __init__(self, writer: Writer, path: t.Path, rng: random.Random) -> None:
        self.writer, self.path, self.rng = writer, path, rng
        self.spec, self.said = writer.spec, writer.said
        self.crosses = any(s.edge == "ref" for s in path.steps)

    def chain(self, name: str) -> t.Sample | str:
        """The sample of a path whose steps follow from each other."""
        steps, form = self.path.steps, self.path.form
        named = [self.known(steps[0])]
        for step in steps[:-1]:
            named.append(self.fill(self.line(step, "name"), self.texts(step, named[-1])))
        last = steps[-1]
        answer = self.answer(last, form)
        others = [] if self.path.unique else [self.answer(x, "ask") for x in self.path.also]
        claim, room = "", 0
        options: tuple[str, ...] = ()
        texts = self.texts(last, named[-1])
        if form == "claim":
            claim = answer
            if self.rng.random() < 0.5:
                wrong = self.writer.rivals.false(last, others, self.rng)
                claim = wrong if wrong is not None else claim
            answer = "yes" if claim == answer else "no"
            texts[_hole(last), ""] = claim if finds_value(last) else the(claim)
        elif form in ("when", "how-long") and last.edge != "event":
            texts["far", ""] = last.word
        question = self.whole() or self.fill(self.line(last, form), texts)
        if self.path.time is not None and last.edge != "ref":
            question = self.timed(question, self.path.time, self.path.clip or "")
        question = _sentence(question)
        if form == "choice":
            block = self.spec.block(self.path.block)
            wrong_ones = self.writer.rivals.options(
                last, [answer, *others], question, block.options - 1, block.sources, self.rng
            )
            room = block.options - 1 - len(wrong_ones)
            if room and "corpus" not in block.sources:
                return "too few options"
            options = tuple(self.rng.sample([answer, *wrong_ones], len(wrong_ones) + 1))
        also = others if form == "ask" else []
        return t.Sample.model_construct(
            id=name,
            path=self.path.id,
            form=SAMPLE_FORM.get(form, "open"),  # type: ignore[arg-type]
            wording="template",
            checked=False,
            question=question,
            answer=answer,
            claim=claim,
            options=options,
            room=room,
            also=tuple(dict.fromkeys(x for x in also if x != answer)),
            query=self.path.query,
            rationale=tuple(self.because(i, steps, named) for i in range(len(steps))),
        )

    def because(self, i: int, steps: Sequence[t.Step], named: list[str]) -> t.Because:
        """One step's own question, answer and sentence."""
        step, last = steps[i], i == len(steps) - 1
        form: t.Form = self.path.form if last else "ask"
        form = "ask" if form in ("claim", "choice") else form
        answer = self.answer(step, form)
        known = self.known(step)
        time, clip = self.path.time, self.path.clip
        if self.crosses:
            time, clip = "during", t.clip_of(step.near if knows_value(step) else step.known)
        scope = self.said.scope(time, clip)
        own: tuple[t.Step, ...] = (step,)
        if mentions(known, answer) and i > 0:
            known, own = named[i], tuple(steps[: i + 1])
            scope = self.path.query[0]
        ask = draw_wording(self.line(step, form), self.rng)
        before = (
            draw_wording(self.spec.time.line(time), self.rng)
            if time and step.edge != "ref"
            else None
        )
        key: tuple[object, ...] | None = None
        if own == (step,) and not self.path.also and form == "ask":
            said = draw_wording(self.line(step, "because"), self.rng)
            unique = self.path.unique or not last
            key = (id(step), time, clip, id(ask), id(before), id(said), unique)
            if key in self.writer.told and not self.spec.phrased:
                return self.writer.told[key][1]
        texts = self.texts(step, known)
        if form in ("when", "how-long") and step.edge != "event":
            texts["far", ""] = step.word
        question = ask.fill(texts, self.rng)
        if before is not None:
            question = before.fill(self.times(question, time, clip or ""), self.rng)
        made = t.Because.model_construct(
            question=_sentence(question),
            answer=answer,
            text=self.true(step, said) if key else self.sentences(step, form),
            query=self.said.build(own, scope, form, self.path.unique or not last),
        )
        if key:
            self.writer.told[key] = step, made
        return made

    def sentences(self, step: t.Step, form: t.Form) -> str:
        """What a step says in the rationale."""
        if form in ("when", "how-long"):
            return self.fact(step, "because")
        if form != "count" and form not in t.PICKS:
            return self.true(step)
        steps = [step, *self.path.also]
        if form == "count":
            found = [self.found(x) for x in steps]
            texts = {("n", ""): str(len(found)), ("all", ""): listed(found)}
            texts |= self.texts(step, self.known(step))
            total = _sentence(self.fill(self.line(step, "total"), texts))
            return " ".join([*(self.true(x) for x in steps), total])
        if step.edge == "motion":
            steps.sort(key=lambda x: self.said.spans(x))
            return " ".join(self.fact(x, "because") for x in steps)
        return " ".join(self.true(x) for x in steps)

    def true(self, step: t.Step, wording: Wording | None = None) -> str:
        """The sentence of a step, which says both ends; in these words, or in drawn ones."""
        texts = self.texts(step, self.known(step))
        texts[_hole(step), ""] = self.found(step)
        wording = wording or draw_wording(self.line(step, "because"), self.rng)
        return _sentence(wording.fill(texts, self.rng))

    def fact(self, step: t.Step, word: str) -> str:
        """A line of `time` about a step: as a fact, or as a sentence with its times."""
        rule = self.spec.rule(step.edge)
        wordings = rule.time.line(word) if rule else ()
        if not wordings:
            return self.true(step)
        start, end = self.said.spans(step)[0]
        texts = self.texts(step, self.known(step))
        texts["near", ""] = texts.get(("near", ""), "")
        if step.edge == "motion":
            texts["near", ""] = _the(self.said.labels[step.near])
        texts["far", ""] = step.word
        texts["start", ""], texts["end", ""] = f"{start / 1000:.1f}", f"{end / 1000:.1f}"
        texts["length", ""] = f"{(end - start) / 1000:.1f}"
        text = self.fill(wordings, texts)
        return _sentence(text) if word == "because" else text

    def compare(self, name: str) -> t.Sample | str:
        """The sample of two edges side by side."""
        one, other = self.path.steps
        form = self.path.form
        if form == "same":
            says = ("yes", "no")
            kind = self.said.kinds[one.far]
            texts = {("a", ""): self.known(one), ("b", ""): self.known(other), ("kind", ""): kind}
            sub: t.Form = "ask"
        else:
            says = (self.fact(one, "fact"), self.fact(other, "fact"))
            if not apart(says[0], says[1:]):
                return "one of the two says the other"
            texts = {("a", ""): says[0], ("b", ""): says[1]}
            sub = "when"
        rationale = []
        for step in (one, other):
            known = self.texts(step, self.known(step))
            if sub == "when":
                known["far", ""] = step.word
            question = self.fill(self.spec.words(sub, step.edge, step.way), known)
            rationale.append(
                t.Because(
                    question=_sentence(question),
                    answer=self.answer(step, sub),
                    text=self.fact(step, "because") if sub == "when" else self.true(step),
                    query=self.said.build([step], WHOLE, sub),
                )
            )
        answer = self._compared(one, other, says)
        if answer is None:
            return "neither is more than the other"
        return t.Sample(
            id=name,
            path=self.path.id,
            form="compare",
            wording="template",
            checked=False,
            question=_sentence(self.fill(self.spec.pair.line(form), texts)),
            answer=answer,
            claim="",
            options=says,
            query=self.said.compare(form, one, other, WHOLE, says),
            rationale=tuple(rationale),
        )

    def _compared(self, one: t.Step, other: t.Step, says: tuple[str, str]) -> str | None:
        form = self.path.form
        if form == "same":
            alike = self.said.alike(one, other)
            return says[0] if alike else says[1]
        (a, b), (c, d) = self.said.spans(one)[0], self.said.spans(other)[0]
        more = {
            "which-first": c - a,
            "which-last": b - d,
            "which-longer": (b - a) - (d - c),
            "which-shorter": (d - c) - (b - a),
        }[form]
        return None if more == 0 else says[0] if more > 0 else says[1]

    # --- words ---------------------------------------------------------------------------

    def whole(self) -> str:
        """The question that the spec has for a path of just these hops, or nothing."""
        steps = self.path.steps
        rule = self.writer.whole.get(tuple((s.edge, s.way) for s in steps))
        if rule is None or self.path.form not in ("ask", "choice"):
            return ""
        texts: Texts = {("0", ""): self.known(steps[0])}
        if steps[0].edge == "attr":
            texts["0", "kind"] = self.said.kinds[steps[0].far]
        for i, step in enumerate(steps, 1):
            texts[str(i), "rel"] = step.word
            if step.edge == "attr":
                texts[str(i), "kind"] = self.said.kinds[step.far]
            elif step.edge == "ref":
                texts[str(i), "event"] = self.said.events.get(t.clip_of(step.found), "")
        return self.fill(rule.ask, texts)

    def timed(self, question: str, time: t.When, clip: str) -> str:
        """A question with its time range."""
        return self.fill(self.spec.time.line(time), self.times(question, time, clip))

    def times(self, question: str, time: t.When | None, clip: str) -> Texts:
        """What the holes of a line of `time` hold."""
        texts = {("question", ""): low(question)}
        if time == "span":
            start, end = self.said.ranges[clip]
            texts["start", ""], texts["end", ""] = f"{start / 1000:.1f}", f"{end / 1000:.1f}"
        else:
            texts["event", ""] = self.said.events.get(clip, "")
        return texts

    def line(self, step: t.Step, word: str) -> tuple[Wording, ...]:
        """The wordings of one line for what a step finds, or of a form."""
        key = (step.edge, step.way, word)
        if key not in self.writer.lines:
            rule = self.spec.rule(step.edge)
            if rule is None:
                raise ValueError(f"the spec has no wording for {step.edge}")
            find = rule.find(step.way)
            made = rule.words(word, step.way) if word in FORMS else ()
            self.writer.lines[key] = made or (find.line(word) if find else ())
        return self.writer.lines[key]

    def fill(self, wordings: Sequence[Wording], texts: Texts) -> str:
        """One of the wordings, filled."""
        return draw_wording(wordings, self.rng).fill(texts, self.rng)

    def texts(self, step: t.Step, known: str) -> Texts:
        """What the holes of a step's wordings hold; the known end in the words of `known`."""
        end = "far" if step.way == "<=" else "near"
        texts: Texts = {(end, ""): known}
        match step.edge:
            case "rel":
                texts["rel", ""] = step.word
                if step.way == "--":
                    texts["far", ""] = _the(self.said.labels[step.far])
            case "attr":
                texts["far", "kind"] = self.said.kinds[step.far]
            case "ref":
                for side, node in (("near", step.near), ("far", step.far)):
                    texts[side, "event"] = self.said.events.get(t.clip_of(node), "")
            case "event" if step.way == "--":
                texts["far", ""] = step.word
        return texts

    def known(self, step: t.Step) -> str:
        """A step's known end in its own words: "the cup", or a value as it is."""
        if step.edge == "next":
            return self.said.events[step.known]
        if knows_value(step) or (step.edge == "event" and step.way == "--"):
            return step.word
        return _the(self.said.labels[step.known])

    def found(self, step: t.Step) -> str:
        """What a step finds, as it stands in a sentence."""
        answer = self.answer(step, "ask")
        return answer if finds_value(step) else _the(answer)

    def answer(self, step: t.Step, form: t.Form) -> str:
        """What a step finds, as it is answered."""
        if form == "count":
            return str(len(self.path.also) + 1)
        return self.said.answer(step, form)


def _hole(step: t.Step) -> str:
    """The hole that stands for what a step finds."""
    if step.way == "--":
        return "rel"
    return "far" if step.way == "=>" else "near"


def _the(label: str) -> str:
    return the(label.strip())


def _sentence(text: str) -> str:
    return cap(" ".join(text.split()))
