"""Courtesy to YouTube by a clock that the test turns; with real yt-dlp in a real process: `bot/test_faults`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clipsim import sources
from clipsim.breaker import BURST, FIRST_PAUSE, LONGEST_PAUSE
from clipsim.context import Context, working_for
from clipsim.courtesy import ACCOUNT, AGAIN, DAY, GUEST, Courtesy, Opening, per_hour
from clipsim.errors import BotCheck, NetworkDown, Private, RateLimited, SourcePaused
from clipsim.settings import load

NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def video(number: int) -> sources.Source:
    return sources.parse(f"https://youtu.be/video{number:06d}")


async def fetch(courtesy: Courtesy, number: int = 0, error: Exception | None = None, **context: Any) -> str:
    """One fetch: "fetched", or what it was refused with."""
    with working_for(Context(**context)):
        try:
            async with courtesy.turn(video(number)):
                if error is not None:
                    raise error
        except Exception as raised:
            return type(raised).__name__
        return "fetched"


async def turned(courtesy: Courtesy, clock: Clock, seconds: float) -> None:
    """Let time pass: the courtesy's own timer is asked to look at the clock."""
    clock.now += seconds
    courtesy._wake()
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_hour_has_more_than_youtube_grants() -> None:
    clock = Clock()
    courtesy = Courtesy(GUEST, clock=clock)
    waiting = [asyncio.create_task(fetch(courtesy, n, job=n)) for n in range(500)]
    await asyncio.sleep(0.05)
    times = [clock.now] * sum(task.done() for task in waiting)
    assert len(times) == BURST * GUEST  # at once, and then evenly
    while clock.now < NOW + 2 * 3600:
        before = sum(task.done() for task in waiting)
        await turned(courtesy, clock, 5.0)
        times += [clock.now] * (sum(task.done() for task in waiting) - before)
    assert 400 < len(times) <= 500
    for start in range(int(NOW), int(NOW) + 3600, 300):
        assert sum(start <= at < start + 3600 for at in times) <= GUEST
    for task in waiting:
        task.cancel()
    await courtesy.close()


async def test_files_and_named_hosts_pass_freely(tmp_path: Path) -> None:
    clock = Clock()
    courtesy = Courtesy(1, clock=clock)
    assert await fetch(courtesy, error=BotCheck()) == "BotCheck"
    (tmp_path / "a.mp3").touch()
    for text, hosts in ((str(tmp_path / "a.mp3"), ()), ("https://media.example/a.mp4", ("media.example",))):
        for _ in range(3):
            async with courtesy.turn(sources.parse(text, hosts)):
                pass
    assert courtesy.status().state == "open"


async def test_a_job_waits_and_anybody_else_is_told_when() -> None:
    clock = Clock()
    courtesy = Courtesy(GUEST, clock=clock)
    assert await fetch(courtesy, error=RateLimited()) == "RateLimited"
    with pytest.raises(SourcePaused, match=f"until about {datetime.fromtimestamp(NOW + FIRST_PAUSE, UTC):%H:%M} UTC"):
        async with courtesy.turn(video(1)):
            pass
    patient = asyncio.create_task(fetch(courtesy, 3, patient=True))  # reencode: to give a clip up would cost it a lot
    await asyncio.sleep(0.01)
    assert courtesy.status().waiting == 1
    patient.cancel()
    await asyncio.gather(patient, return_exceptions=True)
    told: list[datetime | None] = []
    with courtesy.watch("video000002", told.append):
        job = asyncio.create_task(fetch(courtesy, 2, job=2))
        await asyncio.sleep(0.01)
        assert told == [datetime.fromtimestamp(NOW + FIRST_PAUSE, UTC)]
        late: list[datetime | None] = []
        with courtesy.watch("video000002", late.append):  # somebody else asks for the same clip
            assert late == told
        await turned(courtesy, clock, FIRST_PAUSE - 1)
        assert not job.done()
        await turned(courtesy, clock, 2)
        assert await job == "fetched"
        assert told[-1] is None
    assert courtesy.status().state == "closed"


async def test_one_fetch_tries_and_pauses_grow_to_hours_until_youtube_answers() -> None:
    clock = Clock()
    courtesy = Courtesy(GUEST, clock=clock)
    await fetch(courtesy, error=BotCheck())
    pauses = list[float]()
    for n in range(8):
        status = courtesy.status()
        assert status.state == "open" and status.until is not None and isinstance(status.error, BotCheck)
        pauses.append(status.until.timestamp() - clock.now)
        waiting = [asyncio.create_task(fetch(courtesy, n, BotCheck(), job=n)) for n in range(3)]
        await asyncio.sleep(0)
        await turned(courtesy, clock, pauses[-1] + 1)
        assert sum(task.done() for task in waiting) == 1  # the others wait for what it finds
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE] and pauses[-1] == LONGEST_PAUSE
    await turned(courtesy, clock, LONGEST_PAUSE)
    assert courtesy.status().state == "half-open"
    assert await fetch(courtesy, error=NetworkDown()) == "NetworkDown"  # tells neither way: soon again
    assert courtesy.not_before() == datetime.fromtimestamp(clock.now + AGAIN, UTC)
    await turned(courtesy, clock, AGAIN + 1)
    assert await fetch(courtesy, error=Private()) == "Private"  # an answer of YouTube's
    assert courtesy.status().state == "closed" and courtesy.status().tokens <= 1.0  # slowly at first
    clock.now += 60
    await fetch(courtesy, error=BotCheck())
    until = courtesy.status().until
    assert until is not None and until.timestamp() - clock.now == LONGEST_PAUSE  # it had hardly ended


