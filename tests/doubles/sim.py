"""A double of the façade for the bot's tests: the same methods, in memory, with no media, models or clock of its own.

It is a dependency's double, not the thing under test. `tests/bot/test_facade.py` runs the same commands against the
real one.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clipsim.courtesy import Youtube
from clipsim.errors import EmptyLibrary, EmptyPlaylist, InvalidSetting, MissingModality, UnknownClip
from clipsim.model import (
    HOME,
    JSON,
    Answer,
    By,
    Clip,
    Cluster,
    Clustering,
    Contributor,
    Hit,
    Match,
    Pair,
    Playlist,
    Post,
    Progress,
    Search,
    Stage,
    Step,
    Surprise,
    Vote,
)
from clipsim.sources import Listing

STAGES: tuple[Stage, ...] = ("fetching", "listening", "reading", "watching", "comparing")


@dataclass
class Job:
    id: int
    source: str
    community: str
    requester: str | None
    reply: JSON
    state: str = "queued"
    error_code: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    retry_at: datetime | None = None


class Rows(dict[int, Job]):
    """The jobs by their ids; called, what `ClipSim.jobs` returns."""

    async def __call__(self, community: str = HOME) -> list[Job]:
        return [replace(job) for job in self.values() if job.community == community and job.state != "done"]


def clip(number: int, title: str | None = None, **metadata: Any) -> Clip:
    """A clip with an id of the right shape."""
    made = f"clip{number:07d}"
    values: dict[str, Any] = {
        "title": title or f"Song {number}",
        "artist": f"Artist {number}",
        "url": f"https://www.youtube.com/watch?v={made}",
        "thumbnail": f"https://i.ytimg.com/vi/{made}/hqdefault.jpg",
        "modalities": ("audio", "video"),
    }
    return Clip(made, **{**values, **metadata})


@dataclass
class SimDouble:
    """`shelves` holds each community's clips; `troubles`: what a source's job ends in; `pause`: slept per stage."""

    shelves: dict[str, list[Clip]] = field(default_factory=dict)
    troubles: dict[str, Exception] = field(default_factory=dict)
    trouble: Exception | None = None  # raised by every other method
    pause: float = 0.0
    notice: str | None = None
    why: str = "Both are electronic, at 120 beats per minute."
    jobs: Rows = field(default_factory=lambda: Rows())
    begun: list[int] = field(default_factory=list)  # ids of jobs, in the order they were run
    lists: dict[str, Listing] = field(default_factory=dict)  # by a playlist's id
    posts: dict[tuple[str, str], Post] = field(default_factory=dict)  # by community and clip
    chosen: dict[str, JSON] = field(default_factory=dict)
    gone: dict[str, datetime] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)  # communities
    thumbs: dict[tuple[str, str, str, str], Vote] = field(default_factory=dict)  # community, voter, query, result
    listings: dict[str, tuple[str, JSON]] = field(default_factory=dict)  # by key: community, what
    seen: list[tuple[list[str], str, str | None]] = field(default_factory=list)  # ids, community, place
    drawn: list[tuple[str, Any, Any]] = field(default_factory=list)  # community, lit, highlight
    called: list[tuple[str, Any]] = field(default_factory=list)
    glimpses: bool = False  # whether there is an early answer while the picture is being watched
    again: list[int] = field(default_factory=list)  # ids of failed jobs that are due
    refusals: list[Any] = field(default_factory=list)  # who wants to hear that YouTube refuses
    before: Callable[[str], None] | None = None  # told the name of each method as it is called

    def _called(self, name: str, *what: Any) -> None:
        self.called.append((name, what))
        if self.before is not None:
            self.before(name)
        if self.trouble is not None:
            raise self.trouble

    def shelf(self, community: str) -> list[Clip]:
        return self.shelves.setdefault(community, [])

    # jobs

    async def accept(self, source: str, *, community: str, requester: str | None, reply: JSON) -> Job:
        self._called("accept", source, reply)
        job = Job(max(self.jobs, default=0) + 1, source, community, requester, reply)
        self.jobs[job.id] = job
        return replace(job)

    async def set_reply(self, job_id: int, reply: JSON) -> None:
        self._called("set_reply", job_id, reply)
        self.jobs[job_id].reply = reply

    async def pending(self) -> list[Job]:
        return [replace(job) for job in self.jobs.values() if job.state == "queued"]

    async def due(self) -> list[Job]:
        again, self.again = self.again, []
        return [replace(self.jobs[job_id], state="queued") for job_id in again]

    async def job(self, job_id: int, community: str | None = None) -> Job:
        return replace(self.jobs[job_id])

    async def prune_jobs(self) -> int:
        return 0

    def youtube(self) -> Youtube:
        return Youtube("closed", None, None, None, 0, 60.0, 300)

    def when_youtube_refuses(self, listener: Any) -> None:
        self.refusals.append(listener)

    def may_alarm(self, community: str) -> bool:
        return True

    def when_stage_ends(self, listener: Any) -> None:
        pass

    async def run(
        self,
        job_id: int,
        *,
        k: int = 5,
        progress: Progress | None = None,
        early: Callable[[Answer], None] | None = None,
        waits: Any = None,
        background: bool = False,
    ) -> Answer:
        job = self.jobs[job_id]
        self.begun.append(job_id)
        for stage in STAGES:
            if progress is not None:
                await asyncio.to_thread(progress, stage)  # as from a worker's thread
            if stage == "watching" and self.glimpses and early is not None:
                seen = replace(clip(0, "Half seen"), url=job.source, modalities=("audio",))
                early(replace(await self.query(seen, k, community=job.community), pending=("video",)))
            if self.pause:
                await asyncio.sleep(self.pause)
        if (trouble := self.troubles.get(job.source)) is not None:
            job.state, job.error_code = "failed", getattr(trouble, "code", "unexpected")
            raise trouble
        made = next((c for c in self.shelf(job.community) if c.url == job.source), None)
        if made is None:
            made = replace(clip(900 + len(self.jobs), url=job.source), id=job.source[-11:])
            self.shelf(job.community).insert(0, made)
            self.posts[job.community, made.id] = Post(job.requester, datetime.now(UTC))
        job.state = "done"
        return replace(await self.query(made, k, community=job.community), status="added")

    def counts(self) -> dict[str, int]:
        states = [job.state for job in self.jobs.values()]
        return {state: states.count(state) for state in states}

    async def drop_job(self, job_id: int, community: str = HOME) -> None:
        assert self.jobs.pop(job_id).community == community

    async def recent_jobs(self, community: str, since: datetime) -> list[Job]:
        self._called("recent_jobs", community, since)
        return [replace(job) for job in self.jobs.values() if job.community == community and job.created >= since]

    async def jobs_answering(self, name: str, value: int) -> list[Job]:
        return [replace(job) for job in self.jobs.values() if job.reply.get(name) == value]

    async def listing(self, playlist: str, most: int = 50) -> Listing:
        self._called("listing", playlist, most)
        if playlist not in self.lists:
            raise EmptyPlaylist
        return replace(self.lists[playlist], clips=self.lists[playlist].clips[:most])

    # communities

    async def preferences(self) -> dict[str, JSON]:
        return {community: dict(chosen) for community, chosen in self.chosen.items()}

    async def set_preferences(self, community: str, given: JSON) -> None:
        self._called("set_preferences", community, given)
        before = self.chosen.get(community, {})
        self.chosen[community] = {**given, "shared": before.get("shared", False)}

    async def share(self, community: str, shared: bool) -> None:
        self._called("share", community, shared)
        self.chosen.setdefault(community, {})["shared"] = shared

    async def post(self, clip: str | Clip, *, community: str = HOME) -> Post | None:
        return self.posts.get((community, clip if isinstance(clip, str) else clip.id))

    async def set_place(self, clip: Clip, place: JSON, *, community: str) -> None:
        self._called("set_place", clip.id, place, community)
        if (post := self.posts.get((community, clip.id))) is not None:
            self.posts[community, clip.id] = replace(post, place=post.place or place)

    async def remove(self, clip: Clip, *, community: str = HOME) -> Clip:
        self._called("remove", clip.id, community)
        self.shelf(community).remove(clip)
        self.posts.pop((community, clip.id), None)
        return clip

    async def belongings(self, user: str, *, community: str | None = None) -> dict[str, int]:
        mine = [where for where, post in self.posts.items() if post.by == user and community in (None, where[0])]
        waiting = [
            job
            for job in self.jobs.values()
            if (job.requester, job.state) == (user, "queued") and community in (None, job.community)
        ]
        return {"clips": len(mine), "votes": 0, "waiting": len(waiting)}

    async def forget_user(self, user: str, *, community: str | None = None) -> dict[str, int]:
        self._called("forget_user", user, community)
        counts = await self.belongings(user, community=community)
        for where, post in list(self.posts.items()):
            if post.by == user and community in (None, where[0]):
                del self.posts[where]
        return counts

    async def known_communities(self) -> list[str]:
        return sorted({*self.shelves, *self.chosen} - {HOME})

    async def leave(self, community: str) -> None:
        self.gone.setdefault(community, datetime.now(UTC))

    async def come_back(self, community: str) -> bool:
        return self.gone.pop(community, None) is not None

    async def gone_communities(self) -> dict[str, datetime]:
        return dict(self.gone)

    async def forget_community(self, community: str) -> int:
        self.forgotten.append(community)
        self.gone.pop(community, None)
        self.chosen.pop(community, None)
        return len(self.shelves.pop(community, []))

    # what to play

    async def playlist(
        self, clips: list[Clip], k: int = 10, *, place: str | None = None, community: str = HOME
    ) -> Playlist:
        self._called("playlist", [clip.id for clip in clips], k, place, community)
        return self._list("playlist", clips, k, community)

    async def path(self, start: Clip, end: Clip, k: int = 8, *, community: str = HOME) -> Playlist:
        self._called("path", start.id, end.id, k, community)
        if start.id == end.id:
            raise InvalidSetting("A path leads from one clip to another.", hint="Name two different clips.")
        between = [clip for clip in self.shelf(community) if clip not in (start, end)][: k - 2]
        return self._list("path", [start, *between, end], len(between) + 2, community)

    async def mix(self, add: list[Clip], less: list[Clip], k: int = 10, *, community: str = HOME) -> Playlist:
        self._called("mix", [clip.id for clip in add], [clip.id for clip in less], k, community)
        rest = [clip for clip in self.shelf(community) if clip not in (*add, *less)]
        return self._list("mix", rest[:k], k, community)

    def _list(self, kind: Any, first: list[Clip], k: int, community: str) -> Playlist:
        clips = [*first, *(clip for clip in self.shelf(community) if clip not in first)][:k]
        steps = tuple(Step(clip, 0.9 if n else None, self.why) for n, clip in enumerate(clips))
        return Playlist(kind, steps, "Like “X”.", self.notice)

    async def search(self, words: str, k: int = 10, *, community: str = HOME) -> Search:
        self._called("search", words, k, community)
        found = await self.complete(words, community=community, limit=k)
        return Search(words, tuple(Hit(n, clip, 1 / n, "title") for n, clip in enumerate(found, 1)), self.notice)

    async def surprise(self, *, place: str | None = None, community: str = HOME) -> Surprise:
        self._called("surprise", place, community)
        shelf = self.shelf(community)
        if not shelf:
            raise EmptyLibrary
        drawn = shelf[len(self.asked("surprise")) % len(shelf)]
        return Surprise(drawn, "Never recommended here so far.", 0, tuple(c for c in shelf if c != drawn)[:2])

    async def shown(self, what: Any, *, community: str = HOME, place: str | None = None) -> None:
        clips = [match.clip for match in what.results] if isinstance(what, Answer) else getattr(what, "clips", None)
        clips = [what.clip] if isinstance(what, Surprise) else clips
        self.seen.append(([clip.id for clip in clips] if clips is not None else list(what), community, place))

    async def keep_list(self, what: JSON, *, community: str = HOME) -> str:
        key = f"key-{len(self.listings)}"
        self.listings[key] = community, json.loads(json.dumps(what))
        return key

    async def kept_list(self, key: str, *, community: str = HOME) -> JSON | None:
        whose, what = self.listings.get(key, ("", None))
        return what if whose == community else None

    async def known(self, ids: list[str], *, community: str = HOME) -> dict[str, Clip]:
        return {clip.id: clip for clip in self.shelf(community) if clip.id in ids}

    # thumbs

    async def vote(
        self, query: Clip, result: str, up: bool | None, *, voter: str, community: str, **answered: Any
    ) -> Vote | None:
        self._called("vote", query.id, result, up, voter, community, answered)
        if up is None:
            self.thumbs.pop((community, voter, query.id, result), None)
            return None
        vote = self.thumbs[community, voter, query.id, result] = Vote(
            query.id, result, up, voter, community, **answered
        )
        return vote

    async def votes(self, query: Clip, *, voter: str, community: str) -> dict[str, Vote]:
        return {key[3]: vote for key, vote in self.thumbs.items() if key[:3] == (community, voter, query.id)}

    # what there is

    async def most_alike(self, *, community: str = HOME) -> Pair | None:
        shelf = self.shelf(community)
        return Pair(shelf[0], shelf[1], 0.97, self.why) if len(shelf) > 1 else None

    async def duplicates(self, *, community: str = HOME) -> list[Pair]:
        shelf = self.shelf(community)
        return [Pair(shelf[1], shelf[2], 0.99, "The same artist and title.")] if len(shelf) > 2 else []

    async def contributors(self, *, community: str = HOME, limit: int = 10) -> list[Contributor]:
        self._called("contributors", community)
        counts = Counter(str(post.by) for where, post in self.posts.items() if where[0] == community)
        return [Contributor(user, count) for user, count in counts.most_common(limit)]

    async def version(self, *, community: str = HOME) -> str:
        return str([clip.id for clip in self.shelf(community)])

    async def map(
        self, file: Path, *, community: str = HOME, highlight: Any = None, lit: Any = None, small: bool
    ) -> int:
        self._called("map", community)
        self.drawn.append((community, lit, highlight))
        file.write_bytes(  # noqa: ASYNC240 - a few bytes
            b"\x89PNG\r\n\x1a\n" + repr((lit, highlight, small)).encode()
        )
        return len(self.shelf(community))

    async def secret(self) -> bytes:
        return b"secret"

    async def retry_job(self, job_id: int, community: str = HOME) -> Job:
        self._called("retry_job", job_id, community)
        job = self.jobs[job_id]
        assert job.community == community
        job.state = "queued"
        self.again.append(job_id)
        return replace(job)

    def asked(self, name: str) -> list[Any]:
        """What a method was called with, each time."""
        return [what for called, what in self.called if called == name]

    # questions

    async def query(
        self, clip: Clip, k: int = 5, by: By = "all", method: str | None = None, *, community: str = HOME
    ) -> Answer:
        self._called("query", clip, k, by, community)
        if by == "lyrics" and "lyrics" not in clip.modalities:
            raise MissingModality
        others = [other for other in self.shelf(community) if other.id != clip.id][:k]
        results = tuple(
            Match(i, other, 1 - i / 10, {"audio": 0.9, "video": 0.4}, None, self.why)
            for i, other in enumerate(others, 1)
        )
        cluster = await self.cluster_of(clip, community=community)
        return Answer(clip, method or "raw", results, cluster, self.notice)

    async def find(self, text: str, *, community: str = HOME) -> Clip:
        self._called("find", text, community)
        for each in self.shelf(community):
            if text in (each.id, each.title, each.url):
                return each
        raise UnknownClip

    async def complete(self, text: str, *, community: str = HOME, limit: int = 25) -> list[Clip]:
        self._called("complete", text, community, limit)
        return [each for each in self.shelf(community) if text.casefold() in each.title.casefold()][:limit]

    async def clustering(self, n: int | str = "auto", *, community: str = HOME) -> Clustering:
        self._called("clustering", community)
        shelf = self.shelf(community)
        if not shelf:
            raise EmptyLibrary
        half = max(1, len(shelf) // 2)
        groups = [shelf[:half], shelf[half:]]
        return Clustering(
            "k-means (2)", tuple(Cluster(i, f"group {i}", len(g), tuple(g)) for i, g in enumerate(groups, 1) if g), {}
        )

    async def cluster_of(self, clip: Clip, *, community: str = HOME) -> Cluster | None:
        shelf = self.shelf(community)
        return Cluster(1, "bright dance", len(shelf), tuple(shelf)) if len(shelf) > 2 else None

    async def clips(self, *, community: str = HOME, limit: int | None = None) -> list[Clip]:
        return self.shelf(community)[:limit]

    async def count(self, *, community: str = HOME) -> int:
        self._called("count", community)
        return len(self.shelf(community))

    async def status(self) -> JSON:
        return {"clips": sum(map(len, self.shelves.values())), "method": "raw", "jobs": self.counts()}
