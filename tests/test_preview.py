"""An answer for a clip that the library does not have: the same as once it has it, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from clipsim import tables
from clipsim.engine import Engine
from clipsim.errors import EmptyLibrary, MissingModality, NothingToHear
from clipsim.library import Library
from clipsim.model import HOME, Answer, Clip, Features, Method
from tests.libraries import TINY, features, fill, settings

SETS = [("audio", "video", "lyrics"), ("audio", "lyrics"), ("audio",), ("video", "lyrics")]


def opened(folder: Path, clips: int, **more: object) -> Engine:
    """An engine over clips of several sets of modalities, every fifth in a guild, grouped and trained where due."""
    library = Library.open(settings(folder, **more), TINY)
    for n in range(clips):
        found = features(n, SETS[n % 4], near=10_000 + n % 12)
        clip = Clip(f"c{n:03}", f"Title {n}", artist=f"Artist {n % 40}", duration=100.0 + n, words=("sea",))
        library.add(clip, found, "guild" if n % 5 == 0 else HOME)
    return Engine(settings(folder, **more), TINY, library)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = opened(tmp_path_factory.mktemp("preview"), 150)
    yield made
    made.close()


def rows(engine: Engine) -> dict[str, int]:
    with engine._library.read() as connection:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in tables.metadata.sorted_tables
        }


def told(answer: Answer) -> list[tuple[object, ...]]:
    return [
        (m.rank, m.clip.id, m.similarity, dict(m.by), m.why, m.cluster and (m.cluster.id, m.cluster.label))
        for m in answer.results
    ]


@pytest.mark.parametrize("method", [None, "pca", "raw"])
@pytest.mark.parametrize(
    ("by", "options"),
    [
        ("all", {}),
        ("audio", {}),
        ("lyrics", {}),
        ("all", {"weights": {"audio": 2.0, "lyrics": 0.25}}),
        ("all", {"diversity": 0.4}),
    ],
)
@pytest.mark.parametrize("community", [HOME, "guild"])
def test_it_is_what_the_query_says_once_the_clip_is_there(
    engine: Engine, method: Method | None, by: str, options: dict, community: str
) -> None:
    found = features(999, ("audio", "lyrics"), near=10_003)
    clip = Clip("new", "New song", artist="Artist 3", duration=50.0, words=("sea", "sky"))
    for asked in (None, method):  # what answers is fitted and grouped beforehand, without the clip
        engine.query(engine._library.get("c000", community), 3, "all", asked, community, "known")
    before = rows(engine)
    early = engine.preview(clip, found, 8, by, community, method=method, **options)
    assert rows(engine) == before and not engine._library.has("new")
    try:
        kept = engine._library.add(clip, found, community)
        engine.absorb("new", community)
        late = engine.query(kept, 8, by, method, community, "known", **options)
    finally:
        engine.remove("new")
    assert len(early.results) == 8 and told(early) == told(late)
    assert early.query == replace(kept, added=None) and early.method == late.method and early.weights == late.weights
    assert early.cluster is not None and late.cluster is not None
    assert (early.cluster.id, early.cluster.label) == (late.cluster.id, late.cluster.label)


def test_uploads_of_the_same_song_and_recording_are_left_out(engine: Engine) -> None:
    sound = np.random.default_rng(0).integers(1, 2**32, 900, dtype=np.uint32)
    engine._library.add(Clip("stolen", "Other name", duration=60.0), replace(features(7), fingerprint=sound))
    engine.absorb("stolen")
    try:
        clip = Clip("new", "Title 8 (Official Video)", artist="Artist 8", duration=60.5)
        answer = engine.preview(clip, replace(features(8), fingerprint=sound), 500, "all", HOME)
        listed = {match.clip.id for match in answer.results}
        assert "stolen" not in listed and "c008" not in listed and "c009" in listed
    finally:
        engine.remove("stolen")


def test_what_is_not_encoded_yet_does_not_count(engine: Engine) -> None:
    heard = features(4, ("audio",))
    answer = engine.preview(Clip("new", "New"), heard, 5, "all", HOME)
    assert answer.query.modalities == ("audio",) and all(set(match.by) == {"audio"} for match in answer.results)
    with pytest.raises(MissingModality):
        engine.preview(Clip("new", "New"), heard, 5, "video", HOME)
    with pytest.raises(NothingToHear):
        engine.preview(Clip("new", "New"), Features(), 5, "all", HOME)


def test_there_must_be_something_to_compare_with(tmp_path: Path) -> None:
    engine = opened(tmp_path, 0)
    with pytest.raises(EmptyLibrary):
        engine.preview(Clip("new", "New"), features(1), 5, "all", HOME)
    fill(engine._library, 1)
    for community in ("guild", HOME):
        clip = Clip("clip-0000" if community == HOME else "new", "New")
        with pytest.raises(EmptyLibrary):
            engine.preview(clip, features(1), 5, "all", community)
    engine.close()


def test_in_a_small_library_raw_features_of_what_is_there_answer(tmp_path: Path) -> None:
    engine = opened(tmp_path, 20)
    answer = engine.preview(Clip("new", "New"), features(1, near=10_003), 3, "all", HOME)
    assert answer.method == "raw" and answer.notice and "20 clips" in answer.notice
    assert answer.results[0].clip.id in {"c003", "c015"}  # those that are near the same
    engine.close()


def test_vectors_are_those_of_the_library(engine: Engine) -> None:
    saved = engine.answering().saved
    for community in (HOME, "guild", "nobody"):
        ids, matrix = engine.vectors(community)
        expected = engine._library.embeddings(saved.id, community)
        assert ids == expected[0] and matrix.dtype == np.float32
        np.testing.assert_array_equal(matrix, expected[1])
