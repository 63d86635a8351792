from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from clipsim import tables
from clipsim.audit import audit
from clipsim.backup import DATABASE, MANIFEST, backup, read_manifest, restore
from clipsim.errors import BackupInvalid, FileMissing, FolderNotWritable, LibraryError, LibraryLocked
from clipsim.index import Index
from clipsim.jobs import Jobs
from clipsim.library import Library
from clipsim.model import HOME, Clip, Lyrics
from clipsim.owner import Owner
from clipsim.retrieval import search
from tests.libraries import TINY, features, fill, settings, train


def contents(library: Library) -> dict[str, list]:
    with library.read() as connection:
        return {
            name: sorted(connection.execute(sa.select(table)).all(), key=repr)
            for name, table in tables.metadata.tables.items()
            if name != "meta"
        }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict, list]:
    """A library's folder, a backup of it, what is in it, and an answer it gave."""
    folder = tmp_path_factory.mktemp("library")
    library = Library.open(settings(folder), TINY)
    fill(library, 12)
    library.add(Clip("sung", "Süng", artist="É"), features(50), "guild", lyrics=Lyrics("words", "en"))
    Jobs(library).accept("link", reply={"channel": 1})
    library.save_clustering({"labels": {"0": "x"}})
    index = Index(settings(folder), library.id)
    fusion_id, fusion = train(library, index)
    answer = search(library, index, fusion_id, fusion, library.get("sung"))
    index.close()
    file = folder / "copy.zip"
    manifest = backup(library, file)
    held = contents(library)
    library.close()
    assert (manifest.clips, manifest.preset, manifest.encoders) == (13, "tiny", ["eye", "ear", "pen"])
    assert read_manifest(file) == manifest
    assert sorted(path.name for path in folder.iterdir() if "sqlite" not in path.name) == ["copy.zip", "index"]
    return folder, file, held, answer


def test_a_backup_comes_back_whole(made, tmp_path: Path) -> None:
    folder, file, held, answer = made
    restore(file, tmp_path)
    library = Library.open(settings(tmp_path), TINY)
    assert contents(library) == held
    index = Index(settings(tmp_path), library.id)
    report = audit(library, index, TINY)
    assert report.unmendable == []
    saved = library.active_fusion("standard")
    assert saved is not None
    from clipsim import fusion

    fitted = fusion.load(library.fusion_data(saved.id), TINY)
    assert search(library, index, saved.id, fitted, library.get("sung")) == answer
    original = sqlite3.connect(folder / "library.sqlite")
    ((old,),) = original.execute("SELECT value FROM meta WHERE key = 'library'").fetchall()
    original.close()
    assert library.id != json.loads(old)  # two libraries now: they may share a Chroma server
    index.close()
    library.close()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix not in (".lock",)) == [
        "index",
        "library.sqlite",
    ]


def test_a_library_with_clips_is_replaced_only_when_told(made, tmp_path: Path) -> None:
    _, file, held, _ = made
    library = Library.open(settings(tmp_path), TINY)
    restore(file, tmp_path / "empty")
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "old").write_text("")
    fill(library, 2)
    before = contents(library)
    library.close()
    with pytest.raises(LibraryError, match=r"library of 2 clips already.*--replace"):
        restore(file, tmp_path)
    library = Library.open(settings(tmp_path), TINY)
    assert contents(library) == before
    library.close()
    restore(file, tmp_path, replace=True)
    library = Library.open(settings(tmp_path), TINY)
    assert contents(library) == held and not (tmp_path / "index").exists()
    library.close()


def test_an_owned_folder_is_left_alone(made, tmp_path: Path) -> None:
    with Owner.acquire(tmp_path, "clipsim-bot"), pytest.raises(LibraryLocked, match="clipsim-bot"):
        restore(made[1], tmp_path)
    assert not (tmp_path / "library.sqlite").exists()


