"""Backups: the whole library in one file, taken while it is in use, and put back.

A backup is a zip of two members: `manifest.json` (what it is, and the SHA-256 of the other) and `library.sqlite` (a
consistent copy of every table, whatever database the library is in). The index is not in it: it is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from clipsim import __version__, tables
from clipsim.database import Database, connect, revision, typed_errors, upgrade
from clipsim.errors import BackupInvalid, DiskFull, FileMissing, LibraryError
from clipsim.index import FOLDER
from clipsim.library import Library
from clipsim.owner import Owner

MANIFEST, DATABASE = "manifest.json", "library.sqlite"
FORMAT = 1
LONGEST_MANIFEST = 64 * 1024  # bytes
PIECE = 1 << 20  # bytes copied at once
ROWS = 500  # rows copied at once
REPLACE = "To replace it, say so: clipsim restore --replace FILE"
SPARE = 64 << 20  # bytes of disk that a restore leaves free


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    format: int
    clipsim: str  # the version that wrote it
    schema: str  # its tables' revision
    created: str  # ISO 8601, UTC
    preset: str
    encoders: list[str]
    clips: int
    bytes: int  # of the database
    sha256: str  # of the database


def backup(library: Library, file: Path) -> Manifest:
    """Write the library into `file` (replacing it in one step when all is written), while it stays in use.

    Raises:
        DiskFull, FolderNotWritable: nothing is left behind.
    """
    with (
        typed_errors(file.parent),
        tempfile.TemporaryDirectory(prefix=".clipsim-", dir=file.absolute().parent) as scratch,
    ):
        copy = Path(scratch) / DATABASE
        _copy_out(library, copy)
        with closing(sqlite3.connect(copy)) as connection:
            clips = connection.execute("SELECT count(*) FROM clips").fetchone()[0]
        manifest = Manifest(
            format=FORMAT,
            clipsim=__version__,
            schema=tables.HEAD,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            preset=str(library.meta("preset")),
            encoders=[name for name, _ in library.meta("encoders")],
            clips=clips,
            bytes=copy.stat().st_size,
            sha256=_digest(copy),
        )
        draft = Path(scratch) / "backup.zip"
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:  # vectors barely compress
            archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
            archive.write(copy, DATABASE)
        with draft.open("rb+") as written:
            os.fsync(written.fileno())
        draft.replace(file)
    return manifest


def read_manifest(file: Path) -> Manifest:
    """What a backup says of itself.

    Raises:
        FileMissing; BackupInvalid: it is no backup, or of a newer clipsim.
    """
    with _opened(file) as archive:
        return _manifest(archive)


def restore(file: Path, folder: Path, *, replace: bool = False, database: str | None = None) -> Manifest:
    """Put a backup where the library of `folder` is. All or nothing; the index there is removed, to be made anew.

    `database` is the library's SQLAlchemy address where it is not SQLite in the folder. With `replace` a library that
    is there and has clips is overwritten.

    Raises:
        FileMissing; BackupInvalid: it is no backup, is damaged, or was made to do harm.
        LibraryError: there are clips already. LibraryLocked: another process owns the folder. DiskFull.
    """
    with _opened(file) as archive, typed_errors(folder), Owner.acquire(folder, "clipsim restore"):
        manifest = _manifest(archive)
        target = folder / DATABASE
        url = database or f"sqlite:///{target}"
        if not replace and (held := _clips(url, None if database else target)):
            raise LibraryError(
                f"There is a library of {held} clips already.",
                hint="To replace it, say so: clipsim restore --replace FILE",
            )
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=folder) as scratch:
            fresh = Path(scratch) / DATABASE
            _extract(archive, manifest, fresh)
            _inspect(fresh, manifest)
            _migrate(fresh)
            if database:
                _copy_in(fresh, database)
            else:
                for rest in ("-wal", "-shm"):  # of the old one: SQLite would replay them into the new one
                    target.with_name(target.name + rest).unlink(missing_ok=True)
                fresh.replace(target)
        if (folder / FOLDER).exists():
            shutil.rmtree(folder / FOLDER)
    return manifest


# Reading what may be hostile


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    if not file.is_file():
        raise FileMissing(f"There is no such file: {file}.")
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise BackupInvalid(f"That is not a backup that clipsim made ({error}).") from None
    except PermissionError:
        raise FileMissing(f"The file cannot be read: {file}.") from None


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    # Only these two names, and none is ever used as a path: no member can lead out of the folder.
    if sorted(archive.namelist()) != sorted((MANIFEST, DATABASE)):
        raise BackupInvalid()
    if archive.getinfo(MANIFEST).file_size > LONGEST_MANIFEST:
        raise BackupInvalid()
    with archive.open(MANIFEST) as member:
        text = member.read(LONGEST_MANIFEST + 1)
    try:
        told: dict[str, Any] = json.loads(text)
        if told["format"] != FORMAT:
            raise BackupInvalid("That backup is of a newer clipsim.", hint="Upgrade clipsim, then try again.")
        manifest = Manifest(**told)
        sized = isinstance(manifest.bytes, int) and 0 < manifest.bytes == archive.getinfo(DATABASE).file_size
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BackupInvalid() from None
    if not sized:
        raise BackupInvalid()
    return manifest


def _extract(archive: zipfile.ZipFile, manifest: Manifest, target: Path) -> None:
    if manifest.bytes + SPARE > shutil.disk_usage(target.parent).free:
        raise DiskFull()
    digest = hashlib.sha256()
    left = manifest.bytes  # a member that unpacks to more than it says is cut off here
    with archive.open(DATABASE) as member, target.open("wb") as written:
        while piece := _read(member):
            left -= len(piece)
            if left < 0:
                raise BackupInvalid()
            digest.update(piece)
            written.write(piece)
    if left or digest.hexdigest() != manifest.sha256:
        raise BackupInvalid("That backup is damaged: its SHA-256 differs.")


def _read(member: IO[bytes]) -> bytes:
    try:
        return member.read(PIECE)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise BackupInvalid(f"That backup is damaged ({error}).") from None
    except Exception as error:  # zlib.error has no other base
        raise BackupInvalid(f"That backup is damaged ({error}).") from None


def _inspect(file: Path, manifest: Manifest) -> None:
    """A database of our tables and nothing else: no trigger or view that would run on our statements."""
    known = {*tables.metadata.tables, "alembic_version"}
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            whole = connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
            parts = connection.execute("SELECT type, tbl_name FROM sqlite_master").fetchall()
            orphans = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        raise BackupInvalid(f"That backup is damaged ({error}).") from None
    foreign = [kind for kind, table in parts if kind not in ("table", "index") or table not in known]
    if not whole or foreign or orphans or not any(table == "clips" for _, table in parts):
        raise BackupInvalid()


def _migrate(file: Path) -> None:
    engine = connect(f"sqlite:///{file}")
    try:
        with engine.connect() as connection:
            if revision(connection) is None:
                raise BackupInvalid()
        upgrade(engine)
        with engine.connect().execution_options(write=True) as connection, connection.begin():
            # Another library from now on: on a shared Chroma server the old one may live on under its own id.
            new = tables.meta.update().where(tables.meta.c.key == "library").values(value=secrets.token_hex(4))
            connection.execute(new)
    finally:
        engine.dispose()
    _one_file(file)


def _clips(url: str, file: Path | None) -> int:
    """How many clips the library that would be overwritten has."""
    if file is not None and not file.exists():
        return 0
    engine = connect(url)
    try:
        with engine.connect() as connection:
            if revision(connection) is None:
                return 0
            return int(connection.execute(sa.select(sa.func.count()).select_from(tables.clips)).scalar_one())
    except sa.exc.DBAPIError:
        raise LibraryError("There is a library already, which cannot be read.", hint=REPLACE) from None
    finally:
        engine.dispose()


# Copying


def _copy_out(library: Library, target: Path) -> None:
    """A consistent copy in SQLite, without holding up whoever writes."""
    if library.engine.dialect.name == "sqlite":
        with library.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            with closing(sqlite3.connect(target)) as copy:
                driver.backup(copy)
        _one_file(target)
        return
    engine = connect(f"sqlite:///{target}")
    try:
        upgrade(engine)
        with library.read() as source, Database(engine, target.parent).write() as sink:
            _copy_rows(source, sink)
    finally:
        engine.dispose()
    _one_file(target)


def _copy_in(file: Path, url: str) -> None:
    source, target = connect(f"sqlite:///{file}"), connect(url)
    try:
        upgrade(target)
        with source.connect() as read, Database(target, file.parent).write() as write:
            for table in reversed(tables.metadata.sorted_tables):
                write.execute(table.delete())
            _copy_rows(read, write)
            if write.dialect.name == "postgresql":  # its counter knows nothing of rows that came with their ids
                latest = "(SELECT coalesce(max(id), 0) + 1 FROM jobs)"
                write.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('jobs', 'id'), {latest}, false)")
    finally:
        source.dispose()
        target.dispose()


def _copy_rows(source: sa.Connection, sink: sa.Connection) -> None:
    for table in tables.metadata.sorted_tables:
        found = source.execution_options(yield_per=ROWS).execute(sa.select(table))
        for part in found.partitions():
            sink.execute(table.insert(), [dict(row._mapping) for row in part])


def _one_file(file: Path) -> None:
    """Fold the write-ahead log in, so that the file is all there is."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _digest(file: Path) -> str:
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()
