"""`stepc world train`: trains the embedded model from scratch on a CPU.

There are two stages. *look*: the vision tower alone learns to classify what covers each patch. *ask*: the
whole model learns to answer training examples; many questions are packed behind one prefix of pictures, with
a block mask and restarted positions. Weights are initialised with a standard deviation near 1/sqrt(width),
because the library's 0.02 is meant for wide models and leaves a narrow one on a plateau.
"""

from __future__ import annotations

import functools
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from transformers import Idefics3Config, Idefics3ForConditionalGeneration, LlamaConfig
from transformers.models.idefics3.configuration_idefics3 import Idefics3VisionConfig

from stepc.model.requests import Request, Several
from stepc.model.templates import Templates
from stepc.world.asking_examples import asking
from stepc.world.render import Picture, draw, sprite
from stepc.world.scene import COLORS, DYNAMIC, SIDE, SIZES, STATIC, TEXTURES, make_film
from stepc.world.training_examples import Lesson, Pack, Phrasing, packs, worn
from stepc.world.words import PATCH, PIXELS, TOKENS, make_processor, vocabulary

WIDTH = 160
SPREAD = 0.08
FACETS = (STATIC + DYNAMIC, tuple(COLORS), tuple(SIZES), TEXTURES)
GRID = PIXELS // PATCH
HALVES = torch.cpu._is_avx512_bf16_supported()
"""Whether the CPU has fast bfloat16 matrix multiplication. If not, train in float32 with AdamW only."""
LESSON_TOKENS = 200
"""Approximate number of example tokens per prefix; attention cost is quadratic in it."""


def make_model() -> Idefics3ForConditionalGeneration:
    """A freshly initialised Idefics3 model with 4 vision and 4 text layers of width 160."""
    words = vocabulary()
    vision = Idefics3VisionConfig(
        hidden_size=WIDTH,
        intermediate_size=WIDTH * 3,
        num_hidden_layers=4,
        num_attention_heads=5,
        image_size=PIXELS,
        patch_size=PATCH,
        initializer_range=SPREAD,
    )
    text = LlamaConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=448,
        num_hidden_layers=4,
        num_attention_heads=5,
        num_key_value_heads=5,
        max_position_embeddings=2048,
        initializer_range=SPREAD,
        tie_word_embeddings=True,
        pad_token_id=words.index("<pad>"),
        bos_token_id=words.index("<pad>"),
        eos_token_id=words.index("<end_of_utterance>"),
    )
    config = Idefics3Config(
        vision_config=vision,
        text_config=text,
        scale_factor=2,
        image_token_id=words.index("<image>"),
        tie_word_embeddings=True,
        pad_token_id=words.index("<pad>"),
        initializer_range=SPREAD,
    )
    model = Idefics3ForConditionalGeneration(config)
    for name, weight in model.named_parameters():
        if weight.ndim >= 2:
            nn.init.normal_(weight, std=SPREAD if "patch_embedding" not in name else 0.03)
    return model


def pixels(pictures: list[Picture]) -> Tensor:
    """Preprocess pictures as the processor does: float32 (n, 3, 128, 128), -1 to 1."""
    from PIL import Image

    shrunk = [
        np.asarray(Image.fromarray(p).resize((PIXELS, PIXELS), Image.Resampling.BICUBIC))
        for p in pictures
    ]
    return torch.from_numpy(np.stack(shrunk)).permute(0, 3, 1, 2).float() / 127.5 - 1


# --- stage 1: look -----------------------------------------------------------------------


