"""Logging, set up once: one line per event to stderr, as text or as JSON, with the job it belongs to, never the token.

Worker processes write the same lines as the process that started them (`inherited`, `take_over`).
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from clipsim.context import current

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(job)s%(message)s"
HIDDEN = "[token]"
QUIET = ("aiohttp.access", "alembic", "chromadb", "httpx", "urllib3", "numba", "matplotlib")  # at WARNING at least

Form = Literal["text", "json"]


@dataclass(frozen=True, slots=True)
class Setup:
    """How this process logs."""

    level: str
    secrets: tuple[str, ...]
    form: Form = "text"


_setup: Setup | None = None


class Lines(logging.Formatter):
    """One line per event, whatever a title from a stranger contains; secrets hidden.

    A traceback follows, indented. `job=17` stands before what is done for a job.
    """

    def __init__(self, *secrets: str) -> None:
        super().__init__(FORMAT)
        self._secrets = [secret for secret in secrets if secret]

    def format(self, record: logging.LogRecord) -> str:
        """The event as text."""
        job = current().job
        record.job = "" if job is None or record.getMessage().startswith("job=") else f"job={job} "
        head, *below = super().format(record).split("\n")
        if not (record.exc_info or record.exc_text or record.stack_info):
            head, below = "\n".join([head, *below]), []
        elif (message := record.getMessage()).count("\n"):
            lines = message.count("\n")
            head, below = "\n".join([head, *below[:lines]]), below[lines:]
        return self.hide("\n    ".join([_one_line(head), *map(_one_line, below)]))

    def hide(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


class Objects(Lines):
    """One JSON object per event: `time` (ISO 8601, UTC), `level`, `logger`, `message`, and `job`, `error` if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The event as JSON."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        event: dict[str, object] = {"time": at, "level": record.levelname, "logger": record.name}
        event["message"] = self.hide(record.getMessage())
        if (job := current().job) is not None:
            event["job"] = job
        if record.exc_info and record.exc_info[0] is not None:
            event["error"] = record.exc_info[0].__name__
            event["traceback"] = self.hide(self.formatException(record.exc_info))
        return json.dumps(event, ensure_ascii=True)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def set_up(level: str, *secrets: str, form: Form = "text") -> None:
    """Send all logs to stderr. `secrets` are replaced wherever they would appear."""
    take_over(Setup(level, secrets, form))


def inherited() -> Setup | None:
    """What a child process has to `take_over` to log as this one does; None where this one's logs are its caller's."""
    return _setup


def take_over(setup: Setup | None) -> None:
    """Log as another process does."""
    global _setup  # noqa: PLW0603 - there is one log for each process
    _setup = setup
    if setup is None:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((Objects if setup.form == "json" else Lines)(*setup.secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(setup.level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
