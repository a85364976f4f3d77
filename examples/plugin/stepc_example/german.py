"""German, as far as an example needs it: nouns in the nominative."""

from collections.abc import Mapping
from typing import ClassVar

from stepc.languages import Language
from stepc.languages.base import Filters, Noun, Order

GENDERS = {
    "Mann": "der",
    "Frau": "die",
    "Kind": "das",
    "Hund": "der",
    "Auto": "das",
    "Ampel": "die",
}
"""Noun → its article."""


def cap(text: str) -> str:
    """With an upper-case first letter."""
    return text[:1].upper() + text[1:]


class German(Language):
    """German."""

    name = "german"
    help = "German, in the nominative."
    links = (", ", " und ")
    or_ = " oder "
    order: ClassVar[Mapping[Order, str]] = {
        "first": "Zuerst: ", "later": "Später: ", "earlier": "Davor: ", "finally": "Zuletzt: ",
    }  # fmt: skip
    filters: ClassVar[Filters] = {"cap": cap}
    parts: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "who": ("wer", "was"), "noun": ("Person", "Objekt"), "that": ("die", "das"),
    }  # fmt: skip
    anything: ClassVar[Mapping[str, str]] = {"who": "was", "noun": "Objekt", "that": "das"}
    facts: ClassVar[Mapping[str, str]] = {
        "part": "Teil {number} des Videos, {time}:",
        "event": "Teil {number} des Videos, {time}, {event}:",
        "alike": "{name} (Nummer {number})",
        "attr": "{kind} von {name}: {value}.",
        "rel": "{name}, {predicate}: {other}.",
        "motion": "{name} {motion}, {time}.",
        "ref": "{name} ist {other} aus Teil {number}.",
        "all": "Stimmt das alles? {text}",
    }

    def sentence(self, text: str) -> str:
        return cap(super().sentence(text))

    def span(self, start: str, end: str) -> str:
        return f"{start} bis {end} Sekunden"

    def duration(self, length: str) -> str:
        return f"{length} Sekunden"

    def the(self, noun: Noun) -> str:
        article = GENDERS.get(noun.label)
        return f"{article} {noun.label}" if article else noun.label

    def parts_of(self, noun: Noun) -> Mapping[str, str]:
        if noun.noun == "person":
            return {"who": "wer", "noun": "Person", "that": "die"}
        return self.anything
