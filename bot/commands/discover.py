"""`/playlist`, `/path`, `/mix`, `/find`, `/surprise` and `/map`: what to play, and where everything lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import discord
from discord import app_commands

from bot import pages, pictures
from bot.commands import _shared as shared
from bot.text import ENGLISH
from bot.views import _parts as parts
from bot.views import clusters, lists, surprise
from bot.web import looks

if TYPE_CHECKING:
    from bot.client import Bot

MOST = 50  # clips of one playlist
USUAL = 10


def add(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Put the commands into the tree."""

    @tree.command(name="playlist", description=ENGLISH.PLAYLIST)
    @app_commands.describe(clip=ENGLISH.OPTION_CLIP, count=ENGLISH.OPTION_LENGTH)
    async def playlist(
        interaction: discord.Interaction[Any], clip: shared.ClipName, count: app_commands.Range[int, 2, MOST] = USUAL
    ) -> None:
        async with shared.answering(interaction):
            seed = await shared.clip_named(bot, interaction, clip)
            made = await lists.playlist(bot.sim, shared.texts_of(interaction), [seed], count, **_where(interaction))
            await lists.show(interaction, made)

    @tree.command(name="path", description=ENGLISH.PATH)
    @app_commands.describe(start=ENGLISH.OPTION_START, end=ENGLISH.OPTION_END)
    async def path(interaction: discord.Interaction[Any], start: shared.ClipName, end: shared.ClipName) -> None:
        async with shared.answering(interaction):
            ends = [await shared.clip_named(bot, interaction, each) for each in (start, end)]
            made = await lists.path(bot.sim, shared.texts_of(interaction), ends, lists.PATH, **_where(interaction))
            await lists.show(interaction, made)

    @tree.command(name="mix", description=ENGLISH.MIX)
    @app_commands.describe(add=ENGLISH.OPTION_ADD, less=ENGLISH.OPTION_LESS)
    async def mix(
        interaction: discord.Interaction[Any], add: shared.ClipName, less: shared.ClipName | None = None
    ) -> None:
        async with shared.answering(interaction):
            added, subtracted = [await shared.several(bot, interaction, each or "") for each in (add, less)]
            texts = shared.texts_of(interaction)
            made = await lists.mix(bot.sim, texts, added, subtracted, lists.MIX, **_where(interaction))
            await lists.show(interaction, made)

    @tree.command(name="find", description=ENGLISH.FIND)
    @app_commands.describe(words=ENGLISH.OPTION_WORDS)
    async def find(interaction: discord.Interaction[Any], words: app_commands.Range[str, 1, shared.LONGEST]) -> None:
        async with shared.answering(interaction):
            await lists.show(interaction, await lists.find(bot.sim, words, **_where(interaction)))

    @tree.command(name="surprise", description=ENGLISH.SURPRISE)
    async def surprise_(interaction: discord.Interaction[Any]) -> None:
        async with shared.answering(interaction):
            await surprise.show(interaction)

    @tree.command(name="map", description=ENGLISH.MAP)
    async def map_(interaction: discord.Interaction[Any]) -> None:
        async with shared.answering(interaction):
            await _map(bot, interaction)

    async def one(interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await shared.choices(bot, interaction, typed)

    async def some(interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await shared.more_choices(bot, interaction, typed)

    async def names(interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await shared.name_choices(bot, interaction, typed)

    playlist.autocomplete("clip")(one)
    path.autocomplete("start")(one)
    path.autocomplete("end")(one)
    mix.autocomplete("add")(some)
    mix.autocomplete("less")(some)
    find.autocomplete("words")(names)


def _where(interaction: shared.Interaction) -> dict[str, Any]:
    return {"place": shared.place_of(interaction), "community": shared.community_of(interaction)}


async def _map(bot: Bot, interaction: shared.Interaction) -> None:
    """The picture, a link to the page where that has an address, and the groups to walk into."""
    community, texts = shared.community_of(interaction), shared.texts_of(interaction)
    found = await bot.sim.clustering(community=community)  # raises where there are no clips
    files = pictures.attached(interaction, await bot.pictures.map(community))
    count = await bot.sim.count(community=community)
    links, until = [], ""
    if bot.web_url:
        ends = discord.utils.utcnow() + looks.LIFE
        token = looks.sign(await bot.sim.secret(), community, ends)
        links = parts.link(texts.MAP_LINK, urljoin(bot.web_url, f"look/{token}"))
        until = discord.utils.format_dt(ends, "R") if links else ""
    embed = pages.map_page(texts, count, until, pictures.NAME if files else None)
    view = clusters.choose(texts, found, interaction.user.id, links=links)
    await interaction.edit_original_response(embed=embed, view=view, attachments=files)
