"""Any `transformers` image-text-to-text model, from a hub id or a folder; the embedded one too.

Works without torchvision wherever the model's processor has a PIL backend.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pydantic.dataclasses
from pydantic import ConfigDict, TypeAdapter, ValidationError

from stepc.diagnostics import Place, StepcError, fail
from stepc.ir.types import Frame
from stepc.model.client import Call, Completion, Together
from stepc.model.constrained import grammars
from stepc.video.decode import Picture, Pictures, digest

EMBEDDED = "embedded"
"""The name of the small model in the package, which knows the rendered world only."""


TOGETHER = 1
"""Requests about the same keyframes in one call, where nobody says that a model manages more."""
LOADING = (OSError, ValueError, ImportError, KeyError, RuntimeError, AssertionError)
"""What the libraries raise where a model cannot be loaded; the last: torch without CUDA."""
DTYPES = ("auto", "float32", "bfloat16", "float16")
NEEDED = {
    "torchvision": "pip install 'stepc[video]'; models of other families (LLaVA, Idefics3) do without",
    "num2words": "pip install 'stepc[video]'",
    "bitsandbytes": "pip install 'stepc[bits]'",
    "peft": "pip install 'stepc[adapters]'",
    "accelerate": "pip install 'stepc[bits]'",
    "flashattention": "pip install flash-attn, or another --attention",
}
"""What some models or options want besides, and how to get it."""


def embedded_folder() -> Path:
    """Where the embedded model lies."""
    return Path(str(files("stepc.model") / "embedded"))


@dataclass(frozen=True)
class LocalOptions:
    """How a model is loaded and run on this machine."""

    device: str = "auto"
    """`auto` (a GPU if there is one), `cpu`, `cuda:1`, `mps`; `spread`: over all GPUs."""
    dtype: str = "auto"
    """`auto` (the checkpoint's; float32 on a CPU), `float32`, `bfloat16`, `float16`."""
    attention: str | None = None
    """`attn_implementation`: `sdpa`, `eager`, `flash_attention_2`."""
    bits: int | None = None
    """4 or 8: weights in so many bits (needs bitsandbytes)."""
    adapter: str | None = None
    """A LoRA adapter, a hub id or a folder (needs peft)."""
    batch: int | None = None
    """Samples at one time; 8 unless told."""
    remote: bool = False
    """Whether code that comes with the model may be run."""


@pydantic.dataclasses.dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ModelSettings:
    """What a model's folder says of how it is asked (`stepc.json`)."""

    templates: str = "default"
    together: Together = TOGETHER
    """Requests about the same keyframes that it answers well in one call; all kinds, or each."""


def settings(name: str) -> ModelSettings:
    """Of a model by its name; what a hub's model says is not looked at. Raises StepcError (M004)."""
    path = (embedded_folder() if name == EMBEDDED else Path(name)) / "stepc.json"
    if not path.exists():
        return ModelSettings()
    try:
        return TypeAdapter(ModelSettings).validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        help = 'such as {"templates": "compact", "together": 8}'
        raise fail("M004", f"stepc.json cannot be read: {said}", Place(name), help) from None


class TransformersModel:
    """A Video-LLM of any `AutoModelForImageTextToText` architecture."""

    def __init__(self, name: str, local: LocalOptions | None = None) -> None:
        """Load it. Raises StepcError (M004) if it cannot be."""
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import torch
        import transformers

        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        local = local or LocalOptions()
        embedded = name == EMBEDDED
        where = self.where = str(embedded_folder()) if embedded else name
        device = local.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.processor = transformers.AutoProcessor.from_pretrained(
                where, trust_remote_code=local.remote
            )
            self.model: Any = transformers.AutoModelForImageTextToText.from_pretrained(
                where, **_loading(local, device)
            )
            if device != "spread" and local.bits is None:
                self.model.to(device)
            if local.adapter is not None:
                self.model.load_adapter(local.adapter)
        except LOADING as error:
            raise _unloadable(name, local, error) from error
        self.model.eval()
        if embedded:
            torch.set_num_threads(1)
        self.processor.tokenizer.padding_side = "left"
        self.videos = getattr(self.processor, "video_processor", None) is not None
        """Whether the model is shown videos as such."""
        self.grammars = None if embedded else grammars(self.processor.tokenizer, self.model)
        self.batch = local.batch or (64 if embedded else 8)
        own = settings(name)
        self.templates, self.together = own.templates, own.together
        self.identity = identity(name, local) or f"{name}@hub"

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """One text a seed for each prompt, by Gumbel-max sampling with the prompt's own seeds.

        Prompts of about the same length are answered at one time. All samples of a prompt go on
        from one reading of it.
        """

        def alike(p: Call) -> tuple[bool, int, int]:
            return (p.video and self.videos, len(p.frames), len(p.text))

        def kind(p: Call) -> int:
            """0 with pictures; of a video how many frames it has: those of one batch have the same."""
            return len(p.frames) if p.video and self.videos else 0

        for frames, same in groupby(sorted(prompts, key=alike), kind):
            part: list[Call] = []
            for prompt in same:
                part.append(prompt)
                if sum(len(p.seeds) for p in part) + len(prompt.seeds) > self.batch:
                    self._batch(part, pictures, frames > 0, done)
                    part = []
            if part:
                self._batch(part, pictures, frames > 0, done)

    def _batch(
        self,
        prompts: list[Call],
        pictures: Pictures,
        video: bool,
        done: Callable[[Completion], None],
    ) -> None:
        import torch

        began = time.perf_counter()
        inputs = self.inputs(prompts, pictures, video)
        rows = [i for i, p in enumerate(prompts) for _ in p.seeds]
        start = inputs["input_ids"].shape[1]
        steering: list[Any] = [
            _Gumbel([s for p in prompts for s in p.seeds], [prompts[i].temperature for i in rows])
        ]
        if self.grammars is not None and any(p.schema for p in prompts):
            steering.append(self.grammars.steer([prompts[i].schema for i in rows], start))
        options = {"do_sample": False, "num_beams": 1}
        with torch.inference_mode():
            made = self.model.generate(
                **self._read(inputs, rows, options),
                **options,
                max_new_tokens=max(most_tokens(p) for p in prompts),
                logits_processor=steering,
            )[:, start:]
        texts = iter(self.processor.batch_decode(made, skip_special_tokens=True))
        got = iter((made != self.processor.tokenizer.pad_token_id).sum(1).tolist())
        sent = inputs["attention_mask"].sum(1).tolist()
        share = (time.perf_counter() - began) / len(prompts)
        for prompt, read in zip(prompts, sent, strict=True):
            words = tuple(str(next(texts)) for _ in prompt.seeds)
            done(Completion(prompt, words, share, read, sum(next(got) for _ in prompt.seeds)))

    def inputs(self, prompts: list[Call], pictures: Pictures, video: bool) -> Any:
        """What the processor makes of prompts; all of them have videos, or none."""
        from PIL import Image

        shown = [[pictures.at(f) for f in p.frames] for p in prompts]
        kind = "video" if video else "image"
        texts = [
            self.processor.apply_chat_template(
                [{"role": "user", "content": [
                    *({"type": kind} for _ in (p.frames[:1] if video else p.frames)),
                    {"type": "text", "text": p.text},
                ]}],
                tokenize=False,
                add_generation_prompt=True,
            )
            for p in prompts
        ]  # fmt: skip
        more: dict[str, Any] = {}
        if video:
            more = {
                "videos": [np.stack(of) for of in shown],
                "video_metadata": [_timed(p.frames, shown[i][0]) for i, p in enumerate(prompts)],
                "do_sample_frames": False,
            }
        elif any(shown):
            more = {"images": [[Image.fromarray(x) for x in of] for of in shown]}
        made = self.processor(text=texts, return_tensors="pt", padding=True, **more)
        return made.to(self.model.device, dtype=self.model.dtype)

    def _read(self, inputs: Any, rows: list[int], options: dict[str, Any]) -> dict[str, Any]:
        """What `generate` takes for a sample a row: prompts with several are read once."""
        import torch

        count = inputs["input_ids"].shape[0]
        if len(rows) == count:
            return dict(inputs)
        index = torch.tensor(rows, device=inputs["input_ids"].device)
        first = self.model.generate(
            **inputs, **options, max_new_tokens=1, return_dict_in_generate=True
        )
        cache = first.past_key_values
        cache.crop(-1)  # the last token is read again, row by row
        cache.batch_select_indices(index)
        inner = self.model.model
        if getattr(inner, "rope_deltas", None) is not None:  # positions behind pictures (Qwen-VL)
            inner.rope_deltas = inner.rope_deltas[index]
        words = {k: inputs[k][index] for k in ("input_ids", "attention_mask")}
        return {**words, "past_key_values": cache}


def _loading(local: LocalOptions, device: str) -> dict[str, Any]:
    """Keywords of `from_pretrained`. Raises ImportError, ValueError."""
    import torch
    import transformers

    if local.dtype not in DTYPES:
        raise ValueError(f"`{local.dtype}` is no dtype: {', '.join(DTYPES)}")
    dtype: Any = "auto" if local.dtype == "auto" else getattr(torch, local.dtype)
    if local.dtype == "auto" and device == "cpu":
        dtype = torch.float32
    how: dict[str, Any] = {"dtype": dtype, "trust_remote_code": local.remote}
    if local.attention is not None:
        how["attn_implementation"] = local.attention
    if device == "spread":
        how["device_map"] = "auto"
    if local.bits is not None:
        if local.bits not in (4, 8):
            raise ValueError("weights are in 4 or 8 bits")
        how["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=local.bits == 4, load_in_8bit=local.bits == 8
        )
        how["device_map"] = "auto" if device == "spread" else device
    return how


def _unloadable(name: str, local: LocalOptions, error: Exception) -> StepcError:
    """M004, with what to install where something is missing."""
    said = str(error).strip()
    line = next((x.strip() for x in said.splitlines() if x.strip()), type(error).__name__)
    help = "give a hub id or a folder of an image-text-to-text model"
    if local != LocalOptions():
        help += "; are --device, --dtype, --bits, --attention and --adapter right?"
    if "trust_remote_code" in said:
        line = "it needs code of its own repository, which is not run unasked"
        help = "look at that code; --remote-code runs it"
    for package, how in NEEDED.items():
        if package in said.lower():
            line, help = f"it needs {package}", how
            break
    return fail("M004", f"the model cannot be loaded: {line}", Place(name), help)


def identity(name: str, local: LocalOptions) -> str | None:
    """A model's name with a hash of its weights, or the hub's commit, and its adapter's.

    None for a model of the hub that is not in the local cache.
    """
    made = _weights(str(embedded_folder()) if name == EMBEDDED else name, name)
    if made is None:
        return None
    if local.bits is not None:
        made += f"+{local.bits}bit"
    if local.adapter is not None:
        adapter = _weights(local.adapter, local.adapter)
        made += f"+{adapter or local.adapter}"
    return made


def _weights(where: str, name: str) -> str | None:
    """`NAME@sha256:…` of the weights in a folder, `NAME@COMMIT` of a hub's."""
    folder = Path(where)
    if folder.is_dir():
        files = sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")])
        digests = [digest(f) for f in files]
        whole = (
            digests[0]
            if len(digests) == 1
            else hashlib.sha256("".join(digests).encode()).hexdigest()
        )
        return f"{folder.name if name == where else name}@sha256:{whole[:16]}"
    from huggingface_hub import try_to_load_from_cache

    try:
        kept = try_to_load_from_cache(where, "config.json") or try_to_load_from_cache(
            where, "adapter_config.json"
        )
    except ValueError:  # no name that a hub would have
        return None
    return f"{name}@{Path(kept).parent.name}" if isinstance(kept, str) else None


def _timed(frames: tuple[Frame, ...], picture: Picture) -> Any:
    """What a video processor is told of keyframes: their times, in thousandths of a second."""
    from transformers.video_utils import VideoMetadata

    times = [f.at - frames[0].at for f in frames]
    return VideoMetadata(
        total_num_frames=times[-1] + 1,
        fps=1000.0,
        frames_indices=times,
        duration=(times[-1] + 1) / 1000,
        height=picture.shape[0],
        width=picture.shape[1],
    )


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
    "rationale": 256,
}
"""The most tokens a reply may have, by request; 64 for others."""


def most_tokens(prompt: Call) -> int:
    """The most tokens of a reply; in JSON there are more."""
    most = LENGTHS.get(prompt.request, 64)
    return prompt.items * (most if prompt.schema is None else max(32, 2 * most))
