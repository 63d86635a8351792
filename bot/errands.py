"""Errands: the links that somebody asked about, from the row in the library's jobs to the finished reply.

Each link is a row before the bot says a word, so that a crash loses nothing; after a restart the rows that are left
are taken up again, and the same message is edited. So it is when a link that failed is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import weakref
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import discord

from bot import links, metrics, render, text
from bot.board import PASSING, Board
from bot.replies import InteractionReply, MessageReply, Reply, restored
from bot.turns import Turns
from clipsim.context import Context, working_for
from clipsim.errors import ClipSimError, UnexpectedError
from clipsim.model import JSON, By, Stage

if TYPE_CHECKING:
    from clipsim.core import ClipSim
    from clipsim.sources import Source

log = logging.getLogger(__name__)

FETCHING = 2  # clips that may be on their way while the workers are busy with others
PRUNE_EVERY = 6 * 3600.0  # seconds
LOOK = 20.0  # seconds between two looks at what is due to be tried again


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a link: the clips like it (so many, compared by), or its cluster."""

    show: Literal["similar", "cluster"] = "similar"
    k: int = 5
    by: By = "all"

    @classmethod
    def read(cls, row: JSON) -> Wish:
        """From a job's row; what is not there is the default."""
        known = {name: row[name] for name in ("show", "k", "by") if name in row}
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Errand:
    """One link of a reply: its job, its place among the reply's parts, and whether it yields to others.

    An import yields wherever it waits; a second attempt only until a place for it is free: somebody wants it.
    """

    job: Any
    board: Board
    place: int
    parts: int
    wish: Wish
    left: int = 0  # links of the message that were left out
    background: bool = False

    @property
    def imported(self) -> bool:
        """Whether it was taken in the background."""
        return bool((self.job.reply or {}).get("background"))


