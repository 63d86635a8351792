"""For whom work is being done just now: a job, its community, and whether it yields to others.

It travels with tasks and threads (`contextvars`), and is handed to worker processes with each piece of work: so that
every line of the log names its job, and whoever shares something out among communities knows whose turn it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from clipsim.model import HOME

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """`job` is the id of a row in `jobs`, or None where nobody's job is worked on."""

    job: int | None = None
    community: str = HOME
    background: bool = False  # nobody is waiting for it: it yields
    patient: bool = False  # it waits for YouTube as long as it takes, as a job does


_current: ContextVar[Context] = ContextVar("clipsim", default=Context())  # noqa: B039 - it is frozen


def current() -> Context:
    """For whom work is being done in this task or thread."""
    return _current.get()


@contextmanager
def working_for(context: Context) -> Iterator[None]:
    """Whatever is done and begun in this block is for them."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def call_for(context: Context, function: Callable[..., T], *arguments: object) -> T:
    """A function's result, worked out for somebody: what a worker process is given to do."""
    with working_for(context):
        return function(*arguments)
