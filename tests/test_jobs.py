from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clipsim.errors import BotCheck, LibraryError, Private
from clipsim.jobs import MAX_ATTEMPTS, Jobs, wait
from clipsim.library import Library
from tests.libraries import TINY, settings


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    opened = Library.open(settings(tmp_path), TINY)
    yield opened
    opened.close()


def test_a_job_is_on_the_disk_before_its_answer(library: Library, tmp_path: Path) -> None:
    reply = {"channel": 1, "é": [None]}
    job = Jobs(library).accept("https://youtu.be/x", community="guild", requester="me", reply=reply)
    # read by another connection, as after a crash
    other = sqlite3.connect(tmp_path / "library.sqlite")
    assert other.execute("SELECT source, community, requester, state FROM jobs").fetchall() == [
        ("https://youtu.be/x", "guild", "me", "queued")
    ]
    other.close()
    assert (job.reply, job.attempts, job.state, job.clip_id) == (reply, 0, "queued", None)
    assert job == Jobs(library).get(job.id)


def test_a_jobs_way(library: Library) -> None:
    jobs = Jobs(library)
    first, second = (jobs.accept(f"link {n}", reply={}) for n in range(2))
    assert jobs.start(first.id).state == "fetching" and jobs.get(first.id).attempts == 1
    assert jobs.set_state(first.id, "encoding").state == "encoding"
    assert jobs.set_reply(first.id, {"message": 7}).reply == {"message": 7}
    assert [job.id for job in jobs.pending()] == [first.id, second.id]
    done = jobs.done(first.id, "abcdefghijk")
    assert (done.state, done.clip_id) == ("done", "abcdefghijk")
    assert [job.id for job in jobs.pending()] == [second.id]
    assert jobs.counts() == {"done": 1, "queued": 1}
    jobs.drop(second.id)
    jobs.drop(second.id)
    with pytest.raises(LibraryError, match="no job"):
        jobs.get(second.id)
    with pytest.raises(LibraryError, match="no job"):
        jobs.start(second.id)


def test_what_was_under_way_is_resumed_in_order(library: Library) -> None:
    jobs = Jobs(library)
    ids = [jobs.accept(f"link {n}", reply={}).id for n in range(4)]
    jobs.start(ids[0])
    jobs.start(ids[1])
    jobs.set_state(ids[1], "encoding")
    jobs.done(ids[2], "x")
    resumed = Jobs(library).resume()
    assert [(job.id, job.state) for job in resumed] == [(ids[0], "queued"), (ids[1], "queued"), (ids[3], "queued")]
    assert resumed[0].attempts == 1


def test_a_link_that_ends_the_process_is_given_up(library: Library) -> None:
    jobs = Jobs(library)
    job = jobs.accept("poison", reply={})
    for attempt in range(MAX_ATTEMPTS):
        assert [one.id for one in jobs.resume()] == [job.id], attempt
        jobs.start(job.id)
    assert jobs.resume() == []
    given_up = jobs.get(job.id)
    assert (given_up.state, given_up.error_code, given_up.retry_at) == ("failed", "worker-died", None)


def test_failures_are_tried_again_where_waiting_may_help(library: Library) -> None:
    jobs = Jobs(library)
    job = jobs.accept("x", reply={})
    before = datetime.now(UTC)
    jobs.start(job.id)
    failed = jobs.fail(job.id, BotCheck())
    assert (failed.state, failed.error_code, failed.error_message) == ("failed", "bot-check", str(BotCheck()))
    assert failed.retry_at is not None
    assert before + wait(1) <= failed.retry_at <= datetime.now(UTC) + wait(1)
    assert jobs.due() == []
    assert [one.id for one in jobs.due(datetime.now(UTC) + timedelta(hours=1))] == [job.id]
    assert jobs.start(job.id).retry_at is None and jobs.due(datetime.now(UTC) + timedelta(hours=1)) == []
    for _ in range(MAX_ATTEMPTS - 1):
        jobs.fail(job.id, BotCheck())
        jobs.start(job.id)
    assert jobs.fail(job.id, BotCheck()).retry_at is None
    other = jobs.accept("y", reply={})
    assert jobs.fail(other.id, Private()).retry_at is None


def test_waits_grow_to_an_hour() -> None:
    assert [wait(n).total_seconds() for n in (0, 1, 2, 3, 6, 7, 8, 10**6)] == [60, 60, 120, 240, 1920, 3600, 3600, 3600]


def test_hostile_links_are_cut_and_kept(library: Library) -> None:
    job = Jobs(library).accept("a\x00b" * 10_000, reply={"x": "'; DROP TABLE jobs"})
    assert len(job.source) == 4000 and "\x00" not in job.source


def test_old_jobs_are_forgotten(library: Library) -> None:
    jobs = Jobs(library)
    done, open_, retried = (jobs.accept(f"{n}", reply={}).id for n in range(3))
    jobs.done(done, "x")
    jobs.fail(retried, BotCheck())
    assert jobs.prune(datetime.now(UTC) - timedelta(days=1)) == 0
    assert jobs.prune(datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert {jobs.get(open_).state, jobs.get(retried).state} == {"queued", "failed"}
