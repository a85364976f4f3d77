"""Reads replies: turns what a model wrote into the typed answer of a request, or says why it cannot.

A reply that was cut off, is empty or cannot be parsed is a failure: it counts, is not cached, and is
asked again by the next run. Words such as "none" or "cannot determine" are an answer that states no
fact.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import repeat
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from stepc.ir.words import predicate_form
from stepc.model.reply import (
    LONGEST,
    REFUSED_WHOLLY,
    CutOff,
    ModelReply,
    all_json,
    last_json,
    parted,
)
from stepc.model.requests import (
    Answer,
    Answers,
    Explain,
    Question,
    Relate,
    Request,
    Reworded,
    Several,
    yes_no,
)

EMPTY, CUT_OFF, FILTERED, UNREADABLE, TOO_LONG, NOTHING, ONLY_THOUGHT, REFUSED = (
    "empty", "cut off", "refused", "unreadable", "too long", "no answer",
    "reasoning without an answer", "refused by the server",
)  # fmt: skip
"""Why a reply has no answer. All but NOTHING are failures, which may go better the next time."""
TOO_LONG_A_PROMPT, TOO_MANY_PICTURES = (
    "more tokens than the server takes", "more pictures than the server takes",
)  # fmt: skip
MEANT = {"filter": FILTERED, "length": TOO_LONG_A_PROMPT, "pictures": TOO_MANY_PICTURES}
"""Why a reply has no answer, by the meaning of the server's refusal (`Refusal.meaning`)."""


@dataclass(frozen=True)
class ReadReply:
    """A reply as read."""

    answer: Answer | None
    why: str = ""
    """Why there is no answer; empty if there is one."""

    @property
    def failed(self) -> bool:
        """Whether the reply must not be kept as an answer."""
        return self.answer is None and self.why != NOTHING


class StatesNothing(ValueError):
    """The model says that it has no answer."""


def read_reply(request: Request, form: str, reply: ModelReply, asked: str = "") -> ReadReply:
    """Read a reply to a request whose template asks for the form `json`, `words` or `thought`.

    `asked` is the instruction; paragraphs of it that the model repeats are not its answer.
    """
    thought, text = parted(reply.text)
    text = _without(text, asked)
    cut = reply.finish == "length"
    if reply.refusal or reply.finish == "content_filter":
        return ReadReply(None, _refused(reply))
    if not text and not cut and reply.thought and not thought:
        return ReadReply(None, ONLY_THOUGHT)
    if not text:
        return ReadReply(None, CUT_OFF if cut or thought else EMPTY)
    if len(text) > LONGEST:
        return ReadReply(None, TOO_LONG)
    if cut and form != "json" and not isinstance(request, Question):
        # words that end in the middle may mean something else
        return ReadReply(None, CUT_OFF)
    if isinstance(request, Explain) and (thought or reply.thought):
        marked = "answer:" in text.lower()
        text = f"{thought or reply.thought}\n{'' if marked else 'Answer: '}{text}"
    try:
        return ReadReply(_answer(request, form, text, cut))
    except CutOff:
        return ReadReply(None, CUT_OFF)
    except StatesNothing:
        return ReadReply(None, NOTHING)
    except (ValueError, ValidationError):
        return ReadReply(None, CUT_OFF if cut else UNREADABLE)


def _refused(reply: ModelReply) -> str:
    """Why a reply was refused, as far as the server tells."""
    whole, _, meaning = reply.finish.partition(": ")
    return MEANT.get(meaning, REFUSED) if whole == REFUSED_WHOLLY else FILTERED


def _without(text: str, asked: str) -> str:
    """`text` without the instruction, or paragraphs of it, if it repeats them."""
    if asked:
        text = text.replace(asked.strip(), "")
    for paragraph in asked.split("\n\n"):
        if len(paragraph) > 20:
            text = text.replace(paragraph.strip(), "")
    return text.strip()


