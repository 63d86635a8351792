"""Fetch a clip from YouTube (or from a host that the operator named) through yt-dlp, in one child process per fetch.

yt-dlp runs strangers' scripts, blocks, leaks and sometimes hangs: so each fetch is a process of its own
(`clipsim.sources._process`), in a process group that is killed as a whole when it has answered, when time is up, or
when the caller is cancelled. It gets a minimal environment (no tokens), a copy of the cookies file, and a folder that
is removed unless the fetch succeeded. What arrives first (captions, then sound) is handed on while the rest comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from clipsim.errors import (
    ClipSimError,
    DiskFull,
    FetchFailed,
    FolderNotWritable,
    InvalidSetting,
    UnknownLink,
)
from clipsim.model import JSON, Clip, Lyrics, Media, Modality
from clipsim.settings import Settings
from clipsim.sources import _metadata
from clipsim.sources._process import Standby
from clipsim.sources.links import Source
from clipsim.sources.lyrics import read_or_why

Received = Callable[[int, int | None], None]  # told bytes so far, and bytes expected where that is known
Arrived = Callable[[Modality, Media], None]  # told what of a clip is complete, and where it is


async def fetch(
    source: Source,
    folder: Path,
    settings: Settings,
    progress: Received | None = None,
    arrived: Arrived | None = None,
    standby: Standby | None = None,
) -> Media:
    """Fetch one clip's sound, picture and captions into `folder`, which is made if need be.

    At most two files are left there (`audio.*` and `video.*`, or `clip.*` with both) and nothing at all if this fails
    or is cancelled. `Media.lyrics` is None where there are no captions, or they could not be had: `Clip.notes` says so.
    `arrived` is told of each modality as soon as it is complete, in the event loop's thread; what it is told of is
    taken away again if the fetch fails after all. `standby` gives the process to fetch with.

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
    arrivals = _Arrivals(source, work, folder, progress, arrived)
    try:
        cookies = copied(settings.cookies, work)
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
        child = await (standby or Standby()).take()
        answer = await child.ask(request, settings.fetch_timeout, arrivals.hear)
        media = await arrivals.whole(answer)
        done = True
        return media
    except OSError as error:
        raise disk(error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if not done:
            arrivals.forget()
            if made:
                _forget(folder)


class _Arrivals:
    """What the child has told of so far, as values; files are moved to their place as they are completed."""

    def __init__(
        self, source: Source, work: Path, folder: Path, progress: Received | None, arrived: Arrived | None
    ) -> None:
        self._source = source
        self._work = work
        self._folder = folder
        self._progress = progress
        self._arrived = arrived
        self._clip: Clip | None = None
        self._files: dict[str, Path] = {}
        self._words: tuple[Lyrics | None, str | None] | None = None
        self._trouble: OSError | None = None  # the child goes on, and is told nothing: what it brings is not kept

    async def hear(self, event: JSON) -> None:
        """Take an event of the child's."""
        if "found" in event:
            self._clip = self._described(event["found"])
        elif "part" in event and self._trouble is None:
            try:
                await self._take(event["part"])
            except OSError as error:
                self._trouble = error
        elif self._progress is not None and "bytes" in event:
            total = event.get("total")
            self._progress(int(event["bytes"]), None if total is None else int(total))

    async def whole(self, answer: JSON) -> Media:
        """All of it, in place."""
        if self._trouble is not None:
            raise self._trouble
        await self._take(answer)
        lyrics, note = self._words or (None, None)
        clip = self._described(answer["info"])
        if note:
            clip = replace(clip, notes=(*clip.notes, note))
        if clip.language is None and lyrics is not None and lyrics.origin == "automatic":
            clip = replace(clip, language=lyrics.language)
        return Media(clip, self._files.get(answer["audio"]), self._files.get(answer["video"]), lyrics)

    def forget(self) -> None:
        """Take away what was moved to its place."""
        for path in self._files.values():
            path.unlink(missing_ok=True)

    async def _take(self, part: JSON) -> None:
        """Captions, or a file; again is no harm."""
        if "captions" in part and self._words is None:
            self._words = lyrics, note = await asyncio.to_thread(_lyrics, part, self._work)
            self._tell("lyrics", lyrics=lyrics, notes=(note,) if note else ())
        for name in dict.fromkeys(name for name in (part.get("audio"), part.get("video")) if name):
            if name not in self._files:
                plain = Path(name).name
                self._files[name] = (self._work / plain).replace(self._folder / plain)
                if part.get("audio") == name:
                    self._tell("audio", audio=self._files[name])
                if part.get("video") == name:
                    self._tell("video", video=self._files[name])

    def _tell(
        self,
        modality: Modality,
        *,
        audio: Path | None = None,
        video: Path | None = None,
        lyrics: Lyrics | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        if self._arrived is not None and self._clip is not None:
            self._arrived(modality, Media(replace(self._clip, notes=notes), audio, video, lyrics))

    def _described(self, info: JSON) -> Clip:
        return _metadata.clip_from(info, id=self._source.id, url=self._source.url)


def _work_folder(folder: Path) -> tuple[bool, Path]:
    """(whether `folder` had to be made, a new folder in it for this fetch alone)."""
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return made, Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder.absolute()))
    except OSError as error:
        raise disk(error) from error


def _forget(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def disk(error: OSError) -> ClipSimError:
    """What the disk said, as one of our errors."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull()
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return FolderNotWritable("The folder for downloads cannot be written.")
    return FetchFailed()


def copied(cookies: Path | None, work: Path) -> str | None:
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


def _lyrics(answer: JSON, work: Path) -> tuple[Lyrics | None, str | None]:
    captions = answer.get("captions")
    if not captions:
        return None, answer.get("note") or "It has no captions."
    origin = "automatic" if captions["origin"] == "automatic" else "manual"
    try:
        return read_or_why(work / Path(captions["name"]).name, origin=origin, lang=captions["language"])  # type: ignore[arg-type]
    except ClipSimError:
        return None, "Its captions cannot be read."
