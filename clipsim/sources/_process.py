"""The parent's side of one fetch's process: start it, ask it once, hear its events, and end it and all it started.

The process (`clipsim.sources._child`) lives in a process group of its own, with a minimal environment (no tokens). One
may be kept ready (`Standby`): it has imported yt-dlp and waits for its request, which spares the next fetch that half
second. It is thrown away when yt-dlp was upgraded since.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import sysconfig
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

from clipsim.errors import FetchFailed, FetchTimeout, from_code
from clipsim.model import JSON
from clipsim.sources import _metadata

LINE_LIMIT = 4 * 1024 * 1024  # bytes of one answer
ERROR_TAIL = 4000  # bytes of the process's stderr that are kept for the log
PASSED_ON = frozenset(  # environment variables that the child may see; everything else (tokens!) stays here
    {"PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"}
    | {"HOME", "XDG_CONFIG_HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "SYSTEMROOT"}  # yt-dlp's plugin folders
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "YTDLP_NO_PLUGINS"}
)
PROXIES = frozenset(
    {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
)

Heard = Callable[[JSON], Awaitable[None]]  # told every event before the last

log = logging.getLogger(__name__)


def environment() -> dict[str, str]:
    """What the child sees of our environment. (A link to a named host it fetches past any proxy.)"""
    passed = {name: value for name, value in os.environ.items() if name in PASSED_ON | PROXIES}
    scripts = sysconfig.get_path("scripts")  # deno from PyPI lies there
    passed["PATH"] = os.pathsep.join(filter(None, (scripts, passed.get("PATH") or os.defpath)))
    root = str(Path(__file__).resolve().parents[2])  # this very package, installed or not
    passed["PYTHONPATH"] = os.pathsep.join(filter(None, (passed.get("PYTHONPATH"), root)))
    passed |= {"DENO_NO_UPDATE_CHECK": "1", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}
    return passed


class Child:
    """One process, for one request."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stderr is not None
        self._tail = asyncio.create_task(_tail(process.stderr))

    @classmethod
    async def start(cls) -> Child:
        """A fresh process that waits for its request. It stands in the root folder until it is told where to work."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing in the current folder is imported
            "-m",
            "clipsim.sources._child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
            cwd=Path(sys.executable).anchor,
            start_new_session=True,
            limit=LINE_LIMIT,
        )
        return cls(process)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    async def ask(self, request: JSON, seconds: float, heard: Heard) -> JSON:
        """Hand over the request, and return what it answers at last; the process has ended then, whatever happens.

        Raises:
            ClipSimError: what it says went wrong. FetchTimeout: it took longer than `seconds`.
            FetchFailed: it died, or said something that is no answer.
        """
        assert self._process.stdin is not None
        try:
            async with asyncio.timeout(seconds):
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                await self._process.stdin.drain()
                return await self._answer(heard)
        except TimeoutError:
            raise FetchTimeout(f"Fetching took longer than {seconds:.0f} s and was stopped.") from None
        except (ConnectionError, ValueError) as error:  # it died, or it said something that is no JSON
            raise FetchFailed from error
        finally:
            await self.end()
            if said := self._said():
                log.info("yt-dlp said of %s: %s", request["url"], said)

    async def end(self) -> None:
        """Kill the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(self._process.wait())
        await asyncio.wait({self._tail}, timeout=1.0)  # seconds; its stderr ends with the group

    async def _answer(self, heard: Heard) -> JSON:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            event: JSON = json.loads(line)
            if "done" in event:
                return dict(event["done"])
            if "error" in event:
                error = event["error"]
                raise from_code(error["code"], error["message"], error["hint"])
            await heard(event)
        raise FetchFailed("The process that was fetching the clip died.")

    def _said(self) -> str:
        return self._tail.result() if self._tail.done() and not self._tail.cancelled() else ""


class Standby:
    """Keeps one process ready for the next fetch, once it was asked to (`keep`)."""

    def __init__(self) -> None:
        self._keeping = False
        self._ready: tuple[asyncio.Task[Child], object] | None = None

    def keep(self) -> None:
        """Have one ready from now on."""
        self._keeping = True
        self._refill()

    async def take(self) -> Child:
        """The process that is ready, or a new one."""
        ready, self._ready = self._ready, None
        try:
            if ready is not None:
                with contextlib.suppress(OSError):  # it could not be started then; a new one may be now
                    child = await ready[0]
                    if child.alive and ready[1] == _stamp():
                        return child
                    await child.end()
            return await Child.start()
        finally:
            self._refill()

    async def close(self) -> None:
        """End the one that is ready."""
        self._keeping = False
        ready, self._ready = self._ready, None
        if ready is not None:
            with contextlib.suppress(OSError):
                await (await ready[0]).end()

    def _refill(self) -> None:
        if self._keeping and self._ready is None:
            self._ready = asyncio.create_task(Child.start(), name="fetch process on standby"), _stamp()


def _stamp() -> object:
    """Changes when yt-dlp is upgraded, or the child would see another environment."""
    spec = find_spec("yt_dlp")
    places = spec.submodule_search_locations if spec is not None else None
    try:
        version = (Path(places[0]) / "version.py").stat().st_mtime_ns if places else None
    except OSError:
        version = None
    return version, tuple(sorted(environment().items()))


async def _tail(stream: asyncio.StreamReader) -> str:
    """The last of what the process wrote to stderr, as one line."""
    kept = b""
    while chunk := await stream.read(4096):
        kept = (kept + chunk)[-ERROR_TAIL:]
    return _metadata.clean(kept.decode(errors="replace"), ERROR_TAIL) or ""
