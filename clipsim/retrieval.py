"""Retrieval: over-fetch from the index, re-rank exactly, drop the seed and its like, limit per artist, explain.

What is dropped: the seed and its re-uploads, and a result that is the same song as a better one (`clipsim.recordings`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clipsim import diversity as varied
from clipsim.errors import MissingModality, NotTrained
from clipsim.explain import why
from clipsim.model import HOME, By, Clip, Features, Matrix, Method, Modality, Vector
from clipsim.recordings import Recordings
from clipsim.rows import View
from clipsim.similarity import Comparison, Scored, effective, modal_mean, separable
from clipsim.titles import artist_key

LEAST = 50  # candidates fetched at first, and at least ten for each result
BATCH = 500  # clips whose vectors are read at once, where all are
GROWTH = 4  # times as many at each further fetch
MOST = 3200  # candidates fetched for the sake of exactness alone; to fill a list, as many as there are
ROUNDING = 2.0**-24  # of float32: what a sum of products that add up to 1 at most may be off by, for each of them …
SLACK = 5e-6  # … and what the probe, the lengths and the quotient may add
PAGE, PAGE_MOST = 10, 100  # candidates whose metadata is read at once: two for each result, within these
POOL = 5  # candidates for each result, where they are to differ from each other …
POOL_LEAST = 25  # … and at least so many


class Fusion(Protocol):
    """What is needed of a fusion here."""

    method: Method
    blocks: dict[Modality, slice] | None

    def modal(self, features: Features) -> dict[Modality, Vector]:
        """The unit-length vector of each modality."""
        ...


class Store(Protocol):
    """What is needed of a library here."""

    def get_many(self, ids: Sequence[str]) -> dict[str, Clip]:
        """Clips by id."""
        ...

    def ids(self, community: str = HOME) -> list[str]:
        """The community's clips."""
        ...

    def vectors(self, fusion_id: str, ids: Sequence[str]) -> dict[str, Vector]:
        """Embeddings by id."""
        ...

    def embeddings(self, fusion_id: str, community: str = HOME) -> tuple[list[str], Matrix]:
        """All embeddings of a community."""
        ...

    def features(self, ids: Sequence[str]) -> dict[str, Features]:
        """Features by id."""
        ...

    def modality_sets(self, community: str = HOME) -> frozenset[frozenset[Modality]]:
        """Which modalities the community's clips have: every combination that occurs."""
        ...

    def fingerprints(self, ids: Sequence[str]) -> dict[str, NDArray[np.uint32]]:
        """Fingerprints by id."""
        ...


class Nearest(Protocol):
    """What is needed of an index here: `clipsim.index.Index`, or `Scan`."""

    def name(self, fusion_id: str, community: str) -> str:
        """The name of a collection."""
        ...

    def query(self, name: str, vector: Vector, k: int) -> list[tuple[str, float]]:
        """The nearest, best first, with cosines."""
        ...


@dataclass(frozen=True, slots=True)
class Stranger:
    """What is known of a clip that the library does not have: what was found in it, and its embedding."""

    features: Features
    embedding: Vector  # float32 (size of the fusion,), unit length


@dataclass(frozen=True, slots=True)
class Found:
    """One result: a clip, how similar (cosine, -1 to 1), by which modality, and why."""

    clip: Clip
    similarity: float
    by: Mapping[Modality, float]  # only the modalities that both clips have
    why: str


