"""The audit: find every difference between the library and its index, and every damaged row, and mend what can be.

The library is the truth. What the index has wrong is made anew from it; an embedding is computed again from the clip's
vectors; a damaged vector itself is gone, and only encoding the clip again brings it back.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from clipsim import tables, vectors
from clipsim.embeddings import SavedFusion, chunks
from clipsim.encoders import Preset
from clipsim.errors import EncoderError, IndexUnavailable, LibraryCorrupt, LibraryMismatch
from clipsim.index import Index
from clipsim.library import FINGERPRINT, Library
from clipsim.model import HOME, Matrix

CLOSE = 1e-4  # largest difference of any number of an embedding in the index from the library's
NEIGHBOURS = 10  # a clip finds itself among so many of its nearest …
TWINS = 1000  # … or, where that many are as near, among these
BATCH = 200  # queries at once
STALE = timedelta(hours=1)  # a fusion that still answers nothing after this was given up
NAMED = 20  # clips that a difference names


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of difference: what it is, how often it was found, and (some of) the clips concerned."""

    what: str
    count: int
    clips: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = f" ({', '.join(self.clips)}{', …' if self.count > len(self.clips) else ''})" if self.clips else ""
        return f"{self.count} × {self.what}{named}"


@dataclass(slots=True)
class AuditReport:
    """What was found: `mended`, and `unmendable` (each says what to do)."""

    mended: list[Difference] = field(default_factory=list)
    unmendable: list[Difference] = field(default_factory=list)

    @property
    def found(self) -> list[Difference]:
        """Every difference."""
        return [*self.mended, *self.unmendable]

    def __str__(self) -> str:
        if not self.found:
            return "Library and index agree."
        lines = [f"Mended: {difference}" for difference in self.mended]
        return "\n".join(lines + [f"Not mended: {difference}" for difference in self.unmendable])


def audit(library: Library, index: Index, preset: Preset, unindexed: Container[str] = ()) -> AuditReport:
    """Check everything and mend what can be. Nothing else may write meanwhile.

    `unindexed` names fusions that have no collections in the index.

    Raises:
        IndexUnavailable: a Chroma server that does not answer, or an index that cannot even be made anew.
        LibraryError and its kinds: the database or disk fails.
    """
    report = AuditReport()
    _rows(library, report)
    _features(library, preset, report)
    _fusions(library, preset, report)
    for saved in library.fusions():
        if saved.active:
            _embeddings(library, preset, saved, report)
    try:
        _index(library, index, report, unindexed)
    except IndexUnavailable:
        index.reset()
        _note(report.mended, "index that could not be read, made anew", ["index"], named=False)
        _index(library, index, AuditReport(), unindexed)
    return report


# The library


def _rows(library: Library, report: AuditReport) -> None:
    """Damage of the file itself, and rows whose clip or fusion is gone."""
    with library.read() as connection:
        if connection.dialect.name == "sqlite":
            told = [row[0] for row in connection.execute(sa.text("PRAGMA integrity_check(10)"))]
            if told != ["ok"]:
                what = f"damage of the database itself ({told[0]}); restore a backup: clipsim restore FILE"
                _note(report.unmendable, what, told, named=False)
    with library.write() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            for column in table.c:
                for key in column.foreign_keys:
                    orphans = column.not_in(sa.select(key.column))
                    gone = connection.execute(table.delete().where(orphans)).rowcount
                    _count(report.mended, f"row of {table.name} that belonged to nothing", gone)


def _features(library: Library, preset: Preset, report: AuditReport) -> None:
    """Vectors whose bytes are not those that were stored."""
    table = tables.features
    sizes = {part.encoder: part.size for part in preset.parts}
    damaged: list[tuple[str, str]] = []
    with library.read() as connection:
        for row in connection.execution_options(yield_per=BATCH).execute(sa.select(table)):
            if row.encoder == FINGERPRINT:
                good = vectors.unpack(row.vector, row.crc, row.size, vectors.WORDS) is not None
            else:
                good = _sound(vectors.unpack(row.vector, row.crc, sizes.get(row.encoder, row.size)))
            if not good:
                damaged.append((row.clip_id, row.encoder))
    with library.write() as connection:
        for clip_id, encoder in damaged:
            connection.execute(table.delete().where(table.c.clip_id == clip_id, table.c.encoder == encoder))
            _add_note(connection, clip_id, f"The {encoder} vector was damaged and is gone: encode the clip again.")
    what = "damaged vector, now missing; bring it back with: clipsim reencode"
    _note(report.unmendable, what, [clip_id for clip_id, _ in damaged])
    with library.read() as connection:
        kinds = sa.select(table.c.clip_id).where(table.c.encoder != FINGERPRINT)
        bare = connection.execute(sa.select(tables.clips.c.id).where(tables.clips.c.id.not_in(kinds))).scalars().all()
    _note(report.unmendable, "clip without any vector; run: clipsim reencode, or remove it", bare)


def _sound(vector: Any) -> bool:
    try:
        return vector is not None and vectors.check(vector) is not None
    except EncoderError:
        return False


def _add_note(connection: sa.Connection, clip_id: str, note: str) -> None:
    table = tables.findings
    notes = connection.execute(sa.select(table.c.notes).where(table.c.clip_id == clip_id)).scalar()
    if notes is not None and note not in notes:
        connection.execute(table.update().where(table.c.clip_id == clip_id).values(notes=[*notes, note]))


