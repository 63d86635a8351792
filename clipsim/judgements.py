"""Who goes with whom, for `clipsim evaluate`: clips of one label, or what people said of results with their thumbs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clipsim.contenders import Pool
from clipsim.errors import EmptyLibrary, InvalidSetting
from clipsim.model import Clip, Vote
from clipsim.titles import artist_key

LabelName = Literal["genre", "artist", "album", "feedback"]
LABELS: tuple[LabelName, ...] = ("genre", "artist", "album", "feedback")
LEAST = 3  # clips with a label, or there is nothing to measure
HINTS: dict[LabelName, str] = {
    "genre": "Give them with: clipsim add --manifest FILE.csv (columns source, genre), or --genre.",
    "artist": "Give them with: clipsim add --manifest FILE.csv (columns source, artist), or --artist.",
    "album": "Albums are read from the files' tags and from YouTube.",
    "feedback": "Votes are thumbs up or down on results; each is kept with its query.",
}

Mask = NDArray[np.bool_]  # shape (queries, clips)
Rows = NDArray[np.intp]  # places in the pool


@dataclass(frozen=True, slots=True)
class Judgements:
    """Which clips are asked with, and which are right for each.

    A clip that is alone with its label is a candidate and no query. `left_out` counts the queries that have no right
    candidate once the excluded ones are gone.
    """

    label: LabelName
    labels: tuple[str | None, ...]  # each clip's; all None for feedback
    queries: Rows
    left_out: int
    _codes: NDArray[np.intp]  # equal for clips of one label; -1: none
    _artists: NDArray[np.intp]  # equal for clips of one artist that are kept apart; -1: nobody's
    _votes: dict[int, dict[int, bool]] | None

    def right(self, rows: Rows) -> Mask:
        """Which clips are right for each of these clips."""
        if self._votes is None:
            codes = self._codes[rows][:, None]
            return (codes == self._codes[None]) & (codes >= 0)
        return self._voted(rows, (True,))

    def among(self, rows: Rows) -> Mask:
        """Which clips count as candidates for each: not itself, nor its artist's others where these are excluded.

        Of feedback only what was judged counts (condensed lists; Sakai 2007, "Alternatives to Bpref").
        """
        artists = self._artists[rows][:, None]
        mask = ~((artists == self._artists[None]) & (artists >= 0))
        mask[np.arange(len(rows)), rows] = False
        return mask if self._votes is None else mask & self._voted(rows, (True, False))

    def _voted(self, rows: Rows, kinds: Sequence[bool]) -> Mask:
        mask = np.zeros((len(rows), len(self._codes)), np.bool_)
        for place, row in enumerate(rows.tolist()):
            for other, up in (self._votes or {}).get(row, {}).items():
                mask[place, other] = up in kinds
        return mask


def judge(pool: Pool, label: LabelName, exclude: Literal["artist"] | None = None) -> Judgements:
    """The judgements of a pool by a label; `exclude="artist"` takes a query's own artist's clips out of its list.

    Clips whose artist nobody knows are never excluded.

    Raises:
        EmptyLibrary: fewer than three clips have the label, no two have the same, or nobody has voted.
        InvalidSetting: artists are to be found and excluded at once.
    """
    if label == "artist" and exclude == "artist":
        raise InvalidSetting("Clips of one artist cannot be found with that artist excluded.", hint="")
    labels = tuple(None if label == "feedback" else value_of(clip, label) for clip in pool.clips)
    counts = Counter(value for value in labels if value is not None)
    votes = _tally(pool) if label == "feedback" else None
    if votes is None and counts.total() < LEAST:
        told = "No clip has" if not counts else "Only one clip has" if counts.total() == 1 else "Only two clips have"
        raise EmptyLibrary(f"{told} {'an' if label[0] == 'a' else 'a'} {label}.", hint=HINTS[label])
    if votes is not None and not votes:
        raise EmptyLibrary("Nobody has voted on a result yet.", hint=HINTS[label])
    asked = [n for n, value in enumerate(labels) if value is not None and counts[value] > 1] if votes is None else votes
    judged = Judgements(
        label,
        labels,
        np.array(sorted(asked), np.intp),
        0,
        _codes(labels),
        _codes([artist_key(clip.artist) if exclude == "artist" else None for clip in pool.clips]),
        votes,
    )
    kept = np.array(
        [row for row in judged.queries.tolist() if (judged.right(one := np.array([row])) & judged.among(one)).any()],
        np.intp,
    )
    if not len(kept):
        raise EmptyLibrary(f"No clip has another that is right for it by {label}.", hint=HINTS[label])
    left_out = len(judged.queries) - len(kept)
    return Judgements(label, labels, kept, left_out, judged._codes, judged._artists, votes)


def value_of(clip: Clip, label: LabelName) -> str | None:
    """A clip's genre, artist or album, in one spelling; None where nobody knows it."""
    if label == "artist":
        return artist_key(clip.artist)
    text = {"genre": clip.genre, "album": clip.album}.get(label)
    return " ".join((text or "").casefold().split()) or None


def _codes(values: Sequence[str | None]) -> NDArray[np.intp]:
    numbers: dict[str, int] = {}
    return np.array([-1 if value is None else numbers.setdefault(value, len(numbers)) for value in values], np.intp)


def _tally(pool: Pool) -> dict[int, dict[int, bool]]:
    """What most people said of each pair, by the query's place; where they are split, nothing was said."""
    place = {clip.id: row for row, clip in enumerate(pool.clips)}
    total: defaultdict[tuple[int, int], int] = defaultdict(int)
    for vote in _newest(pool.votes):
        if vote.query in place and vote.result in place:
            total[place[vote.query], place[vote.result]] += 1 if vote.up else -1
    tally: dict[int, dict[int, bool]] = {}
    for (query, result), balance in total.items():
        if balance:
            tally.setdefault(query, {})[result] = balance > 0
    return tally


def _newest(votes: Sequence[Vote]) -> list[Vote]:
    """Each voter's last word on each pair; votes come oldest first."""
    return list({(vote.community, vote.voter, vote.query, vote.result): vote for vote in votes}.values())
