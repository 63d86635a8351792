"""The commands as Discord shows them: descriptions, choices and menus in each user's language; names stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import discord
from discord import app_commands

from bot.text import ENGLISH, LANGUAGES, Texts, for_locale

_Context = app_commands.TranslationContextTypes
_NAMES = app_commands.TranslationContextLocation
_KEPT = (_NAMES.command_name, _NAMES.group_name, _NAMES.parameter_name)


class Translator(app_commands.Translator):
    """Looks an English sentence up in the catalogue of another language."""

    def __init__(self) -> None:
        english = dict(_sentences(ENGLISH))
        self._tables = {
            code: {english[place]: said for place, said in _sentences(texts) if place in english}
            for code, texts in LANGUAGES.items()
            if texts is not ENGLISH
        }

    async def translate(self, string: app_commands.locale_str, locale: discord.Locale, context: _Context) -> str | None:
        """The sentence in this language, or None: then Discord shows the English one."""
        is_menu = isinstance(context.data, app_commands.ContextMenu)
        if context.location in _KEPT and not is_menu:
            return None
        return self._tables.get(for_locale(locale).LANGUAGE, {}).get(string.message)


def _sentences(texts: Texts) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every sentence of a catalogue that stands by itself or in a table, with its place."""
    for name in dir(texts):
        value = getattr(texts, name)
        if name.startswith("_"):
            continue
        if isinstance(value, str):
            yield (name,), value
        elif isinstance(value, Mapping):
            yield from (((name, str(key)), str(said)) for key, said in value.items())
