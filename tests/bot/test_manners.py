"""Manners: one reply for a message, re-posts recognised, edits and deletions followed. Discord on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.guilds import Guild
from bot.text import ENGLISH as text
from bot.text import GERMAN
from clipsim.model import Post
from tests.bot.wired import wired
from tests.doubles.discord import FakeDiscord, Message, Permission
from tests.doubles.sim import SimDouble, clip

WATCH = "https://www.youtube.com/watch?v="
VIDEO = f"{WATCH}clip0000001"
NEW = [f"{WATCH}newclip000{n}" for n in range(8)]


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(buckets=False) as double:
        yield double


@pytest.fixture
async def chat(discord: FakeDiscord, sim: SimDouble) -> AsyncIterator[FakeDiscord]:
    sim.shelves[str(discord.guild)] = [clip(n) for n in range(1, 9)]
    async with wired(discord, sim, workers=1):
        yield discord


def chosen(discord: FakeDiscord, sim: SimDouble, **values: Any) -> None:
    """As if it had been chosen before the bot starts."""
    sim.chosen[str(discord.guild)] = Guild(**values).stored()


async def replied(chat: FakeDiscord, to: Message) -> Message:
    """The reply to a message, once all of it is there."""
    return await chat.wait_for_message(
        lambda reply: (
            reply.reference == to.id and all(embed.get("title") or "`" in str(embed) for embed in reply.embeds)
        )
    )


async def quiet_for_a_moment(chat: FakeDiscord) -> None:
    """Whatever the bot was told before this has been dealt with: events are handled in order."""
    used = await chat.slash("help")
    await chat.answered(used)


async def so(condition: Callable[[], object]) -> None:
    """Wait until something is so in this process (the double wakes nobody for that)."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is awaited tells nobody
            await asyncio.sleep(0.01)


# Re-posts


async def test_a_repost_says_who_posted_it_and_where(chat: FakeDiscord, sim: SimDouble) -> None:
    asked = await chat.say("general", "ann", NEW[0])
    reply = await replied(chat, asked)
    assert "Posted" not in reply.text
    again = await chat.say("general", "ben", f"{NEW[0]} {NEW[1]}")
    reply = await replied(chat, again)
    known, new = reply.embeds
    where = f"https://discord.com/channels/{chat.guild}/{asked.channel.id}/{asked.id}"
    assert known["description"].startswith(f"Posted by <@{chat.user('ann').id}> [in the last day]({where}).")
    assert "Posted" not in new["description"]


async def test_a_repost_waits_for_nobody(chat: FakeDiscord, sim: SimDouble) -> None:
    known = clip(1)
    march = datetime(2026, 3, 14, tzinfo=UTC)
    sim.posts[str(chat.guild), known.id] = Post(str(chat.user("eve").id), march)
    sim.pause = 0.5
    for n in range(0, 8, 4):  # more links than are worked on at once
        await chat.say("general", "ann", " ".join(NEW[n : n + 4]))
    sim.pause = 0.0
    asked = await chat.say("general", "ben", VIDEO)
    reply = await replied(chat, asked)
    assert f"Posted by <@{chat.user('eve').id}> in March" in reply.text
    assert any(job.state == "queued" for job in sim.jobs.values())


@pytest.mark.parametrize(
    ("texts", "ago", "said"),
    [
        (text, timedelta(hours=5), "in the last day"),
        (text, timedelta(days=12), "on 3 March"),
        (text, timedelta(days=40), "in February"),
        (text, timedelta(days=400), "in February 2025"),
        (GERMAN, timedelta(days=12), "am 3. März"),
        (GERMAN, timedelta(days=400), "im Februar 2025"),
    ],
)
def test_when_it_was_is_said_as_people_say_it(texts: Any, ago: timedelta, said: str) -> None:
    now = datetime(2026, 3, 15, 12, tzinfo=UTC)
    assert f"<@1> {said}." in texts.posted("<@1>", now - ago, now, None)
    assert f"[{said}](https://x)" in texts.posted("", now - ago, now, "https://x")


# Edits


async def test_a_link_that_an_edit_adds_is_answered_and_no_other_again(chat: FakeDiscord, sim: SimDouble) -> None:
    asked = await chat.say("general", "ann", NEW[0])
    await replied(chat, asked)
    await chat.rewrite(asked, f"{NEW[0]} and {NEW[1]}")
    await chat.wait_for_message(lambda reply: reply.reference == asked.id and NEW[1] in str(reply.embeds))
    await chat.rewrite(asked, f"typo mended: {NEW[0]} and {NEW[1]}")
    await quiet_for_a_moment(chat)
    assert [job.source for job in sim.jobs.values()] == NEW[:2]
    assert [len(reply.embeds) for reply in chat.messages("general") if reply.reference == asked.id] == [1, 1]


