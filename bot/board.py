"""A board: one reply that shows several parts, edited at a pace that Discord allows, the latest state winning."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp
import discord
from discord import ui

from bot.replies import Reply
from clipsim.model import JSON

log = logging.getLogger(__name__)

PACE = 2.0  # seconds between two edits that tell progress; the final state goes out at once
TRIES = 4  # of the final state
PATIENCE = 5.0  # seconds before it is tried again, then twice and three times that

PASSING = (discord.HTTPException, aiohttp.ClientError, OSError, asyncio.TimeoutError)


class Board:
    """One reply of one embed per part. A part is in progress until it is finished; then it changes no more."""

    def __init__(
        self,
        reply: Reply,
        parts: Sequence[discord.Embed],
        *,
        finished: frozenset[int] = frozenset(),
        post: int | None = None,
        below: Callable[[Mapping[int, Any]], ui.View | None] | None = None,
    ) -> None:
        """`below` makes what is put below the reply when all is done, from what the parts were finished with."""
        self.post = post  # the message that it answers
        self._below = below
        self._answers: dict[int, Any] = {}
        self._reply = reply
        self._parts = list(parts)
        self._open = set(range(len(parts))) - finished
        self._dirty = False
        self._gone = False  # the message was deleted, or may not be written
        self._sending: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def record(self) -> JSON:
        """Where the reply is."""
        return self._reply.record()

    async def begin(self) -> None:
        """Write the reply for the first time."""
        self._dirty = True
        self._push()
        if self._sending is not None:
            await asyncio.wait({self._sending})

    def tell(self, part: int, embed: discord.Embed) -> None:
        """Show progress of a part: soon, unless something newer comes first. Ignored once it is finished."""
        if part in self._open:
            self._parts[part] = embed
            self._touch()

    def finish(self, part: int, embed: discord.Embed, answer: Any = None) -> None:
        """Show a part's final state. When it was the last, the board is written at once."""
        if part in self._open:
            self._open.discard(part)
            self._parts[part] = embed
            if answer is not None:
                self._answers[part] = answer
            if not self._open and self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._touch()

    def reopen(self, part: int, embed: discord.Embed) -> None:
        """A finished part is worked on again."""
        self._open.add(part)
        self.tell(part, embed)

    async def stop(self) -> JSON:
        """Write no more, but let what is being written be written. Returns where the reply is."""
        sending, self._sending = self._sending, None
        self.close()
        if sending is not None:
            await asyncio.wait({sending})
        return self.record

    def close(self) -> None:
        """Write no more."""
        self._gone = True
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _touch(self) -> None:
        self._dirty = True
        if self._timer is None:
            self._push()

    def _push(self) -> None:
        self._timer = None
        if self._dirty and not self._gone and self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="board")
            self._sending.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending = None
        if self._gone or task.cancelled():
            return
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(PACE, self._push)
        else:
            self._push()

    async def _send(self) -> None:
        for attempt in range(1, TRIES + 1):
            self._dirty = False
            try:
                await self._reply.show(self._parts, self._view())
            except (discord.NotFound, discord.Forbidden) as error:
                self._gone = True
                log.info("reply=%s given up: %s", self._reply.record().get("message"), error)
            except PASSING as error:
                log.warning("reply=%s not written: %s", self._reply.record().get("message"), error)
                if self._refused(error) or attempt == TRIES or self._open:
                    return  # progress is not worth a second try: the next state comes soon
                await asyncio.sleep(PATIENCE * attempt)
                continue
            return

    def _view(self) -> ui.View | None:
        return self._below(self._answers) if self._below is not None and not self._open else None

    @staticmethod
    def _refused(error: BaseException) -> bool:
        """Discord understood, and said no: trying again would not help."""
        return isinstance(error, discord.HTTPException) and 400 <= error.status < 429
