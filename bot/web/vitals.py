"""What machines ask: `/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from bot import metrics

if TYPE_CHECKING:
    from bot.health import Health
    from clipsim.core import ClipSim

FRESH = {"Cache-Control": "no-store"}
PATHS = ("/healthz", "/readyz", "/metrics")


class Vitals:
    """The handlers."""

    def __init__(self, sim: ClipSim, health: Health) -> None:
        self._sim = sim
        self._health = health

    async def healthz(self, request: web.Request) -> web.Response:
        """Whether the process is alive: 200, else 503."""
        report = await self._health.alive()
        return web.json_response(report, status=200 if report["ok"] else 503, headers=FRESH)

    async def readyz(self, request: web.Request) -> web.Response:
        """Whether it can do all that it is for: 200, else 503 with what is missing."""
        report = await self._health.ready()
        return web.json_response(report, status=200 if report["ok"] else 503, headers=FRESH)

    async def metrics(self, request: web.Request) -> web.Response:
        """All figures, as Prometheus reads them."""
        page = await metrics.page(self._sim, self._health.discord)
        return web.Response(body=page, headers={"Content-Type": metrics.CONTENT_TYPE, **FRESH})
