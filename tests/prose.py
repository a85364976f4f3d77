"""Finds phrases that a native-speaking engineer would not write. `make lint` runs it.

Looks at documents, and at comments and strings of the code. The list is a floor, not a style guide.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PHRASES: dict[str, str] = {
    r"\bof which (nothing|none|one|some|all)\b": "turn the sentence round",
    r"\bin hundredths\b": "in percent, %",
    r"\bprocessor time\b": "CPU time",
    r"\breckon(s|ed)?\b": "estimate",
    r"\bmeans nothing here\b": "unknown placeholder",
    r"\bis there twice\b": "duplicate",
    r"\bknown from before\b": "cached",
    r"\b(was|were|is|are) made again\b": "retried, computed again",
    r"\bat one time\b": "in parallel, at once",
    r"\bcosts (only|nothing but) itself\b": "never stops a run",
    r"\bnothing (was|is) heard\b": "no progress",
    r"\bfor so many (seconds|minutes|frames|videos)\b": "for this many",
    r"\bis no (result|spec|pass|pipeline|folder|number|video|query|size|such thing)\b": "is not a",
    r"\bthe (road|house)\b": "the pipeline, the architecture",
    r"\btwo (prices|numbers) with a\b": "INPUT/OUTPUT",
    r"\b(rivals?|spendings?|tallies)\b": "distractors, usage",
    r"\bkeep nothing, find nothing\b": "do not read from or write to the store",
}
"""What not to write, and what to write."""
LEFT_OUT = (
    "tests/prose.py", "tests/standin/descriptions.py", "golden/", "CHANGELOG.md", "constraints.txt",
)  # fmt: skip


def main() -> int:
    names = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.lark", "*.toml", "Makefile"],
        cwd=HERE, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    wrong = 0
    for name in names:
        if name.startswith(LEFT_OUT) or not (HERE / name).is_file():
            continue
        for number, line in enumerate((HERE / name).read_text("utf-8").splitlines(), 1):
            for pattern, better in PHRASES.items():
                if found := re.search(pattern, line, re.IGNORECASE):
                    print(f"{name}:{number}: `{found[0]}`: write {better}")
                    wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
