"""Writes films and their ground-truth graphs to files."""

from __future__ import annotations

import random
from pathlib import Path

from stepc.diagnostics import Place, fail, printable
from stepc.ir.text import write as write_ir
from stepc.runtime.atomic_files import write_whole
from stepc.video.source import digest
from stepc.world.ground_truth import truth
from stepc.world.render import write
from stepc.world.scene import make_film


def make_films(out: Path, number: int, seed: int, shots: int = 0) -> None:
    """Render `number` films (MP4) and their ground-truth STSGs (IR text) into `out`.

    If `shots` is 0, each film has 2 to 4 shots. Raises StepcError (B014) if `out` cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        place = Place(printable(str(out)))
        raise fail("B014", f"cannot be written ({error.strerror})", place) from None
    for i in range(number):
        film = make_film(random.Random(f"film/{seed}/{i}"), shots or None)
        name = f"film-{seed}-{i:03d}"
        path = out / f"{name}.mp4"
        write(film, path)
        unit = truth(film, name, path.name, digest(path))
        write_whole(out / f"{name}.true.stsg", write_ir(unit).encode())
