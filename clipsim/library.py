"""The library: every clip, what was found in it, who sees it. SQL; the index is rebuilt from it at any time.

Synchronous: the façade calls it in a thread. Every method raises `DiskFull`, `FolderNotWritable`, `LibraryCorrupt`,
`LibraryLocked` or `LibraryError` where the database or disk fails; nothing is then half written.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self

import sqlalchemy as sa

from clipsim import tables
from clipsim.catalog import Catalog
from clipsim.database import connect, typed_errors, upgrade
from clipsim.embeddings import put_embeddings
from clipsim.encoders import Preset
from clipsim.errors import LibraryMismatch, UnknownClip
from clipsim.model import HOME, Clip, Features, Lyrics, Vector
from clipsim.records import FINGERPRINT, Record, clip_row, feature_rows, put_findings, put_lyrics, segment_rows, short
from clipsim.settings import Settings

__all__ = ["FINGERPRINT", "Library", "Record"]


class Library(Catalog):
    """An open library. `preset` is whose encoders' vectors it holds."""

    @classmethod
    def open(cls, settings: Settings, preset: Preset, *, reencode: bool = False) -> Self:
        """Open the library of these settings, making it or bringing its tables up to date where needed.

        With `reencode` a library of other encoders is opened too: then `save_features` for every clip, and
        `finish_reencode`.

        Raises:
            LibraryMismatch: it was built with other encoders, or by a newer clipsim.
        """
        with typed_errors(settings.data):
            settings.data.mkdir(parents=True, exist_ok=True)
            engine = connect(settings.database_url)
            library = cls(engine, settings.data)
            library.preset, library.preset_name = preset, preset.name
            try:
                upgrade(engine)
                library._check_encoders(reencode)
            except BaseException:
                engine.dispose()
                raise
        return library

    # What the library is

    def _check_encoders(self, reencode: bool) -> None:
        ours = [[part.encoder, part.size] for part in self.preset.parts]
        theirs = self.meta("encoders")
        if theirs == ours or (reencode and theirs is not None):
            return
        if theirs is not None and self.count():
            raise LibraryMismatch(
                f"This library was built with {_spoken(theirs, ours)} (preset {self.meta('preset')}), "
                f"not with {_spoken(ours, theirs)} (preset {self.preset.name})."
            )
        self._write_encoders()

    def _write_encoders(self) -> None:
        encoders = [[part.encoder, part.size] for part in self.preset.parts]
        with self.write() as connection:
            _put_meta(connection, "encoders", encoders)
            _put_meta(connection, "preset", self.preset.name)
            if connection.execute(sa.select(tables.meta).where(tables.meta.c.key == "library")).first() is None:
                _put_meta(connection, "library", secrets.token_hex(4))

    @property
    def id(self) -> str:
        """Eight hexadecimal digits that name this library, so that several may share a Chroma server."""
        return str(self.meta("library"))

    def meta(self, key: str) -> Any:
        """A fact about the library, or None."""
        with self.read() as connection:
            return connection.execute(sa.select(tables.meta.c.value).where(tables.meta.c.key == key)).scalar()

    def set_meta(self, key: str, value: Any) -> None:
        """Keep a fact about the library (anything JSON can say)."""
        with self.write() as connection:
            _put_meta(connection, key, value)

    # Adding and forgetting

    def add(
        self,
        clip: Clip,
        features: Features,
        community: str = HOME,
        added_by: str | None = None,
        *,
        lyrics: Lyrics | None = None,
        embeddings: Mapping[str, Vector] | None = None,
    ) -> Clip:
        """Keep a clip, all of it or nothing: metadata, vectors, findings, membership and embeddings (by fusion id).

        A clip that is there already gets the new metadata and vectors. Returns the clip as `get` will.

        Raises:
            NothingToHear: there is no vector at all.
            EncoderError: a vector is not finite, all zero, of another size, or of an encoder not of the preset.
        """
        rows, parts = feature_rows(clip.id, features, self.preset), segment_rows(clip.id, features, self.preset)
        now = datetime.now(UTC)
        with self.write([clip.id]) as connection:
            row = clip_row(clip)
            old = connection.execute(sa.select(tables.clips.c.kept).where(tables.clips.c.id == clip.id)).scalar()
            row["kept"] = bool(old) or community == HOME
            if old is None:
                connection.execute(tables.clips.insert().values(**row, added=clip.added or now))
            else:
                connection.execute(tables.clips.update().where(tables.clips.c.id == clip.id).values(row))
            connection.execute(tables.features.delete().where(tables.features.c.clip_id == clip.id))
            connection.execute(tables.features.insert(), rows)
            connection.execute(tables.segments.delete().where(tables.segments.c.clip_id == clip.id))
            if parts:
                connection.execute(tables.segments.insert(), parts)
            put_findings(connection, clip, features)
            if lyrics is not None:
                put_lyrics(connection, clip.id, lyrics)
            _join(connection, clip.id, community, added_by, now)
            for fusion_id, vector in (embeddings or {}).items():
                put_embeddings(connection, fusion_id, {clip.id: vector})
        return self.get(clip.id)

    def join(self, clip_id: str, community: str, added_by: str | None = None) -> bool:
        """Let a community see a clip that the library has; False if it saw it already.

        Raises:
            UnknownClip: the library does not have it.
        """
        with self.write([clip_id]) as connection:
            found = connection.execute(sa.select(tables.clips.c.kept).where(tables.clips.c.id == clip_id)).scalar()
            if found is None:
                raise UnknownClip()
            if community == HOME:
                connection.execute(tables.clips.update().where(tables.clips.c.id == clip_id).values(kept=True))
                return not found
            return _join(connection, clip_id, community, added_by, datetime.now(UTC))

    def remove(self, clip_id: str, community: str = HOME) -> bool:
        """Forget a clip: in HOME altogether, in a community there only.

        Returns True if it is gone from the library altogether, which it also is when the last community that saw it
        forgets it and it was never added from HOME.

        Raises:
            UnknownClip: the community does not see such a clip.
        """
        clips, members = tables.clips, tables.memberships
        with self.write([clip_id]) as connection:
            kept = connection.execute(sa.select(clips.c.kept).where(clips.c.id == clip_id)).scalar()
            if kept is None:
                raise UnknownClip()
            if community != HOME:
                mine = (members.c.clip_id == clip_id) & (members.c.community == community)
                if connection.execute(members.delete().where(mine)).rowcount == 0:
                    raise UnknownClip()
                votes = tables.votes.c
                on_it = (votes.query_id == clip_id) | (votes.result_id == clip_id)
                connection.execute(tables.votes.delete().where(votes.community == community, on_it))
                for table in (tables.plays, tables.recommended):
                    connection.execute(table.delete().where(table.c.clip_id == clip_id, table.c.community == community))
                left = connection.execute(sa.select(members.c.clip_id).where(members.c.clip_id == clip_id)).first()
                if kept or left is not None:
                    return False
            connection.execute(clips.delete().where(clips.c.id == clip_id))
            return True

    # Encoding anew

    def save_features(self, clip_id: str, features: Features, words: Sequence[str] | None = None) -> None:
        """Replace a clip's vectors of this preset's encoders, and its findings; vectors of other encoders stay.

        Raises:
            UnknownClip; NothingToHear and EncoderError as `add`.
        """
        rows, parts = feature_rows(clip_id, features, self.preset), segment_rows(clip_id, features, self.preset)
        clip = self.get(clip_id)
        clip = replace(clip, notes=(), words=clip.words if words is None else tuple(words))
        names = [*self.preset.encoders, *([FINGERPRINT] if features.fingerprint is not None else [])]
        table = tables.features
        with self.write([clip_id]) as connection:
            connection.execute(table.delete().where(table.c.clip_id == clip_id, table.c.encoder.in_(names)))
            connection.execute(table.insert(), rows)
            ours = tables.segments.c.encoder.in_(self.preset.encoders)
            connection.execute(tables.segments.delete().where(tables.segments.c.clip_id == clip_id, ours))
            if parts:
                connection.execute(tables.segments.insert(), parts)
            put_findings(connection, clip, features)

    def finish_reencode(self) -> None:
        """Every clip has vectors of this preset now: make it the library's, and forget others' vectors and fusions."""
        keep = [*self.preset.encoders, FINGERPRINT]
        with self.write() as connection:
            for table in (tables.features, tables.segments):
                connection.execute(table.delete().where(table.c.encoder.not_in(keep)))
            connection.execute(tables.fusions.delete())
            connection.execute(tables.clusterings.delete())
            connection.execute(tables.tunings.delete())  # learnt from what other encoders found alike
        self._write_encoders()

    # What was made of them

    def clustering(self, community: str = HOME, kind: str = "auto") -> dict[str, Any] | None:
        """The state that `save_clustering` was given, or None."""
        table = tables.clusterings
        query = sa.select(table.c.state).where(table.c.community == community, table.c.kind == kind)
        with self.read() as connection:
            state: dict[str, Any] | None = connection.execute(query).scalar()
            return state

    def save_clustering(self, state: Mapping[str, Any], community: str = HOME, kind: str = "auto") -> None:
        """Keep a community's clustering (anything JSON can say), so that ids and labels stay."""
        table = tables.clusterings
        with self.write() as connection:
            connection.execute(table.delete().where(table.c.community == community, table.c.kind == kind))
            connection.execute(table.insert().values(community=community, kind=kind, state=dict(state)))


def _join(connection: sa.Connection, clip_id: str, community: str, added_by: str | None, now: datetime) -> bool:
    if community == HOME:
        return False
    table = tables.memberships
    if connection.execute(sa.select(table).where(table.c.clip_id == clip_id, table.c.community == community)).first():
        return False
    connection.execute(
        table.insert().values(community=community, clip_id=clip_id, added_by=short(added_by), added_at=now)
    )
    return True


def _put_meta(connection: sa.Connection, key: str, value: Any) -> None:
    connection.execute(tables.meta.delete().where(tables.meta.c.key == key))
    connection.execute(tables.meta.insert().values(key=key, value=value))


def _spoken(encoders: list[list[Any]], others: list[list[Any]]) -> str:
    names = [name for name, _ in encoders]
    if names == [name for name, _ in others]:  # same names, other sizes
        names = [f"{name} ({size})" for name, size in encoders]
    return ", ".join(names)
