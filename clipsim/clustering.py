"""Clusters: clips that sit together, named, and the same from run to run.

k-means on unit-length embeddings (there, squared distance is 2 - 2 cosine), with a number of clusters that is given,
found by the elbow over 3, 5, 7, 9, 11 (the deck), or chosen by the silhouette (Rousseeuw 1987). A library that grew
by a few clips keeps its clusters: the search starts from where the old members are now, and new clusters are matched
with old ones by the members they share (Kuhn 1955, the Hungarian method). Members are compared and not centres,
since a retrained fusion moves every centre and no member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clipsim import labels
from clipsim.fusion.columns import unit
from clipsim.labels import document
from clipsim.model import JSON, Matrix

__all__ = ["Group", "Result", "cluster", "document", "elbow"]

DECK = 9  # clusters in the deck
ELBOW = (3, 5, 7, 9, 11)  # numbers of clusters that the deck compared
FEWEST = 6  # clips: below that, one cluster
PER_CLUSTER = 3  # clips that a cluster should have on average, at least
COARSEST = 1 / 3  # times the root of the clips, at least: the silhouette of music is best at two, loud and quiet
MOST = 20  # clusters that an automatic choice makes at most: more than that nobody reads
STAY = 0.85  # of the best silhouette: a grouping that is in use stays while it is that good
BETTER = 0.95  # of the inertia: a fresh start replaces a continued one only if it gets below this share of it
KEEP = 0.5  # overlap (Jaccard, over clips that were there before) from which a cluster is the same as before
GROWN = 2.0  # times the size at its naming: a cluster that grew beyond this is named anew
SAMPLE = 1000  # clips on which the number of clusters is chosen: the silhouette looks at every pair
STARTS = 10  # of k-means; the best is kept
TRIES = 3  # the same while the number of clusters is chosen
SEED = 9

Number = int | Literal["auto", "elbow"]
Assigned = NDArray[np.intp]  # shape (clips,): the row's cluster, 0 to k - 1


@dataclass(frozen=True, slots=True)
class Group:
    """One cluster: its lasting id and label, and its members' ids, nearest to the centre first."""

    id: int
    label: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """All clusters, largest first; `state` is what `cluster` wants as `previous` next time (plain JSON)."""

    method: str
    groups: tuple[Group, ...]
    quality: dict[str, float]
    state: JSON


def cluster(
    ids: Sequence[str],
    embeddings: Matrix,
    documents: Sequence[Mapping[str, float]],
    n: Number = "auto",
    previous: JSON | None = None,
    truth: Sequence[str | None] | None = None,
) -> Result:
    """Group clips and name the groups. Deterministic: the same input has the same result.

    Args:
        ids: of the clips, each once.
        embeddings: float32, shape (clips, size), any length but zero.
        documents: what each clip is about, weighted terms as `document(clip)` gives them.
        n: how many clusters (fewer if fewer clips differ), or "auto", or "elbow".
        previous: the `state` of an earlier result; anything that is not one counts as None.
        truth: genres, if known, to compare with: adds "nmi" (over the clips that have one) to the quality.

    Returns:
        Clusters, with quality "clusters", "silhouette" (cosine, -1 to 1; 0 with one cluster), "inertia", "smallest",
        "largest" (sizes). No clips: no clusters.

    Raises:
        ValueError: the lengths differ, or `n` is below 1.
    """
    if not len(ids) == len(embeddings) == len(documents) or (isinstance(n, int) and n < 1):
        raise ValueError("as many embeddings and documents as ids, and at least one cluster")
    if not len(ids):
        return Result(_method(n, 0), (), {"clusters": 0.0}, {"next": 1, "clusters": []})
    rows = unit(np.asarray(embeddings))
    before = _before(previous, ids)
    from threadpoolctl import threadpool_limits

    # OpenMP's threads wait by spinning: beside busy encoders more of them take ten times as long, not less.
    with threadpool_limits(1, user_api="openmp"):
        assigned = _assign(rows, n, before.assigned)
    numbers, kept = _align(assigned, before)
    named = labels.label([np.flatnonzero(assigned == each) for each in range(len(numbers))], documents, kept)
    groups = []
    for each, number in enumerate(numbers):
        where = np.flatnonzero(assigned == each)
        nearness = rows[where] @ rows[where].mean(axis=0)
        members = tuple(ids[row] for row in where[np.lexsort((where, -nearness))])
        groups.append(Group(number, named[each], members))
    sizes = {number: before.sizes.get(number, 0) if each in kept else 0 for each, number in enumerate(numbers)}
    groups.sort(key=lambda group: (-len(group.members), group.id))
    return Result(
        _method(n, len(groups)), tuple(groups), _quality(rows, assigned, truth), _state(groups, sizes, before.next)
    )


