"""Copies of a clip as they turn up elsewhere: smaller, quieter, cropped. What `clipsim evaluate --copies` looks for.

A copy is the same recording, so its original has to come first when it is the query (known-item search). The changes
are those of fingerprinting's robustness tests (Haitsma & Kalker 2002, section 4): lossy coding, level, band limit,
cropping; and a small picture. A copy has no end of its own for the picture: where that is shorter than the sound, other
frames of it are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipsim.errors import NotMedia
from clipsim.media import _audio, _opened, _video

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

SUFFIX = ".mkv"  # of a copy: the container that holds every codec


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to a clip. What is not named stays as it is."""

    bit_rate: int | None = None  # bits a second of its sound, as mp3; None: without loss
    gain: float = 0.0  # dB; what goes over full scale is cut, as players do
    sample_rate: int | None = None  # Hz
    seconds: float | None = None  # kept, from the middle
    height: int | None = None  # pixels of its picture


CHANGES: dict[str, Change] = {
    "64 kbit/s": Change(bit_rate=64_000),
    "-3 dB": Change(gain=-3.0),
    "+3 dB": Change(gain=3.0),
    "10 s": Change(seconds=10.0),
    "8 kHz": Change(sample_rate=8_000),
    "144p": Change(height=144),
}
"""Every change by its name in reports."""

MP3_RATES = (32_000, 44_100, 48_000)  # Hz
PCM, MP3, H264 = "pcm_s16le", "libmp3lame", "libx264"


def changes(source: Path | str, change: Change) -> bool:
    """Whether the change makes another file of this one: a quiet picture has no level, a short clip no middle.

    Raises:
        FileMissing, NotMedia: as `make`.
    """
    with _opened(source) as given:
        sound, picture = _audio(given), _video(given)
        if change.height:
            return picture is not None and picture.codec_context.height > change.height
        if change.seconds:
            return given.duration is not None and given.duration / 1e6 > change.seconds
        if change.sample_rate:
            return sound is not None and sound.codec_context.sample_rate > change.sample_rate
        return sound is not None


def make(source: Path | str, target: Path | str, change: Change) -> Path:
    """Write a changed copy of a file to `target` (its suffix: `SUFFIX`) and return that.

    A picture that the change does not touch is copied packet by packet; a cover is no picture. Sound that keeps its
    bit rate is kept without loss.

    Raises:
        FileMissing: there is no such file.
        NotMedia: it cannot be read, or has nothing that the change could be made to.
    """
    import av

    target = Path(target)
    try:
        with _opened(source) as given, av.open(str(target), "w") as made:
            sound, picture = _audio(given), _video(given)
            if change.height and picture is None:
                raise NotMedia("That file has no video.", hint="")
            if (change.bit_rate or change.gain or change.sample_rate) and sound is None:
                raise NotMedia("That file has no sound.", hint="")
            if sound is None and picture is None:
                raise NotMedia
            streams = [] if sound is None else [_sound(given, sound, made, change)]
            streams += [] if picture is None else [_picture(given, picture, made, change)]
            for packet in chain.from_iterable(streams):  # one after the other, which a file for ourselves may be
                made.mux(packet)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _span(given: InputContainer, change: Change) -> tuple[float, float]:
    """The seconds that are kept."""
    if change.seconds is None or given.duration is None:
        return 0.0, float("inf")
    begin = max(0.0, given.duration / 1e6 - change.seconds) / 2
    return begin, begin + change.seconds


def _sound(given: InputContainer, stream: Any, made: OutputContainer, change: Change) -> Iterator[Any]:
    import av

    layout = "stereo" if stream.codec_context.channels > 1 else "mono"
    rate = change.sample_rate or stream.codec_context.sample_rate
    if change.bit_rate and rate not in MP3_RATES:
        rate = 44_100
    out: Any = made.add_stream(MP3 if change.bit_rate else PCM, rate=rate, layout=layout)
    if change.bit_rate:
        out.bit_rate = change.bit_rate
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
    begin, end = _span(given, change)
    factor = np.float32(10 ** (change.gain / 20))
    at = 0  # samples read

    def packets() -> Iterator[Any]:
        nonlocal at
        written = 0
        for decoded in chain(given.decode(stream), (None,)):
            for frame in resampler.resample(decoded):
                samples = frame.to_ndarray()
                first, last = (np.clip(int(min(t, 1e9) * rate) - at, 0, samples.shape[1]) for t in (begin, end))
                at += samples.shape[1]
                kept = np.ascontiguousarray(np.clip(samples[:, first:last] * factor, -1.0, 1.0), np.float32)
                if kept.shape[1]:
                    block = av.AudioFrame.from_ndarray(kept, format="fltp", layout=layout)
                    block.sample_rate, block.pts = rate, written
                    written += kept.shape[1]
                    yield from out.encode(block)
        yield from out.encode(None)

    return packets()


def _picture(given: InputContainer, stream: Any, made: OutputContainer, change: Change) -> Iterator[Any]:
    if change.height is None and change.seconds is None:
        out: Any = made.add_stream_from_template(stream)

        def remuxed() -> Iterator[Any]:
            given.seek(0)
            for packet in given.demux(stream):
                if packet.dts is not None:
                    packet.stream = out
                    yield packet

        return remuxed()

    wide, high = stream.codec_context.width, stream.codec_context.height
    if change.height:
        wide, high = max(2, round(wide * change.height / high / 2) * 2), change.height
    rate = round(float(stream.average_rate or 25)) or 25
    encoder: Any = made.add_stream(H264, rate=rate)
    encoder.width, encoder.height, encoder.pix_fmt = wide // 2 * 2, high // 2 * 2, "yuv420p"
    encoder.options = {"preset": "veryfast"}
    begin, end = _span(given, change)

    def packets() -> Iterator[Any]:
        given.seek(0)
        written = 0
        for number, frame in enumerate(given.decode(stream)):
            time = frame.time if frame.time is not None else number / rate
            if time >= end:
                break
            if time >= begin:
                small = frame.reformat(width=encoder.width, height=encoder.height, format="yuv420p")
                small.pts, small.time_base = written, Fraction(1, rate)
                written += 1
                yield from encoder.encode(small)
        yield from encoder.encode(None)

    return packets()
