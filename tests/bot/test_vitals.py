"""What machines ask of the process: is it alive, is it ready, and its figures; and what watches the event loop."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from bot import metrics
from bot.health import STUCK, Health
from bot.watchdog import Watchdog
from bot.web.routes import make_app
from clipsim import errors
from clipsim.courtesy import Youtube
from clipsim.settings import Settings
from tests.bot.test_web import CLIPS, Served, Shelf
from tests.conftest import ROOT

Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve some clips, with the health of a process."""
    clients = []

    async def start(*clips: Any, discord: Any = None, watchdog: Watchdog | None = None) -> tuple[Served, Health]:
        shelf, settings = Shelf(*clips), Settings()
        health = Health(shelf, settings, discord, watchdog)  # type: ignore[arg-type]
        client: Any = TestClient(TestServer(make_app(shelf, settings, discord=discord, health=health)))  # type: ignore[arg-type]
        await client.start_server()
        clients.append(client)
        return Served(shelf, client), health

    yield start
    for client in clients:
        await client.close()


async def test_a_full_disk_is_alive_and_not_ready(serve: Serve) -> None:
    served, _ = await serve(*CLIPS)
    served.shelf.free = 1000
    assert (await served.api("/healthz"))["ok"] is True
    report = await served.api("/readyz", 503)
    assert report["missing"] == ["disk"] and report["disk"]["free"] == 1000 < report["disk"]["needed"]


async def test_what_prevents_the_encoders_is_told(serve: Serve) -> None:
    served, health = await serve(*CLIPS)
    health.encoders(None, loaded=False)
    assert (await served.api("/readyz", 503))["workers"] == {"ok": False, "state": "loading the encoders"}
    health.encoders(str(errors.WeightsUnavailable()), loaded=False)
    assert "could not be fetched" in (await served.api("/readyz", 503))["workers"]["state"]
    health.encoders(None, loaded=True)
    assert (await served.api("/readyz"))["missing"] == []


async def test_a_held_up_loop_is_unhealthy(serve: Serve) -> None:
    dog = Watchdog()
    served, _ = await serve(*CLIPS, watchdog=dog)
    watching = asyncio.create_task(dog.run())
    await asyncio.sleep(0.15)
    assert (await served.api("/healthz"))["loop"]["ok"] is True
    time.sleep(0.4)  # noqa: ASYNC251 - this is what is meant
    await asyncio.sleep(0.15)
    assert 0.2 < (await served.api("/healthz"))["loop"]["late"] < STUCK
    dog._note(time.monotonic(), STUCK + 1)
    assert (await served.api("/healthz", 503))["loop"] == {"ok": False, "late": STUCK + 1}
    watching.cancel()


async def test_the_watchdog_says_what_holds_the_loop_up(caplog: pytest.LogCaptureFixture) -> None:
    watching = asyncio.create_task(Watchdog().run())
    await asyncio.sleep(0.15)

    def dawdle() -> None:
        time.sleep(1.2)

    dawdle()
    watching.cancel()
    (line,) = [record.getMessage() for record in caplog.records if "held up" in record.getMessage()]
    assert re.search(r"test_vitals\.py:\d+ dawdle < ", line)


async def test_metrics_are_read_by_prometheus_own_parser(serve: Serve) -> None:
    talk = {"state": "connected", "ok": True, "latency": {"0": 0.042}}
    served, _ = await serve(*CLIPS, discord=lambda: talk)
    async with served.client.get("/metrics") as response:
        assert response.status == 200 and response.content_type == "text/plain"
        families = {family.name: family for family in text_string_to_metric_families(await response.text())}

    def value(name: str, **labels: str) -> float:
        return next(sample.value for sample in families[name].samples if sample.labels == labels)

    assert value("clipsim_jobs", state="queued") == 2 and value("clipsim_jobs", state="failed") == 0
    assert value("clipsim_clips") == 3
    assert (value("clipsim_library_bytes", part="index"), value("clipsim_library_bytes", part="database")) == (5, 7)
    assert value("clipsim_gateway_latency_seconds", shard="0") == 0.042
    assert value("clipsim_youtube", state="closed") == 1 and value("clipsim_youtube", state="open") == 0
    for name in ("clipsim_stage_seconds", "clipsim_acknowledgement_seconds", "clipsim_loop_lag_seconds"):
        assert families[name].type == "histogram"
    served.shelf.sick = errors.IndexUnavailable()
    async with served.client.get("/metrics") as response:
        assert response.status == 200 and 'clipsim_errors_total{code="index"}' in await response.text()


async def test_the_page_says_that_youtube_is_left_alone(serve: Serve) -> None:
    served, _ = await serve(*CLIPS)
    assert 'class="pause"' not in await served.page("/")
    until = datetime(2026, 3, 4, 17, 5, tzinfo=UTC)
    served.shelf.refusal = Youtube("open", errors.BotCheck(), until, until, 2, 0.0, 300)
    page = await served.page("/")
    assert "prove that it is not a bot" in page and "17:05 UTC" in page and "2 links wait" in page


def test_the_table_of_metrics_is_the_code_s() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(clipsim_\w+)` \| (\w*) ?\|", page, re.MULTILINE)
    known = {}
    for family in metrics.REGISTRY.collect():
        if family.name.startswith("clipsim_"):
            labels = {name for sample in family.samples for name in sample.labels} - {"le"}
            known[family.name + ("_total" if family.type == "counter" else "")] = labels
    assert {name for name, _ in rows} == set(known)
    for name, label in rows:
        assert known[name] in ({label} if label else set(), set()), name  # one that nobody has used yet has no samples
