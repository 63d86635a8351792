"""`ClipSim`, the only door: add clips, ask for their neighbours, see the clusters they fall into.

Every method is async, keeps the event loop free, and raises only the errors of `clipsim.errors`. What computes or
touches a disk runs in a thread (`Engine`, `Library`) or a child process (`workers`).
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import secrets
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast
from zlib import crc32

from clipsim import overview, sources
from clipsim.communities import Communities
from clipsim.context import Context, working_for
from clipsim.courtesy import Courtesy, Opening, Waits, Youtube, per_hour
from clipsim.database import typed_errors
from clipsim.desk import Desk
from clipsim.discovery import Discovery
from clipsim.encoders import PRESETS, Preset
from clipsim.engine import Engine, TrainReport
from clipsim.errors import (
    ClipSimError,
    EmptyLibrary,
    FileMissing,
    NotTrained,
    UnexpectedError,
    UnknownClip,
    UnknownLink,
)
from clipsim.intake import SLOW, STAGES, About, Glimpse, Intake, Status, described
from clipsim.jobs import Job, Jobs
from clipsim.library import Library
from clipsim.listings import Listings
from clipsim.model import (
    HOME,
    JSON,
    Answer,
    By,
    Clip,
    Cluster,
    Clustering,
    Contributor,
    Features,
    Lyrics,
    Match,
    Media,
    Method,
    Modality,
    Pair,
    Playlist,
    Post,
    Progress,
    Search,
    Surprise,
    Vector,
    Vote,
)
from clipsim.owner import Owner
from clipsim.reader import Reader
from clipsim.search import Searcher, asked
from clipsim.settings import Settings, load
from clipsim.space import Neighbours, Space, look
from clipsim.stopwatch import Listener, Stopwatch, TimedPool
from clipsim.tuning import Tuning
from clipsim.workers import Pool, open_pool

if TYPE_CHECKING:
    from clipsim.evaluation import Evaluation
    from clipsim.evaluation import Progress as Telling
    from clipsim.judgements import LabelName

log = logging.getLogger(__name__)

QUICK = 4  # threads for what takes a moment: it must not stand in line behind what takes long

P = ParamSpec("P")
T = TypeVar("T")
Step = Callable[[int, int], None]  # done, of
Early = Callable[[Answer], None]


class ReencodeReport:
    """What `reencode` did: how many clips were encoded anew, and which were not, with the error of each."""

    def __init__(self) -> None:
        self.encoded = 0
        self.failed: list[tuple[str, ClipSimError]] = []


class ClipSim:
    """One library of clips. Open it with `ClipSim.open`; one process at a time owns its folder."""

    def __init__(self, settings: Settings, preset: Preset, library: Library, pool: Pool | None = None) -> None:
        self.settings = settings
        self.preset = preset
        self._library = library
        self._jobs = Jobs(library)
        self._courtesy = Courtesy(
            per_hour(settings), library.meta("courtesy"), functools.partial(library.set_meta, "courtesy")
        )
        self._desk = Desk(self._jobs, self._courtesy)
        self._quick = ThreadPoolExecutor(QUICK, thread_name_prefix="quick")
        self._engine = Engine(settings, preset, library)
        self._communities = Communities(library, self._engine)
        self._workers = pool
        self._borrowed = pool is not None
        self._stopwatch = Stopwatch()
        self._intake = Intake(settings, preset, library, self._timed_pool, self._courtesy, self._stopwatch)
        self._discovery = Discovery(settings, library, self._engine)
        self._listings = Listings(library)
        self._searcher = Searcher(preset, library)
        self._reader = Reader(settings, preset, self._pool)
        self._training: asyncio.Task[None] | None = None
        self._tuning: dict[str, asyncio.Task[None]] = {}  # by community

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        data: str | Path | None = None,
        *,
        settings: Settings | None = None,
        preset: Preset | None = None,
        pool: Pool | None = None,
        any_encoders: bool = False,
    ) -> AsyncIterator[ClipSim]:
        """Open a library, making it where there is none.

        Args:
            data: its folder (default: CLIPSIM_DATA).
            settings: all settings (default: from the environment and `.env`).
            preset: the encoders (default: CLIPSIM_PRESET).
            pool: workers to encode with, which stay yours to close (default: its own). Libraries may share them.
            any_encoders: open it even if it was built with others; only `reencode` makes sense then.

        Raises:
            LibraryLocked: another process owns the folder.
            LibraryMismatch: it was built with other encoders.
            InvalidSetting, LibraryCorrupt, FolderNotWritable, DiskFull, IndexUnavailable.
        """
        settings = settings or load(data=data)
        preset = preset or PRESETS[settings.preset]
        owner = await asyncio.to_thread(Owner.acquire, settings.data)
        try:
            library = await asyncio.to_thread(Library.open, settings, preset, reencode=any_encoders)
            sim = await asyncio.to_thread(cls, settings, preset, library, pool)
            try:
                await sim._thread(sim._communities.agree)
                yield sim
            finally:
                await sim._close()
        finally:
            await asyncio.to_thread(owner.release)

    async def _close(self) -> None:
        self._engine.stop()
        await self._courtesy.close()
        if self._training is not None:  # its thread must not outlive the ownership of the folder
            await asyncio.wait([self._training])
        if self._tuning:
            await asyncio.wait(self._tuning.values())
        await self._reader.close()
        with suppress(ClipSimError):
            await self._thread(self._discovery.history.flush)
        if self._workers is not None and not self._borrowed:
            await self._workers.close()
        await self._intake.standby.close()
        await asyncio.to_thread(self._engine.close)
        await asyncio.to_thread(self._library.close)
        self._quick.shutdown(wait=False)

    # Adding

    async def add(
        self,
        source: str | Path,
        *,
        title: str | None = None,
        artist: str | None = None,
        genre: str | None = None,
        lyrics: str | Path | Lyrics | None = None,
        community: str = HOME,
        added_by: str | None = None,
        progress: Progress | None = None,
    ) -> Clip:
        """Fetch, encode and keep one clip; a clip that the library has is not fetched again.

        Args:
            source: a link, a YouTube id, or (in HOME only) the path of a file.
            title, artist, genre: instead of what the source says.
            lyrics: a file (.lrc, .srt, .vtt, .txt), the text itself, or `Lyrics`.
            community: who will see it, besides HOME.
            added_by: who added it.
            progress: told when a stage begins.

        Raises:
            ClipSimError: `SourceError` where it cannot be fetched, `EncoderError` where it cannot be encoded,
                `LibraryError` where it cannot be kept. Nothing is left behind.
        """
        about: JSON = {"title": title, "artist": artist, "genre": genre, "lyrics": lyrics}
        clip, _ = await self.ingest(source, community=community, added_by=added_by, progress=progress, **about)
        return clip

    async def ingest(
        self,
        source: str | Path,
        *,
        community: str = HOME,
        added_by: str | None = None,
        progress: Progress | None = None,
        glimpse: Glimpse | None = None,
        **about: Any,
    ) -> tuple[Clip, Status]:
        """As `add`; says also whether the clip was "added" or "known". `glimpse`: see `Intake.add`."""
        said = await self._thread(_about, about)
        found = await self._thread(self._parse, str(source), community)
        clip, status = await self._guard(
            self._intake.add(found, said, community=community, added_by=added_by, progress=progress, glimpse=glimpse)
        )
        await self._thread(self._engine.absorb, clip.id, community, status == "added" or said != About())
        await self._thread(self._communities.joined, clip.id, community)
        self._train_if_due(self._view(community))
        return clip, status

    async def answer(
        self,
        source: str | Path,
        *,
        k: int = 5,
        by: By = "all",
        method: Method | None = None,
        weights: Mapping[Modality, float] | None = None,
        diversity: float = 0.0,
        community: str = HOME,
        added_by: str | None = None,
        progress: Progress | None = None,
        early: Early | None = None,
    ) -> Answer:
        """What a pasted link is answered with: the clip, added if it is new, its neighbours and its cluster.

        `early` is told, once at most and before this returns, the answer from sound and words alone of a new clip that
        is still being watched (`Answer.pending` says so); nothing of it is kept.

        Raises:
            ClipSimError: as `add` and `query`.
        """
        status: Status = "known"
        try:
            clip = await self._thread(self._find, str(source), community)
        except UnknownClip:
            ask = functools.partial(
                self._preview,
                k=k,
                by=by,
                method=method,
                weights=weights,
                diversity=diversity,
                community=self._view(community),
            )
            showing: set[asyncio.Task[None]] = set()

            def glimpse(media: Media, features: Features) -> None:
                assert early is not None
                showing.add(asyncio.create_task(ask(media, features, early)))

            try:
                clip, status = await self.ingest(
                    source,
                    community=community,
                    added_by=added_by,
                    progress=progress,
                    glimpse=None if early is None else glimpse,
                )
            except UnknownLink:
                raise UnknownClip(f"There is no clip “{str(source)[:80]}” in the library.") from None
            finally:
                for task in showing:  # too late now
                    task.cancel()
        if progress is not None:
            progress("comparing")
        return await self._query(clip, k, by, method, community, status, weights, diversity)

    async def settle(self) -> str | None:
        """Wait until a training that is due has ended; returns a sentence on what is missing before one can be."""
        if self._training is not None:
            await asyncio.wait([self._training])
        return await self._thread(self._engine.notice)

    async def listing(self, playlist: str, most: int = 50) -> sources.Listing:
        """Which clips a YouTube playlist has: the first `most` (200 at most), in its order. Nothing is added.

        `playlist` is its id (`sources.find_playlists` reads it out of a link).

        Raises:
            EmptyPlaylist: nothing in it can be seen. SourceError: it cannot be listed, see `clipsim.errors`.
        """
        return cast(sources.Listing, await self._guard(self._intake.listing(playlist, most)))

    # Asking

    async def query(
        self,
        clip: str | Clip,
        k: int = 5,
        by: By = "all",
        method: Method | None = None,
        *,
        weights: Mapping[Modality, float] | None = None,
        diversity: float = 0.0,
        community: str = HOME,
    ) -> Answer:
        """The `k` clips most similar to one that the library has, with why, its cluster, and the method that answered.

        Args:
            clip: an id, a link, a path, a title, or the clip itself.
            k: how many.
            by: everything, or one modality alone.
            method: how the modalities are fused (default: the one that answers).
            weights: what a modality counts for, 1 being the usual (default: what the community's votes taught).
            diversity: 0, the most similar, to 1, clips that differ from each other too (`clipsim.diversity`).
            community: whose clips.

        Raises:
            UnknownClip: the community has no such clip.
            MissingModality: `by` names a modality that the clip lacks.
            NotTrained: the method needs `train` first.
            InvalidSetting: weights or a diversity that cannot be used.
        """
        found = await self._clip(clip, community)
        return await self._query(found, k, by, method, community, "known", weights, diversity)

    async def similar(
        self,
        clip: str | Clip,
        k: int = 5,
        by: By = "all",
        method: Method | None = None,
        *,
        weights: Mapping[Modality, float] | None = None,
        diversity: float = 0.0,
        community: str = HOME,
    ) -> list[Match]:
        """The results of `query` alone."""
        found = await self.query(clip, k, by, method, weights=weights, diversity=diversity, community=community)
        return list(found.results)

    async def query_many(
        self,
        clips: Sequence[str | Clip],
        k: int = 5,
        by: By = "all",
        method: Method | None = None,
        *,
        weights: Mapping[Modality, float] | None = None,
        diversity: float = 0.0,
        community: str = HOME,
    ) -> list[Answer]:
        """`query` for each of several clips, in their order: compared with the library all at once, which is quicker.

        Raises:
            ClipSimError: as `query`, should one of them not be answered.
        """
        found, view = await self._clips(clips, community), self._view(community)
        return await self._thread(
            self._engine.query_many, found, k, by, method, view, weights=weights, diversity=diversity
        )

    async def embedding(self, clip: str | Clip) -> Vector:
        """The clip's embedding: float32, shape (256,), unit length.

        Until the fusion is trained it is the raw vector turned into 256 dimensions that keep every similarity between
        the clips of the library.

        Raises:
            UnknownClip: the library has no such clip.
        """
        found = await self._clip(clip, HOME)
        return await self._thread(self._engine.embedding, found.id)

    async def clusters(self, n: int | str = "auto", *, community: str = HOME) -> list[Cluster]:
        """The groups that a community's clips fall into, largest first."""
        return list((await self.clustering(n, community=community)).clusters)

    async def clustering(self, n: int | str = "auto", *, community: str = HOME) -> Clustering:
        """The groups, how they were made, and how well they hold together.

        Raises:
            EmptyLibrary: there is nothing to group.
        """
        if not await self.count(community=community):
            raise EmptyLibrary("There are no clips to group yet.")
        return await self._thread(self._engine.groups.clustering, n, self._view(community))

    async def cluster_of(self, clip: str | Clip, *, community: str = HOME) -> Cluster | None:
        """The cluster that a clip belongs to, with its members; None in a library too small for any."""
        found = await self._clip(clip, community)
        return await self._thread(self._engine.groups.cluster_of, found.id, self._view(community))

    async def find(self, text: str, *, community: str = HOME) -> Clip:
        """The clip of the community that an id, a link, a path or a title (typos forgiven) names.

        Raises:
            UnknownClip: it has none.
        """
        return await self._soon(self._find, text, self._view(community))

    async def complete(self, text: str, *, community: str = HOME, limit: int = 25) -> list[Clip]:
        """The clips that someone who typed this may mean, best first; the newest where nothing was typed."""
        if not text.strip():
            return await self.clips(community=community, limit=limit)
        return await self._soon(self._library.search_title, text, self._view(community), limit)

    async def clips(self, *, community: str = HOME, limit: int | None = None) -> list[Clip]:
        """The community's clips, newest first."""
        return await self._soon(self._library.clips, self._view(community), limit)

    async def count(self, *, community: str = HOME) -> int:
        """How many clips the community has."""
        return await self._thread(self._library.count, self._view(community))

    async def status(self) -> JSON:
        """How the library is doing: clips, the method that answers, the index, the jobs. For health checks."""
        return {
            **await self._thread(self._engine.status),
            "preset": self.preset.name,
            "jobs": await self._thread(self._jobs.counts),
            "training": self._training is not None and not self._training.done(),
        }

    async def room(self) -> JSON:
        """Bytes on the disk of the data folder: `free`, and those that the `index` and the `database` take there."""
        return await self._thread(_room, self.settings.data)

    def when_stage_ends(self, listener: Listener) -> None:
        """Be told of each stage of a clip's way that ends, and its seconds; by whatever thread."""
        self._stopwatch.listen(listener)

    # What to play

    async def playlist(
        self, clips: str | Clip | Sequence[str | Clip], k: int = 10, *, place: str | None = None, community: str = HOME
    ) -> Playlist:
        """Clips around one or several, in an order in which each is like the one before.

        It begins with the first of those named, and has them all. No song comes twice; of one artist there are
        `settings.per_artist` at most, or every fifth, while there are others near; and none comes after another of
        theirs where that can be avoided.

        Args:
            clips: one clip or several (25 at most): each an id, a link, a path, a title, or the clip itself.
            k: how many in all, 200 at most.
            place: where it is played, such as a channel's id: what its last five playlists had is left out while there
                are other clips, and this one is remembered.
            community: whose clips.

        Raises:
            UnknownClip: the community has no such clip. InvalidSetting: none or too many are named.
            NotTrained: a clip has no features. EmptyLibrary.
        """
        seeds = await self._clips(clips, community)
        return await self._thread(self._discovery.playlist, seeds, k, place, self._view(community))

    async def path(self, start: str | Clip, end: str | Clip, k: int = 8, *, community: str = HOME) -> Playlist:
        """From one clip to another in small, even steps: both of them and those between, `k` in all (200 at most).

        Raises:
            UnknownClip: the community has no such clip. InvalidSetting: both are the same.
            NotTrained: a clip has no features. EmptyLibrary.
        """
        first, last = await self._clips((start, end), community)
        return await self._thread(self._discovery.path, first, last, k, self._view(community))

    async def mix(
        self,
        add: str | Clip | Sequence[str | Clip],
        less: str | Clip | Sequence[str | Clip] = (),
        k: int = 10,
        *,
        community: str = HOME,
    ) -> Playlist:
        """The `k` clips (200 at most) that go with those added and not with those subtracted, best first.

        Neither those named nor other uploads of them are among the results.

        Raises:
            UnknownClip: the community has no such clip. InvalidSetting: none is added, or more than 25 are, or one is
            both added and subtracted. NotTrained: a clip has no features. EmptyLibrary.
        """
        added, subtracted = await self._clips(add, community), await self._clips(less, community)
        return await self._thread(self._discovery.mix, added, subtracted, k, self._view(community))

    async def search(
        self, words: str, k: int = 10, *, meaning: bool = True, patience: float = 20.0, community: str = HOME
    ) -> Search:
        """The `k` clips in which words are found: titles, artists, tags, actions, lyrics, and what lyrics mean.

        Typing errors are forgiven, and nothing that is typed has a syntax. `meaning`: also ask the text encoder, in a
        worker; where it does not answer within `patience` seconds, or cannot be asked, the notice says so.

        Raises:
            InvalidSetting: there is no word. EmptyLibrary: there are no clips.
        """
        question = asked(words)
        index = await self._thread(self._searcher.index, self._view(community))
        read = meaning and index.mean is not None  # else there are no lyrics to compare with
        vector, notice = await self._reader.read(question, patience) if read else (None, None)
        return await self._thread(self._searcher.search, index, question, k, vector, notice)

    async def surprise(self, *, place: str | None = None, seed: int | None = None, community: str = HOME) -> Surprise:
        """A good clip that is rarely recommended, and why; none that was shown in this `place` of late.

        `seed` draws the same clip again while nothing has changed.

        Raises:
            EmptyLibrary: there are no clips.
        """
        return await self._thread(self._discovery.surprise, place, seed, self._view(community))

    async def shown(
        self,
        what: Answer | Playlist | Search | Surprise | Sequence[str],
        *,
        community: str = HOME,
        place: str | None = None,
    ) -> None:
        """Results were shown to somebody: they count as recommended, and an answer's or ids' are no surprise in this
        `place` for a while. Never fails: what cannot be kept is logged.
        """
        try:
            await self._thread(self._discovery.shown, what, self._view(community), place)
        except ClipSimError as error:
            log.warning("what was shown cannot be remembered: %s", error)

    async def keep_list(self, what: JSON, *, community: str = HOME) -> str:
        """Keep what a reply listed (anything JSON can say) for a month; returns the short key that brings it back."""
        return await self._thread(self._listings.keep, what, community)

    async def kept_list(self, key: str, *, community: str = HOME) -> JSON | None:
        """The community's listing with this key; None where there is none (any more)."""
        return await self._thread(self._listings.get, key, community)

    async def known(self, ids: Sequence[str], *, community: str = HOME) -> dict[str, Clip]:
        """The clips with these ids that the community sees."""
        return await self._thread(self._library.seen, ids, self._view(community))

    # What there is

    async def duplicates(self, *, community: str = HOME) -> list[Pair]:
        """Clips that are the same song as an older one, each with that one.

        Raises:
            EmptyLibrary: there are no clips at all.
        """
        return await self._thread(self._about_pairs, overview.duplicates, self._view(community))

    async def most_alike(self, *, community: str = HOME) -> Pair | None:
        """The two clips that are most alike and not the same song; None where there are no two.

        Raises:
            EmptyLibrary: there are no clips at all.
        """
        return await self._thread(self._about_pairs, overview.most_alike, self._view(community))

    async def contributors(self, *, community: str = HOME, limit: int = 10) -> list[Contributor]:
        """Who added most of the community's own clips, most first."""
        return await self._thread(overview.contributors, self._library, community, limit)

    # Saying what one thinks of an answer

    async def vote(
        self,
        query: str | Clip,
        result: str | Clip,
        up: bool | None,
        *,
        voter: str = "me",
        community: str = HOME,
        rank: int | None = None,
        method: Method | None = None,
        by: By = "all",
    ) -> Vote | None:
        """Put a thumb on a result: up (True), down (False), or take it away (None). The voter's last one counts.

        `rank`, `method` and `by` say what had been answered. With enough votes the community's weights are tuned in
        the background (`tune`).

        Raises:
            UnknownClip: the community does not have both clips.
            InvalidSetting: the result is the query itself, or a value is none that can be kept.
        """
        community = self._view(community)
        asked, found = [await self._clip(clip, community) for clip in (query, result)]
        if up is None:
            await self._thread(self._engine.votes.withdraw, community, voter, asked.id, found.id)
            return None
        vote = Vote(asked.id, found.id, up, voter, community, method, by, rank)
        cast = await self._thread(self._engine.votes.cast, vote)
        self._tune_if_due(community)
        return cast

    async def votes(self, query: str | Clip, *, voter: str | None = None, community: str = HOME) -> dict[str, Vote]:
        """The votes on a clip's results, by the result's id: one voter's, or (None) the newest on each."""
        asked = await self._clip(query, community)
        return await self._thread(self._engine.votes.of, asked.id, self._view(community), voter)

    async def tune(self, community: str = HOME, *, dry_run: bool = False, reset: bool = False) -> Tuning:
        """Learn from a community's votes what each modality counts for in it, and keep that if it holds.

        `dry_run` keeps nothing; `reset` goes back to the usual weights instead.

        Raises:
            NotTrained: the method `standard`, whose weights they are, is not trained. EmptyLibrary: there are no clips.
        """
        community = self._view(community)
        if reset:
            return await self._thread(self._engine.tuner.reset, community)
        return await self._thread(self._engine.tune, community, dry_run)

    async def secret(self) -> bytes:
        """Bytes that nobody outside this library knows, always the same: to sign with."""
        return await self._thread(self._secret)

    # Keeping

    async def train(self, method: Method | None = None, *, progress: Step | None = None) -> list[TrainReport]:
        """Fit one method to the library now (default: the one that answers, and pca), and switch to it in one step.

        Raises:
            EmptyLibrary: there are fewer than two clips.
        """
        wanted = [method] if method else self._engine.trained_methods
        return [await self._thread(self._engine.train, name, progress) for name in wanted]

    async def reencode(self, *, progress: Step | None = None) -> ReencodeReport:
        """Compute every clip's features anew with this preset's encoders, from its file or link.

        A clip that cannot be fetched any more keeps its place but has no features until it can.
        """
        report = ReencodeReport()
        ids = await self._thread(self._library.ids)
        for number, clip_id in enumerate(ids):
            if progress is not None:
                progress(number, len(ids))
            try:
                with working_for(Context(patient=True)):  # a clip that is given up has no features
                    await self._guard(self._encode_anew(clip_id))
                report.encoded += 1
            except ClipSimError as error:
                report.failed.append((clip_id, error))
        await self._thread(self._library.finish_reencode)
        await self._thread(self._engine.reset)
        self._train_if_due()
        await self.settle()
        return report

    async def audit(self) -> Any:
        """Compare library and index, and mend every difference; returns an `AuditReport`."""
        return await self._thread(self._engine.audit)

    async def remove(self, clip: str | Clip, *, community: str = HOME) -> Clip:
        """Forget a clip: in HOME altogether, in a community only there.

        Raises:
            UnknownClip: the community has no such clip.
        """
        found = clip if isinstance(clip, Clip) else await self._thread(self._find, clip, community)
        await self._thread(self._engine.remove, found.id, community)
        await self._thread(self._communities.parted, community)
        return found

    async def backup(self, file: str | Path) -> int:
        """Write the whole library into one file; returns how many clips it holds."""
        from clipsim.backup import backup

        await self._thread(backup, self._library, Path(file))
        return await self.count()

    async def version(self, *, community: str = HOME) -> str:
        """A text that changes whenever the community's clips change, or how they are compared: to keep pictures by.

        Raises:
            EmptyLibrary: there are no clips at all.
        """
        space = await self._thread(look, self._engine, self._view(community))
        return f"{crc32(repr(space.key).encode()):08x}-{len(space.ids)}"

    async def map(
        self,
        file: str | Path,
        *,
        community: str = HOME,
        highlight: str | None = None,
        lit: Collection[int] | None = None,
        small: bool = False,
    ) -> int:
        """Draw the community's clips into a .png picture or an .html page; returns how many there are.

        Args:
            file: where to, its ending says what.
            community: whose clips.
            highlight: the id of a clip to mark.
            lit: ids of the clusters that stand out (default: none does).
            small: a picture without heading and legend, to be shown beside words.

        Raises:
            EmptyLibrary: there are none.
        """
        if not await self.count(community=community):
            raise EmptyLibrary("There are no clips to draw yet.")
        return await self._thread(self._engine.map, Path(file), self._view(community), highlight, lit, small)

    async def evaluate(
        self,
        label: LabelName = "genre",
        *,
        exclude: Literal["artist"] | None = None,
        methods: Sequence[str] | None = None,
        community: str = HOME,
        copies: int = 0,
        seed: int = 0,
        progress: Telling | None = None,
    ) -> Evaluation:
        """Measure how well every method finds what goes together (see `clipsim.evaluation`). Changes nothing.

        Args:
            label: what goes together: clips of one genre, artist or album, or what was voted (feedback).
            exclude: "artist" leaves a query's own artist's clips out of its list.
            methods: what to measure (default: all but the autoencoder, which takes minutes).
            community: whose clips.
            copies: how many clips, drawn from those whose file is still there, are copied, changed and looked for.
            seed: of what is drawn.
            progress: told what is under way, how much of it is done, and of how much.

        Raises:
            EmptyLibrary: too few clips have the label, or nobody voted.
            InvalidSetting: there is no method of a name, or artists are to be found and excluded at once.
        """
        from clipsim import evaluation, judgements, pools

        stopped = threading.Event()

        def told(what: str, done: int, of: int) -> None:
            if stopped.is_set():
                raise NotTrained("The evaluation was stopped.", hint="")
            if progress is not None:
                progress(what, done, of)

        told("reading", 0, 1)
        pool = await self._thread(
            functools.partial(pools.gather, self._library, self._view(community), votes=label == "feedback")
        )
        await self._thread(judgements.judge, pool, label, exclude)  # says at once what is wrong
        evaluation.named(pool, methods)
        if copies:
            step = functools.partial(told, "copies")
            work = pools.copied(
                pool, copies, self._intake.encode, seed=seed, at_once=self.settings.workers + 1, step=step
            )
            pool = await self._guard(work)
        measure = functools.partial(
            evaluation.evaluate, pool, label, exclude=exclude, methods=methods, default=self._engine.default
        )
        try:
            return await self._thread(functools.partial(measure, seed=seed, progress=told))
        except asyncio.CancelledError:
            stopped.set()  # its thread ends at its next step
            raise

    async def warm(self) -> BaseException | None:
        """Load the encoders now instead of with the first clip, and keep a process ready to fetch it.

        Returns what prevented the encoders from being loaded.
        """
        self._intake.standby.keep()
        return await self._pool().warm()

    # Communities

    async def preferences(self) -> dict[str, JSON]:
        """What each community has chosen, by its name; `shared` says whether it shares its clips."""
        return await self._thread(self._communities.preferences)

    async def set_preferences(self, community: str, given: JSON) -> None:
        """Keep what a community has chosen: anything JSON can say."""
        await self._thread(self._communities.set_preferences, community, given)

    async def share(self, community: str, shared: bool) -> None:
        """Let a community share its clips with all others that do, and see theirs; or no longer.

        Raises:
            InvalidSetting: it is HOME.
        """
        await self._thread(self._communities.share, community, shared)

    async def post(self, clip: str | Clip, *, community: str = HOME) -> Post | None:
        """When a clip (or its id) was first posted in a community, by whom and where; None where it was not."""
        clip_id = clip.id if isinstance(clip, Clip) else clip
        return await self._thread(self._communities.post, clip_id, community)

    async def set_place(self, clip: Clip, place: JSON, *, community: str) -> None:
        """Note where a clip was first posted (the adapter's own words), unless that is known."""
        await self._thread(self._communities.set_place, clip.id, community, place)

    async def belongings(self, user: str, *, community: str | None = None) -> dict[str, int]:
        """How many `clips`, `votes` and links `waiting` there are of somebody, in a community or (None) in all."""
        where = None if community is None else {community, self._view(community)}
        return await self._thread(self._communities.counts, user, where)

    async def forget_user(self, user: str, *, community: str | None = None) -> dict[str, int]:
        """Forget what somebody added and voted, in a community or (None) in all; returns how much, as `belongings`."""
        where = None if community is None else {community, self._view(community)}
        return await self._thread(self._communities.forget_user, user, where)

    async def known_communities(self) -> list[str]:
        """Every community that anything is kept of, besides HOME."""
        return await self._thread(self._communities.known)

    async def leave(self, community: str) -> None:
        """Note that a community is gone now, unless that is noted; it is forgotten by `forget_community`, later."""
        await self._thread(self._communities.leave, community)

    async def come_back(self, community: str) -> bool:
        """Note that a community is there again; False where it was not gone."""
        return await self._thread(self._communities.come_back, community)

    async def gone_communities(self) -> dict[str, datetime]:
        """The communities that are gone, and since when."""
        return await self._thread(self._communities.gone)

    async def forget_community(self, community: str) -> int:
        """Forget a community and everything kept of it; returns how many clips it had. Raises InvalidSetting: HOME."""
        return await self._thread(self._communities.forget_community, community)

    # Jobs: what was accepted is not lost

    async def accept(self, source: str, *, community: str, requester: str | None = None, reply: JSON) -> Job:
        """Take a link as a job. `reply` says where the answer goes; it comes back with the job after a restart."""
        return await self._soon(
            functools.partial(self._jobs.accept, source, community=community, requester=requester, reply=reply)
        )

    async def set_reply(self, job_id: int, reply: JSON) -> Job:
        """The answer goes elsewhere now."""
        return await self._soon(self._jobs.set_reply, job_id, reply)

    async def run(
        self,
        job_id: int,
        *,
        k: int = 5,
        by: By = "all",
        progress: Progress | None = None,
        early: Early | None = None,
        waits: Waits | None = None,
        background: bool = False,
    ) -> Answer:
        """Answer a job's link (see `answer`) and keep its state.

        Args:
            job_id: of a job that is open, or was returned by `due`.
            k, by, progress, early: as for `answer`.
            waits: told about when YouTube may be asked for this clip where that is not now, and None when it is; by
                the event loop's thread.
            background: it yields to jobs that are not.

        Raises:
            JobCancelled: it was cancelled. NoSuchJob: it was dropped.
            ClipSimError: as `answer`; the job has failed then, with the error's code.
        """

        async def work(job: Job, told: Progress) -> Answer:
            return await self.answer(
                job.source,
                k=k,
                by=by,
                community=job.community,
                added_by=job.requester,
                progress=told,
                early=early,
            )

        run = self._desk.run(job_id, work, clip_id=self._clip_of, progress=progress, waits=waits, background=background)
        return cast(Answer, await self._guard(run))

    async def jobs_answering(self, name: str, value: int) -> list[Job]:
        """The jobs whose `reply` has this value by this name, oldest first, whatever has become of them."""
        return await self._thread(self._jobs.answering, name, value)

    async def recent_jobs(self, community: str, since: datetime) -> list[Job]:
        """The links that a community had accepted since then, oldest first, whatever has become of them."""
        return await self._thread(self._jobs.since, community, since)

    async def pending(self) -> list[Job]:
        """At start-up: the jobs that a former process did not finish, queued again, oldest first."""
        return await self._thread(self._jobs.resume)

    async def due(self) -> list[Job]:
        """The failed jobs that are to be tried again now, oldest first; they are queued by this, so `run` them.

        Those whose error waiting may mend (`Job.retry_at`), and those that `retry_job` was asked for.
        """
        return await self._thread(self._jobs.claim)

    async def jobs(self, community: str = HOME) -> list[Job]:
        """The community's jobs that are not done, oldest first: waiting, under way, and failed."""
        return await self._thread(self._jobs.of, community)

    async def job(self, job_id: int, community: str | None = None) -> Job:
        """One job. Raises NoSuchJob."""
        return await self._thread(self._jobs.get, job_id, community)

    async def retry_job(self, job_id: int, community: str = HOME) -> Job:
        """Have a failed job tried again at once (`due` returns it); any other stays as it is. Raises NoSuchJob."""
        return await self._thread(self._jobs.retry, job_id, community)

    async def cancel_job(self, job_id: int, community: str = HOME) -> Job:
        """Stop a job and try it no more; its row stays, failed with `cancelled`. Raises NoSuchJob."""
        return cast(Job, await self._guard(self._desk.cancel(job_id, community)))

    async def drop_job(self, job_id: int, community: str = HOME) -> Job:
        """Stop a job and forget it; returns what it was. Raises NoSuchJob."""
        return cast(Job, await self._guard(self._desk.drop(job_id, community)))

    async def prune_jobs(self) -> int:
        """Forget the jobs that ended two weeks ago (`clipsim.jobs.KEPT`); returns how many."""
        return await self._thread(self._jobs.prune)

    # YouTube

    def youtube(self) -> Youtube:
        """Whether YouTube is being asked for anything just now, and how many wait for it."""
        return self._courtesy.status()

    def when_youtube_refuses(self, listener: Callable[[Opening], None]) -> None:
        """Be told, once each time and in the event loop's thread, when YouTube begins to refuse."""
        self._courtesy.listen(listener)

    def may_alarm(self, community: str) -> bool:
        """Whether a community may be told of it now: once a day. Notes that it is."""
        return self._courtesy.may_tell(community)

    # Inside

    def _pool(self) -> Pool:
        if self._workers is None:
            self._workers = open_pool(self.settings, self.preset)
        return self._workers

    def _timed_pool(self) -> Pool:
        return TimedPool(self._pool(), self._stopwatch, STAGES)

    def _view(self, community: str) -> str:
        """Whose clips a community sees: every method that reads asks this (see `clipsim.communities`)."""
        return self._communities.view(community)

    async def _clip(self, clip: str | Clip, community: str) -> Clip:
        return clip if isinstance(clip, Clip) else await self.find(clip, community=community)

    async def _clips(self, clips: str | Clip | Sequence[str | Clip], community: str) -> list[Clip]:
        given = [clips] if isinstance(clips, str | Clip) else clips
        return [await self._clip(clip, community) for clip in given]

    def _about_pairs(self, ask: Callable[[Library, Space, Neighbours], T], community: str) -> T:
        return ask(self._library, *self._discovery.neighbourhood(community))

    def _parse(self, text: str, community: str) -> sources.Source:
        # A community's members are strangers: they must not read the server's disk.
        return sources.parse(text, self.settings.hosts, files=community == HOME)

    def _clip_of(self, job: Job) -> str | None:
        """The clip that a job is about, as far as its link tells."""
        with suppress(ClipSimError):
            return self._parse(job.source, job.community).id
        return None

    def _find(self, text: str, community: str) -> Clip:
        with suppress(UnknownClip):
            return self._library.get(text.strip(), community)
        try:
            source = self._parse(text, community)
        except (FileMissing, UnknownLink):
            return self._library.find(text, community)
        return self._library.get(source.id, community)

    async def _query(
        self,
        clip: Clip,
        k: int,
        by: By,
        method: Method | None,
        community: str,
        status: Status,
        weights: Mapping[Modality, float] | None,
        diversity: float,
    ) -> Answer:
        view = self._view(community)
        with self._stopwatch.measure("comparing"):
            return await self._thread(self._engine.query, clip, k, by, method, view, status, weights, diversity)

    async def _preview(self, media: Media, features: Features, early: Early, *, by: By, **asked: Any) -> None:
        """Tell the answer from what is known of a clip so far, where there is one."""
        if by == SLOW:
            return
        try:
            clip = await self._thread(described, media.clip, features, media.lyrics)
            answer = await self._thread(functools.partial(self._engine.preview, clip, features, by=by, **asked))
        except ClipSimError as error:
            log.info("no early answer about %s: %s", media.clip.id, error)
        else:
            early(replace(answer, status="added", pending=(SLOW,)))

    async def _encode_anew(self, clip_id: str) -> None:
        clip = await asyncio.to_thread(self._library.get, clip_id)
        lyrics = await asyncio.to_thread(self._library.lyrics, clip_id)
        source = await asyncio.to_thread(sources.parse, clip.path or clip.url or clip.id, self.settings.hosts)

        async def encode(media: Media) -> Clip:
            about = replace(clip, notes=media.clip.notes)
            features = await self._intake.encode(Media(about, media.audio, media.video, lyrics or media.lyrics))
            words = described(clip, features, lyrics or media.lyrics).words
            await asyncio.to_thread(self._library.save_features, clip_id, features, words)
            return clip

        await self._intake.fetch(source, encode)

    def _train_if_due(self, community: str = HOME) -> None:
        if self._training is None or self._training.done():
            self._training = asyncio.create_task(self._train_when_due(community))

    async def _train_when_due(self, community: str) -> None:
        try:
            for method in await self._thread(self._engine.due):
                await self._thread(self._engine.train, method, None)
            for grown in {community, HOME}:
                await self._thread(self._engine.groups.refresh, grown)
        except ClipSimError as error:
            log.warning("training in the background failed: %s", error)

    def _tune_if_due(self, community: str) -> None:
        if community not in self._tuning:
            self._tuning[community] = asyncio.create_task(self._tune_when_due(community))

    async def _tune_when_due(self, community: str) -> None:
        try:
            await self._thread(self._engine.tune_if_due, community)
        except ClipSimError as error:
            log.warning("tuning in the background failed: %s", error)
        finally:
            del self._tuning[community]

    def _secret(self) -> bytes:
        held = self._library.meta("secret")
        if not isinstance(held, str):
            held = secrets.token_hex(32)
            self._library.set_meta("secret", held)
        return held.encode()

    async def _thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._guard(asyncio.to_thread(function, *args, **kwargs))

    async def _soon(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `_thread`, in threads that do nothing that takes long: what somebody types waits for no training."""
        call = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
        return cast(T, await self._guard(asyncio.get_running_loop().run_in_executor(self._quick, call)))

    async def _guard(self, work: Any) -> Any:
        """Let nothing out but `ClipSimError` (and cancellation)."""
        try:
            return await work
        except ClipSimError:
            raise
        except Exception as error:
            log.exception("unexpected")
            raise UnexpectedError(f"Something unexpected went wrong ({type(error).__name__}: {error}).") from error


def _about(given: JSON) -> About:
    lyrics = given.pop("lyrics", None)
    if lyrics is not None and not isinstance(lyrics, Lyrics):
        lyrics = sources.read_lyrics(lyrics)
    return About(lyrics=lyrics, **given)


def _room(folder: Path) -> JSON:
    with typed_errors(folder):
        index = sum(file.stat().st_size for file in (folder / "index").rglob("*") if file.is_file())
        database = sum(file.stat().st_size for file in folder.glob("library.sqlite*"))
        return {"free": shutil.disk_usage(folder).free, "index": index, "database": database}
