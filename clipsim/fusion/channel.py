"""Channel compensation: what changes from one copy of a recording to the next counts for less.

A smaller file, another level, a narrower band or a part of the track is the same music. What an encoder's columns do
then was measured on songs (`prior.npz`, written by `benchmarks/prior.py`): the covariance C of the differences between
copies and their originals, and between the halves of a song. Standardised columns x are weighed by (I + λ C)^-1/2:
directions in which copies differ shrink, the others stay. It is within-class covariance normalisation (Hatch, Kajarekar
& Stolcke 2006, "Within-class covariance normalization for SVM-based speaker recognition", Interspeech), every recording
a class of its own, shrunk towards doing nothing. Cutting the directions off instead is nuisance attribute projection
(Solomonoff, Campbell & Boardman 2005, ICASSP); on songs it did no better. `docs/evaluation.md` has the figures.

An encoder that was not measured is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsim.encoders import Preset
from clipsim.fusion import columns, standardise
from clipsim.fusion.standardise import Standardiser
from clipsim.model import Matrix

STRENGTH = 30.0  # λ: on songs of other artists than it was measured on, 10 to 100 do alike (`docs/evaluation.md`)
RANK = 96  # directions kept of a layer, which hold 0.976 of the variance and more (`python -m benchmarks.prior`)


@dataclass(frozen=True, slots=True)
class Channel:
    """For each measured encoder rows R, float32 (at most RANK, its columns): x becomes x - RᵀR x in each layer."""

    preset: Preset
    rows: Mapping[str, Matrix]

    def apply(self, standardised: Matrix) -> Matrix:
        """Compensate standardised columns, float32 (clips, preset.size); what is missing (zero) stays so."""
        result = standardised.copy()
        for part, where in columns.spans(self.preset):
            rows = self.rows.get(part.encoder)
            if rows is not None:
                for layer in columns.layers(part):
                    seen = slice(where.start + layer.start, where.start + layer.stop)
                    result[:, seen] -= standardised[:, seen] @ rows[:, layer].T @ rows[:, layer]
        return result

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `restore` needs, as plain arrays."""
        return {f"channel_{encoder}": rows for encoder, rows in self.rows.items()}


def fit(standardiser: Standardiser, strength: float = STRENGTH) -> Channel:
    """The compensation in the units of a standardiser's columns."""
    found = {}
    for part, where in columns.spans(standardiser.preset):
        known = standardise.measured(part.encoder)
        if known is None or known.channel is None or known.channel.shape[1] != part.size:
            continue
        differences = np.clip(known.channel / standardiser.scale[where], -standardise.LIMIT, standardise.LIMIT)
        rows = np.zeros(differences.shape)
        for layer in columns.layers(part):
            # C = DᵀD, of low rank: its eigenvectors are D's right singular vectors.
            _, deviations, directions = np.linalg.svd(differences[:, layer], full_matrices=False)
            cut = 1.0 - 1.0 / np.sqrt(1.0 + strength * deviations**2)
            rows[: len(cut), layer] = np.sqrt(cut)[:, None] * directions
        found[part.encoder] = rows.astype(np.float32)
    return Channel(standardiser.preset, found)


def restore(arrays: Mapping[str, Any], preset: Preset) -> Channel:
    """The compensation that `Channel.arrays` wrote; none of an older fusion's.

    Raises:
        ValueError, TypeError: the arrays are not what `arrays` writes.
    """
    found = {}
    for part in preset.parts:
        name = f"channel_{part.encoder}"
        if name not in arrays:
            continue
        rows = np.array(arrays[name], np.float32)
        if rows.ndim != 2 or rows.shape[1] != part.size or len(rows) > RANK or not np.isfinite(rows).all():
            raise ValueError(f"a compensation of {part.encoder} of another shape")
        found[part.encoder] = rows
    return Channel(preset, found)
