"""The Jinja environment of templates: data in, text out, and nothing else.

Jinja's own sandbox keeps programs away from Python's internals, but allows every public method of the
objects it receives, and unlimited time and memory. Template sets come from other people, so this one
allows neither: a template reads fields, calls macros and the filters listed here, and ends within
`SECONDS`, `STEPS` loop rounds and macro calls, and `LONGEST` characters of text.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import htmlsafe_json_dumps

STEPS = 100_000
"""Maximum number of loop rounds and macro calls of one rendering."""
SECONDS = 10.0
"""Maximum duration of one rendering."""
LONGEST = 1_000_000
"""Maximum characters of all texts that one rendering makes."""
FILTERS = [
    "abs",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "forceescape",
    "groupby",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "string",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
]
"""The filters that templates may use: none whose result can be much longer than its input."""


class LimitReached(Exception):
    """A template takes too much time or memory."""


class _Spent(threading.local):
    until = 0.0
    steps = 0
    characters = 0


class Sandbox(ImmutableSandboxedEnvironment):
    """Lets templates read data and call macros and filters, but no methods, within limits."""

    intercepted_binops = frozenset(["*", "+", "%", "**", "//"])

    def __init__(self, loader: jinja2.BaseLoader) -> None:
        super().__init__(
            loader=loader,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=self._shown,
        )
        self._spent = _Spent()
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in FILTERS}
        self.filters["join"] = self._bounded_join
        self.filters["replace"] = self._replaced
        self.filters["tojson"] = _tojson

    def rendered(self, template: jinja2.Template, fields: Mapping[str, Any]) -> str:
        """Render a template. Raises LimitReached, and whatever the template raises."""
        self._spent.until = time.monotonic() + SECONDS
        self._spent.steps = self._spent.characters = 0
        return template.render(fields)

    # --- limits --------------------------------------------------------------------------

    def step(self) -> str:
        """Count a loop round or a macro call. Raises LimitReached."""
        self._spent.steps += 1
        if self._spent.steps > STEPS:
            raise LimitReached(f"the template takes more than {STEPS:,} steps")
        if time.monotonic() > self._spent.until:
            raise LimitReached(f"the template takes more than {SECONDS:g} seconds")
        return ""

    def made(self, value: Any) -> Any:
        """Measure a list or a dictionary that a template makes of others. Raises LimitReached.

        Lists of lists grow by a factor with each line of a template.
        """
        size, left = 0, [value]
        while left:
            part = left.pop()
            if isinstance(part, list | tuple):
                left += part
            elif isinstance(part, Mapping):
                left += [*part.keys(), *part.values()]
            size += len(part) if isinstance(part, str) else 1
            if size > LONGEST:
                raise LimitReached(f"the template makes a value of more than {LONGEST:,} parts")
        self._spent.steps += size // 100
        return value

    def joined(self, parts: Iterable[Any], between: str = "") -> str:
        """Concatenate texts (the operator `~` and the filter `join`). Raises LimitReached."""
        texts = [str(part) for part in parts]
        self._afford(sum(map(len, texts)) + len(between) * len(texts))
        return between.join(texts)

    def _shown(self, value: Any) -> Any:
        self._afford(len(str(value)))
        return value

    def _bounded_join(self, value: Any, d: str = "", attribute: str | None = None) -> str:
        return self.joined((x[attribute] if attribute else x for x in value), d)

    def _replaced(self, text: str, old: str, new: str, count: int | None = None) -> str:
        self._afford(len(text) + text.count(old) * len(new))
        return str(text).replace(old, new, -1 if count is None else count)

    def _afford(self, characters: int) -> None:
        """Count the characters of a text before it is made. Raises LimitReached."""
        self._spent.characters += characters
        if self._spent.characters > LONGEST:
            raise LimitReached(f"the template makes more than {LONGEST:,} characters of text")

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        """Calculate with numbers; add texts and lists. Raises LimitReached and TypeError."""
        if operator == "+" and isinstance(left, str | list | tuple):
            self._afford(len(left) + len(right))
            return self.made(super().call_binop(context, operator, left, right))
        if operator == "+" and isinstance(right, list | tuple):
            raise TypeError("`+` adds a list to a list only")
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise TypeError(f"`{operator}` works on numbers only")
        elif operator == "**" and (abs(left) > 1000 or abs(right) > 10):
            raise LimitReached("the power is too large")
        elif operator == "*" and max(abs(left), abs(right)) > 1e15:
            raise LimitReached("the product is too large")
        return super().call_binop(context, operator, left, right)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse a template, and let its loops, macros and concatenations count against the limits."""
        tree = super()._parse(source, name, filename)
        counted: list[nodes.For | nodes.Macro | nodes.CallBlock] = [
            *tree.find_all(nodes.For), *tree.find_all(nodes.Macro), *tree.find_all(nodes.CallBlock)
        ]  # fmt: skip
        for node in counted:
            node.body.insert(0, nodes.ExprStmt(_own("step"), lineno=node.lineno))
        _Limits().visit(tree)
        tree.set_environment(self)
        return tree

    # --- what may be reached ---------------------------------------------------------------

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow only loop variables (`loop.index`) and the macros of an imported template."""
        if isinstance(obj, LoopContext):
            return not attr.startswith("_") and not callable(value)
        return isinstance(value, Macro)

    def is_safe_callable(self, obj: Any) -> bool:
        """Allow only macros, and what counts against the limits."""
        own = getattr(obj, "__func__", None) in (Sandbox.step, Sandbox.joined, Sandbox.made)
        return own or isinstance(obj, Macro)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look up a dictionary's keys before its methods, so that `x.items` is a field."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def _tojson(value: Any) -> str:
    return str(htmlsafe_json_dumps(value))


def _own(method: str, *arguments: nodes.Expr) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(method), list(arguments), [], None, None)


class _Limits(jinja2.visitor.NodeTransformer):
    def visit_Concat(self, node: nodes.Concat) -> nodes.Call:
        """Replace `a ~ b`, whose result may be of any length, by a call of `Sandbox.joined`."""
        self.generic_visit(node)
        return _own("joined", nodes.List(node.nodes, lineno=node.lineno))

    def visit_List(self, node: nodes.List) -> nodes.Expr:
        """Measure a list when it is made, unless it is constant."""
        return self._measured(node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:
        return self._measured(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        """Measure a tuple, unless it names variables to set."""
        if node.ctx != "load":
            return node
        return self._measured(node)

    def _measured(self, node: nodes.List | nodes.Dict | nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        try:
            node.as_const()
        except nodes.Impossible:
            return _own("made", node)
        return node


class FolderLoader(jinja2.FileSystemLoader):
    """Loads templates from its folders; refuses symbolic links that lead out of them."""

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        """Return the template's source. Raises TemplateNotFound if it lies outside the folders."""
        source, file, fresh = super().get_source(environment, template)
        real = Path(file).resolve()
        if not any(real.is_relative_to(Path(folder).resolve()) for folder in self.searchpath):
            raise jinja2.TemplateNotFound(template)
        return source, file, fresh
