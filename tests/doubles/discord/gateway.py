"""The gateway: one websocket after another for a session that outlives them, each event numbered and replayable."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from tests.doubles.discord.objects import PRIVILEGED

if TYPE_CHECKING:
    from tests.doubles.discord.server import FakeDiscord

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, MEMBERS, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 8, 9, 10, 11
NOT_AUTHENTICATED, BAD_TOKEN, ALREADY, TIMED_OUT, BAD_INTENTS = 4003, 4004, 4005, 4009, 4014


@dataclass(eq=False)
class Session:
    """What a client may resume."""

    id: str
    intents: int
    events: list[dict[str, Any]] = field(default_factory=list)  # all that were dispatched; the n-th has number n
    connection: Connection | None = None
    resumes: int = 0
    shard: tuple[int, int] = (0, 1)  # which, of how many


class Connection:
    """One websocket."""

    def __init__(self, server: FakeDiscord, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.server, self.socket, self.request = server, socket, request
        self.session: Session | None = None
        self.beats: list[float] = []
        self.compression = request.query.get("compress")
        self._zlib = zlib.compressobj()
        self._lock = asyncio.Lock()

    async def send(self, op: int, data: Any = None, *, event: str | None = None, number: int | None = None) -> None:
        """Send one payload; a socket that is gone swallows it (it is replayed on resuming)."""
        text = json.dumps({"op": op, "d": data, "s": number, "t": event})
        async with self._lock:
            if self.socket.closed:
                return
            try:
                if self.compression == "zlib-stream":
                    packed = self._zlib.compress(text.encode()) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
                    middle = len(packed) // 2 if len(packed) > 1000 else 0  # a large one comes in two messages
                    for piece in (packed[:middle], packed[middle:]):
                        if piece:
                            await self.socket.send_bytes(piece)
                else:
                    await self.socket.send_str(text)
            except (ConnectionError, RuntimeError):
                return

    async def serve(self) -> None:
        """Say hello, then answer until the socket is closed."""
        interval = self.server.heartbeat_interval
        await self.send(HELLO, {"heartbeat_interval": int(interval * 1000), "_trace": []})
        watch = asyncio.create_task(self._watch(interval))
        try:
            async for message in self.socket:
                if message.type is WSMsgType.TEXT:
                    await self._received(json.loads(message.data))
        finally:
            watch.cancel()
            if self.session is not None and self.session.connection is self:
                self.session.connection = None

    async def _watch(self, interval: float) -> None:
        """Close a socket whose heart has stopped."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(interval)
            last = self.beats[-1] if self.beats else last
            if time.monotonic() - last > 3 * interval + 1:
                self.server.failures.append("the client stopped its heartbeats")
                await self.socket.close(code=TIMED_OUT)

    async def _received(self, payload: dict[str, Any]) -> None:
        op, data = payload["op"], payload.get("d") or {}
        self.server.received.append(payload)
        if op == HEARTBEAT:
            self.beats.append(time.monotonic())
            await self.send(ACK)
        elif op == IDENTIFY:
            await self._identify(data)
        elif op == RESUME:
            await self._resume(data)
        elif op == MEMBERS and self.session:
            chunk = {
                "guild_id": data["guild_id"],
                "members": [],
                "chunk_index": 0,
                "chunk_count": 1,
                "nonce": data.get("nonce"),
            }
            await self.server.send(self.session, "GUILD_MEMBERS_CHUNK", chunk)
        elif self.session is None:
            await self.socket.close(code=NOT_AUTHENTICATED)

    async def _identify(self, data: dict[str, Any]) -> None:
        self.server.identified.append(data)
        if self.session is not None:
            await self.socket.close(code=ALREADY)
        elif data.get("token") != self.server.token:
            await self.socket.close(code=BAD_TOKEN, message=b"Authentication failed.")
        elif data.get("intents", 0) & PRIVILEGED & ~self.server.privileged:
            await self.socket.close(code=BAD_INTENTS, message=b"Disallowed intent(s).")
        else:
            shard = tuple(data.get("shard") or (0, 1))
            self.session = Session(secrets.token_hex(16), data["intents"], connection=self, shard=shard)
            self.server.sessions.append(self.session)
            await self.server.send(self.session, "READY", self.server.ready(self.session))
            for guild in self.server.guilds(shard):
                await self.server.send(self.session, "GUILD_CREATE", guild)
            await self.server.changed()

    async def _resume(self, data: dict[str, Any]) -> None:
        known = next((session for session in self.server.sessions if session.id == data.get("session_id")), None)
        if known is None or data.get("token") != self.server.token:
            await self.send(INVALID, False)
            return
        known.connection = None
        for number, event in enumerate(known.events, 1):  # those that are dispatched meanwhile, too
            if number > (data.get("seq") or 0):
                await self.send(DISPATCH, event["d"], event=event["t"], number=number)
        self.session, known.connection = known, self
        known.resumes += 1
        await self.server.send(known, "RESUMED", {"_trace": []})
        await self.server.changed()
