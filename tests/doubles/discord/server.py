"""The double itself: a server, what it remembers, and what a test can do with it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import WSCloseCode, web

from tests.doubles.discord import rest
from tests.doubles.discord.gateway import DISPATCH, INVALID, RECONNECT, Connection, Session
from tests.doubles.discord.objects import (
    ALL,
    INTENT_MESSAGE_CONTENT,
    LOADING,
    MANAGERS,
    PRIVILEGED,
    Channel,
    Guild,
    Interaction,
    Message,
    Permission,
    User,
    now,
    snowflake,
)
from tests.doubles.discord.rules import JSON, MESSAGE_MENU, SELECTS, STRING_SELECT, Refusal

SITE = Path(__file__).parent / "site"
STRING, INTEGER = 3, 4  # types of options
BUCKETS = {  # requests, seconds: per channel or webhook
    "POST /channels/{channel}/messages": (5, 5.0),
    "PATCH /channels/{channel}/messages/{message}": (5, 5.0),
    "PATCH /webhooks/{application}/{token}/messages/{message}": (5, 2.0),
    "PUT /channels/{channel}/messages/{message}/reactions/{emoji}/@me": (4, 1.0),
}


@dataclass(frozen=True)
class Recorded:
    """One request: when (time.monotonic), what, and how it was answered."""

    at: float
    method: str
    route: str  # with placeholders, such as /channels/{channel}/messages
    path: str
    payload: Any
    files: list[str]
    status: int
    code: int | None  # Discord's own code of a refusal


@dataclass
class Limit:
    """So many more requests (of one route, or of all) are answered with 429."""

    times: int
    retry_after: float


@dataclass
class Fault:
    """So many more requests of a route end in a status; `late`: only after what was asked for has been done."""

    times: int
    status: int
    late: bool


class FakeDiscord:
    """Discord on this machine.

    Args:
        privileged: the privileged intents that the application may ask for; others close the gateway with 4014.
        heartbeat_interval: seconds.
        buckets: whether the usual rate limits hold (they are announced in headers either way).
        shards: how many connections are recommended to a bot that asks.
    """

    def __init__(
        self,
        *,
        privileged: int = INTENT_MESSAGE_CONTENT,
        heartbeat_interval: float = 2.0,
        buckets: bool = True,
        shards: int = 1,
    ) -> None:
        self.privileged = privileged & PRIVILEGED
        self.heartbeat_interval = heartbeat_interval
        self.buckets = buckets
        self.locale = "en-US"  # that the guild prefers
        self.token = f"{secrets.token_urlsafe(18)}.{secrets.token_urlsafe(4)}.{secrets.token_urlsafe(27)}"
        self.bot = User("clipsim", bot=True)
        self.shards = shards
        self.home = Guild("a server")
        self.guild = self.home.id
        self.role = self.guild  # @everyone has the guild's own id
        self.member = True  # the bot is in the guild
        self.others: list[Guild] = []
        self.users: dict[str, User] = {}
        self.channels: dict[int, Channel] = {}
        self.commands: list[JSON] = []
        self.interactions: dict[int, Interaction] = {}
        self.requests: list[Recorded] = []
        self.received: list[JSON] = []  # payloads that came over the gateway
        self.identified: list[JSON] = []
        self.sessions: list[Session] = []
        self.failures: list[str] = []  # what Discord would not refuse, and nobody should do
        self._messages: dict[int, Message] = {}
        self._limits: dict[str, Limit] = {}
        self._everywhere = Limit(0, 0.0)
        self._faults: dict[str, Fault] = {}
        self._held: dict[str, asyncio.Event] = {}
        self.down = False  # whether the gateway lets nobody in
        self._spent: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._news = asyncio.Condition()
        self._connections: set[Connection] = set()
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.channel("general")

    # life

    async def __aenter__(self) -> FakeDiscord:
        app = web.Application(client_max_size=32 * 1024 * 1024)
        for method, path, handler, token in rest.ROUTES:
            app.router.add_route(method, f"/api/v10{path}", partial(self._call, path, handler, token))
        app.router.add_get("/gateway/", self._gateway)
        app.router.add_route("*", "/{anything:.*}", self._nothing)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in list(self._connections):
            await connection.socket.close(code=WSCloseCode.GOING_AWAY)
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def gateway_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/gateway/"

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """`base` (default: nothing) with what makes discord.py in a child process talk to this double."""
        env = dict(base or {})
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SITE), env.get("PYTHONPATH", "")]))
        return env | {"FAKE_DISCORD": self.url, "DISCORD_TOKEN": self.token}

    # who and where

    def user(self, name: str) -> User:
        """Somebody by name; made when first named."""
        return self.users.setdefault(name, User(name))

    def user_by_id(self, number: int) -> User:
        return next(user for user in self.users.values() if user.id == number)

    def add_guild(self, name: str) -> Guild:
        """Another server (before the bot connects)."""
        made = Guild(name)
        self.others.append(made)
        return made

    def channel(self, name: str, guild: Guild | None = None) -> Channel:
        """A channel by name, of the first server or of another; made when first named (before the bot connects)."""
        for known in self.channels.values():
            if known.name == name and (guild is None or known.guild == guild.id):
                return known
        made = Channel(name, (guild or self.home).id)
        self.channels[made.id] = made
        return made

    def dm(self, user: User) -> Channel:
        """The direct messages between the bot and somebody."""
        for known in self.channels.values():
            if known.user is user:
                return known
        made = Channel(f"@{user.name}", None, user=user)
        self.channels[made.id] = made
        return made

    def ready(self, session: Session) -> JSON:
        return {
            "v": 10,
            "user": self.bot.json() | {"verified": True, "email": None, "flags": 0, "mfa_enabled": True},
            "guilds": [{"id": guild["id"], "unavailable": True} for guild in self.guilds(session.shard)],
            "shard": list(session.shard),
            "session_id": session.id,
            "resume_gateway_url": self.gateway_url,
            "application": {"id": str(self.bot.id), "flags": 0},
            "private_channels": [],
        }

    def guilds(self, shard: tuple[int, int] = (0, 1)) -> list[JSON]:
        """The servers that one connection hears of."""
        which, count = shard
        all_ = [*([self.home] if self.member else []), *self.others]
        return [self._guild(guild) for guild in all_ if guild.shard(count) == which]

    def _guild(self, guild: Guild) -> JSON:
        everyone = _role(guild.id, "@everyone", ALL & ~Permission.MANAGE_GUILD)  # which has the guild's own id
        managers = _role(MANAGERS, "managers", Permission.MANAGE_GUILD)
        mine = [channel for channel in self.channels.values() if channel.guild == guild.id]
        return {
            "id": str(guild.id),
            "name": guild.name,
            "owner_id": str(self.user("owner").id),
            "unavailable": False,
            "member_count": 2,
            "large": False,
            "joined_at": "2020-01-01T00:00:00+00:00",
            "roles": [everyone, managers],
            "members": [self.bot.member() | {"user": self.bot.json()}],
            "channels": [channel.json(self.bot) for channel in mine if channel.parent is None],
            "threads": [channel.json(self.bot) for channel in mine if channel.parent],
            "features": [],
            "preferred_locale": self.locale,
            "system_channel_id": str(guild.system.id) if guild.system else None,
            "public_updates_channel_id": str(guild.moderators.id) if guild.moderators else None,
        }

    # what a test does

    async def connected(self, seconds: float = 60.0) -> None:
        """Wait until the client has a session (one for each of its shards) and its commands are known."""

        def there() -> bool:
            if not self.sessions or not self.commands:
                return False
            open_ = {session.shard for session in self.sessions if session.connection}
            count = self.sessions[-1].shard[1]
            return open_ >= {(which, count) for which in range(count)}

        await self.until(there, seconds)

    async def say(self, channel: str, author: str, content: str, *, reference: Message | None = None) -> Message:
        """Somebody writes a message; in a channel by name, or `@name` for direct messages with them."""
        where = self.dm(self.user(author)) if channel.startswith("@") else self.channel(channel)
        message = Message(where, self.user(author), content=content, reference=reference.id if reference else None)
        self.add(message)
        await self.dispatch("MESSAGE_CREATE", self.message_event(message))
        return message

    async def rewrite(self, message: Message, content: str) -> None:
        """Its author edits a message."""
        message.content, message.edited = content, now()
        await self.dispatch("MESSAGE_UPDATE", self.message_event(message))

    async def unfurl(self, message: Message, **embed: Any) -> None:
        """Discord adds the preview of a link to a message: an update, but nobody edited it."""
        message.embeds = [{"type": "video", **embed}]
        await self.dispatch("MESSAGE_UPDATE", self.message_event(message))

    async def remove(self, *messages: Message) -> None:
        """Somebody deletes messages: one, or many at once."""
        if len(messages) == 1:
            await self.delete(messages[0])
            return
        for message in messages:
            message.deleted = True
        channel = messages[0].channel
        ids = {"ids": [str(message.id) for message in messages], "channel_id": str(channel.id)}
        await self.dispatch("MESSAGE_DELETE_BULK", ids | {"guild_id": str(channel.guild)})

    async def leave(self, *, outage: bool = False) -> None:
        """The guild removes the bot; or is out of reach for a while."""
        self.member = outage
        await self.dispatch("GUILD_DELETE", {"id": str(self.guild)} | ({"unavailable": True} if outage else {}))

    async def join(self) -> None:
        """The guild adds the bot (again), or is within reach again after an outage."""
        new, self.member = not self.member, True
        for guild in self.guilds():
            if new:
                del guild["unavailable"]  # that is how a client tells the two
            await self.dispatch("GUILD_CREATE", guild)

    async def press(self, message: Message, custom_id: str, *, author: str = "ann", wait: bool = True) -> Interaction:
        """Somebody presses a button of a message."""
        return await self._component(message, custom_id, (2,), {}, author, wait)

    async def pick(self, message: Message, custom_id: str, *values: str, author: str = "ann") -> Interaction:
        """Somebody picks from a select of a message: a string select's values, or ids of what else it offers."""
        part = self._part(message, custom_id, SELECTS)
        if not part.get("min_values", 1) <= len(values) <= part.get("max_values", 1):
            raise ValueError(f"{custom_id} takes another number of values")
        if part["type"] == STRING_SELECT and not set(values) <= {option["value"] for option in part["options"]}:
            raise ValueError(f"{custom_id} has no such option")
        return await self._component(message, custom_id, SELECTS, {"values": list(values)}, author, True)

    def _part(self, message: Message, custom_id: str, kinds: tuple[int, ...]) -> JSON:
        for row in message.components:
            for part in row["components"]:
                if part.get("custom_id") == custom_id and part["type"] in kinds and not part.get("disabled"):
                    return dict(part)
        raise ValueError(f"the message has no {custom_id}: {message.components}")

    async def _component(
        self, message: Message, custom_id: str, kinds: tuple[int, ...], data: JSON, author: str, wait: bool
    ) -> Interaction:
        part = self._part(message, custom_id, kinds)
        data = {"custom_id": custom_id, "component_type": part["type"]} | data
        if part["type"] in SELECTS and part["type"] != STRING_SELECT:
            data["resolved"] = {}
        return await self._send(
            Interaction(
                self.bot.id,
                3,
                message.channel,
                self.user(author),
                data,
                token=secrets.token_urlsafe(40),
                source=message,
            ),
            wait=wait,
        )

    async def slash(
        self, name: str, /, *, channel: str = "general", author: str = "ann", wait: bool = True, **options: Any
    ) -> Interaction:
        """Somebody uses a slash command. Options are checked as Discord's client checks them."""
        command = self._command(name, 1)
        given = [self._option(command, key, value) for key, value in options.items()]
        for option in command.get("options", []):
            if option.get("required") and option["name"] not in options:
                raise ValueError(f"/{name} requires {option['name']}")
        return await self._interact(2, command, channel, author, {"options": given}, wait=wait)

    async def message_menu(self, name: str, message: Message, *, author: str = "ann", wait: bool = True) -> Interaction:
        """Somebody uses a message's menu."""
        resolved = {"messages": {str(message.id): message.json()}}
        data = {"target_id": str(message.id), "resolved": resolved}
        return await self._interact(2, self._command(name, MESSAGE_MENU), message.channel.name, author, data, wait=wait)

    async def autocomplete(self, name: str, /, option: str, typed: str, **more: Any) -> list[JSON]:
        """Somebody types into an option: the choices that are offered."""
        return (await self.typing(name, option, typed, wait=True, **more)).choices or []

    async def typing(
        self,
        name: str,
        /,
        option: str,
        typed: str,
        *,
        channel: str = "general",
        author: str = "ann",
        wait: bool = False,
        **others: Any,
    ) -> Interaction:
        """Somebody types into an option."""
        command = self._command(name, 1)
        known = next(each for each in command["options"] if each["name"] == option)
        if not known.get("autocomplete"):
            raise ValueError(f"/{name} does not complete {option}")
        given = [self._option(command, key, value) for key, value in others.items()]
        given.append({"name": option, "type": known["type"], "value": typed, "focused": True})
        return await self._interact(4, command, channel, author, {"options": given}, wait=wait)

    async def wait_for_message(self, wanted: Callable[[Message], object], seconds: float = 30.0) -> Message:
        """The first message of the bot that is wanted, now or within so many seconds."""

        def found() -> Message | None:
            mine = (
                message for message in self._messages.values() if message.author is self.bot and not message.deleted
            )
            return next((message for message in mine if wanted(message)), None)

        await self.until(lambda: found() is not None, seconds)
        message = found()
        assert message is not None
        return message

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until something is so; looked at whenever anything happens here."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            raise AssertionError(
                f"not within {seconds} s; the bot's messages: {[m.text for m in self.messages()]}"
            ) from None

    def messages(self, channel: str | None = None) -> list[Message]:
        """The bot's messages, oldest first, each with its history; deleted ones too."""
        mine = [message for message in self._messages.values() if message.author is self.bot]
        return [message for message in mine if channel is None or message.channel is self.channel(channel)]

    def calls(self, route: str, status: int | None = None) -> list[Recorded]:
        """The requests of a route (`PATCH /channels/{channel}/messages/{message}`), oldest first."""
        return [
            each for each in self.requests if f"{each.method} {each.route}" == route and status in (None, each.status)
        ]

    def limit(self, route: str, times: int, retry_after: float = 0.5) -> None:
        """Answer the next requests of a route with 429."""
        self._limits[route] = Limit(times, retry_after)

    def limit_all(self, times: int, retry_after: float = 0.5) -> None:
        """Answer the next requests, of whatever route, with the global 429."""
        self._everywhere = Limit(times, retry_after)

    def fail(self, route: str, status: int, times: int = 1, *, late: bool = False) -> None:
        """Answer the next requests of a route with a status such as 502; `late`: after doing what they ask for."""
        self._faults[route] = Fault(times, status, late)

    def hold(self, route: str) -> asyncio.Event:
        """Do what requests of a route ask for, but answer only when this is set: a process may end meanwhile."""
        return self._held.setdefault(route, asyncio.Event())

    def forget_nonces(self) -> None:
        """Some minutes pass: Discord no longer knows which nonces it has seen."""
        for message in self._messages.values():
            message.nonce = None

    async def drop_connection(self, code: int | None = None) -> None:
        """Cut the gateway's connection without a word, or close it with a code."""
        for connection in list(self._connections):
            if code is not None:
                await connection.socket.close(code=code)
            elif connection.request.transport is not None:
                connection.request.transport.abort()

    async def reconnect(self) -> None:
        """Ask the client to reconnect and resume (opcode 7)."""
        await self._op(RECONNECT)

    async def invalidate(self, *, resumable: bool = False) -> None:
        """Declare the session invalid (opcode 9)."""
        if not resumable:
            for session in self.sessions:
                session.id = "invalid"
        await self._op(INVALID, resumable)

    # what the routes and the gateway use

    def add(self, message: Message) -> None:
        """Remember a message."""
        self._messages[message.id] = message

    def find_message(self, channel: Channel, number: int) -> Message | None:
        message = self._messages.get(number)
        if message is None or message.deleted or message.ephemeral:
            return None
        return message if message.channel is channel else None

    def with_nonce(self, channel: Channel, nonce: str) -> Message | None:
        """The message that was sent with this nonce."""
        mine = (message for message in self._messages.values() if message.channel is channel and not message.deleted)
        return next((message for message in mine if message.nonce is not None and str(message.nonce) == nonce), None)

    def history(self, channel: Channel) -> list[Message]:
        """All messages of a channel that are still there, oldest first, whoever wrote them."""
        found = [m for m in self._messages.values() if m.channel is channel and not m.deleted and not m.ephemeral]
        return sorted(found, key=lambda message: message.id)

    async def delete(self, message: Message) -> None:
        message.deleted = True
        ids = {"id": str(message.id), "channel_id": str(message.channel.id)}
        await self.dispatch(
            "MESSAGE_DELETE", ids | ({"guild_id": str(message.channel.guild)} if message.channel.guild else {})
        )
        await self.changed()

    def register(self, commands: list[JSON]) -> None:
        """Keep commands as Discord would, with ids."""
        known = {(command["type"], command["name"]): command["id"] for command in self.commands}
        self.commands = [
            {"type": 1, "description": "", "options": [], "nsfw": False, "default_member_permissions": None}
            | command
            | {
                "id": known.get((command.get("type", 1), command["name"]), str(snowflake())),
                "application_id": str(self.bot.id),
                "version": str(snowflake()),
            }
            for command in commands
        ]

    def message_event(self, message: Message) -> JSON:
        """A message as this client's intents let it be seen."""
        session = self.sessions[-1] if self.sessions else None
        readable = (
            bool(session and session.intents & INTENT_MESSAGE_CONTENT)
            or message.author is self.bot
            or message.channel.guild is None
            or f"<@{self.bot.id}>" in message.content
        )
        event = message.json(readable=readable)
        if message.channel.guild is not None:
            event |= {"guild_id": str(message.channel.guild), "member": message.author.member()}
        return event

    async def dispatch(self, event: str, data: JSON) -> None:
        """Send an event to the present session of whoever hears of its server."""
        if not self.sessions:
            return
        count = self.sessions[-1].shard[1]
        guild = data["id"] if event.startswith("GUILD_") else data.get("guild_id")
        which = (int(guild or 0) >> 22) % count
        for session in reversed(self.sessions):
            if session.shard == (which, count):
                await self.send(session, event, data)
                return

    async def send(self, session: Session, event: str, data: JSON) -> None:
        """Send an event to a session; it is kept for a resuming client."""
        session.events.append({"t": event, "d": data})
        if session.connection is not None:
            await session.connection.send(DISPATCH, data, event=event, number=len(session.events))

    async def changed(self) -> None:
        """Wake whoever waits for something to happen."""
        async with self._news:
            self._news.notify_all()

    def _command(self, name: str, kind: int) -> JSON:
        for command in self.commands:
            if (command["name"], command["type"]) == (name, kind):
                return command
        raise ValueError(f"no such command is registered: {name} (there are {[c['name'] for c in self.commands]})")

    @staticmethod
    def _option(command: JSON, name: str, value: Any) -> JSON:
        option = next((each for each in command.get("options", []) if each["name"] == name), None)
        if option is None:
            raise ValueError(f"/{command['name']} has no option {name}")
        if option["type"] == INTEGER and not option.get("min_value", value) <= value <= option.get("max_value", value):
            raise ValueError(f"{name}={value} is out of range")
        if option["type"] == STRING and not option.get("min_length", 0) <= len(value) <= option.get("max_length", 6000):
            raise ValueError(f"{name} is too short or too long")
        if option.get("choices") and value not in [choice["value"] for choice in option["choices"]]:
            raise ValueError(f"{name}={value} is not one of the choices")
        return {"name": name, "type": option["type"], "value": value}

    async def _interact(
        self, kind: int, command: JSON, channel: str, author: str, data: JSON, *, wait: bool = True
    ) -> Interaction:
        data = {"id": command["id"], "name": command["name"], "type": command["type"]} | data
        where = self.dm(self.user(author)) if channel.startswith("@") else self.channel(channel)
        needed = command.get("default_member_permissions")
        if needed and kind == 2 and not self.user(author).manager:
            raise ValueError(f"Discord does not offer /{command['name']} to {author}")
        return await self._send(
            Interaction(self.bot.id, kind, where, self.user(author), data, token=secrets.token_urlsafe(40)), wait=wait
        )

    async def _send(self, interaction: Interaction, *, wait: bool) -> Interaction:
        self.interactions[interaction.id] = interaction
        await self.dispatch("INTERACTION_CREATE", interaction.json(self.bot))
        if wait:
            async with asyncio.timeout(10):
                await interaction.done.wait()
        return interaction

    async def answered(self, interaction: Interaction, seconds: float = 30.0) -> Message:
        """The interaction's response once it is more than "thinking…"; its first follow-up where that was deleted."""
        await self.until(lambda: any(not message.flags & LOADING for message in interaction.messages), seconds)
        return next(message for message in interaction.messages if not message.flags & LOADING)

    async def _op(self, op: int, data: Any = None) -> None:
        for connection in list(self._connections):
            await connection.send(op, data)

    # the server

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        if self.down:
            return web.Response(status=503)  # type: ignore[return-value]
        socket = web.WebSocketResponse(max_msg_size=4096)
        await socket.prepare(request)
        connection = Connection(self, socket, request)
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)
            await self.changed()
        return socket

    async def _call(self, path: str, handler: rest.Handler, token: bool, request: web.Request) -> web.Response:
        route = f"{request.method} {path}"
        payload, code = None, None
        files: list[str] = []
        headers: dict[str, str] = {}
        try:
            payload, files = await _read(request)
            if token and request.headers.get("Authorization") != f"Bot {self.token}":
                raise Refusal(401, 0, "401: Unauthorized")
            headers, wait = self._rate(route, request)
            everywhere = "X-RateLimit-Global" in headers
            fault = self._fault(route)
            if wait is not None:
                status: int = 429
                body: Any = {"message": "You are being rate limited.", "retry_after": wait, "global": everywhere}
            elif fault is not None and not fault.late:
                status, body = fault.status, {"message": f"{fault.status}: Server Error", "code": 0}
            else:
                call = rest.Call(self, dict(request.match_info), dict(request.query), payload, files)
                status, body = await handler(call)
                if fault is not None:
                    status, body = fault.status, {"message": f"{fault.status}: Server Error", "code": 0}
        except Refusal as refusal:
            status, body, code = refusal.status, refusal.body(), refusal.code
        self.requests.append(
            Recorded(time.monotonic(), request.method, path, request.path, payload, files, status, code)
        )
        await self.changed()
        if (held := self._held.get(route)) is not None:
            await held.wait()
        if body is None:
            return web.Response(status=status, headers=headers)
        raw = json.dumps(body).encode()  # the content type is exactly application/json: discord.py compares it so
        return web.Response(
            status=status, body=raw, headers=headers | {"Content-Type": "application/json", "Via": "1.1 google"}
        )

    def _rate(self, route: str, request: web.Request) -> tuple[dict[str, str], float | None]:
        """Headers, and how long to wait if the request is refused."""
        wait = None
        if self._everywhere.times > 0 and "/interactions/" not in request.path and "/webhooks/" not in request.path:
            self._everywhere.times -= 1
            wait = self._everywhere.retry_after
            return self._limited({"X-RateLimit-Global": "true"}, wait) | {"X-RateLimit-Scope": "global"}, wait
        if (forced := self._limits.get(route)) and forced.times > 0:
            forced.times -= 1
            wait = forced.retry_after
        if route not in BUCKETS:
            return self._limited({}, wait), wait
        most, seconds = BUCKETS[route]
        major = request.match_info.get("channel") or request.match_info.get("token") or ""
        spent, now = self._spent[route, major], time.monotonic()
        while spent and spent[0] <= now - seconds:
            spent.popleft()
        if wait is None and self.buckets and len(spent) >= most:
            wait = spent[0] + seconds - now
        if wait is None:
            spent.append(now)
        reset = spent[0] + seconds - now if spent else 0.0
        headers = {
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": str(max(0, most - len(spent))),
            "X-RateLimit-Reset": f"{time.time() + reset:.3f}",
            "X-RateLimit-Reset-After": f"{reset:.3f}",
            "X-RateLimit-Bucket": f"{abs(hash(route)):x}",
        }
        return self._limited(headers, wait), wait

    @staticmethod
    def _limited(headers: dict[str, str], wait: float | None) -> dict[str, str]:
        return headers if wait is None else headers | {"Retry-After": f"{wait:.3f}", "X-RateLimit-Scope": "user"}

    def _fault(self, route: str) -> Fault | None:
        fault = self._faults.get(route)
        if fault is None or fault.times < 1:
            return None
        fault.times -= 1
        return fault

    async def _nothing(self, request: web.Request) -> web.Response:
        self.failures.append(f"the double has no {request.method} {request.path}")
        return web.json_response({"message": "404: Not Found", "code": 0}, status=404)


def _role(number: int, name: str, permissions: int) -> JSON:
    return {
        "id": str(number),
        "name": name,
        "color": 0,
        "colors": {"primary_color": 0},
        "hoist": False,
        "icon": None,
        "unicode_emoji": None,
        "position": 0,
        "permissions": str(int(permissions)),
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }


async def _read(request: web.Request) -> tuple[Any, list[str]]:
    """The JSON of a request, and the names of its files."""
    if request.content_type == "multipart/form-data":
        form = await request.post()
        files = [part.filename for part in form.values() if isinstance(part, web.FileField)]
        return json.loads(str(form.get("payload_json", "{}"))), files
    if not request.can_read_body:
        return None, []
    if request.content_type != "application/json":
        raise Refusal(400, 50035, "Invalid Form Body")
    try:
        return json.loads(await request.text()), []
    except ValueError:
        raise Refusal(400, 50109, "The request body contains invalid JSON.") from None
