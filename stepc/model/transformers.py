"""Any `transformers` image-text-to-text model, from a hub id or a folder; the embedded one too.

Works without torchvision wherever the model's processor has a PIL backend.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from stepc.diagnostics import Place, fail
from stepc.model.ask import Prompt
from stepc.model.steer import grammars
from stepc.video import Pictures

EMBEDDED = "embedded"
"""The name of the small model in the package, which knows the rendered world only."""


def embedded_folder() -> Path:
    """Where the embedded model lies."""
    return Path(str(files("stepc.model") / "embedded"))


class TransformersModel:
    """A Video-LLM of any `AutoModelForImageTextToText` architecture."""

    def __init__(self, name: str, *, batch: int | None = None, device: str = "auto") -> None:
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import torch
        import transformers

        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        embedded = name == EMBEDDED
        where = str(embedded_folder()) if embedded else name
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype: Any = torch.float32 if device == "cpu" else "auto"
        try:
            self.processor = transformers.AutoProcessor.from_pretrained(where)
            self.model: Any = transformers.AutoModelForImageTextToText.from_pretrained(
                where, dtype=dtype
            )
        except (OSError, ValueError, ImportError, KeyError) as error:
            raise fail(
                "M004",
                f"the model cannot be loaded: {str(error).strip().splitlines()[0]}",
                Place(name),
                "give a hub id or a folder of an image-text-to-text model",
            ) from error
        self.model.to(device).eval()
        if embedded:
            torch.set_num_threads(1)
        self.processor.tokenizer.padding_side = "left"
        self.grammars = None if embedded else grammars(self.processor.tokenizer, self.model)
        self.batch = batch or (64 if embedded else 8)
        self.device = device
        settings = _settings(Path(where))
        self.templates = str(settings.get("templates", "default"))
        weights = Path(where) / "model.safetensors"
        mark = f"sha256:{_digest(weights)[:16]}" if weights.exists() else "hub"
        commit = getattr(self.model.config, "_commit_hash", None)
        self.identity = f"{Path(name).name if Path(name).is_dir() else name}@{commit or mark}"

    def generate(self, prompts: Sequence[Prompt], pictures: Pictures) -> list[list[str]]:
        """One text a seed for each prompt, by Gumbel-max sampling with the prompt's own seeds."""
        rows = [(i, seed) for i, p in enumerate(prompts) for seed in p.seeds]
        rows.sort(key=lambda r: (len(prompts[r[0]].frames), len(prompts[r[0]].text), r[0]))
        texts: list[list[str]] = [[] for _ in prompts]
        for start in range(0, len(rows), self.batch):
            part = rows[start : start + self.batch]
            for (i, _), text in zip(part, self._batch(prompts, part, pictures), strict=True):
                texts[i].append(text)
        return texts

    def _batch(
        self, prompts: Sequence[Prompt], rows: list[tuple[int, int]], pictures: Pictures
    ) -> list[str]:
        import torch
        from PIL import Image

        chosen = [prompts[i] for i, _ in rows]
        messages = [
            [
                {
                    "role": "user",
                    "content": [
                        *({"type": "image"} for _ in p.frames),
                        {"type": "text", "text": p.text},
                    ],
                }
            ]
            for p in chosen
        ]
        texts = [
            self.processor.apply_chat_template(m, tokenize=False, add_generation_prompt=True)
            for m in messages
        ]
        images = [[Image.fromarray(pictures.at(f)) for f in p.frames] for p in chosen]
        inputs = self.processor(
            text=texts,
            images=images if any(images) else None,
            return_tensors="pt",
            padding=True,
        ).to(self.device, dtype=self.model.dtype)
        steering: list[Any] = [_Gumbel([seed for _, seed in rows], [p.temperature for p in chosen])]
        if self.grammars is not None and any(p.schema for p in chosen):
            start = inputs["input_ids"].shape[1]
            steering.append(self.grammars.steer([p.schema for p in chosen], start))
        with torch.inference_mode():
            made = self.model.generate(
                **inputs,
                do_sample=False,
                num_beams=1,
                max_new_tokens=max(most_tokens(p) for p in chosen),
                logits_processor=steering,
            )
        replies = made[:, inputs["input_ids"].shape[1] :]
        return [str(t) for t in self.processor.batch_decode(replies, skip_special_tokens=True)]


class _Gumbel:
    """Adds Gumbel noise to the logits: the likeliest token is then a sample at that temperature.

    Every row draws from a generator of its own, so that what else is in the batch, and how
    many samples are drawn, does not move a sample.
    """

    def __init__(self, seeds: Sequence[int], temperatures: Sequence[float]) -> None:
        import torch

        self.draws = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.temperatures = torch.tensor(temperatures).unsqueeze(1)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        size = scores.shape[1]
        uniform = torch.stack([torch.rand(size, generator=g) for g in self.draws])
        waits = -torch.log(uniform.clamp_min(1e-20))
        noise = -torch.log(waits.clamp_min(1e-20))
        return scores + (noise * self.temperatures).to(scores)


LENGTHS = {
    "narrate": 256,
    "list_objects": 128,
    "describe": 160,
    "relate": 64,
    "event": 96,
    "draw_graph": 768,
    "reword": 128,
    "smooth": 256,
    "confirm": 64,
    "classify": 8,
    "same_object": 8,
}
"""The most tokens a reply may have, by request; 64 for others."""


def most_tokens(prompt: Prompt) -> int:
    """The most tokens of a reply; in JSON there are more."""
    most = LENGTHS.get(prompt.request, 64)
    return most if prompt.schema is None else max(32, 2 * most)


def _settings(folder: Path) -> dict[str, object]:
    path = folder / "stepc.json"
    return dict(orjson.loads(path.read_bytes())) if path.exists() else {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
