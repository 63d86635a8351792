"""A small made-up library to try: two dozen clips in four styles, every sound, picture and word made by code.

The styles differ in rhythm, timbre, motion and words, so that a listener can judge the answers: a clip's neighbours
should be of its own style, and four clusters should appear.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 22050  # Hz
SECONDS = 6.0  # of sound
SEEN_SECONDS = 2.6  # of picture: one window of the video encoder, which is what takes the time
FRAMES_PER_SECOND = 25
WIDTH, HEIGHT = 160, 120  # pixels
CLIPS_PER_STYLE = 6
CHORDS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))  # semitones above the root: I, vi, IV, V

Wave = NDArray[np.float64]
Picture = NDArray[np.uint8]  # shape (height, width, 3)
Frame = Callable[[float, np.random.Generator], Picture]  # the picture at a time in seconds


@dataclass(frozen=True, slots=True)
class Style:
    """One of the four: how it sounds, moves and what it sings of."""

    name: str
    artists: tuple[str, ...]
    titles: tuple[str, ...]
    tempo: float  # beats per minute of the first clip; later ones are a little faster
    root: float  # Hz
    voice: Callable[[float, float, np.random.Generator], Wave]
    beat: str  # sixteen steps: k kick, s snare, h hat, . rest
    frame: Frame
    lines: tuple[str, ...]


def make(folder: Path, count: int = 4 * CLIPS_PER_STYLE) -> Iterator[Path]:
    """Write `count` clips (mp4) and `manifest.csv` into the folder; yields each file when it is there.

    Files that exist are left as they are, so a second call is quick.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        style, variant = STYLES[number % len(STYLES)], number // len(STYLES)
        title, artist = style.titles[variant % len(style.titles)], style.artists[variant // 2 % len(style.artists)]
        path = folder / f"{artist} - {title}.mp4"
        rng = np.random.default_rng(number)
        lyrics = _lyrics(style, rng)
        if not path.exists():
            part = path.with_suffix(".part")
            _write(part, _sound(style, variant, rng), style.frame, rng)
            part.replace(path)
        rows.append((str(path), title, artist, style.name, lyrics))
        yield path
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("source", "title", "artist", "genre", "lyrics"))
        writer.writerows(rows)


# Sound


def _time(seconds: float) -> Wave:
    return np.arange(int(seconds * RATE)) / RATE


def _pad(frequency: float, seconds: float, rng: np.random.Generator) -> Wave:
    """Soft sines, slowly swelling."""
    t = _time(seconds)
    return sum(np.sin(2 * np.pi * frequency * n * t + rng.uniform(0, 6)) / n**2 for n in (1, 2, 3)) * np.sin(
        np.pi * t / seconds
    )


def _saw(frequency: float, seconds: float, rng: np.random.Generator) -> Wave:
    """A bright saw that dies away quickly."""
    t = _time(seconds)
    return (2 * ((frequency * t + rng.random()) % 1) - 1) * np.exp(-5 * t)


def _distorted(frequency: float, seconds: float, rng: np.random.Generator) -> Wave:
    """A fifth driven into clipping, with some noise."""
    t = _time(seconds)
    tone = np.sin(2 * np.pi * frequency / 2 * t) + np.sin(2 * np.pi * frequency * 0.75 * t)
    return np.tanh(8 * tone) + 0.1 * rng.standard_normal(t.size)


def _string(frequency: float, seconds: float, rng: np.random.Generator) -> Wave:
    """A plucked string: filtered noise in a loop (Karplus and Strong 1983)."""
    samples, period = int(seconds * RATE), max(2, int(RATE / frequency))
    loop, out = rng.uniform(-1, 1, period), np.empty(samples)
    for start in range(0, samples, period):
        stop = min(start + period, samples)
        out[start:stop] = loop[: stop - start]
        loop = 0.498 * (loop + np.roll(loop, 1))
    return out


def _drum(kind: str, rng: np.random.Generator) -> Wave:
    t = _time(0.15)
    if kind == "k":
        return np.asarray(1.6 * np.sin(2 * np.pi * (50 + 90 * np.exp(-30 * t)) * t) * np.exp(-18 * t))
    noise = rng.standard_normal(t.size)
    if kind == "s":
        return np.asarray(0.7 * noise * np.exp(-22 * t))
    return np.asarray(0.25 * np.diff(noise, prepend=0) * np.exp(-70 * t))