def _answer(request: Request, form: str, text: str, cut: bool) -> Answer:
    """Parse an answer. Raises ValueError, CutOff, StatesNothing and ValidationError."""
    if isinstance(request, Several):
        return _several(request, form, text, cut)
    if form == "thought":
        text = text.rpartition(":")[2]
    if form != "json":
        return fitted(request, request.words(text))
    data = _last_fitting(request, text)
    if data is None:
        if cut:
            raise CutOff("words that are cut off may mean something else")
        data = _prose(request, text)
    return fitted(request, data)


def _last_fitting(request: Request, text: str) -> Any:
    """The last JSON object that has a field of the answer, or else the last JSON value; None without one.

    Brackets in prose after the answer are not the answer. Raises CutOff if the text ends inside a value,
    unless the answer stands whole before it and the torn value is none.
    """
    values: list[Any] = []
    torn: CutOff | None = None
    try:
        values.extend(all_json(text))
    except CutOff as error:
        torn = error
        with contextlib.suppress(ValueError):
            values.extend(all_json(text[: error.start]))
    names = set(request.answer.model_fields)
    again = torn is not None and any(name in text[torn.start :].lower() for name in names)
    for value in reversed(values if not again else []):
        if isinstance(value, dict) and {str(k).strip().lower() for k in value} & names:
            return value
    if torn is not None:
        raise torn
    return values[-1] if values else None


def _prose(request: Request, text: str) -> Any:
    """The answer in a reply without JSON: yes or no, one of the words asked for, or a list.

    Raises ValueError if the reply is something else.
    """
    if request.states_facts and is_null(text):
        raise StatesNothing
    text = text.strip().strip("*`\"'").strip()
    fields = request.answer.model_fields
    if "yes" in fields or "kind" in fields:
        return request.words(text.replace("*", " "))
    if list(fields) in (["objects"], ["predicates"]):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        marked = [m[1] for line in lines if (m := _BULLET.match(line))]
        if marked and len(marked) == len(lines):
            return {next(iter(fields)): [item.strip(" .*") for item in marked]}
        items = [item.strip(" .") for item in text.split(",")]
        if len(lines) == 1 and len(items) > 1 and all(map(_is_phrase, items)):
            return {next(iter(fields)): items}
    raise ValueError("no JSON in the reply")


_SENTENCE = re.compile(
    r"\b(?:i|there|they|it|we|you|no|not|none|are|is|see|visible)\b", re.IGNORECASE
)


def _is_phrase(text: str) -> bool:
    """Whether a text of prose is a short phrase, and no part of a sentence."""
    return 0 < len(text.split()) <= 3 and _SENTENCE.search(text) is None


_BULLET = re.compile(r"(?:[-*•]|\d{1,3}[.)])\s+(.*)")


# --- several answers in one reply ------------------------------------------------------------


def _several(request: Several, form: str, text: str, cut: bool) -> Answers:
    """Parse the answers, None for each that is unreadable. Raises ValueError if they do not match."""
    if form != "json":
        texts = text.strip(" .|").split("|")
        if len(texts) != len(request.items):
            raise ValueError("the reply does not hold one answer per question")
        if request.items[0].answer is not Reworded:  # the answer follows `subject:`
            texts = [part.rpartition(":")[2] for part in texts]
        return Answers(items=tuple(map(_item, request.items, texts, repeat(True))))
    names = set(request.items[0].answer.model_fields)
    found = _by_number(text, len(request.items), names, cut)
    if not found.keys() <= set(range(1, len(request.items) + 1)):
        raise ValueError("the answers have other numbers than the questions")
    return Answers(
        items=tuple(
            _item(item, found[n], False) if n in found else None
            for n, item in enumerate(request.items, 1)
        )
    )


def _item(request: Request, data: Any, words: bool) -> Answer | None:
    try:
        return fitted(request, request.words(data) if words else data)
    except (ValueError, ValidationError):
        return None


