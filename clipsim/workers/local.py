"""Encode in child processes of this machine, each with its encoders loaded once.

Every worker is a pool of one process, so that one that dies (out of memory, a crash inside a decoder) takes only its
own clip with it: that clip is tried once more in a fresh process.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, TypeVar

from clipsim import logs
from clipsim.context import call_for, current
from clipsim.encoders import Preset
from clipsim.errors import EncodeTimeout, WorkerDied
from clipsim.model import Features, Media, Modality
from clipsim.settings import Settings

log = logging.getLogger(__name__)

ATTEMPTS = 2  # a clip whose worker died is tried once more
T = TypeVar("T")


class LocalPool:
    """`settings.workers` child processes. They start with the first clip, or with `warm`."""

    def __init__(self, settings: Settings, preset: Preset) -> None:
        self._settings = settings
        self._preset = preset
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._workers = [_Worker(settings.workers) for _ in range(settings.workers)]
        for worker in self._workers:
            self._idle.put_nowait(worker)
        self._closed = False

    async def encode(self, modality: Modality, media: Media) -> Features:
        """Encode one modality of one clip in the next free worker.

        Raises:
            WorkerDied: the process died twice over this clip.
            EncodeTimeout: it took longer than `settings.encode_timeout`; its process was killed.
            ClipSimError: whatever the stage itself raised.
        """
        from clipsim.workers import stages

        return await self._run(stages.encode, modality, media, self._preset, self._settings.max_duration)

    async def warm(self) -> BaseException | None:
        """Load the encoders in every worker. A failure is logged and returned, and shows again with the first clip."""
        from clipsim.workers import stages

        loading = (self._run(stages.load, self._preset) for _ in self._workers)
        found = await asyncio.gather(*loading, return_exceptions=True)
        failures = [result for result in found if isinstance(result, BaseException)]
        for failure in failures:
            log.warning("the encoders could not be loaded ahead: %s", failure)
        return failures[0] if failures else None

    async def close(self) -> None:
        """Kill the workers."""
        self._closed = True
        for worker in self._workers:
            worker.kill()

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            worker = await self._idle.get()
            try:
                async with asyncio.timeout(self._settings.encode_timeout):
                    return await worker.run(function, *arguments)
            except TimeoutError:
                worker.kill()
                raise EncodeTimeout() from None
            except BrokenProcessPool:
                worker.kill()
                if self._closed:
                    raise WorkerDied("The workers were stopped.", hint="") from None
                log.warning("a worker died (attempt %d of %d)", attempt, ATTEMPTS)
            except asyncio.CancelledError:
                worker.kill()  # nothing else stops a computation inside a C library
                raise
            finally:
                self._idle.put_nowait(worker)
        raise WorkerDied()


class _Worker:
    """One child process, started when first needed and again after `kill`."""

    def __init__(self, siblings: int) -> None:
        self._threads = max(1, (os.cpu_count() or 1) // siblings)
        self._executor: ProcessPoolExecutor | None = None
        self._pid: int | None = None

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(self._threads, logs.inherited()),
            )
            self._pid = await loop.run_in_executor(self._executor, os.getpid)
        return await loop.run_in_executor(self._executor, call_for, current(), function, *arguments)

    def kill(self) -> None:
        executor, pid = self._executor, self._pid
        self._executor = self._pid = None
        if executor is None:
            return
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        executor.shutdown(wait=False, cancel_futures=True)


def _start(threads: int, setup: logs.Setup | None) -> None:
    """Make a fresh worker a quiet child: it leaves Ctrl-C to its parent, logs as it does and does not outlive it."""
    logs.take_over(setup)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with suppress(OSError, AttributeError):
        os.nice(5)  # the bot must stay quick while media is encoded


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
