"""From a source to a clip in the library: fetch, encode each modality, keep.

However many ask for one clip at once, it is fetched and encoded once. Each modality is encoded as soon as it is there:
sound while the picture is still being fetched. Once sound and words are known and the picture is not, whoever waits is
shown those (`Glimpse`). Whatever fails leaves nothing behind: files are fetched into a folder of their own that goes
with the attempt, and the library is written in one transaction.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from clipsim import sources
from clipsim.courtesy import Courtesy
from clipsim.database import typed_errors
from clipsim.encoders import Preset
from clipsim.errors import (
    ClipSimError,
    EncoderError,
    NothingToHear,
    SourceError,
    TooLong,
    TooShort,
)
from clipsim.library import Library
from clipsim.model import HOME, Clip, Features, Lyrics, Media, Modality, Progress, Stage
from clipsim.settings import Settings
from clipsim.sources.lyrics import INSTRUMENTAL, UNHEARD
from clipsim.stopwatch import Stopwatch
from clipsim.workers import Pool

log = logging.getLogger(__name__)

INCOMING = "incoming"  # folder below the data folder for what is being fetched
STAGES: Mapping[Modality, Stage] = {"audio": "listening", "lyrics": "reading", "video": "watching"}  # in this order
SLOW: Modality = "video"  # what is not waited for before a glimpse is given

Status = Literal["added", "known"]
Glimpse = Callable[[Media, Features], None]  # told what is known of a clip before all of it is


@dataclass(frozen=True, slots=True)
class About:
    """What whoever adds a clip says of it; it wins over what the source says."""

    title: str | None = None
    artist: str | None = None
    genre: str | None = None
    lyrics: Lyrics | None = None

    def over(self, clip: Clip) -> Clip:
        """The clip, with what was said instead of what was found."""
        said = {name: value for name in ("title", "artist", "genre") if (value := getattr(self, name))}
        return replace(clip, **said) if said else clip


class Intake:
    """Adds clips to one library."""

    def __init__(
        self,
        settings: Settings,
        preset: Preset,
        library: Library,
        pool: Callable[[], Pool],
        courtesy: Courtesy,
        stopwatch: Stopwatch,
    ) -> None:
        self._settings = settings
        self._preset = preset
        self._library = library
        self._pool = pool
        self._courtesy = courtesy
        self._stopwatch = stopwatch
        self._flights: dict[str, _Flight] = {}
        self.standby = sources.Standby()
        shutil.rmtree(settings.data / INCOMING, ignore_errors=True)  # of a process that was killed

    async def add(
        self,
        source: sources.Source,
        about: About,
        *,
        community: str = HOME,
        added_by: str | None = None,
        progress: Progress | None = None,
        glimpse: Glimpse | None = None,
    ) -> tuple[Clip, Status]:
        """The clip of this source, in the library and seen by the community.

        `glimpse` is told, once at most and in the event loop's thread, of a new clip whose sound and words are known
        while its picture is not.

        Raises:
            ClipSimError: it cannot be fetched, read, encoded or kept.
        """
        if await asyncio.to_thread(self._library.has, source.id):
            clip = await self._known(source.id, about, community, added_by, progress)
            return clip, "known"
        flight = self._flights.get(source.id)
        if flight is None:
            flight = self._flights[source.id] = _Flight(self._fetch_and_keep, source, about, community, added_by)
            flight.task.add_done_callback(lambda _: self._flights.pop(source.id, None))
            return await flight.join(progress, glimpse), "added"
        await flight.join(progress, glimpse)
        return await self._known(source.id, about, community, added_by, progress), "known"

    async def encode(self, media: Media, progress: Progress | None = None) -> Features:
        """Encode each modality of fetched media, side by side as far as there are workers.

        A modality that cannot be read is missing, with a note, as long as another one is there.

        Raises:
            NothingToHear: no modality says anything.
            ClipSimError: what stopped the first modality, where none could be encoded.
        """
        async with _Encoding(self._pool()) as encoding:
            return await encoding.finish(media, progress)

    async def fetch(
        self,
        source: sources.Source,
        then: Callable[[Media], Awaitable[Clip]],
        arrived: Callable[[Modality, Media], None] | None = None,
    ) -> Clip:
        """Fetch into a folder of its own, hand the media on, and take the folder away again."""
        folder = await asyncio.to_thread(self._folder)
        try:
            async with self._courtesy.turn(source):
                with self._stopwatch.measure("fetching"):
                    media = await sources.fetch(source, folder, self._settings, arrived=arrived, standby=self.standby)
            return await then(media)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            with suppress(OSError):
                folder.parent.rmdir()

    async def listing(self, playlist: str, most: int) -> sources.Listing:
        """The first clips of a YouTube playlist, by its id. Raises as `sources.listing`, and SourcePaused."""
        folder = await asyncio.to_thread(self._folder)
        try:
            async with self._courtesy.turn(sources.Source("youtube", playlist)):  # it is a request like a fetch
                return await sources.listing(playlist, most, self._settings, folder, self.standby)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            with suppress(OSError):
                folder.parent.rmdir()

    def _folder(self) -> Path:
        with typed_errors(self._settings.data):
            incoming = self._settings.data / INCOMING
            incoming.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(dir=incoming))

    async def _fetch_and_keep(
        self,
        source: sources.Source,
        about: About,
        community: str,
        added_by: str | None,
        progress: Progress,
        glimpse: Glimpse,
    ) -> Clip:
        def said(media: Media) -> Media:
            return replace(media, clip=about.over(media.clip), lyrics=about.lyrics or media.lyrics)

        async with _Encoding(self._pool(), lambda media, features: glimpse(said(media), features)) as encoding:

            async def finish_and_keep(media: Media) -> Clip:
                media = said(media)
                features = await encoding.finish(media, progress)
                return await asyncio.to_thread(self._keep, media, features, community, added_by)

            def arrived(modality: Modality, media: Media) -> None:
                encoding.begin(modality, said(media))

            progress("fetching")
            return await self.fetch(source, finish_and_keep, arrived)

    def _keep(self, media: Media, features: Features, community: str, added_by: str | None) -> Clip:
        clip = described(media.clip, features, media.lyrics)
        return self._library.add(clip, features, community, added_by, lyrics=media.lyrics)

    async def _known(
        self, clip_id: str, about: About, community: str, added_by: str | None, progress: Progress | None
    ) -> Clip:
        """A clip that the library has: only what is newly said of it is worked on."""
        clip = await asyncio.to_thread(self._library.get, clip_id)
        changed = about.over(clip)
        heard = await asyncio.to_thread(self._library.lyrics, clip_id)
        new_words = about.lyrics is not None and (heard is None or heard.text != about.lyrics.text)
        if changed != clip or new_words:
            features = (await asyncio.to_thread(self._library.features, [clip_id], segments=True))[clip_id]
            lyrics = about.lyrics if new_words else heard
            if new_words:
                if progress is not None:
                    progress(STAGES["lyrics"])
                read = await self._pool().encode("lyrics", Media(replace(changed, notes=()), lyrics=lyrics))
                features = merge([_without(features, self._preset, "lyrics"), read])
            media = Media(changed, lyrics=lyrics)
            return await asyncio.to_thread(self._keep, media, features, community, added_by)
        await asyncio.to_thread(self._library.join, clip_id, community, added_by)
        return clip


class _Encoding:
    """The modalities of one clip while they are encoded, each from the moment it is there. A context manager: whatever
    is under way when it ends is given up."""

    def __init__(self, pool: Pool, glimpse: Glimpse | None = None) -> None:
        self._pool = pool
        self._glimpse = glimpse
        self._media: dict[Modality, Media] = {}
        self._tasks: dict[Modality, asyncio.Task[Features]] = {}

    async def __aenter__(self) -> _Encoding:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._glimpse = None
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def begin(self, modality: Modality, media: Media) -> None:
        """Encode a modality that is there now; again is no harm."""
        if modality not in self._tasks:
            self._media[modality] = media
            self._tasks[modality] = asyncio.create_task(self._pool.encode(modality, media))
            self._tasks[modality].add_done_callback(self._look)

    async def finish(self, media: Media, progress: Progress | None = None) -> Features:
        """Encode what was not begun, and wait for all of it. Raises as `Intake.encode`."""
        for name in STAGES:
            self.begin(name, media)
        found: list[Features] = []
        failed: list[ClipSimError] = []
        for name, stage in STAGES.items():
            if progress is not None:
                progress(stage)
            try:
                found.append(await self._tasks[name])
            except ClipSimError as error:
                if not _of_the_file(error):
                    raise
                log.info("%s of %s: %s", name, media.clip.id, error)
                failed.append(error)
        features = _instrumental(merge(found, tuple(error.message for error in failed)))
        if not features.vectors:
            if failed:
                raise next((error for error in failed if isinstance(error, TooShort)), failed[0])
            raise NothingToHear("That clip has nothing to compare: " + " ".join(features.notes))
        return features

    def _look(self, _: object) -> None:
        """Give a glimpse when all but the slow modality is done."""
        quick = [name for name in STAGES if name != SLOW]
        if self._glimpse is None or not all(name in self._tasks and self._tasks[name].done() for name in quick):
            return
        tell, self._glimpse = self._glimpse, None
        slow = self._tasks.get(SLOW)
        if slow is not None and slow.done():
            return
        done = [self._tasks[name] for name in quick]
        known = [task.result() for task in done if not task.cancelled() and task.exception() is None]
        found = _instrumental(merge(known))
        if found.vectors:
            tell(replace(self._media[quick[0]], lyrics=self._media["lyrics"].lyrics), found)


class _Flight:
    """One clip under way, and all who wait for it. It goes on as long as one of them does."""

    def __init__(
        self,
        work: Callable[..., Awaitable[Clip]],
        source: sources.Source,
        about: About,
        community: str,
        added_by: str | None,
    ) -> None:
        self._watchers: list[Progress] = []
        self._curious: list[Glimpse] = []
        self._stage: Stage | None = None
        self._glimpsed: tuple[Media, Features] | None = None
        self._waiting = 0
        self.task: asyncio.Task[Clip] = asyncio.ensure_future(
            work(source, about, community, added_by, self._tell, self._show)  # type: ignore[arg-type]
        )

    def _tell(self, stage: Stage) -> None:
        self._stage = stage
        for watcher in self._watchers:
            watcher(stage)

    def _show(self, media: Media, features: Features) -> None:
        self._glimpsed = media, features
        for glimpse in self._curious:
            glimpse(media, features)

    async def join(self, progress: Progress | None, glimpse: Glimpse | None) -> Clip:
        if progress is not None:
            self._watchers.append(progress)
            if self._stage is not None:
                progress(self._stage)
        if glimpse is not None:
            self._curious.append(glimpse)
            if self._glimpsed is not None:
                glimpse(*self._glimpsed)
        self._waiting += 1
        try:
            return await asyncio.shield(self.task)
        finally:
            self._waiting -= 1
            if self._waiting == 0 and not self.task.done():
                self.task.cancel()
                with suppress(asyncio.CancelledError, ClipSimError):
                    await self.task


def _of_the_file(error: ClipSimError) -> bool:
    """Whether this says what the file lacks, for good; anything else may go well next time and must not be kept."""
    return type(error) is EncoderError or (isinstance(error, SourceError) and not isinstance(error, TooLong))


def merge(found: list[Features], notes: tuple[str, ...] = ()) -> Features:
    """One `Features` of what several stages found."""
    vectors = {name: vector for features in found for name, vector in features.vectors.items()}
    segments = {name: parts for features in found for name, parts in features.segments.items()}
    prints = [features.fingerprint for features in found if features.fingerprint is not None]
    return Features(
        vectors=vectors,
        segments=segments,
        tempo=next((features.tempo for features in found if features.tempo), None),
        tags=next((features.tags for features in found if features.tags), ()),
        classes=next((features.classes for features in found if features.classes), ()),
        fingerprint=prints[0] if prints else None,
        notes=(*(note for features in found for note in features.notes), *notes),
    )


def _instrumental(features: Features) -> Features:
    """Where captions have no words and the sound has no singer either, the note says that it is an instrumental."""
    tags = {label.label for label in features.tags}
    if UNHEARD not in features.notes or "instrumental" not in tags or any("vocal" in tag for tag in tags):
        return features
    return replace(features, notes=tuple(INSTRUMENTAL if note == UNHEARD else note for note in features.notes))


def _without(features: Features, preset: Preset, modality: Modality) -> Features:
    gone = {part.encoder for part in preset.of(modality)}
    vectors = {name: vector for name, vector in features.vectors.items() if name not in gone}
    segments = {name: parts for name, parts in features.segments.items() if name not in gone}
    return replace(features, vectors=vectors, segments=segments, notes=())


def described(clip: Clip, features: Features, lyrics: Lyrics | None) -> Clip:
    """The clip's metadata together with what the encoders found.

    Raises:
        EncoderError: there is no title (a source without one is named by its id before it comes here).
    """
    from clipsim.explain import words

    if not clip.title.strip():
        raise EncoderError("That clip has no title.", hint="Give it one with --title.")
    return replace(
        clip,
        tempo=features.tempo,
        tags=features.tags,
        classes=features.classes,
        notes=features.notes,
        words=words(lyrics.text, lyrics.language) if lyrics else (),
    )
