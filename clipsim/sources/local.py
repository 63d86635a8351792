"""A file of the user's own as a clip: what it is by content, its tags, and the words beside it.

Nothing is copied: `Media.audio` and `Media.video` are the file itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from clipsim import media
from clipsim.errors import ClipSimError, FileMissing, TooLong
from clipsim.model import Clip, Lyrics, Media
from clipsim.settings import Settings
from clipsim.sources import _metadata
from clipsim.sources.links import Source
from clipsim.sources.lyrics import SUFFIXES, is_notice, read_lyrics, read_or_why

LYRICS_TAGS = ("lyrics", "unsyncedlyrics", "uslt", "syncedlyrics")  # and `lyrics-eng`, as libav names ID3's
MAX_NEIGHBOURS = 10_000  # entries of a folder that are looked through for lyrics

_TRACK_NUMBER = re.compile(r"^\d{1,3}(?:\.|\s+[-–]|-)\s+(?=\D)")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})?")
_BITS = re.compile(
    r"\s*[\[(](?:\d{2,3}\s?kbps|[A-Za-z0-9_-]{11}|www\.[^\])]+)[\])]\s*$"
)  # yt-dlp's "[id]" and the like


def open_file(source: Source, settings: Settings) -> Media:
    """The clip in a local file. Blocks (it reads the header, and the words beside it): call it in a thread.

    Tags give title, artist, album and genre; without them "Artist - Title" in the file's name, else its name. Words
    come from a file of the same stem (`.lrc`, `.srt`, `.vtt`, `.txt`; `name.en.vtt` too), else from a tag.

    Raises:
        FileMissing: there is no such file (any more), or it is a folder.
        NotMedia: it is none of the formats that can be read, whatever its name says.
        TooShort, TooLong: it lasts under a second, or longer than `settings.max_duration`.
    """
    path = Path(source.path or "")
    if not source.path or not path.is_file():
        raise FileMissing(f"There is no such file: {_metadata.clean(str(path), 200)}.")
    found = media.probe(path)
    if found.duration is not None and found.duration > settings.max_duration + media.SLACK:
        raise TooLong(
            f"That clip lasts {found.duration / 60:.0f} min; the limit is {settings.max_duration / 60:.0f} min."
        )
    tags = _tags(path)
    clip = _clip(source, path, tags, found.duration)
    lyrics, notes = _words(path, tags)
    return Media(
        replace(clip, notes=notes),
        audio=path if found.has_audio else None,
        video=path if found.has_video else None,
        lyrics=lyrics,
    )


def name_of(path: Path) -> tuple[str | None, str]:
    """(artist, title) out of a file's name: "01. Some_Artist - Some_Title [dQw4w9WgXcQ].mp3"."""
    stem = path.stem
    spaced = stem.replace("_", " ") if " " not in stem else stem
    spaced = _TRACK_NUMBER.sub("", _BITS.sub("", spaced) or spaced)
    return _metadata.split_title(_metadata.clean(spaced, _metadata.MAX_TITLE) or "Untitled")


def _clip(source: Source, path: Path, tags: Mapping[str, str], duration: float | None) -> Clip:
    artist, title = name_of(path)
    tagged = _metadata.clean(tags.get("title"), _metadata.MAX_TITLE)
    tagged_artist = _metadata.clean(tags.get("artist")) or _metadata.clean(tags.get("album_artist"))
    if tagged:
        guessed, rest = _metadata.split_title(tagged) if tagged_artist is None else (None, tagged)
        artist, title = guessed, (rest if guessed else tagged)
    return Clip(
        id=source.id,
        title=title,
        artist=tagged_artist or artist,
        album=_metadata.clean(tags.get("album")),
        genre=_metadata.clean(tags.get("genre")),
        path=str(path),
        duration=duration,
        language=_metadata.language((tags.get("language") or "").lower()),
    )


def _tags(path: Path) -> dict[str, str]:
    """The file's tags, names in lower case; Ogg keeps them on the stream. Empty where they cannot be read."""
    import av

    options = {"format_whitelist": media.CONTAINERS, "protocol_whitelist": "file"}
    try:
        with av.open(f"file:{path.absolute()}", options=options, metadata_errors="replace") as container:
            tags: dict[str, str] = {}
            for stream in container.streams:
                tags |= {key.lower(): value for key, value in stream.metadata.items()}
            return tags | {key.lower(): value for key, value in container.metadata.items()}
    except (av.FFmpegError, OSError, ValueError):
        return {}


def _words(path: Path, tags: Mapping[str, str]) -> tuple[Lyrics | None, tuple[str, ...]]:
    """The words beside the file, else those in its tags; and a note on every text that could not be used."""
    notes = []
    for beside, language in _neighbours(path):
        try:
            found, why = read_or_why(beside, origin="sidecar", lang=language)
        except ClipSimError as error:
            notes.append(f"Its lyrics were not read: {error.message}")
            continue
        notes += [why] if why else []
        if found is not None and beside.suffix.lower() == ".txt" and is_notice(beside.read_text(errors="replace")):
            continue  # the recording's licence, not its words
        if found is not None:
            return found, tuple(notes)
    for key, value in tags.items():
        if key.split("-")[0] in LYRICS_TAGS and "\n" in value.strip() and (found := read_lyrics(value)):
            return replace(found, origin="sidecar"), tuple(notes)
    return None, tuple(notes)


def _neighbours(path: Path) -> Iterator[tuple[Path, str | None]]:
    """Files of the same stem that may hold the words, with the language in their name; best first."""
    stem = path.stem.casefold()
    found: list[tuple[tuple[int, int, str], Path, str | None]] = []
    try:
        entries = sorted(entry for _, entry in zip(range(MAX_NEIGHBOURS), path.parent.iterdir(), strict=False))
    except OSError:
        return
    for entry in entries:
        suffix = entry.suffix.lower()
        if suffix not in SUFFIXES or entry == path:
            continue
        if entry.stem.casefold() == stem:
            found.append(((SUFFIXES.index(suffix), 0, entry.name), entry, None))
            continue
        whole, _, middle = entry.stem.rpartition(".")
        if whole.casefold() == stem and _LANGUAGE.fullmatch(middle):
            english = 1 if middle.lower().startswith("en") else 2
            found.append(((SUFFIXES.index(suffix), english, entry.name), entry, middle))
    for _, entry, language in sorted(found, key=lambda item: item[0]):
        if entry.is_file():
            yield entry, language
