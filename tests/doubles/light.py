"""An encoder so light that a bot with it starts in a moment: for tests and benchmarks of what is around it.

The sound's spectrum in 32 bands, in each half of the clip: enough to tell clips apart, always the same, no network.
`SITE` is what a process has to run at its start (`sitecustomize`) to have it in place of the preset `standard`. `HEARD`
is as heavy as the real 257 measures of sound are, and needs no weights either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from clipsim.encoders import LIBROSA, Encoded, Part, Preset

BANDS = 32


class Spectrum:
    """The mean level of each band, in decibels."""

    def encode(self, waveform: Any) -> Encoded:
        level = np.log1p(np.abs(np.fft.rfft(np.asarray(waveform, np.float64))))
        return Encoded(np.array([band.mean() for band in np.array_split(level, BANDS)], np.float32))


def load() -> Spectrum:
    return Spectrum()


LIGHT = Preset("standard", (Part("spectrum", "audio", BANDS, "tests.doubles.light:load"),))

HEARD = Preset("standard", (LIBROSA,))

SITE = """
import sys
if sys.orig_argv[1:3] == ["-m", "bot"]:
    from clipsim.encoders import PRESETS
    from tests.doubles import light
    PRESETS["standard"] = light.{name}
"""


def site(folder: Path, more: str = "", preset: str = "LIGHT") -> Path:
    """A folder for PYTHONPATH whose `sitecustomize` puts a preset of this module in place; `more` is run after it."""
    folder.mkdir(parents=True, exist_ok=True)
    more = "".join(f"    {line}\n" for line in more.splitlines())
    (folder / "sitecustomize.py").write_text(SITE.format(name=preset) + more)
    return folder
