"""The index and a whole query, against exact search in a plain loop over the same vectors.

`python -m benchmarks index` (20,000 clips take a minute); sizes: `python -m benchmarks.bench_index 821 20000`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from clipsim import tables, vectors
from clipsim.encoders import PRESETS
from clipsim.fusion.late import WEIGHTS, layout
from clipsim.index import Index
from clipsim.library import Library
from clipsim.model import HOME, MODALITIES, Clip, Features, Matrix
from clipsim.retrieval import Scan, search
from clipsim.settings import load

PRESET = PRESETS["standard"]
QUERIES = 100
GROUPS = 40  # genres, so to speak
MISSING = {"audio": 0.02, "video": 0.2, "lyrics": 0.35}  # share of the clips without it


def embeddings(count: int) -> Matrix:
    """Late-fusion embeddings as a library has them: groups, a falling spectrum, modalities missing in some."""
    generator = np.random.default_rng(0)
    rows = np.zeros((count, 256), np.float32)
    group = generator.integers(0, GROUPS, count)
    absent = {m: generator.random(count) < MISSING[m] for m in MODALITIES}
    absent["audio"] &= ~(absent["video"] & absent["lyrics"])
    for modality, block in layout(PRESET).items():
        size = block.stop - block.start
        spectrum = np.arange(1, size + 1) ** -0.5
        centres = generator.standard_normal((GROUPS, size)) * spectrum
        part = 0.6 * centres[group] + generator.standard_normal((count, size)) * spectrum
        part *= WEIGHTS[modality] ** 0.5 / np.linalg.norm(part, axis=1, keepdims=True)
        part[absent[modality]] = 0
        rows[:, block] = part
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fill(library: Library, rows: Matrix) -> str:
    """Clips with these embeddings; of their features only that they are there (they are not read by a query)."""
    encoders = {"audio": ("librosa", 257), "video": ("i3d", 400), "lyrics": ("mpnet", 768)}
    sizes = dict(encoders.values())
    stored = {name: vectors.pack(np.ones(size, np.float32)) for name, size in sizes.items()}
    first = library.add(Clip("c00000", "Title 0"), Features({"librosa": np.ones(257, np.float32)}))
    with library.write() as connection:
        clip = dict(connection.execute(tables.clips.select()).mappings().one())
        found = dict(connection.execute(tables.findings.select()).mappings().one())
        connection.execute(tables.clips.delete())
        ids = [f"c{n:05}" for n in range(len(rows))]
        named = [{"id": i, "title": f"Title {n}", "artist": f"Artist {n % 5000}"} for n, i in enumerate(ids)]
        connection.execute(tables.clips.insert(), [{**clip, **one} for one in named])
        connection.execute(tables.findings.insert(), [{**found, "clip_id": clip_id} for clip_id in ids])
        connection.execute(
            tables.features.insert(),
            [
                {"clip_id": i, "encoder": encoder, "size": sizes[encoder], "crc": crc, "vector": data}
                for n, i in enumerate(ids)
                for modality, block in layout(PRESET).items()
                if rows[n, block].any()
                for encoder in [encoders[modality][0]]
                for data, crc in [stored[encoder]]
            ],
        )
    assert first.id == ids[0]
    fusion_id = library.save_fusion("standard", b"", clips=len(rows), size=256)
    library.save_embeddings(fusion_id, dict(zip(ids, rows, strict=True)))
    return fusion_id


def milliseconds(times: list[float]) -> str:
    """Median and 95th percentile."""
    return f"{1000 * np.median(times):6.1f} ms, 95 %: {1000 * np.percentile(times, 95):6.1f} ms"


def measure(count: int, folder: Path) -> None:
    settings = load(data=folder)
    library = Library.open(settings, PRESET)
    rows = embeddings(count)
    fusion_id = fill(library, rows)
    ids, matrix = library.embeddings(fusion_id)
    index = Index(settings, library.id)
    name = index.name(fusion_id, HOME)
    index.ping()
    began = time.perf_counter()
    index.rebuild(name, dict(zip(ids, matrix, strict=True)))
    index.query(name, matrix[0], 1)
    print(f"{count} clips: index built in {time.perf_counter() - began:.1f} s")
    seeds = np.random.default_rng(1).integers(0, count, QUERIES)
    for k in (10, 50):
        naive, asked, recall = [], [], []
        for seed in seeds:
            began = time.perf_counter()
            exact = {ids[n] for n in np.argsort(-(matrix @ matrix[seed]))[:k]}
            naive.append(time.perf_counter() - began)
            began = time.perf_counter()
            got = {clip_id for clip_id, _ in index.query(name, matrix[seed], 50)}
            asked.append(time.perf_counter() - began)
            recall.append(len(exact & got) / k)
        print(f"  best {k} among 50 candidates: recall {np.mean(recall):.4f}; index {milliseconds(asked)}")
    print(f"  naive (all in memory already): {milliseconds(naive)}")
    fusion = SimpleNamespace(method="standard", blocks=layout(PRESET), modal=lambda features: {})
    for by in ("all", "audio", "lyrics"):
        times, scans, same = [], [], []
        for seed in library.get_many([ids[n] for n in seeds]).values():
            if by != "all" and by not in seed.modalities:
                continue
            answers = []
            for nearest, spent in ((index, times), (Scan(library), scans)):
                began = time.perf_counter()
                found = search(library, nearest, fusion_id, fusion, seed, k=5, by=by)
                spent.append(time.perf_counter() - began)
                answers.append([one.clip.id for one in found])
            same.append(answers[0] == answers[1])
        told = f"{milliseconds(times)}; by exact scan {milliseconds(scans)}; same answer {np.mean(same):.2f}"
        print(f"  query by {by}: {told}")
    index.close()
    library.close()


if __name__ == "__main__":
    for size in [int(text) for text in sys.argv[1:]] or [821, 20_000]:
        with tempfile.TemporaryDirectory() as scratch:
            measure(size, Path(scratch))
