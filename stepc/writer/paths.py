"""Writes the sample of a reasoning path."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stepc.edges import EDGES
from stepc.forms import FORMS, Form
from stepc.forms.comparisons import ComparisonForm
from stepc.ir import types as t
from stepc.ir.spans import seconds
from stepc.ir.words import inverse, mentions, plain
from stepc.lang.conditions import Said
from stepc.lang.types import PathRule, Spec, Wording, draw_wording
from stepc.languages.base import NoWording
from stepc.sampling.distractors import Distractors, apart
from stepc.sampling.query_builder import WHOLE, QueryBuilder
from stepc.writer.places import Places

Texts = dict[tuple[str, str], str]


class UnitWords:
    """State shared by all paths of a unit while they are written."""

    def __init__(self, unit: t.Paths, spec: Spec) -> None:
        self.spec, self.language = spec, spec.language
        self.graph = QueryBuilder(unit, self.language)
        self.places = Places(self.graph)
        self.distractors = Distractors(unit, self.graph)
        self.whole: dict[tuple[tuple[str, str], ...], PathRule] = {p.hops: p for p in spec.paths}
        self.one_script = all(map(self.language.fits_script, spec.literals()))
        """Whether the spec is written in the script of its language, so that words of another do not fit."""
        self.plain_words = {plain(e.predicate) for e in unit.relations}
        self.plain_words |= {plain(e.motion) for e in unit.motions}
        """Predicates and motions as they are compared."""
        self.foreign = self._foreign(unit) if self.one_script else frozenset[str]()
        """Words of another language than the spec's, if the graph has several: "neben", "ein Mann läuft"."""
        self.rules = {kind: spec.rules(kind) for kind in EDGES}
        """Edge kind → its blocks in the spec, narrower ones first."""
        self.lines: dict[tuple[object, ...], tuple[Wording, ...]] = {}
        """Cache: (edge kind, direction, line or form, numbers of the blocks that fit) → wordings."""
        self.fitting: dict[tuple[int, str, str, Said], tuple[int, ...]] = {}
        """Cache: (`id` of a step, form, `paths` block, how its known end is said) → the numbers of the blocks
        that fit."""
        self.made: list[t.Step] = []
        """Steps that are in no path, kept because the caches know steps by their `id`."""
        self.parts: dict[str, dict[str, str]] = {}
        """Cache: object → the texts of its parts."""
        self.told: dict[tuple[object, ...], tuple[t.Step, t.Because]] = {}
        """Cache of rationale steps: a step that several paths share is written once."""

    def _foreign(self, unit: t.Paths) -> frozenset[str]:
        told = {plain(e.predicate): e.predicate for e in unit.relations}
        told |= {plain(e.motion): e.motion for e in unit.motions}
        told |= {plain(e.event): e.event for e in unit.events}
        told |= {plain(a.kind): a.kind for a in unit.attributes}
        is_foreign = self.language.is_foreign
        found = {key for key, word in told.items() if is_foreign(word)}
        if len(found) < 2:
            return frozenset()  # slang, or a name
        labels = {plain(o.label): o.label for o in unit.objects}
        return frozenset(found | {key for key, label in labels.items() if is_foreign(label)})

    def in_another_language(self, path: t.Path, sample: t.Sample) -> bool:
        """Whether a sample has a word of another language than the spec's."""
        if not self.foreign:
            return False
        said = [op.words for b in sample.rationale for op in (*sample.query, *b.query)]
        said += [op.kind for op in sample.query if isinstance(op, t.Given)]
        said += [sample.answer, sample.claim, *sample.options, *sample.also]
        said += [b.answer for b in sample.rationale]
        if path.clip is not None and path.time is not None:
            said.append(self.graph.events.get(path.clip, ""))
        return not self.foreign.isdisjoint(map(plain, said))

    def told_otherwise(self, path: t.Path, sample: t.Sample) -> str:
        """The leak of a question that says its answer in another form: "walking" for "walks".

        Of an event, it is enough to say all but one of those who take part: "the person riding a bicycle".
        """
        steps = [step for step in path.steps if not self.graph.is_identity(step)]
        parts = [(x, b.question, b.answer) for x, b in zip(steps, sample.rationale, strict=False)]
        if sample.form != "compare":
            parts.append((steps[-1], sample.question, sample.answer))
        for step, question, answer in parts:
            if self.graph.finds_value(step):
                told = [answer, *(self._without(step, answer) if step.edge == "event" else ())]
                if any(self.language.retells(question, x) for x in told):
                    return "the question says an answer in another form"
        return ""

    def _without(self, step: t.Step, event: str) -> Iterator[str]:
        """An event without one of the objects that it names, for each of them."""
        clip = t.clip_of(step.near)
        for label in {x for o, x in self.graph.labels.items() if t.clip_of(o) == clip}:
            if mentions(event, label):
                yield re.sub(re.escape(label), " ", event, flags=re.IGNORECASE)


