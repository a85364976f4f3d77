"""Resolves and checks the `pattern` blocks of a spec: questions about several facts at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lark import Token

from stepc.diagnostics import did_you_mean
from stepc.lang.conditions import Condition
from stepc.lang.schema import OBJECT_PARTS
from stepc.lang.symbols import Node, Part, tokens, trees
from stepc.lang.text_templates import Allowed, Wordings
from stepc.lang.types import Block, Pattern, PatternFact, Phrase, Placeholder, Wording
from stepc.lang.values import Values

EDGE_KINDS = ("attr", "rel", "motion")
"""Edge kinds that a fact of a pattern may be."""
LINES = ("ask", "total")
MOST = 26
"""Maximum number of variables."""
Test = Callable[[str, Part, Node], Condition | None]
"""Resolves a condition: (edge kind, declaration with the sides of its names, tree)."""


class PatternBlocks:
    """Builds the blocks of `pattern` declarations."""

    def __init__(self, values: Values, words: Wordings, test: Test) -> None:
        self.values, self.words, self.test = values, words, test

    def block(self, name: str, part: Part) -> Block | None:
        """The block of a pattern; None after an error."""
        source, tree = part.source, part.tree
        before = len(source.found)
        facts = self.facts(part)
        fields: dict[str, Any] = {"name": name, "count": 4, "pattern": None}
        times: list[tuple[str, float]] = []
        for clause in (c for c in tree.children if isinstance(c, type(tree))):
            match str(clause.data):
                case "count":
                    fields["count"] = self.values.num(trees(clause, "num")[0], {}, source) or 1
                case "seed" | "deny":
                    word = str(clause.data)
                    fields[word] = self.values.num(trees(clause, "num")[0], {}, source) or 0
                case "margin":
                    fields |= self.values.margin(clause, {}, source)
                case "evidence":
                    more = self.values.evidence(clause, {}, source)
                    fields["evidence"] = (*fields.get("evidence", ()), *more)
                case "when":
                    ratio = self.values.ratio(trees(clause, "ratio")[0], {}, source)
                    times.append((str(tokens(clause)[0]), ratio))
                case "require":
                    fields["confidence"] = self.values.ratio(trees(clause, "ratio")[0], {}, source)
        for when, _ in times:
            if when in ("before", "after"):
                message = f"a pattern takes no `{when}`"
                source.say(
                    "S324", message, tree.children[0], "say it by facts: where … then where …"
                )
        head = next(t for t in tokens(tree) if t.type == "NAME")
        if any(w == "moment" for w, _ in times) and (
            any(f.moment for f in facts)
            or any(tokens(x, "PICK") for x in trees(tree, "target", "either"))
        ):
            message = "what holds at one moment has no order"
            source.say("S324", message, head, "remove `moment`, or what says an order")
        made = self.pattern(part, head, facts) if facts else None
        if not facts and len(source.found) == before:
            source.say("S324", "the pattern has no fact", head, "such as: where s rel(r) => o")
        if made is None or len(source.found) > before:
            return None
        return Block.model_construct(
            **{**Block().__dict__, **fields, "time": tuple(times), "pattern": made,
               "steps": ((len(made.clauses), 1.0),)}
        )  # fmt: skip

    # --- facts ---------------------------------------------------------------------------

    def facts(self, part: Part) -> list[PatternFact]:
        """The facts in their order; those after `then` are of a later moment."""
        made: list[PatternFact] = []
        moment = 0
        for clause in trees(part.tree, "where", "then"):
            moment += clause.data == "then"
            either = bool(tokens(clause, "OR"))
            for number, tree in enumerate(trees(clause, "fact")):
                fact = self.fact(part, tree, moment)
                if fact is not None and either and fact.negated:
                    message = "a fact with `not` cannot stand beside `or`"
                    part.source.say("S324", message, tree, "write it on a `where` of its own")
                if fact is not None:
                    made.append(fact.model_copy(update={"alternative": either and number > 0}))
        return made

    def fact(self, part: Part, tree: Node, moment: int) -> PatternFact | None:
        source = part.source
        near, kind = (t for t in tokens(tree, "NAME"))
        way = tokens(tree, "WAY")[0]
        if str(kind) not in EDGE_KINDS:
            help = did_you_mean(str(kind), EDGE_KINDS)
            source.say("S101", f"a fact of a pattern cannot be `{kind}`", kind, help)
            return None
        if str(way) != "=>":
            source.say("S110", f"a fact is written from its near end: {near} {kind} => …", way)
            return None
        fields: dict[str, Any] = {"edge": str(kind), "near": str(near), "moment": moment}
        fields["negated"] = bool(tokens(tree, "NOT"))
        for link in (tokens(x)[0] for x in trees(tree, "link")):
            if str(kind) == "motion":
                source.say("S324", "a motion has nothing in parentheses", link, "remove it")
                return None
            if link.type == "STRING":
                fields["word"] = source.string(link)
            else:
                fields["link"] = str(link)
        end = tokens(trees(tree, "end")[0])[0]
        if end.type == "STRING" and str(kind) == "rel":
            help = f'name it, and test it in the head: if o "{source.string(end)}"'
            source.say("S324", "an object of a pattern is a variable, not a word", end, help)
            return None
        fields["value" if end.type == "STRING" else "far"] = (
            source.string(end) if end.type == "STRING" else str(end)
        )
        if str(kind) == "motion":
            fields["word"] = ""
        elif "word" not in fields and "link" not in fields:
            fields["link"] = f"{near} {kind} {end}"  # it has no name, so no text can say it
        return PatternFact.model_validate(fields)

    # --- the whole -----------------------------------------------------------------------

    def pattern(self, part: Part, head: Token, facts: list[PatternFact]) -> Pattern | None:
        """The pattern with its wordings; None after an error."""
        source = part.source
        result = trees(part.tree, "target", "either", "number", "exists")
        if len(result) != 1:
            message = "a pattern needs one of `find`, `either`, `count` and `exists`"
            source.say("S324", message, result[1] if result else head, "such as: find o")
            return None
        names = tokens(result[0], "NAME")
        fields = self.asked(part, facts, result[0])
        if fields is None:
            return None
        made = Pattern.model_validate(fields)
        if not self.joined(part, head, made, names):
            return None
        lines: dict[str, Part] = {}
        for line in trees(part.tree, "line"):
            word = tokens(line)[0]
            if str(word) not in LINES:
                source.say(
                    "S107",
                    f"unknown line `{word}` in `pattern`",
                    word,
                    did_you_mean(str(word), LINES),
                )
            elif str(word) in lines:
                help = "separate alternative wordings by |"
                notes = [source.note(lines[str(word)].tree, "the first one")]
                source.say("S305", f"duplicate `{word}`", word, help, notes=notes)
            else:
                lines[str(word)] = Part(source, line)
        counts = made.result in ("count", "compare")
        needed = ("ask", "total") if counts else ("ask",)
        for missing in (x for x in needed if x not in lines):
            source.say("S314", f"`pattern` has no `{missing}`", head, f'add a line: {missing} "…"')
            return None
        allowed = self.placeholders(made)
        ask = self.words.wordings(lines["ask"], trees(lines["ask"].tree, "wordings")[0], allowed)
        fields["ask"] = ask
        if "total" in lines:
            number: Allowed = {("n", ""): "n"}
            tree = trees(lines["total"].tree, "wordings")[0]
            fields["total"] = self.words.wordings(lines["total"], tree, number)
        fields["conditions"] = tuple(self.conditions(part, made))
        whole = self.said(lines["ask"], Pattern.model_validate(fields))
        checks = (self.bound, self.apart, self.alike)
        if whole is None or not all(check(part, head, whole) for check in checks):
            return None
        return whole

    def asked(self, part: Part, facts: list[PatternFact], tree: Node) -> dict[str, Any] | None:
        """The fields of what a pattern asks for; None after an error (S324)."""
        source = part.source
        kinds = {"target": "find", "either": "find", "number": "count", "exists": "exists"}
        names = tokens(tree, "NAME")
        fields: dict[str, Any] = {"facts": tuple(facts), "result": kinds[str(tree.data)]}
        fields["target"] = str(names[0]) if names else ""
        if len(names) > 1:
            how = "".join(tokens(tree, "MORE"))
            fields |= {"result": "compare", "other": str(names[1])}
            fields["more"] = {">": "more", "<": "fewer"}.get(how, "equal")
        fields["pick"] = "".join(tokens(tree, "PICK"))
        fields["offer"] = tree.data == "either"
        if fields["pick"] in ("second", "third") and any(f.moment for f in facts):
            pick = tokens(tree, "PICK")[0]
            message = f"`{pick}` does not go with `then`"
            source.say("S324", message, pick, "find first or find last")
            return None
        said = tokens(tree, "STRING")
        return fields if not said or self.otherwise(part, facts, said[0], fields) else None

    @staticmethod
    def otherwise(
        part: Part, facts: list[PatternFact], said: Token, fields: dict[str, Any]
    ) -> bool:
        """Add what the answer is if the facts hold of nothing; False after an error (S324)."""
        text = part.source.string(said)
        fields["otherwise"] = text
        message = ""
        if fields["pick"]:
            message = f"`{fields['pick']}` does not go with `or`"
        elif any(f.moment for f in facts):
            message = "`then` does not go with `or`: nobody knows that this never happens"
        elif not text.strip():
            message = "the answer after `or` is empty"
        if message:
            part.source.say("S324", message, said, 'such as: find o or "nothing"')
        return not message

    @staticmethod
    def apart(part: Part, head: Token, made: Pattern) -> bool:
        """Whether each fact is about what one of two counts counts (S324)."""
        about = [fact for each in made.parts for fact in each.facts]
        if made.result == "compare" and sorted(map(made.facts.index, about)) != [
            *range(len(made.facts))
        ]:
            message = f"each fact must be about either `{made.target}` or `{made.other}`"
            help = "they may share objects that `ask` says, and kinds of attributes"
            part.source.say("S324", message, head, help)
            return False
        return True

    def joined(self, part: Part, head: Token, made: Pattern, targets: list[Token]) -> bool:
        """Whether the variables of the facts fit together, and the targets are among them (S324)."""
        ends = made.ends
        for target in (x for x in targets if str(x) not in ends):
            help = did_you_mean(str(target), ends)
            part.source.say("S324", f"no fact has the variable `{target}`", target, help)
            return False
        if len(ends) > MOST:
            part.source.say("S324", f"a pattern has at most {MOST} variables", head)
            return False
        sorts: dict[str, bool] = {}
        for fact in made.facts:
            for end, is_object in ((fact.near, True), (fact.far, fact.edge == "rel")):
                if end and sorts.setdefault(end, is_object) != is_object:
                    message = f"`{end}` is an object in one fact and a value in another"
                    part.source.say("S324", message, head, "rename one of them")
                    return False
        for fact in made.facts:
            if fact.link in ends:
                message = f"`{fact.link}` is an end of a fact, and what joins the ends of another"
                part.source.say("S324", message, head, "rename one of them")
                return False
        return True

    @staticmethod
    def bound(part: Part, head: Token, made: Pattern) -> bool:
        """Whether each end of a `not` is in a fact before it, or is an object that is said (S324)."""
        seen = {x for x in made.said if x in made.ends and made.is_object(x)}
        for fact in made.facts:
            mine = {x for x in (fact.near, fact.far) if x}
            if fact.negated and not mine <= seen:
                message = (
                    "the ends of a fact with `not` must be in a fact before it, or said by `ask`"
                )
                part.source.say("S324", message, head, "write it last")
                return False
            seen |= mine
        return True

    @staticmethod
    def alike(part: Part, head: Token, made: Pattern) -> bool:
        """Whether facts that may hold in place of each other are about the same open variables (S324)."""
        known = set(made.said)
        for clause in made.clauses:
            each = [{f.near, f.far} - known - {""} for f in clause]
            if any(x != each[0] for x in each):
                message = "facts with `or` between them must be about the same variables"
                help = "they may have different ones that `ask` says"
                part.source.say("S324", message, head, help)
                return False
            known |= each[0]
        return True

    def placeholders(self, made: Pattern) -> Allowed:
        """The placeholders of `ask`: (name, part) → what it stands for."""
        allowed: Allowed = {}
        for fact in made.facts:
            if fact.link and " " not in fact.link:
                allowed[fact.link, ""] = fact.link
        for end in made.ends:
            allowed[end, ""] = end
            if made.is_object(end):
                allowed |= dict.fromkeys(((end, p) for p in OBJECT_PARTS), end)
            elif made.ends[end].edge == "attr":
                allowed[end, "kind"] = end
        if made.offer:
            allowed["either", ""] = "either"
        for target in filter(None, (made.target, made.other)):
            allowed[target, ""] = f"!S311 `ask` reveals its answer `{target}`"
        return allowed

    def said(self, ask: Part, made: Pattern) -> Pattern | None:
        """The pattern with what its wordings say: all of them the same (S324)."""
        each = [{*_said(w)} for w in made.ask]
        if any(x != each[0] for x in each):
            message = "the wordings of `ask` do not say the same variables"
            ask.source.say(
                "S324", message, tokens(ask.tree)[0], "each must say all, or write two patterns"
            )
            return None
        names = {name for name, part in each[0] if not part} - {"either"}
        if made.offer and not all(("either", "") in x for x in each):
            message = "`ask` does not say {either}, the answer and something else"
            ask.source.say("S324", message, tokens(ask.tree)[0], "such as: Is it {either}?")
            return None
        kinds = {name for name, part in each[0] if part == "kind"}
        for fact in made.facts:
            told = fact.word is not None or fact.link in names or fact.far in kinds
            if not told and (fact.edge == "rel" or (fact.far not in names and fact.value is None)):
                what = "predicate" if fact.edge == "rel" else "kind of attribute"
                message = f"`ask` does not say the {what} between `{fact.near}` and `{fact.far}`"
                help = (
                    f"name it in the fact, {fact.near} {fact.edge}(r) => {fact.far}, and say {{r}}"
                )
                ask.source.say("S324", message, tokens(ask.tree)[0], help)
                return None
        return made.model_copy(update={"said": frozenset(names)})

    def conditions(self, part: Part, made: Pattern) -> Iterator[tuple[str, Condition]]:
        """The conditions of the head, each with the variable that it tests."""
        for tree in (
            c for each in trees(part.tree, "conditions") for c in trees(each, "condition")
        ):
            name = str(tokens(tree)[0])
            fact = next((f for f in made.facts if name in f.variables()), None)
            if fact is None:
                known = [x for f in made.facts for x in f.variables() if " " not in x]
                help = did_you_mean(name, known)
                part.source.say("S321", f"no fact has the variable `{name}`", tokens(tree)[0], help)
                continue
            side = "edge" if name == fact.link else "near" if name == fact.near else "far"
            if side == "edge" and fact.edge == "attr":
                message = f"`{name}` is a kind: test it as {fact.far}.kind"
                part.source.say("S321", message, tokens(tree)[0], 'such as: v.kind "color"')
                continue
            tested = self.test(fact.edge, Part(part.source, tree, {name: side}), tree)
            if tested is not None:
                yield name, tested


def _said(wording: Wording | Phrase) -> Iterator[tuple[str, str]]:
    """(variable, part) of all placeholders that say something of a variable."""
    if isinstance(wording, Phrase):
        every = [{*_said(o)} for o in wording.options]
        yield from set.intersection(*every) if every else ()
        return
    for part in wording.parts:
        if isinstance(part, Phrase):
            yield from _said(part)
        elif isinstance(part, Placeholder) and part.field in ("", "kind") and not _verb(part):
            yield part.name, part.field


def _verb(part: Placeholder) -> bool:
    """Whether a placeholder is only the verb that agrees with its variable."""
    return any(f in ("is", "has", "does", "was") for f in part.filters)
