"""A line in which communities take turns, so that one's hundred links starve nobody; what is not urgent comes last."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """Those who wait. The community that was served longest ago comes next, with its oldest.

    What was put in as `background` (a second attempt, an import) comes when nothing else waits, by turns as well.
    """

    def __init__(self) -> None:
        self._lanes: tuple[dict[str, deque[T]], dict[str, deque[T]]] = ({}, {})
        self._served: dict[str, int] = {}  # community -> number of the last turn it had
        self._turn = 0

    def __len__(self) -> int:
        return sum(len(line) for lane in self._lanes for line in lane.values())

    def __iter__(self) -> Iterator[T]:
        """Everyone who waits, in no order that means anything."""
        return iter([item for lane in self._lanes for line in lane.values() for item in line])

    def put(self, community: str, item: T, *, background: bool = False) -> None:
        """Go to the end of one's community's line."""
        self._lanes[background].setdefault(community, deque()).append(item)

    def pop(self, *, background: bool = True) -> T | None:
        """Whoever comes next, taken out; None where nobody does. Without `background` those stay where they are."""
        for lane in self._lanes[: 2 if background else 1]:
            if lane:
                community = min(lane, key=lambda each: self._served.get(each, 0))
                line = lane[community]
                item = line.popleft()
                if not line:
                    del lane[community]
                self._turn += 1
                self._served[community] = self._turn
                return item
        return None

    def remove(self, community: str, item: T) -> bool:
        """Leave the line; whether one was in it."""
        for lane in self._lanes:
            line = lane.get(community)
            if line is not None and item in line:
                line.remove(item)
                if not line:
                    del lane[community]
                return True
        return False

    def clear(self) -> None:
        """Send everyone away."""
        for lane in self._lanes:
            lane.clear()

    def rest(self) -> None:
        """Nobody waits and nobody is served: who had the last turn no longer matters."""
        self._served.clear()
