"""Playlists as numbers: which clips, and in what order. Pure: similarities and names in, positions out.

- `pick`: the best of several rankings in turn, no song twice, no crowd of one artist.
- `tour`: an order in which neighbours are alike: the shortest open path, near enough, by nearest neighbour, then 2-opt
  (Croes 1958, "A method for solving traveling-salesman problems") and or-opt moves (Or 1976) until none helps.
- `way`: from one clip to another. Only forward, by how far along a clip is (the divergence ratio of Flexer, Schnitzer,
  Gasser & Widmer 2008, "Playlist generation using start and end songs", ISMIR), and of all such chains of the length
  asked for, the one of smallest steps.
- `blend`: several clips added, others subtracted (Rocchio 1971, "Relevance feedback in information retrieval").

A similarity is a cosine, -1 to 1, or not a number where two clips have nothing in common to compare by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STRANGERS = 2.0  # distance of two clips that cannot be compared: as far as opposites
APART = 1000.0  # added between clips of one artist: more than a whole list of distances
EPSILON = 1e-9  # a move that gains less is none
SEGMENT = 3  # clips that an or-opt move takes along at most
POWER = 4  # to which `way` raises its steps: see docs/evaluation.md
LESS = 0.5  # what a subtracted clip counts for beside an added one: see docs/evaluation.md


def distances(similarity: Floats) -> Floats:
    """One less the similarity, 0 to 2: float64 of the same shape."""
    return np.clip(np.nan_to_num(1.0 - np.asarray(similarity, np.float64), nan=STRANGERS), 0.0, STRANGERS)


def apart(artists: Sequence[str | None]) -> Floats:
    """`APART` between clips of one artist (None: not known, and so nobody's), else 0: float64, (clips, clips)."""
    names = np.array([name or f"\0{row}" for row, name in enumerate(artists)], object)
    found = APART * (names[:, None] == names[None, :])
    np.fill_diagonal(found, 0.0)
    return found


def pick(
    rankings: Sequence[Sequence[int]],
    k: int,
    *,
    artists: Sequence[str | None],
    per_artist: int,
    same: Callable[[int, int], bool],
    chosen: Sequence[int] = (),
) -> list[int]:
    """Positions of `k` clips at most: those `chosen`, then the best of each ranking in turn.

    Args:
        rankings: positions, best first; what is in none is not picked.
        k: how many, with those chosen.
        artists: by position; None where it is not known, which is not limited.
        per_artist: how many of one artist at most, those chosen included (0: no limit).
        same: whether two positions hold the same song.
        chosen: what is in the list already; stays whatever its artists.
    """
    found = list(chosen)
    count = Counter(artists[position] for position in found)
    waiting = [iter(ranking) for ranking in rankings]
    while waiting and len(found) < k:
        ranking = waiting.pop(0)
        for position in ranking:
            artist = artists[position]
            full = artist is not None and per_artist and count[artist] >= per_artist
            if not full and not any(position == other or same(position, other) for other in found):
                found.append(position)
                count[artist] += 1
                waiting.append(ranking)
                break
    return found


def tour(cost: Floats, start: int = 0) -> list[int]:
    """An order of all clips that begins with `start` and in which no 2-opt or or-opt move shortens the way.

    With `apart` added, no clip follows another of its artist where that can be avoided: one that does could be moved
    between two clips of others, which would be shorter.

    Args:
        cost: distances, float64, shape (clips, clips), symmetric.
        start: position of the first clip. The last one is free.
    """
    count = len(cost)
    if not count:
        return []
    open_end = np.zeros((count + 1, count + 1))  # one more that is no clip, last, and costs nothing to reach
    open_end[:count, :count] = cost
    order = np.array([*_nearest_neighbours(cost, start), count])
    while (better := _two_opt(open_end, order)) is not None or (better := _or_opt(open_end, order)) is not None:
        order = better
    return [int(position) for position in order[:-1]]


def _nearest_neighbours(cost: Floats, start: int) -> list[int]:
    free = np.ones(len(cost), bool)
    order = [start]
    free[start] = False
    while free.any():
        order.append(int(np.argmin(np.where(free, cost[order[-1]], np.inf))))
        free[order[-1]] = False
    return order


def _two_opt(cost: Floats, order: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """The order with the stretch turned around that gains most, or None. Its two ends stay."""
    if len(order) < 4:
        return None
    between = cost[np.ix_(order, order)]
    step = np.diagonal(between, 1)
    gain = step[:-1, None] + step[None, 1:] - between[:-2, 1:-1] - between[1:-1, 2:]
    first, last = np.unravel_index(int(np.argmax(np.triu(gain, 1))), gain.shape)
    if gain[first, last] <= EPSILON or last <= first:
        return None
    turned = order.copy()
    turned[first + 1 : last + 2] = order[first + 1 : last + 2][::-1]
    return turned


def _or_opt(cost: Floats, order: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """The order with the stretch of up to `SEGMENT` clips moved that gains most, or None. Its two ends stay."""
    between = cost[np.ix_(order, order)]
    step = np.diagonal(between, 1)
    count, most, found = len(order), EPSILON, None
    for length in range(1, min(SEGMENT, count - 3) + 1):
        begin = np.arange(1, count - length)
        end = begin + length - 1
        taken = step[begin - 1] + step[end] - between[begin - 1, end + 1]
        slot = np.arange(count - 1)  # between one place and the next
        inside = (slot[None, :] >= begin[:, None] - 1) & (slot[None, :] <= end[:, None])
        for turned in (False, True):
            head, tail = (end, begin) if turned else (begin, end)
            put = between[slot[None, :], head[:, None]] + between[tail[:, None], slot[None, :] + 1] - step[None, :]
            gain = np.where(inside, -np.inf, taken[:, None] - put)
            row, place = np.unravel_index(int(np.argmax(gain)), gain.shape)
            if gain[row, place] > most:
                most, found = float(gain[row, place]), (int(begin[row]), length, int(place), turned)
    if found is None:
        return None
    at, length, after, turned = found
    moved = order[at : at + length][::-1] if turned else order[at : at + length]
    rest = np.delete(order, np.arange(at, at + length))
    return np.insert(rest, (after if after < at else after - length) + 1, moved)


def between(from_start: Floats, from_end: Floats, most: int) -> NDArray[np.intp]:
    """Positions of the `most` clips that lie least far off the way between two, in the order of the way.

    Args:
        from_start: distance of each clip from the first one, shape (clips,).
        from_end: and from the last one. The two themselves must not be among the clips.
    """
    nearest = np.argsort(from_start + from_end, kind="stable")[:most]
    return nearest[np.argsort(along(from_start[nearest], from_end[nearest]), kind="stable")]


def along(from_start: Floats, from_end: Floats) -> Floats:
    """How far along the way each clip is: 0 at the start, 1 at the end (the divergence ratio, made a share)."""
    whole = from_start + from_end
    return np.divide(from_start, whole, out=np.full(len(whole), 0.5), where=whole > 0)


def way(cost: Floats, k: int, power: float = POWER, penalty: Floats | None = None) -> list[int]:
    """The chain of `k` clips from the first to the last that only goes forward and has the smallest steps.

    Smallest is the sum of the steps' distances to the `power`: the higher, the more the largest step alone counts,
    and the more evenly they are spaced. Found exactly, by dynamic programming.

    Args:
        cost: distances, float64, shape (clips, clips): the first clip, those in between in their order, the last.
        k: how many in all; as many as there are if there are no more.
        power: see above.
        penalty: added to the steps as they count, such as `apart`; same shape.
    """
    count = len(cost)
    k = min(k, count)
    if k < 2:
        return list(range(k))
    forward = np.triu(np.ones((count, count), bool), 1)
    step = (np.asarray(cost, np.float64) / STRANGERS) ** power + (0.0 if penalty is None else penalty)
    step = np.where(forward, step, np.inf)
    total, came = step[0], []
    for _ in range(k - 2):
        through = total[:, None] + step
        came.append(np.argmin(through, axis=0))
        total = np.min(through, axis=0)
    chain = [count - 1]
    for back in reversed(came):
        chain.append(int(back[chain[-1]]))
    return [0, *reversed(chain)]


def blend(added: Floats, subtracted: Floats | None = None, less: float = LESS) -> Floats:
    """How well each clip goes with those added and not with those subtracted: float64, shape (clips,).

    Rocchio's mean of the one less `less` times the mean of the other: by the similarities instead of the vectors, which
    is the same for unit vectors, and also right where a clip lacks a modality. Not a number where a clip has nothing
    in common with any that was added.

    Args:
        added: similarities, shape (added, clips), at least one row.
        subtracted: likewise.
        less: what subtracting counts for.
    """
    found = _mean(added)
    if subtracted is not None and len(subtracted):
        found = found - less * np.nan_to_num(_mean(subtracted), nan=0.0)
    return found


def _mean(rows: Floats) -> Floats:
    """The mean of each column over what is a number; not a number where nothing is."""
    there = ~np.isnan(rows)
    count = there.sum(axis=0)
    total = np.where(there, rows, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(rows.shape[1], np.nan), where=count > 0)


def best(score: Floats, among: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
    """Positions by score, best first (equals by position), without those that have none or are not `among`."""
    there = ~np.isnan(score) if among is None else ~np.isnan(score) & among
    order = np.argsort(-np.where(there, score, -np.inf), kind="stable")
    return order[: int(there.sum())]
