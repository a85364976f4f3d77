"""Replays the programs of STAR's questions with stepc's solver on graphs of their own situations.

    python benchmarks/star.py FILE.json STAR_classes

FILE has questions as STAR publishes them, with `situations`, `question_program` and `choices`; STAR_classes is the
folder with `action_classes.txt`, `action_mapping.txt` and `verb_classes.txt`. For each choice, the program becomes a
query, which the solver proves or does not. The answers should be those of STAR. They differ where STAR takes the first
of several actions, or an order that overlapping times do not tell; the table at the end counts why.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepc.annotations.formats.star import OBJECTS, READER, actions_in
from stepc.annotations.reader import Videos
from stepc.annotations.words import names, predicate
from stepc.ir import types as t
from stepc.ir.verify import verify
from stepc.ops.exists import Exists
from stepc.ops.fact import Fact
from stepc.ops.later import LaterMoment
from stepc.ops.the import The
from stepc.proof.facts import Facts, facts
from stepc.proof.solver import NoAnswer, NotKnown, answers

PERSON = The(variable="a", label="person")


@dataclass(frozen=True)
class Action:
    """A verb with its object, and the words of the motions that show it."""

    verb: str
    object: str
    words: tuple[str, ...]


class Classes:
    """STAR's actions, by their verbs and objects."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / "verb_classes.txt").read_text("utf-8").split("\n")
        verbs = dict(line.split() for line in lines if line.strip())
        self.words = actions_in(folder)
        said: dict[tuple[str, str], list[str]] = {}
        for line in (folder / "action_mapping.txt").read_text("utf-8").split("\n"):
            if line.strip():
                code, verb, object_ = line.split()
                key = verbs[verb], OBJECTS[int(object_[1:])]
                said.setdefault(key, []).append(self.words[code])
        self.actions = [Action(verb, thing, tuple(w)) for (verb, thing), w in said.items()]

    def of(self, verb: str = "", thing: str = "") -> list[Action]:
        """The actions with this verb and this object; "" is any."""
        return [a for a in self.actions if verb in ("", a.verb) and thing in ("", a.object)]


@dataclass(frozen=True)
class Program:
    """What a program asks for, as far as a graph can say it."""

    asks: str
    """Objs, Verbs or Actions"""
    verb: str = ""
    """The verb of the action that is asked for, if it is given."""
    object: str = ""
    anchor: tuple[str, str] = ("", "")
    """Verb and object of an action that is before or after it."""
    order: str = ""
    """`after` or `before` the anchor; `next` after the first action."""
    pick: str = ""
    """`first` or `last` of several"""
    relations: tuple[tuple[str, str], ...] = ()
    """What holds meanwhile: relation and object."""
    other: tuple[str, str] | None = None
    """Verb and object of actions; the first one does not count."""


def read(steps: list[tuple[str, list[str]]]) -> Program:
    """Read a program: functions with their values. Raises ValueError if it asks for what no graph says."""
    stack: list[dict[str, Any]] = []
    for function, values in steps:
        match function:
            case "Situations":
                stack.append({"relations": []})
            case "Filter_Situations_with_Rel":
                stack[-1]["relations"].append((values[0], ""))
            case "Filter_Situations_with_Obj":
                stack[-1]["relations"][-1] = (stack[-1]["relations"][-1][0], values[0])
            case "Filter_Actions_with_Verb":
                stack[-1]["verb"] = values[0]
            case "Filter_Actions_with_Obj":
                stack[-1]["object"] = values[0]
            case "Filter_After_Actions" | "Filter_Before_Actions":
                anchor, order = stack.pop(), function.split("_")[1].lower()
                first = anchor.get("pick") and not anchor.get("verb")
                stack[-1]["order"] = "next" if first else order
                stack[-1]["anchor"] = anchor.get("verb", ""), anchor.get("object", "")
            case "Query_Earliest_Action" | "Query_Latest_Action":
                stack[-1]["pick"] = "first" if "Earliest" in function else "last"
            case "Except":
                gone = stack.pop()
                stack[-1]["other"] = gone.get("verb", ""), gone.get("object", "")
            case "Union":
                stack[-2]["relations"] += stack.pop()["relations"]
            case "Query_Objs" | "Query_Verbs" | "Query_Actions":
                stack[-1]["asks"] = function.split("_")[1]
            case "Actions" | "Unique" | "Equal" | "Belong_to":
                pass
            case _:
                raise ValueError(function)
    (made,) = stack
    return Program(**{**made, "relations": tuple(made["relations"])})


