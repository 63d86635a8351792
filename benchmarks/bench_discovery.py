"""Playlists, paths, mixes and the search against simpler ways, on real songs and lyrics.

    python -m benchmarks discovery        (the folder of test data: CLIPSIM_TESTDATA)

Songs are fused by `standard` on sound alone. Every choice of `clipsim.playlists` and `clipsim.search` has its row here.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_fusion import BOTH, SOUND
from benchmarks.songs import Songs, Words, songs, words
from clipsim import fusion, playlists
from clipsim.encoders import MPNET
from clipsim.fingerprint import SAME, similarity
from clipsim.library import Library
from clipsim.model import HOME, Clip, Features, Lyrics
from clipsim.search import CUT_OFF, RRF, WEIGHTS, Index, Ranks, Searcher, fuse, likeness, rankings, weights
from clipsim.settings import load
from clipsim.similarity import pairwise as similarities
from clipsim.sources.lyrics import MIN_WORDS, word_count
from clipsim.titles import artist_key, fold, song

SEED = 0
QUERIES = 200  # of each kind
QUESTIONS = 100  # of each kind, that are searched for
ASKED = 1  # seed of those: weights and constant were chosen by others, of seed 0
CLASSES = ("metal", "punk", "rock")  # words in the genre tags; the first that fits
NORMS = (1.0, 2.0, 4.0, 8.0, 16.0)
Floats = np.ndarray


@dataclass(frozen=True)
class Shelf:
    """Songs as clips, how similar each two are, and the class of each ("" for none)."""

    clips: list[Clip]
    artists: list[str | None]
    similar: Floats
    rows: Floats
    genre: Floats
    same: Callable[[int, int], bool]


def main() -> None:
    heard = songs()
    shelf = shelved(heard)
    order(shelf)
    seeds(shelf)
    paths(shelf)
    mixes(shelf)
    read = words()
    names(heard, read)
    search(heard, read)
    speed()


def shelved(heard: Songs) -> Shelf:
    clips = [
        Clip(f"song{row:07}", str(title), artist=str(artist) or None)
        for row, (title, artist) in enumerate(zip(heard.title, heard.artist, strict=True))
    ]
    only = [Features({name: clip.vectors[name] for name in SOUND.encoders}) for clip in heard.features]
    fitted = fusion.fit("standard", only, SOUND)
    rows = fitted.embed(only)
    genre = np.array([next((c for c in CLASSES if c in str(tag).casefold()), "") for tag in heard.genre])
    keys = [song(clip) for clip in clips]

    def same(one: int, other: int) -> bool:
        if keys[one] is not None and keys[one] == keys[other]:
            return True
        return similarity(heard.fingerprints[one], heard.fingerprints[other]) >= SAME

    return Shelf(
        clips, [artist_key(clip.artist) for clip in clips], similarities(rows, rows, fitted), rows, genre, same
    )


def mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


# The order of a playlist


def order(shelf: Shelf, k: int = 12) -> None:
    """The same clips in several orders: how alike neighbours are."""
    generator = np.random.default_rng(SEED)
    ways: dict[str, Callable[[list[int], Floats], list[int]]] = {
        "as ranked": lambda chosen, _: list(range(len(chosen))),
        "at random": lambda chosen, _: [0, *(1 + generator.permutation(len(chosen) - 1)).tolist()],
        "nearest neighbour": lambda _, cost: playlists._nearest_neighbours(cost, 0),
        "tour (shipped)": lambda _, cost: playlists.tour(cost),
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for seed in range(len(shelf.clips)):
        chosen = playlists.pick(
            [playlists.best(shelf.similar[seed]).tolist()],
            k,
            artists=shelf.artists,
            per_artist=2,
            same=shelf.same,
            chosen=[seed],
        )
        cost = playlists.distances(shelf.similar[np.ix_(chosen, chosen)])
        cost = cost + playlists.apart([shelf.artists[row] for row in chosen])
        for name, way in ways.items():
            rows = [chosen[position] for position in way(chosen, cost)]
            steps = [shelf.similar[a, b] for a, b in pairwise(rows)]
            clashes = [shelf.artists[a] is not None and shelf.artists[a] == shelf.artists[b] for a, b in pairwise(rows)]
            found[name].append((mean(steps), min(steps), float(any(clashes))))
    print(f"\nOrder: {len(shelf.clips)} playlists of {k}, each song's own\n")
    print("| | mean step | smallest step | with an artist twice in a row, % |\n|---|---|---|---|")
    for name, rows in found.items():
        steps, least, clash = np.mean(rows, axis=0)
        print(f"| {name} | {steps:.3f} | {least:.3f} | {100 * clash:.0f} |", flush=True)


def seeds(shelf: Shelf, k: int = 20) -> None:
    """Two clips of different artists: how many of the list are by either, and by the one that has fewer."""
    names = [name for name in set(shelf.artists) if name and shelf.artists.count(name) >= 6]
    generator = np.random.default_rng(SEED)
    ways: dict[str, Callable[[Floats], list[list[int]]]] = {
        "mean of the similarities": lambda similar: [playlists.best(similar.mean(axis=0)).tolist()],
        "the greater similarity": lambda similar: [playlists.best(similar.max(axis=0)).tolist()],
        "in turn (shipped)": lambda similar: [playlists.best(row).tolist() for row in similar],
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(QUERIES):
        pair = generator.choice(sorted(names), 2, replace=False)
        both = [int(generator.choice([r for r, a in enumerate(shelf.artists) if a == name])) for name in pair]
        for name, way in ways.items():
            rows = playlists.pick(
                way(shelf.similar[both]), k, artists=shelf.artists, per_artist=0, same=shelf.same, chosen=both
            )[2:]
            share = [sum(shelf.artists[row] == artist for row in rows) / len(rows) for artist in pair]
            found[name].append((sum(share), min(share)))
    print(f"\nTwo clips of different artists, {QUERIES} lists of {k}: share by one of the two, and by the rarer\n")
    print("| | by either, % | by the rarer, % |\n|---|---|---|")
    for name, rows in found.items():
        either, rarer = np.mean(rows, axis=0)
        print(f"| {name} | {100 * either:.1f} | {100 * rarer:.1f} |", flush=True)


# Paths


def paths(shelf: Shelf, k: int = 8) -> None:
    """From a song of one class to one of another: how large the steps are, and how even."""
    generator = np.random.default_rng(SEED)
    pairs = []
    while len(pairs) < QUERIES:
        start, end = map(int, generator.choice(len(shelf.clips), 2, replace=False))
        if shelf.genre[start] and shelf.genre[end] and shelf.genre[start] != shelf.genre[end]:
            pairs.append((start, end))
    ways: dict[str, Callable[[Shelf, int, int, int], list[int]]] = {
        "nearest to points between (AudioMuse-AI)": interpolated,
        "even divergence ratios (Flexer et al.)": flexer,
        **{f"smallest steps to the power {p:g}": ours(p) for p in NORMS},
    }
    print(f"\nPaths: {len(pairs)} pairs of songs of different classes, {k} songs each\n")
    print("| | mean step | smallest step | half that starts is of the first class, % | that ends of the last, % |")
    print("|---|---|---|---|---|")
    for name, way in ways.items():
        rows = []
        for start, end in pairs:
            chain = way(shelf, start, end, k)
            assert chain[0] == start and chain[-1] == end and len(set(chain)) == k
            steps = [shelf.similar[a, b] for a, b in pairwise(chain)]
            first, last = chain[1 : k // 2], chain[k // 2 : -1]
            known = [[row for row in half if shelf.genre[row]] for half in (first, last)]
            kept = [
                mean(shelf.genre[row] == shelf.genre[one] for row in half) if half else np.nan
                for half, one in zip(known, (start, end), strict=True)
            ]
            rows.append((mean(steps), min(steps), *kept))
        step, least, before, after = np.nanmean(rows, axis=0)
        shipped = " (shipped)" if name.endswith(f"{playlists.POWER:g}") and "power" in name else ""
        print(f"| {name}{shipped} | {step:.3f} | {least:.3f} | {100 * before:.0f} | {100 * after:.0f} |", flush=True)


def interpolated(shelf: Shelf, start: int, end: int, k: int) -> list[int]:
    """Points spread evenly on the arc between the two, and the nearest clip to each that is not used yet."""
    one, other = (shelf.rows[row].astype(float) for row in (start, end))
    angle = np.arccos(np.clip(one @ other, -1, 1))
    chain, used = [start], {start, end}
    for share in np.linspace(0, 1, k)[1:-1]:
        point = (np.sin((1 - share) * angle) * one + np.sin(share * angle) * other) / np.sin(angle)
        nearest = next(row for row in np.argsort(-(shelf.rows @ point)) if int(row) not in used)
        chain.append(int(nearest))
        used.add(int(nearest))
    return [*chain, end]


def flexer(shelf: Shelf, start: int, end: int, k: int, kept: float = 0.05) -> list[int]:
    """The clips nearest to start or end, sorted by divergence ratio; the ones nearest to even ratios between."""
    far = playlists.distances(shelf.similar[[start, end]])
    others = np.array([row for row in range(len(shelf.clips)) if row not in (start, end)])
    least = max(k, round(kept * len(others)))
    near = np.union1d(*(others[np.argsort(each[others])[:least]] for each in far))
    ratio = far[0][near] / far[1][near]
    chain, free = [start], list(range(len(near)))
    for target in np.linspace(ratio.min(), ratio.max(), k)[1:-1]:
        best = min(free, key=lambda position: abs(ratio[position] - target))
        chain.append(int(near[best]))
        free.remove(best)
    return [*chain, end]


def ours(power: float) -> Callable[[Shelf, int, int, int], list[int]]:
    def way(shelf: Shelf, start: int, end: int, k: int) -> list[int]:
        others = np.array([row for row in range(len(shelf.clips)) if row not in (start, end)])
        far = playlists.distances(shelf.similar[np.ix_([start, end], others)])
        nodes = [start, *others[playlists.between(far[0], far[1], 300)].tolist(), end]
        penalty = playlists.apart([shelf.artists[row] for row in nodes])
        cost = playlists.distances(shelf.similar[np.ix_(nodes, nodes)])
        return [nodes[position] for position in playlists.way(cost, k, power, penalty)]

    return way


# Mixes


def mixes(shelf: Shelf, k: int = 10) -> None:
    """One clip of each of two classes added, one of the second subtracted: what the first are, other artists only."""
    generator = np.random.default_rng(SEED)
    cases = []
    while len(cases) < QUERIES:
        wanted, other = generator.choice(CLASSES, 2, replace=False)
        of = {name: np.flatnonzero(shelf.genre == name) for name in (wanted, other)}
        add = [int(generator.choice(of[wanted])), int(generator.choice(of[other]))]
        less = int(generator.choice([row for row in of[other] if row != add[1]]))
        cases.append((wanted, other, add, less))
    print(f"\nMixes: {QUERIES} of a song of each of two classes, less one of the second; of the first {k}\n")
    print("| less counts | of the first class, % | of the second, % | like what was added | like what was subtracted |")
    print("|---|---|---|---|---|")
    for weight in (0.0, 0.25, 0.5, 0.75, 1.0):
        rows = []
        for wanted, other, add, less in cases:
            score = playlists.blend(shelf.similar[add], shelf.similar[[less]], weight)
            own = {shelf.artists[row] for row in (*add, less)} - {None}
            among = np.array([row not in (*add, less) and a not in own for row, a in enumerate(shelf.artists)])
            among &= shelf.genre != ""
            top = playlists.best(score, among)[:k]
            rows.append(
                (
                    mean(shelf.genre[top] == wanted),
                    mean(shelf.genre[top] == other),
                    float(shelf.similar[np.ix_(add, top)].mean()),
                    float(shelf.similar[less, top].mean()),
                )
            )
        first, second, near, far = np.mean(rows, axis=0)
        shipped = " (shipped)" if weight == playlists.LESS else ""
        print(f"| {weight}{shipped} | {100 * first:.1f} | {100 * second:.1f} | {near:.3f} | {far:.3f} |", flush=True)


# The search


def misspelt(text: str, generator: random.Random, slips: int) -> str:
    """A few letters left out, doubled, swapped or replaced."""
    letters = list(text)
    for _ in range(slips):
        at = generator.randrange(max(1, len(letters) - 1))
        slip = generator.choice(("out", "double", "swap", "other"))
        if slip == "out":
            del letters[at]
        elif slip == "double":
            letters.insert(at, letters[at])
        elif slip == "swap" and at + 1 < len(letters):
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        else:
            letters[at] = generator.choice("abcdefghijklmnopqrstuvwxyz")
    return "".join(letters)


def names(heard: Songs, read: Words) -> None:
    """Titles and artists alone: how often the right one is first, and how often a line of a song finds any."""
    from rapidfuzz import fuzz, process

    generator = random.Random(SEED)
    pairs = [(str(artist), str(title)) for artist, title in zip(heard.artist, heard.title, strict=True) if title]
    pairs += [("", str(title)) for title in read.title]
    held = [(fold(title), fold(artist), fold(f"{artist} {title}")) for artist, title in pairs]
    told = [fold(f"{artist} - {title}" if artist else title) for artist, title in pairs]
    drawn = generator.sample(range(len(pairs)), QUERIES)
    both = [row for row in drawn if pairs[row][0]]
    long = [row for row in drawn if len(pairs[row][1].split()) > 2]
    sung = [line for text in read.text for line in str(text).splitlines() if len(line.split()) >= 5]
    kinds: dict[str, list[tuple[str, int]]] = {
        **{f"title, {n} slips": [(misspelt(pairs[row][1], generator, n), row) for row in drawn] for n in (0, 1, 3)},
        "title, then artist, 1 slip": [
            (misspelt(f"{pairs[row][1]} {pairs[row][0]}", generator, 1), row) for row in both
        ],
        "two words of a longer title": [(" ".join(pairs[row][1].split()[:2]), row) for row in long],
        "a line that is sung": [(" ".join(line.split()[:12]), -1) for line in generator.sample(sung, QUERIES)],
    }
    ways: dict[str, Callable[[str], Floats]] = {
        "WRatio": lambda asked: process.cdist([asked], told, scorer=fuzz.WRatio)[0],
        "ratio to both": lambda asked: process.cdist([asked], told, scorer=fuzz.ratio)[0],
        "likeness (shipped)": lambda asked: likeness(asked, held),
    }
    print(f"\nNames: {len(pairs)} clips; any with the same title first, %; of lines that are sung, those with any\n")
    print("| | " + " | ".join(kinds) + " |\n|" + "---|" * (len(kinds) + 1))
    for name, way in ways.items():
        cells = [name]
        for questions in kinds.values():
            right = []
            for question, row in questions:
                scores = way(fold(question))
                best = int(np.argmax(scores))
                found = scores[best] >= CUT_OFF
                right.append(found if row < 0 else found and held[best][0] == held[row][0])
            cells.append(f"{100 * mean(right):.1f}")
        print("| " + " | ".join(cells) + " |", flush=True)


def search(heard: Songs, read: Words) -> None:
    """Known items: a title with slips, a line that is sung; by each ranking alone and by all."""
    with tempfile.TemporaryDirectory() as folder:
        library = Library.open(load(data=Path(folder)), BOTH)
        wanted: dict[str, str] = {}
        for row, title in enumerate(heard.title):
            clip = Clip(f"song{row:07}", str(title), artist=str(heard.artist[row]) or None, genre=str(heard.genre[row]))
            library.add(clip, Features({n: heard.features[row].vectors[n] for n in ("librosa", "musicnn")}))
        for row, title in enumerate(read.title):
            clip = Clip(f"text{row:07}", str(title), genre=str(read.genre[row]))
            only = Features({"mpnet": read.features[row].vectors["mpnet"]})
            library.add(clip, only, lyrics=Lyrics(str(read.text[row]), "en"))
            wanted[clip.id] = str(read.text[row])
        index = Searcher(BOTH, library).index(HOME)
        encoder: Any = MPNET.load()
        generator = random.Random(ASKED)
        ids = sorted(row.id for row in index.rows)
        kinds: dict[str, list[tuple[str, str]]] = {}
        clips = library.get_many(ids)
        titles: dict[str, int] = {}
        for clip in clips.values():
            titles[clip.title.casefold()] = titles.get(clip.title.casefold(), 0) + 1
        drawn = [i for i in generator.sample(ids, len(ids)) if titles[clips[i].title.casefold()] == 1][:QUESTIONS]
        for slips in (0, 1, 3):
            kinds[f"title, {slips} slips"] = [(misspelt(clips[i].title, generator, slips), i) for i in drawn]
        lines = [(i, [line for line in t.splitlines() if len(line.split()) >= 5]) for i, t in sorted(wanted.items())]
        lines = generator.sample([(i, own) for i, own in lines if own], QUESTIONS)
        sung = [(generator.choice(own), i) for i, own in lines]
        kinds["line of 5 words or more"] = [(" ".join(line.split()[:12]), i) for line, i in sung]
        kinds["five words of it, 2 slips"] = [
            (misspelt(" ".join(line.split()[:5]), generator, 2), i) for line, i in sung
        ]
        kinds["a genre"] = [(str(genre).replace("-", " "), str(genre)) for genre in np.unique(read.genre)]
        where = {row.id: at for at, row in enumerate(index.rows)}
        found: dict[str, list[Asked]] = {kind: [] for kind in kinds}
        once: dict[str, list[Asked]] = {kind: [] for kind in kinds}
        for kind, questions in kinds.items():
            for question, target in questions:
                repeats = max(1, -(-MIN_WORDS // max(1, word_count(question))))
                given = likeness(question, index.names), index.lyrics.ask(question), index.tags.ask(question)
                counted = weights(given[2])
                vector = encoder.encode("\n".join([question] * repeats)).vector
                right = [where[target]] if target in where else alike(index, target)
                found[kind].append(Asked(rankings(index, *given, vector), counted, right))
                if not kind.startswith("title"):
                    vector = encoder.encode(question).vector
                    once[kind].append(Asked(rankings(index, *given, vector), counted, right))
        same = dict.fromkeys(("name", "tags", "lyrics", "meaning"), 1.0)
        unheard = {name: weight for name, weight in WEIGHTS.items() if name != "meaning"}
        inexact = {name: weight for name, weight in WEIGHTS.items() if name != "exact"}
        settings: dict[str, tuple[Mapping[str, float], float, bool]] = {
            "names alone": ({"name": 1.0}, RRF, False),
            "tags alone": ({"tags": 1.0}, RRF, False),
            "lyrics alone": ({"lyrics": 1.0}, RRF, False),
            "meaning alone, read once": ({"meaning": 1.0}, RRF, False),
            "meaning alone, read as lyrics": ({"meaning": 1.0}, RRF, False),
            "all alike, constant 60": (same, 60.0, False),
            f"all alike, constant {RRF}": (same, RRF, False),
            f"weighed, constant {RRF}": (WEIGHTS, RRF, False),
            "weighed by the question, no exact names": (inexact, RRF, True),
            "weighed by the question, constant 60": (WEIGHTS, 60.0, True),
            f"weighed by the question, constant {RRF} (shipped)": (WEIGHTS, RRF, True),
            "the same without meaning": (unheard, RRF, True),
        }
        print(f"\nSearch: {len(ids)} clips, {QUESTIONS} questions of each kind: first in %, mean reciprocal rank")
        print("(genres: share of the first ten, %)\n")
        print("| | " + " | ".join(kinds) + " |\n|" + "---|" * (len(kinds) + 1))
        for name, setting in settings.items():
            cells = [name]
            for kind in kinds:
                orders = [(one.fused(*setting), one.right) for one in (once if name.endswith("once") else found)[kind]]
                if not orders:
                    cells.append("")
                elif kind == "a genre":
                    cells.append(f"{100 * mean(len({*order[:10]} & {*right}) / 10 for order, right in orders):.0f}")
                else:
                    ranks = [order.index(right[0]) + 1 if right[0] in order else 0 for order, right in orders]
                    first, reciprocal = mean(r == 1 for r in ranks), mean(1 / r if r else 0.0 for r in ranks)
                    cells.append(f"{100 * first:.0f} / {reciprocal:.3f}")
            print("| " + " | ".join(cells) + " |", flush=True)
        library.close()


@dataclass(frozen=True)
class Asked:
    """What each way found for a question, what it counts for by the question, and the rows that are right."""

    found: Mapping[str, Ranks]
    counted: Mapping[str, float]
    right: list[int]

    def fused(self, weights: Mapping[str, float], constant: float, by_question: bool) -> list[int]:
        if by_question:
            weights = {name: self.counted[name] for name in weights}
        scores = fuse({name: ranks for name, ranks in self.found.items() if name in weights}, weights, constant)
        return sorted(scores, key=lambda row: (-sum(scores[row].values()), row))


def alike(index: Index, genre: str) -> list[int]:
    """The rows of a genre: its words are all in the tag."""
    wanted = set(genre.split("-"))
    return [
        at for at, row in enumerate(index.rows) if wanted <= set(str(row.genre).casefold().replace("-", " ").split())
    ]


# Speed


def speed(count: int = 10_000) -> None:
    """Milliseconds on a made-up library; the first time includes reading the library."""
    import asyncio

    from clipsim.core import ClipSim
    from clipsim.encoders import Part, Preset

    preset = Preset("made", (Part("ear", "audio", 64, "nowhere:load"), Part("pen", "lyrics", 64, "nowhere:load")))
    generator = np.random.default_rng(SEED)
    centres = generator.standard_normal((40, 128))
    vocabulary = ["".join(generator.choice(list("abcdefghilmnoprstuv"), 6)) for _ in range(20_000)]
    with tempfile.TemporaryDirectory() as folder:
        settings = load(data=Path(folder))
        library = Library.open(settings, preset)
        for n in range(count):
            row = (centres[n % 40] + generator.standard_normal(128)).astype(np.float32)
            text = " ".join(vocabulary[int(w)] for w in np.minimum(generator.zipf(1.2, 250), 20_000) - 1)
            about = Clip(f"made{n:07}", f"{vocabulary[n % 20_000]} {vocabulary[-1 - n % 977]}", artist=f"by {n % 1500}")
            library.add(about, Features({"ear": row[:64], "pen": row[64:]}), lyrics=Lyrics(text))
        library.close()

        async def timed() -> None:
            async with ClipSim.open(settings=settings, preset=preset) as sim:
                print(f"\nSpeed: {count} clips, ms\n\n| | first | then (median of 5) |\n|---|---|---|")
                asks: dict[str, Callable[[], Any]] = {
                    "similar, for comparison": lambda: sim.query("made0000000", 10),
                    "playlist of 10": lambda: sim.playlist("made0000000", 10, place="here"),
                    "playlist of 50": lambda: sim.playlist("made0000000", 50),
                    "path of 8": lambda: sim.path("made0000000", "made0000001", 8),
                    "mix of 10": lambda: sim.mix(["made0000000", "made0000001"], ["made0000002"]),
                    "search, three words": lambda: sim.search(
                        f"{vocabulary[40]} {vocabulary[99]} {vocabulary[7]}", meaning=False
                    ),
                    "surprise": lambda: sim.surprise(),
                    "most alike": lambda: sim.most_alike(),
                    "duplicates": lambda: sim.duplicates(),
                }
                for name, ask in asks.items():
                    taken = []
                    for _ in range(6):
                        begun = time.perf_counter()
                        await ask()
                        taken.append(1000 * (time.perf_counter() - begun))
                    print(f"| {name} | {taken[0]:.0f} | {np.median(taken[1:]):.0f} |", flush=True)

        asyncio.run(timed())


if __name__ == "__main__":
    main()
