"""The library: every clip, what was found in it, who sees it. SQL; the index is rebuilt from it at any time.

Synchronous: the façade calls it in a thread. Every method raises `DiskFull`, `FolderNotWritable`, `LibraryCorrupt`,
`LibraryLocked` or `LibraryError` where the database or disk fails; nothing is then half written.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from clipsim import tables, titles, vectors
from clipsim.database import connect, typed_errors, upgrade
from clipsim.embeddings import Embeddings, chunks, in_community, put_embeddings
from clipsim.encoders import Preset
from clipsim.errors import EncoderError, LibraryMismatch, NothingToHear, UnknownClip
from clipsim.model import HOME, MODALITIES, Clip, Features, Label, Lyrics, Modality, Vector
from clipsim.settings import Settings

FINGERPRINT = "fingerprint"  # the row of `features` that holds it
LONGEST_TEXT = 2000  # characters of any one metadata field that are kept
LONGEST_LIST = 100  # keywords and the like of one clip that are kept

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """A clip with its vectors, and the communities (besides HOME) that see it."""

    clip: Clip
    features: Features
    communities: tuple[str, ...] = ()


class Library(Embeddings):
    """An open library. `preset` is whose encoders' vectors it holds."""

    preset: Preset

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
        rows = self._feature_rows(clip.id, features)
        if not any(row["encoder"] != FINGERPRINT for row in rows):
            raise NothingToHear()
        now = datetime.now(UTC)
        with self.write() as connection:
            row = _clip_row(clip)
            old = connection.execute(sa.select(tables.clips.c.kept).where(tables.clips.c.id == clip.id)).scalar()
            row["kept"] = bool(old) or community == HOME
            if old is None:
                connection.execute(tables.clips.insert().values(**row, added=clip.added or now))
            else:
                connection.execute(tables.clips.update().where(tables.clips.c.id == clip.id).values(row))
            connection.execute(tables.features.delete().where(tables.features.c.clip_id == clip.id))
            connection.execute(tables.features.insert(), rows)
            _put_findings(connection, clip, features)
            if lyrics is not None:
                connection.execute(tables.lyrics.delete().where(tables.lyrics.c.clip_id == clip.id))
                said = {"text": _clean(lyrics.text), "language": lyrics.language, "origin": lyrics.origin}
                connection.execute(tables.lyrics.insert().values(clip_id=clip.id, **said))
            _join(connection, clip.id, community, added_by, now)
            for fusion_id, vector in (embeddings or {}).items():
                put_embeddings(connection, fusion_id, {clip.id: vector})
        return self.get(clip.id)

    def join(self, clip_id: str, community: str, added_by: str | None = None) -> bool:
        """Let a community see a clip that the library has; False if it saw it already.

        Raises:
            UnknownClip: the library does not have it.
        """
        with self.write() as connection:
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
        with self.write() as connection:
            kept = connection.execute(sa.select(clips.c.kept).where(clips.c.id == clip_id)).scalar()
            if kept is None:
                raise UnknownClip()
            if community != HOME:
                mine = (members.c.clip_id == clip_id) & (members.c.community == community)
                if connection.execute(members.delete().where(mine)).rowcount == 0:
                    raise UnknownClip()
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
        rows = self._feature_rows(clip_id, features)
        if not any(row["encoder"] != FINGERPRINT for row in rows):
            raise NothingToHear()
        clip = self.get(clip_id)
        clip = replace(clip, notes=(), words=clip.words if words is None else tuple(words))
        names = [*self.preset.encoders, *([FINGERPRINT] if features.fingerprint is not None else [])]
        table = tables.features
        with self.write() as connection:
            connection.execute(table.delete().where(table.c.clip_id == clip_id, table.c.encoder.in_(names)))
            connection.execute(table.insert(), rows)
            _put_findings(connection, clip, features)

    def finish_reencode(self) -> None:
        """Every clip has vectors of this preset now: make it the library's, and forget others' vectors and fusions."""
        keep = [*self.preset.encoders, FINGERPRINT]
        with self.write() as connection:
            connection.execute(tables.features.delete().where(tables.features.c.encoder.not_in(keep)))
            connection.execute(tables.fusions.delete())
            connection.execute(tables.clusterings.delete())
        self._write_encoders()

    def _feature_rows(self, clip_id: str, features: Features) -> list[dict[str, Any]]:
        sizes = {part.encoder: part.size for part in self.preset.parts}
        rows = []
        for name, vector in features.vectors.items():
            if name not in sizes:
                raise EncoderError(f"{name} is not an encoder of preset {self.preset.name}.")
            checked = vectors.check(vector, sizes[name], f"The {name} vector of {clip_id}")
            data, crc = vectors.pack(checked)
            rows.append({"clip_id": clip_id, "encoder": name, "size": checked.size, "crc": crc, "vector": data})
        if features.fingerprint is not None and features.fingerprint.size:
            data, crc = vectors.pack(features.fingerprint, vectors.WORDS)
            size = features.fingerprint.size
            rows.append({"clip_id": clip_id, "encoder": FINGERPRINT, "size": size, "crc": crc, "vector": data})
        return rows

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

    def communities(self) -> list[str]:
        """Every community that sees a clip, besides HOME."""
        with self.read() as connection:
            return sorted(connection.execute(sa.select(tables.memberships.c.community).distinct()).scalars())

    def communities_of(self, clip_id: str) -> tuple[str, ...]:
        """The communities, besides HOME, that see this clip."""
        query = sa.select(tables.memberships.c.community).where(tables.memberships.c.clip_id == clip_id)
        with self.read() as connection:
            return tuple(sorted(connection.execute(query).scalars()))

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

    def records(self, community: str = HOME, ids: Sequence[str] | None = None) -> list[Record]:
        """Clips with all their vectors, oldest first (reads every vector: for training, not for queries)."""
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
                for clip in self._clips(connection, _CLIPS.where(_ID.in_(part))):
                    features = _features(clip, held.get(clip.id, {}))
                    found[clip.id] = Record(clip, features, tuple(members.get(clip.id, ())))
        return [found[clip_id] for clip_id in wanted if clip_id in found]

    def features(self, ids: Sequence[str]) -> dict[str, Features]:
        """What was found in these clips, those that there are."""
        return {record.clip.id: record.features for record in self.records(ids=ids)}

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

    def _clips(self, connection: sa.Connection, query: sa.Select[Any]) -> list[Clip]:
        rows = connection.execute(query).all()
        held: dict[str, set[str]] = {}
        table = tables.features
        for part in chunks(row.id for row in rows):
            names = sa.select(table.c.clip_id, table.c.encoder).where(table.c.clip_id.in_(part))
            for clip_id, encoder in connection.execute(names):
                held.setdefault(clip_id, set()).add(encoder)
        return [_clip(row, self._modalities(held.get(row.id, set()))) for row in rows]

    def _modalities(self, encoders: set[str]) -> tuple[Modality, ...]:
        present = {part.modality for part in self.preset.parts if part.encoder in encoders}
        return tuple(modality for modality in MODALITIES if modality in present)

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


