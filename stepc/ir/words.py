"""Compares labels, predicates and motions by normalised form. The words themselves are never edited.

What is particular to a language is in its word lists: `forms.txt`, `nouns.txt`, `predicates.txt` and
`exclusions.txt` in `grammar/english` and its neighbours.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from enum import Enum

from stepc.runtime.word_lists import forms, word_lines

_LATIN = re.compile(r"[^\W\d_\u0250-\uffff]")
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese characters, as a set of a regular expression."""


@functools.cache
def _first(*names: str) -> re.Pattern[str]:
    """One of the words of `forms.txt` at the beginning of a text, if something follows it."""
    found = sorted((word for name in names for word in forms(name)), key=len, reverse=True)
    ends = {word: " +" if _LATIN.fullmatch(word[-1]) else " *" for word in found}
    words = "|".join(re.escape(word) + end for word, end in ends.items())
    return re.compile(rf"^(?:{words})(?=\S)", re.IGNORECASE)


def without_article(text: str) -> str:
    """A label in lower case without its article."""
    return _first("article", "one").sub("", text)


@functools.cache
def _last_article() -> re.Pattern[str]:
    """An article at the end of a text."""
    words = "|".join(map(re.escape, forms("article")))
    return re.compile(rf" (?:{words})$", re.IGNORECASE)


@functools.cache
def normal(words: str) -> str:
    """The normalised form of a label: without case, extra spaces, leading article and plural."""
    text = without_article(" ".join(words.lower().replace("_", " ").split()).strip(" ."))
    head, _, last = text.rpartition(" ")
    return f"{head} {_singular(last)}".strip()


@functools.lru_cache(1 << 14)
def _singular(word: str) -> str:
    irregular = _nouns().get(word)
    if irregular is not None:
        return irregular
    for ending, singular, letters in _plurals():
        if word.endswith(ending) and len(word) - len(ending) >= letters:
            return word[: -len(ending)] + singular
    return word


@functools.cache
def _plurals() -> tuple[tuple[str, str, int], ...]:
    """(ending of a noun, that of its singular, how many letters must be before it), as in `forms.txt`."""
    lines = (
        line[len("plural") :].split("|") for line in word_lines("forms") if line[:6] == "plural"
    )
    return tuple((end.strip(), one.strip(), int(letters)) for end, one, letters in lines)


@functools.cache
def plain(words: str) -> str:
    """The normalised form of a predicate, motion or value: without case, extra spaces, leading "is"."""
    text = _first("be").sub("", " ".join(words.lower().replace("_", " ").split()).strip(" ."))
    return _end().sub("", text)


@functools.cache
def _end() -> re.Pattern[str]:
    """The last word of a text, if it is one of the `end` words of `forms.txt`."""
    words = "|".join(
        (" +" if _LATIN.match(word) else "") + re.escape(word) for word in forms("end")
    )
    return re.compile(rf"(?<=\S)(?:{words})$" if words else r"(?!)")


def predicate_form(words: str) -> str:
    """A predicate or motion of a model, changed so that it can follow "is" and precede a noun phrase."""
    text = _first("be").sub("", " ".join(words.split()).strip(" ."))
    return _last_article().sub("", text)


def _pairs(name: str) -> dict[str, str]:
    """The lines `one | other` and `itself =` of a word list."""
    table: dict[str, str] = {}
    for line in word_lines(name):
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
    numbers = {"=": "singular", "+": "plural"}
    lines = word_lines("nouns")
    return {line[:-1].strip(): numbers[line[-1]] for line in lines if line[-1] in numbers}


@functools.cache
def _nouns() -> dict[str, str]:
    """Plurals and their singulars that no ending tells."""
    return _pairs("nouns")


@functools.cache
def _inverses() -> dict[str, str]:
    table = _pairs("predicates")
    return {**table, **{other: one for one, other in table.items()}}


def inverse(predicate: str) -> str | None:
    """The inverse of a predicate, or None if unknown. A symmetric predicate is its own inverse."""
    return _inverses().get(plain(predicate))


@functools.cache
def _exclusions() -> dict[str, list[tuple[str, frozenset[str]]]]:
    """Word → the lines that contain it, each as (attribute kind or "", words that exclude each other)."""
    table: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for line in word_lines("exclusions"):
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
    """The words that `exclusions.txt` excludes where a word of this kind is true, sorted."""
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
    """The words of a text in lower case. A sign and a decimal point belong to their number."""
    return tuple(
        re.findall(
            r"(?:(?<![\w-])-(?=\d))?(?:\d+\.\d+(?![^\W_])|[^\W_]+(?:['-][^\W_]+)*)",
            text.lower().replace("\u2019", "'").replace("\u2212", "-"),
        )
    )


def answer_words(text: str) -> tuple[str, ...]:
    """The words of an answer as it is graded: in the singular, without articles, marks and capitals."""
    return tuple(_singular(w) for w in words_of(text) if w not in forms("article"))


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


@functools.lru_cache(1 << 14)
def same_name(one: str, other: str) -> bool:
    """Whether two labels are the same, or one contains the other: `window`, `car window`."""
    return normal(one) == normal(other) or mentions(one, other) or mentions(other, one)


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
    made = row(without_article(" ".join(phrase.lower().split())))
    return made if len(made) > 2 else ""


@functools.lru_cache(1 << 15)
def row(text: str) -> str:
    """The words of a text in the singular, separated and surrounded by single spaces.

    "Maria's" is two words, and in scripts without spaces each character is one.
    """
    return f" {' '.join(part for word in words_of(text) for part in _parts(word))} "


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