@dataclass
class Draft:
    """A sample that is being written. Forms change and complete it."""

    last: t.Step
    answer: str
    others: list[str]
    """Other correct answers of an ambiguous path."""
    texts: Texts
    """The texts of the placeholders of the question."""
    claim: str = ""
    question: str = ""
    options: tuple[str, ...] = ()
    room: int = 0
    closing: str = ""
    """A sentence that ends the rationale."""


class PathWriter:
    """Writes the sample of one path."""

    def __init__(self, words: UnitWords, path: t.Path, rng: random.Random) -> None:
        self.words, self.path, self.rng = words, path, rng
        self.spec, self.language = words.spec, words.language
        self.graph, self.distractors = words.graph, words.distractors
        self.form = FORMS[path.form]
        self.crosses = any(s.edge == "ref" for s in path.steps)

    def sample(self, name: str) -> t.Sample | str:
        """The sample, or the reason why it is dropped."""
        if isinstance(self.form, ComparisonForm):
            return self.compare(name, self.form)
        return self.chain(name)

    def chain(self, name: str) -> t.Sample | str:
        """The sample of a path whose steps are a chain."""
        steps, form = self.path.steps, self.form
        named = [self.known(steps[0])]
        for i, step in enumerate(steps[:-1]):
            named.append(
                self.fill(
                    self.line(step, "name", self.graph.said(steps, i)), self.texts(step, named[-1])
                )
            )
        last = steps[-1]
        draft = Draft(
            last,
            form.written_answer(last, self),
            [] if self.path.unique else [self.graph.answer(x) for x in self.path.also],
            self.texts(last, named[-1]) | self.told(form, last),
        )
        form.prepare(draft, self)
        question = self.whole() or self.fill(
            self.line(last, self.path.form, self.graph.said(steps, len(steps) - 1)), draft.texts
        )
        if self.path.time is not None and last.edge != "ref":
            question = self.timed_question(question, self.path.time, self.path.clip or "")
        draft.question = self.language.sentence(question)
        if dropped := form.complete(draft, self):
            return dropped
        also = draft.others if form.lists_others else []
        rationale = [*self.reasons(named)]
        if draft.closing:
            text = self.language.joined([rationale[-1].text, draft.closing])
            rationale[-1] = rationale[-1].model_copy(update={"text": text})
        return t.Sample.model_construct(
            id=name,
            path=self.path.id,
            form=form.sample_form,  # type: ignore[arg-type]
            wording="template",
            checked=False,
            question=draft.question,
            answer=draft.answer,
            claim=draft.claim,
            options=draft.options,
            room=draft.room,
            also=tuple(dict.fromkeys(x for x in also if x != draft.answer)),
            query=self.path.query,
            rationale=tuple(rationale),
        )

    def reasons(self, named: list[str]) -> Iterator[t.Because]:
        """The rationale: one entry per step that counts. What an identity says begins the next one's text."""
        same: list[str] = []
        for i, step in enumerate(self.path.steps):
            if self.graph.is_identity(step):
                same.append(self.true(step))
                continue
            made = self.because(i, self.path.steps, named)
            text = self.language.joined([*same, made.text])
            yield made.model_copy(update={"text": text}) if same else made
            same = []

    def because(self, i: int, steps: Sequence[t.Step], named: list[str]) -> t.Because:
        """The rationale of step `i`: its question, answer and sentence."""
        step, last = steps[i], i == len(steps) - 1
        form = self.form.step_form() if last else FORMS["ask"]
        answer = form.written_answer(step, self)
        known = self.known(step)
        time, clip = self.path.time, self.path.clip
        if self.crosses:
            knows_value = self.graph.knows_value(step)
            time, clip = "during", t.clip_of(step.near if knows_value else step.known)
        scope = self.graph.scope(time, clip) if self.crosses else self.path.query[0]
        own: tuple[t.Step, ...] = (step,)
        if mentions(known, answer) and i > 0:
            known, own = named[i], tuple(steps[: i + 1])
            scope = self.path.query[0]
        said = self.graph.said(own, len(own) - 1)
        ask = draw_wording(self.line(step, form.name, said), self.rng)
        before = None
        if time and step.edge != "ref":
            before = draw_wording(self.spec.time.line(time), self.rng)
        key: tuple[object, ...] | None = None
        if own == (step,) and not self.path.also and form.plain():
            text = draw_wording(self.line(step, "because"), self.rng)
            unique = self.path.unique or not last
            key = (id(step), time, scope, id(ask), id(before), id(text), unique)
            if key in self.words.told and not self.spec.phrased:
                return self.words.told[key][1]
        question = self.fill((ask,), self.texts(step, known) | self.told(form, step))
        if before is not None:
            question = self.fill((before,), self.times(question, time, clip or ""))
        made = t.Because.model_construct(
            question=self.language.sentence(question),
            answer=answer,
            text=self.true(step, text) if key else form.sentences(step, self),
            query=self.graph.build(own, scope, form, self.path.unique or not last),
        )
        if key:
            self.words.told[key] = step, made
        return made

    def compare(self, name: str, form: ComparisonForm) -> t.Sample | str:
        """The sample of a comparison of two steps."""
        one, other = self.path.steps
        options = form.options(one, other, self)
        if not apart(options[0], options[1:]):
            return "one of the two says the other"
        part = form.part_form()
        rationale = []
        for step in (one, other):
            texts = self.texts(step, self.known(step)) | self.told(part, step)
            question = self.fill(self.line(step, part.name), texts)
            rationale.append(
                t.Because(
                    question=self.language.sentence(question),
                    answer=part.answer(step, self.graph),
                    text=part.sentences(step, self),
                    query=self.graph.build([step], WHOLE, part),
                )
            )
        answer = form.winner(one, other, options, self.graph)
        if answer is None:
            return "neither is more than the other"
        texts = form.pair_texts(one, other, options, self)
        return t.Sample(
            id=name,
            path=self.path.id,
            form="compare",
            wording="template",
            checked=False,
            question=self.sentence(self.spec.pair.line(form.name), texts),
            answer=answer,
            claim="",
            options=options,
            query=self.graph.compare(form, one, other, WHOLE, options),
            rationale=tuple(rationale),
        )

    # --- for forms -----------------------------------------------------------------------

    def true(self, step: t.Step, wording: Wording | None = None) -> str:
        """The sentence of a step, which names both ends. Without `wording`, one is drawn."""
        texts = self.texts(step, self.known(step))
        texts[self.found_placeholder(step), ""] = self.noun(step, self.graph.answer(step))
        chosen = wording or draw_wording(self.line(step, "because"), self.rng)
        return self.sentence(
            (chosen,), texts | self.words.places.texts(step, chosen, self.path.query[0])
        )

    def denial(self, step: t.Step, claim: str) -> str:
        """The sentence that a step does not find a claim; "" if the graph does not deny it."""
        wordings = self.line(self.changed(step, way="=>"), "denies")
        if not wordings or not self.distractors.refutation.denied(step, claim):
            return ""
        texts = self.texts(step, self.known(step))
        texts[self.found_placeholder(step), ""] = self.noun(step, claim)
        return self.sentence(wordings, texts)

    def as_asked(self, other: t.Step, step: t.Step) -> t.Step:
        """Another result of a step, taken in its direction: a relation that is stated the other way round."""
        if other.way == step.way or other.edge != "rel":
            return other
        word = inverse(other.word) or other.word
        return self.changed(other, near=other.far, far=other.near, word=word, way=step.way)

    def changed(self, step: t.Step, **fields: str) -> t.Step:
        """A copy of a step with other fields."""
        self.words.made.append(step.model_copy(update=fields))
        return self.words.made[-1]

    def total(self, step: t.Step, steps: Sequence[t.Step]) -> str:
        """The sentence with the number and the list of all answers."""
        found = [self.noun(x, self.graph.answer(x)) for x in steps]
        texts = {("n", ""): str(len(found)), ("all", ""): self.language.listed(found)}
        texts |= self.texts(step, self.known(step))
        return self.sentence(self.line(step, "total"), texts)

    def timed(self, step: t.Step) -> bool:
        """Whether the edge of a step has a time of its own."""
        return EDGES[step.edge].timed

    def fact(self, step: t.Step, word: str, span: int = 0) -> str:
        """The text of a line in the `time` block of an edge: a clause, or a sentence for `because`.

        `span` is the number of the time range that it states, if there are several.
        """
        told = (self.words.rules[step.edge][i].time.line(word) for i in self.fits(step))
        wordings = next(filter(None, told), ())
        if not wordings:
            return self.true(step)
        if FORMS["how-long"].not_asked(step, self.graph):
            wordings = tuple(w for w in wordings if not w.says("length"))
            if not wordings:
                raise NoWording("its wording says a duration that is not known to a tenth")
        start, end = self.graph.spans(step)[span]
        texts = self.texts(step, self.known(step))
        texts["near", ""] = texts.get(("near", ""), "")
        if "near" in EDGES[step.edge].time_ends:
            texts["near", ""] = self.graph.the(step.near)
        texts["far", ""] = self.framed(step, step.word)
        texts["start", ""], texts["end", ""], texts["length", ""] = seconds(start, end)
        text = self.fill(wordings, texts)
        return self.language.sentence(text) if word == "because" else text

    def known(self, step: t.Step) -> str:
        """The known end of a step in words: "the cup", or a value unchanged."""
        text = EDGES[step.edge].known(step, self.graph)
        return self.framed(step, text) if self.graph.knows_value(step) else text

    def framed(self, step: t.Step, word: str) -> str:
        """The word of a step as it stands in a sentence.

        Raises NoWording if another word of the graph would be said in the same way: to the proof, "walks" and
        "walking" are two.
        """
        made = self.language.framed(EDGES[step.edge].frame, word)
        if plain(made) != plain(word) and plain(made) in self.words.plain_words:
            raise NoWording
        return made

    def noun(self, step: t.Step, found: str) -> str:
        """A found end as used in a sentence: an object with article, a value unchanged."""
        return (
            self.framed(step, found)
            if self.graph.finds_value(step)
            else self.graph.the_label(found)
        )

    def found_placeholder(self, step: t.Step) -> str:
        """The placeholder of what a step finds."""
        if step.way == "--":
            return EDGES[step.edge].edge_placeholder or "rel"
        return "far" if step.way == "=>" else "near"

    # --- wordings ------------------------------------------------------------------------

    def whole(self) -> str:
        """The question from the `path` block of the spec with these hops, or "" if there is none."""
        steps = self.path.steps
        rule = self.words.whole.get(tuple((s.edge, s.way) for s in steps))
        if rule is None or not self.form.whole_paths:
            return ""
        texts: Texts = {("0", ""): self.known(steps[0])}
        texts |= {("0", part): text for part, text in self.parts(steps[0].known).items()}
        if steps[0].edge == "attr":
            texts["0", "kind"] = self.graph.kinds[steps[0].far].replace("_", " ")
        for i, step in enumerate(steps, 1):
            texts[str(i), "rel"] = self.framed(step, step.word)
            texts |= {(str(i), part): text for part, text in self.parts(step.found).items()}
            if step.edge == "attr":
                texts[str(i), "kind"] = self.graph.kinds[step.far].replace("_", " ")
            elif step.edge == "ref":
                event = self.graph.events.get(t.clip_of(step.found), "")
                texts[str(i), "event"] = self.language.framed("clause", event)
        return self.fill(rule.ask, texts)

    def timed_question(self, question: str, time: t.When, clip: str) -> str:
        """A question with its time range added."""
        return self.fill(self.spec.time.line(time), self.times(question, time, clip))

    def times(self, question: str, time: t.When | None, clip: str) -> Texts:
        """The texts of the placeholders in a line of the `time` block."""
        texts = {("question", ""): self.language.inner(question)}
        scope = self.path.query[0]
        if time == "span":
            start, end = self.graph.ranges[clip]
            texts["start", ""], texts["end", ""], _ = seconds(start, end)
        elif time == "scene":
            texts["ordinal", ""] = self.language.ordinals[self.graph.number(clip) - 1]
        elif isinstance(scope, t.Moment):
            texts["time", ""] = f"{scope.at / 1000:.1f}"
        elif isinstance(scope, t.Showing):
            texts["object", ""] = self.graph.the_label(scope.label)
        else:
            event = self.graph.events.get(clip, "")
            texts["event", ""] = self.language.framed("clause", event)
        return texts

    def line(self, step: t.Step, word: str, said: Said = "plain") -> tuple[Wording, ...]:
        """The wordings of a line, or of a form, for what a step finds: those of the narrowest block.

        `said`: how its known end is said.
        """
        fits = self.fits(step, said)
        key = (step.edge, step.way, word, fits)
        if key not in self.words.lines:
            told = (self.words.rules[step.edge][i].line(step.way, word) for i in fits)
            self.words.lines[key] = next(filter(None, told), ())
        return self.words.lines[key]

    def fits(self, step: t.Step, said: Said = "plain") -> tuple[int, ...]:
        """The numbers of the spec's blocks that fit a step, narrower ones first."""
        rules = self.words.rules[step.edge]
        if not any(rule.conditions for rule in rules):
            return tuple(range(len(rules)))
        form = self.path.form if step is self.path.steps[-1] else "ask"
        key = (id(step), form, self.path.block, said)
        if key not in self.words.fitting:
            at = self.graph.occasion(step, form, self.path.block, said)
            self.words.fitting[key] = tuple(i for i, rule in enumerate(rules) if rule.fits(at))
        return self.words.fitting[key]

    def fill(self, wordings: Sequence[Wording], texts: Texts) -> str:
        """Draw one of the wordings and fill it."""
        return draw_wording(wordings, self.rng).fill(texts, self.rng, self.language.filters)

    def sentence(self, wordings: Sequence[Wording], texts: Texts) -> str:
        """Draw one of the wordings and fill it, as a sentence of its own."""
        return self.language.sentence(self.fill(wordings, texts))

    def texts(self, step: t.Step, known: str) -> Texts:
        """The texts of the placeholders of a step. `known` is the text of the known end."""
        end = "far" if step.way == "<=" else "near"
        said = EDGES[step.edge].texts(step, self.graph)
        made: Texts = {(end, ""): known}
        for key, text in said.items():
            made[key] = self.language.framed("clause", text) if key[1] == "event" else text
            if key in (("rel", ""), ("far", "")) and text == step.word:
                made[key] = self.framed(step, text)
        for end, object_ in (("near", step.near), ("far", step.far)):
            made |= {(end, part): text for part, text in self.parts(object_).items()}
        side = "far" if step.way == "=>" else "near"
        several = self.path.also and not self.path.pattern
        if step is self.path.steps[-1] and several:  # what is true of all that it finds
            others = [self.parts(x.found) for x in self.path.also]
            for part, text in self.parts(step.found).items():
                if any(other.get(part) != text for other in others):
                    made[side, part] = self.language.anything[part]
        found = self.graph.described(step.found)
        counted = step is self.path.steps[-1] and self.form.total_lines
        stands_in = made.get((side, "noun")) == self.language.stand_in
        if counted and found is not None and stands_in:  # a number says no label
            made[side, "noun"] = self.language.counted(found.noun)
        return made

    def told(self, form: Form, step: t.Step) -> Texts:
        """The texts of the placeholders that a form adds."""
        return {
            key: self.framed(step, text) if text == step.word else text
            for key, text in form.texts(step).items()
        }

    def parts(self, object_: str) -> dict[str, str]:
        """The texts of the parts of an object, such as `who` and `noun`. Empty for a value or a clip."""
        if object_ not in self.words.parts:
            o = self.graph.described(object_)
            self.words.parts[object_] = {} if o is None else {**self.language.parts_of(o.noun)}
        return self.words.parts[object_]
