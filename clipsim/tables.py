"""The library's tables: the truth that everything else is rebuilt from.

They change only by the Alembic migrations in `clipsim/migrations/`, which run when a library is opened (see
`clipsim.database.upgrade`); `HEAD` names the newest. A new one: `python -m clipsim.migrations "what changes"`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

HEAD = "0005"  # revision of the newest migration; a test keeps it equal


class UTCDateTime(sa.types.TypeDecorator[datetime]):
    """A moment, stored without its zone (always UTC), returned with it: SQLite has no time zones."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Aware to naive UTC."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Naive UTC to aware."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _clip_id(**options: Any) -> sa.Column[str]:
    return sa.Column("clip_id", sa.String(64), sa.ForeignKey("clips.id", ondelete="CASCADE"), **options)


def _fusion_id(**options: Any) -> sa.Column[str]:
    return sa.Column("fusion_id", sa.String(64), sa.ForeignKey("fusions.id", ondelete="CASCADE"), **options)


meta = sa.Table(
    "meta",  # what the library is: its own id, preset, encoders
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)

clips = sa.Table(
    "clips",  # who made it, where it came from
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("artist", sa.Text),
    sa.Column("album", sa.Text),
    sa.Column("genre", sa.Text),
    sa.Column("keywords", sa.JSON, nullable=False),
    sa.Column("categories", sa.JSON, nullable=False),
    sa.Column("channel", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("path", sa.Text),
    sa.Column("thumbnail", sa.Text),
    sa.Column("duration", sa.Float),
    sa.Column("language", sa.String(64)),
    sa.Column("added", UTCDateTime, nullable=False, index=True),
    sa.Column("kept", sa.Boolean, nullable=False),  # added from HOME too: stays when every community forgot it
)

findings = sa.Table(
    "findings",  # what the encoders can say in words
    metadata,
    _clip_id(primary_key=True),
    sa.Column("tempo", sa.Float),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("classes", sa.JSON, nullable=False),
    sa.Column("words", sa.JSON, nullable=False),
    sa.Column("notes", sa.JSON, nullable=False),
)

lyrics = sa.Table(
    "lyrics",  # kept, so that another text encoder needs no second fetch (given lyrics have no source at all)
    metadata,
    _clip_id(primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("language", sa.String(64)),
    sa.Column("origin", sa.String(16), nullable=False),
)

features = sa.Table(
    "features",  # one row per encoder; no row, no modality. Encoder "fingerprint" is uint32, the others float32
    metadata,
    _clip_id(primary_key=True),
    sa.Column("encoder", sa.String(64), primary_key=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("crc", sa.BigInteger, nullable=False),  # zlib.crc32 of the blob
    sa.Column("vector", sa.LargeBinary, nullable=False),  # little-endian
)

segments = sa.Table(
    "segments",  # what an encoder finds in each half of a clip: to learn from what belongs together for certain
    metadata,
    _clip_id(primary_key=True),
    sa.Column("encoder", sa.String(64), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),  # rows of the matrix
    sa.Column("crc", sa.BigInteger, nullable=False),  # zlib.crc32 of the blob
    sa.Column("matrix", sa.LargeBinary, nullable=False),  # float32, little-endian, row by row
)

memberships = sa.Table(
    "memberships",  # which community sees which clip. HOME sees every clip and has no rows
    metadata,
    sa.Column("community", sa.String(128), primary_key=True),
    _clip_id(primary_key=True, index=True),
    sa.Column("added_by", sa.String(128)),
    sa.Column("added_at", UTCDateTime, nullable=False),
    sa.Column("place", sa.JSON(none_as_null=True)),  # of the first post: the adapter's own
)

communities = sa.Table(
    "communities",  # what each has chosen; one without a row has chosen nothing
    metadata,
    sa.Column("community", sa.String(128), primary_key=True),
    sa.Column("preferences", sa.JSON, nullable=False),  # the adapter's own
    sa.Column("shared", sa.Boolean, nullable=False),  # its clips are in `SHARED`, and it sees all that are
    sa.Column("left_at", UTCDateTime),  # it is gone, and is forgotten some time after this
)

fusions = sa.Table(
    "fusions",  # every trained fusion; those in `active` answer
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("method", sa.String(32), nullable=False, index=True),
    sa.Column("preset", sa.String(64), nullable=False),
    sa.Column("clips", sa.Integer, nullable=False),  # it was fitted on
    sa.Column("size", sa.Integer, nullable=False),  # of its embeddings
    sa.Column("created", UTCDateTime, nullable=False),
    sa.Column("crc", sa.BigInteger, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

active = sa.Table(
    "active",  # one row per method: replacing it is the switch to a retrained fusion
    metadata,
    sa.Column("method", sa.String(32), primary_key=True),
    _fusion_id(nullable=False),
)

embeddings = sa.Table(
    "embeddings",
    metadata,
    _fusion_id(primary_key=True),
    _clip_id(primary_key=True, index=True),
    sa.Column("crc", sa.BigInteger, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),  # float32, little-endian, unit length
)

clusterings = sa.Table(
    "clusterings",  # the last clustering of each community, so that ids and labels stay
    metadata,
    sa.Column("community", sa.String(128), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),  # "auto", or the number asked for
    sa.Column("state", sa.JSON, nullable=False),
)

votes = sa.Table(
    "votes",  # a thumb on a result; the last one of each voter counts
    metadata,
    sa.Column("community", sa.String(128), primary_key=True),
    sa.Column("voter", sa.String(128), primary_key=True),
    sa.Column("query_id", sa.String(64), sa.ForeignKey("clips.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("result_id", sa.String(64), sa.ForeignKey("clips.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("up", sa.Boolean, nullable=False),
    sa.Column("method", sa.String(32)),  # that answered
    sa.Column("by", sa.String(16), nullable=False),
    sa.Column("rank", sa.Integer),
    sa.Column("at", UTCDateTime, nullable=False),
)

tunings = sa.Table(
    "tunings",  # what each modality counts for in a community, learnt from its votes
    metadata,
    sa.Column("community", sa.String(128), primary_key=True),
    sa.Column("state", sa.JSON, nullable=False),
    sa.Column("at", UTCDateTime, nullable=False),
)

jobs = sa.Table(
    "jobs",  # a link that was pasted, until its clip is in the library
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("community", sa.String(128), nullable=False),
    sa.Column("requester", sa.String(128)),
    sa.Column("reply", sa.JSON, nullable=False),
    sa.Column("clip_id", sa.String(64)),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("error_code", sa.String(64)),
    sa.Column("error_message", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("retry_at", UTCDateTime),
    sa.Column("created", UTCDateTime, nullable=False),
    sa.Column("updated", UTCDateTime, nullable=False),
)

plays = sa.Table(
    "plays",  # what was put before people in a place (a Discord channel), so that it does not come again at once
    metadata,
    sa.Column("community", sa.String(128), primary_key=True),
    sa.Column("place", sa.String(128), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),  # "playlist", "surprise" or "answer"
    _clip_id(primary_key=True, index=True),
    sa.Column("turn", sa.Integer, nullable=False),  # counts the place's lists of this kind; the last that had the clip
    sa.Column("at", UTCDateTime, nullable=False, index=True),
)

recommended = sa.Table(
    "recommended",  # how often each clip was shown as a result
    metadata,
    sa.Column("community", sa.String(128), primary_key=True),
    _clip_id(primary_key=True, index=True),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("at", UTCDateTime, nullable=False),  # the last time
)

listings = sa.Table(
    "listings",  # what a reply listed, so that its buttons work after a restart
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("community", sa.String(128), nullable=False),
    sa.Column("what", sa.JSON, nullable=False),  # the adapter's own
    sa.Column("at", UTCDateTime, nullable=False, index=True),
)
