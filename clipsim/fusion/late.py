"""`standard`: late fusion in one vector. Each modality judges alone, and the judgements are added.

Per modality: standardise, compensate for what copies differ in (`clipsim.fusion.channel`), reduce to its share of the
256 dimensions, scale to unit length, weight by sqrt(w); then side by side and to unit length over the modalities that
the clip has. The inner product of two embeddings is so the weighted mean of their cosines by modality (late fusion;
Snoek, Worring & Smeulders 2005, "Early versus late fusion in semantic video analysis"), and `blocks` says which slice
is whose: a query with one modality masked, or weighted anew, needs no other index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsim.encoders import Preset
from clipsim.fusion import channel, columns, standardise
from clipsim.fusion.base import Fitted, has, modal
from clipsim.fusion.channel import Channel
from clipsim.fusion.standardise import Standardiser
from clipsim.model import EMBEDDING_SIZE, MODALITIES, Features, Matrix, Method, Modality

# Dimensions of the embedding that each modality gets. Same-artist mAP from audio is the same from 64 dimensions on
# (`python -m benchmarks fusion`); same-genre mAP from lyrics is 0.001 below that of all 768 columns.
SHARES: dict[Modality, int] = {"audio": 96, "video": 64, "lyrics": 96}
# Sound and words count alike: best on songs paired with real lyrics. There is no set of labelled music videos to
# measure the third on: at a half, pictures that say nothing about the music cost 0.02 P@5, at one they cost 0.05.
WEIGHTS: dict[Modality, float] = {"audio": 1.0, "video": 0.5, "lyrics": 1.0}
RANK = 1e-6  # singular values below this share of the largest are rounding
SEED = 256  # of the directions that complete a basis where clips are few


class Standard(Fitted):
    """Late fusion by fixed shares and weights, on bases fitted to the library."""

    method: Method = "standard"
    size = EMBEDDING_SIZE

    def __init__(
        self, standardiser: Standardiser, clips: int, compensation: Channel, bases: Mapping[Modality, Matrix]
    ) -> None:
        """`bases[modality]` has shape (its share, its columns): rows to project its standardised vector on."""
        super().__init__(standardiser, clips, compensation)
        self.bases = dict(bases)
        self.blocks: dict[Modality, slice] = layout(self.preset)

    def _embed(self, standardised: Matrix, present: NDArray[np.bool_]) -> Matrix:
        rows = np.zeros((len(standardised), self.size), np.float32)
        for modality, basis in self.bases.items():
            there = has(present, self.preset, modality)
            reduced = modal(standardised, present, self.preset, modality) @ basis.T
            where = self.blocks[modality]
            rows[:, where.start : where.start + len(basis)] = WEIGHTS[modality] ** 0.5 * columns.unit(reduced, there)
        return rows

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was fitted, as plain arrays."""
        return {**super().arrays(), **{f"basis_{modality}": basis for modality, basis in self.bases.items()}}


def layout(preset: Preset) -> dict[Modality, slice]:
    """Each modality's slice of the embedding; that of a modality which the preset lacks stays zero."""
    starts = np.cumsum([0, *(SHARES[modality] for modality in MODALITIES)]).tolist()
    return {
        modality: slice(starts[index], starts[index + 1])
        for index, modality in enumerate(MODALITIES)
        if preset.of(modality)
    }


def fit(features: Sequence[Features], preset: Preset) -> Standard:
    """Fit each modality's basis over the clips that have it; any number of clips will do."""
    values, present = columns.stack(features, preset)
    standardiser = standardise.fit(values, present, preset)
    compensation = channel.fit(standardiser)
    standardised = compensation.apply(standardiser.transform(values, present))
    return Standard(standardiser, len(features), compensation, bases(standardised, present, preset))


def bases(standardised: Matrix, present: NDArray[np.bool_], preset: Preset) -> dict[Modality, Matrix]:
    """Each modality's basis, float32 (its share, its columns), over the clips that have it."""
    found = {}
    for modality in layout(preset):
        there = has(present, preset, modality)
        found[modality] = _basis(modal(standardised, present, preset, modality)[there], SHARES[modality])
    return found


def _basis(rows: Matrix, share: int) -> Matrix:
    """The `share` directions that keep most of the rows' inner products (the right singular vectors, uncentred).

    Fewer rows than that span fewer directions: clips to come would be projected on the little that the first ones
    span. Random directions orthogonal to those (seeded) complete the basis: they leave the rows as they are and keep
    the distances of clips to come, in expectation (Johnson & Lindenstrauss 1984).
    """
    size = rows.shape[1]
    share = min(share, size)
    if len(rows) > size:
        values, vectors = np.linalg.eigh(rows.T.astype(np.float64) @ rows.astype(np.float64))
        strength, directions = np.sqrt(np.maximum(values[::-1], 0)), vectors[:, ::-1].T
    else:
        _, strength, directions = np.linalg.svd(rows.astype(np.float64), full_matrices=False)
    kept = directions[strength > columns.TINY + RANK * strength.max(initial=0.0)][:share]
    kept = kept * np.sign(kept[np.arange(len(kept)), np.abs(kept).argmax(axis=1)])[:, None]
    missing = share - len(kept)
    if missing:
        drawn = np.random.default_rng(SEED).standard_normal((missing, size))
        drawn -= drawn @ kept.T @ kept
        orthonormal = np.linalg.qr(drawn.T)[0].T
        kept = np.vstack([kept, orthonormal * np.sqrt((size - len(kept)) / missing)])
    return kept.astype(np.float32)


def restore(arrays: Mapping[str, Any], preset: Preset) -> Standard:
    """The fusion whose `arrays` these are; raises as `standardise.restore` does."""
    standardiser = standardise.restore(arrays, preset)
    bases = {}
    for modality in layout(preset):
        basis = np.array(arrays[f"basis_{modality}"], np.float32)
        size = sum(part.size for part in preset.of(modality))
        if basis.shape != (min(SHARES[modality], size), size) or not np.isfinite(basis).all():
            raise ValueError(f"a basis of {modality} of another shape")
        bases[modality] = basis
    return Standard(standardiser, int(np.asarray(arrays["clips"])), channel.restore(arrays, preset), bases)
