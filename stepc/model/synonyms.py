"""Asks a model which words of a video mean the same, and groups votes by that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from stepc.ir import types as t
from stepc.model.client import ModelClient, Reply
from stepc.model.requests import MatchWords, WordList

MOST = 80
"""Maximum words of a request."""
Word = tuple[str, str]
"""(kind of the word, the word as it is compared)."""
Pair = tuple[str, str]
"""Two words of one kind, as they are compared."""


@dataclass
class WordGroups:
    """Words of a video by what they mean. A word that no model was asked about means only itself."""

    of: t.WordKind
    compare: Callable[[str], str]
    """Makes of a word what is compared."""
    stands: dict[Word, Word] = field(default_factory=dict)
    """Word → the word that stands for all with its meaning."""
    spelt: dict[Word, str] = field(default_factory=dict)
    """Word → its most common spelling."""
    entries: tuple[t.WordRelation, ...] = ()
    """Entries for the lexicon of the graph."""

    def shown(self, kind: str, word: str) -> str:
        """The word that is displayed for a word."""
        return self.spelt.get(self.key(kind, self.compare(word)), word)

    def key(self, kind: str, word: str) -> Word:
        """What a word is counted as."""
        return self.stands.get((kind, word), (kind, word))


def group_words(
    of: t.WordKind,
    said: Mapping[str, Counter[str]],
    compare: Callable[[str], str],
    asker: ModelClient,
    samples: int,
    temperature: float,
) -> WordGroups:
    """Ask which words mean the same. `said`: kind → word → how often it was said.

    Two words are the same if most answers say so, the surest first. The most common word of a group
    stands for it. Nothing is asked if no kind has two words, or if the model has no template for it.
    """
    if not asker.knows(MatchWords):
        return WordGroups(of, compare)
    spelt = {kind: _spelt(words, compare) for kind, words in said.items()}
    lists = [WordList(kind=kind, words=tuple(words.values())) for kind, words in spelt.items()]
    batches = [*_batches([x for x in lists if len(x.words) > 1])]
    requests = [MatchWords(frames=(), lists=tuple(batch)) for batch in batches]
    replies = asker.ask(requests, samples=samples, temperature=temperature)
    made = WordGroups(of, compare)
    made.spelt = {(k, w): text for k, words in spelt.items() for w, text in words.items()}
    entries: dict[frozenset[str], t.WordRelation] = {}
    for batch, reply in zip(batches, replies, strict=True):
        for each in batch:
            count = Counter[str]()
            for word, times in said[each.kind].items():
                count[compare(word)] += times
            for e in _read(made, each.kind, spelt[each.kind], count, reply):
                entries.setdefault(frozenset(map(compare, (e.one, e.other))), e)
    made.entries = tuple(entries.values())
    asker.counts.add(f"words of the kind `{of}` that mean the same as another", len(made.stands))
    return made


def _read(
    made: WordGroups, kind: str, known: dict[str, str], count: Counter[str], reply: Reply
) -> Iterator[t.WordRelation]:
    """Group the words of one list. Yields entries of the lexicon.

    A word does not stand for another that is said to be broader, nor for a narrower one.
    """
    same: Counter[Pair] = Counter()
    broader: Counter[Pair] = Counter()
    for answer in reply.read:
        groups = ({x for w in g if (x := made.compare(w)) in known} for g in answer.same)
        same.update({p for g in groups for p in combinations(sorted(g), 2)})
        pairs = {(made.compare(a), made.compare(b)) for a, b in answer.narrower}
        broader.update(p for p in pairs if {*p} <= known.keys() and p[0] != p[1])
    asked = len(reply.read)
    wider = {p: n for p, n in _surest(broader, known) if 2 * n > asked}
    surest = _surest(same, known)
    alike = [p for p, n in surest if 2 * n > asked and not {p, p[::-1]} & wider.keys()]

    def entry(one: str, how: Literal["~", "<"], other: str, votes: int) -> t.WordRelation:
        return t.WordRelation(
            of=made.of, one=known[one], how=how, other=known[other],
            trust=t.Trust(votes=votes, asked=asked), origin=t.Origin(asks=(reply.key,)),
        )  # fmt: skip

    for group in joined(alike):
        first = max(group, key=lambda w: (count[w], -list(known).index(w)))
        made.stands |= {(kind, w): (kind, first) for w in group if w != first}
        for w in (x for x in known if x in group and x != first):
            yield entry(first, "~", w, same[min(w, first), max(w, first)])
    told: set[Pair] = set()
    for (one, other), votes in wider.items():
        a, b = (made.key(kind, w)[1] for w in (one, other))
        if a != b and {(a, b), (b, a)}.isdisjoint(told):
            told.add((a, b))
            yield entry(a, "<", b, votes)


def _surest(votes: Counter[Pair], known: Iterable[str]) -> list[tuple[Pair, int]]:
    """Pairs by their votes; of equals, those of more common words first."""
    place = {word: i for i, word in enumerate(known)}
    return sorted(votes.items(), key=lambda x: (-x[1], sorted(place[w] for w in x[0]), x[0]))


def _spelt(words: Counter[str], compare: Callable[[str], str]) -> dict[str, str]:
    """Word as it is compared → its most common spelling, the more common words first."""
    made: dict[str, str] = {}
    for word, _ in words.most_common():
        if compare(word):
            made.setdefault(compare(word), word)
    return made


def _batches(lists: Sequence[WordList]) -> Iterator[list[WordList]]:
    """Lists that fit into one request. Of a longer list, the more common words are asked about."""
    batch: list[WordList] = []
    for each in lists:
        each = each.model_copy(update={"words": each.words[:MOST]})
        if batch and sum(len(x.words) for x in batch) + len(each.words) > MOST:
            yield batch
            batch = []
        batch.append(each)
    if batch:
        yield batch


def joined(pairs: Sequence[tuple[str, str]]) -> list[set[str]]:
    """Groups of words, from pairs, the surest one first. In a group, all words are paired with each other."""
    paired = {*pairs, *((b, a) for a, b in pairs)}
    groups: dict[str, set[str]] = {}
    for pair in pairs:
        one, other = (groups.get(x, {x}) for x in pair)
        if one is not other and all((a, b) in paired for a in one for b in other):
            both = one | other
            groups |= dict.fromkeys(sorted(both), both)
    return list({min(group): group for group in groups.values()}.values())
