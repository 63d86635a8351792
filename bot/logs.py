"""Logging, set up once: one line per event to stderr, a failure's traceback indented below it, and never the token."""

from __future__ import annotations

import logging
import sys

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
HIDDEN = "[token]"
QUIET = ("aiohttp.access", "alembic", "chromadb", "httpx", "urllib3", "numba", "matplotlib")  # at WARNING at least


class Lines(logging.Formatter):
    """One line per event, whatever a title from a stranger contains; secrets hidden."""

    def __init__(self, *secrets: str) -> None:
        super().__init__(FORMAT)
        self._secrets = [secret for secret in secrets if secret]

    def format(self, record: logging.LogRecord) -> str:
        """The event as text."""
        head, *below = super().format(record).split("\n")
        if not (record.exc_info or record.exc_text or record.stack_info):
            head, below = "\n".join([head, *below]), []
        elif (message := record.getMessage()).count("\n"):
            lines = message.count("\n")
            head, below = "\n".join([head, *below[:lines]]), below[lines:]
        text = "\n    ".join([_one_line(head), *map(_one_line, below)])
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def set_up(level: str, *secrets: str) -> None:
    """Send all logs to stderr. `secrets` are replaced wherever they would appear."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(*secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
