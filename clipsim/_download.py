"""How weights are fetched from a hub: by HTTP, resumed where it broke off.

What every kind of source has in common stands here too: a source writes each file, verified, to `stage/files/NAME` of a
stage folder, and nothing else counts. The other kind is `clipsim._packages`.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from clipsim.errors import WrongDigest

CHUNK = 1 << 20  # bytes read at once
HUB_PATIENCE = 4.0  # seconds a hub may take to answer at all, before the next source is asked
STALL = 30.0  # seconds without a byte, after which a download is resumed or given up
ATTEMPTS = 4  # times a broken download is resumed
SHOW_AFTER = 1.0  # seconds after which a progress bar appears

Progress = Callable[[int, int | None], None]  # told (bytes so far, bytes in all)

_unreachable: dict[str, str] = {}  # hub → why; a hub that did not answer is not asked again by this process


class SourceFailed(Exception):  # noqa: N818
    """A source does not have the files; the text is one clause saying why, for a list of sources."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of an entry: its name, exact size in bytes, and SHA-256."""

    name: str
    size: int
    sha256: str


class Source(Protocol):
    """A place that has all files of an entry."""

    @property
    def label(self) -> str:
        """What a person knows it by."""
        ...

    def room(self, files: tuple[File, ...]) -> int:
        """Bytes of disk that fetching takes."""
        ...

    def fetch(self, files: tuple[File, ...], stage: Path, progress: Progress) -> None:
        """Bring every file, verified, to `stage/files`; raises SourceFailed, WrongDigest, DiskFull, OSError."""
        ...


def hashed(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Hubs


@dataclass(frozen=True, slots=True)
class Url:
    """One file at an address."""

    url: str

    @property
    def label(self) -> str:
        """The host."""
        return urllib.parse.urlsplit(self.url).netloc

    def room(self, files: tuple[File, ...]) -> int:
        """The files, nothing else."""
        return sum(file.size for file in files)

    def address(self, file: File) -> str:
        """Where a file lies."""
        return self.url

    def fetch(self, files: tuple[File, ...], stage: Path, progress: Progress) -> None:
        """Download what is not there yet, resuming what is there in part."""
        total, done = self.room(files), 0
        for file in files:
            _download(self.address(file), file, stage, shifted(progress, done, total))
            done += file.size


@dataclass(frozen=True, slots=True)
class Hub(Url):
    """A revision of a repository on the Hugging Face hub, or on the mirror that HF_ENDPOINT names."""

    url: str  # owner/name
    revision: str

    @property
    def _endpoint(self) -> str:
        return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"

    @property
    def label(self) -> str:
        """Host and repository."""
        return f"{urllib.parse.urlsplit(self._endpoint).netloc}/{self.url}"

    def address(self, file: File) -> str:
        """Where a file of the revision lies."""
        return f"{self._endpoint}/{self.url}/resolve/{self.revision}/{urllib.parse.quote(file.name)}"

    def fetch(self, files: tuple[File, ...], stage: Path, progress: Progress) -> None:
        """As `Url.fetch`, unless the user asked for no hub."""
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
            raise SourceFailed("HF_HUB_OFFLINE is set")
        Url.fetch(self, files, stage, progress)


def _download(url: str, file: File, stage: Path, progress: Callable[[int], None]) -> None:
    final = stage / "files" / file.name
    if final.is_file() and final.stat().st_size == file.size and hashed(final) == file.sha256:
        return
    part = stage / f"{file.name}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        try:
            if before < file.size:
                _continue(url, file, part, progress)
            break
        except (http.client.HTTPException, TimeoutError, ConnectionError, urllib.error.URLError) as error:
            grown = part.exists() and part.stat().st_size > before
            if attempt + 1 == ATTEMPTS or not grown:
                raise SourceFailed(f"broke off ({_why(error)})") from error
    if part.stat().st_size != file.size or hashed(part) != file.sha256:
        part.unlink()
        raise WrongDigest(f"{file.name} has another SHA-256 than expected")
    final.parent.mkdir(parents=True, exist_ok=True)
    part.replace(final)


def _continue(url: str, file: File, part: Path, progress: Callable[[int], None]) -> None:
    """Append what is missing of a file; the server may also send it whole."""
    have = part.stat().st_size if part.exists() else 0
    with _open(url, have) as response:
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if resumed else 0
        with part.open("ab" if resumed else "wb") as out:
            while chunk := response.read(min(CHUNK, file.size - have + 1)):
                have += len(chunk)
                if have > file.size:  # never let a server fill the disk
                    raise SourceFailed(f"{file.name} is larger than expected")
                out.write(chunk)
                progress(have)
    if have < file.size:
        raise ConnectionError(f"ended {file.size - have} bytes early")


def _open(url: str, offset: int) -> http.client.HTTPResponse:
    """The response to a GET from `offset` on; a hub that does not answer in `HUB_PATIENCE` is unreachable.

    The wait is done by a thread, because a time limit on a socket does not cover looking up its address.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise SourceFailed(f"{url} is not a web address")
    hub = f"{parts.scheme}://{parts.netloc}"
    if hub in _unreachable:
        raise SourceFailed(_unreachable[hub])
    headers = {"User-Agent": "clipsim", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    found: list[http.client.HTTPResponse | Exception] = []

    def ask() -> None:
        try:
            found.append(urllib.request.urlopen(request, timeout=STALL))  # noqa: S310
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=ask, daemon=True, name="ask-hub")
    thread.start()
    thread.join(HUB_PATIENCE)
    answer = found[0] if found else TimeoutError(f"no answer in {HUB_PATIENCE:.0f} s")
    if isinstance(answer, urllib.error.HTTPError):
        answer.close()
        raise SourceFailed(f"answered {answer.code} {answer.reason}")
    if isinstance(answer, Exception):
        _unreachable[hub] = f"cannot be reached ({_why(answer)})"
        raise SourceFailed(_unreachable[hub]) from answer
    return answer


def _why(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return (getattr(reason, "strerror", None) or str(reason) or type(reason).__name__).strip(". ")


# Progress


def shifted(progress: Progress, before: int, total: int) -> Callable[[int], None]:
    """Progress of one file as progress of all of them."""
    return lambda now: progress(min(before + now, total), total)


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A progress bar on stderr, drawn only if the work takes over a second."""
    began = time.monotonic()
    with ExitStack() as stack:
        show: Progress | None = None

        def update(done: int, total: int | None) -> None:
            nonlocal show
            if show is None and time.monotonic() - began > SHOW_AFTER:
                show = stack.enter_context(_drawn(title))
            if show is not None:
                show(done, total)

        yield update


@contextmanager
def _drawn(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:  # a log: one line, no drawing
        console.print(f"{title} …")
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bars(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
