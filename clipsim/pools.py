"""The pool of clips that a library is measured on: a community's clips with their features, words, votes and copies."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from clipsim import copies
from clipsim.contenders import Copy, Pool
from clipsim.errors import EncoderError, SourceError
from clipsim.library import Library
from clipsim.model import HOME, Clip, Features, Media
from clipsim.votes import Votes

log = logging.getLogger(__name__)

Encode = Callable[[Media], Awaitable[Features]]
Step = Callable[[int, int], None]  # done, of


def gather(library: Library, community: str = HOME, *, votes: bool = False) -> Pool:
    """A community's clips by id, those that have features; `votes`: and what it said of results."""
    records = [r for r in library.records(ids=sorted(library.ids(community)), segments=True) if r.features.vectors]
    words = [library.lyrics(record.clip.id) for record in records]
    return Pool(
        tuple(record.clip for record in records),
        tuple(record.features for record in records),
        library.preset,
        tuple(lyrics.text if lyrics else None for lyrics in words),
        votes=tuple(Votes(library).all(community)) if votes else (),
    )


async def copied(
    pool: Pool, count: int, encode: Encode, *, seed: int = 0, at_once: int = 2, step: Step = lambda done, of: None
) -> Pool:
    """The pool with copies of up to `count` of its clips whose local file is still there, drawn.

    Each is changed in every way of `clipsim.copies` that changes it, and encoded; a copy has no words. What cannot be
    copied or encoded is left out.
    """
    there = await asyncio.to_thread(lambda: [n for n, clip in enumerate(pool.clips) if _is_file(clip)])
    drawn = sorted(np.random.default_rng(seed).permutation(there)[:count].tolist())
    work = [(int(row), name) for row in drawn for name in copies.CHANGES]
    gate, done = asyncio.Semaphore(at_once), 0

    async def one(row: int, name: str) -> Copy | None:
        nonlocal done
        async with gate:
            try:
                features = await _encoded(pool.clips[row], copies.CHANGES[name], encode)
            except (SourceError, EncoderError) as error:
                log.info("no copy (%s) of %s: %s", name, pool.clips[row].id, error)
                features = None
            done += 1
            step(done, len(work))
            return None if features is None else Copy(row, name, features)

    step(0, len(work))
    found = await asyncio.gather(*(one(row, name) for row, name in work))
    return replace(pool, copies=tuple(copy for copy in found if copy is not None))


async def _encoded(clip: Clip, change: copies.Change, encode: Encode) -> Features | None:
    assert clip.path is not None
    if not await asyncio.to_thread(copies.changes, clip.path, change):
        return None
    with tempfile.TemporaryDirectory(prefix="clipsim-", ignore_cleanup_errors=True) as folder:
        made = await asyncio.to_thread(copies.make, clip.path, Path(folder, f"copy{copies.SUFFIX}"), change)
        return await encode(Media(clip, audio=made, video=made))


def _is_file(clip: Clip) -> bool:
    try:
        return clip.path is not None and Path(clip.path).is_file()
    except OSError:
        return False
