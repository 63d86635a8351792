"""The slash commands and the message menu, each in its variants, as real discord.py interactions."""

from __future__ import annotations

from dataclasses import replace

import discord
import pytest

from bot import render
from bot.client import Bot
from bot.text import ENGLISH as text
from clipsim import settings
from clipsim.errors import IndexUnavailable, NetworkDown
from tests.doubles.sim import SimDouble, clip

pytestmark = [pytest.mark.simcord(settle_timeout=15), pytest.mark.usefixtures("stretched")]

VIDEO = "https://www.youtube.com/watch?v=clip0000001"
NEW = "https://www.youtube.com/watch?v=newclip0001"
CHOICES = {"everything": "all", "sound": "audio", "look": "video", "words": "lyrics"}


@pytest.fixture
async def room(simcord_env, sim):
    guild = simcord_env.create_guild()
    sim.shelves[str(guild.id)] = [clip(n) for n in range(1, 13)]
    channel = guild.create_text_channel("music")
    return channel, guild.add_member(simcord_env.create_user("ann"))


def asked(sim: SimDouble, name: str) -> list:
    return [what for called, what in sim.called if called == name]


async def test_the_commands_have_the_names_and_options_of_the_design(simcord_env, simcord_bot):
    commands = {
        command.name: command for command in simcord_bot.tree.get_commands(type=discord.AppCommandType.chat_input)
    }
    discovery = {"playlist", "path", "mix", "find", "surprise", "map"}
    assert set(commands) == {"similar", "cluster", "library", "forget", "settings", "help"} | discovery
    similar = commands["similar"]
    assert [option.name for option in similar.parameters] == ["clip", "count", "by"]
    assert {choice.name: choice.value for choice in similar.parameters[2].choices} == CHOICES
    assert [option.name for option in commands["cluster"].parameters] == ["clip"]
    names = {name: [option.name for option in commands[name].parameters] for name in discovery}
    assert names == {
        **{"playlist": ["clip", "count"], "path": ["start", "end"], "mix": ["add", "less"]},
        **{"find": ["words"], "surprise": [], "map": []},
    }
    (menu,) = simcord_bot.tree.get_commands(type=discord.AppCommandType.message)
    assert menu.name == "Find similar clips"
    assert set(text.BY) == set(CHOICES.values())


async def test_similar_by_a_completed_id(room, sim, simcord_env):
    channel, ann = room
    result = await ann.slash(channel, "similar", clip="clip0000003")
    (acknowledged,) = [r.json for r in simcord_env.http_requests if r.path.endswith("/callback")]
    assert acknowledged["type"] == discord.InteractionResponseType.deferred_channel_message.value
    assert not result.ephemeral
    (embed,) = result.response.embeds
    assert embed.title == "Artist 3 – Song 3"
    assert embed.description.count("](https://www.youtube.com/watch?v=") == 5
    assert asked(sim, "find") == [("clip0000003", str(ann.guild.id))]


@pytest.mark.parametrize(("by", "way"), CHOICES.items())
async def test_similar_by_each_choice_and_count(room, sim, by, way):
    channel, ann = room
    shelf = sim.shelves[str(ann.guild.id)]
    shelf[1] = replace(shelf[1], modalities=("audio", "video", "lyrics"))
    result = await ann.slash(channel, "similar", clip="Song 2", count=7, by=CHOICES[by])
    (embed,) = result.response.embeds
    assert "**7** ·" in embed.description
    assert "**8** ·" not in embed.description
    assert asked(sim, "query") == [(shelf[1], 7 + 1, way, str(ann.guild.id))]  # one more: is there another page?
    assert (text.compared_by(way) in embed.description) if way != "all" else ("alone" not in embed.description)


async def test_similar_has_bounds_on_count(room):
    channel, ann = room
    with pytest.raises(Exception, match="count"):
        await ann.slash(channel, "similar", clip="Song 2", count=11)


async def test_an_error_is_for_the_asker_alone_and_leaves_nothing_in_the_channel(room):
    channel, ann = room
    result = await ann.slash(channel, "similar", clip="no such song")
    assert result.response is None  # the public "thinking…" is gone
    (whisper,) = result.followups
    assert whisper.ephemeral
    assert whisper.content.endswith("(`unknown-clip`)")
    assert text.HINTS["unknown-clip"] in whisper.content


