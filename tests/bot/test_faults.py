"""What goes wrong around the unmodified `python -m bot`, on the wire: crashes, refusals, lost connections, crowds.

discord.py, yt-dlp, Chroma and the library are the real ones; only the encoder is a light one. One process serves most
tests, those that end it start the next on the same library.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.bot.test_wire import Process, environment, final, watch
from tests.doubles.discord import FakeDiscord, Message
from tests.doubles.light import site
from tests.doubles.media import make_clip
from tests.doubles.youtube import FakeYouTube

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

SEND = "POST /channels/{channel}/messages"
EDIT = "PATCH /channels/{channel}/messages/{message}"
PATIENCE = 120.0  # seconds, for a machine that is busy with other tests; never waited for in vain
# Times that a test can wait for, in place of minutes and hours.
SOON = """
import clipsim.breaker, clipsim.jobs, bot.errands
clipsim.jobs.FIRST_WAIT, bot.errands.LOOK, clipsim.breaker.FIRST_PAUSE = 1.0, 0.3, 12.0
"""


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.05)


class World:
    """One Discord with two servers, one YouTube, and the bot between them."""

    def __init__(self, discord: FakeDiscord, youtube: FakeYouTube, folder: Path) -> None:
        self.discord, self.youtube, self.folder = discord, youtube, folder
        self.bots: list[Process] = []
        self.sound = make_clip(folder / "sound.m4a", seconds=2.0)
        self.calm = discord.add_guild("a calm server")
        self.calm.system = discord.channel("calm", self.calm)
        discord.home.moderators = discord.channel("moderators")
        discord.channel("gone")

    @property
    def bot(self) -> Process:
        return self.bots[-1]

    async def start(self, **settings: str) -> Process:
        path = os.pathsep.join([str(site(self.folder / "site", SOON)), environment(self.youtube)["PYTHONPATH"]])
        given = {"CLIPSIM_DATA": str(self.folder / "library"), "CLIPSIM_WEB_PORT": "0", "CLIPSIM_WORKERS": "1"}
        given |= {"PYTHONPATH": path, "CLIPSIM_YOUTUBE_PER_HOUR": "100000"} | settings
        env = self.discord.environment(environment(self.youtube) | given)
        self.bots.append(await Process(env, self.folder).start())
        return self.bot

    async def again(self, **settings: str) -> Process:
        """Kill the process, and start the next one."""
        await self.bot.end(signal.SIGKILL)
        before = len(self.discord.identified)
        await self.start(**settings)
        await self.discord.until(lambda: len(self.discord.identified) > before, PATIENCE)
        await self.discord.connected(PATIENCE)
        return self.bot

    def clip(self, number: int, **more: object) -> str:
        """A clip of YouTube's; returns its link."""
        video = f"faults{number:05d}"
        self.youtube.add(
            video, title=f"Song {number}", artist=f"Artist {number}", audio=self.sound, duration=2.0, **more
        )  # type: ignore[arg-type]
        return watch(video)

    def asked_for(self, number: int) -> int:
        return self.youtube.paths("/page/").count(f"/page/faults{number:05d}")

    def replies(self, to: Message) -> list[Message]:
        return [reply for reply in self.discord.messages() if reply.reference == to.id]

    async def answer(self, to: Message, wanted: str = "") -> Message:
        """The final reply to a message; the only one there is."""
        await self.discord.until(
            lambda: any(final(reply) and wanted in reply.text for reply in self.replies(to)), PATIENCE
        )
        (reply,) = self.replies(to)
        return reply

    async def page(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession(self.bot.address) as session, session.get(path) as response:
            return response.status, await response.text()

    async def ready(self) -> dict[str, object]:
        """What /readyz says once it is well."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status, text = await self.page("/readyz")
                if status == 200:
                    return dict(json.loads(text))
                await asyncio.sleep(0.2)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("faults")
    with FakeYouTube() as youtube:
        async with FakeDiscord() as discord:
            here = World(discord, youtube, folder)
            await here.start()
            try:
                await discord.connected(PATIENCE)
                yield here
                assert discord.failures == []
            finally:
                for bot in here.bots:
                    await bot.end(signal.SIGKILL)


async def test_a_response_that_is_lost_makes_no_second_reply(world: World) -> None:
    world.discord.fail(SEND, 502, late=True)
    asked = await world.discord.say("general", "ann", world.clip(1))
    assert "Song 1" in (await world.answer(asked)).text
    assert [call.status for call in world.discord.calls(SEND)][:2] == [502, 200]


@pytest.mark.parametrize("later", [False, True])
async def test_a_crash_between_writing_and_noting_makes_no_second_reply(world: World, later: bool) -> None:
    number = 2 + later
    held = world.discord.hold(SEND)
    asked = await world.discord.say("general", "ann", world.clip(number))
    await world.discord.until(lambda: bool(world.replies(asked)), PATIENCE)
    await world.bot.end(signal.SIGKILL)
    held.set()
    world.discord._held.clear()
    if later:
        world.discord.forget_nonces()
    await world.again()
    assert f"Song {number}" in (await world.answer(asked)).text


async def test_a_response_to_a_command_is_edited_after_a_crash_while_its_token_lives(world: World) -> None:
    held = world.discord.hold("GET /nothing")
    link = world.clip(4, error="stall-page")
    used = await world.discord.slash("similar", clip=link)
    await world.discord.answered(used)
    await world.bot.end(signal.SIGKILL)
    held.set()
    world.clip(4)
    await world.again()
    await world.discord.until(lambda: used.original is not None and "Song 4" in used.original.text, PATIENCE)
    assert [message.id for message in used.messages] == [used.original.id]  # type: ignore[union-attr]


async def test_server_errors_and_limits_are_waited_out(world: World) -> None:
    world.discord.fail(EDIT, 502)
    world.discord.limit_all(2, 0.3)
    asked = await world.discord.say("general", "ann", world.clip(5))
    assert "Song 5" in (await world.answer(asked)).text
    refused = [call for call in world.discord.requests if call.status == 429]
    assert len(refused) >= 2
    during = [call for call in world.discord.requests if refused[-1].at < call.at < refused[-1].at + 0.25]
    assert [call for call in during if "/interactions/" not in call.path] == []  # the limit is everybody's


async def test_what_failed_is_tried_again_in_the_same_reply(world: World) -> None:
    asked = await world.discord.say("general", "ann", f"{world.clip(6, error='down')} {world.clip(7)}")
    await world.answer(asked, "(`")
    reply = world.replies(asked)[0]
    answered = reply.embeds[1]
    assert "Song 7" in answered["title"]
    world.clip(6)
    await world.discord.until(lambda: reply.embeds[0].get("title", "").endswith("Song 6"), PATIENCE)
    assert reply.embeds[1] == answered
    assert len(world.replies(asked)) == 1
    said = "\n".join(str(edit.payload.get("embeds")) for edit in reply.history)
    assert re.search(r"I try again <t:\d+:R>", said)


async def test_a_deleted_reply_is_no_reason_to_write_another(world: World) -> None:
    link = world.clip(8, error="down")
    asked = await world.discord.say("gone", "ann", link)
    reply = await world.answer(asked, "`network`")
    await world.discord.delete(reply)
    world.clip(8)
    await eventually(lambda: world.asked_for(8) > 1)
    used = await world.discord.slash("similar", clip=link)  # the clip came into the library all the same
    await world.discord.until(lambda: any("Song 8" in message.text for message in used.messages), PATIENCE)
    assert world.asked_for(8) == 2
    assert [message for message in world.replies(asked) if not message.deleted] == []


async def test_reconnections_lose_nothing_and_do_nothing_twice(world: World) -> None:
    asked = []
    for number, lose in enumerate(
        (world.discord.reconnect, world.discord.invalidate, world.discord.drop_connection), 10
    ):
        asked.append(await world.discord.say("general", "ann", world.clip(number)))
        await world.discord.until(lambda: bool(world.replies(asked[-1])), PATIENCE)
        before = len(world.discord.sessions) + sum(session.resumes for session in world.discord.sessions)
        await lose()
        await world.discord.until(
            lambda: len(world.discord.sessions) + sum(s.resumes for s in world.discord.sessions) > before,  # noqa: B023
            PATIENCE,
        )
        await world.discord.connected(PATIENCE)
    for number, message in enumerate(asked, 10):
        assert f"Song {number}" in (await world.answer(message)).text
        assert world.asked_for(number) == 1


async def test_readiness_tells_the_truth_about_discord(world: World) -> None:
    report = await world.ready()
    assert report["discord"]["state"] == "connected" and report["workers"]["state"] == "loaded"  # type: ignore[index]
    world.discord.down = True
    await world.discord.drop_connection()
    while (await world.page("/readyz"))[0] == 200:  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.1)
    assert json.loads((await world.page("/readyz"))[1])["missing"] == ["discord"]
    assert (await world.page("/healthz"))[0] == 200
    world.discord.down = False
    await world.ready()


async def test_one_clip_is_fetched_once_whoever_asks(world: World) -> None:
    link = world.clip(20)
    asked = [
        await world.discord.say(channel, "ann", link) for channel in ("general", "calm", "@bea", "general", "calm")
    ]
    for message in asked:
        assert "Song 20" in (await world.answer(message)).text
    assert world.asked_for(20) == 1


async def test_one_servers_many_links_do_not_starve_anothers_first_even_after_a_crash(world: World) -> None:
    crowd = [world.clip(100 + n, error="stall-page") for n in range(15)]
    calm = world.clip(150, error="private")
    for n in range(0, 15, 5):
        await world.discord.say("general", "ann", " ".join(crowd[n : n + 5]))
    asked = await world.discord.say("calm", "bea", calm)
    await world.discord.until(lambda: bool(world.replies(asked)), PATIENCE)
    await world.bot.end(signal.SIGKILL)
    before = len(world.youtube.paths("/page/"))
    for n in range(15):
        world.clip(100 + n, error="private")
    await world.again()
    await world.answer(asked)
    order = world.youtube.paths("/page/")[before:]
    assert order.index("/page/faults00150") <= 4  # three at once, and then it was the calm server's turn


async def test_each_line_of_the_log_names_its_job(world: World) -> None:
    asked = await world.discord.say("general", "ann", world.clip(30))
    await world.answer(asked)
    asked = await world.discord.say("general", "ann", world.clip(31, error="A sentence that nobody has foreseen"))
    await world.answer(asked, "`fetch-failed`")
    log = world.bot.log
    accepted = [re.search(r"job=(\d+) accepted link=\S+faults000(\d\d)", line) for line in log]
    jobs = {found[2]: found[1] for found in accepted if found}
    assert any(f"job={jobs['30']} answered reply=" in line for line in log)
    assert any(f"job={jobs['31']} yt-dlp said of" in line and "nobody has foreseen" in line for line in log)
    assert any(f"job={jobs['31']} " in line and "code=fetch-failed" in line for line in log)


async def test_metrics_of_a_process_at_work(world: World) -> None:
    await world.discord.slash("library")
    await world.discord.autocomplete("similar", "clip", "Song")
    _, text = await world.page("/metrics")
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["clipsim_stage_seconds_count", ("stage", "fetching")] >= 2
    assert found["clipsim_stage_seconds_sum", ("stage", "listening")] > 0
    assert found["clipsim_acknowledgement_seconds_count", ("kind", "command")] >= 1
    assert found["clipsim_acknowledgement_seconds_count", ("kind", "autocomplete")] >= 1
    assert found["clipsim_errors_total", ("code", "fetch-failed")] >= 1
    assert found["clipsim_discord_responses_total", ("status", "200")] > 10
    assert found["clipsim_gateway_latency_seconds", ("shard", "0")] < 5
    assert found["clipsim_clips",] >= 10 and found["clipsim_discord_connected",] == 1
    assert found["clipsim_loop_lag_seconds_count",] > 10 and found["clipsim_library_bytes", ("part", "index")] > 0


async def test_while_youtube_refuses_links_wait_and_who_runs_the_bot_is_told_once(world: World) -> None:
    first = await world.discord.say("general", "ann", world.clip(40, error="bot"))
    await world.answer(first, "`bot-check`")
    asked = [await world.discord.say(where, "ann", world.clip(41 + n)) for n, where in enumerate(("general", "calm"))]
    for message in asked:
        await world.discord.until(
            lambda: any("Waiting for YouTube" in reply.text for reply in world.replies(message)),  # noqa: B023
            PATIENCE,
        )
    known = await world.discord.say("general", "ann", watch("faults00030"))  # what is here already needs no YouTube
    assert "Song 30" in (await world.answer(known)).text
    (notice,) = world.discord.messages("moderators")
    assert "prove that it is not a bot" in notice.text and re.search(r"<t:\d+:R>", notice.text)
    assert "YouTube is asked again at about" in (await world.page("/"))[1]
    assert 'clipsim_youtube{state="open"} 1.0' in (await world.page("/metrics"))[1]
    assert sum("YouTube refuses code=" in line for line in world.bot.log) == 1

    world.clip(40)  # by and by YouTube answers again; the process that learns of it is another one
    await world.again(CLIPSIM_LOG_FORMAT="json")
    assert world.asked_for(41) == world.asked_for(42) == 0
    for number, message in ((40, first), (41, asked[0]), (42, asked[1])):
        assert f"Song {number}" in (await world.answer(message, f"Song {number}")).text
    assert len(world.discord.messages("moderators")) == 1 and world.discord.messages("calm")[-1].reference
    assert "YouTube is asked again" not in (await world.page("/"))[1]


async def test_the_log_as_json(world: World) -> None:
    lines = [line for line in world.bot.log if not line.startswith("The web page")]
    events = [json.loads(line) for line in lines]
    assert {event["level"] for event in events} <= {"INFO", "WARNING"}
    (answered,) = {event["job"] for event in events if event["message"].startswith("answered") and "job" in event} & {
        int(found[1])
        for line in world.bots[-2].log
        if (found := re.search(r"job=(\d+) accepted link=\S+faults00041", line))
    }
    assert answered


async def test_told_to_stop_it_ends_and_never_said_a_secret(world: World) -> None:
    assert await world.bot.end(signal.SIGTERM) == 0, "\n".join(world.bot.log)
    log = "\n".join(line for bot in world.bots for line in bot.log)
    assert "Traceback" not in log and world.discord.token not in log
    assert any("Attempting a reconnect" in line for line in log.splitlines())  # one line, not discord.py's forty
