from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from clipsim import migrations, tables
from clipsim.encoders import PRESETS
from clipsim.errors import (
    DiskFull,
    EncoderError,
    FolderNotWritable,
    LibraryCorrupt,
    LibraryError,
    LibraryMismatch,
    NothingToHear,
    NotTrained,
    UnknownClip,
)
from clipsim.library import Library
from clipsim.model import HOME, Clip, Features, Label, Lyrics
from tests.libraries import OTHER, TINY, features, fill, settings


@pytest.fixture
def library(tmp_path: Path):
    opened = Library.open(settings(tmp_path), TINY)
    yield opened
    opened.close()


# Tables and migrations


def test_the_migrations_make_the_tables(library: Library) -> None:
    with library.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []
        names = set(sa.inspect(connection).get_table_names())
    assert names == {*tables.metadata.tables, "alembic_version"}


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [tables.HEAD]


def test_migrations_can_be_taken_back(tmp_path: Path) -> None:
    from alembic import command

    from clipsim.database import connect

    engine = connect(f"sqlite:///{tmp_path / 'a.sqlite'}")
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        command.downgrade(config, "base")
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_opening_again_needs_no_alembic(tmp_path: Path) -> None:
    Library.open(settings(tmp_path), PRESETS["standard"]).close()
    code = (
        "import sys; from clipsim.library import Library; from clipsim.settings import load; "
        "from clipsim.encoders import PRESETS; from pathlib import Path; "
        f"Library.open(load(data=Path({str(tmp_path)!r})), PRESETS['standard']).close(); "
        "slow = {'alembic', 'chromadb', 'torch', 'librosa', 'sklearn', 'rapidfuzz'}; "
        "sys.exit(', '.join(slow & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_sqlite_is_set_up_for_use(library: Library) -> None:
    with library.read() as connection:
        told = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert told == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 10_000}


def test_a_newer_library_is_refused(tmp_path: Path) -> None:
    Library.open(settings(tmp_path), TINY).close()
    with sqlite3.connect(tmp_path / "library.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(LibraryMismatch, match="newer clipsim"):
        Library.open(settings(tmp_path), TINY)


# Adding


def test_a_clip_comes_back_as_it_was(library: Library) -> None:
    clip = Clip(
        "abcdefghijk",
        "Tïtle “q”",
        artist="A",
        album="B",
        genre="g",
        keywords=("k", "l"),
        categories=("Music",),
        channel="C",
        url="https://youtu.be/abcdefghijk",
        path="/x.mp3",
        thumbnail="t",
        duration=12.5,
        language="pt-BR",
        words=("sea", "sky"),
        added=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        notes=("No video.",),
    )
    found = replace(
        features(1, ("audio", "lyrics")),
        tempo=99.5,
        tags=(Label("rock", 0.5), Label("pop", 0.25)),
        classes=(Label("dancing", 0.75),),
        fingerprint=np.array([1, 2**32 - 1], np.uint32),
        notes=("The video is black.",),
    )
    lyrics = Lyrics("la la", "pt-BR", "sidecar")
    stored = library.add(clip, found, "guild", "me", lyrics=lyrics)
    expected = replace(
        clip,
        modalities=("audio", "lyrics"),
        tempo=99.5,
        tags=found.tags,
        classes=found.classes,
        notes=("No video.", "The video is black."),
    )
    assert stored == expected == library.get(clip.id) == library.get(clip.id, "guild")
    (record,) = library.records()
    assert record.clip == expected and record.communities == ("guild",)
    assert set(record.features.vectors) == {"ear", "pen"}
    for name, vector in found.vectors.items():
        assert record.features.vectors[name].dtype == np.float32
        np.testing.assert_array_equal(record.features.vectors[name], vector)
    np.testing.assert_array_equal(library.fingerprints([clip.id])[clip.id], found.fingerprint)
    assert library.lyrics(clip.id) == lyrics


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0])
def test_a_bad_vector_never_enters(library: Library, bad: float) -> None:
    good = features(1)
    vector = good.vectors["ear"].copy()
    vector[:] = vector if bad else 0.0
    vector[3] = bad
    with pytest.raises(EncoderError):
        library.add(Clip("a", "A"), Features({**good.vectors, "ear": vector}))
    assert library.count() == 0 and library.records() == []
    fill(library, 1)
    fusion_id = library.save_fusion("raw", b"x", clips=1, size=20)
    with pytest.raises(EncoderError):
        library.save_embeddings(fusion_id, {"clip-0000": vector})
    with pytest.raises(EncoderError):
        library.add(Clip("a", "A"), good, embeddings={fusion_id: vector})
    assert not library.has("a") and library.embeddings(fusion_id)[0] == []


