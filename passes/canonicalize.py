"""canonicalize: one word for one thing, by the vocabulary of the spec.   fsg … stsg"""

from __future__ import annotations

from typing import Any, ClassVar

from stepc.ir import types as t
from stepc.ir.graph import statements
from stepc.ir.joining import join_equal
from stepc.ir.lexicon import Lexicon
from stepc.ir.words import normal, plain
from stepc.passmanager.base import Pass, Tools


class Canonicalize(Pass[t.Fsg, t.Fsg]):
    """Shows one word for all synonyms, and gives the graph its lexicon.

    A model calls one bus "bus" and "coach". The `word` declarations of the spec say which words of a graph
    mean the same (`~`), which are kinds of others (`<`) and which exclude each other (`!`). This pass writes
    the displayed word wherever the graph has a synonym, joins facts that are then the same, and adds to the
    graph those entries whose words it has. An entry of the spec replaces one that a model gave for the same
    two words. With these, what a broader word names is not taken for another
    thing: "the vehicle" is not the only one beside a van.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["vocabulary"])
    keeps_level: ClassVar[bool] = True

    def run(self, unit: t.Fsg, tools: Tools) -> t.Fsg:
        entries = tools.the_spec().vocabulary
        if not entries:
            return unit
        said = {_pair(e) for e in entries}
        models = [e for e in unit.lexicon if _pair(e) not in said]
        words = Lexicon((*entries, *models), normal, plain)
        there = _words(unit)
        there |= {(of, words.key(of, words.display(of, word))) for of, word in there}
        used = [
            e for e in entries if {(e.of, words.key(e.of, x)) for x in (e.one, e.other)} & there
        ]
        frames = {f: i for i, f in enumerate(unit.keyframes)}
        changed = {
            name: join_equal([_with(e, words, tools) for e in getattr(unit, name)], frames)
            for name in ("objects", "attributes", "relations", "motions", "denied")
            if name in type(unit).model_fields
        }
        stated = {
            k for name in changed if name != "denied" for e in changed[name] for k in statements(e)
        }
        denied = [e for e in changed["denied"] if stated.isdisjoint(statements(e))]
        tools.counts.add("denied facts that a synonym states", len(changed["denied"]) - len(denied))
        tools.counts.add("entries of the lexicon", sum(e not in unit.lexicon for e in used))
        changed["denied"] = tuple(denied)
        return unit.evolve(**changed, lexicon=(*models, *used))


def _pair(e: t.WordRelation) -> tuple[str, frozenset[str]]:
    """What the words of an entry are, and the two words as they are compared."""
    return e.of, frozenset(map(normal if e.of == "label" else plain, (e.one, e.other)))


def _word(e: Any) -> tuple[t.WordKind, str, str] | None:
    """(what the word of an element is, its field, the word); None for an event."""
    match e:
        case t.Object():
            return "label", "label", e.label
        case t.Attribute():
            return "attr", "value", e.value
        case t.Relation():
            return "rel", "predicate", e.predicate
        case t.Motion():
            return "motion", "motion", e.motion
        case _:
            return None


def _words(unit: t.Fsg) -> set[tuple[str, str]]:
    """(what it is, word) of all words of a graph, as they are compared."""
    fields = ("objects", "attributes", "relations", "motions", "denied")
    told = [w for name in fields for e in getattr(unit, name, ()) if (w := _word(e))]
    return {(of, normal(word) if of == "label" else plain(word)) for of, _, word in told}


def _with(e: Any, words: Lexicon, tools: Tools) -> Any:
    """An element with the word that is displayed for its own."""
    told = _word(e)
    if told is None:
        return e
    of, field, word = told
    shown = words.display(of, word)
    if isinstance(e, t.Object) and e.called:
        names = {normal(shown): shown}
        for name in (words.display(of, x) for x in e.called):
            names.setdefault(normal(name), name)
        e = e.model_copy(update={"called": tuple(names.values())[1:]})
    if shown == word:
        return e
    tools.counts.add("words shown as a synonym")
    return e.model_copy(update={field: shown})
