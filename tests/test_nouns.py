"""English: articles, number, names, classes and verb forms, and the conditions that look at them."""

from __future__ import annotations

import contextlib

import pytest

from stepc.ir.elements import NounClass
from stepc.lang.conditions import (
    Condition,
    Described,
    Occasion,
    apart,
    narrower,
    precedence,
    undecided,
)
from stepc.languages import LANGUAGES
from stepc.languages.base import NoWording, inverse
from stepc.languages.english import a, base, is_, passive, past, simple, the, third
from stepc.languages.english_nouns import (
    clause,
    is_foreign,
    noun,
    plural,
    progressive,
    retells,
    takes_object,
)
from stepc.runtime.word_lists import word_lines

LABELS: dict[str, tuple[str, str, str, str, str]] = {
    # label: the, a, plural, is, class
    "TV": ("the TV", "a TV", "TVs", "is", "thing"),
    "SUV": ("the SUV", "an SUV", "SUVs", "is", "vehicle"),
    "NASA rocket": ("the NASA rocket", "a NASA rocket", "NASA rockets", "is", "vehicle"),
    "8-year-old boy": ("the 8-year-old boy", "an 8-year-old boy", "8-year-old boys", "is", "person"),
    "F1 car": ("the F1 car", "an F1 car", "F1 cars", "is", "vehicle"),
    "boy in jeans": ("the boy in jeans", "a boy in jeans", "boys in jeans", "is", "person"),
    "lens": ("the lens", "a lens", "lenses", "is", "thing"),
    "Jonas": ("Jonas", "Jonas", "Jonas", "is", "person"),
    "Maria": ("Maria", "Maria", "Maria", "is", "person"),
    "Lionel Messi": ("Lionel Messi", "Lionel Messi", "Lionel Messi", "is", "person"),
    "Maria's brother": ("Maria's brother", "Maria's brother", "Maria's brothers", "is", "person"),
    "chef's knife": ("the chef's knife", "a chef's knife", "chef's knives", "is", "thing"),
    "Eiffel Tower": ("the Eiffel Tower", "an Eiffel Tower", "Eiffel Towers", "is", "building"),
    "Man": ("the man", "a man", "Men", "is", "person"),
    "furniture": ("the furniture", "furniture", "furniture", "is", "furniture"),
    "bread and butter": ("the bread and butter", "bread and butter", "bread and butter", "is", "food"),
    "police": ("the police", "police", "police", "are", "person"),
    "cattle": ("the cattle", "cattle", "cattle", "are", "animal"),
    "tennis": ("the tennis", "tennis", "tennis", "is", "thing"),
    "mother-in-law": ("the mother-in-law", "a mother-in-law", "mothers-in-law", "is", "person"),
    "passer-by": ("the passer-by", "a passer-by", "passers-by", "is", "person"),
    "e-bike": ("the e-bike", "an e-bike", "e-bikes", "is", "vehicle"),
    "yellow t-shirt": ("the yellow t-shirt", "a yellow t-shirt", "yellow t-shirts", "is", "clothing"),
    "water": ("the water", "water", "water", "is", "stuff"),
    "rice": ("the rice", "rice", "rice", "is", "food"),
    "sheep": ("the sheep", "a sheep", "sheep", "is", "animal"),
    "glass": ("the glass", "a glass", "glasses", "is", "thing"),
    "glasses": ("the glasses", "glasses", "glasses", "are", "clothing"),
    "pair of scissors": ("the pair of scissors", "a pair of scissors", "pairs of scissors", "is", "thing"),
    "men": ("the men", "men", "men", "are", "person"),
    "traffic lights": ("the traffic lights", "traffic lights", "traffic lights", "are", "thing"),
    "buses": ("the buses", "buses", "buses", "are", "vehicle"),
    "ox": ("the ox", "an ox", "oxen", "is", "animal"),
    "person": ("the person", "a person", "people", "is", "person"),
    "skis": ("the skis", "skis", "skis", "are", "thing"),
    "octopuses": ("the octopuses", "octopuses", "octopuses", "are", "thing"),
    "gentlemen": ("the gentlemen", "gentlemen", "gentlemen", "are", "thing"),
    "passers-by": ("the passers-by", "passers-by", "passers-by", "are", "thing"),
    "tweezers": ("the tweezers", "tweezers", "tweezers", "are", "thing"),
    "people sitting": ("the people sitting", "people sitting", "people sitting", "are", "person"),
    "another man": ("the man", "a man", "men", "is", "person"),
    "one person": ("the person", "a person", "people", "is", "person"),
    "Mr. Bean": ("Mr. Bean", "Mr. Bean", "Mr. Bean", "is", "person"),
    "food": ("the food", "food", "food", "is", "thing"),
    "cloud": ("the cloud", "a cloud", "clouds", "is", "stuff"),
    "hot dog": ("the hot dog", "a hot dog", "hot dogs", "is", "food"),
    "teddy bear": ("the teddy bear", "a teddy bear", "teddy bears", "is", "thing"),
    "baseball bat": ("the baseball bat", "a baseball bat", "baseball bats", "is", "thing"),
    "iPhone": ("the iPhone", "an iPhone", "iPhones", "is", "thing"),
    "hour": ("the hour", "an hour", "hours", "is", "thing"),
    "polar bear": ("the polar bear", "a polar bear", "polar bears", "is", "animal"),
}  # fmt: skip