async def test_the_preview_that_discord_adds_is_no_edit(chat: FakeDiscord, sim: SimDouble) -> None:
    asked = await chat.say("general", "ann", NEW[0])
    reply = await replied(chat, asked)
    asked.content = f"{NEW[0]} {NEW[1]}"  # whatever it says: nobody edited it
    await chat.unfurl(asked, url=NEW[0], title="A preview")
    await quiet_for_a_moment(chat)
    assert len(sim.jobs) == 1
    assert not reply.deleted


async def test_an_edit_that_adds_the_first_link_is_answered(chat: FakeDiscord) -> None:
    asked = await chat.say("general", "ann", "which one was it")
    await chat.rewrite(asked, VIDEO)
    assert (await replied(chat, asked)).embeds[0]["url"] == VIDEO


async def test_an_old_message_is_not_answered_because_of_an_edit(chat: FakeDiscord, sim: SimDouble) -> None:
    asked = await chat.say("general", "ann", "which one was it")
    asked.id -= int(timedelta(days=2).total_seconds() * 1000) << 22
    asked.created = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    await chat.rewrite(asked, VIDEO)
    await quiet_for_a_moment(chat)
    assert not sim.jobs


async def test_a_link_that_is_taken_away_before_its_turn_is_left(chat: FakeDiscord, sim: SimDouble) -> None:
    sim.pause = 0.3
    asked = await chat.say("general", "ann", " ".join(NEW[:5]))  # three are worked on at once
    await so(lambda: len(sim.begun) >= 3)
    await chat.rewrite(asked, " ".join((NEW[0], NEW[4])))
    reply = await chat.wait_for_message(lambda reply: text.LINK_REMOVED in reply.text)
    await so(lambda: all(job.state == "done" for job in sim.jobs.values()))
    assert sorted(job.source for job in sim.jobs.values()) == [*NEW[:3], NEW[4]]  # 1 and 2 had begun; 3 was left
    await chat.until(lambda: sum(bool(embed.get("title")) for embed in reply.embeds) == 4)
    assert text.LINK_REMOVED in reply.embeds[3]["description"]


async def test_where_every_link_is_taken_away_before_its_turn_the_reply_goes(chat: FakeDiscord, sim: SimDouble) -> None:
    sim.pause = 0.3
    await chat.say("general", "ann", " ".join(NEW[:3]))
    asked = await chat.say("general", "ben", NEW[5])
    await chat.wait_for_message(lambda reply: reply.reference == asked.id)
    await chat.rewrite(asked, "never mind")
    await chat.until(lambda: any(reply.deleted and reply.reference == asked.id for reply in chat.messages()))
    assert NEW[5] not in [job.source for job in sim.jobs.values()]
    await chat.rewrite(asked, NEW[5])  # after all
    await replied(chat, asked)


# Deletions


async def test_when_a_message_is_deleted_its_reply_goes_and_what_was_not_begun_is_left(
    chat: FakeDiscord, sim: SimDouble
) -> None:
    sim.pause = 0.2
    asked = await chat.say("general", "ann", " ".join(NEW[:5]))
    reply = await chat.wait_for_message(lambda reply: reply.reference == asked.id)
    await so(lambda: len(sim.begun) >= 3)
    await chat.remove(asked)
    await chat.until(lambda: reply.deleted)
    await so(lambda: sorted(sim.jobs) == [1, 2, 3])
    sim.pause = 0.0
    asked = await chat.say("general", "ann", NEW[6])
    await replied(chat, asked)
    states = len(reply.history)
    await so(lambda: all(job.state == "done" for job in sim.jobs.values()))
    assert len(reply.history) == states  # and nothing more was written to it
    refused = [each for each in chat.requests if each.status >= 400]
    assert refused == []


async def test_a_finished_reply_goes_with_its_message_also_among_many(chat: FakeDiscord) -> None:
    asked = [await chat.say("general", "ann", link) for link in (VIDEO, NEW[0])]
    replies = [await replied(chat, each) for each in asked]
    other = await chat.say("general", "ben", "and something else")
    await chat.remove(*asked, other)
    await chat.until(lambda: all(reply.deleted for reply in replies))