async def test_a_missing_modality_is_said(room):
    channel, ann = room
    result = await ann.slash(channel, "similar", clip="Song 2", by="lyrics")
    assert "(`missing-modality`)" in result.followups[0].content


async def test_something_unexpected_is_a_code_that_the_log_has_too(room, sim, caplog):
    channel, ann = room
    sim.trouble = RuntimeError("secret detail")
    result = await ann.slash(channel, "similar", clip="Song 2")
    (whisper,) = result.followups
    assert whisper.ephemeral
    assert "secret" not in whisper.content
    code = whisper.content.split("`")[1]
    assert any(code in record.getMessage() and record.exc_info for record in caplog.records)


async def test_similar_with_a_link_adds_it_first_and_answers_in_the_response(room, sim):
    channel, ann = room
    result = await ann.slash(channel, "similar", clip=f"look: <{NEW}>", count=3, by="video")
    (job,) = sim.jobs.values()
    assert job.source == NEW
    assert job.state == "done"
    assert job.reply["message"] == result.response.id
    assert (job.reply["k"], job.reply["by"]) == (3, "video")
    (embed,) = result.response.embeds
    assert embed.url == NEW
    assert "**3** ·" in embed.description
    assert text.compared_by("video") in embed.description
    assert len(channel.history()) == 1


@pytest.mark.parametrize("pause", [174, 200])  # five stages: 14.5 minutes, when the token is about to die; and 16.7
async def test_a_link_that_outlasts_the_token_is_answered_by_an_ordinary_message(room, sim, simcord_env, pause):
    channel, ann = room
    sim.pause = pause
    result = await ann.slash(channel, "similar", clip=NEW)
    await simcord_env.advance_time(30)
    assert "**fetching**" in result.response.embeds[0].description
    await simcord_env.advance_time(2.4 * pause)
    assert "**reading**" in result.response.embeds[0].description
    assert len(channel.history()) == 1
    await simcord_env.advance_time(600)
    first, ordinary = channel.history()
    assert first.id == result.response.id
    assert ordinary.embeds[0].url == NEW
    assert ordinary.author.bot


async def test_after_a_restart_the_response_to_a_command_is_edited(room, sim, simcord_env):
    channel, ann = room
    sim.pause = 100
    result = await ann.slash(channel, "similar", clip=NEW, count=2)
    sim.pause = 0
    await simcord_env.restart_bot(Bot(sim, settings.load()))
    await simcord_env.advance_time(50)
    (message,) = channel.history()
    assert message.id == result.response.id
    assert message.embeds[0].url == NEW
    assert "**2** ·" in message.embeds[0].description
    assert "**3** ·" not in message.embeds[0].description


@pytest.mark.parametrize(
    ("link", "code"),
    [
        ("https://www.youtube.com/playlist?list=PL0123456789", "unknown-link"),
        ("https://evil.example/v.mp4", "host-not-allowed"),
        ("file:///etc/passwd", "unknown-link"),
        ("/etc/passwd", "unknown-clip"),
    ],
)
async def test_a_link_that_is_none_and_a_path_are_refused(room, sim, link, code):
    channel, ann = room
    result = await ann.slash(channel, "similar", clip=link)
    assert f"(`{code}`)" in result.followups[0].content
    assert not sim.jobs


async def test_a_link_that_fails_says_why_in_the_response(room, sim):
    channel, ann = room
    sim.troubles[NEW] = NetworkDown()
    result = await ann.slash(channel, "similar", clip=NEW)
    assert "(`network`)" in result.response.embeds[0].description


async def test_completion_offers_at_most_25_that_fit(room, sim):
    channel, ann = room
    sim.shelves[str(ann.guild.id)] = [clip(n, f"Tune {n}") for n in range(60)] + [clip(99, "Else")]
    offered = await ann.autocomplete(channel, "similar", "clip", "tune")
    assert len(offered) == 25
    assert offered[0] == {"name": "Artist 0 – Tune 0", "value": "clip0000000"}
    assert await ann.autocomplete(channel, "cluster", "clip", "else") == [
        {"name": "Artist 99 – Else", "value": "clip0000099"}
    ]
    assert await ann.autocomplete(channel, "similar", "clip", "nothing like it") == []


