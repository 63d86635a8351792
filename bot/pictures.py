"""Pictures of the map, each drawn once for each state of a community's library, and one at a time."""

from __future__ import annotations

import asyncio
import io
import logging
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import discord

from clipsim.errors import ClipSimError

if TYPE_CHECKING:
    from bot.asking import Interaction
    from clipsim.core import ClipSim

log = logging.getLogger(__name__)

NAME = "map.png"
LARGEST = 10 * 1024 * 1024  # bytes of a file that Discord takes from anybody
KEPT = 64  # pictures in memory, some 100 KB each


class Pictures:
    """The pictures of one library."""

    def __init__(self, sim: ClipSim) -> None:
        self._sim = sim
        self._drawing = asyncio.Lock()
        self._known: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    async def map(self, community: str, *, cluster: int | None = None, clip: str | None = None) -> bytes | None:
        """The map as a PNG: all of it, or a small one on which a cluster is lit (and a clip marked).

        None where it cannot be drawn: what is said stands without it.
        """
        try:
            key = (community, await self._sim.version(community=community), cluster, clip)
            async with self._drawing:
                if key not in self._known:
                    self._known[key] = await self._draw(community, cluster, clip)
                self._known.move_to_end(key)
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)
                return self._known[key]
        except (ClipSimError, OSError) as error:
            log.warning("the map of community=%s cannot be drawn: %s", community, error)
            return None

    async def _draw(self, community: str, cluster: int | None, clip: str | None) -> bytes:
        with tempfile.TemporaryDirectory(prefix="clipsim-map-") as folder:
            path = Path(folder) / NAME
            lit = None if cluster is None else {cluster}
            await self._sim.map(path, community=community, highlight=clip, lit=lit, small=cluster is not None)
            return await asyncio.to_thread(path.read_bytes)


def attached(interaction: Interaction, picture: bytes | None) -> list[discord.File]:
    """The picture as a file; none where there is none, it is too large, or files may not be sent here."""
    allowed = interaction.guild_id is None or interaction.app_permissions.attach_files
    if picture is None or len(picture) > LARGEST or not allowed:
        return []
    return [discord.File(io.BytesIO(picture), NAME)]