def _by_number(text: str, count: int, names: set[str], cut: bool) -> dict[int, Any]:
    """Parse answers by question number, in any of the forms that models use.

    These are a sequence of objects with one item per question, an object with numbers as keys, a list,
    perhaps inside an object, and lines that begin with a number. `names` are the fields of an answer.
    Raises ValueError if answers cannot be assigned, and CutOff.
    """
    values = list(all_json(text))
    rows = [v for v in values if isinstance(v, dict) and {str(k).lower() for k in v} & names]
    if len(rows) == count and count > 1:
        return dict(enumerate(rows, 1))
    data = values[-1] if values else None
    while isinstance(data, dict) and len(data) == 1:
        ((key, inner),) = data.items()
        if (
            not isinstance(inner, list | dict)
            or key.strip(" .#:").isdecimal()
            or key.lower() in names
        ):
            break
        data = inner
    if isinstance(data, list) and len(data) == count:
        return dict(enumerate(data, 1))
    if isinstance(data, dict):
        keys = {key: key.strip(" .#:") for key in data}
        if keys and all(key.isdecimal() and len(key) < 6 for key in keys.values()):
            return {int(key): data[whole] for whole, key in keys.items()}
    if cut:
        raise CutOff("lines that are cut off may mean something else")
    found: dict[int, Any] = {}
    for line in text.splitlines():
        number = _LINE.match(line.lstrip(" \t-*#>(["))
        if number:
            with contextlib.suppress(ValueError):
                found[int(number[1])] = _line(number[2])
    if found:
        return found
    raise ValueError("the reply does not hold one answer per question")


_LINE = re.compile(r"(\d{1,4})[.):]+\s*(.*)")


def _line(text: str) -> Any:
    """The value on a numbered line: JSON, or a bare word. Raises ValueError."""
    try:
        return last_json(text)
    except CutOff:
        raise
    except ValueError:
        return text.strip(' .*`"')


# --- from data to the typed answer -----------------------------------------------------------


def fitted(request: Request, data: Any) -> Answer:
    """The typed answer that `data` means. Raises StatesNothing if it states no fact, and ValidationError."""
    data = fit(request.answer, data)
    if isinstance(data, dict) and request.states_facts:
        data = _facts(request, data)
    return request.answer.model_validate(data)


def fit(answer: type[Answer], data: Any) -> Any:
    """Normalise common deviations in a reply to the shape of `answer`.

    Accepts capitals, a bare list or text for a one-field answer, an attribute map for a list of pairs,
    objects with a name and perhaps a box in place of words, and `"yes"` for true. Anything else is left
    for validation to reject.
    """
    fields = answer.model_fields
    names = list(fields)
    if not isinstance(data, dict):
        data = {names[0]: data} if names else {}
    else:
        lower = {str(key).strip().lower(): value for key, value in data.items()}
        if names and lower.keys() & fields.keys():
            data = {**data, **{name: lower[name] for name in names if name in lower}}
    if "attributes" in fields:
        data = _mapped(data, names)
    elif isinstance(data.get("objects"), list):  # of a whole graph
        data = {**data, "objects": [
            _mapped(each, []) if isinstance(each, dict) and each.get("attributes") else each
            for each in data["objects"]
        ]}  # fmt: skip
    for name, field in fields.items():
        if name not in data:
            continue
        value = data[name]
        if name in ("objects", "predicates") and _of_texts(field.annotation):
            parts = value if isinstance(value, list) else [value]
            data = {**data, name: [_word(part, KEYS[name]) for part in parts]}
        elif field.annotation is bool and isinstance(value, str):
            data = {**data, name: _yes(value)}
        elif get_origin(field.annotation) is Literal and isinstance(value, str):
            words = re.findall(r"[a-z]+", value.lower())
            meant = [word for word in words if word in get_args(field.annotation)]
            denied = {"not", "non", "neither"} & set(words)
            data = {**data, name: meant[0] if len(set(meant)) == 1 and not denied else value}
        elif value is not None and field.annotation is str:
            data = {**data, name: _word(value)}
    return data


def _yes(text: str) -> bool | str | None:
    """The yes or no that a text begins with; None if it says neither, and the text if it is no word."""
    try:
        return yes_no(text)
    except ValueError:
        return None if is_null(text) or len(text.split()) == 1 else text


def _of_texts(annotation: Any) -> bool:
    return "Word" in str(annotation) or "StringConstraints" in str(annotation)


