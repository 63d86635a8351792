"""The desk: the jobs that this process works on, from the row to its end; waiting, cancelled, or tried again later."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import ParamSpec, TypeVar

from clipsim.context import Context, working_for
from clipsim.courtesy import REFUSALS, Courtesy, Waits
from clipsim.errors import ClipSimError, JobCancelled
from clipsim.jobs import Job, Jobs, State
from clipsim.model import Answer, Progress, Stage

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

Work = Callable[[Job, Progress], Awaitable[Answer]]


class Desk:
    """Runs jobs. Each row says at any moment what would have to be done if the process ended here."""

    def __init__(self, jobs: Jobs, courtesy: Courtesy) -> None:
        self._jobs = jobs
        self._courtesy = courtesy
        self._running: dict[int, asyncio.Task[Answer]] = {}
        self._cancelled: set[int] = set()

    async def run(
        self,
        job_id: int,
        work: Work,
        *,
        clip_id: Callable[[Job], str | None],
        progress: Progress | None = None,
        waits: Waits | None = None,
        background: bool = False,
    ) -> Answer:
        """Do a job's work and keep its state. `clip_id` tells of which clip's waiting it wants to hear.

        Raises:
            JobCancelled: somebody cancelled it. NoSuchJob: somebody dropped it.
            ClipSimError: as the work; the job has failed then, with the error's code.
        """
        job = await asyncio.to_thread(self._jobs.start, job_id)
        context = Context(job.id, job.community, background)
        state = _Row(self._jobs, job_id)
        loop = asyncio.get_running_loop()

        def told(stage: Stage) -> None:  # by whatever thread
            if stage == "listening":
                loop.call_soon_threadsafe(state.put, "encoding")
            if progress is not None:
                progress(stage)

        def waiting(until: datetime | None) -> None:
            state.put("fetching" if until is None else "queued")
            if waits is not None:
                waits(until)

        with working_for(context), ExitStack() as watching:
            if (awaited := await asyncio.to_thread(clip_id, job)) is not None:
                watching.enter_context(self._courtesy.watch(awaited, waiting))
            task = self._running[job_id] = asyncio.ensure_future(_coroutine(work(job, told)))
            try:
                found = await task
            except asyncio.CancelledError:
                await self._stopped(job_id, state)
                raise JobCancelled from None
            except ClipSimError as error:
                await state.settled()
                not_before = self._courtesy.not_before() if isinstance(error, REFUSALS) else None
                await asyncio.to_thread(self._jobs.fail, job_id, error, not_before)
                raise
            finally:
                del self._running[job_id]
                self._cancelled.discard(job_id)
            await state.settled()
            await asyncio.to_thread(self._jobs.done, job_id, found.query.id)
            return found

    async def _stopped(self, job_id: int, state: _Row) -> None:
        """Its task was cancelled: by somebody who said so, or with the process, and then it waits for the next one."""
        if job_id in self._cancelled:
            await state.settled()
            with suppress(ClipSimError):  # it may have been dropped
                await asyncio.to_thread(self._jobs.cancel, job_id)
            return
        with suppress(ClipSimError):
            state.put("queued")
            await state.settled()
        raise asyncio.CancelledError

    async def cancel(self, job_id: int, community: str) -> Job:
        """Stop a job that is open, or will be tried again; one that has ended stays as it is."""
        await asyncio.to_thread(self._jobs.get, job_id, community)
        self._stop(job_id)
        return await asyncio.to_thread(self._jobs.cancel, job_id)

    async def drop(self, job_id: int, community: str) -> Job:
        """Stop a job and forget it; returns what it was."""
        job = await asyncio.to_thread(self._jobs.get, job_id, community)
        self._stop(job_id)
        await asyncio.to_thread(self._jobs.drop, job_id)
        return job

    def _stop(self, job_id: int) -> None:
        task = self._running.get(job_id)
        if task is not None and not task.done():
            self._cancelled.add(job_id)
            task.cancel()


class _Row:
    """A running job's state in its row: written in the order in which it changed, without holding up the work."""

    def __init__(self, jobs: Jobs, job_id: int) -> None:
        self._jobs = jobs
        self._id = job_id
        self._state: State = "fetching"
        self._last: asyncio.Task[None] | None = None

    def put(self, state: State) -> None:
        """It is queued, being fetched or encoded now."""
        if state == self._state:
            return
        write: Callable[[], object]
        if state == "queued":
            write = functools.partial(self._jobs.wait, self._id)
        elif self._state == "queued":
            write = functools.partial(self._jobs.start, self._id)
        else:
            write = functools.partial(self._jobs.set_state, self._id, state)
        self._state = state
        self._last = asyncio.get_running_loop().create_task(self._write(write, self._last), name="state of a job")

    async def _write(self, write: Callable[[], object], before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        try:
            await asyncio.to_thread(write)
        except ClipSimError as error:  # the row may be gone, or the disk full: the work goes on
            log.info("its state was not noted: %s", error)

    async def settled(self) -> None:
        """Everything is written."""
        if self._last is not None:
            await asyncio.shield(self._last)


async def _coroutine(work: Awaitable[T]) -> T:
    return await work
