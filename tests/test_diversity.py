"""Maximal marginal relevance against a slow loop, alone and at the end of a search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from clipsim.diversity import mmr
from clipsim.errors import InvalidSetting
from clipsim.fusion import Fusion
from clipsim.index import Index
from clipsim.library import Library
from clipsim.model import HOME, Clip, Modality
from clipsim.retrieval import POOL, POOL_LEAST, Found, search
from tests.libraries import TINY, features, settings, train
from tests.test_retrieval import SETS

Shelf = tuple[Library, Index, dict[str, tuple[str, Fusion]]]


def slowly(relevance: list[float], alike: np.ndarray, k: int, diversity: float) -> list[int]:
    """The definition, word for word."""
    chosen: list[int] = []
    while len(chosen) < min(k, len(relevance)):
        best, reached = -1, float("-inf")
        for one in range(len(relevance)):
            if one in chosen:
                continue
            worth = relevance[one]
            if chosen:
                most = max(0.0 if np.isnan(alike[other, one]) else alike[other, one] for other in chosen)
                worth = (1 - diversity) * relevance[one] - diversity * most
            if worth > reached:
                best, reached = one, worth
        chosen.append(best)
    return chosen


@pytest.mark.parametrize("diversity", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_it_chooses_what_a_slow_loop_does(diversity: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.standard_normal((40, 6))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    alike = rows @ rows.T
    alike[generator.random((40, 40)) < 0.1] = np.nan
    relevance = sorted(generator.random(40), reverse=True)
    for k in (1, 7, 40, 99):
        assert mmr(relevance, lambda one: alike[one], k, diversity) == slowly(relevance, alike, k, diversity)
    assert mmr([], lambda one: alike[one], 5, diversity) == []


def test_none_keeps_the_order_and_all_of_it_minds_only_difference() -> None:
    # Two that are the same, one between, one far from them.
    rows = np.array([[1.0, 0.0], [1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    alike = rows @ rows.T
    relevance = [0.9, 0.89, 0.8, 0.1]
    assert mmr(relevance, lambda one: alike[one], 4, 0.0) == [0, 1, 2, 3]
    assert mmr(relevance, lambda one: alike[one], 3, 1.0) == [0, 3, 2]
    assert mmr(relevance, lambda one: alike[one], 2, 0.3) == [0, 1]  # 0.7 * 0.89 - 0.3 * 1 > 0.7 * 0.8 - 0.3 * 0.8
    assert mmr(relevance, lambda one: alike[one], 2, 0.4) == [0, 2]  # 0.6 * 0.89 - 0.4 * 1 < 0.6 * 0.8 - 0.4 * 0.8


@pytest.mark.parametrize("diversity", [-0.1, 1.1, float("nan"), float("inf")])
def test_what_is_no_share_is_refused(diversity: float) -> None:
    with pytest.raises(InvalidSetting, match="0 to 1"):
        mmr([1.0], lambda one: np.ones(1), 1, diversity)


# At the end of a search


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """150 clips in six groups, with every set of modalities, some of them the same song."""
    folder = tmp_path_factory.mktemp("shelf")
    library = Library.open(settings(folder), TINY)
    index = Index(settings(folder), library.id)
    for n in range(150):
        title = f"Title {n % 140}"  # the last ten are re-uploads
        found = features(n, SETS[n % 7 if n % 3 else 0], near=10_000 + n % 6 if n % 2 else None)
        library.add(Clip(f"d{n:03}", title, artist=f"Artist {n % 140 % 30}"), found)
    yield library, index, {method: train(library, index, method) for method in ("standard", "raw", "pca")}
    index.close()
    library.close()


def find(shelf: Shelf, seed: str, diversity: float, method: str = "standard", **options: object) -> list[Found]:
    library, index, fitted = shelf
    return search(library, index, *fitted[method], library.get(seed), diversity=diversity, **options)  # type: ignore[arg-type]


def similarities(shelf: Shelf, one: str, method: str = "standard", **options: object) -> dict[str, float]:
    """What a search from the one says of the others."""
    library, index, fitted = shelf
    found = search(library, index, *fitted[method], library.get(one), k=150, per_artist=0, **options)  # type: ignore[arg-type]
    return {each.clip.id: each.similarity for each in found}


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("standard", {}),
        ("standard", {"by": "audio"}),
        ("standard", {"weights": {"lyrics": 3.0, "audio": 0.5}}),
        ("raw", {}),
        ("pca", {}),
        ("pca", {"weights": {"lyrics": 3.0}}),  # by each modality's own vectors
    ],
)
def test_results_are_chosen_by_the_similarity_that_they_are_shown_with(
    shelf: Shelf, method: str, options: dict[str, object]
) -> None:
    seed, k, diversity = "d003", 4, 0.4
    pool = find(shelf, seed, 0.0, method, k=max(POOL_LEAST, POOL * k), **options)
    plain = {one.clip.id: one for one in pool}
    said = [similarities(shelf, one, method, **options) for one in plain]
    alike = np.array([[row.get(other, 0.0) for other in plain] for row in said])
    songs = [one.clip.title for one in pool]
    assert len(set(songs)) == len(songs)  # else a search would not have said how alike the two are
    order = slowly([one.similarity for one in pool], alike, k, diversity)
    got = find(shelf, seed, diversity, method, k=k, **options)
    assert [one.clip.id for one in got] == [pool[position].clip.id for position in order]
    for one in got:
        assert one == plain[one.clip.id]  # its figures and its reason are what they were


def test_none_is_today_s_order(shelf: Shelf) -> None:
    library, index, fitted = shelf
    for seed in ("d000", "d017", "d050"):
        today = search(library, index, *fitted["standard"], library.get(seed), k=8)
        assert find(shelf, seed, 0.0, k=8) == today
        assert find(shelf, seed, 1e-12, k=8) == today


def test_the_more_of_it_the_less_alike_are_the_results(shelf: Shelf) -> None:
    mean = []
    for diversity in (0.0, 0.3, 0.8):
        total = 0.0
        for seed in ("d001", "d013", "d025"):
            ids = [one.clip.id for one in find(shelf, seed, diversity, k=5)]
            total += sum(similarities(shelf, a).get(b, 0.0) for a, b in combinations(ids, 2))
        mean.append(total)
    assert mean[0] > mean[1] > mean[2]


def test_limits_hold(shelf: Shelf) -> None:
    for seed in ("d001", "d005", "d042"):
        for diversity in (0.2, 1.0):
            found = find(shelf, seed, diversity, k=20)
            assert len(found) == 20
            assert max(Counter(one.clip.artist for one in found).values()) <= 2
            assert (
                max(Counter(one.clip.artist for one in find(shelf, seed, diversity, k=9, per_artist=1)).values()) == 1
            )
            titles = [one.clip.title for one in found]
            assert len(set(titles)) == 20 and shelf[0].get(seed).title not in titles
    assert find(shelf, "d001", 0.5, k=0) == []
    with pytest.raises(InvalidSetting):
        find(shelf, "d001", 2.0, k=5)


def test_a_small_library_has_what_it_has(tmp_path: Path) -> None:
    library = Library.open(settings(tmp_path), TINY)
    index = Index(settings(tmp_path), library.id)
    modalities: list[tuple[Modality, ...]] = [("audio", "video"), ("audio",), ("video",)]
    for n, present in enumerate(modalities):
        library.add(Clip(f"s{n}", f"Title {n}"), features(n, present), HOME)
    found = search(library, index, *train(library, index), library.get("s0"), diversity=0.5)
    assert {one.clip.id for one in found} == {"s1", "s2"}  # which have nothing in common to be alike by
    index.close()
    library.close()
