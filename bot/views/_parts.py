"""What all views are made of: whose a message is, rows of parts within Discord's limits, links that play a list."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import discord
from discord import ui

from bot import asking, render
from bot.asking import Interaction
from bot.text import Texts
from clipsim.model import Clip, watch_links

log = logging.getLogger(__name__)

LABEL = 80  # characters of a button
OPTION = 100  # of an option's label, value and description
OPTIONS = 25  # of a select
PLACEHOLDER = 150
BUTTONS = 5  # in a row
PLAYED = 38  # clips that one link plays: a button's address has 512 characters
PLAYS = 3  # such links of one list

Item = ui.Item[Any]
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def short(number: int) -> str:
    """A user's id in 13 characters at most, for a custom_id; `int(text, 36)` reads it."""
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


@asynccontextmanager
async def pressed(interaction: Interaction, owner: int | None = None) -> AsyncIterator[None]:
    """Acknowledge before anything else. Errors are told to who presses alone.

    The response that is then edited is the message itself where it is theirs, or private; else a private copy. `owner`
    None: it is nobody's.
    """
    message = interaction.message
    private = message is not None and message.flags.ephemeral
    try:
        if private or interaction.user.id == owner:
            await interaction.response.defer()
        else:
            await interaction.response.defer(thinking=True, ephemeral=True)
        yield
    except discord.NotFound as error:
        log.info("interaction=%d what was pressed is gone: %s", interaction.id, error)
    except Exception as error:
        await asking.explain(interaction, error)


def picked(interaction: Interaction) -> str:
    """What was picked from a select; nothing where nothing was."""
    data: Any = interaction.data or {}
    return next((str(value) for value in data.get("values", ())), "")


def button(
    custom_id: str, label: str, style: discord.ButtonStyle = discord.ButtonStyle.secondary, *, off: bool = False
) -> ui.Button[Any]:
    """A button; `off`: it cannot be pressed."""
    return ui.Button(custom_id=custom_id, label=render.cut(label, LABEL), style=style, disabled=off)


def link(label: str, url: str | None) -> list[ui.Button[Any]]:
    """A button that opens an address; none where that is none that may be shown."""
    target = render.address(url)
    return [ui.Button(label=render.cut(label, LABEL), url=target)] if target else []


def plays(texts: Texts, clips: Iterable[Clip | str]) -> list[ui.Button[Any]]:
    """Buttons that play a list on YouTube: one, or several where it is too long for one address."""
    addresses = watch_links(clips, PLAYED)
    if len(addresses) < 2:
        return [play for url in addresses for play in link(f"▶ {texts.PLAY_ALL}", url)]
    found: list[ui.Button[Any]] = []
    first = 1
    for url in addresses[:PLAYS]:
        last = first + url.count(",")
        found += link(f"▶ {texts.play_part(first, last)}", url)
        first = last + 1
    return found


def option(
    value: str, label: str, description: str = "", *, emoji: str | None = None, chosen: bool = False
) -> discord.SelectOption:
    """One option of a select; what it says is cut to Discord's limits."""
    return discord.SelectOption(
        value=value,
        label=render.cut(render.clean(label), OPTION) or "–",
        description=render.cut(render.clean(description), OPTION) or None,
        emoji=emoji,
        default=chosen,
    )


def select(custom_id: str, placeholder: str, options: Sequence[discord.SelectOption]) -> list[Item]:
    """A select of one of these; none where there is nothing to pick. No value comes twice."""
    known = {each.value: each for each in options}
    shown = list(known.values())[:OPTIONS]
    if not shown:
        return []
    return [ui.Select(custom_id=custom_id, placeholder=render.cut(placeholder, PLACEHOLDER), options=shown)]


def together(*rows: Sequence[Item]) -> list[Sequence[Item]]:
    """These rows of buttons as one where it has room for them."""
    one = [item for row in rows for item in row]
    return [one] if len(one) <= BUTTONS else list(rows)


def view(rows: Iterable[Sequence[Item]], *presses: Callable[[Item], Item]) -> ui.View:
    """A view of these rows; the empty ones are left out. Of `presses` the first takes each part whose name it knows."""
    made = ui.View(timeout=None)
    for number, row in enumerate(row for row in rows if row):
        for item in row[:BUTTONS]:
            item.row = number
            made.add_item(_taken(item, presses))
    return made


def _taken(item: Item, presses: Sequence[Callable[[Item], Item]]) -> Item:
    if not item.is_dispatchable():
        return item
    for press in presses:
        template = press.__discord_ui_compiled_template__  # type: ignore[attr-defined]
        if template.fullmatch(item.custom_id):  # type: ignore[attr-defined]
            return press(item)
    raise ValueError(f"nobody knows {item.custom_id}")  # type: ignore[attr-defined]
