"""Fetch a clip from YouTube (or from a host that the operator named) through yt-dlp, in one child process per fetch.

yt-dlp runs strangers' scripts, blocks, leaks and sometimes hangs: so each fetch is a process of its own, in a process
group that is killed as a whole when it has answered, when time is up, or when the caller is cancelled. It gets a
minimal environment (no tokens), a copy of the cookies file, and a folder that is removed unless the fetch succeeded.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import shutil
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipsim.errors import (
    ClipSimError,
    DiskFull,
    FetchFailed,
    FetchTimeout,
    FolderNotWritable,
    InvalidSetting,
    UnknownLink,
    from_code,
)
from clipsim.model import JSON, Clip, Lyrics, Media
from clipsim.settings import Settings
from clipsim.sources import _metadata
from clipsim.sources.links import Source
from clipsim.sources.lyrics import read_or_why

LINE_LIMIT = 4 * 1024 * 1024  # bytes of one answer
ERROR_TAIL = 4000  # bytes of the child's stderr that are kept for the log
PASSED_ON = frozenset(  # environment variables that the child may see; everything else (tokens!) stays here
    {"PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"}
    | {"HOME", "XDG_CONFIG_HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "SYSTEMROOT"}  # yt-dlp's plugin folders
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "YTDLP_NO_PLUGINS"}
)
PROXIES = frozenset(
    {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
)

Received = Callable[[int, int | None], None]  # told bytes so far, and bytes expected where that is known

log = logging.getLogger(__name__)


async def fetch(source: Source, folder: Path, settings: Settings, progress: Received | None = None) -> Media:
    """Fetch one clip's sound, picture and captions into `folder`, which is made if need be.

    At most two files are left there (`audio.*` and `video.*`, or `clip.*` with both) and nothing at all if this fails
    or is cancelled. `Media.lyrics` is None where there are no captions, or they could not be had: `Clip.notes` says so.

    Raises:
        SourceError: one of its kinds, see `clipsim.errors`.
        DiskFull, FolderNotWritable: `folder` cannot take it.
        InvalidSetting: the cookies file cannot be read.
    """
    if source.kind not in ("youtube", "web") or source.url is None:
        raise UnknownLink
    made, work = _work_folder(folder)
    folder = work.parent  # absolute: a worker may stand in another folder
    done = False
    try:
        cookies = _copied(settings.cookies, work)
        request: JSON = {
            "kind": source.kind,
            "url": source.url,
            "folder": str(work),
            "hosts": list(settings.hosts),
            "max_bytes": settings.max_bytes,
            "max_duration": settings.max_duration,
            "timeout": settings.fetch_timeout,
            "cookies": cookies,
            "proxy": settings.proxy,
            "cache": str(settings.cache / "yt-dlp"),
        }
        answer = await _ask(request, settings.fetch_timeout, progress)
        clip, lyrics = await asyncio.to_thread(_described, source, answer, work)
        files = _moved(answer, work, folder)  # at once, without a point where it could be cancelled half-way
        done = True
        return Media(clip, audio=files.get(answer["audio"]), video=files.get(answer["video"]), lyrics=lyrics)
    except OSError as error:
        raise _disk(error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if made and not done:
            _forget(folder)


def _work_folder(folder: Path) -> tuple[bool, Path]:
    """(whether `folder` had to be made, a new folder in it for this fetch alone)."""
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return made, Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder.absolute()))
    except OSError as error:
        raise _disk(error) from error


def _forget(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _disk(error: OSError) -> ClipSimError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull()
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return FolderNotWritable("The folder for downloads cannot be written.")
    return FetchFailed()


def _copied(cookies: Path | None, work: Path) -> str | None:
    """A copy of the cookies: yt-dlp writes them back, and two fetches at once would spoil the operator's file."""
    if cookies is None:
        return None
    copy = work / "cookies.txt"
    try:
        data = cookies.read_bytes()
    except OSError:
        raise InvalidSetting(f"CLIPSIM_COOKIES: {cookies} cannot be read.") from None
    copy.touch(mode=0o600)
    copy.write_bytes(data)
    return str(copy)


