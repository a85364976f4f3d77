"""An example of a stepc plug-in: one of each kind."""

from pathlib import Path

STARTING = Path(__file__).parent / "starting.step"
"""A spec, by the path of its file."""
TERSE = Path(__file__).parent / "terse"
"""A template set, by the path of its folder."""
