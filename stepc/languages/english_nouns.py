"""English nouns and verbs: classes, numbers and names of objects, and the forms of verbs."""

from __future__ import annotations

import functools
import re
from typing import Any

from stepc.ir.elements import NounClass
from stepc.ir.words import invariable, normal, predicate_form, words_of
from stepc.languages.base import Noun, NoWording, noun_classes

_ARTICLES = ("a", "an", "the")
_OWNERS = frozenset(["my", "your", "his", "her", "its", "our", "their"])
_HAVE = frozenset(["has", "have", "having", "had"])
"""Forms that cannot stand after "is"."""
_NO_NAMES = _OWNERS | {
    "a", "an", "another", "every", "he", "her", "it", "no", "one", "she", "some", "somebody", "someone",
    "something", "that", "the", "there", "these", "they", "this", "those", "two", "we", "you",
}  # fmt: skip
"""Words that begin a phrase, in capitals or not, without being a name or known to the dictionary."""
_FUNCTION = _NO_NAMES | {
    "are", "at", "can", "did", "do", "does", "from", "has", "have", "how", "i", "in", "is", "many",
    "of", "on", "several", "three", "to", "was", "were", "what", "when", "where", "which", "who",
    "whose", "why", "with",
}  # fmt: skip
"""Words that never keep the capital of a sentence's beginning."""
_TITLES = frozenset(["Dr", "Mr", "Mrs", "Ms", "Prof", "Sir"])
PRONOUNS = frozenset(
    ["anybody", "anyone", "everybody", "everyone", "nobody", "somebody", "someone"]
)
"""Indefinite pronouns, which take no article and mean a person."""
_STRIPPED = (*_ARTICLES, "another", "both", "one", "some")
"""What a label loses before it gets an article."""
PREPOSITIONS = frozenset(["about", "above", "across", "after", "against", "along", "alongside", "among",
                          "around", "as", "at", "before", "behind", "below", "beneath", "beside", "between",
                          "by", "during", "for", "from", "in", "inside", "into", "like", "near", "next", "of",
                          "on", "onto", "opposite", "over", "past", "through", "to", "toward", "towards",
                          "under", "underneath", "until", "upon", "with", "within", "without"])  # fmt: skip
WORD = {"person": "person", "animal": "animal", "vehicle": "vehicle", "place": "place",
        "building": "building"}  # fmt: skip
"""Class → the word for an object of it where its label may not be said. All others are objects."""
ADVERBS = frozenset(
    ["amid", "atop", "beyond", "down", "off", "out", "outside", "throughout", "up", "via"]
)
"""Words that end the head of a noun phrase, and follow verbs as particles."""
_INTRANSITIVE = frozenset(["climbing", "coming", "falling", "going", "jumping", "looking", "moving", "riding",
                           "rolling", "running", "skiing", "sliding", "swimming", "walking"])  # fmt: skip
"""Verbs of motion, whose particle takes an object: "walking down the stairs"."""
_ENDS = frozenset(["and", "being", "carrying", "holding", "lying", "made", "riding", "seen", "sitting",
                   "standing", "that", "wearing", "which", "while", "who"])  # fmt: skip
_WORDS = "|".join(sorted(PREPOSITIONS | ADVERBS | _ENDS))
STAND_INS = frozenset([*WORD.values(), "object", "one"])
"""The words for objects whose label is not said."""
_STANDS_IN = "|".join(f"(?<={word})" for word in sorted(STAND_INS))
_AFTER = re.compile(rf" (?:{_WORDS})(?: |$)|(?:{_STANDS_IN}) (?:left|right|\w+ed|\w+ing) ")
"""What ends the head of a noun phrase."""
COLLECTIVE = frozenset(["cattle", "clothes", "people", "police"])
"""Nouns that are plurals without looking like one."""
SAME = frozenset(["aircraft", "bison", "deer", "fish", "moose", "salmon", "series", "sheep", "shrimp",
                  "species", "squid", "trout"])  # fmt: skip
"""Nouns whose plural is the same word."""
WORN = frozenset(["boots", "chopsticks", "cleats", "crutches", "earbuds", "earphones", "earrings",
                  "flippers", "gloves", "handcuffs", "heels", "mittens", "sandals", "shoes", "skates",
                  "skis", "slippers", "sneakers", "socks"])  # fmt: skip
"""Plurals of what is worn or held in pairs, which count as one thing, as `glasses` do."""
COLLECTIONS = frozenset(["bunch", "bundle", "cluster", "collection", "couple", "crowd", "dozen", "flock",
                         "group", "handful", "herd", "line", "pack", "pair", "pile", "row", "set", "stack",
                         "team"])  # fmt: skip