def elbow(embeddings: Matrix, numbers: Sequence[int] = ELBOW) -> tuple[int, dict[int, float]]:
    """The deck's choice: the number at which the inertia's curve bends most, and the inertia of each.

    The bend is the point furthest below the line between the curve's ends (Satopää et al. 2011, "Finding a kneedle in
    a haystack"). Numbers that the clips are too few for are left out.
    """
    rows = unit(np.asarray(embeddings))
    possible = [number for number in numbers if number <= _distinct(rows)] or [1]
    inertia = {number: _inertia(rows, _kmeans(rows, number, starts=STARTS)) for number in possible}
    x, y = (np.array(values, float) for values in (possible, [inertia[number] for number in possible]))
    if len(possible) < 3:
        return possible[-1], inertia
    line = y[0] + (y[-1] - y[0]) * (x - x[0]) / (x[-1] - x[0])
    return possible[int(np.argmax(line - y))], inertia


@dataclass(frozen=True, slots=True)
class _Before:
    """An earlier result seen from today's clips."""

    assigned: Assigned  # shape (clips,): index into `numbers`, -1 for a clip that is new
    numbers: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    sizes: Mapping[int, int] = None  # type: ignore[assignment]  # id to size when it was named
    next: int = 1


def _assign(rows: Matrix, n: Number, before: Assigned) -> Assigned:
    """Each row's cluster, numbered 0 to k - 1 without gaps."""
    distinct = _distinct(rows)
    if isinstance(n, int):
        number = min(n, distinct)
    elif n == "elbow":
        number = elbow(rows)[0]
    else:
        number = _choose(rows, distinct, before)
    found = _kmeans(rows, number, before, STARTS)
    return np.unique(found, return_inverse=True)[1].astype(np.intp)


