"""A small crowd before the unmodified `python -m bot`: everybody is served, once. How soon is measured by `bench_bot`.

The double refuses an acknowledgement after Discord's three seconds; nothing else here depends on the clock.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.bot.test_wire import Process, environment
from tests.doubles.crowd import Crowd, Plan
from tests.doubles.discord import FakeDiscord
from tests.doubles.light import site
from tests.doubles.youtube import FakeYouTube

PATIENCE = 120.0  # seconds, for a machine that is busy with other tests; never waited for in vain


@pytest.mark.slow
async def test_a_crowd_is_served_and_nobody_twice(tmp_path: Path) -> None:
    plan = Plan(users=20, interactions=60, links=6, servers=3, patience=PATIENCE)
    with FakeYouTube() as youtube:
        async with FakeDiscord() as discord:
            crowd = Crowd(discord, youtube, tmp_path, plan)
            crowd.fill(tmp_path / "library")
            path = os.pathsep.join([str(site(tmp_path / "site")), environment(youtube)["PYTHONPATH"]])
            given = {"CLIPSIM_DATA": str(tmp_path / "library"), "CLIPSIM_WEB_PORT": "0", "PYTHONPATH": path}
            env = discord.environment(environment(youtube) | given | {"CLIPSIM_YOUTUBE_PER_HOUR": "0"})
            bot = await Process(env, tmp_path).start()
            try:
                await discord.connected(PATIENCE)
                await bot.says("the encoders are loaded", PATIENCE)
                outcome = await crowd.come()
                assert await bot.end(signal.SIGTERM) == 0
            finally:
                await bot.end(signal.SIGKILL)
            assert (outcome.lost, outcome.unanswered, outcome.lost_links) == (0, 0, 0), outcome
            assert (
                len(outcome.acknowledged) == plan.interactions and outcome.replies == len(outcome.links) == plan.links
            )
            assert len(discord.interactions) == plan.interactions
            assert all(interaction.response_type is not None for interaction in discord.interactions.values())
            pages = youtube.paths("/page/")
            assert sorted(pages) == [f"/page/crowd{n:06d}" for n in range(plan.links)]  # each was fetched once
            assert discord.failures == []
            assert not any(" ERROR " in line for line in bot.log), "\n".join(bot.log)
