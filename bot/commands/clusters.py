"""`/cluster clip`: the group of a clip; without a clip, all groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot.commands import _shared as shared
from bot.errands import Wish
from bot.text import ENGLISH
from bot.views import clusters

if TYPE_CHECKING:
    from bot.client import Bot


def add(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Put the command into the tree."""

    @tree.command(name="cluster", description=ENGLISH.CLUSTER)
    @app_commands.describe(clip=ENGLISH.OPTION_CLIP)
    async def cluster(interaction: discord.Interaction[Any], clip: shared.ClipName | None = None) -> None:
        async with shared.answering(interaction):
            if clip is None:
                await clusters.show_all(interaction)
            elif link := await shared.new_link(bot, interaction, clip):
                language = shared.texts_of(interaction).LANGUAGE
                await shared.take(bot, interaction, link, Wish("cluster", language=language))
            else:
                await clusters.show_clip(interaction, await shared.clip_named(bot, interaction, clip))

    @cluster.autocomplete("clip")
    async def complete(interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await shared.choices(bot, interaction, typed)
