"""Courtesy to YouTube: no more of it than an address is granted, and nothing for a while after it said no.

A token bucket keeps the rate: guests get some 300 videos an hour, accounts 2000 (yt-dlp's wiki, "Extractors"). A
circuit breaker (M. Nygard, "Release It!", 2007) opens when YouTube asks for a proof that this is no bot, or to slow
down: then nothing is fetched until a pause is over, one fetch tries whether YouTube answers again, and the next pause
is twice as long if it does not. Both outlive the process. Whoever wants a clip meanwhile waits in line, communities in
turn. Files and hosts that the operator named are none of YouTube's and pass freely.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clipsim.breaker import BURST, LONGEST_PAUSE, Breaker, Bucket, State
from clipsim.context import current
from clipsim.errors import (
    BY_CODE,
    BotCheck,
    ClipSimError,
    FetchTimeout,
    NetworkDown,
    RateLimited,
    SourceError,
    SourcePaused,
)
from clipsim.fairness import Line
from clipsim.model import JSON

if TYPE_CHECKING:
    from clipsim.settings import Settings
    from clipsim.sources import Source

log = logging.getLogger(__name__)

GUEST, ACCOUNT = 300, 2000  # videos an hour that YouTube grants an address, and a login
RESERVE = 0.2  # share of the burst that is kept from work in the background
AGAIN = 60.0  # seconds after an attempt that told neither way
PATIENCE = 60.0  # seconds that somebody waits who has no job: a person before a page or a terminal
DAY = 24 * 3600.0  # seconds

REFUSALS = (BotCheck, RateLimited)
UNTOLD = (NetworkDown, FetchTimeout)  # failures from which nothing follows about the address

Waits = Callable[[datetime | None], None]  # told about when a clip's turn comes, and (None) that it has come


@dataclass(frozen=True, slots=True)
class Youtube:
    """How matters stand, for pages and metrics. `error` is the refusal's, where YouTube is being left alone."""

    state: State
    error: ClipSimError | None
    since: datetime | None
    until: datetime | None
    waiting: int
    tokens: float
    per_hour: int


@dataclass(frozen=True, slots=True)
class Opening:
    """YouTube began to refuse: the operator should know. `community` is whose link met it."""

    error: ClipSimError
    until: datetime
    community: str


@dataclass(eq=False, slots=True)
class _Waiter:
    clip_id: str
    granted: asyncio.Future[bool]  # whether its fetch is the one that tries
    background: bool
    when: float = 0.0  # what was told last


