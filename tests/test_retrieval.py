from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clipsim.errors import InvalidSetting, MissingModality, NotTrained
from clipsim.fusion import late
from clipsim.index import Index
from clipsim.library import Library
from clipsim.model import HOME, MODALITIES, Clip, Features, Label, Modality
from clipsim.retrieval import Found, Scan, search
from tests.libraries import TINY, features, fill, settings, train

SETS: list[tuple[Modality, ...]] = [
    ("audio", "video", "lyrics"),
    ("audio", "video"),
    ("audio", "lyrics"),
    ("video", "lyrics"),
    ("audio",),
    ("video",),
    ("lyrics",),
]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[tuple[Library, Index]]:
    library = Library.open(settings(tmp_path), TINY)
    index = Index(settings(tmp_path), library.id)
    yield library, index
    index.close()
    library.close()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, Index, dict]]:
    """400 clips of every set of modalities, in groups that are close; all four methods trained, on real Chroma."""
    folder = tmp_path_factory.mktemp("mixed")
    library = Library.open(settings(folder), TINY)
    index = Index(settings(folder), library.id)
    for n in range(400):
        found = features(n, SETS[n % 7 if n % 3 else 0], near=10_000 + n % 25)
        library.add(Clip(f"m{n:03}", f"Title {n}", artist=f"Artist {n}"), found, "guild" if n % 5 == 0 else HOME)
    fitted = {method: train(library, index, method) for method in ("standard", "raw", "pca")}
    yield library, index, fitted
    index.close()
    library.close()


def naive(library: Library, fusion_id: str, fusion, seed: Clip, by: str, weights: dict[Modality, float]) -> list:
    """Every clip compared in a plain loop, as the definition says."""
    ids, matrix = library.embeddings(fusion_id)
    rows = {clip_id: row.astype(float) for clip_id, row in zip(ids, matrix, strict=True)}
    mine = rows[seed.id]
    scored = []
    for clip_id, theirs in rows.items():
        total = weight = 0.0
        for modality, block in fusion.blocks.items():
            a, b = np.linalg.norm(mine[block]), np.linalg.norm(theirs[block])
            if a > 1e-6 and b > 1e-6 and by in ("all", modality):
                total += weights.get(modality, 1.0) * a * a * (mine[block] @ theirs[block]) / (a * b)
                weight += weights.get(modality, 1.0) * a * a
        if weight and clip_id != seed.id:
            scored.append((clip_id, total / weight))
    return sorted(scored, key=lambda one: (-one[1], one[0]))


@pytest.mark.parametrize("by", ["all", "audio", "video", "lyrics"])
@pytest.mark.parametrize("weights", [None, {"audio": 2.0, "lyrics": 0.25}])
def test_late_fusion_returns_what_a_plain_loop_does(mixed, by: str, weights) -> None:
    library, index, fitted = mixed
    fusion_id, fusion = fitted["standard"]
    for seed in library.get_many([f"m{n:03}" for n in range(0, 400, 19)]).values():
        if by != "all" and by not in seed.modalities:
            with pytest.raises(MissingModality, match=by):
                search(library, index, fusion_id, fusion, seed, by=by, weights=weights)
            continue
        found = search(library, index, fusion_id, fusion, seed, k=7, by=by, weights=weights)
        expected = naive(library, fusion_id, fusion, seed, by, weights or {})[:7]
        assert [one.clip.id for one in found] == [clip_id for clip_id, _ in expected]
        assert [one.similarity for one in found] == pytest.approx([score for _, score in expected], abs=1e-9)


def test_the_whole_similarity_is_the_weighted_mean_of_its_parts(mixed) -> None:
    library, index, fitted = mixed
    fusion_id, fusion = fitted["standard"]
    seed = library.get("m000")
    for one in search(library, index, fusion_id, fusion, seed, k=20):
        assert set(one.by) == set(one.clip.modalities) & set(seed.modalities)
        weights = late.WEIGHTS
        mean = sum(weights[m] * one.by[m] for m in one.by) / sum(weights[m] for m in one.by)
        assert one.similarity == pytest.approx(mean, abs=1e-5)


def test_raw_is_the_cosine_over_the_columns_that_both_clips_have(mixed) -> None:
    library, index, fitted = mixed
    fusion_id, fusion = fitted["raw"]
    ids, matrix = library.embeddings(fusion_id)
    rows = dict(zip(ids, matrix.astype(np.float64), strict=True))
    seed = library.get("m021")
    cosines = {}
    for clip in library.get_many(ids).values():
        shared = set(clip.modalities) & set(seed.modalities)
        columns = [n for m in shared for n in range(fusion.blocks[m].start, fusion.blocks[m].stop)]
        if shared and clip.id != seed.id:
            mine, theirs = rows[seed.id][columns], rows[clip.id][columns]
            cosines[clip.id] = mine @ theirs / (np.linalg.norm(mine) * np.linalg.norm(theirs))
    expected = sorted(cosines, key=lambda clip_id: (-cosines[clip_id], clip_id))[:6]
    found = search(library, index, fusion_id, fusion, seed, k=6)
    assert [one.clip.id for one in found] == expected
    assert [one.similarity for one in found] == pytest.approx([cosines[i] for i in expected], abs=1e-9)


