"""What strangers wrote about a clip, made safe to keep and to show: bounded, and without characters that deceive."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from clipsim.model import Clip

MAX_TITLE = 300  # characters
MAX_NAME = 200  # characters of an artist, album, genre or channel
MAX_WORD = 60  # characters of one keyword or category
MAX_KEYWORDS = 40
MAX_CATEGORIES = 10
MAX_URL = 2000  # characters
MAX_ARTISTS = 4  # named in `artist`; more are left off
MAX_MARKS = 3  # combining marks on one letter

JOINERS = {"\u200c", "\u200d"}  # invisible, and yet part of Persian words and of emoji
_DASHES = re.compile(r"\s+[-‐‑–—―]\s+")
_TOPIC = re.compile(r"(.+?)\s+-\s+Topic")
_VEVO = re.compile(r"(.{2,}?)\s*VEVO", re.IGNORECASE)
_HANDLE_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")  # AdeleLaurie → Adele Laurie
_LABELS = r"official|music|lyrics?|video|audio|clip|visuali[sz]er|hd|hq|4k|uhd|1080p|720p|m/?v|with|paroles|letra"
_PACKAGING = re.compile(rf"\s*[(\[]\s*(?:(?:{_LABELS})[\s,/|-]*)+[)\]]", re.IGNORECASE)
_LANGUAGE = re.compile(r"([a-z]{2,3})(?:[-_]([A-Z][a-z]{3}))?(?:[-_]([A-Z]{2}|[0-9]{3}))?(?![A-Za-z0-9])")


def clean(text: object, limit: int = MAX_NAME) -> str | None:
    """One line of at most `limit` characters in NFC, without control characters, direction overrides, lone surrogates
    or piles of combining marks; None where nothing is left."""
    if not isinstance(text, str):
        return None
    kept: list[str] = []
    marks = 0
    for char in unicodedata.normalize("NFC", text[: limit * 4]):
        kind = unicodedata.category(char)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if marks > MAX_MARKS:
            continue
        if kind in ("Cc", "Zl", "Zp", "Zs"):
            kept.append(" ")
        elif kind in ("Cf", "Cs", "Co", "Cn") and char not in JOINERS:
            continue
        else:
            kept.append(char)
    line = " ".join("".join(kept).split())
    return line[:limit].strip().strip("\u200c\u200d") or None


def clean_list(values: object, most: int, limit: int = MAX_WORD) -> tuple[str, ...]:
    """The first `most` distinct values, each cleaned."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return ()
    found: dict[str, str] = {}
    for index, value in enumerate(values):
        if len(found) >= most or index >= most * 10:
            break
        word = clean(value, limit)
        if word:
            found.setdefault(word.casefold(), word)
    return tuple(found.values())


def split_title(title: str) -> tuple[str | None, str]:
    """(artist, title) of "Artist - Title (Official Video)"; artist is None where there is no dash between spaces."""
    bare = _PACKAGING.sub("", title).strip() or title
    parts = _DASHES.split(bare, maxsplit=1)
    if len(parts) == 2 and all(re.search(r"\w", part) for part in parts):
        return parts[0].strip(), parts[1].strip().strip('"“”').strip() or parts[1]
    return None, bare


def artist_of(channel: str | None) -> str | None:
    """The artist whose channel this certainly is ("X - Topic", "XVEVO"), or None."""
    if channel is None:
        return None
    if match := _TOPIC.fullmatch(channel):
        return match.group(1)
    if match := _VEVO.fullmatch(channel):
        name = match.group(1)
        return name if " " in name else _HANDLE_WORDS.sub(" ", name)
    return None


def language(code: object) -> str | None:
    """A BCP 47 code ("en", "pt-BR") out of yt-dlp's ("en-US-nP7-2PuUl7o", "pt_BR", "a-en", "en-orig"), or None."""
    if not isinstance(code, str):
        return None
    match = _LANGUAGE.match(code.removeprefix("a-"))
    if match is None or match.group(1) in ("und", "zxx", "mul"):
        return None
    return "-".join(part for part in match.groups() if part)


def duration(value: object) -> float | None:
    """Seconds, where it is a number that a clip can last."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value > 0 else None


def web_address(value: object) -> str | None:
    """An https (or http) address, bounded; None for anything else."""
    if not isinstance(value, str) or len(value) > MAX_URL or not value.isascii() or not value.isprintable():
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme in ("https", "http") and parts.hostname and " " not in value else None


def clip_from(info: Mapping[str, Any], *, id: str, url: str | None) -> Clip:
    """A clip's metadata out of yt-dlp's: `track` before `title`, and the artist from wherever it can be told."""
    channel = clean(info.get("channel") or info.get("uploader"))
    whole = clean(info.get("title"), MAX_TITLE) or id
    artists = clean_list(info.get("artists"), MAX_ARTISTS, MAX_NAME)
    artist = clean(", ".join(artists)) or clean(info.get("artist")) or artist_of(channel)
    track = clean(info.get("track"), MAX_TITLE)
    guessed, rest = split_title(whole)
    if track:
        title = track
        artist = artist or guessed
    elif artist is None:
        artist, title = guessed, (rest if guessed else whole)
    else:  # the title may repeat an artist that we know
        title = rest if guessed and guessed.casefold() == artist.casefold() else whole
    genres = clean_list(info.get("genres"), 3)
    return Clip(
        id=id,
        title=title,
        artist=artist,
        album=clean(info.get("album")),
        genre=clean(", ".join(genres)) or clean(info.get("genre")),
        keywords=clean_list(info.get("tags"), MAX_KEYWORDS),
        categories=clean_list(info.get("categories"), MAX_CATEGORIES),
        channel=channel,
        url=url,
        thumbnail=web_address(info.get("thumbnail")),
        duration=duration(info.get("duration")),
        language=language(info.get("language")),
    )
