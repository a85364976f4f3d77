"""Words: named policies, and the solver's own comparison beside them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_golden import HERE

from stepc.grading.reward import answered, right
from stepc.ir import words as ours
from stepc.ir.words import Policy
from stepc.proof import words as theirs

DATA = [
    word
    for name in ("english/nouns", "english/predicates", "chinese/predicates")
    for line in (HERE / "grammar" / f"{name}.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
    for word in re.split(r"[|=]", line)
    if word.strip()
]
ENDINGS = [
    "",
    "s",
    "es",
    "ies",
    "ches",
    "shes",
    "xes",
    "sses",
    "zes",
    "ss",
    "us",
    "is",
    "ous",
    "men",
]
STEMS = [
    "cup",
    "bus",
    "box",
    "church",
    "dish",
    "glass",
    "quiz",
    "lady",
    "tie",
    "as",
    "i",
    "gl",
    "octop",
]
FIRST = [
    "",
    "a ",
    "The ",
    "an ",
    "is ",
    "are being ",
    "some_",
    " one  ",
    "the.",
    ". ",
    "一个",
    "正在",
    "在",
    "在…",
    "是",
]
LAST = ["", ".", " . ", " ..", "的", " 的", "们", "的们"]


def _texts() -> st.SearchStrategy[str]:
    word = st.one_of(
        st.sampled_from(DATA),
        st.builds(str.__add__, st.sampled_from(STEMS), st.sampled_from(ENDINGS)),
        st.text(st.sampled_from("\u7537\u30cdabs'-._ \u2019\u00e9XY1"), max_size=8),
    )
    return st.builds(
        lambda first, parts, last: first + " ".join(parts) + last,
        st.sampled_from(FIRST), st.lists(word, max_size=4), st.sampled_from(LAST),
    )  # fmt: skip


@given(_texts())
def test_the_solver_compares_words_like_the_rest(text: str) -> None:
    assert theirs.label(text) == ours.normal(text)
    assert theirs.phrase(text) == ours.plain(text)
    assert theirs.inverse(text) == ours.inverse(text)


@given(_texts(), _texts())
@example("1", "-1")
@example("it is \u22121 degrees", "-1")
def test_the_solver_finds_words_in_texts_like_the_rest(text: str, phrase: str) -> None:
    assert theirs.mentions(text, phrase) == ours.mentions(text, phrase)
    assert theirs.mentions(f"{text} {phrase} {text}", phrase) == ours.mentions(
        f"{text} {phrase} {text}", phrase
    )


@pytest.mark.parametrize(
    ("policy", "one", "other", "same"),
    [
        (Policy.LABEL, "The cups", "cup", True),
        (Policy.LABEL, "men", "man", True),
        (Policy.LABEL, "children", "child", True),
        (Policy.LABEL, "glasses", "glass", False),
        (Policy.LABEL, "news", "new", False),
        (Policy.LABEL, "lens", "len", False),
        (Policy.LABEL, "bus", "buses", True),
        (Policy.LABEL, "red cup", "cup", False),
        (Policy.PHRASE, "is Left_of", "left of", True),
        (Policy.PHRASE, "holding", "held by", False),
        (Policy.ANSWER, "Two cups.", "two cup", True),
        (Policy.ANSWER, "the man\u2019s hat", "man's hat", True),
        (Policy.ANSWER, "a red cup", "red cups", True),
        (Policy.ANSWER, "red", "is red", False),
    ],
)
def test_policies(policy: Policy, one: str, other: str, same: bool) -> None:
    assert policy.same(one, other) is same


def test_a_reward_agrees_with_the_proof_about_plurals() -> None:
    assert Policy.LABEL.same("cups", "cup") and right("cups", ["cup"])
    assert answered(["Answer: the cups"], [["cup"]]) == [1.0]


@pytest.mark.parametrize(
    ("text", "said", "found"),
    [
        ("Before Maria's brother comes in, what is chopping?", "Maria", True),
        ("Before Maria\u2019s brother comes in, what is chopping?", "Maria", True),
        ("What is wearing the man's hat?", "man", True),
        ("What is wearing the man's hat?", "man's hat", True),
        ("What is wearing the woman's hat?", "man", False),
        ("\u7537\u4eba\u5728\u9a91\u81ea\u884c\u8f66\u65f6", "\u7537\u4eba", True),
        ("\u7537\u4eba\u5728\u9a91\u81ea\u884c\u8f66\u65f6", "\u5973\u4eba", False),
        ("\u30cd\u30b3\u304c\u5bdd\u3066\u3044\u308b", "\u30cd\u30b3", True),
    ],
)  # fmt: skip
def test_an_answer_is_found_in_a_question_in_any_script(text: str, said: str, found: bool) -> None:
    assert ours.mentions(text, said) is found
    assert theirs.mentions(text, said) is found


def test_a_name_is_told_by_each_of_its_parts() -> None:
    assert theirs.told_by("Lionel Messi") == ["Lionel Messi", "Lionel", "Messi"]
    assert theirs.told_by("red cup") == ["red cup"] and theirs.told_by("Messi") == ["Messi"]
