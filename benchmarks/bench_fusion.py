"""How well each fusion finds what belongs together, on real songs and lyrics; all methods on the same inputs.

    python -m benchmarks fusion        (the folder of test data: CLIPSIM_TESTDATA)
    python -m benchmarks.bench_fusion --paper      also the deck's autoencoder (600 epochs: some minutes)

Each clip is a query against all others: P@1, P@5 and mAP with 95 % bootstrap intervals, after them the paired test
against `standard`. What the methods know beforehand of the sound of copies (`clipsim.fusion.channel`) was measured on
these very songs, so here it is measured again without the artists who are asked for: two halves of the artists, each
asked with what was measured on the other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from benchmarks.prior import channel
from benchmarks.songs import KINDS, Songs, Words, matrix, songs, words
from clipsim import fusion, measures
from clipsim.baselines import cosine
from clipsim.contenders import Fitted, Pool, chosen
from clipsim.encoders import LIBROSA, MPNET, MUSICNN, Part, Preset
from clipsim.fingerprint import similarities
from clipsim.fusion import channel as compensation
from clipsim.fusion import columns, late, standardise
from clipsim.model import Clip, Features, Method

PENULTIMATE, FILTERS = Part("penultimate", "audio", 200, ""), Part("filters", "audio", 753, "")
MAXIMA, TAGS = Part("maxima", "audio", 753, ""), Part("tags", "audio", 50, "")
SOUND = Preset("sound", (LIBROSA, MUSICNN))
TEXT = Preset("text", (MPNET,))
BOTH = Preset("both", (LIBROSA, MUSICNN, MPNET))
CLS = Preset("cls", (Part("cls", "lyrics", 768, ""),))
# Songs of a genre (words in its tag) get real lyrics of another one, so that both modalities tell the classes apart
# and neither is the other's.
PAIRS = {"metal": "hip-hop", "punk": "country", "rock": "pop-rock"}
SENSES: dict[str | None, tuple[str, ...]] = {"audio": ("librosa", "musicnn"), "lyrics": ("mpnet",)}
LEARNT = ("standard", "joint")  # methods that know beforehand what copies differ in
SEED = 0
Truth = np.ndarray  # a label for each clip; "" for none


@dataclass(frozen=True)
class Fold:
    """Clips that are asked for, and what was measured of the encoders on others."""

    asked: np.ndarray  # bool, shape (clips,)
    known: dict[str, standardise.Measured]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--paper", action="store_true", help="train the deck's autoencoder too")
    slow: tuple[Method, ...] = ("paper",) if parser.parse_args().paper else ()
    heard = with_layers(songs())
    folds = halves_of(heard)
    names, counts = np.unique(heard.artist, return_counts=True)
    several = np.flatnonzero(np.isin(heard.artist, names[(counts > 1) & (names != "")]))
    artists(heard, several, folds, slow)
    ears(heard, several, folds)
    settings(heard, several, folds)
    copies(heard, folds)
    read = words()
    genres(read, slow)
    words_tried(read)
    together(heard, read, folds, slow)
    hubs(heard, folds)
    failures(heard, several, folds, read)
    few(heard)
    speed()


# The data


def with_layers(heard: Songs) -> Songs:
    """The same, musicnn's two layers also under names of their own."""

    def split(clip: Features) -> Features:
        def both(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            if "musicnn" not in found:
                return dict(found)
            whole = found["musicnn"]
            return {**found, "penultimate": whole[..., :200], "filters": whole[..., 200:]}

        return replace(clip, vectors=both(clip.vectors), segments=both(clip.segments))

    copied = {kind: [split(clip) for clip in clips] for kind, clips in heard.copies.items()}
    return replace(heard, features=[split(clip) for clip in heard.features], copies=copied)


def halves_of(heard: Songs) -> list[Fold]:
    """Two halves of the artists, each with what was measured on the other; `known` has the channel of every layer."""
    names = np.unique(heard.artist)
    drawn = np.random.default_rng(SEED).permutation(len(names)) % 2
    side = np.array([drawn[np.searchsorted(names, artist)] for artist in heard.artist])
    found = []
    for asked in (0, 1):
        others = np.flatnonzero(side != asked)
        known = {}
        for part in (LIBROSA, MUSICNN, PENULTIMATE, FILTERS, MAXIMA, TAGS):
            wide = matrix(heard.features, part.encoder)[others].astype(np.float64)
            scale = np.where(wide.std(axis=0) > 0, wide.std(axis=0), 1.0)
            rows = {kind: [clips[row] for row in others] for kind, clips in heard.copies.items()}
            seen = channel([heard.features[row] for row in others], rows, part, scale)
            known[part.encoder] = standardise.Measured(wide.mean(axis=0), scale, seen.astype(np.float64) * scale)
        found.append(Fold(side == asked, known))
    return found


@contextmanager
def knowing(known: Mapping[str, standardise.Measured]) -> Iterator[None]:
    """In its scope, nothing else is known of the encoders beforehand."""
    original, standardise._all_measured = standardise._all_measured, lambda: dict(known)  # type: ignore[assignment]
    try:
        yield
    finally:
        standardise._all_measured = original


def pool(features: Sequence[Features], preset: Preset, lyrics: Sequence[str] = ()) -> Pool:
    clips = tuple(Clip(f"clip-{row}", f"clip {row}") for row in range(len(features)))
    kept = {part.encoder for part in preset.parts}
    only = tuple(
        Features(
            {name: vector for name, vector in clip.vectors.items() if name in kept},
            {name: both for name, both in clip.segments.items() if name in kept},
        )
        for clip in features
    )
    return Pool(clips, only, preset, tuple(lyrics) or (None,) * len(clips))


# One line of a table


def judged(truth: Truth, apart: Truth | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Which clips are right for each, and which count at all: not itself, nor those of its own `apart` value."""
    right = (truth[:, None] == truth[None]) & (truth != "")[:, None]
    among = ~np.eye(len(truth), dtype=bool)
    if apart is not None:
        among &= (apart[:, None] != apart[None]) | (apart == "")
    return right, among


def ask(
    given: Pool, fit: Callable[[Pool], Fitted], truth: Truth, folds: Sequence[Fold], apart: Truth | None = None
) -> dict[str, np.ndarray]:
    """Figures of each query, shape (clips,), not a number where it has nothing to find; by fold, as `Fold` says."""
    right, among = judged(truth, apart)
    figures = {measure: np.full(len(truth), np.nan) for measure in measures.MEASURES}
    for fold in folds:
        with knowing(fold.known):
            fitted = fit(given)
            rows = fitted.rows(given.features, given.lyrics)
            scores = fitted.compare(rows, rows)
        for measure, values in measures.retrieval(scores, right, among).items():
            figures[measure][fold.asked] = values[fold.asked]
    return figures


def method(name: str) -> Callable[[Pool], Fitted]:
    """A contender of `clipsim evaluate`."""
    return lambda given: chosen(given.preset, [name])[0].fit(given, None)


def line(name: str, figures: Mapping[str, np.ndarray], best: Mapping[str, np.ndarray] | None = None) -> None:
    """Print a row of a table: means, intervals, and how likely as much difference from `best` is by chance."""
    cells = [f"{name:<34}"]
    for measure in ("p@1", "p@5", "map"):
        values = figures[measure][~np.isnan(figures[measure])]
        low, high = measures.interval(values)
        cells.append(f"{values.mean():.3f}" + (f" ({low:.3f} to {high:.3f})" if measure != "p@1" else ""))
    if best is not None and best is not figures:
        there = ~np.isnan(figures["map"])
        cells.append(f"p = {measures.randomisation(figures['map'][there], best['map'][there]):.4f}")
    print("| " + " | ".join(cells) + " |", flush=True)


def table(
    title: str,
    given: Pool,
    names: Sequence[str],
    truth: Truth,
    folds: Sequence[Fold],
    apart: Truth | None = None,
    more: Mapping[str, tuple[Pool, str]] | None = None,
) -> None:
    """A table of contenders; `more` are others, by what they are called: with a pool of their own."""
    right, among = judged(truth, apart)
    print(f"\n{title}\n\n| | P@1 | P@5 | mAP | against standard |\n|---|---|---|---|---|")
    blind = {name: np.nanmean(values) for name, values in measures.chance(right, among).items()}
    print(f"| chance | {blind['p@1']:.3f} | {blind['p@5']:.3f} | {blind['map']:.3f} | |")
    best = ask(given, method("standard"), truth, folds, apart)
    line("standard", best)
    whole = [Fold(np.ones(len(truth), bool), {})]
    for name in names:
        line(name, ask(given, method(name), truth, folds if name in LEARNT else whole, apart), best)
    for name, (other, contender) in (more or {}).items():
        line(name, ask(other, method(contender), truth, folds if contender in LEARNT else whole, apart), best)


# The tables


def artists(heard: Songs, several: np.ndarray, folds: Sequence[Fold], slow: Sequence[str]) -> None:
    clips = [heard.features[row] for row in several]
    mine = [Fold(fold.asked[several], fold.known) for fold in folds]
    alone = {
        "penultimate alone": (pool(clips, Preset("one", (PENULTIMATE,))), "raw"),
        "librosa's 257 alone": (pool(clips, Preset("one", (LIBROSA,))), "raw"),
    }
    names = ("joint", "raw", "pca", *slow, "whitened", "naive", "musicnn")
    table(f"Same artist, {len(several)} songs", pool(clips, SOUND), names, heard.artist[several], mine, more=alone)
    genre = np.array([each.casefold() for each in heard.genre])
    table(
        "Same genre, other artists only, 352 songs", pool(heard.features, SOUND), names[:3], genre, folds, heard.artist
    )


def ears(heard: Songs, several: np.ndarray, folds: Sequence[Fold]) -> None:
    """What each layer of musicnn gives, with and without compensation."""
    mine = [Fold(fold.asked[several], fold.known) for fold in folds]
    plain = [Fold(fold.asked, {n: replace(m, channel=None) for n, m in fold.known.items()}) for fold in mine]
    clips, truth = [heard.features[row] for row in several], heard.artist[several]
    print(f"\nLayers by late fusion, same artist, {len(several)} songs\n\n| | P@1 | P@5 | mAP |\n|---|---|---|---|")
    for parts in (
        (PENULTIMATE,),
        (FILTERS,),
        (MAXIMA,),
        (TAGS,),
        (PENULTIMATE, FILTERS),
        (PENULTIMATE, MAXIMA),
        (PENULTIMATE, FILTERS, MAXIMA),
        (PENULTIMATE, FILTERS, TAGS),
        (LIBROSA, PENULTIMATE, FILTERS),
    ):
        name = " + ".join(part.encoder for part in parts)
        given = pool(clips, Preset("some", parts))
        line(f"{name}, as they are", ask(given, method("standard"), truth, plain))
        line(f"{name}, compensated", ask(given, method("standard"), truth, mine))


def settings(heard: Songs, several: np.ndarray, folds: Sequence[Fold]) -> None:
    """How much hangs on the strength of the compensation, and on the dimensions that sound gets."""
    clips, truth = pool([heard.features[row] for row in several], SOUND), heard.artist[several]
    print(f"\nSettings of late fusion, same artist, {len(several)} songs\n\n| | P@1 | P@5 | mAP |\n|---|---|---|---|")
    for strength in (1, 3, 10, 30, 100):
        factor = (strength / compensation.STRENGTH) ** 0.5
        mine = [
            Fold(
                fold.asked[several],
                {
                    n: replace(m, channel=None if m.channel is None else factor * m.channel)
                    for n, m in fold.known.items()
                },
            )
            for fold in folds
        ]
        line(f"strength {strength}", ask(clips, method("standard"), truth, mine))
    mine = [Fold(fold.asked[several], fold.known) for fold in folds]
    usual = late.SHARES["audio"]
    try:
        for late.SHARES["audio"] in (16, 32, 64, 96, 128):
            line(f"{late.SHARES['audio']} dimensions", ask(clips, method("standard"), truth, mine))
    finally:
        late.SHARES["audio"] = usual


def copies(heard: Songs, folds: Sequence[Fold]) -> None:
    """Known items: the share of copies whose original comes first of all songs."""
    print(f"\nKnown items: first of {len(heard.artist)} songs, %\n")
    print("| | " + " | ".join(KINDS) + " | second half finds first |\n|" + "---|" * (len(KINDS) + 2))
    parts = {"penultimate alone": (PENULTIMATE,), "librosa's 257 alone": (LIBROSA,)}
    rows: list[tuple[str, Preset, str]] = [(name, SOUND, name) for name in ("standard", "joint", "raw", "pca")]
    rows += [(name, Preset("one", part), "raw") for name, part in parts.items()]
    for name, preset, contender in rows:
        given = pool(heard.features, preset)
        shares = np.zeros((len(given.clips), len(KINDS) + 1))
        shares[:, -1] = np.nan
        for fold in folds:
            with knowing(fold.known):
                fitted = method(contender)(given)
            targets = fitted.rows(given.features, ())
            own = np.flatnonzero(fold.asked)
            for column, kind in enumerate(KINDS):
                found = fitted.rows([heard.copies[kind][row] for row in own], ())
                shares[own, column] = measures.ranks(fitted.compare(found, targets), own) <= 1
            there = [row for row, clip in enumerate(given.features) if len(clip.segments) == len(preset.parts)]
            first, second = (
                fitted.rows(
                    [Features({n: s[side] for n, s in given.features[row].segments.items()}) for row in there], ()
                )
                for side in (0, 1)
            )
            found_first = measures.ranks(fitted.compare(second, first), np.arange(len(there))) <= 1
            asked = fold.asked[there]
            shares[np.array(there)[asked], -1] = found_first[asked]
        print(
            f"| {name} | " + " | ".join(f"{100 * share:.1f}" for share in np.nanmean(shares, axis=0)) + " |", flush=True
        )
    shares = []
    for kind in KINDS:
        firsts = [
            np.argmax(similarities(each, heard.fingerprints)) == row for row, each in enumerate(heard.copied[kind])
        ]
        shares.append(np.mean(firsts))
    print("| fingerprint | " + " | ".join(f"{100 * share:.1f}" for share in shares) + " | |", flush=True)


def genres(read: Words, slow: Sequence[str]) -> None:
    """Real captions by genre; nothing was measured beforehand that could flatter."""
    everything = [Fold(np.ones(len(read.genre), bool), {})]
    more = {"[CLS]": (pool(read.features, CLS), "raw"), "[CLS] as it is": (pool(read.features, CLS), "naive")}
    given = pool(read.features, TEXT, read.text.tolist())
    names = ("joint", "raw", "pca", *slow, "whitened", "naive", "tfidf")
    table(f"Same genre, {len(read.genre)} lyrics", given, names, read.genre, everything, more=more)


def words_tried(read: Words) -> None:
    """Compensating for what the halves of a text differ in, and mixing in TF-IDF: what was tried for words and left."""
    given = pool(read.features, TEXT, read.text.tolist())
    everything = [Fold(np.ones(len(read.genre), bool), {})]
    side = np.random.default_rng(SEED).permutation(len(read.genre)) % 2
    folds = []
    for asked in (0, 1):
        others = [clip for clip, own in zip(given.features, side != asked, strict=True) if own]
        wide = matrix(others, "mpnet").astype(np.float64)
        seen = channel(others, {}, MPNET, wide.std(axis=0)).astype(np.float64) * wide.std(axis=0)
        folds.append(Fold(side == asked, {"mpnet": standardise.Measured(wide.mean(axis=0), wide.std(axis=0), seen)}))
    print("\nWords, tried\n\n| | P@1 | P@5 | mAP | against standard |\n|---|---|---|---|---|")
    best = ask(given, method("standard"), read.genre, everything)
    line("compensated for halves", ask(given, method("standard"), read.genre, folds), best)
    for share in (0.1, 0.3, 1.0):
        line(
            f"+ {share} TF-IDF", ask(given, lambda pool, share=share: _Mixed(pool, share), read.genre, everything), best
        )


class _Mixed:
    """Late fusion's cosine, and a share of that of the words."""

    def __init__(self, given: Pool, share: float) -> None:
        self.parts, self.share = [method(name)(given) for name in ("standard", "tfidf")], share

    def rows(self, features: Sequence[Features], lyrics: Sequence[str | None]) -> list[np.ndarray]:
        return [part.rows(features, lyrics) for part in self.parts]

    def compare(self, queries: list[np.ndarray], candidates: list[np.ndarray]) -> np.ndarray:
        scores = [part.compare(q, c) for part, q, c in zip(self.parts, queries, candidates, strict=True)]
        mixed: np.ndarray = scores[0] + self.share * np.nan_to_num(scores[1])
        return mixed


def paired(heard: Songs, read: Words) -> tuple[list[Features], np.ndarray, np.ndarray]:
    """Songs with lyrics by `PAIRS`, as many as there are of both; their classes and places among the songs."""
    chance = np.random.default_rng(SEED)
    clips, classes, places = [], [], []
    for kind, other in PAIRS.items():
        rows = [row for row, genre in enumerate(heard.genre) if _kind(genre) == kind]
        lyrics = np.flatnonzero(read.genre == other)
        count = min(len(rows), len(lyrics))
        chosen_ones = zip(chance.permutation(rows)[:count], chance.permutation(lyrics)[:count], strict=True)
        for song, lyric in chosen_ones:
            sound, text = heard.features[song], read.features[lyric]
            clips.append(Features({**sound.vectors, **text.vectors}, {**sound.segments, **text.segments}))
            classes.append(kind)
            places.append(song)
    return clips, np.array(classes), np.array(places)


def together(heard: Songs, read: Words, folds: Sequence[Fold], slow: Sequence[str]) -> None:
    clips, truth, places = paired(heard, read)
    mine = [Fold(fold.asked[places], fold.known) for fold in folds]
    names = ("joint", "raw", "pca", *slow, "whitened", "rrf", "cca", "naive", "audio", "lyrics")
    title = f"Same class, {len(clips)} songs with real lyrics of another genre, other artists only"
    alone = {
        "standard on sound alone": (pool(clips, SOUND), "standard"),
        "standard on words alone": (pool(clips, TEXT), "standard"),
    }
    table(title, pool(clips, BOTH), names, truth, mine, heard.artist[places], more=alone)
    single = [ask(given, method(name), truth, mine, heard.artist[places])["map"] for given, name in alone.values()]
    missing(clips, truth, mine, heard.artist[places], max(float(np.nanmean(each)) for each in single))


def missing(clips: Sequence[Features], truth: Truth, folds: Sequence[Fold], apart: Truth, single: float) -> None:
    """One modality taken from half of the clips, ten draws, and ways to compare clips then."""
    print(f"\nOne modality taken from half of the clips: P@5 / mAP (the best modality alone, whole: {single:.3f})\n")
    print("| | nothing | sound | words |\n|---|---|---|---|")
    for name, way in WAYS.items():
        cells = []
        for lost in (None, *SENSES):
            draws = []
            for draw in range(10 if lost else 1):
                gone = set(np.random.default_rng(draw).permutation(len(clips))[: len(clips) // 2].tolist())
                less = [
                    Features(
                        {n: v for n, v in clip.vectors.items() if row not in gone or n not in SENSES.get(lost, ())}
                    )
                    for row, clip in enumerate(clips)
                ]
                draws.append(ask(pool(less, BOTH), lambda given, way=way: _Blocks(given, way), truth, folds, apart))
            cells.append(" / ".join(f"{np.nanmean([each[m] for each in draws]):.3f}" for m in ("p@5", "map")))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


class _Blocks:
    """Late fusion, compared in another way: `way` gets each modality's unit rows (zero: missing), and gives scores."""

    def __init__(self, given: Pool, way: Callable[[list[np.ndarray]], np.ndarray]) -> None:
        self.fusion, self.way = fusion.fit("standard", given.features, given.preset), way

    def rows(self, features: Sequence[Features], lyrics: Sequence[str | None]) -> np.ndarray:
        return self.fusion.embed(features)

    def compare(self, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        assert queries is candidates and self.fusion.blocks is not None
        blocks = [queries[:, block].astype(np.float64) for block in self.fusion.blocks.values()]
        lengths = [np.linalg.norm(block, axis=1, keepdims=True) for block in blocks]
        return self.way(
            [block / np.where(length > 0, length, 1) for block, length in zip(blocks, lengths, strict=True)]
        )


def _shared(blocks: list[np.ndarray]) -> np.ndarray:
    """The mean cosine over the modalities that both have: what is shipped."""
    there = [np.outer(block.any(axis=1), block.any(axis=1)) for block in blocks]
    with np.errstate(invalid="ignore"):
        return _average(blocks) / np.sum(there, axis=0)


def _average(blocks: list[np.ndarray]) -> np.ndarray:
    """A missing modality counts as a cosine of zero, which is that of two clips drawn by chance."""
    total: np.ndarray = np.sum([block @ block.T for block in blocks], axis=0)
    return total


def _one_vector(blocks: list[np.ndarray]) -> np.ndarray:
    """The cosine of the embeddings as they lie in the index."""
    return cosine(rows := np.hstack(blocks), rows)


def _filled(blocks: list[np.ndarray]) -> np.ndarray:
    """A missing modality is the mean of those of the ten clips that are nearest by the other."""
    filled = [block.copy() for block in blocks]
    for here, (mine, other) in enumerate((blocks, blocks[::-1])):
        donors = np.flatnonzero(mine.any(axis=1) & other.any(axis=1))
        for row in np.flatnonzero(~mine.any(axis=1)):
            near = donors[np.argsort(-(other[donors] @ other[row]), kind="stable")[:10]]
            filled[here][row] = mine[near].mean(axis=0)
    return _average(filled)


WAYS = {
    "what both have (shipped)": _shared,
    "the embeddings' cosine": _one_vector,
    "a missing one counts as 0": _average,
    "filled in from the ten nearest": _filled,
}


def hubs(heard: Songs, folds: Sequence[Fold]) -> None:
    """How even the lists are, and what it costs to make them more so; all songs, same artist for precision."""
    print("\nHubs: lists of 10 over all songs\n\n| | skew | never | P@5 | mAP |\n|---|---|---|---|---|")
    given = pool(heard.features, SOUND)
    right, among = judged(heard.artist)
    ways = {"as it is": _as_it_is, "mutual proximity": _mutual_proximity, "local scaling (10)": _local_scaling}
    for name in ("standard", "raw"):
        for way, change in ways.items():
            lists, figures = [], []
            for fold in folds:
                with knowing(fold.known):
                    fitted = method(name)(given)
                rows = fitted.rows(given.features, ())
                scores = change(fitted.compare(rows, rows))
                lists.append(measures.hubs(measures.listed(scores, among), len(right)))
                found = measures.retrieval(scores, right, among)
                figures.append({m: values[fold.asked] for m, values in found.items()})
            skew, never = (np.mean([each[what] for each in lists]) for what in ("skew", "never"))
            p5, average = (np.nanmean(np.concatenate([each[m] for each in figures])) for m in ("p@5", "map"))
            print(f"| {name}, {way} | {skew:.2f} | {100 * never:.1f} % | {p5:.3f} | {average:.3f} |", flush=True)


def _as_it_is(scores: np.ndarray) -> np.ndarray:
    return scores


def _mutual_proximity(scores: np.ndarray) -> np.ndarray:
    """The chance that both are nearer to each other than to others, by normal distributions (Schnitzer 2012, 3.2.1)."""
    from scipy.stats import norm

    others = np.where(np.eye(len(scores), dtype=bool), np.nan, scores)
    mean, spread = np.nanmean(others, axis=1), np.nanstd(others, axis=1)
    chance = norm.cdf((scores - mean[:, None]) / spread[:, None])
    product: np.ndarray = chance * chance.T
    return product


def _local_scaling(scores: np.ndarray) -> np.ndarray:
    """Less the mean similarity of each to its ten nearest (CSLS; Conneau et al. 2018, section 2.3)."""
    others = np.where(np.eye(len(scores), dtype=bool), -np.inf, scores)
    near = np.sort(others, axis=1)[:, -10:].mean(axis=1)
    scaled: np.ndarray = 2 * scores - near[:, None] - near[None]
    return scaled


def failures(heard: Songs, several: np.ndarray, folds: Sequence[Fold], read: Words) -> None:
    """The queries that `standard` answers worst, with the first three that it finds."""
    clips, artist = [heard.features[row] for row in several], heard.artist[several]
    names = [f"{who}, {title}" for who, title in zip(artist, heard.title[several], strict=True)]
    mine = [Fold(fold.asked[several], fold.known) for fold in folds]
    _worst("same artist", pool(clips, SOUND), artist, names, mine)
    names = [f"{title} ({genre})" for title, genre in zip(read.title, read.genre, strict=True)]
    _worst("same genre by words", pool(read.features, TEXT), read.genre, names, [Fold(np.ones(len(names), bool), {})])


def _worst(title: str, given: Pool, truth: Truth, names: Sequence[str], folds: Sequence[Fold]) -> None:
    print(f"\nAnswered worst, {title}\n")
    average = ask(given, method("standard"), truth, folds)["map"]
    for row in np.argsort(average, kind="stable")[:5]:
        with knowing(next(fold.known for fold in folds if fold.asked[row])):
            fitted = method("standard")(given)
        rows = fitted.rows(given.features, ())
        scores = fitted.compare(rows[[row]], rows)[0]
        found = [other for other in np.argsort(-scores, kind="stable") if other != row][:3]
        print(f"- {names[row]} (AP {average[row]:.3f}): " + "; ".join(names[other] for other in found), flush=True)


def few(heard: Songs) -> None:
    """Small libraries by artist: statistics that lean on a prior, against plain ones.

    The prior is measured on songs of artists that are not in the library.
    """
    print("\nFew clips, same artist, raw: mAP, and the mean cosine of two songs of other artists\n")
    print("| songs | plain | prior of 8 | prior of 32 | prior only |\n|---|---|---|---|---|")
    names, counts = np.unique(heard.artist, return_counts=True)
    names = names[(counts > 2) & (names != "")]
    chance = np.random.default_rng(SEED)
    values, present = columns.stack(pool(heard.features, SOUND).features, SOUND)
    for size in (2, 3, 5, 8, 12, 20, 30, 45, 60):
        found: dict[float, list[tuple[float, float]]] = {0.0: [], 8.0: [], 32.0: [], 1e9: []}
        for _ in range(40):
            picked = chance.choice(names, max(2, size // 3), replace=False)
            candidates = np.flatnonzero(np.isin(heard.artist, picked))
            if len(candidates) < size:
                continue
            rows = chance.choice(candidates, size, replace=False)
            rest = np.flatnonzero(~np.isin(heard.artist, picked))
            wider = standardise.fit(values[rest], present[rest], SOUND, prior_clips=0)
            known = {
                part.encoder: standardise.Measured(wider.mean[where], wider.scale[where])
                for part, where in columns.spans(SOUND)
            }
            with knowing(known):
                for weight, results in found.items():
                    results.append(_small(values[rows], present[rows], heard.artist[rows], weight))
        shown = [f"{_mean([a for a, _ in r]):.3f} / {_mean([b for _, b in r]):+.2f}" for r in found.values()]
        print(f"| {size} | " + " | ".join(shown) + " |", flush=True)


def _small(values: np.ndarray, present: np.ndarray, artist: np.ndarray, weight: float) -> tuple[float, float]:
    fitted = standardise.fit(values, present, SOUND, prior_clips=weight)
    rows = columns.unit(fitted.transform(values, present))
    right, among = judged(artist)
    apart = float((rows @ rows.T)[~right].mean()) if not right.all() else np.nan
    alike = len(np.unique(artist)) not in (1, len(artist))
    scores = measures.retrieval(cosine(rows, rows), right, among)["map"]
    return (float(np.nanmean(scores)) if alike else np.nan), apart


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")


def speed() -> None:
    """Seconds to train on 1,000 clips with everything, and milliseconds to embed one; made-up features."""
    from clipsim.encoders import PRESETS

    preset = PRESETS["standard"]
    chance = np.random.default_rng(SEED)
    made = [
        Features(
            {part.encoder: chance.standard_normal(part.size).astype(np.float32) for part in preset.parts},
            {part.encoder: chance.standard_normal((2, part.size)).astype(np.float32) for part in preset.parts},
        )
        for _ in range(1000)
    ]
    print("\nSpeed, 1,000 clips with all modalities\n\n| | training, s | embedding one clip, ms |\n|---|---|---|")
    methods: tuple[Method, ...] = ("standard", "joint", "pca", "raw")
    for name in methods:
        begun = time.perf_counter()
        fitted = fusion.fit(name, made, preset)
        seconds = time.perf_counter() - begun
        marks = [time.perf_counter()]
        for clip in made[:50]:
            fitted.embed([clip])
            marks.append(time.perf_counter())
        each = np.median([after - before for before, after in pairwise(marks)])
        print(f"| {name} | {seconds:.1f} | {1000 * each:.2f} |", flush=True)


def _kind(genre: str) -> str | None:
    return next((kind for kind in ("metal", "punk") if kind in genre.lower()), "rock" if genre == "Rock" else None)


if __name__ == "__main__":
    main()
