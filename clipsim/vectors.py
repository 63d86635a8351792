"""Vectors as bytes: checked before they are stored, and checked again when they are read.

A zero or NaN vector that slips in ruins every answer it touches, so none does.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsim.errors import EncoderError
from clipsim.model import Vector

FLOATS = np.dtype("<f4")
WORDS = np.dtype("<u4")


def check(vector: NDArray[Any], size: int | None = None, what: str = "a vector") -> Vector:
    """The vector as contiguous float32, shape (n,), finite and not all zero; `size` is the n it must have.

    Raises:
        EncoderError: it is not.
    """
    array = np.asarray(vector)
    if array.ndim != 1 or array.size == 0 or (size is not None and array.size != size):
        raise EncoderError(f"{what} has shape {array.shape}, not ({size if size is not None else 'n'},).")
    with np.errstate(over="ignore", invalid="ignore"):
        result: Vector = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(result).all():
        raise EncoderError(f"{what} holds values that are not finite numbers.")
    if not result.any():
        raise EncoderError(f"{what} is all zeros.")
    return result


def pack(vector: NDArray[Any], kind: np.dtype[Any] = FLOATS) -> tuple[bytes, int]:
    """Little-endian bytes and their CRC-32."""
    data = np.ascontiguousarray(vector, dtype=kind).tobytes()
    return data, zlib.crc32(data)


def unpack(data: bytes, crc: int, size: int | None = None, kind: np.dtype[Any] = FLOATS) -> NDArray[Any] | None:
    """The vector, shape (n,), in this machine's byte order; None where the bytes are not those that were packed."""
    if zlib.crc32(data) != crc or not data or len(data) % kind.itemsize:
        return None
    vector = np.frombuffer(data, dtype=kind)
    if size is not None and vector.size != size:
        return None
    return vector.astype(kind.newbyteorder("="), copy=False)
