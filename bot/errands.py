"""Errands: the links that somebody asked about, from the row in the library's jobs to the finished reply.

Each link is a row before the bot says a word, so that a crash loses nothing; after a restart the rows that are left
are taken up again, and the same message is edited. So it is when a link that failed is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import discord

from bot import links, places, render
from bot.board import PASSING, Board
from bot.gate import Admission
from bot.replies import Reply
from bot.text import for_locale
from bot.trouble import explained
from bot.turns import Turns, Work
from bot.views import clusters, similar
from bot.views.answered import Answered, under
from bot.wishes import Errand, Wish, first_post, place_of
from clipsim.context import Context, working_for
from clipsim.errors import ClipSimError, NoSuchJob
from clipsim.model import JSON, Answer, Stage

if TYPE_CHECKING:
    from clipsim.core import ClipSim
    from clipsim.sources import Source

log = logging.getLogger(__name__)

FETCHING = 2  # clips that may be on their way while the workers are busy with others
LOOK = 20.0  # seconds between two looks at what is due to be tried again
PRUNE_EVERY = 6 * 3600.0  # seconds


class Errands:
    """All links that this process answers."""

    def __init__(self, sim: ClipSim, client: discord.Client, *, workers: int) -> None:
        self._sim = sim
        self._client = client
        self._turns = Turns(workers + FETCHING)
        self._mine: set[Any] = set()  # ids of jobs that this process has in hand
        self._boards: weakref.WeakSet[Board] = weakref.WeakSet()
        self._written: weakref.WeakValueDictionary[tuple[Any, Any], Board] = weakref.WeakValueDictionary()
        self._waiting: dict[Any, Errand] = {}  # by a job's id: what was not begun
        self._put_off: list[Any] = []  # jobs whose replies could not be reached
        self._keeping: list[asyncio.Task[None]] = []
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
        background: bool = False,
    ) -> None:
        """Accept links, write the reply, and have them answered there. Returns when the reply is written.

        Links after the fifth are left out, and the reply says so. What is taken in the background (an import) comes
        when nobody else waits.
        """
        wish, admission = wish or Wish(), admission or Admission()
        texts = for_locale(wish.language)
        taken, left = found[: links.MOST], len(found) - links.MOST
        jobs: dict[int, Any] = {}
        parts = [render.progress(texts, str(source.url), None) for source in taken]
        for place, source in enumerate(taken):
            row = {**asdict(wish), **reply.record(), "part": place, "of": len(taken)}
            row |= {"background": True} if background else {}
            if (post := admission.known.get(source.id)) is not None:
                row |= {"known": True, "first": first_post(texts, post, wish)}
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
        finished = frozenset(range(len(taken))) - jobs.keys()
        board = Board(reply, parts, finished=finished, post=wish.post, below=under(texts, len(taken)))
        self._boards.add(board)
        errands = [Errand(job, board, place, len(taken), wish, left, background) for place, job in jobs.items()]
        await board.begin()
        await self._begin(errands)

    async def _begin(self, errands: Sequence[Errand]) -> None:
        """Note in the rows where the reply is, and have the work done."""
        for errand in errands:
            job, where = errand.job, errand.board.record
            self._waiting[job.id] = errand
            if where.get("message") is not None:
                self._written[where["channel"], where["message"]] = errand.board
            row = {**(job.reply or {}), **asdict(errand.wish), **where, "part": errand.place, "of": errand.parts}
            try:
                await self._sim.set_reply(job.id, row)
            except ClipSimError as error:
                log.warning("job=%s its reply could not be noted: %s", job.id, error)
        for errand in errands:
            work = partial(self._run, errand)
            if (errand.job.reply or {}).get("known") and not errand.background:
                # Nothing is fetched: it need not wait for those whose is.
                task = asyncio.create_task(work(), name=f"job {errand.job.id}")
                self._at_once.add(task)
                task.add_done_callback(self._at_once.discard)
            else:
                self._turns.submit(errand.job.community, work, background=errand.background)

    async def _run(self, errand: Errand) -> None:
        job, texts = errand.job, errand.texts
        if self._waiting.get(job.id) is not errand:
            return  # it was withdrawn; its number may be another's by now
        del self._waiting[job.id]
        with working_for(Context(job.id, job.community, errand.imported)):
            below: Answered | None = None
            try:
                embed, below = await self._answer(errand)
                log.info("answered reply=%s", errand.board.record.get("message"))
            except Exception as error:
                told = explained(error, f"link={job.source}")
                embed = render.failure(texts, str(job.source), *told, await self._again(job.id))
            finally:
                self._waiting.pop(job.id, None)
                self._mine.discard(job.id)
            if errand.left > 0 and errand.place == errand.parts - 1:
                embed.set_footer(text=texts.links_left_out(errand.left))
            errand.board.finish(errand.place, embed, below)

    async def _answer(self, errand: Errand) -> tuple[discord.Embed, Answered | None]:
        job, wish, texts, board = errand.job, errand.wish, errand.texts, errand.board
        loop, budget, pausing = asyncio.get_running_loop(), render.share(errand.parts), self.pausing()
        show = partial(board.tell, errand.place)
        first = str((job.reply or {}).get("first") or "")
        answered = False  # from sound and words: what else is being done with it is not told any more

        def told(stage: Stage) -> None:  # from any thread
            loop.call_soon_threadsafe(step, stage)

        def step(stage: Stage) -> None:
            if not answered:
                show(render.progress(texts, str(job.source), stage))

        def early(found: Answer) -> None:
            nonlocal answered
            answered = True
            log.info("answered early reply=%s", board.record.get("message"))
            show(render.answer(texts, found, budget=budget, first=first))

        def waits(until: datetime | None) -> None:
            pausing(until)
            if until is None:
                self._waiting.pop(job.id, None)
                return
            self._waiting[job.id] = errand  # it may be withdrawn
            show(render.waiting(texts, str(job.source), until))

        plain = wish.show == "similar" and wish.by == "all"
        answer = await self._sim.run(
            job.id,
            k=wish.k,
            progress=told,
            waits=waits,
            background=errand.imported,
            early=early if plain else None,
        )
        row = {**(job.reply or {}), **board.record}
        if not row.get("known") and (place := place_of(row, wish)):
            await self._sim.set_place(answer.query, place, community=job.community)
        clip, owner = answer.query, _owner(job)
        if wish.show == "cluster":
            cluster = await self._sim.cluster_of(clip, community=job.community)
            below = Answered(clip, partial(clusters.of_clip, texts, clip, cluster, owner))
            return render.cluster(texts, clip, cluster, budget=budget), below
        if wish.by != "all":
            answer = await self._sim.query(clip, wish.k, wish.by, community=job.community)
        votes = await self._sim.votes(clip, voter=str(owner), community=job.community)
        below = Answered(clip, partial(similar.view, texts, similar.of(answer, owner, wish.k, wish.by), votes))
        await self._sim.shown(answer, community=job.community, place=str(wish.where or row["channel"]))
        return render.answer(texts, answer, by=wish.by, budget=budget, first=first), below

    def later(self, community: str, work: Work) -> None:
        """Have work done that yields to the links somebody waits for."""
        self._turns.submit(community, work, background=True)

    def pausing(self) -> Callable[[datetime | None], None]:
        """For `ClipSim.run`, called in a piece of work: its place is free while it waits for YouTube."""
        piece = asyncio.current_task()

        def waits(until: datetime | None) -> None:
            if until is None:
                self._turns.go_on(piece)
            else:
                self._turns.pause(piece)

        return waits

    async def _again(self, job_id: Any) -> datetime | None:
        """When a job that failed is tried again."""
        try:
            return (await self._sim.job(job_id)).retry_at
        except ClipSimError:
            return None

    # After a restart, and after a failure

    async def resume(self) -> list[Any]:
        """Take up what an earlier process left, and edit the replies that it wrote; from now on, retry what failed.

        Returns the jobs that are left and that nobody waits for in a chat.
        """
        if not self._keeping:
            self._keeping = [
                asyncio.create_task(self._retry(), name="retries"),
                asyncio.create_task(self._prune(), name="old jobs"),
            ]
        try:
            pending = await self._sim.pending()
        except ClipSimError as error:
            log.error("the jobs that were left cannot be read: %s", error)
            return []
        await self._take_up([job for job in pending if (job.reply or {}).get("channel")])
        return [job for job in pending if not (job.reply or {}).get("channel")]

    async def look(self) -> None:
        """Take up the jobs that failed and are due now: those whose time has come, and those somebody wants tried."""
        put_off, self._put_off = self._put_off, []
        try:
            due = await self._sim.due()
        except ClipSimError as error:
            log.warning("the jobs that are due cannot be read: %s", error)
            due = []
        await self._take_up([*put_off, *due], background=True)

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
            own = () if row.get("message") or row.get("to") else (row.get("quiet") or row.get("asked") or job.id,)
            replies.setdefault((row["channel"], row.get("message"), row.get("to"), *own), []).append(job)
        for one in replies.values():
            await self._take_up_reply(one, background)

    async def _take_up_reply(self, jobs: list[Any], background: bool) -> None:
        row, names = jobs[0].reply, ",".join(str(job.id) for job in jobs)
        texts = for_locale(row.get("language"))
        by_place = {int(job.reply.get("part", place)): job for place, job in enumerate(jobs)}
        count = max([int(row.get("of", 1)), *(place + 1 for place in by_place)])
        board = self._written.get((row["channel"], row.get("message"))) if row.get("message") else None
        if board is None:
            try:
                reply = await places.restored(self._client, row)
            except PASSING as error:
                log.warning("jobs=%s cannot be answered yet: %s", names, error)
                self._put_off += jobs
                self._mine -= {job.id for job in jobs}
                return
            shown = await _shown(reply) if count > 1 else []
            parts = shown[:count] + [discord.Embed(description="…") for _ in range(count - len(shown))]
            finished, below = frozenset(range(count)), under(texts, count)
            board = Board(reply, parts, finished=finished, post=row.get("post"), below=below)
            self._boards.add(board)
        log.info("jobs=%s taken up again", names)
        for place, job in by_place.items():
            board.reopen(place, render.progress(texts, str(job.source), None))
        await board.begin()
        wish = Wish.read(row)
        await self._begin(
            [
                Errand(job, board, place, count, wish, 0, background or "background" in job.reply)
                for place, job in by_place.items()
            ]
        )

    async def _quietly(self, job: Any) -> None:
        """A job that nobody waits for in a chat."""
        with working_for(Context(job.id, job.community, background=True)):
            try:
                await self._sim.run(job.id, waits=self.pausing(), background=True)
            except ClipSimError as error:
                log.info("failed code=%s: %s", error.code, error)
            finally:
                self._mine.discard(job.id)

    async def withdraw(self, job: Any) -> bool:
        """Leave a link that its message no longer has; False where its work has begun."""
        errand = self._waiting.pop(job.id, None)
        if errand is None:
            return False
        self._mine.discard(job.id)
        errand.board.finish(errand.place, render.withdrawn(errand.texts, str(job.source)))
        with suppress(NoSuchJob):
            await self._sim.drop_job(job.id, job.community)
        log.info("job=%s withdrawn", job.id)
        return True

    async def abandon(self, post: int) -> list[JSON]:
        """The message with this id is gone: write its replies no more. Returns where they are."""
        return [await board.stop() for board in list(self._boards) if board.post == post]

    async def close(self) -> None:
        """Stop; what is not done stays in the library's jobs."""
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        for board in list(self._boards):
            board.close()
        for task in list(self._at_once):
            task.cancel()
        await asyncio.gather(*self._at_once, return_exceptions=True)
        await self._turns.close()


def _owner(job: Any) -> int:
    """Whose the buttons under an answer are."""
    requester = str(job.requester or "")
    return int(requester) if requester.isascii() and requester.isdecimal() else 0


async def _shown(reply: Any) -> list[discord.Embed]:
    try:
        return await reply.existing()
    except PASSING as error:
        log.info("an earlier reply cannot be read: %s", error)
        return []
