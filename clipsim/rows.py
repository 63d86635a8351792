"""The embeddings of one fusion, in memory: one row for each clip, kept as the library has them.

An exact answer is then one product of a matrix and a vector, which at a hundred thousand clips takes less time than an
approximate index and the reading of its candidates. Nothing here is the only copy of anything: rows are read from the
library once, and again those of the clips that changed (`clipsim.changes`).

A row that was published is never written again: a clip that changed gets a new row at the end, and its old one is
dead. So a `View` stays what it was while clips come and go, without a copy of the matrix.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clipsim.changes import Changes
from clipsim.model import HOME, Matrix, Vector
from clipsim.similarity import Blocks, Comparison, Held, hold, rates

SPARE = 1.1  # times the rows there are: room for those that come
LEAST_SPARE = 64  # rows
DEAD = 0.2  # share of dead rows from which on all are read anew
GATHER = 4  # a community with fewer than one in so many rows has them picked out before they are multiplied
PIECE = 4096  # rows picked out at once: they stay in the processor's cache

Numbers = NDArray[np.intp]  # of rows


class Store(Protocol):
    """What is needed of a library here."""

    changes: Changes

    def ids(self, community: str = HOME) -> list[str]:
        """The community's clips, oldest first."""
        ...

    def embeddings(self, fusion_id: str, community: str = HOME) -> tuple[list[str], Matrix]:
        """All embeddings of a community, oldest first."""
        ...

    def vectors(self, fusion_id: str, ids: Sequence[str]) -> dict[str, Vector]:
        """Embeddings by id."""
        ...

    def embedded(self, fusion_id: str, community: str) -> int:
        """How many embeddings `embeddings` would give."""
        ...

    def has(self, clip_id: str, community: str = HOME) -> bool:
        """Whether the community sees this clip."""
        ...

    def placed(self, ids: Sequence[str]) -> dict[str, tuple[datetime, frozenset[str]]]:
        """When each was added, and who sees it."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """What one community sees of the rows at one moment. Its arrays are not to be written to."""

    fusion_id: str
    revision: int  # of the library's changes; it is at least as new
    held: Held  # every row, of other communities' clips and dead ones too
    rows: Numbers | None  # the community's, ascending; None: all of them
    ordered: bool  # whether rows are in the library's order, oldest clip first
    _ids: Sequence[str]  # of every row, and of later ones
    _places: dict[str, int]  # the row of each clip, of later ones too

    def __len__(self) -> int:
        return len(self.held.codes) if self.rows is None else len(self.rows)

    def ids(self) -> list[str]:
        """The community's clips, in the order of `rows`."""
        if self.rows is None:
            return list(self._ids[: len(self.held.codes)])
        return [self._ids[row] for row in self.rows.tolist()]

    def matrix(self) -> Matrix:
        """Their embeddings, float32 (clips, size)."""
        return self.held.matrix if self.rows is None else self.held.matrix[self.rows]

    def has(self, clip_id: str) -> bool:
        """Whether the community sees this clip, and it has an embedding."""
        row = self._row(clip_id)
        if row is None or self.rows is None:
            return row is not None
        at = int(np.searchsorted(self.rows, row))
        return at < len(self.rows) and int(self.rows[at]) == row

    def vector(self, clip_id: str) -> Vector | None:
        """The embedding of a clip that anybody sees, float32 (size,); None where it has none."""
        row = self._row(clip_id)
        return None if row is None else self.held.matrix[row]

    def rates(self, comparisons: Sequence[Comparison]) -> list[NDArray[np.float32]]:
        """For each comparison, how similar the community's clips are, roughly: see `Comparison.rates`."""
        if self.rows is None:
            return rates(comparisons, self.held)
        if GATHER * len(self.rows) > len(self.held.codes):
            return [found[self.rows] for found in rates(comparisons, self.held)]
        pieces = [self.rows[start : start + PIECE] for start in range(0, len(self.rows), PIECE)]
        parts = [rates(comparisons, self.held.pick(piece)) for piece in pieces]
        nothing = [np.zeros(0, np.float32)]
        return [np.concatenate([*nothing, *(part[number] for part in parts)]) for number in range(len(comparisons))]

    def pick(self, positions: Numbers) -> tuple[list[str], Matrix]:
        """Ids and embeddings of those clips that are at these positions among the community's."""
        rows = positions if self.rows is None else self.rows[positions]
        return [self._ids[row] for row in rows.tolist()], self.held.matrix[rows]

    def _row(self, clip_id: str) -> int | None:
        row = self._places.get(clip_id)
        return row if row is not None and row < len(self.held.codes) else None


