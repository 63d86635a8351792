"""Files to arrays: every container, the right frames, and every kind of bad file, with real libav and real files."""

from __future__ import annotations

import struct
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from clipsim import media
from clipsim.encoders import SAMPLE_RATE, WindowSpec
from clipsim.errors import FileMissing, NotMedia, TooLong, TooShort
from tests.doubles.media import CODECS, beat, make_clip

FPS = 25
BITS = 8  # a frame shows its own number as so many bars, black or white
SUFFIXES = [suffix for suffix in CODECS if suffix != ".ts"]


def numbered(path: Path, times: list[Fraction], *, gop: int = 12, codec: str = "libx264") -> Path:
    """A video whose frame `i` is on screen from `times[i]` on, and shows the number `i`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 120, "yuv420p", gop
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i, time in enumerate(times):
            image = np.zeros((120, 160, 3), np.uint8)
            for bit in range(BITS):
                image[:, bit * 20 : (bit + 1) * 20] = 255 * (i >> bit & 1)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = int(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def steady(count: int) -> list[Fraction]:
    return [Fraction(i, FPS) for i in range(count)]


def numbers(windows: NDArray[np.uint8]) -> list[list[int]]:
    """The number that each frame of each window shows."""
    height, width = windows.shape[2:4]
    bar = width / BITS
    return [
        [
            sum((int(frame[height // 2, int((bit + 0.5) * bar)].mean()) > 127) << bit for bit in range(BITS))
            for frame in window
        ]
        for window in windows
    ]


# Sound


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_container_gives_the_waveform_that_went_in(tmp_path: Path, suffix: str) -> None:
    path = make_clip(tmp_path / f"a{suffix}", seconds=3)
    probe = media.probe(path)
    assert probe.has_audio
    assert probe.has_video == (CODECS[suffix][1] is not None)
    assert probe.duration == pytest.approx(3, abs=0.15)

    got = media.decode_audio(path, 10)

    assert got.dtype == np.float32 and got.ndim == 1
    assert len(got) == pytest.approx(3 * SAMPLE_RATE, abs=0.15 * SAMPLE_RATE)
    want = beat(3, sample_rate=SAMPLE_RATE)
    low = np.fft.rfft(want[: 2 * SAMPLE_RATE])
    mine = np.fft.rfft(got[: 2 * SAMPLE_RATE])
    hertz = np.fft.rfftfreq(2 * SAMPLE_RATE, 1 / SAMPLE_RATE)
    tones = [int(np.argmin(abs(hertz - tone))) for tone in (220, 440, 660)]
    for tone in tones:  # the steady tones, whatever the codec did to the noise
        assert abs(mine[tone]) == pytest.approx(abs(low[tone]), rel=0.1)


def test_stereo_becomes_the_mean_of_its_channels_and_the_resampler_keeps_the_tone(tmp_path: Path) -> None:
    time = np.arange(4 * 44_100) / 44_100
    left, right = 0.5 * np.sin(2 * np.pi * 1000 * time), 0.3 * np.sin(2 * np.pi * 3000 * time)
    path = tmp_path / "stereo.wav"
    _wav(path, np.stack([left, right]), 44_100)

    got = media.decode_audio(path)

    at = np.arange(len(got)) / SAMPLE_RATE
    want = (0.5 * np.sin(2 * np.pi * 1000 * at) + 0.3 * np.sin(2 * np.pi * 3000 * at)) / 2
    middle = slice(2000, -2000)
    assert len(got) == pytest.approx(4 * SAMPLE_RATE, abs=32)
    assert np.abs(got[middle] - want[middle]).max() < 1e-3


def test_real_tracks_decode_as_librosa_decodes_them(testdata: Path) -> None:
    import librosa

    for path in (testdata / "music").glob("*Choice*.ogg"):
        want, _ = librosa.load(path, sr=SAMPLE_RATE)
        got = media.decode_audio(path, 60)
        assert len(got) == len(want)
        np.testing.assert_allclose(got, want, atol=1e-4)


def test_samples_that_are_no_numbers_are_silence_and_peaks_are_cut(tmp_path: Path) -> None:
    samples = np.full(2 * SAMPLE_RATE, 0.25, np.float32)
    samples[1000], samples[2000], samples[3000] = np.nan, np.inf, 1e30
    path = tmp_path / "floats.wav"
    body = samples.tobytes()
    header = struct.pack("<4sHHIIHH", b"fmt ", 3, 1, SAMPLE_RATE, 4 * SAMPLE_RATE, 4, 32)
    header = header[:4] + struct.pack("<I", 16) + header[4:]
    riff = b"WAVE" + header + b"data" + struct.pack("<I", len(body)) + body
    path.write_bytes(b"RIFF" + struct.pack("<I", len(riff)) + riff)

    got = media.decode_audio(path)

    assert np.isfinite(got).all() and np.abs(got).max() <= media.MAX_PEAK
    assert got[500] == pytest.approx(0.25)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp3", seconds=2)
    body = path.read_bytes()
    picture = tmp_path / "cover.png"
    with av.open(str(picture), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width = stream.height = 64
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), 200, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    path.write_bytes(_id3_with_picture(picture.read_bytes()) + body)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1  # libav does see one

    probe = media.probe(path)

    assert probe.has_audio and not probe.has_video
    with pytest.raises(NotMedia):
        media.read_windows(path, WindowSpec(1, 4, None, 64))


def test_sound_without_picture_and_picture_without_sound(tmp_path: Path) -> None:
    mute = make_clip(tmp_path / "mute.mp4", seconds=2, audio=False)
    deaf = make_clip(tmp_path / "deaf.mp4", seconds=2, video=False)
    assert (media.probe(mute).has_audio, media.probe(mute).has_video) == (False, True)
    assert (media.probe(deaf).has_audio, media.probe(deaf).has_video) == (True, False)
    with pytest.raises(NotMedia, match="no sound"):
        media.decode_audio(mute)
    with pytest.raises(NotMedia, match="no video"):
        media.read_windows(deaf, WindowSpec(1, 4, None, 64))


# Frames


def test_windows_are_consecutive_frames_spread_evenly(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mp4", steady(200))  # 8 s
    got = numbers(media.read_windows(path, WindowSpec(4, 5, None, 60)))
    assert [window[0] for window in got] == pytest.approx([22, 72, 122, 172], abs=1)
    assert all(window == list(range(window[0], window[0] + 5)) for window in got)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_seeking_finds_the_frames_that_decoding_everything_finds(tmp_path: Path, suffix: str) -> None:
    codec = "libvpx" if suffix == ".webm" else "libx264"
    path = numbered(tmp_path / f"a{suffix}", steady(250), gop=50, codec=codec)
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
        end = float(container.duration / 1e6)
    spec = WindowSpec(3, 6, 0.3, 60)
    part, length = end / 3, 6 * 0.3
    starts = [(i + 0.5) * part - length / 2 for i in range(3)]
    want = [[max(n for n, at in enumerate(times) if at <= start + k * 0.3) for k in range(6)] for start in starts]
    assert np.abs(np.array(numbers(media.read_windows(path, spec))) - want).max() <= 1  # one frame for rounded clocks


def test_only_what_is_needed_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = numbered(tmp_path / "a.mp4", steady(250), gop=10)
    seen = 0
    original = media._frames

    def counting(*args: object) -> object:
        nonlocal seen
        for item in original(*args):
            seen += 1
            yield item

    monkeypatch.setattr(media, "_frames", counting)
    media.read_windows(path, WindowSpec(2, 4, None, 60))
    assert seen <= 2 * (10 + 4 + 2)


def test_variable_frame_rate_gives_the_frame_on_screen(tmp_path: Path) -> None:
    times = [Fraction(i, 50) for i in range(50)] + [
        Fraction(1) + Fraction(i, 2) for i in range(8)
    ]  # 1 s fast, 4 s slow
    path = numbered(tmp_path / "a.mkv", times)
    got = numbers(media.read_windows(path, WindowSpec(1, 6, 0.5, 60)))[0]
    with av.open(str(path)) as container:
        end = float(container.duration / 1e6)
    start = end / 2 - 1.5
    want = [max(n for n, at in enumerate(times) if float(at) <= start + 0.5 * k + 1e-3) for k in range(6)]
    assert np.abs(np.array(got) - want).max() <= 1


def test_a_clip_shorter_than_a_window_plays_again(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mp4", steady(30))
    got = numbers(media.read_windows(path, WindowSpec(5, 64, None, 60)))
    assert got == [[i % 30 for i in range(64)]]


def test_a_single_frame_fills_its_window(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mkv", [Fraction(0)])
    got = media.read_windows(path, WindowSpec(3, 8, 0.1, 60))
    assert numbers(got) == [[0] * 8]


@pytest.mark.parametrize(("width", "height"), [(320, 180), (180, 320), (128, 128), (640, 32)])
def test_the_short_side_is_as_asked_and_the_shape_is_kept(tmp_path: Path, width: int, height: int) -> None:
    path = make_clip(tmp_path / "a.mp4", seconds=1.2, width=width, height=height, audio=False)
    shape = media.read_windows(path, WindowSpec(2, 2, None, 64)).shape
    assert shape[:2] == (2, 2) and shape[4] == 3 and min(shape[2:4]) == 64
    assert shape[3] / shape[2] == pytest.approx(min(width / height, media.MAX_ASPECT), rel=0.02)


def test_colours_arrive_as_rgb(tmp_path: Path) -> None:
    path = tmp_path / "red.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(15):
            image = np.full((64, 64, 3), (200, 30, 60), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    got = media.read_windows(path, WindowSpec(1, 2, None, 32)).reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(got, (200, 30, 60), atol=6)


def test_real_clips_are_read_by_seeking(testdata: Path) -> None:
    for path in (testdata / "clips").glob("*.mp4"):
        windows = media.read_windows(path, WindowSpec(3, 16, 1 / 25, 112))
        assert windows.shape[:3] == (3, 16, 112) and not media.is_black(windows)


# Bad files


def test_broken_packets_in_the_middle_cost_only_themselves(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", seconds=6, video_bit_rate=400_000)
    body = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for at in rng.integers(len(body) // 3, len(body) // 2, 400):
        body[at] ^= 0xFF
    path.write_bytes(body)
    assert len(media.decode_audio(path)) > 3 * SAMPLE_RATE
    windows = media.read_windows(path, WindowSpec(3, 8, None, 64))
    assert len(windows) >= 2


def test_a_file_cut_short_gives_what_there_is(tmp_path: Path) -> None:
    for suffix in (".mkv", ".mp3", ".ogg", ".wav", ".webm", ".flac"):
        path = make_clip(tmp_path / f"a{suffix}", seconds=6)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert SAMPLE_RATE < len(media.decode_audio(path)) < 6.2 * SAMPLE_RATE, suffix
    path = tmp_path / "a.mkv"
    assert media.read_windows(path, WindowSpec(3, 8, None, 64)).shape[1] == 8


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("text.mp4", b"this is no film\n" * 1000),
        ("text.mp3", b"this is no song\n" * 1000),
        ("empty.mp4", b""),
        ("empty.wav", b""),
        ("noise.webm", np.random.default_rng(0).bytes(50_000)),
        ("noise.mp3", np.random.default_rng(1).bytes(50_000)),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hosts\n#EXT-X-ENDLIST\n"),
        ("list.mp4", b"ffconcat version 1.0\nfile /etc/hosts\n"),
        ("header.mp4", b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"),
        ("riff.wav", b"RIFF\xff\xff\xff\xffWAVEfmt "),
    ],
)
def test_what_is_no_media_is_refused(tmp_path: Path, name: str, body: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    for read in (media.probe, media.decode_audio, lambda p: media.read_windows(p, WindowSpec(1, 4, None, 64))):
        with pytest.raises(NotMedia):
            read(path)


def test_a_truncated_mp4_without_its_index_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", seconds=3)
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(NotMedia):
        media.decode_audio(path)


def test_missing_files_folders_and_names_that_look_like_protocols(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (tmp_path / "no.mp4", tmp_path, "concat:a|b", "http://127.0.0.1:9/a.mp4", "pipe:0"):
        with pytest.raises(FileMissing):
            media.probe(name)
    make_clip(tmp_path / "a.wav", seconds=2)
    (tmp_path / "a.wav").rename(tmp_path / "concat:a|b.wav")
    assert media.probe("concat:a|b.wav").has_audio


def test_under_a_second_is_too_short(tmp_path: Path, testdata: Path) -> None:
    with pytest.raises(TooShort):
        media.decode_audio(make_clip(tmp_path / "a.wav", seconds=0.5))
    with pytest.raises(TooShort):
        media.probe(tmp_path / "a.wav")
    tiny = testdata / "songs" / "19.  Freedom Exists.mp3"
    for read in (media.probe, media.decode_audio):
        with pytest.raises(TooShort):
            read(tiny)


def test_twelve_hours_are_refused_by_the_header_before_anything_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    size = 12 * 3600 * 8000
    with path.open("wb") as file:  # a sparse file: its header is true, and it takes no room
        file.write(
            b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
        )
        file.write(b"data" + struct.pack("<I", size))
        file.truncate(44 + size)
    assert media.probe(path).duration == pytest.approx(12 * 3600)
    with pytest.raises(TooLong, match="720 minutes"):
        media.decode_audio(path, 1200)


def test_a_header_that_lies_is_found_out_by_the_decoder(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", seconds=20, video=False)
    body = bytearray(path.read_bytes())
    at = body.index(b"\x44\x89\x88") + 3  # EBML: Duration, eight bytes
    assert struct.unpack(">d", body[at : at + 8])[0] == pytest.approx(20_000, rel=0.01)
    body[at : at + 8] = struct.pack(">d", 2_000.0)  # "two seconds"
    path.write_bytes(body)
    assert media.probe(path).duration == pytest.approx(2)
    with pytest.raises(TooLong):
        media.decode_audio(path, 10)
    assert len(media.decode_audio(path, 30)) == pytest.approx(20 * SAMPLE_RATE, rel=0.02)


@pytest.mark.parametrize("lie", [float("nan"), float("inf"), -5000.0, 0.0, 1e300])
def test_durations_that_make_no_sense_are_not_believed(tmp_path: Path, lie: float) -> None:
    path = make_clip(tmp_path / "a.mkv", seconds=4)
    body = bytearray(path.read_bytes())
    at = body.index(b"\x44\x89\x88") + 3
    body[at : at + 8] = struct.pack(">d", lie)
    path.write_bytes(body)
    try:
        assert media.read_windows(path, WindowSpec(2, 4, None, 64)).shape[1] == 4
        assert len(media.decode_audio(path, 1200)) > 3 * SAMPLE_RATE
    except (TooLong, NotMedia):
        assert lie > 1e299  # the one lie that reads as "too long"


def test_huge_frames_are_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", seconds=1.2, width=media.MAX_SIDE + 16, height=32, fps=5)
    for read in (media.probe, lambda p: media.read_windows(p, WindowSpec(1, 4, None, 64))):
        with pytest.raises(NotMedia, match=f"{media.MAX_SIDE + 16} × 32"):
            read(path)


def test_nonsense_windows_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="window"):
        media.read_windows(tmp_path / "a.mp4", WindowSpec(0, 4, None, 64))


# Nothing to hear, nothing to see


def test_silence(tmp_path: Path) -> None:
    assert media.is_silent(media.decode_audio(make_clip(tmp_path / "a.mp3", seconds=2, silent=True)))
    assert not media.is_silent(media.decode_audio(make_clip(tmp_path / "b.mp3", seconds=2)))
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(4 * SAMPLE_RATE).astype(np.float32)
    assert media.is_silent(noise * 10 ** (-66 / 20))
    assert not media.is_silent(noise * 10 ** (-54 / 20))
    short = np.zeros(4 * SAMPLE_RATE, np.float32)
    short[-300:] = 0.5  # something at the very end
    assert not media.is_silent(short)
    assert media.is_silent(np.zeros(10, np.float32)) and media.is_silent(np.zeros(0, np.float32))


def test_black(tmp_path: Path) -> None:
    spec = WindowSpec(2, 4, None, 64)
    assert media.is_black(media.read_windows(make_clip(tmp_path / "a.mp4", seconds=2, black=True), spec))
    assert not media.is_black(media.read_windows(make_clip(tmp_path / "b.mp4", seconds=2), spec))
    dark = np.full((1, 2, 40, 40, 3), media.BLACK_LUMA - 4, np.uint8)
    assert media.is_black(dark)
    dark[:, 0, :10, :10] = 255  # a small light in one of two frames: 3 % of what is seen
    assert not media.is_black(dark)


def _wav(path: Path, channels: NDArray[np.float64], rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((channels.T * 32767).round().astype("<i2").tobytes())


def _id3_with_picture(png: bytes) -> bytes:
    """An ID3v2.3 tag that holds a cover."""
    body = b"\x00image/png\x00\x03\x00" + png
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\x00\x00" + body
    size = len(frame)
    return b"ID3\x03\x00\x00" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + frame


@pytest.mark.parametrize(("seconds", "windows"), [(1.2, 1), (2.6, 1), (5.0, 2), (12.0, 4)])
def test_a_short_clip_is_not_seen_several_times(tmp_path: Path, seconds: float, windows: int) -> None:
    path = make_clip(tmp_path / "a.mp4", seconds=seconds, audio=False, width=64, height=48)
    assert media.read_windows(path, WindowSpec(4, 64, 1 / 25, 32)).shape[:2] == (windows, 64)
