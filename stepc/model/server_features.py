"""What an OpenAI-compatible server can do, and how to read what it refuses.

Servers differ in the fields that they take. A refusal is read: its `param`, then its words. Only the
feature that it names is left out from then on. If it names none, features that have never worked are
left out one by one, for that request; a feature that has worked is not what is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from stepc.model.server_response import clean

FORMS = ("json_schema", "json_object", "")
"""Values of `response_format`, best first."""
FEATURES = ("video", "n", "seed", "limit", "temperature", "response_format")
"""Features of requests that a server may refuse, those first that servers refuse most often."""
_FIELD = {**dict(zip(FEATURES, FEATURES, strict=True)), "n": "many", "response_format": "form"}
LIMITS = ("max_tokens", "max_completion_tokens", "")
"""Names of the limit of a reply's length; the first is older, the second is what reasoning models take."""

REFERENCES = ("", "uuid", "file")
"""How pictures are sent: as data, as data with a name that stands for them afterwards, or as files."""


@dataclass
class Features:
    """What requests to a server may contain."""

    form: int = 0
    """Index in `FORMS`."""
    limit: int = 0
    """Index in `LIMITS`."""
    many: bool = True
    """Several replies per request (`n`)."""
    seed: bool = True
    temperature: bool = True
    video: bool = True
    several_pictures: bool = True
    references: str = ""
    """How requests refer to pictures: one of `REFERENCES`."""
    sees: bool | None = None
    """Whether the model read what only a seeing model can read; None if it was not asked."""
    proved: set[str] = field(default_factory=set, compare=False)
    """Features of requests that the server has answered."""

    def facts(self) -> dict[str, Any]:
        """As JSON-compatible data, for the manifest and for `stepc model check`."""
        return {
            "n": self.many,
            "seed": self.seed,
            "temperature": self.temperature,
            "response_format": FORMS[self.form] or None,
            "limit": LIMITS[self.limit] or None,
            "several_pictures": self.several_pictures,
            "references": self.references or None,
            "video": self.video,
            "sees": self.sees,
        }

    @classmethod
    def from_facts(cls, facts: Any) -> Features:
        """Rebuild features from the result of `facts`. Raises ValueError for other data."""
        try:
            sees, references = facts["sees"], facts["references"] or ""
            made = cls(
                form=FORMS.index(facts["response_format"] or ""),
                limit=LIMITS.index(facts["limit"] or ""),
                many=bool(facts["n"]),
                seed=bool(facts["seed"]),
                temperature=bool(facts["temperature"]),
                video=bool(facts["video"]),
                several_pictures=bool(facts["several_pictures"]),
                references=references,
                sees=sees if sees is None else bool(sees),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("not the features of a server") from error
        if made.references not in REFERENCES:
            raise ValueError("not the features of a server")
        if references:
            made.proved.add("references")
        return made

    def without(self, feature: str) -> bool:
        """Leave a feature out. Returns False if there is nothing left to leave out."""
        match feature:
            case "response_format":
                if self.form + 1 == len(FORMS):
                    return False
                self.form += 1
            case "limit":
                if self.limit + 1 == len(LIMITS):
                    return False
                self.limit += 1
            case "n" | "seed" | "temperature" | "video":
                if not getattr(self, _FIELD[feature]):
                    return False
                setattr(self, _FIELD[feature], False)
            case _:
                return False
        return True

    def differing(self, other: Features) -> list[str]:
        """The features in which two differ."""
        return [f for f in FEATURES if getattr(self, _FIELD[f]) != getattr(other, _FIELD[f])]

    def take(self, feature: str, other: Features) -> None:
        """Take over a feature of another."""
        setattr(self, _FIELD[feature], getattr(other, _FIELD[feature]))

    def fewer(self, features: list[str]) -> Iterator[Features]:
        """Yield these features with one of `features` left out, then with all of them left out."""
        for feature in features:
            one = replace(self)
            while one.without(feature):
                yield replace(one)
        none = replace(self)
        for feature in features:
            while none.without(feature):
                pass
        if len(features) > 1:
            yield none

    def name(self, feature: str) -> str:
        """A feature with its present value, to remember what has worked."""
        if feature == "response_format":
            return f"{feature} {FORMS[self.form]}"
        return f"limit {LIMITS[self.limit]}" if feature == "limit" else feature


def used(body: dict[str, Any], video: bool) -> list[str]:
    """The features that a request uses."""
    limited = any(name in body for name in LIMITS if name)
    there = {*body, *(["video"] if video else []), *(["limit"] if limited else [])}
    return [name for name in FEATURES if name in there]


@dataclass(frozen=True)
class Refusal:
    """An error of a server, as far as it tells what is wrong."""

    status: int
    message: str
    param: str = ""
    code: str = ""

    @classmethod
    def read(cls, status: int, body: Any) -> Refusal:
        """Read an error's body in the forms of OpenAI, FastAPI and others."""
        error: Any = body.get("error", body) if isinstance(body, dict) else body
        if not isinstance(error, dict):
            return cls(status, _line(error))
        detail: Any = error.get("detail")
        if isinstance(detail, list) and detail and isinstance(detail[0], dict):  # FastAPI
            where = detail[0].get("loc")
            names = [str(x) for x in where] if isinstance(where, list) else []
            said = " ".join([".".join(names), str(detail[0].get("msg", ""))])
            return cls(status, _line(said), next((n for n in reversed(names) if n != "body"), ""))
        message = error.get("message") or detail or error.get("msg") or error
        param, code = error.get("param"), error.get("code")
        return cls(
            status, _line(message), _line(param or ""), _line(code or error.get("type") or "")
        )

    @property
    def meaning(self) -> str:
        """What is refused: a feature, or one of `filter`, `length`, `pictures`, `image`, `blind`, `key`,
        `quota`, `model`, `option`.

        Empty if the error does not tell.
        """
        text = _URL.sub("", f"{self.code} {self.message}").lower()
        if self.status in (401, 403) and not _FILTER.search(text):
            return "key"
        if self.status == 402:
            return "quota"
        if self.status == 429:  # a limit per minute also speaks of quotas, and goes by
            passing = _PASSING.search(text)
            spent = self.code == "insufficient_quota" or (_QUOTA.search(text) and not passing)
            return "quota" if spent else ""
        param = self.param.lower().split(".")[0].split("[")[0]
        if param in _PARAMS:
            return _PARAMS[param]
        for meaning, pattern in _WORDS:
            if pattern.search(text):
                return meaning
        return ""


def _line(said: Any) -> str:
    return clean(" ".join(str(said).split())[:400])


_PARAMS = {
    "n": "n", "seed": "seed", "temperature": "temperature", "response_format": "response_format",
    "max_tokens": "limit", "max_completion_tokens": "limit", "reasoning_effort": "option",
}  # fmt: skip
_URL = re.compile(r"https?://\S+")
_PASSING = re.compile(r"(?:retry|try again) (?:after|in)|rate.?limit|per (?:minute|second|day)")
_QUOTA = re.compile(r"quota|billing|credit|payment|insufficient funds|budget", re.IGNORECASE)
_FILTER = re.compile(
    r"content.?filter|content management policy|content policy|responsible.?ai|safety|flagged"
    r"|data_inspection|moderation|prohibited"
)
_WORDS = tuple(
    (meaning, re.compile(pattern))
    for meaning, pattern in (
        ("filter", _FILTER.pattern),
        ("blind", r"not a multimodal model|does not support (?:image|vision)|no .{0,30}support image"
                  r"|image(?:_url| input)?s? (?:is|are) not supported|mmproj|only supports? text"
                  r"|invalid content type.{0,20}image_url"),
        ("model", r"model\b.{0,80}(?:does not exist|not found|not available|unknown|not supported for)"
                  r"|(?:no such|unknown|invalid) model"),
        ("pictures", r"at most \d+ image|too many images|(?:one|1|single) image|multiple images"),
        ("length", r"context (?:length|window|size)|maximum (?:context|prompt)|too long|too many tokens"
                   r"|longer than|exceeds? .{0,40}(?:token|length|limit)|request entity too large"),
        ("video", r"video"),
        ("limit", r"max_completion_tokens|max_tokens"),
        ("response_format", r"response_format|json_schema|json_object|json mode|structured output"
                            r"|guided|grammar|schema"),
        ("seed", r"\bseed\b"),
        ("temperature", r"temperature"),
        ("n", r"(?:^|[\s'\"`(.])n(?:['\"`]|\s*(?:>|=|must|should|is|larger|greater))"
              r"|multiple (?:choices|completions)|best_of|num_return"),
        ("option", r"reasoning.?effort|extra_body|extra_forbidden|unknown (?:field|parameter)"
                   r"|unrecognized (?:request )?argument"),
        ("image", r"image"),
    )
)  # fmt: skip
CALLED = {
    "n": "several replies per request (`n`)",
    "seed": "`seed`",
    "temperature": "`temperature`",
    "limit": "`max_tokens`",
    "response_format": "JSON schemas (`response_format`)",
    "video": "videos",
    "pictures": "several pictures per request",
}
"""What features are called in messages."""
