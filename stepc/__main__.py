"""The command line's entry point, also of `python -m stepc`."""

from __future__ import annotations

import gc
import os


def main() -> None:
    """Run the command line. Exits with its code."""
    # Imports make many objects and hardly any garbage: fewer collections are a tenth of the start-up time.
    gc.set_threshold(20_000)
    # stepc uses no plug-ins of pydantic; to look for them, it would read every installed package's metadata.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from stepc.cli import main as run

    run()


if __name__ == "__main__":
    main()
