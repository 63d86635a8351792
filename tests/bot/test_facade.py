"""The same commands on the real façade: real library, index, fetching and workers; only the networks are small ones.

`tests/doubles/sim.py` stands for the façade in the other tests; here the bot meets the façade itself, by Discord on the
wire and real yt-dlp from a local server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import discord
import pytest
import pytest_asyncio
import yarl

from bot.client import Bot
from bot.text import ENGLISH as text
from clipsim import ClipSim, settings
from tests.doubles.discord import FakeDiscord
from tests.doubles.encoders import SMALL
from tests.doubles.media import make_clip
from tests.doubles.youtube import FakeYouTube

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

PATIENCE = 120  # seconds that a clip may take on a busy machine
IDS = [f"facade0000{n}" for n in range(5)]
LIST = "PLfacade0123456789"
HOSTILE = "Loud @everyone **[x](https://evil.example)** <@1>"


def watch(video: str) -> str:
    return f"https://www.youtube.com/watch?v={video}"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chat(tmp_path_factory) -> AsyncIterator[FakeDiscord]:
    """A guild whose library has three clips, pasted as links; a fourth is known to YouTube only."""
    folder = tmp_path_factory.mktemp("facade")
    patch = pytest.MonkeyPatch()
    with FakeYouTube() as youtube:
        for number, video in enumerate(IDS):
            media = make_clip(folder / f"{video}.mp4", rhythm=80 + 30 * number, tone=220 + 110 * number, seconds=3)
            title = HOSTILE if number == 1 else f"Song {number}"
            youtube.add(video, title=title, artist=f"Artist {number}", audio=media, video=media)
        youtube.add_playlist(LIST, [*IDS, "removedclip"], title="Everything")
        for name, value in youtube.environment().items():
            patch.setenv(name, value)
        given = settings.load(data=folder / "library", workers=1)
        async with FakeDiscord() as double, ClipSim.open(settings=given, preset=SMALL) as sim:
            patch.setattr(discord.http.Route, "BASE", f"{double.url}/api/v10")
            patch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(double.gateway_url))
            async with Bot(sim, given) as bot:
                task = asyncio.create_task(bot.start(double.token))
                await double.connected()
                message = await double.say("general", "ann", " ".join(map(watch, IDS[:3])))
                await double.wait_for_message(
                    lambda m: (
                        m.reference == message.id
                        and all(embed.get("title") and "⏳" not in embed["description"] for embed in m.embeds)
                    ),
                    PATIENCE,
                )
                yield double
                await bot.close()
                await asyncio.gather(task, return_exceptions=True)
            assert not double.failures
    patch.undo()


async def answered(chat: FakeDiscord, name: str, **options: object) -> str:
    """The text of the answer to a command, once it is there."""
    interaction = await chat.slash(name, **options)
    await chat.until(lambda: any(m.embeds or m.ephemeral for m in interaction.messages), PATIENCE)
    return interaction.messages[-1].text


async def test_pasted_links_are_answered_in_one_reply(chat):
    (reply,) = [message for message in chat.messages("general") if message.reference]
    assert len(reply.embeds) == 3
    # whichever was done first had nothing to be compared with
    assert sum("1** · [" in embed["description"] for embed in reply.embeds) >= 2


async def test_similar_and_its_completion(chat):
    (choice,) = await chat.autocomplete("similar", "clip", "song 2")
    assert choice == {"name": "Artist 2 – Song 2", "value": IDS[2]}
    said = await answered(chat, "similar", clip=IDS[2], count=2)
    assert said.startswith("Artist 2 – Song 2")
    assert "**1** · [Artist" in said
    assert "**2** · [Artist" in said
    assert f"({watch(IDS[0])})" in said
    assert f"({watch(IDS[2])})" not in said  # never the seed itself


@pytest.mark.parametrize("by", ["audio", "video"])
async def test_similar_by_one_modality(chat, by):
    said = await answered(chat, "similar", clip="Song 0", by=by)
    assert text.compared_by(by) in said
    assert "**2** · [Artist" in said


async def test_similar_by_words_where_there_are_none(chat):
    assert "(`missing-modality`)" in await answered(chat, "similar", clip="Song 0", by="lyrics")


async def test_an_unknown_title_and_a_path(chat, tmp_path):
    secret = make_clip(tmp_path / "secret.mp4", seconds=1)
    for clip in ("zzzzzz qqqqqq", str(secret)):
        assert "(`unknown-clip`)" in await answered(chat, "similar", clip=clip)


async def test_similar_with_a_new_link(chat):
    interaction = await chat.slash("similar", clip=watch(IDS[3]), count=1)
    await chat.until(lambda: any("Song 3" in m.text for m in interaction.messages), PATIENCE)
    assert "**1** · [Artist" in interaction.messages[0].text
    assert "**2** · [Artist" not in interaction.messages[0].text


async def test_a_link_that_youtube_does_not_know(chat):
    message = await chat.say("general", "ann", watch("nosuchvideo"))
    reply = await chat.wait_for_message(lambda m: m.reference == message.id and "(`" in m.text, PATIENCE)
    assert "(`removed`)" in reply.text


async def test_clusters(chat):
    said = await answered(chat, "cluster")
    assert text.CLUSTERS_TITLE in said
    assert "clip" in said
    assert "Song 0" in await answered(chat, "cluster", clip="Song 0")


async def test_a_repost_is_told_and_a_playlist_adds_what_is_new(chat):
    first = chat.messages("general")[0].reference
    message = await chat.say("general", "bob", watch(IDS[0]))
    reply = await chat.wait_for_message(lambda m: m.reference == message.id and "Artist 0 – Song 0" in m.text, PATIENCE)
    assert f"/{first})" in reply.text  # a link to the first post
    assert f"<@{chat.user('ann').id}>" in reply.text
    chat.user("boss").manager = True
    message = await chat.say("general", "boss", f"https://www.youtube.com/playlist?list={LIST}")
    offer = await chat.wait_for_message(lambda m: m.reference == message.id, PATIENCE)
    await chat.press(offer, f"playlist:add:{LIST}", author="boss")
    await chat.until(lambda: text.playlist_done(1, 1, 2, False) in offer.content, PATIENCE)
    assert "Everything" in offer.content
    used = await chat.slash("forget", clip=IDS[4], author="boss")
    assert (await chat.answered(used)).content == "Forgotten: Artist 4 – Song 4."


async def test_library(chat):
    said = await answered(chat, "library")
    assert "Clips here: **4**" in said
    assert "Song 2" in said


async def test_the_menu(chat):
    message = await chat.say("general", "bob", f"again {watch(IDS[0])}")
    interaction = await chat.message_menu(text.SIMILAR_MENU, message)
    await chat.until(lambda: any("Artist 0 – Song 0" in m.text for m in interaction.messages), PATIENCE)


async def test_a_hostile_title_is_shown_and_does_nothing(chat):
    said = await answered(chat, "similar", clip=IDS[1])
    assert "Loud" in said
    assert "@everyone" not in said
    assert "](https://evil" not in said
    assert "<@1>" not in said.replace("\\<@1", "")


async def test_every_interaction_was_acknowledged_in_time(chat):
    assert chat.interactions
    assert all(interaction.acknowledged is not None for interaction in chat.interactions.values())
