"""How well each fusion finds what belongs together, on real songs and lyrics; all methods on the same inputs.

    python -m benchmarks fusion        (the folder of test data: CLIPSIM_TESTDATA)
    python -m benchmarks.bench_fusion --paper      also the deck's autoencoder (600 epochs: some minutes)

Each clip is a query against all others. P@5 is the share of the first five that belong with it, mAP the mean average
precision of the whole order, after it the share that a blind guess gets right. "naive" is the cosine of the vectors as
they come from the encoders, side by side.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.songs import Songs, Words, songs, words
from clipsim import fusion
from clipsim.encoders import PRESETS
from clipsim.fusion import columns, standardise
from clipsim.model import Features, Method

PRESET = PRESETS["standard"]
# Songs of a genre (words in its tag) get real lyrics of another one, so that both modalities tell the classes apart
# and neither is the other's.
PAIRS = {"metal": "hip-hop", "punk": "country", "rock": "pop-rock"}
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--paper", action="store_true", help="train the deck's autoencoder too")
    methods: list[Method] = ["raw", "pca", "standard"]
    if parser.parse_args().paper:
        methods.append("paper")
    heard, read = songs(), words()
    names, counts = np.unique(heard.artist, return_counts=True)
    several = np.isin(heard.artist, names[(counts > 1) & (names != "")])
    clips = _features(heard, np.flatnonzero(several))
    table(f"same artist, {several.sum()} songs", clips, heard.artist[several], methods, ("librosa", "musicnn"))
    spoken = [Features({"mpnet": vector}) for vector in read.vectors["mpnet"]]
    table(f"same genre, {len(spoken)} lyrics", spoken, read.genre, methods, ("mpnet",))
    clips, classes, artists = paired(heard, read)
    title = f"same class, {len(clips)} songs with real lyrics of another genre, other artists only"
    table(title, clips, classes, methods, ("librosa", "musicnn", "mpnet"), artists)
    few(heard)


def table(
    title: str,
    clips: Sequence[Features],
    truth: np.ndarray,
    methods: Sequence[Method],
    encoders: Sequence[str],
    apart: np.ndarray | None = None,
) -> None:
    """Print one line for each encoder alone, for the naive order and for each method."""
    chance = np.mean([(truth == each).sum() - 1 for each in truth]) / (len(truth) - 1)
    print(f"\n{title} (chance {chance:.3f})", flush=True)
    naive = [np.concatenate([clip.vectors[name] for name in encoders]) for clip in clips]
    line("naive", lambda: columns.unit(np.array(naive)), truth, apart)
    for name in encoders if len(encoders) > 1 else ():
        alone = [Features({name: clip.vectors[name]}) for clip in clips]
        line(f"{name} alone", lambda alone=alone: fusion.fit("raw", alone, PRESET).embed(alone), truth, apart)
    for method in methods:
        line(method, lambda method=method: fusion.fit(method, clips, PRESET).embed(clips), truth, apart)


def line(name: str, embed: Callable[[], np.ndarray], truth: np.ndarray, apart: np.ndarray | None) -> None:
    begun = time.perf_counter()
    rows = embed()
    seconds = time.perf_counter() - begun
    precision, average = score(rows, truth, apart)
    print(f"  {name:<16} P@5 {precision:.3f}  mAP {average:.3f}  {seconds:7.1f} s", flush=True)


def score(rows: np.ndarray, truth: np.ndarray, apart: np.ndarray | None = None) -> tuple[float, float]:
    """P@5 and mAP of the cosine order; a query's own `apart` value (its artist) is left out of its list."""
    similar = rows @ rows.T
    precisions, averages = [], []
    for query in range(len(rows)):
        others = np.arange(len(rows)) != query
        if apart is not None:
            others &= (apart != apart[query]) | (apart == "")
        order = np.flatnonzero(others)
        order = order[np.argsort(-similar[query, order], kind="stable")]
        right = truth[order] == truth[query]
        if right.any():
            precisions.append(right[:5].mean())
            averages.append((np.cumsum(right) / np.arange(1, len(right) + 1))[right].mean())
    return float(np.mean(precisions)), float(np.mean(averages))


