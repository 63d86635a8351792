"""The library's clips, as they are read: by id, by community, by name, with or without their vectors."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Engine

from clipsim import tables, titles, vectors
from clipsim.embeddings import Embeddings, chunks, in_community
from clipsim.encoders import Preset
from clipsim.errors import UnknownClip
from clipsim.model import HOME, Clip, Features, Lyrics, Matrix, Modality
from clipsim.records import FINGERPRINT, Record, read_clip, read_features

log = logging.getLogger(__name__)

_ID = tables.clips.c.id
_CLIPS: sa.Select[Any] = sa.select(
    tables.clips, *(column for column in tables.findings.c if column.name != "clip_id")
).join(tables.findings, tables.findings.c.clip_id == _ID, isouter=True)


class Catalog(Embeddings):
    """The part of a library that reads clips."""

    preset: Preset

    def __init__(self, engine: Engine, folder: Path) -> None:
        super().__init__(engine, folder)
        self._sets: dict[str, tuple[int, frozenset[frozenset[Modality]]]] = {}  # as of a revision

    # Finding

    def get(self, clip_id: str, community: str = HOME) -> Clip:
        """The clip with this id.

        Raises:
            UnknownClip: the community does not see such a clip.
        """
        query = in_community(_CLIPS.where(tables.clips.c.id == clip_id), tables.clips.c.id, community)
        with self.read() as connection:
            found = self._clips(connection, query)
        if not found:
            raise UnknownClip()
        return found[0]

    def has(self, clip_id: str, community: str = HOME) -> bool:
        """Whether the community sees a clip with this id."""
        query = in_community(sa.select(tables.clips.c.id).where(tables.clips.c.id == clip_id), _ID, community)
        with self.read() as connection:
            return connection.execute(query).first() is not None

    def get_many(self, ids: Sequence[str]) -> dict[str, Clip]:
        """The clips with these ids, those that there are."""
        found: dict[str, Clip] = {}
        with self.read() as connection:
            for part in chunks(ids):
                found.update((clip.id, clip) for clip in self._clips(connection, _CLIPS.where(_ID.in_(part))))
        return found

    def seen(self, ids: Sequence[str], community: str = HOME) -> dict[str, Clip]:
        """The clips with these ids that the community sees."""
        found: dict[str, Clip] = {}
        with self.read() as connection:
            for part in chunks(ids):
                query = in_community(_CLIPS.where(_ID.in_(part)), _ID, community)
                found.update((clip.id, clip) for clip in self._clips(connection, query))
        return found

    def clips(self, community: str = HOME, limit: int | None = None) -> list[Clip]:
        """The clips that the community sees, newest first."""
        query = in_community(_CLIPS, _ID, community).order_by(tables.clips.c.added.desc(), _ID).limit(limit)
        with self.read() as connection:
            return self._clips(connection, query)

    def ids(self, community: str = HOME) -> list[str]:
        """Ids of the clips that the community sees, oldest first."""
        query = in_community(sa.select(_ID), _ID, community).order_by(tables.clips.c.added, _ID)
        with self.read() as connection:
            return list(connection.execute(query).scalars())

    def count(self, community: str = HOME) -> int:
        """How many clips the community sees."""
        query = in_community(sa.select(sa.func.count()).select_from(tables.clips), _ID, community)
        with self.read() as connection:
            return int(connection.execute(query).scalar_one())

    def modality_sets(self, community: str = HOME) -> frozenset[frozenset[Modality]]:
        """Which modalities the clips have that the community sees: every combination that occurs."""
        revision = self.changes.revision
        known = self._sets.get(community)
        if known is None or known[0] != revision:
            table = tables.features
            query = sa.select(table.c.clip_id, table.c.encoder).where(table.c.encoder.in_(self.preset.encoders))
            held: dict[str, set[str]] = {}
            with self.read() as connection:
                for clip_id, encoder in connection.execute(in_community(query, table.c.clip_id, community)):
                    held.setdefault(clip_id, set()).add(encoder)
            distinct = {frozenset(encoders) for encoders in held.values()}
            sets = frozenset(frozenset(self.preset.modalities(set(encoders))) for encoders in distinct)
            known = self._sets[community] = (revision, sets)
        return known[1]

    def communities(self) -> list[str]:
        """Every community that sees a clip, besides HOME."""
        with self.read() as connection:
            return sorted(connection.execute(sa.select(tables.memberships.c.community).distinct()).scalars())

    def communities_of(self, clip_id: str) -> tuple[str, ...]:
        """The communities, besides HOME, that see this clip."""
        query = sa.select(tables.memberships.c.community).where(tables.memberships.c.clip_id == clip_id)
        with self.read() as connection:
            return tuple(sorted(connection.execute(query).scalars()))

    def placed(self, ids: Sequence[str]) -> dict[str, tuple[datetime, frozenset[str]]]:
        """When each of these clips was added, and the communities, besides HOME, that see it."""
        clips, members = tables.clips, tables.memberships
        query = sa.select(clips.c.id, clips.c.added, members.c.community)
        query = query.join(members, members.c.clip_id == clips.c.id, isouter=True)
        found: dict[str, tuple[datetime, set[str]]] = {}
        with self.read() as connection:
            for part in chunks(ids):
                for clip_id, added, community in connection.execute(query.where(clips.c.id.in_(part))):
                    seen = found.setdefault(clip_id, (added, set()))[1]
                    if community is not None:
                        seen.add(community)
        return {clip_id: (added, frozenset(seen)) for clip_id, (added, seen) in found.items()}

    def search_title(self, text: str, community: str = HOME, limit: int = 25) -> list[Clip]:
        """The clips that `text` may name, best first: by id or path, else by exact title, else by a similar one."""
        clips = tables.clips
        query = in_community(sa.select(_ID, clips.c.title, clips.c.artist, clips.c.path), _ID, community)
        with self.read() as connection:
            rows = connection.execute(query.order_by(clips.c.added.desc(), _ID)).all()
        wanted = titles.fold(text)
        chosen = [row.id for row in rows if text.strip() in (row.id, row.path)]
        if not chosen:
            chosen = [row.id for row in rows if wanted and wanted in (titles.fold(row.title), _said(row))]
        if not chosen:
            names = [_named(row) for row in rows]
            chosen = [rows[position].id for position, _ in titles.ranked(text, names, limit)]
        found = self.get_many(chosen[:limit])
        return [found[clip_id] for clip_id in chosen[:limit] if clip_id in found]

    def find(self, text: str, community: str = HOME) -> Clip:
        """The clip that `text` names (see `search_title`).

        Raises:
            UnknownClip: none comes close; the message quotes the text.
        """
        found = self.search_title(text, community, limit=1)
        if not found:
            raise UnknownClip(f"There is no clip “{text[:80]}” in the library.")
        return found[0]

    # What was found in them

    def records(
        self, community: str = HOME, ids: Sequence[str] | None = None, *, segments: bool = False
    ) -> list[Record]:
        """Clips with all their vectors, oldest first (reads every vector: for training, not for queries).

        `segments`: those of their parts too.
        """
        wanted = self.ids(community) if ids is None else list(ids)
        members: dict[str, list[str]] = {}
        found: dict[str, Record] = {}
        with self.read() as connection:
            for part in chunks(wanted):
                query = sa.select(tables.memberships.c.clip_id, tables.memberships.c.community)
                query = query.where(tables.memberships.c.clip_id.in_(part)).order_by(tables.memberships.c.community)
                for clip_id, name in connection.execute(query):
                    members.setdefault(clip_id, []).append(name)
                held = self._vectors(connection, part)
                parts = self._segments(connection, part) if segments else {}
                for clip in self._clips(connection, _CLIPS.where(_ID.in_(part))):
                    features = read_features(clip, held.get(clip.id, {}), parts.get(clip.id, {}))
                    found[clip.id] = Record(clip, features, tuple(members.get(clip.id, ())))
        return [found[clip_id] for clip_id in wanted if clip_id in found]

    def features(self, ids: Sequence[str], *, segments: bool = False) -> dict[str, Features]:
        """What was found in these clips, those that there are; `segments`: and in their parts."""
        return {record.clip.id: record.features for record in self.records(ids=ids, segments=segments)}

    def fingerprints(self, ids: Sequence[str]) -> dict[str, NDArray[np.uint32]]:
        """The audio fingerprints of these clips, those that have one: uint32 (frames,)."""
        found: dict[str, NDArray[np.uint32]] = {}
        with self.read() as connection:
            for part in chunks(ids):
                held = self._vectors(connection, part, (FINGERPRINT,))
                found.update((clip_id, named[FINGERPRINT]) for clip_id, named in held.items())
        return found

    def lyrics(self, clip_id: str) -> Lyrics | None:
        """The words of a clip, where it has any."""
        with self.read() as connection:
            row = connection.execute(sa.select(tables.lyrics).where(tables.lyrics.c.clip_id == clip_id)).first()
        return None if row is None else Lyrics(row.text, row.language, row.origin)

    def _vectors(
        self, connection: sa.Connection, ids: list[str], names: Iterable[str] | None = None
    ) -> dict[str, dict[str, NDArray[Any]]]:
        wanted = list(names) if names is not None else [*self.preset.encoders, FINGERPRINT]
        table = tables.features
        query = sa.select(table).where(table.c.clip_id.in_(ids), table.c.encoder.in_(wanted))
        found: dict[str, dict[str, NDArray[Any]]] = {}
        for row in connection.execute(query):
            kind = vectors.WORDS if row.encoder == FINGERPRINT else vectors.FLOATS
            vector = vectors.unpack(row.vector, row.crc, row.size, kind)
            if vector is None:
                log.warning("The %s vector of %s is damaged; run: clipsim audit", row.encoder, row.clip_id)
                continue
            found.setdefault(row.clip_id, {})[row.encoder] = vector
        return found

    def _segments(self, connection: sa.Connection, ids: list[str]) -> dict[str, dict[str, Matrix]]:
        """What this preset's encoders found in the parts of these clips; damaged rows are left out."""
        sizes = {part.encoder: part.size for part in self.preset.parts}
        found: dict[str, dict[str, Matrix]] = {}
        table = tables.segments
        query = sa.select(table.c.clip_id, table.c.encoder, table.c.matrix, table.c.crc)
        for row in connection.execute(query.where(table.c.clip_id.in_(ids), table.c.encoder.in_(list(sizes)))):
            flat = vectors.unpack(row.matrix, row.crc)
            if flat is not None and flat.size % sizes[row.encoder] == 0:
                found.setdefault(row.clip_id, {})[row.encoder] = flat.reshape(-1, sizes[row.encoder])
        return found

    def _clips(self, connection: sa.Connection, query: sa.Select[Any]) -> list[Clip]:
        rows = connection.execute(query).all()
        held: dict[str, set[str]] = {}
        table = tables.features
        for part in chunks(row.id for row in rows):
            names = sa.select(table.c.clip_id, table.c.encoder).where(table.c.clip_id.in_(part))
            for clip_id, encoder in connection.execute(names):
                held.setdefault(clip_id, set()).add(encoder)
        return [read_clip(row, self.preset.modalities(held.get(row.id, ()))) for row in rows]


def _named(row: Any) -> str:
    return f"{row.artist} - {row.title}" if row.artist else row.title


def _said(row: Any) -> str:
    return titles.fold(_named(row))
