"""Fusion: the features of a clip in, one unit-length embedding out. Five methods on the same standardised inputs.

`raw` (the columns side by side), `pca` (256 components), `paper` (the deck's autoencoder), `standard` (late fusion),
`joint` (late fusion, then learnt from the halves of clips).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from clipsim.encoders import Preset
from clipsim.errors import LibraryCorrupt
from clipsim.model import Features, Matrix, Method, Modality, Vector

FORMAT = 1  # of the bytes that `dump` writes
TrainProgress = Callable[[int, int, float], None]  # epochs done, epochs in all, loss; see clipsim.fusion.training


class Fusion(Protocol):
    """A method that was fitted on a library's clips."""

    method: Method
    size: int  # of an embedding
    clips: int  # it was fitted on
    blocks: dict[Modality, slice] | None  # where each modality lies in an embedding; None where they are mixed

    def embed(self, features: Sequence[Features]) -> Matrix:
        """Embeddings: float32, shape (clips, size), unit rows. Raises LibraryMismatch, LibraryCorrupt."""
        ...

    def modal(self, features: Features) -> dict[Modality, Vector]:
        """The unit-length standardised vector of each modality that the clip has. Raises as `embed`."""
        ...


def fit(
    method: Method, features: Sequence[Features], preset: Preset, *, progress: TrainProgress | None = None
) -> Fusion:
    """Fit a method on a library's features. Deterministic; `paper` (minutes) and `joint` tell `progress`.

    Raises:
        LibraryMismatch: features of other encoders than the preset's.
        LibraryCorrupt: features that are not finite.
    """
    if method == "paper":
        from clipsim.fusion import autoencoder

        return autoencoder.fit(features, preset, progress=progress)
    if method == "joint":
        from clipsim.fusion import joint

        return joint.fit(features, preset, progress=progress)
    from clipsim.fusion import late, pca, raw

    simple = {"raw": raw.fit, "pca": pca.fit, "standard": late.fit}
    return simple[method](features, preset)


def dump(fusion: Fusion) -> bytes:
    """A fusion as bytes: a NumPy archive of plain arrays; of `paper`, a torch file of plain tensors."""
    from clipsim.fusion.base import Fitted

    if not isinstance(fusion, Fitted):
        raise TypeError(f"not a fusion that `fit` made: {type(fusion).__name__}")
    if fusion.method == "paper":
        return fusion.dump()  # type: ignore[attr-defined,no-any-return]
    target = io.BytesIO()
    np.savez(target, allow_pickle=False, **{"format": np.array(FORMAT), **fusion.arrays()})
    return target.getvalue()


def load(data: bytes, preset: Preset) -> Fusion:
    """What `dump` wrote. Nothing is unpickled: bytes from a stranger can be refused but not run.

    Raises:
        LibraryCorrupt: the bytes are not what `dump` writes.
        LibraryMismatch: the fusion was fitted on other encoders than the preset's.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            torch_file = any(name.endswith("data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, EOFError, OSError, ValueError):
        raise LibraryCorrupt("The fusion's file cannot be read.", hint="Run: clipsim train") from None
    if torch_file:
        from clipsim.fusion import autoencoder

        return autoencoder.restore(data, preset)
    from clipsim.fusion import joint, late, pca, raw

    simple = {"raw": raw.restore, "pca": pca.restore, "standard": late.restore, "joint": joint.restore}
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if int(arrays["format"]) != FORMAT:
            raise ValueError("another format")
        return simple[str(arrays["method"])](arrays, preset)
    except (KeyError, ValueError, TypeError, OverflowError, EOFError, OSError, zipfile.BadZipFile):
        raise LibraryCorrupt("The fusion's file cannot be read.", hint="Run: clipsim train") from None
