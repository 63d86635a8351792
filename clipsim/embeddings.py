"""Fusions and the embeddings they made, in the library's database.

A fusion that was trained is saved, then its embeddings, then the index is filled; until the one row of `active` names
it, the old one answers.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, cast

import numpy as np
import sqlalchemy as sa

from clipsim import tables, vectors
from clipsim.database import Database
from clipsim.errors import LibraryCorrupt, NotTrained
from clipsim.model import HOME, Matrix, Method, Vector

CHUNK = 500  # ids in one statement: databases limit their number
READ = 5000  # embeddings taken from the database at once


@dataclass(frozen=True, slots=True)
class SavedFusion:
    """A trained fusion's row, without its data."""

    id: str
    method: Method
    preset: str
    clips: int  # it was fitted on
    size: int  # of its embeddings
    created: datetime
    active: bool


def chunks(ids: Iterable[str], size: int = CHUNK) -> Iterable[list[str]]:
    """The ids, `size` at a time."""
    rest = iter(ids)
    while part := list(islice(rest, size)):
        yield part


class Embeddings(Database):
    """The part of a library that knows fusions and embeddings."""

    preset_name: str

    def save_fusion(self, method: Method, data: bytes, *, clips: int, size: int) -> str:
        """Keep a trained fusion; returns its new id. It answers nothing until `activate_fusion`."""
        now = datetime.now(UTC)
        fusion_id = f"{method}-{now:%Y%m%d%H%M%S}-{secrets.token_hex(4)}"
        row = {
            "id": fusion_id,
            "method": method,
            "preset": self.preset_name,
            "clips": clips,
            "size": size,
            "created": now,
            "crc": zlib.crc32(data),
            "data": data,
        }
        with self.write() as connection:
            connection.execute(tables.fusions.insert().values(row))
        return fusion_id

    def activate_fusion(self, fusion_id: str) -> SavedFusion:
        """Let this fusion answer for its method, in one step.

        Raises:
            NotTrained: there is no such fusion.
        """
        with self.write() as connection:
            query = sa.select(tables.fusions.c.method).where(tables.fusions.c.id == fusion_id)
            method = connection.execute(query).scalar()
            if method is None:
                raise NotTrained(f"There is no fusion {fusion_id}.")
            switch = tables.active.update().where(tables.active.c.method == method).values(fusion_id=fusion_id)
            if connection.execute(switch).rowcount == 0:
                connection.execute(tables.active.insert().values(method=method, fusion_id=fusion_id))
        return next(fusion for fusion in self.fusions() if fusion.id == fusion_id)

    def fusions(self) -> list[SavedFusion]:
        """Every trained fusion, newest first."""
        columns = [tables.fusions.c[name] for name in ("id", "method", "preset", "clips", "size", "created")]
        query = (
            sa.select(*columns, tables.active.c.fusion_id)
            .join(tables.active, tables.active.c.fusion_id == tables.fusions.c.id, isouter=True)
            .order_by(tables.fusions.c.created.desc(), tables.fusions.c.id.desc())
        )
        with self.read() as connection:
            rows = connection.execute(query).all()
        return [SavedFusion(*row[:6], active=row[6] is not None) for row in rows]

    def active_fusion(self, method: Method) -> SavedFusion | None:
        """The fusion that answers for this method, if one was trained."""
        return next((fusion for fusion in self.fusions() if fusion.active and fusion.method == method), None)

    def fusion_data(self, fusion_id: str) -> bytes:
        """The bytes that `save_fusion` was given.

        Raises:
            NotTrained: there is no such fusion. LibraryCorrupt: its bytes have changed.
        """
        query = sa.select(tables.fusions.c.data, tables.fusions.c.crc).where(tables.fusions.c.id == fusion_id)
        with self.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotTrained(f"There is no fusion {fusion_id}.")
        if zlib.crc32(row.data) != row.crc:
            raise LibraryCorrupt(f"The saved fusion {fusion_id} is damaged.", hint="Run: clipsim audit")
        return cast(bytes, row.data)

    def drop_fusion(self, fusion_id: str) -> None:
        """Forget a fusion and all its embeddings."""
        with self.write() as connection:
            connection.execute(tables.fusions.delete().where(tables.fusions.c.id == fusion_id))

    def save_embeddings(self, fusion_id: str, embedded: Mapping[str, Vector]) -> None:
        """Keep the embeddings of these clips (id to vector), replacing older ones, all or none.

        Raises:
            EncoderError: a vector is not finite, all zero or of another size. NotTrained: there is no such fusion.
        """
        with self.write(embedded, fusion_id) as connection:
            put_embeddings(connection, fusion_id, embedded)

    def embeddings(self, fusion_id: str, community: str = HOME) -> tuple[list[str], Matrix]:
        """Ids and embeddings, float32 (clips, size), of every clip the community sees, oldest first.

        Damaged rows are left out (`clipsim audit` makes them anew).
        """
        held = tables.embeddings
        order = sa.select(tables.clips.c.id).order_by(tables.clips.c.added, tables.clips.c.id)
        rows = sa.select(held.c.clip_id, held.c.vector, held.c.crc).where(held.c.fusion_id == fusion_id)
        with self.read() as connection:
            size = _size(connection, fusion_id)
            # Sorting the vectors along with the clips would take three times as long as putting them in their places.
            ids = list(connection.execute(in_community(order, tables.clips.c.id, community)).scalars())
            place = {clip_id: row for row, clip_id in enumerate(ids)}
            matrix, length = np.zeros((len(ids), size), np.float32), size * vectors.FLOATS.itemsize
            there = np.zeros(len(ids), np.bool_)
            found = connection.execution_options(yield_per=READ).execute(in_community(rows, held.c.clip_id, community))
            for part in found.partitions():
                sound = [row for row in part if zlib.crc32(row[1]) == row[2] and len(row[1]) == length]
                where = [place[clip_id] for clip_id, _, _ in sound]
                matrix[where] = np.frombuffer(b"".join([data for _, data, _ in sound]), vectors.FLOATS).reshape(
                    -1, size
                )
                there[where] = True
        if there.all():
            return ids, matrix
        return [clip_id for clip_id, kept in zip(ids, there.tolist(), strict=True) if kept], matrix[there]

    def embedded(self, fusion_id: str, community: str) -> int:
        """How many clips that the community sees this fusion has embedded."""
        table = tables.embeddings
        query = sa.select(sa.func.count()).select_from(table).where(table.c.fusion_id == fusion_id)
        with self.read() as connection:
            return int(connection.execute(in_community(query, table.c.clip_id, community)).scalar_one())

    def unembedded(self, fusion_id: str) -> list[str]:
        """Ids of the clips that this fusion has not embedded yet, oldest first."""
        table = tables.embeddings
        done = sa.select(table.c.clip_id).where(table.c.fusion_id == fusion_id)
        query = sa.select(tables.clips.c.id).where(tables.clips.c.id.not_in(done))
        with self.read() as connection:
            return list(connection.execute(query.order_by(tables.clips.c.added, tables.clips.c.id)).scalars())

    def vectors(self, fusion_id: str, ids: Sequence[str]) -> dict[str, Vector]:
        """The embeddings of these clips, those that there are."""
        found: dict[str, Vector] = {}
        table = tables.embeddings
        with self.read() as connection:
            for part in chunks(ids):
                query = sa.select(table.c.clip_id, table.c.vector, table.c.crc)
                query = query.where(table.c.fusion_id == fusion_id, table.c.clip_id.in_(part))
                for clip_id, data, crc in connection.execute(query):
                    if (vector := vectors.unpack(data, crc)) is not None:
                        found[clip_id] = vector
        return found


