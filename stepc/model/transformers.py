"""Local models: any `transformers` image-text-to-text model, from a hub id or a folder.

The embedded model is one of them. torchvision is not needed if the model's processor has a PIL
backend.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic.dataclasses
from pydantic import ConfigDict, TypeAdapter, ValidationError

from stepc.diagnostics import Place, StepcError, fail
from stepc.ir.types import Frame
from stepc.model.backends import EMBEDDED, TOGETHER
from stepc.model.client import Call, Completion, Together
from stepc.model.constrained import grammars
from stepc.model.own_world import belongs
from stepc.model.reply import ModelReply
from stepc.model.requests import REQUESTS
from stepc.runtime.atomic_files import read_regular
from stepc.runtime.extras import extra_of, install
from stepc.runtime.lazy import LazyModule
from stepc.video.decode import Picture, Pictures
from stepc.video.source import digest

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


DTYPES = ("auto", "float32", "bfloat16", "float16")
NEEDED = {
    "torchvision": "pip install 'stepc[video]'; with transformers 5.18 or newer, some model families (LLaVA,"
    " Idefics3) do not need it",
    "num2words": "pip install 'stepc[video]'",
    "bitsandbytes": "pip install 'stepc[bits]'",
    "peft": "pip install 'stepc[adapters]'",
    "accelerate": "pip install 'stepc[bits]'",
    "flashattention": "pip install flash-attn, or choose another --attention",
}
"""Optional packages that some models or options need, and how to install them."""


def embedded_folder() -> Path:
    """Return the folder of the embedded model."""
    return Path(str(files("stepc.model") / "embedded"))


@dataclass(frozen=True)
class LocalOptions:
    """How a model is loaded and run on this machine."""

    device: str = "auto"
    """`auto` (a GPU if there is one), `cpu`, `cuda:1`, `mps`, or `spread` (over all GPUs)."""
    dtype: str = "auto"
    """`auto` (the checkpoint's dtype; float32 on a CPU), `float32`, `bfloat16`, or `float16`."""
    attention: str | None = None
    """`attn_implementation`, such as `sdpa`, `eager` or `flash_attention_2`."""
    bits: int | None = None
    """Quantise the weights to 4 or 8 bits (needs bitsandbytes)."""
    adapter: str | None = None
    """A LoRA adapter: a hub id or a folder (needs peft)."""
    batch: int | None = None
    """Samples per batch; None means 64 for the embedded model and 8 for others."""
    remote: bool = False
    """Whether to run code that comes with the model."""


@pydantic.dataclasses.dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ModelSettings:
    """Settings in a model's folder (`stepc.json`)."""

    templates: str = "default"
    """The built-in template set to use."""
    together: Together = TOGETHER
    """Requests about the same keyframes that the model answers reliably in one call."""


def settings(name: str) -> ModelSettings:
    """Read the settings of the embedded model or of a model folder; defaults for a hub id.

    Raises StepcError (M004) if `stepc.json` cannot be read.
    """
    path = (embedded_folder() if name == EMBEDDED else Path(name)) / "stepc.json"
    if not path.exists():
        return ModelSettings()
    try:
        return TypeAdapter(ModelSettings).validate_json(read_regular(path))
    except (ValidationError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        help = 'for example {"templates": "compact", "together": 8}'
        raise fail("M004", f"stepc.json cannot be read: {said}", Place(name), help) from None


class TransformersModel:
    """A Video-LLM of any `AutoModelForImageTextToText` architecture."""

    def __init__(self, name: str, local: LocalOptions | None = None) -> None:
        """Load the model. Raises StepcError (M004) if it cannot be loaded."""
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        try:
            import torch
            import transformers
        except (ModuleNotFoundError, OSError) as error:  # without a folder for temporary files
            raise _unloadable(name, local or LocalOptions(), error) from error

        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        local = local or LocalOptions()
        embedded = name == EMBEDDED
        self.name = name
        self.of_the_world: set[Frame] = set()
        """Pictures that the embedded model has been found to know."""
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
        except (
            Exception
        ) as error:  # a folder of others may hold anything, and libraries raise anything
            raise _unloadable(name, local, error) from error
        self.model.eval()
        if embedded:
            torch.set_num_threads(1)
        self.processor.tokenizer.padding_side = "left"
        self.videos = getattr(self.processor, "video_processor", None) is not None
        """Whether the model accepts videos."""
        self.grammars = None if embedded else grammars(self.processor.tokenizer, self.model)
        self.batch = local.batch or (64 if embedded else 8)
        own = settings(name)
        self.templates, self.together = own.templates, own.together
        self.identity = identity(name, local) or f"{name}@hub"

    @property
    def kind(self) -> str:
        """The kind of the model in `transformers`, such as `qwen2_5_vl`."""
        return str(self.model.config.model_type)

    def seen_size(self, width: int, height: int) -> tuple[int, int] | None:
        """Width and height of a picture as the model sees it; None if its processor does not tell."""
        import numpy as np

        processor = self.processor.image_processor
        made = processor(images=[np.zeros((height, width, 3), np.uint8)], return_tensors="np")
        if "image_grid_thw" not in made:
            return None
        _, down, across = (int(x) for x in made["image_grid_thw"][0])
        return across * processor.patch_size, down * processor.patch_size

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Answer each call with one text per seed, by Gumbel-max sampling with the call's own seeds.

        Calls of about the same length form a batch. All samples of a call share one prefill. Raises
        StepcError (M006) if the embedded model is asked for facts of a picture outside its world.
        """
        prompts = list(prompts)
        if self.name == EMBEDDED:
            self._guard(prompts, pictures)

        def alike(p: Call) -> tuple[bool, int, int]:
            return (p.video and self.videos, len(p.frames), len(p.text))

        def kind(p: Call) -> int:
            """0 for images, otherwise the video's number of frames, which is equal within a batch."""
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

    def _guard(self, prompts: list[Call], pictures: Pictures) -> None:
        """Raises StepcError (M006) for a picture that does not show the rendered world."""
        asking = (p for p in prompts if p.request in REQUESTS and REQUESTS[p.request].states_facts)
        for frame in dict.fromkeys(frame for p in asking for frame in p.frames):
            if frame in self.of_the_world:
                continue
            if not belongs(pictures.at(frame)):
                message = (
                    "the embedded model knows only the rendered world, and the picture at"
                    f" {frame.at / 1000:.3f} seconds shows something else"
                )
                help = "name a Video-LLM: --model HUB_ID_OR_FOLDER, or openai:MODEL"
                raise fail("M006", message, None, help)
            self.of_the_world.add(frame)

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
        limit = max(most_tokens(p) for p in prompts)
        texts = iter(self.processor.batch_decode(made, skip_special_tokens=True))
        got = iter((made != self.processor.tokenizer.pad_token_id).sum(1).tolist())
        ends = iter(self._ended(made, limit))
        sent = inputs["attention_mask"].sum(1).tolist()
        share = (time.perf_counter() - began) / len(prompts)
        for prompt, read in zip(prompts, sent, strict=True):
            replies = tuple(
                ModelReply(str(next(texts)), finish="stop" if next(ends) else "length")
                for _ in prompt.seeds
            )
            done(Completion(prompt, replies, share, read, sum(next(got) for _ in prompt.seeds)))

    def _ended(self, made: Any, limit: int) -> list[bool]:
        """Whether the model ended each reply itself, by a token that ends or pads."""
        if made.shape[1] < limit:
            return [True] * made.shape[0]
        ends = self.model.generation_config.eos_token_id
        ends = {
            *(ends if isinstance(ends, list) else [ends]),
            self.processor.tokenizer.pad_token_id,
        }
        return [token in ends for token in made[:, -1].tolist()]

    def inputs(self, prompts: list[Call], pictures: Pictures, video: bool) -> Any:
        """Run the processor on calls. Either all of them send videos or none does."""
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
        """Return the arguments of `generate` with one row per sample; each call is prefilled once."""
        import torch

        count = inputs["input_ids"].shape[0]
        if len(rows) == count:
            return dict(inputs)
        index = torch.tensor(rows, device=inputs["input_ids"].device)
        first = self.model.generate(
            **inputs, **options, max_new_tokens=1, return_dict_in_generate=True
        )
        cache = first.past_key_values
        cache.crop(-1)  # each row processes the last token again
        cache.batch_select_indices(index)
        inner = self.model.model
        if (
            getattr(inner, "rope_deltas", None) is not None
        ):  # position offsets after images (Qwen-VL)
            inner.rope_deltas = inner.rope_deltas[index]
        words = {k: inputs[k][index] for k in ("input_ids", "attention_mask")}
        return {**words, _cache_argument(): cache}


def _cache_argument() -> str:
    """Return the name by which `generate` takes a cache: `cache` since transformers 5.24."""
    import transformers

    major, minor = transformers.__version__.split(".")[:2]
    return "cache" if (int(major), int(minor)) >= (5, 24) else "past_key_values"


def _loading(local: LocalOptions, device: str) -> dict[str, Any]:
    """Return the keyword arguments of `from_pretrained`. Raises ImportError, ValueError."""
    import torch
    import transformers

    if local.dtype not in DTYPES:
        raise ValueError(f"unknown dtype `{local.dtype}`; use one of {', '.join(DTYPES)}")
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
            raise ValueError("weights can be quantised to 4 or 8 bits only")
        how["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=local.bits == 4, load_in_8bit=local.bits == 8
        )
        how["device_map"] = "auto" if device == "spread" else device
    return how


def _unloadable(name: str, local: LocalOptions, error: Exception) -> StepcError:
    """Build the M004 error; names the package to install if one is missing."""
    said = str(error).strip()
    line = next((x.strip() for x in said.splitlines() if x.strip()), type(error).__name__)
    help = "give a hub id or a folder of an image-text-to-text model"
    if local != LocalOptions():
        help += "; check --device, --dtype, --bits, --attention and --adapter"
    if "trust_remote_code" in said:
        line = "it needs code from its own repository, which is not run by default"
        help = "review that code, then allow it with --remote-code"
    if said.startswith("Unrecognized image processor") and find_spec("torchvision") is None:
        said = "torchvision"  # transformers 5.4 to 5.13 do not name it
    for package, how in NEEDED.items():
        if package in said.lower():
            line, help = f"it needs {package}", how
            break
    if isinstance(error, ModuleNotFoundError) and extra_of(error) == "local":
        line, help = f"it needs {error.name}", install("local")
    return fail("M004", f"the model cannot be loaded: {line}", Place(name), help)


def identity(name: str, local: LocalOptions) -> str | None:
    """Return the model's name with a hash of its weights, or with the hub's commit.

    Quantisation and the adapter's identity are appended. None for a hub model that is not in the
    local cache.
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
    """Return `NAME@sha256:…` for weights in a folder, `NAME@COMMIT` for a hub id."""
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
    try:
        from huggingface_hub import try_to_load_from_cache
    except ModuleNotFoundError:  # loading the model will report it
        return None
    try:
        kept = try_to_load_from_cache(where, "config.json") or try_to_load_from_cache(
            where, "adapter_config.json"
        )
    except ValueError:  # not a valid hub id
        return None
    return f"{name}@{Path(kept).parent.name}" if isinstance(kept, str) else None


def _timed(frames: tuple[Frame, ...], picture: Picture) -> Any:
    """Build a video processor's metadata of keyframes, with times in milliseconds."""
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
    """Adds Gumbel noise to the logits, so that the most likely token is a sample at the temperature.

    Every row has its own generator, so that a sample does not depend on the rest of the batch or on
    the number of samples.
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


def most_tokens(prompt: Call) -> int:
    """Return the maximum tokens of a reply; higher for JSON."""
    most = prompt.max_tokens
    return prompt.items * (most if prompt.schema is None else max(32, 2 * most))
