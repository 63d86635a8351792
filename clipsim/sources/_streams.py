"""Which of a clip's many streams are fetched: the smallest that lose nothing an encoder would notice.

Sound. The 257 features look at 0 to 11 kHz, musicnn at 0 to 8 kHz. Measured as the cosine between a recording's
standardised features before and after coding, mean of 15 songs (librosa, musicnn): Opus at 50 kbit/s 0.944, 0.936; at
66: 0.958, 0.947; at 130: 0.969, 0.951; AAC-LC at 128: 0.958, 0.937; at 48: 0.923, 0.921. So: the smallest of at least
`MIN_KBPS`, Opus before AAC of about its size, else the best below. HE-AAC (139) makes up its treble and comes last. A
copy whose loudness was evened out ("DRC") or that was dubbed is another recording, and is taken only where there is
no other.

Picture. I3D looks at a 224 crop of a 256 short side, r3d_18 at 112 of 128: the smallest stream whose short side has
at least `MIN_LINES`, else the tallest below. Short side, so that an upright clip is not fetched in its full height.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Format = Mapping[str, Any]  # one of yt-dlp's `formats`

MIN_KBPS = 60.0  # kbit/s of sound; YouTube's 250 (nominally 70) is above it, 249 and 139 (nominally 50) are below
MIN_LINES = 240  # pixels of the short side
PLAIN = frozenset({"http", "https"})
NATIVE = PLAIN | {"m3u8", "m3u8_native", "http_dash_segments"}  # fetched by yt-dlp itself, without ffmpeg
AAC_HANDICAP = 1.25  # an AAC stream must be this much smaller than an Opus stream to be worth as much
MADE_UP_TREBLE = ("mp4a.40.5", "mp4a.40.29")  # HE-AAC, HE-AAC v2


@dataclass(frozen=True, slots=True)
class Choice:
    """The streams to fetch: two, or one (either may be None), or one that is both."""

    audio: Format | None
    video: Format | None

    @property
    def formats(self) -> tuple[Format, ...]:
        """Each stream once."""
        if self.audio is self.video:
            return () if self.audio is None else (self.audio,)
        return tuple(item for item in (self.audio, self.video) if item is not None)

    def size(self, duration: float | None) -> int | None:
        """Bytes of all streams together, as far as the source declares them; None where it declares none."""
        sizes = [size_of(item, duration) for item in self.formats]
        known = [size for size in sizes if size is not None]
        return int(sum(known)) if known else None


def choose(formats: Sequence[Format], duration: float | None = None) -> Choice:
    """The smallest adequate streams. With sound and picture apart: two; else the one stream that has both."""
    usable = [item for item in formats if _usable(item)]
    audio = _pick_audio([item for item in usable if _has(item, "acodec") and not _has(item, "vcodec")], duration)
    video = _pick_video([item for item in usable if _has(item, "vcodec") and not _has(item, "acodec")], duration)
    both = _pick_video([item for item in usable if _has(item, "acodec") and _has(item, "vcodec")], duration)
    if both is not None and (audio is None or video is None):
        return Choice(both, both)
    return Choice(audio, video)


def size_of(item: Format, duration: float | None) -> float | None:
    """Bytes of a stream: declared, or by its bit rate."""
    for key in ("filesize", "filesize_approx"):
        size = _number(item.get(key))
        if size:
            return size
    rate = _number(item.get("tbr")) or (_number(item.get("vbr")) or 0) + (_number(item.get("abr")) or 0)
    return rate * 125 * duration if rate and duration else None


def short_side(item: Format) -> float | None:
    """Pixels of the shorter side, as far as it is declared."""
    sides = [side for key in ("width", "height") if (side := _number(item.get(key)))]
    return min(sides) if sides else None


def _pick_audio(items: list[Format], duration: float | None) -> Format | None:
    if not items:
        return None
    items = _original(items)
    items = _prefer(items, lambda item: item.get("protocol") in PLAIN)
    items = _prefer(items, lambda item: "drc" not in f"{item.get('format_id')} {item.get('format_note')}".lower())
    items = _prefer(items, lambda item: not str(item.get("acodec")).startswith(MADE_UP_TREBLE))
    good = [item for item in items if (_kbps(item, duration) or 0) >= MIN_KBPS]
    if good:
        return min(good, key=lambda item: (_kbps(item, duration) or 0) * _handicap(item))
    return max(items, key=lambda item: _kbps(item, duration) or 0)


def _handicap(item: Format) -> float:
    return 1.0 if str(item.get("acodec")).startswith("opus") else AAC_HANDICAP


def _pick_video(items: list[Format], duration: float | None) -> Format | None:
    if not items:
        return None
    items = _original(items)
    items = _prefer(items, lambda item: item.get("protocol") in PLAIN)
    items = _prefer(items, lambda item: item.get("dynamic_range") in (None, "SDR"))
    enough = [item for item in items if (short_side(item) or 0) >= MIN_LINES]
    unknown = float("inf")
    if enough:
        return min(enough, key=lambda item: (size_of(item, duration) or unknown, short_side(item) or 0))
    return max(items, key=lambda item: (short_side(item) or 0, -(size_of(item, duration) or unknown)))


def _original(items: list[Format]) -> list[Format]:
    """Those in the language that the source ranks first: the clip's own, not a dub; and not known to be damaged."""
    items = _prefer(items, lambda item: (_number(item.get("preference")) or 0) > -5)
    best = max(_number(item.get("language_preference")) or -1 for item in items)
    return [item for item in items if (_number(item.get("language_preference")) or -1) == best]


