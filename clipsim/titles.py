"""Titles and artists as strangers write them: what song is meant, and which clip is named.

Two clips are the same song when artist and title agree after what is said *about* the upload is taken away: "(Official
Video)", "[Lyrics]", "HD", "feat. …", and also "(Live)" and "(2011 Remaster)", since people who ask what to play next do
not want the same song again in another take. A remix, cover, acoustic, instrumental or sped-up version is another song.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from clipsim.model import Clip

LONGEST = 200  # characters of a title, or of what someone typed, that are compared
CUT_OFF = 72.0  # rapidfuzz WRatio, 0 to 100, below which a title is not what was meant

# Folded: lower case, no accents.
# fmt: off
# about the upload, not the song
ABOUT = frozenset({
    "official", "officiel", "oficial", "lyric", "lyrics", "letra", "legendado", "subtitulado", "visualizer",
    "visualiser", "remaster", "remastered", "reupload", "hd", "hq", "uhd", "4k", "8k", "720p", "1080p", "mv",
    "explicit", "feat", "ft", "featuring", "prod",
})
# about the upload where nothing else is said
WEAK = frozenset({
    "audio", "video", "videoclip", "clip", "clipe", "full", "music", "version", "original", "clean", "the", "with",
    "only",
})
# another song, or another rendering that is heard as one
OTHER_SONG = frozenset({
    "remix", "cover", "acoustic", "instrumental", "karaoke", "sped", "slowed", "nightcore", "mashup", "medley",
    "edit", "8d", "reverb", "parody", "reaction", "tutorial", "demo", "bootleg", "mix",
})
# another take of the same song
LIVE = ("live", "en vivo", "ao vivo", "en directo", "unplugged")
AFTER_LIVE = frozenset({
    "at", "in", "from", "on", "performance", "session", "sessions", "version", "video", "acoustic", "e", "y", "and",
})
# fmt: on

_BRACKETS = re.compile(r"[(\[{【「]([^()\[\]{}【】「」]*)(?:[)\]}】」]|$)")
_PARTS = re.compile(r"\s+(?:[-–—]+|\|+|//)\s+")
_WORD_TAIL = re.compile(
    r"\s+(?:official (?:music |lyrics? )?(?:video|audio)|official|(?:music|lyrics?) video|with lyrics|hd|hq|4k|mv)$"
)
_FEATURING = re.compile(r"\s+(?:feat|ft|featuring)\b\.?.*$")
_CHANNEL = re.compile(r"(?:\s+[-–—]\s+topic|vevo)$")
_SPLIT = re.compile(r"\s+[-–—]\s+")


def printable(text: object) -> str:
    """A stranger's text without control characters and marks that turn the text around it. Markup stays as it is."""
    return "".join(char for char in str(text) if char.isprintable())


def fold(text: str) -> str:
    """One spelling for what looks alike: compatibility forms, case, accents and runs of spaces do not count."""
    text = unicodedata.normalize("NFKD", text[: 2 * LONGEST]).casefold()
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return " ".join(text.split())[:LONGEST]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text))


def artist_key(artist: str | None) -> str | None:
    """The main artist, folded: no guests, no "- Topic", no "VEVO". None for an unknown one."""
    if not artist:
        return None
    folded = _CHANNEL.sub("", fold(artist))
    return _plain(_FEATURING.sub("", folded)) or folded or None


def _about(text: str) -> bool:
    """Whether this part of a title, folded, speaks of the upload or the take rather than names the song."""
    words = re.findall(r"\w+", text)
    if not words or OTHER_SONG.intersection(words):
        return not words
    if ABOUT.intersection(words) or WEAK.issuperset(words):
        return True
    plain = " ".join(words)
    for live in LIVE:
        after = plain.removeprefix(live).split()
        if plain == live or (plain.startswith(f"{live} ") and (after[0] in AFTER_LIVE or after[0].isdigit())):
            return True
    return words[-1] == "live"


def title_key(title: str) -> str:
    """The title, folded, without what is said about the upload (see the module)."""
    whole = fold(title)
    text = _BRACKETS.sub(lambda found: " " if _about(found.group(1)) else f" {found.group(1)} ", whole)
    first, *parts = _PARTS.split(" ".join(text.split()))
    text = " ".join([first, *(part for part in parts if not _about(part))])
    for tail in (_FEATURING, _WORD_TAIL, _WORD_TAIL):  # twice: "Official Video HD"
        text = tail.sub("", text)
    return _plain(text) or _plain(whole) or whole


@lru_cache(maxsize=4096)
def _song(title: str, artist: str | None) -> tuple[str, str] | None:
    who = artist_key(artist)
    parts = _SPLIT.split(fold(title), maxsplit=1)
    if len(parts) == 2 and parts[1]:
        left = artist_key(parts[0])
        if who is None and left is not None:
            return left, title_key(parts[1])
        if who is not None and left == who:
            return who, title_key(parts[1])
    return None if who is None else (who, title_key(title))


def song(clip: Clip) -> tuple[str, str] | None:
    """Whose song it is, and which: equal for two uploads of one. None where the artist is anyone's guess."""
    return _song(clip.title[: 2 * LONGEST], clip.artist[: 2 * LONGEST] if clip.artist else None)


def ranked(text: str, titles: Sequence[str], limit: int) -> list[tuple[int, float]]:
    """Positions in `titles` of those that `text` may mean, and how well (0 to 100): best first, `limit` at most."""
    from rapidfuzz import fuzz, process

    wanted = fold(text)
    if not wanted or not any(letter.isalnum() for letter in wanted):
        return []
    found = process.extract(
        wanted, [fold(title) for title in titles], scorer=fuzz.WRatio, limit=limit, score_cutoff=CUT_OFF
    )
    return [(position, score) for _, score, position in found]
