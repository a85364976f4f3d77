"""Commands for the store of cached results: stats, verify, gc."""

from __future__ import annotations

from typing import Annotated

import typer

from stepc.cli.common import StorePlace, app, errors, terminal
from stepc.diagnostics import Place, fail, printable

store = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Inspect and clean the store of cached results.",
    epilog="Example: stepc store stats",
)
app.add_typer(store, name="store")
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@store.command(epilog="Example: stepc store stats")
def stats(folder: StorePlace = None) -> None:
    """Print the number and size of the entries, by the pass or kind of result."""
    from stepc.store.open import default_place, open_store

    rows = open_store(folder or default_place(), terminal()).stats()
    print(f"{'kind':18}{'entries':>12}{'bytes':>18}")
    for kind, number, size in rows:
        print(f"{kind:18}{number:12,}{size:18,}")
    print(f"{'all':18}{sum(r[1] for r in rows):12,}{sum(r[2] for r in rows):18,}")


@store.command(epilog="Example: stepc store verify")
def verify(folder: StorePlace = None) -> None:
    """Read all entries and drop damaged ones. The next run computes them again."""
    from stepc.store.open import default_place, open_store

    kept = open_store(folder or default_place(), terminal())
    bad = kept.verify()
    errors.print(f"{bad} damaged entries dropped")
    if bad:
        raise typer.Exit(1)


@store.command(epilog="Example: stepc store gc --most 20G")
def gc(
    most: Annotated[str, typer.Option(help="Maximum size to keep, such as 500M or 20G.")],
    folder: StorePlace = None,
) -> None:
    """Drop the least recently used entries until at most --most is left."""
    from stepc.store.open import default_place, open_store

    number, unit = most[:-1], most[-1:].upper()
    try:
        size = int(float(number) * UNITS[unit]) if unit in UNITS else int(most)
    except ValueError:
        message = f"`{printable(most)}` is not a size"
        raise fail("U001", message, Place("--most"), "such as 500M or 20G") from None
    dropped, freed = open_store(folder or default_place(), terminal()).collect(size)
    errors.print(f"{dropped:,} entries of {freed:,} bytes dropped")
