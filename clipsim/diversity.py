"""Diversity: results that are like the query and not all like each other.

Maximal marginal relevance (Carbonell & Goldstein 1998, "The use of MMR, diversity-based reranking for reordering
documents and producing summaries", SIGIR): one after the other, take the candidate that is best in
(1 − diversity) · its similarity to the query − diversity · its greatest similarity to a result already taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from clipsim.errors import InvalidSetting


def mmr(
    relevance: Sequence[float], between: Callable[[int], NDArray[np.float64]], k: int, diversity: float
) -> list[int]:
    """Positions of the `k` candidates chosen, in the order of choice; equals by position. The most relevant is first.

    Args:
        relevance: each candidate's similarity to the query, best first.
        between: gives one candidate's similarity to all, float64 (candidates,); not a number where two share nothing,
            which counts as 0. Asked for chosen candidates only.
        k: how many; all if there are no more.
        diversity: 0 keeps the order, 1 minds nothing but how unlike the results are.

    Raises:
        InvalidSetting: `diversity` is not within 0 and 1.
    """
    check(diversity)
    wanted = np.asarray(relevance, np.float64)
    nearest = np.full(len(wanted), -np.inf)  # similarity to the chosen one that is most alike
    free = np.ones(len(wanted), bool)
    chosen: list[int] = []
    while len(chosen) < min(k, len(wanted)):
        marginal = (1 - diversity) * wanted - diversity * nearest if chosen else wanted
        best = int(np.argmax(np.where(free, marginal, -np.inf)))
        chosen.append(best)
        free[best] = False
        nearest = np.maximum(nearest, np.nan_to_num(between(best), nan=0.0))
    return chosen


def check(diversity: float) -> None:
    """Refuse what is no share.

    Raises:
        InvalidSetting: it is not a number from 0 to 1.
    """
    if not (isfinite(diversity) and 0.0 <= diversity <= 1.0):
        raise InvalidSetting("Diversity is a number from 0 to 1.", hint="0 is none; 0.3 is a good deal.")
