"""`raw`: the standardised columns side by side, to unit length. Nothing is learned but means and scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsim.encoders import Preset
from clipsim.fusion import columns, standardise
from clipsim.fusion.base import Fitted
from clipsim.fusion.standardise import Standardiser
from clipsim.model import Features, Matrix, Method


class Raw(Fitted):
    """The deck's "raw features", standardised: the cosine of two rows is that of the concatenated vectors."""

    method: Method = "raw"

    def __init__(self, standardiser: Standardiser, clips: int) -> None:
        super().__init__(standardiser, clips)
        self.size = self.preset.size
        self.blocks = columns.blocks(self.preset)

    def _embed(self, standardised: Matrix, present: NDArray[np.bool_]) -> Matrix:
        return standardised


def fit(features: Sequence[Features], preset: Preset) -> Raw:
    """Measure the columns' statistics; any number of clips will do, none included."""
    values, present = columns.stack(features, preset)
    return Raw(standardise.fit(values, present, preset), len(features))


def restore(arrays: Mapping[str, Any], preset: Preset) -> Raw:
    """The fusion whose `arrays` these are; raises as `standardise.restore` does."""
    return Raw(standardise.restore(arrays, preset), int(np.asarray(arrays["clips"])))
