"""How similar clips are, exactly: by everything or one modality, over the modalities that both have.

An embedding of late fusion holds each modality in a block of its own, whose length says what it weighs among the
modalities that the clip has. So the weighted mean of the cosines of the blocks that both clips have needs nothing but
the two embeddings (late fusion; Snoek, Worring & Smeulders 2005), a missing modality is left out rather than counted
as zero, and other weights, or one modality alone, need no other index.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, isnan
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clipsim.errors import InvalidSetting, MissingModality
from clipsim.model import By, Matrix, Method, Modality, Vector

_limiting = threading.Lock()
TINY = 1e-6  # a block shorter than this is a missing modality


class Blocks(Protocol):
    """What is needed of a fusion here."""

    method: Method
    blocks: dict[Modality, slice] | None


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate's similarity, and by modality."""

    id: str
    similarity: float
    by: dict[Modality, float]


@dataclass(frozen=True, slots=True)
class Held:
    """Embeddings as they are held in memory, with what `Comparison.rates` needs besides: see `hold`."""

    matrix: Matrix  # shape (clips, size)
    lengths: NDArray[np.float32]  # shape (clips, blocks), 0 where missing; one block where the fusion has none
    codes: NDArray[np.uint8]  # shape (clips,): bit n is set where block n is there
    typical: NDArray[np.float64]  # shape (2 ** blocks, blocks): the lengths of any clip with that code; zero for none

    def pick(self, rows: NDArray[np.intp]) -> Held:
        """These rows of it, copied."""
        return Held(self.matrix[rows], self.lengths[rows], self.codes[rows], self.typical)


def hold(matrix: Matrix, fusion: Blocks) -> Held:
    """Measure embeddings, float32 (clips, size), of which none may be all zero."""
    blocks = [slice(None)] if fusion.blocks is None else list(fusion.blocks.values())
    squares = [np.einsum("ij,ij->i", matrix[:, block], matrix[:, block]) for block in blocks]
    lengths = np.sqrt(np.stack(squares, axis=1)) if len(matrix) else np.zeros((0, len(blocks)), np.float32)
    there = lengths > TINY
    lengths[~there] = 0.0
    codes = (there * (1 << np.arange(len(blocks)))).sum(axis=1).astype(np.uint8)
    typical = np.zeros((1 << len(blocks), len(blocks)))
    typical[codes] = lengths
    return Held(matrix, lengths.astype(np.float32), codes, typical)


