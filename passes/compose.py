"""compose: write a question, its answer and a step-by-step rationale for each path.   paths → qra"""

from __future__ import annotations

from typing import ClassVar

from stepc.ir import types as t
from stepc.ir.words import chat_mark, unfinished
from stepc.languages.base import NoWording
from stepc.passmanager.base import Pass, Tools
from stepc.sampling.query_builder import query_leaks
from stepc.writer.paths import PathWriter, UnitWords
from stepc.writer.patterns import PatternWriter


class Compose(Pass[t.Paths, t.Qras]):
    """Question composition in the words of the spec (section 3.2 of the paper).

    The question is that of the last step, in which every known node is replaced by the `name` of the
    step that found it. If the spec has a `path` block for the whole path, its `ask` is used instead.
    The rationale has the question, answer and sentence of each step. False claims and wrong options are
    false according to the graph. Samples whose question contains an answer are dropped and counted.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["seed", "wording"])

    def run(self, unit: t.Paths, tools: Tools) -> t.Qras:
        words = UnitWords(unit, tools.the_spec())
        made: list[t.Sample] = []
        for index, path in enumerate(unit.paths):
            kind = PatternWriter if path.pattern else PathWriter
            writer = kind(words, path, tools.rng(unit, "compose", index))
            try:
                sample = writer.sample(f"q{len(made)}")
            except NoWording as error:  # such as paths of another spec
                sample = str(error) or "the spec has no wording for it"
            if isinstance(sample, str):
                tools.counts.add(f"dropped: {sample}")
                continue
            leak = query_leaks(sample) or words.told_otherwise(path, sample)
            parts = (x for b in sample.rationale for x in (b.question, b.text))
            texts = (sample.question, sample.answer, *sample.options, *parts)
            if unfinished(*texts):
                leak = "a label or value with braces"
            elif chat_mark(*texts):
                leak = "a placeholder or special token in a label or value"
            elif words.one_script and not all(map(words.language.fits_script, texts)):
                leak = "words in another script than the spec's"
            elif words.in_another_language(path, sample):
                leak = "words in another language than the spec's"
            if leak:
                tools.counts.add(f"dropped: {leak}")
                continue
            made.append(sample)
            tools.counts.add("samples")
        return t.raise_to(t.Qras, unit, samples=tuple(made))
