"""Buttons and selects on the wire: after a restart, for others, on a real library, and the picture's upload."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import discord
import pytest
import yarl

from bot.client import Bot
from bot.guilds import Guild
from bot.text import ENGLISH as text
from bot.text import GERMAN
from clipsim import ClipSim
from clipsim.library import Library
from clipsim.model import Clip
from tests.bot.wired import wired
from tests.doubles.discord import FakeDiscord, Interaction, Message
from tests.doubles.sim import SimDouble, clip
from tests.libraries import TINY, features, settings

WATCH = "https://www.youtube.com/watch?v="


@pytest.fixture
async def chat() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(buckets=False) as double:
        yield double


def parts(message: Message) -> list[dict[str, Any]]:
    return [part for row in message.components for part in row["components"]]


def named(message: Message, label: str) -> str:
    """The `custom_id` of a button."""
    return next(str(part["custom_id"]) for part in parts(message) if part.get("label") == label)


def select(message: Message, start: str) -> dict[str, Any]:
    return next(part for part in parts(message) if part.get("custom_id", "").startswith(start))


async def answered(chat: FakeDiscord, used: Interaction, what: str) -> Message:
    """The response once it says something."""
    await chat.until(lambda: any(what in message.text for message in used.messages))
    return next(message for message in used.messages if what in message.text)


async def pressed(chat: FakeDiscord, message: Message, label: str, what: str, author: str = "ann") -> Message:
    return await answered(chat, await chat.press(message, named(message, label), author=author), what)


# On a double of the library


async def test_everything_works_after_a_restart_of_the_process(chat: FakeDiscord, sim: SimDouble) -> None:
    sim.shelves[str(chat.guild)] = [clip(n) for n in range(1, 41)]
    async with wired(chat, sim):
        answer = await chat.answered(await chat.slash("similar", clip="Song 3"))
        listed = await chat.answered(await chat.slash("playlist", clip="Song 3", count=20))
        groups = await chat.answered(await chat.slash("cluster"))
        surprise = await chat.answered(await chat.slash("surprise"))
        pasted = await chat.say("general", "ann", f"{WATCH}newclip0001")
        reply = await chat.wait_for_message(lambda m: m.reference == pasted.id and m.components)
    async with wired(chat, sim):
        assert await pressed(chat, answer, "sound", text.compared_by("audio")) is answer
        assert await pressed(chat, listed, "▶", "**11** ·") is listed
        used = await chat.pick(groups, select(groups, "cluster:i:")["custom_id"], "2")
        assert await answered(chat, used, "**21 clips**") is groups
        assert [each["filename"] for each in groups.attachments] == ["map.png"]
        assert groups.embeds[0]["image"]["url"] == "attachment://map.png"
        assert await pressed(chat, groups, text.ALL_CLUSTERS, text.CLUSTERS_TITLE) is groups
        assert groups.attachments == []
        before = surprise.text
        await chat.press(surprise, named(surprise, text.ANOTHER))
        await chat.until(lambda: surprise.text != before)
        assert await pressed(chat, reply, "look", text.compared_by("video")) is reply
        used = await chat.pick(answer, select(answer, "similar:v:")["custom_id"], "up:clip0000001")
        await chat.until(lambda: select(answer, "similar:v:")["placeholder"] == "Your thumbs: 👍 2")
    assert [vote.result for vote in sim.thumbs.values()] == ["clip0000001"]
    posts = [call for call in chat.calls("PATCH /webhooks/{application}/{token}/messages/{message}") if call.files]
    assert [call.files for call in posts] == [["map.png"]]  # as multipart, beside the JSON
    assert all(used.acknowledged is not None for used in chat.interactions.values())


async def test_others_get_a_copy_that_only_they_see(chat: FakeDiscord, sim: SimDouble) -> None:
    sim.shelves[str(chat.guild)] = [clip(n) for n in range(1, 41)]
    async with wired(chat, sim):
        answer = await chat.answered(await chat.slash("similar", clip="Song 3"))
        states = len(answer.history)
        copy = await pressed(chat, answer, "sound", text.compared_by("audio"), author="ben")
        assert copy is not answer and copy.ephemeral
        assert len(answer.history) == states  # nothing changed for who asked
        assert await pressed(chat, copy, "▶", "**6** ·", author="ben") is copy
        listed = await chat.answered(await chat.slash("find", words="song"))
        copy = await pressed(chat, listed, "▶", "**11** ·", author="ben")
        assert copy.ephemeral and "**11** ·" not in listed.text


async def test_a_part_that_nobody_knows_says_what_to_do(chat: FakeDiscord, sim: SimDouble) -> None:
    sim.shelves[str(chat.guild)] = [clip(n) for n in range(1, 9)]
    chat.user("uwe").locale = "de"
    async with wired(chat, sim):
        answer = await chat.answered(await chat.slash("similar", clip="Song 3"))
        answer.components[0]["components"][1]["custom_id"] = "earlier:version"
        used = await chat.press(answer, "earlier:version", author="uwe")
        assert (await answered(chat, used, GERMAN.STALE_BUTTON)).ephemeral
        for wrong in ("similar:b:zz:clip0000003:colour:5:0", "list:q:zz:key:0", "similar:b:zz:../../etc:all:5:0"):
            answer.components[0]["components"][1]["custom_id"] = wrong
            assert await answered(chat, await chat.press(answer, wrong), text.STALE_BUTTON)
        answer.components[0]["components"][1]["custom_id"] = "similar:b:zz:nothing-here:all:5:0"
        used = await chat.press(answer, "similar:b:zz:nothing-here:all:5:0")
        assert (await answered(chat, used, "(`unknown-clip`)")).ephemeral


async def test_german_is_spoken_to_who_speaks_it(chat: FakeDiscord, sim: SimDouble) -> None:
    sim.shelves[str(chat.guild)] = [clip(n) for n in range(1, 41)]
    chat.user("uwe").locale = "de"
    async with wired(chat, sim):
        answer = await chat.answered(await chat.slash("similar", author="uwe", clip="Song 3"))
        shown = {part.get("label") for part in parts(answer)}
        assert {"alles", "Klang", "Bild", GERMAN.MORE, f"▶ {GERMAN.PLAY_ALL}"} <= shown
        assert select(answer, "similar:v:")["placeholder"] == GERMAN.THUMBS
        surprise = await chat.answered(await chat.slash("surprise", author="uwe"))
        assert "Hier noch nie empfohlen." in surprise.text
        copy = await pressed(chat, answer, "Klang", text.compared_by("audio"), author="ann")  # each their own
        assert "sound" in {part.get("label") for part in parts(copy)}


async def test_a_private_answer_to_a_guilds_link_has_no_buttons(chat: FakeDiscord, sim: SimDouble) -> None:
    sim.chosen[str(chat.guild)] = Guild(answer="private").stored()
    sim.shelves[str(chat.guild)] = [clip(n) for n in range(1, 9)]
    async with wired(chat, sim):
        await chat.say("general", "ann", f"{WATCH}newclip0001")
        direct = await chat.wait_for_message(lambda m: m.channel.guild is None and "1** ·" in m.text)
        assert not direct.components  # in direct messages they would be about other clips
        used = await chat.slash("similar", clip="Song 3")
        private = await chat.answered(used)
        assert private.ephemeral and private.components


async def test_where_nothing_may_be_attached_there_is_no_picture(chat: FakeDiscord, sim: SimDouble) -> None:
    from tests.doubles.discord import Permission

    sim.shelves[str(chat.guild)] = [clip(n) for n in range(1, 9)]
    chat.channel("general").denied = int(Permission.ATTACH_FILES)
    async with wired(chat, sim):
        shown = await chat.answered(await chat.slash("map"))
        assert not shown.attachments and "image" not in shown.embeds[0]


# On a real library


@asynccontextmanager
async def real(chat: FakeDiscord, folder: Path, **given: Any) -> AsyncIterator[tuple[Bot, ClipSim]]:
    """The bot on a real library, index and map, connected until the block ends."""
    chosen = settings(folder, min_train=8, **given)
    async with ClipSim.open(settings=chosen, preset=TINY) as sim:
        await sim.settle()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(discord.http.Route, "BASE", f"{chat.url}/api/v10")
            patch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(chat.gateway_url))
            async with Bot(sim, chosen) as bot:
                bot._connection.guild_ready_timeout = 0.05
                task = asyncio.create_task(bot.start(chat.token))
                try:
                    await chat.connected()
                    await bot.wait_until_ready()
                    yield bot, sim
                finally:
                    await bot.close()
                    await asyncio.gather(task, return_exceptions=True)
    assert chat.failures == []


def stock(chat: FakeDiscord, folder: Path) -> None:
    """24 clips in three bunches."""
    library = Library.open(settings(folder, min_train=8), TINY)
    for number in range(24):
        made = f"clip{number:07}"
        known = Clip(
            made, f"Song {number}", artist=f"Artist {number}", url=f"{WATCH}{made}", genre=f"genre {number % 3}"
        )
        library.add(known, features(number, near=1000 + number % 3), str(chat.guild), str(chat.user("ann").id))
    library.close()


async def test_votes_lists_groups_and_pictures_on_a_real_library(chat: FakeDiscord, tmp_path: Path) -> None:
    stock(chat, tmp_path)
    community, ann, ben = str(chat.guild), str(chat.user("ann").id), str(chat.user("ben").id)
    async with real(chat, tmp_path) as (_, sim):
        answer = await chat.answered(await chat.slash("similar", clip="Song 4"))
        listed = await chat.answered(await chat.slash("playlist", clip="Song 4", count=12))
        assert listed.text.startswith("Around Artist 4 – Song 4\nAround “Song 4”, in an order")
    async with real(chat, tmp_path) as (_, sim):  # another process
        thumbs = select(answer, "similar:v:")
        first = thumbs["options"][0]["value"]
        await chat.pick(answer, thumbs["custom_id"], first)
        await chat.until(lambda: select(answer, "similar:v:")["placeholder"] == "Your thumbs: 👍 1")
        (vote,) = (await sim.votes("clip0000004", voter=ann, community=community)).values()
        assert (vote.up, vote.rank, vote.by, vote.method) == (True, 1, "all", "standard")
        used = await chat.pick(answer, thumbs["custom_id"], first.replace("up", "down"), author="ben")
        await chat.until(lambda: any(m.components for m in used.messages))
        for voter, up in ((ann, True), (ben, False)):
            (vote,) = (await sim.votes("clip0000004", voter=voter, community=community)).values()
            assert vote.up == up
        await chat.pick(answer, select(answer, "similar:v:")["custom_id"], first)
        await chat.until(lambda: select(answer, "similar:v:")["placeholder"] == text.THUMBS)
        assert not await sim.votes("clip0000004", voter=ann, community=community)
        assert await pressed(chat, listed, "▶", "**11** ·") is listed
        before = listed.text
        await chat.press(listed, named(listed, text.ANOTHER))
        await chat.until(lambda: listed.text != before)
        for way in ("sound", "look", "words"):
            assert await pressed(chat, answer, way, way) is answer
        for name, options, what in (
            ("path", {"start": "Song 0", "end": "Song 1"}, "From Artist 0 – Song 0 to Artist 1 – Song 1"),
            (
                "mix",
                {"add": "Song 0, Song 3", "less": f"<{WATCH}clip0000001>"},
                "Like “Song 0” and “Song 3”, and unlike",
            ),
            ("find", {"words": "song 7"}, "**1** · [Artist 7 – Song 7]"),
            ("surprise", {}, "here so far"),
            ("library", {}, f"**{text.MOST_ALIKE}**"),
            ("map", {}, "24 clips: near is alike."),
        ):
            shown = await answered(chat, await chat.slash(name, **options), what)
            assert shown.components, name
        groups = await chat.answered(await chat.slash("cluster"))
        pick = select(groups, "cluster:i:")
        await chat.pick(groups, pick["custom_id"], pick["options"][0]["value"])
        await chat.until(lambda: [each["filename"] for each in groups.attachments] == ["map.png"])
        of_clip = await chat.answered(await chat.slash("cluster", clip="Song 4"))
        near = re.findall(r"Song (\d+)\]", of_clip.embeds[0]["description"])
        assert near and all(int(number) % 3 == 1 for number in near)
        assert of_clip.attachments
        offered = await chat.autocomplete("mix", "add", "Song 4, sogn 7")
        assert offered[0]["value"] == "Song 4, clip0000007"


async def test_a_failed_link_is_tried_again_by_a_press(chat: FakeDiscord, tmp_path: Path) -> None:
    stock(chat, tmp_path)
    community = str(chat.guild)
    async with real(chat, tmp_path, allowed_hosts="127.0.0.1:1") as (_, sim):
        await chat.say("general", "ann", "http://127.0.0.1:1/nothing-listens.mp4")
        await chat.wait_for_message(lambda m: "(`" in m.text and "not" in m.text)
        (job,) = await sim.jobs(community)
        assert job.state == "failed"
        shown = await answered(chat, await chat.slash("library"), "failed: **1**")
        used = await chat.pick(shown, select(shown, "library:s:")["custom_id"], str(job.id))
        card = await answered(chat, used, job.error_code)
        attempts = len([m for m in chat.messages("general") if m.reference])
        await pressed(chat, card, text.RETRY, text.retried(1))
        assert len([m for m in chat.messages("general") if m.reference]) == attempts  # in the same reply
        async with asyncio.timeout(20):
            while (await sim.jobs(community))[0].state != "failed":  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        used = await chat.press(shown, named(shown, text.DROP_ALL), author="ben")
        assert (await answered(chat, used, text.NOT_YOUR_JOB)).ephemeral
        chat.user("boss").manager = True
        used = await chat.press(shown, named(shown, text.DROP_ALL), author="boss")
        assert (await answered(chat, used, text.dropped(1))).ephemeral
        assert await sim.jobs(community) == []
