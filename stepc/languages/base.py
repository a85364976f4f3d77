"""The base class of languages: everything that stepc knows about the one in which a spec is written."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import ClassVar, Literal, cast, get_args

from stepc.ir import words
from stepc.ir.elements import NounClass
from stepc.runtime.word_lists import forms, word_lines

Order = Literal["first", "later", "earlier", "finally"]
"""Where a sentence stands in the order of events."""
Filters = Mapping[str, Callable[[str], str]]


class NoWording(LookupError):
    """A text has no such form, or the spec has no wording for it."""


@dataclass(frozen=True)
class Noun:
    """An object as a noun."""

    label: str
    noun: NounClass
    named: bool = False
    """Whether the label is the name of somebody or something: `Maria`."""
    plural: bool = False


class Language(ABC):
    """A language: what the writer, the reader and the conditions of specs need to know of it.

    The methods of this base class fit a language whose words do not change. What graphs are compared by is
    in word lists, in the folder `grammar` of stepc or in that of the plug-in's package.
    """

    name: ClassVar[str]
    """The word after `use` in specs."""
    help: ClassVar[str]
    """One sentence, shown by editors."""

    # --- texts ---------------------------------------------------------------------------
    space: ClassVar[str] = " "
    """What separates the sentences of a text."""
    links: ClassVar[tuple[str, str]]
    """What joins the parts of a list: all but the last two, and these: `, ` and ` and `."""
    or_: ClassVar[str]
    """What joins two options: ` or `."""
    order: ClassVar[Mapping[Order, str]]
    """What a sentence begins with that tells its place in the order of events: `Later, `."""

    @cached_property
    def yes(self) -> str:
        """The answer `yes`, as in `forms.txt`."""
        return forms("yes", self.name)[0]

    @cached_property
    def no(self) -> str:
        """The answer `no`, as in `forms.txt`."""
        return forms("no", self.name)[0]

    ordinals: ClassVar[tuple[str, ...]] = ()
    """How the scenes of a video are numbered: `first`, `second` … Those beyond have no ordinal."""

    def sentence(self, text: str) -> str:
        """A text as a sentence of its own, with single spaces."""
        return " ".join(text.split())

    def inner(self, sentence: str) -> str:
        """A sentence as it stands inside another."""
        return sentence

    def joined(self, sentences: Sequence[str]) -> str:
        """Sentences as one text."""
        return self.space.join(x for x in sentences if x)

    def ordered(self, order: Order, sentence: str) -> str:
        """A sentence that begins with a word of order: "Later, the ring is blue."."""
        return self.order[order] + self.inner(sentence)

    def listed(self, texts: Sequence[str]) -> str:
        """The texts as a list: `a, b and c`."""
        *most, last = texts
        return f"{self.links[0].join(most)}{self.links[1]}{last}" if most else last

    def either(self, options: Sequence[str]) -> str:
        """Options as a question offers them: `the cup or the phone`."""
        return self.or_.join(options)

    @abstractmethod
    def span(self, start: str, end: str) -> str:
        """A time range; `start` and `end` are in seconds: `1.2 to 3.4 seconds`."""

    @abstractmethod
    def duration(self, length: str) -> str:
        """A duration; `length` is in seconds: `2.2 seconds`."""

    # --- words ---------------------------------------------------------------------------
    filters: ClassVar[Filters] = {}
    """Filters that may follow a bar in a placeholder: `{o|a}`."""
    parts: ClassVar[Mapping[str, tuple[str, ...]]]
    """Part of an object in wordings (`who`, `noun`, `that`) → all words that it may be."""
    anything: ClassVar[Mapping[str, str]]
    """The parts of objects that are not all of one class."""
    stand_in: ClassVar[str] = ""
    """The `noun` of an object whose label says all other words for it: `one`."""

    def noun(self, label: str, given: NounClass | None = None) -> Noun:
        """An object's label as a noun. `given` is its class, if a model said it."""
        return Noun(label.strip(), given or self.class_of(label))

    def class_of(self, label: str) -> NounClass:
        """The class of a label by the table of common nouns, `thing` if it is not there."""
        return noun_classes(self.name).get(label.strip().lower(), "thing")

    def parts_of(self, noun: Noun) -> Mapping[str, str]:
        """The parts of an object: as a question asks for it, in one word that is not its label, …"""
        return self.anything

    def counted(self, noun: Noun) -> str:
        """The word for objects of a class, whatever their labels are: `person`, `animal`, `object` …"""
        return self.parts_of(noun)["noun"]

    def the(self, noun: Noun) -> str:
        """A noun as it stands for one certain object: `the cup`."""
        return noun.label

    def framed(self, frame: str, word: str) -> str:
        """A word as it stands in a sentence: a `progressive` after "is", a `clause` after "while".

        Raises NoWording if it cannot stand there.
        """
        return word.strip().rstrip("。.!?！？") if frame == "clause" else word

    def normalised(self, word: str) -> str:
        """A predicate or motion of a model in the form in which graphs have it."""
        return word

    after: ClassVar[Mapping[str, str]] = {}
    """Frame → the word that is before it in sentences, for messages."""

    def takes_object(self, predicate: str) -> bool:
        """Whether a predicate is a verb with an object, as in `holding`, unlike `on`."""
        return True

    def disagrees(self, text: str, labels: Iterable[str]) -> bool:
        """Whether a verb of a text does not agree with one of these labels: `Is the trees green?`."""
        return False

    def is_plural(self, label: str) -> bool:
        """Whether verbs take the plural after a label: `scissors`. False where verbs do not tell."""
        return False

    def is_group(self, label: str) -> bool:
        """Whether a label names several objects, nobody knows how many: `people`, `trees`.

        A group is never "the" one that a question means, and what contains one is not counted.
        """
        return False

    def is_background(self, label: str) -> bool:
        """Whether a label is a noun for what is behind and below everything: `sky`, `road`, `wall`."""
        return label.strip().lower() in background(self.name)

    def is_place(self, predicate: str) -> bool:
        """Whether a predicate says no more than where something is: `left of`, unlike `sitting on`."""
        return False

    def is_adjective(self, value: str) -> bool:
        """Whether a value may be an adjective: `wooden`, unlike `oak`."""
        return True

    # --- checks --------------------------------------------------------------------------
    says: ClassVar[Mapping[str, re.Pattern[str]]] = {}
    """What a wording may say (`negates`, `compares`, `counts`, `dates`) → the words that say it (S323)."""

    def fits_script(self, text: str) -> bool:
        """Whether a text has only letters of the language's script."""
        return True

    def is_foreign(self, text: str) -> bool:
        """Whether a predicate, motion, event or kind is in another language, as far as one can tell."""
        return False

    def retells(self, text: str, answer: str) -> bool:
        """Whether a text says what somebody does, if only in another form: "runs to the man"."""
        return False

    # --- reading -------------------------------------------------------------------------
    agreement: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Filter of a verb → the forms that it makes. Which of them agrees is not the reader's question."""
    connectives: ClassVar[tuple[str, ...]] = ()
    """What may stand before a sentence of a rationale, in lower case."""
    whether: ClassVar[tuple[str, str]] = ("", "")
    """What makes a question of a sentence: what is before it, and what in place of its full stop."""
    full_stop: ClassVar[str] = "."
    question_mark: ClassVar[str] = "?"

    # --- for a model ---------------------------------------------------------------------
    facts: ClassVar[Mapping[str, str]]
    """Sentences that tell a model the facts of a graph, with placeholders in braces, by what they are about:
    a `part` of the video, an `attr`, a `rel` …"""

    # --- texts of a model ----------------------------------------------------------------
    copulas: ClassVar[frozenset[str]] = frozenset()
    """Verbs that would make a sentence of a description: `is` in "the object is above the cup"."""
    relatives: ClassVar[frozenset[str]] = frozenset()
    """Words after which such a verb belongs to a description: `that` in "the object that is above it"."""
    yes_no: ClassVar[re.Pattern[str]] = re.compile("")
    """What yes-no questions have, and no others."""

    def tidied(self, text: str) -> str:
        """A text of a model as prose."""
        return " ".join(text.split()).strip('" ')

    def sentences_of(self, text: str) -> list[str]:
        """The sentences of a text."""
        return [s for s in re.split(r"(?<=[.!?])\s+", text) if s]


def inverse(text: str) -> str:
    """A predicate from its object: `above` → `below`. Raises NoWording if it has no known inverse."""
    made = words.inverse(text)
    if made is None:
        raise NoWording
    return made


@cache
def background(language: str) -> frozenset[str]:
    """The nouns of a language for background (`background.txt`)."""
    return frozenset(word for line in word_lines("background", language) for word in line.split())


@cache
def noun_classes(language: str) -> Mapping[str, NounClass]:
    """Common noun of a language → its class (`noun-classes.txt`); of a noun in several lines, the first."""
    table: dict[str, NounClass] = {}
    lines = "\n".join(word_lines("noun-classes", language))
    for part in re.split(r"\n(?=\S)", lines) if lines else ():
        name, _, nouns = part.partition(":")
        assert name in get_args(NounClass)
        for word in nouns.split():
            table.setdefault(word, cast("NounClass", name))
    return table
