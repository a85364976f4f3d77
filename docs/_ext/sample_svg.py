"""Draws the terminal's output of `tests/show.py` as an SVG: the picture of the README.

stepc world render -o demo/films -n 4 --seed 1 && stepc compile demo/films -o demo/out --seed 1
python docs/_ext/sample_svg.py demo/out docs/_static/sample.svg
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

SHOW = Path(__file__).parents[2] / "tests" / "show.py"


def main(out: str, file: str) -> None:
    shown = subprocess.run(
        [sys.executable, str(SHOW), out], capture_output=True, text=True, check=True
    ).stdout
    console = Console(record=True, width=116, file=io.StringIO(), highlight=False)
    console.print(Text("$ make demo", "bold"))
    for line in shown.strip("\n").splitlines():
        text = Text(line)
        text.highlight_regex(r"^  [QA]:.*", "bold")
        text.highlight_regex(r"^\d steps?,.*", "cyan")
        text.highlight_regex(r"^     .*", "green")
        console.print(text)
    svg = console.export_svg(title="stepc", unique_id="sample")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # they load from the network
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    Path(file).write_text(svg.replace("Fira Code", "ui-monospace, Menlo, Consolas"), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
