"""Where the answer to a pasted link goes: the channel, a thread, a direct message, or a mere reaction."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import discord
from discord import ui

from bot import render
from bot.replies import InteractionReply, LeftResponse, MessageReply, Reply
from clipsim.model import JSON

if TYPE_CHECKING:
    from bot.guilds import Guild
    from bot.text import Texts

log = logging.getLogger(__name__)

SEEN, DONE, FAILED = "👀", "✅", "⚠️"


async def choose(message: discord.Message, chosen: Guild, texts: Texts, allowed: discord.Permissions) -> Reply | None:
    """Where the links of a message are answered; None where nothing may be written. `allowed` is what the bot may."""
    if chosen.answer == "quiet":
        may = allowed.view_channel and allowed.add_reactions and allowed.read_message_history
        return QuietReply(message.channel, message.channel.id, message.id, mute=not may)
    if chosen.answer == "private":
        fallback = _in_channel(message, allowed) if allowed.send_messages else None
        return PrivateReply(message.author, message.channel.id, fallback)
    if chosen.answer == "thread" and (thread := await _thread(message, texts, allowed)) is not None:
        return MessageReply(thread, thread.id, embeds=allowed.embed_links)
    return _in_channel(message, allowed) if allowed.send_messages else None


def allowed_in(message: discord.Message) -> discord.Permissions:
    """What the bot may do where a message is; `send_messages` says so for threads, too."""
    me = message.guild.me if message.guild else None
    if me is None or isinstance(message.channel, discord.PartialMessageable):
        return discord.Permissions.all()  # nothing known forbids it
    allowed = message.channel.permissions_for(me)
    if isinstance(message.channel, discord.Thread):
        allowed.send_messages = allowed.send_messages_in_threads
    allowed.send_messages &= allowed.view_channel
    return allowed


async def restored(client: discord.Client, row: JSON) -> Reply:
    """The reply that a job's row tells of, to be written or edited by this process. Raises what discord.py raises."""
    where = client.get_partial_messageable(row["channel"])
    if row.get("quiet"):
        return QuietReply(where, row["channel"], row["quiet"])
    if row.get("private"):
        channel = await client.create_dm(discord.Object(int(row["private"])))
        reply = MessageReply(channel, channel.id, nonce=row.get("nonce"), buttons=False)
    else:
        reply = MessageReply(
            where,
            row["channel"],
            to=row.get("to"),
            message=row.get("message"),
            embeds=row.get("embeds", True),
            nonce=row.get("nonce"),
            seek=client.user.id if client.user else None,
            buttons=row.get("buttons", True),
        )
    return LeftResponse(row, client, reply) if row.get("token") else reply


def _in_channel(message: discord.Message, allowed: discord.Permissions) -> MessageReply:
    to = message.id if allowed.read_message_history else None
    return MessageReply(message.channel, message.channel.id, to=to, embeds=allowed.embed_links)


async def _thread(message: discord.Message, texts: Texts, allowed: discord.Permissions) -> discord.Thread | None:
    """A thread under the message; None where there can be none, or it may not be made."""
    fitting = isinstance(message.channel, discord.TextChannel)
    if not (fitting and allowed.create_public_threads and allowed.send_messages_in_threads and allowed.view_channel):
        return None
    try:
        return await message.create_thread(name=texts.THREAD)
    except discord.HTTPException as error:
        log.info("message=%d no thread could be made: %s", message.id, error)
        return None


class QuietReply:
    """No message at all: a reaction while the links are worked on, another one when all are done."""

    def __init__(self, channel: discord.abc.Messageable, channel_id: int, to: int, *, mute: bool = False) -> None:
        """`mute`: it may not even react; the clips are added all the same."""
        self._message: discord.PartialMessage = channel.get_partial_message(to)  # type: ignore[attr-defined]
        self._channel_id = channel_id
        self._to = to
        self._mute = mute
        self._shown: list[str] = []

    async def show(self, embeds: Sequence[discord.Embed], view: ui.View | None = None) -> None:
        """Put the reaction that says how it stands."""
        if self._mute:
            return
        wanted = SEEN
        if all(map(render.finished, embeds)):
            wanted = FAILED if all(embed.colour == render.TROUBLE for embed in embeds) else DONE
        if wanted in self._shown:
            return
        await self._message.add_reaction(wanted)
        self._shown.append(wanted)
        if wanted != SEEN:  # this process's, or an earlier one's
            await self._message.remove_reaction(SEEN, discord.Object(self._me()))

    def _me(self) -> int:
        return int(self._message._state.self_id or 0)

    async def existing(self) -> list[discord.Embed]:
        """Nothing is shown that could be read again."""
        return []

    def record(self) -> JSON:
        """Where the reaction is: it stands for the message."""
        return {"channel": self._channel_id, "message": None, "to": None, "quiet": self._to}


class PrivateReply:
    """A direct message to whoever posted the link; where they take none, a reply in the channel."""

    def __init__(self, user: discord.abc.User, channel_id: int, fallback: MessageReply | None) -> None:
        self._user = user
        self._channel_id = channel_id  # of the link
        self._fallback = fallback
        self._nonce = secrets.token_hex(8)
        self._reply: MessageReply | None = None

    async def show(self, embeds: Sequence[discord.Embed], view: ui.View | None = None) -> None:
        """Write or edit it."""
        if self._reply is not None:
            await self._reply.show(embeds, view)
            return
        try:
            channel = self._user.dm_channel or await self._user.create_dm()  # type: ignore[attr-defined]
            reply = MessageReply(channel, channel.id, nonce=self._nonce, buttons=False)
            await reply.show(embeds, view)
        except discord.Forbidden:
            if self._fallback is None:
                raise
            reply = self._fallback
            await reply.show(embeds, view)
        self._reply = reply

    def record(self) -> JSON:
        """Where it is; before it is written, whose it will be."""
        if self._reply is not None:
            return self._reply.record()
        whose = {"private": self._user.id, "nonce": self._nonce}
        return {"channel": self._channel_id, "message": None, "to": None, **whose}


class PrivateResponse(InteractionReply):
    """The response to an interaction that only who asked can see; a direct message once its token is too old."""

    async def elsewhere(self) -> MessageReply | None:
        """A direct message."""
        channel = await self._interaction.user.create_dm()
        return MessageReply(channel, channel.id, buttons=False)

    def record(self) -> JSON:
        """Whose it is: a later process can edit it while its token lives, and nothing but its token reaches it."""
        if self._ordinary is not None:
            return self._ordinary.record()
        return {**super().record(), "message": None, "private": self._interaction.user.id}


def is_private(interaction: discord.Interaction[Any], chosen: Guild) -> bool:
    """Whether commands are answered to who asked alone."""
    return interaction.guild_id is not None and chosen.answer == "private"
