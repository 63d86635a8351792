"""One process owns a library's folder: two that write the index at once destroy it.

The lock is the operating system's, so it is free again however its owner ended; a note beside it says who that is.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from clipsim.database import typed_errors
from clipsim.errors import LibraryLocked

LOCK, NOTE = "owner.lock", "owner.json"


class Owner:
    """Ownership of a folder, held until `release` (or the end of the process). Use as a context manager too."""

    def __init__(self, lock: FileLock, folder: Path) -> None:
        self._lock = lock
        self._folder = folder

    @classmethod
    def acquire(cls, folder: Path, program: str | None = None) -> Self:
        """Own the folder, making it where needed. `program` is the name others are told (default: this one's).

        Raises:
            LibraryLocked: another process, which the message names, owns it. FolderNotWritable, DiskFull.
        """
        with typed_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / LOCK, is_singleton=False, thread_local=False)  # taken and given up by any thread
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise LibraryLocked(f"This library ({folder}) is owned by {owner(folder)}.") from None
            note = {
                "pid": os.getpid(),
                "program": program or Path(sys.argv[0]).name or "clipsim",
                "since": datetime.now().astimezone().isoformat(timespec="seconds"),
            }
            try:
                draft = folder / f"{NOTE}.part"
                draft.write_text(json.dumps(note), encoding="utf-8")
                draft.replace(folder / NOTE)
            except BaseException:
                lock.release()
                raise
        return cls(lock, folder)

    def release(self) -> None:
        """Let others own the folder."""
        if self._lock.is_locked:
            with contextlib.suppress(OSError):  # the note is a courtesy; the lock is what counts
                (self._folder / NOTE).unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def owner(folder: Path) -> str:
    """Who says it owns this folder: "process 1234 (clipsim-bot, since 12:03)". Not proof that it still does."""
    try:
        note: dict[str, Any] = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        since = datetime.fromisoformat(str(note["since"]))
        today = since.date() == datetime.now().astimezone().date()
        when = f"{since:%H:%M}" if today else f"{since:%Y-%m-%d %H:%M}"
        return f"process {int(note['pid'])} ({str(note['program'])[:80]}, since {when})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