async def test_what_an_earlier_process_answered_is_taken_back_too(discord: FakeDiscord, sim: SimDouble) -> None:
    sim.shelves[str(discord.guild)] = [clip(n) for n in range(1, 9)]
    async with wired(discord, sim):
        asked = await discord.say("general", "ann", VIDEO)
        reply = await replied(discord, asked)
    async with wired(discord, sim):
        await discord.rewrite(asked, f"{VIDEO} {NEW[0]}")
        await discord.wait_for_message(lambda message: message is not reply and message.reference == asked.id)
        await discord.remove(asked)
        await discord.until(lambda: reply.deleted)


# Where the answer goes


async def test_a_thread_is_made_for_the_answer(discord: FakeDiscord, sim: SimDouble) -> None:
    chosen(discord, sim, answer="thread", channels=(discord.channel("general").id,))
    async with wired(discord, sim):
        asked = await discord.say("general", "ann", VIDEO)
        reply = await discord.wait_for_message(lambda reply: reply.embeds and reply.embeds[0].get("title"))
        assert (reply.channel.parent, reply.channel.id) == (asked.channel.id, asked.id)
        assert reply.channel.name == text.THREAD
        again = await discord.say(text.THREAD, "ann", NEW[0])  # in the thread: no thread of a thread
        await replied(discord, again)
        await discord.remove(asked)
        await discord.until(lambda: reply.deleted)


async def test_a_thread_that_cannot_be_made_is_the_channel(discord: FakeDiscord, sim: SimDouble) -> None:
    chosen(discord, sim, answer="thread")
    discord.channel("general").denied = Permission.CREATE_PUBLIC_THREADS
    async with wired(discord, sim):
        await replied(discord, await discord.say("general", "ann", VIDEO))


async def test_privately_and_who_takes_no_direct_messages(discord: FakeDiscord, sim: SimDouble) -> None:
    chosen(discord, sim, answer="private")
    discord.user("ben").closed = True
    async with wired(discord, sim):
        await discord.say("general", "ann", VIDEO)
        private = await discord.wait_for_message(lambda reply: reply.embeds and reply.embeds[0].get("title"))
        assert private.channel.user is discord.user("ann")
        asked = await discord.say("general", "ben", VIDEO)
        await replied(discord, asked)


async def test_quietly_and_where_it_may_not_even_react(discord: FakeDiscord, sim: SimDouble) -> None:
    chosen(discord, sim, answer="quiet")
    discord.channel("mute").denied = Permission.ADD_REACTIONS
    async with wired(discord, sim):
        asked = await discord.say("general", "ann", NEW[0])
        await discord.until(lambda: asked.reactions == ["✅"])
        silent = await discord.say("mute", "ann", NEW[1])
        await so(lambda: [job.state for job in sim.jobs.values()] == ["done", "done"])
        assert silent.reactions == []
        assert discord.messages() == []
        await discord.remove(asked)
        await quiet_for_a_moment(discord)


async def test_who_may_add_follows_the_role_that_manages(discord: FakeDiscord, sim: SimDouble) -> None:
    chosen(discord, sim, may_add="managers")
    discord.user("boss").manager = True
    async with wired(discord, sim):
        assert "(`not-permitted`)" in (await replied(discord, await discord.say("general", "ann", NEW[0]))).text
        assert (await replied(discord, await discord.say("general", "boss", NEW[0]))).embeds[0]["url"] == NEW[0]
        await replied(discord, await discord.say("general", "ann", NEW[0]))  # it is there now
        assert len(sim.jobs) == 2


async def test_settings_over_the_wire(discord: FakeDiscord, sim: SimDouble) -> None:
    discord.user("boss").manager = True
    community = str(discord.guild)
    async with wired(discord, sim):
        with pytest.raises(ValueError, match="does not offer"):
            await discord.slash("settings", author="ann")
        panel = await discord.answered(await discord.slash("settings", author="boss"))
        assert panel.ephemeral
        await discord.pick(panel, "settings:channels", str(discord.channel("general").id), author="boss")
        await discord.pick(panel, "settings:answer", "quiet", author="boss")
        await discord.until(lambda: text.ANSWERS["quiet"] in panel.text)
    async with wired(discord, sim):
        await discord.pick(panel, "settings:role", "123", author="boss")
        await discord.until(lambda: "<@&123>" in panel.text)
        numbers = await discord.press(panel, "settings:numbers", author="boss")
        assert numbers.modal is not None
        refused = await discord.press(panel, "settings:most", author="ann")  # as if it had been handed on
        await discord.until(lambda: any(text.MANAGERS_ONLY in m.content for m in refused.followups + refused.messages))
    kept = Guild.read(sim.chosen[community])
    assert kept == Guild(channels=(discord.channel("general").id,), answer="quiet", may_add="role", role=123)


