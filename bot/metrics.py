"""What Prometheus may read at `/metrics`: every name, and how it is filled. `docs/operations.md` lists them.

One registry for the process. What is counted where it happens is a counter or a histogram; what is a state is asked for
when somebody reads (`page`).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from clipsim.errors import ClipSimError
from clipsim.model import JSON, Stage

if TYPE_CHECKING:
    from clipsim.core import ClipSim

CONTENT_TYPE = CONTENT_TYPE_LATEST
STATES = ("queued", "fetching", "encoding", "done", "failed")  # of a job
BREAKER = ("closed", "open", "half-open")
UNANSWERED = 1000  # interactions whose acknowledgement is waited for; more than these are forgotten

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

JOBS = Gauge("clipsim_jobs", "Links in the library's queue, by state", ["state"], registry=REGISTRY)
STAGES = Histogram(
    "clipsim_stage_seconds",
    "Time that a stage of a clip's way took, waiting for a free worker included",
    ["stage"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320),
    registry=REGISTRY,
)
ERRORS = Counter("clipsim_errors", "Errors that somebody was told, by code", ["code"], registry=REGISTRY)
ACKNOWLEDGED = Histogram(
    "clipsim_acknowledgement_seconds",
    "Time from an interaction's arrival until Discord had its first response",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5),
    registry=REGISTRY,
)
RESPONSES = Counter(
    "clipsim_discord_responses", "Responses of Discord's API, by HTTP status", ["status"], registry=REGISTRY
)
LATENCY = Gauge(
    "clipsim_gateway_latency_seconds", "Heartbeat of Discord's gateway, by shard", ["shard"], registry=REGISTRY
)
CONNECTED = Gauge("clipsim_discord_connected", "Whether the bot is connected to Discord", registry=REGISTRY)
LAG = Histogram(
    "clipsim_loop_lag_seconds",
    "How late the event loop was, sampled ten times a second",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
    registry=REGISTRY,
)
LAG_MOST = Gauge(
    "clipsim_loop_lag_max_seconds", "How late the event loop was at most in the last minute", registry=REGISTRY
)
CLIPS = Gauge("clipsim_clips", "Clips in the library", registry=REGISTRY)
SIZE = Gauge("clipsim_library_bytes", "Size on disk of the index and of the database", ["part"], registry=REGISTRY)
FREE = Gauge("clipsim_disk_free_bytes", "Room on the disk of the data folder", registry=REGISTRY)
YOUTUBE = Gauge("clipsim_youtube", "1 for the breaker's state: closed is well", ["state"], registry=REGISTRY)
WAITING = Gauge("clipsim_youtube_waiting", "Links that wait until YouTube may be asked", registry=REGISTRY)
TOKENS = Gauge("clipsim_youtube_tokens", "Fetches from YouTube that may begin at once", registry=REGISTRY)

for _stage in get_args(Stage):
    STAGES.labels(_stage)
for _kind in ("command", "component", "autocomplete", "modal"):
    ACKNOWLEDGED.labels(_kind)


def observe(sim: ClipSim) -> None:
    """Have the stages of this library's clips measured."""
    sim.when_stage_ends(lambda stage, seconds: STAGES.labels(stage).observe(seconds))


async def page(sim: ClipSim, discord: JSON) -> bytes:
    """All of it, as Prometheus reads it. What cannot be asked for now is left as it was."""
    try:
        status, room = await asyncio.gather(sim.status(), sim.room())
    except ClipSimError as error:
        ERRORS.labels(error.code).inc()
    else:
        for state in STATES:
            JOBS.labels(state).set(status.get("jobs", {}).get(state, 0))
        CLIPS.set(status.get("clips", 0))
        for part in ("index", "database"):
            SIZE.labels(part).set(room[part])
        FREE.set(room["free"])
    youtube = sim.youtube()
    for state in BREAKER:
        YOUTUBE.labels(state).set(youtube.state == state)
    WAITING.set(youtube.waiting)
    TOKENS.set(youtube.tokens)
    CONNECTED.set(discord.get("state") == "connected")
    for shard, seconds in (discord.get("latency") or {}).items():
        LATENCY.labels(str(shard)).set(seconds)
    return generate_latest(REGISTRY)


class Requests:
    """Counts what Discord's API answers, and how soon interactions are acknowledged, on aiohttp's own events."""

    KINDS: ClassVar = {2: "command", 3: "component", 4: "autocomplete", 5: "modal"}
    _CALLBACK = re.compile(r"/interactions/(\d+)/[^/]+/callback$")

    def __init__(self) -> None:
        self._arrived: OrderedDict[int, tuple[float, str]] = OrderedDict()

    def arrived(self, interaction_id: int, kind: int) -> None:
        """An interaction came in."""
        self._arrived[interaction_id] = (time.perf_counter(), self.KINDS.get(kind, "command"))
        while len(self._arrived) > UNANSWERED:
            self._arrived.popitem(last=False)

    def trace(self) -> aiohttp.TraceConfig:
        """For discord.py's own session."""
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._ended)
        trace.on_request_exception.append(self._failed)
        return trace

    async def _ended(self, session: Any, context: Any, params: aiohttp.TraceRequestEndParams) -> None:
        RESPONSES.labels(str(params.response.status)).inc()
        if params.response.status < 300 and (found := self._CALLBACK.search(params.url.path)):
            arrived = self._arrived.pop(int(found[1]), None)
            if arrived is not None:
                ACKNOWLEDGED.labels(arrived[1]).observe(time.perf_counter() - arrived[0])

    async def _failed(self, session: Any, context: Any, params: aiohttp.TraceRequestExceptionParams) -> None:
        RESPONSES.labels("none").inc()
