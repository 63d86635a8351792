"""Turns: so many pieces of work at once, and communities take turns, so that one's hundred links starve nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from clipsim.fairness import Line

log = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]


class Turns:
    """At most `limit` pieces of work run at once; those that wait are entries in a list, not tasks.

    When a place becomes free, the community that was served longest ago comes next, with its oldest piece. Work in the
    background comes when nothing else waits, and leaves one place to what may come meanwhile.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("a limit of at least one is needed")
        self._limit = limit
        self._waiting: Line[tuple[str, Work, bool]] = Line()
        self._running: dict[asyncio.Task[None], bool] = {}  # whether it is in the background
        self._paused: set[asyncio.Task[None]] = set()
        self._closed = False

    def submit(self, community: str, work: Work, *, background: bool = False) -> None:
        """Have a piece of work done when it is its turn. What it raises is logged."""
        if self._closed:
            return
        self._waiting.put(community, (community, work, background), background=background)
        self._next()

    @property
    def waiting(self) -> int:
        """Pieces that have not begun."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Pieces that are being done, those that pause among them."""
        return len(self._running)

    def pause(self, piece: asyncio.Task[Any] | None) -> None:
        """A piece that runs waits for something long: its place is free meanwhile."""
        if piece in self._running:
            self._paused.add(piece)
            self._next()

    def go_on(self, piece: asyncio.Task[Any] | None) -> None:
        """A piece waits no longer. It goes on at once; who comes after it waits until a place is free again."""
        self._paused.discard(piece)  # type: ignore[arg-type]

    def _next(self) -> None:
        while not self._closed:
            busy = [background for task, background in self._running.items() if task not in self._paused]
            if len(busy) >= self._limit:
                return
            taken = self._waiting.pop(background=sum(busy) < max(1, self._limit - 1))
            if taken is None:
                return
            community, work, background = taken
            task = asyncio.create_task(self._do(work), name=f"turn of {community}")
            self._running[task] = background
            task.add_done_callback(self._done)

    async def _do(self, work: Work) -> None:
        try:
            await work()
        except Exception:
            log.exception("a piece of work failed")

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._paused.discard(task)
        self._next()
        if not self._running:
            self._waiting.rest()

    async def close(self) -> None:
        """Stop what runs and forget what waits (its rows are in the library's jobs)."""
        self._closed = True
        self._waiting.clear()
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
