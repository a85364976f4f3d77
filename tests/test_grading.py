"""Replies in the forms that models give them, graded alike by rewards and by evaluation."""

from __future__ import annotations

import pytest

from stepc.grading.reward import answered, parted, reasoned, right
from stepc.grading.rules import chosen

OPTIONS = ("circle", "square", "heart", "star")
ACCEPTED = ["star", "D. star"]

FORMS = [
    ("star", True), ("D. star", True), ("D", True), ("(D)", True), ("D)", True), ("d.", True),
    ("Answer: D. star", True), ("Answer: D) star", True), ("**Answer:** star", True), ("Answer: D", True),
    ("<think>x</think><answer>star</answer>", True), ("<answer>D</answer>", True),
    ("<think>x</think>\nThe answer is D.", True), ("He waves.\n</think>\nstar", True),
    (r"So it must be \boxed{star}.", True), (r"\boxed{D}", True),
    (r"\boxed{\text{D}}", True), (r"\boxed{\textbf{star}}", True),
    (r"\boxed{\text{A}}", False), ("The answer is star", True),
    ("Answer: It is the star.", True), ("Answer: star, because it moves up", True),
    ("star<|im_end|>", True), ("Answer: A. star", False), ("Answer: A", False), ("A", False),
    ("circle", False), ("star or circle", False), ("not star", False), ("", False),
    ("<think>star</think>", False), ("<think>star", False), ("D. circle", False),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "wanted"), FORMS)
def test_a_reward_reads_what_models_write(reply: str, wanted: bool) -> None:
    assert answered([reply], [ACCEPTED]) == [float(wanted)]
    assert answered([[{"role": "assistant", "content": reply}]], [ACCEPTED]) == [float(wanted)]
    taken = chosen(parted(reply)[1], OPTIONS)
    if wanted:
        assert taken == 3  # the evaluation takes it for the same answer


@pytest.mark.parametrize(
    ("reply", "accepted", "wanted"),
    [
        ("Yes, it is.", ["yes"], True), ("No.", ["yes"], False), ("Answer: yes", ["yes"], True),
        ("-3", ["3"], False), ("-3", ["-3"], True), ("3", ["-3"], False),
        ("a well-known man", ["well-known man"], True),
        ("A. orange", ["orange"], True), ("B. orange", ["orange"], True), ("a cup", ["cup"], True),
        ("two cups", ["two cup"], True), ("2", ["2d"], False), ("sta", ["star"], False),
        ("do", ["dog"], False),
    ],
)  # fmt: skip
def test_what_counts_as_the_same_answer(reply: str, accepted: list[str], wanted: bool) -> None:
    assert right(parted(reply)[1], accepted) is wanted


def test_a_completion_without_text_earns_nothing() -> None:
    for empty in ("", [], [{"role": "assistant", "content": None}], [{"role": "assistant"}]):
        assert answered([empty], [["cup"]]) == [0.0]
        assert reasoned([empty], [["The cup is red."]]) == [0.0]


def test_an_article_is_no_option() -> None:
    assert chosen("The answer is a star", OPTIONS) == 3
    assert chosen("The answer is a", OPTIONS) == 0 and chosen("The answer is A", OPTIONS) == 0
