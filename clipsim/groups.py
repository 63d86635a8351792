"""The clusters of each community, kept from run to run: the clustering that `clustering.py` computes, remembered.

A library that grew by a few clips is not grouped anew: new clips join the cluster whose members' mean is nearest.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from clipsim.clustering import Result, cluster, document
from clipsim.library import Library
from clipsim.model import JSON, Clip, Cluster, Clustering, Matrix, Vector

AUTO = "auto"
GROWN = 1.1  # times the clips at the last grouping: more, or fewer by as much, are grouped anew


class Groups:
    """The clusters of one library's communities."""

    def __init__(self, library: Library, embeddings: Callable[[str], tuple[list[str], Matrix]]) -> None:
        """`embeddings` gives the ids and embeddings of a community's clips, by the method that answers."""
        self._library = library
        self._embeddings = embeddings
        self._lock = threading.Lock()

    def clustering(self, n: int | str, community: str) -> Clustering:
        """Group the community's clips anew; ids and labels stay where the groups do."""
        with self._lock:
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
        with self._lock:
            state = self._state(community)
            here = set(self._library.ids(community))
            if not here:
                return {}
            if state is None or not len(state["assigned"]) / GROWN <= len(here) <= GROWN * len(state["assigned"]):
                self._group(AUTO, community)
                state = self._state(community)
            assert state is not None
            assigned: dict[str, int] = {i: number for i, number in state["assigned"].items() if i in here}
            new = [clip_id for clip_id in here if clip_id not in assigned]
            if new:
                assigned |= self._nearest(sorted(new), assigned, community)
        sizes = Counter(assigned.values())
        labels: dict[str, str] = state["labels"]
        made = {number: Cluster(number, labels[str(number)], size) for number, size in sizes.items()}
        return {clip_id: made[number] for clip_id, number in assigned.items()}

    def nearest(self, embedding: Vector, community: str) -> Cluster | None:
        """The cluster whose members' mean is nearest to an embedding, float32 (size,), of whatever clip."""
        groups = self.of(community)
        numbers = {clip_id: cluster.id for clip_id, cluster in groups.items()}
        ids, matrix = self._embeddings(community)
        found = _centres(ids, matrix, numbers)
        if not found[0] or found[1].shape[1] != len(embedding):
            return None
        number = found[0][int(np.argmax(found[1] @ embedding))]
        return next(cluster for cluster in groups.values() if cluster.id == number)

    def _state(self, community: str, kind: str = AUTO) -> JSON | None:
        return self._library.clustering(community, kind)

    def _nearest(self, new: Sequence[str], assigned: dict[str, int], community: str) -> dict[str, int]:
        ids, matrix = self._embeddings(community)
        row = {clip_id: number for number, clip_id in enumerate(ids)}
        numbers, centres = _centres(ids, matrix, assigned)
        known = [clip_id for clip_id in new if clip_id in row]
        if not numbers or not known:
            return {}
        nearest = np.argmax(matrix[[row[clip_id] for clip_id in known]] @ centres.T, axis=1)
        return {clip_id: numbers[int(each)] for clip_id, each in zip(known, nearest, strict=True)}

    def _group(self, n: int | str, community: str) -> tuple[Result, dict[str, Clip]]:
        ids, matrix = self._embeddings(community)
        clips = self._library.get_many(ids)
        state = self._state(community, str(n))
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
        return result, clips


def _centres(ids: Sequence[str], matrix: Matrix, assigned: Mapping[str, int]) -> tuple[list[int], Matrix]:
    """The groups that have members among these clips, and their members' means, float32 (groups, size)."""
    group = np.array([assigned.get(clip_id, 0) for clip_id in ids], np.intp)  # ids of groups begin with 1
    numbers = [int(number) for number in np.unique(group) if number]
    means = [matrix[group == number].mean(axis=0) for number in numbers]
    return numbers, np.array(means, np.float32).reshape(len(numbers), matrix.shape[1])
