"""The part that answers: which fusion, its embeddings and index, neighbours, clusters, the map. Synchronous.

Until a library has `settings.min_train` clips it answers from `raw` vectors, fitted anew whenever clips come or go.
Then the fusion is trained, and again each time the library has doubled. A new fusion is embedded and indexed beside
the old one, which answers until one row says otherwise.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from clipsim import fusion
from clipsim.embeddings import SavedFusion
from clipsim.encoders import Preset
from clipsim.errors import EmptyLibrary, IndexUnavailable, NothingToHear, NotTrained, UnknownClip
from clipsim.fusion import Fusion
from clipsim.groups import Groups
from clipsim.index import Index
from clipsim.indexing import Indexing
from clipsim.library import Library
from clipsim.model import (
    EMBEDDING_SIZE,
    HOME,
    JSON,
    SHARED,
    Answer,
    By,
    Clip,
    Cluster,
    Features,
    Match,
    Matrix,
    Method,
    Modality,
    Vector,
)
from clipsim.rows import Rows, Stored, View, in_order
from clipsim.settings import Settings
from clipsim.similarity import effective, separable
from clipsim.tuning import Tuner, Tuning
from clipsim.votes import Votes

if TYPE_CHECKING:
    from clipsim.retrieval import Near, Stranger

log = logging.getLogger(__name__)

GROWTH = 2.0  # times the clips it was trained on: then it is trained again
CHUNK = 500  # clips embedded at once
MAPS = 8  # communities whose clips' places on the map are remembered
MOST_HELD = 1 << 30  # bytes of embeddings that are held in memory: a million clips. With more the index is asked …
OTHERS_HELD = 1 << 28  # … and so it is with this much by a method that is not the default
HELD = 2  # methods whose embeddings are held: those last asked for
ATTEMPTS = 3  # to answer, where a fusion is replaced meanwhile
CHEAP: tuple[Method, ...] = ("standard", "pca", "raw")  # fitted in seconds, so when first asked for
Step = Callable[[int, int], None]  # done, of


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What was trained, on how many clips, and how long it took."""

    method: Method
    clips: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Answering:
    """A fusion that is ready: every clip is embedded by it."""

    saved: SavedFusion
    fusion: Fusion
    clips: int  # in the library
    notice: str | None = None


