"""The closed vocabulary of the embedded model, and its tokenizer and processor."""

from __future__ import annotations

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast
from transformers.models.idefics3.processing_idefics3 import Idefics3Processor

try:
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
except ModuleNotFoundError:  # transformers < 5.4
    from transformers.models.idefics3.image_processing_idefics3 import (
        Idefics3ImageProcessor as Idefics3ImageProcessorPil,
    )

from stepc.world.scene import COLORS, DYNAMIC, SIZES, STATIC, TEXTURES

PIXELS = 128
"""Side of the model's square input image, in pixels."""
PATCH = 16
TOKENS = 16
"""Image tokens per picture: (128/16)² patches, four per token."""

SPECIAL = [
    "<pad>",
    "<unk>",
    "<end_of_utterance>",
    "<answer>",
    "<image>",
    "<fake_token_around_image>",
    "<global-img>",
]
CHAT = (
    "{% for message in messages %}{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<answer>{% endif %}"
)
WORDS = """
. , ; : ? ! | ' " ( ) - a an the is are was were be being been do does did done doing has have
had can could will would may might this that these those it its they them their he she his her
one ones thing things object objects something what which who whom whose where when why how and
or but not no yes if then so because since while during after before until first second third
next last finally therefore thus hence also too there here from to of in on at by with without
for about into onto over under between among near beside behind front left right up down top
bottom middle side same different other another each every all both any some none nothing known
more less most least than as like such only just still again now later earlier begin begins end
ends start starts seen see sees look looks appear appears clip clips scene scenes picture pictures
video frame moment time times color size texture shape kind relation motion event question answer
true false correct step steps know knows find finds found means mean given give gives tell tells
say says name named called ask asks describe described describes moving moves move staying stays
stay placed place places relative position located lies happen happens happening happened join
graph list static dynamic yes-no open above below zero two three four five six seven eight nine
ten we i you me us my your our order put stands standing holds hold take takes follows follow
following shown show shows asked identify identified word case item it's called hence conclude
conclusion reason reasoning back once twice let look color's fact indeed
"""


def vocabulary() -> list[str]:
    """All tokens in a fixed order; the index of a word is its token id."""
    world = [*STATIC, *DYNAMIC, *COLORS, *SIZES, *TEXTURES]
    return list(dict.fromkeys([*SPECIAL, *world, *WORDS.split()]))


def make_processor() -> Idefics3Processor:
    """Build the processor: 128-pixel square images, lower-case word tokenizer, chat template."""
    tokens = {word: i for i, word in enumerate(vocabulary())}
    tokenizer = Tokenizer(WordLevel(tokens, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.Split("\n", "removed"),
            *(pre_tokenizers.Split(mark, "isolated") for mark in '.,;:?!|()"'),
        ]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end_of_utterance>",
        additional_special_tokens=SPECIAL[3:],
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=2048,
    )
    side = {"height": PIXELS, "width": PIXELS}
    pictures = Idefics3ImageProcessorPil(
        do_resize=True,
        size=side,
        max_image_size={"longest_edge": PIXELS},
        do_image_splitting=False,
        do_pad=True,
        resample=3,
    )
    return Idefics3Processor(pictures, fast, image_seq_len=TOKENS, chat_template=CHAT)
