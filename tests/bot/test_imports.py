"""A link to a playlist: offered to managers, added with a progress bar, cancelled, continued. Discord on the wire."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from bot import imports
from bot.board import PACE
from bot.guilds import Guild
from bot.text import ENGLISH as text
from bot.text import GERMAN
from clipsim.errors import Private
from clipsim.model import Post
from clipsim.sources import Listing, Source
from tests.bot.wired import wired
from tests.doubles.discord import FakeDiscord, Message
from tests.doubles.sim import SimDouble, clip

WATCH = "https://www.youtube.com/watch?v="
ID = "PLclipsim0123456789"
LINK = f"https://www.youtube.com/playlist?list={ID}"


def videos(count: int) -> tuple[Source, ...]:
    return tuple(Source("youtube", f"video{n:06d}", url=f"{WATCH}video{n:06d}") for n in range(count))


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(buckets=False) as double:
        double.user("boss").manager = True
        yield double


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "PACE", PACE / 50)


@pytest.fixture
def listed(discord: FakeDiscord, sim: SimDouble) -> SimDouble:
    sim.shelves[str(discord.guild)] = [clip(n) for n in range(1, 5)]
    sim.lists[ID] = Listing(ID, "Songs of **rain** @everyone", videos(6), 6)
    return sim


async def so(condition: Callable[[], object]) -> None:
    """Wait until something is so in this process (the double wakes nobody for that)."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is awaited tells nobody
            await asyncio.sleep(0.01)


async def offered(discord: FakeDiscord, author: str = "boss", where: str = "general") -> Message:
    asked = await discord.say(where, author, f"all of these: {LINK}")
    return await discord.wait_for_message(lambda message: message.reference == asked.id)


async def test_a_manager_is_offered_it_and_it_is_added_while_a_bar_fills(
    discord: FakeDiscord, listed: SimDouble
) -> None:
    listed.pause = 0.05
    listed.troubles[f"{WATCH}video000003"] = Private()
    async with wired(discord, listed):
        offer = await offered(discord)
        assert offer.content == text.playlist_offer(50)
        await discord.press(offer, f"playlist:add:{ID}", author="boss")
        await discord.until(lambda: text.playlist_done(5, 1, 6, False) in offer.content)
        assert offer.components == []
        assert [job.source for job in listed.jobs.values()] == [video.url for video in videos(6)]
        assert {job.requester for job in listed.jobs.values()} == {str(discord.user("boss").id)}
        said = [edit.payload.get("content") or "" for edit in offer.history]
        assert text.PLAYLIST_LISTING in said
        bars = [line.count("▰") for line in said if "▱" in line]
        assert bars == sorted(bars)
        assert len(bars) >= 2
        assert "**Songs of \\*\\*rain\\*\\*" in offer.content
        assert "@everyone" not in offer.content
        times = [edit.at for edit in offer.history if "▱" in (edit.payload.get("content") or "")]
        assert all(after - before >= 0.9 * imports.PACE for before, after in itertools.pairwise(times))


async def test_nobody_else_is_offered_it_and_nobody_else_may_press(discord: FakeDiscord, listed: SimDouble) -> None:
    async with wired(discord, listed):
        asked = await discord.say("general", "ann", LINK)
        offer = await offered(discord)
        assert [message for message in discord.messages() if message.reference == asked.id] == []
        refused = await discord.press(offer, f"playlist:add:{ID}", author="ann")
        assert text.MANAGERS_ONLY in (await discord.answered(refused)).content
        assert listed.jobs == {}
        await discord.press(offer, "playlist:no", author="boss")
        await discord.until(lambda: offer.content == text.PLAYLIST_DECLINED)
        assert offer.components == []


async def test_what_is_known_is_not_added_again(discord: FakeDiscord, listed: SimDouble) -> None:
    community = str(discord.guild)
    for source in videos(5):
        listed.posts[community, source.id] = Post("1", datetime.now(UTC))
    async with wired(discord, listed):
        offer = await offered(discord)
        await discord.press(offer, f"playlist:add:{ID}", author="boss")
        await discord.until(lambda: text.playlist_done(1, 0, 1, False) in offer.content)
        again = await offered(discord)
        await discord.press(again, f"playlist:add:{ID}", author="boss")
        await discord.until(lambda: again.content == text.PLAYLIST_KNOWN)


