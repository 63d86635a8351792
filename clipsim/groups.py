"""The clusters of each community, kept from run to run: the clustering that `clustering.py` computes, remembered.

A library that grew by a few clips is not grouped anew: new clips join the cluster whose members' mean is nearest. When
it has grown by more, it is grouped anew in the background (`refresh`), since that takes seconds; a question only waits
for it where there is no grouping yet, or one of half as many clips, or of twice as many.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from clipsim.clustering import Result, cluster, document
from clipsim.errors import EmptyLibrary
from clipsim.library import Library
from clipsim.model import JSON, Clip, Cluster, Clustering, Matrix, Vector
from clipsim.rows import Stored, View, in_order

AUTO = "auto"
GROWN = 1.1  # times the clips at the last grouping: more, or fewer by as much, and it is due to be grouped anew
OUTGROWN = 2.0  # the same, from which on a question waits for it
MOVED = frozenset({"embeddings", "clips", "features"})  # tables that say where a clip is; memberships do not

Embedded = View | Stored


@dataclass(slots=True)
class Known:
    """A community's clusters: who belonged to them when they were made, and who joined since."""

    fusion_id: str  # whose embeddings say what is near
    revision: int  # of the library's changes
    grouped: int  # clips at the last grouping
    labels: dict[int, str]
    members: dict[str, int]  # by clip, the number of its cluster: those that were grouped and are still here
    numbers: list[int]  # of the clusters that have members
    centres: Matrix  # float32 (numbers, size): their members' means
    joined: dict[str, int] = field(default_factory=dict)
    sizes: Counter[int] = field(default_factory=Counter)

    def number(self, clip_id: str) -> int | None:
        """Which cluster a clip belongs to."""
        return self.members.get(clip_id) or self.joined.get(clip_id)

    def cluster(self, number: int) -> Cluster:
        """A cluster without its members."""
        return Cluster(number, self.labels[number], self.sizes[number])

    def nearest(self, vectors: Matrix) -> list[int]:
        """The clusters whose members' means are nearest to embeddings, float32 (clips, size)."""
        return [self.numbers[each] for each in np.argmax(vectors @ self.centres.T, axis=1)]

    def join(self, clips: Mapping[str, Vector]) -> None:
        """Let new clips in."""
        if clips and self.numbers:
            for clip_id, number in zip(clips, self.nearest(np.array(list(clips.values()), np.float32)), strict=True):
                self.joined[clip_id] = number
                self.sizes[number] += 1

    def outgrown(self, clips: int, factor: float) -> bool:
        """Whether there are so many times more clips than were grouped, or fewer."""
        return not self.grouped / factor <= clips <= factor * self.grouped


