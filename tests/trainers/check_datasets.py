"""Opens the folder of `stepc compile` and the exports `hf`, `trl`, `grpo` and `dpo` with `datasets`.

Usage: python check_datasets.py EXPORT_ROOT. Checked: `load_dataset(FOLDER)` finds the sets, each with its
own samples and every field of them; streaming gives the same rows; the card can be read; pictures are
decoded.
"""

# ruff: noqa: I001 (the shims come first)
from __future__ import annotations

import sys
from pathlib import Path

import shims  # noqa: F401

from datasets import Image, load_dataset
from huggingface_hub import DatasetCard

from decoded_batches import SETS, check_frames, check_split, films, samples, versions

root = Path(sys.argv[1])
made = {s["id"]: s for s in samples(root)}


def pruned(value: object) -> object:
    """Without what Arrow adds: fields that are null, or empty, in place of fields that are not there."""
    if isinstance(value, dict):
        kept = {k: pruned(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in (None, [], {}, "")}
    return [pruned(v) for v in value] if isinstance(value, list) else value


def rows_of(name: str) -> None:
    """The samples as they were compiled, in a folder of `stepc compile` or an export `hf`."""
    print(f"\n# load_dataset({name!r})")
    sets = load_dataset(str(root / name))
    assert set(sets) == set(SETS.values()), sets
    print("columns:", ", ".join(sets["train"].column_names))
    found = set()
    for part, rows in sets.items():
        check_split(root, part, rows["video"])
        for row in rows:
            own = made[row["id"]]
            found.add(row["id"])
            assert SETS[own["set"]] == part
            told = {k: own[k] for k in row if k in own}
            assert pruned(dict(row)) == pruned(told), (row, own)
    assert found == set(made)
    lost = (
        {key for sample in made.values() for key in sample}
        - set(sets["train"].column_names)
        - {"set"}
    )
    assert not lost, f"fields without a column: {lost}"
    print(
        "row:", {k: sets["train"][0][k] for k in ("id", "video", "question", "answer", "rationale")}
    )
    streamed = load_dataset(str(root / name), streaming=True)["test"]
    assert [row["id"] for row in streamed] == sets["test"]["id"]
    card = DatasetCard.load(root / name / "README.md").data.to_dict()
    print("card:", {k: v for k, v in card.items() if k != "dataset_info"})


def pictures_of(name: str) -> None:
    print(f"\n# load_dataset({name!r})")
    sets = load_dataset(str(root / name))
    assert set(sets) == set(SETS.values()), sets
    print({k: str(v) for k, v in sets["train"].features.items()})
    assert sets["train"].features["images"].feature == Image()
    import numpy as np

    for part, rows in sets.items():
        row = rows[len(rows) - 1]
        film = row["id"].split("/")[0] + ".mp4"
        assert SETS[made["/".join(row["id"].split("/")[:2])]["set"]] == part
        check_frames(np.stack([np.asarray(p) for p in row["images"]]).astype(float), film, known)


versions("datasets", "pyarrow", "huggingface_hub")
known = films(root)
rows_of("out")
rows_of("hf")
for name in ("trl", "grpo", "dpo"):
    pictures_of(name)
