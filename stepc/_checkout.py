"""Finds `passes`, `grammar`, `templates` and `specs` in a checkout without symbolic links.

These folders are at the top of the repository. In a checkout, `stepc/passes` and its siblings are
symbolic links to them; in an installed package they are real folders. Git on Windows writes a link as a
text file by default. Then the packages are found at the top of the checkout instead.
"""

from __future__ import annotations

from pathlib import Path


def _find_data_folders(package: list[str]) -> None:
    """Add the checkout's root to the package path, if the links in the package are not folders."""
    here = Path(package[0])
    if not (here / "passes").is_dir() and (here.parent / "passes").is_dir():
        package.append(str(here.parent))