def _looks(seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Pictures (n, 3, 128, 128), and the facet indices per patch (n, patches, 4); -1 is background."""
    rng = random.Random(seed)
    pictures: list[Picture] = []
    labels = []
    while len(pictures) < count:
        for shot in make_film(rng, 2).shots:
            progress = rng.random()
            pictures.append(worn(draw(shot, progress), rng))
            best = np.full((GRID, GRID), 0.12)
            label = np.full((GRID, GRID, 4), -1)
            for actor in sorted(shot.actors, key=lambda a: a.thing.dynamic):
                t = actor.thing
                _, cover = sprite(t.shape, t.color, t.size, t.texture)
                side = cover.shape[0]
                x, y = (round(v) - side // 2 for v in actor.at(progress))
                whole = np.zeros((SIDE, SIDE), np.float32)
                x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, SIDE), min(y + side, SIDE)
                whole[y0:y1, x0:x1] = cover[y0 - y : y1 - y, x0 - x : x1 - x, 0]
                share = cv2.resize(whole, (GRID, GRID), interpolation=cv2.INTER_AREA)
                facets = [
                    FACETS[i].index(v) for i, v in enumerate((t.shape, t.color, t.size, t.texture))
                ]
                label[share >= best] = facets
                best = np.maximum(best, share)
            labels.append(label)
    return pixels(pictures[:count]), torch.from_numpy(np.stack(labels[:count])).view(count, -1, 4)


@dataclass
class Log:
    """Passes progress lines to a callback."""

    say: Callable[[str], None]
    began: float

    def line(self, text: str) -> None:
        """Print one line, prefixed with the elapsed seconds."""
        self.say(f"{time.monotonic() - self.began:7.0f}s  {text}")


def _optimizers(model: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    inner: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, weight in model.named_parameters():
        matrix = HALVES and weight.ndim == 2 and "embed" not in name and "head" not in name
        (inner if matrix else rest).append(weight)
    adam = torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    if not inner:
        return [adam]
    return [
        torch.optim.Muon(inner, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        adam,
    ]


def _drive(
    optimizers: list[torch.optim.Optimizer], rate: float, done: float, parameters: list[Tensor]
) -> None:
    """One optimizer step. The rate warms up over the first 2 % of the time, then decays linearly to 2 %."""
    now = rate * min(1.0, done / 0.02 + 0.05) * max(0.02, 1 - done)
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = now
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


class _Stream(IterableDataset):  # type: ignore[misc]
    """An endless stream of batches from consecutive seeds, made in a worker process."""

    def __init__(self, make: Callable[[int], object], seed: int) -> None:
        self.make, self.seed = make, seed

    def __iter__(self) -> Iterator[object]:
        index = 0
        while True:
            yield self.make(self.seed * 1_000_003 + index)
            index += 1


def _make_looks(seed: int) -> tuple[Tensor, Tensor]:
    return _looks(seed, 48)


def look(model: Idefics3ForConditionalGeneration, seconds: float, seed: int, log: Log) -> None:
    """Stage 1: train the vision tower to classify shape, colour, size and texture of each patch."""
    tower = model.model.vision_model
    heads = nn.ModuleList(nn.Linear(WIDTH, len(f) + 1) for f in FACETS)
    both = nn.ModuleDict({"tower": tower, "heads": heads})
    rate, began, step = 2e-3, time.monotonic(), 0
    optimizers = _optimizers(both, rate)
    for images, labels in DataLoader(_Stream(_make_looks, seed), batch_size=None, num_workers=1):
        done = (time.monotonic() - began) / seconds
        if done >= 1:
            break
        with torch.autocast("cpu", torch.bfloat16, enabled=HALVES):
            seen = tower(pixel_values=images).last_hidden_state
            logits = [head(seen).float() for head in heads]
        loss = sum(
            nn.functional.cross_entropy(x.flatten(0, 1), labels[..., i].flatten() + 1)
            for i, x in enumerate(logits)
        )
        loss.backward()
        _drive(optimizers, rate, done, list(both.parameters()))
        step += 1
        if step % 100 == 0:
            thing = labels[..., 0] >= 0
            right = [
                (x.argmax(-1) == labels[..., i] + 1)[thing].float().mean().item()
                for i, x in enumerate(logits)
            ]
            shown = " ".join(f"{r:.3f}" for r in right)
            log.line(f"look {step:5d} loss {loss.item():.3f} shape/color/size/texture {shown}")


# --- stage 2: ask ------------------------------------------------------------------------


@dataclass
class Batch:
    """Packs as tensors. A sequence is a prefix of pictures followed by all questions."""

    images: Tensor
    """(images, 3, 128, 128), in order of the packs."""
    ids: Tensor
    """(packs, length)."""
    positions: Tensor
    """(packs, length): position ids, restarted after the prefix for every question."""
    block: Tensor
    """(packs, length): 0 for the prefix, 1, 2, … for the questions, -1 for padding."""
    targets: Tensor
    """(packs, length): the next token if it belongs to a reply, otherwise -100."""
    names: list[list[str]]
    """Request name of each question, per pack."""


class Packer:
    """Turns packs into batches with the tokenizer and the `compact` templates."""

    def __init__(self) -> None:
        self.templates = Templates("compact")
        self.tokenizer = make_processor().tokenizer
        words = vocabulary()
        one = ["<fake_token_around_image>", "<global-img>"]
        one += ["<image>"] * TOKENS + ["<fake_token_around_image>"]
        self.picture = [words.index(w) for w in one]
        self.answer, self.end = words.index("<answer>"), words.index("<end_of_utterance>")

    def __call__(self, made: list[Pack]) -> Batch:
        texts = [
            t for p in made for r, reply in p.lessons for t in (self.templates.render(r), reply)
        ]
        encoded = iter(self.tokenizer(texts, add_special_tokens=False)["input_ids"])
        rows = []
        for pack in made:
            ids = self.picture * len(pack.pictures)
            positions, block, targets = list(range(len(ids))), [0] * len(ids), [-100] * len(ids)
            prefix = len(ids)
            for number, _ in enumerate(pack.lessons, 1):
                question, reply = [*next(encoded), self.answer], [*next(encoded), self.end]
                segment = question + reply
                ids += segment
                positions += range(prefix, prefix + len(segment))
                block += [number] * len(segment)
                targets += [-100] * (len(question) - 1) + reply + [-100]
            rows.append((ids, positions, block, targets))
        length = max(len(r[0]) for r in rows)

        def padded(column: int, fill: int) -> Tensor:
            return torch.tensor([r[column] + [fill] * (length - len(r[column])) for r in rows])

        return Batch(
            pixels([picture for pack in made for picture in pack.pictures]),
            padded(0, 0),
            padded(1, 0),
            padded(2, -1),
            padded(3, -100),
            [[_named(request) for request, _ in pack.lessons] for pack in made],
        )


def _named(request: Request) -> str:
    """A request's name, with a star if it is a list of requests."""
    return f"{request.items[0].name}*" if isinstance(request, Several) else request.name


def forward(model: Idefics3ForConditionalGeneration, batch: Batch, kept: Tensor) -> Tensor:
    """Logits (n, vocabulary) under the block mask, for the n positions where `kept` is true."""
    inner = model.model
    features = inner.connector(inner.vision_model(pixel_values=batch.images).last_hidden_state)
    embeds = inner.text_model.get_input_embeddings()(batch.ids)
    places = (batch.ids == model.config.image_token_id).unsqueeze(-1)
    embeds = embeds.masked_scatter(places, features.to(embeds.dtype))
    length = batch.ids.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    rows, columns = batch.block.unsqueeze(2), batch.block.unsqueeze(1)
    allowed = causal & ((columns == 0) | (columns == rows))
    mask = torch.where(allowed, 0.0, -1e9).unsqueeze(1).to(embeds.dtype)
    hidden = inner.text_model(
        inputs_embeds=embeds, attention_mask=mask, position_ids=batch.positions, use_cache=False
    ).last_hidden_state
    return model.lm_head(hidden[kept])


def _right(batch: Batch, kept: Tensor, best: Tensor, score: dict[str, list[int]]) -> None:
    """Count [fully correct replies, questions] per request name into `score`."""
    wrong = torch.zeros_like(kept)
    wrong[kept] = best != batch.targets[kept]
    for row, names in enumerate(batch.names):
        bad = set(batch.block[row][wrong[row]].tolist())
        for number, name in enumerate(names, 1):
            score[name][0] += number not in bad
            score[name][1] += 1


@dataclass(frozen=True)
class Mix:
    """Numbers of packs in one step: about a picture, a shot, two shots, other pictures, texts, and films."""

    stills: int = 12
    pairs: int = 8
    couples: int = 3
    foreigners: int = 1
    texts: int = 4
    films: int = 4


CONTINUED = Mix(stills=6, pairs=6, couples=2, texts=2, films=8)
"""The packs for a model that can parse already: more films, with questions about them."""


@dataclass(frozen=True)
class _MakeBatch:
    """Makes the batch of one step from its seed. A worker gets it before anything in it is made."""

    mix: Mix = Mix()

    @functools.cached_property
    def packer(self) -> Packer:
        return Packer()

    @functools.cached_property
    def phrasing(self) -> Phrasing:
        return Phrasing()

    def __call__(self, seed: int) -> list[Batch]:
        """Make the packs of one step: those about films, which are long, apart from the others.

        The others are shortened to about `LESSON_TOKENS`.
        """
        rng = random.Random(seed)
        mix = self.mix
        made = packs(seed, mix.stills, mix.pairs, mix.couples, mix.foreigners)
        made += self.phrasing(rng, count=mix.texts, lessons=6)
        short = [self._shortened(pack, rng) for pack in made]
        return [self.packer(short), self.packer(asking(rng, mix.films, questions=16))]

    def _shortened(self, pack: Pack, rng: random.Random) -> Pack:
        """Pick lessons in random order up to the length limit; most packs (75 %) start with a list."""
        kept: list[Lesson] = []
        length = 0
        order = rng.sample(pack.lessons, len(pack.lessons))
        if rng.random() < 0.75:
            order.sort(key=lambda lesson: not isinstance(lesson[0], Several))
            order[1:] = rng.sample(order[1:], len(order) - 1)
        for request, reply in order:
            text = self.packer.templates.render(request)
            tokens = 2 + len(text.split()) + len(reply.split())
            if not kept or length + tokens <= LESSON_TOKENS:
                kept.append((request, reply))
                length += tokens
        return Pack(pack.pictures, tuple(kept))


def _shown(score: dict[str, list[int]]) -> str:
    return " ".join(f"{name} {right / asked:.3f}" for name, (right, asked) in sorted(score.items()))


def ask(
    model: Idefics3ForConditionalGeneration,
    seconds: float,
    rate: float,
    seed: int,
    log: Log,
    save: Callable[[], None],
    mix: Mix = Mix(),
) -> None:
    """Stage 2: learn to answer lessons. Logs the accuracy per request and saves every 200 steps."""
    model.train()
    optimizers = _optimizers(model, rate)
    began, step = time.monotonic(), 0
    score: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for batches in DataLoader(_Stream(_MakeBatch(mix), seed), batch_size=None, num_workers=1):
        done = (time.monotonic() - began) / seconds
        if done >= 1:
            break
        loss = torch.zeros(())
        whole = sum((batch.targets != -100).sum() for batch in batches)
        for batch in batches:
            kept = batch.targets != -100
            with torch.autocast("cpu", torch.bfloat16, enabled=HALVES):
                logits = forward(model, batch, kept).float()
            part = nn.functional.cross_entropy(logits, batch.targets[kept], reduction="sum") / whole
            part.backward()
            loss += part.detach()
            _right(batch, kept, logits.detach().argmax(-1), score)
        _drive(optimizers, rate, done, list(model.parameters()))
        step += 1
        if step % 100 == 0:
            log.line(f"ask {step:6d} loss {loss.item():.3f} {_shown(score)}")
            score.clear()
            save()


@torch.no_grad()  # type: ignore[untyped-decorator]
def examine(model: Idefics3ForConditionalGeneration, batches: int, seed: int) -> dict[str, float]:
    """Fraction of fully correct replies per request name, on unseen packs."""
    score: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    make = _MakeBatch()
    for index in range(batches):
        for batch in make(-1 - seed * 1000 - index):
            kept = batch.targets != -100
            _right(batch, kept, forward(model, batch, kept).argmax(-1), score)
    return {name: right / asked for name, (right, asked) in sorted(score.items())}


def save(model: Idefics3ForConditionalGeneration, folder: Path) -> None:
    """Write the model folder: bfloat16 weights, processor, and the name of its template set."""
    folder.mkdir(parents=True, exist_ok=True)
    make_processor().save_pretrained(folder)
    state = {k: v.to(torch.bfloat16) for k, v in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=state)
    (folder / "stepc.json").write_text(json.dumps({"templates": "compact"}) + "\n", "utf-8")


def train(
    folder: Path,
    *,
    minutes: float,
    seed: int = 0,
    say: Callable[[str], None] = print,
    start: Path | None = None,
    rate: float = 1.5e-3,
) -> dict[str, float]:
    """Train the embedded model and write it to `folder`; the vision stage takes 1/12 of `minutes`.

    With `start`, training continues from that model's weights, without the vision stage. Returns the
    accuracies of `examine`.
    """
    torch.manual_seed(seed)
    log = Log(say, time.monotonic())
    if start is None:
        model = make_model()
        look(model, minutes * 5, seed, log)
    else:
        model = Idefics3ForConditionalGeneration.from_pretrained(start, dtype=torch.float32)
    ask(
        model,
        minutes * (55 if start is None else 60),
        rate,
        seed + 1,
        log,
        lambda: save(model, folder),
        Mix() if start is None else CONTINUED,
    )
    save(model, folder)
    scores = examine(model.eval(), 12, seed)
    log.line("unseen: " + " ".join(f"{k} {v:.3f}" for k, v in scores.items()))
    return dict(scores)
