"""Query operations, one class per file. A query is a tuple of them; the solver runs them in order.

A class owns its fields, its keywords, its text form, the words that it says and its meaning. To add an
operation, add a file; nothing else lists them.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from stepc.ops.base import Op
from stepc.runtime.discovery import classes_in

OPS: tuple[type[Op], ...] = classes_in("stepc.ops", Op)
"""All operations, in the order of their file names."""
KEYWORDS: dict[str, type[Op]] = {word: cls for cls in OPS for word in cls.keywords()}
"""Every operation by the keywords of its text form."""

if TYPE_CHECKING:
    AnyOp = Op
else:
    AnyOp = Annotated[functools.reduce(operator.or_, OPS), Field(discriminator="op")]
Query = tuple[AnyOp, ...]
"""A question's meaning: a scope, then one or two chains, then what is answered."""

__all__ = ["KEYWORDS", "OPS", "AnyOp", "Op", "Query"]
