"""refine: reword questions and smooth rationales with a language model.   qra → qra"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from stepc.forms import FORMS
from stepc.ir import types as t
from stepc.ir.spans import seconds
from stepc.ir.words import Policy, inverse, mentions, needle, row, unfinished
from stepc.languages import Language
from stepc.model.requests import FromFacts, Reword, Smooth
from stepc.passmanager.base import Pass, Tools
from stepc.proof.facts import facts
from stepc.reader.prose import told
from stepc.reader.reader import Reader
from stepc.sampling.distractors import Distractors
from stepc.sampling.distractors import words as graph_words
from stepc.sampling.query_builder import QueryBuilder

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


class Refine(Pass[t.Qras, t.Qras]):
    """Diversified question types and smoothed rationales (section 3.2 and appendix A.2 of the paper).

    Only open and yes-no questions about paths are refined; all others keep the words of the spec. A refined
    text is kept only if it still mentions every required entity, relation and answer, and reveals no answer.
    Then it is read back. What the reader cannot read by the wordings of the specs goes back to the model,
    which must give the same answer to the new question from the facts of the graph as text, and must find
    a new rationale true (the embedded model cannot do that, and `stepc plan` does not count these requests).
    Otherwise the original text is kept and counted.
    A refined sample is unchecked until `check` proves it again.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model", "seed", "wording"])

    questions: float = Field(1.0, ge=0, le=1)
    """Share of the questions that are reworded."""
    yes_no: float = Field(0.25, ge=0, le=1)
    """Share of the reworded open questions that become yes-no questions."""
    rationales: float = Field(1.0, ge=0, le=1)
    """Share of the rationales that are smoothed."""
    temperature: float = Field(0.0, ge=0)
    """Sampling temperature."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        costs.add(Reword, 1, about.paths * self.questions, 0)
        costs.add(Smooth, 1, about.paths * self.rationales, 0)
        # Not counted: what the reader cannot read, for which each text costs one more request at most.

    def run(
        self, unit: t.Qras, tools: Tools
    ) -> t.Qras:  # long: both halves share the replies of one request
        rngs = [tools.rng(unit, "refine", i) for i in range(len(unit.samples))]
        paths = {p.id: p for p in unit.paths}
        plain_forms = {
            s.id
            for s in unit.samples
            if FORMS[paths[s.path].form].rewordable and not paths[s.path].pattern
        }
        language = tools.the_spec().language
        words = Distractors(unit, QueryBuilder(unit, language))
        vocabulary = {word for _, _, word in graph_words(unit)}
        samples = [
            self._plan(words, paths[s.path], s, rng, language)
            if s.form == "open" and s.id in plain_forms and paths[s.path].unique
            else s
            for s, rng in zip(unit.samples, rngs, strict=True)
        ]
        asked = [
            i
            for i, rng in enumerate(rngs)
            if rng.random() < self.questions and samples[i].id in plain_forms
        ]
        rewords = [
            Reword(
                frames=(),
                form="yes-no" if samples[i].form == "yes-no" else "open",
                question=samples[i].question,
                reply=samples[i].claim or samples[i].answer,
            )
            for i in asked
        ]
        retold = [
            i
            for i, rng in enumerate(rngs)
            if rng.random() < self.rationales and samples[i].id in plain_forms
        ]
        smooths = [
            Smooth(
                frames=(),
                question=unit.samples[i].question,
                steps=tuple(
                    x for b in unit.samples[i].rationale for x in language.sentences_of(b.text)
                ),
                reply=unit.samples[i].answer,
            )
            for i in retold
        ]
        replies = tools.ask().ask([*rewords, *smooths], temperature=self.temperature)
        guard = _Guard(unit, tools)
        texts: list[_Text] = []
        for i, reply in zip(asked, replies[: len(asked)], strict=True):
            text = language.tidied(reply.read[0].text) if reply.read else ""
            new = samples[i].model_copy(update={"question": text})
            lost = _lost_question(text, samples[i], unit.samples[i], vocabulary, language)
            texts.append(_Text(i, "questions", new, lost))
        for i, reply in zip(retold, replies[len(asked) :], strict=True):
            text = language.tidied(reply.read[0].text) if reply.read else ""
            sentences = _grouped(text, unit.samples[i], language)
            lost = _lost_rationale(sentences, unit.samples[i], language)
            retold_ = _retold(unit.samples[i], sentences)
            texts.append(_Text(i, "rationales", retold_, lost))
        made = list(unit.samples)
        for judged in guard.judged(texts):
            kept = "kept as they were" if judged.lost else "refined"
            tools.counts.add(f"{judged.what} {kept}")
            if judged.lost:
                tools.counts.add(f"refused: {judged.lost}")
            else:
                made[judged.number] = judged.put(made[judged.number])
        return unit.evolve(samples=tuple(made))

    def _plan(
        self,
        words: Distractors,
        path: t.Path,
        s: t.Sample,
        rng: random.Random,
        language: Language,
    ) -> t.Sample:
        """Turn a sample into a yes-no question with probability `yes_no`, otherwise return it unchanged.

        The claim is true, or one that the last sentence of the rationale refutes: "The bow tie is red" for
        "Is the bow tie white?". A claim that contains a sub-answer is not made.
        """
        last = path.steps[-1]
        if last.edge in ("event", "next") or last.way == "--" or rng.random() >= self.yes_no:
            return s
        wrong = words.false(last, (), rng) if rng.random() < 0.5 else None
        if wrong is not None and not words.refutation.excludes(last, wrong):
            return s
        claim, answer = (s.answer, language.yes) if wrong is None else (wrong, language.no)
        if any(mentions(claim, b.answer) for b in s.rationale[:-1]):
            return s
        return s.model_copy(update={"form": "yes-no", "claim": claim, "answer": answer})


@dataclass
class _Text:
    """A new question or rationale of a sample."""

    number: int
    """The place of the sample in the unit."""
    what: Literal["questions", "rationales"]
    new: t.Sample
    """The sample with the new text."""
    lost: str
    """Why the text is refused, or ""."""

    def put(self, old: t.Sample) -> t.Sample:
        """The sample with the new text, if it is another one."""
        new, fields = self.new, ("question", "form", "claim", "answer")
        update: dict[str, object] = {field: getattr(new, field) for field in fields}
        if self.what == "rationales":
            update = {"rationale": new.rationale}
        if all(getattr(old, field) == value for field, value in update.items()):
            return old
        update |= {"wording": "refined", "checked": False, "probes": (), "wrong": ()}
        return old.model_copy(update=update)


class _Guard:
    """Reads new texts back, or has the model answer and confirm them from the facts of the graph."""

    def __init__(self, unit: t.Qras, tools: Tools) -> None:
        self.unit, self.tools = unit, tools
        self.language = tools.the_spec().language
        self.known = facts(unit, self.language)
        self.reader = Reader(unit, self.known, tools.the_spec())
        self.clips = {
            p.id: [t.clip_of(end) for step in p.steps for end in (step.near, step.far)]
            for p in unit.paths
        }

    def judged(self, texts: list[_Text]) -> list[_Text]:
        """The texts, refused if they do not say what was proved."""
        unread = []
        for text in texts:
            if not text.lost:
                read = self._read(text)
                text.lost = "it can be read otherwise" if read is False else ""
                unread += [text] if read is None else []
        if not self.tools.ask().knows(FromFacts):
            for text in unread:
                text.lost = "it is in other words than the specs'"
            unread = []
        requests = [self._request(text) for text in unread]
        replies = self.tools.ask().ask(requests, temperature=0.0) if requests else []
        for text, reply in zip(unread, replies, strict=True):
            self.tools.counts.add("answered from the facts")
            answer = reply.read[0].answer if reply.read else ""
            wanted = text.new.answer if text.what == "questions" else self.language.yes
            if not Policy.ANSWER.same(answer.strip(" ."), wanted):
                text.lost = "the facts answer it otherwise"
        return texts

    def _read(self, text: _Text) -> bool | None:
        if text.what == "questions":
            return self.reader.asks(text.new)
        read = [self.reader.tells(b) for b in text.new.rationale]
        return False if False in read else None if None in read else True

    def _request(self, text: _Text) -> FromFacts:
        told_ = tuple(told(self.unit, self.known, self.clips[text.new.path]))
        question = text.new.question
        if text.what == "rationales":
            said = self.language.joined([b.text for b in text.new.rationale])
            question = self.language.facts["all"].format(text=said)
        return FromFacts(frames=(), facts=told_, question=question)


def _retold(sample: t.Sample, sentences: list[str]) -> t.Sample:
    """A sample with new sentences, if there is one for each step."""
    rationale = (
        b.model_copy(update={"text": text})
        for b, text in zip(sample.rationale, sentences, strict=False)
    )
    return sample.model_copy(update={"rationale": tuple(rationale)})


def _needed(query: t.Query, language: Language, question: str = "") -> list[str]:
    """All labels, values, predicates, events and times that a query names.

    A question may say a predicate as its object has it: "below" for "above".
    """
    words = [op.words for op in query]
    for i, op in enumerate(query):
        turned = isinstance(op, t.Follow) and op.edge == "rel" and not mentions(question, words[i])
        back = inverse(words[i]) if turned else None
        if back is not None and mentions(question, back):
            words[i] = back
        if isinstance(op, t.Between):
            words += seconds(op.start, op.end)[:2]
        elif isinstance(op, t.Scene):
            words.append(language.ordinals[op.number - 1])
    return [w for w in words if w]


def _lost_question(
    text: str, new: t.Sample, old: t.Sample, vocabulary: set[str], language: Language
) -> str:
    """Why a reworded question is rejected, or "". `vocabulary` are all words of the graph."""
    one = len(language.sentences_of(text)) == 1 and text.endswith(language.question_mark)
    if unfinished(text) or not one:
        return "not one question"
    needed = _needed(old.query, language, old.question)
    if new.form == "yes-no":
        last = old.query[-2] if len(old.query) > 1 else None
        last = old.query[-3] if isinstance(last, t.Unique) else last
        if isinstance(last, t.Follow) and last.edge == "attr" and needed:
            needed = needed[:-1]
        needed.append(new.claim)
        if not language.yes_no.search(text):
            return "not a yes-no question"
    if language.disagrees(text, needed):
        return "a verb does not agree"
    hidden = [b.answer for b in old.rationale]
    if new.form == "yes-no":
        hidden = hidden[:-1]
        if new.answer == language.no:
            hidden.append(old.answer)
    if not _holds(text, needed):
        return "something asked about is gone"
    if any(mentions(text, h) for h in hidden):
        return "it says an answer"
    said = row(f"{old.question} {new.claim}")
    now = row(text)
    if any(now.count(w) > said.count(w) for w in map(needle, vocabulary) if w):
        return "it says more"
    kinds = [op.word for op in old.query if isinstance(op, t.Follow) and op.edge == "attr"]
    phrases = [w for w in _needed(old.query, language, old.question) if w not in kinds]
    return _broken(old.question, text, phrases, language)


def _broken(old: str, new: str, phrases: list[str], language: Language) -> str:
    """Why a description in a new question is not that of the old one, or "".

    "The object above the crescent" must not become "the object is above the crescent", nor "the blue object
    above it" "the blue above it". Looks at what is between two phrases that follow each other in both.
    """
    before = _between(old, phrases)
    for pair, words in _between(new, phrases).items():
        then = before.get(pair, words)
        verbs, nouns = (
            [sum(w in of for w in text) for text in (words, then)]
            for of in (language.copulas, language.parts["noun"])
        )
        if verbs[0] > verbs[1] and language.relatives.isdisjoint(words):
            return "a description became a sentence"
        if nouns[0] < nouns[1]:
            return "a description lost its noun"
    return ""


def _between(text: str, phrases: list[str]) -> dict[tuple[str, str], list[str]]:
    """Two phrases that follow each other in a text → the words between them."""
    left, marks = row(text), list[str]()
    for phrase in sorted({*map(needle, phrases)} - {""}, key=len, reverse=True):
        while phrase in left:
            left = left.replace(phrase, f" <{len(marks)}> ", 1)
            marks.append(phrase)
    parts = re.split(r"<(\d+)>", left)
    names = [marks[int(n)] for n in parts[1::2]]
    return {pair: parts[2 * i + 2].split() for i, pair in enumerate(pairwise(names))}


def _holds(text: str, phrases: list[str]) -> bool:
    """Whether a text mentions all phrases, each at a place of its own: "star" not only in an event."""
    left = row(text)
    for phrase in sorted(map(needle, phrases), key=len, reverse=True):
        if phrase not in left:
            return False
        left = left.replace(phrase, " | ", 1)
    return True


def _grouped(text: str, sample: t.Sample, language: Language) -> list[str]:
    """The sentences of a text, joined as in the rationale of a sample, where a step may have several."""
    sentences = language.sentences_of(text)
    counts = [len(language.sentences_of(b.text)) for b in sample.rationale]
    if len(sentences) != sum(counts):
        return []
    left = iter(sentences)
    return [language.joined([*islice(left, n)]) for n in counts]


def _lost_rationale(sentences: list[str], sample: t.Sample, language: Language) -> str:
    """Why a smoothed rationale is rejected, or ""."""
    if unfinished(*sentences) or len(sentences) != len(sample.rationale):
        return "not one sentence a step"
    for text, because in zip(sentences, sample.rationale, strict=True):
        mattered = [because.answer, *_needed(because.query, language)]
        if not all(mentions(text, w) for w in mattered if mentions(because.text, w)):
            return "a step is gone"
    return ""
