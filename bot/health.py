"""How the process is: alive (a supervisor restarts it if not), and ready (it can do all that it is for).

Each check says what is wrong in words. Discord's absence is no reason to restart, so it concerns only the second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clipsim.errors import ClipSimError, UnexpectedError
from clipsim.model import JSON

if TYPE_CHECKING:
    from bot.watchdog import Watchdog
    from clipsim.core import ClipSim
    from clipsim.settings import Settings

ANSWERS_WITHIN = 5.0  # seconds that the library is given
STUCK = 5.0  # seconds that the event loop may have been late in the last minute

Discord = Callable[[], JSON]  # tells the state of the Discord client: `state`, and `ok: False` where it is not well


class Health:
    """What is asked of one running process."""

    def __init__(
        self, sim: ClipSim, settings: Settings, discord: Discord | None = None, watchdog: Watchdog | None = None
    ) -> None:
        self._sim = sim
        self._settings = settings
        self._discord = discord
        self._watchdog = watchdog
        self.workers: JSON = {"ok": True, "state": "not started"}

    def encoders(self, problem: str | None, *, loaded: bool) -> None:
        """Note how the workers are: loaded, being loaded, or what prevents it."""
        state = problem or ("loaded" if loaded else "loading the encoders")
        self.workers = {"ok": loaded and problem is None, "state": state}

    @property
    def discord(self) -> JSON:
        """How the connection to Discord is."""
        return self._discord() if self._discord else {"state": "off"}

    async def alive(self) -> JSON:
        """Whether the event loop turns and the library answers; with what the library says of itself."""
        report = await self._within(self._sim.status())
        loop = self._loop()
        well = report.pop("ok", True) is not False and _well(report.get("index")) and _well(loop)
        return {"ok": well, **report, "loop": loop, "discord": self.discord}

    async def ready(self) -> JSON:
        """Whether everything is there: library, workers, room on the disk, and (with a token) Discord."""
        status, room = await asyncio.gather(self._within(self._sim.status()), self._within(self._sim.room()))
        library = {"ok": _well(status) and _well(status.get("index"))}
        library |= {"error": status["error"]} if "error" in status else {}
        checks = {"library": library, "loop": self._loop(), "workers": self.workers}
        checks["disk"] = room if "error" in room else self._room(int(room["free"]))
        if self._settings.discord_token is not None:
            checks["discord"] = self.discord
        missing = [name for name, check in checks.items() if not _well(check)]
        return {"ok": not missing, "missing": missing, **checks}

    def _loop(self) -> JSON:
        if self._watchdog is None:
            return {"ok": True}
        worst = self._watchdog.worst
        return {"ok": worst < STUCK, "late": round(worst, 3)}

    def _room(self, free: int) -> JSON:
        """Whether the largest clip that is accepted would fit."""
        return {"ok": free >= self._settings.max_bytes, "free": free, "needed": self._settings.max_bytes}

    async def _within(self, question: Any) -> JSON:
        """An answer of the library's, or (not `ok`) the error that it gave in its place."""
        error: ClipSimError
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                return dict(await question)
        except ClipSimError as raised:
            error = raised
        except TimeoutError:
            error = UnexpectedError("The library does not answer.")
        return {"ok": False, "error": {"code": error.code, "message": error.message, "hint": error.advice}}


def _well(part: object) -> bool:
    """Whether a part is well: it is not False, and does not say `ok: False`."""
    return part.get("ok", True) is not False if isinstance(part, dict) else part is not False
