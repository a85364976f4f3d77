"""Tiny models of many families with random weights, as folders that transformers loads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from stepc.world.train import make_model
from stepc.world.words import make_processor

SIDE = 32
"""Pixels of a picture's side; patches have 8."""
SPECIAL = {
    "image_token": "<image>",
    "video_token": "<video>",
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}


def tokenizer() -> Any:
    """Of bytes, so that a model can say anything, with the special tokens of all families."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<pad>", "</s>", *SPECIAL.values()]
    made = Tokenizer(
        models.BPE(vocab={c: i for i, c in enumerate([*special, *alphabet])}, merges=[])
    )
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(special)
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        eos_token="</s>",
        extra_special_tokens=SPECIAL,
        model_input_names=["input_ids", "attention_mask"],
    )


def chat(image: str, video: str) -> str:
    """A chat template in which pictures and videos are these words."""
    return (
        "{% for message in messages %}{% for part in message.content %}"
        "{% if part.type == 'image' %}" + image + "{% elif part.type == 'video' %}" + video + ""
        "{% else %}{{ part.text }}{% endif %}{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %}:{% endif %}"
    )


TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 1,
    "max_position_embeddings": 4096,
}
SIGHT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
}
SQUARE = {"height": SIDE, "width": SIDE}


def _saved(model: Any, processor: Any, folder: Path) -> None:
    """Weights as large as a trained model's: what it says depends on what it is shown."""
    for weight in model.parameters():
        if weight.ndim >= 2:
            torch.nn.init.normal_(weight, std=0.3)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = 1, 0
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def idefics3(folder: Path) -> None:
    """The embedded model's family, with its tokenizer of words."""
    make_processor().save_pretrained(folder)
    make_model().save_pretrained(folder)


def llava(folder: Path) -> None:
    """CLIP, a projector and Llama; no videos."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    try:
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    except ModuleNotFoundError:  # transformers < 5.4
        from transformers.models.clip.image_processing_clip import (
            CLIPImageProcessor as CLIPImageProcessorPil,
        )

    words = tokenizer()
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**SIGHT),
        text_config=LlamaConfig(vocab_size=len(words), **TEXT),
        image_token_index=words.image_token_id,
        vision_feature_layer=-1,
    )
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size=SQUARE, crop_size=SQUARE, do_center_crop=False),
        tokenizer=words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat("<image>", ""),
    )
    _saved(LlavaForConditionalGeneration(config), processor, folder)


def smolvlm(folder: Path) -> None:
    """SmolVLM2."""
    from transformers import (
        LlamaConfig,
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMProcessor,
    )
    from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig
    from transformers.models.smolvlm.image_processing_smolvlm import SmolVLMImageProcessor
    from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

    words = tokenizer()
    config = SmolVLMConfig(
        vision_config=SmolVLMVisionConfig(**SIGHT),
        text_config=LlamaConfig(vocab_size=len(words), **TEXT),
        image_token_id=words.image_token_id,
        scale_factor=2,
        pad_token_id=0,
    )
    size = {"longest_edge": SIDE}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(size=size, max_image_size=size, do_image_splitting=False),
        words,
        SmolVLMVideoProcessor(size=size, max_image_size=size, num_frames=8, fps=1),
        image_seq_len=4,
        chat_template=chat("<image>", "<video>"),
    )
    _saved(SmolVLMForConditionalGeneration(config), processor, folder)


def _qwen(folder: Path, model: Any, processor: Any, pictures: Any, videos: Any) -> None:
    sizes = {"size": {"shortest_edge": 16 * 16, "longest_edge": SIDE * SIDE}}
    how = {"patch_size": 8, "merge_size": 2, "temporal_patch_size": 2, **sizes}
    made = processor(
        image_processor=pictures(**how),
        tokenizer=tokenizer(),
        video_processor=videos(**how),
        chat_template=chat(
            "<|vision_start|><image><|vision_end|>", "<|vision_start|><video><|vision_end|>"
        ),
    )
    _saved(model, made, folder)


def qwen25(folder: Path) -> None:
    """Qwen2.5-VL."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
    )
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    words = tokenizer()
    config = Qwen2_5_VLConfig(
        text_config={
            **TEXT,
            "vocab_size": len(words),
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]
            },
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2,
            "out_hidden_size": 32, "patch_size": 8, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "window_size": 32, "fullatt_block_indexes": [1],
        },
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
        vision_start_token_id=words.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=words.convert_tokens_to_ids("<|vision_end|>"),
    )  # fmt: skip
    model = Qwen2_5_VLForConditionalGeneration(config)
    _qwen(folder, model, Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor)


