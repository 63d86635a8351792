"""The watchdog: how late the event loop is, and what holds it up.

Everything that Discord wants within three seconds runs in one event loop. A task looks at the clock ten times a second;
a thread looks at that task, and when it has not come for a while, writes down where the loop is held up.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections import deque

from bot import metrics

log = logging.getLogger(__name__)

EVERY = 0.1  # seconds between two looks
HELD_UP = 0.5  # seconds after which the loop's stack is logged
MINUTE = 60.0  # seconds that the worst is remembered
DEPTH = 4  # lines of the stack that are told


class Watchdog:
    """Runs as long as `run` does. One for each event loop."""

    def __init__(self) -> None:
        self._seen = time.monotonic()
        self._lags: deque[tuple[float, float]] = deque()  # when, how late; only such as nothing later was worse than
        self._ended = threading.Event()

    @property
    def worst(self) -> float:
        """Seconds that the loop was late at most in the last minute."""
        self._forget(time.monotonic())
        return self._lags[0][1] if self._lags else 0.0

    async def run(self) -> None:
        """Watch until cancelled."""
        self._seen = time.monotonic()
        watcher = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="watchdog of the event loop", daemon=True
        )
        watcher.start()
        try:
            while True:
                before = time.monotonic()
                await asyncio.sleep(EVERY)
                self._seen = now = time.monotonic()
                lag = max(0.0, now - before - EVERY)
                metrics.LAG.observe(lag)
                self._note(now, lag)
                metrics.LAG_MOST.set(self.worst)
        finally:
            self._ended.set()

    def _note(self, now: float, lag: float) -> None:
        while self._lags and self._lags[-1][1] <= lag:
            self._lags.pop()
        self._lags.append((now, lag))

    def _forget(self, now: float) -> None:
        while self._lags and self._lags[0][0] < now - MINUTE:
            self._lags.popleft()

    def _watch(self, loop_thread: int) -> None:
        """In a thread of its own: tell once what the loop does when it does not come back."""
        told = 0.0
        while not self._ended.wait(EVERY):
            seen = self._seen
            late = time.monotonic() - seen - EVERY
            if late > HELD_UP and told != seen:
                told = seen
                frame = sys._current_frames().get(loop_thread)
                where = traceback.extract_stack(frame)[-DEPTH:] if frame is not None else []
                steps = " < ".join(f"{step.filename}:{step.lineno} {step.name}" for step in reversed(where))
                log.warning("the event loop has been held up for %.1f s in %s", late, steps or "something unknown")