class Groups:
    """The clusters of one library's communities. Safe to use from several threads."""

    def __init__(self, library: Library, embedded: Callable[[str], Embedded]) -> None:
        """`embedded` gives what a community sees of the embeddings of the method that answers."""
        self._library = library
        self._embedded = embedded
        self._lock = threading.Lock()
        self._grouping = threading.Lock()  # held for as long as that takes; questions do without
        self._known: dict[str, Known] = {}

    def clustering(self, n: int | str, community: str) -> Clustering:
        """Group the community's clips anew; ids and labels stay where the groups do."""
        result, clips = self._group(n, community)
        groups = tuple(
            Cluster(group.id, group.label, len(group.members), tuple(clips[clip_id] for clip_id in group.members))
            for group in result.groups
        )
        return Clustering(result.method, groups, result.quality)

    def cluster_of(self, clip_id: str, community: str) -> Cluster | None:
        """The cluster of a clip, with its members."""
        groups = self.of(community)
        own = groups.get(clip_id)
        if own is None:
            return None
        members = self._library.get_many([each for each, group in groups.items() if group.id == own.id])
        return Cluster(own.id, own.label, own.size, tuple(members.values()))

    def of(self, community: str) -> dict[str, Cluster]:
        """Each clip's cluster (without its members)."""
        known = self._current(community)
        if known is None:
            return {}
        made = {number: known.cluster(number) for number in known.sizes}
        with self._lock:
            return {clip_id: made[number] for clip_id, number in {**known.members, **known.joined}.items()}

    def find(self, ids: Iterable[str], community: str) -> dict[str, Cluster]:
        """The clusters (without their members) of these clips, those that have one."""
        known = self._current(community)
        if known is None:
            return {}
        return {clip_id: known.cluster(number) for clip_id in ids if (number := known.number(clip_id)) is not None}

    def nearest(self, embedding: Vector, community: str) -> Cluster | None:
        """The cluster that a clip with this embedding, float32 (size,), would join."""
        known = self._current(community)
        if known is None or not known.numbers or known.centres.shape[1] != len(embedding):
            return None
        return known.cluster(known.nearest(embedding[np.newaxis])[0])

    def refresh(self, community: str) -> bool:
        """Group the community's clips anew if they were grouped once and have become more since; says whether."""
        try:
            seen = self._embedded(community)
        except EmptyLibrary:
            return False
        with self._lock:
            known = self._follow(community, seen)
        if known is None or not len(seen) or not known.outgrown(len(seen), GROWN):
            return False
        self._group(AUTO, community)
        return True

    def _current(self, community: str) -> Known | None:
        """The clusters as of now; None where there is no clip."""
        known: Known | None = None
        for _ in range(2):
            try:
                seen = self._embedded(community)
            except EmptyLibrary:
                return None
            if not len(seen):
                return None
            with self._lock:
                known = self._follow(community, seen)
            if known is not None and not known.outgrown(len(seen), OUTGROWN):
                return known
            self._group(AUTO, community)
        return known

    def _follow(self, community: str, seen: Embedded) -> Known | None:
        """What is known, brought up to date; None where nothing was grouped yet."""
        known = self._known.get(community)
        if known is not None and (known.revision >= seen.revision) and known.fusion_id == seen.fusion_id:
            return known
        if known is None or not self._followed(known, seen):
            known = self._assigned(community, seen)
            if known is None:
                return None
            self._known[community] = known
        return known

    def _followed(self, known: Known, seen: Embedded) -> bool:
        """Take in what has changed; False where that means to begin anew, since a mean has moved."""
        changed = self._library.changes.since(known.revision, known.fusion_id)
        moved = self._library.changes.since(known.revision, known.fusion_id, MOVED)
        if changed is None or moved is None or known.fusion_id != seen.fusion_id:
            return False
        if any(clip_id in known.members and (clip_id in moved or not seen.has(clip_id)) for clip_id in changed):
            return False
        others = sorted(clip_id for clip_id in changed if clip_id not in known.members)
        for clip_id in others:
            number = known.joined.pop(clip_id, None)
            if number is not None:
                known.sizes[number] -= 1
        here = {clip_id: seen.vector(clip_id) for clip_id in others if seen.has(clip_id)}
        known.join({clip_id: vector for clip_id, vector in here.items() if vector is not None})
        known.revision = seen.revision
        return True

    def _assigned(self, community: str, seen: Embedded) -> Known | None:
        """The saved grouping, and for those who were not there then, where they belong."""
        state = self._library.clustering(community, AUTO)
        if state is None:
            return None
        ids, matrix = seen.ids(), seen.matrix()
        assigned: dict[str, int] = state["assigned"]
        group = np.array([assigned.get(clip_id, 0) for clip_id in ids], np.intp)  # numbers begin with 1
        numbers = [int(number) for number in np.unique(group) if number]
        means = [matrix[group == number].mean(axis=0) for number in numbers]
        members = {clip_id: number for clip_id, number in zip(ids, group.tolist(), strict=True) if number}
        known = Known(
            seen.fusion_id,
            seen.revision,
            len(assigned),
            {int(number): label for number, label in state["labels"].items()},
            members,
            numbers,
            np.array(means, np.float32).reshape(len(numbers), matrix.shape[1]),
            sizes=Counter(members.values()),
        )
        new = np.flatnonzero(group == 0)
        known.join({ids[row]: matrix[row] for row in new.tolist()})
        return known

    def _group(self, n: int | str, community: str) -> tuple[Result, dict[str, Clip]]:
        with self._grouping:
            seen = self._embedded(community)
            ids, matrix = in_order(seen, self._library, community)
            clips = self._library.get_many(ids)
            there = [row for row, clip_id in enumerate(ids) if clip_id in clips]  # one may be gone by now
            ids, matrix = [ids[row] for row in there], matrix[there]
            state = self._library.clustering(community, str(n))
            result = cluster(
                ids,
                matrix,
                [document(clips[clip_id]) for clip_id in ids],
                n,  # type: ignore[arg-type]
                state["previous"] if state else None,
                [clips[clip_id].genre for clip_id in ids],
            )
            kept: JSON = {
                "previous": result.state,
                "assigned": {clip_id: group.id for group in result.groups for clip_id in group.members},
                "labels": {str(group.id): group.label for group in result.groups},
            }
            self._library.save_clustering(kept, community, str(n))
            with self._lock:
                self._known.pop(community, None)
            return result, clips
