"""Inputs of the benchmarks made of the folder of test data (CLIPSIM_TESTDATA): a video of four minutes, real lyrics."""

from __future__ import annotations

import csv
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import PictureType

from benchmarks.songs import DATA

FPS = 30
PIECE = 720  # frames: 24 s, encoded once, then played ten times
PLAYS = 10
WIDTH, HEIGHT = 640, 360
KEYFRAMES = 5  # seconds between them, as YouTube's streams have
LYRICS = 64
FEWEST_WORDS = 10
VERSION = 1  # of the video: count up when it is made otherwise


def needed() -> None:
    """Ends the process with a sentence where the test data is not there."""
    if not (DATA / "clips").is_dir() or not (DATA / "deck/lyrics.csv").is_file():
        sys.exit("No test data: name its folder with CLIPSIM_TESTDATA.")


def video() -> Path:
    """Four minutes of the two real clips by turns: 640 × 360, 30 frames a second, H.264, made once."""
    folder = Path(tempfile.gettempdir()) / "clipsim-benchmarks"
    file = folder / f"four-minutes-{VERSION}.mp4"
    if file.is_file():
        return file
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        piece, whole = Path(scratch) / "piece.mp4", Path(scratch) / "whole.mp4"
        _encode(sorted((DATA / "clips").glob("*.mp4")), piece)
        _repeat(piece, whole)
        whole.replace(file)
    return file


def lyrics() -> list[str]:
    """The first real lyrics that have enough words."""
    with (DATA / "deck/lyrics.csv").open(encoding="utf-8", newline="") as file:
        found = [row["lyrics"] for row in csv.DictReader(file)]
    return [text for text in found if len(text.split()) >= FEWEST_WORDS][:LYRICS]


def _encode(clips: list[Path], file: Path) -> None:
    """Equally many frames of each clip, one after the other."""
    with av.open(str(file), "w") as out:
        options = {"preset": "medium", "crf": "25", "maxrate": "700k", "bufsize": "1400k"}
        stream = out.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", FPS * KEYFRAMES
        made = 0
        for number, clip in enumerate(clips, start=1):
            with av.open(str(clip)) as given:
                while made < PIECE * number // len(clips):
                    given.seek(0)
                    for frame in given.decode(video=0):
                        if made == PIECE * number // len(clips):
                            break
                        scaled = frame.reformat(WIDTH, HEIGHT, "yuv420p", interpolation="BICUBIC")
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
