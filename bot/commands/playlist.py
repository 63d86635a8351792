"""A link to a playlist: the offer to add its clips, and the buttons that begin and stop that. For managers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import ui

from bot import gate, guilds, render
from bot.commands import _shared as shared
from bot.imports import Import
from bot.text import Texts, Told

if TYPE_CHECKING:
    import re

    from discord import app_commands

    from bot.client import Bot

ADD, DECLINE, CANCEL = "playlist:add:", "playlist:no", "playlist:cancel"


def add(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Have the buttons work, those of earlier processes too."""
    bot.add_dynamic_items(Press)


def offer(texts: Texts, playlist: str, most: int) -> tuple[str, ui.View]:
    """The question under a link to a playlist, and its buttons."""
    view = ui.View(timeout=None)
    primary = discord.ButtonStyle.primary
    view.add_item(Press(ui.Button(custom_id=f"{ADD}{playlist}", label=texts.playlist_add(most), style=primary)))
    view.add_item(Press(ui.Button(custom_id=DECLINE, label=texts.NO_THANKS)))
    return texts.playlist_offer(most), view


def cancelling(texts: Texts) -> ui.View:
    """The button that stops an import."""
    view = ui.View(timeout=None)
    view.add_item(Press(ui.Button(custom_id=CANCEL, label=texts.PLAYLIST_CANCEL)))
    return view


class Press(ui.DynamicItem[ui.Button[Any]], template=r"playlist:(?:add:[\w-]{10,80}|no|cancel)"):
    """One of the buttons."""

    @classmethod
    async def from_custom_id(cls, interaction: shared.Interaction, item: ui.Item[Any], match: re.Match[str]) -> Press:
        """Whichever was pressed."""
        return cls(item)  # type: ignore[arg-type]

    async def callback(self, interaction: shared.Interaction) -> None:
        """Begin, decline or stop."""
        texts = shared.texts_of(interaction)
        try:
            await self._pressed(interaction, texts)
        except Exception as error:
            await shared.explain(interaction, error)

    async def _pressed(self, interaction: shared.Interaction, texts: Texts) -> None:
        message = interaction.message
        assert message is not None  # a button is on one
        it = interaction.client.imports.of(message.id)
        owns = it is not None and it.owner == interaction.user.id
        if not (owns or interaction.guild_id is None or guilds.may_manage(interaction)):
            raise Told("not-permitted", texts.MANAGERS_ONLY)
        await interaction.response.defer()
        if self.custom_id == DECLINE:
            await interaction.edit_original_response(content=texts.PLAYLIST_DECLINED, view=None)
        elif self.custom_id != CANCEL:
            await interaction.edit_original_response(content=texts.PLAYLIST_LISTING, view=None)
            await _begin(interaction, texts, message, self.custom_id.removeprefix(ADD))
        elif it is not None:
            await interaction.client.imports.cancel(it)
        else:  # it is over, and its message could not be told
            await interaction.edit_original_response(view=None)


async def _begin(interaction: shared.Interaction, texts: Texts, message: discord.Message, playlist: str) -> None:
    """List the playlist, and take those of its clips that are new and may be added."""
    bot: Bot = interaction.client
    chosen, community = shared.chosen_by(interaction), shared.community_of(interaction)
    try:
        listing = await bot.sim.listing(playlist, max(1, chosen.playlist))
        admission = await gate.admit(
            bot.sim,
            chosen,
            texts,
            listing.clips,
            community=community,
            user=interaction.user,
            permissions=interaction.permissions,
            now=discord.utils.utcnow(),
        )
        new = [clip for clip in listing.clips if clip.id not in admission.known and clip.id not in admission.refused]
        if not new:
            refusal = next(iter(admission.refused.values()), None)
            said = texts.PLAYLIST_KNOWN if refusal is None else render.problem(texts, refusal)
            await interaction.edit_original_response(content=said)
            return
        if message.flags.ephemeral:  # it could not be edited for long
            message = await (await interaction.user.create_dm()).send(texts.PLAYLIST_LISTING)
            await interaction.edit_original_response(content=texts.PLAYLIST_PRIVATELY)
        listed = max(listing.total or 0, len(listing.clips))
        it = Import(
            message.id,
            message.channel.id,
            interaction.user.id,
            community,
            listing.title or "",
            len(new),
            texts,
            listed=listed if listed > len(listing.clips) or admission.refused else 0,
        )
        await bot.imports.begin(it, new)
    except Exception:
        await interaction.edit_original_response(content=texts.PLAYLIST_DECLINED)
        raise