def queries(program: Program, meant: Action, classes: Classes) -> list[t.Query]:
    """What must be provable for one of the actions that a choice means."""
    made: list[t.Query] = []
    anchors = (
        [w for a in classes.of(*program.anchor) for w in a.words] if program.anchor[0] else [""]
    )
    for words in meant.words:
        there: list[t.Op] = [PERSON]
        meanwhile: list[t.Op] = []
        for n, (relation, thing) in enumerate(program.relations):
            there.append(The(variable="bcd"[n], label=names(thing)[0]))
            meanwhile.append(Fact(near="a", edge="rel", word=predicate(relation), far="bcd"[n]))
        does = [*meanwhile, Fact(near="a", edge="motion", word="", value=words)]
        for anchor in anchors:
            other: list[t.Op] = [Fact(near="a", edge="motion", word="", value=anchor)]
            later = [LaterMoment()]
            order = {"after": [*other, *later, *does], "before": [*does, *later, *other]}
            made.append((*there, *order.get(program.order, does), Exists()))
    return made


def proved(query: t.Query, known: Facts) -> bool | None:
    """Whether a fact is proved; None if the graph does not tell."""
    try:
        return answers(query, known) == ("yes",)
    except (NoAnswer, NotKnown):
        return None


def replay(row: dict[str, Any], classes: Classes) -> str:
    """How the answer that the solver proves compares with STAR's."""
    try:
        program = read([(f["function"], f["value_input"]) for f in row["question_program"]])
    except ValueError as error:
        return f"left out: no graph says `{error}`"
    unit = READER.scene(row["video_id"], [row], Videos(None), classes.words).unit()
    assert isinstance(unit, t.Stsg) and verify(unit) == []
    known = facts(unit)
    order = [m.motion for m in sorted(unit.motions, key=lambda m: (m.start, m.end))]
    true, open_ = [], False
    for choice in row["choices"]:
        value = choice["choice_program"][-1]["value_input"]
        parts = value if len(value) == 2 else value[:1]
        verb, thing = {"Objs": (program.verb, parts[-1]), "Verbs": (parts[0], program.object)}.get(
            program.asks, (parts[0], parts[-1])
        )
        said = [
            proved(q, known) for a in classes.of(verb, thing) for q in queries(program, a, classes)
        ]
        if program.order == "next" or program.other is not None:
            these = [w for w in order if w in _words(classes, *(program.other or ("", "")))]
            said = [x and these[:1] != [w] for x in said for w in _words(classes, verb, thing)[:1]]
        open_ |= None in said
        if True in said:
            true.append((choice["choice"], _words(classes, verb, thing)))
    if len(true) > 1 and program.pick:
        ranked = sorted(true, key=lambda c: min(order.index(w) for w in c[1] if w in order))
        true = [ranked[0] if program.pick == "first" else ranked[-1]]
    found = [choice for choice, _ in true]
    if found == [row["answer"]]:
        return "same"
    if row["answer"] in found:
        return "several are true"
    if not found:
        return (
            "not proved: the times overlap, or the action is seen once"
            if not open_
            else "not known"
        )
    return "another is proved"


def _words(classes: Classes, verb: str, thing: str) -> list[str]:
    return [w for a in classes.of(verb, thing) for w in a.words]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("questions", type=Path)
    parser.add_argument("classes", type=Path)
    asked = parser.parse_args()
    data = json.loads(asked.questions.read_text("utf-8"))
    classes = Classes(asked.classes)
    told: dict[str, Counter[str]] = {}
    for row in data if isinstance(data, list) else [data]:
        kind = row["question_id"].split("_")[0]
        result = replay(row, classes)
        told.setdefault(kind, Counter())[result] += 1
        if result != "same":
            print(
                f"{row['question_id']}: {result}: {row['question']} {row['answer']}",
                file=sys.stderr,
            )
    for kind, counts in sorted(told.items()):
        print(f"{kind:12}", ", ".join(f"{n} {what}" for what, n in counts.most_common()))


if __name__ == "__main__":
    main()
