"""Builds Lark parsers, and caches their tables, because computing them takes 50 ms each."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from typing import Any

import lark

from stepc.runtime.cache_folder import cache_folder


def lalr_parser(grammar: str, **options: Any) -> lark.Lark:
    """Build an LALR parser with Lark's options.

    Its tables are cached in the user's cache folder as a pickle, which only the user should be able to
    write. Lark rebuilds the tables if the file is missing, damaged or of another version.
    """
    folder = cache_folder()
    if folder is not None:
        key = "\n".join([grammar, repr(sorted(options.items())), lark.__version__, sys.version])
        path = folder / "grammars" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.lark"
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            options = {**options, "cache": str(path)}
    return lark.Lark(grammar, parser="lalr", **options)