def test_vectors_of_other_sizes_and_encoders_are_refused(library: Library) -> None:
    with pytest.raises(EncoderError, match="shape"):
        library.add(Clip("a", "A"), Features({"ear": np.ones(19, np.float32)}))
    with pytest.raises(EncoderError, match="quill"):
        library.add(Clip("a", "A"), Features({"quill": np.ones(8, np.float32)}))
    with pytest.raises(NothingToHear):
        library.add(Clip("a", "A"), Features({}, fingerprint=np.ones(4, np.uint32)))
    assert library.count() == 0


def test_adding_again_replaces_and_keeps_the_date(library: Library) -> None:
    first = library.add(Clip("a", "Old"), features(1), "one")
    second = library.add(Clip("a", "New", added=datetime(2030, 1, 1, tzinfo=UTC)), features(2, ("audio",)), "two")
    assert (second.title, second.added, second.modalities) == ("New", first.added, ("audio",))
    assert library.communities_of("a") == ("one", "two") and library.count() == 1


def test_hostile_text_is_stored_as_text(library: Library) -> None:
    title = "'); DROP TABLE clips; --\x00 \ud800 " + "x" * 5000
    stored = library.add(Clip("a", title, keywords=("k" * 5000,) * 500), features(1))
    assert stored.title.startswith("'); DROP TABLE clips; --") and len(stored.title) == 2000
    assert "\x00" not in stored.title and len(stored.keywords) == 100
    assert library.get("a") == stored


# Communities


def test_communities_see_their_own_clips_and_home_sees_all(library: Library) -> None:
    library.add(Clip("a", "A"), features(1), "one")
    library.add(Clip("b", "B"), features(2), "two")
    library.add(Clip("c", "C"), features(3))
    assert [clip.id for clip in library.clips("one")] == ["a"] == library.ids("one")
    assert [clip.id for clip in library.clips()] == ["c", "b", "a"]
    assert [clip.id for clip in library.clips(limit=2)] == ["c", "b"]
    assert (library.count(HOME), library.count("two"), library.count("none")) == (3, 1, 0)
    assert library.communities() == ["one", "two"]
    with pytest.raises(UnknownClip):
        library.get("b", "one")
    assert library.join("b", "one", "me") is True and library.join("b", "one") is False
    assert library.get("b", "one").id == "b"
    with pytest.raises(UnknownClip):
        library.join("nope", "one")


def test_forgetting(library: Library) -> None:
    library.add(Clip("a", "A"), features(1), "one")
    library.join("a", "two")
    assert library.remove("a", "one") is False
    assert library.has("a", "two") and not library.has("a", "one")
    with pytest.raises(UnknownClip):
        library.remove("a", "one")
    assert library.remove("a", "two") is True and library.count() == 0
    library.add(Clip("b", "B"), features(2))
    library.join("b", "one")
    assert library.remove("b", "one") is False and library.has("b")
    assert library.remove("b") is True
    with library.read() as connection:
        counts = {
            name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()
            for name, table in tables.metadata.tables.items()
        }
    assert {name for name, count in counts.items() if count} == {"meta"}
    with pytest.raises(UnknownClip):
        library.remove("b")


# Finding by name


@pytest.fixture
def named(library: Library) -> Library:
    for clip in (
        Clip("dQw4w9WgXcQ", "Never Gonna Give You Up (Official Video)", artist="Rick Astley"),
        Clip("local-1", "Feathered Indians", artist="Tyler Childers", path="/music/feathered.ogg"),
        Clip("local-2", "Indians", artist="Anthrax"),
        Clip("local-3", "Año Nuevo", artist="Café Tacvba"),
    ):
        library.add(clip, features(len(clip.title)), "guild" if clip.id == "local-3" else HOME)
    return library


@pytest.mark.parametrize(
    ("text", "clip_id"),
    [
        ("dQw4w9WgXcQ", "dQw4w9WgXcQ"),
        ("/music/feathered.ogg", "local-1"),
        ("indians", "local-2"),
        ("ANTHRAX - INDIANS", "local-2"),
        ("ano nuevo", "local-3"),
        ("never gona give you", "dQw4w9WgXcQ"),
        ("rick astley", "dQw4w9WgXcQ"),
        ("fethered indian", "local-1"),
    ],
)
def test_a_clip_is_found_by_what_people_type(named: Library, text: str, clip_id: str) -> None:
    assert named.find(text).id == clip_id


