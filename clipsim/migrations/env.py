"""Alembic's environment: runs the migrations on the connection that `clipsim.tables.upgrade` opened.

A new one is written with `python -m clipsim.migrations "what changes"`.
"""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from clipsim.tables import UTCDateTime, metadata


def _render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    # A migration must not change when the code does: write the stored type, not ours.
    return "sa.DateTime()" if kind == "type" and isinstance(item, UTCDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    render_item=_render,
)
with context.begin_transaction():
    context.run_migrations()
