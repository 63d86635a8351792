"""`/settings`: what a guild has chosen, in one message of selects and buttons. Each change counts at once.

What the parts of the message change is in their names, and nowhere else: so they work after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands, ui

from bot import guilds, render
from bot.commands import _shared as shared
from bot.guilds import AUTOMATIC, BOUNDS, CHANNELS, Guild
from bot.text import ENGLISH, LANGUAGES, Texts, Told

if TYPE_CHECKING:
    import re

    from bot.client import Bot

WATCHED = [discord.ChannelType.text, discord.ChannelType.news, discord.ChannelType.forum, discord.ChannelType.voice]
LANGUAGE = (AUTOMATIC, *LANGUAGES)  # in the order in which the button goes through them
PREFIX = "settings:"


def add(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Put the command into the tree."""
    bot.add_dynamic_items(Change)

    @tree.command(name="settings", description=ENGLISH.SETTINGS)
    @app_commands.default_permissions(manage_guild=True)
    @app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
    async def settings(interaction: discord.Interaction[Any]) -> None:
        texts = shared.texts_of(interaction)
        try:
            chosen = bot.chosen.of(_managed(interaction, texts))
        except Told as refused:
            await shared.explain(interaction, refused)
            return
        await interaction.response.send_message(embed=page(texts, chosen), view=panel(texts, chosen), ephemeral=True)


def _managed(interaction: shared.Interaction, texts: Texts) -> int:
    """The guild that the interaction is in. Raises Told where that is none, or who asks does not manage it."""
    if interaction.guild_id is None:
        raise Told("not-permitted", texts.SERVERS_ONLY)
    if not guilds.may_manage(interaction):
        raise Told("not-permitted", texts.MANAGERS_ONLY)
    return interaction.guild_id


def page(texts: Texts, chosen: Guild) -> discord.Embed:
    """Every choice in words."""
    role = f"<@&{chosen.role}>" if chosen.role else texts.NO_ROLE
    shown: Mapping[str, str] = {
        "channels": " ".join(f"<#{channel}>" for channel in chosen.channels) or texts.ALL_CHANNELS,
        "answer": texts.ANSWERS[chosen.answer],
        "may_add": texts.MAY_ADD[chosen.may_add] + (f" ({role})" if chosen.may_add == "role" else ""),
        "count": str(chosen.count),
        "per_user": str(chosen.per_user or texts.NO_LIMIT),
        "per_guild": str(chosen.per_guild or texts.NO_LIMIT),
        "playlist": str(chosen.playlist or texts.NOT_OFFERED),
        "language": _language(texts, chosen),
        "shared": texts.SWITCH[chosen.shared],
        "most": texts.SWITCH[chosen.most],
    }
    lines = [f"**{texts.SETTING[name]}**: {value}" for name, value in shown.items()]
    embed = discord.Embed(colour=render.ACCENT, title=texts.SETTINGS_TITLE, description="\n".join(lines))
    return embed.set_footer(text=texts.SETTINGS_FOOTER)


def _language(texts: Texts, chosen: Guild) -> str:
    return texts.AUTOMATIC if chosen.language == AUTOMATIC else LANGUAGES[chosen.language].LANGUAGE_NAME


def panel(texts: Texts, chosen: Guild) -> ui.View:
    """The parts that change them."""
    channels = [discord.SelectDefaultValue.from_channel(discord.Object(channel)) for channel in chosen.channels]
    roles = [discord.SelectDefaultValue.from_role(discord.Object(chosen.role))] if chosen.role else []
    answers = [
        discord.SelectOption(
            label=said, value=value, description=texts.ANSWERS_MORE[value], default=value == chosen.answer
        )
        for value, said in texts.ANSWERS.items()
    ]
    adders = [
        discord.SelectOption(label=said, value=value, default=value == chosen.may_add)
        for value, said in texts.MAY_ADD.items()
    ]
    items: list[ui.Item[Any]] = [
        ui.ChannelSelect(
            custom_id=f"{PREFIX}channels",
            channel_types=WATCHED,
            placeholder=texts.PICK_CHANNELS,
            min_values=0,
            max_values=CHANNELS,
            default_values=channels,
            row=0,
        ),
        ui.Select(custom_id=f"{PREFIX}answer", placeholder=texts.PICK_ANSWER, options=answers, row=1),
        ui.Select(custom_id=f"{PREFIX}may_add", placeholder=texts.PICK_MAY_ADD, options=adders, row=2),
        ui.RoleSelect(
            custom_id=f"{PREFIX}role",
            placeholder=texts.PICK_ROLE,
            min_values=0,
            max_values=1,
            default_values=roles,
            row=3,
        ),
        _button("numbers", texts.NUMBERS),
        _button("language", f"{texts.SETTING['language']}: {_language(texts, chosen)}"),
        _button("shared", f"{texts.SETTING['shared']}: {texts.SWITCH[chosen.shared]}"),
        _button("most", f"{texts.SETTING['most']}: {texts.SWITCH[chosen.most]}"),
    ]
    return _view(items)