async def test_completion_keeps_names_short_apart_and_visible(room, sim):
    channel, ann = room
    long = "very " * 60
    sim.shelves[str(ann.guild.id)] = [clip(n, long, artist=None) for n in (1, 2)] + [
        clip(3, "\u200b\u202e", artist=None)
    ]
    offered = await ann.autocomplete(channel, "similar", "clip", "")
    names = [choice["name"] for choice in offered]
    assert len(set(names)) == 3
    assert all(1 <= len(name) <= 100 for name in names)
    assert names[1].endswith("(clip0000002)")
    assert names[2] == text.UNTITLED


async def test_completion_never_fails(room, sim):
    channel, ann = room
    sim.trouble = IndexUnavailable()
    assert await ann.autocomplete(channel, "similar", "clip", "x") == []


async def test_a_community_sees_its_own_clips_only(room, simcord_env, sim):
    _ = room
    other = simcord_env.create_guild("other")
    elsewhere = other.create_text_channel("elsewhere")
    bea = other.add_member(simcord_env.create_user("bea"))
    result = await bea.slash(elsewhere, "similar", clip="clip0000003")
    assert "(`unknown-clip`)" in result.followups[0].content
    assert await bea.autocomplete(elsewhere, "similar", "clip", "Song") == []
    assert text.NOTHING_YET in (await bea.slash(elsewhere, "library")).response.embeds[0].description


async def test_commands_in_a_direct_message(simcord_env, sim):
    ann = simcord_env.create_user("ann")
    sim.shelves[f"dm-{ann.id}"] = [clip(n) for n in range(1, 5)]
    result = await ann.slash("similar", clip="Song 2")
    assert result.response.embeds[0].title == "Artist 2 – Song 2"


async def test_cluster_of_a_clip(room, sim):
    channel, ann = room
    result = await ann.slash(channel, "cluster", clip="Song 2")
    (embed,) = result.response.embeds
    assert embed.title == "Artist 2 – Song 2"
    assert embed.description.startswith("**bright dance** · 12 clips")
    assert "[Artist 1 – Song 1]" in embed.description
    assert "[Artist 2 – Song 2]" not in embed.description
    assert embed.description.endswith(text.more(1))


async def test_cluster_without_a_clip_lists_all(room):
    channel, ann = room
    (embed,) = (await ann.slash(channel, "cluster")).response.embeds
    assert embed.title == text.CLUSTERS_TITLE
    assert "**group 1** · 6 clips" in embed.description
    assert "**group 2** · 6 clips" in embed.description


async def test_cluster_of_a_link(room, sim):
    channel, ann = room
    result = await ann.slash(channel, "cluster", clip=NEW)
    assert sim.jobs[1].reply["show"] == "cluster"
    assert result.response.embeds[0].description.startswith("**bright dance** · 13 clips")


async def test_cluster_where_there_are_too_few(room, sim):
    channel, ann = room
    shelf = sim.shelves[str(ann.guild.id)]
    del shelf[1:]
    result = await ann.slash(channel, "cluster", clip="Song 1")
    assert result.response.embeds[0].description == text.NO_CLUSTER
    shelf.clear()
    assert "(`empty`)" in (await ann.slash(channel, "cluster")).followups[0].content


async def test_library(room):
    channel, ann = room
    (embed,) = (await ann.slash(channel, "library")).response.embeds
    assert "Clips here: **12**" in embed.description
    assert "[Artist 5 – Song 5]" in embed.description
    assert "Song 6]" not in embed.description
    assert f"Compared by: **{text.METHODS['raw']}**" in embed.description
    assert "being worked on" not in embed.description


async def test_library_tells_of_links_being_worked_on(room, sim):
    channel, ann = room
    sim.pause = 100
    await ann.send(channel, f"{VIDEO} {NEW}")
    assert "Links being worked on: **2**" in (await ann.slash(channel, "library")).response.embeds[0].description


async def test_the_menu_answers_a_messages_links(room, sim):
    channel, ann = room
    before = len(channel.history())
    message = await ann.send(channel, f"{VIDEO} and {NEW}")
    sim.jobs.clear()
    result = await ann.context_menu(channel, text.SIMILAR_MENU, message)
    assert [embed.url for embed in result.response.embeds] == [VIDEO, NEW]
    assert len(channel.history()) == before + 3  # the message, its reply, and the menu's


