"""Pasted links: one reply, its progress, its result; and everything that can get in the way. Real discord.py."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise

import discord
import pytest

from bot import links
from bot.board import PACE
from bot.client import Bot, community
from bot.text import ENGLISH as text
from bot.turns import Turns
from clipsim import settings
from clipsim.errors import BotCheck, Private
from tests.doubles.sim import clip

pytestmark = [pytest.mark.simcord(settle_timeout=15), pytest.mark.usefixtures("stretched")]

VIDEO = "https://www.youtube.com/watch?v=clip0000001"
OTHER = "https://youtu.be/clip0000002?si=tracking"


@pytest.fixture
async def room(simcord_env, sim):
    """A channel of a guild, and somebody in it."""
    guild = simcord_env.create_guild()
    sim.shelves[str(guild.id)] = [clip(n) for n in range(1, 9)]
    channel = guild.create_text_channel("music")
    return channel, guild.add_member(simcord_env.create_user("ann"))


def replies(channel) -> list[discord.Message]:
    return [message for message in channel.history() if message.author.bot]


async def test_a_link_is_answered_by_one_reply_with_the_result(room, sim):
    channel, ann = room
    message = await ann.send(channel, f"have you seen <{VIDEO}>?")
    (reply,) = replies(channel)
    assert reply.reference.message_id == message.id
    (embed,) = reply.embeds
    assert embed.title == "Artist 1 – Song 1"
    assert embed.url == VIDEO
    assert embed.thumbnail.url.endswith("/clip0000001/hqdefault.jpg")
    assert "bright dance" in embed.description
    for rank in range(1, 6):
        assert (
            f"**{rank}** · [Artist {rank + 1} – Song {rank + 1}](https://www.youtube.com/watch?v=" in embed.description
        )
    assert sim.why in embed.description
    assert reply.content == ""


async def test_the_row_is_written_before_the_reply_and_then_names_it(room, sim, simcord_env):
    channel, ann = room
    written = []
    sim.before = lambda name: written.append((name, len(replies(channel))))
    message = await ann.send(channel, VIDEO)
    (reply,) = replies(channel)
    assert written[0] == ("accept", 0)
    (job,) = sim.jobs.values()
    assert job.source == VIDEO
    assert job.community == str(ann.guild.id)
    assert job.requester == str(ann.id)
    assert job.reply["channel"] == channel.id
    assert job.reply["message"] == reply.id
    assert job.reply["to"] == message.id


async def test_progress_is_told_by_edits_no_faster_than_the_pace(room, sim, simcord_env, stretched):
    channel, ann = room
    sim.pause = 0.85 * stretched  # five stages, ending between two beats of the pace
    shown, times = [], []
    clock = 0.0

    def look() -> None:
        edits = [r for r in simcord_env.http_requests if r.method == "PATCH" and "/messages/" in r.path]
        for edit in edits[len(times) :]:
            times.append(clock)
            shown.append(edit.json["embeds"][0]["description"])

    await ann.send(channel, VIDEO)
    look()
    while not replies(channel)[0].embeds[0].title:
        assert clock < 10 * stretched
        await simcord_env.advance_time(stretched / 20)
        clock += stretched / 20
        look()
    *told, result = shown
    assert len(told) >= 2
    assert any("**listening**" in one or "**watching**" in one for one in told)
    *progress, final = times
    assert all(later - earlier >= 0.99 * stretched for earlier, later in pairwise(progress))
    assert final - 5 * sim.pause < stretched / 10  # the result does not wait for the pace
    assert len(replies(channel)) == 1
    assert "bright dance" in result


def test_the_pace_is_one_edit_in_two_seconds():
    assert PACE == 2


async def test_several_links_get_one_reply_with_a_part_each(room, sim):
    channel, ann = room
    await ann.send(channel, f"{VIDEO} and {OTHER}, and {VIDEO} once more")
    (reply,) = replies(channel)
    assert [embed.title for embed in reply.embeds] == ["Artist 1 – Song 1", "Artist 2 – Song 2"]
    assert [job.reply["part"] for job in sim.jobs.values()] == [0, 1]


async def test_more_links_than_are_taken_at_once_are_left_out_and_that_is_said(room, sim):
    channel, ann = room
    await ann.send(channel, " ".join(f"https://youtu.be/many{n:07d}" for n in range(links.MOST + 3)))
    (reply,) = replies(channel)
    assert len(sim.jobs) == links.MOST == len(reply.embeds)
    assert reply.embeds[-1].footer.text == text.links_left_out(3)
    assert sum(len(embed) for embed in reply.embeds) <= 6000


async def test_an_error_is_its_sentence_with_its_code(room, sim):
    channel, ann = room
    sim.troubles[VIDEO] = Private()
    await ann.send(channel, f"{VIDEO} {OTHER}")
    (reply,) = replies(channel)
    failed, answered = reply.embeds
    assert "That video is private." in failed.description
    assert "(`private`)" in failed.description
    assert answered.title == "Artist 2 – Song 2"


async def test_an_unexpected_error_is_a_code_that_the_log_has_too(room, sim, caplog):
    channel, ann = room
    sim.troubles[VIDEO] = ZeroDivisionError("secret detail")
    await ann.send(channel, VIDEO)
    (embed,) = replies(channel)[0].embeds
    assert "secret" not in embed.description
    code = embed.description.split("`")[1]
    assert code.startswith("unexpected-")
    (record,) = [r for r in caplog.records if r.exc_info and code in r.getMessage()]
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_link_that_is_refused_at_once_is_said_so(room, sim):
    channel, ann = room
    sim.trouble = BotCheck()
    await ann.send(channel, VIDEO)
    (embed,) = replies(channel)[0].embeds
    assert "(`bot-check`)" in embed.description


@pytest.mark.parametrize(
    "content",
    ["hello", "https://example.com/watch?v=clip0000001", "https://www.youtube.com/playlist?list=PL0123456789"],
)
async def test_a_message_without_a_clip_is_left_alone(room, sim, content):
    channel, ann = room
    await ann.send(channel, content)
    assert not replies(channel)
    assert not sim.jobs


async def test_other_bots_are_ignored(room, simcord_env, sim):
    channel, ann = room
    robot = ann.guild.add_member(simcord_env.create_user("robot", bot=True))
    await robot.send(channel, VIDEO)
    assert not replies(channel) or replies(channel)[0].author.id == robot.id
    assert not sim.jobs


async def test_each_guild_has_its_own_community_and_so_has_a_direct_message(simcord_env, sim):
    ann = simcord_env.create_user("ann")
    guild = simcord_env.create_guild()
    await guild.add_member(ann).send(guild.create_text_channel("a"), VIDEO)
    await ann.send_dm(VIDEO)
    assert [job.community for job in sim.jobs.values()] == [str(guild.id), f"dm-{ann.id}"]
    assert community(None, 7) == "dm-7"
    assert community(5, 7) == "5"
    (reply,) = [m for m in ann.dm_channel.history() if m.author.bot]
    assert reply.embeds[0].url == VIDEO


async def test_without_permission_to_write_nothing_is_taken(simcord_env, sim):
    guild = simcord_env.create_guild()
    deny = discord.PermissionOverwrite(send_messages=False)
    channel = guild.create_text_channel("quiet", overwrites={guild.me: deny})
    ann = guild.add_member(simcord_env.create_user("ann"))
    await ann.send(channel, VIDEO)
    assert not replies(channel)
    assert not sim.jobs


async def test_without_permission_to_embed_the_same_is_said_in_words(simcord_env, sim):
    guild = simcord_env.create_guild()
    sim.shelves[str(guild.id)] = [clip(n) for n in range(1, 9)]
    deny = discord.PermissionOverwrite(embed_links=False, read_message_history=False)
    channel = guild.create_text_channel("plain", overwrites={guild.me: deny})
    ann = guild.add_member(simcord_env.create_user("ann"))
    await ann.send(channel, VIDEO)
    (reply,) = replies(channel)
    assert not reply.embeds
    assert not reply.reference
    assert reply.content.startswith("**Artist 1 – Song 1**")
    assert "**5** ·" in reply.content


async def test_a_reply_that_is_deleted_meanwhile_is_not_written_again(room, sim, simcord_env):
    channel, ann = room
    sim.pause = 30
    message = await ann.send(channel, VIDEO)
    mod = ann.guild.add_member(
        simcord_env.create_user("mod"), roles=[ann.guild.create_role("m", permissions=discord.Permissions.all())]
    )
    await mod.delete(replies(channel)[0])
    await mod.delete(message)
    await simcord_env.advance_time(600)
    assert not replies(channel)
    (job,) = sim.jobs.values()
    assert job.state == "done"  # the clip is in the library all the same


async def test_a_passing_failure_of_discord_does_not_lose_the_result(room, sim, simcord_env):
    channel, ann = room
    simcord_env.inject_error("PATCH", "/channels/*/messages/*", status=500, times=2)
    await ann.send(channel, VIDEO)
    await simcord_env.advance_time(600)
    (reply,) = replies(channel)
    assert reply.embeds[0].title == "Artist 1 – Song 1"


async def test_a_title_can_neither_ping_nor_format(room, sim, simcord_env):
    channel, ann = room
    sim.shelves[str(ann.guild.id)] = [
        clip(1, f"@everyone <@{ann.id}> [click](https://evil.example) **bold** `code`\n# big", artist=None),
        clip(2, "||spoiler|| @here", artist=None),
    ]
    await ann.send(channel, VIDEO)
    (reply,) = replies(channel)
    assert not reply.mention_everyone
    assert not reply.mentions
    written = [r.json for r in simcord_env.http_requests if r.json and isinstance(r.json, dict) and "embeds" in r.json]
    assert all(one["allowed_mentions"]["parse"] == [] for one in written if "allowed_mentions" in one)
    assert any("allowed_mentions" in one for one in written)
    assert "](https://evil" not in str(reply.embeds[0].to_dict())
    assert "@everyone" not in reply.embeds[0].title


async def test_after_a_restart_the_same_reply_is_edited(room, sim, simcord_env):
    channel, ann = room
    sim.pause = 100
    await ann.send(channel, f"{VIDEO} {OTHER}")
    (before,) = replies(channel)
    assert not before.embeds[0].title
    sim.pause = 0
    await simcord_env.restart_bot(Bot(sim, settings.load(workers=2)))
    await simcord_env.advance_time(100)
    (after,) = replies(channel)
    assert after.id == before.id
    assert [embed.title for embed in after.embeds] == ["Artist 1 – Song 1", "Artist 2 – Song 2"]
    assert sim.begun == [1, 2, 1, 2]


async def test_a_row_that_was_left_before_the_reply_was_written_gets_one(room, sim, simcord_env):
    channel, ann = room
    await sim.accept(
        VIDEO,
        community=str(ann.guild.id),
        requester=str(ann.id),
        reply={"channel": channel.id, "message": None, "to": None},
    )
    await sim.accept(OTHER, community="home", requester=None, reply={})  # nobody waits for it in a chat
    await simcord_env.restart_bot(Bot(sim, settings.load(workers=2)))
    (reply,) = replies(channel)
    assert reply.embeds[0].title == "Artist 1 – Song 1"
    assert sim.begun == [1]


async def test_of_a_reply_half_done_the_finished_half_stays(room, sim, simcord_env):
    channel, ann = room
    await ann.send(channel, f"{VIDEO} {OTHER}")
    sim.jobs[2].state = "queued"
    await simcord_env.restart_bot(Bot(sim, settings.load(workers=2)))
    (reply,) = replies(channel)
    assert [embed.title for embed in reply.embeds] == ["Artist 1 – Song 1", "Artist 2 – Song 2"]
    assert sim.begun == [1, 2, 2]


async def test_a_failing_registration_of_commands_does_not_stop_the_bot(sim, simcord_env, room, caplog):
    channel, ann = room
    simcord_env.inject_error("PUT", "/applications/*/commands", status=400)
    await simcord_env.restart_bot(Bot(sim, settings.load(workers=2)))
    assert any("could not be registered" in r.getMessage() for r in caplog.records)
    await ann.send(channel, VIDEO)
    assert replies(channel)[0].embeds[0].title


async def test_communities_take_turns_and_each_is_served_in_order():
    turns, done = Turns(1), []

    async def work(name: str) -> None:
        done.append(name)
        if name == "b1":
            raise ValueError("what one piece raises does not stop the others")

    for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
        turns.submit(name[0], partial(work, name))
    assert (turns.running, turns.waiting) == (1, 5)
    while turns.running:  # noqa: ASYNC110 - each turn of the loop is a step
        await asyncio.sleep(0)
    assert done == ["a1", "b1", "c1", "a2", "b2", "a3"]
    await turns.close()
    turns.submit("a", partial(work, "late"))
    assert turns.running == 0


async def test_one_guilds_many_links_do_not_starve_anothers_first(sim, simcord_env):
    sim.pause = 20
    rooms = []
    for name in ("crowd", "calm"):
        guild = simcord_env.create_guild(name)
        rooms.append((guild.create_text_channel("music"), guild.add_member(simcord_env.create_user(name))))
    (crowd, ann), (calm, bea) = rooms
    for n in range(4):
        await ann.send(crowd, " ".join(f"https://youtu.be/crowd{n}{m:05d}" for m in range(5)))
    await bea.send(calm, VIDEO)
    while 21 not in sim.begun:
        assert len(sim.begun) < 20
        await simcord_env.advance_time(20)
    assert len(sim.begun) <= 9  # four at once, one more round, and not behind twenty
    await simcord_env.advance_time(1000)
    assert len(set(sim.begun)) == 21