class Stored:
    """What a community sees of a fusion's embeddings, read from the library each time: for what is not held."""

    def __init__(self, library: Store, fusion_id: str, community: str) -> None:
        self.fusion_id = fusion_id
        self.revision = library.changes.revision
        self._library = library
        self._community = community

    def __len__(self) -> int:
        return self._library.embedded(self.fusion_id, self._community)

    def ids(self) -> list[str]:
        """The community's clips that have an embedding, oldest first."""
        return self._library.embeddings(self.fusion_id, self._community)[0]

    def matrix(self) -> Matrix:
        """Their embeddings, float32 (clips, size)."""
        return self._library.embeddings(self.fusion_id, self._community)[1]

    def has(self, clip_id: str) -> bool:
        """Whether the community sees this clip, and it has an embedding."""
        return self._library.has(clip_id, self._community) and self.vector(clip_id) is not None

    def vector(self, clip_id: str) -> Vector | None:
        """The embedding of a clip that anybody sees, float32 (size,); None where it has none."""
        return self._library.vectors(self.fusion_id, [clip_id]).get(clip_id)


def in_order(seen: View | Stored, library: Store, community: str) -> tuple[list[str], Matrix]:
    """Ids and embeddings, float32 (clips, size), of what a community sees, oldest clip first."""
    if isinstance(seen, Stored):
        return library.embeddings(seen.fusion_id, community)
    if seen.ordered:
        return seen.ids(), seen.matrix()
    found = {clip_id: seen.vector(clip_id) for clip_id in library.ids(community) if seen.has(clip_id)}
    there = {clip_id: vector for clip_id, vector in found.items() if vector is not None}
    return list(there), np.array(list(there.values()), np.float32).reshape(len(there), seen.held.matrix.shape[1])


