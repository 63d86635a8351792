"""Each change, measured on what is decoded from the copy."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clipsim.copies import CHANGES, SUFFIX, Change, changes, make
from clipsim.errors import FileMissing, NotMedia
from clipsim.media import probe
from tests.doubles.media import make_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("copies") / "clip.mp4", seconds=16, width=320, height=240)


def heard(path: Path, rate: int = 48_000) -> np.ndarray:
    """The sound as one channel."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
    with av.open(str(path)) as container:
        frames = [f for decoded in (*container.decode(audio=0), None) for f in resampler.resample(decoded)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def seen(path: Path) -> list[np.ndarray]:
    """The frames, grey, in a small size."""
    with av.open(str(path)) as container:
        return [f.reformat(width=64, height=48, format="gray").to_ndarray() for f in container.decode(video=0)]


def copy(clip: Path, tmp_path: Path, name: str) -> Path:
    return make(clip, tmp_path / f"copy{SUFFIX}", CHANGES[name])


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt((samples.astype(float) ** 2).mean()))


def power_above(samples: np.ndarray, hertz: float, rate: int = 48_000) -> float:
    """Share of the power above a frequency."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power[np.fft.rfftfreq(len(samples), 1 / rate) > hertz].sum() / power.sum())


@pytest.mark.parametrize("name", CHANGES)
def test_a_copy_lasts_as_long_but_for_the_crop(clip: Path, tmp_path: Path, name: str) -> None:
    made = copy(clip, tmp_path, name)
    seconds = 10 if name == "10 s" else 16
    assert len(heard(made)) / 48_000 == pytest.approx(seconds, abs=0.1)
    assert len(seen(made)) == pytest.approx(25 * seconds, abs=2)
    assert probe(made).has_audio and probe(made).has_video


@pytest.mark.parametrize(("name", "factor"), [("-3 dB", 10 ** (-3 / 20)), ("+3 dB", 10 ** (3 / 20))])
def test_the_level(clip: Path, tmp_path: Path, name: str, factor: float) -> None:
    before, after = heard(clip), heard(copy(clip, tmp_path, name))
    count = min(len(before), len(after))
    expected = np.clip(before[:count] * factor, -1, 1)
    assert np.abs(after[:count] - expected).max() < 1e-3  # 16 bits
    assert rms(after) == pytest.approx(rms(expected), rel=0.01)


def test_what_is_too_loud_is_cut(clip: Path, tmp_path: Path) -> None:
    after = heard(make(clip, tmp_path / "loud.mkv", Change(gain=30.0)))
    assert np.abs(after).max() <= 1.0 and (np.abs(after) > 0.99).mean() > 0.3


def test_eight_kilohertz_hold_nothing_above_four(clip: Path, tmp_path: Path) -> None:
    made = copy(clip, tmp_path, "8 kHz")
    with av.open(str(made)) as container:
        assert container.streams.audio[0].codec_context.sample_rate == 8_000
    assert power_above(heard(clip), 4_100) > 0.005
    assert power_above(heard(made), 4_100) < 1e-5
    low = [np.fft.rfft(heard(path)[: 15 * 48_000])[: 15 * 1_000] for path in (clip, made)]  # below 1 kHz
    assert abs(np.vdot(*low)) / np.linalg.norm(low[0]) / np.linalg.norm(low[1]) > 0.99


def test_sixty_four_kilobits(clip: Path, tmp_path: Path) -> None:
    made = copy(clip, tmp_path, "64 kbit/s")
    with av.open(str(made)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name.startswith("mp3")
        size = sum(packet.size for packet in container.demux(stream))
    assert size * 8 / 16 == pytest.approx(64_000, rel=0.05)
    assert rms(heard(made)) == pytest.approx(rms(heard(clip)), rel=0.1)


def test_the_crop_is_the_middle(tmp_path: Path) -> None:
    wave = np.sin(2 * np.pi * np.cumsum(np.linspace(200, 2_000, 20 * 44_100)) / 44_100)  # its pitch tells the time
    with av.open(str(tmp_path / "sweep.flac"), "w") as container:
        stream = container.add_stream("flac", rate=44_100, layout="mono")
        for start in range(0, len(wave), 4_096):
            block = (wave[None, start : start + 4_096] * 20_000).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 44_100, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    after = heard(copy(tmp_path / "sweep.flac", tmp_path, "10 s"), 44_100)
    assert len(after) / 44_100 == pytest.approx(10, abs=0.05)
    for second, pitch in ((0.1, 659), (9.9, 1_541)):  # seconds 5.1 and 14.9 of 20
        part = after[int((second - 0.1) * 44_100) :][:8_820]
        assert np.abs(np.fft.rfft(part)).argmax() * 5 == pytest.approx(pitch, abs=25)


def test_the_crop_of_the_picture_is_the_middle_too(clip: Path, tmp_path: Path) -> None:
    before, after = seen(clip), seen(copy(clip, tmp_path, "10 s"))
    for mine, other in ((0, 75), (-1, -76)):
        near = min(np.abs(after[mine].astype(int) - before[other + n]).mean() for n in (-1, 0, 1))
        assert near < 6


def test_a_small_picture(clip: Path, tmp_path: Path) -> None:
    made = copy(clip, tmp_path, "144p")
    assert (probe(made).width, probe(made).height) == (192, 144)
    assert np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(seen(clip), seen(made), strict=True)]) < 6
    assert rms(heard(made)) == pytest.approx(rms(heard(clip)), rel=0.01)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".ts"])
def test_an_untouched_picture_is_the_same_packets(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / f"clip{suffix}", seconds=3, width=64, height=48)
    made = copy(source, tmp_path, "-3 dB")
    before, after = seen(source), seen(made)
    assert len(before) == len(after) and all((a == b).all() for a, b in zip(before, after, strict=True))


def test_sound_alone_and_picture_alone(tmp_path: Path) -> None:
    sound = make_clip(tmp_path / "sound.mp3", seconds=3)
    picture = make_clip(tmp_path / "picture.mp4", seconds=3, audio=False)
    assert not probe(copy(sound, tmp_path, "8 kHz")).has_video
    with pytest.raises(NotMedia, match="no video"):
        copy(sound, tmp_path, "144p")
    assert probe(copy(picture, tmp_path, "144p")).height == 144
    with pytest.raises(NotMedia, match="no sound"):
        copy(picture, tmp_path, "-3 dB")
    assert not (tmp_path / f"copy{SUFFIX}").exists()


def test_a_cover_is_no_picture(tmp_path: Path) -> None:
    source = tmp_path / "cover.mp3"
    jpeg = av.CodecContext.create("mjpeg", "w")
    jpeg.width, jpeg.height, jpeg.pix_fmt, jpeg.time_base = 64, 64, "yuvj420p", Fraction(1, 25)
    picture = jpeg.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24"))[0]
    with av.open(str(make_clip(tmp_path / "plain.mp3", seconds=3))) as given, av.open(str(source), "w") as made:
        sound = made.add_stream_from_template(given.streams.audio[0])
        cover = made.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture.stream = cover
        for packet in (*(p for p in given.demux(audio=0) if p.dts is not None), picture):
            packet.stream = cover if packet is picture else sound
            made.mux(packet)
    with av.open(str(source)) as container:
        assert container.streams.video  # or this test says nothing
    assert not changes(source, CHANGES["144p"])
    assert not probe(copy(source, tmp_path, "-3 dB")).has_video


def test_what_changes_anything(clip: Path, tmp_path: Path) -> None:
    assert all(changes(clip, change) for change in CHANGES.values())
    short = make_clip(tmp_path / "short.mp4", seconds=3, width=160, height=120)
    assert [name for name, change in CHANGES.items() if changes(short, change)] == [
        "64 kbit/s", "-3 dB", "+3 dB", "8 kHz",
    ]  # fmt: skip
    mute = make_clip(tmp_path / "mute.mp4", seconds=3, audio=False)
    assert [name for name, change in CHANGES.items() if changes(mute, change)] == ["144p"]


def test_files_that_cannot_be_copied(tmp_path: Path) -> None:
    target = tmp_path / "copy.mkv"
    with pytest.raises(FileMissing):
        make(tmp_path / "nowhere.mp4", target, CHANGES["-3 dB"])
    secret = make_clip(tmp_path / "secret.wav", seconds=2)
    for name, text in {
        "noise.mp4": np.random.default_rng(0).bytes(4_096),
        "empty.mp4": b"",
        "list.m3u8": f"#EXTM3U\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n".encode(),
        "list.mp4": f"ffconcat version 1.0\nfile '{secret}'\n".encode(),
    }.items():
        (tmp_path / name).write_bytes(text)
        with pytest.raises(NotMedia):
            make(tmp_path / name, target, CHANGES["-3 dB"])
        assert not target.exists()


def test_a_file_that_breaks_off(clip: Path, tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mkv", seconds=4, width=64, height=48).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    made = make(tmp_path / "cut.mkv", tmp_path / "copy.mkv", CHANGES["-3 dB"])
    assert 0.5 < len(heard(made)) / 48_000 < 4.2