def test_a_backup_is_consistent_while_others_write(tmp_path: Path) -> None:
    library = Library.open(settings(tmp_path), TINY)
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            library.add(Clip(f"c{n}", f"T{n}"), features(n), "guild")
            n += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(3):
            file = tmp_path / f"{turn}.zip"
            manifest = backup(library, file)
            restore(file, tmp_path / f"restored{turn}")
            copy = Library.open(settings(tmp_path / f"restored{turn}"), TINY)
            held = contents(copy)
            clips = {row.id for row in held["clips"]}
            assert manifest.clips == len(clips) == len(held["findings"]) == len(held["memberships"])
            assert len(held["features"]) == 3 * len(clips)
            copy.close()
    finally:
        stop.set()
        writer.join()
        library.close()


def test_any_database_can_be_backed_up_and_restored(made, tmp_path: Path) -> None:
    """Through SQLAlchemy, row by row, as for a database that is no file of ours."""
    _, file, held, _ = made
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    restore(file, tmp_path / "data", database=url)
    assert not (tmp_path / "data" / "library.sqlite").exists()
    library = Library.open(settings(tmp_path / "data", database=url), TINY)
    assert contents(library) == held
    with pytest.raises(LibraryError, match="already"):
        restore(file, tmp_path / "data", database=url)
    library.close()


# Hostile and damaged files


def forged(target: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def manifest_of(file: Path, database: bytes, **changes: object) -> bytes:
    told = {
        **asdict(read_manifest(file)),
        "bytes": len(database),
        "sha256": hashlib.sha256(database).hexdigest(),
        **changes,
    }
    return json.dumps(told).encode()


def database_with(made_file: Path, tmp_path: Path, statement: str) -> bytes:
    with zipfile.ZipFile(made_file) as archive:
        (tmp_path / "db").write_bytes(archive.read(DATABASE))
    connection = sqlite3.connect(tmp_path / "db")
    connection.executescript(statement)
    connection.close()
    return (tmp_path / "db").read_bytes()


ZEROS = b"\x00" * 4096
FORGERIES: dict[str, Callable[[Path, Path], dict[str, bytes]]] = {
    "nothing in it": lambda file, tmp: {},
    "no manifest": lambda file, tmp: {DATABASE: ZEROS},
    "a third member": lambda file, tmp: {MANIFEST: manifest_of(file, ZEROS), DATABASE: ZEROS, "x": b""},
    "a way out of the folder": lambda file, tmp: {MANIFEST: manifest_of(file, ZEROS), "../library.sqlite": ZEROS},
    "no JSON": lambda file, tmp: {MANIFEST: b"\xff{", DATABASE: ZEROS},
    "deep JSON": lambda file, tmp: {MANIFEST: b"[" * 60_000, DATABASE: ZEROS},
    "a list": lambda file, tmp: {MANIFEST: b"[]", DATABASE: ZEROS},
    "a field too many": lambda file, tmp: {MANIFEST: manifest_of(file, ZEROS, extra=1), DATABASE: ZEROS},
    "a huge manifest": lambda file, tmp: {MANIFEST: b" " * 10_000_000, DATABASE: ZEROS},
    "a newer format": lambda file, tmp: {MANIFEST: manifest_of(file, ZEROS, format=99), DATABASE: ZEROS},
    "another size": lambda file, tmp: {MANIFEST: manifest_of(file, ZEROS, bytes=5), DATABASE: ZEROS},
    "a size that is none": lambda file, tmp: {MANIFEST: manifest_of(file, ZEROS, bytes="4096"), DATABASE: ZEROS},
    "another digest": lambda file, tmp: {MANIFEST: manifest_of(file, ZEROS, sha256="0" * 64), DATABASE: ZEROS},
    "no database": lambda file, tmp: {MANIFEST: manifest_of(file, ZEROS), DATABASE: ZEROS},
    "an empty database": lambda file, tmp: {MANIFEST: manifest_of(file, b""), DATABASE: b""},
}
SABOTAGE = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON clips BEGIN DELETE FROM clips; END;",
    "a view": "CREATE VIEW v AS SELECT * FROM clips;",
    "a table more": "CREATE TABLE other (x);",
    "a table less": "DROP TABLE clips;",
    "rows that belong to nothing": "PRAGMA foreign_keys=OFF; DELETE FROM clips WHERE id = 'sung';",
    "no revision": "DELETE FROM alembic_version;",
    "a newer schema": "UPDATE alembic_version SET version_num = '9999';",
}


