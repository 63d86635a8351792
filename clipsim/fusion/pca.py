"""`pca`: principal components of the standardised columns, by scikit-learn. The deck's second rival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsim.encoders import Preset
from clipsim.fusion import columns, standardise
from clipsim.fusion.base import Fitted
from clipsim.fusion.standardise import Standardiser
from clipsim.model import EMBEDDING_SIZE, Features, Matrix, Method


class Pca(Fitted):
    """PCA(256). Fewer clips than that have fewer components: the rest of each row is zero."""

    method: Method = "pca"
    size = EMBEDDING_SIZE

    def __init__(self, standardiser: Standardiser, clips: int, mean: Matrix, components: Matrix) -> None:
        """`mean` has shape (preset.size,), `components` (at most 256, preset.size), orthonormal rows."""
        super().__init__(standardiser, clips)
        self.mean = mean
        self.components = components

    def _embed(self, standardised: Matrix, present: NDArray[np.bool_]) -> Matrix:
        rows = np.zeros((len(standardised), self.size), np.float32)
        rows[:, : len(self.components)] = (standardised - self.mean) @ self.components.T
        return rows

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was fitted, as plain arrays."""
        return {**super().arrays(), "pca_mean": self.mean, "pca_components": self.components}


def fit(features: Sequence[Features], preset: Preset) -> Pca:
    """Fit the components; at least two clips that differ (else there is no direction: all get the same embedding)."""
    from sklearn.decomposition import PCA

    values, present = columns.stack(features, preset)
    standardiser = standardise.fit(values, present, preset)
    standardised = standardiser.transform(values, present).astype(np.float64)
    if len(features) < 2 or np.ptp(standardised, axis=0).max() < columns.TINY:
        mean = standardised.mean(axis=0) if len(features) else np.zeros(preset.size)
        return Pca(standardiser, len(features), mean.astype(np.float32), np.zeros((0, preset.size), np.float32))
    count = min(EMBEDDING_SIZE, len(features) - 1, preset.size)
    # Both solvers are exact; each is the cheaper one on its side.
    solver = "covariance_eigh" if len(features) > preset.size else "full"
    fitted = PCA(count, svd_solver=solver).fit(standardised)
    return Pca(standardiser, len(features), fitted.mean_.astype(np.float32), fitted.components_.astype(np.float32))


def restore(arrays: Mapping[str, Any], preset: Preset) -> Pca:
    """The fusion whose `arrays` these are; raises as `standardise.restore` does."""
    standardiser = standardise.restore(arrays, preset)
    mean, components = (np.array(arrays[name], np.float32) for name in ("pca_mean", "pca_components"))
    if mean.shape != (preset.size,) or components.ndim != 2 or components.shape[1] != preset.size:
        raise ValueError("components of another shape")
    if len(components) > EMBEDDING_SIZE or not (np.isfinite(mean).all() and np.isfinite(components).all()):
        raise ValueError("components that are not finite, or too many")
    return Pca(standardiser, int(np.asarray(arrays["clips"])), mean, components)