def _choose(rows: Matrix, distinct: int, before: Assigned) -> int:
    """How many clusters: as many as have the best silhouette, or as there are now if that is nearly as good."""
    from sklearn.metrics import silhouette_score

    if len(rows) < FEWEST or distinct < 2:
        return 1
    sample = np.arange(len(rows))
    if len(rows) > SAMPLE:
        sample = np.sort(np.random.default_rng(SEED).choice(len(rows), SAMPLE, replace=False))
    some, earlier = rows[sample], before[sample]
    most = min(MOST, distinct, max(2, len(some) // PER_CLUSTER))
    fewest = min(most, max(2, int(len(rows) ** 0.5 * COARSEST)), MOST // 2)
    apart = np.clip(1 - some @ some.T, 0, None)
    np.fill_diagonal(apart, 0)
    scores = {}
    for number in range(fewest, most + 1):
        found = _kmeans(some, number, earlier)
        if 1 < len(np.unique(found)) < len(some):
            scores[number] = float(silhouette_score(apart, found, metric="precomputed"))
    best = max(scores.values(), default=0.0)
    if best <= 0:
        return 1
    current = len(np.unique(before[before >= 0]))
    if scores.get(current, 0.0) >= STAY * best:
        return current
    return max(scores, key=lambda number: (scores[number], -number))


def _kmeans(rows: Matrix, number: int, before: Assigned | None = None, starts: int = TRIES) -> Assigned:
    """k-means; continued from the earlier grouping where that has as many clusters, unless that is clearly worse."""
    from sklearn.cluster import KMeans

    if number <= 1:
        return np.zeros(len(rows), np.intp)
    fresh: Assigned = KMeans(number, n_init=starts, random_state=SEED).fit_predict(rows).astype(np.intp)
    if before is None:
        return fresh
    earlier = np.unique(before[before >= 0])
    if len(earlier) != number:
        return fresh
    centres = np.array([rows[before == each].mean(axis=0) for each in earlier])
    continued: Assigned = KMeans(number, init=centres, n_init=1).fit_predict(rows).astype(np.intp)
    return fresh if _inertia(rows, fresh) < BETTER * _inertia(rows, continued) else continued


def _align(assigned: Assigned, before: _Before) -> tuple[list[int], dict[int, str]]:
    """Each cluster's lasting id, and the labels of those that keep theirs."""
    from scipy.optimize import linear_sum_assignment

    count = int(assigned.max()) + 1
    old = before.assigned >= 0
    shared = np.zeros((count, len(before.numbers)))
    np.add.at(shared, (assigned[old], before.assigned[old]), 1)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    overlap = shared / np.maximum(union, 1)
    numbers, kept, following = [0] * count, {}, before.next
    for each, match in zip(*linear_sum_assignment(-overlap), strict=True):
        if overlap[each, match] >= KEEP:
            numbers[each] = before.numbers[match]
            if (assigned == each).sum() <= GROWN * before.sizes[numbers[each]]:
                kept[int(each)] = before.labels[match]
    for each in sorted(range(count), key=lambda each: -(assigned == each).sum()):
        if not numbers[each]:
            numbers[each], following = following, following + 1
    return numbers, kept


def _before(previous: JSON | None, ids: Sequence[str]) -> _Before:
    """Read an earlier state; what is not one is as if there had been none."""
    nothing = _Before(np.full(len(ids), -1, np.intp), sizes={})
    try:
        clusters: list[JSON] = list((previous or {})["clusters"])
        numbers = tuple(int(each["id"]) for each in clusters)
        names = tuple(str(each["label"]) for each in clusters)
        sizes = {int(each["id"]): int(each["named"]) for each in clusters}
        where = {str(member): index for index, each in enumerate(clusters) for member in each["members"]}
        following = max([int((previous or {})["next"]), 1, *(number + 1 for number in numbers)])
    except (KeyError, TypeError, ValueError):
        return nothing
    if len(set(numbers)) != len(numbers) or len(set(names)) != len(names) or min(numbers, default=1) < 1:
        return nothing
    return _Before(np.array([where.get(each, -1) for each in ids], np.intp), numbers, names, sizes, following)


def _state(groups: Sequence[Group], named: Mapping[int, int], following: int) -> JSON:
    return {
        "next": max([following, *(group.id + 1 for group in groups)]),
        "clusters": [
            {
                "id": group.id,
                "label": group.label,
                "named": named[group.id] or len(group.members),
                "members": list(group.members),
            }
            for group in groups
        ],
    }


def _quality(rows: Matrix, assigned: Assigned, truth: Sequence[str | None] | None) -> dict[str, float]:
    from sklearn.metrics import normalized_mutual_info_score, silhouette_score

    sizes = np.bincount(assigned)
    quality = {"clusters": float(len(sizes)), "silhouette": 0.0, "inertia": _inertia(rows, assigned)}
    if 1 < len(sizes) < len(rows):
        size = min(len(rows), SAMPLE)
        sample = None if size == len(rows) else size
        quality["silhouette"] = float(
            silhouette_score(rows, assigned, metric="cosine", sample_size=sample, random_state=SEED)
        )
    quality |= {"smallest": float(sizes.min()), "largest": float(sizes.max())}
    known: list[Any] = [index for index, each in enumerate(truth or ()) if each]
    if truth is not None and known:
        names = [truth[index] for index in known]
        quality["nmi"] = float(normalized_mutual_info_score(names, assigned[known]))
    return quality


def _inertia(rows: Matrix, assigned: Assigned) -> float:
    """Sum of the squared distances to the centres."""
    return float(
        sum(((rows[assigned == each] - rows[assigned == each].mean(axis=0)) ** 2).sum() for each in np.unique(assigned))
    )


def _distinct(rows: Matrix) -> int:
    return len(np.unique(np.round(rows, 5), axis=0))


def _method(n: Number, found: int) -> str:
    kind = "" if isinstance(n, int) else ", automatic" if n == "auto" else ", elbow"
    return f"k-means ({found}{kind})"
