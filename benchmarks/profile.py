"""`python -m benchmarks.profile sound|picture|words`: where one stage of the real pipeline spends its time.

Prints the costliest calls by their own time (cProfile; time inside a C library, or waiting for the threads that a
kernel was spread over, counts for the call), over a clip of four minutes made of the test data.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
from pathlib import Path

from benchmarks import clips
from clipsim.encoders import PRESETS
from clipsim.model import Clip, Lyrics, Media, Modality

MOST = 14  # rows
STAGES: dict[str, Modality] = {"sound": "audio", "picture": "video", "words": "lyrics"}


def main(names: list[str]) -> int:
    """Profile the stages named, or all. Returns 1 for an unknown one."""
    if unknown := [name for name in names if name not in STAGES]:
        print(f"No such stage: {', '.join(unknown)}. There are: {', '.join(STAGES)}.", file=sys.stderr)
        return 1
    clips.needed()
    from clipsim.workers import stages

    preset, words = PRESETS["standard"], Lyrics(clips.lyrics()[0], "en")
    media = Media(Clip("fourminutes", "Four minutes"), clips.sound(), clips.video(), words)
    for name in names or STAGES:
        stages.encode(STAGES[name], media, preset, 2 * clips.SECONDS)  # warm
        profile = cProfile.Profile()
        profile.runcall(stages.encode, STAGES[name], media, preset, 2 * clips.SECONDS)
        stats = pstats.Stats(profile)
        total = stats.total_tt  # type: ignore[attr-defined]
        print(f"\n{name}: {total:.2f} s\n\n| share | seconds | calls | where |\n|---|---|---|---|")
        rows = sorted(stats.stats.items(), key=lambda row: -row[1][2])[:MOST]  # type: ignore[attr-defined]
        for (file, line, function), (_, calls, own, *_rest) in rows:
            where = function if file == "~" else f"{Path(file).name}:{line} {function}"
            print(f"| {100 * own / total:.0f} % | {own:.2f} | {calls} | `{where.strip('<>').replace('|', '/')}` |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
