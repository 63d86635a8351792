"""Each measure against a plain loop, a closed form, or the deck's published vectors."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import skew
from sklearn.metrics import average_precision_score

from clipsim import measures


def drawn(seed: int, queries: int = 30, candidates: int = 25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties and gaps, who is right, and who counts."""
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 12, (queries, candidates)) / 4.0
    scores[generator.random(scores.shape) < 0.15] = np.nan
    return scores, generator.random(scores.shape) < 0.3, generator.random(scores.shape) < 0.8


def plainly(scores: np.ndarray, right: np.ndarray, among: np.ndarray) -> dict[str, float]:
    """One query, as the definitions say."""
    found = [n for n in range(len(scores)) if among[n] and not np.isnan(scores[n])]
    found.sort(key=lambda n: (-scores[n], n))
    wanted, candidates = sum(right & among), sum(among)
    measured = {f"p@{k}": sum(bool(right[n]) for n in found[:k]) / min(k, candidates) for k in (1, 5, 10)}
    precisions = [sum(bool(right[m]) for m in found[: i + 1]) / (i + 1) for i, n in enumerate(found) if right[n]]
    return {**measured, "map": sum(precisions) / wanted}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("candidates", [3, 7, 25])
def test_precision_is_what_a_plain_loop_says(seed: int, candidates: int) -> None:
    scores, right, among = drawn(seed, candidates=candidates)
    found = measures.retrieval(scores, right, among)
    for row in range(len(scores)):
        if not (right[row] & among[row]).any():
            assert all(np.isnan(values[row]) for values in found.values())
            continue
        for name, value in plainly(scores[row], right[row], among[row]).items():
            assert found[name][row] == pytest.approx(value, abs=1e-12), (name, row)


def test_average_precision_is_scikit_learn_s_where_nothing_is_tied() -> None:
    generator = np.random.default_rng(3)
    scores, right = generator.standard_normal((20, 60)), generator.random((20, 60)) < 0.2
    found = measures.retrieval(scores, right, np.ones_like(right))["map"]
    assert found == pytest.approx([average_precision_score(a, b) for a, b in zip(right, scores, strict=True)])


def test_chance_is_the_mean_over_every_order() -> None:
    right = np.array([[True, True, False, False, False, True]])
    among = np.array([[True, True, True, True, True, False]])
    expected = measures.chance(right, among)
    found = [
        measures.retrieval(np.array([[*order, 9.0]], np.float64), right, among) for order in permutations(range(5))
    ]
    for name in measures.MEASURES:
        assert expected[name][0] == pytest.approx(np.mean([each[name][0] for each in found])), name


def test_a_known_item_is_found_behind_its_equals() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.5, 0.5, 0.5], [0.2, 0.9, np.nan], [0.2, np.nan, 0.1]])
    places = measures.ranks(scores, np.array([0, 1, 0, 1]))
    assert places.tolist() == [1, 3, 2, np.inf]
    told = measures.known_item(places)
    assert told == {"recall@1": 0.25, "recall@10": 0.75, "mrr": pytest.approx((1 + 1 / 3 + 1 / 2 + 0) / 4)}


def test_hubs_are_the_skewness_of_how_often_each_is_listed() -> None:
    generator = np.random.default_rng(0)
    points = generator.standard_normal((80, 40))
    scores = -((points[:, None] - points[None]) ** 2).sum(axis=2)
    scores[0, 5:] = np.nan  # a query that finds four
    lists = measures.listed(scores, ~np.eye(80, dtype=bool))
    counts = [0] * 80
    for row in range(80):
        others = [n for n in range(80) if n != row and not np.isnan(scores[row, n])]
        best = sorted(others, key=lambda n, row=row: -scores[row, n])[:10]
        assert lists[row].tolist() == best
        for n in best:
            counts[n] += 1
    assert len(lists[0]) == 4
    told = measures.hubs(lists, 80)
    assert told == {"skew": pytest.approx(float(skew(counts))), "never": pytest.approx(counts.count(0) / 80)}


def test_hubs_of_an_even_library_are_none() -> None:
    everyone = [np.array([(n + 1) % 6, (n + 2) % 6]) for n in range(6)]
    assert measures.hubs(everyone, 6) == {"skew": 0.0, "never": 0.0}
    assert measures.hubs([np.array([0])] * 4, 4)["never"] == 0.75


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    held = 0
    for trial in range(200):
        low, high = measures.interval(generator.random(60), seed=trial)
        held += low <= 0.5 <= high
        assert high - low == pytest.approx(2 * 1.96 * np.sqrt(1 / 12 / 60), rel=0.4)
    assert 0.89 <= held / 200 <= 0.99


def test_the_interval_is_the_same_each_time_and_no_wider_than_the_values() -> None:
    values = np.random.default_rng(0).random(40)
    assert measures.interval(values) == measures.interval(values)
    assert measures.interval(np.full(5, 0.25)) == (0.25, 0.25)


def test_the_randomisation_test_is_the_share_of_all_swaps() -> None:
    generator = np.random.default_rng(2)
    mine, theirs = generator.random(10), generator.random(10) * 0.8
    difference = mine - theirs
    every = [abs(np.dot(signs, difference)) for signs in product((-1, 1), repeat=10)]
    exact = np.mean([far >= abs(difference.sum()) - 1e-9 for far in every])
    assert measures.randomisation(mine, theirs) == pytest.approx(exact, abs=0.02)
    assert measures.randomisation(mine, theirs) == measures.randomisation(theirs, mine)
    assert measures.randomisation(mine, mine) == 1.0
    assert measures.randomisation(mine + 10, theirs) < 0.01


def test_clusters_that_are_the_labels() -> None:
    rows = np.repeat(np.eye(4) * 10, 6, axis=0) + np.random.default_rng(0).standard_normal((24, 4)) * 0.1
    labels = [f"l{n // 6}" for n in range(24)]
    assert measures.clusters(rows, labels) == {"nmi": pytest.approx(1.0), "ari": pytest.approx(1.0)}
    mixed = [f"l{n % 4}" for n in range(24)]
    assert measures.clusters(rows, mixed)["ari"] < 0.05


def test_the_deck_s_vectors_reach_the_deck_s_figures(testdata: Path) -> None:
    stored = np.load(testdata / "deck" / "embeddings.npz", allow_pickle=False)
    rows, genres = stored["embeddings"].astype(np.float64), stored["genres"]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    among = ~np.eye(len(rows), dtype=bool)
    found = measures.retrieval(unit @ unit.T, genres[:, None] == genres[None], among)
    means = {name: round(float(values.mean()), 3) for name, values in found.items()}
    assert (means["p@1"], means["p@5"], means["map"]) == (0.554, 0.483, 0.312)
    assert measures.clusters(rows, [str(genre) for genre in genres])["nmi"] == pytest.approx(0.25, abs=0.02)
