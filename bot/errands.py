"""Errands: the links that somebody asked about, from the row in the library's jobs to the finished reply.

Each link is a row before the bot says a word, so that a crash loses nothing; after a restart the rows that are left
are taken up again, and the same message is edited.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import weakref
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import discord

from bot import links, places, render
from bot.board import PASSING, Board
from bot.gate import Admission
from bot.replies import Reply
from bot.text import Texts, for_locale
from bot.turns import Turns
from clipsim.errors import ClipSimError, UnexpectedError
from clipsim.model import JSON, By, Stage

if TYPE_CHECKING:
    from clipsim.core import ClipSim
    from clipsim.model import Post
    from clipsim.sources import Source

log = logging.getLogger(__name__)

FETCHING = 2  # clips that may be on their way while the workers are busy with others


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a link: the clips like it (so many, compared by), or its cluster; said in a language.

    `post` is the message that it was pasted in; `where` (a channel) and `guild` say where that is.
    """

    show: Literal["similar", "cluster"] = "similar"
    k: int = 5
    by: By = "all"
    language: str = "en"
    post: int | None = None
    where: int | None = None
    guild: int | None = None

    @classmethod
    def read(cls, row: JSON) -> Wish:
        """From a job's row; what is not there is the default."""
        known = {name: row[name] for name in ("show", "k", "by", "language", "post", "where", "guild") if name in row}
        return cls(**known)


class Errands:
    """All links that this process answers."""

    def __init__(self, sim: ClipSim, client: discord.Client, *, workers: int) -> None:
        self._sim = sim
        self._client = client
        self._turns = Turns(workers + FETCHING)
        self._mine: set[Any] = set()  # ids of jobs that this process has in hand
        self._boards: weakref.WeakSet[Board] = weakref.WeakSet()
        self._waiting: dict[Any, tuple[Board, int, Texts]] = {}  # by a job's id: what was not begun
        self._at_once: set[asyncio.Task[None]] = set()

    async def take(
        self,
        found: Sequence[Source],
        reply: Reply,
        *,
        community: str,
        requester: str,
        wish: Wish | None = None,
        admission: Admission | None = None,
    ) -> None:
        """Accept links, write the reply, and have them answered there. Returns when the reply is written.

        Links after the fifth are left out, and the reply says so.
        """
        wish, admission = wish or Wish(), admission or Admission()
        texts = for_locale(wish.language)
        taken, left = found[: links.MOST], len(found) - links.MOST
        jobs: dict[int, Any] = {}
        parts = [render.progress(texts, str(source.url), None) for source in taken]
        for place, source in enumerate(taken):
            row = {**asdict(wish), **reply.record(), "part": place, "of": len(taken)}
            if (post := admission.known.get(source.id)) is not None:
                row |= {"known": True, "first": _first(texts, post, wish)}
            try:
                if (refusal := admission.refused.get(source.id)) is not None:
                    raise refusal
                jobs[place] = await self._sim.accept(
                    str(source.url), community=community, requester=requester, reply=row
                )
                self._mine.add(jobs[place].id)
                log.info("job=%s accepted link=%s community=%s", jobs[place].id, source.url, community)
            except Exception as error:
                parts[place] = render.failure(texts, str(source.url), *explained(error, f"link={source.url}"))
        if left > 0:
            parts[-1].set_footer(text=texts.links_left_out(left))
        board = Board(reply, parts, finished=frozenset(range(len(taken))) - jobs.keys(), post=wish.post)
        await self._begin(board, jobs, wish, len(taken), community, left)

    async def _begin(
        self, board: Board, jobs: dict[int, Any], wish: Wish, parts: int, community: str, left: int = 0
    ) -> None:
        self._boards.add(board)
        await board.begin()
        texts = for_locale(wish.language)
        for place, job in jobs.items():
            self._waiting[job.id] = board, place, texts
            row = {**(job.reply or {}), **asdict(wish), **board.record, "part": place, "of": parts}
            try:
                await self._sim.set_reply(job.id, row)
            except ClipSimError as error:
                log.warning("job=%s its reply could not be noted: %s", job.id, error)
        for place, job in jobs.items():
            work = partial(self._run, board, place, job, wish, parts, left)
            if (job.reply or {}).get("known"):  # nothing is fetched: it need not wait for those whose is
                task = asyncio.create_task(work(), name=f"job {job.id}")
                self._at_once.add(task)
                task.add_done_callback(self._at_once.discard)
            else:
                self._turns.submit(community, work)

    async def _run(self, board: Board, place: int, job: Any, wish: Wish, parts: int, left: int) -> None:
        waiting = self._waiting.get(job.id)
        if waiting is None or waiting[:2] != (board, place):
            return  # it was withdrawn; its number may be another's by now
        del self._waiting[job.id]
        loop = asyncio.get_running_loop()
        texts = for_locale(wish.language)

        def told(stage: Stage) -> None:  # from any thread
            loop.call_soon_threadsafe(board.tell, place, render.progress(texts, str(job.source), stage))

        try:
            embed = await self._answer(board, job, wish, told, render.share(parts))
            log.info("job=%s answered", job.id)
        except Exception as error:
            embed = render.failure(texts, str(job.source), *explained(error, f"job={job.id}"))
        if left > 0 and place == parts - 1:
            embed.set_footer(text=texts.links_left_out(left))
        board.finish(place, embed)
        self._mine.discard(job.id)

    async def _answer(self, board: Board, job: Any, wish: Wish, told: Any, budget: int) -> discord.Embed:
        texts = for_locale(wish.language)
        answer = await self._sim.run(job.id, k=wish.k, progress=told)
        row = {**(job.reply or {}), **board.record}
        if not row.get("known") and (place := _place(row, wish)):
            await self._sim.set_place(answer.query, place, community=job.community)
        if wish.show == "cluster":
            cluster = await self._sim.cluster_of(answer.query, community=job.community)
            return render.cluster(texts, answer.query, cluster, budget=budget)
        if wish.by != "all":
            answer = await self._sim.query(answer.query, wish.k, wish.by, community=job.community)
        return render.answer(texts, answer, by=wish.by, budget=budget, first=str(row.get("first") or ""))

    async def resume(self) -> None:
        """Take up what an earlier process left, and edit the replies that it wrote."""
        try:
            pending = await self._sim.pending()
        except ClipSimError as error:
            log.error("the jobs that were left cannot be read: %s", error)
            return
        replies: dict[tuple[Any, ...], list[Any]] = {}
        for job in pending:
            row = job.reply or {}
            if job.id in self._mine or not row.get("channel"):
                continue  # in hand already, or nobody waits for it in a chat
            self._mine.add(job.id)
            own = () if row.get("message") or row.get("to") else (row.get("quiet") or row.get("asked") or job.id,)
            replies.setdefault((row["channel"], row.get("message"), row.get("to"), *own), []).append(job)
        for jobs in replies.values():
            await self._take_up(jobs)

    async def _take_up(self, jobs: list[Any]) -> None:
        row = jobs[0].reply
        try:
            reply = await places.restored(self._client, row)
        except PASSING as error:
            log.warning("jobs=%s cannot be answered: %s", ",".join(str(job.id) for job in jobs), error)
            return
        texts = for_locale(row.get("language"))
        by_place = {int(job.reply.get("part", place)): job for place, job in enumerate(jobs)}
        parts = [render.progress(texts, str(job.source), None) for job in jobs]
        count = max([int(row.get("of", 1)), *(place + 1 for place in by_place)])
        if count > 1:
            shown = await _shown(reply)
            parts = shown[:count] + [discord.Embed(description="…") for _ in range(count - len(shown))]
            for place, job in by_place.items():
                parts[place] = render.progress(texts, str(job.source), None)
        log.info("jobs=%s taken up again", ",".join(str(job.id) for job in jobs))
        board = Board(reply, parts, finished=frozenset(range(count)) - by_place.keys(), post=row.get("post"))
        await self._begin(board, by_place, Wish.read(row), count, jobs[0].community)

    async def withdraw(self, job: Any) -> bool:
        """Leave a link that its message no longer has; False where its work has begun."""
        waiting = self._waiting.pop(job.id, None)
        if waiting is None:
            return False
        board, place, texts = waiting
        self._mine.discard(job.id)
        await self._sim.drop_job(job.id, job.community)
        board.finish(place, render.withdrawn(texts, str(job.source)))
        log.info("job=%s withdrawn", job.id)
        return True

    async def abandon(self, post: int) -> list[JSON]:
        """The message with this id is gone: write its replies no more. Returns where they are."""
        return [await board.stop() for board in list(self._boards) if board.post == post]

    async def close(self) -> None:
        """Stop; what is not done stays in the library's jobs."""
        for board in list(self._boards):
            board.close()
        for task in list(self._at_once):
            task.cancel()
        await asyncio.gather(*self._at_once, return_exceptions=True)
        await self._turns.close()


