"""Evaluates numbers, shares and names in a spec, given as literals, constants or parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from lark import Token

from stepc.diagnostics import did_you_mean
from stepc.forms.base import CLEAR
from stepc.lang.parse import SpecSource
from stepc.lang.symbols import Declared, Node, Part, tokens, trees

SHARES = "such as: 1/3, 50% or 1"
MOST_STEPS = 64
"""Maximum number of step counts in one range; longer ranges are cut."""
Env = dict[str, Part]
"""Parameter of a block → its value."""


class Values:
    """Looks up values and records which names are used."""

    def __init__(self, made: Declared) -> None:
        self.made = made
        self.used: set[tuple[str, str]] = set()
        """(`let`, `phrase` or `paths`, name) of each name that was looked up."""

    def let(self, token: Token, env: Env, source: SpecSource) -> list[Node] | None:
        """The values of a parameter or constant, or None if the name is neither."""
        name = str(token)
        part = env.get(name)
        if part is None and name in self.made.lets:
            self.used.add(("let", name))
            part = self.made.lets[name]
        return trees(part.tree, "atom") if part is not None else None

    def unknown(self, token: Token, env: Env, source: SpecSource) -> None:
        known = [*env, *self.made.lets]
        help = did_you_mean(str(token), known) if known else f"declare it: let {token} = …"
        source.say("S404", f"unknown name `{token}`", token, help)

    def one(
        self, token: Token, env: Env, source: SpecSource, kinds: tuple[str, ...]
    ) -> Token | None:
        """Evaluate to one literal token of a type in `kinds`. Returns None after an error."""
        seen = 0
        at = token
        while token.type == "NAME" and "NAME" not in kinds:
            atoms = self.let(token, env, source)
            seen += 1
            if atoms is None:
                self.unknown(token, env, source)
                return None
            if len(atoms) != 1 or len(atoms[0].children) != 1 or seen > len(self.made.lets) + 1:
                source.say(
                    "S405", f"`{at}` is not a single value", at, "use a constant with one value"
                )
                return None
            token = atoms[0].children[0]  # type: ignore[assignment]
        if token.type not in kinds:
            wanted = {"INT": "a number", "RATIO": "a share such as 1/3"}.get(kinds[0], kinds[0])
            source.say("S405", f"`{at}` is not {wanted}", at, f"its value is {token}")
            return None
        return token

    def num(self, tree: Node, env: Env, source: SpecSource) -> int | None:
        token = self.one(tokens(tree)[0], env, source, ("INT",))
        return int(token) if token is not None else None

    def ratio(self, tree: Node, env: Env, source: SpecSource) -> float:
        """Evaluate a share, 0 to 1. Errors: S202, S404, S405."""
        at = tokens(tree)[0]
        token = self.one(at, env, source, ("RATIO", "PERCENT", "INT"))
        if token is None:
            return 1.0
        text = str(token)
        if text.endswith("%"):
            share = int(text[:-1]) / 100
        else:
            above, _, below = text.partition("/")
            if below and int(below) == 0:
                source.say("S202", "the denominator of a share must not be 0", at, SHARES)
                return 1.0
            share = int(above) / int(below or 1)
        if share > 1:
            source.say("S202", f"a share of {text} is more than 1", at, SHARES)
        return share

    def margin(self, tree: Node, env: Env, source: SpecSource) -> dict[str, float | int]:
        """The fields of a block that `margin` sets. Errors: S106, S202, S404."""
        made: dict[str, float | int] = {}
        for atom in self.literals(trees(tree, "atom"), env, source):
            text = "".join(tokens(atom))
            if text.endswith("%") or "/" in text:
                share = self.ratio(atom, env, source)
                if share < CLEAR:
                    message = f"a margin of {text} is less than {CLEAR:.0%}, which is always kept"
                    source.say("S106", message, atom, "such as: margin 20%")
                made["clear"] = share
            elif re.fullmatch(r"[\d.]+s", text):
                made["apart"] = round(float(text[:-1]) * 1000)
            else:
                help = "give a share of a duration, or seconds: margin 20%, 0.5s"
                source.say("S106", f"invalid margin `{text}`", atom, help)
        return made

    def evidence(
        self, tree: Node, env: Env, source: SpecSource
    ) -> tuple[tuple[Literal["clips", "keyframes"], int], ...]:
        """What an `evidence` clause demands; nothing after an error (S106, S112, S202)."""
        number = self.num(trees(tree, "num")[0], env, source)
        if number is not None and number < 2:
            message = f"all evidence is in at least {number} of them"
            source.say("S106", message, tree, "write: evidence 2.. clips")
            return ()
        what = tokens(tree, "NAME")[0]
        match str(what):
            case "clips" | "keyframes" as named if number is not None:
                return ((named, number),)
            case "clips" | "keyframes":
                return ()
            case other:
                help = did_you_mean(other, ("clips", "keyframes")) or "write: evidence 2.. clips"
                source.say("S112", f"`evidence` counts no `{other}`", what, help)
                return ()

    def names(
        self, tokens: Iterable[Token], env: Env, source: SpecSource, known: Iterable[str]
    ) -> Iterator[tuple[Token, str | None, Token]]:
        """Replace names that are not in `known` by the values of constants.

        Yields (name, direction or None, token as written).
        """
        for token in tokens:
            atoms = None if str(token) in known else self.let(token, env, source)
            if atoms is None:
                yield token, None, token
                continue
            for atom in atoms:
                first, *more = (c for c in atom.children if isinstance(c, Token))
                way = next((str(c) for c in more if c.type == "WAY"), None)
                yield first, way, token

    def literals(
        self, atoms: list[Node], env: Env, source: SpecSource, depth: int = 0
    ) -> Iterator[Node]:
        """The atoms, with names replaced by their values."""
        for atom in atoms:
            token = atom.children[0]
            if isinstance(token, Token) and token.type == "NAME":
                inner = self.let(token, env, source) if depth < 9 else None
                if inner is None:
                    self.unknown(token, env, source)
                else:
                    yield from self.literals(inner, {}, source, depth + 1)
            else:
                yield atom

    def steps(self, tree: Node, env: Env, source: SpecSource) -> tuple[tuple[int, float], ...]:
        """Evaluate `steps` to (number of steps, weight). Errors: S201, S204, S205."""
        before = len(source.found)
        weights: dict[int, float] = {}
        weighed: set[bool] = set()
        for share in trees(tree, "share"):
            numbers = [self.num(n, env, source) for n in trees(share, "num")]
            if None in numbers:
                continue
            low, high = int(numbers[0] or 0), int(numbers[-1] or 0)
            if low < 1 or high < low:
                help = "ranges start at 1 or more, smaller number first: 1..3"
                source.say("S201", f"invalid number of steps {low}..{high}", share, help)
                continue
            ratios = trees(share, "ratio")
            weighed.add(bool(ratios))
            weight = self.ratio(ratios[0], env, source) if ratios else 1.0
            high = min(high, low + MOST_STEPS - 1)
            for n in range(low, high + 1):
                if n in weights:
                    source.say(
                        "S205", f"duplicate number of steps {n}", share, "name each number once"
                    )
                weights[n] = weight / (high - low + 1)
        if len(source.found) == before:
            self.add_up(
                sum(weights.values()), weighed, tree, source, "steps 1: 1/3, 2: 1/3, 3: 1/3"
            )
        return tuple(sorted(weights.items()))

    def shares(
        self,
        tree: Node,
        env: dict[str, Part],
        source: SpecSource,
        known: tuple[str, ...],
        code: str,
        what: str,
    ) -> tuple[Any, ...]:
        """Evaluate a list of names in `known` to (name, share)."""
        before = len(source.found)
        made: dict[str, float] = {}
        weighed: set[bool] = set()
        for each in trees(tree, "named"):
            token = tokens(each)[0]
            ratios = trees(each, "ratio")
            weighed.add(bool(ratios))
            if str(token) not in known:
                help = did_you_mean(str(token), known)
                source.say(code, f"unknown {what} `{token}`", token, help)
                continue
            if str(token) in made:
                source.say("S305", f"duplicate `{token}`", token, "keep one of them")
            made[str(token)] = self.ratio(ratios[0], env, source) if ratios else 1.0
        if len(source.found) == before:
            self.add_up(sum(made.values()), weighed, tree, source, f"{what} a: 1/2, b: 1/2")
        return tuple(made.items())

    def add_up(
        self, total: float, weighed: set[bool], tree: Node, source: SpecSource, help: str
    ) -> None:
        if weighed == {True} and abs(total - 1) > 0.005:
            source.say("S204", f"the shares add up to {total:.2f} instead of 1", tree, help)
        elif len(weighed) == 2:
            source.say("S204", "some items have a share and some have none", tree, help)
