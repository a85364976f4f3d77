"""What a model replied, and how to separate its answer from the rest of the reply.

A reply holds the model's reasoning, its answer, marks of its chat template, and how it ended. The
answer is what follows the reasoning; in JSON, the last complete value. A value whose outer bracket
never closes was cut off, and is no answer. All functions here take time linear in the reply's length.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple

import lark

from stepc.runtime.grammars import lalr_parser

REFUSED_WHOLLY = "refused"
"""The `finish` of replies to a request that a server refuses, perhaps with the meaning of the refusal."""
LONGEST = 65_536
"""Maximum characters of an answer that are read; a longer one is a runaway."""
DEEPEST = 64
"""Maximum depth of brackets."""


@dataclass(frozen=True)
class ModelReply:
    """One reply of a model, and how it ended."""

    text: str
    thought: str = ""
    """Reasoning that the server sent apart from the text."""
    finish: str = "stop"
    """Why the reply ended, as servers say it: `stop`, `length` (cut off), `content_filter`, …"""
    refusal: str = ""
    """The server's words if the model refused to answer."""

    def stored(self) -> str | dict[str, str]:
        """As JSON-compatible data; only the text if there is nothing else."""
        more = {k: v for k, v in vars(self).items() if v and (k, v) != ("finish", "stop")}
        return more if more.keys() - {"text"} else self.text

    @classmethod
    def load(cls, stored: Any) -> ModelReply:
        """Rebuild a reply from the result of `stored`. Raises ValueError for other data."""
        if isinstance(stored, str):
            return cls(stored)
        if not isinstance(stored, dict) or not all(isinstance(v, str) for v in stored.values()):
            raise ValueError("not a reply of a model")
        known = {k: v for k, v in stored.items() if k in cls.__dataclass_fields__}
        return cls(**{"text": "", **known})


class Parted(NamedTuple):
    """A text, divided into the reasoning and the answer."""

    thought: str
    answer: str
    """Empty if the reasoning never ended."""


_THOUGHT = r"(?:think|thinking|thought|reasoning)"
_OPEN = re.compile(
    rf"<(?:\w+:)?{_THOUGHT}>|<\|(?:begin_of_|start_)?{_THOUGHT}\|>|<\|im_start\|>think(?:ing)?\b"
    r"|\[THINK\]|◁think▷",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    rf"</(?:\w+:)?{_THOUGHT}>|<\|(?:end_of_|end_|/){_THOUGHT}\|>|<\|im_start\|>answer\b"
    r"|\[/THINK\]|◁/think▷",
    re.IGNORECASE,
)
_MARK = re.compile(r"<\|[\w/-]{1,40}\|>|</?s>|<[be]os>|<(?:start|end)_of_turn>|\[/?INST\]")
_FINAL = re.compile(r"<\|channel\|>\s*final\b[^<]{0,80}<\|message\|>")
_ANSWER_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)


def parted(text: str) -> Parted:
    """Divide a reply into reasoning and answer.

    Knows the tags and tokens of reasoning (also without their beginning, which some chat templates write
    themselves), `<answer>`, the channels of gpt-oss, and the special tokens of chat templates.
    """
    thought = ""
    if "<|channel|>" in text:
        last = _last(_FINAL, text)
        thought, text = (text[: last.start()], text[last.end() :]) if last else (text, "")
    elif text.startswith("analysis") and "assistantfinal" in text:  # the same without its tokens
        thought, _, text = text.rpartition("assistantfinal")
    else:
        close, begun = _last(_CLOSE, text), _OPEN.search(text)
        if close is not None:
            thought, text = text[: close.start()], text[close.end() :]
        elif begun is not None:
            thought, text = text[begun.end() :], text[: begun.start()]
        thought = _OPEN.sub("", thought)
    texts = [part for part in _MARK.split(text) if part.strip()]
    return Parted(_MARK.sub("", thought).strip(), _tagged(texts[0].strip()) if texts else "")


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for found in pattern.finditer(text):  # noqa: B007
        pass
    return found


def _tagged(text: str) -> str:
    """What stands in the last `<answer>`; the whole text without one."""
    start = end = None
    for tag in _ANSWER_TAG.finditer(text):
        if not tag[1]:
            start, end = tag.end(), None
        elif start is not None and end is None:
            end = tag.start()
    return text if start is None else text[start:end].strip()


def boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{…}`; None without one."""
    start = text.rfind(r"\boxed{")
    if start < 0:
        return None
    depth, begin = 1, start + 7
    for mark in re.finditer(r"[{}]", text[begin:]):
        depth += 1 if mark[0] == "{" else -1
        if not depth:
            return _plain(text[begin : begin + mark.start()])
    return _plain(text[begin:])


def _plain(text: str) -> str:
    r"""The text of `\text{…}` and the like."""
    within = re.fullmatch(r"\\(?:text|textbf|mathrm|mathbf|textit)\{([^{}]*)\}", text.strip())
    return (within[1] if within else text).strip()


# --- JSON --------------------------------------------------------------------------------


class CutOff(ValueError):
    """The reply ends inside a value, which begins at `start`."""

    def __init__(self, message: str, start: int = 0) -> None:
        super().__init__(message)
        self.start = start


_SPECIAL = re.compile(r"""[\[\]{}"'“‘]""")
_ENDS = {"“": "”", "‘": "’"}
_SPACE = " \t\r\n"


def last_json(text: str) -> Any:
    """The last complete JSON object or array in a text, within code fences or prose.

    Also reads what Python and JavaScript write. Raises CutOff if the text ends inside a value, and
    ValueError if there is none.
    """
    for value in all_json(text, backwards=True):
        return value
    raise ValueError("no JSON in the reply")


def all_json(text: str, backwards: bool = False) -> Iterator[Any]:
    """Yield the complete outermost JSON objects and arrays in a text. Raises CutOff."""
    spans = list(_spans(text))
    for start, end in reversed(spans) if backwards else spans:
        try:
            yield _value(text[start:end])
        except ValueError:  # brackets in prose
            continue


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each outermost pair of brackets starts and ends. Brackets in quotes do not count."""
    depth = start = at = 0
    while found := _SPECIAL.search(text, at):
        at, mark = found.end(), found[0]
        if mark in "[{":
            start = found.start() if not depth else start
            depth += 1
            if depth > DEEPEST:
                raise ValueError("brackets are nested too deep")
        elif mark in "]}":
            depth = max(0, depth - 1)
            if not depth and found.start() > start:
                yield start, at
                start = at
        elif depth and (mark == '"' or mark in _ENDS or _before(text, found.start()) in "[{(,:"):
            end = _quoted(text, at, _ENDS.get(mark, mark))
            if end < 0:
                raise CutOff("the reply ends inside a text", start)
            at = end
    if depth:
        raise CutOff("the reply ends inside a value", start)


def _before(text: str, at: int) -> str:
    """The last character before `at` that is no space."""
    at -= 1
    while at >= 0 and text[at] in _SPACE:
        at -= 1
    return text[at] if at >= 0 else ""


def _quoted(text: str, at: int, quote: str) -> int:
    """Where the quoted text that begins at `at` ends; -1 if it does not."""
    while True:
        end = text.find(quote, at)
        if end < 0:
            return -1
        back = end
        while back > at and text[back - 1] == "\\":
            back -= 1
        after = end + 1
        if (end - back) % 2 == 0:
            while after < len(text) and text[after] in _SPACE:
                after += 1
            if after == len(text) or text[after] in ",:]})/#" or quote in "”’":
                return end + 1
        at = end + 1


def _value(text: str) -> Any:
    """Parse one value. Raises ValueError."""
    try:
        return json.loads(text, strict=False, parse_constant=_no_number)
    except (ValueError, RecursionError):
        pass
    try:
        return _Values().transform(_parser().parse(text))
    except lark.exceptions.LarkError as error:
        raise ValueError("not JSON") from error


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


@functools.cache
def _parser() -> lark.Lark:
    grammar = (files("stepc.grammar") / "reply.lark").read_text("utf-8")
    return lalr_parser(grammar, lexer="basic")


_CONSTANTS = {"true": True, "false": False, "null": None, "none": None}


class _Values(lark.Transformer[Any, Any]):
    def key(self, tokens: list[lark.Token]) -> Any:
        """A text, a number, or a bare word."""
        (token,) = tokens
        if token.type == "NUMBER":
            return json.loads(token.lstrip("+"))
        if token.type == "WORD":
            word = token.strip()
            return _CONSTANTS.get(word.lower(), word)
        inner = token[1:-1]
        if token[0] == "'":
            inner = inner.replace("\\'", "'")
        inner = re.sub(r'(\\.)|"', lambda m: m[1] or '\\"', inner)
        try:
            return json.loads(f'"{inner}"', strict=False)
        except ValueError:
            return inner

    def pair(self, parts: list[Any]) -> tuple[str, Any]:
        """A key, as text, and its value."""
        return str(parts[0]), parts[1]

    def object(self, pairs: list[Any]) -> dict[str, Any]:
        """An object."""
        return dict(pair for pair in pairs if pair is not None)

    def array(self, values: list[Any]) -> list[Any]:
        """A list."""
        return [] if values == [None] else values
