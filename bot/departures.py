"""Guilds that the bot was removed from: what is kept of them is forgotten after a time, unless it comes back before.

An outage is no removal: Discord says which it is, and lists a guild that is merely out of reach among the bot's own.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import discord

from clipsim.errors import ClipSimError

if TYPE_CHECKING:
    from bot.client import Bot

log = logging.getLogger(__name__)

EVERY = 3600.0  # seconds between two looks at the clock
ITSELF = "bot"  # the preferences that say whose guilds these are


class Departures:
    """Notes who is gone, and forgets them when it is time."""

    def __init__(self, bot: Bot, days: float) -> None:
        self._bot = bot
        self._sim = bot.sim
        self._after = timedelta(days=days)
        self._gone: set[int] = set()  # that this process knows of, so that the library is asked for no other

    async def connected(self) -> None:
        """All guilds of the bot are known: those that it was removed from meanwhile are gone from now on.

        Another application on the same library has other guilds; that is no reason to forget the first one's.
        """
        here = {str(guild.id) for guild in self._bot.guilds}
        before = (await self._sim.preferences()).get(ITSELF, {}).get("application")
        if before != self._bot.application_id:
            await self._sim.set_preferences(ITSELF, {"application": self._bot.application_id})
        self._gone |= {int(community) for community in await self._sim.gone_communities()}
        for guild in self._bot.guilds:
            await self.joined(guild.id)
        if before == self._bot.application_id:
            for community in await self._sim.known_communities():
                if community.isdecimal() and community not in here:
                    await self.removed(int(community))

    async def removed(self, guild: int) -> None:
        """The bot was removed from a guild."""
        self._gone.add(guild)
        await self._sim.leave(str(guild))
        log.info("guild=%d is gone; what is kept of it is forgotten in %s", guild, self._after)

    async def joined(self, guild: int) -> None:
        """The bot is in a guild (again)."""
        if guild in self._gone and await self._sim.come_back(str(guild)):
            log.info("guild=%d is back", guild)
        self._gone.discard(guild)

    async def forget(self) -> None:
        """Forget those that have been gone for long enough."""
        now = discord.utils.utcnow()
        for community, since in (await self._sim.gone_communities()).items():
            if now - since >= self._after:
                clips = await self._sim.forget_community(community)
                self._bot.chosen.forget(community)
                log.info("guild=%s is forgotten, with %d clips", community, clips)

    async def run(self) -> None:
        """Forget them as time goes by."""
        while True:
            try:
                await self.forget()
            except ClipSimError as error:
                log.warning("who is gone could not be forgotten code=%s: %s", error.code, error)
            await asyncio.sleep(EVERY)
