"""Reads the bodies of responses of OpenAI-compatible servers, whatever their shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from stepc.model.reply import ModelReply

_SURROGATE = re.compile("[\ud800-\udfff]")


class BadResponse(ValueError):
    """The body is no answer to the request."""


def parse_body(content: bytes) -> Any:
    """Parse a body as JSON. Raises BadResponse."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        said = "nested too deep" if isinstance(error, RecursionError) else "not JSON"
        shown = " ".join(content[:120].decode("utf-8", "replace").split())
        raise BadResponse(f"the response is {said}: {shown}") from None


def error_in(body: Any) -> Any:
    """The error that a body holds in place of replies, at the top or in all its choices; None without."""
    if not isinstance(body, dict):
        return None
    choices = body.get("choices")
    if not choices:
        return body.get("error")
    each = choices if isinstance(choices, list) else [choices]
    errors = [choice.get("error") for choice in each if isinstance(choice, dict)]
    said = any(_reply(choice).text for choice in each if isinstance(choice, dict))
    return errors[0] if errors and all(errors) and not said else None


def replies_of(body: Any) -> list[ModelReply]:
    """The replies in a body. Raises BadResponse if it holds none."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if isinstance(choices, dict):
        choices = [choices]
    if not isinstance(choices, list):
        raise BadResponse(f"the response contains no reply: {_short(body)}")
    replies = [_reply(choice) for choice in choices if isinstance(choice, dict)]
    if not replies:
        raise BadResponse(f"the response contains no reply: {_short(body)}")
    return replies


def _reply(choice: dict[str, Any]) -> ModelReply:
    """One choice; empty if it holds nothing to read."""
    message = choice.get("message")
    if not isinstance(message, dict):
        message = {"content": choice.get("text")}
    text, thought = _parts(message.get("content"))
    for name in ("reasoning_content", "reasoning"):
        thought = thought or _parts(message.get(name))[0]
    if not text:
        text = _arguments(message)
    refusal = _parts(message.get("refusal"))[0]
    error = choice.get("error")
    if error and not text:
        refusal = refusal or _short(error)
    finish = choice.get("finish_reason")
    finish = finish if isinstance(finish, str) and finish else "stop"
    finish = {"max_tokens": "length", "MAX_TOKENS": "length", "SAFETY": "content_filter"}.get(
        finish, finish
    )
    return ModelReply(clean(text), clean(thought), clean(finish)[:40], clean(refusal)[:400])


def _parts(content: Any) -> tuple[str, str]:
    """The text and the reasoning of a content: a text, or a list of parts."""
    if isinstance(content, str):
        return content, ""
    if isinstance(content, dict):
        content = [content]
    text, thought = [], []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, dict):
            inner = part.get("thinking") or part.get("reasoning")
            if inner is not None:
                thought.append(_parts(inner)[0])
            elif isinstance(part.get("text"), str):
                text.append(part["text"])
    return "".join(text), "".join(thought)


def _arguments(message: dict[str, Any]) -> str:
    """The arguments of a tool call, where a model answers by calling a tool."""
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        arguments = function.get("arguments") if isinstance(function, dict) else None
        if isinstance(arguments, str):
            return arguments
        if isinstance(arguments, dict):
            return json.dumps(arguments)
    return ""


class Tokens(NamedTuple):
    """Tokens of a response; 0 where the server does not tell."""

    sent: int = 0
    received: int = 0
    cached: int = 0
    """Those of the sent ones that were in its prefix cache."""


def tokens_of(body: Any) -> Tokens:
    """The tokens of a response."""
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return Tokens()
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    sent = _count(usage, ("prompt_tokens", "input_tokens"))
    received = _count(usage, ("completion_tokens", "output_tokens"))
    cached = _count(details, ("cached_tokens",)) if isinstance(details, dict) else 0
    return Tokens(sent, received, min(cached, sent))


def _count(usage: dict[str, Any], names: Iterable[str]) -> int:
    for name in names:
        value = usage.get(name)
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 16:
            value = int(value)
        if isinstance(value, int | float) and 0 <= value < 1e15:
            return int(value)
    return 0


def clean(text: str) -> str:
    """`text` without half of a surrogate pair, which no file can hold."""
    return _SURROGATE.sub("\ufffd", text)


def _short(body: Any) -> str:
    if isinstance(body, dict) and isinstance(body.get("error"), dict | str):
        body = body["error"]
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        body = body["message"]
    return " ".join(clean(str(body)[:400]).split())[:160]