def qwen3(folder: Path) -> None:
    """Qwen3-VL."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

    words = tokenizer()
    config = Qwen3VLConfig(
        text_config={
            **TEXT,
            "vocab_size": len(words),
            "head_dim": 16,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2,
            "out_hidden_size": 32, "patch_size": 8, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
        vision_start_token_id=words.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=words.convert_tokens_to_ids("<|vision_end|>"),
    )  # fmt: skip
    model = Qwen3VLForConditionalGeneration(config)
    _qwen(folder, model, Qwen3VLProcessor, Qwen2VLImageProcessor, Qwen3VLVideoProcessor)


def onevision(folder: Path) -> None:
    """LLaVA-OneVision."""
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )
    from transformers.models.llava_onevision.image_processing_llava_onevision import (
        LlavaOnevisionImageProcessor,
    )
    from transformers.models.llava_onevision.video_processing_llava_onevision import (
        LlavaOnevisionVideoProcessor,
    )

    words = tokenizer()
    pinpoints = [[SIDE, SIDE], [SIDE, 2 * SIDE], [2 * SIDE, SIDE]]
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**SIGHT, vision_use_head=False),
        text_config=Qwen2Config(vocab_size=len(words), **TEXT),
        image_token_index=words.image_token_id,
        video_token_index=words.video_token_id,
        image_grid_pinpoints=pinpoints,
        vision_feature_layer=-1,
    )
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(size=SQUARE, image_grid_pinpoints=pinpoints),
        tokenizer=words,
        video_processor=LlavaOnevisionVideoProcessor(size=SQUARE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=chat("<image>", "<video>"),
    )
    _saved(LlavaOnevisionForConditionalGeneration(config), processor, folder)


def internvl(folder: Path) -> None:
    """InternVL."""
    from transformers import (
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVisionConfig,
        Qwen2Config,
    )
    from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor
    from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor

    words = tokenizer()
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(
            **{**SIGHT, "image_size": [SIDE, SIDE], "patch_size": [8, 8]}
        ),
        text_config=Qwen2Config(vocab_size=len(words), **TEXT),
        image_token_id=words.context_image_token_id,
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=SQUARE, crop_to_patches=False),
        tokenizer=words,
        video_processor=InternVLVideoProcessor(size=SQUARE),
        image_seq_length=4,
        chat_template=chat("<IMG_CONTEXT>", "<video>"),
    )
    _saved(InternVLForConditionalGeneration(config), processor, folder)


def video_llava(folder: Path) -> None:
    """Video-LLaVA."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        VideoLlavaConfig,
        VideoLlavaForConditionalGeneration,
        VideoLlavaProcessor,
    )
    from transformers.models.video_llava.image_processing_video_llava import (
        VideoLlavaImageProcessor,
    )
    from transformers.models.video_llava.video_processing_video_llava import (
        VideoLlavaVideoProcessor,
    )

    words = tokenizer()
    config = VideoLlavaConfig(
        vision_config=CLIPVisionConfig(**SIGHT),
        text_config=LlamaConfig(vocab_size=len(words), **TEXT),
        image_token_index=words.image_token_id,
        video_token_index=words.video_token_id,
        image_seq_length=16,
        video_seq_length=136,
    )
    processor = VideoLlavaProcessor(
        image_processor=VideoLlavaImageProcessor(size=SQUARE, crop_size=SQUARE),
        video_processor=VideoLlavaVideoProcessor(size=SQUARE, crop_size=SQUARE),
        tokenizer=words,
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=chat("<image>", "<video>"),
    )
    _saved(VideoLlavaForConditionalGeneration(config), processor, folder)


PLAIN: dict[str, Callable[[Path], None]] = {"idefics3": idefics3, "llava": llava}
"""Families that need no torchvision."""
NEEDING: dict[str, Callable[[Path], None]] = {
    "smolvlm": smolvlm,
    "qwen2.5-vl": qwen25,
    "qwen3-vl": qwen3,
    "llava-onevision": onevision,
    "internvl": internvl,
    "video-llava": video_llava,
}
"""Families that need it."""


def make(name: str, folder: Path) -> str:
    """Write the tiny model of a family into a folder; gives its name."""
    torch.manual_seed(0)
    {**PLAIN, **NEEDING}[name](folder)
    return str(folder)
