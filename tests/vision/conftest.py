"""The second environment: with torchvision, whatever build of torch it was made for."""

from __future__ import annotations

import torch

if torch.version.cuda is None:  # torchvision of the registry calls operators of a CUDA build
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
