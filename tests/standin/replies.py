"""What a 7B Video-LLM would reply to a request about described footage.

It knows the requests by the wording of the `default` templates. When a template changes, its rule here
changes, and never the descriptions.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations
from typing import Any

from standin.footage import Clue, View, noun
from stepc.languages import LANGUAGES

INVERSE = {
    "on": "under", "wearing": "worn by", "holding": "held by", "left of": "right of",
    "right of": "left of", "in front of": "behind", "behind": "in front of", "next to": "next to",
    "above": "below", "attached to": "attached to", "near": "near", "beside": "beside",
    "leaning against": "behind", "riding": "ridden by", "standing on": "under", "sitting on": "under",
    "driving on": "under", "on top of": "under", "part of": "part of", "looking at": "watched by",
    "playing with": "playing with",
}  # fmt: skip
FLIPPED = {
    "left of": "right of",
    "right of": "left of",
    "in front of": "behind",
    "behind": "in front of",
}
PHRASED = {
    "left of": "to the left of",
    "right of": "to the right of",
    "on": "on the",
    "next to": "beside",
}
HALLUCINATED = ("bag", "chair", "person", "traffic light", "bottle", "shadow")
IDLE = ("standing still", "standing still", "not moving")
Rule = Callable[["Model", re.Match[str], Sequence[View]], Any]
RULES: list[tuple[str, re.Pattern[str], Rule]] = []
"""(request, beginning of its text, rule) of each request."""


def rule(request: str, pattern: str) -> Callable[[Rule], Rule]:
    """Register the rule for a request whose text begins with a pattern."""

    def add(function: Rule) -> Rule:
        RULES.append((request, re.compile(pattern.replace(" ", r"\s+"), re.S), function))
        return function

    return add


def clue(text: str) -> Clue:
    """A mention: "the car (number 1 of 2, counted from left to right)"."""
    found = re.match(
        r"^(?:the |a )?(.+?)(?: \(number (\d+) of (\d+), counted from left to right\))?$",
        " ".join(text.split()), re.I,
    )  # fmt: skip
    assert found is not None
    return Clue(found[1], int(found[2] or 1), int(found[3] or 1))


def relation(text: str) -> str:
    """A predicate without "is", a trailing article and other variants."""
    text = re.sub(r"^(is|are) ", "", text.lower().strip())
    text = re.sub(r"^to the (left|right) of$", r"\1 of", text)
    return re.sub(r" the$", "", {"beside": "next to"}.get(text, text))


@dataclass(frozen=True)
class Manner:
    """How a model replies."""

    errors: float = 0.07
    """Share of its answers that are wrong."""
    clean: bool = False
    """Whether it always says the commonest name, makes no error, and replies in plain JSON."""


class Model:
    """Replies to one request. Equal random numbers give equal replies."""

    def __init__(
        self, manner: Manner, rng: random.Random, pools: Sequence[Sequence[str]] = ()
    ) -> None:
        self.manner, self.rng, self.pools = manner, rng, pools

    @property
    def clean(self) -> bool:
        """Whether the model makes no errors and always chooses the commonest words."""
        return self.manner.clean

    def reply(self, text: str, views: Sequence[View]) -> tuple[str, str]:
        """(request, reply) for an instruction about keyframes."""
        name, answer = self.answer(text, views)
        return name, self.styled(answer)

    def answer(self, text: str, views: Sequence[View]) -> tuple[str, Any]:
        """(request, answer as JSON-like data)."""
        if text.startswith("Answer each of these"):
            return self._several(text, views)
        for name, pattern, function in RULES:
            if found := pattern.match(text):
                return name, function(self, found, views)
        return "unknown", {"text": "I am not sure."}

    def _several(self, text: str, views: Sequence[View]) -> tuple[str, Any]:
        """The answers to a list of questions, each under its number."""
        body, _, ending = text.partition("To each of them:")
        parts = re.split(r"^(\d+)\. ", body, flags=re.M)[1:]
        numbered = zip(parts[::2], parts[1::2], strict=True)
        told = {n: self.answer(f"{q.strip()}\n\n{ending.strip()}", views) for n, q in numbered}
        return next(iter(told.values()))[0], {n: answer for n, (_, answer) in told.items()}

    def agrees(self, said: str, true: str) -> bool:
        """Whether what is said means what is true."""
        return alike(said, true, self.pools)

    # --- chance --------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        """Whether something happens that happens in this share of the cases; never to a clean model."""
        return not self.clean and self.rng.random() < share

    def errs(self) -> bool:
        """Whether this answer is wrong."""
        return self.chance(self.manner.errors)

    def choose(self, pool: Sequence[str]) -> str:
        """One of several words, with repetitions as weights."""
        return max(pool, key=list(pool).count) if self.clean else self.rng.choice(pool)

    def name(self, labels: Mapping[str, float]) -> str:
        """One of the names of a thing, by their weights."""
        if self.clean:
            return max(labels, key=labels.__getitem__)
        return self.rng.choices(list(labels), list(labels.values()))[0]

    def yes(self, truth: bool, sure: float = 0.96, biased: float = 0.25) -> dict[str, bool]:
        """A verdict, with the bias towards yes that such models have."""
        return {"yes": truth if self.clean else self.rng.random() < (sure if truth else biased)}

    def styled(self, answer: Any) -> str:
        """An answer as text: fences, prose around JSON, quotes of Python, a reply that is cut off."""
        text = json.dumps(answer, ensure_ascii=False)
        if self.clean:
            return text
        k = self.rng.random()
        if k < 0.60:
            return text
        if k < 0.80:
            return f"```json\n{json.dumps(answer, indent=2)}\n```"
        if k < 0.90:
            return f"Here is the JSON object:\n\n{text}"
        if k < 0.97:
            return f"{text}\n\nI hope this helps!"
        return text.replace('"', "'") if k < 0.99 else text[: len(text) // 2]


# --- objects -----------------------------------------------------------------------------


@rule("narrate", r"Look at this video frame\. Describe")
def _narrate(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    view = views[0]
    said = {i: model.name(view.labels(i)) for i in view.things}
    return {"narrative": str(view.frame["tell"]).format(**said)}


@rule(
    "list_objects", r"This is a description of the video frame:\s+(?P<told>.+?)\s+List the objects"
)
def _list_objects(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    view = views[0]
    said = _said(found["told"], view, model)
    listed = [said[i] for i, (often, *_) in view.things.items() if _mentioned(often, model)]
    if model.chance(0.06):
        listed.append(model.rng.choice(HALLUCINATED))
    if model.chance(0.08):
        plural = ("plant", "rock", "car", "building", "flower", "tree")
        listed = [f"{x}s" if x in plural else x for x in listed]
    if model.chance(0.15):
        listed = list(dict.fromkeys(listed))
    return {"objects": listed}


def _mentioned(often: float, model: Model) -> bool:
    return often >= 0.5 if model.clean else model.rng.random() < often


def _said(told: str, view: View, model: Model) -> dict[str, str]:
    """The name of each thing in a narrative that was made of the keyframe's own."""
    parts = re.split(r"\{(\w+)\}", str(view.frame["tell"]))
    options = {i: sorted(view.labels(i), key=len, reverse=True) for i in view.things}
    pattern = "".join(
        re.escape(p) if n % 2 == 0 else f"(?P<x{n}>{'|'.join(map(re.escape, options[p]))})"
        for n, p in enumerate(parts)
    )
    whole = re.fullmatch(pattern, told.strip())
    said = {i: model.name(view.labels(i)) for i in view.things}
    if whole is not None:
        said |= {p: whole[f"x{n}"] for n, p in enumerate(parts) if n % 2}
    return said


