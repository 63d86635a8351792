"""Sources: who is a clip, where it is fetched from, and the words that come with it.

`parse` and `find_links` tell who it is, `fetch` gets its `Media`, `read_lyrics` reads words out of any file;
`find_playlists` and `listing` tell which clips a playlist has.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from clipsim.sources._process import Standby
from clipsim.sources.links import Source, find_links, parse
from clipsim.sources.lyrics import read_lyrics
from clipsim.sources.playlists import Listing, find_playlists, listing

if TYPE_CHECKING:
    from clipsim.model import Media
    from clipsim.settings import Settings
    from clipsim.sources.youtube import Arrived, Received

__all__ = [
    "Listing",
    "Source",
    "Standby",
    "fetch",
    "find_links",
    "find_playlists",
    "listing",
    "parse",
    "read_lyrics",
]


async def fetch(
    source: Source,
    folder: Path,
    settings: Settings,
    progress: Received | None = None,
    arrived: Arrived | None = None,
    standby: Standby | None = None,
) -> Media:
    """The clip behind a source: a local file where it lies, anything else fetched into `folder`.

    The caller deletes `folder` when it is done with the files. If this fails or is cancelled, nothing is left in it.

    Args:
        source: from `parse` or `find_links`.
        folder: for this clip alone; made if need be; not touched for a local file.
        settings: limits, hosts, cookies, proxy.
        progress: told the bytes received so far and those expected (or None), in the event loop's thread.
        arrived: told of each modality that is complete while others are still being fetched, with a `Media` of it
            alone, in the event loop's thread. Not told of a local file, which is there as a whole.
        standby: gives the process to fetch with.

    Raises:
        SourceError: one of its kinds, see `clipsim.errors`.
        DiskFull, FolderNotWritable: `folder` cannot take it.
    """
    if source.kind == "file":
        from clipsim.sources.local import open_file

        return await asyncio.to_thread(open_file, source, settings)
    from clipsim.sources import youtube

    return await youtube.fetch(source, folder, settings, progress, arrived, standby)
