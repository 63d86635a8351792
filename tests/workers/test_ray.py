"""Encoding on Ray: the same features as in this process, whatever happens to an actor. Skipped where ray is absent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from clipsim.encoders import Preset
from clipsim.errors import EncodeTimeout, InvalidSetting, NotMedia, WorkerDied
from clipsim.model import Clip, Lyrics, Media
from clipsim.settings import Settings, load
from clipsim.workers import open_pool, stages
from clipsim.workers import ray as pool_module
from tests.doubles.encoders import DYING, HANGING, SMALL
from tests.doubles.media import make_clip

here = find_spec("ray") is not None
with_ray = pytest.mark.skipif(not here, reason="ray is not installed (extra: ray)")
CLIP = Clip("local-0000000000000000", "A clip")
WORDS = Lyrics("the sun comes up and the river runs down to the sea again and again my love")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", namespace="clipsim")
    yield
    ray.shutdown()


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CLIPSIM_BACKEND", "ray")
    return load(workers=1, encode_timeout=120.0)


def pool_of(settings: Settings, preset: Preset) -> pool_module.RayPool:
    pool = open_pool(settings, preset)
    assert isinstance(pool, pool_module.RayPool)
    return pool


@pytest.fixture
async def pool(cluster: None, settings: Settings) -> AsyncIterator[pool_module.RayPool]:
    opened = pool_of(settings.model_copy(update={"workers": 2}), SMALL)
    yield opened
    await opened.close()


def test_without_ray_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(pool_module, "find_spec", lambda name: None)
    with pytest.raises(InvalidSetting, match=r"ray is not installed.*pip install 'clipsim\[ray\]'"):
        open_pool(settings, SMALL)


def test_a_parcel_carries_one_file_and_no_path(tmp_path: Path) -> None:
    sound = tmp_path / "a.opus"
    sound.write_bytes(b"sound")
    media = Media(CLIP, audio=sound, video=tmp_path / "missing.webm", lyrics=WORDS)
    parcel = pool_module._pack("audio", media)
    assert (parcel.data, parcel.suffix, parcel.media.audio, parcel.media.video) == (b"sound", ".opus", None, None)
    (tmp_path / "there").mkdir()
    back = pool_module._unpack(parcel, tmp_path / "there")
    assert back.audio is not None and back.audio.read_bytes() == b"sound" and back.lyrics == WORDS
    assert pool_module._pack("lyrics", media).data is None


@with_ray
async def test_the_same_features_as_in_this_process(pool: pool_module.RayPool, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", seconds=2.0)
    media = Media(CLIP, audio=path, video=path, lyrics=WORDS)
    found = await asyncio.gather(*(pool.encode(modality, media) for modality in ("audio", "video", "lyrics")))
    for modality, features in zip(("audio", "video", "lyrics"), found, strict=True):
        expected = stages.encode(modality, media, SMALL, 1200.0)
        assert list(features.vectors) == list(expected.vectors) != []
        for name, vector in expected.vectors.items():
            np.testing.assert_allclose(features.vectors[name], vector, rtol=1e-4, atol=1e-4)
        assert features.notes == expected.notes


@with_ray
async def test_a_missing_modality_is_a_note(pool: pool_module.RayPool) -> None:
    features = await pool.encode("audio", Media(CLIP))
    assert not features.vectors and features.notes == ("It has no sound.",)


@with_ray
async def test_errors_come_home_as_themselves(pool: pool_module.RayPool, tmp_path: Path) -> None:
    fake = tmp_path / "fake.mp4"
    fake.write_text("not a video")
    with pytest.raises(NotMedia) as caught:
        await pool.encode("video", Media(CLIP, video=fake))
    assert caught.value.code == "not-media" and caught.value.advice
    assert (await pool.encode("lyrics", Media(CLIP, lyrics=WORDS))).vectors  # the actor lives on


@with_ray
async def test_an_actor_that_dies_takes_nothing_along(cluster: None, settings: Settings) -> None:
    pool = pool_of(settings, DYING)
    try:
        with pytest.raises(WorkerDied):
            await pool.encode("lyrics", Media(CLIP, lyrics=WORDS))
        assert (await pool.encode("audio", Media(CLIP))).notes == ("It has no sound.",)  # a fresh actor answers
    finally:
        await pool.close()


@with_ray
async def test_what_takes_too_long_is_stopped(cluster: None, settings: Settings) -> None:
    pool = pool_of(settings.model_copy(update={"encode_timeout": 20.0}), HANGING)
    try:
        assert (await pool.encode("audio", Media(CLIP))).notes  # it is up: now the limit is about the work
        pool._settings = settings.model_copy(update={"encode_timeout": 0.5})
        with pytest.raises(EncodeTimeout):
            await pool.encode("lyrics", Media(CLIP, lyrics=WORDS))
    finally:
        await pool.close()


@with_ray
async def test_a_cancelled_clip_frees_its_actor(cluster: None, settings: Settings) -> None:
    pool = pool_of(settings, HANGING)
    try:
        work = asyncio.create_task(pool.encode("lyrics", Media(CLIP, lyrics=WORDS)))
        await asyncio.sleep(1)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert (await pool.encode("audio", Media(CLIP))).notes == ("It has no sound.",)
    finally:
        await pool.close()


@with_ray
async def test_warming_loads_and_reports(cluster: None, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = pool_of(settings, SMALL), pool_of(settings, broken())
    try:
        await good.warm()
        assert "could not be loaded" not in caplog.text
        await good.close()
        await bad.warm()
        assert "could not be loaded" in caplog.text
    finally:
        await good.close()
        await bad.close()


@with_ray
async def test_a_closed_pool_leaves_others_cluster_alone(cluster: None, settings: Settings) -> None:
    import ray

    pool = pool_of(settings, SMALL)
    await pool.encode("audio", Media(CLIP))
    await pool.close()
    assert ray.is_initialized()


def broken() -> Preset:
    """A preset with an encoder that is not there."""
    last = replace(SMALL.parts[-1], loader="tests.doubles.encoders:load_nothing")
    return Preset("broken", (*SMALL.parts[:-1], last))