class Rows:
    """The rows of one fusion of one library. Safe to use from several threads."""

    def __init__(self, library: Store, fusion_id: str, fusion: Blocks) -> None:
        """Nothing is read yet."""
        self._library = library
        self._fusion_id = fusion_id
        self._fusion = fusion
        self._lock = threading.Lock()
        self._revision = -1  # nothing read
        self._views: dict[str, View] = {}

    def view(self, community: str = HOME) -> View:
        """What the community sees now: every change that was committed before this call is in it.

        Raises:
            NotTrained: the fusion is gone from the library.
        """
        with self._lock:
            self._catch_up()
            if community not in self._views:
                self._views[community] = self._view(community)
            return self._views[community]

    def _view(self, community: str) -> View:
        count = len(self._ids)
        held = Held(self._matrix[:count], self._lengths[:count], self._codes[:count], self._typical)
        rows = None if not self._dead else np.flatnonzero(self._alive[:count])
        if community != HOME:
            if community not in self._communities:
                seen = [self._places[each] for each in self._library.ids(community) if each in self._places]
                self._communities[community] = np.sort(np.array(seen, np.intp))
            rows = self._communities[community]
        return View(self._fusion_id, self._revision, held, rows, self._ordered, self._ids, self._places)

    def _catch_up(self) -> None:
        revision = self._library.changes.revision  # before anything is read
        if revision == self._revision:
            return
        changed = None if self._revision < 0 else self._library.changes.since(self._revision, self._fusion_id)
        if changed is None or len(changed) + self._dead > max(LEAST_SPARE, DEAD * len(self._ids)):
            self._read()
        elif changed:
            self._read_again(sorted(changed))
        self._revision = revision
        self._views = {}

    def _read(self) -> None:
        """Everything."""
        self._revision = -1  # should this fail half-way, it is done again
        self._ids, self._matrix = self._library.embeddings(self._fusion_id)
        held = hold(self._matrix, self._fusion)
        self._lengths, self._codes, self._typical = held.lengths, held.codes, held.typical
        self._places = {clip_id: row for row, clip_id in enumerate(self._ids)}
        self._alive = np.ones(len(self._ids), np.bool_)
        self._dead = 0
        self._ordered = True
        self._newest = max(((added, i) for i, (added, _) in self._library.placed(self._ids[-1:]).items()), default=None)
        self._communities: dict[str, Numbers] = {}

    def _read_again(self, changed: Sequence[str]) -> None:
        """The clips that came, went, changed, or are seen by others now."""
        found = self._library.vectors(self._fusion_id, changed)
        placed = self._library.placed(changed)
        coming = []
        for clip_id in changed:
            row = self._places.get(clip_id)
            vector = found.get(clip_id) if clip_id in placed else None
            if vector is not None and vector.shape != (self._matrix.shape[1],):
                vector = None
            if row is not None and (vector is None or not np.array_equal(self._matrix[row], vector)):
                self._bury(clip_id, row)
                row = None
            if row is None and vector is not None:
                coming.append((placed[clip_id][0], clip_id, vector))
        self._append(sorted(coming, key=lambda one: one[:2]))
        for community, rows in self._communities.items():
            theirs = {clip_id for clip_id in changed if clip_id in placed and community in placed[clip_id][1]}
            self._communities[community] = self._adjusted(rows, changed, theirs)

    def _bury(self, clip_id: str, row: int) -> None:
        self._alive[row] = False
        self._dead += 1
        del self._places[clip_id]

    def _append(self, coming: Sequence[tuple[datetime, str, Vector]]) -> None:
        if not coming:
            return
        start, stop = len(self._ids), len(self._ids) + len(coming)
        if stop > len(self._matrix):
            self._grow(max(stop, int(start * SPARE) + LEAST_SPARE))
        self._ordered = self._ordered and (self._newest is None or self._newest < coming[0][:2])
        self._newest = coming[-1][:2]
        fresh = hold(np.array([vector for _, _, vector in coming], np.float32), self._fusion)
        self._matrix[start:stop], self._lengths[start:stop] = fresh.matrix, fresh.lengths
        self._codes[start:stop], self._alive[start:stop] = fresh.codes, True
        known = self._typical.any(axis=1)
        self._typical[~known] = fresh.typical[~known]
        for row, (_, clip_id, _) in enumerate(coming, start):
            self._ids.append(clip_id)
            self._places[clip_id] = row

    def _grow(self, capacity: int) -> None:
        """The same rows in larger arrays; published views keep the old ones."""
        count = len(self._ids)
        for name in ("_matrix", "_lengths", "_codes", "_alive"):
            old = getattr(self, name)
            larger = np.empty((capacity, *old.shape[1:]), old.dtype)
            larger[:count] = old[:count]
            setattr(self, name, larger)

    def _adjusted(self, rows: Numbers, changed: Sequence[str], theirs: Collection[str]) -> Numbers:
        """A community's rows after these clips changed, of which it sees `theirs`."""
        kept = rows
        if self._dead:
            kept = kept[self._alive[kept]]
        lost = [self._places[clip_id] for clip_id in changed if clip_id in self._places and clip_id not in theirs]
        if lost:
            kept = np.setdiff1d(kept, np.array(lost, np.intp), assume_unique=True)
        gained = [self._places[clip_id] for clip_id in theirs if clip_id in self._places]
        if gained:
            fresh = np.setdiff1d(np.array(sorted(gained), np.intp), kept, assume_unique=True)
            kept = np.sort(np.concatenate([kept, fresh]))
        return kept
