"""Reading video: variable frame rates, rotation, aspect, late first frames, bounded memory."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import scenedetect
from recipes import encode
from test_golden import footage

import stepc.video.decode
from stepc.diagnostics import StepcError
from stepc.driver.compile_video import CompileConfig, Compiler, split_pipeline
from stepc.ir import types as t
from stepc.ir.types import Frame
from stepc.lang.parse import builtin
from stepc.model.load import ModelConfig
from stepc.passes.split import _Adaptive, _Each
from stepc.passmanager.run import run
from stepc.video.decode import DecodedFrame, Pictures, decoded_frames, frames
from stepc.video.probe import probe


def _numbered(count: int, height: int = 64, width: int = 96) -> list[np.ndarray]:
    """Pictures told apart by their brightness, with a red left half."""
    made = []
    for i in range(count):
        picture = np.full((height, width, 3), 20 + i * 200 // count, np.uint8)
        picture[:, : width // 2, 0] = 255
        made.append(picture)
    return made


def _compiled(path: Path, pipeline: str) -> t.Clips:
    compiler = Compiler(
        CompileConfig(pipeline, "", builtin("step"), "step.step", ModelConfig("replay:none"))
    )
    unit: t.Unit = compiler.start(path)
    for done in run(split_pipeline(pipeline)[0], unit, compiler.tools()):
        unit = done.unit
    assert isinstance(unit, t.Clips)
    return unit


def test_variable_frame_rate(tmp_path: Path) -> None:
    times = [0, 40, 80, 500, 520, 1700, 1740, 3000]
    path = tmp_path / "vfr.mp4"
    encode(path, _numbered(len(times)), times)
    source = probe(path)
    seen = list(frames(source))
    assert [at for at, _ in seen] == times
    assert source.video.duration >= times[-1]
    pictures = Pictures()
    pictures.add(source)
    for at, picture in seen:
        found = pictures.at(Frame(video=source.video.sha256, at=at))
        assert np.abs(found.astype(int) - picture).mean() < 1


def test_a_first_frame_that_is_not_at_zero(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    encode(path, _numbered(10), [5000 + i * 100 for i in range(10)])
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).time == pytest.approx(5.0)
    source = probe(path)
    assert [at for at, _ in frames(source)] == [i * 100 for i in range(10)]
    assert 900 <= source.video.duration <= 1000
    unit = _compiled(path, "split,keyframes")
    assert unit.clips[0].start == 0 and unit.clips[0].keyframes[0].at < 900


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotation_flags(tmp_path: Path, turn: int) -> None:
    plain, turned = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    encode(plain, _numbered(5))
    with av.open(str(plain)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    _turn(turned, turn)
    with av.open(str(turned)) as container:
        rotation = next(container.decode(video=0)).rotation % 360
    assert rotation in (90, 180, 270)
    video = probe(turned).video
    assert (video.width, video.height) == ((96, 64) if turn == 180 else (64, 96))
    before = next(frames(probe(plain)))[1]
    after = next(frames(probe(turned)))[1]
    assert after.shape == (video.height, video.width, 3)
    assert np.abs(np.rot90(before, rotation // 90).astype(int) - after).mean() < 4


def _turn(path: Path, turn: int) -> None:
    """Set the rotation in the track header's matrix of an MP4."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    matrix = at + 4 + 36
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turn]
    for i, value in enumerate((cos, sin, 0, -sin, cos)):
        scaled = (value << 16) & 0xFFFFFFFF
        offset = matrix + [0, 4, 8, 12, 16][i]
        data[offset : offset + 4] = scaled.to_bytes(4, "big")
    path.write_bytes(bytes(data))


