"""stepc compiles videos into reasoning data for Video-LLMs (the STEP method, end to end)."""

from stepc._checkout import _find_data_folders

__version__ = "0.1.0"

_find_data_folders(__path__)