def paired(heard: Songs, read: Words) -> tuple[list[Features], np.ndarray, np.ndarray]:
    """Songs with lyrics by `PAIRS`, as many as there are of both; their classes and artists."""
    chance = np.random.default_rng(SEED)
    clips, classes, artists = [], [], []
    for kind, other in PAIRS.items():
        rows = [row for row, genre in enumerate(heard.genre) if _kind(genre) == kind]
        lyrics = np.flatnonzero(read.genre == other)
        count = min(len(rows), len(lyrics))
        chosen = zip(chance.permutation(rows)[:count], chance.permutation(lyrics)[:count], strict=True)
        for (song, lyric), clip in ((pair, _features(heard, [pair[0]])[0]) for pair in chosen):
            clips.append(Features({**clip.vectors, "mpnet": read.vectors["mpnet"][lyric]}))
            classes.append(kind)
            artists.append(heard.artist[song])
    return clips, np.array(classes), np.array(artists)


def few(heard: Songs) -> None:
    """Small libraries by artist: statistics that lean on a prior, against plain ones (raw, musicnn and librosa).

    The prior is measured on songs of artists that are not in the library.
    """
    print("\nfew clips, same artist: mAP, and the mean cosine of two songs of other artists")
    print("  songs   plain          prior of 8     prior of 32    prior only")
    names, counts = np.unique(heard.artist, return_counts=True)
    names = names[(counts > 2) & (names != "")]
    chance = np.random.default_rng(SEED)
    matrix = np.hstack([np.zeros((len(heard.artist), 400)), heard.vectors["librosa"], heard.vectors["musicnn"]])
    matrix = np.hstack([matrix, np.zeros((len(matrix), 768))]).astype(np.float32)
    mask = np.tile(np.array([False, True, True, False]), (len(matrix), 1))
    for size in (2, 3, 5, 8, 12, 20, 30, 45, 60):
        found: dict[float, list[tuple[float, float]]] = {0.0: [], 8.0: [], 32.0: [], 1e9: []}
        for _ in range(40):
            artists = chance.choice(names, max(2, size // 3), replace=False)
            pool = np.flatnonzero(np.isin(heard.artist, artists))
            if len(pool) < size:
                continue
            rows = chance.choice(pool, size, replace=False)
            rest = np.flatnonzero(~np.isin(heard.artist, artists))
            wider = standardise.fit(matrix[rest], mask[rest], PRESET, prior_clips=0)
            known = {part.encoder: (wider.mean[where], wider.scale[where]) for part, where in columns.spans(PRESET)}
            for weight, results in found.items():
                results.append(_small(matrix[rows], mask[rows], heard.artist[rows], known, weight))
        shown = [f"{_mean([a for a, _ in r]):.3f} {_mean([b for _, b in r]):+.2f}" for r in found.values()]
        print(f"  {size:>5}   " + "    ".join(f"{each:<11}" for each in shown), flush=True)


def _small(
    values: np.ndarray, mask: np.ndarray, artists: np.ndarray, prior: dict, weight: float
) -> tuple[float, float]:
    original, standardise._measured = standardise._measured, lambda: prior
    try:
        fitted = standardise.fit(values, mask, PRESET, prior_clips=weight)
    finally:
        standardise._measured = original
    rows = columns.unit(fitted.transform(values, mask))
    others = artists[:, None] != artists[None]
    apart = float((rows @ rows.T)[others].mean()) if others.any() else np.nan
    alike = len(np.unique(artists)) not in (1, len(artists))
    return (score(rows, artists)[1] if alike else np.nan), apart


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")


def _features(heard: Songs, rows: Sequence[int] | np.ndarray) -> list[Features]:
    return [Features({name: matrix[row] for name, matrix in heard.vectors.items()}) for row in rows]


def _kind(genre: str) -> str | None:
    return next((kind for kind in ("metal", "punk") if kind in genre.lower()), "rock" if genre == "Rock" else None)


if __name__ == "__main__":
    main()