def put_embeddings(connection: sa.Connection, fusion_id: str, embedded: Mapping[str, Vector]) -> None:
    """Write embeddings on an open transaction, replacing older ones. Raises as `save_embeddings`."""
    size = _size(connection, fusion_id)
    rows = []
    for clip_id, vector in embedded.items():
        data, crc = vectors.pack(vectors.check(vector, size, f"The embedding of {clip_id}"))
        rows.append({"fusion_id": fusion_id, "clip_id": clip_id, "vector": data, "crc": crc})
    table = tables.embeddings
    for part in chunks(embedded):
        connection.execute(table.delete().where(table.c.fusion_id == fusion_id, table.c.clip_id.in_(part)))
    if rows:
        connection.execute(table.insert(), rows)


def in_community(query: sa.Select[Any], column: sa.ColumnElement[str], community: str) -> sa.Select[Any]:
    """The query, for the clips that this community sees."""
    if community == HOME:
        return query
    members = sa.select(tables.memberships.c.clip_id).where(tables.memberships.c.community == community)
    return query.where(column.in_(members))


def _size(connection: sa.Connection, fusion_id: str) -> int:
    size = connection.execute(sa.select(tables.fusions.c.size).where(tables.fusions.c.id == fusion_id)).scalar()
    if size is None:
        raise NotTrained(f"There is no fusion {fusion_id}.")
    return int(size)