@rule("match_names", r"Several descriptions of this video frame name its objects")
def _match_names(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    view = views[0]
    names = re.findall(r"^- (.+)$", found.string, re.M)
    groups: dict[str, list[str]] = {}
    for name in names:
        thing = view.meant(Clue(name))
        if model.errs():
            thing = model.rng.choice(list(view.things))
        if thing is not None:
            groups.setdefault(thing, []).append(name)
    return {"same": [group for group in groups.values() if len(group) > 1]}


IDLE_WORDS = (
    "standing",
    "parked",
    "waiting",
    "not moving",
    "leaning",
    "lying",
    "stationary",
    "stopped",
    "sitting",
)
"""Beginnings of motions that say that something stays where it is."""


def alike(one: str, other: str, pools: Sequence[Sequence[str]]) -> bool:
    """Whether a model takes two words for the same: words for one thing that begin alike, or are idle."""
    a, b = one.lower().split(), other.lower().split()
    if not a or not b or not any({one, other} <= {*pool} for pool in pools):
        return one.lower().replace("grey", "gray") == other.lower().replace("grey", "gray")
    if one.endswith(f" {other}") or other.endswith(f" {one}"):
        return False  # one says more than the other
    idle = all(x.lower().startswith(IDLE_WORDS) for x in (one, other))
    ends = a[-1] == b[-1] and a[-1] not in ("on", "of", "to", "with", "in", "past", "and")
    return idle or a[0] == b[0] or ends


@rule(
    "match_words",
    r"Several descriptions of one video use these words:(?P<lists>.+?)Which words of one line",
)
def _match_words(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    same: list[list[str]] = []
    narrower: list[list[str]] = []
    for kind, said in re.findall(r"^([^:\n]+): (.+)$", found["lists"], re.M):
        words = said.split("; ")
        groups: list[list[str]] = []
        for word in words:
            home = next((g for g in groups if all(alike(word, x, model.pools) for x in g)), None)
            if home is None or model.errs():
                groups.append([word])
            else:
                home.append(word)
        same += [g for g in groups if len(g) > 1]
        narrower += [
            [a, b] for a, b in permutations(words, 2)
            if kind != "motions" and a.lower().endswith(f" {b.lower()}") and not model.errs()
        ]  # fmt: skip
    return {"same": same, "narrower": narrower}


@rule("classify", r"In this video frame there is (?P<what>a .+?)\. Is it static")
def _classify(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    view = views[0]
    thing = view.meant(clue(found["what"]))
    kind = view.clip.kind(thing) if thing else "static"
    noun_class = LANGUAGES["english"].class_of(noun(clue(found["what"]).label).split()[-1])
    if model.errs():
        kind = {"static": "dynamic", "dynamic": "static"}[kind]
    return {"kind": kind, "class": "thing" if model.errs() else noun_class}


@rule("describe", r"Look closely at (?P<what>the .+?) in this video frame\. Give")
def _describe(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    view = views[0]
    thing = view.meant(clue(found["what"]))
    if thing is None:
        return {"attributes": {"color": "not visible"}}
    said = {}
    for kind, (often, values) in view.clip.attributes(thing).items():
        if _mentioned(often, model):
            true = [v for v in values if not v.startswith("!")]
            said[kind] = model.choose(true if model.clean else values).lstrip("!")
    if not said:
        said = {"color": "unknown"} if model.chance(0.5) else {}
    return said if model.chance(0.1) else {"attributes": said}


# --- relations ---------------------------------------------------------------------------


def _interactions(view: View, one: str, other: str) -> list[str]:
    """What is described of one thing to another, or the inverse of what is described of the other."""
    told = view.clip.described["rel"]
    if (one, other) in told:
        return list(told[one, other])
    return [INVERSE[x] for x in told.get((other, one), ()) if x in INVERSE]


def _places(view: View, one: str, other: str) -> list[str]:
    """How one thing stands to another by their places."""
    (_, ax, _, az), (_, bx, _, bz) = view.things[one], view.things[other]
    found = [
        said
        for said, true in (
            ("left of", ax < bx - 0.1), ("right of", ax > bx + 0.1),
            ("in front of", az < bz - 0.15), ("behind", az > bz + 0.15),
        )
        if true
    ]  # fmt: skip
    if not found or (abs(ax - bx) < 0.25 and abs(az - bz) < 0.2):
        found.append("next to")
    return found


@rule("relate", r"How does (?P<one>the .+?) stand to (?P<other>the .+?) in this video frame\?")
def _relate(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    view = views[0]
    one, other = view.meant(clue(found["one"])), view.meant(clue(found["other"]))
    if one is None or other is None or one == other:
        return {"predicates": []}
    told, places = _interactions(view, one, other), _places(view, one, other)
    if model.clean:
        return {"predicates": (told or places)[:1]}
    said = []
    if told:
        said.append(model.rng.choice(told))
        said += [model.rng.choice(places)] * model.chance(0.35)
    elif model.chance(0.85):
        said.append(model.rng.choice(places))
        said += [model.rng.choice(places)] * model.chance(0.3)
    return {"predicates": list(dict.fromkeys(_worded(said, model)))}


@rule("relate_all", r"In this video frame there are:\s+(?P<listed>.+?)\s+How do they stand")
def _relate_all(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    view = views[0]
    numbered = re.findall(r"^\d+\. (a .+)$", found["listed"], re.M)
    things = [view.meant(_looked(text)) for text in numbered]
    said: list[dict[str, Any]] = []
    for (n, one), (m, other) in permutations(enumerate(things, 1), 2):
        if one is None or other is None or one == other:
            continue
        told = view.clip.described["rel"].get((one, other), ())
        if told and (model.clean or model.rng.random() < 0.9):
            words = [model.choose(told)]
        elif n < m and not _interactions(view, one, other) and _close(view, one, other):
            places = _places(view, one, other)
            words = (
                places[:1] if model.clean else [model.rng.choice(places)] * (not model.chance(0.3))
            )
        else:
            continue
        said += [{"subject": n, "predicate": w, "object": m} for w in _worded(words, model)]
    return {"relations": said}


@rule("locate", r"In this video frame there are:\s+(?P<listed>.+?)\s+Give the bounding box")
def _locate(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    """Boxes of one size around the middles of things, which is all that the description has."""
    view, boxes = views[0], []
    for n, text in enumerate(re.findall(r"^\d+\. (a .+)$", found["listed"], re.M), 1):
        thing = view.meant(_looked(text))
        if thing is None:
            continue
        _, x, y, _ = view.things[thing]
        if model.errs():
            x, y = model.rng.random(), model.rng.random()
        edges = (x - 0.05, y - 0.05, x + 0.05, y + 0.05)
        boxes.append({"object": n, "bbox_2d": [round(1000 * min(1, max(0, e))) for e in edges]})
    return {"boxes": boxes}


def _close(view: View, one: str, other: str) -> bool:
    """Whether two things are near each other in the picture."""
    (_, ax, ay, _), (_, bx, by, _) = view.things[one], view.things[other]
    return abs(ax - bx) + abs(ay - by) < 0.45


def _looked(text: str) -> Clue:
    """A mention with attributes behind it."""
    return clue(re.sub(r" \((?!number)[^()]*\)$", "", " ".join(text.split())))


def _worded(predicates: Iterable[str], model: Model) -> list[str]:
    """Predicates with a model's errors and its ways to put them."""
    said = list(predicates)
    if model.errs():
        said = [FLIPPED.get(x, x) for x in said]
    style = model.rng.random()
    if style < 0.12 and not model.clean:
        return [f"is {x}" for x in said]
    if style < 0.22 and not model.clean:
        return [PHRASED.get(x, x) for x in said]
    return said


# --- confirmation ------------------------------------------------------------------------


@rule("confirm", r"Is there (?P<what>a .+?) in this video frame\?")
def _confirm_object(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    return model.yes(views[0].meant(clue(found["what"])) is not None)


@rule(
    "confirm",
    r'Is it true that (?P<what>the .+?) in this video frame has the .+? "(?P<value>.*?)"\?',
)
def _confirm_attribute(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    view = views[0]
    thing = view.meant(clue(found["what"]))
    values = view.clip.attributes(thing).values() if thing else ()
    return model.yes(any(model.agrees(found["value"], v) for _, vs in values for v in vs))


@rule("confirm", r"Is it true that in this video frame (?P<body>.+?)\?\n")
def _confirm_relation(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    view = views[0]
    said = re.match(r"(the .+?) is (.+) (the .+)$", found["body"])
    if said is None:
        return model.yes(False)
    one, other = view.meant(clue(said[1])), view.meant(clue(said[3]))
    if one is None or other is None or one == other:
        return model.yes(False)
    true = {*map(relation, _interactions(view, one, other)), *_places(view, one, other)}
    return model.yes(relation(said[2]) in true)


@rule(
    "confirm",
    r"These are \d+ frames of one clip in order\. Is it true that between frame (?P<first>\d+) and frame\s+"
    r"(?P<last>\d+) (?P<what>the .+?) is (?P<does>.+?)\?\n",
)
def _confirm_motion_of_clip(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    return _confirm_motion(model, found, views[int(found["first"]) - 1 : int(found["last"])])


@rule(
    "confirm",
    r"These are two frames of one clip in order\. Is it true that (?P<what>the .+?) is (?P<does>.+?)\?\n",
)
def _confirm_motion(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    thing = views[0].meant(clue(found["what"]))
    told = views[0].clip.motions(thing, views[0].at, views[-1].at) if thing else []
    return model.yes(any(model.agrees(found["does"], x) for x in told))


@rule(
    "confirm",
    r"These are frames of one clip in order\. Is it true that this happens: (?P<event>.+?)\?\n",
)
def _confirm_event(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    return model.yes(found["event"] in _events(views[0]))


# --- time --------------------------------------------------------------------------------


def _events(view: View) -> list[str]:
    return list(view.clip.described["events"][view.frame["clip"]])


@rule(
    "motion",
    r"These are two frames of one clip, in order\. What is (?P<what>the .+?) doing between",
)
def _motion(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    thing = views[0].meant(clue(found["what"]))
    told = views[0].clip.motions(thing, views[0].at, views[-1].at) if thing else []
    word = model.choose(told or IDLE)
    if model.errs():
        word = model.rng.choice(("moving to the left", "walking", "standing still"))
    return {"motion": f"is {word}" if model.chance(0.08) else word}


@rule(
    "track",
    r"These are \d+ frames of one clip, in order\. What does (?P<what>the .+?) do in them\?",
)
def _track(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    what, _, rest = found["what"].partition(" of frame ")
    seen = int(re.match(r"\d+", rest)[0]) if rest else 1  # type: ignore[index]
    thing = views[seen - 1].meant(_looked(what + rest.lstrip("0123456789")))
    phases: list[dict[str, Any]] = []
    for n, (one, other) in enumerate(pairwise(views), 1):
        told = one.clip.motions(thing, one.at, other.at) if thing else []
        word = model.choose(told or IDLE)
        if model.errs():
            word = model.rng.choice(("moving to the left", "walking", "standing still"))
        if phases and phases[-1]["motion"] == word:
            phases[-1]["to"] = n + 1
        else:
            phases.append({"motion": word, "from": n, "to": n + 1})
    return {"phases": phases}


@rule(
    "match_objects",
    r"These are \d+ frames of one video\. In them there are:(?P<objects>.+?)Which of these are",
)
def _match_objects(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    listed = re.findall(r"^(\d+)\. in frame (\d+): (a .+)$", found["objects"], re.M)
    there = [(int(n), views[int(f) - 1], _looked(what)) for n, f, what in listed]
    meant = {n: (view, view.meant(clue)) for n, view, clue in there}
    pairs = [(a, b) for a, b in combinations(meant, 2) if meant[a][0] is not meant[b][0]]
    errors = 2 * model.manner.errors / max(1, len(pairs))
    groups = {n: {n} for n in meant}
    for a, b in pairs:
        (one, thing), (other, same) = meant[a], meant[b]
        true = thing is not None and thing == same and one.clip is other.clip
        if model.yes(true, 0.93, errors)["yes"]:
            both = groups[a] | groups[b]
            groups |= dict.fromkeys(both, both)
    told = {min(g): sorted(g) for g in groups.values() if len(g) > 1}
    return {"same": [*told.values()]}


@rule("event", r"These are frames of one clip, in order\. What happens")
def _event(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    told = _events(views[0])
    return {"event": told[0] if model.clean else model.rng.choice(told)}


@rule(
    "same_object",
    r"These are two frames of one video\. In the first there is (?P<one>a .+?); in the second there is"
    r" (?P<other>a .+?)\. Are they the same",
)
def _same_object(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    one, other = views[0].meant(_looked(found["one"])), views[-1].meant(_looked(found["other"]))
    same = one is not None and one == other and views[0].clip is views[-1].clip
    return model.yes(same, 0.93, model.manner.errors)


# --- words -------------------------------------------------------------------------------

YES_NO = (
    (r"^what is the (\w+) of (.+)$", "is the {1} of {2} {reply}?"),
    (r"^what color is (.+)$", "is {1} {reply} in color?"),
    (r"^what is (.+) doing$", "is {1} {reply}?"),
    (r"^(?:what|who|which \w+) is (.+)$", "is the {reply} {1}?"),
    (r"^what happens (.+)$", "is it true that {reply} {1}?"),
)
"""Open question → a yes-no question; {reply} is the answer."""


@rule("reword", r"(?P<whole>.*yes-no question that asks whether its answer is.*)$")
def _reword_yes_no(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    text = found["whole"]
    question = re.search(r"^Question: (.*)$", text, re.M)
    reply = re.search(r'whether its answer is\s+"(.*?)"', text, re.S)
    assert question is not None and reply is not None
    when, body = _timed(question[1])
    for pattern, made in YES_NO:
        if said := re.match(pattern, body.rstrip("?"), re.I):
            told = made.format("", *said.groups(), reply=reply[1])
            return {"text": _cap(f"{when}, {told}" if when else told)}
    return {"text": f"Is the answer to this {reply[1]}?"}


@rule("reword", r"Say this question in other")
def _reword(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    question = re.search(r"^Question: (.*)$", found.string, re.M)
    assert question is not None
    when, body = _timed(question[1])
    if when and model.rng.random() < 0.5:
        return {"text": f"{_cap(body.rstrip('?'))} {when[:1].lower()}{when[1:]}?"}
    return {"text": re.sub(r"\b([Ww])hich object (is|has)", r"\1hat object \2", question[1])}


def _timed(question: str) -> tuple[str, str]:
    """("While …", the rest) of a question; ("", question) if it has no such part."""
    found = re.match(r"^(While .+?), ((?:what|which|who) .*)$", question, re.I)
    return (found[1], found[2]) if found else ("", question[:1].lower() + question[1:])


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]


@rule("smooth", r"These steps answer a question")
def _smooth(model: Model, found: re.Match[str], views: Sequence[View]) -> Any:
    steps = re.findall(r"^\d+\. (.*)$", found.string, re.M)
    heads = ["First, ", "Next, ", "Then ", "After that, "]
    told = []
    for n, step in enumerate(steps):
        last = n == len(steps) - 1
        head = "" if len(steps) == 1 else "Therefore, " if last else heads[min(n, 3)]
        told.append(head + (step[:1].lower() + step[1:] if head else step))
    return {"text": " ".join(told)}


__all__ = ["Manner", "Model", "noun"]
