"""How the library's database is opened, read and written, and its errors made ours.

SQLite by default (write-ahead log, foreign keys on); any database SQLAlchemy reaches by URL.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine

from clipsim import changes
from clipsim.changes import Changes, about
from clipsim.errors import (
    ClipSimError,
    DiskFull,
    FolderNotWritable,
    LibraryCorrupt,
    LibraryError,
    LibraryLocked,
    LibraryMismatch,
)
from clipsim.tables import HEAD

BUSY_TIMEOUT = 10_000  # milliseconds that SQLite waits for another connection's write
LITTLE_SPACE = 1 << 20  # bytes; an I/O error with less than this left is taken for a full disk


class Database:
    """An open database. Safe to use from several threads: reads run side by side, writes one after the other."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.changes = Changes()
        self._writing = threading.RLock()
        event.listen(engine, "after_cursor_execute", _told)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection in one read transaction: all its statements see the same state."""
        with typed_errors(self.folder), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, clips: Iterable[str] | None = None, fusion_id: str | None = None) -> Iterator[sa.Connection]:
        """A connection in one write transaction: all of it is stored, or (on any error) nothing.

        `clips` and `fusion_id` narrow what is read again by those who hold clips in memory: see `clipsim.changes`.
        Clips that are known only on the way may be put into a set that is given here.
        """
        written: set[str] = set()
        with (
            self._writing,
            typed_errors(self.folder),
            self.engine.connect().execution_options(write=True, written=written) as connection,
            connection.begin(),
        ):
            yield connection
        if written:
            self.changes.note(written, about(clips, fusion_id))

    def close(self) -> None:
        """Give back every connection. SQLite folds its write-ahead log into the file."""
        self.engine.dispose()


def connect(url: str) -> Engine:
    """An engine for this address. Nothing is read yet.

    Raises:
        LibraryError: the address makes no sense, or its driver is not installed.
    """
    try:
        address = sa.make_url(url)
        options: dict[str, Any] = {"pool_pre_ping": True}
        if address.get_backend_name() == "sqlite":
            options = {"connect_args": {"timeout": BUSY_TIMEOUT / 1000}}
        engine = sa.create_engine(address, **options)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
        raise LibraryError("CLIPSIM_DATABASE is not an address that SQLAlchemy knows.", hint=str(error)) from None
    except ImportError as error:
        raise LibraryError(
            f"The driver of CLIPSIM_DATABASE is not installed ({error.name}).",
            hint="For Postgres: pip install 'clipsim[postgres]'",
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are ours (see _begin_sqlite): DDL is rolled back too
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA trusted_schema=OFF")  # a restored file is somebody else's
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes the write lock at once: upgrading a read transaction could fail after work was done.
    immediate = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _told(connection: sa.Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
    """Keep in mind which tables a transaction of `Database.write` has changed."""
    kept = connection.get_execution_options().get("written")
    if kept is not None and (table := changes.written(context, statement)) is not None:
        kept.add(table)


def revision(connection: sa.Connection) -> str | None:
    """The migration this database is at; None for an empty one. (Alembic's own check costs its import.)"""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(engine: Engine) -> None:
    """Bring the tables to `HEAD`: at once when they are there, else by the packaged migrations, in one transaction.

    Raises:
        LibraryMismatch: the database was written by a newer clipsim.
    """
    with engine.connect() as connection:
        if revision(connection) == HEAD:
            return
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise LibraryMismatch(
                f"This library was written by a newer clipsim ({error}).", hint="Upgrade clipsim, then try again."
            ) from None


@contextmanager
def typed_errors(folder: Path) -> Iterator[None]:
    """Turn what databases and disks raise into the errors of `clipsim.errors`.

    Raises:
        DiskFull, FolderNotWritable, LibraryCorrupt, LibraryLocked, LibraryError.
    """
    try:
        yield
    except ClipSimError:
        raise
    except sa.exc.DBAPIError as error:
        raise _typed(error.orig or error, folder) from error
    except (sqlite3.Error, OSError) as error:
        raise _typed(error, folder) from error


def _typed(error: BaseException, folder: Path) -> LibraryError:
    text = str(error)
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull()
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            return FolderNotWritable(f"The library's folder cannot be written ({folder}).")
        return LibraryError(f"The library's folder gives an error: {text}.", hint=FolderNotWritable.hint)
    name = getattr(error, "sqlite_errorname", "") or ""
    if name == "SQLITE_FULL" or "disk is full" in text or "No space left" in text:
        return DiskFull()
    # A write past a quota is no SQLITE_FULL.
    if name == "SQLITE_IOERR_WRITE" or (name.startswith("SQLITE_IOERR") and _little_space(folder)):
        return DiskFull()
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR", "SQLITE_FORMAT")):
        return LibraryCorrupt(f"The library cannot be read ({text}).")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return FolderNotWritable(f"The library's folder cannot be written ({folder}).")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LibraryLocked("Another process is writing to this library.")
    if isinstance(error, sqlite3.Error):
        return LibraryCorrupt(f"The library cannot be read ({text}).")
    return LibraryError(f"The library's database gives an error: {text}.", hint="Check CLIPSIM_DATABASE.")


def _little_space(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LITTLE_SPACE
    except OSError:
        return False
