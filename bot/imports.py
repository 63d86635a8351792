"""Imports: the clips of a playlist, added one after another while one message tells how far they are.

Each clip is a row in the library's jobs that names its import (the id of that message), so that a later process goes on
with it. They yield to links that somebody waits for. Cancelling leaves what was not begun.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import discord

from bot import render
from bot.board import PACE, PASSING
from bot.text import Texts, for_locale
from bot.trouble import explained
from clipsim.errors import ClipSimError

if TYPE_CHECKING:
    from bot.client import Bot
    from clipsim.sources import Source

log = logging.getLogger(__name__)

BAR = 20  # characters
TRIES = 3  # of the last edit


@dataclass(eq=False)
class Import:
    """One playlist on its way. `id` is that of the message that tells of it."""

    id: int
    channel: int
    owner: int
    community: str
    title: str
    total: int
    texts: Texts
    listed: int = 0  # clips that the playlist has in all, where that is more than what is taken
    done: int = 0
    failed: int = 0
    cancelled: bool = False
    waiting: dict[Any, Any] = field(default_factory=dict)  # jobs that were not begun, by id
    running: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return not self.waiting and not self.running

    def page(self) -> str:
        """How far it is, as Markdown."""
        texts = self.texts
        head = f"**{render.safe(self.title, 200) or texts.UNTITLED}**"
        if self.listed > self.total:
            head = f"{head} · {texts.playlist_left(self.total, self.listed)}"
        if self.over:
            return f"{head}\n{texts.playlist_done(self.done, self.failed, self.total, self.cancelled)}"
        full = BAR * (self.done + self.failed) // max(1, self.total)
        return (
            f"{head}\n{'▰' * full}{'▱' * (BAR - full)}\n{texts.playlist_progress(self.done, self.failed, self.total)}"
        )


class Imports:
    """All imports of this process."""

    def __init__(self, bot: Bot, cancelling: Callable[[Texts], discord.ui.View]) -> None:
        """`cancelling` makes the button that stops one."""
        self._bot = bot
        self.cancelling = cancelling
        self._known: dict[int, Import] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def of(self, message_id: int) -> Import | None:
        """The import that a message tells of, while it is under way."""
        return self._known.get(message_id)

    async def begin(self, it: Import, clips: Sequence[Source]) -> None:
        """Take the clips as jobs, and have them worked on. Raises ClipSimError: the first could not be taken."""
        for source in clips:
            row = {
                **{"batch": it.id, "batch_channel": it.channel, "owner": it.owner, "title": it.title},
                **{"total": it.total, "listed": it.listed, "language": it.texts.LANGUAGE},
            }
            try:
                job = await self._bot.sim.accept(
                    str(source.url), community=it.community, requester=str(it.owner), reply=row
                )
            except ClipSimError:
                if not it.waiting:
                    raise
                it.failed += 1
            else:
                it.waiting[job.id] = job
        log.info("import=%d begins with %d clips", it.id, len(it.waiting))
        self._go(it)

    async def resume(self, jobs: Sequence[Any]) -> None:
        """Go on with what an earlier process left. `jobs` are its open jobs, those of no import among them."""
        found: dict[int, list[Any]] = {}
        for job in jobs:
            if isinstance((job.reply or {}).get("batch"), int):
                found.setdefault(job.reply["batch"], []).append(job)
        for number, left in found.items():
            row = left[0].reply
            it = Import(
                number,
                int(row["batch_channel"]),
                int(row["owner"]),
                left[0].community,
                str(row.get("title") or ""),
                int(row["total"]),
                for_locale(row.get("language")),
                listed=int(row.get("listed") or 0),
                waiting={job.id: job for job in left},
            )
            states = [job.state for job in await self._bot.sim.jobs_answering("batch", number)]
            it.done, it.failed = states.count("done"), states.count("failed")
            log.info("import=%d goes on with %d clips", number, len(left))
            self._go(it)

    async def cancel(self, it: Import) -> None:
        """Leave what was not begun."""
        it.cancelled = True
        left, it.waiting = list(it.waiting.values()), {}
        for job in left:
            await self._bot.sim.drop_job(job.id, it.community)
        log.info("import=%d is cancelled, %d clips are left", it.id, len(left))
        it.news.set()

    async def close(self) -> None:
        """Tell no more; what is not done stays in the library's jobs."""
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)

    def _go(self, it: Import) -> None:
        self._known[it.id] = it
        for job in list(it.waiting.values()):
            self._bot.errands.later(it.community, partial(self._run, it, job))
        task = asyncio.create_task(self._tell(it), name=f"import {it.id}")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _run(self, it: Import, job: Any) -> None:
        if it.waiting.pop(job.id, None) is None:
            return  # it was cancelled
        it.running += 1
        try:
            await self._bot.sim.run(job.id, waits=self._bot.errands.pausing(), background=True)
            it.done += 1
        except Exception as error:
            explained(error, f"import={it.id} link={job.source}")
            it.failed += 1
        finally:
            it.running -= 1
            it.news.set()

    async def _tell(self, it: Import) -> None:
        """Edit the message as often as Discord allows, until all is done."""
        message = self._bot.get_partial_messageable(it.channel).get_partial_message(it.id)
        while not it.over:
            it.news.clear()
            await self._write(message, it)
            await asyncio.sleep(PACE)
            await it.news.wait()
        self._known.pop(it.id, None)
        log.info("import=%d ends: %d of %d added, %d failed", it.id, it.done, it.total, it.failed)
        for attempt in range(1, TRIES + 1):
            if await self._write(message, it):
                return
            await asyncio.sleep(PACE * attempt)

    async def _write(self, message: discord.PartialMessage, it: Import) -> bool:
        """Show how far it is; False where that is worth another try."""
        try:
            await message.edit(content=it.page(), embeds=[], view=None if it.over else self.cancelling(it.texts))
        except (discord.NotFound, discord.Forbidden) as error:
            log.info("import=%d its message cannot be written: %s", it.id, error)
        except PASSING as error:
            log.warning("import=%d its message is not written: %s", it.id, error)
            return False
        return True
