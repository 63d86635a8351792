"""Real worker processes: whose turn it is, what is encoded together, and what a crash costs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clipsim.encoders import Preset
from clipsim.errors import WorkerDied
from clipsim.model import Clip, Features, Lyrics, Media
from clipsim.settings import load
from clipsim.workers import local, stages
from clipsim.workers.local import LocalPool
from tests.doubles.encoders import SMALL, TOUCHY, SmallText
from tests.doubles.media import make_clip

WORDS = "the river runs down to the sea and the boat is sailing home"


def opened(folder: Path, preset: Preset) -> LocalPool:
    return LocalPool(load(data=folder, workers=1), preset)


def media(name: str, file: Path | None = None, text: str = WORDS) -> Media:
    return Media(Clip(name, name), audio=file, video=file, lyrics=Lyrics(text, "en"))


async def test_clips_in_their_order_and_of_one_clip_the_quick_first(tmp_path: Path) -> None:
    file = make_clip(tmp_path / "a.mp4", seconds=2, width=64, height=48)
    pool = opened(tmp_path, SMALL)
    ended: list[str] = []

    async def ask(modality: str, name: str) -> None:
        found = await pool.encode(modality, media(name, file))  # type: ignore[arg-type]
        assert found.vectors
        ended.append(f"{name} {modality}")

    try:
        busy = asyncio.create_task(ask("video", "first"))
        await asyncio.sleep(0)  # the one worker has it
        waiting = [ask(*each) for each in (("video", "b"), ("lyrics", "c"), ("audio", "b"), ("lyrics", "b"))]
        await asyncio.gather(busy, *waiting, ask("lyrics", "first"))
    finally:
        await pool.close()
    assert ended == ["first video", "first lyrics", "b lyrics", "b audio", "b video", "c lyrics"]


async def batches(pool: LocalPool, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[list[object], list[int]]:
    """What came of each text, and how many were handed to the worker at once, by turns."""
    sizes: list[int] = []
    run = local._Worker.run

    async def noted(self: local._Worker, function: object, *arguments: object) -> object:
        if function is stages.encode_many:
            sizes.append(len(arguments[1]))  # type: ignore[arg-type]
        return await run(self, function, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(local._Worker, "run", noted)
    await pool.encode("lyrics", media("warm"))
    pool._workers[0].batches = {"lyrics": 3}  # as a graphics card has it
    sizes.clear()
    work = [pool.encode("lyrics", media(f"clip{number}", text=text)) for number, text in enumerate(texts)]
    return await asyncio.gather(*work, return_exceptions=True), sizes


async def test_several_clips_at_once_come_apart_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = opened(tmp_path, TOUCHY)
    texts = [f"{WORDS} number {number}" for number in range(7)]
    try:
        found, sizes = await batches(pool, texts, monkeypatch)
    finally:
        await pool.close()
    assert sizes == [1, 3, 3]  # the first did not wait for company
    for text, each in zip(texts, found, strict=True):
        assert isinstance(each, Features)
        assert (each.vectors["touchy-text"] == SmallText().encode(text).vector).all()


async def test_a_clip_that_kills_the_worker_takes_none_of_its_batch_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = opened(tmp_path, TOUCHY)
    texts = [WORDS, WORDS, f"{WORDS} crash", f"{WORDS} again"]
    try:
        found, sizes = await batches(pool, texts, monkeypatch)
    finally:
        await pool.close()
    assert [isinstance(each, Features) for each in found] == [True, True, False, True]
    assert isinstance(found[2], WorkerDied)
    assert sizes == [1, 3, 1, 1, 1]


async def test_what_nobody_waits_for_any_more_is_stopped(tmp_path: Path) -> None:
    file = make_clip(tmp_path / "a.mp4", seconds=2, width=64, height=48)
    pool = opened(tmp_path, SMALL)
    try:
        await pool.encode("lyrics", media("warm"))
        process = pool._workers[0]._pid
        given_up = asyncio.create_task(pool.encode("video", media("a", file)))
        waiting = asyncio.create_task(pool.encode("video", media("b", file)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert pool._workers[0]._pid == process  # it had not begun: the worker goes on
        given_up.cancel()
        await asyncio.wait({given_up})
        assert given_up.cancelled() and pool._workers[0]._pid is None
        assert (await pool.encode("lyrics", media("c"))).vectors and not pool._open and not pool._turns
    finally:
        await pool.close()


async def test_closed_while_somebody_waits(tmp_path: Path) -> None:
    pool = opened(tmp_path, SMALL)
    tasks = [asyncio.create_task(pool.encode("lyrics", media(name))) for name in ("a", "b")]
    await asyncio.sleep(0)
    await pool.close()
    done, _ = await asyncio.wait(tasks, timeout=30)
    assert len(done) == 2 and all(isinstance(task.exception(), WorkerDied) for task in done)
    with pytest.raises(WorkerDied, match="stopped"):
        await pool.encode("lyrics", media("c"))
