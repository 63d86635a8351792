"""What lives in the double: users, channels, messages with their history, interactions; each can say itself as JSON."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntFlag
from typing import Any

JSON = dict[str, Any]

EPOCH = 1420070400000  # milliseconds: Discord's snowflakes count from 2015
INTENT_MEMBERS, INTENT_PRESENCES, INTENT_MESSAGE_CONTENT = 1 << 1, 1 << 8, 1 << 15
PRIVILEGED = INTENT_MEMBERS | INTENT_PRESENCES | INTENT_MESSAGE_CONTENT
EPHEMERAL, LOADING = 1 << 6, 1 << 7  # flags of a message
ACK_WITHIN = 3.0  # seconds that an interaction may wait for its first response
_numbers = itertools.count()


class Permission(IntFlag):
    """The permissions that the double enforces."""

    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    USE_APPLICATION_COMMANDS = 1 << 31
    CREATE_PUBLIC_THREADS = 1 << 35
    SEND_MESSAGES_IN_THREADS = 1 << 38


ALL = Permission(sum(Permission))


def snowflake() -> int:
    """A new id with the present time in it."""
    return ((int(time.time() * 1000) - EPOCH) << 22) | (next(_numbers) & 0x3FFFFF)


def now() -> str:
    """The present time as Discord writes it."""
    return datetime.now(UTC).isoformat()


MANAGERS = snowflake()  # the role of those who may manage the guild


@dataclass(eq=False)
class User:
    """Somebody, or the bot."""

    name: str
    bot: bool = False
    locale: str = "en-US"
    manager: bool = False  # of the guild: has the role that may
    closed: bool = False  # takes no direct messages
    id: int = field(default_factory=snowflake)

    def json(self) -> JSON:
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": None,
            "discriminator": "0",
            "avatar": None,
            "bot": self.bot,
            "public_flags": 0,
        }

    def member(self, roles: list[int] | None = None) -> JSON:
        """The user as a member of a guild (without the user itself)."""
        return {
            "nick": None,
            "roles": [str(role) for role in roles or ([MANAGERS] if self.manager else [])],
            "joined_at": "2020-01-01T00:00:00+00:00",
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "flags": 0,
            "avatar": None,
            "permissions": str(int(ALL if self.manager else ALL & ~Permission.MANAGE_GUILD)),
        }


@dataclass(eq=False)
class Guild:
    """A server. Its messages of the system and its notices to moderators go to these channels, where it has any."""

    name: str
    id: int = field(default_factory=snowflake)
    system: Channel | None = None
    moderators: Channel | None = None

    def shard(self, count: int) -> int:
        """The connection that hears of it, of so many."""
        return (self.id >> 22) % count


@dataclass(eq=False)
class Channel:
    """A text channel, or a direct message channel where `guild` is None. `denied` is what the bot may not do there."""

    name: str
    guild: int | None
    id: int = field(default_factory=snowflake)
    denied: int = 0
    user: User | None = None
    parent: int | None = None  # of a thread

    @property
    def allowed(self) -> Permission:
        return Permission(ALL & ~self.denied)

    def json(self, bot: User) -> JSON:
        if self.guild is None:
            recipients = [self.user.json()] if self.user else []
            return {"id": str(self.id), "type": 1, "recipients": recipients, "last_message_id": None, "flags": 0}
        if self.parent is not None:
            return {
                "id": str(self.id),
                "type": 11,
                "guild_id": str(self.guild),
                "parent_id": str(self.parent),
                "owner_id": str(bot.id),
                "name": self.name,
                "message_count": 0,
                "member_count": 1,
                "rate_limit_per_user": 0,
                "last_message_id": None,
                "flags": 0,
                "thread_metadata": {
                    "archived": False,
                    "auto_archive_duration": 1440,
                    "archive_timestamp": now(),
                    "locked": False,
                },
            }
        denied = [{"id": str(bot.id), "type": 1, "allow": "0", "deny": str(self.denied)}] if self.denied else []
        return {
            "id": str(self.id),
            "type": 0,
            "guild_id": str(self.guild),
            "name": self.name,
            "position": 0,
            "permission_overwrites": denied,
            "nsfw": False,
            "topic": None,
            "last_message_id": None,
            "rate_limit_per_user": 0,
            "parent_id": None,
            "flags": 0,
        }


@dataclass(frozen=True)
class Edit:
    """One state of a message: when it came, and what it was."""

    at: float  # seconds, time.monotonic
    payload: JSON


@dataclass(eq=False)
class Message:
    """A message with every state it has had."""

    channel: Channel
    author: User
    id: int = field(default_factory=snowflake)
    content: str = ""
    embeds: list[JSON] = field(default_factory=list)
    components: list[JSON] = field(default_factory=list)
    attachments: list[JSON] = field(default_factory=list)
    flags: int = 0
    reference: int | None = None  # the message it replies to
    nonce: str | None = None
    interaction: Interaction | None = None
    deleted: bool = False
    edited: str | None = None
    created: str = field(default_factory=now)
    history: list[Edit] = field(default_factory=list)
    reactions: list[str] = field(default_factory=list)  # the bot's own

    def apply(self, payload: JSON, files: list[str]) -> None:
        """Take over what a request says, and note it in the history."""
        self.content = payload["content"] or "" if "content" in payload else self.content
        self.embeds = (
            [{"type": "rich", **embed} for embed in payload["embeds"] or []] if "embeds" in payload else self.embeds
        )
        self.components = payload["components"] or [] if "components" in payload else self.components
        if files or "attachments" in payload:
            self.attachments = [
                {"id": str(snowflake()), "filename": name, "size": 1, "url": f"https://cdn/{name}", "proxy_url": f"https://cdn/{name}"}
                for name in files
            ]  # fmt: skip
        self.flags = payload.get("flags", self.flags) & ~LOADING
        if self.history:
            self.edited = now()
        self.history.append(Edit(time.monotonic(), payload))

    @property
    def ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    @property
    def text(self) -> str:
        """All that a reader sees, on one string."""
        parts: list[str | None] = [self.content]
        for embed in self.embeds:
            parts += [embed.get("title"), embed.get("description"), (embed.get("footer") or {}).get("text")]
            parts += [part for field in embed.get("fields", []) for part in (field["name"], field["value"])]
        return "\n".join(part for part in parts if part)

    def json(self, *, readable: bool = True) -> JSON:
        body: JSON = {
            "id": str(self.id),
            "channel_id": str(self.channel.id),
            "author": self.author.json(),
            "content": self.content if readable else "",
            "timestamp": self.created,
            "edited_timestamp": self.edited,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": self.attachments if readable else [],
            "embeds": self.embeds if readable else [],
            "components": self.components if readable else [],
            "pinned": False,
            "type": 0 if self.reference is None else 19,
            "flags": self.flags,
        }
        if self.interaction is not None:
            body |= {
                "webhook_id": str(self.interaction.application),
                "application_id": str(self.interaction.application),
            }
        if self.reference is not None:
            body["message_reference"] = {"channel_id": str(self.channel.id), "message_id": str(self.reference)}
        return body


@dataclass(eq=False)
class Interaction:
    """One use of a command, and what the bot made of it."""

    application: int
    kind: int  # 2 command, 3 component, 4 autocomplete, 5 modal
    channel: Channel
    user: User
    data: JSON
    id: int = field(default_factory=snowflake)
    token: str = ""
    at: float = field(default_factory=time.monotonic)
    acknowledged: float | None = None  # seconds after it was sent
    response_type: int | None = None
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)
    choices: list[JSON] | None = None
    expired: bool = False
    late: bool = False  # it was acknowledged after Discord had given it up
    done: asyncio.Event = field(default_factory=asyncio.Event)  # acknowledged
    source: Message | None = None  # whose component was used
    modal: JSON | None = None  # that it was answered with

    @property
    def messages(self) -> list[Message]:
        """What was answered, first to last; deleted ones left out."""
        return [message for message in (self.original, *self.followups) if message and not message.deleted]

    def json(self, bot: User) -> JSON:
        body: JSON = {
            "id": str(self.id),
            "application_id": str(self.application),
            "type": self.kind,
            "token": self.token,
            "version": 1,
            "data": self.data,
            "channel_id": str(self.channel.id),
            "channel": self.channel.json(bot),
            "locale": self.user.locale,
            "entitlements": [],
            "attachment_size_limit": 10 * 1024 * 1024,
            "authorizing_integration_owners": {},
            "app_permissions": str(int(self.channel.allowed)),
            "context": 0 if self.channel.guild else 1,
        }
        if self.source is not None:
            body["message"] = self.source.json()
        if self.channel.guild is None:
            return body | {"user": self.user.json()}
        guild = {"id": str(self.channel.guild), "locale": "en-US", "features": []}
        member = self.user.member() | {"user": self.user.json()}
        return body | {"guild_id": str(self.channel.guild), "guild": guild, "guild_locale": "en-US", "member": member}
