"""A clip of four minutes as YouTube would serve it, made of the real ones in the folder of test data.

Picture: 640 × 360, H.264, 25 frames a second, a keyframe every five seconds, of the two videos in turn. Sound: Opus at
70 kbit/s of the whole tracks. Words: real captions. Made once, and kept in the temporary folder.
"""

from __future__ import annotations

import csv
import os
import re
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from benchmarks.songs import DATA

SECONDS = 240
WIDTH, HEIGHT, FPS, KEYFRAMES = 640, 360, 25, 125  # a keyframe every so many frames
VIDEO_RATE, AUDIO_RATE = 150_000, 70_000  # bits a second
SAMPLE_RATE = 48_000  # Hz, of Opus
MADE = Path(tempfile.gettempdir()) / "clipsim-benchmarks"


@dataclass(frozen=True)
class Made:
    """The clip's files and words."""

    video: Path  # without sound
    audio: Path  # without picture
    lyrics: str


def available() -> bool:
    """Whether there is test data to make it of."""
    return (DATA / "clips").is_dir() and (DATA / "music").is_dir()


def four_minutes() -> Made:
    """The clip."""
    MADE.mkdir(exist_ok=True)
    return Made(_made("video-360p.mp4", _video), _made("audio.webm", _audio), lyrics(1)[0])


def lyrics(count: int) -> list[str]:
    """Real lyrics, the first of the longer half."""
    with (DATA / "deck" / "lyrics.csv").open(newline="", encoding="utf-8") as file:
        texts = [row["lyrics"] for row in csv.DictReader(file)]
    middle = sorted(map(len, texts))[len(texts) // 2]
    return [text for text in texts if len(text) >= middle][:count]


def captions(text: str) -> str:
    """The words as a WebVTT file, a line every three seconds."""
    cues = [
        f"{_time(3 * number)} --> {_time(3 * number + 3)}\n{line}"
        for number, line in enumerate(filter(None, re.split(r"\s*\n\s*|\s{2,}", text.strip())))
    ]
    return "WEBVTT\n\n" + "\n\n".join(cues) + "\n"


def _time(seconds: int) -> str:
    return f"{seconds // 60:02}:{seconds % 60:02}.000"


def _made(name: str, make: object) -> Path:
    path = MADE / name
    if not path.exists():
        draft = path.with_stem(f"{path.stem}-{os.getpid()}")
        make(draft)  # type: ignore[operator]
        draft.replace(path)
    return path


def _video(path: Path) -> None:
    import av

    frames = []
    for source in sorted((DATA / "clips").glob("*.mp4")):
        with av.open(str(source)) as container:
            frames += [f.reformat(width=WIDTH, height=HEIGHT, format="yuv420p") for f in container.decode(video=0)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", VIDEO_RATE
        stream.options = {"preset": "veryfast", "g": str(KEYFRAMES)}
        for number in range(SECONDS * FPS):
            frame = frames[number % len(frames)]
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)


def _audio(path: Path) -> None:
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libopus", rate=SAMPLE_RATE)
        stream.bit_rate, stream.layout = AUDIO_RATE, "stereo"
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=SAMPLE_RATE)
        count = 0
        tracks = sorted((DATA / "music").glob("*.ogg"))
        while count < SECONDS * SAMPLE_RATE:
            for track in tracks:
                with av.open(str(track)) as container:
                    for frame in container.decode(audio=0):
                        frame.pts = None
                        for piece in resampler.resample(frame):
                            if count >= SECONDS * SAMPLE_RATE:
                                break
                            piece.pts, piece.time_base = count, Fraction(1, SAMPLE_RATE)
                            count += piece.samples
                            for packet in stream.encode(piece):
                                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
