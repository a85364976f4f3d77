"""Words of data sets as graphs have them: predicates that can follow "is", names, kinds of attributes."""

from __future__ import annotations

import functools

import lemminflect

from stepc.languages import normalised
from stepc.runtime.word_lists import word_lines

SAID = {
    "away": "moving away from", "towards": "moving towards", "beneath": "below",
    "at the left of": "left of", "at the right of": "right of", "on the side of": "beside",
    "in front": "in front of", "have it on the back": "carrying on the back",
    "drinking from": "drinking from", "speak to": "speaking to", "laying on": "lying on",
    "faster": "faster than", "larger": "larger than", "taller": "taller than",
    "front": "in front of", "left": "left of", "right": "right of", "beside": "beside",
}  # fmt: skip
"""Predicate of a data set → how graphs say it."""
_NO_VERBS = frozenset(["near", "front", "like", "back", "right", "inside", "outside", "down", "up"])
"""Words at the beginning of predicates that are verbs elsewhere."""
KINDS = {
    "material": "wooden wood metal metallic plastic glass brick stone concrete leather rubber paper "
    "cardboard tiled marble steel",
    "size": "tiny small little medium large big huge tall short long wide narrow thick thin",
    "shape": "round square rectangular circular oval cylindrical curved flat",
    "pattern": "striped checkered checked plaid spotted dotted plain floral",
    "age": "young old new",
}
"""Kind of attribute → values of this kind, in one line."""


def predicate(said: str) -> str:
    """A predicate as it can follow "is": `hold` → `holding`, `next_to` → `next to`."""
    plain = " ".join(said.replace("_", " ").replace("(", " ").replace(")", "").split()).lower()
    if plain in SAID:
        return SAID[plain]
    first, gap, rest = plain.partition(" ")
    if first not in _NO_VERBS and first in lemminflect.getAllLemmas(first).get("VERB", ()):
        first = lemminflect.getInflection(first, "VBG")[0]
    return normalised(f"{first}{gap}{rest}")


def names(label: str) -> tuple[str, ...]:
    """The names of an object: `closet/cabinet` → `closet`, `cabinet`."""
    return tuple(x for x in (part.strip() for part in label.replace("_", " ").split("/")) if x)


@functools.cache
def kind_of(value: str) -> str:
    """The kind of an attribute by its value: `color` for `red`; `state` if nothing fits."""
    low = value.strip().lower()
    for line in word_lines("exclusions", "english"):
        kind, colon, words = line.rpartition(":")
        if colon and low in (w.strip() for w in words.split("|")):
            return kind.strip()
    return next((kind for kind, words in KINDS.items() if low in words.split()), "state")