def test_a_method_that_mixes_is_cosine_and_still_tells_by_what(mixed) -> None:
    library, index, fitted = mixed
    fusion_id, fusion = fitted["pca"]
    ids, matrix = library.embeddings(fusion_id)
    rows = matrix.astype(np.float64)
    seed = library.get("m021")
    cosines = rows @ rows[ids.index(seed.id)]
    expected = [ids[n] for n in np.argsort(-cosines, kind="stable") if ids[n] != seed.id]
    sharing = [i for i in expected if set(library.get(i).modalities) & set(seed.modalities)]
    found = search(library, index, fusion_id, fusion, seed, k=6)
    assert [one.clip.id for one in found] == sharing[:6]
    for one in found:
        assert set(one.by) == set(one.clip.modalities) & set(seed.modalities)
        assert all(-1 <= cosine <= 1 for cosine in one.by.values())


@pytest.mark.parametrize("method", ["raw", "pca"])
@pytest.mark.parametrize("by", MODALITIES)
def test_any_method_compares_by_one_modality(mixed, method: str, by: Modality) -> None:
    """By one modality alone a method that mixes them, and the one that does not, mean the same."""
    library, index, fitted = mixed
    fusion_id, fusion = fitted[method]
    seed = library.get("m003")
    mine = fusion.modal(library.features([seed.id])[seed.id])[by]
    scores = {}
    for record in library.records():
        modal = fusion.modal(record.features)
        if by in modal and record.clip.id != seed.id:
            scores[record.clip.id] = float(mine.astype(float) @ modal[by])
    expected = sorted(scores, key=lambda clip_id: -scores[clip_id])[:5]
    found = search(library, index, fusion_id, fusion, seed, k=5, by=by)
    assert [one.clip.id for one in found] == expected
    assert [one.by[by] for one in found] == pytest.approx([one.similarity for one in found], abs=1e-6)


def test_a_scan_needs_no_index(mixed) -> None:
    library, index, fitted = mixed
    fusion_id, fusion = fitted["standard"]
    seed = library.get("m010")
    for community in (HOME, "guild"):
        through = [
            [
                (one.clip.id, one.similarity)
                for one in search(library, nearest, fusion_id, fusion, seed, community=community)
            ]
            for nearest in (index, Scan(library))
        ]
        assert through[0] == through[1] and len(through[0]) == 5


def test_a_community_gets_its_own_clips(mixed) -> None:
    library, index, fitted = mixed
    fusion_id, fusion = fitted["standard"]
    own = set(library.ids("guild"))
    found = search(library, index, fusion_id, fusion, library.get("m001"), k=500, community="guild", per_artist=0)
    assert {one.clip.id for one in found} <= own and len(found) > 40


def test_answers_are_ordered_and_the_same_each_time(mixed) -> None:
    library, index, fitted = mixed
    fusion_id, fusion = fitted["standard"]
    seed = library.get("m005")
    first, second = (search(library, index, fusion_id, fusion, seed, k=30) for _ in range(2))
    assert first == second
    assert all(one.similarity >= other.similarity for one, other in pairwise(first))
    assert search(library, index, fusion_id, fusion, seed, k=0) == []


def test_weights_that_cannot_be_used(mixed) -> None:
    library, index, fitted = mixed
    fusion_id, fusion = fitted["standard"]
    for weights in ({"audio": -1.0}, {"audio": float("nan")}, dict.fromkeys(MODALITIES, 0.0)):
        with pytest.raises(InvalidSetting):
            search(library, index, fusion_id, fusion, library.get("m000"), weights=weights)
    lyrics_only = next(clip for clip in library.clips() if clip.modalities == ("lyrics",))
    with pytest.raises(MissingModality):
        search(library, index, fusion_id, fusion, lyrics_only, weights={"lyrics": 0.0})


# What is dropped


def listed(shelf: tuple[Library, Index], seed: str, **options: object) -> list[str]:
    library, index = shelf
    fusion_id, fusion = train(library, index)
    found: list[Found] = search(library, index, fusion_id, fusion, library.get(seed), **{"k": 50, **options})
    return [one.clip.id for one in found]


