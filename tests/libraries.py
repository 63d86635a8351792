"""Small libraries for tests: real tables, real Chroma, real fusions, vectors drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clipsim import fusion
from clipsim.encoders import Part, Preset
from clipsim.index import Index
from clipsim.library import Library
from clipsim.model import HOME, Clip, Features, Label, Method, Modality
from clipsim.settings import Settings, load

TINY = Preset(
    "tiny",
    (
        Part("eye", "video", 12, "nowhere:load"),
        Part("ear", "audio", 20, "nowhere:load"),
        Part("pen", "lyrics", 16, "nowhere:load"),
    ),
)
OTHER = Preset("other", (Part("ear", "audio", 20, "nowhere:load"), Part("quill", "lyrics", 8, "nowhere:load")))
ENCODER: dict[Modality, str] = {"video": "eye", "audio": "ear", "lyrics": "pen"}


def settings(folder: Path, **more: object) -> Settings:
    return load(data=folder, **more)


def features(
    seed: int,
    modalities: Sequence[Modality] = ("audio", "video", "lyrics"),
    preset: Preset = TINY,
    near: int | None = None,
) -> Features:
    """Random vectors of one clip; with `near`, close to those of the clip with that seed."""
    generator = np.random.default_rng(seed)
    base = np.random.default_rng(near) if near is not None else None
    vectors = {}
    for part in preset.parts:
        drawn = generator.standard_normal(part.size).astype(np.float32)
        if base is not None:
            drawn = (base.standard_normal(part.size) + 0.05 * drawn).astype(np.float32)
        if part.modality in modalities:
            vectors[part.encoder] = drawn
    return Features(vectors, tempo=100.0 + seed, tags=(Label("rock", 0.5),))


def fill(library: Library, count: int, community: str = HOME, start: int = 0) -> list[Clip]:
    return [
        library.add(Clip(f"clip-{n:04}", f"Title {n}", artist=f"Artist {n}"), features(n), community)
        for n in range(start, start + count)
    ]


def train(library: Library, index: Index, method: Method = "standard") -> tuple[str, fusion.Fusion]:
    """Fit, embed, index and switch, as the façade does."""
    records = library.records()
    fitted = fusion.fit(method, [record.features for record in records], library.preset)
    fusion_id = library.save_fusion(method, fusion.dump(fitted), clips=fitted.clips, size=fitted.size)
    rows = fitted.embed([record.features for record in records])
    library.save_embeddings(fusion_id, {record.clip.id: row for record, row in zip(records, rows, strict=True)})
    for community in (HOME, *library.communities()):
        ids, matrix = library.embeddings(fusion_id, community)
        index.rebuild(index.name(fusion_id, community), dict(zip(ids, matrix, strict=True)))
    library.activate_fusion(fusion_id)
    return fusion_id, fitted