def search(
    library: Store,
    index: Nearest,
    fusion_id: str,
    fusion: Fusion,
    seed: Clip,
    *,
    k: int = 5,
    by: By = "all",
    weights: Mapping[Modality, float] | None = None,
    community: str = HOME,
    per_artist: int = 2,
    diversity: float = 0.0,
    stranger: Stranger | None = None,
    near: Near | None = None,
    clips: Mapping[str, Clip] | None = None,
) -> list[Found]:
    """The `k` clips most similar to a clip of the library, best first; fewer if the community has no more.

    `by` compares by one modality alone; candidates without it are left out. `weights` multiplies what each modality
    counts for. At most `per_artist` results by one artist, the seed's own included (0: no limit; clips without a known
    artist are not limited). With `diversity` above 0, up to 1, the results are chosen among five times as many so that
    they differ from each other too (`clipsim.diversity`), and are in that order; their similarities stay what they are.
    A seed that the library does not have is a `stranger`, which says what is known of it. `near` has all embeddings in
    memory and stands in for the index. `clips` are some that were read already.

    Raises:
        MissingModality: the seed does not have what is asked for.
        NotTrained: the seed has no embedding of this fusion.
        InvalidSetting: weights or a diversity that cannot be used. IndexUnavailable: as the index says.
    """
    varied.check(diversity)
    if k < 1:
        return []
    asked, k = k, pool(k, diversity)
    if near is not None:
        rounds = near.rounds(k)
    elif separable(fusion, by, weights):
        comparison = Comparison(_placed(library.vectors(fusion_id, [seed.id]), seed, stranger), fusion, by, weights)
        if comparison.bounded or (comparison.plain and len(library.modality_sets(community)) <= 1):
            rounds = _fetched(library, index, fusion_id, community, comparison, k)
        else:
            rounds = iter([_Round(comparison.scored(*library.embeddings(fusion_id, community)), None)])
    else:
        rounds = iter([_Round(_scanned(library, fusion, seed, by, weights, community, stranger), None)])
    chosen: list[tuple[Clip, Scored]] = []
    picker = _Picker(library, seed, k, per_artist, stranger, clips or {})
    for candidates in rounds:
        chosen = picker.pick(candidates.ranked)
        enough = len(chosen) == k
        if enough and (candidates.horizon is None or chosen[-1][1].similarity >= candidates.horizon):
            break
        if enough and candidates.fetched >= MOST:
            break
    if diversity:
        between = _between(library, fusion_id, fusion, by, weights, [clip.id for clip, _ in chosen], near)
        order = varied.mmr([one.similarity for _, one in chosen], between, asked, diversity)
        chosen = [chosen[position] for position in order]
    senses = _senses(library, fusion, seed, chosen, stranger) if fusion.blocks is None else {}
    return [
        Found(clip, one.similarity, shown, why(seed, clip, shown))
        for clip, one in chosen
        for shown in [one.by or senses.get(clip.id, {})]
    ]


def pool(k: int, diversity: float) -> int:
    """How many are found, for `k` to be chosen among them."""
    return max(POOL_LEAST, POOL * k) if diversity else k


def page(k: int) -> int:
    """How many candidates' metadata is read at once."""
    return min(PAGE_MOST, max(PAGE, 2 * k))


class Near:
    """A comparison with all clips of a community that are in memory."""

    def __init__(self, view: View, comparison: Comparison, rates: NDArray[np.float32]) -> None:
        """`rates`: what `view.rates` says of the comparison."""
        self._view = view
        self._comparison = comparison
        self._rates = rates
        self._ranked: dict[int, _Round] = {}  # the last round, by how many were wanted
        self._off = view.held.matrix.shape[1] * ROUNDING + SLACK  # what a rate may be off by

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """Embeddings by id, of those that have one."""
        return {clip_id: vector for clip_id in ids if (vector := self._view.vector(clip_id)) is not None}

    def rounds(self, k: int) -> Iterator[_Round]:
        """More and more candidates, until all are ranked. Their similarities are exact; which they are, is too."""
        count = max(LEAST, 10 * k)
        while True:
            if count not in self._ranked:
                self._ranked = {count: self._round(count)}
            yield self._ranked[count]
            if self._ranked[count].horizon is None:
                return
            count *= GROWTH

    def _round(self, count: int) -> _Round:
        total = len(self._rates)
        least = np.float32(-np.inf)
        if count < total:
            least = np.partition(self._rates, total - count)[total - count]
        # Whatever may be as similar as the last of them is ranked with them.
        near = np.flatnonzero(self._rates > least - 2 * self._off)
        ranked = self._comparison.scored(*self._view.pick(near))
        return _Round(ranked, None if least == -np.inf else float(least) - self._off)


