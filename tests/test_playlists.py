"""The choosing and ordering of playlists: properties on drawn numbers, and small cases by hand and by brute force."""

from __future__ import annotations

from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsim import playlists


def cosines(count: int, seed: int, size: int = 6) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, size))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


def length(cost: np.ndarray, order: list[int]) -> float:
    return float(sum(cost[a, b] for a, b in pairwise(order)))


def never(one: int, other: int) -> bool:
    return False


# tour


@given(st.integers(1, 30), st.integers(0, 10_000), st.data())
@settings(max_examples=60, deadline=None)
def test_a_tour_has_every_clip_once_and_begins_where_it_should(count: int, seed: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, count - 1))
    order = playlists.tour(playlists.distances(cosines(count, seed)), start)
    assert order[0] == start and sorted(order) == list(range(count))


@given(st.integers(2, 7), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_tour_is_nearly_the_shortest_there_is(count: int, seed: int) -> None:
    cost = playlists.distances(cosines(count, seed))
    best = min(length(cost, [0, *rest]) for rest in permutations(range(1, count)))
    assert length(cost, playlists.tour(cost)) <= 1.1 * best + 1e-9


def test_a_tour_walks_a_line_along() -> None:
    at = np.array([0.0, 0.9, 0.3, 0.6, 0.1, 0.8, 0.2])
    order = playlists.tour(np.abs(at[:, None] - at[None, :]))
    assert at[order].tolist() == sorted(at.tolist())


@given(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=14), st.integers(0, 10_000))
@settings(max_examples=150, deadline=None)
def test_no_artist_comes_twice_in_a_row_where_that_can_be_avoided(artists: list[str | None], seed: int) -> None:
    cost = playlists.distances(cosines(len(artists), seed)) + playlists.apart(artists)
    order = playlists.tour(cost)
    clashes = sum(artists[a] is not None and artists[a] == artists[b] for a, b in pairwise(order))
    if clashes:
        # The first is fixed. A name can be kept apart if the others can stand between: one before each of its clips,
        # or, where it has the first place, before each but that one.
        rest = artists[1:]
        possible = all(
            rest.count(name) <= len(rest) - rest.count(name) + (artists[0] != name)
            for name in {name for name in rest if name}
        )
        assert not possible


def test_nobody_s_clips_may_follow_each_other() -> None:
    assert not playlists.apart([None, None]).any()


# pick


@given(
    st.integers(1, 25),
    st.integers(1, 12),
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(0, 10_000),
)
@settings(max_examples=100, deadline=None)
def test_what_is_picked(count: int, k: int, per_artist: int, rankings: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(count).tolist() for _ in range(rankings)]
    artists = [None if n % 5 == 0 else f"artist {n % 4}" for n in range(count)]
    songs = [n // 2 for n in range(count)]  # each song twice
    found = playlists.pick(
        orders, k, artists=artists, per_artist=per_artist, same=lambda a, b: songs[a] == songs[b], chosen=[0]
    )
    assert found[0] == 0 and len(found) <= max(1, k)
    assert len({songs[row] for row in found}) == len(found)
    named = [artists[row] for row in found[1:] if artists[row]]
    assert not per_artist or all(named.count(name) <= per_artist for name in named)
    if len(found) < k:  # then nothing is left that could be taken
        for row in set(range(count)) - set(found):
            full = per_artist and artists[row] and named.count(artists[row]) >= per_artist
            assert full or songs[row] in {songs[other] for other in found}


def test_several_rankings_take_turns() -> None:
    found = playlists.pick([[1, 2, 3], [4, 1, 5]], 4, artists=[None] * 6, per_artist=0, same=never)
    assert found == [1, 4, 2, 5]


# way


def test_a_way_is_the_best_chain_there_is() -> None:
    for seed in range(20):
        cost = playlists.distances(cosines(8, seed))
        chain = playlists.way(cost, 5, power=4)
        ways = [[0, *inner, 7] for inner in combinations(range(1, 7), 3)]
        best = min(ways, key=lambda way: sum(cost[a, b] ** 4 for a, b in pairwise(way)))
        assert chain == best


@given(st.integers(0, 25), st.integers(2, 12), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_way_goes_forward_from_end_to_end(count: int, k: int, seed: int) -> None:
    cost = playlists.distances(cosines(count + 2, seed))
    chain = playlists.way(cost, k)
    assert chain == sorted(set(chain)) and chain[0] == 0 and chain[-1] == count + 1
    assert len(chain) == min(k, count + 2)


def test_a_way_over_a_line_takes_even_steps() -> None:
    at = np.linspace(0, 1, 101)
    chain = playlists.way(np.abs(at[:, None] - at[None, :]), 11)
    assert np.diff(at[chain]) == pytest.approx(0.1)


def test_a_way_avoids_a_penalty_where_it_can() -> None:
    at = np.linspace(0, 1, 5)
    cost = np.abs(at[:, None] - at[None, :])
    assert playlists.way(cost, 3) == [0, 2, 4]
    assert playlists.way(cost, 3, penalty=playlists.apart(["a", "b", "a", "c", "d"])) in ([0, 1, 4], [0, 3, 4])


def test_between_two_clips_are_those_near_the_line_in_its_order() -> None:
    points = np.array([[0.5, 0.0], [0.2, 0.1], [0.8, 0.1], [0.5, 9.0], [-3.0, 0.0]])
    start, end = (np.linalg.norm(points - corner, axis=1) for corner in ([0.0, 0.0], [1.0, 0.0]))
    assert playlists.between(start, end, 3).tolist() == [1, 0, 2]
    assert playlists.along(np.zeros(1), np.zeros(1)).tolist() == [0.5]  # in the same place as both


# blend


@given(st.integers(1, 4), st.integers(0, 3), st.integers(0, 10_000), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_blend_is_rocchio_s_vector(adds: int, subtracts: int, seed: int, less: float) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.standard_normal((20, 5))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    added, subtracted = rows[:adds], rows[adds : adds + subtracts]
    vector = added.mean(axis=0) - (less * subtracted.mean(axis=0) if subtracts else 0)
    assert playlists.blend(added @ rows.T, subtracted @ rows.T, less) == pytest.approx(rows @ vector)


def test_a_blend_leaves_out_what_cannot_be_compared() -> None:
    nan = np.nan
    added = np.array([[0.5, nan, nan], [0.1, 0.4, nan]])
    assert playlists.blend(added) == pytest.approx([0.3, 0.4, nan], nan_ok=True)
    assert playlists.blend(added, np.array([[nan, 0.4, 0.4]]), 0.5) == pytest.approx([0.3, 0.2, nan], nan_ok=True)
    assert playlists.best(playlists.blend(added)).tolist() == [1, 0]


def test_the_best_are_in_order_and_only_those_asked_for() -> None:
    score = np.array([0.1, np.nan, 0.5, 0.5, 0.9])
    assert playlists.best(score).tolist() == [4, 2, 3, 0]
    assert playlists.best(score, np.array([True, True, True, True, False])).tolist() == [2, 3, 0]


def test_what_shares_nothing_is_as_far_as_can_be() -> None:
    assert playlists.distances(np.array([[1.0, np.nan, -1.0]])).tolist() == [[0.0, 2.0, 2.0]]
