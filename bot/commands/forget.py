"""`/forget`: a clip, by whoever posted it or a manager; or everything that one added oneself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands, ui

from bot import guilds, render
from bot.commands import _shared as shared
from bot.text import ENGLISH, Texts, Told

if TYPE_CHECKING:
    import re

    from bot.client import Bot

PREFIX = "forget:"


def add(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Put the command into the tree."""
    bot.add_dynamic_items(Decision)

    @tree.command(name="forget", description=ENGLISH.FORGET)
    @app_commands.describe(clip=ENGLISH.OPTION_FORGET, everything=ENGLISH.OPTION_EVERYTHING)
    async def forget(
        interaction: discord.Interaction[Any], clip: shared.ClipName | None = None, everything: bool = False
    ) -> None:
        async with shared.answering(interaction, private=True):
            texts = shared.texts_of(interaction)
            if everything:
                await _ask(bot, interaction, texts)
            elif clip is None:
                raise Told("unknown-clip", texts.FORGET_WHAT)
            else:
                await _forget(bot, interaction, texts, clip)

    @forget.autocomplete("clip")
    async def complete(interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await shared.choices(bot, interaction, typed)


async def _forget(bot: Bot, interaction: shared.Interaction, texts: Texts, named: str) -> None:
    """One clip. Raises Told where it is not theirs to forget."""
    community = shared.community_of(interaction)
    link = shared.link_in(bot, named)
    clip = await shared.named(bot, interaction, str(link[0].url) if link else named)
    posted = await bot.sim.post(clip, community=community)
    theirs = posted is not None and posted.by == str(interaction.user.id)
    if posted is None or not (theirs or guilds.may_manage(interaction)):
        raise Told("not-permitted", texts.NOT_YOURS)
    await bot.sim.remove(clip, community=community)
    await interaction.edit_original_response(content=texts.forgotten(render.safe(render.name(texts, clip), 200)))


async def _ask(bot: Bot, interaction: shared.Interaction, texts: Texts) -> None:
    """Say what there is, and ask again."""
    counts = await bot.sim.belongings(str(interaction.user.id), community=_where(interaction))
    if not any(counts.values()):
        await interaction.edit_original_response(content=texts.NOTHING_OF_YOURS)
        return
    view = ui.View(timeout=None)
    for answer, label, style in (
        ("yes", texts.FORGET_YES, discord.ButtonStyle.danger),
        ("no", texts.KEEP, discord.ButtonStyle.secondary),
    ):
        view.add_item(Decision(ui.Button(custom_id=f"{PREFIX}{answer}", label=label, style=style)))
    sentence = texts.forget_ask(counts, everywhere=interaction.guild_id is None)
    await interaction.edit_original_response(content=sentence, view=view)


def _where(interaction: shared.Interaction) -> str | None:
    """The community that is meant; in a direct message: all of them."""
    return None if interaction.guild_id is None else shared.community_of(interaction)


class Decision(ui.DynamicItem[ui.Button[Any]], template=rf"{PREFIX}(?P<answer>yes|no)"):
    """Yes or no; only who asked sees the buttons, and it is their own that goes."""

    @classmethod
    async def from_custom_id(
        cls, interaction: shared.Interaction, item: ui.Item[Any], match: re.Match[str]
    ) -> Decision:
        """One of the two."""
        return cls(item)  # type: ignore[arg-type]

    async def callback(self, interaction: shared.Interaction) -> None:
        """Forget it all, or keep it."""
        texts = shared.texts_of(interaction)
        try:
            await interaction.response.defer()
            if self.custom_id != f"{PREFIX}yes":
                await interaction.edit_original_response(content=texts.FORGET_KEPT, view=None)
                return
            user = str(interaction.user.id)
            counts = await interaction.client.sim.forget_user(user, community=_where(interaction))
            await interaction.edit_original_response(content=texts.forgot_all(counts), view=None)
        except Exception as error:
            await shared.explain(interaction, error)
