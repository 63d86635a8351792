"""`/cluster clip`: the group of a clip; without a clip, all groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import render
from bot.commands import _shared as shared
from bot.errands import Wish
from bot.text import ENGLISH

if TYPE_CHECKING:
    from bot.client import Bot


def add(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Put the command into the tree."""

    @tree.command(name="cluster", description=ENGLISH.CLUSTER)
    @app_commands.describe(clip=ENGLISH.OPTION_CLIP)
    async def cluster(interaction: discord.Interaction[Any], clip: shared.ClipName | None = None) -> None:
        async with shared.answering(interaction):
            community, texts = shared.community_of(interaction), shared.texts_of(interaction)
            if clip is None:
                embed = render.clusters(texts, await bot.sim.clustering(community=community))
            elif link := shared.link_in(bot, clip):
                await shared.take(bot, interaction, link, Wish("cluster", language=texts.LANGUAGE))
                return
            else:
                seed = await shared.named(bot, interaction, clip)
                embed = render.cluster(texts, seed, await bot.sim.cluster_of(seed, community=community))
            await interaction.edit_original_response(embed=embed)

    @cluster.autocomplete("clip")
    async def complete(interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await shared.choices(bot, interaction, typed)
