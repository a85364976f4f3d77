"""Template sets: render a request as an instruction, and say in which form the reply is read.

Templates are sandboxed Jinja. They receive strings, numbers, lists and dictionaries, never a stepc
object. They can read fields and loop variables and call macros and filters, but no methods. An
undefined variable is an error. The first line of each template is a comment that declares the form
of the reply: `{#- answer: json -#}`, `{#- answer: words -#}`, or `{#- answer: thought -#}` (a
thought, a colon, then the words).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta

from stepc.diagnostics import Diagnostic, Place, StepcError, did_you_mean, nearest, printable
from stepc.model.reading import ReadReply, read_reply
from stepc.model.reply import ModelReply
from stepc.model.requests import (
    JUDGING,
    REQUESTS,
    TASKS,
    Answer,
    Request,
    Several,
)
from stepc.model.sandbox import LONGEST, FolderLoader, Sandbox
from stepc.plugins import Registry

NESTED = (RecursionError, SyntaxError, MemoryError, OverflowError)
"""What Python's own compiler raises for a template that is nested too deeply."""
_FORM = re.compile(r"\A\{#-? *answer: *(json|words|thought) *-?#\}")
VARIABLES: dict[str, frozenset[str]] = {
    **{
        name: frozenset(request.model_fields)
        for name, request in {**REQUESTS, **TASKS, **JUDGING}.items()
    },
    Several.name: frozenset(["frames", "questions", "ending"]),
}
"""The variables that each template may use."""


@dataclass(frozen=True)
class Template:
    """A compiled template and the form of reply it asks for."""

    form: str
    body: jinja2.Template


class TemplateError(StepcError):
    """A template set that cannot be used (M005)."""

    def __init__(self, template: str, problem: str) -> None:
        super().__init__(
            Diagnostic(
                "M005",
                f"the templates cannot be used: {problem}",
                Place(printable(template)),
                "each template is named like its request; see templates/default",
            )
        )


def is_folder(name: str) -> bool:
    """Whether a template set's name is the path of a folder and not a built-in set."""
    return re.fullmatch(r"[a-z][a-z0-9_-]*", name) is None


def spoken_to(model: str, named: str) -> str:
    """Check the template set that a model's own files name (`stepc.json`, a cassette's header).

    Returns the name of a built-in set. Raises StepcError (M005) for a folder: templates are programs,
    and only the user may select them, with --templates.
    """
    if is_folder(named or "default"):
        folder = printable(named)
        message = f"the model's own files name a folder of templates, `{folder}`"
        help = f"to use this folder, name it yourself: --templates {folder}"
        raise StepcError(Diagnostic("M005", message, Place(printable(model)), help))
    return named or "default"


def _builtin_sets() -> dict[str, Callable[[], Path]]:
    folders = (Path(str(p)) for p in files("stepc.templates").iterdir() if p.is_dir())
    sets = sorted(p for p in folders if not p.name.startswith(("_", ".")))
    return {p.name: functools.partial(Path, p) for p in sets}


def _accept_set(value: Any) -> str:
    return "" if Path(str(value)).is_dir() else f"`{value!r}` is not a folder"


TEMPLATE_SETS: Registry[Any] = Registry("stepc.templates", _builtin_sets, _accept_set)
"""The template sets by name: built in, and of plug-ins."""


def _set_folder(name: str) -> Path:
    if name not in TEMPLATE_SETS:
        problem = (
            f"there is no template set of this name; {did_you_mean(name, TEMPLATE_SETS.names())}"
        )
        raise TemplateError(name, problem)
    return Path(str(TEMPLATE_SETS.get(name)))


