"""Prints three samples of a dataset, one of each number of steps, and where its files are."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(out: Path) -> None:
    """Show the dataset in `out`."""
    rows = [json.loads(line) for line in (out / "qra.jsonl").read_text("utf-8").splitlines()]
    shown: dict[int, dict[str, object]] = {}
    for row in rows:
        shown.setdefault(row["steps"], row)
    for steps, row in sorted(shown.items()):
        print(f"\n{steps} step{'s' if steps > 1 else ''}, {row['id']}")
        print(f"  Q: {row['question']}")
        for because in row["rationale"]:  # type: ignore[attr-defined]
            print(f"     {because['text']}")
        print(f"  A: {row['answer']}")
    print(f"\n{len(rows)} samples in {out}/qra.jsonl; graphs in {out}/units; {out}/manifest.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
