"""Question forms: the ways in which a path can be asked.

A class defines the vocabulary of the form in specs, the end of its query, its answer, its leak rule and
its text. To add a form, add a file here, or name a class in the entry-point group `stepc.forms` of your
own package.
"""

from __future__ import annotations

from stepc.forms.base import Form
from stepc.runtime.discovery import classes_in

FORMS: dict[str, Form] = {
    cls.name: cls()
    for cls in sorted(
        (c for c in classes_in("stepc.forms", Form) if hasattr(c, "name")),
        key=lambda cls: cls.order,
    )
}
"""Name → form, in the order of the forms."""

__all__ = ["FORMS", "Form"]