def _bytes(file: Any) -> bytes:
    """Read a template's file. Raises TemplateError for what is no file, or too large for a template."""
    try:
        path = Path(str(file))
        if path.exists() and (not path.is_file() or path.stat().st_size > LONGEST):
            raise TemplateError(file.name, f"it is no file, or longer than {LONGEST:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise TemplateError(file.name, f"it cannot be read ({error.strerror})") from error


class Templates:
    """A template set with one template per request: a built-in name (`default`, `compact`) or a folder.

    Templates that the set lacks are taken from `default`. Raises TemplateError (M005) if a template
    cannot be read or uses an unknown variable.
    """

    def __init__(self, name: str, made_for: str = "default") -> None:
        """Read a set. `made_for` is the built-in set that the model was made for, if `name` is a folder."""
        builtin = files("stepc.templates") / "default"
        own = is_folder(name)
        folder = Path(name) if own else _set_folder(name)
        if own and not Path(name).is_dir():
            raise TemplateError(name, "it is not a folder")
        if not any((folder / f"{request}.jinja").is_file() for request in VARIABLES):
            raise TemplateError(name, "the folder contains no template of any request")
        places = [str(folder), str(builtin)]
        self._environment = Sandbox(FolderLoader(places))
        self.name = Path(name).name
        whole = hashlib.sha256()
        self._templates: dict[str, Template] = {}
        for request, known in VARIABLES.items():
            self._templates[request] = self._compiled(request, self._source(request), known)
        missing = frozenset(r for r in VARIABLES if not (folder / f"{r}.jinja").is_file())
        if own and made_for == "default":
            missing = frozenset()
        elif own:
            missing &= Templates(made_for).lacking
        self.lacking: frozenset[str] = missing
        """The requests that the model was not made for: neither its built-in set nor the folder has them."""
        if own:
            self._misnamed(folder)
        for place in (folder, builtin) if own else (folder,):
            for part in sorted(place.iterdir(), key=lambda p: p.name):
                if part.name.endswith(".jinja"):
                    whole.update(_bytes(part))
        self.digest = whole.hexdigest()
        """SHA-256 of the texts of all templates."""

    def _template(self, request: Request) -> Template:
        """The template of a request: of the set, or its own. Raises TemplateError if there is none."""
        name = request.name
        if name not in self._templates:
            known = frozenset(type(request).model_fields)
            source = self._source(name, request.template)
            self._templates[name] = self._compiled(name, source, known)
        return self._templates[name]

    def _source(self, name: str, otherwise: str = "") -> str:
        """The text of a template: of the set, else of `default`. Raises TemplateError."""
        try:
            assert self._environment.loader is not None
            source = self._environment.loader.get_source(self._environment, f"{name}.jinja")[0]
            return source.removeprefix("\ufeff")
        except (OSError, UnicodeDecodeError) as error:
            problem = f"the file cannot be read in the template set `{self.name}`"
            raise TemplateError(f"{name}.jinja", problem) from error
        except jinja2.TemplateNotFound as error:
            if otherwise:
                return otherwise
            problem = f"the template set `{self.name}` has no template for this request"
            raise TemplateError(f"{name}.jinja", problem) from error

    def _misnamed(self, folder: Path) -> None:
        """Raises TemplateError for a file that no request and no template uses, but nearly."""
        files_ = {
            p.stem: _bytes(p).decode("utf-8", "replace") for p in sorted(folder.glob("*.jinja"))
        }
        used = set(VARIABLES)
        for source in files_.values():
            with contextlib.suppress(jinja2.TemplateSyntaxError, *NESTED):
                tree = self._environment.parse(source)
                used |= {
                    str(n).removesuffix(".jinja")
                    for n in jinja2.meta.find_referenced_templates(tree)
                }
        for name in files_.keys() - used:
            if meant := nearest(name, VARIABLES.keys() - files_.keys()):
                problem = f"no request has this name; did you mean `{meant}.jinja`?"
                raise TemplateError(f"{name}.jinja", problem)

    def _compiled(self, name: str, source: str, known: frozenset[str]) -> Template:
        """A template from its source, checked. Raises TemplateError."""
        form = _FORM.match(source)
        if form is None:
            problem = "the file does not begin with `{#- answer: json -#}` (or words, thought)"
            raise TemplateError(f"{name}.jinja", problem)
        try:
            body = self._environment.from_string(source)
            named = jinja2.meta.find_undeclared_variables(self._environment.parse(source))
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(f"{name}.jinja", f"line {error.lineno}: {error}") from error
        except NESTED as error:
            raise TemplateError(f"{name}.jinja", "it is nested too deeply") from error
        for unknown in sorted(named - known):
            has = ", ".join(sorted(known))
            problem = f"unknown variable `{unknown}`; this request has: {has}"
            raise TemplateError(f"{name}.jinja", problem)
        return Template(form[1], body)

    def form(self, request: Request) -> str:
        """Return the form of reply: `json`, `words` or `thought`."""
        return self._template(request).form

    def most(self, request: Request) -> int:
        """Return the maximum requests of this kind per call.

        It is 1 unless the template and the one of `Several` both ask for JSON, or both do not.
        """
        several = self._templates[Several.name].form == "json"
        return request.listed if several == (self.form(request) == "json") else 1

    def schema(self, request: Request) -> dict[str, Any] | None:
        """Return the JSON schema of the request's answer; None if its template does not ask for JSON."""
        if self.form(request) != "json":
            return None
        if isinstance(request, Several):
            return _schemas(request.items[0].answer, len(request.items))
        return _schema(request.answer)

    def render(self, request: Request) -> str:
        """Render the instruction for `request`. Raises TemplateError (M005) on any error in a template."""
        if isinstance(request, Several):
            questions, ending = _together([self.render(item) for item in request.items])
            frames = [frame.model_dump() for frame in request.frames]
            fields = {"frames": frames, "questions": questions, "ending": ending}
        else:
            fields = request.model_dump()
        try:
            return self._environment.rendered(self._template(request).body, fields).strip()
        except Exception as error:  # a template is user code and may raise anything
            said = f"{type(error).__name__}: {error}"
            raise TemplateError(f"{request.name}.jinja", said) from error

    def reading(self, request: Request, reply: ModelReply, asked: str = "") -> ReadReply:
        """Read a reply to a request; `asked` is the instruction, which some models repeat."""
        return read_reply(request, self.form(request), reply, asked)

    def read(self, request: Request, reply: str) -> Answer | None:
        """Parse the text of a reply into the typed answer; None if it holds none."""
        return self.reading(request, ModelReply(reply)).answer


def _together(texts: list[str]) -> tuple[list[str], str]:
    """Split off the last paragraph if all texts share it; return the rest of each and that paragraph."""
    parts = [text.rpartition("\n\n") for text in texts]
    endings = {ending for _, _, ending in parts}
    if len(endings) > 1 or not all(head for head, _, _ in parts):
        return texts, ""
    return [head for head, _, _ in parts], endings.pop()


@functools.cache
def _schema(answer: type[Answer]) -> dict[str, Any]:
    """Return the JSON schema of an answer type, with additional properties forbidden."""
    schema = answer.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("type") == "object":
            part["additionalProperties"] = False
    return schema


@functools.cache
def _schemas(answer: type[Answer], count: int) -> dict[str, Any]:
    """Return the JSON schema of `count` answers, keyed by their numbers."""
    one = dict(_schema(answer))
    parts = one.pop("$defs", {})
    numbers = [str(i) for i in range(1, count + 1)]
    return {
        "$defs": {**parts, "Answer": one},
        "type": "object",
        "properties": {n: {"$ref": "#/$defs/Answer"} for n in numbers},
        "required": numbers,
        "additionalProperties": False,
    }
