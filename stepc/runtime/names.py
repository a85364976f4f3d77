"""Names that come from data, and the only way to make a path of one.

Datasets, stores and replies are shared by people who do not know each other. A name in them (a unit, a
set, a split) must never lead outside the folder that it is written to. Functions that write files take
a `Name`, so that the type checker refuses an unchecked string.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

LONGEST = 200
"""Maximum bytes of a file's name, without what is added to it; file systems allow 255."""


class Name(str):
    """A relative path in POSIX form, without `.`, `..`, empty parts or control characters.

    Raises ValueError for any other text.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Name:
        """Check a name."""
        wrong = any(part in ("", ".", "..") for part in text.split("/"))
        if wrong or not text.isprintable() or "\\" in text:
            raise ValueError(f"{text[:80]!r} is not a name of a file below a folder")
        return super().__new__(cls, text)

    @classmethod
    def single(cls, text: object) -> Name:
        """Check a name without slashes, such as that of a set. Raises ValueError."""
        if not isinstance(text, str) or "/" in text or len(text) > 64:
            raise ValueError(f"{str(text)[:80]!r} is not a plain name")
        return cls(text)

    def below(self, folder: Path, ending: str = "") -> Path:
        """The path `folder/name + ending`. Parts that are too long for a file system are shortened.

        Raises ValueError if this system takes the name for another place (`C:x` on Windows).
        """
        parts = [_fitting(part) for part in self.split("/")]
        made = folder.joinpath(*parts[:-1], parts[-1] + ending)
        if not made.is_relative_to(folder):
            raise ValueError(f"{self[:80]!r} is not a name of a file below a folder")
        return made


def _fitting(part: str) -> str:
    data = part.encode()
    if len(data) <= LONGEST:
        return part
    mark = hashlib.sha256(data).hexdigest()[:12]
    return f"{data[: LONGEST - 13].decode(errors='ignore')}-{mark}"
