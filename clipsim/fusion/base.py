"""What every fusion has in common: standardised inputs, and each modality's own vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsim.encoders import Part, Preset
from clipsim.fusion import columns
from clipsim.fusion.channel import Channel
from clipsim.fusion.standardise import Standardiser
from clipsim.model import MODALITIES, Features, Matrix, Method, Modality, Vector

# What an encoder counts for beside others of its modality (1 where not named). Alone in its modality it is all.
WITHIN = {"librosa": 0.2, "musicnn": 1.0, "clap": 1.0}  # clap: not measured


class Fitted:
    """A fusion that was fitted on a library: features in, unit rows out."""

    method: Method
    size: int
    blocks: dict[Modality, slice] | None = None

    def __init__(self, standardiser: Standardiser, clips: int, channel: Channel | None = None) -> None:
        """`channel`: what to compensate the standardised columns for; None: they stay as they are."""
        self.standardiser = standardiser
        self.preset: Preset = standardiser.preset
        self.clips = clips
        self.channel = channel

    def embed(self, features: Sequence[Features]) -> Matrix:
        """The embeddings of clips: float32, shape (clips, size), unit rows.

        Raises:
            LibraryMismatch: features of other encoders.
            LibraryCorrupt: features that are not finite.
        """
        if not features:
            return np.zeros((0, self.size), np.float32)
        values, present = columns.stack(features, self.preset)
        return columns.unit(self._embed(self._standardised(values, present), present))

    def modal(self, features: Features) -> dict[Modality, Vector]:
        """The standardised vector of each modality that the clip has: all its columns, unit length, float32.

        The inner product of two clips' vectors of one modality says how alike they are by that modality alone.
        Raises as `embed` does.
        """
        values, present = columns.stack([features], self.preset)
        standardised = self._standardised(values, present)
        return {
            modality: modal(standardised, present, self.preset, modality)[0]
            for modality in MODALITIES
            if has(present, self.preset, modality)[0]
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was fitted, as plain arrays."""
        return {
            "method": np.array(self.method),
            "clips": np.array(self.clips),
            **self.standardiser.arrays(),
            **(self.channel.arrays() if self.channel else {}),
        }

    def _standardised(self, values: Matrix, present: NDArray[np.bool_]) -> Matrix:
        standardised = self.standardiser.transform(values, present)
        return self.channel.apply(standardised) if self.channel else standardised

    def _embed(self, standardised: Matrix, present: NDArray[np.bool_]) -> Matrix:
        raise NotImplementedError


def has(present: NDArray[np.bool_], preset: Preset, modality: Modality) -> NDArray[np.bool_]:
    """Which clips have any encoder of the modality, bool, shape (clips,); `present` as from `columns.stack`."""
    parts = [part.modality == modality for part in preset.parts]
    return np.asarray(present[:, parts].any(axis=1), np.bool_)


def modal(standardised: Matrix, present: NDArray[np.bool_], preset: Preset, modality: Modality) -> Matrix:
    """One modality's columns of standardised values, shape (clips, its columns): unit rows, zero where it is missing.

    Each encoder's columns, by layers, are scaled to unit length and weighted by `WITHIN` first, so that an encoder
    counts for what it can tell and not for how many columns it has.
    """
    pieces = []
    for index, (part, where) in enumerate(columns.spans(preset)):
        if part.modality == modality:
            seen, layers = standardised[:, where], list(columns.layers(part))
            share = (weight(part) / len(layers)) ** 0.5
            pieces += [share * columns.unit(seen[:, layer], present[:, index]) for layer in layers]
    return columns.unit(np.hstack(pieces), has(present, preset, modality))


def weight(part: Part) -> float:
    """What the encoder counts for within its modality."""
    return WITHIN.get(part.encoder, 1.0)
