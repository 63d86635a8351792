"""How long one waits for a process to begin: whole processes, from the start to the answer.

    python -m benchmarks startup          (5,000 clips; some two minutes)

`clipsim similar` on a library that was grouped and trained before, against a script that does the same plainly: imports
what it works with, reads every feature, standardises, compares, prints five titles. The bot, against a Discord on this
machine (tests/doubles/discord): until its web page answers, and until a slash command is answered with neighbours.
Its encoders load in the background meanwhile, where their weights are there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from benchmarks import made_up
from benchmarks.paired import HEAD, RUNS, Comparison, Run, save, save_table
from clipsim.encoders import PRESETS
from clipsim.library import Library
from clipsim.settings import load

CLIPS = 5000
GUILD = 200  # of them that the bot's server sees
HERE = Path(__file__).resolve().parent.parent
QUERY = "c0000017"
# The plain way: all that the work takes is imported at the top of the file, as one does, and everything is read.
NAIVE = """
import sqlite3, sys
import chromadb, librosa, numpy as np, sklearn.preprocessing, torch, transformers
base = sqlite3.connect(sys.argv[1])
sizes = dict(base.execute("SELECT encoder, max(size) FROM features GROUP BY encoder"))
ids = [row[0] for row in base.execute("SELECT id FROM clips ORDER BY added")]
place, columns, start = {clip: n for n, clip in enumerate(ids)}, {}, 0
for name, size in sorted(sizes.items()):
    columns[name], start = slice(start, start + size), start + size
matrix = np.zeros((len(ids), start), np.float32)
for clip, name, vector in base.execute("SELECT clip_id, encoder, vector FROM features"):
    if name in columns:
        matrix[place[clip], columns[name]] = np.frombuffer(vector, np.float32)
matrix = sklearn.preprocessing.StandardScaler().fit_transform(matrix)
cosines = matrix @ matrix[place[sys.argv[2]]] / np.maximum(np.linalg.norm(matrix, axis=1), 1e-9)
for row in np.argsort(-cosines)[1:6]:
    print(base.execute("SELECT title FROM clips WHERE id = ?", (ids[row],)).fetchone()[0])
"""
IMPORTS = "import chromadb, librosa, numpy, sklearn, torch, transformers, typer\nprint('usage: …')"


# What a process costs is told by one that is small itself: a child's peak begins with its parent's.
WATCH = """
import resource, subprocess, sys, time
begun = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
sys.exit(code)
"""


def process(command: Sequence[str]) -> Run:
    """One run of a whole process: seconds on the clock, and its peak memory in MiB."""
    watched = subprocess.run([sys.executable, "-S", "-c", WATCH, *command], cwd=HERE, capture_output=True, text=True)
    if watched.returncode:
        sys.exit(f"{' '.join(command)[:200]} ended with {watched.returncode}: {watched.stderr[-2000:]}")
    return Run(*map(float, watched.stdout.split()[-2:]))


def by_turns(title: str, unit: str, ours: Sequence[str], naive: Sequence[str]) -> Comparison:
    """Both once to warm the disk's cache, then by turns."""
    process(ours), process(naive)
    pairs = [(process(ours), process(naive)) for _ in range(RUNS)]
    found = Comparison(title, unit, tuple(o for o, _ in pairs), tuple(n for _, n in pairs))
    print(found.line(), flush=True)
    return found


async def bot(data: Path) -> tuple[float, float]:
    """Seconds from the start of `python -m bot` until its page answers, and until `/similar` is answered."""
    from tests.doubles.discord import FakeDiscord

    async with FakeDiscord() as discord:
        library = Library.open(load(data=data), PRESETS["standard"])
        seen = library.ids()[:GUILD]
        for clip_id in seen:
            library.join(clip_id, str(discord.guild))
        assigned = {clip_id: 1 + number % 5 for number, clip_id in enumerate(seen)}
        labels = {str(number): f"group {number}" for number in range(1, 6)}
        library.save_clustering({"previous": None, "assigned": assigned, "labels": labels}, str(discord.guild))
        library.close()
        environment = discord.environment(os.environ) | {"CLIPSIM_DATA": str(data), "CLIPSIM_WEB_PORT": "0"}
        begun = time.perf_counter()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            cwd=HERE,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert child.stdout is not None
            address = (await child.stdout.readline()).decode().split()[-1]
            await asyncio.to_thread(lambda: urllib.request.urlopen(address, timeout=30).read())  # its own page, by http
            page = time.perf_counter() - begun
            await discord.connected()
            await discord.until(lambda: bool(discord.commands), 30)
            asked = await discord.slash("similar", clip=QUERY)
            await discord.until(lambda: any(each.embeds for each in asked.messages), 30)
            answered = time.perf_counter() - begun
        finally:
            child.terminate()
            await child.wait()
    return page, answered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=CLIPS)
    clips = parser.parse_args().clips
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch)
        made_up.library(data, made_up.embeddings(clips), preset=PRESETS["standard"])
        python = [sys.executable, "-c"]
        base = str(data / "library.sqlite")
        ours = [sys.executable, "-m", "clipsim"]
        print(HEAD)
        found = [
            by_turns("clipsim --help", "its text", [*ours, "--help"], [*python, IMPORTS]),
            by_turns(
                "clipsim similar",
                f"{clips} clips, warm",
                [*ours, "similar", QUERY, "--data", str(data)],
                [*python, NAIVE, base, QUERY],
            ),
        ]
        runs = [asyncio.run(bot(data)) for _ in range(RUNS + 1)][1:]
    for name, values in zip(("its page answers", "a slash command is answered"), zip(*runs, strict=True), strict=True):
        middle = statistics.median(values)
        print(f"python -m bot: {name} after {middle:.2f} s ({min(values):.2f} to {max(values):.2f})")
    save("startup", found)
    told = ["until its page answers", "until a slash command is answered"]
    cells = [f"{statistics.median(v):.2f} s ({min(v):.2f} to {max(v):.2f})" for v in zip(*runs, strict=True)]
    title = f"The bot from its start, {clips} clips, Discord on the same machine; median of {RUNS}"
    save_table("startup-bot", title, ["", "seconds"], [list(row) for row in zip(told, cells, strict=True)], runs)


if __name__ == "__main__":
    main()