class Courtesy:
    """One process's share of one address. `turn` is a fetch; everything else says how long that takes and why."""

    def __init__(
        self,
        per_hour: int,
        stored: JSON | None = None,
        save: Callable[[JSON], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`stored` is what `save` was given by an earlier process; `save` runs in a thread."""
        self._clock = clock
        self._save = save
        self._bucket = Bucket(per_hour, max(1.0, BURST * per_hour), clock())
        self._breaker = Breaker()
        self._told: dict[str, float] = {}  # community -> when it was told last
        self._restore(stored or {})
        self._line: Line[_Waiter] = Line()
        self._probing = False
        self._watchers: dict[str, list[Waits]] = defaultdict(list)
        self._listeners: list[Callable[[Opening], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None
        self._dirty = False

    # Fetching

    @asynccontextmanager
    async def turn(self, source: Source) -> AsyncIterator[None]:
        """Around a fetch: waits for its turn first, and learns from how it ends.

        A job (`clipsim.context`) waits as long as it takes; anybody else a minute at most.

        Raises:
            SourcePaused: it would take longer than that.
        """
        if source.kind != "youtube":
            yield
            return
        probe = await self._enter(source.id)
        try:
            yield
        except BaseException as error:
            self._left(error, probe)
            raise
        else:
            self._left(None, probe)

    async def _enter(self, clip_id: str) -> bool:
        context = current()
        if not len(self._line) and (granted := self._take(context.background)) is not None:
            return granted
        waiter = _Waiter(clip_id, asyncio.get_running_loop().create_future(), context.background)
        waiter.when = self._estimate(len(self._line), context.background)
        patient = context.patient or context.job is not None
        if not patient and waiter.when - self._clock() > PATIENCE:
            raise self._paused(waiter.when)
        self._line.put(context.community, waiter, background=context.background)
        log.info("clip=%s waits for YouTube until about %s", clip_id, _moment(waiter.when).strftime("%H:%M:%S"))
        self._tell(clip_id, waiter.when)
        self._wake()
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if not self._line.remove(context.community, waiter) and not waiter.granted.cancelled():
                self._give_back(waiter.granted.result())
            self._wake()
            raise
        finally:
            self._tell(clip_id, None)

    def _take(self, background: bool) -> bool | None:
        """A turn, if there is one now: False, or True where it is the one that tries; None where there is none."""
        now = self._clock()
        state = self._breaker.state(now)
        if state == "half-open" and not self._probing:
            self._probing = True
            log.info("YouTube is tried again code=%s", self._breaker.code)
            return True
        if state != "closed":
            return None
        self._bucket = self._bucket.filled(now)
        if self._bucket.wait(0, keep=self._kept(background)) > 0:
            return None
        self._bucket = self._bucket.more(-1)
        self._keep()
        return False

    def _give_back(self, probe: bool) -> None:
        """A turn that was granted was not used."""
        if probe:
            self._probing = False
        else:
            self._bucket = self._bucket.more(1)

    def _left(self, error: BaseException | None, probe: bool) -> None:
        """A fetch ended."""
        now = self._clock()
        if probe:
            self._probing = False
        if isinstance(error, REFUSALS):
            self._refused(error, now, probe)
        elif error is None or (isinstance(error, SourceError) and not isinstance(error, UNTOLD)):
            if probe:
                self._breaker = self._breaker.answered(now)
                self._bucket = replace(self._bucket.filled(now), tokens=1.0)  # slowly at first
                log.info("YouTube answers again")
                self._keep()
        elif probe:
            self._breaker = replace(self._breaker, until=now + AGAIN)
        self._wake()

    def _refused(self, error: ClipSimError, now: float, probe: bool) -> None:
        before, self._breaker = self._breaker, self._breaker.refused(now, error.code, probe=probe)
        if self._breaker is before:
            return
        until = _moment(self._breaker.until)
        minutes = round(self._breaker.pause / 60)
        log.warning(
            "YouTube refuses code=%s: nothing is fetched from it for %d minutes. %s", error.code, minutes, error
        )
        if before.code is None:
            opening = Opening(error, until, current().community)
            for listener in self._listeners:
                listener(opening)
        self._keep()
        self._tell_again(math.inf)

    # The line

    def _wake(self) -> None:
        """Grant what can be granted, and come again when there is more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        while len(self._line):
            granted = self._take(background=False)
            if granted is None:
                break
            waiter = self._line.pop(background=granted or self._bucket.tokens >= self._kept(background=True))
            if waiter is None:  # only such as yield
                self._give_back(granted)
                break
            if waiter.granted.done():  # it has just been cancelled
                self._give_back(granted)
                continue
            waiter.granted.set_result(granted)
        if not len(self._line):
            self._line.rest()
            return
        self._tell_again(now - AGAIN)
        soonest = min(self._estimate(0, waiter.background) for waiter in self._line)
        delay = AGAIN if self._probing and soonest <= now else min(AGAIN, max(0.01, soonest - now))
        self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _kept(self, background: bool) -> float:
        return RESERVE * self._bucket.most if background and self._bucket.per_hour else 0.0

    def _estimate(self, place: int, background: bool) -> float:
        """About when the one in this place gets its turn."""
        now = self._clock()
        if self._breaker.state(now) == "closed":
            return now + self._bucket.filled(now).wait(place, keep=self._kept(background))
        slowly = replace(self._bucket, tokens=1.0)
        return max(now, self._breaker.until) + slowly.wait(place, keep=self._kept(background) if place else 0.0)

    def _tell_again(self, before: float) -> None:
        """Tell those who were told a time before this one when their turn comes now."""
        for place, waiter in enumerate(self._line):
            if waiter.when < before:
                waiter.when = self._estimate(place, waiter.background)
                self._tell(waiter.clip_id, waiter.when)

    def _tell(self, clip_id: str, when: float | None) -> None:
        for told in tuple(self._watchers.get(clip_id, ())):
            told(None if when is None else _moment(when))

    # What others may know

    @contextmanager
    def watch(self, clip_id: str, told: Waits) -> Iterator[None]:
        """While this lasts, be told when a fetch of this clip waits for its turn, whoever began it."""
        self._watchers[clip_id].append(told)
        waiting = next((waiter for waiter in self._line if waiter.clip_id == clip_id), None)
        try:
            if waiting is not None:
                told(_moment(waiting.when))
            yield
        finally:
            self._watchers[clip_id].remove(told)
            if not self._watchers[clip_id]:
                del self._watchers[clip_id]

    def listen(self, listener: Callable[[Opening], None]) -> None:
        """Be told, once each time, when YouTube begins to refuse."""
        self._listeners.append(listener)

    def may_tell(self, community: str) -> bool:
        """Whether a community may be told of it: once a day. Notes that it is."""
        now = self._clock()
        if now - self._told.get(community, -DAY) < DAY:
            return False
        self._told = {each: at for each, at in self._told.items() if now - at < DAY} | {community: now}
        self._keep()
        return True

    def status(self) -> Youtube:
        """How matters stand."""
        now = self._clock()
        breaker, bucket = self._breaker, self._bucket.filled(now)
        refusing = breaker.code is not None
        return Youtube(
            state=breaker.state(now),
            error=BY_CODE.get(breaker.code, ClipSimError)() if breaker.code is not None else None,
            since=_moment(breaker.since) if refusing else None,
            until=_moment(breaker.until) if refusing else None,
            waiting=len(self._line),
            tokens=bucket.tokens,
            per_hour=bucket.per_hour,
        )

    def not_before(self) -> datetime | None:
        """When YouTube may be asked again, where it is being left alone."""
        return None if self._breaker.code is None else _moment(max(self._clock(), self._breaker.until))

    def _paused(self, when: float) -> ClipSimError:
        at = f"about {_moment(when):%H:%M} UTC"
        if self._breaker.code is None:
            return SourcePaused(f"Many clips are waiting to be fetched from YouTube; the next turn is at {at}.")
        return SourcePaused(f"YouTube asked this server to slow down, so nothing is fetched from it until {at}.")

    # Outliving the process

    def _restore(self, stored: JSON) -> None:
        now = self._clock()
        try:
            held = stored.get("breaker") or {}
            breaker = Breaker(**{**held, "until": min(float(held.get("until", 0.0)), now + LONGEST_PAUSE)})
            bucket = Bucket(self._bucket.per_hour, max(0.0, float(stored["tokens"])), float(stored["at"]))
            told = {str(community): float(at) for community, at in (stored.get("told") or {}).items()}
        except (TypeError, ValueError, KeyError, AttributeError):
            return  # nothing was stored, or by something else
        self._breaker, self._bucket, self._told = breaker, bucket.filled(now), told

    def _stored(self) -> JSON:
        fields = {name: getattr(self._breaker, name) for name in Breaker.__slots__}
        return {"breaker": fields, "tokens": self._bucket.tokens, "at": self._bucket.at, "told": dict(self._told)}

    def _keep(self) -> None:
        self._dirty = True
        if self._save is not None and self._saving is None:
            self._saving = asyncio.get_running_loop().create_task(self._saved(self._save), name="courtesy")

    async def _saved(self, save: Callable[[JSON], Any]) -> None:
        try:
            while self._dirty:
                self._dirty = False
                await asyncio.to_thread(save, self._stored())
        except ClipSimError as error:
            log.warning("how YouTube answers could not be noted: %s", error)
        finally:
            self._saving = None

    async def close(self) -> None:
        """Note the last state; whoever still waits is left alone."""
        if self._timer is not None:
            self._timer.cancel()
        if self._saving is not None:
            await asyncio.wait({self._saving})


def per_hour(settings: Settings) -> int:
    """The videos an hour that these settings allow."""
    if settings.youtube_per_hour is not None:
        return settings.youtube_per_hour
    return GUEST if settings.cookies is None else ACCOUNT


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
