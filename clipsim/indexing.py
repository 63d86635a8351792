"""The index's collections, kept as the library has them: one for each fusion that answers and each community.

What a collection gets is what the library says at that moment, never what a caller remembers; so whichever of two
changes comes here last, the collection ends up right.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence

from clipsim.index import Index
from clipsim.library import Library
from clipsim.model import HOME


class Indexing:
    """Keeps one library's index. Raises `IndexUnavailable` (or `DiskFull`) where Chroma fails."""

    def __init__(self, library: Library, index: Index) -> None:
        self._library = library
        self._index = index
        self._lock = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}  # by fusion: one change of its collections at a time
        self._whole: set[str] = set()  # collections that were found whole, and kept so since

    def changed(
        self,
        fusions: Iterable[str],
        ids: Sequence[str],
        left: Collection[str] = (),
        only: Collection[str] | None = None,
    ) -> None:
        """These clips came, went, changed, or are seen by others.

        `left`: communities that saw one of them before. `only`: the communities concerned, where that is known.
        """
        for fusion_id in fusions:
            with self._changing(fusion_id):
                placed = self._library.placed(ids)
                seen = {clip_id: placed[clip_id][1] if clip_id in placed else frozenset() for clip_id in ids}
                communities = {HOME}.union(left, *seen.values()) if only is None else set(only)
                vectors = self._library.vectors(fusion_id, ids)
                for community in sorted(communities):
                    name = self._index.name(fusion_id, community)
                    theirs = {i: v for i, v in vectors.items() if community == HOME or community in seen[i]}
                    self._index.upsert(name, theirs)
                    others = [clip_id for clip_id in ids if clip_id not in theirs]
                    if others:
                        self._index.delete(name, others)

    def fill(self, fusion_id: str) -> int:
        """Build every collection of a fusion anew; returns the library's revision that it is as new as."""
        with self._changing(fusion_id):
            revision = self._library.changes.revision
            for community in (HOME, *self._library.communities()):
                self._rebuild(fusion_id, community)
            return revision

    def catch_up(self, fusion_id: str, revision: int) -> None:
        """What has changed since `fill`."""
        with self._changing(fusion_id):
            ids = self._library.changes.since(revision, fusion_id)
            if ids is None:
                self.fill(fusion_id)
            elif ids:
                known = set(self._library.communities())
                self.changed([fusion_id], sorted(ids), known)

    def ready(self, fusion_id: str, community: str) -> None:
        """See that a collection is there and whole before it is asked."""
        name = self._index.name(fusion_id, community)
        if name in self._whole:
            return
        with self._changing(fusion_id):
            if name in self._whole:
                return
            expected = self._library.embedded(fusion_id, community)
            if not self._index.healthy(name) or self._index.count(name) != expected:
                self._rebuild(fusion_id, community)
            else:
                self._whole.add(name)

    def doubt(self, fusion_id: str | None = None) -> None:
        """Look again before the next question whether a fusion's collections (None: all) are whole."""
        with self._lock:
            self._whole = {name for name in self._whole if fusion_id is not None and f".{fusion_id}." not in name}

    def drop(self, fusion_id: str) -> None:
        """Forget a fusion's collections."""
        with self._changing(fusion_id):
            self.doubt(fusion_id)
            for community in (HOME, *self._library.communities()):
                self._index.drop(self._index.name(fusion_id, community))

    def forget(self, fusions: Iterable[str], communities: Collection[str]) -> None:
        """Forget the collections of communities that see nothing any more."""
        for fusion_id in fusions if communities else ():
            with self._changing(fusion_id):
                for community in communities:
                    name = self._index.name(fusion_id, community)
                    self._whole.discard(name)
                    self._index.drop(name)

    def reset(self) -> None:
        """Forget all collections."""
        self.doubt()
        self._index.reset()

    def _changing(self, fusion_id: str) -> threading.RLock:
        with self._lock:
            return self._locks.setdefault(fusion_id, threading.RLock())

    def _rebuild(self, fusion_id: str, community: str) -> None:
        name = self._index.name(fusion_id, community)
        ids, matrix = self._library.embeddings(fusion_id, community)
        self._index.rebuild(name, dict(zip(ids, matrix, strict=True)))
        self._whole.add(name)
