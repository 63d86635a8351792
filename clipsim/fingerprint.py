"""A fingerprint of a clip's sound, to recognise the same recording uploaded again.

Source: J. Haitsma, T. Kalker, "A highly robust audio fingerprinting system", ISMIR 2002: eight times a second, 32 bits
that tell of 33 neighbouring bands which of two grew more against its neighbour. Unlike there, frames are 0.74 s long
and compared over 0.25 s, so that eight a second suffice (7.5 KiB for four minutes) wherever a copy was cut. Only what
was recorded counts: a cover, or the same song played live, is another recording.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsim.encoders import SAMPLE_RATE
from clipsim.model import Vector

N_FFT = 16384  # samples a frame: 0.74 s
HOP = 2756  # samples from frame to frame: 8 a second
LAG = 2  # frames between the two whose bands are compared
BITS = 32
LOWEST, HIGHEST = 300.0, 2000.0  # Hz: what every encoder keeps and every speaker plays
QUIET_DB = -60.0  # dB below full scale: a quieter frame says nothing (its word is 0)
MIN_OVERLAP = 40  # frames that two clips must share to be compared: 5 s
MIN_SHARE = 0.5  # and of the shorter one's at least this share
CHUNK = 256  # frames transformed at once
SAME = 0.4  # similarity from which two clips hold the same recording: see tests/test_fingerprint.py for the margins

Fingerprint = NDArray[np.uint32]  # shape (frames,)


def fingerprint(waveform: Vector, sample_rate: int = SAMPLE_RATE) -> Fingerprint:
    """The fingerprint of a mono waveform: one 32-bit word for each eighth of a second, uint32, shape (frames,).

    Word 0 marks a frame of silence. A waveform under one second has none at all: shape (0,).
    """
    from scipy.fft import rfft

    y = np.asarray(waveform, dtype=np.float32)
    if sample_rate != SAMPLE_RATE:
        import librosa

        y = librosa.resample(y, orig_sr=sample_rate, target_sr=SAMPLE_RATE)
    count = 1 + (len(y) - N_FFT) // HOP
    if count <= LAG:
        return np.zeros(0, dtype=np.uint32)
    framed = np.lib.stride_tricks.sliding_window_view(y, N_FFT)[::HOP][:count]
    window = np.hanning(N_FFT).astype(np.float32)
    first, edges = _bands()
    energy = np.empty((count, BITS + 1))
    loud = np.empty(count, dtype=bool)
    for at in range(0, count, CHUNK):
        part = framed[at : at + CHUNK]
        spectrum = rfft(part * window, axis=1)[:, first : edges[-1] + first]
        power = np.square(spectrum.real, dtype=np.float64) + np.square(spectrum.imag, dtype=np.float64)
        energy[at : at + CHUNK] = np.add.reduceat(power, edges[:-1], axis=1)
        loud[at : at + CHUNK] = np.einsum("fs,fs->f", part, part) / N_FFT > 10 ** (QUIET_DB / 10)
    slope = energy[:, :-1] - energy[:, 1:]
    grew = slope[LAG:] > slope[:-LAG]
    words = np.packbits(grew, axis=1, bitorder="little").view("<u4")[:, 0].astype(np.uint32)
    words[~(loud[LAG:] & loud[:-LAG])] = 0
    return words


def similarity(a: Fingerprint, b: Fingerprint) -> float:
    """How likely two fingerprints are of one recording, between 0 and 1, at the best alignment.

    One less twice the share of differing bits: 1 for the same, up to about 0.2 for any two clips, from `SAME` on a
    copy. 0 where they share less than `MIN_OVERLAP` frames of sound.
    """
    return float(similarities(a, [b])[0])


def similarities(a: Fingerprint, others: Sequence[Fingerprint]) -> NDArray[np.float64]:
    """`similarity` of one fingerprint with each of many, shape (len(others),)."""
    if len(others) > 1:  # twice as quick, but its import takes longer than a question, which compares two
        from scipy.fft import irfft, rfft
    else:
        from numpy.fft import irfft, rfft
    found = np.zeros(len(others))
    if len(a) < MIN_OVERLAP or not others:
        return found
    size = _fast_length(len(a) + max(len(other) for other in others))
    ours = rfft(_signs(a), size, axis=1)
    for i, b in enumerate(others):
        if len(b) < MIN_OVERLAP:
            continue
        # Agreement at every alignment at once: the correlation of the bits as ±1, and of what is sound at all.
        product = ours * rfft(_signs(b), size, axis=1).conj()
        agreement, shared = irfft(np.stack([product[:BITS].sum(axis=0), product[BITS]]), size, axis=1)
        shared = np.round(shared)
        least = max(MIN_OVERLAP, MIN_SHARE * min(np.count_nonzero(a), np.count_nonzero(b)))
        enough = shared >= least
        if enough.any():
            found[i] = np.clip((agreement[enough] / (BITS * shared[enough])).max(), 0.0, 1.0)
    return found


def _fast_length(least: int) -> int:
    """The next number from `least` on whose only factors are 2, 3 and 5: quick to transform."""
    best = 1 << (least - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            best = min(best, three << max(0, (-(-least // three) - 1).bit_length()))
            three *= 3
        five *= 5
    return best


def _signs(words: Fingerprint) -> NDArray[np.float32]:
    """Each bit as 1 or -1 and, in the last row, 1 for sound; silence is 0. Shape (BITS + 1, frames)."""
    bits = np.unpackbits(words.astype("<u4").view(np.uint8).reshape(-1, 4), axis=1, bitorder="little").T
    sound = (words != 0).astype(np.float32)
    return np.vstack([(2 * bits.astype(np.float32) - 1) * sound, sound])


def _bands() -> tuple[int, NDArray[np.intp]]:
    """The first bin of the lowest band, and from there where each band begins and the last ends (logarithmic)."""
    edges = np.geomspace(LOWEST, HIGHEST, BITS + 2) * N_FFT / SAMPLE_RATE
    bins = np.ceil(edges).astype(np.intp)
    return int(bins[0]), bins - bins[0]
