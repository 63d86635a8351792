"""From a pasted link to the reply: a clip of four minutes, fetched by yt-dlp from a server on this machine.

    python -m benchmarks pipeline     (writes benchmarks/results/pipeline.json; some fifteen minutes)

Both ways are warm (models loaded), have the same streams to choose from (Opus at 70 kbit/s, and pictures of 240 and 360
lines; ours takes the smaller, the plain script the best), and end with the nearest of the same hundred clips. Ours also
keeps the clip, measures its halves and fingerprint, and says why. `first` is the first useful answer: from sound
and words, while the picture is still being watched.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import clips
from benchmarks.paired import HEAD, Comparison, Run, compare, save
from clipsim.encoders import PRESETS
from clipsim.model import Answer, Clip
from tests.doubles.youtube import FakeYouTube
from tests.libraries import features

ID = "fourminutes"
LINK = f"https://www.youtube.com/watch?v={ID}"
LIBRARY = 100  # clips to compare with
PRESET = PRESETS["standard"]
MIB = 1024 * 1024


def youtube() -> FakeYouTube:
    """A YouTube on this machine that has the clip; its plugin is in this process's environment."""
    served = FakeYouTube().__enter__()
    formats = []
    for name, file, codecs in (
        ("251", clips.sound(), {"acodec": "opus", "vcodec": "none", "abr": clips.BIT_RATE / 1000}),
        ("133", clips.video(clips.SMALL), {"acodec": "none", "vcodec": "avc1.4d4015", "height": clips.SMALL[1]}),
        ("134", clips.video(), {"acodec": "none", "vcodec": "avc1.4d401e", "height": clips.SIZE[1]}),
    ):
        data = file.read_bytes()
        url = served.serve(f"/media/{ID}/{name}{file.suffix}", data)
        tbr = len(data) / 125 / clips.SECONDS
        item = {"format_id": name, "url": url, "ext": file.suffix[1:], "protocol": "http"}
        formats.append({**item, **codecs, "filesize": len(data), "tbr": tbr})
    served.add(
        ID,
        title="Somebody - Something (Official Video)",
        captions={"en": clips.captions(clips.lyrics()[0])},
        duration=float(clips.SECONDS),
        language="en",
        formats=formats,
    )
    os.environ |= served.environment()
    return served


def ours() -> Callable[[], object]:
    from clipsim import ClipSim
    from clipsim.settings import load

    served, loop = youtube(), asyncio.new_event_loop()
    folder = Path(tempfile.mkdtemp(prefix="clipsim-bench-"))
    opened = ClipSim.open(settings=load(data=folder))
    sim = loop.run_until_complete(opened.__aenter__())
    for number in range(LIBRARY):
        sim._library.add(Clip(f"made-{number:06}", f"Title {number}", artist=f"Artist {number}"), _made_up(number))
    loop.run_until_complete(sim.train())
    loop.run_until_complete(sim.warm())
    loop.run_until_complete(sim.query(f"made-{0:06}"))
    loop.run_until_complete(asyncio.sleep(1))  # the process on standby has come up

    def work() -> dict[str, float]:
        began = time.perf_counter()
        told: dict[str, float] = {}
        before = _cpu(sim)

        def early(answer: Answer) -> None:
            told["first"] = time.perf_counter() - began

        answer = loop.run_until_complete(sim.answer(LINK, early=early))
        told["cpu"] = _cpu(sim) - before
        assert len(answer.results) == 5 and len(answer.query.modalities) == 3, answer
        worker = next(each._pid for each in sim._workers._workers if each._pid)  # type: ignore[union-attr,attr-defined]
        status = Path(f"/proc/{worker}/status").read_text()
        told["worker"] = int(status.split("VmHWM:")[1].split()[0]) / 1024
        told["fetched"] = (served.bytes_of(ID) + served.bytes_of(ID, "captions")) / MIB
        again = time.perf_counter()
        loop.run_until_complete(sim.answer(LINK))
        told["known"] = time.perf_counter() - again
        return told

    work.close = lambda: loop.run_until_complete(opened.__aexit__(None, None, None))  # type: ignore[attr-defined]
    return work


def naive() -> Callable[[], object]:
    from benchmarks import naive_script as plain

    served = youtube()
    sys.path.insert(0, os.environ["PYTHONPATH"].split(os.pathsep)[0])  # yt-dlp runs in this process here
    models = plain.models()
    rows = np.array([np.concatenate([_made_up(n).vectors[p.encoder] for p in PRESET.parts]) for n in range(LIBRARY)])

    def work() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            audio, video, text = plain.fetch(LINK, Path(folder))
            row = plain.clip(audio, video, text, models)
        plain.nearest(row, rows, 5)
        return {"fetched": (served.bytes_of(ID) + served.bytes_of(ID, "captions")) / MIB}

    return work


def _made_up(number: int) -> Any:
    return replace(features(number, preset=PRESET), tags=(), tempo=120.0)


def _cpu(sim: Any) -> float:
    """Processor seconds of this process and its workers so far."""
    used = time.process_time()
    for worker in sim._workers._workers:
        fields = Path(f"/proc/{worker._pid}/stat").read_text().rsplit(")", 1)[1].split()
        used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def main() -> None:
    clips.needed()
    youtube().__exit__()  # the clip is made
    print(HEAD)
    whole = compare("link to reply", "a clip of 4 minutes", ours, naive)
    first = Comparison(
        "link to first useful answer",
        whole.unit,
        tuple(Run(run.more["first"], run.memory) for run in whole.ours),
        whole.naive,
    )
    print(first.line())
    told = {"worker": "MiB at most in a worker", "fetched": "MiB fetched", "cpu": "s of processor time"}
    for name, unit in told.items():
        values = sorted(run.more[name] for run in whole.ours)
        print(f"{unit}: {values[len(values) // 2]:.1f} ({values[0]:.1f} to {values[-1]:.1f})")
    print(f"MiB fetched by the plain script: {whole.naive[0].more['fetched']:.1f}")
    known = sorted(1000 * run.more["known"] for run in whole.ours)
    print(f"the same link again: {known[len(known) // 2]:.0f} ms ({known[0]:.0f} to {known[-1]:.0f})")
    save("pipeline", [whole, first])


if __name__ == "__main__":
    main()
