"""Features of the real songs and lyrics that the benchmarks measure on, computed once and kept in the cache folder.

The first time takes some twenty minutes on two cores: every song whole and in halves, and as five kinds of copies.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from clipsim import copies, media, settings
from clipsim.encoders import LIBROSA, MPNET, MUSICNN, Encoded, halves
from clipsim.encoders.text import OVERLAP, windows
from clipsim.errors import SourceError
from clipsim.fingerprint import Fingerprint, fingerprint
from clipsim.model import Features

DATA = Path(os.environ.get("CLIPSIM_TESTDATA") or Path(__file__).parent / "../../shared/data")
KINDS = tuple(name for name, change in copies.CHANGES.items() if change.height is None)  # copies that change the sound
HEARD = ("librosa", "musicnn")
LAYERS = ("maxima", "tags")  # layers of musicnn that its encoder does not keep, to be measured beside those it does
VERSION = 2  # of what is kept: count up when an encoder's output changes


@dataclass(frozen=True)
class Songs:
    """Excerpts of some 18 s (some tags may be empty); everything has one entry for each song."""

    artist: np.ndarray
    title: np.ndarray
    genre: np.ndarray
    features: list[Features]  # librosa, musicnn and the other layers, with their halves
    fingerprints: list[Fingerprint]
    copies: dict[str, list[Features]]  # by kind, in the songs' order
    copied: dict[str, list[Fingerprint]]


@dataclass(frozen=True)
class Words:
    """Real captions, cleaned; everything has one entry for each text."""

    title: np.ndarray
    genre: np.ndarray
    text: np.ndarray
    features: list[Features]  # mpnet, with its halves, and as "cls" its first token's state


def songs() -> Songs:
    """Every song that can be heard (a few are shorter than a second)."""
    kept = _kept("songs", _encode_songs)
    variants = {kind: _features(kept, (*HEARD, *LAYERS), f" {kind}" if kind else "") for kind in ("", *KINDS)}
    prints = {kind: list(kept[f"fingerprint {kind}" if kind else "fingerprint"]) for kind in ("", *KINDS)}
    whole, whole_prints = variants.pop(""), prints.pop("")
    return Songs(kept["artist"], kept["title"], kept["genre"], whole, whole_prints, variants, prints)


def words() -> Words:
    """Every lyric that has enough words; those that would count as an instrumental are left out."""
    kept = _kept("lyrics", _encode_words)
    return Words(kept["title"], kept["genre"], kept["text"], _features(kept, ("mpnet", "cls")))


def matrix(features: Sequence[Features], encoder: str) -> np.ndarray:
    """The vectors of one encoder, one row for each clip."""
    return np.array([clip.vectors[encoder] for clip in features])


def _features(kept: dict[str, np.ndarray], encoders: tuple[str, ...], kind: str = "") -> list[Features]:
    count = len(kept[encoders[0]])
    found = []
    for row in range(count):
        halves = {name: kept[f"{name} halves"][row] for name in encoders if f"{name} halves" in kept and not kind}
        found.append(
            Features(
                {name: kept[f"{name}{kind}"][row] for name in encoders},
                {name: both for name, both in halves.items() if np.isfinite(both).all()},
            )
        )
    return found


def _kept(name: str, encode: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if not DATA.is_dir():
        sys.exit("No test data: name its folder with CLIPSIM_TESTDATA.")
    path = settings.load().cache / "benchmarks" / f"{name}-{VERSION}.npz"
    if not path.exists():
        print(f"encoding the {name} once, into {path}", file=sys.stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, allow_pickle=False, **encode())
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _encode_songs() -> dict[str, np.ndarray]:
    rows = _rows(DATA / "songs" / "songs.csv")
    files = [str(DATA / "songs" / row["file"]) for row in rows]
    found: dict[str, list[Any]] = {}
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        for number, (row, heard) in enumerate(zip(rows, pool.map(_hear, files), strict=True)):
            print(f"\r{number + 1} of {len(rows)}", end="", file=sys.stderr)
            if isinstance(heard, str):
                print(f"\nleft out {row['file']}: {heard}", file=sys.stderr)
                continue
            for key, value in {**{key: row[key] for key in ("artist", "title", "genre")}, **heard}.items():
                found.setdefault(key, []).append(value)
    print(file=sys.stderr)
    return {key: _stacked(values) for key, values in found.items()}


def _stacked(values: list[Any]) -> np.ndarray:
    """One array; fingerprints of several lengths are filled up with silence, which says nothing."""
    if isinstance(values[0], np.ndarray) and values[0].dtype == np.uint32:
        longest = max(len(value) for value in values)
        values = [np.pad(value, (0, longest - len(value))) for value in values]
    return np.array(values)


_encoders: dict[str, Any] = {}


def _hear(file: str) -> dict[str, np.ndarray] | str:
    """All that is kept of a song, or why it cannot be heard. Runs in a process of its own."""
    if not _encoders:
        import torch

        torch.set_num_threads(1)
        _encoders.update(librosa=LIBROSA.load(), musicnn=_Ear())
    try:
        found = _encode(media.decode_audio(file), "", halves=True)
    except SourceError as error:
        return str(error)
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            copy = copies.make(file, Path(folder) / f"copy{copies.SUFFIX}", copies.CHANGES[kind])
            found |= _encode(media.decode_audio(copy), f" {kind}")
    return found


def _encode(waveform: np.ndarray, kind: str, *, halves: bool = False) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {f"fingerprint{kind}": fingerprint(waveform)}
    heard = {name: encoder.encode(waveform) for name, encoder in _encoders.items()}
    for name, encoded in {**heard, **_encoders["musicnn"].layers()}.items():
        found[f"{name}{kind}"] = encoded.vector
        if halves:
            found[f"{name} halves"] = _both(encoded)
    return found


class _Ear:
    """musicnn, which tells of other layers too."""

    def __init__(self) -> None:
        self.encoder = MUSICNN.load()
        self.seen: dict[str, list[np.ndarray]] = {}
        network = self.encoder.network
        network.pool_norm.register_forward_pre_hook(self._pooled)
        network.output.register_forward_hook(self._answered)

    def encode(self, waveform: np.ndarray) -> Encoded:
        self.seen = {name: [] for name in LAYERS}
        found: Encoded = self.encoder.encode(waveform)
        return found

    def layers(self) -> dict[str, Encoded]:
        """The other layers of the track that was encoded last."""
        found = {}
        for name, batches in self.seen.items():
            patches = np.concatenate(batches)
            found[name] = Encoded(patches.mean(0), segments=halves(patches))
        return found

    def _pooled(self, module: Any, given: Any) -> None:
        self.seen["maxima"].append(given[0].reshape(len(given[0]), -1, 2)[:, :, 0].numpy())

    def _answered(self, module: Any, given: Any, logits: Any) -> None:
        self.seen["tags"].append(logits.sigmoid().numpy())


def _both(encoded: Any) -> np.ndarray:
    """The halves; not numbers where there are none."""
    nothing = np.full((2, len(encoded.vector)), np.nan, np.float32)
    return nothing if encoded.segments is None else np.asarray(encoded.segments)


def _encode_words() -> dict[str, np.ndarray]:
    from clipsim.sources.lyrics import MIN_WORDS, parse_lines, word_count

    encoder: Any = MPNET.load()
    found: dict[str, list[Any]] = {key: [] for key in ("title", "genre", "text", "mpnet", "mpnet halves", "cls")}
    for row in _rows(DATA / "deck" / "lyrics.csv"):
        text = "\n".join(parse_lines(row["lyrics"], automatic=True))
        if word_count(text) < MIN_WORDS:
            continue
        encoded = encoder.encode(text)
        values = (row["song_name"], row["genre"], text, encoded.vector, _both(encoded), _first(encoder, text))
        for key, value in zip(found, values, strict=True):
            found[key].append(value)
    return {key: np.array(values) for key, values in found.items()}


def _first(encoder: Any, text: str) -> np.ndarray:
    """The state of the `[CLS]` token, over the same windows: what the deck took of its network."""
    ids = encoder._ids(text)
    size = encoder.tokens - 2
    parts = windows(len(ids), size, min(OVERLAP, size // 4))
    states = encoder._states([ids[start:stop] for start, stop in parts])
    return np.mean([state[0].numpy() for state in states], axis=0, dtype=np.float32)


def _rows(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
