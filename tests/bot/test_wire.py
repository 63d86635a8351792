"""The whole way, once, on the wire: the unmodified `python -m bot` between a Discord and a YouTube on this machine.

discord.py, yt-dlp, the decoders, the encoders with their weights, Chroma and the web page are the real ones; what
answers them is in `tests/doubles/discord` and `tests/doubles/youtube`. One process serves all tests up to the one that
kills it, so they build on one another's clips, in order.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.conftest import ROOT
from tests.doubles.discord import FakeDiscord, Message
from tests.doubles.media import make_clip
from tests.doubles.youtube import FakeYouTube

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.weights, pytest.mark.slow]
module_fixture = pytest_asyncio.fixture(loop_scope="module", scope="module")

EDIT = "PATCH /channels/{channel}/messages/{message}"
PACE = 1.9  # seconds: Discord is told of progress no more often (2, less what the clock of another process may differ)
FIRST = 240.0  # seconds that a first clip may take on a slow machine: the encoders are loaded for it
NEXT = 120.0
VTT = """WEBVTT

00:00.000 --> 00:02.000
River of night, carry me home

00:02.000 --> 00:04.000
over the silver water
"""
HOSTILE = "@everyone **Loud** [x](https://evil.example) <@1>"

SOUND, PICTURE = 4.0, 2.4  # seconds; a picture this short is one window of I3D
SLOW = {"rhythm": 80.0, "tone": 220.0, "motion": 0.2}
FAST = {"rhythm": 170.0, "tone": 880.0, "motion": 1.5}
CLIPS: dict[str, tuple[dict[str, float], dict[str, Any]]] = {  # id -> what is played and shown; what is said of it
    "wirewire001": (SLOW, {"title": "Quiet River", "artist": "Ann", "captions": {"en": VTT}}),
    "wirewire002": (SLOW | {"rhythm": 82.0}, {"title": "Silver River", "artist": "Ben", "captions": {"en": VTT}}),
    "wirewire003": (FAST, {"title": HOSTILE, "artist": "Cid"}),
    "wirewire004": (FAST | {"rhythm": 165.0}, {"title": "Fast Rain", "artist": "Dot"}),
    "wirewire005": (SLOW | {"rhythm": 100.0}, {"title": "Late Train", "artist": "Eve"}),
}


def watch(video: str) -> str:
    return f"https://www.youtube.com/watch?v={video}"


class Process:
    """`python -m bot`: its log, and the address of its page."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self.env, self.folder = env, folder
        self.log: list[str] = []
        self.address = ""
        self._news = asyncio.Condition()
        self._readers: list[asyncio.Task[None]] = []

    async def start(self) -> Process:
        pipe = asyncio.subprocess.PIPE
        self.child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", env=self.env, cwd=self.folder, stdout=pipe, stderr=pipe
        )
        assert self.child.stdout and self.child.stderr
        self._readers = [asyncio.create_task(self._read(stream)) for stream in (self.child.stdout, self.child.stderr)]
        return self

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            async with self._news:
                self.log.append(line.decode().rstrip())
                if found := re.search(r"http://127\.0\.0\.1:\d+/", self.log[-1]):
                    self.address = self.address or found.group()
                self._news.notify_all()

    async def says(self, wanted: str, seconds: float = 60.0) -> None:
        """Wait for a line in the log."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: any(wanted in line for line in self.log))
        except TimeoutError:
            raise AssertionError(f"never said: {wanted}\n" + "\n".join(self.log)) from None

    async def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 60.0) -> int:
        """Send a signal and wait for the end."""
        if self.child.returncode is None:
            self.child.send_signal(number)
        return await self.wait(seconds)

    async def wait(self, seconds: float = 60.0) -> int:
        async with asyncio.timeout(seconds):
            code = await self.child.wait()
            await asyncio.gather(*self._readers)
        return code


class World:
    """One Discord, one YouTube, and the bot between them."""

    def __init__(self, discord: FakeDiscord, youtube: FakeYouTube, folder: Path) -> None:
        self.discord, self.youtube, self.folder = discord, youtube, folder
        self.bots: list[Process] = []

    @property
    def bot(self) -> Process:
        return self.bots[-1]

    async def start(self, **settings: str) -> Process:
        data = {"CLIPSIM_DATA": str(self.folder / "library"), "CLIPSIM_PRESET": "small", "CLIPSIM_WEB_PORT": "0"}
        env = self.discord.environment(environment(self.youtube) | data) | settings
        self.bots.append(await Process(env, self.folder).start())
        return self.bot

    async def answer(self, to: Message, seconds: float = NEXT) -> Message:
        """The final reply to a message."""
        return await self.discord.wait_for_message(lambda reply: reply.reference == to.id and final(reply), seconds)


def environment(youtube: FakeYouTube) -> dict[str, str]:
    """This process's environment without settings of its own, and with YouTube's double."""
    own = {
        name: value for name, value in os.environ.items() if not name.startswith("CLIPSIM_") or name == "CLIPSIM_CACHE"
    }
    path = [youtube.environment()["PYTHONPATH"], str(ROOT)]
    return own | {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}


def final(message: Message) -> bool:
    """Whether a reply is more than progress or an early answer: every part has a title, or says what went wrong."""
    return bool(message.embeds) and all(
        (embed.get("title") and "⏳" not in embed.get("description", ""))
        or re.search(r"\(`[a-z0-9-]+`\)", message.text)
        for embed in message.embeds
    )


def progress_of(message: Message) -> list[str]:
    """The stages that a reply showed, in order."""
    texts = [edit.payload["embeds"][0].get("description", "") for edit in message.history if edit.payload.get("embeds")]
    return [found.group(1) for text in texts if (found := re.search(r"\*\*(\w+)\*\*(?= →|$)", text)) and "→" in text]


@module_fixture
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("wire")
    with FakeYouTube() as youtube:
        for video, (media, said) in CLIPS.items():
            audio = make_clip(folder / f"{video}.m4a", seconds=SOUND, **media)
            look = make_clip(folder / f"{video}.mp4", seconds=PICTURE, width=176, height=144, audio=False, **media)
            youtube.add(video, audio=audio, video=look, duration=SOUND, **said)
        youtube.add("privatevid1", error="private")
        async with FakeDiscord() as discord:
            here = World(discord, youtube, folder)
            await here.start()
            try:
                await discord.connected(120)
                yield here
            finally:
                for bot in here.bots:
                    await bot.end(signal.SIGKILL)


async def test_a_pasted_link_ends_in_the_reply(world: World) -> None:
    asked = await world.discord.say("general", "ann", f"my first: <{watch('wirewire001')}&list=PL12345678&t=3>")
    first = await world.answer(asked, FIRST)
    assert first.embeds[0]["title"] == "Ann – Quiet River"
    assert world.youtube.bytes_of("wirewire001", "captions") > 0
    asked = await world.discord.say(
        "general", "ben", f"and https://youtu.be/wirewire002?si=abc and {watch('wirewire003')}"
    )
    reply = await world.answer(asked)

    (river, loud) = reply.embeds
    assert "Silver River" in river["title"]
    assert river["url"] == watch("wirewire002")
    assert river["thumbnail"]["url"] == "https://i.ytimg.com/vi/wirewire002/hqdefault.jpg"
    assert f"]({watch('wirewire001')})" in river["description"]  # a result, as a link
    assert re.search(
        r" · [01]\.\d\d\n🎧 [01]\.\d\d · 👁️ [01]\.\d\d · 📝 1\.00 — ", river["description"]
    )  # overall, by each
    assert "sing of river" in river["description"]  # why
    assert re.match(r"\*\*.+\*\* · \d clips?\n", river["description"])  # its cluster
    assert f"]({watch('wirewire001')})" in loud["description"]
    assert reply.attachments == []
    assert world.youtube.bytes_of("wirewire002") > 0


async def test_progress_is_told_at_a_pace_that_discord_allows(world: World) -> None:
    reply = world.discord.messages("general")[0]
    stages = progress_of(reply)
    known = ["fetching", "listening", "reading", "watching", "comparing"]
    assert stages  # the encoders are loaded for the first clip: long enough for some progress to show
    assert stages == sorted(stages, key=known.index)
    times = [edit.at for edit in reply.history]
    assert all(after - before >= PACE for before, after in itertools.pairwise(times[:-1]))
    assert world.discord.calls(EDIT, 429) == []


async def test_titles_of_strangers_neither_ping_nor_format(world: World) -> None:
    reply = await world.discord.wait_for_message(lambda message: "everyone" in message.text)
    assert "\\*\\*Loud\\*\\*" in reply.text
    assert "](https://evil.example)" not in reply.text
    assert "<@1>" not in reply.text
    assert world.discord.failures == []


async def test_similar_over_the_wire(world: World) -> None:
    choices = await world.discord.autocomplete("similar", "clip", "river")
    assert {choice["value"] for choice in choices} == {"wirewire001", "wirewire002"}
    value = next(choice["value"] for choice in choices if "Quiet" in choice["name"])
    used = await world.discord.slash("similar", clip=value, count=1, by="audio")
    reply = await world.discord.answered(used)
    assert "Quiet River" in reply.embeds[0]["title"]
    assert f"]({watch('wirewire002')})" in reply.embeds[0]["description"]  # what sounds most like it
    assert watch("wirewire003") not in reply.embeds[0]["description"]
    assert "sound" in reply.embeds[0]["description"]
    used = await world.discord.slash("similar", clip="nothing of that name at all")
    await world.discord.until(lambda: [message.ephemeral for message in used.messages] == [True])
    assert "`unknown-clip`" in used.messages[0].content


async def test_the_other_commands_over_the_wire(world: World) -> None:
    async def text(name: str, **options: Any) -> str:
        return (await world.discord.answered(await world.discord.slash(name, **options))).text

    library = await text("library")
    assert "**3**" in library
    assert "Quiet River" in library
    assert "/similar" in await text("help")
    assert "Quiet River" in await text("cluster", clip="wirewire001")
    await text("cluster")
    asked = await world.discord.say("elsewhere", "ann", "nothing here")
    used = await world.discord.message_menu("Find similar clips", asked)
    assert "`unknown-link`" in (await world.discord.answered(used)).text
    assert all(each.acknowledged is not None for each in world.discord.interactions.values())


async def test_a_clip_that_is_known_is_answered_without_fetching(world: World) -> None:
    fetched = len(world.youtube.paths())
    asked = await world.discord.say("general", "eve", watch("wirewire001"))
    reply = await world.answer(asked)
    assert f"]({watch('wirewire002')})" in reply.text
    assert len(world.youtube.paths()) == fetched


async def test_a_private_video_is_a_sentence_with_a_code(world: World) -> None:
    asked = await world.discord.say("general", "ann", "https://youtu.be/privatevid1")
    reply = await world.answer(asked)
    assert "That video is private." in reply.text
    assert "(`private`)" in reply.text


async def test_a_lost_connection_is_resumed_in_the_middle(world: World) -> None:
    asked = await world.discord.say("general", "ann", watch("wirewire004"))
    await world.discord.wait_for_message(lambda reply: reply.reference == asked.id)
    await world.discord.drop_connection()
    missed = await world.discord.say("general", "ben", watch("wirewire001"))  # while nobody listens
    await world.discord.until(lambda: world.discord.sessions[-1].resumes > 0)
    assert "Quiet River" in (await world.answer(missed)).text
    assert "Fast Rain" in (await world.answer(asked)).text
    assert len(world.discord.identified) == 1
    mine = [reply for reply in world.discord.messages("general") if reply.reference == asked.id]
    assert len(mine) == 1


async def test_a_rate_limit_in_the_middle_is_waited_out(world: World) -> None:
    world.discord.limit(EDIT, 2, retry_after=0.4)
    before = len(world.discord.calls(EDIT, 429))
    asked = await world.discord.say("general", "ann", watch("wirewire002"))
    reply = await world.answer(asked)
    assert "Silver River" in reply.text
    refused = [each.at for each in world.discord.calls(EDIT, 429)[before:]]
    assert len(refused) == 2
    assert refused[1] - refused[0] >= 0.4


async def test_the_page_answers_the_same(world: World) -> None:
    async with aiohttp.ClientSession(world.bot.address) as session:
        async with session.get("/healthz") as response:
            health = await response.json()
            assert response.status == 200, health
            assert health["clips"] == 4
            assert health["discord"]["state"] == "connected"
        given = {"source": "https://youtu.be/wirewire002", "k": 1, "wait": True}
        async with session.post("/api/answer", json=given) as response:
            answer = (await response.json())["answer"]
            assert response.status == 200
        assert answer["query"]["id"] == "wirewire002"
        assert [result["id"] for result in answer["results"]] == ["wirewire001"]
        async with session.get("/map.png") as response:
            assert response.status == 200
            assert (await response.read()).startswith(b"\x89PNG")
        async with session.get("/clip/wirewire003") as response:
            assert response.status == 200
            assert "@everyone **Loud**" in await response.text()


async def test_a_killed_process_loses_nothing(world: World) -> None:
    asked = await world.discord.say("general", "ann", watch("wirewire005"))
    reply = await world.discord.wait_for_message(lambda reply: reply.reference == asked.id)
    async with asyncio.timeout(NEXT):
        while not world.youtube.paths("/page/wirewire005"):  # noqa: ASYNC110 - until it is under way
            await asyncio.sleep(0.01)
    assert await world.bot.end(signal.SIGKILL) == -signal.SIGKILL
    assert not final(reply)
    await world.start()
    assert (await world.answer(asked, FIRST)) is reply  # the same message, edited by the next process
    assert "Late Train" in reply.text, "\n".join(world.bot.log)


async def test_sigterm_ends_it_cleanly(world: World) -> None:
    assert await world.bot.end(signal.SIGTERM) == 0, "\n".join(world.bot.log)
    log = "\n".join(line for bot in world.bots for line in bot.log)
    assert "Traceback" not in log, log
    assert world.discord.token not in log
    assert list((world.folder / "library").glob("incoming/*")) == []
    assert world.discord.failures == []
    refused = [each for each in world.discord.requests if each.status >= 400 and each.status != 429]
    assert refused == []


async def test_without_the_message_content_intent_commands_work_and_it_says_so_once(
    world: World, tmp_path: Path
) -> None:
    async with FakeDiscord(privileged=0) as discord:
        alone = World(discord, world.youtube, tmp_path)
        bot = await alone.start()
        try:
            await discord.connected(120)
            assert len(discord.identified) == 2  # asked for, refused with 4014, not asked for again
            assert sum("message-content intent" in line for line in bot.log) == 1
            await discord.say("general", "ann", watch("wirewire001"))
            used = await discord.slash("help")
            assert "not allowed to read messages" in (await discord.answered(used)).text
            assert discord.messages("general")[0].interaction is used  # the pasted link went unseen
            async with aiohttp.ClientSession(bot.address) as session, session.get("/healthz") as response:
                assert (await response.json())["discord"]["message_content"] is False
            assert await bot.end(signal.SIGTERM) == 0
        finally:
            await bot.end(signal.SIGKILL)


async def test_a_bad_token_ends_in_one_sentence(world: World, tmp_path: Path) -> None:
    async with FakeDiscord() as discord:
        bot = await World(discord, world.youtube, tmp_path).start(DISCORD_TOKEN="wrong.token.here")
        assert await bot.wait() == 1
        assert "Discord refuses DISCORD_TOKEN" in bot.log[-1]
        assert not any("wrong.token.here" in line for line in bot.log)
