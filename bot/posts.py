"""Messages with links: posted, edited, deleted. What is answered, where, and what is left again.

One reply answers all links of a message. An edit that adds a link has it answered; one that takes a link away, and the
deletion of the message, leave what was not begun. (What is being fetched already is fetched: others may want it.)
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import discord

from bot import gate, links, places
from bot.commands import playlist
from bot.errands import Wish
from bot.guilds import community
from clipsim.errors import ClipSimError

if TYPE_CHECKING:
    from bot.client import Bot
    from bot.guilds import Guild
    from clipsim.sources import Source

log = logging.getLogger(__name__)

REMEMBERED = 5000  # messages of which the links are remembered that were answered
LATE = timedelta(days=1)  # a message that is older is not answered because of an edit
KINDS = (discord.MessageType.default, discord.MessageType.reply)


class Posts:
    """The messages that this process has answered."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._answered: OrderedDict[int, set[str]] = OrderedDict()  # message id -> ids of the clips
        self._began = discord.utils.utcnow()
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()  # what happens to one message

    async def posted(self, message: discord.Message) -> None:
        """Answer the links of a new message."""
        if self._concerns(message):
            async with self._turn(message.id):
                await self._answer(message, links.find(message.content, self._bot.hosts))
                await self._offer(message)

    async def edited(self, message: discord.Message) -> None:
        """Answer the links that an edit added, and leave those that it took away."""
        if self._concerns(message, edited=True):
            async with self._turn(message.id):
                await self._follow(message)

    async def deleted(self, message_id: int) -> None:
        """Leave what was not begun, and take the reply away."""
        async with self._turn(message_id):
            jobs = await self._jobs(message_id)
            self._answered.pop(message_id, None)
            for job in jobs:
                await self._bot.errands.withdraw(job)
            if jobs:
                await self._take_back(message_id, jobs)

    def _turn(self, message_id: int) -> asyncio.Lock:
        """What happens to a message waits for what happened to it before."""
        return self._turns.setdefault(message_id, asyncio.Lock())

    async def _follow(self, message: discord.Message) -> None:
        found = links.find(message.content, self._bot.hosts)
        jobs = await self._jobs(message.id)
        there = {source.id for source in found}
        known = self._answered.get(message.id, set()) | {self._clip_id(job) for job in jobs}
        if gone := [job for job in jobs if self._clip_id(job) not in there]:
            await self._leave(message.id, gone, [job for job in jobs if job not in gone])
        self._answered.get(message.id, set()).intersection_update(there)  # what comes back is new
        new = [source for source in found if source.id not in known]
        if new and discord.utils.utcnow() - message.created_at < LATE:
            await self._answer(message, new)

    def _concerns(self, message: discord.Message, *, edited: bool = False) -> bool:
        """Whether a message may be answered at all."""
        if message.author.bot or message.webhook_id or not (message.content or edited):
            return False
        if message.type not in KINDS:
            return False
        channel = message.channel
        parent = channel.parent_id if isinstance(channel, discord.Thread) else None
        return self._chosen(message).watches(channel.id, parent)

    def _chosen(self, message: discord.Message) -> Guild:
        return self._bot.chosen.of(message.guild.id if message.guild else None)

    async def _answer(self, message: discord.Message, found: Sequence[Source]) -> None:
        if not found:
            return
        chosen = self._chosen(message)
        texts = chosen.texts(message.guild and message.guild.preferred_locale)
        allowed = places.allowed_in(message)
        reply = await places.choose(message, chosen, texts, allowed)
        if reply is None:
            log.info("message=%d has links, but the bot may not write in channel=%d", message.id, message.channel.id)
            return
        self._remember(message.id, found)
        guild = message.guild.id if message.guild else None
        whose = community(guild, message.author.id)
        permissions = getattr(message.author, "guild_permissions", discord.Permissions.none())
        try:
            admission = await gate.admit(
                self._bot.sim,
                chosen,
                texts,
                found,
                community=whose,
                user=message.author,
                permissions=permissions,
                now=discord.utils.utcnow(),
            )
        except ClipSimError as error:  # each link will say so
            log.warning("message=%d cannot be judged code=%s: %s", message.id, error.code, error)
            admission = gate.Admission()
        wish = Wish(k=chosen.count, language=texts.LANGUAGE, post=message.id, where=message.channel.id, guild=guild)
        await self._bot.errands.take(
            found, reply, community=whose, requester=str(message.author.id), wish=wish, admission=admission
        )

    async def _offer(self, message: discord.Message) -> None:
        """Offer to add the clips of a playlist, to somebody who may have that done, and where it can be said."""
        found = links.playlists(message.content)
        chosen, allowed = self._chosen(message), places.allowed_in(message)
        permissions = getattr(message.author, "guild_permissions", None)
        manages = permissions is None or permissions.manage_guild or permissions.administrator
        if not (found and manages and chosen.playlist and allowed.send_messages):
            return
        if chosen.answer in ("channel", "thread"):  # elsewhere the message menu offers it
            texts = chosen.texts(message.guild and message.guild.preferred_locale)
            reference = message.to_reference(fail_if_not_exists=False) if allowed.read_message_history else None
            content, view = playlist.offer(texts, found[0], chosen.playlist)
            await message.channel.send(content, view=view, reference=reference)  # type: ignore[arg-type]

    def _remember(self, message_id: int, found: Sequence[Source]) -> None:
        self._answered.setdefault(message_id, set()).update(source.id for source in found)
        self._answered.move_to_end(message_id)
        while len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)

    async def _jobs(self, message_id: int) -> list[Any]:
        """The jobs of a message; the library is asked only where there may be some."""
        earlier = discord.utils.snowflake_time(message_id) < self._began
        if message_id not in self._answered and not earlier and len(self._answered) < REMEMBERED:
            return []
        try:
            return list(await self._bot.sim.jobs_answering("post", message_id))
        except ClipSimError as error:
            log.warning("message=%d its jobs cannot be read code=%s: %s", message_id, error.code, error)
            return []

    async def _leave(self, message_id: int, gone: Sequence[Any], kept: Sequence[Any]) -> None:
        """Links that a message no longer has; where nothing else is answered, the reply goes too."""
        left = [await self._bot.errands.withdraw(job) for job in gone]
        if all(left) and not kept:
            await self._take_back(message_id, gone)

    async def _take_back(self, message_id: int, jobs: Sequence[Any]) -> None:
        """Delete the replies to a message: those that this process writes, and those that its jobs name."""
        rows = [*(await self._bot.errands.abandon(message_id)), *(job.reply or {} for job in jobs)]
        for channel, message in {(row["channel"], row["message"]) for row in rows if row.get("message")}:
            try:
                await self._bot.get_partial_messageable(channel).get_partial_message(message).delete()
            except (discord.HTTPException, OSError) as error:
                log.info("reply=%s could not be deleted: %s", message, error)

    def _clip_id(self, job: Any) -> str:
        """The clip that a job's link names."""
        found = links.find(str(job.source), self._bot.hosts)
        return found[0].id if found else str(job.source)
