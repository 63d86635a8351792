"""Where an answer is written: an ordinary message, or the response to an interaction. Each is one message, edited."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import discord
from discord import ui

from bot import render
from clipsim.model import JSON

TOKEN_LIFE = timedelta(minutes=14)  # an interaction's token dies after 15; the last minute is left alone
SOUGHT = 100  # messages after the one replied to, among which a reply of an earlier process is looked for
ORIGINAL: Any = "@original"  # in place of a message's id: the first response
UNKNOWN_WEBHOOK, BAD_WEBHOOK_TOKEN = 10015, 50027  # what Discord answers when it has died nevertheless


class Reply(Protocol):
    """One message that is written once and then edited."""

    async def show(self, embeds: Sequence[discord.Embed], view: ui.View | None = None) -> None:
        """Write the message, or edit it; `view` is put below where it can be. Raises what discord.py raises."""
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
        buttons: bool = True,
    ) -> None:
        """`to` is the message replied to; `message` the reply, if it exists; `embeds` says whether they may be sent.

        `nonce` is the one that an earlier process used; `seek` the author whose reply is looked for before one is sent.
        `buttons` says whether there may be any: what is pressed in direct messages is not about the guild's clips.
        """
        self._channel = channel
        self._channel_id = channel_id
        self._to = to
        self._id = message
        self._embeds = embeds
        self._buttons = buttons
        self._nonce = nonce or secrets.token_hex(8)
        self._seek = seek if message is None else None

    async def show(self, embeds: Sequence[discord.Embed], view: ui.View | None = None) -> None:
        """Write or edit the message."""
        what: dict[str, Any] = {"embeds": list(embeds)} if self._embeds else {"content": render.as_text(embeds)}
        if view is not None and self._buttons:
            what["view"] = view
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
        where |= {} if self._buttons else {"buttons": False}
        return where if self._id is not None else {**where, "nonce": self._nonce}


class InteractionReply:
    """The response to an interaction that was deferred; an ordinary message once the interaction's token is too old."""

    def __init__(self, interaction: discord.Interaction[Any]) -> None:
        self._interaction = interaction
        self._id: int | None = None
        self._ordinary: MessageReply | None = None

    async def show(self, embeds: Sequence[discord.Embed], view: ui.View | None = None) -> None:
        """Edit the response while its token lives; afterwards write an ordinary message, and edit that."""
        if self._ordinary is None and discord.utils.utcnow() < self._until:
            below: dict[str, Any] = {} if view is None else {"view": view}
            try:
                self._id = (await self._interaction.edit_original_response(embeds=list(embeds), **below)).id
            except discord.HTTPException as error:
                if error.code not in (UNKNOWN_WEBHOOK, BAD_WEBHOOK_TOKEN):
                    raise
            else:
                return
        if self._ordinary is None:
            self._ordinary = await self.elsewhere()
        if self._ordinary is not None:
            await self._ordinary.show(embeds, view)

    async def elsewhere(self) -> MessageReply | None:
        """The ordinary message that takes the response's place, if there can be one."""
        channel = self._interaction.channel
        if not isinstance(channel, discord.abc.Messageable):
            return None
        may_embed = self._interaction.guild_id is None or self._interaction.app_permissions.embed_links
        return MessageReply(channel, channel.id, embeds=may_embed)  # type: ignore[attr-defined]

    def record(self) -> JSON:
        """Where the response is. Its token, which is worth nothing after a quarter of an hour, edits it till then."""
        if self._ordinary is not None:
            return self._ordinary.record()
        interaction = self._interaction
        where: JSON = {"channel": interaction.channel_id, "message": self._id, "to": None, "embeds": True}
        token = {"application": interaction.application_id, "token": interaction.token}
        return where | token | {"asked": interaction.id, "until": self._until.isoformat()}

    @property
    def _until(self) -> datetime:
        return self._interaction.created_at + TOKEN_LIFE


class LeftResponse:
    """The response to an interaction that an earlier process had: edited while its token lives, and then `later` is."""

    def __init__(self, row: JSON, client: discord.Client, later: MessageReply) -> None:
        """`row` is what `InteractionReply.record` said."""
        self._row = row
        self._webhook = discord.Webhook.partial(int(row["application"]), str(row["token"]), client=client)
        self._until = datetime.fromisoformat(str(row["until"]))
        self._id: Any = row.get("message") or ORIGINAL
        self._later = later
        self._lost = False

    async def show(self, embeds: Sequence[discord.Embed], view: ui.View | None = None) -> None:
        """Edit it."""
        if not self._lost and discord.utils.utcnow() < self._until:
            what: dict[str, Any] = {"embeds": list(embeds), "allowed_mentions": discord.AllowedMentions.none()}
            what |= {} if view is None else {"view": view}
            try:
                await self._webhook.edit_message(self._id, **what)
            except discord.HTTPException as error:
                if error.code not in (UNKNOWN_WEBHOOK, BAD_WEBHOOK_TOKEN):
                    raise
            else:
                return
        self._lost = True
        await self._later.show(embeds, view)

    async def existing(self) -> list[discord.Embed]:
        """What it shows now."""
        if discord.utils.utcnow() < self._until:
            return (await self._webhook.fetch_message(self._id)).embeds
        return await self._later.existing()

    def record(self) -> JSON:
        """Where it is."""
        if self._lost:
            return self._later.record()
        names = ("channel", "message", "to", "embeds", "private", "asked", "application", "token", "until")
        return {name: self._row[name] for name in names if name in self._row}
