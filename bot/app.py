"""One process: the library, the web page and the Discord client; started in this order, stopped in the reverse.

What prevents the start is one sentence for the operator and exit code 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from aiohttp import web

from bot import client, metrics, text
from bot.health import Health
from bot.watchdog import Watchdog
from bot.web.routes import make_app
from clipsim import logs
from clipsim import settings as all_settings
from clipsim.core import ClipSim
from clipsim.errors import ClipSimError
from clipsim.model import JSON

if TYPE_CHECKING:
    from clipsim.settings import Settings

log = logging.getLogger(__name__)

RETRY_AFTER = 5.0  # seconds before a login that the network prevented is tried again, doubling
RETRY_AT_MOST = 300.0  # seconds
RELOAD_AFTER, RELOAD_AT_MOST = 60.0, 3600.0  # seconds before encoders that could not be loaded are tried again
SHUTDOWN = 5.0  # seconds that open requests of the web page are given

UNREACHABLE = (aiohttp.ClientError, OSError, asyncio.TimeoutError, discord.HTTPException, discord.GatewayNotFound)


class CannotRun(Exception):  # noqa: N818 - it says what it says
    """The process cannot start or go on; the message is a sentence for the operator."""


class Chat:
    """The Discord side: a client, and a new one where Discord wants it otherwise."""

    def __init__(self, sim: ClipSim, settings: Settings) -> None:
        self._sim = sim
        self._settings = settings
        self._bot: client.Bot | None = None
        self._content = settings.message_content

    def state(self) -> JSON:
        """For the web page and its health check."""
        if self._settings.discord_token is None:
            return {"state": "off"}
        return {"state": "connecting", "ok": False} if self._bot is None else self._bot.state()

    async def run(self, token: str) -> None:
        """Be connected until cancelled. Raises CannotRun."""
        delay = RETRY_AFTER
        while True:
            self._bot = client.make(self._sim, self._settings, message_content=self._content)
            try:
                async with self._bot:
                    await self._bot.start(token)
                return
            except discord.PrivilegedIntentsRequired:
                if not self._content:
                    raise CannotRun(text.closed(4014)) from None
                self._content = False
                log.warning(text.NO_CONTENT_INTENT)
            except discord.LoginFailure:
                raise CannotRun(text.REFUSED) from None
            except discord.ConnectionClosed as error:
                raise CannotRun(text.REFUSED if error.code == 4004 else text.closed(error.code)) from None
            except UNREACHABLE as error:
                log.warning("Discord cannot be reached (%s); trying again in %.0f s", error, delay)
                await asyncio.sleep(delay)
                delay = min(RETRY_AT_MOST, 2 * delay)


def _in_one_line(record: logging.LogRecord) -> bool:
    """That Discord's gateway is gone for a moment is no failure of this program, though discord.py logs it as one."""
    if str(record.msg).startswith("Attempting a reconnect") and record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        record.msg, record.args = "%s: %s", (record.getMessage(), str(error) or type(error).__name__)
        record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
    return True


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run everything until `stop` is set. Raises CannotRun, or the error that the library could not be opened with."""
    token = settings.discord_token.get_secret_value().strip() if settings.discord_token else ""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise CannotRun(text.REFUSED)  # it could not even be sent
    async with ClipSim.open(settings=settings) as sim:
        chat, watchdog = Chat(sim, settings), Watchdog()
        health = Health(sim, settings, chat.state, watchdog)
        metrics.observe(sim)
        page = _page(make_app(sim, settings, discord=chat.state, health=health), settings)
        async with _meanwhile(watchdog.run()), page as address, _meanwhile(_warm(sim, health)):
            print(text.page_at(address), flush=True)
            if not token:
                print(text.token_help(client.PERMISSIONS.value), flush=True)
                await stop.wait()
                return
            async with _meanwhile(chat.run(token)) as talking, _meanwhile(stop.wait()) as stopping:
                await asyncio.wait({talking, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if talking.done():
                    talking.result()


@contextlib.asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """A task that runs as long as the block does."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _warm(sim: ClipSim, health: Health) -> None:
    """Load the encoders while commands are answered already; again and again where something prevents it."""
    delay = RELOAD_AFTER
    while True:
        health.encoders(None, loaded=False)
        failure: BaseException | None
        try:
            failure = await sim.warm()
        except Exception as error:
            failure = error
        if failure is None:
            health.encoders(None, loaded=True)
            log.info("the encoders are loaded")
            return
        health.encoders(str(failure), loaded=False)
        log.warning("the encoders are not loaded, trying again in %.0f s: %s", delay, failure)
        await asyncio.sleep(delay)
        delay = min(RELOAD_AT_MOST, 2 * delay)


@contextlib.asynccontextmanager
async def _page(app: web.Application, settings: Settings) -> AsyncIterator[str]:
    """The web page, being served at the address that is yielded."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.web_host, settings.web_port).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotRun(text.port_in_use(settings.web_host, settings.web_port)) from None
            reason = error.strerror or str(error)
            raise CannotRun(text.cannot_listen(settings.web_host, settings.web_port, reason)) from None
        host, port = runner.addresses[0][:2]
        yield f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    finally:
        await runner.cleanup()


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask_to_stop(number: signal.Signals) -> None:
        log.info("%s: stopping", number.name)
        stop.set()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)  # asked a second time, stop at once

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask_to_stop, number)
    await serve(settings, stop)


def main() -> None:
    """Run until told to stop. Exit 0: stopped; 1: could not run, with one sentence on stderr."""
    try:
        settings = all_settings.load()
        token = settings.discord_token
        secret = token.get_secret_value().strip() if token else ""
        logs.set_up(settings.log_level, secret, form=settings.log_format)
        for name in ("discord.client", "discord.shard"):
            logging.getLogger(name).addFilter(_in_one_line)
        asyncio.run(_run(settings))
    except (ClipSimError, CannotRun) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
