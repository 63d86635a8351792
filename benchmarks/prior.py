"""Write `clipsim/fusion/prior.npz`, what was measured of each encoder's columns over the real songs and lyrics.

    python -m benchmarks.prior

Mean and deviation: a library of few clips leans on them (`clipsim.fusion.standardise`). What copies of a recording
differ in: late fusion compensates for it (`clipsim.fusion.channel`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.songs import HEARD, matrix, songs, words
from clipsim.encoders import LIBROSA, MUSICNN, Part
from clipsim.fusion.channel import RANK
from clipsim.fusion.columns import layers
from clipsim.fusion.standardise import LIMIT, PRIOR
from clipsim.model import Features

HALVES = 1.0  # what the halves of a song count for beside the copies


def main() -> None:
    arrays = {}
    heard = songs()
    for name in (*HEARD, "mpnet"):
        clips = heard.features if name in HEARD else words().features
        wide = matrix(clips, name).astype(np.float64)
        arrays[f"{name}_mean"] = wide.mean(axis=0).astype(np.float32)
        scale = wide.std(axis=0)  # some filters of musicnn never answer
        arrays[f"{name}_scale"] = np.where(scale > 0, scale, 1.0).astype(np.float32)
        print(f"{name}: {wide.shape[1]} columns over {wide.shape[0]} clips")
    for part in (LIBROSA, MUSICNN):
        scale = arrays[f"{part.encoder}_scale"]
        arrays[f"{part.encoder}_channel"] = channel(heard.features, heard.copies, part, scale)
    np.savez_compressed(PRIOR, allow_pickle=False, **arrays)
    print(f"{PRIOR}: {PRIOR.stat().st_size} bytes")


def channel(
    originals: Sequence[Features], copies: Mapping[str, Sequence[Features]], part: Part, scale: np.ndarray
) -> np.ndarray:
    """D, float16 (RANK, columns) in deviations: DᵀD is the covariance of what copies and halves differ in, by layer.

    The mean over the kinds of copies of the covariance of copy less original, and `HALVES` times that of a half less
    the whole.
    """
    original = matrix(originals, part.encoder).astype(np.float64)
    differences = [(matrix(copied, part.encoder) - original) / scale for copied in copies.values()]
    halves = [clip.segments.get(part.encoder) for clip in originals]
    apart = np.array([both[0] - both[1] for both in halves if both is not None], np.float64) / scale / 2
    found = np.zeros((RANK, part.size), np.float16)
    for layer in layers(part):
        covariance = HALVES * np.cov(apart[:, layer].T, bias=True)
        for each in differences:
            seen = np.clip(each[:, layer], -LIMIT, LIMIT)
            covariance += seen.T @ seen / len(seen) / len(differences)
        variances, directions = np.linalg.eigh(covariance)
        kept = slice(-min(RANK, len(variances)), None)
        found[: len(variances[kept]), layer] = np.sqrt(np.maximum(variances[kept], 0))[:, None] * directions[:, kept].T
    return found


if __name__ == "__main__":
    main()
