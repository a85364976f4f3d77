"""stepc compiles videos into reasoning data for Video-LLMs (the STEP method, end to end)."""

__version__ = "0.1.0"
