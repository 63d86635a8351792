"""Do neighbours agree with people's labels? Audio alone, on the excerpts of songs in the test data; every method fair.

Each song asks for its nearest; a hit has the same artist (any other song), or the same genre (songs of other artists
only, so that knowing a voice is not mistaken for knowing a genre). All methods get the same standardised columns and
are fitted on all songs, labels unseen. Chance: the share of hits among all songs that could have been returned.

    python -m benchmarks neighbours        (the folder of test data: CLIPSIM_TESTDATA)
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from clipsim import fusion, media
from clipsim.encoders import LIBROSA, MUSICNN, PRESETS, Preset, audio, tags
from clipsim.errors import ClipSimError
from clipsim.model import Features, Method

DATA = Path(os.environ.get("CLIPSIM_TESTDATA") or Path(__file__).parent / "../../shared/data")
KEPT = Path(tempfile.gettempdir()) / "clipsim-bench-songs.npz"  # features of an earlier run
K = 5
ROUNDS = 1000  # bootstrap samples of the queries for the 95 % interval
METHODS: tuple[Method, ...] = ("raw", "pca", "standard", "paper")


def main() -> int:
    """Print the table. Returns 1 without test data."""
    if not (DATA / "songs" / "songs.csv").is_file():
        print("No test data: name its folder with CLIPSIM_TESTDATA.", file=sys.stderr)
        return 1
    rows, features = encoded()
    artists = np.array([row["artist"] for row in rows])
    genres = np.array([row["genre"] for row in rows])
    other = artists[:, None] != artists[None, :]
    itself = np.eye(len(rows), dtype=bool)
    print(
        f"{len(rows)} songs, {len(set(artists))} artists, {len(set(genres))} genres; 95 % intervals over the queries\n"
    )
    print(f"| encoders | method | same artist P@{K} | same genre, other artists, P@{K} |\n|---|---|---|---|")
    print(f"| | chance | {chance(artists, ~itself):.3f} | {chance(genres, other):.3f} |")
    runs: list[tuple[Preset, Method]] = [(Preset("257", (LIBROSA,)), "raw"), (Preset("musicnn", (MUSICNN,)), "raw")]
    runs += [(PRESETS["standard"], method) for method in METHODS]
    for preset, method in runs:
        names = preset.encoders
        mine = [Features(vectors={n: v for n, v in one.vectors.items() if n in names}) for one in features]
        matrix = fusion.fit(method, mine, preset).embed(mine)
        cosines = matrix @ matrix.T
        artist, genre = hits(cosines, artists, ~itself), hits(cosines, genres, other)
        shown = " + ".join(n for n in names if n in features[0].vectors)
        print(f"| {shown} | {method} | {told(artist)} | {told(genre)} |", flush=True)
    return 0


def encoded() -> tuple[list[dict[str, str]], list[Features]]:
    """The songs that have an artist and a genre and can be read, and their audio features."""
    with (DATA / "songs" / "songs.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["artist"] and row["genre"]]
    known = dict(np.load(KEPT)) if KEPT.exists() else {}
    ear, tagger = audio.load(), tags.load()
    found, features = [], []
    for number, row in enumerate(rows):
        name = row["file"]
        if f"{name}/librosa" not in known:
            try:
                waveform = media.decode_audio(DATA / "songs" / name, 600.0)
                known[f"{name}/librosa"] = ear.encode(waveform).vector
                known[f"{name}/musicnn"] = tagger.encode(waveform).vector
            except ClipSimError as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
            if number % 50 == 0:
                print(f"{number} of {len(rows)} heard", file=sys.stderr)
        found.append(row)
        features.append(Features(vectors={part: known[f"{name}/{part}"] for part in ("librosa", "musicnn")}))
    np.savez(KEPT, **known)
    return found, features


def hits(cosines: np.ndarray, labels: np.ndarray, may: np.ndarray) -> np.ndarray:
    """Precision of the first K for each query that has at least one hit to find; shape (queries,)."""
    same = labels[:, None] == labels[None, :]
    order = np.argsort(-np.where(may, cosines, -np.inf), axis=1, kind="stable")[:, :K]
    precision = np.take_along_axis(same & may, order, axis=1).mean(axis=1)
    return precision[(same & may).any(axis=1)]


def chance(labels: np.ndarray, may: np.ndarray) -> float:
    """Precision of a random order, over the same queries."""
    same = (labels[:, None] == labels[None, :]) & may
    return float((same.sum(axis=1) / may.sum(axis=1))[same.any(axis=1)].mean())


def told(precision: np.ndarray) -> str:
    """Mean and 95 % interval (bootstrap over the queries, seeded)."""
    draws = np.random.default_rng(0).choice(precision, (ROUNDS, len(precision))).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{precision.mean():.3f} ({low:.3f}–{high:.3f})"


if __name__ == "__main__":
    sys.exit(main())
