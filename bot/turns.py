"""Turns: so many pieces of work at once, and communities take turns, so that one's hundred links starve nobody."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]


class Turns:
    """At most `limit` pieces of work run at once; those that wait are entries in a list, not tasks.

    When a place becomes free, the community that was served longest ago comes next, with its oldest piece.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("a limit of at least one is needed")
        self._limit = limit
        self._waiting: dict[str, deque[Work]] = {}
        self._served: dict[str, int] = {}  # community -> number of the last turn it had
        self._turn = 0
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    def submit(self, community: str, work: Work) -> None:
        """Have a piece of work done when it is its turn. What it raises is logged."""
        if self._closed:
            return
        self._waiting.setdefault(community, deque()).append(work)
        self._next()

    @property
    def waiting(self) -> int:
        """Pieces that have not begun."""
        return sum(map(len, self._waiting.values()))

    @property
    def running(self) -> int:
        """Pieces that are being done."""
        return len(self._running)

    def _next(self) -> None:
        while self._waiting and len(self._running) < self._limit and not self._closed:
            community = min(self._waiting, key=lambda each: self._served.get(each, 0))
            line = self._waiting[community]
            work = line.popleft()
            if not line:
                del self._waiting[community]
            self._turn += 1
            self._served[community] = self._turn
            task = asyncio.create_task(self._do(work), name=f"turn of {community}")
            self._running.add(task)
            task.add_done_callback(self._done)

    async def _do(self, work: Work) -> None:
        try:
            await work()
        except Exception:
            log.exception("a piece of work failed")

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._next()
        if not self._running:
            self._served.clear()

    async def close(self) -> None:
        """Stop what runs and forget what waits (its rows are in the library's jobs)."""
        self._closed = True
        self._waiting.clear()
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
