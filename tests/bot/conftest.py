"""Fixtures of the bot's tests: the bot itself on a double of the façade, driven by simcord's Discord."""

from __future__ import annotations

import pytest

from bot.client import Bot
from clipsim import settings
from tests.doubles.sim import SimDouble


@pytest.fixture
def sim() -> SimDouble:
    return SimDouble()


@pytest.fixture
def simcord_bot(sim: SimDouble) -> Bot:
    return Bot(sim, settings.load(workers=2))  # type: ignore[arg-type]
