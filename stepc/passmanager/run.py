"""Runs the passes of a pipeline on one unit, with verification and the store."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from stepc.diagnostics import Place, Statistics, StepcError, crash, fail
from stepc.ir.text import read, write
from stepc.ir.types import Qras, Unit
from stepc.ir.verify import verify
from stepc.model.client import FAILED
from stepc.passmanager.base import LinkPass, Pass, Tools
from stepc.passmanager.corpus import Corpus
from stepc.passmanager.memo import Memo, PassResult, hash_of
from stepc.passmanager.pipeline_text import check_levels
from stepc.passmanager.summaries import UnitsInMemory


def run(
    passes: list[Pass[Any, Any]],
    unit: Unit,
    tools: Tools,
    *,
    verify_each: bool = True,
    memo: Memo | None = None,
    first: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[PassResult]:
    """Run `passes` on `unit` one after another and yield each result.

    With `verify_each`, the unit is verified before the first pass and after every pass that runs, and its
    new statements are printed as text and read back. With a `memo`, results are read from and written to
    the store, except those that lack replies which failed. `first` is the place of the first pass in the
    pipeline, for the reasons that `memo` records.
    Raises StepcError: diagnostics of the verifier or of the pass, P010 for any other exception in a pass.
    """
    check_levels(passes, type(unit))
    before: list[str] = []
    if verify_each:
        _verified(unit, None, "the input")
    memo = memo and memo.of(unit.video.file)
    content = hash_of(unit) if memo else b""
    place = 0
    while place < len(passes):
        found = memo.found(passes[place:], content) if memo else None
        if memo and found:
            chain, unit = found
            for entry in chain:
                p, last = passes[place], entry is chain[-1]
                load = (
                    functools.partial(_same, unit) if last else functools.partial(memo.load, entry)
                )
                before.append(p.name)
                yield PassResult(p.name, load, 0.0, Statistics(entry.facts["counts"]), found=True)
                content, place = entry.hash, place + 1
            continue
        joined = [passes[place]]
        while passes[place + len(joined) :] and joined[-1].joins(passes[place + len(joined)]):
            joined.append(passes[place + len(joined)])
        for p, made, seconds, counts in _made(joined, unit, tools, clock):
            why = memo.why(p, first + place, unit, content) if memo else ""
            _at_level(p, made, unit)
            if verify_each:
                after = f"after {', '.join(before)}" if before else "first"
                _verified(made, unit, f"the output of `{p.name}` ({after})")
            unit = made
            before.append(p.name)
            done = PassResult(p.name, functools.partial(_same, unit), seconds, counts, why)
            if memo and counts.counts.get(FAILED):  # the next run asks for what failed
                content = hash_of(unit)
            elif memo:
                content = memo.put(p, content, unit, done).hash
            place += 1
            yield done


def _made(
    joined: list[Pass[Any, Any]], unit: Unit, tools: Tools, clock: Callable[[], float]
) -> list[tuple[Pass[Any, Any], Unit, float, Statistics]]:
    """Run one pass, or passes that run together: each result with seconds and counts. Raises StepcError."""
    names = " and ".join(f"`{p.name}`" for p in joined)
    try:
        if len(joined) > 1:
            own = [replace(tools, counts=Statistics(), uses=p.uses) for p in joined]
            many = joined[0].run_joined(joined[1:], unit, own)
            return [
                (p, made, seconds, with_.counts)
                for p, with_, (made, seconds) in zip(joined, own, many, strict=True)
            ]
        (p,), began = joined, clock()
        tools.counts, tools.uses = Statistics(), p.uses
        made = p.run(unit, tools)
        return [(p, made, clock() - began, tools.counts)]
    except (StepcError, MemoryError):
        raise
    except Exception as error:  # a pass, a plug-in or a library may raise anything
        if type(error).__module__ == "cv2":
            raise  # OpenCV has its own exception for out of memory
        raise crash("P010", f"pass {names}", error, Place(unit.name)) from error


def _same(unit: Unit) -> Unit:
    return unit


def run_alone(
    done: Iterator[PassResult],
    unit: Unit,
    links: list[LinkPass],
    seed: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[PassResult]:
    """Continue from `done` with link passes over a corpus of this one unit.

    Raises StepcError (P005) if the unit is not at level qra.
    """
    for each in done:
        unit = each.unit
        yield each
    for link in links:
        if not isinstance(unit, Qras):
            message = f"`{link.name}` takes level qra, but its input here is {unit.LEVEL}"
            raise fail("P005", message, Place("--pipeline"), "run `compose` before it")
        began, counts = clock(), Statistics()
        corpus = link.run(Corpus(UnitsInMemory([unit])), seed, counts)
        _, unit = next(corpus.left())
        yield PassResult(link.name, functools.partial(_same, unit), clock() - began, counts)


def _at_level(p: Pass[Any, Any], made: Unit, before: Unit) -> None:
    """Raises StepcError (P008) if a pass returned anything but a unit of its output level."""
    wanted = type(before) if p.keeps_level else p.levels()[1]
    if type(made) is not wanted:
        got = f"a unit at level {made.LEVEL}" if isinstance(made, Unit) else type(made).__name__
        message = f"pass `{p.name}` returned {got} instead of a unit at level {wanted.LEVEL}"
        raise fail("P008", message, None, "`run` must return a unit of the pass's output level")


def _verified(unit: Unit, before: Unit | None, what: str) -> None:
    """Raises StepcError (P008) if a unit breaks the IR's rules or its text form does not read back."""
    found = verify(unit)
    if found:
        head = fail("P008", f"{what} breaks the IR's rules", Place(unit.name)).diagnostics
        raise StepcError(*head, *found)
    new = {
        name: tuple(x for x in getattr(unit, name) if x not in known)
        for name in type(unit).model_fields
        if isinstance(getattr(unit, name), tuple) and name != "clips"
        for known in [frozenset(getattr(before, name, ()))]
    }
    fields: dict[str, Any] = {"name": unit.name, "video": unit.video, "clips": unit.clips, **new}
    part = type(unit).model_construct(**fields)
    message = f"the text form of {what} cannot be read back"
    try:
        again = read(write(part), unit.name).unit
    except StepcError as error:
        raise StepcError(*fail("P008", message).diagnostics, *error.diagnostics) from error
    if any(getattr(again, name) != values for name, values in new.items()):
        raise fail(
            "P008", message, Place(unit.name), "its text form reads back as different statements"
        )
