"""Features of the real songs and lyrics that the benchmarks measure on, computed once and kept in the cache folder."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clipsim import media, settings
from clipsim.encoders import LIBROSA, MPNET, MUSICNN
from clipsim.errors import SourceError

DATA = Path(os.environ.get("CLIPSIM_TESTDATA") or Path(__file__).parent / "../../shared/data")


@dataclass(frozen=True)
class Songs:
    """Excerpts of 18 s: who sings, which genre (as tagged, may be empty), and their vectors, one row each."""

    artist: np.ndarray
    genre: np.ndarray
    vectors: dict[str, np.ndarray]  # librosa (songs, 257), musicnn (songs, 200)


@dataclass(frozen=True)
class Words:
    """Real lyrics: their genre, and their vectors, one row each."""

    genre: np.ndarray
    vectors: dict[str, np.ndarray]  # mpnet (lyrics, 768)


def songs() -> Songs:
    """Every song that can be heard (a few are shorter than a second)."""
    kept = _kept("songs", _encode_songs)
    return Songs(kept["artist"], kept["genre"], {name: kept[name] for name in ("librosa", "musicnn")})


def words() -> Words:
    """Every lyric that is not empty."""
    kept = _kept("lyrics", _encode_words)
    return Words(kept["genre"], {"mpnet": kept["mpnet"]})


def _kept(name: str, encode: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if not DATA.is_dir():
        sys.exit("No test data: name its folder with CLIPSIM_TESTDATA.")
    path = settings.load().cache / "benchmarks" / f"{name}.npz"
    if not path.exists():
        print(f"encoding the {name} once, into {path}", file=sys.stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, allow_pickle=False, **encode())
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _encode_songs() -> dict[str, np.ndarray]:
    encoders = {"librosa": LIBROSA.load(), "musicnn": MUSICNN.load()}
    found: dict[str, list] = {"artist": [], "genre": [], **{name: [] for name in encoders}}
    for row in _rows(DATA / "songs" / "songs.csv"):
        try:
            waveform = media.decode_audio(DATA / "songs" / row["file"])
        except SourceError as error:
            print(f"left out {row['file']}: {error}", file=sys.stderr)
            continue
        found["artist"].append(row["artist"])
        found["genre"].append(row["genre"])
        for name, encoder in encoders.items():
            found[name].append(encoder.encode(waveform).vector)
    return {name: np.array(values) for name, values in found.items()}


def _encode_words() -> dict[str, np.ndarray]:
    encoder = MPNET.load()
    rows = [row for row in _rows(DATA / "deck" / "lyrics.csv") if row["lyrics"].strip()]
    vectors = [encoder.encode(row["lyrics"]).vector for row in rows]
    return {"genre": np.array([row["genre"] for row in rows]), "mpnet": np.array(vectors)}


def _rows(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
