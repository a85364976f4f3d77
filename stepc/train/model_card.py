"""Writes the card of a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepc import __version__
from stepc.runtime.escape import markdown, yaml

if TYPE_CHECKING:
    from stepc.train.loop import TrainingResult


def model_card(facts: dict[str, Any], made: TrainingResult) -> str:
    """The README.md of a trained model, in the form that the hub wants."""
    recipe = "\n".join(
        f"| {k} | {markdown(str(v))} |" for k, v in facts["recipe"].items() if k != "more"
    )
    last = [row for row in made.history if "loss" in row][-1:]
    loss = "".join(f"\nFinal loss: {row['loss']}." for row in last)
    rows = ", ".join(f"{n} of `{task}`" for task, n in made.rows.items() if n)
    return (
        f"---\nbase_model: {yaml(facts['model'])}\ntags: [stepc, video-text-to-text]\n---\n\n"
        f"# Trained with stepc {__version__}\n\n"
        f"Trained from `{facts['model']}` for {made.steps} steps on {made.samples} samples ({rows}); hash of"
        f" the data: `{facts['data'][:16]}`. L = L_ans + λ L_rat.{loss}\n\n"
        f"| | |\n| --- | --- |\n{recipe}\n"
    )
