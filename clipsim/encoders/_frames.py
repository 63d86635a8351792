"""Kernels over the frames of a spectrogram: each makes in one pass what librosa makes in several, with its rounding.

All take frames `begin` to `end` of a magnitude spectrogram, float32, shape (frames, bins), and write into arrays handed
to them, so that several threads can share the work (`hpss.spread`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from clipsim.encoders.hpss import Magnitude

ROLL = 0.85  # librosa: the share of a frame's magnitude that lies below its rolloff
LOWEST, HIGHEST = 150.0, 4000.0  # Hz: where librosa looks for pitches
PEAK = 0.1  # librosa: a pitch is a peak over this share of its frame's loudest bin
MAX_PEAKS = 192  # of a frame: every other bin between LOWEST and HIGHEST, and some
SMALL = float(np.finfo(np.float32).tiny)

Series = NDArray[np.float64]


@njit(nogil=True, cache=True)
def shapes(magnitude: Magnitude, frequencies: Series, out: Series, begin: int, end: int) -> None:
    """Centroid, rolloff and bandwidths of order 2, 3 and 4 (Hz) into the rows of `out`, shape (5, frames)."""
    bins = magnitude.shape[1]
    for t in range(begin, end):
        total = np.float32(0)  # added up as numpy's cumsum does, in single precision, so that rolloff ends in its bin
        for f in range(bins):
            total += magnitude[t, f]
        limit = np.float32(ROLL) * total
        below = np.float32(0)
        rolloff = -1
        mass = 0.0
        moment = 0.0
        for f in range(bins):
            value = magnitude[t, f]
            below += value
            if rolloff < 0 and not below < limit:
                rolloff = f
            mass += value
            moment += value * frequencies[f]
        if mass < SMALL:
            mass = 1.0
        centroid = moment / mass
        second = third = fourth = 0.0
        for f in range(bins):
            distance = abs(frequencies[f] - centroid)
            square = distance * distance
            value = magnitude[t, f] * square
            second += value
            third += value * distance
            fourth += value * square
        out[0, t] = centroid
        out[1, t] = frequencies[rolloff]
        out[2, t] = (second / mass) ** (1 / 2)
        out[3, t] = (third / mass) ** (1 / 3)
        out[4, t] = (fourth / mass) ** (1 / 4)


@njit(nogil=True, cache=True)
def decibels(
    magnitude: Magnitude, loudest: float, amin: float, top_db: float, out: Series, begin: int, end: int
) -> None:
    """Each frame's mean over the bins of `amplitude_to_db(magnitude, ref=loudest)` into `out`, shape (frames,)."""
    bins = magnitude.shape[1]
    reference = np.float32(max(loudest * loudest, amin))
    floor = max(reference * np.float32(10 ** (-top_db / 10)), np.float32(amin))
    for t in range(begin, end):
        total = 0.0
        for f in range(bins):
            power = magnitude[t, f] * magnitude[t, f]
            total += np.log10(power if power > floor else floor)
        out[t] = 10 * (total / bins - np.log10(reference))


@njit(nogil=True, cache=True)
def pitches(magnitude: Magnitude, out: Any, peaks: Any, hertz: float, begin: int, end: int) -> None:
    """librosa's `piptrack` of the power spectrogram: pitches (Hz) and their heights, each of shape (frames, MAX_PEAKS).

    `hertz` is the distance of two bins. What is not filled stays as it is.
    """
    bins = magnitude.shape[1]
    power = np.empty(bins, dtype=np.float32)
    for t in range(begin, end):
        highest = np.float32(0)
        for f in range(bins):
            power[f] = magnitude[t, f] * magnitude[t, f]
            highest = max(highest, power[f])
        least = np.float32(PEAK) * highest
        count = 0
        for f in range(1, bins - 1):
            if not LOWEST <= f * hertz < HIGHEST:
                continue
            left, here, right = power[f - 1], power[f], power[f + 1]
            # A neighbour under the threshold counts as zero, and the peak is over it.
            if here > least and here > (left if left > least else 0) and here >= (right if right > least else 0):
                bend = right + left - 2 * here
                slope = (right - left) / 2
                shift = np.float32(0) if abs(slope) >= abs(bend) else -slope / bend
                out[t, count] = np.float32((f + shift) * hertz)
                peaks[t, count] = here + np.float32(0.5) * slope * shift
                count += 1


@njit(nogil=True, cache=True)
def overlap_add(out: Any, weight: Any, pieces: Any, window: Any, at: int, hop: int) -> None:
    """Add windowed pieces, shape (frames, samples), to `out` from sample `at` on; the window's square to `weight`."""
    for t in range(len(pieces)):
        start = at + t * hop
        for i in range(len(window)):
            out[start + i] += pieces[t, i] * window[i]
            weight[start + i] += window[i] * window[i]
