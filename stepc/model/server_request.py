"""Builds the parts of requests to OpenAI-compatible servers that do not show keyframes."""

from __future__ import annotations

import hashlib
from typing import Any

from stepc.model.client import Call


def response_format(form: str, prompt: Call) -> dict[str, Any]:
    if form == "json_object":
        return {"type": "json_object", "schema": prompt.schema}
    named = {"name": prompt.request, "schema": prompt.schema, "strict": False}
    return {"type": "json_schema", "json_schema": named}


def session_of(prompt: Call) -> str:
    """What calls have in common that begin with the same keyframe, and so may share a prefix cache."""
    first = prompt.frames[0] if prompt.frames else None
    named = f"{first.video} {first.at}" if first else prompt.text
    return hashlib.sha256(named.encode()).hexdigest()[:16]
