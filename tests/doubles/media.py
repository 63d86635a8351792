"""Media files made by code: a beat over a tone, and a bar that slides over a pattern. Nothing is recorded or fetched.

`make_clip(tmp_path / "a.mp4")` is a clip of six seconds with sound and picture. The container follows the suffix.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 48_000  # Hz; the one rate that every codec below takes
BLOCK = 4_800  # samples handed to the encoder at once
CLICK = 0.06  # seconds that a beat rings

CODECS: dict[str, tuple[str | None, str | None]] = {  # suffix -> (audio codec, video codec)
    ".mp4": ("aac", "libx264"),
    ".mkv": ("aac", "libx264"),
    ".webm": ("libopus", "libvpx"),
    ".ts": ("aac", "libx264"),  # a segment of HLS
    ".m4a": ("aac", None),
    ".mp3": ("libmp3lame", None),
    ".ogg": ("libopus", None),  # PyAV has no stable Vorbis encoder
    ".opus": ("libopus", None),
    ".flac": ("flac", None),
    ".wav": ("pcm_s16le", None),
}


def make_clip(
    path: Path | str,
    *,
    seconds: float = 6.0,
    rhythm: float = 120.0,
    tone: float = 220.0,
    motion: float = 0.5,
    audio: bool = True,
    video: bool = True,
    silent: bool = False,
    black: bool = False,
    width: int = 320,
    height: int = 240,
    fps: int = 25,
    audio_bit_rate: int = 96_000,
    video_bit_rate: int = 200_000,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a clip to `path` and return it.

    Args:
        path: where; its suffix chooses container and codecs (see CODECS). A sound-only suffix drops the picture.
        seconds: duration.
        rhythm: beats per minute of the clicks.
        tone: Hz of the steady tone below them (with its first overtones).
        motion: screen widths that the bar moves in a second; 0 is a still picture.
        audio, video: whether there is such a stream at all.
        silent, black: a stream that is there, with nothing in it.
        width, height, fps: of the picture; width and height even.
        audio_bit_rate, video_bit_rate: bits a second, where the codec has any say.
        metadata: container tags (title, artist, album, genre, …).
    """
    path = Path(path)
    audio_codec, video_codec = CODECS[path.suffix.lower()]
    with av.open(str(path), "w") as container:
        container.metadata.update(dict(metadata or {}))
        sound = picture = None
        if audio and audio_codec:
            sound = container.add_stream(audio_codec, rate=SAMPLE_RATE)
            sound.layout = "mono" if audio_codec != "libmp3lame" else "stereo"
            if audio_codec not in ("flac", "pcm_s16le"):
                sound.bit_rate = audio_bit_rate
        if video and video_codec:
            picture = container.add_stream(video_codec, rate=fps)
            picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
            picture.bit_rate = video_bit_rate
            picture.options = (
                {"preset": "ultrafast"} if video_codec == "libx264" else {"deadline": "realtime", "cpu-used": "16"}
            )
        if picture is not None:
            for index in range(round(seconds * fps)):
                image = np.zeros((height, width, 3), np.uint8) if black else _image(width, height, motion * index / fps)
                for packet in picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                    container.mux(packet)
            container.mux(picture.encode(None))
        if sound is not None:
            wave = beat(seconds, rhythm=rhythm, tone=tone) * (0.0 if silent else 1.0)
            channels = len(sound.layout.channels)
            samples = np.repeat((wave * 32767).astype(np.int16), channels)
            for start in range(0, len(samples), BLOCK * channels):
                frame = av.AudioFrame.from_ndarray(
                    samples[None, start : start + BLOCK * channels], format="s16", layout=sound.layout.name
                )
                frame.sample_rate, frame.pts = SAMPLE_RATE, start // channels
                for packet in sound.encode(frame):
                    container.mux(packet)
            container.mux(sound.encode(None))
    return path


def beat(
    seconds: float, *, rhythm: float = 120.0, tone: float = 220.0, sample_rate: int = SAMPLE_RATE
) -> NDArray[np.float32]:
    """A mono waveform in [-1, 1], shape (samples,): noise clicks at `rhythm` a minute over a tone of `tone` Hz."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    wave = sum(0.25 / k * np.sin(2 * np.pi * tone * k * time) for k in (1, 2, 3))
    since = time % (60.0 / rhythm)  # seconds since the last beat
    noise = np.random.default_rng(0).standard_normal(len(time))
    wave = wave + 0.3 * noise * np.exp(-since / CLICK * 4) * (since < CLICK)
    return np.clip(wave, -1.0, 1.0).astype(np.float32)


def _image(width: int, height: int, moved: float) -> NDArray[np.uint8]:
    """One frame, shape (height, width, 3): a chequered gradient, a bright bar `moved` screen widths to the right."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = 40 + 100 * x // width
    image[..., 1] = 40 + 100 * y // height
    image[..., 2] = 60 + 40 * ((x // 16 + y // 16) % 2)
    bar = (x - round(moved * width)) % width < width // 6
    image[bar] = (240, 220, 60)
    return image