@pytest.mark.parametrize("label", LABELS)
def test_a_label_as_a_noun(label: str) -> None:
    assert (the(label), a(label), plural(label), is_(label), noun(label).noun) == LABELS[label]


def test_descriptions_agree_with_their_first_noun() -> None:
    for text in ("the object inside the pots and pans", "the person who feeds dogs", "the red object",
                 "the object being held by the men", "the object left of the circles"):  # fmt: skip
        assert is_(text) == "is", text
    assert is_("the animal cages") == "are"
    for text in ("the object outside the houses", "the person down the stairs"):
        assert is_(text) == "is", text


def test_a_sentence_keeps_the_capital_of_a_name_only() -> None:
    for text, wanted in {
        "The Eiffel Tower is lit": "the Eiffel Tower is lit", "An NBA player dunks": "an NBA player dunks",
        "Tom opens a box": "Tom opens a box", "I see a dog": "I see a dog", "Men play": "men play",
        "Bob's car stops": "Bob's car stops", "Tom and Jerry run": "Tom and Jerry run",
        "Is Maria holding it?": "is Maria holding it", "Water flows": "water flows",
    }.items():  # fmt: skip
        assert clause(text) == wanted


def test_the_class_that_a_model_gives_comes_before_the_table() -> None:
    assert noun("Rose").noun == "thing" and not noun("Rose").named
    assert noun("Rose", "person").named and the("rose") == "the rose"
    assert noun("Tesla", "vehicle").noun == "vehicle"
    assert not noun("Honda", "vehicle").named, "names of things take an article"


@pytest.mark.parametrize(
    ("label", "who", "that", "word"),
    [
        ("man", "who", "who", "person"), ("dog", "what", "that", "animal"), ("cup", "what", "that", "object"),
        ("person", "who", "who", "one"), ("animal", "what", "that", "object"),
        ("university building", "what", "that", "object"), ("bus", "what", "that", "vehicle"),
    ],
)  # fmt: skip
def test_what_stands_for_an_object(label: str, who: str, that: str, word: str) -> None:
    made = noun(label)
    parts = LANGUAGES["english"].parts_of(made)
    assert (parts["who"], parts["that"], parts["noun"]) == (who, that, word)


