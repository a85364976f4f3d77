"""Writes the tables of studies into README.md and docs from `benchmarks/studies/*.json`.

`make tables` runs it. A block between `<!-- study: NAME PART -->` and `<!-- /study -->` is replaced by the table of the
study NAME; PART is `direct`, `reasoned` or `graphs`. Files of one study, such as `controls-0.json` and `controls-2.json`,
are its seeds in parts.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from stepc.world.outcome import Outcome

HERE = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/explanation/studies.md", "docs/findings.md")
BLOCK = re.compile(r"(<!-- study: (\w+) (\w+) -->\n).*?(<!-- /study -->)", re.DOTALL)


def outcomes(folder: Path) -> dict[str, Outcome]:
    """The studies whose results are in a folder, by name."""
    made: dict[str, Outcome] = {}
    for file in sorted(folder.glob("*.json")):
        part = Outcome.read(file.read_bytes())
        made[part.name] = made[part.name].joined(part) if part.name in made else part
    return made


def filled(text: str, studies: dict[str, Outcome]) -> str:
    """A page with the tables of these studies."""

    def table(m: re.Match[str]) -> str:
        made, part = studies[m[2]], m[3]
        shown = made.graph_table() if part == "graphs" else made.table(part)
        seeds = f"{made.seeds} seeds" if made.seeds > 1 else "One seed"
        return f"{m[1]}\n{shown}\n\n{seeds}.\n\n{m[4]}"

    return BLOCK.sub(table, text)


def main() -> int:
    """Write the tables; with `--check`, only tell whether they are as written."""
    studies = outcomes(HERE / "benchmarks" / "studies")
    wrong = []
    for name in PAGES:
        page = HERE / name
        text = page.read_text("utf-8")
        made = filled(text, studies)
        if made != text:
            wrong.append(name)
            if "--check" not in sys.argv:
                page.write_text(made, "utf-8")
    print(f"{len(studies)} studies; changed: {', '.join(wrong) or 'nothing'}")
    return 1 if wrong and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
