"""Where an answer is written: an ordinary message, or the response to an interaction. Each is one message, edited."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import discord

from bot import render
from clipsim.model import JSON

TOKEN_LIFE = timedelta(minutes=14)  # an interaction's token dies after 15; the last minute is left alone
SOUGHT = 100  # messages after the one replied to, among which a reply of an earlier process is looked for
ORIGINAL: Any = "@original"  # in place of a message's id: the first response
UNKNOWN_WEBHOOK, BAD_WEBHOOK_TOKEN = 10015, 50027  # what Discord answers when it has died nevertheless


class Reply(Protocol):
    """One message that is written once and then edited."""

    async def show(self, embeds: Sequence[discord.Embed]) -> None:
        """Write the message, or edit it. Raises what discord.py raises."""
        ...

    def record(self) -> JSON:
        """Where the message is, for the job's row: `channel`, `message` (None before it is written), `to`."""
        ...


class MessageReply:
    """An ordinary message, in reply to another one where that can be.

    It is written once, whatever happens between: Discord refuses a second one with the same nonce for some minutes, and
    what an earlier process may have written longer ago is looked for (`seek`).
    """

    def __init__(
        self,
        channel: discord.abc.Messageable,
        channel_id: int,
        *,
        to: int | None = None,
        message: int | None = None,
        embeds: bool = True,
        nonce: str | None = None,
        seek: int | None = None,
    ) -> None:
        """`to` is the message replied to; `message` the reply, if it exists; `embeds` says whether they may be sent.

        `nonce` is the one that an earlier process used; `seek` the author whose reply is looked for before one is sent.
        """
        self._channel = channel
        self._channel_id = channel_id
        self._to = to
        self._id = message
        self._embeds = embeds
        self._nonce = nonce or secrets.token_hex(8)
        self._seek = seek if message is None else None

    async def show(self, embeds: Sequence[discord.Embed]) -> None:
        """Write or edit the message."""
        what: dict[str, Any] = {"embeds": list(embeds)} if self._embeds else {"content": render.as_text(embeds)}
        await self._look()
        if self._id is None:
            if self._to is not None:
                what["reference"] = discord.MessageReference(
                    message_id=self._to, channel_id=self._channel_id, fail_if_not_exists=False
                )
            sent = await self._channel.send(**what, nonce=self._nonce, suppress_embeds=not self._embeds)
            self._id = sent.id
        else:
            await self._partial(self._id).edit(**what)

    async def _look(self) -> None:
        """Find the reply that an earlier process wrote and could not note any more."""
        if self._id is not None or self._seek is None or self._to is None:
            return
        try:
            async for message in self._channel.history(limit=SOUGHT, after=discord.Object(self._to)):
                reference = message.reference
                if message.author.id == self._seek and reference is not None and reference.message_id == self._to:
                    self._id = message.id
                    break
        except discord.Forbidden:
            pass
        self._seek = None

    async def existing(self) -> list[discord.Embed]:
        """What the message shows now (after a restart)."""
        await self._look()
        return [] if self._id is None else (await self._partial(self._id).fetch()).embeds

    def _partial(self, message_id: int) -> discord.PartialMessage:
        return self._channel.get_partial_message(message_id)  # type: ignore[attr-defined,no-any-return]

    def record(self) -> JSON:
        """Where the message is."""
        where = {"channel": self._channel_id, "message": self._id, "to": self._to, "embeds": self._embeds}
        return where if self._id is not None else {**where, "nonce": self._nonce}


class InteractionReply:
    """The response to an interaction that was deferred; an ordinary message once the interaction's token is too old."""

    def __init__(self, interaction: discord.Interaction[Any]) -> None:
        channel = interaction.channel
        may_embed = interaction.guild_id is None or interaction.app_permissions.embed_links
        self._webhook: discord.Webhook = interaction.followup
        self._edit: Callable[..., Awaitable[discord.Message]] = interaction.edit_original_response
        self._until = interaction.created_at + TOKEN_LIFE
        self._channel_id = interaction.channel_id
        self._id: int | None = None
        self._ordinary: MessageReply | None = None
        self._later = (
            MessageReply(channel, channel.id, embeds=may_embed)  # type: ignore[attr-defined]
            if isinstance(channel, discord.abc.Messageable)
            else None
        )

    @classmethod
    def again(cls, row: JSON, client: discord.Client, later: MessageReply) -> InteractionReply:
        """After a restart, from what `record` said: the response while its token lives, and then `later`."""
        reply = cls.__new__(cls)
        reply._webhook = discord.Webhook.partial(int(row["application"]), str(row["token"]), client=client)
        reply._until = datetime.fromisoformat(str(row["until"]))
        reply._channel_id = int(row["channel"])
        reply._id = row.get("message")
        reply._edit = partial(
            reply._webhook.edit_message,
            reply._id or ORIGINAL,
            allowed_mentions=discord.AllowedMentions.none(),
        )
        reply._ordinary = None
        reply._later = later
        return reply

    async def show(self, embeds: Sequence[discord.Embed]) -> None:
        """Edit the response while its token lives; afterwards write an ordinary message, and edit that."""
        if self._ordinary is None and discord.utils.utcnow() < self._until:
            try:
                response = await self._edit(embeds=list(embeds))
            except discord.HTTPException as error:
                if error.code not in (UNKNOWN_WEBHOOK, BAD_WEBHOOK_TOKEN):
                    raise
            else:
                self._id = response.id
                return
        if self._ordinary is None:
            self._ordinary = self._later
        if self._ordinary is not None:
            await self._ordinary.show(embeds)

    async def existing(self) -> list[discord.Embed]:
        """What the response shows now (after a restart)."""
        if discord.utils.utcnow() < self._until:
            return (await self._webhook.fetch_message(self._id or ORIGINAL)).embeds
        return [] if self._later is None else await self._later.existing()

    def record(self) -> JSON:
        """Where the response is. Its token, which is worth nothing after a quarter of an hour, edits it till then."""
        if self._ordinary is not None:
            return self._ordinary.record()
        where: JSON = {"channel": self._channel_id, "message": self._id, "to": None, "embeds": True}
        token = {"application": self._webhook.id, "token": self._webhook.token, "until": self._until.isoformat()}
        return where | token


def restored(row: JSON, client: discord.Client) -> MessageReply | InteractionReply:
    """The reply of a job's row, which an earlier process had begun, or this one a while ago."""
    channel = client.get_partial_messageable(row["channel"])
    message = MessageReply(
        channel,
        row["channel"],
        to=row.get("to"),
        message=row.get("message"),
        embeds=row.get("embeds", True),
        nonce=row.get("nonce"),
        seek=client.user.id if client.user else None,
    )
    return InteractionReply.again(row, client, message) if row.get("token") else message
