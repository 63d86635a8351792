"""Whoever asks is answered in their own language; a pasted link in its server's. Discord on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.text import ENGLISH, GERMAN
from clipsim.errors import Private
from tests.bot.wired import wired
from tests.doubles.discord import FakeDiscord
from tests.doubles.sim import SimDouble, clip

VIDEO = "https://www.youtube.com/watch?v=clip0000001"


@pytest.fixture
async def chat(sim: SimDouble) -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(buckets=False) as double:
        double.locale = "de"
        double.user("uwe").locale = "de"
        sim.shelves[str(double.guild)] = [clip(n) for n in range(1, 9)]
        async with wired(double, sim):
            yield double


async def test_discord_is_told_the_commands_in_german(chat: FakeDiscord) -> None:
    (similar,) = [command for command in chat.commands if command["name"] == "similar"]
    assert similar["description_localizations"]["de"] == GERMAN.SIMILAR
    by = similar["options"][2]
    assert by["description_localizations"]["de"] == GERMAN.OPTION_BY
    assert [choice["name_localizations"]["de"] for choice in by["choices"]] == list(GERMAN.BY.values())


@pytest.mark.parametrize(("author", "texts"), [("uwe", GERMAN), ("ann", ENGLISH)])
async def test_a_command_is_answered_in_its_users_language(chat: FakeDiscord, sim: SimDouble, author, texts) -> None:
    sim.notice = "Only 8 clips so far: answers come from raw features; the fusion is trained when there are 64."
    said = (await chat.answered(await chat.slash("similar", author=author, clip="Song 2", by="audio"))).text
    assert texts.compared_by("audio") in said
    assert texts.group(8) in said
    assert texts.number(0.9) in said
    assert texts.notice(sim.notice) in said
    said = (await chat.answered(await chat.slash("cluster", author=author))).text
    assert texts.CLUSTERS_TITLE in said
    said = (await chat.answered(await chat.slash("library", author=author))).text
    assert texts.facts(8, {})[0][0] in said
    said = (await chat.answered(await chat.slash("help", author=author))).text
    assert texts.HELP_PASTE in said
    used = await chat.slash("similar", author=author, clip="no such song")
    await chat.until(lambda: any(message.ephemeral and message.content for message in used.messages))
    assert used.messages[-1].content.startswith(texts.ERRORS["unknown-clip"])
    nothing = await chat.say("general", author, "nothing here")
    used = await chat.message_menu(ENGLISH.SIMILAR_MENU, nothing, author=author)
    await chat.until(lambda: any(message.ephemeral and message.content for message in used.messages))
    assert used.messages[-1].content == f"{texts.NO_LINK} (`unknown-link`)"


async def test_a_pasted_link_is_answered_in_the_servers_language(chat: FakeDiscord, sim: SimDouble) -> None:
    sim.troubles[VIDEO.replace("01", "02")] = Private()
    asked = await chat.say("general", "ann", f"{VIDEO} {VIDEO.replace('01', '02')}")
    reply = await chat.wait_for_message(lambda reply: reply.reference == asked.id and "(`private`)" in reply.text)
    assert GERMAN.ERRORS["private"] in reply.text
    await chat.until(lambda: GERMAN.group(8) in reply.text)
    assert GERMAN.WAITING in str(reply.history[0].payload)
    assert [job.reply["language"] for job in sim.jobs.values()] == ["de", "de"]  # and after a restart


async def test_a_link_in_a_command_is_worked_on_in_the_users_language(chat: FakeDiscord) -> None:
    used = await chat.slash("similar", author="uwe", clip="https://youtu.be/newclip0001")
    await chat.until(lambda: any(GERMAN.group(9) in message.text for message in used.messages))
    assert GERMAN.WAITING in str(used.original and used.original.history[0].payload)
