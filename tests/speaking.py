"""Models for tests: replies from a function, from a script, from another model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepc.model.client import Backend, Call, Completion, ModelClient
from stepc.model.templates import Templates
from stepc.video.decode import Pictures


class Speaker:
    """Answers with `say(prompt, seed)`, once a seed, and counts calls."""

    identity = "speaker@1"
    templates = "default"
    together = 1

    def __init__(self, say: Callable[[Call, int], str]) -> None:
        self.say, self.asked = say, 0

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """All of them, in order."""
        for prompt in prompts:
            self.asked += 1
            done(Completion.of(prompt, tuple(self.say(prompt, seed) for seed in prompt.seeds)))


class Lister:
    """A model that answers lists of the `compact` templates, by another that answers one by one."""

    together = 8

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.identity, self.templates = backend.identity, backend.templates

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Each list's questions by themselves, their answers put together."""
        for prompt in prompts:
            questions = prompt.text.removeprefix("each : ").split(" | ")
            singles = [replace(prompt, key=q, text=q, items=1) for q in questions]
            told = said(self.backend, list({p.key: p for p in singles}.values()), pictures)
            texts = dict(zip(dict.fromkeys(questions), told, strict=True))
            rows = zip(*(texts[q] for q in questions), strict=True)
            done(Completion.of(prompt, tuple(" | ".join(row) for row in rows)))


def said(model: Backend | Any, prompts: Sequence[Call], pictures: Any = None) -> list[list[str]]:
    """The texts that a model gives, prompt by prompt."""
    calls: dict[str, list[str]] = {}

    def done(call: Completion) -> None:
        assert call.prompt.key not in calls
        calls[call.prompt.key] = list(call.texts)

    model.generate(prompts, pictures or Pictures(), done)
    return [calls[p.key] for p in prompts]


TERSE = {
    "narrate": "words",
    "list_objects": "words {{ narrative }}",
    "match_names": "words {{ names | join(', ') }}",
    "match_words": """words {% for each in lists %}{{ each.kind }}: {{ each.words | join(', ') }}
        {% if not loop.last %}; {% endif %}{% endfor %}""",
    "classify": "words {{ the(target) }}",
    "describe": "words {{ the(target) }}",
    "relate": "words {{ the(subject) }}, {{ the(object) }}",
    "confirm": """words {% if claim.claim == "object" %}{{ the(claim.target) }}
        {% elif claim.claim == "attribute" %}{{ the(claim.target) }} {{ claim.kind }} {{ claim.value }}
        {% elif claim.claim == "relation" %}
        {{ the(claim.subject) }} is {{ claim.predicate }} {{ the(claim.object) }}
        {% elif claim.claim == "motion" %}{{ the(claim.target) }} is {{ claim.motion }}
        {% else %}{{ claim.event }}{% endif %}""",
    "relate_all": """words {% for each in objects %}{{ the(each) }}
        {% if not loop.last %}, {% endif %}{% endfor %}""",
    "locate": """words {% for each in objects %}{{ the(each) }}
        {% if not loop.last %}, {% endif %}{% endfor %}""",
    "motion": "words {{ the(target) }}",
    "track": "words {{ the(target) }}",
    "match_objects": """words {% for each in objects %}{{ each.frame }} {{ the(each.target) }}
        {% if not loop.last %}, {% endif %}{% endfor %}""",
    "same_object": "words {{ the(first) }}, {{ the(second) }}",
    "event": "words",
    "answer": "words {{ question }}{% for each in options %} {{ each }}{% endfor %}",
    "draw_graph": "json",
}
"""Form of the reply and text of templates that say no more than what a request is about.

Two objects of one label in one keyframe are `cup#1` and `cup#2`.
"""

_THE = """{% macro the(x) %}{{ x.label }}{% if x.of > 1 %}#{{ x.number }}{% endif %}{% endmacro %}
"""
_LINE = re.compile(r"(\w+)(?: (.+?))??(?: at ([\d. ]+|grey))? ->(.*)")


class Script:
    """A model whose replies are written down, one line per request:

        narrate at 1.000 -> A cup on a table. / A cup. / A cup and a spoon.
        classify cup -> dynamic
        relate cup, * ->

    A line is the request's name, what it is about (see `TERSE`; `*` is any text), the times of the
    keyframes if they matter (`grey` for blank ones), and the reply. ` / ` separates the replies of the
    samples; a single reply is given for each sample. Lines that begin with a space continue the line
    before. The first line that fits a request and its number of samples answers it. Raises AssertionError
    if none fits.
    """

    identity, templates, together = "script", "terse", 1

    def __init__(self, text: str) -> None:
        self.lines: list[tuple[str, re.Pattern[str], str, list[str]]] = []
        for line in re.sub(r"\n +", " ", text).splitlines():
            found = _LINE.fullmatch(line)
            assert found, f"not a reply: {line}"
            name, about, times, replies = found.groups()
            pattern = re.compile(re.escape(about or "").replace(r"\*", ".*"))
            texts = [reply.strip() for reply in f"{replies} ".split(" / ")]
            self.lines.append((name, pattern, times or "", texts))
        self.unused = [name for name in text.splitlines() if not name.startswith(" ")]
        self._all = list(self.unused)

    def client(self, folder: Path, seed: int = 0) -> ModelClient:
        """Return a client of this model. Writes its templates to `folder`."""
        folder = folder / "terse"
        folder.mkdir()
        for name, template in TERSE.items():
            form, _, text = template.partition(" ")
            text = "".join(line.strip() for line in text.splitlines())
            made = f"{{#- answer: {form} -#}}\n{_THE}{text}"
            (folder / f"{name}.jinja").write_text(made, "utf-8")
        return ModelClient(self, Templates(str(folder)), Pictures(), seed)

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        for prompt in prompts:
            done(Completion.of(prompt, self._replies(prompt)))

    def _replies(self, prompt: Call) -> tuple[str, ...]:
        grey = any(frame.video.startswith("blank") for frame in prompt.frames)
        at = "grey" if grey else " ".join(f"{frame.at / 1000:.3f}" for frame in prompt.frames)
        for line, (name, about, times, texts) in zip(self._all, self.lines, strict=True):
            fits = name == prompt.request and about.fullmatch(prompt.text) and times in ("", at)
            if fits and len(texts) in (1, len(prompt.seeds)):
                if line in self.unused:
                    self.unused.remove(line)
                return tuple(texts * len(prompt.seeds) if len(texts) == 1 else texts)
        raise AssertionError(f"the script has no reply to: {prompt.request} {prompt.text} at {at}")
