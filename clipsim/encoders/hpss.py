"""Harmonic-percussive separation by median filtering: librosa's `effects.hpss`, an order of magnitude faster.

Source: D. Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010; soft masks as in librosa's
`decompose.hpss` (kernel 31, power 2, margin 1). The spectrogram's median along time keeps what lasts, its median along
frequency what is short; the harmonic part takes of each bin the share of the first in the energy of both.

The sliding median works on `LANES` lines side by side, so that the processor's vector unit does them at once: each
keeps its window sorted, and moving on by one value takes the old value out and lets the new one in by a pass of
comparisons without branches. Its values are bit-identical to `scipy.ndimage.median_filter` (mode "reflect").
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

KERNEL = 31  # bins or frames of both medians: librosa's default
LANES = 16  # lines filtered side by side: two AVX2 registers, one AVX-512
MAX_THREADS = 8
TINY = float(np.finfo(np.float32).tiny)  # below it both medians count as nothing, and the masks are a half

Spectrum = NDArray[np.complex64]  # shape (frames, bins): a frame is contiguous
Magnitude = NDArray[np.float32]  # shape (frames, bins)


def threads() -> int:
    """How many threads a kernel is spread over: the cores that this process may use, `MAX_THREADS` at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MAX_THREADS)


def spread(kernel: Callable[[int, int], Any], count: int, multiple: int = 1) -> None:
    """Run `kernel(begin, end)` over `range(count)`, in pieces of a multiple of `multiple`, on several threads.

    Plain threads, for kernels that let go of the interpreter's lock: unlike numba's own they survive a fork, and
    several may run at once.
    """
    parts = threads()
    size = -(-count // (parts * multiple)) * multiple
    pieces = [(begin, min(begin + size, count)) for begin in range(0, count, size)] if count else []
    if len(pieces) < 2:
        for piece in pieces:
            kernel(*piece)
        return
    with ThreadPoolExecutor(parts) as pool:
        for done in [pool.submit(kernel, *piece) for piece in pieces]:
            done.result()


def median_filter(values: Magnitude, size: int, axis: int) -> Magnitude:
    """`scipy.ndimage.median_filter` of a finite float32 matrix along one axis, `size` odd, mode "reflect"."""
    if size < 1 or size % 2 == 0:
        raise ValueError(f"the window must be odd, not {size}")
    rows = np.ascontiguousarray(values if axis == 0 else values.T)
    out = np.empty_like(rows)
    if rows.size:
        spread(lambda begin, end: _median_columns(rows, out, size, begin, end), rows.shape[1], LANES)
    return out if axis == 0 else np.ascontiguousarray(out.T)


def harmonic(spectrum: Spectrum, magnitude: Magnitude) -> Spectrum:
    """The harmonic part of a spectrum, in its place. `magnitude` is its absolute value, finite.

    The masks of both parts add up to one, so the percussive part is the whole less this.
    """
    lasting = median_filter(magnitude, KERNEL, axis=0)
    spread(lambda begin, end: _mask(spectrum, magnitude, lasting, KERNEL, begin, end), len(magnitude), LANES)
    return spectrum


@njit(nogil=True, cache=True, inline="always")
def _reflect(index: int, length: int) -> int:
    """(d c b a | a b c d | d c b a), as often as needed."""
    index %= 2 * length
    return index if index < length else 2 * length - 1 - index


@njit(nogil=True, cache=True)
def _slide(padded: Magnitude, out: Magnitude, size: int) -> None:
    """Sliding medians of `LANES` lines: shape (length + size - 1, LANES) to (length, LANES)."""
    window = np.full((size + 1, LANES), np.float32(np.inf), dtype=np.float32)  # ascending; the last row stays infinite
    carry = np.empty(LANES, dtype=np.float32)
    for i in range(size - 1):
        for lane in range(LANES):
            carry[lane] = padded[i, lane]
        for rank in range(i + 1):
            for lane in range(LANES):
                here, new = window[rank, lane], carry[lane]
                window[rank, lane] = here if here < new else new
                carry[lane] = new if here < new else here
    old = np.full(LANES, np.float32(np.inf), dtype=np.float32)  # the first time, an infinite value leaves
    middle = size // 2
    for i in range(len(out)):
        for lane in range(LANES):
            carry[lane] = padded[i + size - 1, lane]
        for rank in range(size):
            for lane in range(LANES):
                here, after, new = window[rank, lane], window[rank + 1, lane], carry[lane]
                here = after if here >= old[lane] else here  # from the old value on, all move down
                window[rank, lane] = here if here < new else new
                carry[lane] = new if here < new else here
        for lane in range(LANES):
            out[i, lane] = window[middle, lane]
            old[lane] = padded[i, lane]


@njit(nogil=True, cache=True)
def _median_columns(rows: Magnitude, out: Magnitude, size: int, begin: int, end: int) -> None:
    """Medians along axis 0 of the columns from `begin` to `end`."""
    length = len(rows)
    half = size // 2
    padded = np.zeros((length + size - 1, LANES), dtype=np.float32)
    medians = np.empty((length, LANES), dtype=np.float32)
    for first in range(begin, end, LANES):
        lanes = min(LANES, end - first)
        for i in range(length + size - 1):
            padded[i, :lanes] = rows[_reflect(i - half, length), first : first + lanes]
        _slide(padded, medians, size)
        out[:, first : first + lanes] = medians[:, :lanes]


@njit(nogil=True, cache=True)
def _mask(spectrum: Spectrum, magnitude: Magnitude, lasting: Magnitude, size: int, begin: int, end: int) -> None:
    """Scale the frames from `begin` to `end` by the harmonic mask; medians along frequency are made on the way."""
    bins = magnitude.shape[1]
    half = size // 2
    padded = np.zeros((bins + size - 1, LANES), dtype=np.float32)
    short = np.empty((bins, LANES), dtype=np.float32)
    one, nothing, split = np.float32(1), np.float32(TINY), np.float32(0.5)
    for first in range(begin, end, LANES):
        lanes = min(LANES, end - first)
        for i in range(bins + size - 1):
            bin_ = _reflect(i - half, bins)
            for lane in range(lanes):
                padded[i, lane] = magnitude[first + lane, bin_]
        _slide(padded, short, size)
        for lane in range(lanes):
            for bin_ in range(bins):
                h, p = lasting[first + lane, bin_], short[bin_, lane]
                larger = h if h > p else p
                if larger < nothing:
                    share = split
                else:
                    h, p = h / larger, p / larger
                    share = one * (h * h) / (h * h + p * p)
                spectrum[first + lane, bin_] *= share
