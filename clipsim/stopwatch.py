"""How long the stages of a clip's way take, told to whoever listens: the bot's metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from clipsim.model import Features, Media, Modality, Stage
from clipsim.workers import Pool

Listener = Callable[[Stage, float], None]  # told a stage that ended, however it did, and its seconds


class Stopwatch:
    """Measures by the wall's clock, waiting for a free worker included: what somebody waits."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Be told of every stage that ends, by the thread in which it ends."""
        self._listeners.append(listener)

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """This block is a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            for listener in self._listeners:
                listener(stage, time.perf_counter() - began)


class TimedPool:
    """Workers whose encoding is measured; in everything else the pool that it is given."""

    def __init__(self, pool: Pool, stopwatch: Stopwatch, stages: Mapping[Modality, Stage]) -> None:
        self._pool = pool
        self._stopwatch = stopwatch
        self._stages = stages

    async def encode(self, modality: Modality, media: Media) -> Features:
        """As the pool's."""
        with self._stopwatch.measure(self._stages[modality]):
            return await self._pool.encode(modality, media)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)
