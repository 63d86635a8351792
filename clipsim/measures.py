"""How good a ranking is, in numbers: precision, average precision, known items, hubs, clusters, and how sure they are.

The seed is never counted, and a candidate that has nothing in common with the query is not found, however many are
asked for. Equally similar candidates keep the order they are given in, which must therefore say nothing of the answer.

Sources: precision and average precision, Manning, Raghavan & Schütze 2008, section 8.4; the latter of a random order,
Bestgen 2015, "Exact expected average precision of the random baseline"; hubs, Radovanović, Nanopoulos & Ivanović 2010,
"Hubs in space", section 2; percentile bootstrap, Efron & Tibshirani 1993, chapter 13; randomisation test, Smucker,
Allan & Carterette 2007, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]  # shape (queries, candidates); not a number where they have nothing in common
Mask = NDArray[np.bool_]  # of the same shape
Column = NDArray[np.float64]  # shape (queries,)
Places = NDArray[np.intp]  # places among the candidates, or of the queries, shape (queries,)

CUTS = (1, 5, 10)  # first so many results whose precision is told
MEASURES = (*(f"p@{k}" for k in CUTS), "map")
LISTED = 10  # results that are recommended, where it is counted how often each clip is
DRAWS = 2000  # of the bootstrap
FLIPS = 10_000  # of the randomisation test
AT_ONCE = 1 << 22  # numbers drawn at once


# What was found


def retrieval(scores: Scores, right: Mask, among: Mask) -> dict[str, Column]:
    """Each query's precision after 1, 5 and 10 results, and its average precision over the whole order (`map`).

    Args:
        scores: similarities, higher is better.
        right: which candidates are right.
        among: which candidates count at all: not the query itself, nor who is excluded or was not judged.

    Where there are fewer than k candidates, the precision is that of all there are. A right candidate that is not found
    counts as a precision of 0. A query without any right candidate has not a number for everything: leave it out.
    """
    hits = np.take_along_axis(right & among & ~np.isnan(scores), order(scores, among), axis=1)
    counted = np.cumsum(hits, axis=1)
    candidates, wanted = among.sum(axis=1), (right & among).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            f"p@{k}": counted[:, min(k, hits.shape[1]) - 1] / np.where(wanted > 0, np.minimum(k, candidates), np.nan)
            for k in CUTS
        }
        precision = counted / np.arange(1, hits.shape[1] + 1)
        found["map"] = (hits * precision).sum(axis=1) / np.where(wanted > 0, wanted, np.nan)
    return found


def order(scores: Scores, among: Mask) -> NDArray[np.intp]:
    """Candidates of each query, best first; those that do not count or were not found come last."""
    return np.argsort(np.where(among & ~np.isnan(scores), -scores, np.inf), axis=1, kind="stable")


def chance(right: Mask, among: Mask) -> dict[str, Column]:
    """What `retrieval` expects of a random order."""
    candidates, wanted = among.sum(axis=1).astype(np.float64), (right & among).sum(axis=1).astype(np.float64)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, right.shape[1] + 1))])[candidates.astype(np.intp)]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(wanted > 0, wanted / candidates, np.nan)
        others = np.where(candidates > 1, (wanted - 1) / (candidates - 1), 0.0)
        whole = np.where(wanted > 0, (harmonic + others * (candidates - harmonic)) / candidates, np.nan)
    return {**{f"p@{k}": share for k in CUTS}, "map": whole}


def ranks(scores: Scores, own: Places) -> Column:
    """The rank, from 1, at which each query finds the one candidate that is its own; infinite where it does not.

    Candidates that are just as similar come before it, so that a method which cannot tell anything finds nothing.
    """
    mine = scores[np.arange(len(scores)), own]
    with np.errstate(invalid="ignore"):
        place = (scores >= mine[:, None]).sum(axis=1).astype(np.float64)
    return np.where(np.isnan(mine), np.inf, place)


def known_item(places: Column) -> dict[str, float]:
    """Of `ranks`: the share found first, the share among the first ten, and the mean reciprocal rank."""
    return {
        "recall@1": float((places <= 1).mean()),
        "recall@10": float((places <= 10).mean()),
        "mrr": float((1.0 / places).mean()),
    }


# Who is recommended


def listed(scores: Scores, among: Mask, k: int = LISTED) -> list[NDArray[np.intp]]:
    """The first `k` candidates of each query; fewer where fewer are found."""
    count = (among & ~np.isnan(scores)).sum(axis=1)
    return [row[: min(k, n)] for row, n in zip(order(scores, among)[:, :k], count, strict=True)]


def hubs(lists: Sequence[NDArray[np.intp]], clips: int) -> dict[str, float]:
    """Skewness of how often each clip is in a list, and the share of clips that are in none.

    A skewness of 0 is even; above 1, some clips are recommended to many and most to few.
    """
    counts = np.bincount(np.concatenate([np.zeros(0, np.intp), *lists]), minlength=clips).astype(np.float64)
    spread = counts.std()
    skew = float((((counts - counts.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
    return {"skew": skew, "never": float((counts == 0).mean())}


# Which groups


def clusters(rows: Any, labels: Sequence[str], seed: int = 0) -> dict[str, float]:
    """How well as many k-means clusters as there are labels agree with them: `nmi` and `ari`.

    `rows`, shape (clips, n), may be sparse.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    found = KMeans(len(set(labels)), n_init=10, random_state=seed).fit_predict(rows)
    return {
        "nmi": float(normalized_mutual_info_score(labels, found)),
        "ari": float(adjusted_rand_score(labels, found)),
    }


# How sure that is


def interval(values: Column, seed: int = 0, share: float = 0.95) -> tuple[float, float]:
    """Between which two numbers the mean over queries lies, by percentile bootstrap over them."""
    generator = np.random.default_rng(seed)
    size = len(values)
    means = [values[generator.integers(size, size=(part, size))].mean(axis=1) for part in _parts(DRAWS, size)]
    low, high = np.quantile(np.concatenate(means), [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def randomisation(mine: Column, theirs: Column, seed: int = 0) -> float:
    """How likely two methods' means differ as much as this by chance alone: Fisher's paired test, two-sided.

    If there were no difference, each query's two values might as well be swapped.
    """
    generator = np.random.default_rng(seed)
    difference = mine - theirs
    seen = abs(difference.sum()) - 1e-9
    as_far = 0
    for part in _parts(FLIPS, len(difference)):
        signs = generator.integers(2, size=(part, len(difference)), dtype=np.int8) * 2.0 - 1.0
        as_far += int((np.abs(signs @ difference) >= seen).sum())
    return (1 + as_far) / (1 + FLIPS)


def _parts(draws: int, size: int) -> Iterator[int]:
    """As many draws at a time as fit into memory."""
    step = max(1, AT_ONCE // max(1, size))
    for start in range(0, draws, step):
        yield min(step, draws - start)
