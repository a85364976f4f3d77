"""Tiny detectors with random weights, of the classes that `transformers` has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

LABELS = {0: "person", 1: "dog", 2: "cup"}
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    ".",
    "?",
    "a",
    "person",
    "dog",
    "cup",
    "tree",
]


def _labels() -> dict[str, Any]:
    return {"id2label": LABELS, "label2id": {v: k for k, v in LABELS.items()}, "num_labels": 3}


def yolos(folder: Path) -> None:
    import transformers as tr

    config = tr.YolosConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=37,
        image_size=[64, 64], patch_size=16, num_detection_tokens=5, **_labels(),
    )  # fmt: skip
    tr.YolosForObjectDetection(config).save_pretrained(folder)
    size = {"shortest_edge": 64, "longest_edge": 64}
    tr.YolosImageProcessorPil(size=size).save_pretrained(folder)


def rt_detr(folder: Path) -> None:
    import transformers as tr

    backbone = tr.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = tr.RTDetrV2Config(backbone_config=backbone, **_small(), **_labels())
    tr.RTDetrV2ForObjectDetection(config).save_pretrained(folder)
    _detr_processor(folder)


def d_fine(folder: Path) -> None:
    import transformers as tr

    backbone = tr.HGNetV2Config(
        stem_channels=[3, 8, 8], stage_in_channels=[8, 16, 32, 64],
        stage_mid_channels=[8, 8, 8, 8], stage_out_channels=[16, 32, 64, 64],
        stage_num_blocks=[1, 1, 1, 1], stage_downsample=[False, True, True, True],
        stage_light_block=[False, False, True, True], stage_kernel_size=[3, 3, 5, 5],
        stage_numb_of_layers=[2, 2, 2, 2], embedding_size=8, hidden_sizes=[16, 32, 64, 64],
        depths=[1, 1, 1, 1], out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    small = {**_small(), "encoder_in_channels": [32, 64, 64]}
    config = tr.DFineConfig(backbone_config=backbone, **small, **_labels())
    tr.DFineForObjectDetection(config).save_pretrained(folder)
    _detr_processor(folder)


def _small() -> dict[str, Any]:
    return {
        "encoder_hidden_dim": 32, "encoder_in_channels": [8, 16, 16], "encoder_layers": 1,
        "encoder_ffn_dim": 32, "encoder_attention_heads": 2, "d_model": 32, "num_queries": 10,
        "decoder_in_channels": [32, 32, 32], "decoder_ffn_dim": 32, "decoder_layers": 2,
        "decoder_attention_heads": 2, "num_denoising": 0, "anchor_image_size": None,
    }  # fmt: skip


def _detr_processor(folder: Path) -> None:
    import transformers as tr

    size = {"height": 64, "width": 64}
    tr.RTDetrImageProcessorPil(size=size).save_pretrained(folder)


def grounding_dino(folder: Path) -> None:
    import transformers as tr

    text = tr.BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32,
    )  # fmt: skip
    backbone = tr.SwinConfig(
        image_size=64, patch_size=4, window_size=4, embed_dim=16, depths=[1, 1, 1, 1],
        num_heads=[2, 2, 2, 2], out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = tr.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=64, encoder_layers=1,
        encoder_ffn_dim=32, encoder_attention_heads=2, decoder_layers=2, decoder_ffn_dim=32,
        decoder_attention_heads=2, num_queries=8, max_text_len=32, num_feature_levels=4,
    )  # fmt: skip
    tr.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    size = {"shortest_edge": 64, "longest_edge": 64}
    images = tr.GroundingDinoImageProcessorPil(size=size)
    tr.GroundingDinoProcessor(images, _bert()).save_pretrained(folder)


def _bert() -> Any:
    import transformers as tr

    return tr.BertTokenizerFast(vocab={w: i for i, w in enumerate(WORDS)})


def owlv2(folder: Path) -> None:
    import transformers as tr

    text = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 99, "max_position_embeddings": 16,
            "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}  # fmt: skip
    vision = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1,
              "num_attention_heads": 2, "image_size": 64, "patch_size": 16}  # fmt: skip
    config = tr.Owlv2Config(text_config=text, vision_config=vision, projection_dim=32)
    tr.Owlv2ForObjectDetection(config).save_pretrained(folder)
    images = tr.Owlv2ImageProcessorPil(size={"height": 64, "width": 64})
    tr.Owlv2Processor(images, _clip()).save_pretrained(folder)


def _clip() -> Any:
    import transformers as tr

    words = ["!", "<|startoftext|>", "<|endoftext|>", *(f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz"),
             *"abcdefghijklmnopqrstuvwxyz"]  # fmt: skip
    return tr.CLIPTokenizerFast(
        vocab={w: i for i, w in enumerate(words)}, merges=[], model_max_length=16
    )


def omdet_turbo(folder: Path) -> None:
    import transformers as tr

    text = {"hidden_size": 16, "intermediate_size": 37, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 99, "max_position_embeddings": 77,
            "projection_dim": 16, "bos_token_id": 1, "eos_token_id": 2,
            "model_type": "clip_text_model"}  # fmt: skip
    backbone = {"model_type": "swin", "window_size": 7, "image_size": 64, "embed_dim": 16,
                "num_heads": [2, 2, 2, 2], "depths": [1, 1, 1, 1],
                "out_indices": [2, 3, 4]}  # fmt: skip
    config = tr.OmDetTurboConfig(
        text_config=text, backbone_config=backbone, num_queries=10, text_projection_in_dim=16,
        text_projection_out_dim=16, task_encoder_hidden_dim=32, encoder_dim_feedforward=32,
        class_embed_dim=16, encoder_hidden_dim=32, decoder_hidden_dim=32,
        decoder_dim_feedforward=32, decoder_num_layers=2, decoder_num_heads=2, image_size=64,
        vision_features_channels=[32, 32, 32], backbone_features_channels=None,
        encoder_in_channels=[32, 64, 128], use_timm_backbone=False, backbone=None,
        apply_layernorm_after_vision_backbone=False,
    )  # fmt: skip
    tr.OmDetTurboForObjectDetection(config).save_pretrained(folder)
    images = tr.DetrImageProcessorPil(size={"height": 64, "width": 64})
    tr.OmDetTurboProcessor(images, _clip()).save_pretrained(folder)


CLOSED: dict[str, Callable[[Path], None]] = {
    "yolos": yolos,
    "rt_detr_v2": rt_detr,
    "d_fine": d_fine,
}
ANY_WORDS: dict[str, Callable[[Path], None]] = {
    "grounding_dino": grounding_dino, "owlv2": owlv2, "omdet_turbo": omdet_turbo
}  # fmt: skip