KEYS = {
    "objects": ("label", "name", "object"),
    "predicates": ("predicate", "relation", "relationship"),
}
"""The keys under which a word stands where models write an object, with a box for example."""


def _word(value: Any, keys: Sequence[str] = ("label", "name", "text")) -> Any:
    """A word that stands in an object, or in a list of one."""
    if isinstance(value, dict):
        lower = {str(k).lower(): v for k, v in value.items()}
        return next((lower[k] for k in keys if isinstance(lower.get(k), str)), value)
    if isinstance(value, list) and len(value) == 1:
        return _word(value[0], keys)
    return value


def _mapped(data: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The attributes as a list of pairs, also from a map of kinds to values."""
    attributes = data.get("attributes", data if names == ["attributes"] else ())
    if isinstance(attributes, dict):
        attributes = [
            {"kind": k, "value": v}
            for k, values in attributes.items()
            for v in (values if isinstance(values, list) else [values])
            if isinstance(v, str) and v.strip()
        ]
    return {**data, "attributes": attributes}


def _facts(request: Request, data: dict[str, Any]) -> dict[str, Any]:
    """`data` without the words that state no fact. Raises StatesNothing if nothing else is left."""
    made: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, str | None) and name in request.answer.model_fields:
            if is_null(value or "none"):
                raise StatesNothing
        elif isinstance(value, list):
            value = [_stated(part) for part in value if not _null_part(part)]
        made[name] = value
    if isinstance(request, Relate) and isinstance(made.get("predicates"), list):
        made["predicates"] = list(_predicates(made["predicates"], request.object.label))
    if "motion" in made and isinstance(made["motion"], str):
        made["motion"] = predicate_form(made["motion"])
    return made


def _null_part(part: Any) -> bool:
    """Whether a part of a list states nothing: a word, or one of the fields that make a fact."""
    if isinstance(part, dict):
        facts = [v for k, v in part.items() if str(k).lower() in FACTS]
        return any(isinstance(v, str | None) and is_null(v or "none") for v in facts)
    return isinstance(part, str | None) and is_null(part or "none")


FACTS = ("label", "kind", "value", "subject", "predicate", "object")
"""The fields of an object, an attribute or a relation that must not be empty."""


def _stated(part: Any) -> Any:
    """An object of a graph, without the attributes that state nothing."""
    if isinstance(part, dict) and isinstance(part.get("attributes"), list):
        kept = [each for each in part["attributes"] if not _null_part(each)]
        return {**part, "attributes": kept}
    return part


def _predicates(said: Iterable[Any], target: str) -> Iterable[Any]:
    """Predicates one by one ("left of, behind" is two), without the object that they lead to."""
    for each in said:
        if not isinstance(each, str):
            yield each
            continue
        for part in re.split(r"[,;]", each):
            words = predicate_form(part)
            for article in ("the", "a", "an"):
                ending = f" {article} {target.lower()}"
                if words.lower().endswith(ending):
                    words = predicate_form(words[: -len(ending)])
            if words and not is_null(words):
                yield words


@functools.cache
def _nulls() -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...]]:
    """Whole texts, beginnings, and parts that say that there is no answer."""
    lines = (files("stepc.grammar") / "no-answer.txt").read_text("utf-8").splitlines()
    texts = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    within = tuple(text.strip("…") for text in texts if text.startswith("…"))
    begun = tuple(text[:-1] for text in texts if text.endswith("…") and not text.startswith("…"))
    return frozenset(text for text in texts if "…" not in text), begun, within


def is_null(text: str) -> bool:
    """Whether a text is empty, a placeholder such as `...`, or says that there is no answer."""
    if len(re.findall(r"[.!?](?:\s|$)", text[:400])) > 1 or ", but " in text:
        return False  # it says more
    plain = " ".join(text[:200].lower().replace("\u2019", "'").split()).strip("\"'`*()<> ")
    whole, begun, within = _nulls()
    if not plain.strip(".… _?"):
        return True
    return (
        plain.rstrip(".!") in whole
        or plain.startswith(begun)
        or any(part in plain for part in within)
    )