async def test_what_had_begun_before_a_refusal_changes_nothing() -> None:
    clock = Clock()
    courtesy = Courtesy(GUEST, clock=clock)
    openings: list[Opening] = []
    courtesy.listen(openings.append)
    with working_for(Context(job=1, community="42")):
        async with courtesy.turn(video(1)):
            assert await fetch(courtesy, 2, BotCheck(), job=2, community="7") == "BotCheck"
            clock.now += 5
            assert await fetch(courtesy, 3, job=None) == "SourcePaused"
    status = courtesy.status()
    assert status.state == "open" and status.until == datetime.fromtimestamp(NOW + FIRST_PAUSE, UTC)
    assert [(type(one.error), one.community) for one in openings] == [(BotCheck, "7")]


async def test_the_operator_is_told_once_for_each_opening_and_a_community_once_a_day() -> None:
    clock = Clock()
    courtesy = Courtesy(GUEST, clock=clock)
    openings: list[Opening] = []
    courtesy.listen(openings.append)
    for _ in range(3):  # refused, and refused again whenever it is tried
        await fetch(courtesy, error=BotCheck(), job=1, community="7")
        clock.now = courtesy.status().until.timestamp() + 1  # type: ignore[union-attr]
    assert len(openings) == 1
    assert courtesy.may_tell("7") and not courtesy.may_tell("7") and courtesy.may_tell("8")
    clock.now += DAY
    assert courtesy.may_tell("7")


async def test_all_of_it_outlives_the_process() -> None:
    clock, saved = Clock(), [json.dumps({})]
    save: Callable[[Any], None] = lambda state: saved.append(json.dumps(state))  # noqa: E731
    first = Courtesy(GUEST, json.loads(saved[-1]), save, clock)
    await asyncio.gather(*(fetch(first, n) for n in range(10)))
    await fetch(first, 11, BotCheck())
    first.may_tell("7")
    await first.close()
    clock.now += 30
    second = Courtesy(GUEST, json.loads(saved[-1]), save, clock)
    before, after = (replace(courtesy.status(), error=None) for courtesy in (first, second))
    assert before == after and after.state == "open" and isinstance(second.status().error, BotCheck)
    assert second.status().tokens < BURST * GUEST - 8
    assert not second.may_tell("7")
    for spoilt in ({"at": "x"}, {"at": NOW, "breaker": {"what": 1}}, {"at": NOW, "breaker": 5}):
        assert Courtesy(GUEST, spoilt, save, clock).status().state == "closed"
    far = {"at": NOW, "tokens": 1, "breaker": {"code": "bot-check", "since": NOW, "until": NOW * 2, "pause": 600.0}}
    until = Courtesy(GUEST, far, save, clock).status().until
    assert until is not None and until.timestamp() <= clock.now + LONGEST_PAUSE  # a clock that was wrong


async def test_communities_take_turns_and_imports_leave_some_for_who_comes_meanwhile() -> None:
    clock, order = Clock(), list[str]()
    courtesy = Courtesy(GUEST, clock=clock)

    async def fetched(name: str, number: int, **context: Any) -> None:
        if await fetch(courtesy, number, **context) == "fetched":
            order.append(name)

    imports = [
        asyncio.create_task(fetched("i", n, job=n, community="a", background=True)) for n in range(int(BURST * GUEST))
    ]
    await asyncio.sleep(0.01)
    assert 0 < len(order) < BURST * GUEST  # a reserve is left
    left = int(BURST * GUEST) - len(order)
    await asyncio.gather(*(fetched("f", 1000 + n, job=n, community="b") for n in range(left)))
    assert order[-left:] == ["f"] * left
    order.clear()
    crowd = [asyncio.create_task(fetched(f"a{n}", 2000 + n, job=n, community="a")) for n in range(3)]
    calm = asyncio.create_task(fetched("c0", 3000, job=9, community="c"))
    await asyncio.sleep(0.01)
    for _ in range(4):
        await turned(courtesy, clock, 15.1)
    assert order == ["a0", "c0", "a1", "a2"]
    await asyncio.gather(*crowd, calm)
    for task in imports:
        task.cancel()
    await asyncio.gather(*imports, return_exceptions=True)


async def test_who_leaves_the_line_takes_nothing_along() -> None:
    clock = Clock()
    courtesy = Courtesy(5, clock=clock)  # one at once, the next after a quarter of an hour
    assert await fetch(courtesy, 0) == "fetched"
    gone, stays = (asyncio.create_task(fetch(courtesy, n, job=n)) for n in (1, 2))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0.01)
    assert courtesy.status().waiting == 1
    await turned(courtesy, clock, 901)
    assert await stays == "fetched"


def test_what_is_granted_by_default_and_by_settings(tmp_path: Path) -> None:
    cookies = tmp_path / "cookies.txt"
    assert per_hour(load()) == GUEST and per_hour(load(cookies=cookies)) == ACCOUNT
    assert per_hour(load(youtube_per_hour=7, cookies=cookies)) == 7


async def test_without_a_limit_only_refusals_count() -> None:
    courtesy = Courtesy(0, clock=Clock())
    assert set(await asyncio.gather(*(fetch(courtesy, n) for n in range(2000)))) == {"fetched"}
    await fetch(courtesy, error=BotCheck())
    assert await fetch(courtesy) == "SourcePaused"
