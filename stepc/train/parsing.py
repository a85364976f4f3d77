"""Whether a trained model still parses: its replies beside recorded ones."""

from __future__ import annotations

import hashlib
from collections import Counter

from stepc.dataset.read import TrainingData
from stepc.ir.words import words_of
from stepc.model.cassette import Cassette
from stepc.model.client import Call, Completion
from stepc.model.load import ModelConfig, load


def agreement(
    choice: ModelConfig, dataset: TrainingData, tape: Cassette, number: int, seed: int
) -> dict[str, float]:
    """Ask a model recorded parsing calls again; the share of replies with the recorded words, by request.

    `number` calls per kind of request are drawn from those whose recorded replies agree. Raises StepcError
    if the model cannot be loaded or asked.
    """
    requests = {str(call["text"]): str(call["request"]) for call in tape.calls.values()}
    kinds = len(set(requests.values()))
    rows = dataset.parses(tape, number * kinds, seed)
    calls: list[Call] = []
    wanted: dict[str, str] = {}
    for row in rows:
        key = hashlib.sha256(f"{row.text}{row.frames}".encode()).hexdigest()
        calls.append(
            Call(key[:12], requests[row.text], row.text, row.frames, 0.0, (seed,), whole=key)
        )
        wanted[key[:12]] = row.target
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()

    def done(call: Completion) -> None:
        asked[call.prompt.request] += 1
        same = words_of(call.texts[0]) == words_of(wanted[call.prompt.key])
        right[call.prompt.request] += same

    load(choice, dataset.pictures, seed=seed).backend.generate(calls, dataset.pictures, done)
    return {name: right[name] / asked[name] for name in sorted(asked)}