class Engine:
    """Answers for one library. Methods may be called from several threads."""

    def __init__(self, settings: Settings, preset: Preset, library: Library) -> None:
        self._settings = settings
        self._preset = preset
        self._library = library
        self._lock = threading.RLock()  # one change of fusions and embeddings at a time
        self._stopping = threading.Event()
        self._making: set[str] = set()  # fusions that are being embedded and indexed
        self._fusions: dict[str, Fusion] = {}
        self._checked: set[str] = set()  # fusions that have embedded every clip
        self._ready: dict[Method | None, tuple[int, Answering]] = {}  # by what was asked, as of a revision
        self._rows: OrderedDict[str, Rows] = OrderedDict()  # by fusion, those last that were last asked for
        self.index = Index(settings, library.id)  # opened when first needed
        self._indexing = Indexing(library, self.index)
        self.groups = Groups(library, self._embedded)
        self.votes = Votes(library)
        self.tuner = Tuner(library, self.votes)
        self._map_lock = threading.Lock()  # one map at a time is laid out
        self._maps: dict[str, tuple[Any, Any, tuple[Cluster, ...]]] = {}  # by community: state, places, clusters

    @property
    def default(self) -> Method:
        """The method that answers when none is named."""
        return "paper" if self._preset.name == "paper" else "standard"

    @property
    def trained_methods(self) -> tuple[Method, ...]:
        """The methods that are trained as the library grows."""
        return (self.default, "pca")

    def stop(self) -> None:
        """End a training at its next epoch, or before its switch; it will be due again."""
        self._stopping.set()

    def close(self) -> None:
        """Let go of the index. Nothing may be under way (see `stop`)."""
        self.index.close()

    def reset(self) -> None:
        """After every vector has changed: forget all fusions and their collections."""
        with self._lock:
            self._fusions.clear()
            self._checked.clear()
            self._rows.clear()
            for saved in self._library.fusions():
                self._library.drop_fusion(saved.id)
            self._indexing.reset()

    # Which fusion answers

    def answering(self, asked: Method | None = None) -> Answering:
        """The fusion for a method (None: the default), every clip embedded.

        Raises:
            EmptyLibrary: there are no clips.
            NotTrained: the method is a slow one to train, and was not.
        """
        known = self._ready.get(asked)
        if known is not None and known[0] == self._library.changes.revision:
            return known[1]
        with self._lock:
            revision = self._library.changes.revision
            ready = self._answering(asked)
            self._ready[asked] = (revision, ready)
            return ready

    def _answering(self, asked: Method | None) -> Answering:
        method = asked or self.default
        with self._lock:
            count = self._library.count()
            if not count:
                raise EmptyLibrary()
            notice = None
            saved = self._library.active_fusion(method)
            small = count < self._settings.min_train
            if saved is None and method != "raw" and (small or (asked is None and method not in CHEAP)):
                training = f"The fusion ({method}) is being trained; until then raw features answer."
                notice = self._too_few(count) if small else training
                method, saved = "raw", self._library.active_fusion("raw")
            if method == "raw" and small:
                saved = self._fresh_raw(saved, count)
            elif saved is None:
                if method not in CHEAP:
                    raise NotTrained(
                        f"The method {method} has not been trained on this library.",
                        hint=f"Run: clipsim train --method {method}",
                    )
                self._fit_and_switch(method, None)
                saved = self._library.active_fusion(method)
            assert saved is not None
            found = self._load(saved)
            self._catch_up(saved, found)
            return Answering(saved, found, count, notice)

    def notice(self) -> str | None:
        """A sentence for a library that raw features answer for because it is too small to train on, else None."""
        count = self._library.count()
        if not count or count >= self._settings.min_train or self._library.active_fusion(self.default):
            return None
        return self._too_few(count)

    def _too_few(self, count: int) -> str:
        clips = "one clip" if count == 1 else f"{count} clips"
        return (
            f"Only {clips} so far: answers come from raw features; "
            f"the fusion is trained when there are {self._settings.min_train}."
        )

    def _fresh_raw(self, saved: SavedFusion | None, count: int) -> SavedFusion:
        """In a small library raw statistics follow every clip that comes or goes."""
        if saved is not None and saved.clips == count and not self._library.unembedded(saved.id):
            return saved
        self._fit_and_switch("raw", None)
        fresh = self._library.active_fusion("raw")
        assert fresh is not None
        return fresh

    def _load(self, saved: SavedFusion) -> Fusion:
        if saved.id not in self._fusions:
            self._fusions[saved.id] = fusion.load(self._library.fusion_data(saved.id), self._preset)
        return self._fusions[saved.id]

    def _catch_up(self, saved: SavedFusion, found: Fusion) -> None:
        """Embed what the fusion has not embedded."""
        if saved.id not in self._checked:
            self._embed(saved.id, found, self._library.unembedded(saved.id))
            self._checked.add(saved.id)

    def _embed(self, fusion_id: str, found: Fusion, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), CHUNK):
            features = {i: f for i, f in self._library.features(ids[start : start + CHUNK]).items() if f.vectors}
            rows = found.embed(list(features.values()))
            self._library.save_embeddings(fusion_id, dict(zip(features, rows, strict=True)))

    # Clips come and go

    def absorb(self, clip_id: str, community: str = HOME, changed: bool = True) -> None:
        """After the library took a clip (`changed`), or let a community see it: bring the index up to date."""
        with self._lock:
            standing = self._standing()
            for saved in self._library.fusions():
                if saved.active and saved.id in standing:
                    self._checked.discard(saved.id)  # fitted anew at the next question
                elif saved.active and changed:
                    self._embed(saved.id, self._load(saved), [clip_id])
        self._indexing.changed(self._indexed(), [clip_id], {community})

    def remove(self, clip_id: str, community: str = HOME) -> None:
        """Forget a clip, in the library and in every collection that holds it.

        Raises:
            UnknownClip: the community has no such clip.
        """
        with self._lock:
            seen_by = self._library.communities_of(clip_id)
            self._library.remove(clip_id, community)
        self._indexing.changed(self._indexed(), [clip_id], {community, *seen_by})

    def _standing(self) -> set[str]:
        """The fusions of raw features that stand in while the library is too small to train on: fitted at each change.

        So few clips are never asked of the index, and it does not hold them.
        """
        raw = self._library.active_fusion("raw")
        return {raw.id} if raw is not None and self._library.count() < self._settings.min_train else set()

    def _indexed(self) -> list[str]:
        """The fusions that have collections in the index."""
        return sorted({saved.id for saved in self._library.fusions() if saved.active} - self._standing())

    def show(self, community: str, ids: Sequence[str]) -> None:
        """After the library let a community see clips that it has: put them into the community's collections."""
        self._indexing.changed(self._indexed(), ids, only={community})

    def hide(self, communities: Sequence[str], ids: Collection[str], gone: Collection[str]) -> None:
        """After clips left these communities, and (`gone`) the library: take them out of the collections."""
        if ids or gone:
            fusions = self._indexed()
            empty = {community for community in communities if not self._library.count(community)}
            self._indexing.forget(fusions, empty)
            left = {*communities, SHARED} if gone else set(communities)
            self._indexing.changed(fusions, sorted({*ids, *gone}), left - empty)

    # Training

    def due(self) -> list[Method]:
        """The methods that should be trained now: none yet and clips enough, or the library has doubled since."""
        count = self._library.count()
        if count < self._settings.min_train:
            return []
        due: list[Method] = []
        for method in self.trained_methods:
            saved = self._library.active_fusion(method)
            if saved is None or count >= GROWTH * saved.clips:
                due.append(method)
        return due

    def train(self, method: Method, progress: Step | None = None) -> TrainReport:
        """Fit a method to all clips and switch to it. Queries are answered by the old one meanwhile.

        Raises:
            EmptyLibrary: there are fewer than two clips.
        """
        if self._library.count() < 2:
            raise EmptyLibrary("Training needs at least two clips.")
        begun = time.monotonic()
        clips = self._fit_and_switch(method, progress)
        seconds = time.monotonic() - begun
        log.info("trained %s on %d clips in %.1f s", method, clips, seconds)
        return TrainReport(method, clips, seconds)

    def _fit_and_switch(self, method: Method, progress: Step | None) -> int:
        records = [record for record in self._library.records() if record.features.vectors]
        if not records:
            raise EmptyLibrary("No clip has features to train on.", hint="Run: clipsim reencode")

        def told(done: int, of: int, _loss: float) -> None:
            if self._stopping.is_set():
                raise NotTrained("The training was stopped.", hint="It starts again by itself.")
            if progress is not None:
                progress(done, of)

        found = fusion.fit(method, [record.features for record in records], self._preset, progress=told)
        told(found.clips, found.clips, 0.0)
        fusion_id = self._library.save_fusion(method, fusion.dump(found), clips=found.clips, size=found.size)
        self._making.add(fusion_id)
        try:
            self._embed(fusion_id, found, [record.clip.id for record in records])
            indexed = method != "raw" or self._library.count() >= self._settings.min_train
            filled = self._indexing.fill(fusion_id) if indexed else 0
            with self._lock:  # what came meanwhile, then the switch
                self._embed(fusion_id, found, self._library.unembedded(fusion_id))
                if indexed:
                    self._indexing.catch_up(fusion_id, filled)
                self._library.activate_fusion(fusion_id)
                self._fusions[fusion_id] = found
                for saved in self._library.fusions():
                    stood_in = method == self.default and saved.method == "raw"  # until this one was there
                    if (saved.method == method or stood_in) and saved.id not in self._making:
                        self._forget(saved.id)
        except BaseException:
            self._library.drop_fusion(fusion_id)
            raise
        finally:
            self._making.discard(fusion_id)
        return found.clips

    def _forget(self, fusion_id: str) -> None:
        self._fusions.pop(fusion_id, None)
        self._rows.pop(fusion_id, None)
        standing = self._standing()
        self._library.drop_fusion(fusion_id)
        if fusion_id not in standing:
            self._indexing.drop(fusion_id)

    # Answers

    def query(
        self,
        clip: Clip,
        k: int,
        by: By,
        asked: Method | None,
        community: str,
        status: Any,
        weights: Mapping[Modality, float] | None = None,
        diversity: float = 0.0,
    ) -> Answer:
        """The clip's neighbours, each with why and its cluster. Raises as `ClipSim.query`."""
        return self._answers([(clip, None)], k, by, asked, community, status, weights, diversity)[0]

    def query_many(
        self,
        clips: Sequence[Clip],
        k: int,
        by: By,
        asked: Method | None,
        community: str,
        weights: Mapping[Modality, float] | None = None,
        diversity: float = 0.0,
    ) -> list[Answer]:
        """`query` for each of several clips, in their order, compared with the library all at once.

        Raises as `query`, should one of them not be answered.
        """
        return self._answers([(clip, None) for clip in clips], k, by, asked, community, "known", weights, diversity)

    def preview(
        self,
        clip: Clip,
        features: Features,
        k: int,
        by: By,
        community: str,
        *,
        method: Method | None = None,
        weights: Mapping[Modality, float] | None = None,
        diversity: float = 0.0,
    ) -> Answer:
        """What `query` would answer for a clip that the library does not have, were it added. Nothing is written of it.

        `features` may lack modalities that are not encoded yet. Its cluster is the one whose members' mean is nearest.

        Raises:
            EmptyLibrary: the community has no other clip to compare with.
            NothingToHear: there are no features at all. Else as `ClipSim.query`.
        """
        if not features.vectors:
            raise NothingToHear()
        if self._library.count(community) <= self._library.has(clip.id, community):
            raise EmptyLibrary("There is nothing to compare that clip with yet.")
        seen = replace(
            clip,
            modalities=self._preset.modalities(features.vectors),
            tempo=features.tempo,
            tags=features.tags,
            classes=features.classes,
            notes=tuple(dict.fromkeys((*clip.notes, *features.notes))),
        )
        return self._answers([(seen, features)], k, by, method, community, "known", weights, diversity)[0]

    def _answers(
        self,
        asked_for: Sequence[tuple[Clip, Features | None]],
        k: int,
        by: By,
        asked: Method | None,
        community: str,
        status: Any,
        weights: Mapping[Modality, float] | None,
        diversity: float,
    ) -> list[Answer]:
        """The answers for clips of the library, or (with features) for some that it does not have."""
        from clipsim import retrieval

        learnt = self.tuner.weights(community) if weights is None and by == "all" else None
        for attempt in range(1, ATTEMPTS + 1):
            ready = self.answering(asked)
            used = learnt if weights is None and ready.fusion.method == "standard" else weights
            seeds = [(clip, self._stranger(ready.fusion, features)) for clip, features in asked_for]
            try:
                near = self._near(ready, seeds, by, used, community)
                several = len(seeds) > 1 and k > 0
                clips = retrieval.read_ahead(self._library, near, retrieval.pool(k, diversity)) if several else None
                found = [
                    retrieval.search(
                        self._library,
                        self.index,
                        ready.saved.id,
                        ready.fusion,
                        clip,
                        k=k,
                        by=by,
                        weights=used,
                        community=community,
                        per_artist=self._settings.per_artist,
                        diversity=diversity,
                        stranger=stranger,
                        near=compared,
                        clips=clips,
                    )
                    for (clip, stranger), compared in zip(seeds, near, strict=True)
                ]
                break
            except (IndexUnavailable, NotTrained):  # a retrained fusion took over meanwhile, or the index is broken
                if attempt == ATTEMPTS:
                    raise
                self._doubt(ready.saved.id)
        listed = {each.clip.id for results in found for each in results}
        groups = self.groups.find(listed.union(clip.id for clip, _ in asked_for), community)
        told = effective(by, used) if used is not None and by == "all" else None
        if told is not None and set(told.values()) == {1.0}:
            told = None
        return [
            Answer(
                clip,
                ready.fusion.method,
                tuple(
                    Match(rank, each.clip, each.similarity, each.by, groups.get(each.clip.id), each.why)
                    for rank, each in enumerate(results, 1)
                ),
                groups.get(clip.id) if features is None else self._joins(features, community),
                ready.notice,
                status,
                told,
            )
            for (clip, features), results in zip(asked_for, found, strict=True)
        ]

    def _stranger(self, found: Fusion, features: Features | None) -> Stranger | None:
        from clipsim.retrieval import Stranger

        return None if features is None else Stranger(features, found.embed([features])[0])

    def _joins(self, features: Features, community: str) -> Cluster | None:
        """The cluster that a clip would belong to."""
        return self.groups.nearest(self.answering().fusion.embed([features])[0], community)

    def _near(
        self,
        ready: Answering,
        seeds: Sequence[tuple[Clip, Stranger | None]],
        by: By,
        weights: Mapping[Modality, float] | None,
        community: str,
    ) -> list[Near] | list[None]:
        """Each clip compared with all embeddings in memory; None for each where they are not held."""
        from clipsim import retrieval

        if not separable(ready.fusion, by, weights):
            return [None] * len(seeds)
        view = self._view(ready, community)
        if view is None:
            self._indexing.ready(ready.saved.id, community)
            return [None] * len(seeds)
        return retrieval.compare(view, seeds, ready.fusion, by, weights)

    def _doubt(self, fusion_id: str) -> None:
        with self._lock:
            self._checked.discard(fusion_id)
            self._ready.clear()
        self._indexing.doubt(fusion_id)

    # Embeddings in memory

    def vectors(self, community: str) -> tuple[list[str], Matrix]:
        """Ids and embeddings, float32 (clips, size), of a community's clips by the method that answers, oldest first.

        The matrix is not to be written to. Raises EmptyLibrary where the library has no clips at all.
        """
        return in_order(self._embedded(community), self._library, community)

    def _embedded(self, community: str) -> View | Stored:
        for attempt in range(1, ATTEMPTS + 1):
            ready = self.answering()
            try:
                view = self._view(ready, community)
                break
            except NotTrained:  # a retrained fusion took over meanwhile
                if attempt == ATTEMPTS:
                    raise
        return Stored(self._library, ready.saved.id, community) if view is None else view

    def _view(self, ready: Answering, community: str) -> View | None:
        """What a community sees of a fusion's embeddings; None where they are too many to hold."""
        most = MOST_HELD if ready.saved.active and ready.saved.method == self.default else OTHERS_HELD
        if ready.clips * ready.saved.size * np.dtype(np.float32).itemsize > most:
            with self._lock:
                self._rows.pop(ready.saved.id, None)
            return None
        with self._lock:
            rows = self._rows.get(ready.saved.id)
            if rows is None:
                rows = self._rows[ready.saved.id] = Rows(self._library, ready.saved.id, ready.fusion)
            self._rows.move_to_end(ready.saved.id)
            while len(self._rows) > HELD:
                self._rows.popitem(last=False)
        return rows.view(community)

    def embedding(self, clip_id: str) -> Vector:
        """The clip's embedding by the default method: float32, (256,), unit length."""
        ready = self.answering()
        vectors = self._library.vectors(ready.saved.id, [clip_id])
        if clip_id not in vectors:
            raise UnknownClip()
        if ready.fusion.size == EMBEDDING_SIZE:
            return vectors[clip_id]
        ids, matrix = self._library.embeddings(ready.saved.id)
        return isometric(matrix, EMBEDDING_SIZE)[ids.index(clip_id)]

    # What people say of the answers

    def tune(self, community: str, dry_run: bool = False) -> Tuning:
        """Learn from a community's votes what each modality counts for in it.

        Raises:
            NotTrained: there is no `standard` fusion yet, whose weights they would be.
            EmptyLibrary: there are no clips.
        """
        ready = self.answering("standard")
        if ready.fusion.method != "standard":
            raise NotTrained(
                "Votes change the weights of the method standard, which has not been trained on this library.",
                hint="Add more clips, or run: clipsim train",
            )
        found = self.tuner.tune(community, ready.saved.id, ready.fusion, dry_run=dry_run)
        log.info("tuned %s: %s", community, found.sentence)
        return found

    def tune_if_due(self, community: str) -> Tuning | None:
        """As `tune`, where enough votes have come since, and there is something to tune."""
        if self._library.active_fusion("standard") is None or not self.tuner.due(community):
            return None
        return self.tune(community)

    # Looking after it

    def map(
        self, file: Path, community: str, highlight: str | None, lit: Collection[int] | None = None, small: bool = False
    ) -> int:
        """Draw the community's clips into a file; returns how many. Their places are computed once for each state."""
        from clipsim import map as drawing

        ids, matrix = self.vectors(community)
        key = (tuple(ids), crc32(matrix.tobytes()))
        with self._map_lock:
            known = self._maps.pop(community, None)
            if known is None or known[0] != key:
                known = key, drawing.layout(matrix), self.groups.clustering("auto", community).clusters
            self._maps[community] = known
            while len(self._maps) > MAPS:
                del self._maps[next(iter(self._maps))]
        clips = self._library.get_many(ids)
        there = [row for row, clip_id in enumerate(ids) if clip_id in clips]  # one may have been forgotten meanwhile
        _, points, groups = known
        if lit is not None and not any(group.id in lit for group in groups):
            lit = None
        drawing.draw(
            file, points[there], [clips[ids[row]] for row in there], groups, highlight=highlight, lit=lit, small=small
        )
        return len(there)

    def audit(self) -> Any:
        """Find and mend every difference between library and index; returns an `AuditReport`."""
        from clipsim.audit import audit

        with self._lock:
            self._checked.clear()
            self._indexing.doubt()
            report = audit(self._library, self.index, self._preset, self._standing())
        if self._library.count():
            self.answering()
        return report

    def status(self) -> JSON:
        """Clips, the method that answers and on how many clips it was trained, and whether the index answers."""
        count = self._library.count()
        saved = self._library.active_fusion(self.default)
        method = self.default if saved or count >= self._settings.min_train else "raw"
        self.index.ping()
        return {
            "clips": count,
            "method": method,
            "trained_on": saved.clips if saved else 0,
            "communities": len(self._library.communities()),
            "tuned": len(self.tuner.tuned()),
            "index": "ok",
        }


def isometric(matrix: Matrix, size: int) -> Matrix:
    """Rows in fewer dimensions with the same inner products: float32 (rows, size), zero-padded; rows ≤ size.

    Fewer rows than dimensions span a subspace; its coordinates (by the singular value decomposition) keep every
    inner product. More rows than `size` keep what the `size` strongest directions hold, scaled to unit length.
    """
    left, values, _ = np.linalg.svd(np.asarray(matrix, np.float64), full_matrices=False)
    rows = (left * values)[:, :size]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    padded = np.zeros((len(rows), size), np.float32)
    padded[:, : rows.shape[1]] = rows
    return padded