@pytest.mark.parametrize("text", ["", "   ", "zzzzqqqq", "\x00", "%", "' OR 1=1 --", "💥" * 10_000, "(" * 100_000])
def test_what_means_nothing_finds_nothing(named: Library, text: str) -> None:
    with pytest.raises(UnknownClip) as caught:
        named.find(text)
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


def test_a_community_finds_its_own_only(named: Library) -> None:
    assert named.search_title("indians", "guild") == []
    with pytest.raises(UnknownClip):
        named.find("never gonna give you up", "guild")
    assert [clip.id for clip in named.search_title("año", "guild")] == ["local-3"]


# Fusions and embeddings


def test_fusions_switch_in_one_step(library: Library) -> None:
    fill(library, 3)
    assert library.active_fusion("standard") is None
    old = library.save_fusion("standard", b"old", clips=3, size=4)
    assert library.active_fusion("standard") is None
    library.activate_fusion(old)
    new = library.save_fusion("standard", b"new", clips=3, size=4)
    raw = library.save_fusion("raw", b"raw", clips=3, size=5)
    library.activate_fusion(raw)
    assert library.active_fusion("standard").id == old
    assert library.activate_fusion(new).active
    with library.read() as connection:
        rows = connection.execute(sa.select(tables.active).order_by(tables.active.c.method)).all()
    assert [tuple(row) for row in rows] == [("raw", raw), ("standard", new)]
    assert library.fusion_data(new) == b"new"
    library.drop_fusion(new)
    assert library.active_fusion("standard") is None
    for call in (library.activate_fusion, library.fusion_data):
        with pytest.raises(NotTrained):
            call(new)


def test_embeddings_by_community_in_order(library: Library) -> None:
    fill(library, 2)
    fill(library, 1, "guild", start=2)
    fusion_id = library.save_fusion("raw", b"", clips=3, size=4)
    rows = {f"clip-{n:04}": np.full(4, n + 1.0, np.float32) for n in (2, 0, 1)}
    library.save_embeddings(fusion_id, rows)
    library.save_embeddings(fusion_id, {"clip-0001": np.full(4, 9.0, np.float32)})
    ids, matrix = library.embeddings(fusion_id)
    assert ids == ["clip-0000", "clip-0001", "clip-0002"]
    assert matrix.dtype == np.float32 and matrix[:, 0].tolist() == [1.0, 9.0, 3.0]
    ids, matrix = library.embeddings(fusion_id, "guild")
    assert (ids, matrix.tolist()) == (["clip-0002"], [[3.0] * 4])
    ids, matrix = library.embeddings(fusion_id, "nobody")
    assert ids == [] and matrix.shape == (0, 4)
    assert set(library.vectors(fusion_id, ["clip-0000", "none"])) == {"clip-0000"}
    with pytest.raises(EncoderError):
        library.save_embeddings(fusion_id, {"clip-0000": np.ones(5, np.float32)})
    with pytest.raises(NotTrained):
        library.save_embeddings("none", {"clip-0000": np.ones(4, np.float32)})


def test_clusterings_are_kept_by_community_and_kind(library: Library) -> None:
    assert library.clustering() is None
    library.save_clustering({"labels": {"0": "slow jazz"}})
    library.save_clustering({"k": 9}, "guild", "9")
    library.save_clustering({"k": 10}, "guild", "9")
    assert library.clustering() == {"labels": {"0": "slow jazz"}}
    assert library.clustering("guild", "9") == {"k": 10} and library.clustering("guild") is None


# Other encoders


def test_other_encoders_are_refused_with_the_way_out(tmp_path: Path) -> None:
    with Library.open(settings(tmp_path), TINY).engine.connect():
        pass
    Library.open(settings(tmp_path), OTHER).close()  # nothing is in it yet
    library = Library.open(settings(tmp_path), TINY)
    fill(library, 1)
    library.close()
    with pytest.raises(LibraryMismatch) as caught:
        Library.open(settings(tmp_path), OTHER)
    for told in ("eye, ear, pen", "tiny", "ear, quill", "other", "clipsim reencode"):
        assert told in str(caught.value)


