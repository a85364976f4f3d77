"""A zoo of odd videos, made here: each is read rightly, or a diagnostic says what was left out."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hearing import Heard

import stepc.video.decode
from stepc.diagnostics import Diagnostic, StepcError
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig, Compiler
from stepc.ir.types import Frame
from stepc.lang.parse import builtin
from stepc.model.load import ModelConfig
from stepc.video.decode import Pictures, decoded_frames
from stepc.video.probe import probe, rate_text

SIZE = (96, 64)


def picture(number: int, size: tuple[int, int] = SIZE) -> Any:
    """A picture that tells its number: 16 black or white fields, and noise that costs bytes."""
    width, height = size
    rng = np.random.default_rng(0)
    made = rng.integers(90, 160, (height, width, 3), np.uint8)
    for bit in range(16):
        row, column = divmod(bit, 8)
        field = made[row * height // 2 : (row + 1) * height // 2, column * width // 8 :][
            :, : width // 8
        ]
        field[:] = field // 8 + (200 if number >> bit & 1 else 20)
    return made


def number_of(shown: Any) -> int:
    """The number that a picture tells."""
    height, width = shown.shape[:2]
    told = 0
    for bit in range(16):
        row, column = divmod(bit, 8)
        field = shown[row * height // 2 : (row + 1) * height // 2, column * width // 8 :][
            :, : width // 8
        ]
        told |= (field[4:-4, 3:-3].mean() > 120) << bit
    return int(told)


def film(path: Path, numbers: Any = range(100), *, codec: str = "libx264", every: int = 40,
         size: tuple[int, int] = SIZE, lost: Any = (), **options: str) -> Path:  # fmt: skip
    """A film whose frames tell their numbers, one each `every` milliseconds, a key frame each second.

    The packets of the `lost` numbers are not in the file.
    """
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=25, options={"g": "25", "bf": "0", **options})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if codec == "mjpeg":
            stream.pix_fmt = "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for i, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            frame.pts, frame.time_base = i * every // 40, Fraction(1, 25)
            container.mux([p for p in stream.encode(frame) if p.pts not in lost])
        container.mux([p for p in stream.encode() if p.pts not in lost])
    return path


def copied(source: Path, path: Path, **options: str) -> Path:
    """The same packets in another container."""
    with av.open(str(source)) as one, av.open(str(path), "w", options=options) as other:
        streams = {s.index: other.add_stream_from_template(s) for s in one.streams}
        for packet in one.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                other.mux(packet)
    return path


def joined(folder: Path, *parts: Path) -> Path:
    path = folder / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def half(path: Path, share: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def zeroed(path: Path) -> Path:
    """The second half is zeroes: a download that was interrupted, with its space reserved."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    return path


