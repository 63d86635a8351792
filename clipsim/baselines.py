"""The plain ways to compare clips, that a fusion has to beat: one modality, one encoder, and simple mixtures of all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsim.contenders import Contender, Fitted, Pool, Rows, Scores
from clipsim.encoders import Part
from clipsim.fusion import TrainProgress, columns, standardise
from clipsim.fusion.base import has, modal
from clipsim.model import EMBEDDING_SIZE, MODALITIES, Features, Matrix, Modality

RANK_CONSTANT = 60  # of reciprocal rank fusion, as its authors chose it
CCA_SIZE = 64  # principal components of each modality that are aligned
CCA_RIDGE = 0.1  # added to each modality's covariance, as a share of its mean variance
WORDS = r"\b\w+\b"

Fit = Callable[[Pool, TrainProgress | None], Fitted]
Present = NDArray[np.bool_]  # shape (clips, parts), as from `columns.stack`


def cosine(queries: Matrix, candidates: Matrix) -> Scores:
    """Cosines of all pairs of rows; not a number where one of the two is zero."""
    mine, theirs = np.asarray(queries, np.float64), np.asarray(candidates, np.float64)
    lengths = np.outer(np.linalg.norm(mine, axis=1), np.linalg.norm(theirs, axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(lengths > 0, mine @ theirs.T / lengths, np.nan)


class _Columns:
    """Standardised columns of a pool, turned into rows by `turn`, and compared by their cosine."""

    def __init__(self, pool: Pool, turn: Callable[[Matrix, Present], Matrix] | None = None) -> None:
        self.preset = pool.preset
        values, present = columns.stack(pool.features, pool.preset)
        self.standardiser = standardise.fit(values, present, pool.preset)
        self.turn = turn

    def stack(self, features: Sequence[Features]) -> tuple[Matrix, Present]:
        values, present = columns.stack(features, self.preset)
        return self.standardiser.transform(values, present), present

    def rows(self, features: Sequence[Features], lyrics: Sequence[str | None]) -> Rows:
        assert self.turn is not None
        return self.turn(*self.stack(features))

    def compare(self, queries: Rows, candidates: Rows) -> Scores:
        return cosine(queries, candidates)


def modality(name: Modality) -> Fit:
    """One modality's standardised columns."""
    return lambda pool, progress: _Columns(pool, lambda rows, there: modal(rows, there, pool.preset, name))


def encoder(part: Part) -> Fit:
    """One encoder's standardised columns, each of its layers counting alike."""

    def fit(pool: Pool, progress: TrainProgress | None) -> Fitted:
        index, where = next((i, span) for i, (other, span) in enumerate(columns.spans(pool.preset)) if other == part)

        def turn(rows: Matrix, present: Present) -> Matrix:
            seen, there = rows[:, where], present[:, index]
            return columns.unit(
                np.hstack([columns.unit(seen[:, layer], there) for layer in columns.layers(part)]), there
            )

        return _Columns(pool, turn)

    return fit


class _Naive(_Columns):
    """What the encoders found as it is, side by side, zeros where they found nothing."""

    def rows(self, features: Sequence[Features], lyrics: Sequence[str | None]) -> Rows:
        return columns.stack(features, self.preset)[0]


class _RankFusion(_Columns):
    """Each modality makes a list, and a candidate gets 1 / (60 + its rank) from each that it is in."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        sizes = [sum(part.size for part in self.preset.of(name)) for name in MODALITIES]
        ends = np.cumsum([0, *sizes]).tolist()
        self.spans = [slice(ends[n], ends[n + 1]) for n in range(len(sizes)) if sizes[n]]

    def rows(self, features: Sequence[Features], lyrics: Sequence[str | None]) -> Rows:
        rows, there = self.stack(features)
        return np.hstack([modal(rows, there, self.preset, name) for name in MODALITIES if self.preset.of(name)])

    def compare(self, queries: Rows, candidates: Rows) -> Scores:
        total, known = np.zeros((len(queries), len(candidates))), np.zeros((len(queries), len(candidates)), np.bool_)
        for span in self.spans:
            scores = cosine(queries[:, span], candidates[:, span])
            best_first = np.argsort(np.where(np.isnan(scores), np.inf, -scores), axis=1, kind="stable")
            rank = np.empty_like(scores)
            np.put_along_axis(rank, best_first, np.arange(1.0, len(candidates) + 1)[None], axis=1)
            total += np.where(np.isnan(scores), 0.0, 1.0 / (RANK_CONSTANT + rank))
            known |= ~np.isnan(scores)
        return np.where(known, total, np.nan)


def _whitened(pool: Pool, progress: TrainProgress | None) -> Fitted:
    """Principal components of equal variance; the covariance is shrunk as Ledoit & Wolf 2004 say."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    found = _Columns(pool)
    rows = found.stack(pool.features)[0].astype(np.float64)
    mean = rows.mean(axis=0)
    _, strength, directions = np.linalg.svd(rows - mean, full_matrices=False)
    variances = strength**2 / len(rows)
    kept = np.flatnonzero(variances > 1e-9 * variances.max(initial=0.0))[:EMBEDDING_SIZE]
    share = float(ledoit_wolf_shrinkage(rows)) if len(rows) > 1 else 1.0
    shrunk = (1 - share) * variances[kept] + share * variances.sum() / rows.shape[1]
    projection = directions[kept].T / np.sqrt(shrunk)
    found.turn = lambda given, _: ((given - mean) @ projection).astype(np.float32)
    return found


