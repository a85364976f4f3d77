"""What the text of a question tells of its answer, and how much of the video its evidence spans."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stepc.cli import app
from stepc.dataset.read import read_samples
from stepc.diagnostics import Statistics, StepcError
from stepc.driver.compile_video import split_pipeline
from stepc.ir import types as t
from stepc.ir.text import write
from stepc.ir.words import plain
from stepc.lang.format import format_spec
from stepc.lang.parse import builtin
from stepc.lang.resolve import read_spec
from stepc.lang.types import Spec
from stepc.passes.blind import Blind
from stepc.passmanager.base import Tools
from stepc.passmanager.corpus import Corpus
from stepc.passmanager.run import run
from stepc.passmanager.summaries import UnitsInMemory, skeleton
from stepc.video.decode import Pictures
from stepc.world.ground_truth import truth
from stepc.world.scene import make_film


def asked(seeds: range, spec: Spec) -> list[t.Qras]:
    made: list[t.Qras] = []
    for seed in seeds:
        name = f"film-{seed:02}"
        unit: t.Unit = truth(make_film(random.Random(seed)), name, f"{name}.mp4", f"{seed:064x}")
        for done in run(
            split_pipeline("sample,compose,check")[0], unit, Tools(Pictures(), spec=spec, seed=seed)
        ):
            unit = done.unit
        assert isinstance(unit, t.Qras)
        made.append(unit)
    return made


@pytest.fixture(scope="module")
def films() -> list[t.Qras]:
    return asked(range(24), read_spec(builtin("step")))


def test_pruning_leaves_no_more_to_the_text_than_it_says(films: list[t.Qras]) -> None:
    counts, pruned = Statistics(), Statistics()
    whole = Blind().run(Corpus(UnitsInMemory(films)), 1, counts)
    left = Blind(most=0.02).run(Corpus(UnitsInMemory(films)), 1, pruned)
    before, after = whole.measured["blind"], left.measured["blind"]
    assert before["accuracy"] > before["majority"] + 0.02, "else this test shows nothing"
    assert after["accuracy"] <= after["majority"] + 0.02
    lost = dict(pruned)["dropped: the text tells the answer"]
    assert after["samples"] == before["samples"] - lost and 0 < lost < before["samples"] / 3
    kept = {number for _, _, samples in left.walk() for number, _ in samples}
    assert kept == set(left.notes) < set(whole.notes)
    gone = [whole.notes[n]["blind"]["right"] for n in set(whole.notes) - kept]
    assert sum(gone) > 0.8 * len(gone) > before["accuracy"] * len(gone), "what it guesses goes"
    again = Blind(most=0.02).run(Corpus(UnitsInMemory(films)), 1, Statistics())
    assert again.kept == left.kept and again.notes == left.notes


def test_all_questions_about_a_video_are_in_one_fold(films: list[t.Qras]) -> None:
    """Whatever is copied under other names is no help: a video is its content."""
    copies = [u.evolve(name=f"copy-{u.name}") for u in films]
    alone = Blind().run(Corpus(UnitsInMemory(films)), 1, Statistics()).measured["blind"]
    both = Blind().run(Corpus(UnitsInMemory([*films, *copies])), 1, Statistics()).measured["blind"]
    assert abs(both["accuracy"] - alone["accuracy"]) < 0.05
    one = [u.evolve(video=films[0].video) for u in films]
    counts = Statistics()
    same = Blind().run(Corpus(UnitsInMemory(one)), 1, counts)
    assert not same.measured and "too few samples to guess their answers" in dict(counts)


def test_a_skeleton_has_no_word_of_the_graph(films: list[t.Qras]) -> None:
    shown = {skeleton(s) for u in films for s in u.samples}
    words = {o.label for u in films for o in u.objects} | {
        a.value for u in films for a in u.attributes
    }
    assert not any(f" {w} " in f" {x.rstrip('?')} " for x in shown for w in words)
    assert len(shown) < sum(len(u.samples) for u in films) / 3


def test_records_and_manifest_have_what_was_measured(tmp_path: Path) -> None:
    for seed in range(6):
        unit = truth(make_film(random.Random(seed)), f"f{seed}", f"f{seed}.mp4", f"{seed:064x}")
        (tmp_path / f"f{seed}.stsg").write_text(write(unit), "utf-8")
    spec = "spec mine\nimport step\ndataset { formats jsonl, parquet, chat }\n"
    (tmp_path / "mine.step").write_text(spec, "utf-8")
    pipeline = (
        "split,keyframes,parse-none,lift,bridge-none,sample,compose,check,blind(least=10),emit"
    )
    out = tmp_path / "out"
    command = ["compile", str(tmp_path), "-o", str(out), "-s", str(tmp_path / "mine.step"),
               "--pipeline", pipeline, "--no-store"]  # fmt: skip
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    everything = json.loads((out / "manifest.json").read_text("utf-8"))["measured"]
    measured = everything["blind"]
    rows = [json.loads(x) for x in (out / "qra.jsonl").read_text("utf-8").splitlines()]
    assert measured["samples"] == len(rows) > 20
    assert sum(everything["kinds"].values()) == len(rows)
    answers = Counter(plain(r["answer"]) for r in rows)
    bits = -sum(n / len(rows) * math.log2(n / len(rows)) for n in answers.values())
    assert everything["answers"] == {"different": len(answers), "entropy": round(bits, 3)}
    assert 1 < everything["skeletons"] < len(rows) and 0 < everything["distinct_2"] < 0.5
    assert measured["accuracy"] == round(sum(r["blind"]["right"] for r in rows) / len(rows), 4)
    for row in rows:
        keyframes = {k["id"] for e in row["evidence"] for k in e["keyframes"]}
        assert row["demand"]["keyframes"] == len(keyframes)
        assert row["demand"]["clips"] == len({e["clip"] for e in row["evidence"]})
        assert 0 <= row["demand"]["seconds"] <= 60
    import pyarrow.parquet as pq

    (file,) = out.glob("qra-*.parquet")
    table = pq.read_table(file).to_pylist()
    assert [r["blind"] for r in table] == [r["blind"] for r in rows]
    assert "blind" not in (out / "chat.jsonl").read_text("utf-8")
    assert len(read_samples(out)[0]) == len(rows)


def test_a_pair_is_one_question_with_two_answers(films: list[t.Qras]) -> None:
    corpus = Corpus(UnitsInMemory(films))
    for link in split_pipeline("split-sets(val=0.2,test=0.2),pairs")[1]:
        corpus = link.run(corpus, 1, Statistics())
    by_id, where, video = {}, {}, {}
    for place, card, samples in corpus.walk():
        for number, s in samples:
            by_id[f"{card.name}/{s.id}"] = s, corpus.notes.get(number, {}).get("pair")
            where[f"{card.name}/{s.id}"] = corpus.set_of(place)
            video[f"{card.name}/{s.id}"] = card.sha256
    paired = {id: pair for id, (_, pair) in by_id.items() if pair}
    assert len(paired) > 10
    for id, pair in paired.items():
        one, other = by_id[id][0], by_id[pair][0]
        assert paired[pair] == id != pair and where[id] == where[pair]
        assert one.asks == other.asks and plain(one.answer) != plain(other.answer)
        assert one.question == other.question or video[id] == video[pair]
    rest = [(where[id], s.question, plain(s.answer)) for id, (s, pair) in by_id.items() if not pair]
    left: dict[tuple[str, ...], set[str]] = {}
    for *key, answer in rest:
        left.setdefault(tuple(key), set()).add(answer)
    assert all(len(answers) == 1 for answers in left.values()), "no two that are left are a pair"


FAR = """spec far
import agqa-like without paths

paths {
  count    9 per video
  steps    1..3
  start    attr =>, rel =>
  expand   attr, rel, ref
  evidence 2.. clips
}
"""


def test_evidence_of_several_clips() -> None:
    spec, found = read_spec(FAR), 0
    for unit in asked(range(20), spec):
        for path in unit.paths:
            ends = {t.clip_of(x) for s in (*path.steps, *path.also) for x in (s.near, s.far)}
            assert len(ends) >= 2
            found += 1
    assert found > 5
    many = read_spec(FAR.replace("2.. clips", "4.. keyframes"))
    assert all(len(p.steps) for unit in asked(range(4), many) for p in unit.paths)
    assert format_spec(FAR) == FAR
    with pytest.raises(StepcError) as error:
        read_spec(FAR.replace("clips\n", "clip\n"))
    (told,) = error.value.diagnostics
    assert told.code == "S112" and "clips" in (told.help or "")
    with pytest.raises(StepcError) as error:
        read_spec(FAR.replace("2.. clips", "1.. clips"))
    assert [d.code for d in error.value.diagnostics] == ["S106"]
