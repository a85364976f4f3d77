"""Training examples of questions with one step about a whole film, answered without a rationale.

They are what the paper's models are tuned on before self-training: simple questions and their answers.
"""

from __future__ import annotations

import random

from stepc.lang.resolve import read_spec
from stepc.model.requests import Ask
from stepc.passes.compose import Compose
from stepc.passes.sample import SamplePaths
from stepc.passmanager.base import Tools
from stepc.video.decode import Pictures
from stepc.world.ground_truth import truth
from stepc.world.render import draw
from stepc.world.scene import Film, Shot, make_film
from stepc.world.training_examples import Pack, worn

SPEC = 'spec asked "simple questions"\nimport step\noverride paths {\n  count 24 per video\n  steps 1\n}\n'
FRAMES = (4, 8, 8)
"""How many pictures a film may be shown with; each film draws one of these numbers."""


def asking(rng: random.Random, count: int, questions: int) -> list[Pack]:
    """`count` packs: a film as pictures at the middles of equal parts, with at most `questions` questions."""
    spec = read_spec(SPEC, "asked.step")
    made = []
    for _ in range(count):
        film = make_film(rng)
        unit = truth(film, "film", "film.mp4", f"{rng.getrandbits(256):064x}")
        tools = Tools(Pictures(), spec=spec, seed=rng.getrandbits(32))
        samples = Compose().run(SamplePaths().run(unit, tools), tools).samples
        chosen = rng.sample(samples, min(questions, len(samples)))
        lessons = tuple((Ask(frames=(), question=s.question), s.answer) for s in chosen)
        number = rng.choice(FRAMES)
        frames = [(2 * i + 1) * film.frames // (2 * number) for i in range(number)]
        shown = (_at(film, frame) for frame in frames)
        made.append(Pack(tuple(worn(draw(*at), rng) for at in shown), lessons))
    return made


def _at(film: Film, frame: int) -> tuple[Shot, float]:
    """The shot that shows a frame of a film, and the progress of its movement."""
    for shot in film.shots:
        if frame < shot.frames:
            return shot, shot.progress(frame)
        frame -= shot.frames
    raise ValueError("the film has no such frame")
