"""What a corpus measures by its texts: how varied its questions and answers are."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from statistics import fmean
from typing import Any

from stepc.ir.words import plain, words_of
from stepc.passmanager.corpus import Corpus


def measures(corpus: Corpus) -> dict[str, Any]:
    """Measures of the samples that a corpus keeps, for the manifest. Empty if there are none.

    `skeletons`: different questions without the words of their graphs. `answers`: different answers, and
    their entropy in bits. `distinct_2`: different pairs of words among all pairs of the questions (Li et
    al., 2016). `kinds`: samples by what they ask for: form, edge, direction, kind of attribute. `demand`: the
    mean number of clips and keyframes in which the facts of a sample are seen, and the share of samples that
    need at least two clips. `entities`: the share of the things of the graphs that questions are about.
    """
    skeletons: set[str] = set()
    demands: list[tuple[int, int]] = []
    asked, there = 0, 0
    answers, kinds, pairs = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    for _, card, samples in corpus.walk():
        asked += len({entity for _, s in samples for entity in s.entities})
        there += card.entities
        for _, s in samples:
            demands.append(s.demand[:2])
            skeletons.add(s.skeleton)
            answers[plain(s.answer)] += 1
            kinds[s.kind] += 1
            pairs.update(pairwise(words_of(s.question)))
    total = answers.total()
    if not total:
        return {}
    entropy = -sum(n / total * math.log2(n / total) for n in answers.values())
    return {
        "skeletons": len(skeletons),
        "answers": {"different": len(answers), "entropy": round(abs(entropy), 3)},
        "distinct_2": round(len(pairs) / max(1, pairs.total()), 4),
        "kinds": dict(sorted(kinds.items())),
        "demand": {
            "clips": round(fmean(clips for clips, _ in demands), 3),
            "keyframes": round(fmean(keyframes for _, keyframes in demands), 3),
            "several_clips": round(fmean(clips > 1 for clips, _ in demands), 4),
        },
        "entities": round(asked / max(1, there), 4),
    }
