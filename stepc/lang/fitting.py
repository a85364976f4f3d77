"""Warns of words of a graph that do not stand in a sentence as they are."""

from __future__ import annotations

from collections.abc import Iterator

from stepc.diagnostics import Diagnostic, Place
from stepc.edges import ELEMENTS
from stepc.ir import types as t
from stepc.ir.text import Read, statement
from stepc.ir.words import plain
from stepc.languages import LANGUAGES, Language
from stepc.languages.base import NoWording


def unfit(unit: t.Unit, read: Read | None = None, file: str = "") -> list[Diagnostic]:
    """Warn (V081) of each predicate, motion and event that texts say in another form, or not at all.

    With `read`, each warning has its line in the text. `file` is the file name to report.
    """
    made: dict[str, Diagnostic] = {}
    for kind in ELEMENTS.values():
        if not kind.frame:
            continue
        for edge in getattr(unit, kind.field, ()):
            for word in _words(edge):
                found = (_unfit(word, kind.frame, each) for each in LANGUAGES.values())
                message = next(filter(None, found), "")
                if message and word not in made:
                    place = Place(file or unit.name)
                    if read is not None and edge in read.lines:
                        source = statement(edge)
                        place = Place(file, read.lines[edge], 1, len(source), source)
                    made[word] = Diagnostic("V081", message, place, severity="warning")
    return [*made.values()]


def _words(edge: t.Element) -> Iterator[str]:
    match edge:
        case t.Relation():
            yield edge.predicate
        case t.Motion():
            yield edge.motion
        case t.Event():
            yield edge.event


def _unfit(word: str, frame: str, language: Language) -> str:
    """What is wrong with a word after "is" or "while" in a language, or ""."""
    if frame not in language.after:
        return ""
    after = language.after[frame]
    try:
        said = language.framed(frame, word)
    except NoWording:
        return f'`{word}` cannot follow "{after}", so nothing is asked with it'
    same = said == word if frame == "clause" else plain(said) == plain(word)
    return "" if same else f'`{word}` does not follow "{after}": texts say `{said}`'