"""Nouns that make a group of the plural after them: `row of trees`."""
NUMBERS = frozenset(["couple", "few", "many", "multiple", "several", "two", "three", "four", "five", "six",
                     "seven", "eight", "nine", "ten", "various"])  # fmt: skip
"""Words that make a group of the noun after them, whatever its form: `three sheep`."""
ODD = {"ox": "oxen", "person": "people"}
"""Plurals that the dictionary lacks."""
MASS = frozenset([
    "advice", "armor", "asparagus", "attire", "bacon", "baggage", "bread", "broccoli", "butter",
    "cardboard", "cash", "cheese", "clothing", "coffee", "corn", "cream", "equipment", "food", "footwear",
    "furniture", "garlic", "graffiti", "ham", "hay", "homework", "honey", "jam", "jewelry", "juice",
    "ketchup", "leather", "lettuce", "luggage", "makeup", "meat", "milk", "money", "music", "news", "oil",
    "pasta", "pork", "rice", "salad", "silverware", "soup", "spaghetti", "spinach", "sugar", "sunlight",
    "swimwear", "tea", "tennis", "tofu", "underwear", "wine", "wood", "yogurt",
])  # fmt: skip
"""Nouns without a plural, besides those of the class `stuff`."""


@functools.lru_cache(1 << 14)
def sort(noun: Noun) -> str:
    """What an object is in one word, whatever its label: `person`, `animal`, `vehicle`, `object` …"""
    return WORD.get(noun.noun, "object")


@functools.lru_cache(1 << 14)
def word(noun: Noun) -> str:
    """What an object is in one word that its label does not contain: `person`, `animal`, `object` …"""
    made, label = sort(noun), [*map(normal, words_of(noun.label))]
    if made not in label:
        return made
    return "one" if noun.noun == "person" or "object" in label else "object"


@functools.lru_cache(1 << 14)
def noun(label: str, given: NounClass | None = None) -> Noun:
    """An object's label as a noun. `given` is its class, if a model said it."""
    text = bare(label)
    named = is_name(text, given)
    guess: NounClass = "person" if named or text.lower() in PRONOUNS else class_of(text)
    return Noun(text, given or guess, named, not named and is_plural(text))


def class_of(label: str) -> NounClass:
    """The class of a label by the table of common nouns, `thing` if it is not there."""
    text = head(bare(label).lower())
    words = text.split()
    table = noun_classes("english")
    for first in range(len(words)):  # "polar bear" before "bear"
        for key in ("-".join(words[first:]), "-".join(normal(" ".join(words[first:])).split())):
            if key in table:
                return table[key]
    return "thing"


@functools.lru_cache(1 << 14)
def bare(text: str) -> str:
    """Without the article: `the cup` → `cup`."""
    first, _, rest = text.strip().partition(" ")
    return rest if first.lower() in _STRIPPED and rest else text.strip()


def lowered(label: str) -> str:
    """A label in title case whose words are all known, in lower case: `Soccer Ball` → `soccer ball`."""
    words = label.split()
    titled = len(words) > 1 and all(w[:1].isupper() and w[1:].islower() for w in words)
    return label.lower() if titled and all(lemmas(w.lower()) for w in words) else label


def head(text: str) -> str:
    """A noun phrase up to what follows its noun: `cups of tea` → `cups`."""
    found = _AFTER.search(text, 1)
    return text[: found.start()] if found else text


def has_owner(text: str) -> bool:
    """Whether a noun phrase begins with an owner, so that it takes no article: `Maria's brother`."""
    first, _, rest = text.replace("\u2019", "'").partition(" ")
    if not rest:
        return False
    owner = first.removesuffix("'s") if first.endswith("'s") else ""
    return first.lower() in _OWNERS or (owner[:1].isupper() and is_name(owner))


@functools.lru_cache(1 << 14)
def is_name(text: str, given: NounClass | None = None) -> bool:
    """Whether a label is a name: all its words begin with a capital, and it is no known noun.

    `TV` is none, nor is `Eiffel Tower`, which takes an article. A person's label in capitals is a name.
    """
    words = bare(text).split()
    if not words or not all(w[:1].isupper() and w[1:2] != "-" for w in words):
        return False
    if words[0].lower() in _NO_NAMES:
        return False
    if words[0].rstrip(".") in _TITLES and len(words) > 1:
        return True
    if given not in (None, "person", "place"):
        return False
    last = words[-1]
    if len(last) > 1 and last.isupper():
        return False
    common = class_of(text) != "thing" or bool(lemmas(last.lower()))
    return not common or (given == "person" and class_of(last) == "thing")