def garbled(path: Path) -> Path:
    """Bytes in the middle are others."""
    data, rng = bytearray(path.read_bytes()), random.Random(1)
    for _ in range(30):
        at = rng.randrange(len(data) * 4 // 10, len(data) * 6 // 10)
        data[at : at + 8] = rng.randbytes(8)
    path.write_bytes(data)
    return path


def with_cover(folder: Path, first: bool) -> Path:
    """A preview of one small frame beside the film, as a stream before it or behind it."""
    small = film(folder / "small.mp4", [7], codec="mjpeg", size=(64, 48))
    whole, path = film(folder / "whole.mp4"), folder / "cover.mp4"
    order = (small, whole) if first else (whole, small)
    with av.open(str(path), "w") as out:
        for source in order:
            with av.open(str(source)) as one:
                out.add_stream_from_template(one.streams.video[0])
        for index, source in enumerate(order):
            with av.open(str(source)) as one:
                for packet in one.demux(video=0):
                    if packet.dts is not None:
                        packet.stream = out.streams[index]
                        out.mux(packet)
    return path


def open_gop(folder: Path) -> Path:
    """A stream that begins inside a group of pictures: its first key frame comes later."""
    whole, path = film(folder / "whole.ts"), folder / "inside.ts"
    with av.open(str(whole)) as one, av.open(str(path), "w") as other:
        stream = other.add_stream_from_template(one.streams.video[0])
        for number, packet in enumerate(one.demux(video=0)):
            if packet.dts is not None and number >= 10:
                packet.stream = stream
                other.mux(packet)
    return path


Made = Callable[[Path], Path]
RIGHT: dict[str, tuple[Made, list[int], float]] = {
    "as it should be": (lambda f: film(f / "a.mp4"), list(range(100)), 4.0),
    "joined byte by byte": (
        lambda f: joined(f, film(f / "a.ts", range(50)), film(f / "b.ts", range(50, 100))),
        list(range(100)), 4.0),
    "joined thrice": (
        lambda f: joined(f, *(film(f / f"{i}.ts", range(i * 30, i * 30 + 30)) for i in range(3))),
        list(range(90)), 3.6),
    "packets without times": (lambda f: film(f / "a.h264"), list(range(100)), 4.0),
    "a preview first": (lambda f: with_cover(f, True), list(range(100)), 4.0),
    "a preview behind": (lambda f: with_cover(f, False), list(range(100)), 4.0),
    "one frame in 2,500 seconds": (
        lambda f: film(f / "a.mp4", range(3), every=2_500_000), [0, 1, 2], 0),
    "Matroska": (lambda f: film(f / "a.mkv"), list(range(100)), 4.0),
    "WebM": (lambda f: film(f / "a.webm", range(30), codec="libvpx"), list(range(30)), 1.2),
    "AVI": (lambda f: film(f / "a.avi", codec="mpeg4"), list(range(100)), 4.0),
    "FLV": (lambda f: film(f / "a.flv", codec="flv1"), list(range(100)), 4.0),
    "one frame": (lambda f: film(f / "a.mp4", [5]), [5], 0.04),
}  # fmt: skip
"""How each is made, the frames it has, and its length in seconds (0: any)."""


@pytest.mark.parametrize("name", RIGHT)
def test_an_odd_video_is_read_as_a_player_shows_it(name: str, tmp_path: Path) -> None:
    make, numbers, seconds = RIGHT[name]
    source = probe(make(tmp_path))
    seen = list(decoded_frames(source))
    assert [number_of(frame.picture()) for frame in seen] == numbers
    times = [frame.at for frame in seen]
    assert times == sorted(set(times)) and source.video.duration > times[-1]
    if seconds:
        assert abs(source.video.duration - seconds * 1000) <= 90
    pictures = Pictures()
    pictures.add(source)
    for i in (0, len(seen) // 2, len(seen) - 1):  # each frame is found again by its time
        shown = pictures.at(Frame(video=source.video.sha256, at=times[i]))
        assert number_of(shown) == numbers[i]


def test_what_was_joined_is_told(tmp_path: Path) -> None:
    parts = [film(tmp_path / f"{i}.ts", range(30)) for i in range(3)]
    source = probe(joined(tmp_path, *parts))
    assert len(list(decoded_frames(source))) == 90
    (warning,) = source.warnings()
    assert warning.code == "B025" and "begin again 2 times" in warning.message


DAMAGED: dict[str, tuple[Made, int]] = {
    "half an MKV": (lambda f: half(film(f / "a.mkv")), 30),
    "half a WebM": (lambda f: half(film(f / "a.webm", range(60), codec="libvpx")), 15),
    "half an AVI": (lambda f: half(film(f / "a.avi", codec="mpeg4")), 10),
    "half a WMV": (lambda f: half(film(f / "a.wmv", codec="wmv2")), 10),
    "half an AVI of H.264": (lambda f: half(film(f / "a.avi")), 10),
    "half an FLV": (lambda f: half(film(f / "a.flv", codec="flv1")), 30),
    "half an MP4": (lambda f: half(copied(film(f / "a.mp4"), f / "b.mp4", movflags="faststart")), 10),
    "zeroes in the second half": (
        lambda f: zeroed(copied(film(f / "a.mp4"), f / "b.mp4", movflags="faststart")), 10),
}  # fmt: skip
"""How each is made, and how many of its frames are there at least."""


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_video_is_refused_or_taken_as_far_as_it_goes(name: str, tmp_path: Path) -> None:
    make, least = DAMAGED[name]
    path = make(tmp_path)
    with pytest.raises(StepcError) as error:
        list(decoded_frames(probe(path)))
    (wrong,) = error.value.diagnostics
    assert wrong.code == "B007" and "--keep-decodable" in wrong.help
    source = probe(path, keep=True)
    seen = list(decoded_frames(source))
    numbers = [number_of(frame.picture()) for frame in seen]
    assert len(numbers) >= least and numbers[:least] == list(range(least))
    assert seen[-1].at < source.video.duration <= seen[-1].at + 100  # what can be decoded, no more
    said = [d.message for d in source.warnings()]
    assert said, "frames are missing without a word"
    if name.startswith("half"):
        end = next(text for text in said if "truncated" in text)
        part, whole = map(float, re.findall(r"[0-9.]+", end))
        assert part < 0.8 * whole


@pytest.mark.parametrize("mark", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_whole_avi_of_unknown_size_is_whole(mark: int, tmp_path: Path) -> None:
    """As it is written to a pipe: the sizes and numbers in its header were never filled in."""
    path = film(tmp_path / "a.avi", codec="mpeg4")
    data = bytearray(path.read_bytes())
    data[4:8] = mark.to_bytes(4, "little") if mark != 0x7FFFFFFF else data[4:8]
    data[48:52] = (480).to_bytes(4, "little") if mark == 0xFFFFFFFF else data[48:52]
    at = data.index(b"strh") + 8
    data[at + 32 : at + 36] = (0x40000000).to_bytes(4, "little")
    path.write_bytes(data)
    source = probe(path)
    assert source.video.duration > 1000 and not [*source.warnings()]


def test_a_broadcast_has_no_size_to_be_short_of(tmp_path: Path) -> None:
    path = film(tmp_path / "a.wmv", codec="wmv2")
    data = bytearray(path.read_bytes())
    at = data.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    data[at + 40 : at + 48] = (1 << 40).to_bytes(8, "little")
    data[at + 64 : at + 72] = (60 * 10**7).to_bytes(8, "little")
    path.write_bytes(data)
    with pytest.raises(StepcError):
        probe(path)
    data[at + 88] |= 1
    path.write_bytes(data)
    assert probe(path).short == ""


def test_a_little_that_is_missing_is_told(tmp_path: Path) -> None:
    whole = copied(film(tmp_path / "a.mp4", range(40)), tmp_path / "b.mp4", movflags="faststart")
    cut = probe(half(whole, 0.85))
    assert [d.code for d in cut.warnings()] == ["B025"] and "truncated" in next(
        cut.warnings()
    ).message


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi", "flv"])
def test_damage_in_the_middle_is_told(ending: str, tmp_path: Path) -> None:
    codec = {"avi": "mpeg4", "flv": "flv1"}.get(ending, "libx264")
    path = garbled(film(tmp_path / f"a.{ending}", codec=codec))
    for keep in (False, True):
        try:
            source = probe(path, keep=keep)
            seen = list(decoded_frames(source))
        except StepcError as error:
            assert not keep and error.diagnostics[0].code in ("B002", "B007")
            continue
        numbers = [number_of(frame.picture()) for frame in seen]
        assert codec != "libx264" or numbers[:20] == list(range(20))
        assert len(seen) == 100 or list(source.warnings()), "frames are missing without a word"


@pytest.mark.parametrize("ending", ["mkv", "ts", "avi"])
def test_packets_that_a_demuxer_skipped_are_told(ending: str, tmp_path: Path) -> None:
    path = film(tmp_path / f"a.{ending}", range(200), lost=range(50, 75), codec="mpeg4")
    source = probe(path)
    assert len(list(decoded_frames(source))) == 175
    (warning,) = source.warnings()
    assert warning.code == "B025" and "1 gap without frames" in warning.message


@pytest.mark.parametrize("size", [(96, 112), (192, 128), (48, 32)])
def test_a_picture_that_changes_its_size_is_scaled(size: tuple[int, int], tmp_path: Path) -> None:
    parts = film(tmp_path / "a.ts", range(50)), film(tmp_path / "b.ts", range(50, 100), size=size)
    path = joined(tmp_path, *parts)
    source = probe(path)
    seen = list(decoded_frames(source))
    assert [number_of(frame.picture()) for frame in seen] == list(range(100))
    assert {frame.picture().shape for frame in seen} == {(64, 96, 3)}
    assert any("changes its size 1 time;" in d.message for d in source.warnings())
    pictures = Pictures()
    pictures.add(source)
    shown = pictures.at(Frame(video=source.video.sha256, at=seen[80].at))
    assert shown.shape == (64, 96, 3) and number_of(shown) == 80
    tape = tmp_path / "calls.jsonl"
    tape.write_text('{"model":"m","templates":"compact"}\n')
    for passes in ("split,keyframes", "split-uniform,keyframes"):
        order = CompileConfig(
            passes, "", builtin("step"), "step.step", ModelConfig(f"replay:{tape}")
        )
        assert not Compiler(order).compile(path).diagnostics


def test_a_frame_rate_that_varies_is_no_damage(tmp_path: Path) -> None:
    still = {n for n in range(200) if n * n % 7 > 2 or 50 < n < 75}
    source = probe(film(tmp_path / "screen.mkv", range(200), lost=still, codec="mjpeg"))
    assert len(list(decoded_frames(source))) == 200 - len(still)
    assert [d.message for d in source.warnings()] == []


def test_a_store_repeats_what_was_left_out_and_does_not_hide_damage(tmp_path: Path) -> None:
    tape = tmp_path / "calls.jsonl"
    tape.write_text('{"model":"m","templates":"compact"}\n')

    def compiled(path: Path, keep: bool) -> tuple[list[str], list[str], int]:
        order = CompileConfig("split-uniform,keyframes", "", builtin("step"), "step.step",
                              ModelConfig(f"replay:{tape}"), store=str(tmp_path / "store"),
                              keep_decodable=keep)  # fmt: skip
        made = Compiler(order).compile(path)
        return (
            [d.code for d in made.diagnostics],
            sorted({d.code for d in made.warnings}),
            made.found,
        )

    gaps = film(tmp_path / "a.mkv", range(200), lost=range(50, 75), codec="mpeg4")
    assert compiled(gaps, False) == ([], ["B025"], 0)
    assert compiled(gaps, False) == ([], ["B025"], 2)
    damaged = zeroed(copied(film(tmp_path / "b.mp4"), tmp_path / "c.mp4", movflags="faststart"))
    assert compiled(damaged, True) == ([], ["B025"], 0)
    assert compiled(damaged, True) == ([], ["B025"], 2)
    assert compiled(damaged, False) == (["B007"], [], 0)


def test_a_stream_that_begins_inside_a_group_of_pictures(tmp_path: Path) -> None:
    source = probe(open_gop(tmp_path))
    seen = list(decoded_frames(source))
    numbers = [number_of(frame.picture()) for frame in seen]
    assert numbers == list(range(25, 100))  # from the first key frame on
    assert seen[0].at == 0 and abs(source.video.duration - 3000) <= 90


def test_a_damaged_flv_is_no_crash(tmp_path: Path) -> None:
    """Of 961 bytes: PyAV raises IndexError where FFmpeg's errors are expected."""
    data = film(tmp_path / "a.flv", range(5), codec="flv1").read_bytes()
    for size in (40, 300, 500, 700, 961, 1500):
        path = tmp_path / f"{size}.flv"
        path.write_bytes(data[:size])
        for keep in (False, True):
            try:
                list(decoded_frames(probe(path, keep=keep)))
            except StepcError as error:
                assert error.diagnostics[0].code.startswith("B00")


def test_rates_below_one_frame_a_second_are_kept() -> None:
    assert rate_text(Fraction(25)) == "25" and rate_text(Fraction(30000, 1001)) == "30000/1001"
    assert Fraction(rate_text(Fraction(75, 180001))) == Fraction(75, 180001)
    assert Fraction(rate_text(Fraction(1, 3600 * 24))) == Fraction(1, 86400)


def test_a_corpus_of_odd_videos_compiles_what_it_can(tmp_path: Path) -> None:
    """Each odd video beside the others: no crash, and each is named."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    film(folder / f"{'x' * 245}.mp4", range(20))
    film(folder / "slow.mp4", range(3), every=2_500_000)
    half(film(folder / "half.mkv"))
    (folder / "no.flv").write_bytes(
        film(tmp_path / "a.flv", range(5), codec="flv1").read_bytes()[:961]
    )
    passes = "split-uniform,keyframes-uniform,parse,lift,bridge-none,sample,compose,check"
    tape = tmp_path / "calls.jsonl"
    tape.write_text('{"model":"m","templates":"compact"}\n')
    order = CompileConfig(passes, "dedupe,emit", builtin("step"), "step.step",
                          ModelConfig(f"replay:{tape}"))  # fmt: skip
    said: list[Diagnostic] = []
    summary = compile_corpus([folder], tmp_path / "out", order, reporter=Heard(said.append))
    assert summary.failed == 4 and not summary.compiled
    assert sorted(d.code for d in said) == ["B007", "M001", "M001", "M001"]
    assert "half.mkv" in str(next(d.place for d in said if d.code == "B007"))


def test_packets_that_become_no_frames_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As decoders do after some damage: without an error, and without a mark."""
    source = probe(film(tmp_path / "a.mp4"))
    whole = stepc.video.decode._decode

    def half_of_it(*args: Any, **more: Any) -> Any:
        return itertools.islice(whole(*args, **more), 51)

    monkeypatch.setattr(stepc.video.decode, "_decode", half_of_it)
    assert len(list(decoded_frames(source))) == 51
    (warning,) = source.warnings()
    assert warning.code == "B025" and "end of the video" in warning.message
