"""English: articles, plurals, agreement, verb forms and capitals, and what its texts are made of."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from stepc.ir.elements import NounClass
from stepc.ir.words import beyond_latin, normal, words_of
from stepc.languages import english_nouns as nouns
from stepc.languages.base import Filters, Language, Noun, NoWording, Order, background, inverse
from stepc.languages.english_nouns import (
    PRONOUNS,
    bare,
    has_owner,
    is_mass,
    is_name,
    is_plural,
    low,
    lowered,
    plural,
    verb_form,
)


@functools.cache
def _engine() -> Any:
    import inflect

    return inflect.engine()


@functools.lru_cache(4096)
def the(text: str) -> str:
    """With `the`: `cup` and `a cup` → `the cup`. Names get no article, nor does what has an owner."""
    text = bare(text)
    if is_name(text) or has_owner(text) or text.lower() in PRONOUNS:
        return low(text) if text.lower() in PRONOUNS else text
    return f"the {low(lowered(text))}"


@functools.lru_cache(4096)
def a(text: str) -> str:
    """With the indefinite article: `a cup`, `an apple`, `an hour`. Plurals, names and `water` get none."""
    text = bare(text)
    words = words_of(text)
    if (
        not words
        or is_name(text)
        or has_owner(text)
        or is_plural(text)
        or is_mass(text)
        or text.lower() in PRONOUNS
    ):
        return text
    first = text.split()[0]
    if re.match(r"(?:8|1[18](?!\d)|8\d)", first):
        return f"an {text}"
    if first[0].isdigit():
        return f"a {text}"
    if re.fullmatch(r"[A-Z][A-Z0-9]*\d?", first.split("-")[0]) and not _engine().a(
        first.lower()
    ).startswith("an "):
        spelt = first[0] in "AEFHILMNORSX" and not _said_as_word(first)
        return f"{'an' if spelt else 'a'} {text}"
    return str(_engine().a(low(text)))


def _said_as_word(first: str) -> bool:
    """Whether an abbreviation is said as a word, by its vowels: `NASA`, unlike `SUV`."""
    return len(first) > 3 and bool(re.search(r"[AEIOU]", first[1:-1]))


def is_(text: str) -> str:
    """`is`, or `are` for a plural (only the verb)."""
    return "are" if is_plural(text) else "is"


def has(text: str) -> str:
    """`has`, or `have` for a plural (only the verb)."""
    return "have" if is_plural(text) else "has"


def does(text: str) -> str:
    """`does`, or `do` for a plural (only the verb)."""
    return "do" if is_plural(text) else "does"


def was(text: str) -> str:
    """`was`, or `were` for a plural (only the verb)."""
    return "were" if is_plural(text) else "was"


def cap(text: str) -> str:
    """With an upper-case first letter."""
    return text[:1].upper() + text[1:]


def base(text: str) -> str:
    """A motion or predicate after `does`: `picking up` → `pick up`, `on` → `be on`."""
    return verb_form(text, "VB") or f"be {text}"


def past(text: str) -> str:
    """In the past: `picking up` → `picked up`, `on` → `was on`."""
    return verb_form(text, "VBD") or f"was {text}"


def third(text: str) -> str:
    """In the present: `picking up` → `picks up`, `on` → `is on`."""
    return verb_form(text, "VBZ") or f"is {text}"


def passive(text: str) -> str:
    """The passive of a verb: `holding` → `held by`. Raises NoWording for other words."""
    made = verb_form(text, "VBN")
    if made is None:
        raise NoWording
    return f"{made} by"


def simple(text: str) -> str:
    """A clause in the simple present: `the ring is moving up` → `the ring moves up`."""

    def said(verb: re.Match[str]) -> str:
        return verb_form(verb[2], "VBZ" if verb[1] == "is" else "VB") or verb[0]

    return re.sub(r"\b(is|are) ([a-z]+ing)\b", said, text)


FILTERS: Filters = {
    "the": the,
    "a": a,
    "bare": bare,
    "plural": plural,
    "is": is_,
    "has": has,
    "does": does,
    "was": was,
    "base": base,
    "past": past,
    "third": third,
    "passive": passive,
    "inverse": inverse,
    "simple": simple,
    "cap": cap,
    "low": low,
}
"""Filters that may follow a bar in a placeholder: `{o|a}`."""


_BEFORE_PREPOSITIONS = frozenset(["close", "far", "left", "right"])
"""Words that begin a place, as in `left of`, and are no prepositions."""


class English(Language):
    """English."""

    name = "english"
    help = "English, with articles, agreement and verb forms."
    links = (", ", " and ")
    or_ = " or "
    order: ClassVar[Mapping[Order, str]] = {
        "first": "First, ", "later": "Later, ", "earlier": "Earlier, ", "finally": "Finally, ",
    }  # fmt: skip
    ordinals = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
                "tenth", "eleventh", "twelfth")  # fmt: skip
    filters = FILTERS
    parts: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "who": ("who", "what"),
        "that": ("who", "that"),
        "noun": (*nouns.WORD.values(), "object", "one"),
    }
    anything: ClassVar[Mapping[str, str]] = {"who": "what", "noun": "object", "that": "that"}
    stand_in = "one"
    after: ClassVar[Mapping[str, str]] = {"progressive": "is", "clause": "while"}
    says: ClassVar[Mapping[str, re.Pattern[str]]] = {
        "negates": re.compile(
            r"\b(not|no|never|nobody|nothing|none|neither|nor|without|except|cannot|hardly|apart from)\b"
            r"|n't\b",
            re.I,
        ),
        "compares": re.compile(
            r"\b(than|more|most|less|least|fewer|fewest|longer|longest|shorter|shortest|same|different|both"
            r"|either|only|all|every|each|else|other|another"
            r"|largest|smallest|biggest|nearest|fastest|oldest)\b",
            re.I,
        ),
        "counts": re.compile(r"\bhow (?:many|much|often)\b|\bnumber of\b|\btwice\b", re.I),
        "dates": re.compile(
            r"\b(when|while|before|after|during|until|since|then|first|last|finally|already|again|later"
            r"|becomes?"
            r"|became|how long|at the (?:start|end|beginning))\b",
            re.I,
        ),
    }
    facts: ClassVar[Mapping[str, str]] = {
        "part": "Part {number} of the video, {time}:",
        "event": "Part {number} of the video, {time}, while {event}:",
        "alike": "{name} (number {number})",
        "attr": "The {kind} of {name} is {value}.",
        "rel": "{name} is {predicate} {other}.",
        "motion": "{name} is {motion}, {time}.",
        "ref": "{name} is {other} of part {number}.",
        "all": "Is all of this true? {text}",
    }
    agreement: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "is": ("is", "are"),
        "has": ("has", "have"),
        "does": ("does", "do"),
        "was": ("was", "were"),
    }
    connectives = ("first, ", "then ", "so ", "finally, ", "therefore, ", "next, ", "also, ", "later, ",
                   "earlier, ")  # fmt: skip
    whether = ("is it true that ", "?")
    copulas = frozenset(["is", "are"])
    relatives = frozenset(["that", "what", "which", "who", "whom", "whose", "where"])
    yes_no = re.compile(
        r"^(is|are|was|were|does|do|did|has|have|can|while|during)\b", re.IGNORECASE
    )

    def sentence(self, text: str) -> str:
        return cap(" ".join(text.split()))

    def inner(self, sentence: str) -> str:
        return low(sentence)

    def span(self, start: str, end: str) -> str:
        return f"{start} to {end} seconds"

    def duration(self, length: str) -> str:
        return f"{length} seconds"

    def noun(self, label: str, given: NounClass | None = None) -> Noun:
        return nouns.noun(label.strip(), given)

    def class_of(self, label: str) -> NounClass:
        return nouns.class_of(label)

    def parts_of(self, noun: Noun) -> Mapping[str, str]:
        person = noun.noun == "person"
        return {
            "who": "who" if person else "what",
            "noun": nouns.word(noun),
            "that": "who" if person else "that",
        }

    def counted(self, noun: Noun) -> str:
        return nouns.sort(noun)

    def the(self, noun: Noun) -> str:
        return noun.label if noun.named else the(noun.label)

    def framed(self, frame: str, word: str) -> str:
        if frame == "clause":
            return nouns.clause(word)
        return nouns.after_is(word) if frame == "progressive" else word

    def normalised(self, word: str) -> str:
        return nouns.progressive(word)

    def takes_object(self, predicate: str) -> bool:
        return nouns.takes_object(predicate)

    def disagrees(self, text: str, labels: Iterable[str]) -> bool:
        several = [re.escape(nouns.bare(x).lower()) for x in labels if nouns.is_plural(x)]
        wrong = rf"\b(?:is|was|has|does) (?:the )?(?:{'|'.join(several)})\b"
        return bool(several and re.search(wrong, text.lower()))

    def is_plural(self, label: str) -> bool:
        return nouns.is_plural(label)

    def is_group(self, label: str) -> bool:
        return nouns.is_group(label)

    def is_background(self, label: str) -> bool:
        return normal(nouns.head(nouns.bare(label).lower())).split(" ")[-1] in background(self.name)

    def is_place(self, predicate: str) -> bool:
        return predicate.lower().split(" ")[0] in nouns.PREPOSITIONS | _BEFORE_PREPOSITIONS

    def is_adjective(self, value: str) -> bool:
        return nouns.is_adjective(value)

    def fits_script(self, text: str) -> bool:
        return not beyond_latin(text)

    def is_foreign(self, text: str) -> bool:
        return nouns.is_foreign(text)

    def retells(self, text: str, answer: str) -> bool:
        return nouns.retells(text, answer)

    def tidied(self, text: str) -> str:
        """No space before punctuation, and sentences start with a capital letter."""
        text = re.sub(r"\s+([.,;:?!])", r"\1", " ".join(text.split())).strip().strip('"').strip()
        return re.sub(r"(^|[.!?]\s+)([a-z])", lambda m: m[1] + m[2].upper(), text)