def _question(texts: Texts) -> ui.View:
    """Join the shared library, or not."""
    yes = _button("join", texts.SHARE_YES, discord.ButtonStyle.primary)
    return _view([yes, _button("stay", texts.NO_THANKS)])


def _button(name: str, label: str, style: discord.ButtonStyle = discord.ButtonStyle.secondary) -> ui.Button[Any]:
    return ui.Button(custom_id=f"{PREFIX}{name}", label=render.cut(label, 80), style=style, row=4)


def _view(items: list[ui.Item[Any]]) -> ui.View:
    view = ui.View(timeout=None)
    for item in items:
        view.add_item(Change(item))
    return view


class Change(ui.DynamicItem[ui.Item[Any]], template=rf"{PREFIX}(?P<name>[a-z_]+)"):
    """One part of the message: what it is called is what it changes."""

    @classmethod
    async def from_custom_id(cls, interaction: shared.Interaction, item: ui.Item[Any], match: re.Match[str]) -> Change:
        """Whatever was pressed or picked."""
        return cls(item)

    async def callback(self, interaction: shared.Interaction) -> None:
        """Make the change, and show what is so now."""
        texts = shared.texts_of(interaction)
        try:
            guild = _managed(interaction, texts)
            await self._change(interaction, texts, guild)
        except Exception as error:
            await shared.explain(interaction, error)

    async def _change(self, interaction: shared.Interaction, texts: Texts, guild: int) -> None:
        known = interaction.client.chosen
        chosen: Guild = known.of(guild)
        name = self.custom_id.removeprefix(PREFIX)
        if name == "numbers":
            await interaction.response.send_modal(Numbers(texts, chosen))
            return
        await interaction.response.defer()
        if name == "shared" and not chosen.shared:
            asked = discord.Embed(colour=render.ACCENT, title=texts.SETTING["shared"], description=texts.SHARE_ASK)
            await interaction.edit_original_response(embed=asked, view=_question(texts))
            return
        given: Any = interaction.data or {}
        if changes := _changes(name, [str(value) for value in given.get("values", ())], chosen):
            chosen = await known.change(guild, **changes)
        await interaction.edit_original_response(embed=page(texts, chosen), view=panel(texts, chosen))


def _changes(name: str, picked: list[str], chosen: Guild) -> dict[str, Any]:
    """What a press or a pick means for the choices."""
    match name:
        case "channels":
            return {"channels": tuple(int(channel) for channel in picked)}
        case "answer" | "may_add" if picked:
            return {name: picked[0]}
        case "role":
            return {"role": int(picked[0]), "may_add": "role"} if picked else {"role": None}
        case "language":
            return {"language": LANGUAGE[(LANGUAGE.index(chosen.language) + 1) % len(LANGUAGE)]}
        case "shared":
            return {"shared": False}
        case "join":
            return {"shared": True}
        case "most":
            return {"most": not chosen.most}
    return {}


class Numbers(ui.Modal):
    """The choices that are numbers, typed in."""

    def __init__(self, texts: Texts, chosen: Guild) -> None:
        super().__init__(title=texts.NUMBERS_TITLE, custom_id=f"{PREFIX}typed")
        self._texts = texts
        self._fields: dict[str, ui.TextInput[Numbers]] = {}
        for name, (least, most) in BOUNDS.items():
            field: ui.TextInput[Numbers] = ui.TextInput(
                label=render.cut(f"{texts.SETTING[name]} ({least}–{most})", 45),
                custom_id=name,
                default=str(getattr(chosen, name)),
                max_length=len(str(most)),
            )
            self._fields[name] = field
            self.add_item(field)

    async def on_submit(self, interaction: shared.Interaction) -> None:
        """Keep them if all of them can be kept."""
        texts = self._texts
        try:
            guild = _managed(interaction, texts)
            typed = {name: _whole(texts, name, str(field.value)) for name, field in self._fields.items()}
            await interaction.response.defer()
            chosen = await interaction.client.chosen.change(guild, **typed)
            await interaction.edit_original_response(embed=page(texts, chosen), view=panel(texts, chosen))
        except Exception as error:
            await shared.explain(interaction, error)


def _whole(texts: Texts, name: str, typed: str) -> int:
    """The number that was typed. Raises Told where it is none, or out of bounds."""
    least, most = BOUNDS[name]
    text = typed.strip()
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise Told("setting", texts.between(name, least, most))
    return int(text)
