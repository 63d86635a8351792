"""Progress on stderr: one line for each clip under way, and a bar over all of them. Silent where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich import progress as bars

from clipsim.errors import ClipSimError
from clipsim.model import Stage
from clipsim.show import err, plain

Step = Callable[[int, int], None]  # done, of


class Progress:
    """Shows what is under way. On a terminal: live bars; elsewhere only failures are printed."""

    def __init__(self, total: int | None) -> None:
        self._bars = bars.Progress(
            bars.SpinnerColumn(),
            bars.TextColumn("{task.description}"),
            bars.BarColumn(bar_width=24),
            bars.TextColumn("{task.fields[state]}"),
            bars.TimeElapsedColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._total = total
        self._all: bars.TaskID | None = None

    def __enter__(self) -> Progress:
        self._bars.start()
        if self._total and self._total > 1:
            self._all = self._bars.add_task("clips", total=self._total, state=f"0/{self._total}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    @contextmanager
    def clip(self, name: str) -> Iterator[Callable[[Stage], None]]:
        """A line for one clip; call what it gives with each stage."""
        line = self._bars.add_task(_short(name), total=None, state="")
        try:
            yield lambda stage: self._bars.update(line, state=stage)
        finally:
            self._bars.remove_task(line)
            if self._all is not None:
                self._bars.advance(self._all)
                done = int(self._bars.tasks[0].completed)
                self._bars.update(self._all, state=f"{done}/{self._total}")

    @contextmanager
    def task(self, name: str) -> Iterator[Step]:
        """A bar for one long task; call what it gives with (done, of)."""
        line = self._bars.add_task(name, total=None, state="")
        try:
            yield lambda done, of: self._bars.update(line, completed=done, total=of, state=f"{done}/{of}")
        finally:
            self._bars.remove_task(line)

    def fail(self, name: str, error: ClipSimError) -> None:
        """One line for a clip that could not be added."""
        self._bars.console.print(plain(f"clipsim: {_short(name)}: {error} [{error.code}]"), soft_wrap=True)


def _short(name: str, limit: int = 60) -> str:
    text = str(plain(name)).replace("[", "(").replace("]", ")")
    return text if len(text) <= limit else "…" + text[1 - limit :]
