"""Syntax highlighting for `.step` specs and Lark grammars."""

from __future__ import annotations

from typing import Any

from pygments.lexer import RegexLexer, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text

DECLARATIONS = (
    "spec", "use", "import", "let", "phrase", "word", "allow", "paths", "edge", "path", "pattern", "time",
    "pair", "dataset", "where", "then", "not", "or", "either", "exists", "override", "find", "if", "and",
    "from", "per", "video",
)  # fmt: skip


class StepLexer(RegexLexer):  # type: ignore[misc]
    """The `.step` language."""

    name = "step"
    aliases = ("step",)
    tokens = {  # noqa: RUF012
        "root": [
            (r"#[^\n]*", Comment.Single),
            (r'"(\\.|[^"\\\n])*"', String),
            (r"=>|<=|>=|--|->|\.\.|[|:=]", Operator),
            (r"\d+(\.\d+)?(s|%|/\d+)?", Number),
            (words(DECLARATIONS, suffix=r"(?![\w-])"), Keyword),
            (r"[a-z][a-z0-9]*(-[a-z0-9]+)*", Name),
            (r"[{}(),]", Punctuation),
            (r"\s+|.", Text),
        ]
    }


class LarkLexer(RegexLexer):  # type: ignore[misc]
    """Lark's grammar language."""

    name = "lark"
    aliases = ("lark",)
    tokens = {  # noqa: RUF012
        "root": [
            (r"//[^\n]*", Comment.Single),
            (r'"(\\.|[^"\\\n])*"i?', String),
            (r"/(?![/ ])(\\.|[^/\\\n])+/[a-z]*", String.Regex),
            (r"%[a-z]+", Keyword),
            (r"[?!]?_?[a-z][a-z_0-9]*(?=[^\n:]*:)", Name.Function),
            (r"_?[A-Z][A-Z_0-9]*", Name.Constant),
            (r"[|:*+?~]|->|\.\.", Operator),
            (r"\s+|.", Text),
        ]
    }


def setup(app: Any) -> dict[str, bool]:
    app.add_lexer("step", StepLexer)
    app.add_lexer("lark", LarkLexer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