def _first(texts: Texts, post: Post, wish: Wish) -> str:
    """When and where a clip was posted first, as Markdown; nothing where that is this very message."""
    where = post.place or {}
    channel, message = where.get("channel"), where.get("message")
    if message is not None and message == wish.post:
        return ""
    link = None
    if isinstance(channel, int) and isinstance(message, int):
        link = f"https://discord.com/channels/{wish.guild or '@me'}/{channel}/{message}"
    who = f"<@{post.by}>" if post.by and post.by.isascii() and post.by.isdecimal() else ""
    return texts.posted(who, post.at, discord.utils.utcnow(), link)


def _place(row: JSON, wish: Wish) -> JSON | None:
    """Where a clip was posted: the message with the link, or the public answer to a command."""
    if wish.post is not None:
        return {"channel": wish.where, "message": wish.post}
    return None if row.get("private") or not row.get("message") else {k: row[k] for k in ("channel", "message")}


async def _shown(reply: Any) -> list[discord.Embed]:
    try:
        return await reply.existing()
    except PASSING as error:
        log.info("an earlier reply cannot be read: %s", error)
        return []


def explained(error: BaseException, where: str) -> tuple[ClipSimError, str]:
    """The error for a person, and the code that is shown and logged; something unexpected gets one of its own."""
    if isinstance(error, ClipSimError) and not isinstance(error, UnexpectedError):
        log.info("%s failed code=%s: %s", where, error.code, error)
        return error, error.code
    code = f"{UnexpectedError.code}-{secrets.token_hex(3)}"
    log.error("%s failed code=%s", where, code, exc_info=error)
    return UnexpectedError(), code
