"""Features to columns: the preset's encoders side by side, and a mask that says which of them a clip has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from clipsim.encoders import Part, Preset
from clipsim.errors import LibraryCorrupt, LibraryMismatch
from clipsim.model import MODALITIES, Features, Matrix, Modality

TINY = 1e-9  # a row shorter than this has no direction of its own


def stack(features: Sequence[Features], preset: Preset) -> tuple[Matrix, NDArray[np.bool_]]:
    """Concatenate each clip's vectors in the order of the preset's parts.

    Returns:
        values, float32, shape (clips, preset.size): zero where an encoder found nothing, which the mask tells apart;
        present, bool, shape (clips, len(preset.parts)): which encoders' columns are real.

    Raises:
        LibraryMismatch: a vector has another size than its encoder's, or a clip has no vector of this preset.
        LibraryCorrupt: a vector has a NaN or an infinite value.
    """
    values = np.zeros((len(features), preset.size), np.float32)
    present = np.zeros((len(features), len(preset.parts)), np.bool_)
    for index, (part, where) in enumerate(spans(preset)):
        for row, clip in enumerate(features):
            vector = clip.vectors.get(part.encoder)
            if vector is None:
                continue
            if np.shape(vector) != (part.size,):
                raise LibraryMismatch(
                    f"A vector of {part.encoder} has shape {np.shape(vector)}, and not ({part.size},)."
                )
            values[row, where] = vector
            present[row, index] = True
    if not np.isfinite(values).all():
        raise LibraryCorrupt("A clip's features have a value that is not a finite number.")
    if not present.any(axis=1).all():
        raise LibraryMismatch(f"A clip has no features of the encoders {', '.join(preset.encoders)}.")
    return values, present


def spans(preset: Preset) -> Iterator[tuple[Part, slice]]:
    """Each part of the preset and where its columns lie."""
    start = 0
    for part in preset.parts:
        yield part, slice(start, start + part.size)
        start += part.size


def layers(part: Part) -> Iterator[slice]:
    """Where the part's layers lie within its own columns; one slice where it has but one."""
    start = 0
    for size in part.layers or (part.size,):
        yield slice(start, start + size)
        start += size


def blocks(preset: Preset) -> dict[Modality, slice] | None:
    """Where each modality's columns lie; None if a modality's parts are not side by side."""
    found: dict[Modality, slice] = {}
    for part, where in spans(preset):
        before = found.get(part.modality)
        if before is not None and before.stop != where.start:
            return None
        found[part.modality] = where if before is None else slice(before.start, where.stop)
    return {modality: found[modality] for modality in MODALITIES if modality in found}


def widen(present: NDArray[np.bool_], preset: Preset) -> NDArray[np.bool_]:
    """The mask per part, shape (clips, parts), as a mask per column, shape (clips, preset.size)."""
    return np.repeat(present, [part.size for part in preset.parts], axis=1)


def unit(rows: NDArray[np.floating], where: NDArray[np.bool_] | None = None) -> Matrix:
    """Scale each row to unit length, shape kept; rows outside of `where`, shape (clips,), stay zero.

    A row that is exactly the library's mean has no direction. It gets the direction (1, 1, …, 1), so that clips that
    are all alike are alike, and no zero vector ever enters an index.
    """
    wide = rows.astype(np.float64)
    if not wide.shape[1]:
        return rows.astype(np.float32)
    lengths = np.linalg.norm(wide, axis=1)
    flat = lengths < TINY
    wide[flat] = 1.0
    lengths[flat] = np.sqrt(wide.shape[1])
    wide /= lengths[:, None]
    if where is not None:
        wide[~where] = 0.0
    return wide.astype(np.float32)
