"""Encode in child processes of this machine, each with its encoders loaded once.

Every worker is a pool of one process, so that one that dies (out of memory, a crash inside a decoder) takes only its
own clips with it: they are tried once more, each on its own, in a fresh process.

What waits is served clip by clip, in the order in which the clips came, and of one clip its words before its sound
before its picture: so sound and words can be answered from while the picture is still being watched. Where the encoders
gain by it (on a graphics card), a worker takes the same modality of several clips at once.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clipsim import logs
from clipsim.context import Context, call_for, current, working_for
from clipsim.encoders import Preset
from clipsim.errors import ClipSimError, EncodeTimeout, WorkerDied
from clipsim.model import Features, Media, Modality
from clipsim.settings import Settings

log = logging.getLogger(__name__)

ATTEMPTS = 2  # a clip whose worker died is tried once more
ORDER: Mapping[Modality, int] = {"lyrics": 0, "audio": 1, "video": 2}  # of one clip; the quick ones first
T = TypeVar("T")


@dataclass(order=True)
class _Request:
    """One modality of one clip that waits for a worker, or is being encoded."""

    rank: tuple[int, int, int]  # its clip's turn, its modality's, its own number
    modality: Modality = field(compare=False)
    media: Media = field(compare=False)
    result: asyncio.Future[Features] = field(compare=False)
    context: Context = field(default_factory=current, compare=False)  # for whom
    attempts: int = field(default=0, compare=False)


class LocalPool:
    """`settings.workers` child processes. They start with the first clip, or with `warm`."""

    def __init__(self, settings: Settings, preset: Preset) -> None:
        self._settings = settings
        self._preset = preset
        self._workers = [_Worker(settings.workers) for _ in range(settings.workers)]
        self._idle = list(self._workers)
        self._waiting: list[_Request] = []  # a heap
        self._turns: dict[str, int] = {}  # clip id -> its turn, while anything of it waits or runs
        self._open: Counter[str] = Counter()  # clip id -> requests of it that wait or run
        self._count = 0
        self._serving: dict[asyncio.Task[None], list[_Request]] = {}
        self._closed = False

    async def encode(self, modality: Modality, media: Media) -> Features:
        """Encode one modality of one clip in the next free worker.

        Raises:
            WorkerDied: the process died twice over this clip.
            EncodeTimeout: it took longer than `settings.encode_timeout`; its process was killed.
            ClipSimError: whatever the stage itself raised.
        """
        if self._closed:
            raise _stopped()
        self._count += 1
        clip_id = media.clip.id
        turn = self._turns.setdefault(clip_id, self._count)
        self._open[clip_id] += 1
        request = _Request(
            (turn, ORDER[modality], self._count), modality, media, asyncio.get_running_loop().create_future()
        )
        heapq.heappush(self._waiting, request)
        self._dispatch()
        try:
            return await request.result
        finally:
            self._open[clip_id] -= 1
            if not self._open[clip_id]:
                del self._open[clip_id], self._turns[clip_id]
            if not request.result.done() or request.result.cancelled():
                await self._give_up(request)

    async def warm(self) -> BaseException | None:
        """Load the encoders in every worker. A failure is logged and returned, and shows again with the first clip."""
        from clipsim.workers import stages

        loading = (worker.run(stages.load, self._preset) for worker in self._workers)
        found = await asyncio.gather(*loading, return_exceptions=True)
        failures = [result for result in found if isinstance(result, BaseException)]
        for failure in failures:
            log.warning("the encoders could not be loaded ahead: %s", failure)
        return failures[0] if failures else None

    async def close(self) -> None:
        """Kill the workers."""
        self._closed = True
        for request in self._waiting:
            if not request.result.done():
                request.result.set_exception(_stopped())
        self._waiting.clear()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(list(self._serving))
        for worker in self._workers:
            worker.kill()

    def _dispatch(self) -> None:
        """Give work to whoever is free."""
        while self._idle and self._waiting:
            worker = self._idle.pop()
            batch = self._next(worker)
            if not batch:
                self._idle.append(worker)
                return
            with working_for(batch[0].context):  # of several at once, the first is named in the log
                task = asyncio.create_task(self._serve(worker, batch))
            self._serving[task] = batch
            task.add_done_callback(lambda done, worker=worker: self._served(done, worker))  # type: ignore[misc]

    def _next(self, worker: _Worker) -> list[_Request]:
        """The request whose turn it is, and those of the same modality that are as well encoded with it."""
        batch: list[_Request] = []
        passed: list[_Request] = []
        while self._waiting and (not batch or len(batch) < worker.batches.get(batch[0].modality, 1)):
            request = heapq.heappop(self._waiting)
            if request.result.done():  # given up
                continue
            if batch and (request.modality != batch[0].modality or request.attempts or batch[0].attempts):
                passed.append(request)
            else:
                batch.append(request)
        for request in passed:
            heapq.heappush(self._waiting, request)
        return batch

    async def _serve(self, worker: _Worker, batch: list[_Request]) -> None:
        from clipsim.workers import stages

        for request in batch:
            request.attempts += 1
        medias = [request.media for request in batch]
        found: Sequence[Features | BaseException]
        try:
            async with asyncio.timeout(self._settings.encode_timeout * len(batch)):
                found = await worker.run(
                    stages.encode_many, batch[0].modality, medias, self._preset, self._settings.max_duration
                )
        except TimeoutError:
            worker.kill()
            found = [EncodeTimeout()] * len(batch)
        except BrokenProcessPool:
            worker.kill()
            log.warning("a worker died over the %s of %s", batch[0].modality, [media.clip.id for media in medias])
            if self._again(batch):
                return
            found = [WorkerDied()] * len(batch)
        except asyncio.CancelledError:
            worker.kill()  # nothing else stops a computation inside a C library
            raise
        except Exception as error:
            found = [error] * len(batch)
        for request, each in zip(batch, found, strict=True):
            if request.result.done():
                continue
            if isinstance(each, BaseException):
                request.result.set_exception(each)
            else:
                request.result.set_result(each)

    def _again(self, batch: list[_Request]) -> bool:
        """Whether all of a batch that was lost may be tried once more; they wait again then, each on its own."""
        if any(request.attempts >= ATTEMPTS for request in batch):
            return False
        for request in batch:
            heapq.heappush(self._waiting, request)
        return True

    def _served(self, task: asyncio.Task[None], worker: _Worker) -> None:
        for request in self._serving.pop(task):
            if task.cancelled() and not request.result.done():  # its process was stopped before it had begun
                request.result.set_exception(_stopped())
        self._idle.append(worker)
        if not self._closed:
            self._dispatch()

    async def _give_up(self, request: _Request) -> None:
        """Nobody waits for it any more. A worker that has nothing else in hand is stopped."""
        request.result.cancel()
        for task, batch in list(self._serving.items()):
            if request in batch and all(each.result.done() for each in batch):
                task.cancel()
                await asyncio.wait({task})


class _Worker:
    """One child process, started when first needed and again after `kill`."""

    def __init__(self, siblings: int) -> None:
        self._threads = max(1, (os.cpu_count() or 1) // siblings)
        self._executor: ProcessPoolExecutor | None = None
        self._pid: int | None = None
        self.batches: dict[Modality, int] = {}  # clips that are as well encoded at once, by modality; else one

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(self._threads, logs.inherited()),
            )
            self._pid, self.batches = await loop.run_in_executor(self._executor, _introduce)
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


def _stopped() -> ClipSimError:
    return WorkerDied("The workers were stopped.", hint="")


def _introduce() -> tuple[int, dict[Modality, int]]:
    """A fresh worker's process id, and how many clips it is best given at once."""
    from clipsim.workers import stages

    return os.getpid(), {modality: stages.batch_size(modality) for modality in ORDER}


def _start(threads: int, setup: logs.Setup | None) -> None:
    """Make a fresh worker a quiet child: it leaves Ctrl-C to its parent, logs as it does and does not outlive it."""
    logs.take_over(setup)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    # Threads that wait for the others sleep: spinning, they take the processor from whoever they wait for, where
    # another process is busy too (a window of words then took up to three times as long).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with suppress(OSError, AttributeError):
        os.nice(5)  # the bot must stay quick while media is encoded


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
