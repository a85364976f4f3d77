"""compose: a question, its answer and a step-by-step rationale from each path.   paths → qra"""

from __future__ import annotations

import random
from collections.abc import Sequence

from stepc.ir import types as t
from stepc.ir.meaning import mentions, unfinished
from stepc.pipeline import Pass, Tools
from stepc.query import answer_of, build, event_of, finds_value, knows_value, query_leaks
from stepc.spec.types import Find, Spec, Wording

Said = dict[tuple[str, str], str]


class Compose(Pass[t.Paths, t.Qras]):
    """Questions in the words of the spec (section 3.2).

    The question is the last step's `ask`, in which every known node is replaced by the `name`
    of the step that found it; the rationale has each step's own question, answer and sentence.
    A question that says its answer or a sub-answer is dropped and counted.
    """

    def run(self, unit: t.Paths, tools: Tools) -> t.Qras:
        """The unit with a sample for each path."""
        spec = tools.the_spec()
        made: list[t.Sample] = []
        for index, path in enumerate(unit.paths):
            writer = _Writer(unit, spec, path, tools.rng(unit, "compose", index))
            sample = writer.sample(f"q{len(made)}")
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


class _Writer:
    """Words for one path."""

    def __init__(self, unit: t.Paths, spec: Spec, path: t.Path, rng: random.Random) -> None:
        self.unit, self.spec, self.path, self.rng = unit, spec, path, rng
        self.labels = {o.id: o.label for o in unit.objects}
        self.kinds = {a.id: a.kind for a in unit.attributes}

    def sample(self, name: str) -> t.Sample:
        """The finished sample."""
        steps = self.path.steps
        named = [self._known(steps[0])]
        for step in steps[:-1]:
            named.append(self._draw(self._find(step).name).fill(self._said(step, named[-1])))
        last = steps[-1]
        question = self._draw(self._find(last).ask).fill(self._said(last, named[-1]))
        if self.path.during is not None and last.edge != "ref":
            question = self._timed(question, self.path.during)
        return t.Sample(
            id=name,
            path=self.path.id,
            form="open",
            wording="template",
            checked=False,
            question=_sentence(question),
            answer=answer_of(last, self.unit),
            claim="",
            query=self.path.query,
            rationale=tuple(self._because(i, steps, named) for i in range(len(steps))),
        )

    def _because(self, i: int, steps: Sequence[t.Step], named: list[str]) -> t.Because:
        step = steps[i]
        find = self._find(step)
        answer = answer_of(step, self.unit)
        known = self._known(step)
        crosses = any(s.edge == "ref" for s in steps)
        clip = t.clip_of(step.near if knows_value(step) else step.known)
        timed = crosses or self.path.during is not None
        scope = event_of(clip, self.unit) if timed else None
        own: tuple[t.Step, ...] = (step,)
        if mentions(known, answer) and i > 0:
            known, own = named[i], tuple(steps[: i + 1])
            scope = getattr(self.path.query[0], "event", None)
        question = self._draw(find.ask).fill(self._said(step, known))
        if timed and step.edge != "ref" and scope is not None:
            question = self._timed(question, clip)
        both = self._said(step, self._known(step))
        both[self._rule_name(step, found=True), ""] = self._found(step)
        return t.Because(
            question=_sentence(question),
            answer=answer,
            text=_sentence(self._draw(find.because).fill(both)),
            query=build(own, scope, self.unit),
        )

    def _timed(self, question: str, clip: str) -> str:
        words = {("event", ""): event_of(clip, self.unit) or "", ("question", ""): _lower(question)}
        return self._draw(self.spec.before).fill(words)

    def _find(self, step: t.Step) -> Find:
        rule = self.spec.rule(step.edge)
        find = rule.find("far" if step.way == "=>" else "near") if rule else None
        if find is None:
            raise ValueError(f"the spec has no wording for {step.edge} {step.way}")
        return find

    def _rule_name(self, step: t.Step, *, found: bool) -> str:
        rule = self.spec.rule(step.edge)
        assert rule is not None
        return rule.far if (step.way == "=>") == found else rule.near

    def _said(self, step: t.Step, known: str) -> Said:
        """What the holes of a step's wordings hold; the known end in the words of `known`."""
        rule = self.spec.rule(step.edge)
        assert rule is not None
        said: Said = {(self._rule_name(step, found=False), ""): known}
        if step.edge == "rel":
            said["rel", ""] = step.word
        if step.edge == "attr":
            said[rule.far, "kind"] = self.kinds[step.far]
        if step.edge == "ref":
            said[rule.near, "event"] = event_of(t.clip_of(step.near), self.unit) or ""
            said[rule.far, "event"] = event_of(t.clip_of(step.far), self.unit) or ""
        return said

    def _known(self, step: t.Step) -> str:
        """A step's known end in its own words: "the cup", or a value as it is."""
        return step.word if knows_value(step) else self._the(step.known)

    def _found(self, step: t.Step) -> str:
        return step.word if finds_value(step) else self._the(step.found)

    def _the(self, node: str) -> str:
        label = self.labels[node].strip()
        first, _, rest = label.partition(" ")
        return f"the {rest}" if first.lower() in ("a", "an", "the") and rest else f"the {label}"

    def _draw(self, wordings: Sequence[Wording]) -> Wording:
        return wordings[self.rng.randrange(len(wordings))]


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    first = text.split(" ", 1)[0]
    return text if len(first) > 1 and first.isupper() else text[:1].lower() + text[1:]
