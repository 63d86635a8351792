"""Jobs: a link that someone pasted, from the moment it is taken until its clip is in the library.

A job's row is its queue entry: it is written before anyone is told that the link was taken, so no crash loses it. The
clock is read here; nothing sleeps here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from clipsim.database import Database
from clipsim.errors import ClipSimError, JobCancelled, NoSuchJob, WorkerDied
from clipsim.model import HOME, JSON
from clipsim.tables import jobs

State = Literal["queued", "fetching", "encoding", "done", "failed"]
OPEN: tuple[State, ...] = ("queued", "fetching", "encoding")
MAX_ATTEMPTS = 5  # then it is the job that is broken, not the moment
FIRST_WAIT = 60.0  # seconds before the second attempt; doubles from there
LONGEST_WAIT = 3600.0  # seconds
KEPT = timedelta(days=14)  # that a job which has ended is remembered
LONGEST_SOURCE = 4000  # characters of a pasted link that are kept
LONGEST_MESSAGE = 500  # characters of an error that are kept


@dataclass(frozen=True, slots=True)
class Job:
    """One row. `reply` is the adapter's own: where the answer goes. `retry_at`: when a failed one may run again."""

    id: int
    source: str
    community: str
    requester: str | None
    reply: JSON
    state: State
    clip_id: str | None
    error_code: str | None
    error_message: str | None
    attempts: int
    retry_at: datetime | None
    created: datetime
    updated: datetime