def environment(kind: str, folder: Path) -> dict[str, str]:
    """What the child sees of our environment. A link to a named host goes there directly, past any proxy."""
    wanted = PASSED_ON | (PROXIES if kind == "youtube" else frozenset())
    passed = {name: value for name, value in os.environ.items() if name in wanted}
    scripts = sysconfig.get_path("scripts")  # deno from PyPI lies there
    passed["PATH"] = os.pathsep.join(filter(None, (scripts, passed.get("PATH") or os.defpath)))
    root = str(Path(__file__).resolve().parents[2])  # this very package, installed or not
    passed["PYTHONPATH"] = os.pathsep.join(filter(None, (passed.get("PYTHONPATH"), root)))
    passed |= {"TMPDIR": str(folder), "DENO_DIR": str(folder / "deno"), "DENO_NO_UPDATE_CHECK": "1"}
    return passed | {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}


async def _ask(request: JSON, seconds: float, progress: Received | None) -> JSON:
    """Run one child to its answer, and end it and all it started whatever happens."""
    folder = Path(request["folder"])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing in the current folder is imported
        "-m",
        "clipsim.sources._child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(request["kind"], folder),
        cwd=folder,
        start_new_session=True,
        limit=LINE_LIMIT,
    )
    assert process.stdin and process.stdout and process.stderr
    tail = asyncio.create_task(_tail(process.stderr))
    try:
        async with asyncio.timeout(seconds):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
            return await _answer(process.stdout, progress)
    except TimeoutError:
        raise FetchTimeout(f"Fetching took longer than {seconds:.0f} s and was stopped.") from None
    except (ConnectionError, ValueError) as error:  # it died, or it said something that is no JSON
        raise FetchFailed from error
    finally:
        _kill(process)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(process.wait())
        await asyncio.wait({tail}, timeout=1.0)  # seconds; its stderr ends with the group
        if not tail.cancel() and tail.result():
            log.info("yt-dlp said of %s: %s", request["url"], tail.result())


async def _answer(stream: asyncio.StreamReader, progress: Received | None) -> JSON:
    while line := await stream.readline():
        event: Any = json.loads(line)
        if "done" in event:
            return dict(event["done"])
        if "error" in event:
            error = event["error"]
            raise from_code(error["code"], error["message"], error["hint"])
        if progress is not None and "bytes" in event:
            total = event.get("total")
            progress(int(event["bytes"]), None if total is None else int(total))
    raise FetchFailed("The process that was fetching the clip died.")


async def _tail(stream: asyncio.StreamReader) -> str:
    """The last of what the child wrote to stderr, as one line."""
    kept = b""
    while chunk := await stream.read(4096):
        kept = (kept + chunk)[-ERROR_TAIL:]
    return _metadata.clean(kept.decode(errors="replace"), ERROR_TAIL) or ""


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _described(source: Source, answer: JSON, work: Path) -> tuple[Clip, Lyrics | None]:
    """The child's answer as values."""
    clip = _metadata.clip_from(answer["info"], id=source.id, url=source.url)
    lyrics, note = _lyrics(answer, work)
    if note:
        clip = replace(clip, notes=(*clip.notes, note))
    if clip.language is None and lyrics is not None and lyrics.origin == "automatic":
        clip = replace(clip, language=lyrics.language)
    return clip, lyrics


def _moved(answer: JSON, work: Path, folder: Path) -> dict[str, Path]:
    """The fetched files, in their place: name to path."""
    names = dict.fromkeys(name for name in (answer["audio"], answer["video"]) if name)
    return {name: (work / Path(name).name).replace(folder / Path(name).name) for name in names}


def _lyrics(answer: JSON, work: Path) -> tuple[Lyrics | None, str | None]:
    captions = answer.get("captions")
    if not captions:
        return None, answer.get("note") or "It has no captions."
    origin = "automatic" if captions["origin"] == "automatic" else "manual"
    try:
        return read_or_why(work / Path(captions["name"]).name, origin=origin, lang=captions["language"])  # type: ignore[arg-type]
    except ClipSimError:
        return None, "Its captions cannot be read."
