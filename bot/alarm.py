"""The alarm: when YouTube begins to refuse, the server whose link met it is told, once a day at most.

The log and the web page tell the operator in any case. In Discord it is the channel for moderators, else the one for
the system's messages, else the owner's direct messages.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import discord

from bot import render, text
from bot.board import PASSING

if TYPE_CHECKING:
    from clipsim.core import ClipSim
    from clipsim.courtesy import Opening

log = logging.getLogger(__name__)


class Alarm:
    """Listens to one library for one client."""

    def __init__(self, sim: ClipSim, client: discord.Client) -> None:
        self._sim = sim
        self._client = client
        self._telling: set[asyncio.Task[None]] = set()
        sim.when_youtube_refuses(self._refused)

    def _refused(self, opening: Opening) -> None:
        if self._client.is_closed() or not opening.community.isdecimal():
            return  # a direct message's own community, or the command line's
        task = asyncio.get_running_loop().create_task(self._tell(opening), name="alarm")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, opening: Opening) -> None:
        guild = self._client.get_guild(int(opening.community))
        if guild is None or not self._sim.may_alarm(opening.community):
            return
        texts = text.for_locale(guild.preferred_locale)
        sentence = texts.youtube_refuses(render.problem(texts, opening.error), render.moment(opening.until))
        try:
            channel = _channel(guild)
            if channel is not None:
                await channel.send(sentence)
                log.info("guild=%d channel=%d was told that YouTube refuses", guild.id, channel.id)
            elif guild.owner_id is not None:
                owner = await self._client.fetch_user(guild.owner_id)
                await owner.send(sentence)
                log.info("the owner of guild=%d was told that YouTube refuses", guild.id)
        except PASSING as error:
            log.warning("guild=%d could not be told that YouTube refuses: %s", guild.id, error)


def _channel(guild: discord.Guild) -> discord.TextChannel | None:
    """Where the bot may write to those who look after the server."""
    for channel in (guild.public_updates_channel, guild.system_channel):
        if channel is not None:
            allowed = channel.permissions_for(guild.me)
            if allowed.view_channel and allowed.send_messages:
                return channel
    return None