def _sound(style: Style, variant: int, rng: np.random.Generator) -> NDArray[np.float32]:
    step = 60 / (style.tempo * (1 + 0.015 * variant)) / 4  # a sixteenth, in seconds
    out = np.zeros(int(SECONDS * RATE) + RATE)
    for number in range(int(SECONDS / step)):
        start = int(number * step * RATE)
        kind = style.beat[number % 16]
        if kind != ".":
            drum = _drum(kind, rng)
            out[start : start + drum.size] += drum
        if number % 4 == 0 or (style.voice is _string and number % 2 == 0):
            chord = CHORDS[(number // 16 + variant) % 4]
            notes = [chord[(number // 2) % 3]] if style.voice is _string else chord
            for semitone in notes:
                tone = 0.3 * style.voice(style.root * 2 ** (semitone / 12), 4 * step, rng)
                out[start : start + tone.size] += tone[: out.size - start]
    out = out[: int(SECONDS * RATE)]
    return np.asarray(0.7 * out / np.abs(out).max(), np.float32)


# Picture

_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)


def _colour(light: Wave, red: float, green: float, blue: float) -> Picture:
    light = np.clip(light, 0, 1)[..., None]
    return np.asarray(255 * light * np.array([red, green, blue]), np.uint8)


def _rings(t: float, rng: np.random.Generator) -> Picture:
    distance = np.hypot(_X - WIDTH / 2, _Y - HEIGHT / 2)
    return _colour(0.5 + 0.5 * np.sin(distance / 5 - 14 * t), 0.9, 0.1, 0.9 - 0.3 * (t % 0.5))


def _drift(t: float, rng: np.random.Generator) -> Picture:
    return _colour(0.35 + 0.3 * np.sin(_X / 60 + 0.7 * t) * np.cos(_Y / 50 - 0.4 * t), 0.3, 0.5, 1.0)


def _shake(t: float, rng: np.random.Generator) -> Picture:
    shift = rng.integers(-9, 10)
    return _colour(((_X + shift + 60 * t) // 12 % 2) * 0.8 + 0.15 * rng.random((HEIGHT, WIDTH)), 1.0, 0.2, 0.1)


def _ball(t: float, rng: np.random.Generator) -> Picture:
    picture = _colour(np.full((HEIGHT, WIDTH), 0.75), 0.6, 0.85, 1.0)
    picture[HEIGHT * 2 // 3 :] = (70, 140, 60)
    x, y = WIDTH * (0.5 + 0.4 * np.sin(1.3 * t)), HEIGHT * (0.65 - 0.45 * abs(np.sin(3 * t)))
    picture[np.hypot(_X - x, _Y - y) < 12] = (230, 190, 40)
    return picture


def _write(path: Path, sound: NDArray[np.float32], frame: Frame, rng: np.random.Generator) -> None:
    import av

    with av.open(str(path), "w", format="mp4") as container:
        video: Any = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.options = {"crf": "26", "preset": "veryfast"}
        audio: Any = container.add_stream("aac", rate=RATE)
        for number in range(int(SEEN_SECONDS * FRAMES_PER_SECOND)):
            picture = av.VideoFrame.from_ndarray(frame(number / FRAMES_PER_SECOND, rng), format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode())
        for start in range(0, sound.size, 1024):
            chunk = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], format="fltp", layout="mono")
            chunk.sample_rate, chunk.pts = RATE, start
            container.mux(audio.encode(chunk))
        container.mux(audio.encode())


def _lyrics(style: Style, rng: np.random.Generator) -> str:
    order = rng.permutation(len(style.lines))
    verse = [style.lines[index] for index in order]
    return "\n".join([*verse[:6], verse[0], verse[1], *verse[6:], verse[0], verse[1]])


STYLES = (
    Style(
        "dance",
        ("Neon Harbour", "Kilo Kiosk", "Disco Ferry"),
        ("Night Shift", "Strobe", "Till the Lights", "Bassline Kids", "Four A.M.", "Glow"),
        124,
        110.0,
        _saw,
        "k.h.k.h.k.h.k.h.",
        _rings,
        (
            "Hands up in the neon light tonight",
            "Everybody move when the bass drops low",
            "We dance on the floor until the morning",
            "Turn it up, the party never stops",
            "Your body moves and the speakers shake",
            "Feel the rhythm running through the club",
            "One more song, don't let the DJ go",
            "Jump with me under the mirror ball",
            "The beat is louder than my heart",
        ),
    ),
    Style(
        "ballad",
        ("Mara Winter", "Josef Lund", "Paper Moons"),
        ("Letters", "Rain on Glass", "If You Stay", "Slow Goodbye", "Empty Chair", "Tender"),
        66,
        220.0,
        _pad,
        "k...............",
        _drift,
        (
            "I still keep every letter you wrote me",
            "Rain on the window and tears on my face",
            "Tell me you love me, or tell me goodbye",
            "My heart remembers the touch of your hand",
            "I lie awake and I whisper your name",
            "Without you the house is empty and cold",
            "Hold me a moment, forgive what I said",
            "Love is a promise we couldn't keep",
            "If you stay I will never let you go",
        ),
    ),
    Style(
        "rock",
        ("The Rust Engines", "Black Fuse", "Wolf Tax"),
        ("Burn the Map", "Gasoline", "No Surrender", "Wrecking Crew", "Wire and Bone", "Riot Hour"),
        152,
        110.0,
        _distorted,
        "k.h.s.hkk.h.s.hs",
        _shake,
        (
            "Fire in the street and blood on the wire",
            "We will not kneel and we will not surrender",
            "Burn it all down, let the engines scream",
            "Break every chain that they put on us",
            "Steel and gasoline, thunder in my veins",
            "They built a wall and we tear it apart",
            "Fight until the last siren dies",
            "Rage is the only language they hear",
            "Nobody owns us, nobody wins this war",
        ),
    ),
    Style(
        "folk",
        ("Anna Fieldhouse", "The Millers", "Tom Heron"),
        ("River Road", "Barley", "My Father's Boat", "Old Mill", "Swallows", "Harvest Home"),
        98,
        196.0,
        _string,
        "................",
        _ball,
        (
            "Down by the river where the willows grow",
            "My father's boat lay sleeping on the shore",
            "The barley was golden, the valley was green",
            "I walked the old road over the hill to home",
            "Swallows return to the barn in the spring",
            "Grandmother sang by the light of the fire",
            "The mill wheel turns and the seasons go by",
            "Bread on the table and snow on the field",
            "Carry me back to the mountain and the stream",
        ),
    ),
)
