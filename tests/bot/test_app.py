"""The process: it starts, says where it is, stops when told; and what prevents it is one sentence and exit code 1."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest
import yarl

from bot import app, client, text
from clipsim import logs, settings
from clipsim.context import Context, working_for
from clipsim.errors import InvalidSetting
from tests.conftest import ROOT
from tests.doubles.discord import FakeDiscord
from tests.doubles.sim import SimDouble

PATIENCE = 90  # seconds, for a machine that is busy with other tests; never waited for in vain
# The process under test is unchanged, except that it has encoders that need no weights.
LIGHT = """
from clipsim.encoders import LIBROSA, PRESETS, Preset
PRESETS["standard"] = Preset("standard", (LIBROSA,))
"""


class Process:
    """`python -m bot` with what it wrote."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said = ""

    async def until(self, pattern: str) -> re.Match[str]:
        """Read what it prints until there is a match."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while not (match := re.search(pattern, self.said)):
                line = await self._process.stdout.readline()
                assert line, f"it ended: {self.said} {await self.ended()}"
                self.said += line.decode()
        return match

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> tuple[int, str]:
        """Exit code and what it wrote to stderr."""
        async with asyncio.timeout(PATIENCE):
            out, err = await self._process.communicate()
        self.said += out.decode()
        assert self._process.returncode is not None
        return self._process.returncode, err.decode()


@asynccontextmanager
async def bot(folder: Path, **env: str) -> AsyncIterator[Process]:
    site = folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(LIGHT)
    path = os.pathsep.join([str(site), str(ROOT)])
    given = {
        "PYTHONPATH": path,
        "CLIPSIM_DATA": str(folder / "library"),
        "CLIPSIM_WEB_PORT": "0",
        "CLIPSIM_WORKERS": "1",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot"),
        cwd=folder,
        env={**os.environ, **given, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def healthy(address: str) -> dict[str, Any]:
    """What /healthz reports once all is well; a busy machine may take its time to open the index."""
    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{address}healthz") as response:
                report = await response.json()
                if response.status == 200:
                    return report


def assert_one_sentence(code: int, stderr: str, *parts: str) -> None:
    assert code == 1, stderr
    lines = [line for line in stderr.splitlines() if not re.match(r"\d{4}-\d\d-\d\d .* (INFO|WARNING) ", line)]
    assert len(lines) == 1, stderr
    for part in parts:
        assert part in lines[0]


@pytest.mark.slow
async def test_without_a_token_the_page_is_served_and_the_way_to_one_is_told(tmp_path):
    async with bot(tmp_path) as process:
        address = (await process.until(r"The web page is at (http://127\.0\.0\.1:\d+/)"))[1]
        await process.until(r"Start again with DISCORD_TOKEN")
        assert "Message Content Intent" in process.said
        assert re.search(r"scope=bot\+applications\.commands&permissions=\d+", process.said)
        report = await healthy(address)
        assert report["discord"]["state"] == "off"
        process.signal(signal.SIGTERM)
        code, stderr = await process.ended()
        assert code == 0, stderr
        assert "Traceback" not in stderr
    with pytest.raises(aiohttp.ClientConnectionError):
        async with aiohttp.ClientSession() as session, session.get(address):
            pass


@pytest.mark.slow
async def test_a_second_process_on_the_same_library_says_so_and_ends(tmp_path):
    async with bot(tmp_path) as first:
        await first.until("The web page is at")
        async with bot(tmp_path) as second:
            assert_one_sentence(*await second.ended(), "This library", "is owned by process")
            assert "The web page" not in second.said
        first.signal(signal.SIGINT)
        assert (await first.ended())[0] == 0


@pytest.mark.slow
async def test_a_port_in_use_is_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with bot(tmp_path, CLIPSIM_WEB_PORT=port) as process:
            assert_one_sentence(*await process.ended(), port, "in use", "CLIPSIM_WEB_PORT")


@pytest.mark.slow
async def test_a_setting_that_cannot_be_used_is_one_sentence(tmp_path):
    async with bot(tmp_path, CLIPSIM_WEB_PORT="many") as process:
        assert_one_sentence(*await process.ended(), "CLIPSIM_WEB_PORT", "many")


# The Discord side, against Discord on the wire


@pytest.fixture
def on_the_wire(monkeypatch):
    def point(base: str) -> None:
        monkeypatch.setattr(discord.http.Route, "BASE", f"{base}/api/v10")
        gateway = yarl.URL(base.replace("http", "ws", 1) + "/gateway/")
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", gateway)

    return point


@asynccontextmanager
async def running(chat: app.Chat, token: str) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(chat.run(token))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def chat(**given: object) -> app.Chat:
    return app.Chat(SimDouble(), settings.load(discord_token="x", **given))  # type: ignore[arg-type]


async def test_a_token_that_is_refused_is_one_sentence(on_the_wire):
    async with FakeDiscord() as double:
        on_the_wire(double.url)
        with pytest.raises(app.CannotRun) as caught:
            await chat().run("wrong")
    assert str(caught.value) == text.REFUSED


@pytest.mark.parametrize("token", ["two words", "líne", "a\nb"])
async def test_a_token_that_cannot_even_be_sent_is_one_sentence(token):
    with pytest.raises(app.CannotRun, match="DISCORD_TOKEN"):
        await app.serve(settings.load(discord_token=token), asyncio.Event())


async def test_without_the_message_content_intent_it_goes_on_and_says_so_once(on_the_wire, caplog):
    async with FakeDiscord(privileged=0) as double:
        on_the_wire(double.url)
        side = chat()
        async with running(side, double.token):
            await double.connected()
            await eventually(lambda: side.state()["ok"])
            assert side.state()["message_content"] is False
            interaction = await double.slash("help")
            assert text.ENGLISH.HELP_NO_CONTENT in str(interaction.messages[0].json())
    asked = [identified["intents"] & discord.Intents(message_content=True).value for identified in double.identified]
    assert [bool(one) for one in asked] == [True, False]
    assert [record.getMessage() for record in caplog.records].count(text.NO_CONTENT_INTENT) == 1


async def test_an_operator_can_do_without_the_intent(on_the_wire, caplog):
    async with FakeDiscord(privileged=0) as double:
        on_the_wire(double.url)
        side = chat(message_content=False)
        async with running(side, double.token):
            await eventually(lambda: side.state()["ok"])
    assert len(double.identified) == 1
    assert text.NO_CONTENT_INTENT not in caplog.text


async def test_a_token_that_is_withdrawn_later_is_one_sentence(on_the_wire):
    async with FakeDiscord() as double:
        on_the_wire(double.url)
        async with running(chat(), double.token) as task:
            await double.connected()
            await double.drop_connection(4004)
            with pytest.raises(app.CannotRun) as caught:
                await asyncio.wait_for(task, PATIENCE)
    assert str(caught.value) == text.REFUSED


async def test_when_discord_cannot_be_reached_it_is_tried_again(on_the_wire, monkeypatch, caplog):
    monkeypatch.setattr(app, "RETRY_AFTER", 0.01)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        on_the_wire(f"http://127.0.0.1:{closed.getsockname()[1]}")
        side = chat()
        async with FakeDiscord() as double, running(side, double.token) as task:
            await eventually(lambda: "cannot be reached" in caplog.text or task.done())
            assert not side.state()["ok"]
            on_the_wire(double.url)
            await double.connected()
            await eventually(lambda: side.state()["ok"])


async def test_several_connections_share_the_servers(on_the_wire, monkeypatch):
    async def at_once(bot: object, shard: int | None, *, initial: bool = False) -> None:
        """Instead of the five seconds that Discord wants between two connections."""

    monkeypatch.setattr(discord.Client, "before_identify_hook", at_once)
    link = "https://youtu.be/clip0000001"
    async with FakeDiscord(shards=2) as double:
        guilds = [double.home, *(double.add_guild(f"server {n}") for n in range(3))]
        while len({guild.shard(2) for guild in guilds}) < 2:
            guilds.append(double.add_guild("another"))
        rooms = [double.channel(f"room{n}", guild).name for n, guild in enumerate(guilds)]
        on_the_wire(double.url)
        sim = SimDouble()
        side = app.Chat(sim, settings.load(discord_token="x", shards="auto"))  # type: ignore[arg-type]
        left = await sim.accept(link, community="1", requester=None, reply={"channel": double.channel("room0").id})
        async with running(side, double.token):
            await double.connected()
            await eventually(lambda: side.state()["ok"])
            assert [each["shard"] for each in double.identified] == [[0, 2], [1, 2]]
            assert side.state()["guilds"] == len(guilds)
            for room in rooms:  # whichever connection hears of it
                asked = await double.say(room, "ann", link)
                await double.wait_for_message(
                    lambda reply, to=asked: reply.reference == to.id and reply.embeds[0].get("title")
                )
                assert (await double.answered(await double.slash("help", channel=room))).embeds
            await eventually(lambda: sim.begun.count(left.id) == 1)
            await eventually(lambda: set(side.state()["latency"]) == {"0", "1"})
            await double.invalidate()  # both begin anew
            await eventually(lambda: len(double.identified) == 4)
            await double.connected()
            await eventually(lambda: side.state()["ok"])
            assert sim.begun.count(left.id) == 1


def test_how_many_connections_is_a_setting():
    one = client.make(SimDouble(), settings.load())  # type: ignore[arg-type]
    three = client.make(SimDouble(), settings.load(shards="3"))  # type: ignore[arg-type]
    assert not isinstance(one, discord.AutoShardedClient)
    assert isinstance(three, discord.AutoShardedClient) and three.shard_count == 3


@pytest.mark.parametrize("shards", ["0", "many", "-1", "1.5"])
def test_shards_are_off_auto_or_a_number(shards):
    with pytest.raises(InvalidSetting, match="CLIPSIM_SHARDS"):
        settings.load(shards=shards)


# Logs


def entry(message: str, *args: object, exc_info: object = None) -> str:
    record = logging.LogRecord("bot", logging.INFO, __file__, 1, message, args, exc_info)  # type: ignore[arg-type]
    return logs.Lines("s3cret.token", "").format(record)


def test_an_event_is_one_line_whatever_a_title_contains():
    line = entry("title=%s", "a\nb\x1b[31m\u2028c\r")
    assert line.endswith("title=a\\nb\\x1b[31m\\u2028c\\r")
    assert len(line.splitlines()) == 1


def test_the_token_is_never_logged_not_even_in_a_traceback():
    try:
        raise ValueError("bad s3cret.token\nnext")
    except ValueError:
        shown = entry("failed with s3cret.token\nforged", exc_info=sys.exc_info())
    assert "s3cret" not in shown
    assert shown.count(logs.HIDDEN) == 3  # the event, the line of code, the error
    first, *below = shown.split("\n")
    assert first.endswith(f"failed with {logs.HIDDEN}\\nforged")
    assert below[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in below)


def test_what_is_done_for_a_job_names_it_once():
    with working_for(Context(job=17)):
        assert entry("fetched").endswith("bot: job=17 fetched")
        assert entry("job=%d accepted", 17).endswith("bot: job=17 accepted")
    assert entry("fetched").endswith("bot: fetched")


def test_as_json_an_event_is_one_object_without_secrets():
    try:
        raise ValueError("bad s3cret.token")
    except ValueError:
        record = logging.LogRecord("bot", logging.INFO, __file__, 1, "a\n%s", ("s3cret.token\x1b",), sys.exc_info())
    with working_for(Context(job=17)):
        line = logs.Objects("s3cret.token").format(record)
    assert "s3cret" not in line and "\n" not in line and "\x1b" not in line
    event = json.loads(line)
    assert event["message"] == f"a\n{logs.HIDDEN}\x1b" and (event["job"], event["level"]) == (17, "INFO")
    assert event["error"] == "ValueError" and "Traceback" in event["traceback"]
    assert datetime.fromisoformat(event["time"]).tzinfo is not None


def test_a_worker_logs_as_the_process_that_started_it(tmp_path):
    code = (
        "import logging, os\n"
        "from clipsim import logs, context\n"
        "from clipsim.workers.local import _start\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "import multiprocessing\n"
        "def work():\n"
        "    logging.getLogger('work').info('at it with s3cret')\n"
        "if __name__ == '__main__':\n"
        "    logs.set_up('INFO', 's3cret', form='json')\n"
        "    spawn = multiprocessing.get_context('spawn')\n"
        "    start = (1, logs.inherited())\n"
        "    with ProcessPoolExecutor(1, mp_context=spawn, initializer=_start, initargs=start) as pool:\n"
        "        pool.submit(context.call_for, context.Context(job=17), work).result()\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=env, check=True)
    event = json.loads(done.stderr)
    assert (event["job"], event["message"], event["logger"]) == (17, f"at it with {logs.HIDDEN}", "work")


def test_logs_are_set_up_once(capsys):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.set_up("INFO", "s3cret.token")
        logs.set_up("INFO", "s3cret.token")
        logging.getLogger("bot").info("hello s3cret.token")
        logging.getLogger("bot").debug("not this")
        assert len(root.handlers) == 1
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"hello {logs.HIDDEN}")