def test_verbs_and_frames() -> None:
    assert (base("picking up"), past("picking up"), third("picking up")) == (
        "pick up",
        "picked up",
        "picks up",
    )
    assert (base("on"), past("on"), third("on")) == ("be on", "was on", "is on")
    assert passive("holding") == "held by"
    with pytest.raises(NoWording):
        passive("on")
    assert inverse("above") == "below" and inverse("held by") == "holding"
    with pytest.raises(NoWording):
        inverse("leaning on")
    assert [progressive(x) for x in ("dribbles", "are running after", "is on", "on the", "left of")] == [
        "dribbling", "running after", "on", "on", "left of",
    ]  # fmt: skip
    assert [clause(x) for x in ("He scores!", "The referee blows.", "Maria chops", "TV is on")] == [
        "he scores", "the referee blows", "Maria chops", "TV is on",
    ]  # fmt: skip
    assert takes_object("holding") and takes_object("picking up") and takes_object("holds")
    assert not any(map(takes_object, ("sitting on", "on", "looking at", "left of", "walking down")))
    assert progressive("has") == "has"


def _object(label: str, op: str = "static", given: NounClass | None = None) -> Described:
    return Described(noun(label, given), op)  # type: ignore[arg-type]


def _condition(subject: str, what: str, *tests: str) -> Condition:
    return Condition.model_validate({"subject": subject, "what": what, "tests": tests})


def test_a_condition_holds_of_what_it_names() -> None:
    at = Occasion(
        _object("men", "dynamic"), _object("Cup"), "holding", form="claim", block="b", known="near"
    )
    holds = {
        ("near", "noun", "person"): True, ("near", "noun", "animal", "thing"): False,
        ("near", "number", "plural"): True, ("near", "op", "dynamic"): True, ("near", "name", "named"): False,
        ("far", "word", "the cups"): True, ("far", "word", "mug"): False, ("far", "said", "plain"): True,
        ("near", "said", "described"): False, ("edge", "word", "is holding"): True,
        ("edge", "verb", "verb"): True, ("edge", "verb", "place"): False, ("form", "form", "claim"): True,
        ("edge", "inverse", "reversible"): True, ("edge", "inverse", "oneway"): False,
        ("block", "block", "other"): False,
    }  # fmt: skip
    for (subject, what, *tests), wanted in holds.items():
        assert _condition(subject, what, *tests).holds(at) is wanted, (subject, what, tests)


def test_which_block_is_narrower() -> None:
    person, plurals = _condition("near", "noun", "person"), _condition("near", "number", "plural")
    holding, on = _condition("edge", "word", "holding"), _condition("edge", "word", "on")
    verb = _condition("edge", "verb", "verb")
    assert narrower((person, holding), (person,)) and not narrower((person,), (person, holding))
    assert narrower((holding,), (verb,)) and apart((on,), (verb,)) and apart((on,), (holding,))
    wide, one = _condition("edge", "word", "holding", "carrying"), ((verb,), (holding,))
    order = sorted([*one, (wide,), ()], key=lambda c: precedence(c, [*one, (wide,), ()]))
    assert order == [(holding,), (wide,), (verb,), ()]
    ask = frozenset(["far ask"])
    assert undecided([((holding,), ask), ((_condition("edge", "word", "is holding"),), ask)])
    assert undecided([((person,), ask), ((plurals,), ask)]) == ((person,), (plurals,), "far ask")
    assert undecided([((person,), ask), ((plurals,), ask), ((person, plurals), ask)]) is None
    assert undecided([((person,), ask), ((plurals,), frozenset(["far name"]))]) is None
    assert undecided([((), ask), ((person,), ask), ((verb, person), ask)]) is None


@pytest.mark.parametrize(
    ("text", "answer", "says"),
    [
        ("While a dog runs into the man's arms, what is the dog doing?", "running into the man's arms", True),
        ("While Maria chops vegetables, what is Maria doing?", "chopping", True),
        ("What is the person who is blowing into the whistle doing?", "blowing the whistle", True),
        ("What is the object that is moving right doing?", "moving left", False),
        ("Is the man running?", "walking to the man", False),
        ("What is the man holding?", "on", False),
        ("What happens in the scene with the soup?", "the soup boils over", False),
        ("While the boy kicks the ball, what happens?", "the ball is kicked by the boy", True),
    ],
)  # fmt: skip
def test_an_answer_is_found_in_another_form(text: str, answer: str, says: bool) -> None:
    assert retells(text, answer) is says