def test_the_seed_and_its_uploads_are_dropped(shelf) -> None:
    library, _ = shelf
    fill(library, 5)
    for clip_id, title, artist in (
        ("seed", "Hello", "Adele"),
        ("again", "Hello (Official Video) [HD]", "AdeleVEVO"),
        ("live", "Hello (Live at the NRJ Awards)", "Adele"),
        ("remaster", "Hello - 2015 Remaster", "Adele"),
        ("cover", "Hello (Cover)", "Someone"),
        ("namesake", "Hello", "Lionel Richie"),
    ):
        library.add(Clip(clip_id, title, artist=artist), features(len(clip_id), near=77))
    assert set(listed(shelf, "seed")) == {"cover", "namesake", *(f"clip-{n:04}" for n in range(5))}


def test_one_song_is_listed_once(shelf) -> None:
    library, _ = shelf
    library.add(Clip("seed", "Seed", artist="S"), features(1))
    library.add(Clip("better", "Song (Official Video)", artist="B"), features(2, near=1))
    library.add(Clip("worse", "Song [Lyrics]", artist="B"), features(3))
    assert listed(shelf, "seed", per_artist=0) == ["better"]


def test_a_recording_is_known_by_its_sound_and_length(shelf) -> None:
    library, _ = shelf
    sound = np.random.default_rng(0).integers(1, 2**32, 900, dtype=np.uint32)
    other = np.random.default_rng(1).integers(1, 2**32, 900, dtype=np.uint32)

    def add(clip_id: str, duration: float | None, fingerprint: np.ndarray | None) -> None:
        found: Features = replace(features(len(clip_id), near=5), fingerprint=fingerprint)
        library.add(Clip(clip_id, f"Title {clip_id}", duration=duration), found)

    add("seed", 120.0, sound)
    add("stolen", 121.5, sound)
    add("much-longer", 180.0, sound)
    add("other-song", 120.0, other)
    add("no-duration", None, sound)
    add("unheard-as-long", 120.0, None)
    assert set(listed(shelf, "seed")) == {"much-longer", "other-song", "no-duration", "unheard-as-long"}


def test_an_artist_does_not_crowd_the_list(shelf) -> None:
    library, _ = shelf
    library.add(Clip("seed", "Seed", artist="Star"), features(0, near=9))
    for n in range(120):  # nearer than anyone else, and more than are fetched at first
        library.add(Clip(f"star-{n}", f"Song {n}", artist="Star feat. X" if n % 2 else "STAR"), features(n + 1, near=9))
    for n in range(6):
        library.add(Clip(f"other-{n}", f"Song {n}", artist=f"Other {n}"), features(n + 500))
    found = listed(shelf, "seed", k=5)
    assert len(found) == 5 and sum(clip_id.startswith("star") for clip_id in found) == 2
    assert [clip_id[:4] for clip_id in listed(shelf, "seed", k=5, per_artist=0)] == ["star"] * 5
    assert sum(clip_id.startswith("star") for clip_id in listed(shelf, "seed", per_artist=1)) == 1


def test_unknown_artists_are_not_limited(shelf) -> None:
    library, _ = shelf
    for n in range(8):
        library.add(Clip(f"c{n}", f"Title {n}"), features(n))
    assert len(listed(shelf, "c0", per_artist=1)) == 7


def test_a_library_of_one_has_nothing_alike(shelf) -> None:
    library, _ = shelf
    fill(library, 1)
    assert listed(shelf, "clip-0000") == []


def test_clips_without_a_common_modality_are_not_compared(shelf) -> None:
    library, _ = shelf
    library.add(Clip("seen", "A"), features(1, ("video",)))
    library.add(Clip("heard", "B"), features(2, ("audio",)))
    library.add(Clip("both", "C"), features(3, ("audio", "video")))
    assert listed(shelf, "seen") == ["both"]


def test_a_seed_without_a_place_says_so(shelf) -> None:
    library, index = shelf
    fill(library, 3)
    fusion_id, fusion = train(library, index)
    late = library.add(Clip("late", "Late\ncomer"), features(9))
    with pytest.raises(NotTrained, match="no place among the others yet"):
        search(library, index, fusion_id, fusion, late)


def test_what_the_index_alone_still_has_is_not_listed(shelf) -> None:
    library, index = shelf
    fill(library, 6)
    fusion_id, fusion = train(library, index)
    library.remove("clip-0003")
    assert index.count(index.name(fusion_id, HOME)) == 6
    found = search(library, index, fusion_id, fusion, library.get("clip-0000"), k=10)
    assert {one.clip.id for one in found} == {"clip-0001", "clip-0002", "clip-0004", "clip-0005"}


def test_every_result_says_why(shelf) -> None:
    library, index = shelf
    for n in range(4):
        found = replace(features(n, ("audio", "lyrics")), tags=(Label("rock", 0.6),), tempo=120.0 + n)
        library.add(Clip(f"c{n}", f"T{n}", words=("sea",)), found)
    fusion_id, fusion = train(library, index)
    for one in search(library, index, fusion_id, fusion, library.get("c0")):
        assert one.why.startswith("Both ") and "rock" in one.why and "sea" in one.why