def low(text: str) -> str:
    """With a lower-case first letter, unless the first word is an abbreviation or a name."""
    first, *rest = text.split(" ")
    if first.lower() in _FUNCTION:
        return text if first == "I" else text[:1].lower() + text[1:]
    if re.match(r"\w[A-Z0-9&-]", first) or _begins_with_name(first.replace("\u2019", "'"), rest):
        return text
    return text[:1].lower() + text[1:]


def _begins_with_name(first: str, rest: list[str]) -> bool:
    """Whether the first word of a sentence or label is a name: it is no known noun, or has no article."""
    if not first[:1].isupper():
        return False
    owner = first.removesuffix("'s")
    if is_name(owner) or first.rstrip(".") in _TITLES:
        return True
    following = rest[0] if rest else ""
    if following[:1].isupper() or (following == "and" and rest[1:2] and rest[1][:1].isupper()):
        return not (lemmas(owner.lower()) and lemmas(following.lower()))
    single = not is_plural(first) and not is_mass(first)
    verb = following.endswith("s") and bool(lemmas(following, "VERB"))
    return class_of(owner) == "thing" and single and (verb or owner != first)


@functools.lru_cache(1 << 14)
def is_plural(text: str) -> bool:
    """Whether a label is a plural: true for `cups`, `men` and `scissors`, false for `bus` and `Paris`."""
    words = head(bare(text)).split()
    if not words or not (words[-1].isascii() and words[-1].replace("-", "").isalpha()):
        return False
    last = words[-1].lower()
    if last in COLLECTIVE or invariable(last) == "plural":
        return True
    if last in SAME or invariable(last) or (words[-1].isupper() and len(last) > 1):
        return False
    if "-" in last and last.split("-")[0] in (
        "passers",
        "mothers",
        "fathers",
        "sisters",
        "brothers",
    ):
        return True
    if normal(last) == last:
        return bool(known := lemmas(last, "NOUN")) and last not in known
    if not last.endswith("s"):
        return True  # men, children
    found = lemmas(last, "NOUN")
    return last not in found if found else not words[-1][:1].isupper()


@functools.lru_cache(1 << 14)
def is_group(text: str) -> bool:
    """Whether a label names several things: true for `trees` and `row of cars`, false for `jeans`."""
    words = bare(text).lower().split()
    if "of" in words[1:-1]:
        at = words.index("of", 1)
        if words[at - 1] in COLLECTIONS:
            return is_group(" ".join(words[at + 1 :]))
    if words[0:1] and words[0] in NUMBERS and len(words) > 1:
        return True
    last = head(" ".join(words)).split()[-1:]
    pair = any(word in WORN or invariable(word) == "plural" for word in last)
    return not pair and is_plural(text)


@functools.lru_cache(1 << 14)
def plural(text: str) -> str:
    """The plural without article: `the cup` → `cups`, `cup of tea` → `cups of tea`."""
    text = bare(text)
    first = head(text)
    if not first.strip() or is_plural(first) or is_name(text):
        return text
    before, _, last = first.rpartition(" ")
    if not (last.isascii() and last.replace("-", "").isalpha()):
        return text
    made = _plural_noun(last)
    return (f"{before} {made}" if before else made) + text[len(first) :]


def _plural_noun(word: str) -> str:
    lower = word.lower()
    if lower in SAME or lower in MASS or lower in _stuff() or invariable(lower) == "plural":
        return word
    if word[1:] != word[1:].lower():  # TV, iPhone
        return f"{word}s"
    if lower in ODD:
        return ODD[lower]
    for link in ("-in-law", "-by"):
        if lower.endswith(link):
            return _plural_noun(word[: -len(link)]) + link
    start, dash, last = word.rpartition("-")
    found = _inflections(last, "NNS")
    return start + dash + (found[0] if found else f"{last}s")


@functools.cache
def _stuff() -> frozenset[str]:
    every = frozenset(word for word, kind in noun_classes("english").items() if kind == "stuff")
    return every - {"cloud", "fire", "flame"}


def is_mass(text: str) -> bool:
    """Whether a label has no plural: `water`, `bread`."""
    words = head(bare(text)).lower().split()
    return bool(words) and (words[-1] in MASS or words[-1] in _stuff())


# --- the dictionary ----------------------------------------------------------------------


@functools.cache
def _dictionary() -> Any:
    import lemminflect

    return lemminflect


@functools.lru_cache(1 << 14)
def lemmas(word: str, kind: str = "") -> tuple[str, ...]:
    """The dictionary forms of a word, of all kinds or of one (`NOUN`, `VERB`); empty if it is not known."""
    found = _dictionary().getAllLemmas(word)
    return tuple(x for k, forms in found.items() if kind in ("", k) for x in forms)


