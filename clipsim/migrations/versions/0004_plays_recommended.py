"""What was played in a place, and how often each clip was recommended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plays",
        sa.Column("community", sa.String(length=128), nullable=False),
        sa.Column("place", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("clip_id", sa.String(length=64), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.id"], name=op.f("fk_plays_clip_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("community", "place", "kind", "clip_id", name=op.f("pk_plays")),
    )
    with op.batch_alter_table("plays", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_plays_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_plays_clip_id"), ["clip_id"], unique=False)

    op.create_table(
        "recommended",
        sa.Column("community", sa.String(length=128), nullable=False),
        sa.Column("clip_id", sa.String(length=64), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.id"], name=op.f("fk_recommended_clip_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("community", "clip_id", name=op.f("pk_recommended")),
    )
    with op.batch_alter_table("recommended", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recommended_clip_id"), ["clip_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("recommended", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recommended_clip_id"))

    op.drop_table("recommended")
    with op.batch_alter_table("plays", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_plays_clip_id"))
        batch_op.drop_index(batch_op.f("ix_plays_at"))

    op.drop_table("plays")