def compare(
    view: View,
    seeds: Sequence[tuple[Clip, Stranger | None]],
    fusion: Fusion,
    by: By = "all",
    weights: Mapping[Modality, float] | None = None,
) -> list[Near]:
    """Compare several clips with a community's, all at once. For what `separable` says can be.

    Raises:
        MissingModality, NotTrained, InvalidSetting: as `search`.
    """
    comparisons = []
    for seed, stranger in seeds:
        own = view.vector(seed.id)
        embedded = {} if own is None else {seed.id: own}
        comparisons.append(Comparison(_placed(embedded, seed, stranger), fusion, by, weights))
    return [Near(view, *pair) for pair in zip(comparisons, view.rates(comparisons), strict=True)]


def read_ahead(library: Store, near: Sequence[Near | None], k: int) -> dict[str, Clip]:
    """The clips that several searches will look at first, read at once."""
    firsts = [next(each.rounds(k)).ranked[: page(k)] for each in near if each is not None]
    return library.get_many(list({one.id for ranked in firsts for one in ranked}))


def _placed(embedded: Mapping[str, Vector], seed: Clip, stranger: Stranger | None) -> Vector:
    if stranger is not None:
        return stranger.embedding
    if seed.id not in embedded:
        raise NotTrained(f"“{seed.title[:80]}” has no place among the others yet.")
    return embedded[seed.id]


class Scan:
    """An exact index over a library's embeddings: for when Chroma cannot be had, and to measure it against.

    Reads every embedding of a collection once, so make a new one for each search.
    """

    def __init__(self, library: Store) -> None:
        self._library = library
        self._names: dict[str, tuple[str, str]] = {}
        self._read: dict[str, tuple[list[str], Matrix]] = {}

    def name(self, fusion_id: str, community: str) -> str:
        """The name of a collection."""
        name = f"{fusion_id} {community}"
        self._names[name] = (fusion_id, community)
        return name

    def query(self, name: str, vector: Vector, k: int) -> list[tuple[str, float]]:
        """The nearest, best first, with cosines."""
        if name not in self._read:
            self._read[name] = self._library.embeddings(*self._names[name])
        ids, matrix = self._read[name]
        if not ids:
            return []
        cosines = matrix @ vector / (np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector))
        return [(ids[row], float(cosines[row])) for row in np.argsort(-cosines, kind="stable")[:k]]


@dataclass(frozen=True, slots=True)
class _Round:
    """Candidates ranked exactly. No clip that was not fetched is more similar than `horizon` (None: none is left)."""

    ranked: list[Scored]
    horizon: float | None
    fetched: int = 0


def _fetched(
    library: Store, index: Nearest, fusion_id: str, community: str, comparison: Comparison, k: int
) -> Iterator[_Round]:
    """More and more candidates, until all are fetched. See `Comparison.stretch` for the horizon."""
    collection = index.name(fusion_id, community)
    stretch = max((comparison.stretch(present) for present in library.modality_sets(community)), default=1.0)
    count = max(LEAST, 10 * k)
    scored: dict[str, Scored] = {}
    while True:
        nearest = index.query(collection, comparison.probe, count)
        fresh = [clip_id for clip_id, _ in nearest if clip_id not in scored]
        scored.update((one.id, one) for one in comparison.score(library.vectors(fusion_id, fresh)))
        ranked = sorted(scored.values(), key=lambda one: (-one.similarity, one.id))
        if len(nearest) < count:
            yield _Round(ranked, None, count)
            return
        yield _Round(ranked, max(0.0, nearest[-1][1]) * stretch, count)
        count *= GROWTH


def _scanned(
    library: Store,
    fusion: Fusion,
    seed: Clip,
    by: By,
    weights: Mapping[Modality, float] | None,
    community: str,
    stranger: Stranger | None,
) -> list[Scored]:
    """Every clip of the community by its vectors of each modality: for methods that mix them in the embedding."""
    asked = effective(by, weights)
    mine = _own(library, fusion, seed, stranger)
    wanted = {m: vector for m, vector in mine.items() if asked[m] > 0}
    if not wanted:
        raise MissingModality(None if by == "all" else f"That clip has no {by} to compare by.")
    scored = []
    ids = library.ids(community)
    for start in range(0, len(ids), BATCH):
        for clip_id, theirs in _modal(library, fusion, ids[start : start + BATCH]).items():
            total, _ = modal_mean(wanted, theirs, asked)
            if total is not None:
                scored.append(Scored(clip_id, total, modal_mean(mine, theirs, asked)[1]))
    return sorted(scored, key=lambda one: (-one.similarity, one.id))