@functools.lru_cache(1 << 14)
def _inflections(word: str, tag: str) -> tuple[str, ...]:
    return tuple(_dictionary().getInflection(word, tag))


@functools.lru_cache(1 << 14)
def verb_form(phrase: str, tag: str) -> str | None:
    """A phrase that begins with an -ing form, in another form; None if it does not begin with one.

    `tag` is that of the Penn Treebank: VB (base), VBZ (third person), VBD (past), VBN (participle).
    """
    first, gap, rest = phrase.partition(" ")
    base = lemmas(first.lower(), "VERB") if is_gerund(first) else ()
    if not base:
        return None
    made = _inflections(base[0], tag)
    return f"{made[0]}{gap}{rest}" if made else None


@functools.lru_cache(1 << 14)
def progressive(phrase: str) -> str:
    """A motion or predicate as it stands after "is": `dribbles` → `dribbling`, `is on` → `on`.

    `has` stays as it is: nobody says "is having".
    """
    text = predicate_form(phrase)
    if text.split(" ", 1)[0] in _HAVE:
        return text
    first, gap, rest = text.partition(" ")
    if not (first.endswith("s") and first.isascii() and first.islower()):
        return text
    base = lemmas(first, "VERB")
    if not base or base[0] == first:
        return text
    made = _inflections(base[0], "VBG")
    return f"{made[0]}{gap}{rest}" if made else text


@functools.lru_cache(1 << 14)
def clause(event: str) -> str:
    """An event as it stands after "while": without a capital, unless it begins with a name, and full stop."""
    return low(" ".join(event.split()).rstrip(" .!?\u2026"))


def after_is(phrase: str) -> str:
    """A motion or predicate after "is". Raises NoWording for `has`."""
    made = progressive(phrase)
    if made.split(" ", 1)[0] in _HAVE:
        raise NoWording
    return made


def takes_object(predicate: str) -> bool:
    """Whether a predicate is a verb with an object, as in `holding` and `picking up`, unlike `sitting on`."""
    first, *rest = progressive(predicate).split(" ")
    if not is_gerund(first) or (rest and rest[-1] in PREPOSITIONS):
        return False
    return not (rest and rest[-1] in ADVERBS and first in _INTRANSITIVE)


def is_adjective(value: str) -> bool:
    """Whether a value may be an adjective: `wooden`, `red`, `striped`, `switched on`, unlike `oak`."""
    words = value.lower().split()
    if not words:
        return False
    return (
        bool(lemmas(words[-1], "ADJ"))
        or words[-1].endswith("ed")
        or words[0].endswith(("ed", "ing"))
    )


_LITTLE = PREPOSITIONS | _FUNCTION | {"am", "and", "be", "been", "being", "or", "was", "were"}
"""Words that tell nothing of what somebody does."""


@functools.lru_cache(1 << 14)
def _stems(word: str) -> frozenset[str]:
    """A word and its dictionary forms."""
    return frozenset([word, normal(word), *lemmas(word)])


def retells(text: str, answer: str) -> bool:
    """Whether a text says what somebody does, if only in another form: "runs to the man", "running to him".

    `answer` is a motion, predicate or event: all its words but little ones must occur, in any form and order.
    """
    wanted = [word for word in words_of(answer.replace("'s", "")) if word not in _LITTLE]
    if not wanted or not (is_gerund(progressive(answer).split(" ")[0]) or len(wanted) > 1):
        return False
    there = frozenset().union(*map(_stems, words_of(text.replace("'s", ""))))
    return all(_stems(word) & there for word in wanted)


def is_foreign(text: str) -> bool:
    """Whether a predicate, motion, event or kind is in another language, as far as the dictionary tells.

    At least half of its words, capitalised ones apart, are neither in the dictionary nor in a list of this
    module, and none of them ends as English verbs do.
    """
    every = re.findall(r"[^\W\d_]+", text)
    said = [w for w in every if w[:1].islower()] or every
    unknown = [w for w in said if not (lemmas(w.lower()) or w.lower() in _SMALL)]
    english = any(w.endswith(("s", "ed", "ing")) for w in unknown)
    return bool(unknown) and not english and 2 * len(unknown) >= len(said)


_SMALL = _LITTLE | ADVERBS | {"amidst", "away", "her", "him", "his", "onto", "than", "them"}


def is_gerund(word: str) -> bool:
    """Whether a word is the -ing form of a verb."""
    return word.endswith("ing") and bool(lemmas(word.lower(), "VERB"))
