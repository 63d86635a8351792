from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from clipsim import tables
from clipsim.audit import AuditReport, audit
from clipsim.index import HNSW, Index
from clipsim.library import Library
from clipsim.model import HOME, Clip
from clipsim.retrieval import search
from tests.libraries import TINY, features, fill, settings, train


class Shelf:
    """A library of 40 clips, eight of which a guild sees, trained and indexed."""

    def __init__(self, folder: Path) -> None:
        self.library = Library.open(settings(folder), TINY)
        self.index = Index(settings(folder), self.library.id)
        fill(self.library, 32)
        fill(self.library, 8, "guild", start=32)
        self.fusion_id, self.fusion = train(self.library, self.index)
        self.home = self.index.name(self.fusion_id, HOME)
        self.guild = self.index.name(self.fusion_id, "guild")

    def audit(self) -> AuditReport:
        return audit(self.library, self.index, TINY)

    def mended(self) -> dict[str, int]:
        """What one audit mends; a second one must find nothing, and every clip its neighbours."""
        report = self.audit()
        assert report.unmendable == [], str(report)
        again = self.audit()
        assert again.found == [] and str(again) == "Library and index agree."
        for clip in self.library.clips():
            assert len(search(self.library, self.index, self.fusion_id, self.fusion, clip)) == 5
        return {difference.what: difference.count for difference in report.mended}

    def change(self, *statements: object) -> None:
        with self.library.write() as connection:
            for statement in statements:
                connection.execute(statement)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    yield made
    made.index.close()
    made.library.close()


def test_a_sound_library_is_left_alone(shelf: Shelf) -> None:
    before = shelf.library.embeddings(shelf.fusion_id)[1]
    assert shelf.mended() == {}
    np.testing.assert_array_equal(shelf.library.embeddings(shelf.fusion_id)[1], before)


def test_clips_missing_in_the_index(shelf: Shelf) -> None:
    shelf.index.delete(shelf.home, ["clip-0001", "clip-0033"])
    shelf.index.delete(shelf.guild, ["clip-0033"])
    assert shelf.mended() == {"clip missing in the index": 3}


def test_clips_that_only_the_index_has(shelf: Shelf) -> None:
    shelf.index.upsert(shelf.guild, {"clip-0000": np.ones(shelf.fusion.size, np.float32)})  # another community's!
    shelf.library.remove("clip-0005")
    assert shelf.mended() == {"clip in the index that is not in the library": 2}
    assert "clip-0000" not in shelf.index.vectors(shelf.guild)


def test_embeddings_that_differ(shelf: Shelf) -> None:
    rows = shelf.index.vectors(shelf.home)
    shelf.index.upsert(shelf.home, {"clip-0001": rows["clip-0002"]})
    assert shelf.mended() == {"embedding in the index that is not the library's": 1}
    np.testing.assert_allclose(shelf.index.vectors(shelf.home)["clip-0001"], rows["clip-0001"], atol=1e-6)


def test_a_collection_of_another_size(shelf: Shelf) -> None:
    rows = {clip_id: np.ones(7, np.float32) for clip_id in shelf.library.ids()}
    shelf.index.rebuild(shelf.home, rows)
    assert shelf.mended() == {"embedding in the index that is not the library's": 40}


def test_a_missing_collection(shelf: Shelf) -> None:
    shelf.index.drop(shelf.guild)
    assert shelf.mended() == {"collection missing or of other settings, made anew": 1}


def test_a_collection_of_other_settings(shelf: Shelf) -> None:
    shelf.index.drop(shelf.home)
    configuration = {"hnsw": {**HNSW, "space": "l2"}}
    shelf.index._client.create_collection(shelf.home, embedding_function=None, configuration=configuration)
    assert shelf.mended() == {"collection missing or of other settings, made anew": 1}


def test_collections_that_nothing_needs(shelf: Shelf) -> None:
    rows = shelf.index.vectors(shelf.home)
    shelf.index.rebuild(shelf.index.name("standard-19990101000000-00000000", HOME), rows)
    shelf.index.rebuild(f"{shelf.home}.draft", rows)
    shelf.index.rebuild(shelf.index.name(shelf.fusion_id, "a community that left"), rows)
    assert shelf.mended() == {"collection that nothing needs, dropped": 3}
    assert shelf.index.names() == sorted([shelf.home, shelf.guild])