_ID = tables.clips.c.id
_CLIPS: sa.Select[Any] = sa.select(
    tables.clips, *(column for column in tables.findings.c if column.name != "clip_id")
).join(tables.findings, tables.findings.c.clip_id == _ID, isouter=True)


def _clip(row: Any, modalities: tuple[Modality, ...]) -> Clip:
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


def _features(clip: Clip, held: Mapping[str, NDArray[Any]]) -> Features:
    return Features(
        vectors={name: vector for name, vector in held.items() if name != FINGERPRINT},
        tempo=clip.tempo,
        tags=clip.tags,
        classes=clip.classes,
        fingerprint=held.get(FINGERPRINT),
        notes=clip.notes,
    )


def _clip_row(clip: Clip) -> dict[str, Any]:
    plain = ("title", "artist", "album", "genre", "channel", "url", "path", "thumbnail", "language")
    row: dict[str, Any] = {name: _short(getattr(clip, name)) for name in plain}
    row["language"] = row["language"][:64] if row["language"] else None
    lists = {name: [_short(text) for text in getattr(clip, name)[:LONGEST_LIST]] for name in ("keywords", "categories")}
    return {"id": clip.id, "duration": clip.duration, **row, **lists}


def _put_findings(connection: sa.Connection, clip: Clip, features: Features) -> None:
    row = {
        "clip_id": clip.id,
        "tempo": features.tempo,
        "tags": [[label.label, float(label.score)] for label in features.tags],
        "classes": [[label.label, float(label.score)] for label in features.classes],
        "words": [_short(word) for word in clip.words[:LONGEST_LIST]],
        "notes": [_short(note) for note in dict.fromkeys((*clip.notes, *features.notes))],
    }
    connection.execute(tables.findings.delete().where(tables.findings.c.clip_id == clip.id))
    connection.execute(tables.findings.insert().values(row))


def _join(connection: sa.Connection, clip_id: str, community: str, added_by: str | None, now: datetime) -> bool:
    if community == HOME:
        return False
    table = tables.memberships
    if connection.execute(sa.select(table).where(table.c.clip_id == clip_id, table.c.community == community)).first():
        return False
    connection.execute(
        table.insert().values(community=community, clip_id=clip_id, added_by=_short(added_by), added_at=now)
    )
    return True


def _put_meta(connection: sa.Connection, key: str, value: Any) -> None:
    connection.execute(tables.meta.delete().where(tables.meta.c.key == key))
    connection.execute(tables.meta.insert().values(key=key, value=value))


def _clean(text: str) -> str:
    # Postgres has no NUL in text, and no database has half a surrogate pair.
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _short(text: str | None) -> str | None:
    return None if text is None else _clean(text)[:LONGEST_TEXT]


def _named(row: Any) -> str:
    return f"{row.artist} - {row.title}" if row.artist else row.title


def _said(row: Any) -> str:
    return titles.fold(_named(row))


def _spoken(encoders: list[list[Any]], others: list[list[Any]]) -> str:
    names = [name for name, _ in encoders]
    if names == [name for name, _ in others]:  # same names, other sizes
        names = [f"{name} ({size})" for name, size in encoders]
    return ", ".join(names)
