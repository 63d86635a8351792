"""Clips as rows: how one is written into the tables, and read out of them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from clipsim import tables, vectors
from clipsim.encoders import Preset
from clipsim.errors import EncoderError, NothingToHear
from clipsim.model import Clip, Features, Label, Lyrics, Matrix, Modality

FINGERPRINT = "fingerprint"  # the row of `features` that holds it
LONGEST_TEXT = 2000  # characters of any one metadata field that are kept
LONGEST_LIST = 100  # keywords and the like of one clip that are kept


@dataclass(frozen=True, slots=True)
class Record:
    """A clip with its vectors, and the communities (besides HOME) that see it."""

    clip: Clip
    features: Features
    communities: tuple[str, ...] = ()


def read_clip(row: Any, modalities: tuple[Modality, ...]) -> Clip:
    """A row of `clips` and `findings`."""
    return Clip(
        id=row.id,
        title=row.title,
        artist=row.artist,
        album=row.album,
        genre=row.genre,
        keywords=tuple(row.keywords),
        categories=tuple(row.categories),
        channel=row.channel,
        url=row.url,
        path=row.path,
        thumbnail=row.thumbnail,
        duration=row.duration,
        language=row.language,
        modalities=modalities,
        tempo=row.tempo,
        tags=tuple(Label(name, score) for name, score in row.tags or ()),
        classes=tuple(Label(name, score) for name, score in row.classes or ()),
        words=tuple(row.words or ()),
        added=row.added,
        notes=tuple(row.notes or ()),
    )


def read_features(clip: Clip, held: Mapping[str, NDArray[Any]], segments: Mapping[str, Matrix]) -> Features:
    """What was found in a clip, with the vectors of its rows, and of its parts where they were read."""
    return Features(
        vectors={name: vector for name, vector in held.items() if name != FINGERPRINT},
        segments=segments,
        tempo=clip.tempo,
        tags=clip.tags,
        classes=clip.classes,
        fingerprint=held.get(FINGERPRINT),
        notes=clip.notes,
    )


def clip_row(clip: Clip) -> dict[str, Any]:
    """The row of `clips`, but for when it was added and whether HOME keeps it."""
    plain = ("title", "artist", "album", "genre", "channel", "url", "path", "thumbnail", "language")
    row: dict[str, Any] = {name: short(getattr(clip, name)) for name in plain}
    row["language"] = row["language"][:64] if row["language"] else None
    lists = {name: [short(text) for text in getattr(clip, name)[:LONGEST_LIST]] for name in ("keywords", "categories")}
    return {"id": clip.id, "duration": clip.duration, **row, **lists}


def feature_rows(clip_id: str, features: Features, preset: Preset) -> list[dict[str, Any]]:
    """The rows of `features`, one for each encoder, and the fingerprint's.

    Raises:
        NothingToHear: there is no vector at all.
        EncoderError: a vector is not finite, all zero, of another size, or of an encoder not of the preset.
    """
    sizes = {part.encoder: part.size for part in preset.parts}
    if not features.vectors:
        raise NothingToHear()
    rows = []
    for name, vector in features.vectors.items():
        if name not in sizes:
            raise EncoderError(f"{name} is not an encoder of preset {preset.name}.")
        checked = vectors.check(vector, sizes[name], f"The {name} vector of {clip_id}")
        data, crc = vectors.pack(checked)
        rows.append({"clip_id": clip_id, "encoder": name, "size": checked.size, "crc": crc, "vector": data})
    if features.fingerprint is not None and features.fingerprint.size:
        data, crc = vectors.pack(features.fingerprint, vectors.WORDS)
        size = features.fingerprint.size
        rows.append({"clip_id": clip_id, "encoder": FINGERPRINT, "size": size, "crc": crc, "vector": data})
    return rows


def segment_rows(clip_id: str, features: Features, preset: Preset) -> list[dict[str, Any]]:
    """The rows of `segments`, one for each encoder that the clip could be divided for.

    Raises:
        EncoderError: a row is not finite, all zero, of another size, or of an encoder not of the preset.
    """
    sizes = {part.encoder: part.size for part in preset.parts}
    rows = []
    for name, matrix in features.segments.items():
        if name not in sizes:
            raise EncoderError(f"{name} is not an encoder of preset {preset.name}.")
        checked = [vectors.check(row, sizes[name], f"A part's {name} vector of {clip_id}") for row in matrix]
        if checked:
            data, crc = vectors.pack(np.concatenate(checked))
            rows.append({"clip_id": clip_id, "encoder": name, "count": len(checked), "crc": crc, "matrix": data})
    return rows


def put_lyrics(connection: sa.Connection, clip_id: str, lyrics: Lyrics) -> None:
    """Write a clip's lyrics, replacing what was."""
    connection.execute(tables.lyrics.delete().where(tables.lyrics.c.clip_id == clip_id))
    said = {"text": clean(lyrics.text), "language": short(lyrics.language), "origin": lyrics.origin}
    connection.execute(tables.lyrics.insert().values(clip_id=clip_id, **said))


def put_findings(connection: sa.Connection, clip: Clip, features: Features) -> None:
    """Write what was found in a clip, replacing what was."""
    row = {
        "clip_id": clip.id,
        "tempo": features.tempo,
        "tags": [[label.label, float(label.score)] for label in features.tags],
        "classes": [[label.label, float(label.score)] for label in features.classes],
        "words": [short(word) for word in clip.words[:LONGEST_LIST]],
        "notes": [short(note) for note in dict.fromkeys((*clip.notes, *features.notes))],
    }
    connection.execute(tables.findings.delete().where(tables.findings.c.clip_id == clip.id))
    connection.execute(tables.findings.insert().values(row))


def clean(text: str) -> str:
    """Text that any database can hold."""
    # Postgres has no NUL in text, and no database has half a surrogate pair.
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def short(text: str | None) -> str | None:
    """Clean, and no longer than a field may be."""
    return None if text is None else clean(text)[:LONGEST_TEXT]
