"""Listings: what a reply listed, kept under a short key for a month, so that its buttons work after a restart.

What is kept is the adapter's own: anything JSON can say. A key is a secret of sorts (nobody guesses one), and opens its
own community's listing only.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from clipsim import tables
from clipsim.database import Database
from clipsim.model import HOME, JSON

KEPT = timedelta(days=30)
KEY = 9  # random bytes of a key, which is 12 characters of URL-safe base64


class Listings:
    """The listings of one library's communities."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, what: JSON, community: str = HOME) -> str:
        """Keep a listing; returns its key. What is older than `KEPT` goes."""
        key, now, table = secrets.token_urlsafe(KEY), datetime.now(UTC), tables.listings
        with self._database.write() as connection:
            connection.execute(table.delete().where(table.c.at < now - KEPT))
            connection.execute(table.insert().values(key=key, community=community, what=what, at=now))
        return key

    def get(self, key: str, community: str = HOME) -> JSON | None:
        """The community's listing with this key; None where there is none (any more)."""
        table = tables.listings
        query = sa.select(table.c.what).where(table.c.key == key, table.c.community == community)
        with self._database.read() as connection:
            found = connection.execute(query.where(table.c.at >= datetime.now(UTC) - KEPT)).scalar()
        return dict(found) if isinstance(found, Mapping) else None
