"""The part that answers: which fusion, its embeddings and index, neighbours, clusters, the map. Synchronous.

Until a library has `settings.min_train` clips it answers from `raw` vectors, fitted anew whenever clips come or go.
Then the fusion is trained, and again each time the library has doubled. A new fusion is embedded and indexed beside
the old one, which answers until one row says otherwise.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from clipsim import fusion
from clipsim.embeddings import SavedFusion
from clipsim.encoders import Preset
from clipsim.errors import EmptyLibrary, IndexUnavailable, NothingToHear, NotTrained, UnknownClip
from clipsim.fusion import Fusion
from clipsim.groups import Groups
from clipsim.index import Index
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
from clipsim.settings import Settings
from clipsim.similarity import effective
from clipsim.tuning import Tuner, Tuning
from clipsim.votes import Votes

log = logging.getLogger(__name__)

GROWTH = 2.0  # times the clips it was trained on: then it is trained again
CHUNK = 500  # clips embedded at once
MAPS = 8  # communities whose clips' places on the map are remembered
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
    """A fusion that is ready: every clip is embedded by it and indexed."""

    saved: SavedFusion
    fusion: Fusion
    notice: str | None = None


class Engine:
    """Answers for one library. Methods may be called from several threads."""

    def __init__(self, settings: Settings, preset: Preset, library: Library) -> None:
        self._settings = settings
        self._preset = preset
        self._library = library
        self._held: Index | None = None
        self._lock = threading.RLock()  # one change at a time
        self._stopping = threading.Event()
        self._making: set[str] = set()  # fusions that are being embedded and indexed
        self._fusions: dict[str, Fusion] = {}
        self.groups = Groups(library, self.vectors)
        self.votes = Votes(library)
        self.tuner = Tuner(library, self.votes)
        self._map_lock = threading.Lock()  # one map at a time is laid out
        self._maps: dict[str, tuple[Any, Any, tuple[Cluster, ...]]] = {}  # by community: state, places, clusters
        self._checked: set[str] = set()  # fusions whose clips were all found embedded and indexed since the last change

    @property
    def default(self) -> Method:
        """The method that answers when none is named."""
        return "paper" if self._preset.name == "paper" else "standard"

    @property
    def trained_methods(self) -> tuple[Method, ...]:
        """The methods that are trained as the library grows."""
        return (self.default, "pca")

    @property
    def index(self) -> Index:
        """The index, opened when first needed."""
        with self._lock:
            if self._held is None:
                self._held = Index(self._settings, self._library.id)
            return self._held

    def stop(self) -> None:
        """End a training at its next epoch, or before its switch; it will be due again."""
        self._stopping.set()

    def close(self) -> None:
        """Let go of the index. Nothing may be under way (see `stop`)."""
        with self._lock:
            if self._held is not None:
                self._held.close()

    def reset(self) -> None:
        """After every vector has changed: forget all fusions and their collections."""
        with self._lock:
            self._fusions.clear()
            self._checked.clear()
            for saved in self._library.fusions():
                self._library.drop_fusion(saved.id)
            self.index.reset()

    # Which fusion answers

    def answering(self, asked: Method | None = None) -> Answering:
        """The fusion for a method (None: the default), every clip embedded and indexed.

        Raises:
            EmptyLibrary: there are no clips.
            NotTrained: the method is a slow one to train, and was not.
        """
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
            return Answering(saved, found, notice)

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
        """Embed what the fusion has not embedded, and see that every community's collection is there."""
        if saved.id in self._checked:
            return
        missing = self._library.unembedded(saved.id)
        self._embed(saved.id, found, missing)
        for community in (HOME, *self._library.communities()):
            name = self.index.name(saved.id, community)
            if not self.index.healthy(name) or self.index.count(name) != self._library.embedded(saved.id, community):
                self._rebuild(saved.id, community)
        self._checked.add(saved.id)

    def _rebuild(self, fusion_id: str, community: str) -> None:
        ids, matrix = self._library.embeddings(fusion_id, community)
        self.index.rebuild(self.index.name(fusion_id, community), dict(zip(ids, matrix, strict=True)))

    def _embed(self, fusion_id: str, found: Fusion, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), CHUNK):
            features = {i: f for i, f in self._library.features(ids[start : start + CHUNK]).items() if f.vectors}
            rows = found.embed(list(features.values()))
            self._library.save_embeddings(fusion_id, dict(zip(features, rows, strict=True)))

    # Clips come and go

    def absorb(self, clip_id: str, community: str = HOME, changed: bool = True) -> None:
        """After the library took a clip (`changed`), or let a community see it: bring the index up to date."""
        with self._lock:
            for saved in self._library.fusions():
                if not saved.active:
                    continue
                if saved.method == "raw" and self._library.count() < self._settings.min_train:
                    self._checked.discard(saved.id)
                    continue  # fitted anew at the next question
                if changed:
                    self._embed(saved.id, self._load(saved), [clip_id])
                vectors = self._library.vectors(saved.id, [clip_id])
                for name in {HOME, community}:
                    self.index.upsert(self.index.name(saved.id, name), vectors)

    def remove(self, clip_id: str, community: str = HOME) -> None:
        """Forget a clip, in the library and in every collection that holds it.

        Raises:
            UnknownClip: the community has no such clip.
        """
        with self._lock:
            seen_by = self._library.communities_of(clip_id)
            gone = self._library.remove(clip_id, community)
            for saved in self._library.fusions():
                for name in (HOME, *seen_by) if gone else (community,):
                    self.index.delete(self.index.name(saved.id, name), [clip_id])

    def show(self, community: str, ids: Sequence[str]) -> None:
        """After the library let a community see clips that it has: put them into the community's collections."""
        with self._lock:
            for saved in self._library.fusions():
                if saved.active:
                    self.index.upsert(self.index.name(saved.id, community), self._library.vectors(saved.id, ids))

    def hide(self, communities: Sequence[str], ids: Collection[str], gone: Collection[str]) -> None:
        """After clips left these communities, and (`gone`) the library: take them out of the collections."""
        with self._lock:
            for saved in self._library.fusions():
                names = {community: self.index.name(saved.id, community) for community in (*communities, HOME, SHARED)}
                for community in communities:
                    if not self._library.count(community):
                        self.index.drop(names[community])
                    elif ids:
                        self.index.delete(names[community], list(ids))
                for community in (HOME, SHARED) if gone else ():
                    self.index.delete(names[community], list(gone))

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
            with self._lock:  # what came meanwhile, then the switch
                self._embed(fusion_id, found, self._library.unembedded(fusion_id))
                for community in (HOME, *self._library.communities()):
                    self._rebuild(fusion_id, community)
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
        self._library.drop_fusion(fusion_id)
        for community in (HOME, *self._library.communities()):
            self.index.drop(self.index.name(fusion_id, community))

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
        return self._answer(clip, None, k, by, asked, community, status, weights, diversity)

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
        return self._answer(seen, features, k, by, method, community, "known", weights, diversity)

    def _answer(
        self,
        clip: Clip,
        features: Features | None,
        k: int,
        by: By,
        asked: Method | None,
        community: str,
        status: Any,
        weights: Mapping[Modality, float] | None,
        diversity: float,
    ) -> Answer:
        """The answer for a clip of the library, or (with `features`) for one that it does not have."""
        from clipsim import retrieval

        learnt = self.tuner.weights(community) if weights is None and by == "all" else None
        for attempt in (1, 2):
            ready = self.answering(asked)
            used = learnt if weights is None and ready.fusion.method == "standard" else weights
            try:
                found = retrieval.search(
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
                    stranger=features and retrieval.Stranger(features, ready.fusion.embed([features])[0]),
                )
                break
            except (IndexUnavailable, NotTrained):  # a retrained fusion took over meanwhile, or the index is broken
                if attempt == 2:
                    raise
                self._checked.discard(ready.saved.id)
        groups = self.groups.of(community)
        if features is None:
            own = groups.get(clip.id)
        else:
            own = self.groups.nearest(self.answering().fusion.embed([features])[0], community)
        matches = tuple(
            Match(rank, each.clip, each.similarity, each.by, groups.get(each.clip.id), each.why)
            for rank, each in enumerate(found, 1)
        )
        told = effective(by, used) if used is not None and by == "all" else None
        if told is not None and set(told.values()) == {1.0}:
            told = None
        return Answer(clip, ready.fusion.method, matches, own, ready.notice, status, told)

    def vectors(self, community: str) -> tuple[list[str], Matrix]:
        """Ids and embeddings, float32 (clips, size), of a community's clips by the method that answers, oldest first.

        The matrix is not to be written to. Raises EmptyLibrary where the library has no clips at all.
        """
        return self._library.embeddings(self.answering().saved.id, community)

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
            report = audit(self._library, self.index, self._preset)
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
