"""Write `clipsim/fusion/prior.npz`: mean and deviation of each encoder's columns over the songs and lyrics.

    python -m benchmarks.prior

A library of few clips leans on them; see `clipsim.fusion.standardise`.
"""

from __future__ import annotations

import numpy as np

from benchmarks.songs import songs, words
from clipsim.fusion.standardise import PRIOR


def main() -> None:
    arrays = {}
    for name, vectors in {**songs().vectors, **words().vectors}.items():
        wide = vectors.astype(np.float64)
        arrays[f"{name}_mean"] = wide.mean(axis=0).astype(np.float32)
        arrays[f"{name}_scale"] = wide.std(axis=0).astype(np.float32)
        print(f"{name}: {wide.shape[1]} columns over {wide.shape[0]} clips")
    np.savez_compressed(PRIOR, allow_pickle=False, **arrays)
    print(f"{PRIOR}: {PRIOR.stat().st_size} bytes")


if __name__ == "__main__":
    main()
