"""The Discord client: pasted links, slash commands and the message menu. It does none of the work itself."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import commands, metrics, text
from bot.alarm import Alarm
from bot.commands import playlist
from bot.departures import Departures
from bot.errands import Errands
from bot.guilds import Guilds, community
from bot.imports import Imports
from bot.pictures import Pictures
from bot.posts import Posts
from bot.text.commands import Translator

if TYPE_CHECKING:
    from clipsim.core import ClipSim
    from clipsim.settings import Settings

log = logging.getLogger(__name__)

PERMISSIONS = discord.Permissions(**dict.fromkeys(text.PERMISSIONS, True))
UNKNOWN_INTERACTION = 10062

__all__ = ["PERMISSIONS", "Bot", "ShardedBot", "community", "intents", "make"]


def intents(*, message_content: bool) -> discord.Intents:
    """What the bot is told of: guilds, and messages; their content where Discord and the operator allow it."""
    wanted = discord.Intents.none()
    wanted.guilds = True
    wanted.guild_messages = True
    wanted.dm_messages = True
    wanted.message_content = message_content
    return wanted


class Bot(discord.Client):
    """The client of one process. `message_content` says whether pasted links are seen."""

    def __init__(
        self, sim: ClipSim, settings: Settings, *, message_content: bool | None = None, **options: Any
    ) -> None:
        """`options` are discord.py's own, such as `shard_count`."""
        self.message_content = settings.message_content if message_content is None else message_content
        self._requests = metrics.Requests()
        super().__init__(
            http_trace=self._requests.trace(),
            intents=intents(message_content=self.message_content),
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            **options,
        )
        self.sim = sim
        self.hosts = settings.hosts
        self.web_url = settings.web_url
        self.pictures = Pictures(sim)
        self._known: list[re.Pattern[str]] = []  # names of the parts that are understood
        self.errands = Errands(sim, self, workers=settings.workers)
        self.alarm = Alarm(sim, self)
        self.chosen = Guilds(sim)
        self.posts = Posts(self)
        self.imports = Imports(self, playlist.cancelling)
        self.departures = Departures(self, settings.forget_after)
        self._forgetting: asyncio.Task[None] | None = None
        self.tree = Tree(
            self,
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
        )
        commands.add_all(self.tree, self)
        self._resumed = False
        self._sync: asyncio.Task[None] | None = None

    async def setup_hook(self) -> None:
        """Logged in, not yet connected: tell Discord the commands meanwhile."""
        await self.tree.set_translator(Translator())
        await self.chosen.load()
        self._sync = asyncio.create_task(self._sync_commands(), name="sync commands")

    async def _sync_commands(self) -> None:
        try:
            synced = await self.tree.sync()
            log.info("commands=%d known to Discord", len(synced))
        except (discord.DiscordException, OSError) as error:
            log.error("the commands could not be registered, those known from before still work: %s", error)

    async def on_ready(self) -> None:
        """Connected: take up what an earlier process left (once; this event comes again after each reconnection)."""
        log.info("connected user=%s guilds=%d message_content=%s", self.user, len(self.guilds), self.message_content)
        if not self.guilds and self.application_id:
            log.info("no server yet; add the bot with %s", text.invite(self.application_id, PERMISSIONS.value))
        if not self._resumed:
            self._resumed = True
            await self.imports.resume(await self.errands.resume())
            await self.departures.connected()
            self._forgetting = asyncio.create_task(self.departures.run(), name="forget who is gone")

    def add_dynamic_items(self, *items: type[discord.ui.DynamicItem[discord.ui.Item[Any]]]) -> None:
        """Understand these parts of messages, whoever wrote them."""
        super().add_dynamic_items(*items)
        self._known += [item.__discord_ui_compiled_template__ for item in items]

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """A part that nobody understands: its message is an earlier version's."""
        if interaction.type is not discord.InteractionType.component:
            return
        data: Any = interaction.data or {}
        name = str(data.get("custom_id", ""))
        if not any(known.fullmatch(name) for known in self._known):
            log.info("interaction=%d is for a part that is not known: %s", interaction.id, name)
            await commands.whisper(interaction, text.for_locale(interaction.locale).STALE_BUTTON)

    async def on_message(self, message: discord.Message) -> None:
        """Answer the links of a message with one reply."""
        await self.posts.posted(message)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """Follow what its author made of a message; Discord's own edits (previews of links) say nobody edited it."""
        if payload.message.edited_at is not None:
            await self.posts.edited(payload.message)

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Leave what was asked there."""
        await self.posts.deleted(payload.message_id)

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """The same, for many."""
        for message_id in sorted(payload.message_ids):
            await self.posts.deleted(message_id)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Added to a guild, perhaps again."""
        await self.departures.joined(guild.id)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """Within reach again, or for the first time since the connection."""
        await self.departures.joined(guild.id)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Removed from a guild (an outage is another event)."""
        await self.departures.removed(guild.id)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        """An event's handler failed: log it, go on."""
        log.exception("event=%s failed", event_method)

    def state(self) -> dict[str, Any]:
        """For the web page and its health check."""
        lost = self._lost()
        ready = self.is_ready() and not lost
        return {
            "state": "connected" if ready else "connecting",
            "ok": ready,
            "guilds": len(self.guilds),
            "message_content": self.message_content,
            "latency": {str(shard): seconds for shard, seconds in self._latencies() if math.isfinite(seconds)},
            **({"lost": lost} if lost else {}),
        }

    def _latencies(self) -> list[tuple[int, float]]:
        """Seconds between heartbeat and answer, of each connection."""
        return [(0, self.latency)]

    def _lost(self) -> list[int]:
        """The connections that are down just now."""
        return [] if self.ws is not None and self.ws.open else [0]

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Every event comes through here at once: note when an interaction came in."""
        if event == "interaction":
            self._requests.arrived(args[0].id, args[0].type.value)
        super().dispatch(event, *args, **kwargs)

    async def close(self) -> None:
        """Stop taking links, then leave Discord."""
        if self._sync is not None:
            self._sync.cancel()
        if self._forgetting is not None:
            self._forgetting.cancel()
        await self.imports.close()
        await self.errands.close()
        await super().close()


class ShardedBot(Bot, discord.AutoShardedClient):
    """The same over several connections, each with its share of the servers: what Discord asks of large bots."""

    def _latencies(self) -> list[tuple[int, float]]:
        return self.latencies

    def _lost(self) -> list[int]:
        return [number for number, shard in self.shards.items() if shard.is_closed()]


def make(sim: ClipSim, settings: Settings, *, message_content: bool | None = None) -> Bot:
    """The client that the settings ask for: one connection, or (CLIPSIM_SHARDS) several."""
    if settings.shards == "off":
        return Bot(sim, settings, message_content=message_content)
    count = None if settings.shards == "auto" else int(settings.shards)
    return ShardedBot(sim, settings, message_content=message_content, shard_count=count)


class Tree(app_commands.CommandTree[Bot]):
    """The commands, with one place for what goes wrong outside a command's own care."""

    async def on_error(self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /) -> None:
        """Log, and say a sentence if the interaction can still be answered."""
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        if isinstance(cause, discord.NotFound) and cause.code == UNKNOWN_INTERACTION:
            log.warning("interaction=%d came too late to be acknowledged", interaction.id)
            return
        if isinstance(cause, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
            log.warning("interaction=%d is for a command that has changed: %s", interaction.id, cause)
            await commands.whisper(interaction, text.for_locale(interaction.locale).STALE_COMMAND)
            return
        await commands.explain(interaction, cause)
