"""Made-up libraries of any size: embeddings shaped as late fusion's are, in a real library without real media."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from clipsim import fusion, tables, vectors
from clipsim.encoders import Part, Preset
from clipsim.fusion.late import WEIGHTS, layout
from clipsim.library import Library
from clipsim.model import MODALITIES, Clip, Features, Matrix
from clipsim.settings import load

# Small encoders: what a question reads of a clip's features is which there are. The embeddings are of full size.
SMALL = Preset(
    "small",
    (
        Part("eye", "video", 64, "nowhere:load"),
        Part("ear", "audio", 96, "nowhere:load"),
        Part("pen", "lyrics", 96, "nowhere:load"),
    ),
)
GROUPS = 40  # genres, so to speak
MISSING = {"audio": 0.02, "video": 0.2, "lyrics": 0.35}  # share of the clips without it
ARTISTS = 4  # clips by one artist, on average
PIECE = 50_000  # rows made, and written, at once


def embeddings(count: int, seed: int = 0) -> Matrix:
    """Late-fusion embeddings, float32 (count, 256): groups, a falling spectrum, modalities missing in some clips."""
    generator = np.random.default_rng(seed)
    blocks = layout(SMALL)
    centres = {m: np.random.default_rng(1).standard_normal((GROUPS, b.stop - b.start)) for m, b in blocks.items()}
    rows = np.zeros((count, 256), np.float32)
    for start in range(0, count, PIECE):
        size = min(PIECE, count - start)
        group = generator.integers(0, GROUPS, size)
        absent = {m: generator.random(size) < MISSING[m] for m in MODALITIES}
        absent["audio"] &= ~(absent["video"] & absent["lyrics"])
        for modality, block in blocks.items():
            spectrum = np.arange(1, block.stop - block.start + 1) ** -0.5
            part = 0.6 * centres[modality][group] + generator.standard_normal((size, len(spectrum)))
            part *= spectrum
            part *= WEIGHTS[modality] ** 0.5 / np.linalg.norm(part, axis=1, keepdims=True)
            part[absent[modality]] = 0
            rows[start : start + size, block] = part
        piece = rows[start : start + size]
        piece /= np.linalg.norm(piece, axis=1, keepdims=True)
    return rows


def features(seed: int, preset: Preset = SMALL) -> Features:
    """What encoders might find in a clip."""
    drawn = np.random.default_rng(seed)
    return Features({part.encoder: drawn.standard_normal(part.size).astype(np.float32) for part in preset.parts})


def library(folder: Path, rows: Matrix, communities: Sequence[Sequence[int]] = (), preset: Preset = SMALL) -> list[str]:
    """A library whose clips have these embeddings, `communities[n]` the rows that the community `n` sees; the ids."""
    opened = Library.open(load(data=folder), preset)
    ids = [f"c{n:07}" for n in range(len(rows))]
    stored = {part.encoder: vectors.pack(np.ones(part.size, np.float32)) for part in preset.parts}
    fitted = fusion.fit("standard", [features(n, preset) for n in range(300)], preset)
    fusion_id = opened.save_fusion("standard", fusion.dump(fitted), clips=len(rows), size=256)
    opened.add(Clip("pattern", "Title"), features(0, preset))
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    blocks = layout(preset)
    with opened.write() as connection:
        clip = dict(connection.execute(tables.clips.select()).mappings().one())
        found = dict(connection.execute(tables.findings.select()).mappings().one())
        connection.execute(tables.clips.delete())
        for start in range(0, len(rows), PIECE):
            some = range(start, min(start + PIECE, len(rows)))
            named = [
                {
                    **clip,
                    "id": ids[n],
                    "title": f"Title {n}",
                    "artist": f"Artist {n * 7919 % max(1, len(rows) // ARTISTS)}",
                    "added": begun + timedelta(seconds=n),
                }
                for n in some
            ]
            connection.execute(tables.clips.insert(), named)
            connection.execute(tables.findings.insert(), [{**found, "clip_id": ids[n]} for n in some])
            heard = [
                {"clip_id": ids[n], "encoder": part.encoder, "size": part.size, "crc": crc, "vector": data}
                for part in preset.parts
                for data, crc in [stored[part.encoder]]
                for n in some
                if rows[n, blocks[part.modality]].any()
            ]
            connection.execute(tables.features.insert(), heard)
            packed = [(n, vectors.pack(rows[n])) for n in some]
            embedded = [
                {"fusion_id": fusion_id, "clip_id": ids[n], "crc": crc, "vector": data} for n, (data, crc) in packed
            ]
            connection.execute(tables.embeddings.insert(), embedded)
        seen = [
            {"community": str(number), "clip_id": ids[n], "added_by": None, "added_at": begun}
            for number, members in enumerate(communities)
            for n in members
        ]
        if seen:
            connection.execute(tables.memberships.insert(), seen)
    opened.activate_fusion(fusion_id)
    group = np.random.default_rng(2).integers(1, 11, len(rows)).tolist()  # as if it had been grouped
    for community, members in [("home", range(len(rows))), *((str(n), each) for n, each in enumerate(communities))]:
        assigned = {ids[n]: group[n] for n in members}
        state = {"previous": None, "assigned": assigned, "labels": {str(n): f"group {n}" for n in range(1, 11)}}
        opened.save_clustering(state, community)
    opened.close()
    return ids
