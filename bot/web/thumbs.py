"""Thumbs on results: who puts them there, how often, and where the page goes then.

There is no login. A voter is a random number in a cookie, signed so that nobody can make up or take another's; it is
set with the first thumb, so that who only looks gets none. Other sites are kept out as with every form
(`bot.web.auth`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from aiohttp import web

from bot.web.questions import TooBusyError, by_id
from clipsim.errors import InvalidSetting
from clipsim.model import METHODS, THUMBS, By, Clip, Method, Vote

if TYPE_CHECKING:
    from clipsim.core import ClipSim

COOKIE = "clipsim_voter"
KEPT = 365 * 24 * 3600  # seconds that a browser keeps it
MOST = 120  # votes of the whole page …
WITHIN = 60.0  # … in so many seconds

_NAME = re.compile(r"[0-9a-f]{32}")


class Thumbs:
    """The thumbs of one running page."""

    def __init__(self, sim: ClipSim) -> None:
        self._sim = sim
        self._secret: bytes | None = None
        self._cast: deque[float] = deque()  # when, oldest first

    async def of(self, request: web.Request, clip: Clip) -> dict[str, Vote]:
        """The votes of whoever asks on a clip's results, by the result's id."""
        voter = await self._voter(request)
        return await self._sim.votes(clip, voter=voter) if voter else {}

    async def cast(
        self, request: web.Request, form: Mapping[str, object], by: By, k: int, back: str | None
    ) -> web.Response:
        """Keep the vote that a form holds (query, result, thumb, rank, method); 303 to `back`, or to the query.

        Raises:
            UnknownClip: the library does not have both clips.
            InvalidSetting: the form is none of the page's. TooBusyError: too many votes in a short time.
        """
        thumb = str(form.get("thumb", ""))
        if thumb not in THUMBS:
            raise InvalidSetting("A thumb is up, down or none.", hint="Use the buttons of the page.")
        self._limit()
        query, result = [await by_id(self._sim, str(form.get(name, ""))) for name in ("query", "result")]
        voter, fresh = await self._voter(request), None
        if voter is None and THUMBS[thumb] is not None:
            voter, fresh = await self._new()
        if voter is not None:
            rank, method = _rank(form.get("rank")), _method(form.get("method"))
            await self._sim.vote(query, result, THUMBS[thumb], voter=voter, rank=rank, method=method, by=by)
        place = back or f"/clip/{quote(query.id, safe='')}?{urlencode({'by': by, 'k': k})}"
        response = web.Response(status=303, headers={"Location": f"{place}#result-{quote(result.id, safe='')}"})
        if fresh is not None:
            response.set_cookie(
                COOKIE, fresh, max_age=KEPT, path="/", httponly=True, samesite="Lax", secure=request.secure
            )
        return response

    def _limit(self) -> None:
        now = time.monotonic()
        while self._cast and now - self._cast[0] > WITHIN:
            self._cast.popleft()
        if len(self._cast) >= MOST:
            raise TooBusyError("That is a lot of thumbs at once.")
        self._cast.append(now)

    async def _voter(self, request: web.Request) -> str | None:
        """Whose cookie it is, where it is one of ours."""
        name, _, signature = request.cookies.get(COOKIE, "").partition(".")
        if not _NAME.fullmatch(name) or not signature.isascii():
            return None
        return f"web-{name}" if hmac.compare_digest(signature, await self._signature(name)) else None

    async def _new(self) -> tuple[str, str]:
        """A new voter, and the cookie to know them by."""
        name = secrets.token_hex(16)
        return f"web-{name}", f"{name}.{await self._signature(name)}"

    async def _signature(self, name: str) -> str:
        if self._secret is None:
            self._secret = await self._sim.secret()
        return hmac.new(self._secret, f"voter {name}".encode(), hashlib.sha256).hexdigest()


def _rank(value: object) -> int | None:
    text = str(value or "")
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,3}", text) else None


def _method(value: object) -> Method | None:
    return next((method for method in METHODS if method == value), None)