def test_reencoding_can_be_interrupted_and_finished(tmp_path: Path) -> None:
    library = Library.open(settings(tmp_path), TINY)
    fill(library, 2)
    library.activate_fusion(library.save_fusion("raw", b"", clips=2, size=4))
    library.close()

    library = Library.open(settings(tmp_path), OTHER, reencode=True)
    library.save_features("clip-0000", features(1, ("audio", "lyrics"), OTHER), words=("new",))
    library.close()
    library = Library.open(settings(tmp_path), TINY)  # half-way: the old one still works
    assert [sorted(record.features.vectors) for record in library.records()] == [["ear", "eye", "pen"]] * 2
    library.close()

    library = Library.open(settings(tmp_path), OTHER, reencode=True)
    for n in range(2):
        library.save_features(f"clip-{n:04}", features(n, ("audio", "lyrics"), OTHER))
    library.finish_reencode()
    library.close()
    library = Library.open(settings(tmp_path), OTHER)
    assert [sorted(record.features.vectors) for record in library.records()] == [["ear", "quill"]] * 2
    assert library.fusions() == [] and library.get("clip-0000").words == ("new",)
    library.close()
    with pytest.raises(LibraryMismatch):
        Library.open(settings(tmp_path), TINY)


# What goes wrong


def test_a_full_disk_keeps_nothing_of_the_clip(library: Library) -> None:
    fill(library, 1)
    with library.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    @sa.event.listens_for(library.engine, "begin")
    def full(connection: sa.Connection) -> None:  # what SQLite says on ENOSPC, made by its own limit
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    with pytest.raises(DiskFull):
        library.add(Clip("big", "Big", keywords=("k" * 2000,) * 100), features(2), lyrics=Lyrics("l" * 100_000))
    assert [clip.id for clip in library.clips()] == ["clip-0000"]
    sa.event.remove(library.engine, "begin", full)
    library.engine.dispose()
    assert library.add(Clip("big", "Big"), features(2)).id == "big"


def test_a_full_file_system(tmp_path: Path) -> None:
    """A child process may write so many bytes to a file and no more: the write fails in the system call."""
    code = f"""
import resource, signal
from pathlib import Path
from clipsim.errors import DiskFull, LibraryError
from clipsim.library import Library
from clipsim.model import Clip, Lyrics
from tests.libraries import TINY, features, settings
library = Library.open(settings(Path({str(tmp_path)!r})), TINY)
library.add(Clip("a", "A"), features(1))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
try:
    library.add(Clip("b", "B"), features(2), lyrics=Lyrics("l" * 1_000_000))
except LibraryError as error:
    print(type(error).__name__)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print([clip.id for clip in library.clips()])
library.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n") == ["DiskFull", "['a']", ""], done.stderr
    again = Library.open(settings(tmp_path), TINY)
    assert again.ids() == ["a"]
    again.close()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY


@pytest.mark.parametrize("damage", ["garbage", "cut", "pages"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    library = Library.open(settings(tmp_path), TINY)
    fill(library, 30)
    library.close()
    file = tmp_path / "library.sqlite"
    data = bytearray(file.read_bytes())
    if damage == "garbage":
        data[:100] = b"x" * 100
    elif damage == "cut":
        del data[len(data) // 3 :]
    else:
        data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)
    with pytest.raises(LibraryCorrupt, match="clipsim restore"):
        opened = Library.open(settings(tmp_path), TINY)
        try:
            opened.records()
        finally:
            opened.close()


def test_one_damaged_vector_counts_as_missing(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    fill(library, 2)
    with library.write() as connection:
        table = tables.features
        spot = (table.c.clip_id == "clip-0000") & (table.c.encoder == "ear")
        connection.execute(table.update().where(spot).values(vector=b"\x00" * 80))
    assert sorted(library.records()[0].features.vectors) == ["eye", "pen"]
    assert "clipsim audit" in caplog.text


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FolderNotWritable):
            Library.open(settings(folder), TINY)
    sealed = tmp_path / "sealed"
    sealed.mkdir(mode=0o500)
    if os.access(sealed, os.W_OK):  # root may write anywhere; a file system that cannot be written may not
        sealed = Path("/proc/clipsim")
    with pytest.raises(LibraryError) as caught:
        Library.open(settings(sealed), TINY)
    assert "--data" in str(caught.value)


def test_databases_that_cannot_be_had(tmp_path: Path) -> None:
    for url in ("nonsense", "oracle+nothing://x", "postgresql+psycopg://nobody:x@127.0.0.1:1/none"):
        with pytest.raises(LibraryError) as caught:
            Library.open(settings(tmp_path, database=url), TINY)
        assert "\n" not in str(caught.value)


def test_threads_read_and_write_at_once(library: Library) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(number * 100, number * 100 + 8):
                library.add(Clip(f"clip-{n:04}", f"T{n}"), features(n), f"guild{number}")
                library.clips()
                library.join(f"clip-{n:04}", "all")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and library.count("all") == 48 and library.count("guild3") == 8
