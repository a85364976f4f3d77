"""Compares labels, predicates and motions by normalised form. The words themselves are never edited.

All knowledge of English in the IR is here and in three data files, `grammar/nouns.txt`,
`grammar/predicates.txt` and `grammar/exclusions.txt`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from enum import Enum
from importlib.resources import files

_ARTICLE = re.compile(r"^(a|an|the|some|one) ")
_BE = re.compile(r"^(is|are|was|were|be|being) ", re.IGNORECASE)
_ENDING = re.compile(r" (a|an|the)$", re.IGNORECASE)


@functools.cache
def normal(words: str) -> str:
    """The normalised form of a label: without case, extra spaces, leading article and plural."""
    text = _ARTICLE.sub("", " ".join(words.lower().replace("_", " ").split()).strip(" ."))
    head, _, last = text.rpartition(" ")
    return f"{head} {_singular(last)}".strip()


@functools.lru_cache(1 << 14)
def _singular(word: str) -> str:
    irregular = _nouns().get(word)
    if irregular is not None:
        return irregular
    if len(word) <= 3 or word.endswith(("ss", "us", "is", "ous")) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    return word[:-1]


@functools.cache
def plain(words: str) -> str:
    """The normalised form of a predicate, motion or value: without case, extra spaces, leading "is"."""
    return _BE.sub("", " ".join(words.lower().replace("_", " ").split()).strip(" ."))


def predicate_form(words: str) -> str:
    """A predicate or motion of a model, changed so that it can follow "is" and precede a noun phrase."""
    return _ENDING.sub("", _BE.sub("", " ".join(words.split()).strip(" .")))


def _pairs(text: str) -> dict[str, str]:
    """The lines `one | other` and `itself =` of a data file."""
    table: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if "|" in line:
            one, _, other = (part.strip() for part in line.partition("|"))
            table[one] = other
        elif line.endswith(("=", "+")):
            table[line[:-1].strip()] = line[:-1].strip()
    return table


@functools.cache
def invariable(noun: str) -> str:
    """`plural` or `singular` for a noun that ends in s and has only that number; "" for others."""
    return _invariable().get(noun, "")


@functools.cache
def _invariable() -> dict[str, str]:
    lines = (files("stepc.grammar") / "nouns.txt").read_text("utf-8").splitlines()
    numbers = {"=": "singular", "+": "plural"}
    return {line[:-1].strip(): numbers[line[-1]] for line in lines if line and line[-1] in numbers}


@functools.cache
def _nouns() -> dict[str, str]:
    """Plurals and their singulars that no ending tells."""
    return _pairs((files("stepc.grammar") / "nouns.txt").read_text("utf-8"))


@functools.cache
def _inverses() -> dict[str, str]:
    table = _pairs((files("stepc.grammar") / "predicates.txt").read_text("utf-8"))
    return {**table, **{other: one for one, other in table.items()}}


def inverse(predicate: str) -> str | None:
    """The inverse of a predicate, or None if unknown. A symmetric predicate is its own inverse."""
    return _inverses().get(plain(predicate))


@functools.cache
def _exclusions() -> dict[str, list[tuple[str, frozenset[str]]]]:
    """Word → the lines that contain it, each as (attribute kind or "", words that exclude each other)."""
    table: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for line in (files("stepc.grammar") / "exclusions.txt").read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            kind, _, words = line.rpartition(":")
            group = frozenset(map(plain, words.split("|")))
            for word in group:
                table.setdefault(word, []).append((kind.strip(), group))
    return table


def excludes(one: str, other: str, kind: str = "") -> bool:
    """Whether two predicates, motions or values of a kind cannot both be true of a thing at a time."""
    a, b = plain(one), plain(other)
    return a != b and any(b in g and k in ("", kind) for k, g in _exclusions().get(a, ()))


def excluded_by(word: str, kind: str = "") -> list[str]:
    """The words that `grammar/exclusions.txt` excludes where a word of this kind is true, sorted."""
    groups = _exclusions().get(plain(word), ())
    return sorted({x for k, group in groups if k in ("", kind) for x in group} - {plain(word)})


def same_relation(subject: str, predicate: str, object_: str) -> tuple[str, str, str]:
    """The canonical triple of a relation. A relation and its inverse have the same one."""
    p = plain(predicate)
    back = inverse(p)
    if back is not None and (back < p or (back == p and object_ < subject)):
        return object_, back, subject
    return subject, p, object_


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text in lower case. A sign belongs to its number."""
    return tuple(
        re.findall(
            r"(?:(?<![\w-])-(?=\d))?[^\W_]+(?:['-][^\W_]+)*",
            text.lower().replace("\u2019", "'").replace("\u2212", "-"),
        )
    )


