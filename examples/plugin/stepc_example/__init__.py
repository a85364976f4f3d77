"""An example of a stepc plug-in: one of each kind."""

from pathlib import Path

STARTING = Path(__file__).parent / "starting.step"
"""A spec, by the path of its file."""
AUF_DEUTSCH = Path(__file__).parent / "auf-deutsch.step"
"""A spec in the language of this package."""
TERSE = Path(__file__).parent / "terse"
"""A template set, by the path of its folder."""
