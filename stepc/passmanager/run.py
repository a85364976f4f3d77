"""Runs the passes of a pipeline on one unit, with verification and the store."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stepc.diagnostics import Place, Statistics, StepcError, fail
from stepc.ir.types import Qras, Unit
from stepc.ir.verify import verify
from stepc.passmanager.corpus import Corpus, UnitsInMemory

if TYPE_CHECKING:
    pass
from stepc.passmanager.base import LinkPass, Pass, Tools
from stepc.passmanager.memo import Memo, PassResult, hash_of
from stepc.passmanager.pipeline_text import check_levels


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
    """Run `passes` on `unit` one after another, telling of each; the first is the pipeline's `first`.

    With `verify_each` the unit is verified before the first and after every pass that runs. With
    a `memo` what is stored is not made again, and what is made is stored. Raises StepcError: the
    diagnostics of the verifier or of the pass.
    """
    check_levels(passes, type(unit))
    before: list[str] = []
    if verify_each:
        _verified(unit, "the input")
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
            unit = made
            if verify_each:
                after = f"after {', '.join(before)}" if before else "first"
                _verified(unit, f"the output of `{p.name}` ({after})")
            before.append(p.name)
            done = PassResult(p.name, functools.partial(_same, unit), seconds, counts, why)
            if memo:
                content = memo.keep(p, content, unit, done).hash
            place += 1
            yield done


def _made(
    joined: list[Pass[Any, Any]], unit: Unit, tools: Tools, clock: Callable[[], float]
) -> Iterator[tuple[Pass[Any, Any], Unit, float, Statistics]]:
    """What passes that run at one time make, each with its seconds and counts."""
    if len(joined) > 1:
        own = [replace(tools, counts=Statistics(), uses=p.uses) for p in joined]
        many = joined[0].run_joined(joined[1:], unit, own)
        for p, with_, (made, seconds) in zip(joined, own, many, strict=True):
            yield p, made, seconds, with_.counts
        return
    (p,), began = joined, clock()
    tools.counts, tools.uses = Statistics(), p.uses
    made = p.run(unit, tools)
    yield p, made, clock() - began, tools.counts


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
    """Go on from `done` with link passes over a corpus of this one unit.

    Raises StepcError (P005) if it is not at level qra by then.
    """
    for each in done:
        unit = each.unit
        yield each
    for link in links:
        if not isinstance(unit, Qras):
            message = f"`{link.name}` joins units of level qra, and this one is {unit.LEVEL}"
            raise fail("P005", message, Place("--pipeline"), "compose it first")
        began, counts = clock(), Statistics()
        corpus = link.run(Corpus(UnitsInMemory([unit])), seed, counts)
        _, unit = next(corpus.left())
        yield PassResult(link.name, functools.partial(_same, unit), clock() - began, counts)


def _verified(unit: Unit, what: str) -> None:
    found = verify(unit)
    if found:
        head = fail("P008", f"{what} breaks the IR's rules", Place(unit.name)).diagnostics
        raise StepcError(*head, *found)
