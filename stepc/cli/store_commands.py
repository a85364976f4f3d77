"""Commands for the store of cached results: stats, verify, gc."""

from __future__ import annotations

from typing import Annotated

import typer

from stepc.cli.app import STORE, App, errors
from stepc.cli.common import Json, StorePlace, app, count, print_json, terminal
from stepc.diagnostics import Place, fail, printable

store = App(
    help="Inspect and clean the store of cached results.",
    epilog="Example: stepc store stats",
)
app.add_typer(store, name="store")
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@store.command(epilog="Example: stepc store stats")
def stats(folder: StorePlace = None, json: Json = False) -> None:
    """Print the number and size of the entries, by the pass or kind of result.

    Keys of --json: kinds (a list: kind, entries, bytes), entries, bytes (of all kinds).
    """
    from stepc.store.open import default_place, open_store

    rows = open_store(folder or default_place(), terminal()).stats()
    entries, size = sum(r[1] for r in rows), sum(r[2] for r in rows)
    if json:
        kinds = [dict(zip(("kind", "entries", "bytes"), row, strict=True)) for row in rows]
        print_json({"kinds": kinds, "entries": entries, "bytes": size})
        return
    print(f"{'kind':18}{'entries':>12}{'bytes':>18}")
    for row in [*rows, ("all", entries, size)]:
        print(f"{printable(str(row[0])):18}{row[1]:12,}{row[2]:18,}")


@store.command(epilog="Example: stepc store verify")
def verify(folder: StorePlace = None, json: Json = False) -> None:
    """Read all entries and drop damaged ones. The next run computes them again.

    Key of --json: damaged (the number of entries dropped).
    """
    from stepc.store.open import default_place, open_store

    kept = open_store(folder or default_place(), terminal())
    bad = kept.verify()
    if json:
        print_json({"damaged": bad})
    errors.print(f"{count(bad, 'damaged entry', 'damaged entries')} dropped")
    if bad:
        raise typer.Exit(1)


@store.command(epilog="Example: stepc store gc --max-size 20G")
def gc(
    max_size: Annotated[
        str,
        typer.Option(help="Maximum size to keep, such as 500M or 20G.", rich_help_panel=STORE),
    ],
    folder: StorePlace = None,
    json: Json = False,
) -> None:
    """Drop the least recently used entries until at most --max-size is left.

    Keys of --json: dropped (entries), freed (bytes).
    """
    from stepc.store.open import default_place, open_store

    number, unit = max_size[:-1], max_size[-1:].upper()
    try:
        size = int(float(number) * UNITS[unit]) if unit in UNITS else int(max_size)
        if size < 0:
            raise ValueError
    except (ValueError, OverflowError):
        message = f"`{printable(max_size)}` is not a size"
        raise fail("U001", message, Place("--max-size"), "such as 500M or 20G") from None
    dropped, freed = open_store(folder or default_place(), terminal()).collect(size)
    if json:
        print_json({"dropped": dropped, "freed": freed})
    errors.print(f"{count(dropped, 'entry', 'entries')} of {freed:,} bytes dropped")