def _prefer(items: list[Format], good: Any) -> list[Format]:
    """Those that are good, if any are."""
    return [item for item in items if good(item)] or items


def _usable(item: Format) -> bool:
    return (
        bool(item.get("url") or item.get("fragments"))
        and not item.get("has_drm")
        and (item.get("protocol") or "https") in NATIVE
        and (_has(item, "acodec") or _has(item, "vcodec"))
    )


def _has(item: Format, codec: str) -> bool:
    """Whether there is such a stream; where nobody says (a plain link to a file), there may be."""
    return item.get(codec) != "none"


def _kbps(item: Format, duration: float | None) -> float | None:
    rate = _number(item.get("abr")) or _number(item.get("tbr"))
    if rate is None and duration:
        size = _number(item.get("filesize")) or _number(item.get("filesize_approx"))
        rate = size / 125 / duration if size else None
    return rate


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def captions(
    manual: Mapping[str, Any] | None, automatic: Mapping[str, Any] | None, language: str | None
) -> tuple[str, str] | None:
    """(kind, key) of the one caption track to fetch, kind "manual" or "automatic"; None where there is none.

    Manual in the clip's own language, then in English; then automatic in its own language, then in English; then
    whatever was made by hand. Where the language is unknown, automatic captions tell it (`xx-orig`).
    """
    hand, machine = _tracks(manual), _tracks(automatic)
    spoken = next((key.removesuffix("-orig") for key in machine if key.endswith("-orig")), None)
    own = language or spoken or (hand[0] if len(hand) == 1 else None)
    for kind, keys, wanted in (
        ("manual", hand, own),
        ("manual", hand, "en"),
        ("automatic", machine, own),
        ("automatic", machine, "en"),
    ):
        key = _in_language(keys, wanted)
        if key is not None:
            return kind, key
    return ("manual", hand[0]) if hand else None


def _tracks(tracks: Mapping[str, Any] | None) -> list[str]:
    return [key for key, value in (tracks or {}).items() if value and key != "live_chat" and isinstance(key, str)]


def _in_language(keys: Iterable[str], wanted: str | None) -> str | None:
    """The key in a language: exactly, as the original (`-orig`), then any of its regions; never a translation of it
    from another language unless there is nothing else."""
    if not wanted:
        return None
    base = wanted.split("-")[0]
    keys = list(keys)
    for candidate in (f"{wanted}-orig", wanted, f"{base}-orig", base):
        if candidate in keys:
            return candidate
    return next((key for key in keys if key.split("-")[0] == base), None)
