"""A surprise: a good clip that is rarely recommended. Pure: neighbours, counts and votes in, one clip out.

Good is what has near neighbours, and thumbs up on it or beside it. The quarter of clips whose five nearest are furthest
away is left out, and so is what more people put down than up. Rare is what was recommended less often than
three quarters of the rest; while nothing was recommended yet, what is in few other clips' first five (a clip in none
would never be recommended at all: Radovanović, Nanopoulos & Ivanović 2010, "Hubs in space", JMLR, call it an anti-hub).
Among those that are both, one is drawn, the better the likelier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clipsim.explain import quoted
from clipsim.model import Clip, Vote
from clipsim.space import Neighbours

NEAREST = 5  # neighbours that say whether a clip is among its like
SHARE = 0.25  # of clips that are too far out; and of those left that count as rare
FEWEST = 8  # clips from which there are some to leave out
NAMED = 2  # neighbours that a sentence names


@dataclass(frozen=True, slots=True)
class Drawn:
    """The row of the clip that was drawn, and what speaks for it."""

    row: int
    near: tuple[int, ...]  # rows, nearest first
    similarity: float | None  # to the nearest
    times: int  # recommended
    others: float  # times that half of the clips were recommended more often than
    leads: int  # clips among whose first five it is
    ups: int  # thumbs up less thumbs down

    def sentence(self, like: Sequence[Clip]) -> str:
        """Why this one; `like` are its nearest neighbours."""
        if self.times:
            rare = (
                f"Recommended {_times(self.times)} here so far, half of the clips {_times(round(self.others))} or more"
            )
            rare = rare if self.others > self.times else f"Recommended only {_times(self.times)} here so far"
        elif self.others or self.leads:
            rare = "Never recommended here so far"
        else:
            rare = "No other clip leads to it"
        facts = []
        if self.ups > 0:
            facts.append("somebody likes it" if self.ups == 1 else f"{self.ups} people like it")
        if like and self.similarity is not None:
            facts.append(f"it is close to {quoted(like[0])} ({self.similarity:.2f})")
        return f"{rare}, though {' and '.join(facts)}." if facts else f"{rare}."


def draw(
    ids: Sequence[str],
    neighbours: Neighbours,
    times: Mapping[str, int],
    votes: Sequence[Vote],
    seen: Collection[str] = (),
    seed: int | None = None,
) -> Drawn:
    """Draw a clip.

    Args:
        ids: the community's clips, at least one.
        neighbours: of each, in the same order.
        times: how often each was recommended.
        votes: the community's thumbs.
        seen: clips that were shown in this place of late: left out while there are others.
        seed: draws the same clip again while nothing has changed.
    """
    count = len(ids)
    row = {clip_id: number for number, clip_id in enumerate(ids)}
    similar = np.nan_to_num(neighbours.similarities[:, :NEAREST], nan=-1.0)
    closeness = similar.mean(axis=1) if similar.size else np.zeros(count)
    shown = np.array([times.get(clip_id, 0) for clip_id in ids], np.float64)
    leads = np.bincount(neighbours.rows[:, :NEAREST].ravel(), minlength=count)
    ups = np.zeros(count)
    for clip_id, net in _net(votes).items():
        if clip_id in row:
            ups[row[clip_id]] = net
    near_ups = np.maximum(ups, 0)[neighbours.rows].sum(axis=1) if neighbours.rows.size else np.zeros(count)

    good = ups >= 0
    if count >= FEWEST:
        good &= closeness >= np.quantile(closeness, SHARE)
    unseen = np.array([clip_id not in seen for clip_id in ids])
    pool = next(each for each in (good & unseen, unseen, good, np.ones(count, bool)) if each.any())
    rare = shown if shown.any() else leads.astype(np.float64)
    limit = np.quantile(rare[pool], SHARE)
    fewer = pool & (rare < limit)
    pool = fewer if fewer.any() else pool & (rare <= limit)

    rank = np.argsort(np.argsort(closeness, kind="stable"), kind="stable") / max(1, count - 1)
    weight = np.where(pool, 0.5 + rank + np.log1p(np.maximum(ups, 0)) + np.log1p(near_ups), 0.0)
    drawn = int(np.random.default_rng(seed).choice(count, p=weight / weight.sum()))
    there = [
        int(other)
        for other, similarity in zip(neighbours.rows[drawn], neighbours.similarities[drawn], strict=True)
        if not np.isnan(similarity)
    ][:NAMED]
    return Drawn(
        drawn,
        tuple(there),
        float(neighbours.similarities[drawn][0]) if there else None,
        int(shown[drawn]),
        float(np.median(shown)),
        int(leads[drawn]),
        int(ups[drawn]),
    )


def _net(votes: Sequence[Vote]) -> Counter[str]:
    """By result, thumbs up less thumbs down; each voter once, by what most of their votes on it say."""
    each: Counter[tuple[str, str]] = Counter()
    for vote in votes:
        each[vote.voter, vote.result] += 1 if vote.up else -1
    net: Counter[str] = Counter()
    for (_, result), sum_ in each.items():
        net[result] += (sum_ > 0) - (sum_ < 0)
    return net


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
