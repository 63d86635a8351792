"""Made-up features: groups of clips that share what their modalities say, with what is missing left out."""

from __future__ import annotations

import numpy as np

from clipsim.encoders import Part, Preset
from clipsim.model import Features

SMALL = Preset(
    "small-test",
    (
        Part("eye", "video", 30, "none:none"),
        Part("ear", "audio", 40, "none:none"),
        Part("ear2", "audio", 10, "none:none"),
        Part("word", "lyrics", 300, "none:none"),
    ),
)


def make(
    count: int, preset: Preset = SMALL, *, groups: int = 4, seed: int = 0, missing: float = 0.0
) -> tuple[list[Features], np.ndarray]:
    """Features of `count` clips in groups, and the group of each; every encoder has units of its own."""
    world, chance, parts = (np.random.default_rng(each) for each in (99, seed, [seed, 1]))
    centres = {p.encoder: world.standard_normal((groups, p.size)) for p in preset.parts}
    units = {p.encoder: (10 ** world.uniform(-3, 3, p.size), world.uniform(-50, 50, p.size)) for p in preset.parts}
    belongs = np.arange(count) % groups
    clips = []
    for group in belongs:
        vectors, segments = {}, {}
        for part in preset.parts:
            scale, offset = units[part.encoder]
            value = centres[part.encoder][group] + chance.standard_normal(part.size)
            vectors[part.encoder] = ((value + offset) * scale).astype(np.float32)
            halves = value + parts.standard_normal((2, part.size))
            segments[part.encoder] = ((halves + offset) * scale).astype(np.float32)
        for part in preset.parts[:1] + preset.parts[-1:]:
            if chance.random() < missing:
                del vectors[part.encoder], segments[part.encoder]
        clips.append(Features(vectors, segments))
    return clips, belongs


def precision(embeddings: np.ndarray, groups: np.ndarray, k: int = 5) -> float:
    """Share of the k nearest others (cosine) that are of the same group."""
    similar = embeddings @ embeddings.T
    np.fill_diagonal(similar, -np.inf)
    return float((groups[np.argsort(-similar, axis=1)[:, :k]] == groups[:, None]).mean())
