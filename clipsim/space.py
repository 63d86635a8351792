"""A community's clips as the method that answers sees them: ids, embeddings, and how similar any two are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from clipsim.engine import Answering, Engine
from clipsim.explain import why
from clipsim.library import Library
from clipsim.model import Clip, Matrix, Modality
from clipsim.similarity import Comparison, effective, modal_mean, pairwise

ROWS = 256  # clips that are compared with all others at once
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest clips of every clip. `rows` and `similarities` have shape (clips, k), best first."""

    rows: NDArray[np.intp]
    similarities: Floats  # not a number where there are not that many that can be compared


@dataclass(frozen=True)
class Space:
    """Embeddings of a community's clips, oldest first, and the fusion that made them."""

    ids: list[str]
    matrix: Matrix
    ready: Answering
    weights: dict[Modality, float] | None  # learnt from the community's votes
    row: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "row", {clip_id: row for row, clip_id in enumerate(self.ids)})

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Equal for two spaces in which every similarity is the same."""
        weights = tuple(sorted(self.weights.items())) if self.weights else None
        return self.ready.saved.id, weights, tuple(self.ids), crc32(self.matrix.tobytes())

    def similarities(self, rows: Sequence[int] | NDArray[Any], columns: Sequence[int] | NDArray[Any] | None) -> Floats:
        """How similar clips are: float64, shape (rows, columns), not a number where they share no modality.

        `columns`: None for every clip.
        """
        theirs = self.matrix if columns is None else self.matrix[np.asarray(columns, np.intp)]
        return pairwise(self.matrix[np.asarray(rows, np.intp)], theirs, self.ready.fusion, weights=self.weights)

    def neighbours(self, k: int) -> Neighbours:
        """Each clip's `k` nearest others."""
        count = len(self.ids)
        k = min(k, max(0, count - 1))
        nearest, similar = np.zeros((count, k), np.intp), np.full((count, k), np.nan)
        for start in range(0, count if k else 0, ROWS):
            rows = np.arange(start, min(start + ROWS, count))
            found = self.similarities(rows, None)
            found[np.isnan(found)] = -np.inf
            found[np.arange(len(rows)), rows] = -np.inf  # itself
            part = np.argpartition(found, count - k, axis=1)[:, count - k :]
            order = np.argsort(-np.take_along_axis(found, part, axis=1), axis=1, kind="stable")
            nearest[rows] = np.take_along_axis(part, order, axis=1)
            similar[rows] = np.take_along_axis(found, nearest[rows], axis=1)
        return Neighbours(nearest, np.where(np.isfinite(similar), similar, np.nan))

    def whys(self, library: Library, pairs: Sequence[tuple[Clip, Clip]]) -> list[str]:
        """A sentence for each pair on what the two share (`clipsim.explain`)."""
        fusion = self.ready.fusion
        modal: dict[str, Any] = {}
        if fusion.blocks is None:  # the method mixes the modalities in the embedding
            ids = list(dict.fromkeys(clip.id for pair in pairs for clip in pair))
            features = library.features(ids)
            modal = {clip_id: fusion.modal(found) for clip_id, found in features.items() if found.vectors}
        sentences = []
        for one, other in pairs:
            by: dict[Modality, float] = {}
            if fusion.blocks is None:
                by = modal_mean(modal.get(one.id, {}), modal.get(other.id, {}), effective("all", None))[1]
            elif one.id in self.row and other.id in self.row:
                rows = {other.id: self.matrix[self.row[other.id]]}
                scored = Comparison(self.matrix[self.row[one.id]], fusion, weights=self.weights).score(rows)
                by = scored[0].by if scored else {}
            sentences.append(why(one, other, by))
        return sentences


def look(engine: Engine, community: str) -> Space:
    """The community's clips as they are now.

    Raises:
        EmptyLibrary: there are no clips. NotTrained: as `Engine.answering`.
    """
    while True:
        ready = engine.answering()
        ids, matrix = engine.vectors(community)
        if engine.answering().saved.id == ready.saved.id:  # no retrained fusion took over meanwhile
            break
    weights = engine.tuner.weights(community) if ready.fusion.method == "standard" else None
    return Space(ids, matrix, ready, weights)
