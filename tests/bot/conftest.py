"""Fixtures of the bot's tests: the bot itself on a double of the façade, driven by simcord's Discord."""

from __future__ import annotations

import pytest

from bot import board
from bot.client import Bot
from clipsim import settings
from tests.doubles.sim import SimDouble


@pytest.fixture
def sim() -> SimDouble:
    return SimDouble()


@pytest.fixture
def simcord_bot(sim: SimDouble) -> Bot:
    return Bot(sim, settings.load(workers=2))  # type: ignore[arg-type]


@pytest.fixture
def stretched(monkeypatch: pytest.MonkeyPatch) -> float:
    """The board's times ten times as long, so that simcord's clock, and never this machine's, decides what is due.

    simcord waits in real time for what is due within its `settle_timeout`; what is due later waits for `advance_time`.
    """
    monkeypatch.setattr(board, "PACE", 10 * board.PACE)
    monkeypatch.setattr(board, "PATIENCE", 10 * board.PATIENCE)
    return board.PACE
