"""What a clip's sound costs: the 257 features and musicnn over a track of four minutes, against the plain way.

    python -m benchmarks audio        (writes benchmarks/results/audio.json; some ten minutes)

The track is made of the real ones in the folder of test data (CLIPSIM_TESTDATA). Ours also measures the halves of the
track; the naive way does not. Where Essentia is installed (`pip install essentia`), its MusicExtractor is measured
beside them: C++, other features, from a WAV file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from benchmarks.paired import HEAD, compare, save
from benchmarks.songs import DATA
from clipsim.encoders import SAMPLE_RATE
from clipsim.model import Vector

SECONDS = 240
WARM = 10  # seconds of it that are encoded before anything is timed


def track() -> Vector:
    """Four minutes of real music, float32."""
    from clipsim import media

    pieces, length = [], 0
    for file in sorted((DATA / "music").glob("*.ogg")):
        pieces.append(media.decode_audio(file))
        length += len(pieces[-1])
        if length >= SECONDS * SAMPLE_RATE:
            break
    return np.resize(np.concatenate(pieces), SECONDS * SAMPLE_RATE)


def ours() -> Callable[[], object]:
    from clipsim.encoders import LIBROSA

    encoder, waveform = LIBROSA.load(), track()
    encoder.encode(waveform[: WARM * SAMPLE_RATE])
    return lambda: encoder.encode(waveform)


def naive() -> Callable[[], object]:
    from benchmarks.naive import audio_features

    waveform = track()
    audio_features(waveform[: WARM * SAMPLE_RATE])
    return lambda: audio_features(waveform)


def essentia() -> Callable[[], object]:
    import tempfile
    from pathlib import Path

    import soundfile
    from essentia import standard

    file = Path(tempfile.mkdtemp(prefix="clipsim-bench-")) / "track.wav"
    soundfile.write(file, track(), SAMPLE_RATE)
    extractor = standard.MusicExtractor(lowlevelStats=["mean", "stdev"])
    return lambda: extractor(str(file))


def our_musicnn() -> Callable[[], object]:
    from clipsim.encoders import MUSICNN

    encoder, waveform = MUSICNN.load(), track()
    encoder.encode(waveform[: WARM * SAMPLE_RATE])
    return lambda: encoder.encode(waveform)


def naive_musicnn() -> Callable[[], object]:
    import torch

    from benchmarks.naive import musicnn
    from clipsim import weights
    from clipsim.encoders import tags

    network, waveform = tags.network(weights.path("musicnn")).eval(), track()

    def work() -> object:
        with torch.no_grad():
            patches = torch.from_numpy(tags.log_mel_patches(waveform))
            return torch.cat([musicnn(network, patch[None])[1] for patch in patches]).mean(0)

    return work


def main() -> None:
    if not (DATA / "music").is_dir():
        sys.exit("No test data: name its folder with CLIPSIM_TESTDATA.")
    work = f"{SECONDS} s of music"
    print(HEAD)
    found = [
        compare("257 features", work, ours, naive),
        compare("musicnn", work, our_musicnn, naive_musicnn),
    ]
    if find_spec("essentia") is None:
        print("Essentia is not installed: its MusicExtractor was not measured beside them.")
    else:
        found.append(compare("257 features against Essentia", work, ours, essentia))
    print(
        f"musicnn: {SECONDS / np.median([run.seconds for run in found[1].ours]):.0f} times as fast as the music plays"
    )
    save("audio", found)


if __name__ == "__main__":
    main()