def answer_words(text: str) -> tuple[str, ...]:
    """The words of an answer as it is graded: in the singular, without articles, marks and capitals."""
    return tuple(_singular(w) for w in words_of(text) if w not in ("a", "an", "the"))


class Policy(Enum):
    """When two texts count as the same; every comparison of words except the solver's is one of these."""

    LABEL = "label"
    """Object labels: case, a leading article and the plural do not matter."""
    PHRASE = "phrase"
    """Predicates, motions, events and values: case and a leading form of "be" do not matter."""
    ANSWER = "answer"
    """Answers: case, marks, articles and the plural of any word do not matter."""

    def key(self, text: str) -> object:
        """What texts that count as the same have in common."""
        match self:
            case Policy.LABEL:
                return normal(text)
            case Policy.PHRASE:
                return plain(text)
            case Policy.ANSWER:
                return answer_words(text)

    def same(self, one: str, other: str) -> bool:
        """Whether two texts count as the same."""
        return self.key(one) == self.key(other)


def mentions(text: str, phrase: str) -> bool:
    """Whether `text` contains `phrase` as whole words, ignoring plural and case."""
    part = needle(phrase)
    return bool(part) and part in row(text)


def any_mentions(texts: Iterable[str], phrases: Iterable[str]) -> bool:
    """Whether one of `texts` contains one of `phrases` as whole words."""
    rows = "".join(map(row, texts))  # two spaces between texts, so that no match spans two
    for phrase in phrases:
        part = needle(phrase)
        if part and part in rows:
            return True
    return False


@functools.lru_cache(1 << 15)
def needle(phrase: str) -> str:
    """The search string of `phrase`, contained in the `row` of a text that mentions it.

    Empty if the phrase has no words.
    """
    made = row(_ARTICLE.sub("", phrase.lower()))
    return made if len(made) > 2 else ""


@functools.lru_cache(1 << 15)
def row(text: str) -> str:
    """The words of a text in the singular, separated and surrounded by single spaces.

    "Maria's" is two words, and in scripts without spaces each character is one.
    """
    return f" {' '.join(part for word in words_of(text) for part in _parts(word))} "


_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese characters, as a set of a regular expression."""
_PART = re.compile(f"[{_SPACELESS}]|[^{_SPACELESS}]+")


def _parts(word: str) -> list[str]:
    """The parts of a word that texts are searched for."""
    owner = word.removesuffix("'s")
    made = [_singular(part) for part in _PART.findall(owner)]
    return made if owner == word else [*made, "'s"]


_FOREIGN = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")


def beyond_latin(text: str) -> bool:
    """Whether a text has letters of another script than the Latin one."""
    return bool(_FOREIGN.search(text))


def unfinished(*texts: str) -> bool:
    """Whether a text is empty or contains a brace, the sign of an unfilled placeholder."""
    return any(not text.strip() or "{" in text or "}" in text for text in texts)


_MARK = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|<｜[^<>｜]{1,40}｜>"
    r"|</?(?:image|video|audio|img|vid|s|bos|eos|pad|unk|think|im_patch)>"
    r"|<(?:img|image|video|audio)_[a-z_]{1,30}>"
    r"|<(?:start|end)_of_turn>|\[/?INST\]|[\x00-\x08\ud800-\udfff]",
    re.IGNORECASE,
)


def chat_mark(*texts: str) -> str:
    """The first placeholder, special token or control character in texts; empty if there is none.

    Trainers take `<image>` for a picture and `<|im_end|>` for the end of a reply, wherever it stands.
    """
    for text in texts:
        found = _MARK.search(text)
        if found:
            return found[0].encode("ascii", "backslashreplace").decode().replace("\0", "NUL")
    return ""