@pytest.mark.parametrize("text", ["neben", "ein Mann überquert die Straße", "Farbe", "grün"])
def test_another_language_is_noticed(text: str) -> None:
    assert is_foreign(text)


@pytest.mark.parametrize(
    "text",
    ["on", "in front of", "larger than", "amidst", "vlogging", "skateboarding down the ramp", "color",
     "a man chops onions", "Maria's brother comes in", "the referee blows the whistle", "high-fiving"],
)  # fmt: skip
def test_english_is_not_taken_for_another_language(text: str) -> None:
    assert not is_foreign(text)


def test_a_clause_in_the_simple_present() -> None:
    assert simple("the ring is moving up") == "the ring moves up"
    assert (
        simple("two men are sitting down and a dog is running") == "two men sit down and a dog runs"
    )
    assert simple("a woman is carrying a box") == "a woman carries a box"
    for same in ("Maria chops vegetables", "the king is in the ring"):
        assert simple(same) == same
    assert simple("it is raining") == "it rains"


@pytest.mark.parametrize(
    ("text", "labels", "wrong"),
    [
        ("Is the trees green?", ["trees"], True),
        ("Are the trees green?", ["trees"], False),
        ("What color does the trousers have?", ["trousers"], True),
        ("What is the man holding, the glasses or the cup?", ["man", "glasses"], False),
        ("Is the bus next to the people?", ["bus", "people"], False),
        ("Has the people left?", ["the people"], True),
    ],
)
def test_a_verb_agrees_with_a_plural(text: str, labels: list[str], wrong: bool) -> None:
    assert LANGUAGES["english"].disagrees(text, labels) is wrong


@pytest.mark.parametrize(
    ("language", "background", "others"),
    [
        (
            "english",
            ["sky", "the ground", "brick wall", "walls", "clouds"],
            ["tree", "car", "roadster"],
        ),
        ("chinese", ["天空", "路", "墙"], ["汽车", "人"]),
    ],
)
def test_background_is_told_by_its_noun(
    language: str, background: list[str], others: list[str]
) -> None:
    known = LANGUAGES[language]
    assert all(map(known.is_background, background)) and not any(map(known.is_background, others))


@pytest.mark.parametrize(
    ("language", "places", "others"),
    [
        (
            "english",
            ["left of", "on", "next to", "in front of"],
            ["walking on", "holding", "parked on"],
        ),
        ("chinese", ["在左边"], ["骑", "拿着"]),
    ],
)
def test_a_place_says_nothing_else(language: str, places: list[str], others: list[str]) -> None:
    known = LANGUAGES[language]
    assert all(map(known.is_place, places)) and not any(map(known.is_place, others))


GROUPS = {
    "english": (
        ["people", "trees", "two men", "three sheep", "row of cars", "police", "traffic lights", "Leaves"],
        ["jeans", "glasses", "boots", "pair of shoes", "man in jeans", "cup of beans", "bus", "crowd"],
    ),
    "chinese": (
        ["人们", "一群人", "三辆车", "几个孩子", "许多树"],
        ["男人", "一个人", "三轮车", "三明治", "十字路口"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", GROUPS)
def test_a_group_is_several_things_and_a_pair_is_one(language: str) -> None:
    known, (groups, others) = LANGUAGES[language], GROUPS[language]
    assert [x for x in groups if not known.is_group(x)] == []
    assert [x for x in others if known.is_group(x)] == []


@pytest.mark.parametrize("language", ["english", "chinese"])
def test_an_inverse_is_that_of_one_predicate_only(language: str) -> None:
    rows = [row.rstrip("=").split("|") for row in word_lines("predicates", language)]
    said = [word.strip() for row in rows for word in row]
    assert len(said) == len({*said}) > 10
    for row in (r for r in rows if len(r) == 2 and takes_object(r[0].strip())):
        one, other = map(str.strip, row)
        with contextlib.suppress(NoWording):
            assert other in (passive(one), "contained in"), row
