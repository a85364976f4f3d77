"""Puts the top-level folders into the wheel as packages of `stepc`.

`stepc/passes` and its siblings are symbolic links to these folders. A build does not follow them, because a
checkout without symbolic links holds text files in their place. An editable install needs no copies: it
runs from the checkout (see `stepc/_checkout.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = {
    "passes": "__init__.py",
    "grammar": "step.lark",
    "templates": "default",
    "specs": "step.step",
}
"""Top-level folders, and a file or folder that each must contain."""


class CustomBuildHook(BuildHookInterface[Any]):
    """Checks the folders, and adds them to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises FileNotFoundError if a folder is missing or empty."""
        for folder, content in FOLDERS.items():
            if not (Path(self.root) / folder / content).exists():
                message = (
                    f"the folder `{folder}` is missing or lacks `{content}`;"
                    " build stepc from a complete checkout or source distribution"
                )
                raise FileNotFoundError(message)
            if self.target_name == "wheel" and version != "editable":
                build_data["force_include"][folder] = f"stepc/{folder}"
