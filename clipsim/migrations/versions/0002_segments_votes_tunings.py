"""Halves of clips, thumbs on results, and what each modality counts for in a community."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tunings",
        sa.Column("community", sa.String(length=128), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community", name=op.f("pk_tunings")),
    )
    op.create_table(
        "segments",
        sa.Column("clip_id", sa.String(length=64), nullable=False),
        sa.Column("encoder", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("crc", sa.BigInteger(), nullable=False),
        sa.Column("matrix", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.id"], name=op.f("fk_segments_clip_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("clip_id", "encoder", name=op.f("pk_segments")),
    )
    op.create_table(
        "votes",
        sa.Column("community", sa.String(length=128), nullable=False),
        sa.Column("voter", sa.String(length=128), nullable=False),
        sa.Column("query_id", sa.String(length=64), nullable=False),
        sa.Column("result_id", sa.String(length=64), nullable=False),
        sa.Column("up", sa.Boolean(), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=True),
        sa.Column("by", sa.String(length=16), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["query_id"], ["clips.id"], name=op.f("fk_votes_query_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["result_id"], ["clips.id"], name=op.f("fk_votes_result_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("community", "voter", "query_id", "result_id", name=op.f("pk_votes")),
    )
    with op.batch_alter_table("votes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_votes_result_id"), ["result_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("votes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_votes_result_id"))

    op.drop_table("votes")
    op.drop_table("segments")
    op.drop_table("tunings")