class Jobs:
    """The jobs of a library."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def accept(self, source: str, *, community: str = HOME, requester: str | None = None, reply: JSON) -> Job:
        """Take a link: once this returns, it is not lost."""
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "source": source.replace("\x00", "")[:LONGEST_SOURCE],
            "community": community,
            "requester": requester,
            "reply": reply,
            "state": "queued",
            "attempts": 0,
            "created": now,
            "updated": now,
        }
        with self._database.write() as connection:
            key = connection.execute(jobs.insert().values(values)).inserted_primary_key
        assert key is not None
        return self.get(int(key[0]))

    def get(self, job_id: int, community: str | None = None) -> Job:
        """The job.

        Raises:
            NoSuchJob: there is none with this id (any more), or (where one is named) not in this community.
        """
        mine = jobs.c.id == job_id
        if community is not None:
            mine &= jobs.c.community == community
        with self._database.read() as connection:
            row = connection.execute(sa.select(jobs).where(mine)).first()
        if row is None:
            raise NoSuchJob(f"There is no job {job_id}.")
        return _job(row)

    def of(self, community: str) -> list[Job]:
        """A community's jobs that are not done: those under way and those that failed, oldest first."""
        return self._where((jobs.c.community == community) & (jobs.c.state != "done"))

    def pending(self) -> list[Job]:
        """The jobs that are neither done nor failed, oldest first."""
        return self._where(jobs.c.state.in_(OPEN))

    def since(self, community: str, moment: datetime) -> list[Job]:
        """A community's jobs that were accepted since then, oldest first."""
        return self._where((jobs.c.community == community) & (jobs.c.created >= moment))

    def answering(self, name: str, value: int) -> list[Job]:
        """The jobs whose `reply` says this of itself (such as the message that they answer), oldest first."""
        return self._where(jobs.c.reply[name].as_integer() == value)

    def due(self, now: datetime | None = None) -> list[Job]:
        """The failed jobs whose time to be tried again has come, oldest first."""
        return self._where(_due(now))

    def claim(self, now: datetime | None = None) -> list[Job]:
        """The failed jobs whose time has come, queued again by this, oldest first: whoever calls this runs them."""
        found = self.due(now)
        with self._database.write() as connection:
            for job in found:
                connection.execute(jobs.update().where((jobs.c.id == job.id) & _due(now)).values(state="queued"))
        return [self.get(job.id) for job in found]

    def resume(self) -> list[Job]:
        """At start-up: what was under way is queued again, and returned, oldest first.

        A job that was begun `MAX_ATTEMPTS` times and never ended is what ended the process: it fails.
        """
        poison = jobs.c.state.in_(OPEN) & (jobs.c.attempts >= MAX_ATTEMPTS)
        for job in self._where(poison):
            self.fail(job.id, WorkerDied(f"This link ended the process {job.attempts} times."))
        with self._database.write() as connection:
            connection.execute(jobs.update().where(jobs.c.state.in_(OPEN)).values(state="queued"))
        return self.pending()

    def start(self, job_id: int) -> Job:
        """An attempt begins: fetching.

        Raises:
            JobCancelled: somebody cancelled it before its turn came. NoSuchJob: or dropped it.
        """
        if self.get(job_id).error_code == JobCancelled.code:
            raise JobCancelled
        return self._set(job_id, state="fetching", attempts=jobs.c.attempts + 1, retry_at=None)

    def wait(self, job_id: int) -> Job:
        """It waits again, and what was begun of it counts as no attempt: that it stopped was not its fault."""
        return self._set(job_id, state="queued", attempts=sa.case((jobs.c.attempts > 0, jobs.c.attempts - 1), else_=0))

    def set_state(self, job_id: int, state: State) -> Job:
        """It is queued, being fetched or being encoded now."""
        return self._set(job_id, state=state)

    def set_reply(self, job_id: int, reply: JSON) -> Job:
        """Where the answer goes has changed."""
        return self._set(job_id, reply=reply)

    def done(self, job_id: int, clip_id: str) -> Job:
        """Its clip is in the library."""
        return self._set(job_id, state="done", clip_id=clip_id, error_code=None, error_message=None, retry_at=None)

    def fail(self, job_id: int, error: ClipSimError, not_before: datetime | None = None) -> Job:
        """It failed with this error; `retry_at` is set where waiting may help and it was not tried too often.

        With `not_before` it is tried again at that time, and this attempt does not count: it was refused for the sake
        of others, whatever it asked for. That ends as well, `KEPT` after the link was taken.
        """
        job = self.get(job_id)
        again = error.retry and job.attempts < MAX_ATTEMPTS
        retry_at = datetime.now(UTC) + wait(job.attempts) if again else None
        attempts = job.attempts
        if not_before is not None and not_before - job.created < KEPT:
            retry_at, attempts = not_before, max(0, attempts - 1)
        return self._set(
            job_id,
            state="failed",
            error_code=error.code,
            error_message=str(error)[:LONGEST_MESSAGE],
            retry_at=retry_at,
            attempts=attempts,
        )

    def retry(self, job_id: int, community: str) -> Job:
        """Have a failed job tried again now, as if it were new; one that has not failed stays as it is.

        Raises:
            NoSuchJob: the community has no such job.
        """
        job = self.get(job_id, community)
        if job.state != "failed":
            return job
        return self._set(job_id, attempts=0, error_code=None, error_message=None, retry_at=datetime.now(UTC))

    def cancel(self, job_id: int) -> Job:
        """End it where it is still open; it is not tried again by itself."""
        job = self.get(job_id)
        return self.fail(job_id, JobCancelled()) if job.state in OPEN or job.retry_at is not None else job

    def drop(self, job_id: int) -> None:
        """Forget it."""
        with self._database.write() as connection:
            connection.execute(jobs.delete().where(jobs.c.id == job_id))

    def prune(self, before: datetime | None = None) -> int:
        """Forget the jobs that ended before then (default: `KEPT` ago), for good; returns how many."""
        before = before or datetime.now(UTC) - KEPT
        ended = (jobs.c.state == "done") | ((jobs.c.state == "failed") & jobs.c.retry_at.is_(None))
        with self._database.write() as connection:
            return connection.execute(jobs.delete().where(ended & (jobs.c.updated < before))).rowcount

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)).all()
        return {str(row[0]): int(row[1]) for row in rows}

    def _where(self, condition: sa.ColumnElement[bool]) -> list[Job]:
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(sa.select(jobs).where(condition).order_by(jobs.c.id))]

    def _set(self, job_id: int, **values: Any) -> Job:
        with self._database.write() as connection:
            update = jobs.update().where(jobs.c.id == job_id).values(**values, updated=datetime.now(UTC))
            if connection.execute(update).rowcount == 0:
                raise NoSuchJob(f"There is no job {job_id}.")
        return self.get(job_id)


def _due(now: datetime | None) -> sa.ColumnElement[bool]:
    return (jobs.c.state == "failed") & (jobs.c.retry_at <= (now or datetime.now(UTC)))


def wait(attempts: int) -> timedelta:
    """How long to wait after this many attempts: 1, 2, 4 … minutes, an hour at most."""
    return timedelta(seconds=min(LONGEST_WAIT, FIRST_WAIT * 2 ** max(0, min(attempts, 32) - 1)))


def _job(row: Any) -> Job:
    return Job(**{name: getattr(row, name) for name in Job.__slots__})
