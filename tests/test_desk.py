"""Jobs under way: what each row says at every moment, on a real library, with work that the test holds up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clipsim import logs, sources
from clipsim.breaker import FIRST_PAUSE
from clipsim.context import current
from clipsim.courtesy import GUEST, Courtesy
from clipsim.desk import Desk
from clipsim.errors import BotCheck, ClipSimError, DiskFull, JobCancelled, NetworkDown, NoSuchJob, Private
from clipsim.jobs import KEPT, MAX_ATTEMPTS, Job, Jobs
from clipsim.library import Library
from clipsim.model import Answer, Clip, Progress
from tests.libraries import TINY, settings

LINK = "https://www.youtube.com/watch?v=aaaaaaaaaa1"


class Bench:
    """A desk, and work on it: `open` lets it go on, `error` is what it ends in."""

    def __init__(self, library: Library) -> None:
        self.now = time.time()
        self.jobs = Jobs(library)
        self.courtesy = Courtesy(GUEST, clock=lambda: self.now)
        self.desk = Desk(self.jobs, self.courtesy)
        self.open = asyncio.Event()
        self.error: ClipSimError | None = None
        self.told: list[datetime | None] = []

    def accept(self, community: str = "7") -> int:
        return self.jobs.accept(LINK, community=community, reply={}).id

    async def work(self, job: Job, told: Progress) -> Answer:
        async with self.courtesy.turn(sources.parse(job.source)):
            told("fetching")
            if self.error is not None:
                raise self.error
        told("listening")
        logging.getLogger("work").info("at work")
        await self.open.wait()
        return Answer(Clip("aaaaaaaaaa1", "A title"), "raw", ())

    def run(self, job_id: int) -> asyncio.Task[Answer]:
        return asyncio.create_task(
            self.desk.run(job_id, self.work, clip_id=lambda job: "aaaaaaaaaa1", waits=self.told.append)
        )

    async def until(self, job_id: int, state: str, attempts: int) -> None:
        async with asyncio.timeout(10):
            while True:
                job = self.jobs.get(job_id)
                if (job.state, job.attempts) == (state, attempts):
                    return
                await asyncio.sleep(0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    library = Library.open(settings(tmp_path), TINY)
    yield Bench(library)
    library.close()


async def test_a_row_says_what_is_being_done(bench: Bench) -> None:
    job_id = bench.accept()
    running = bench.run(job_id)
    await bench.until(job_id, "encoding", 1)
    bench.open.set()
    assert (await running).query.id == "aaaaaaaaaa1"
    job = bench.jobs.get(job_id)
    assert (job.state, job.clip_id, job.error_code) == ("done", "aaaaaaaaaa1", None)


async def test_waiting_for_youtube_is_no_attempt(bench: Bench) -> None:
    bench.error = BotCheck()
    first = bench.accept()
    with pytest.raises(BotCheck):
        await bench.run(first)
    job = bench.jobs.get(first)
    assert (job.state, job.attempts, job.error_code) == ("failed", 0, "bot-check")
    assert job.retry_at == datetime.fromtimestamp(bench.now + FIRST_PAUSE, UTC)  # when YouTube is asked again

    bench.error = None
    second = bench.accept()
    running = bench.run(second)
    async with asyncio.timeout(10):
        while not bench.told:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
    await bench.until(second, "queued", 0)  # however often the process ends here
    assert bench.told == [job.retry_at]
    bench.now += FIRST_PAUSE + 1
    bench.courtesy._wake()
    await bench.until(second, "encoding", 1)
    assert bench.told[-1] is None
    bench.open.set()
    await running


async def test_what_is_refused_for_the_sake_of_others_is_not_tried_for_ever(bench: Bench) -> None:
    job_id = bench.accept()
    created = bench.jobs.get(job_id).created
    for _ in range(2 * MAX_ATTEMPTS):
        bench.jobs.start(job_id)
        assert bench.jobs.fail(job_id, BotCheck(), created + KEPT - timedelta(hours=1)).retry_at is not None
    bench.jobs.start(job_id)
    later = bench.jobs.fail(job_id, BotCheck(), created + KEPT + timedelta(hours=1))
    assert later.retry_at is not None and later.attempts == 1  # from now on as any other error


async def test_a_process_that_is_told_to_stop_leaves_its_jobs_to_the_next(bench: Bench) -> None:
    job_id = bench.accept()
    running = bench.run(job_id)
    await bench.until(job_id, "encoding", 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (bench.jobs.get(job_id).state, bench.jobs.get(job_id).attempts) == ("queued", 0)
    assert [job.id for job in bench.jobs.resume()] == [job_id]


async def test_a_job_is_cancelled_under_way_and_before(bench: Bench) -> None:
    under_way, queued, elsewhere = bench.accept(), bench.accept(), bench.accept("8")
    running = bench.run(under_way)
    await bench.until(under_way, "encoding", 1)
    for job_id in (under_way, queued):
        await bench.desk.cancel(job_id, "7")
    with pytest.raises(JobCancelled):
        await running
    with pytest.raises(JobCancelled):
        await bench.run(queued)
    for job_id in (under_way, queued):
        job = bench.jobs.get(job_id)
        assert (job.state, job.error_code, job.retry_at) == ("failed", "cancelled", None)
    with pytest.raises(NoSuchJob):
        await bench.desk.cancel(elsewhere, "7")
    assert bench.jobs.retry(queued, "7").state == "failed"
    assert [job.id for job in bench.jobs.claim()] == [queued]
    bench.open.set()
    await bench.run(queued)


async def test_a_job_is_dropped(bench: Bench) -> None:
    job_id, other = bench.accept(), bench.accept()
    running = bench.run(job_id)
    await bench.until(job_id, "encoding", 1)
    assert (await bench.desk.drop(job_id, "7")).state == "encoding"
    with pytest.raises(JobCancelled):
        await running
    await bench.desk.drop(other, "7")
    with pytest.raises(NoSuchJob):
        await bench.run(other)
    assert bench.jobs.of("7") == []


def test_what_a_community_may_see_of_its_jobs(bench: Bench) -> None:
    failed, open_, done = (bench.accept() for _ in range(3))
    bench.jobs.fail(failed, Private())
    bench.jobs.done(done, "x")
    assert [(job.id, job.state) for job in bench.jobs.of("7")] == [(failed, "failed"), (open_, "queued")]
    assert bench.jobs.of("8") == []


def test_a_job_that_is_due_is_claimed_once(bench: Bench) -> None:
    ids = [bench.accept() for _ in range(3)]
    bench.jobs.fail(ids[0], NetworkDown())
    bench.jobs.fail(ids[1], Private())
    bench.jobs.fail(ids[2], DiskFull())
    assert bench.jobs.claim() == []
    later = datetime.now(UTC) + timedelta(hours=1)
    assert [(job.id, job.state) for job in bench.jobs.claim(later)] == [(ids[0], "queued"), (ids[2], "queued")]
    assert bench.jobs.claim(later) == []
    assert [job.id for job in bench.jobs.pending()] == [ids[0], ids[2]]  # a crash now loses none


async def test_the_log_names_the_job(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "work")
    caplog.handler.setFormatter(logs.Lines())
    job_id = bench.accept()
    bench.open.set()
    await bench.run(job_id)
    assert f"work: job={job_id} at work" in caplog.text
    assert current().job is None