def test_odd_sizes_and_pixel_aspect(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 90, 70, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        for picture in _numbered(5, 70, 90):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    source = probe(path)
    assert (source.video.width, source.video.height) == (180, 70)
    assert next(frames(source))[1].shape == (70, 180, 3)
    assert next(frames(source, 60))[1].shape == (23, 60, 3)

    odd = tmp_path / "odd.mkv"
    with av.open(str(odd), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 321, 137, "yuv444p"
        for picture in _numbered(3, 137, 321):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    assert next(frames(probe(odd)))[1].shape == (137, 321, 3)
    unit = _compiled(odd, "split,keyframes")
    assert unit.clips[0].keyframes


def test_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "one.mp4"
    encode(path, _numbered(1))
    unit = _compiled(path, "split,keyframes")
    assert [k.at for c in unit.clips for k in c.keyframes] == [0]
    assert _compiled(path, "split-uniform,keyframes-uniform").clips[0].keyframes


def test_frames_are_never_all_held() -> None:
    """Memory while all frames go by stays that of a few, however many there are."""
    source = probe(footage("bigbuckbunny.mp4"))
    one = source.video.width * source.video.height * 3
    tracemalloc.start()
    try:
        for _ in islice(frames(source), 60):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * one

    tracemalloc.start()
    try:
        _compiled(footage("bigbuckbunny.mp4"), "split,keyframes")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * one  # 132 frames of 1280x720 would be 132


def test_cuts_of_a_film_are_exact(film: Path) -> None:
    import random

    from stepc.world.ground_truth import truth
    from stepc.world.scene import make_film

    true = truth(make_film(random.Random("tests"), 2), "film", "film.mp4", "0" * 64)
    unit = _compiled(film, "split,keyframes")
    assert [c.start for c in unit.clips] == [c.start for c in true.clips]
    assert all(len(c.keyframes) == 2 for c in unit.clips)


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real footage of two films with nine cuts, some short."""
    path = tmp_path_factory.mktemp("cut") / "cut.mp4"
    pictures = []
    for name, start, count in (
        ("bikes", 0, 140),
        ("bigbuckbunny", 20, 25),
        ("bikes", 150, 40),
        ("bigbuckbunny", 60, 50),
    ):
        shown = islice(frames(probe(footage(f"{name}.mp4"))), start, start + count)
        pictures += [cv2.resize(p, (640, 272)) for _, p in shown]
    encode(path, pictures, [i * 40 for i in range(len(pictures))])
    return path


def test_cuts_are_those_of_pyscenedetect_itself(cut: Path) -> None:
    real = [footage(f"{name}.mp4") for name in ("bikes", "bigbuckbunny", "carphone_pristine")]
    for path in (cut, *real):
        found = scenedetect.detect(str(path), scenedetect.AdaptiveDetector())
        theirs = [round(start.seconds * 1000) for start, _ in found]
        ours = [c.start for c in _compiled(path, "split").clips]
        assert ours == (theirs or [0]), path
    assert len(_compiled(cut, "split").clips) >= 5


@pytest.mark.parametrize(("kind", "detector"), [
    ("content", scenedetect.ContentDetector), ("threshold", scenedetect.ThresholdDetector),
    ("hash", scenedetect.HashDetector),
])  # fmt: skip
def test_every_detector_sees_what_pyscenedetect_sees(kind: str, detector: Any, cut: Path) -> None:
    for path in (cut, footage("bikes.mp4"), footage("carphone_pristine.mp4")):
        video = scenedetect.open_video(str(path), backend="pyav")
        manager = scenedetect.SceneManager()
        manager.add_detector(detector())
        manager.detect_scenes(video)
        theirs = [round(start.seconds * 1000) for start, _ in manager.get_scene_list()]
        ours = [c.start for c in _compiled(path, f"split(detector={kind})").clips]
        assert ours == (theirs or [0]), path


@pytest.mark.parametrize("threshold", [1.2, 2.0, 3.0, 6.0])
def test_a_glance_leaves_no_cut_out(threshold: float, cut: Path, tmp_path: Path) -> None:
    """Every frame scored by PySceneDetect's own detector against those that a glance leaves open."""
    noisy = tmp_path / "noisy.mp4"
    rng = np.random.default_rng(1)
    pictures = []
    for shot in range(12):  # noise, flat colours, pans, fades: 20 frames each
        base = (
            rng.integers(0, 256, (120, 160, 3)) if shot % 3 else np.full((120, 160, 3), 20 * shot)
        )
        for i in range(20):
            moved = np.roll(base, 3 * i * (shot % 4), 1) * (1 if shot % 5 else i / 20)
            grain = rng.integers(-4, 5, moved.shape) * (shot % 2)
            pictures.append(np.clip(moved + grain, 0, 255).astype(np.uint8))
    encode(noisy, pictures, [i * 40 for i in range(len(pictures))])
    scored = seen = 0
    for path in (cut, noisy, footage("bikes.mp4"), footage("carphone_pristine.mp4")):
        mine = _Adaptive(scenedetect.AdaptiveDetector(adaptive_threshold=threshold))
        theirs = scenedetect.AdaptiveDetector(adaptive_threshold=threshold)
        found: list[int] = []
        right: list[int] = []
        for number, look in enumerate(decoded_frames(probe(path))):
            found += mine.see(look)
            code = scenedetect.FrameTimecode(number, 25.0)
            right += [c.frame_num for c in theirs.process_frame(code, look.detected)]
            seen, scored = seen + 1, scored + ("near" in vars(mine.around[0]))
        assert found == right, path
    assert threshold < 3 or scored < seen / 2


@pytest.mark.parametrize("seed", [3, 6, 9, 10])
def test_a_shot_that_fades_in_from_black_is_cut_as_pyscenedetect_does(
    seed: int, tmp_path: Path
) -> None:
    """Hue and saturation jump at near-black, where the planes hardly change."""
    rng = np.random.default_rng(seed)
    pictures = []
    for shot in range(6):
        base = rng.integers(0, 256, (60, 80, 3)).repeat(2, 0).repeat(2, 1)
        tint = rng.integers(0, 60, 3)
        for i in range(25):
            light = (
                min(1.0, (i + 1) / (4 + seed)) * (0.3 if seed % 3 == 0 else 1) if shot % 2 else 1
            )
            grain = rng.integers(-3, 4, (120, 160, 3)) * (seed % 2)
            shown = np.clip((base * 0.5 + tint) * light + grain, 0, 255)
            pictures.append(shown.astype(np.uint8))
        black = (rng.integers(0, 1 + seed % 4, (120, 160, 3)) for _ in range(20))
        pictures += [frame.astype(np.uint8) for frame in black]
    encode(tmp_path / "fades.mp4", pictures)
    both = [_Adaptive(scenedetect.AdaptiveDetector()), _Each(scenedetect.AdaptiveDetector())]
    found: list[list[int]] = [[], []]
    for look in decoded_frames(probe(tmp_path / "fades.mp4")):
        for detector, cuts in zip(both, found, strict=True):
            cuts += detector.see(look)
    assert found[0] == found[1] and len(found[0]) >= 4


def test_detectors_cut_together(tmp_path: Path) -> None:
    """A hard cut that one finds, and a fade through black that only the other does."""
    shots = [np.full((96, 128, 3), value, np.uint8) for value in ((200, 60, 60), (60, 60, 200))]
    fade = [(shots[1] * abs(1 - i / 60)).astype(np.uint8) for i in range(121)]
    encode(tmp_path / "a.mp4", [shots[0]] * 40 + [shots[1]] * 20 + fade + [shots[1]] * 20)
    cuts = {}
    for detector in ("content", "threshold", "content+threshold"):
        unit = _compiled(tmp_path / "a.mp4", f"split(detector={detector})")
        cuts[detector] = {c.start for c in unit.clips}
    assert 1600 in cuts["content"] - cuts["threshold"] and len(cuts["threshold"]) == 2
    both = cuts["content+threshold"]
    assert both >= {0, 1600} and any(abs(at - max(cuts["threshold"])) <= 40 for at in both)
    with pytest.raises(StepcError):
        _compiled(tmp_path / "a.mp4", "split(detector=content+nothing)")


@pytest.mark.parametrize("detector", ["adaptive", "content", "hash", "content+threshold"])
def test_two_passes_with_one_decode_make_what_each_makes_alone(
    detector: str, cut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    before = stepc.video.decode._decode

    def counted(*given: Any, **more: Any) -> Any:
        decoded.append(0)
        for frame in before(*given, **more):
            decoded[-1] += 1
            yield frame

    text = f"split(detector={detector}),keyframes(every=0.5)"
    passes = split_pipeline(text)[0]
    compiler = Compiler(
        CompileConfig(text, "", builtin("step"), "step.step", ModelConfig("replay:none"))
    )
    unit = compiler.start(cut)
    monkeypatch.setattr(stepc.video.decode, "_decode", counted)
    alone: t.Unit = unit
    for p in passes:
        alone = p.run(alone, compiler.tools())
    assert decoded == [255, 255]
    compiler = Compiler(compiler.order)
    compiler.start(cut)
    decoded.clear()
    made = list(run(passes, unit, compiler.tools()))
    assert decoded == ([255] if detector == "adaptive" else [255, 255])
    assert made[-1].unit == alone and [d.name for d in made] == ["split", "keyframes"]
    assert all(d.seconds > 0 for d in made) and dict(made[1].counts)["keyframes"] > 8
    decoded.clear()
    source = compiler.pictures.source(unit.video.sha256)
    for keyframe in made[-1].unit.keyframes.values():  # they need not be decoded again
        kept = compiler.pictures.at(Frame(video=unit.video.sha256, at=keyframe.at))
        assert decoded == [] and kept.shape == (272, 640, 3)
        assert np.array_equal(kept, Pictures()._find(source, keyframe.at))
        decoded.clear()


def test_frames_of_any_kind_are_made_small(tmp_path: Path) -> None:
    """The fast way and the exact one show the same, whatever the planes, the range, the turning."""
    rng = np.random.default_rng(1)
    smooth = cv2.resize(
        rng.integers(0, 255, (6, 9, 3), np.uint8), (642, 358), interpolation=cv2.INTER_CUBIC
    )
    for layout, most in (("yuv420p", 4), ("yuvj420p", 4), ("yuv444p", 4), ("yuv420p10le", 4)):
        frame = av.VideoFrame.from_ndarray(smooth, format="rgb24").reformat(format=layout)
        small = DecodedFrame(0, frame, Fraction(1)).small
        exact = cv2.resize(smooth, small.shape[1::-1], interpolation=cv2.INTER_AREA)[:, :, ::-1]
        assert small.shape == (142, 256, 3) or small.shape == (143, 256, 3)
        assert np.abs(small.astype(int) - exact).mean() < most, layout
    tiny = av.VideoFrame.from_ndarray(smooth[:97, :33], format="rgb24").reformat(format="yuv420p")
    assert DecodedFrame(0, tiny, Fraction(1)).small.shape == (96, 32, 3)


def test_black_clips_and_test_cards_have_no_keyframes(tmp_path: Path) -> None:
    """A leader of black, a test card whose counter runs, then a shot that fades in."""
    card = np.zeros((96, 128, 3), np.uint8)
    colours = [(192, 192, 192), (192, 192, 0), (0, 192, 192), (0, 192, 0), (192, 0, 192), (192, 0, 0),
               (0, 0, 192)]  # fmt: skip
    for i, colour in enumerate(colours):
        card[:, i * 128 // 7 : (i + 1) * 128 // 7] = colour
    cards = [card.copy() for _ in range(50)]
    for i, shown in enumerate(cards):
        shown[70:90, 20 + i : 30 + i] = 255
    rng = np.random.default_rng(0)
    scene = rng.integers(40, 220, (24, 32, 3)).repeat(4, 0).repeat(4, 1)
    fade = [(scene * min(1.0, i / 25)).astype(np.uint8) for i in range(75)]
    black = [np.zeros((96, 128, 3), np.uint8)] * 50
    encode(tmp_path / "a.mp4", black + cards + fade)
    unit = _compiled(tmp_path / "a.mp4", "split,keyframes")
    times = [k.at for clip in unit.clips for k in clip.keyframes]
    assert times and min(times) > 4000 + 5 * 40
    encode(tmp_path / "b.mp4", black)
    assert _compiled(tmp_path / "b.mp4", "split,keyframes").clips == ()


def _scenes(number: int) -> list[np.ndarray]:
    """Pictures of different scenes: coarse coloured fields with detail, shape (120, 160, 3)."""
    rng = np.random.default_rng(number)
    return [
        np.clip(
            rng.integers(0, 256, (6, 8, 3)).repeat(20, 0).repeat(20, 1)
            + rng.integers(-20, 21, (120, 160, 3)), 0, 255,
        )
        for _ in range(number)
    ]  # fmt: skip


def test_keyframes_avoid_fades_and_dissolves(tmp_path: Path) -> None:
    first, second = _scenes(2)
    black = np.zeros_like(first)

    def mixed(one: np.ndarray, other: np.ndarray, frames: int) -> list[np.ndarray]:
        return [one + (other - one) * (i + 0.5) / frames for i in range(frames)]

    shown = [
        *[black] * 15, *mixed(black, first, 25), *[first] * 50, *mixed(first, second, 30),
        *[second] * 50, *mixed(second, black, 25), *[black] * 15,
    ]  # fmt: skip
    encode(tmp_path / "a.mp4", [picture.astype(np.uint8) for picture in shown])
    times = [
        k.at
        for most in (6, 12)
        for c in _compiled(
            tmp_path / "a.mp4", f"split-uniform(seconds=60),keyframes(most={most},every=0.5)"
        ).clips
        for k in c.keyframes
    ]
    assert len(times) == 4, times  # each scene once, as nothing moves
    clear = [(1600, 3600), (4800, 6800)]
    wrong = [at for at in times if not any(a - 200 <= at <= b + 200 for a, b in clear)]
    assert not wrong, times
    assert all(any(a <= at <= b for at in times) for a, b in clear)


@pytest.mark.parametrize("still", [False, True])
def test_a_still_picture_is_not_repeated(still: bool, tmp_path: Path) -> None:
    scene = _scenes(1)[0]
    shown = [scene.copy() for _ in range(250)]
    for i, picture in enumerate(() if still else shown):
        picture[40:60, i // 2 : i // 2 + 20] = 255
    encode(tmp_path / "a.mp4", [picture.astype(np.uint8) for picture in shown])
    (clip,) = _compiled(tmp_path / "a.mp4", "split-uniform(seconds=60),keyframes").clips
    assert len(clip.keyframes) == (2 if still else 5)


def test_keyframes_are_spread_over_a_clip(tmp_path: Path) -> None:
    """Half of the clip is still, half has a lot of change, which clusters would favour."""
    scenes = _scenes(9)
    busy = [np.roll(scenes[0], 4 * i, axis=1) for i in range(125)]
    shown = [*[scenes[1]] * 125, *busy]
    encode(tmp_path / "a.mp4", [picture.astype(np.uint8) for picture in shown])
    unit = _compiled(tmp_path / "a.mp4", "split-uniform(seconds=60),keyframes(every=1.6)")
    (clip,) = unit.clips
    times = [0, *(k.at for k in clip.keyframes), 10_000]
    mean = 10_000 / len(clip.keyframes)
    gaps = [b - a for a, b in pairwise(times)]
    assert len(clip.keyframes) == 6
    assert min(gaps[1:-1]) >= 0.34 * mean and max(gaps) <= 2.1 * mean
