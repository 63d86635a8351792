"""Encode on a Ray cluster: actors with their encoders loaded once, on this machine or on others.

`RAY_ADDRESS` names the cluster; without it a small one is started here and stopped with the pool. A clip's file travels
as bytes through Ray's object store, so that machines share no folder, and errors travel as codes. An actor that dies
takes only its own clip with it: that clip is tried once more in a fresh actor.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clipsim.encoders import Preset
from clipsim.errors import ClipSimError, EncoderError, EncodeTimeout, FileMissing, InvalidSetting, WorkerDied, from_code
from clipsim.model import Features, Media, Modality
from clipsim.settings import Settings

log = logging.getLogger(__name__)

ATTEMPTS = 2  # a clip whose actor died is tried once more
CORES = 1  # that each actor asks the cluster for; actors that find none wait


@dataclass(frozen=True, slots=True)
class Parcel:
    """One modality of one clip, packed for another machine: `media` without paths, and its one file."""

    modality: Modality
    media: Media
    suffix: str
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A `ClipSimError` on its way home: Ray wraps exceptions in types of its own."""

    code: str
    message: str
    advice: str


class Encoder:
    """What an actor is: a preset's encoders on the cluster."""

    def __init__(self, preset: Preset, max_duration: float) -> None:
        """Nothing is loaded yet."""
        self._preset = preset
        self._max_duration = max_duration

    def load(self) -> Failure | None:
        """Load every encoder."""
        from clipsim.workers import stages

        try:
            stages.load(self._preset)
        except ClipSimError as error:
            return Failure(error.code, error.message, error.advice)
        return None

    def encode(self, parcel: Parcel) -> Features | Failure:
        """Encode a parcel; its file exists on this machine for as long."""
        from clipsim.workers import stages

        try:
            with tempfile.TemporaryDirectory(prefix="clipsim-") as folder:
                media = _unpack(parcel, Path(folder))
                return stages.encode(parcel.modality, media, self._preset, self._max_duration)
        except ClipSimError as error:
            return Failure(error.code, error.message, error.advice)


class RayPool:
    """`settings.workers` actors. Ray and they start with the first clip, or with `warm`."""

    def __init__(self, settings: Settings, preset: Preset) -> None:
        """Starts nothing.

        Raises:
            InvalidSetting: ray is not installed.
        """
        if find_spec("ray") is None:
            raise InvalidSetting(
                "CLIPSIM_BACKEND is ray, but ray is not installed.", hint="Run: pip install 'clipsim[ray]'"
            )
        self._settings = settings
        self._preset = preset
        self._idle: asyncio.Queue[_Actor] = asyncio.Queue()
        self._actors = [_Actor(preset, settings.max_duration) for _ in range(settings.workers)]
        for actor in self._actors:
            self._idle.put_nowait(actor)
        self._starting = asyncio.Lock()
        self._started = self._ours = self._closed = False

    async def encode(self, modality: Modality, media: Media) -> Features:
        """Encode one modality of one clip in the next free actor.

        Raises:
            WorkerDied: the actor died twice over this clip.
            EncodeTimeout: it took longer than `settings.encode_timeout`; its actor was killed.
            EncoderError: the cluster cannot be reached.
            ClipSimError: whatever the stage itself raised.
        """
        parcel = await asyncio.to_thread(_pack, modality, media)
        found: Features = await self._run("encode", parcel)
        return found

    async def warm(self) -> BaseException | None:
        """Load the encoders in every actor. A failure is logged and returned, and shows again with the first clip."""
        found = await asyncio.gather(*(self._run("load") for _ in self._actors), return_exceptions=True)
        failures = [result for result in found if isinstance(result, BaseException)]
        for failure in failures:
            log.warning("the encoders could not be loaded ahead: %s", failure)
        return failures[0] if failures else None

    async def close(self) -> None:
        """Kill the actors, and stop Ray if this pool started it."""
        self._closed = True
        for actor in self._actors:
            actor.kill()
        if self._ours:
            import ray

            await asyncio.to_thread(ray.shutdown)
        self._started = self._ours = False

    async def _run(self, method: str, *arguments: Any) -> Any:
        import ray

        await self._start()
        for attempt in range(1, ATTEMPTS + 1):
            actor = await self._idle.get()
            try:
                async with asyncio.timeout(self._settings.encode_timeout):
                    found = await actor.run(method, *arguments)
            except TimeoutError:
                actor.kill()
                raise EncodeTimeout() from None
            except ray.exceptions.RayTaskError as error:  # Ray's own trouble: the actor returns its errors
                raise EncoderError(f"The clip could not be encoded on the cluster ({error.cause}).") from error
            except ray.exceptions.RayError as error:
                actor.kill()
                if self._closed:
                    raise WorkerDied("The workers were stopped.", hint="") from None
                log.warning("an actor died (attempt %d of %d): %s", attempt, ATTEMPTS, str(error).splitlines()[0])
            except asyncio.CancelledError:
                actor.kill()
                raise
            else:
                if isinstance(found, Failure):
                    raise from_code(found.code, found.message, found.advice)
                return found
            finally:
                self._idle.put_nowait(actor)
        raise WorkerDied()

    async def _start(self) -> None:
        """Connect to the cluster, or start one. In a thread: it takes seconds, and leaves signals alone there."""
        import ray

        async with self._starting:
            if self._started or self._closed:
                return
            if not ray.is_initialized():
                try:
                    await asyncio.to_thread(
                        ray.init,
                        namespace="clipsim",
                        include_dashboard=False,
                        log_to_driver=False,
                        logging_level="ERROR",
                    )
                except Exception as error:  # ConnectionError, RuntimeError, ValueError: Ray's own choice
                    raise EncoderError(
                        f"The Ray cluster cannot be reached ({error}).",
                        hint="Check RAY_ADDRESS, or unset CLIPSIM_BACKEND.",
                    ) from error
                self._ours = True
            self._started = True


class _Actor:
    """One actor, started when first needed and again after `kill`."""

    def __init__(self, preset: Preset, max_duration: float) -> None:
        self._arguments = (preset, max_duration)
        self._handle: Any = None

    async def run(self, method: str, *arguments: Any) -> Any:
        if self._handle is None:
            self._handle = await asyncio.to_thread(self._make)
        reference = await asyncio.to_thread(getattr(self._handle, method).remote, *arguments)
        return await reference

    def _make(self) -> Any:
        import ray

        return ray.remote(Encoder).options(num_cpus=CORES, max_restarts=0).remote(*self._arguments)

    def kill(self) -> None:
        import ray

        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(Exception):  # it may be dead, and its cluster too
                ray.kill(handle)


def _pack(modality: Modality, media: Media) -> Parcel:
    path = {"audio": media.audio, "video": media.video, "lyrics": None}[modality]
    try:
        data = path.read_bytes() if path else None
    except OSError as error:
        raise FileMissing(f"The clip's {modality} could not be read ({error.strerror}).") from error
    return Parcel(modality, replace(media, audio=None, video=None), path.suffix if path else "", data)


def _unpack(parcel: Parcel, folder: Path) -> Media:
    if parcel.data is None:
        return parcel.media
    path = folder / f"clip{parcel.suffix}"
    path.write_bytes(parcel.data)
    return replace(parcel.media, audio=path) if parcel.modality == "audio" else replace(parcel.media, video=path)
