"""What trainers need on a machine without a GPU, where torch is the CPU build. Import it before them."""

from __future__ import annotations

import importlib.machinery
import os
import sys
import types

# Nothing is fetched from a hub, and nothing is reported to one.
os.environ.update(
    HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", WANDB_MODE="disabled", TQDM_DISABLE="1",
    HF_DATASETS_DISABLE_PROGRESS_BARS="1", TOKENIZERS_PARALLELISM="false",
)  # fmt: skip


def torchvision() -> None:
    """Let the torchvision of PyPI, a CUDA build, be imported beside the CPU build of torch.

    Its compiled operators cannot be loaded, and its Python code names two of them. None is called here.
    """
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torchvision.kept = library  # type: ignore[attr-defined]


def empty(*names: str) -> None:
    """Empty modules in place of packages that are imported and not used, such as torchaudio."""
    for name in names:
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        sys.modules[name] = module
