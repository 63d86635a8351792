"""`/similar clip count by`, and the message menu "Find similar clips"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import links
from bot.commands import _shared as shared
from bot.commands import playlist
from bot.errands import Wish
from bot.text import ENGLISH, Told
from bot.views import similar as answers

if TYPE_CHECKING:
    from bot.client import Bot
    from clipsim.model import By

MOST = 10  # clips in one answer


def add(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Put the commands into the tree."""

    @tree.command(name="similar", description=ENGLISH.SIMILAR)
    @app_commands.describe(clip=ENGLISH.OPTION_CLIP, count=ENGLISH.OPTION_COUNT, by=ENGLISH.OPTION_BY)
    @app_commands.choices(by=[app_commands.Choice(name=name, value=value) for value, name in ENGLISH.BY.items()])
    async def similar(
        interaction: discord.Interaction[Any],
        clip: shared.ClipName,
        count: app_commands.Range[int, 1, MOST] | None = None,
        by: str = "all",
    ) -> None:
        async with shared.answering(interaction):
            texts = shared.texts_of(interaction)
            count = count or shared.chosen_by(interaction).count
            way: By = next(value for value in ENGLISH.BY if value == by)
            if link := await shared.new_link(bot, interaction, clip):
                await shared.take(bot, interaction, link, Wish("similar", count, way, texts.LANGUAGE))
                return
            seed = await shared.clip_named(bot, interaction, clip)
            await answers.show(interaction, answers.Asked(interaction.user.id, seed.id, way, count), clip=seed)

    @similar.autocomplete("clip")
    async def complete(interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await shared.choices(bot, interaction, typed)

    @tree.context_menu(name=ENGLISH.SIMILAR_MENU)
    async def menu(interaction: discord.Interaction[Any], message: discord.Message) -> None:
        async with shared.answering(interaction):
            texts = shared.texts_of(interaction)
            found = links.of(message, bot.hosts)
            if not found and (lists := links.playlists_of(message)) and shared.may_import(interaction):
                content, view = playlist.offer(texts, lists[0], shared.chosen_by(interaction).playlist)
                await interaction.edit_original_response(content=content, view=view)
                return
            if not found:
                raise Told("unknown-link", texts.NO_LINK)
            await shared.take(
                bot, interaction, found, Wish(k=shared.chosen_by(interaction).count, language=texts.LANGUAGE)
            )
