"""Inputs of the benchmarks made of the folder of test data (CLIPSIM_TESTDATA): a clip of four minutes, real lyrics.

Files are made once, and kept in the temporary folder.
"""

from __future__ import annotations

import csv
import re
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import PictureType

from benchmarks.songs import DATA

FPS = 30
PIECE = 720  # frames: 24 s, encoded once, then played ten times
PLAYS = 10
SIZE, SMALL = (640, 360), (426, 240)  # pixels: what the network benchmarks read, and the smallest that clipsim fetches
RATES = {SIZE: "700k", SMALL: "150k"}  # bits a second at most, as YouTube's streams have
KEYFRAMES = 5  # seconds between them, as YouTube's streams have
SECONDS = PIECE * PLAYS // FPS
SAMPLE_RATE, BIT_RATE = 48_000, 70_000  # Hz, bits a second: YouTube's Opus
LYRICS = 64
FEWEST_WORDS = 10
VERSION = 3  # of the files: count up when it is made otherwise


def needed() -> None:
    """Ends the process with a sentence where the test data is not there."""
    if not all((DATA / name).exists() for name in ("clips", "music", "deck/lyrics.csv")):
        sys.exit("No test data: name its folder with CLIPSIM_TESTDATA.")


def video(size: tuple[int, int] = SIZE) -> Path:
    """Four minutes of the two real clips by turns: H.264, 30 frames a second, no sound."""

    def make(file: Path) -> None:
        piece = file.with_name("piece.mp4")
        _encode(sorted((DATA / "clips").glob("*.mp4")), piece, size)
        _repeat(piece, file)

    return _made(f"four-minutes-{size[1]}p.mp4", make)


def sound() -> Path:
    """Four minutes of the real tracks one after the other: Opus in WebM, no picture."""
    return _made("four-minutes.webm", _sound)


def captions(text: str) -> str:
    """The words as a WebVTT file, a line every three seconds."""
    lines = filter(None, re.split(r"\s*\n\s*|\s{2,}", text.strip()))
    cues = [f"{_clock(3 * number)} --> {_clock(3 * number + 3)}\n{line}" for number, line in enumerate(lines)]
    return "WEBVTT\n\n" + "\n\n".join(cues) + "\n"


def _clock(seconds: int) -> str:
    return f"{seconds // 60:02}:{seconds % 60:02}.000"


def _made(name: str, make: Callable[[Path], None]) -> Path:
    folder = Path(tempfile.gettempdir()) / "clipsim-benchmarks"
    file = folder / f"{VERSION}-{name}"
    if not file.is_file():
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            whole = Path(scratch) / name
            make(whole)
            whole.replace(file)
    return file


def lyrics() -> list[str]:
    """The first real lyrics that have enough words."""
    with (DATA / "deck/lyrics.csv").open(encoding="utf-8", newline="") as file:
        found = [row["lyrics"] for row in csv.DictReader(file)]
    return [text for text in found if len(text.split()) >= FEWEST_WORDS][:LYRICS]


def _encode(clips: list[Path], file: Path, size: tuple[int, int]) -> None:
    """Equally many frames of each clip, one after the other."""
    with av.open(str(file), "w") as out:
        options = {"preset": "medium", "crf": "25", "maxrate": RATES[size], "bufsize": "1400k"}
        stream = out.add_stream("libx264", rate=FPS, options=options)
        (stream.width, stream.height), stream.pix_fmt, stream.gop_size = size, "yuv420p", FPS * KEYFRAMES
        made = 0
        for number, clip in enumerate(clips, start=1):
            with av.open(str(clip)) as given:
                while made < PIECE * number // len(clips):
                    given.seek(0)
                    for frame in given.decode(video=0):
                        if made == PIECE * number // len(clips):
                            break
                        scaled = frame.reformat(*size, "yuv420p", interpolation="BICUBIC")
                        scaled.pts, scaled.time_base = made, Fraction(1, FPS)
                        scaled.pict_type = PictureType.NONE  # else its keyframes would be the given clip's
                        out.mux(stream.encode(scaled))
                        made += 1
        out.mux(stream.encode(None))


def _repeat(piece: Path, file: Path) -> None:
    """The same packets again and again, later each time."""
    with av.open(str(file), "w") as out, av.open(str(piece)) as given:
        source = given.streams.video[0]
        stream = out.add_stream_from_template(source)
        length = round(PIECE / FPS / source.time_base)
        for play in range(PLAYS):
            given.seek(0)
            for packet in given.demux(source):
                if packet.dts is None:
                    continue  # the end
                packet.pts, packet.dts = packet.pts + play * length, packet.dts + play * length
                packet.stream = stream
                out.mux(packet)


def _sound(file: Path) -> None:
    with av.open(str(file), "w") as out:
        stream = out.add_stream("libopus", rate=SAMPLE_RATE)
        stream.bit_rate, stream.layout = BIT_RATE, "stereo"
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=SAMPLE_RATE)
        made = 0
        for track in sorted((DATA / "music").glob("*.ogg")) * PLAYS:
            with av.open(str(track)) as given:
                for frame in given.decode(audio=0):
                    frame.pts = None
                    for piece in resampler.resample(frame):
                        piece.pts, piece.time_base = made, Fraction(1, SAMPLE_RATE)
                        made += piece.samples
                        out.mux(stream.encode(piece))
                    if made >= SECONDS * SAMPLE_RATE:
                        out.mux(stream.encode(None))
                        return
