"""The library's migrations (Alembic), run when a library is opened."""