@pytest.mark.parametrize("kind", [*FORGERIES, *SABOTAGE])
def test_a_file_that_is_no_backup_leaves_nothing_behind(made, tmp_path: Path, kind: str) -> None:
    if kind in FORGERIES:
        members = FORGERIES[kind](made[1], tmp_path)
    else:
        database = database_with(made[1], tmp_path, SABOTAGE[kind])
        members = {MANIFEST: manifest_of(made[1], database), DATABASE: database}
    file = forged(tmp_path / "forged.zip", members)
    folder = tmp_path / "library"
    with pytest.raises(LibraryError) as caught:
        restore(file, folder)
    assert isinstance(caught.value, BackupInvalid) or "newer" in str(caught.value)
    assert "\n" not in str(caught.value)
    left = [path.name for path in folder.iterdir()] if folder.exists() else []
    assert left in ([], ["owner.lock"]) and not (tmp_path / "library.sqlite").exists()


def test_a_bomb_is_refused_before_it_fills_the_disk(made, tmp_path: Path) -> None:
    """A member that says it has 4 KiB and unpacks to 64 MiB."""
    file = forged(tmp_path / "bomb.zip", {MANIFEST: manifest_of(made[1], ZEROS), DATABASE: b"\x00" * (64 << 20)})
    data = bytearray(file.read_bytes())
    real, told = (64 << 20).to_bytes(4, "little"), (4096).to_bytes(4, "little")
    file.write_bytes(data.replace(real, told))
    with pytest.raises(BackupInvalid):
        restore(file, tmp_path / "library")
    huge = 1 << 60
    forged(file, {MANIFEST: manifest_of(made[1], ZEROS, bytes=huge), DATABASE: ZEROS})
    with pytest.raises(BackupInvalid):
        restore(file, tmp_path / "library")


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_a_damaged_backup_is_refused(made, tmp_path: Path, where: float) -> None:
    data = bytearray(made[1].read_bytes())
    spot = int(where * len(data))
    data[spot : spot + 64] = bytes(64)
    file = tmp_path / "damaged.zip"
    file.write_bytes(data)
    with pytest.raises(BackupInvalid):
        restore(file, tmp_path / "library")
    file.write_bytes(made[1].read_bytes()[: len(data) // 2])
    with pytest.raises(BackupInvalid):
        restore(file, tmp_path / "library")


def test_files_that_are_not_there_or_cannot_be_written(made, tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        restore(tmp_path / "none.zip", tmp_path / "library")
    with pytest.raises(FileMissing):
        restore(tmp_path, tmp_path / "library")
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(BackupInvalid):
        restore(tmp_path / "text.zip", tmp_path / "library")
    library = Library.open(settings(made[0]), TINY)
    with pytest.raises((FolderNotWritable, LibraryError)):
        backup(library, tmp_path / "text.zip" / "below.zip")
    with pytest.raises(LibraryError):
        backup(library, tmp_path / "no" / "such" / "folder.zip")
    library.close()


def test_restored_clips_are_found(made, tmp_path: Path) -> None:
    restore(made[1], tmp_path)
    library = Library.open(settings(tmp_path), TINY)
    assert library.find("sung").id == "sung" and library.count(HOME) == 13
    np.testing.assert_array_equal(library.features(["sung"])["sung"].vectors["ear"], features(50).vectors["ear"])
    library.close()
