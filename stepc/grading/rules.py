"""Rules that grade replies without a judge: each benchmark's official rule and a sound rule beside it.

A verdict of None means that the reply cannot be parsed. Verdicts are never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_uppercase

from stepc.grading.items import Item
from stepc.grading.reward import right, words


@dataclass(frozen=True)
class Grade:
    """Verdicts on one reply."""

    right: bool | None
    """Verdict of the sound rule."""
    official: bool | None
    """Verdict of the benchmark's official rule, quirks included; None if that rule asks a judge."""


_LETTER = re.compile(
    r"^\W*(?P<told>(?:the )?(?:best |right |correct )?(?:answer|option|choice)(?: is)?\W+)?"
    r"\(?(?P<letter>[A-Za-z])(?P<mark>[.:),]|\s|$)",
    re.IGNORECASE,
)


def chosen(reply: str, options: tuple[str, ...]) -> int | None:
    """Index of the option that a reply chooses; None if it chooses none or more than one.

    A reply chooses an option by its exact text, by a leading letter ("B", "(B)", "B. red", "The answer is
    B"), or by containing the words of only that option. A letter followed by another option's text is
    invalid.
    """
    said = words(reply)
    texts = [words(o) for o in options]
    if said in texts and texts.count(said) == 1:
        return texts.index(said)
    letter = _LETTER.match(reply.strip())
    if letter and letter["letter"].upper() in ascii_uppercase[: len(options)]:
        rest = words(reply.strip()[letter.end() :])
        named = ascii_uppercase.index(letter["letter"].upper())
        if not rest or rest == texts[named]:
            return named
        word = letter["letter"].islower() and not letter["mark"].strip()  # "The answer is a cup"
        if (letter["told"] and not (word and rest)) or (
            letter["mark"].strip() and letter["letter"].isupper()
        ):
            return None if rest in texts else named
    held = [i for i, text in enumerate(texts) if text and _within(text, said)]
    widest = [i for i in held if not any(_within(texts[i], texts[j]) for j in held if j != i)]
    return widest[0] if len(widest) == 1 else None


def _within(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


def _choice(reply: str, item: Item) -> bool | None:
    taken = chosen(reply, item.options)
    return None if taken is None else item.options[taken] == item.answer


def match(reply: str, item: Item) -> Grade:
    """Open-ended questions: exact match with an accepted answer, ignoring punctuation, case and articles."""
    verdict = right(reply, item.answers)
    return Grade(verdict, verdict)


def choice(reply: str, item: Item) -> Grade:
    """Multiple choice (STAR). The official score is accuracy: an unparsable reply counts as wrong."""
    verdict = _choice(reply, item)
    return Grade(verdict, bool(verdict))


def mvbench(reply: str, item: Item) -> Grade:
    """MVBench (Ask-Anything, video_chat2/mvbench.ipynb, `check_ans`).

    Officially right if the first word, without dots, is a substring of the gold letter in parentheses or
    contains it. An empty first word and a lone parenthesis therefore count as right.
    """
    gold = f"({ascii_uppercase[item.options.index(item.answer)].lower()})"
    first = reply.strip().split("\n")[0].lower().split(" ")[0].replace(".", "")
    return Grade(_choice(reply, item), first in gold or gold in first)


def mlvu(reply: str, item: Item) -> Grade:
    """MLVU (videochat2/choice_bench.py): officially right if the gold letter precedes the first `)`."""
    gold = ascii_uppercase[item.options.index(item.answer)]
    return Grade(_choice(reply, item), reply.strip().lstrip("(").split(")")[0].strip() == gold)


def letters(reply: str, item: Item) -> Grade:
    """TempCompass, multiple choice (eval_multi-choice.py).

    The official rule accepts the verbatim answer, a lone letter, or a leading letter followed by `.` or `)`.
    All other replies go to a judge.
    """
    said = reply.replace("</s>", "")
    gold = item.answer[0]
    official: bool | None = None
    if said == item.answer:
        official = True
    elif said in ("A", "B", "C", "D"):
        official = said == gold
    elif re.match(r"[ABCD][.)]", said):
        official = said[0] == gold
    options = tuple(option.split(". ", 1)[-1] for option in item.options)
    taken = chosen(said, options)
    return Grade(None if taken is None else item.options[taken] == item.answer, official)


def yes_no(reply: str, item: Item) -> Grade:
    """TempCompass, yes or no (eval_yes_no.py).

    The official rule looks at the prefix of the reply, so `nothing` counts as no.
    """
    said = reply.replace("</s>", "").lower()
    official = None
    for word in ("yes", "no"):
        if said.startswith(word):
            official = word == item.answer
            break
    first = words(said)[:1]
    return Grade(first[0] == item.answer if first in (("yes",), ("no",)) else None, official)


def caption(reply: str, item: Item) -> Grade:
    """TempCompass, caption matching (eval_caption_matching.py).

    The official rule accepts a verbatim option, its sentence alone, or its name alone. All other replies go
    to a judge.
    """
    said = reply.replace("</s>", "").strip()
    names, sentences = zip(*(o.split(": ", 1) for o in item.options), strict=True)
    taken: int | None = None
    for i, option in enumerate(item.options):
        if (
            said == option
            or sentences[i] in (said, said.split(") ")[-1])
            or names[i] in (said, said.replace(".", ""))
        ):
            taken = i
    official = None if taken is None else item.options[taken] == item.answer
    if taken is None:
        mentioned = [i for i, name in enumerate(names) if _within(words(name), words(said))]
        taken = mentioned[0] if len(mentioned) == 1 else chosen(said, sentences)
    return Grade(None if taken is None else item.options[taken] == item.answer, official)


RULES: dict[str, Callable[[str, Item], Grade]] = {
    rule.__name__: rule for rule in (match, choice, mvbench, mlvu, letters, yes_no, caption)
}
"""Rules that need no judge, by name."""
JUDGED = ("judge", "captioning", "points", "summary")
"""Names of rules that need a judge. `judge` falls back to `match` if there is no judge."""