def test_a_clip_that_no_query_reaches(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is there and no query returns it, as after many deletes (chroma #7758): not to be caused at will."""
    real = Index.query_many
    rebuilt: list[str] = []

    def blind(self: Index, name: str, matrix: np.ndarray, k: int):
        answers = real(self, name, matrix, k)
        return answers if rebuilt else [[one for one in answer if one[0] != "clip-0007"] for answer in answers]

    def rebuild(self: Index, name: str, vectors: dict, real=Index.rebuild) -> None:
        real(self, name, vectors)
        rebuilt.append(name)

    monkeypatch.setattr(Index, "query_many", blind)
    monkeypatch.setattr(Index, "rebuild", rebuild)
    assert shelf.mended() == {"clip that did not find itself": 1}
    assert rebuilt == [shelf.home]


def test_clips_with_the_same_embedding_find_themselves(shelf: Shelf) -> None:
    twin = shelf.library.features(["clip-0000"])["clip-0000"]
    row = shelf.library.vectors(shelf.fusion_id, ["clip-0000"])["clip-0000"]
    for n in range(30):
        shelf.library.add(Clip(f"twin-{n}", f"Twin {n}"), twin, embeddings={shelf.fusion_id: row})
        shelf.index.upsert(shelf.home, {f"twin-{n}": row})
    assert shelf.audit().found == []


def test_embeddings_missing_in_the_library(shelf: Shelf) -> None:
    before = shelf.library.vectors(shelf.fusion_id, ["clip-0003"])["clip-0003"]
    table = tables.embeddings
    shelf.change(table.delete().where(table.c.clip_id == "clip-0003"))
    shelf.library.add(Clip("late", "Late"), features(99))
    assert shelf.mended() == {"missing embedding (standard)": 2, "clip missing in the index": 1}
    after = shelf.library.vectors(shelf.fusion_id, ["clip-0003"])["clip-0003"]
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_damaged_embeddings(shelf: Shelf) -> None:
    table = tables.embeddings
    shelf.change(
        table.update().where(table.c.clip_id == "clip-0003").values(vector=b"\x01" * 1024),
        table.update().where(table.c.clip_id == "clip-0004").values(vector=b""),
    )
    assert shelf.mended() == {"damaged embedding (standard)": 2}


def test_rows_that_belong_to_nothing(shelf: Shelf, tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "library.sqlite")  # foreign keys are off here
    columns = "(community, clip_id, added_by, added_at)"
    raw.execute(f"INSERT INTO memberships {columns} VALUES ('guild', 'gone', NULL, '2026-01-01')")
    raw.execute("DELETE FROM clips WHERE id = 'clip-0002'")
    raw.commit()
    raw.close()
    mended = shelf.mended()
    assert mended["row of memberships that belonged to nothing"] == 1
    assert mended["row of features that belonged to nothing"] == 3
    assert mended["row of embeddings that belonged to nothing"] == 1
    assert mended["row of findings that belonged to nothing"] == 1
    assert mended["clip in the index that is not in the library"] == 1


def test_fusions_that_answer_nothing(shelf: Shelf) -> None:
    old = shelf.library.save_fusion("standard", b"given up", clips=1, size=4)
    shelf.change(tables.fusions.update().where(tables.fusions.c.id == old).values(created=sa.literal("2020-01-01")))
    shelf.library.save_fusion("standard", b"being made", clips=1, size=4)
    assert shelf.mended() == {"fusion that answers nothing, dropped": 1}
    assert len(shelf.library.fusions()) == 2


def test_a_damaged_vector_cannot_be_mended_but_is_told(shelf: Shelf) -> None:
    table = tables.features
    spot = (table.c.clip_id == "clip-0003") & (table.c.encoder == "ear")
    shelf.change(table.update().where(spot).values(vector=b"\x01" * 80))
    report = shelf.audit()
    assert [(one.count, one.clips) for one in report.unmendable] == [(1, ("clip-0003",))]
    assert "clipsim reencode" in str(report)
    clip = shelf.library.get("clip-0003")
    assert clip.modalities == ("video", "lyrics") and "damaged" in clip.notes[-1]
    assert shelf.audit().found == []  # it is told once; the note stays


def test_a_clip_without_any_vector_is_told(shelf: Shelf) -> None:
    shelf.change(tables.features.delete().where(tables.features.c.clip_id == "clip-0003"))
    (told,) = shelf.audit().unmendable
    assert told.clips == ("clip-0003",) and "without any vector" in told.what


def test_a_fusion_that_cannot_be_read_is_dropped(shelf: Shelf) -> None:
    shelf.change(tables.fusions.update().values(data=b"PK nonsense"))
    (told,) = shelf.audit().unmendable
    assert "clipsim train" in told.what
    assert shelf.library.fusions() == [] and shelf.index.names() == []


@pytest.mark.parametrize("damage", ["sqlite", "segments"])
def test_an_index_that_cannot_be_read_is_made_anew(tmp_path: Path, damage: str) -> None:
    made = Shelf(tmp_path)
    made.index.close()
    folder = tmp_path / "index"
    if damage == "sqlite":
        (folder / "chroma.sqlite3").write_bytes(b"nonsense" * 4096)
    else:
        raw = sqlite3.connect(folder / "chroma.sqlite3")
        raw.execute("DROP TABLE embeddings_queue")
        raw.commit()
        raw.close()
    made.index = Index(settings(tmp_path), made.library.id)
    assert made.mended() == {"index that could not be read, made anew": 1}
    made.index.close()
    made.library.close()


def test_an_index_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    made = Shelf(tmp_path)
    made.index.reset()
    assert not (tmp_path / "index").exists()
    assert made.mended() == {"collection missing or of other settings, made anew": 2}
    made.index.close()
    made.library.close()
