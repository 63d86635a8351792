"""Where an answer is written: an ordinary message, or the response to an interaction. Each is one message, edited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

import discord

from bot import render
from clipsim.model import JSON

TOKEN_LIFE = timedelta(minutes=14)  # an interaction's token dies after 15; the last minute is left alone
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
    """An ordinary message, in reply to another one where that can be."""

    def __init__(
        self,
        channel: discord.abc.Messageable,
        channel_id: int,
        *,
        to: int | None = None,
        message: int | None = None,
        embeds: bool = True,
    ) -> None:
        """`to` is the message replied to; `message` the reply, if it exists; `embeds` says whether they may be sent."""
        self._channel = channel
        self._channel_id = channel_id
        self._to = to
        self._id = message
        self._embeds = embeds

    async def show(self, embeds: Sequence[discord.Embed]) -> None:
        """Write or edit the message."""
        what: dict[str, Any] = {"embeds": list(embeds)} if self._embeds else {"content": render.as_text(embeds)}
        if self._id is None:
            if self._to is not None:
                what["reference"] = discord.MessageReference(
                    message_id=self._to, channel_id=self._channel_id, fail_if_not_exists=False
                )
            self._id = (await self._channel.send(**what, suppress_embeds=not self._embeds)).id
        else:
            await self._partial(self._id).edit(**what)

    async def existing(self) -> list[discord.Embed]:
        """What the message shows now (after a restart)."""
        return [] if self._id is None else (await self._partial(self._id).fetch()).embeds

    def _partial(self, message_id: int) -> discord.PartialMessage:
        return self._channel.get_partial_message(message_id)  # type: ignore[attr-defined,no-any-return]

    def record(self) -> JSON:
        """Where the message is."""
        return {"channel": self._channel_id, "message": self._id, "to": self._to, "embeds": self._embeds}


class InteractionReply:
    """The response to an interaction that was deferred; an ordinary message once the interaction's token is too old."""

    def __init__(self, interaction: discord.Interaction[Any]) -> None:
        self._interaction = interaction
        self._id: int | None = None
        self._ordinary: MessageReply | None = None

    async def show(self, embeds: Sequence[discord.Embed]) -> None:
        """Edit the response while its token lives; afterwards write an ordinary message, and edit that."""
        if self._ordinary is None and discord.utils.utcnow() - self._interaction.created_at < TOKEN_LIFE:
            try:
                self._id = (await self._interaction.edit_original_response(embeds=list(embeds))).id
            except discord.HTTPException as error:
                if error.code not in (UNKNOWN_WEBHOOK, BAD_WEBHOOK_TOKEN):
                    raise
            else:
                return
        if self._ordinary is None:
            self._ordinary = await self.elsewhere()
        if self._ordinary is not None:
            await self._ordinary.show(embeds)

    async def elsewhere(self) -> MessageReply | None:
        """The ordinary message that takes the response's place, if there can be one."""
        channel = self._interaction.channel
        if not isinstance(channel, discord.abc.Messageable):
            return None
        may_embed = self._interaction.guild_id is None or self._interaction.app_permissions.embed_links
        return MessageReply(channel, channel.id, embeds=may_embed)  # type: ignore[attr-defined]

    def record(self) -> JSON:
        """Where the response is: an ordinary edit reaches it after a restart."""
        if self._ordinary is not None:
            return self._ordinary.record()
        return {"channel": self._interaction.channel_id, "message": self._id, "to": None, "embeds": True}