class Comparison:
    """A query's embedding, ready to be compared with others'.

    `probe` is what to ask the index for, float32 (n,), unit length. See `stretch` for what the index's answer is worth.
    """

    def __init__(self, query: Vector, fusion: Blocks, by: By = "all", weights: Mapping[Modality, float] | None = None):
        """`by` or `weights` other than the usual need a fusion with blocks (see `separable`).

        Raises:
            MissingModality: the query has nothing to compare by. InvalidSetting: weights that cannot be used.
        """
        self._query = np.asarray(query, np.float64)
        self._blocks = fusion.blocks or {}
        self._even = fusion.method == "standard"  # clips with the same modalities have blocks of the same lengths
        self._lengths = {m: float(np.linalg.norm(self._query[block])) for m, block in self._blocks.items()}
        self.plain = _plain(fusion, by, weights)
        probe = self._query
        self._weights: dict[Modality, float] = {}
        if not self.plain:
            asked = effective(by, weights)
            present = {m: asked[m] for m, length in self._lengths.items() if length > TINY and asked[m] > 0}
            if not present:
                raise MissingModality(None if by == "all" else f"That clip has no {by} to compare by.")
            self._weights = {m: weight * self._lengths[m] ** 2 for m, weight in present.items()}
            probe = np.zeros_like(self._query)
            for modality, weight in present.items():
                probe[self._blocks[modality]] = weight * self._query[self._blocks[modality]]
        self._length = float(np.linalg.norm(probe))
        self.probe: Vector = (probe / self._length).astype(np.float32)
        # Only late fusion gives every clip with the same modalities blocks of the same lengths, and only a cosine that
        # leaves no columns out is the index's own: so `raw` is bounded only where all clips have the same modalities.
        self.bounded = fusion.method == "standard" or (self.plain and not self._blocks)

    def stretch(self, modalities: Collection[Modality]) -> float:
        """How many times the cosine of the probe and a clip is their similarity, for a clip that has these modalities.

        The index ranks by that cosine, in which a missing modality counts as zero. The factor depends on the modalities
        only (where `bounded`); 0 for a clip with nothing to compare by. What the query itself lacks is taken to weigh
        as much as all that it has, so that the factor is too large rather than too small.
        """
        if self.plain:
            return 1.0
        both = sum(weight for modality, weight in self._weights.items() if modality in modalities)
        whole = sum(
            self._lengths[m] ** 2 if self._lengths.get(m, 0.0) > TINY else 1.0 for m in modalities if m in self._blocks
        )
        return self._length * whole**0.5 / both if both else 0.0

    def score(self, candidates: Mapping[str, Vector]) -> list[Scored]:
        """The candidates' similarities in float64, best first (equals by id); those with nothing in common left out."""
        return self.scored(list(candidates), np.array(list(candidates.values()), np.float32))

    def scored(self, ids: Sequence[str], rows: Matrix) -> list[Scored]:
        """`score`, of embeddings that are the rows of a matrix."""
        if not ids:
            return []
        matrix = np.asarray(rows, np.float64)
        cosines: dict[Modality, NDArray[np.float64]] = {}
        for modality, block in self._blocks.items():
            if self._lengths[modality] > TINY:
                lengths = np.linalg.norm(matrix[:, block], axis=1)
                inner = np.einsum("ij,j->i", matrix[:, block], self._query[block])  # equal rows, equal bits
                there = lengths > TINY
                cosines[modality] = np.full(len(ids), np.nan)
                cosines[modality][there] = inner[there] / (lengths[there] * self._lengths[modality])
        total = np.clip(self._totals(matrix, cosines), -1.0, 1.0).tolist()
        shown = {modality: np.clip(of, -1.0, 1.0).tolist() for modality, of in cosines.items()}
        scored = [
            Scored(clip_id, total[row], {m: of[row] for m, of in shown.items() if not isnan(of[row])})
            for row, clip_id in enumerate(ids)
            if isfinite(total[row])
        ]
        return sorted(scored, key=lambda one: (-one.similarity, one.id))

    @property
    def single(self) -> bool:
        """Whether `rates` follows from the inner products with `probe` (else from those with each block)."""
        return self.plain or self._even or len(self._weights) == 1

    def rates(self, held: Held, inner: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """`score` of many embeddings quickly: float32 (clips,), -inf where they have nothing in common.

        `inner` is `held.matrix @ probe` (see `single`).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            if not self.single:
                return self._blockwise(held)
            if inner is None:
                inner = multiply(held.matrix, self.probe)
            if not self._blocks:
                return np.asarray(inner / held.lengths[:, 0])
            if len(self._weights) == 1 and not self.plain:
                return _or_nothing(inner, held.lengths[:, list(self._blocks).index(next(iter(self._weights)))])
            if self.plain:
                mine = [n for n, modality in enumerate(self._blocks) if self._lengths[modality] > TINY]
                own = self._table(held, {m: length**2 for m, length in self._lengths.items() if length > TINY})
                theirs = (held.lengths[:, mine] ** 2).sum(axis=1)
                return _or_nothing(inner * np.float32(self._length), np.sqrt(own[held.codes] * theirs))
            return _or_nothing(inner, self._divisors(held)[held.codes])

    def _blockwise(self, held: Held) -> NDArray[np.float32]:
        total = np.zeros(len(held.matrix), np.float32)
        for number, (modality, block) in enumerate(self._blocks.items()):
            if modality in self._weights:
                part = (self._weights[modality] / self._lengths[modality] * self._query[block]).astype(np.float32)
                lengths = held.lengths[:, number]
                total += np.where(lengths > 0, multiply(held.matrix[:, block], part) / lengths, np.float32(0))
        return _or_nothing(total, self._table(held, self._weights)[held.codes])

    def _table(self, held: Held, values: Mapping[Modality, float]) -> NDArray[np.float32]:
        """For each code: the sum of these values over the modalities that it says are there."""
        codes = np.arange(len(held.typical))
        total = np.zeros(len(codes))
        for number, modality in enumerate(self._blocks):
            total += values.get(modality, 0.0) * (codes >> number & 1)
        return total.astype(np.float32)

    def _divisors(self, held: Held) -> NDArray[np.float32]:
        """For each code: what the inner product with the probe is to be divided by; 0 for nothing in common."""
        both = self._table(held, self._weights)
        ratio = np.zeros(len(both))  # of the lengths of a clip's blocks to the query's: the same for all they share
        for number, modality in enumerate(self._blocks):
            if modality in self._weights:
                typical = held.typical[:, number]
                ratio = np.where(typical > 0, typical / self._lengths[modality], ratio)
        return (both * ratio / self._length).astype(np.float32)

    def _totals(
        self, matrix: NDArray[np.float64], cosines: Mapping[Modality, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.plain:
                return np.einsum("ij,j->i", matrix, self._query) / self._shared_lengths(matrix)
            both, total = np.zeros(len(matrix)), np.zeros(len(matrix))
            for modality, weight in self._weights.items():
                both += weight * ~np.isnan(cosines[modality])
                total += weight * np.nan_to_num(cosines[modality])
            return total / both  # nothing in common: not a number

    def _shared_lengths(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Product of the two lengths, over the modalities that both have where the embedding keeps them apart."""
        if not self._blocks:
            return np.linalg.norm(matrix, axis=1) * np.linalg.norm(self._query)
        mine, theirs = np.zeros(len(matrix)), np.zeros(len(matrix))
        for modality, block in self._blocks.items():
            squares = (matrix[:, block] ** 2).sum(axis=1)
            both = (squares > TINY**2) & (self._lengths[modality] > TINY)
            mine += both * self._lengths[modality] ** 2
            theirs += both * squares
        return np.sqrt(mine * theirs)  # nothing in common: zero, and so not a number above


def rates(comparisons: Sequence[Comparison], held: Held) -> list[NDArray[np.float32]]:
    """`Comparison.rates` of several, with one product for all that can share it."""
    together = [number for number, each in enumerate(comparisons) if each.single]
    if len(together) < 2:
        return [each.rates(held) for each in comparisons]
    inner = _product(np.stack([comparisons[number].probe for number in together]), held.matrix)
    shared = dict(zip(together, inner, strict=True))
    return [each.rates(held, shared.get(number)) for number, each in enumerate(comparisons)]


def multiply(matrix: Matrix, vector: Vector) -> NDArray[np.float32]:
    """`matrix @ vector`, float32 (rows,), by one core.

    BLAS would use all of them and have them wait for each other by spinning: beside busy encoders that takes ten times
    as long, and alone it is less than twice as quick, since memory is what limits it (docs/performance.md).
    """
    return np.einsum("ij,j->i", matrix, vector)


def _product(queries: Matrix, matrix: Matrix) -> NDArray[np.float32]:
    """`queries @ matrix.T`, float32 (queries, rows), by one core for the same reason."""
    # How many threads BLAS uses is said for the whole process, and must be as it was afterwards.
    with _limiting, _blas().limit(limits=1, user_api="blas"):
        return queries @ matrix.T


@lru_cache(maxsize=1)
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _or_nothing(above: NDArray[np.float32], below: NDArray[np.float32]) -> NDArray[np.float32]:
    """The quotient; -inf where the divisor is nothing."""
    return np.where(below > 0, above / below, np.float32(-np.inf))


def pairwise(
    queries: Matrix,
    candidates: Matrix,
    fusion: Blocks,
    by: By = "all",
    weights: Mapping[Modality, float] | None = None,
) -> NDArray[np.float64]:
    """The similarities that `Comparison` gives, of many queries at once.

    Args:
        queries: embeddings, shape (queries, n).
        candidates: embeddings, shape (candidates, n).
        fusion, by, weights: as of `Comparison`.

    Returns:
        float64, shape (queries, candidates); not a number where two clips have nothing in common to compare by.

    Raises:
        InvalidSetting: weights that cannot be used.
    """
    mine, theirs = np.asarray(queries, np.float64), np.asarray(candidates, np.float64)
    plain = _plain(fusion, by, weights)
    asked = effective("all" if plain else by, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        if plain and not fusion.blocks:
            lengths = np.outer(np.linalg.norm(mine, axis=1), np.linalg.norm(theirs, axis=1))
            return np.clip(mine @ theirs.T / lengths, -1.0, 1.0)
        blocks = fusion.blocks or {}
        first, second = (_lengths(rows, blocks) for rows in (mine, theirs))
        has, have = first > 0, second > 0
        if plain:  # the cosine over the columns that both have
            inner = _scaled(mine, blocks, has.astype(float)) @ _scaled(theirs, blocks, have.astype(float)).T
            return np.clip(inner / np.sqrt((first**2 @ have.T) * (has @ (second**2).T)), -1.0, 1.0)
        # The mean of the cosines of the modalities that both have, weighted: all of it is products of matrices.
        weight = first**2 * [asked[modality] for modality in blocks]
        inverse = np.divide(1.0, second, out=np.zeros_like(second), where=have)
        left = np.divide(weight, first, out=np.zeros_like(first), where=has)
        total = _scaled(mine, blocks, left) @ _scaled(theirs, blocks, inverse).T
        return np.clip(total / (weight @ have.T), -1.0, 1.0)


def _lengths(rows: NDArray[np.float64], blocks: Mapping[Modality, slice]) -> NDArray[np.float64]:
    """The length of each block of each row, shape (rows, blocks); 0 where the modality is missing."""
    found = [np.linalg.norm(rows[:, block], axis=1) for block in blocks.values()]
    lengths = np.stack(found, axis=1) if found else np.zeros((len(rows), 0))
    return np.where(lengths > TINY, lengths, 0.0)


def _scaled(
    rows: NDArray[np.float64], blocks: Mapping[Modality, slice], factors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The rows with each block times its factor, shape (rows, blocks)."""
    found = np.zeros_like(rows)
    for number, block in enumerate(blocks.values()):
        found[:, block] = rows[:, block] * factors[:, number, None]
    return found


def _plain(fusion: Blocks, by: By, weights: Mapping[Modality, float] | None) -> bool:
    """Whether the cosine of the embeddings is meant: without blocks, or where their lengths are no weights, it is."""
    return fusion.method != "standard" and by == "all" and weights is None


def separable(fusion: Blocks, by: By, weights: Mapping[Modality, float] | None) -> bool:
    """Whether `Comparison` can answer this from embeddings alone."""
    return fusion.blocks is not None or (by == "all" and weights is None)


def effective(by: By, weights: Mapping[Modality, float] | None) -> dict[Modality, float]:
    """What each modality counts for: 1 is what it usually does, 2 twice that; `by` leaves one.

    Raises:
        InvalidSetting: a weight is negative or no number, or all are 0.
    """
    if by != "all":
        return {"audio": 0.0, "video": 0.0, "lyrics": 0.0, by: 1.0}
    asked: dict[Modality, float] = {"audio": 1.0, "video": 1.0, "lyrics": 1.0, **(weights or {})}
    if not all(np.isfinite(weight) and weight >= 0 for weight in asked.values()) or not any(asked.values()):
        raise InvalidSetting(
            "A weight is a number from 0 up, and one must be above 0.", hint="Such as audio=2,lyrics=0.5."
        )
    return asked


def modal_mean(
    mine: Mapping[Modality, Vector], theirs: Mapping[Modality, Vector], weights: Mapping[Modality, float]
) -> tuple[float | None, dict[Modality, float]]:
    """Weighted mean cosine of two clips' unit-length vectors by modality (None: nothing in common), and each cosine."""
    by = {m: float(np.dot(mine[m].astype(np.float64), theirs[m])) for m in mine if m in theirs}
    total = sum(weights[m] for m in by)
    return (sum(weights[m] * by[m] for m in by) / total if total > 0 else None), by
