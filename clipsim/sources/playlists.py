"""Which clips a YouTube playlist has: listed by yt-dlp in a process like a fetch's, none of them fetched.

A playlist is known by its id; like a clip's, it is read out of the link, and the link is made anew from it. Mixes that
YouTube makes up for each viewer, and the viewer's own lists, are no playlists that a server could see.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from clipsim.errors import UnknownLink
from clipsim.model import JSON
from clipsim.settings import Settings
from clipsim.sources._process import Standby
from clipsim.sources.links import MAX_MESSAGE, WATCH, YOUTUBE_HOSTS, Source, candidates
from clipsim.sources.youtube import copied, disk

PLAYLIST = "https://www.youtube.com/playlist?list="  # the only form that is handed to yt-dlp
MOST = 200  # clips of one playlist that are listed
TIMEOUT = 60.0  # seconds: a few pages of text

_ID = re.compile(r"(?:PL|UU|FL|EC|OLAK5uy_)[A-Za-z0-9_-]{10,60}")


@dataclass(frozen=True, slots=True)
class Listing:
    """A playlist's first clips, in its order; `total` is how many it says it has, where it says so."""

    id: str
    title: str | None
    clips: tuple[Source, ...]
    total: int | None = None


def find_playlists(message: str) -> list[str]:
    """The ids of the playlists that a chat message links to, in order, without repeats.

    A link to a video in a playlist is a link to the video.
    """
    found: dict[str, None] = {}
    for candidate in candidates(message[:MAX_MESSAGE]):
        try:
            parts = urlsplit(candidate if "://" in candidate else f"https://{candidate}")
            host, port = (parts.hostname or "").removesuffix("."), parts.port
        except ValueError:
            continue
        usual = parts.scheme in ("http", "https") and port in (None, 80, 443) and "@" not in parts.netloc
        if not usual or host not in YOUTUBE_HOSTS or parts.path.strip("/") != "playlist" or parts.query.count("&") > 99:
            continue
        named = parse_qs(parts.query).get("list", [""])[0]
        if _ID.fullmatch(named):
            found.setdefault(named)
    return list(found)


async def listing(
    playlist: str, most: int, settings: Settings, folder: Path, standby: Standby | None = None
) -> Listing:
    """The first `most` clips of a playlist (200 at most). `folder`, absolute, is for this alone; the caller deletes it.

    Raises:
        UnknownLink: that is no playlist's id.
        EmptyPlaylist: nothing in it can be seen.
        SourceError: one of its kinds. DiskFull, FolderNotWritable. InvalidSetting: the cookies file cannot be read.
    """
    if not _ID.fullmatch(playlist):
        raise UnknownLink
    try:
        seconds = min(TIMEOUT, settings.fetch_timeout)
        request: JSON = {
            "kind": "list",
            "url": PLAYLIST + playlist,
            "folder": str(folder),
            "hosts": [],
            "max_bytes": settings.max_bytes,
            "max_duration": settings.max_duration,
            "timeout": seconds,
            "cookies": copied(settings.cookies, folder),
            "proxy": settings.proxy,
            "cache": str(settings.cache / "yt-dlp"),
            "most": max(1, min(most, MOST)),
        }
        child = await (standby or Standby()).take()
        answer = await child.ask(request, seconds, _nothing)
    except OSError as error:
        raise disk(error) from error
    clips = tuple(Source("youtube", video, url=WATCH + video, text=video) for video in _ids(answer["ids"]))
    total = answer.get("total")
    return Listing(playlist, answer.get("title"), clips, total if isinstance(total, int) else None)


def _ids(given: Sequence[object]) -> list[str]:
    """Ids of videos, without repeats; what is none is left out."""
    known = [video for video in given if isinstance(video, str) and re.fullmatch(r"[A-Za-z0-9_-]{11}", video)]
    return list(dict.fromkeys(known))


async def _nothing(event: JSON) -> None:
    """A listing tells nothing on its way."""