async def test_it_is_bounded_by_the_setting_and_by_the_days_limit(discord: FakeDiscord, listed: SimDouble) -> None:
    listed.lists[ID] = Listing(ID, "Long", videos(60), 400)
    listed.chosen[str(discord.guild)] = Guild(playlist=10, per_guild=4).stored()
    async with wired(discord, listed):
        offer = await offered(discord)
        assert offer.content == text.playlist_offer(10)
        await discord.press(offer, f"playlist:add:{ID}", author="boss")
        await discord.until(lambda: text.playlist_done(4, 0, 4, False) in offer.content)
        assert text.playlist_left(4, 400) in offer.content
        again = await offered(discord)
        listed.posts.clear()
        await discord.press(again, f"playlist:add:{ID}", author="boss")
        await discord.until(lambda: "(`daily-limit`)" in again.content)


async def test_cancelling_leaves_what_was_not_begun(discord: FakeDiscord, listed: SimDouble) -> None:
    listed.pause = 0.1
    async with wired(discord, listed, workers=1):
        offer = await offered(discord)
        await discord.press(offer, f"playlist:add:{ID}", author="boss")
        await discord.until(lambda: "playlist:cancel" in str(offer.components))
        refused = await discord.press(offer, "playlist:cancel", author="ann")
        assert text.MANAGERS_ONLY in (await discord.answered(refused)).content
        await so(lambda: len(listed.begun) == 2)  # of three places one is left to links that somebody waits for
        await discord.press(offer, "playlist:cancel", author="boss")
        await discord.until(lambda: text.playlist_done(2, 0, 6, True) in offer.content)
        assert len(listed.jobs) == 2
        assert offer.components == []


async def test_a_later_process_goes_on_with_it(discord: FakeDiscord, listed: SimDouble) -> None:
    listed.pause = 0.05
    async with wired(discord, listed, workers=1):
        offer = await offered(discord)
        await discord.press(offer, f"playlist:add:{ID}", author="boss")
        await so(lambda: sum(job.state == "done" for job in listed.jobs.values()) >= 2)
    assert text.playlist_done(6, 0, 6, False) not in offer.content
    async with wired(discord, listed):
        await discord.until(lambda: text.playlist_done(6, 0, 6, False) in offer.content)
    assert all(job.state == "done" for job in listed.jobs.values())


async def test_links_that_somebody_waits_for_come_first(discord: FakeDiscord, listed: SimDouble) -> None:
    listed.lists[ID] = Listing(ID, "Long", videos(50), 50)
    listed.pause = 0.05
    async with wired(discord, listed, workers=1):
        offer = await offered(discord)
        await discord.press(offer, f"playlist:add:{ID}", author="boss")
        await so(lambda: listed.begun)
        asked = await discord.say("general", "ann", f"{WATCH}somebodys00")
        await discord.wait_for_message(
            lambda reply: reply.reference == asked.id and reply.embeds and reply.embeds[0].get("title")
        )
        assert len(listed.begun) < 20


@pytest.mark.parametrize("answer", ["quiet", "private"])
async def test_where_nothing_is_said_in_the_channel_the_menu_offers_it(
    discord: FakeDiscord, listed: SimDouble, answer: Any
) -> None:
    listed.chosen[str(discord.guild)] = Guild(answer=answer, language="de").stored()
    discord.user("boss").locale = "de"
    async with wired(discord, listed):
        asked = await discord.say("general", "ann", LINK)
        offer = await discord.answered(await discord.message_menu(text.SIMILAR_MENU, asked, author="boss"))
        assert offer.content == GERMAN.playlist_offer(50)
        assert offer.ephemeral == (answer == "private")
        await discord.press(offer, f"playlist:add:{ID}", author="boss")
        bar = offer
        if answer == "private":
            bar = await discord.wait_for_message(lambda message: message.channel.user is discord.user("boss"))
            await discord.until(lambda: offer.content == GERMAN.PLAYLIST_PRIVATELY)
        await discord.until(lambda: GERMAN.playlist_done(6, 0, 6, False) in bar.content)
        used = await discord.message_menu(text.SIMILAR_MENU, asked, author="ann")
        await discord.until(lambda: any("(`unknown-link`)" in message.content for message in used.messages))


async def test_what_cannot_be_listed_is_said(discord: FakeDiscord, listed: SimDouble) -> None:
    listed.lists.clear()
    async with wired(discord, listed):
        offer = await offered(discord)
        used = await discord.press(offer, f"playlist:add:{ID}", author="boss")
        await discord.until(lambda: any("(`empty-playlist`)" in message.content for message in used.followups))
        assert offer.content == text.PLAYLIST_DECLINED


async def test_in_a_direct_message_it_is_ones_own(discord: FakeDiscord, listed: SimDouble) -> None:
    async with wired(discord, listed):
        offer = await offered(discord, "ann", "@ann")
        await discord.press(offer, f"playlist:add:{ID}", author="ann")
        await discord.until(lambda: text.playlist_done(6, 0, 6, False) in offer.content)
        assert {job.community for job in listed.jobs.values()} == {f"dm-{discord.user('ann').id}"}
