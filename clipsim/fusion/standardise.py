"""Standardise each column over the clips that have it: the same inputs for every method.

A mean and a standard deviation of two clips say nothing (two standardised clips always have cosine -1). So until an
encoder has `ENOUGH` clips its statistics lean on a prior: what we measured of that encoder (`prior.npz`, written by
`benchmarks/prior.py`), else the pooled mean and scale of its columns. The prior counts for `PRIOR_CLIPS` clips in an
empty library and for none in one of `ENOUGH` clips: from there on the statistics are the library's own, to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsim.encoders import Part, Preset
from clipsim.errors import LibraryMismatch
from clipsim.fusion.columns import spans, widen
from clipsim.model import Matrix

ENOUGH = 64  # clips with an encoder from which its statistics are the library's own
# Clips that the prior counts for in an empty library. It is measured on excerpts of rock songs, and whole tracks of
# other music lie off it: at 8, two songs have a mean cosine of -0.2 where it fits and 0.3 where not (at 32, 0.5).
PRIOR_CLIPS = 8.0
LIMIT = 10.0  # standard deviations: a wild column of one broken clip must not outweigh all others
FLAT = 1e-6  # a column whose deviation is below this share of its size carries nothing but rounding
PRIOR = Path(__file__).with_name("prior.npz")

Column = NDArray[np.float64]  # shape (columns,)


@dataclass(frozen=True, slots=True)
class Standardiser:
    """The mean and scale of each column, float64, shape (preset.size,), and how many clips had each encoder."""

    preset: Preset
    mean: Column
    scale: Column
    counts: tuple[int, ...]

    def transform(self, values: Matrix, present: NDArray[np.bool_]) -> Matrix:
        """Standardise columns as `clipsim.fusion.columns.stack` returns them.

        Returns:
            float32, shape (clips, preset.size); zero in the columns that a clip lacks, within ±LIMIT elsewhere.
        """
        result = (values - self.mean) / self.scale
        np.clip(result, -LIMIT, LIMIT, out=result)
        result[~widen(present, self.preset)] = 0.0
        return result.astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `restore` needs, as plain arrays."""
        return {
            "encoders": np.array(self.preset.encoders),
            "sizes": np.array([part.size for part in self.preset.parts]),
            "mean": self.mean,
            "scale": self.scale,
            "counts": np.array(self.counts),
        }


def restore(arrays: Mapping[str, Any], preset: Preset) -> Standardiser:
    """The standardiser that `Standardiser.arrays` wrote.

    Raises:
        LibraryMismatch: it was fitted on other encoders.
        KeyError, ValueError, TypeError: the arrays are not what `arrays` writes.
    """
    encoders = tuple(str(name) for name in np.asarray(arrays["encoders"]).tolist())
    sizes = [int(size) for size in np.asarray(arrays["sizes"]).tolist()]
    if encoders != preset.encoders or sizes != [part.size for part in preset.parts]:
        raise LibraryMismatch(
            f"This library was built with other encoders ({', '.join(encoders)}, and not {', '.join(preset.encoders)})."
        )
    mean, scale = (np.array(arrays[name], np.float64) for name in ("mean", "scale"))
    counts = tuple(int(count) for count in np.asarray(arrays["counts"]).tolist())
    if mean.shape != (preset.size,) or scale.shape != mean.shape or len(counts) != len(preset.parts):
        raise ValueError("statistics of another shape")
    if not np.isfinite(mean).all() or not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError("statistics that are not finite")
    return Standardiser(preset, mean, scale, counts)


def fit(
    values: Matrix, present: NDArray[np.bool_], preset: Preset, *, prior_clips: float = PRIOR_CLIPS
) -> Standardiser:
    """Measure each column over the clips that have its encoder, leaning on the prior where they are few.

    Args:
        values: shape (clips, preset.size), and `present`, shape (clips, parts), as from `columns.stack`.
        preset: the encoders.
        prior_clips: how many clips the prior counts for in an empty library; 0 for none at all.
    """
    mean, scale = np.zeros(preset.size), np.ones(preset.size)
    for index, (part, where) in enumerate(spans(preset)):
        mean[where], scale[where] = _part(values[present[:, index], where].astype(np.float64), part, prior_clips)
    return Standardiser(preset, mean, scale, tuple(int(count) for count in present.sum(axis=0)))


def _part(values: NDArray[np.float64], part: Part, prior_clips: float) -> tuple[Column, Column]:
    count = len(values)
    trust = prior_clips * max(0.0, 1.0 - count / ENOUGH)
    if count == 0 and not trust:
        return np.zeros(part.size), np.ones(part.size)
    mean = values.mean(axis=0) if count else np.zeros(part.size)
    variance = values.var(axis=0) if count else np.zeros(part.size)
    if trust:
        centre, spread = _prior(part, values)
        share = trust / (trust + count)
        # The variance of the mixture of both: within each, and between their means.
        between = share * (1 - share) * (mean - centre) ** 2
        variance = (1 - share) * variance + share * spread**2 + between
        mean = (1 - share) * mean + share * centre
    scale = np.sqrt(variance)
    flat = scale <= FLAT * np.maximum(np.abs(mean), FLAT)
    return mean, np.where(flat, 1.0, scale)


def _prior(part: Part, values: NDArray[np.float64]) -> tuple[Column, Column]:
    """The mean and deviation to lean on: measured ones of this encoder, else the pooled ones of its columns."""
    known = measured(part.encoder)
    if known is not None and known.mean.shape == (part.size,):
        return known.mean, known.scale
    centre = float(values.mean()) if values.size else 0.0
    spread = float(values.std()) if values.size else 1.0
    return np.full(part.size, centre), np.full(part.size, spread if spread > 0 else 1.0)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of an encoder's columns on real clips, in the columns' own units, float64.

    `channel` has shape (directions, columns): DᵀD is the covariance of what copies of a recording differ in.
    """

    mean: Column
    scale: Column
    channel: NDArray[np.float64] | None = None


def measured(encoder: str) -> Measured | None:
    """What `prior.npz` has of an encoder."""
    return _all_measured().get(encoder)


@lru_cache(maxsize=1)
def _all_measured() -> dict[str, Measured]:
    if not PRIOR.exists():
        return {}
    with np.load(PRIOR, allow_pickle=False) as stored:
        arrays = {name: stored[name].astype(np.float64) for name in stored.files}
    names = [name.removesuffix("_mean") for name in arrays if name.endswith("_mean")]
    found = {}
    for name in names:
        mean, scale, channel = (arrays.get(f"{name}_{what}") for what in ("mean", "scale", "channel"))
        assert mean is not None and scale is not None
        # Kept in deviations, which half a float holds.
        found[name] = Measured(mean, scale, None if channel is None else channel * scale)
    return found
