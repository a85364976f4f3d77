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


def sam2(folder: Path) -> None:
    """SAM 2 for videos; its processor needs torchvision."""
    import transformers as tr

    small, side = {"hidden_size": 128}, {"height": 128, "width": 128}
    backbone = tr.Sam2HieraDetConfig(
        hidden_size=12, embed_dim_per_stage=[12, 24, 48, 96], num_attention_heads=1,
        num_attention_heads_per_stage=[1, 2, 4, 8], blocks_per_stage=[1, 1, 2, 1],
        global_attention_blocks=[3], image_size=[128, 128], window_size_per_stage=[8, 4, 8, 4],
        window_positional_embedding_background_size=[4, 4],
    )  # fmt: skip
    vision = tr.Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[96, 48, 24, 12], fpn_hidden_size=128,
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
    )  # fmt: skip
    config = tr.Sam2VideoConfig(
        vision_config=vision.to_dict(), image_size=128,
        prompt_encoder_config={**small, "image_size": 128, "patch_size": 16,
                               "mask_input_channels": 4},
        mask_decoder_config={**small, "mlp_dim": 32, "num_attention_heads": 2,
                             "iou_head_hidden_dim": 32, "iou_head_depth": 2,
                             "num_hidden_layers": 1},
        memory_attention_hidden_size=128, memory_attention_feed_forward_hidden_size=32,
        memory_attention_num_layers=1, memory_attention_num_attention_heads=1,
        memory_attention_rope_feat_sizes=[8, 8], memory_encoder_hidden_size=128,
        memory_encoder_output_channels=64, mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128, memory_fuser_intermediate_dim=32, memory_fuser_num_layers=1,
    )  # fmt: skip
    tr.Sam2VideoModel(config).save_pretrained(folder)
    images = tr.Sam2ImageProcessor(size=side, mask_size={"height": 32, "width": 32})
    videos = tr.Sam2VideoVideoProcessor(size=side)
    tr.Sam2VideoProcessor(images, videos, target_size=128).save_pretrained(folder)


CLOSED: dict[str, Callable[[Path], None]] = {
    "yolos": yolos,
    "rt_detr_v2": rt_detr,
    "d_fine": d_fine,
}
ANY_WORDS: dict[str, Callable[[Path], None]] = {
    "grounding_dino": grounding_dino, "owlv2": owlv2, "omdet_turbo": omdet_turbo
}  # fmt: skip
