"""Query operations, one class per file. A query is a tuple of operations, which the solver runs in order.

A class defines its fields, keywords, text form, words and meaning. To add an operation, add a file. The
operations are discovered; there is no other list of them.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from stepc.ops.base import Op
from stepc.runtime.discovery import classes_in

OPS: tuple[type[Op], ...] = classes_in("stepc.ops", Op)
"""All operation classes, in the order of their file names."""
KEYWORDS: dict[str, type[Op]] = {word: cls for cls in OPS for word in cls.keywords()}
"""Keyword of the text form → operation class."""

if TYPE_CHECKING:
    AnyOp = Op
else:
    AnyOp = Annotated[functools.reduce(operator.or_, OPS), Field(discriminator="op")]
Query = tuple[AnyOp, ...]
"""The meaning of a question: a scope, one or two chains, and a result operation."""

__all__ = ["KEYWORDS", "OPS", "AnyOp", "Op", "Query"]