def _between(
    library: Store,
    fusion_id: str,
    fusion: Fusion,
    by: By,
    weights: Mapping[Modality, float] | None,
    ids: Sequence[str],
    near: Near | None,
) -> Callable[[int], NDArray[np.float64]]:
    """The similarity of one of these clips to each of them: float64, (ids,); not a number where they share nothing."""
    if separable(fusion, by, weights):
        rows = library.vectors(fusion_id, ids) if near is None else near.vectors(ids)

        def similarities(position: int) -> NDArray[np.float64]:
            scored = Comparison(rows[ids[position]], fusion, by, weights).score(rows)
            found = {one.id: one.similarity for one in scored}
            return np.array([found.get(clip_id, np.nan) for clip_id in ids])

        return similarities
    modal, asked = _modal(library, fusion, ids), effective(by, weights)

    def means(position: int) -> NDArray[np.float64]:
        found = [modal_mean(modal[ids[position]], modal[clip_id], asked)[0] for clip_id in ids]
        return np.array([np.nan if one is None else one for one in found])

    return means


def _senses(
    library: Store, fusion: Fusion, seed: Clip, chosen: Sequence[tuple[Clip, Scored]], stranger: Stranger | None
) -> dict[str, dict[Modality, float]]:
    """Similarity by modality of the results of a method that mixes them."""
    wanted = [clip.id for clip, one in chosen if not one.by]
    if not wanted:
        return {}
    mine, modal = _own(library, fusion, seed, stranger), _modal(library, fusion, wanted)
    return {clip_id: modal_mean(mine, modal.get(clip_id, {}), effective("all", None))[1] for clip_id in wanted}


def _own(library: Store, fusion: Fusion, seed: Clip, stranger: Stranger | None) -> dict[Modality, Vector]:
    """The seed's vector of each modality."""
    if stranger is not None:
        return fusion.modal(stranger.features)
    return _modal(library, fusion, [seed.id]).get(seed.id, {})


def _modal(library: Store, fusion: Fusion, ids: Sequence[str]) -> dict[str, dict[Modality, Vector]]:
    return {clip_id: fusion.modal(features) for clip_id, features in library.features(ids).items() if features.vectors}


class _Picker:
    """Takes results off a ranked list. Reads metadata and fingerprints only of those that come into question."""

    def __init__(
        self,
        library: Store,
        seed: Clip,
        k: int,
        per_artist: int,
        stranger: Stranger | None,
        clips: Mapping[str, Clip],
    ) -> None:
        self._library = library
        self._seed = seed
        self._k = k
        self._per_artist = per_artist
        self._clips: dict[str, Clip] = dict(clips)
        known = {} if stranger is None else {seed.id: stranger.features.fingerprint}
        self._recordings = Recordings(library, known)

    def pick(self, ranked: Sequence[Scored]) -> list[tuple[Clip, Scored]]:
        chosen: list[tuple[Clip, Scored]] = []
        artists: Counter[str] = Counter()
        for clip, one in self._read(ranked):
            if not set(clip.modalities) & set(self._seed.modalities):
                continue  # they share no sense to be compared by: a cosine of zero is no similarity
            artist = artist_key(clip.artist)
            if artist and self._per_artist and artists[artist] >= self._per_artist:
                continue
            if any(self._recordings.same(clip, other) for other in (self._seed, *(earlier for earlier, _ in chosen))):
                continue
            chosen.append((clip, one))
            if artist:
                artists[artist] += 1
            if len(chosen) == self._k:
                break
        return chosen

    def _read(self, ranked: Sequence[Scored]) -> Iterator[tuple[Clip, Scored]]:
        size = page(self._k)
        for start in range(0, len(ranked), size):
            some = ranked[start : start + size]
            unread = [one.id for one in some if one.id not in self._clips]
            if unread:
                self._clips.update(self._library.get_many(unread))
            yield from ((self._clips[one.id], one) for one in some if one.id in self._clips)