def _aligned(pool: Pool, progress: TrainProgress | None) -> Fitted:
    """Canonical correlations of all modalities at once (MAXVAR; Kettenring 1971), of regularised components.

    Each modality is reduced to principal components and whitened; the principal components of all together are the
    directions in which they agree. A direction counts for its correlation (Gong et al. 2014, section 3.3), and a clip
    is the sum of its modalities' projections.
    """
    found = _Columns(pool)
    rows, there = found.stack(pool.features)
    whiteners, pieces = {}, []
    for name in pool.modalities:
        mine = modal(rows, there, pool.preset, name).astype(np.float64)
        held = has(there, pool.preset, name)
        mean = mine[held].mean(axis=0)
        _, strength, directions = np.linalg.svd(mine[held] - mean, full_matrices=False)
        variances = (strength**2 / held.sum())[:CCA_SIZE]
        ridge = CCA_RIDGE * max(float(variances.mean()), columns.TINY)
        whiteners[name] = mean, directions[:CCA_SIZE].T / np.sqrt(variances + ridge)
        pieces.append(np.where(held[:, None], (mine - mean) @ whiteners[name][1], 0.0))
    several = np.stack([has(there, pool.preset, name) for name in pool.modalities]).sum(axis=0) > 1
    stacked = np.hstack(pieces)[several]
    variance, directions = np.linalg.eigh(stacked.T @ stacked / len(stacked))
    agree = np.maximum(variance[::-1] - 1.0, 0.0)[:CCA_SIZE]  # 1: what a direction has by itself
    agree = agree if agree.any() else np.ones_like(agree)
    towers, start = {}, 0
    for name, piece in zip(pool.modalities, pieces, strict=True):
        mean, whitener = whiteners[name]
        own = directions[start : start + piece.shape[1], ::-1][:, :CCA_SIZE] * agree
        towers[name], start = (mean, whitener @ own), start + piece.shape[1]

    def turn(given: Matrix, present: Present) -> Matrix:
        total = np.zeros((len(given), len(agree)))
        for name, (mean, tower) in towers.items():
            held = has(present, pool.preset, name)
            total += np.where(held[:, None], (modal(given, present, pool.preset, name) - mean) @ tower, 0.0)
        return total.astype(np.float32)

    found.turn = turn
    return found


class _Words:
    """TF-IDF of the lyrics' words."""

    def __init__(self, pool: Pool) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectoriser: Any = TfidfVectorizer(token_pattern=WORDS, sublinear_tf=True)
        self.vectoriser.fit([text for text in pool.lyrics if text and re.search(WORDS, text)])

    def rows(self, features: Sequence[Features], lyrics: Sequence[str | None]) -> Rows:
        return self.vectoriser.transform([text or "" for text in lyrics] or [""] * len(features))

    def compare(self, queries: Rows, candidates: Rows) -> Scores:
        scores: Scores = (queries @ candidates.T).toarray().astype(np.float64)
        known = [np.asarray(rows.getnnz(axis=1) > 0) for rows in (queries, candidates)]
        return np.where(np.outer(*known), scores, np.nan)


def _one_modality(pool: Pool) -> str | None:
    return None if len(pool.modalities) > 1 else "There is only one modality."


def _no_pairs(pool: Pool) -> str | None:
    several = sum(len(pool.preset.modalities(found.vectors)) > 1 for found in pool.features)
    return None if several > 2 else "Hardly a clip has two modalities to align."


def _no_words(pool: Pool) -> str | None:
    return (
        None if sum(bool(text and re.search(WORDS, text)) for text in pool.lyrics) > 1 else "No two clips have lyrics."
    )


def mixed() -> tuple[Contender, ...]:
    """The simple mixtures, and the words as they are."""
    return (
        Contender("naive", "the encoders' vectors side by side as they are", lambda pool, _: _Naive(pool)),
        Contender(
            "rrf",
            "reciprocal rank fusion of the modalities (Cormack, Clarke & Büttcher 2009)",
            lambda pool, _: _RankFusion(pool),
            _one_modality,
            space=False,
        ),
        Contender("whitened", "principal components of equal variance, shrunk", _whitened),
        Contender("cca", "the modalities' canonical correlations", _aligned, _no_pairs),
        Contender("tfidf", "TF-IDF of the lyrics' words", lambda pool, _: _Words(pool), _no_words),
    )