async def test_the_menu_on_the_bots_own_answer_takes_the_clip_it_shows(room, sim):
    channel, ann = room
    answer = (await ann.slash(channel, "similar", clip="clip0000003")).response.message
    result = await ann.context_menu(channel, text.SIMILAR_MENU, answer)
    assert result.response.embeds[0].title == "Artist 3 – Song 3"


async def test_the_menu_on_a_message_without_a_link(room):
    channel, ann = room
    result = await ann.context_menu(channel, text.SIMILAR_MENU, await ann.send(channel, "hello"))
    assert text.NO_LINK in result.followups[0].content
    assert result.response is None


async def test_help(room):
    channel, ann = room
    result = await ann.slash(channel, "help")
    assert result.ephemeral
    (embed,) = result.response.embeds
    for command in ("/similar clip count by", "/cluster clip", "/library", "Find similar clips"):
        assert command in embed.description
    assert text.HELP_PASTE in embed.description


async def test_oversized_input_is_refused_by_discord_or_answered_with_a_sentence(room, sim):
    channel, ann = room
    with pytest.raises(Exception, match="clip"):
        await ann.slash(channel, "similar", clip="x" * 1001)
    sim.shelves[str(ann.guild.id)] = [clip(n, "**" * 4000, artist="[](" * 900) for n in range(1, 13)]
    result = await ann.slash(channel, "similar", clip="clip0000001", count=10)
    assert len(result.response.embeds[0]) <= 6000
    assert "**10** ·" in result.response.embeds[0].description


async def test_discord_failing_to_take_the_answer_is_logged_not_raised(room, simcord_env, caplog):
    channel, ann = room
    simcord_env.inject_error("PATCH", "/webhooks/*/messages/@original", status=400)
    result = await ann.slash(channel, "similar", clip="Song 2")
    assert result.followups[0].content.split("`")[1].startswith("unexpected-")


async def test_an_interaction_that_came_too_late_is_logged_and_left(room, simcord_env, caplog):
    channel, ann = room
    simcord_env.inject_error("POST", "/interactions/*/callback", status=404, code=10062)
    result = await ann.slash(channel, "similar", clip="Song 2")
    assert not result.followups
    assert any("too late" in record.getMessage() for record in caplog.records)
    assert [type(error.original) for error in simcord_env.errors] == [discord.NotFound]


# Without the message-content intent


@pytest.fixture
def blind(sim: SimDouble) -> Bot:
    return Bot(sim, settings.load(), message_content=False)


@pytest.mark.simcord(settle_timeout=15, approved_intents=discord.Intents.none())
class TestWithoutMessageContent:
    @pytest.fixture
    def simcord_bot(self, blind: Bot) -> Bot:
        return blind

    async def test_pasted_links_go_unseen_but_commands_and_the_menu_work(self, room, sim, simcord_env):
        channel, ann = room
        message = await ann.send(channel, VIDEO)
        assert not sim.jobs
        assert "(`" not in (await ann.slash(channel, "similar", clip="Song 2")).response.embeds[0].description
        result = await ann.context_menu(channel, text.SIMILAR_MENU, message)
        assert result.response.embeds[0].url == VIDEO

    async def test_help_says_so(self, room):
        channel, ann = room
        (embed,) = (await ann.slash(channel, "help")).response.embeds
        assert text.HELP_NO_CONTENT in embed.description
        assert text.HELP_PASTE not in embed.description

    async def test_a_mention_and_a_direct_message_are_read(self, room, sim, simcord_env, simcord_bot):
        channel, ann = room
        await ann.send(channel, f"<@{simcord_bot.user.id}> {VIDEO}")
        await ann.send_dm(VIDEO)
        assert len(sim.jobs) == 2


async def test_asking_for_an_intent_that_is_not_granted_is_discord_pys_own_error(sim):
    import simcord

    with pytest.raises(discord.PrivilegedIntentsRequired):
        async with simcord.run(Bot(sim, settings.load()), approved_intents=discord.Intents.none()):
            pass


def test_choices_are_the_names_people_use():
    assert render.choice(text, clip(1)) == "Artist 1 – Song 1"
    assert {name: value for value, name in text.BY.items()} == CHOICES