def _fusions(library: Library, preset: Preset, report: AuditReport) -> None:
    """Fusions that cannot be read, and those that were replaced or given up."""
    saved = library.fusions()
    newest = {one.method: one.created for one in saved if one.active}
    for one in saved:
        if not one.active:
            replaced = one.method in newest and one.created <= newest[one.method]
            if replaced or datetime.now(UTC) - one.created > STALE:
                library.drop_fusion(one.id)
                _count(report.mended, "fusion that answers nothing, dropped", 1)
            continue
        try:
            _load(library, one, preset)
        except (LibraryCorrupt, LibraryMismatch):
            library.drop_fusion(one.id)
            _count(report.unmendable, f"fusion {one.method} that could not be read, dropped; run: clipsim train", 1)


def _load(library: Library, saved: SavedFusion, preset: Preset) -> Any:
    from clipsim import fusion

    return fusion.load(library.fusion_data(saved.id), preset)


def _embeddings(library: Library, preset: Preset, saved: SavedFusion, report: AuditReport) -> None:
    """Embeddings that are damaged or missing, computed again."""
    table = tables.embeddings
    whole: set[str] = set()
    damaged: list[str] = []
    with library.read() as connection:
        query = sa.select(table).where(table.c.fusion_id == saved.id)
        for row in connection.execution_options(yield_per=BATCH).execute(query):
            good = _sound(vectors.unpack(row.vector, row.crc, saved.size))
            whole.add(row.clip_id) if good else damaged.append(row.clip_id)
    lost = [clip_id for clip_id in library.ids() if clip_id not in whole]
    fusion = _load(library, saved, preset) if lost else None
    made: set[str] = set()
    for part in chunks(lost):
        usable = {clip_id: found for clip_id, found in library.features(part).items() if found.vectors}
        if fusion is not None and usable:
            rows: Matrix = fusion.embed(list(usable.values()))
            library.save_embeddings(saved.id, dict(zip(usable, rows, strict=True)))
            made |= set(usable)
    _note(report.mended, f"damaged embedding ({saved.method})", [i for i in damaged if i in made])
    _note(report.mended, f"missing embedding ({saved.method})", [i for i in lost if i in made and i not in damaged])


# The index


def _index(library: Library, index: Index, report: AuditReport, unindexed: Container[str]) -> None:
    """Every collection against the library's embeddings; then those that nothing needs."""
    expected = set()
    for saved in library.fusions():
        if saved.active and saved.id not in unindexed:
            for community in (HOME, *library.communities()):
                name = index.name(saved.id, community)
                expected.add(name)
                ids, matrix = library.embeddings(saved.id, community)
                _collection(index, name, ids, matrix, report)
    waiting = {index.name(saved.id, "").rpartition(".")[0] for saved in library.fusions() if not saved.active}
    for name in index.names():
        if name not in expected and name.rpartition(".")[0] not in waiting:
            index.drop(name)
            _count(report.mended, "collection that nothing needs, dropped", 1)


def _collection(index: Index, name: str, ids: Sequence[str], matrix: Matrix, report: AuditReport) -> None:
    right = dict(zip(ids, matrix, strict=True))
    if not index.healthy(name):
        _count(report.mended, "collection missing or of other settings, made anew", 1)
        index.rebuild(name, right)
        return
    there = index.vectors(name)
    missing = [clip_id for clip_id in ids if clip_id not in there]
    surplus = [clip_id for clip_id in there if clip_id not in right]
    sized = [clip_id for clip_id in ids if clip_id in there]
    wrong = [i for i in sized if there[i].shape != right[i].shape or np.abs(there[i] - right[i]).max() > CLOSE]
    _note(report.mended, "clip missing in the index", missing)
    _note(report.mended, "clip in the index that is not in the library", surplus)
    _note(report.mended, "embedding in the index that is not the library's", wrong)
    if there and any(there[i].shape != right[i].shape for i in wrong):
        index.rebuild(name, right)
        return
    index.upsert(name, {clip_id: right[clip_id] for clip_id in (*missing, *wrong)})
    index.delete(name, surplus)
    lost = list(_unreachable(index, name, ids, matrix))
    if lost:  # chroma #7758: after deletes and upserts a record may be there, and no query reaches it
        _note(report.mended, "clip that did not find itself", lost)
        index.rebuild(name, right)


def _unreachable(index: Index, name: str, ids: Sequence[str], matrix: Matrix) -> Iterator[str]:
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        answers = index.query_many(name, matrix[start : start + BATCH], NEIGHBOURS)
        for row, (clip_id, answer) in enumerate(zip(part, answers, strict=True), start):
            if clip_id in {found for found, _ in answer}:
                continue
            # Many clips may have the very same embedding: then being tenth or eleventh is no fault.
            twins = {found for found, _ in index.query(name, matrix[row], TWINS)}
            if clip_id not in twins:
                yield clip_id


# The report


def _note(where: list[Difference], what: str, clips: Iterable[str], *, named: bool = True) -> None:
    ids = list(dict.fromkeys(clips))
    if ids:
        _add(where, what, len(ids), tuple(ids[:NAMED]) if named else ())


def _count(where: list[Difference], what: str, count: int) -> None:
    if count > 0:
        _add(where, what, count, ())


def _add(where: list[Difference], what: str, count: int, clips: tuple[str, ...]) -> None:
    for position, known in enumerate(where):
        if known.what == what:  # the same in another community's collection
            both = tuple(dict.fromkeys((*known.clips, *clips)))[:NAMED]
            where[position] = Difference(what, known.count + count, both)
            return
    where.append(Difference(what, count, clips))
