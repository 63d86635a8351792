"""`/settings`, and what follows from each choice: real discord.py; selects, buttons, modals as Discord sends them."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import pytest
import simcord

from bot import guilds
from bot.client import Bot
from bot.guilds import BOUNDS, DEFAULT, Guild
from bot.places import DONE, FAILED, SEEN
from bot.text import ENGLISH as text
from bot.text import GERMAN
from clipsim import settings
from clipsim.errors import DiskFull, Private
from clipsim.model import Post
from tests.doubles.sim import SimDouble, clip

pytestmark = [pytest.mark.simcord(settle_timeout=15), pytest.mark.usefixtures("stretched")]

VIDEO = "https://www.youtube.com/watch?v=clip0000001"
NEW = "https://www.youtube.com/watch?v=newclip0001"


class Room:
    """A guild with a channel, a manager and a member."""

    def __init__(self, env: Any, sim: SimDouble) -> None:
        self.env, self.sim = env, sim
        self.guild = env.create_guild()
        self.community = str(self.guild.id)
        sim.shelves[self.community] = [clip(n) for n in range(1, 9)]
        self.channel = self.guild.create_text_channel("music")
        managing = self.guild.create_role("managers", permissions=discord.Permissions(manage_guild=True))
        self.role = self.guild.create_role("curators")
        self.boss = self.guild.add_member(env.create_user("boss"), roles=[managing])
        self.ann = self.guild.add_member(env.create_user("ann"))

    async def open(self) -> simcord.InteractionResult:
        return await self.boss.slash(self.channel, "settings")

    async def choose(self, **values: Any) -> None:
        """As if it had been chosen before the bot was started."""
        given = Guild(**values).stored()
        self.sim.chosen[self.community] = given
        await self.env.restart_bot(Bot(self.sim, settings.load(workers=2)))  # type: ignore[arg-type]

    @property
    def kept(self) -> Guild:
        return Guild.read(self.sim.chosen.get(self.community, {}))

    def replies(self, channel: Any = None) -> list[discord.Message]:
        return [message for message in (channel or self.channel).history() if message.author.bot]

    def reactions(self, message: discord.Message) -> list[str]:
        (found,) = [each for each in self.channel.history() if each.id == message.id]
        return [str(reaction.emoji) for reaction in found.reactions]


@pytest.fixture
async def room(simcord_env, sim) -> Room:
    return Room(simcord_env, sim)


def shown(result: simcord.InteractionResult) -> str:
    return result.response.embeds[0].description


# The message


async def test_it_shows_everything_and_only_to_who_asked(room: Room) -> None:
    result = await room.open()
    assert result.ephemeral
    (embed,) = result.response.embeds
    for name in text.SETTING.values():
        assert name in embed.description
    assert text.ALL_CHANNELS in embed.description
    assert f"{text.SETTING['count']}**: 5" in embed.description


async def test_each_select_is_kept_at_once_and_shown(room: Room) -> None:
    message = (await room.open()).response
    other = room.guild.create_text_channel("videos")
    await room.boss.select(message, [room.channel, other], custom_id="settings:channels")
    assert room.kept.channels == (room.channel.id, other.id)
    result = await room.boss.select(message, ["thread"], custom_id="settings:answer")
    assert room.kept.answer == "thread"
    result = await room.boss.select(message, ["managers"], custom_id="settings:may_add")
    assert room.kept.may_add == "managers"
    result = await room.boss.select(message, [room.role], custom_id="settings:role")
    assert (room.kept.may_add, room.kept.role) == ("role", room.role.id)
    assert result.response is None or result.response.id == message.id  # still the one message
    said = message.message.embeds[0].description
    assert f"<#{other.id}>" in said
    assert text.ANSWERS["thread"] in said
    assert f"<@&{room.role.id}>" in said
    await room.boss.select(message, [], custom_id="settings:channels")
    assert room.kept.channels == ()
    await room.boss.select(message, [], custom_id="settings:role")
    assert room.kept.role is None
    assert text.NO_ROLE in message.message.embeds[0].description


async def test_each_button(room: Room) -> None:
    message = (await room.open()).response
    languages = []
    for _ in range(3):
        await room.boss.click(message, custom_id="settings:language")
        languages.append(room.kept.language)
    assert languages == ["en", "de", "auto"]
    await room.boss.click(message, custom_id="settings:most")
    assert room.kept.most
    await room.boss.click(message, custom_id="settings:most")
    assert not room.kept.most


async def test_the_shared_library_is_joined_only_after_a_question(room: Room) -> None:
    message = (await room.open()).response
    await room.boss.click(message, custom_id="settings:shared")
    assert not room.kept.shared
    assert message.message.embeds[0].description == text.SHARE_ASK
    await room.boss.click(message, custom_id="settings:stay")
    assert not room.kept.shared
    assert text.SETTING["answer"] in message.message.embeds[0].description
    await room.boss.click(message, custom_id="settings:shared")
    await room.boss.click(message, custom_id="settings:join")
    assert room.kept.shared
    assert ("share", (room.community, True)) in room.sim.called
    await room.boss.click(message, custom_id="settings:shared")
    assert not room.kept.shared
    assert ("share", (room.community, False)) in room.sim.called


async def test_numbers_are_typed_in(room: Room) -> None:
    message = (await room.open()).response
    asked = await room.boss.click(message, custom_id="settings:numbers")
    assert asked.modal
    typed = {"count": "3", "per_user": "10", "per_guild": "100", "playlist": "0"}
    await room.boss.submit_modal(asked, typed)
    assert {name: getattr(room.kept, name) for name in BOUNDS} == {name: int(value) for name, value in typed.items()}
    assert text.NOT_OFFERED in message.message.embeds[0].description


@pytest.mark.parametrize(("name", "typed"), [("count", "11"), ("count", "0"), ("count", "x"), ("per_user", "-1")])
async def test_a_number_that_cannot_be_is_refused_and_nothing_is_kept(room: Room, name: str, typed: str) -> None:
    message = (await room.open()).response
    asked = await room.boss.click(message, custom_id="settings:numbers")
    good = {"count": "3", "per_user": "10", "per_guild": "100", "playlist": "7"}
    result = await room.boss.submit_modal(asked, good | {name: typed})
    assert text.between(name, *BOUNDS[name]) in result.response.content
    assert result.ephemeral
    assert room.kept == DEFAULT


async def test_it_works_after_a_restart(room: Room) -> None:
    message = (await room.open()).response
    await room.env.restart_bot(Bot(room.sim, settings.load(workers=2)))
    await room.boss.select(message, ["private"], custom_id="settings:answer")
    assert room.kept.answer == "private"
    assert text.ANSWERS["private"] in message.message.embeds[0].description


async def test_it_is_for_managers_only_as_discord_says_and_as_is_checked(room: Room) -> None:
    with pytest.raises(simcord.SetupError):
        await room.ann.slash(room.channel, "settings")  # Discord does not offer it
    message = (await room.open()).response
    await room.boss.select(message, ["private"], custom_id="settings:answer")
    managing = room.guild.roles["managers"]  # no manager any more, and the message is still open
    room.env.backend.remove_member_role(room.guild.id, room.boss.id, managing.id)
    result = await room.boss.select(message, ["quiet"], custom_id="settings:answer")
    assert text.MANAGERS_ONLY in result.response.content
    assert result.ephemeral
    assert room.kept.answer == "private"


async def test_what_the_library_cannot_keep_is_said_and_does_not_count(room: Room) -> None:
    message = (await room.open()).response
    room.sim.trouble = DiskFull()
    result = await room.boss.click(message, custom_id="settings:most")
    assert "(`disk-full`)" in result.followups[0].content
    room.sim.trouble = None
    assert not room.kept.most
    assert f"{text.SETTING['most']}**: {text.SWITCH[False]}" in shown(await room.open())


# What is kept


def test_what_is_kept_is_what_was_chosen() -> None:
    odd = Guild((1, 2), "thread", 3, "role", 7, 8, 9, 10, True, "de", True)
    assert all(getattr(odd, field.name) != field.default for field in fields(Guild))
    assert Guild.read(odd.stored()) == odd


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"channels": "all", "answer": "loudly", "count": 99, "may_add": None, "role": "x", "language": "xx"},
        {"channels": [1, "2"], "count": True, "per_user": -1, "per_guild": 1.5, "playlist": 10**9, "most": "yes"},
        {"shared": 1, "role": -5, "unknown": 1},
    ],
)
def test_what_makes_no_sense_counts_as_not_chosen(stored: dict[str, Any]) -> None:
    assert Guild.read(stored) == DEFAULT


async def test_a_value_that_cannot_be_is_refused(sim: SimDouble) -> None:
    known = guilds.Guilds(sim)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="count"):
        await known.change(1, count=0)
    assert sim.chosen == {}
    assert known.of(1) == DEFAULT


# What follows


async def test_only_the_channels_that_are_watched_are_answered(room: Room) -> None:
    other = room.guild.create_text_channel("talk")
    await room.choose(channels=(room.channel.id,))
    await room.ann.send(other, VIDEO)
    assert not room.replies(other)
    assert not room.sim.jobs
    await room.ann.send(room.channel, VIDEO)
    assert len(room.replies()) == 1


async def test_a_thread_of_a_watched_channel_is_watched() -> None:
    chosen = Guild(channels=(5,))
    assert chosen.watches(5)
    assert chosen.watches(77, 5)
    assert not chosen.watches(77, 6)
    assert not chosen.watches(6)


async def test_without_the_permission_for_threads_the_channel_is_answered(room: Room) -> None:
    await room.choose(answer="thread")
    deny = discord.PermissionOverwrite(create_public_threads=False)
    channel = room.guild.create_text_channel("flat", overwrites={room.guild.me: deny})
    await room.ann.send(channel, VIDEO)
    assert len(room.replies(channel)) == 1


async def test_privately_is_a_direct_message_for_links_and_a_whisper_for_commands(room: Room) -> None:
    await room.choose(answer="private")
    await room.ann.send(room.channel, VIDEO)
    assert not room.replies()
    (reply,) = room.replies(room.ann.user.dm_channel)
    assert reply.embeds[0].title == "Artist 1 – Song 1"
    result = await room.ann.slash(room.channel, "similar", clip="Song 2")
    assert result.ephemeral
    result = await room.ann.slash(room.channel, "similar", clip=NEW)
    assert result.ephemeral
    assert result.response.embeds[0].url == NEW
    assert not room.replies()


async def test_who_takes_no_direct_messages_is_answered_in_the_channel(room: Room) -> None:
    await room.choose(answer="private")
    room.env.inject_error("POST", "/channels/*/messages", status=403, code=50007)
    await room.ann.send(room.channel, VIDEO)
    (reply,) = room.replies()
    assert reply.embeds[0].title == "Artist 1 – Song 1"


async def test_a_private_answer_that_outlasts_the_process_and_its_interaction_is_a_direct_message(room: Room) -> None:
    await room.choose(answer="private")
    room.sim.pause = 100
    await room.ann.slash(room.channel, "similar", clip=NEW, count=2)
    room.sim.pause = 0
    room.env.inject_error("PATCH", "/webhooks/*/*/messages/*", status=404, code=10015)  # its token is too old
    await room.env.restart_bot(Bot(room.sim, settings.load(workers=2)))
    (reply,) = room.replies(room.ann.user.dm_channel)
    assert reply.embeds[0].url == NEW
    assert not room.replies()


async def test_quietly_is_a_reaction_and_the_menu_has_the_answer(room: Room) -> None:
    await room.choose(answer="quiet")
    room.sim.pause = 10
    message = await room.ann.send(room.channel, f"{VIDEO} {NEW}")
    assert room.reactions(message) == [SEEN]
    await room.env.advance_time(100)
    assert room.reactions(message) == [DONE]
    assert not room.replies()
    room.sim.pause = 0
    result = await room.ann.context_menu(room.channel, text.SIMILAR_MENU, message)
    assert [embed.url for embed in result.response.embeds] == [VIDEO, NEW]


async def test_quietly_after_a_restart_and_when_it_fails(room: Room) -> None:
    await room.choose(answer="quiet")
    room.sim.pause = 100
    message = await room.ann.send(room.channel, NEW)
    assert room.reactions(message) == [SEEN]
    room.sim.pause = 0
    room.sim.troubles[NEW] = Private()
    await room.env.restart_bot(Bot(room.sim, settings.load(workers=2)))
    assert room.reactions(message) == [FAILED]


async def test_the_number_of_results(room: Room) -> None:
    await room.choose(count=3)
    await room.ann.send(room.channel, VIDEO)
    assert "**3** ·" in room.replies()[0].embeds[0].description
    assert "**4** ·" not in room.replies()[0].embeds[0].description
    assert "**4** ·" not in shown(await room.ann.slash(room.channel, "similar", clip="Song 2"))
    assert "**6** ·" in shown(await room.ann.slash(room.channel, "similar", clip="Song 2", count=6))


async def test_the_language_of_replies(room: Room) -> None:
    await room.choose(language="de")
    await room.ann.send(room.channel, VIDEO)
    assert GERMAN.group(8) in room.replies()[0].embeds[0].description


@pytest.mark.parametrize("may_add", ["managers", "role"])
async def test_who_may_add(room: Room, may_add: Any) -> None:
    known = clip(1)
    room.sim.posts[room.community, known.id] = Post("5", datetime.now(UTC) - timedelta(days=40))
    await room.choose(may_add=may_add, role=room.role.id)
    await room.ann.send(room.channel, f"{NEW} {VIDEO}")
    refused, answered = room.replies()[0].embeds
    assert "(`not-permitted`)" in refused.description
    assert (f"<@&{room.role.id}>" in refused.description) == (may_add == "role")
    assert answered.title == "Artist 1 – Song 1"  # what is here is for everyone
    result = await room.ann.slash(room.channel, "similar", clip=NEW)
    assert "(`not-permitted`)" in result.response.embeds[0].description
    assert [job.source for job in room.sim.jobs.values()] == [VIDEO]
    await room.boss.send(room.channel, NEW)
    curator = room.guild.add_member(room.env.create_user("curator"), roles=[room.role])
    other = NEW.replace("0001", "0002")
    await curator.send(room.channel, other)
    sources = [job.source for job in room.sim.jobs.values()]
    assert sources == [VIDEO, NEW, *([other] if may_add == "role" else [])]


async def test_a_days_limit_for_each_member(room: Room) -> None:
    await room.choose(per_user=2)
    links = [NEW.replace("0001", f"000{n}") for n in range(5)]
    await room.ann.send(room.channel, " ".join(links[:3]))
    first, second, third = room.replies()[0].embeds
    assert first.url == links[0]
    assert second.url == links[1]
    assert "(`daily-limit`)" in third.description
    assert text.daily_limit(2, "<t:", False).split("<t:")[0] in third.description
    assert ":R>" in third.description  # when there is room again, as Discord shows it
    await room.boss.send(room.channel, links[3])  # somebody else's day is their own
    assert room.replies()[1].embeds[0].url == links[3]
    for job in room.sim.jobs.values():
        job.created -= timedelta(days=4000)  # simcord's clock is another one
    await room.ann.send(room.channel, links[4])
    assert room.replies()[2].embeds[0].url == links[4]


async def test_a_days_limit_for_all_together_does_not_count_what_is_known_or_failed(room: Room) -> None:
    known = clip(1)
    room.sim.posts[room.community, known.id] = Post("5", datetime.now(UTC))
    await room.choose(per_guild=1)
    bad = NEW.replace("0001", "0009")
    room.sim.troubles[bad] = Private()
    for link in (VIDEO, bad, VIDEO, NEW):
        await room.ann.send(room.channel, link)
    assert "(`private`)" in room.replies()[1].embeds[0].description
    assert room.replies()[3].embeds[0].url == NEW
    await room.boss.send(room.channel, NEW.replace("0001", "0002"))
    assert "(`daily-limit`)" in room.replies()[4].embeds[0].description
    assert text.daily_limit(1, "", True)[:15] in room.replies()[4].embeds[0].description


async def test_in_a_direct_message_everything_is_as_usual(simcord_env, sim) -> None:
    ann = simcord_env.create_user("ann")
    await ann.send_dm(VIDEO)
    (reply,) = [m for m in ann.dm_channel.history() if m.author.bot]
    assert reply.embeds[0].url == VIDEO
    with pytest.raises(simcord.SetupError):
        await ann.slash("settings")
