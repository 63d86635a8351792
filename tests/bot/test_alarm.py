"""Who is told that YouTube refuses: the channel for moderators, else the system's, else the owner. On the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from clipsim.courtesy import Opening
from clipsim.errors import BotCheck
from tests.bot.wired import wired
from tests.doubles.discord import FakeDiscord, Message, Permission
from tests.doubles.sim import SimDouble

UNTIL = datetime(2026, 3, 4, 17, 5, tzinfo=UTC)


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as double:
        yield double


async def told(discord: FakeDiscord, sim: SimDouble, community: str | None = None) -> Message:
    """The notice, once a link of this server's has met a refusal."""
    async with wired(discord, sim):
        (refused,) = sim.refusals
        refused(Opening(BotCheck(), UNTIL, "dm-5"))  # nobody's server
        refused(Opening(BotCheck(), UNTIL, community or str(discord.guild)))
        return await discord.wait_for_message(lambda message: "(`bot-check`)" in message.text)


async def test_moderators_come_first(discord: FakeDiscord, sim: SimDouble) -> None:
    discord.home.moderators, discord.home.system = discord.channel("moderators"), discord.channel("general")
    notice = await told(discord, sim)
    assert notice.channel.name == "moderators"
    assert f"<t:{int(UNTIL.timestamp())}:R>" in notice.content and "(`bot-check`)" in notice.content
    assert len(discord.messages()) == 1 and discord.failures == []


async def test_the_systems_channel_where_the_moderators_may_not_be_written(
    discord: FakeDiscord, sim: SimDouble
) -> None:
    discord.home.moderators, discord.home.system = discord.channel("moderators"), discord.channel("general")
    discord.home.moderators.denied = Permission.SEND_MESSAGES
    assert (await told(discord, sim)).channel.name == "general"


async def test_the_owner_where_there_is_no_channel_and_in_the_servers_language(
    discord: FakeDiscord, sim: SimDouble
) -> None:
    discord.locale = "de"
    notice = await told(discord, sim)
    assert notice.channel.user is discord.user("owner")
    assert "Neue Links werden angenommen" in notice.content


async def test_a_server_is_told_once_a_day(
    discord: FakeDiscord, sim: SimDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(sim, "may_alarm", lambda community: asked.append(community) or len(asked) == 1)
    discord.home.system = discord.channel("general")
    async with wired(discord, sim):
        (refused,) = sim.refusals
        for _ in range(2):
            refused(Opening(BotCheck(), UNTIL, str(discord.guild)))
        await discord.wait_for_message(lambda message: "(`bot-check`)" in message.text)
        await discord.slash("help")  # whatever was to be sent before that has been sent
    assert asked == [str(discord.guild)] * 2
    assert len([message for message in discord.messages() if "(`bot-check`)" in message.text]) == 1
