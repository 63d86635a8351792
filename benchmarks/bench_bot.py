"""A crowd in Discord, all at once: how soon each is acknowledged and answered while clips are fetched and encoded.

200 users use 1,000 commands, each the next as soon as the last is answered, and paste 50 links. The bot is the
unmodified `python -m bot` (with encoders that need no weights) between a Discord and a YouTube on this machine, which
share its processors; beside it a bot that does its work inside the handlers (`naive_bot`). Both are started, met by
the same crowd, and stopped, by turns. Discord forgets an interaction that is not acknowledged within 3 s: it is lost.

`python -m benchmarks bot`; fewer: `python -m benchmarks.bench_bot USERS INTERACTIONS LINKS`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.paired import RESULTS
from tests.doubles.crowd import Crowd, Plan
from tests.doubles.discord import FakeDiscord
from tests.doubles.light import HEARD, site
from tests.doubles.youtube import FakeYouTube

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 15.0  # of each clip's sound: what encoding it takes is what the processors are busy with
START = 120.0  # seconds that a bot is given to connect
AIM = 1000.0  # milliseconds: the 99th percentile of our acknowledgements


async def measure(naive: bool, plan: Plan, folder: Path) -> dict[str, Any]:
    """One bot and one crowd."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CLIPSIM_", "DISCORD_"))}
    with FakeYouTube() as youtube:
        async with FakeDiscord() as discord:
            crowd = await asyncio.to_thread(Crowd, discord, youtube, folder, plan, HEARD)
            await asyncio.to_thread(crowd.fill, folder / "library")
            path = [youtube.environment()["PYTHONPATH"], str(ROOT)]
            given = {"CLIPSIM_DATA": str(folder / "library"), "CLIPSIM_WEB_PORT": "0", "CLIPSIM_LOG_LEVEL": "WARNING"}
            given |= {"CLIPSIM_YOUTUBE_PER_HOUR": "0"}
            if not naive:
                path.insert(0, str(site(folder / "site", preset="HEARD")))
            env = discord.environment(own | given | {"PYTHONPATH": os.pathsep.join(path)})
            module = "benchmarks.naive_bot" if naive else "bot"
            log = folder / "log"
            with log.open("wb") as out:
                child = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", module), env=env, cwd=folder, stdout=out, stderr=out
                )
            try:
                await discord.connected(START)
                if not naive:
                    await ready(log)
                outcome = await crowd.come()
                more = {} if naive else {"loop": await asyncio.to_thread(lag, log)}
            finally:
                child.kill()
                await child.wait()
    return outcome.json() | more


def address(log: Path) -> str | None:
    """Where the bot's page is, once it has said so."""
    found = re.search(r"http://127\.0\.0\.1:\d+/", log.read_text(errors="replace"))
    return found.group() if found else None


def well(log: Path) -> bool:
    """Whether the bot says that it is ready."""
    try:
        with urllib.request.urlopen(f"{address(log)}readyz", timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, ValueError):  # not yet, or it has not even said where it is
        return False


async def ready(log: Path) -> None:
    """Wait until the workers are there: how long a start takes is not measured here."""
    async with asyncio.timeout(START):
        while not await asyncio.to_thread(well, log):  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.2)


def lag(log: Path) -> dict[str, float]:
    """How late the bot's event loop was, by its own account: share of looks within 20 ms, and the worst second."""
    with urllib.request.urlopen(f"{address(log)}metrics", timeout=10) as response:
        text = response.read().decode()
    found = {name: float(value) for name, value in re.findall(r"^(clipsim_loop_lag\S+) (\S+)$", text, re.MULTILINE)}
    within = found['clipsim_loop_lag_seconds_bucket{le="0.02"}'] / max(1.0, found["clipsim_loop_lag_seconds_count"])
    return {"within_20_ms": round(within, 3), "max_ms": round(1000 * found["clipsim_loop_lag_max_seconds"], 1)}


HEAD = [
    *("bot", "acknowledged, ms: p50 / p95 / p99 / max", "lost", "command answered, ms", "links answered", "lost"),
    "link to reply, ms",
]


def row(name: str, found: dict[str, Any]) -> list[str]:
    """A line of the table."""

    def times(what: str) -> str:
        given = found[what]
        return " / ".join(f"{given[key]:.0f}" for key in ("p50", "p95", "p99", "max")) if given["count"] else "–"

    links = [str(found["links"]["count"]), str(found["lost_links"]), times("links")]
    return [name, times("acknowledged"), str(found["lost"]), times("answered"), *links]


def main(plan: Plan) -> int:
    """Measure both, print the table, keep the figures. 1: an interaction or a link was lost, or the aim was missed."""
    found: dict[str, dict[str, Any]] = {}
    for name in ("clipsim", "naive"):
        with tempfile.TemporaryDirectory(prefix="bench-bot-") as folder:
            found[name] = asyncio.run(measure(name == "naive", plan, Path(folder)))
    many = f"{plan.users} users, {plan.interactions} interactions and {plan.links} links at once"
    title = f"{many}, {os.cpu_count()} processors for the bots and the doubles around them (`bench_bot`)"
    rows = [row(name, figures) for name, figures in found.items()]
    print(title, *("| " + " | ".join(cells) + " |" for cells in (HEAD, ["---"] * len(HEAD), *rows)), sep="\n")
    print(f"event loop of clipsim: {found['clipsim']['loop']}")
    RESULTS.mkdir(exist_ok=True)
    kept = {"title": title, "head": HEAD, "rows": rows, "plan": asdict(plan), "figures": found}
    (RESULTS / "bot.json").write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    ours = found["clipsim"]
    served = not (ours["lost"] or ours["unanswered"] or ours["lost_links"]) and ours["replies"] == plan.links
    return 0 if served and ours["acknowledged"]["p99"] <= AIM else 1


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    sys.exit(main(Plan(*numbers, seconds=SECONDS)))
