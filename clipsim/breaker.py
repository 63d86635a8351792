"""The two values by which `clipsim.courtesy` goes: a breaker, open while YouTube refuses, and a bucket of tokens.

Both are pure: time is given, and a change is a new value. Times are seconds of the system's clock, so that they
outlive the process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

BURST = 0.2  # share of an hour's videos that may be fetched at once; the rest comes evenly, so that no hour has more
FIRST_PAUSE = 600.0  # seconds after the first refusal; each one after that doubles it
LONGEST_PAUSE = 6 * 3600.0  # seconds

State = Literal["closed", "open", "half-open"]  # closed: all is well


@dataclass(frozen=True, slots=True)
class Breaker:
    """Whether YouTube may be asked. Times are seconds of the system's clock, so that they outlive the process."""

    code: str | None = None  # of the refusal that opened it; None where it is closed
    since: float = 0.0  # when it opened or closed
    until: float = 0.0  # the end of the pause
    pause: float = 0.0  # seconds, of the present pause, or of the last one

    def refused(self, now: float, code: str, *, probe: bool = False) -> Breaker:
        """YouTube refused a fetch. Fetches that had begun before the first refusal change nothing."""
        if self.code is not None and not probe:
            return self
        again = probe or now - self.since < 2 * self.pause  # as good as never closed
        pause = min(LONGEST_PAUSE, 2 * self.pause) if again and self.pause else FIRST_PAUSE
        return Breaker(code, self.since if self.code else now, now + pause, pause)

    def answered(self, now: float) -> Breaker:
        """YouTube answered the fetch that tried it."""
        return Breaker(None, now, 0.0, self.pause)

    def state(self, now: float) -> State:
        """Closed; open; or half open: the pause is over, and one fetch may try."""
        if self.code is None:
            return "closed"
        return "open" if now < self.until else "half-open"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token for each fetch. `per_hour` 0 means that there is no limit."""

    per_hour: int
    tokens: float
    at: float  # seconds of the system's clock

    @property
    def most(self) -> float:
        """Tokens that it holds when full."""
        return max(1.0, BURST * self.per_hour)

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return max(self.per_hour - self.most, 1.0) / 3600.0

    def filled(self, now: float) -> Bucket:
        """With what has come in meanwhile."""
        tokens = min(self.most, self.tokens + self.rate * max(0.0, now - self.at))
        return replace(self, tokens=tokens, at=now)

    def more(self, tokens: float) -> Bucket:
        """With tokens put in, or (below 0) taken out."""
        return self if self.per_hour == 0 else replace(self, tokens=min(self.most, self.tokens + tokens))

    def wait(self, place: int, *, keep: float = 0.0) -> float:
        """Seconds until there is a token for the one in this place (0: the first) with `keep` tokens left over."""
        return 0.0 if self.per_hour == 0 else max(0.0, place + 1 + keep - self.tokens) / self.rate
