"""Which clips have changed: what is held in memory of a library asks before it answers.

Every write to a library is noted by the tables that its statements name, after it was committed: no write gets around
it, and one that says which clips it is about makes only those be read again. One process owns a library, so its own
writes are all there are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

CLIPS = frozenset({"clips", "features", "embeddings", "memberships"})  # tables that say what a question may find
METHODS = frozenset({"fusions", "active", "clusterings"})  # and those that say how
UNKNOWN = "?"  # stands for the table of a statement that is plain text
KEPT = 10_000  # changes remembered; who missed more reads everything again


@dataclass(frozen=True, slots=True)
class Scope:
    """What a write says it is about: these clips (None: any), and if only their embeddings, of which fusion."""

    clips: frozenset[str] | None = None
    fusion_id: str | None = None


class Changes:
    """The changes of one library since it was opened. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._log: deque[tuple[int, Scope, frozenset[str]]] = deque(maxlen=KEPT)  # revision, scope, tables
        self._revision = 0

    @property
    def revision(self) -> int:
        """Grows with each change. Take it before reading: what is read then is at least as new."""
        return self._revision

    def note(self, written: Collection[str], scope: Scope) -> None:
        """A write to these tables was committed."""
        if not (CLIPS | METHODS | {UNKNOWN}).intersection(written):
            return
        if CLIPS.isdisjoint(written) and UNKNOWN not in written:
            scope = Scope(frozenset())
        with self._lock:
            self._revision += 1
            self._log.append((self._revision, scope, frozenset(written)))

    def since(
        self, revision: int, fusion_id: str | None = None, tables: Collection[str] = CLIPS
    ) -> frozenset[str] | None:
        """The clips that changed after that revision; None where any may have.

        With `fusion_id`: leaving out those of which only other fusions' embeddings changed. `tables`: counting only
        what was written to these.
        """
        with self._lock:
            if revision == self._revision:
                return frozenset()
            if not self._log or self._log[0][0] > revision + 1:
                return None
            later = [(scope, written) for number, scope, written in self._log if number > revision]
        found: set[str] = set()
        for scope, written in later:
            if UNKNOWN not in written and written.isdisjoint(tables):
                continue
            if fusion_id is not None and scope.fusion_id not in (None, fusion_id):
                continue
            if scope.clips is None:
                return None
            found |= scope.clips
        return frozenset(found)


def about(clips: Iterable[str] | None, fusion_id: str | None = None) -> Scope:
    """The scope of a write; see `Scope`."""
    return Scope(None if clips is None else frozenset(clips), fusion_id)


def written(context: Any, statement: str) -> str | None:
    """The table that a statement which ran has changed, as SQLAlchemy's `after_cursor_execute` tells of it."""
    if context is not None and context.compiled is not None:
        table = getattr(context.compiled.statement, "table", None)
        if table is not None and (context.isinsert or context.isupdate or context.isdelete):
            return str(table.name)
        if getattr(context.compiled.statement, "is_select", False):
            return None
    reads = statement.lstrip()[:6].upper().startswith(("SELECT", "PRAGMA", "BEGIN", "WITH"))
    return None if reads else UNKNOWN