# Forgetting


async def test_a_clip_is_forgotten_by_who_posted_it_or_a_manager(chat: FakeDiscord, sim: SimDouble) -> None:
    for link in NEW[:3]:
        await replied(chat, await chat.say("general", "ann", link))
    chat.user("boss").manager = True

    async def said(author: str, **options: Any) -> str:
        used = await chat.slash("forget", author=author, **options)
        await chat.until(lambda: any(m.ephemeral and m.content for m in used.messages))
        assert all(message.ephemeral for message in used.messages)
        return next(message.content for message in used.messages if message.content)

    assert text.NOT_YOURS in await said("ben", clip=NEW[0])
    assert (await said("ann", clip=NEW[0])).startswith("Forgotten: ")
    assert (await said("boss", clip=NEW[1])).startswith("Forgotten: ")
    assert "(`unknown-clip`)" in await said("ann", clip=NEW[0])
    assert text.FORGET_WHAT in await said("ann")
    kept = [where[1] for where in sim.posts]
    assert kept == [sim.shelf(str(chat.guild))[0].id]


@pytest.mark.parametrize(("where", "everywhere"), [("general", False), ("@ann", True)])
async def test_everything_of_mine(chat: FakeDiscord, sim: SimDouble, where: str, everywhere: bool) -> None:
    used = await chat.slash("forget", channel=where, everything=True)
    assert (await chat.answered(used)).content == text.NOTHING_OF_YOURS
    await replied(chat, await chat.say("general", "ann", NEW[0]))
    used = await chat.slash("forget", channel=where, everything=True)
    asked = await chat.answered(used)
    assert asked.content == text.forget_ask({"clips": 1}, everywhere=everywhere)
    await chat.press(asked, "forget:no")
    await chat.until(lambda: asked.content == text.FORGET_KEPT)
    assert asked.components == []
    asked = await chat.answered(await chat.slash("forget", channel=where, everything=True))
    await chat.press(asked, "forget:yes")
    await chat.until(lambda: asked.content == text.forgot_all({"clips": 1}))
    user = str(chat.user("ann").id)
    assert ("forget_user", (user, None if everywhere else str(chat.guild))) in sim.called


# Guilds that come and go


async def test_a_removed_guild_is_forgotten_after_the_time_and_an_outage_is_none(
    discord: FakeDiscord, sim: SimDouble
) -> None:
    community = str(discord.guild)
    sim.shelves[community] = [clip(1)]
    async with wired(discord, sim) as bot:
        await quiet_for_a_moment(discord)
        await discord.leave(outage=True)
        await discord.join()
        await quiet_for_a_moment(discord)
        assert sim.gone == {}
        await discord.leave()
        await so(lambda: community in sim.gone)
        await bot.departures.forget()
        assert sim.forgotten == []  # not yet
        await discord.join()
        await so(lambda: not sim.gone)
        await discord.leave()
        await so(lambda: community in sim.gone)
        sim.gone[community] -= timedelta(days=7)
        await bot.departures.forget()
        assert sim.forgotten == [community]


async def test_what_was_removed_while_the_bot_was_off_counts_from_its_start(
    discord: FakeDiscord, sim: SimDouble
) -> None:
    community = str(discord.guild)
    sim.shelves |= {community: [clip(1)], "424242": [clip(2)], "dm-5": [clip(3)]}
    async with wired(discord, sim):
        await so(lambda: sim.chosen.get("bot"))
        await quiet_for_a_moment(discord)
        assert sim.gone == {}  # the first start of this application here: nobody can have removed it
    sim.gone[community] = datetime.now(UTC)  # it had been gone, and is back
    async with wired(discord, sim):
        await so(lambda: list(sim.gone) == ["424242"])
    discord.bot.id += 1  # another application on the same library
    sim.gone.clear()
    async with wired(discord, sim):
        await so(lambda: sim.chosen["bot"]["application"] == discord.bot.id)
        await quiet_for_a_moment(discord)
        assert sim.gone == {}
