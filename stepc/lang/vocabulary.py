"""Resolves the `word` declarations of a spec: the user's part of a video's lexicon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from lark import Token

from stepc.diagnostics import did_you_mean
from stepc.ir import types as t
from stepc.ir.lexicon import Lexicon
from stepc.ir.words import normal, plain
from stepc.lang.symbols import Part, tokens

KINDS: tuple[t.WordKind, ...] = get_args(t.WordKind)
SURE = t.Trust(votes=1, asked=1, verdict="yes")


def vocabulary(parts: list[Part]) -> tuple[t.WordRelation, ...]:
    """The entries of `word` declarations, one for each pair of words and each kind. Errors: S326."""
    made: dict[tuple[str, ...], t.WordRelation] = {}
    for part in parts:
        for at, entry in _entries(part):
            source = part.source
            same = normal if entry.of == "label" else plain
            one, other = same(entry.one), same(entry.other)
            key = (entry.of, *((one, other) if entry.how == "<" else sorted((one, other))))
            old = made.get(key)
            known = Lexicon(made.values(), normal, plain)
            if one == other:
                source.say("S326", f"`{entry.one}` is related to itself", at, "name another word")
            elif old is not None and old.how != entry.how:
                message = f"`{entry.one}` and `{entry.other}` are related in two ways"
                source.say("S326", message, at, "keep one of the two")
            elif entry.how == "<" and one in known.broader(entry.of, other):
                message = f"`{entry.other}` is a kind of `{entry.one}` already"
                source.say("S326", message, at, "keep one of the two")
            elif (
                entry.how == "~" and known.displayed.get((entry.of, other), entry.one) != entry.one
            ):
                message = (
                    f"`{entry.other}` is shown as `{known.displayed[entry.of, other]}` already"
                )
                source.say("S326", message, at, "list all words for one thing in one declaration")
            elif entry.how == "~" and (entry.of, one) in known.displayed:
                shown = known.displayed[entry.of, one]
                message = f"`{entry.one}` is shown as `{shown}` itself"
                source.say("S326", message, at, f'write: word "{shown}" ~ "{entry.other}"')
            else:
                made.setdefault(key, entry)
    return tuple(made.values())


def _entries(part: Part) -> Iterator[tuple[Token, t.WordRelation]]:
    """(the token of the other word, entry)"""
    source, tree = part.source, part.tree
    names, strings = tokens(tree, "NAME"), tokens(tree, "STRING")
    kinds = KINDS
    if names:
        if str(names[0]) not in KINDS:
            help = did_you_mean(str(names[0]), KINDS)
            source.say("S326", f"a word cannot be a `{names[0]}`", names[0], help)
            return
        kinds = (str(names[0]),)  # type: ignore[assignment]
    how = str(tokens(tree, "HOW")[0])
    one, *others = (source.string(s) for s in strings)
    for token, other in zip(strings[1:], others, strict=True):
        if not one.strip() or not other.strip():
            source.say("S326", "a word is empty", token, "write a word")
            continue
        for of in kinds:
            yield (
                token,
                t.WordRelation.model_validate(
                    {"of": of, "one": one, "how": how, "other": other, "trust": SURE}
                ),
            )
