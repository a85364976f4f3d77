"""Chinese: no articles, agreement or verb forms, but measure words and predicates of place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

from stepc.ir.elements import NounClass
from stepc.ir.words import plain, without_article
from stepc.languages.base import Filters, Language, Noun, Order, background, inverse, noun_classes

WORD = {"person": "人", "animal": "动物", "vehicle": "车", "place": "地方", "building": "建筑物"}
"""Class → the word for an object of it where its label may not be said. All others are objects."""
OBJECT, STAND_IN = "物体", "那个"
MEASURES = {"动物": "只", "车": "辆", "建筑物": "座", STAND_IN: ""}
"""Word for an object → its measure word; all others have 个."""
_WHAT = {"person": "谁", "animal": "什么动物", "vehicle": "什么车", "place": "什么地方",
         "building": "什么建筑物"}  # fmt: skip
_THING = "什么东西"
_PLACE = re.compile(
    r"(?:最|正|左|右)?(?:[上下左右前后里外内旁中对侧](?:面|边|方|侧|部|间)?)"
    r"|.*(?:附近|旁边|之间|中间|周围|四周|顶部|底部|顶上|底下|身边|身旁|背后|对面|隔壁|内部|外部)"
)
"""Predicates of place, which follow their object: 桌子的上面."""
_GROUP = re.compile(
    r".们$|^(?:一?群|一?排|一?堆|许多|很多|[几两二三四五六七八九十]+[个只辆位名条棵座头匹张])."
)
"""Labels of several objects: 人们, 一群人, 三辆车."""
_PARTICLES = re.compile(r"[着了过的\s]|正在|在")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_OTHER_SCRIPT = re.compile(
    r"[^\W\d_\u0000-\u024f\u1e00-\u1eff\u3400-\u9fff\uf900-\ufaff\uff21-\uff5a]"
)


def de(text: str) -> str:
    """Before a noun or the end of a sentence: 红色 → 红色的."""
    return text if text.endswith("的") else f"{text}的"


def doing(text: str) -> str:
    """What somebody does, after its subject: 走路 → 在走路, and 坐着 as it is."""
    return text if text.endswith(("着", "静止")) else f"在{text}"


def measured(text: str) -> str:
    """A word for an object with its measure word: 人 → 个人, 车 → 辆车. The word 那个 is its own: 个."""
    return "个" if text == STAND_IN else MEASURES.get(text, "个") + text


def bare(text: str) -> str:
    """Without 一个 or 那个: 一个杯子 → 杯子."""
    return without_article(text.strip())


class Chinese(Language):
    """Chinese, in simplified characters."""

    name = "chinese"
    help = "Chinese, in simplified characters, with measure words."
    space = ""
    links = ("、", "和")
    or_ = "还是"
    order: ClassVar[Mapping[Order, str]] = {
        "first": "首先，", "later": "之后，", "earlier": "在此之前，", "finally": "最后，",
    }  # fmt: skip
    ordinals = tuple(f"第{n}" for n in "一二三四五六七八九十")
    filters: ClassVar[Filters] = {
        "de": de,
        "doing": doing,
        "measured": measured,
        "bare": bare,
        "inverse": inverse,
    }
    parts: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "who": (*_WHAT.values(), _THING, "什么"),
        "that": ("的",),
        "noun": (*WORD.values(), OBJECT, STAND_IN),
    }
    anything: ClassVar[Mapping[str, str]] = {"who": _THING, "noun": OBJECT, "that": "的"}
    stand_in = STAND_IN
    says: ClassVar[Mapping[str, re.Pattern[str]]] = {
        "negates": re.compile("不(?!同)|(?<!有)没|未|非|除了|除外|无法|谁也|并无"),
        "compares": re.compile("比|更|最|相同|一样|不同|相等|都|只有|唯一|其他|另外|另一|每|各"),
        "counts": re.compile("多少|几[个只辆位件次座张]|数量|一共|总共|次数"),
        "dates": re.compile(
            "当.*时|时候|的时间|之前|之后|以前|以后|后来|先|最后|然后|持续|多久|期间|直到|已经|再次|随后|开始时"
        ),
    }
    facts: ClassVar[Mapping[str, str]] = {
        "part": "视频的第{number}部分，{time}：",
        "event": "视频的第{number}部分，{time}，{event}：",
        "alike": "{name}（第{number}个）",
        "attr": "{name}的{kind}是{value}。",
        "rel": "{name}和{other}的关系：{predicate}。",
        "motion": "{name}在{motion}，{time}。",
        "ref": "{name}就是第{number}部分的{other}。",
        "all": "以下内容都属实吗？{text}",
    }
    connectives = (
        "首先，",
        "然后，",
        "所以，",
        "最后，",
        "因此，",
        "接着，",
        "之后，",
        "在此之前，",
    )
    whether = ("", "，对吗？")
    full_stop = "。"
    question_mark = "？"
    yes_no = re.compile("吗？$|是不是|有没有|是否")

    def span(self, start: str, end: str) -> str:
        return f"{start}到{end}秒"

    def duration(self, length: str) -> str:
        return f"{length}秒"

    def noun(self, label: str, given: NounClass | None = None) -> Noun:
        return _noun(label, given)

    def class_of(self, label: str) -> NounClass:
        return _class_of(bare(label))

    def parts_of(self, noun: Noun) -> Mapping[str, str]:
        word, what = WORD.get(noun.noun, OBJECT), _WHAT.get(noun.noun, _THING)
        return {
            "who": "什么" if what.endswith(noun.label) else what,
            "noun": STAND_IN if word == noun.label else word,
            "that": "的",
        }

    def counted(self, noun: Noun) -> str:
        return WORD.get(noun.noun, OBJECT)

    def framed(self, frame: str, word: str) -> str:
        return self.normalised(word) if frame == "progressive" else super().framed(frame, word)

    def normalised(self, word: str) -> str:
        """Without 正在, 是 or 在: 在…旁边 → 旁边."""
        if not _HAN.match(word.strip()):
            return word
        return plain(word)

    def takes_object(self, predicate: str) -> bool:
        return not self.is_place(predicate)

    def is_background(self, label: str) -> bool:
        return bare(label) in background(self.name)

    def is_group(self, label: str) -> bool:
        return bool(_GROUP.search(label.strip()))

    def is_place(self, predicate: str) -> bool:
        return bool(_PLACE.fullmatch(self.normalised(predicate)))

    def is_adjective(self, value: str) -> bool:
        return value not in noun_classes(self.name)

    def fits_script(self, text: str) -> bool:
        return not _OTHER_SCRIPT.search(text)

    def is_foreign(self, text: str) -> bool:
        return not _HAN.search(text) and any(letter.isalpha() for letter in text)

    def retells(self, text: str, answer: str) -> bool:
        wanted = _PARTICLES.sub("", answer)
        return len(wanted) > 1 and wanted in _PARTICLES.sub("", text)

    def tidied(self, text: str) -> str:
        text = re.sub(r"\s*([，。、：；？！])\s*", r"\1", " ".join(text.split())).strip('" “”')
        return re.sub(r"\?$", "？", text)

    def sentences_of(self, text: str) -> list[str]:
        return re.findall(r"[^。？！]+[。？！]?", text)


@lru_cache(1 << 14)
def _noun(label: str, given: NounClass | None) -> Noun:
    text = bare(label)
    return Noun(text, given or _class_of(text), plural=text.endswith("们"))


@lru_cache(1 << 14)
def _class_of(label: str) -> NounClass:
    """The class of the longest word with which a label ends."""
    table = noun_classes("chinese")
    text = label.removesuffix("们")
    ends = (text[at:] for at in range(len(text)))
    return next((table[end] for end in ends if end in table), "thing")