class Errands:
    """All links that this process answers."""

    def __init__(self, sim: ClipSim, client: discord.Client, *, workers: int) -> None:
        self._sim = sim
        self._client = client
        self._turns = Turns(workers + FETCHING)
        self._mine: set[Any] = set()  # ids of jobs that this process has in hand
        self._boards: weakref.WeakSet[Board] = weakref.WeakSet()
        self._written: weakref.WeakValueDictionary[tuple[Any, Any], Board] = weakref.WeakValueDictionary()
        self._keeping: list[asyncio.Task[None]] = []

    async def take(
        self,
        found: Sequence[Source],
        reply: Reply,
        *,
        community: str,
        requester: str,
        wish: Wish | None = None,
        background: bool = False,
    ) -> None:
        """Accept links, write the reply, and have them answered there. Returns when the reply is written.

        Links after the fifth are left out, and the reply says so. What is taken in the background (an import) comes
        when nobody else waits.
        """
        wish = wish or Wish()
        taken, left = found[: links.MOST], len(found) - links.MOST
        jobs: dict[int, Any] = {}
        parts = [render.progress(str(source.url), None) for source in taken]
        for place, source in enumerate(taken):
            row = {**asdict(wish), **reply.record(), "part": place, "of": len(taken)}
            row |= {"background": True} if background else {}
            try:
                jobs[place] = await self._sim.accept(
                    str(source.url), community=community, requester=requester, reply=row
                )
                self._mine.add(jobs[place].id)
                log.info("job=%s accepted link=%s community=%s", jobs[place].id, source.url, community)
            except Exception as error:
                parts[place] = render.failure(str(source.url), *explained(error, f"link={source.url}"))
        if left > 0:
            parts[-1].set_footer(text=text.links_left_out(left))
        board = Board(reply, parts, finished=frozenset(range(len(taken))) - jobs.keys())
        self._boards.add(board)
        errands = [Errand(job, board, place, len(taken), wish, left, background) for place, job in jobs.items()]
        await board.begin()
        await self._begin(errands)

    async def _begin(self, errands: Sequence[Errand]) -> None:
        """Note in the rows where the reply is, and have the work done."""
        for errand in errands:
            job, where = errand.job, errand.board.record
            if where.get("message") is not None:
                self._written[where["channel"], where["message"]] = errand.board
            row = {**asdict(errand.wish), **where, "part": errand.place, "of": errand.parts}
            row |= {"background": True} if errand.imported else {}
            try:
                await self._sim.set_reply(job.id, row)
            except ClipSimError as error:
                log.warning("job=%s its reply could not be noted: %s", job.id, error)
        for errand in errands:
            self._turns.submit(errand.job.community, partial(self._run, errand), background=errand.background)

    async def _run(self, errand: Errand) -> None:
        job = errand.job
        with working_for(Context(job.id, job.community, errand.imported)):
            try:
                embed = await self._answer(errand)
                log.info("answered reply=%s", errand.board.record.get("message"))
            except Exception as error:
                told = explained(error, f"link={job.source}")
                embed = render.failure(str(job.source), *told, await self._again(job.id))
            finally:
                self._mine.discard(job.id)
            if errand.left > 0 and errand.place == errand.parts - 1:
                embed.set_footer(text=text.links_left_out(errand.left))
            errand.board.finish(errand.place, embed)

    async def _answer(self, errand: Errand) -> discord.Embed:
        job, wish, budget = errand.job, errand.wish, render.share(errand.parts)
        loop, piece = asyncio.get_running_loop(), asyncio.current_task()
        show = partial(errand.board.tell, errand.place)

        def told(stage: Stage) -> None:  # from any thread
            loop.call_soon_threadsafe(show, render.progress(str(job.source), stage))

        def waits(until: datetime | None) -> None:
            if until is None:
                self._turns.go_on(piece)
                return
            self._turns.pause(piece)
            show(render.said(str(job.source), text.waiting_for_youtube(render.moment(until))))

        answer = await self._sim.run(job.id, k=wish.k, progress=told, waits=waits, background=errand.imported)
        if wish.show == "cluster":
            cluster = await self._sim.cluster_of(answer.query, community=job.community)
            return render.cluster(answer.query, cluster, budget=budget)
        if wish.by != "all":
            answer = await self._sim.query(answer.query, wish.k, wish.by, community=job.community)
        return render.answer(answer, by=wish.by, budget=budget)

    async def _again(self, job_id: Any) -> datetime | None:
        """When a job that failed is tried again."""
        try:
            return (await self._sim.job(job_id)).retry_at
        except ClipSimError:
            return None

    # After a restart, and after a failure

    async def resume(self) -> None:
        """Take up what an earlier process left, and edit the replies that it wrote; from now on, retry what failed."""
        if not self._keeping:
            self._keeping = [
                asyncio.create_task(self._retry(), name="retries"),
                asyncio.create_task(self._prune(), name="old jobs"),
            ]
        try:
            pending = await self._sim.pending()
        except ClipSimError as error:
            log.error("the jobs that were left cannot be read: %s", error)
            return
        await self._take_up([job for job in pending if (job.reply or {}).get("channel")])  # else nobody waits in a chat

    async def look(self) -> None:
        """Take up the jobs that failed and are due now: those whose time has come, and those somebody wants tried."""
        try:
            await self._take_up(await self._sim.due(), background=True)
        except ClipSimError as error:
            log.warning("the jobs that are due cannot be read: %s", error)

    async def _retry(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            await self.look()

    async def _prune(self) -> None:
        while True:
            try:
                if count := await self._sim.prune_jobs():
                    log.info("%d old jobs are forgotten", count)
            except ClipSimError as error:
                log.warning("old jobs could not be forgotten: %s", error)
            await asyncio.sleep(PRUNE_EVERY)

    async def _take_up(self, jobs: Sequence[Any], *, background: bool = False) -> None:
        """Work on jobs again, those of one reply together."""
        replies: dict[tuple[Any, ...], list[Any]] = {}
        for job in jobs:
            row = job.reply or {}
            if job.id in self._mine:
                continue  # in hand already
            self._mine.add(job.id)
            if not row.get("channel"):
                self._turns.submit(job.community, partial(self._quietly, job), background=True)
                continue
            own = () if row.get("message") or row.get("to") else (job.id,)
            replies.setdefault((row["channel"], row.get("message"), row.get("to"), *own), []).append(job)
        for one in replies.values():
            await self._take_up_reply(one, background)

    async def _take_up_reply(self, jobs: list[Any], background: bool) -> None:
        row = jobs[0].reply
        by_place = {int(job.reply.get("part", place)): job for place, job in enumerate(jobs)}
        count = max([int(row.get("of", 1)), *(place + 1 for place in by_place)])
        log.info("jobs=%s taken up again", ",".join(str(job.id) for job in jobs))
        board = self._written.get((row["channel"], row.get("message"))) if row.get("message") else None
        if board is None:
            reply = restored(row, self._client)
            parts = [render.progress(str(job.source), None) for job in jobs]
            if count > 1:
                shown = await _shown(reply)
                parts = shown[:count] + [discord.Embed(description="…") for _ in range(count - len(shown))]
            board = Board(reply, parts, finished=frozenset(range(count)))
            self._boards.add(board)
        for place, job in by_place.items():
            board.reopen(place, render.progress(str(job.source), None))
        await board.begin()
        await self._begin(
            [
                Errand(job, board, place, count, Wish.read(row), 0, background or "background" in job.reply)
                for place, job in by_place.items()
            ]
        )

    async def _quietly(self, job: Any) -> None:
        """A job that nobody waits for in a chat."""
        with working_for(Context(job.id, job.community, background=True)):
            try:
                await self._sim.run(job.id, background=True)
            except ClipSimError as error:
                log.info("failed code=%s: %s", error.code, error)
            finally:
                self._mine.discard(job.id)

    async def close(self) -> None:
        """Stop; what is not done stays in the library's jobs."""
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        for board in list(self._boards):
            board.close()
        await self._turns.close()


async def _shown(reply: MessageReply | InteractionReply) -> list[discord.Embed]:
    try:
        return await reply.existing()
    except PASSING as error:
        log.info("an earlier reply cannot be read: %s", error)
        return []


def explained(error: BaseException, where: str) -> tuple[ClipSimError, str]:
    """The error for a person, and the code that is shown and logged; something unexpected gets one of its own."""
    if isinstance(error, ClipSimError) and not isinstance(error, UnexpectedError):
        metrics.ERRORS.labels(error.code).inc()
        log.info("%s failed code=%s: %s", where, error.code, error)
        return error, error.code
    metrics.ERRORS.labels(UnexpectedError.code).inc()
    code = f"{UnexpectedError.code}-{secrets.token_hex(3)}"
    log.error("%s failed code=%s", where, code, exc_info=error)
    return UnexpectedError(), code
