"""The bot in this process on a double of the façade, with Discord on the wire: quick, and refused what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord
import pytest
import yarl

from bot.client import Bot
from clipsim import settings
from tests.doubles.discord import FakeDiscord
from tests.doubles.sim import SimDouble


@asynccontextmanager
async def wired(double: FakeDiscord, sim: SimDouble, **given: Any) -> AsyncIterator[Bot]:
    """A bot that is connected to the double until the block ends; nothing it did may have been improper."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discord.http.Route, "BASE", f"{double.url}/api/v10")
        patch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(double.gateway_url))
        async with Bot(sim, settings.load(**given)) as bot:  # type: ignore[arg-type]
            bot._connection.guild_ready_timeout = 0.05  # seconds that discord.py waits for further guilds
            task = asyncio.create_task(bot.start(double.token))
            try:
                await double.connected()
                await bot.wait_until_ready()
                yield bot
            finally:
                await bot.close()
                await asyncio.gather(task, return_exceptions=True)
    assert double.failures == []
