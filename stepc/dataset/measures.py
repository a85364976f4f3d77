"""What a corpus measures by its texts: how varied its questions and answers are."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any

from stepc.ir.words import plain, words_of
from stepc.passmanager.corpus import Corpus


def measures(corpus: Corpus) -> dict[str, Any]:
    """Measures of the samples that a corpus keeps, for the manifest. Empty if there are none.

    `skeletons`: different questions without the words of their graphs. `answers`: different answers, and
    their entropy in bits. `distinct_2`: different pairs of words among all pairs of the questions (Li et
    al., 2016). `kinds`: samples by what they ask for: form, edge, direction, kind of attribute.
    """
    skeletons: set[str] = set()
    answers, kinds, pairs = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    for _, _, samples in corpus.walk():
        for _, s in samples:
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
    }
