"""Every sentence the bot says: one catalogue per language (`english`, `german`), and English alone for `operators`.

A new language is one class that overrides every name of `Texts`, and its instance in `LANGUAGES`; tests do the rest.
"""

from __future__ import annotations

from bot.text.english import NAME, Texts, Told
from bot.text.german import German
from bot.text.operators import (
    NO_CONTENT_INTENT,
    PERMISSIONS,
    REFUSED,
    cannot_listen,
    closed,
    invite,
    page_at,
    port_in_use,
    token_help,
    youtube_pauses,
)

__all__ = [
    "ENGLISH",
    "GERMAN",
    "LANGUAGES",
    "NAME",
    "NO_CONTENT_INTENT",
    "PERMISSIONS",
    "REFUSED",
    "Texts",
    "Told",
    "cannot_listen",
    "closed",
    "for_locale",
    "invite",
    "page_at",
    "port_in_use",
    "token_help",
    "youtube_pauses",
]

ENGLISH, GERMAN = Texts(), German()
LANGUAGES: dict[str, Texts] = {texts.LANGUAGE: texts for texts in (ENGLISH, GERMAN)}


def for_locale(locale: object) -> Texts:
    """The catalogue for a locale: Discord's, its code (`de`, `en-GB`), or None. English where there is no other."""
    code = str(locale or "").lower()
    return LANGUAGES.get(code) or LANGUAGES.get(code.split("-")[0]) or ENGLISH
