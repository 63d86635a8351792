"""Reads a TensorFlow checkpoint (a "V2 tensor bundle") without TensorFlow: as much of it as plain tensors need.

The `.index` file is a LevelDB table (tensorflow/core/lib/io/table_format.txt): blocks of entries whose keys share
prefixes, an index block that points at them, and a footer of 48 bytes. Key: a variable's name; value: a protocol
buffer (`BundleEntryProto` in tensor_bundle.proto) with the type, shape, and place of its values in the `.data` file,
which holds nothing but these values, little-endian. The files' SHA-256 is checked before this (`clipsim.weights`);
still every number read here is checked against what the file holds.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsim.errors import WeightsError

FOOTER = 48  # bytes
MAGIC = 0xDB4775248B80FB57  # the footer's last eight bytes
TRAILER = 5  # bytes after each block: its compression and a checksum
PLAIN = 0  # no compression, as TensorFlow writes bundles
FLOAT = 1  # DT_FLOAT: float32
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protocol buffers' wire types
HEADER = b""  # the key of the bundle's own description


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a variable's values lie in the data file."""

    kind: int
    shape: tuple[int, ...]
    offset: int  # bytes
    size: int


def read(folder: Path, prefix: str = "") -> dict[str, NDArray[np.float32]]:
    """Every float32 variable of the checkpoint `prefix`.index and `prefix`.data-00000-of-00001 in a folder, by name.

    Raises:
        WeightsError: the files are missing, or are not such a checkpoint.
    """
    try:
        index = (folder / f"{prefix}.index").read_bytes()
        data = (folder / f"{prefix}.data-00000-of-00001").read_bytes()
        variables = {}
        for key, value in _table(index):
            if key == HEADER:
                continue
            entry = _entry(value)
            if entry.kind == FLOAT:
                variables[key.decode()] = _tensor(data, entry)
        return variables
    except OSError as error:
        raise WeightsError(f"A checkpoint cannot be read: {error.strerror}.") from error
    except (IndexError, ValueError, struct.error) as error:
        raise WeightsError("A checkpoint is damaged or of another kind.") from error


def _tensor(data: bytes, entry: _Entry) -> NDArray[np.float32]:
    count = math.prod(entry.shape)
    if entry.size != 4 * count or entry.offset + entry.size > len(data):
        raise ValueError(f"{entry} lies outside its file")
    return np.frombuffer(data, dtype="<f4", count=count, offset=entry.offset).reshape(entry.shape).astype(np.float32)


def _table(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of a LevelDB table, in order of the keys."""
    footer = file[-FOOTER:]
    if len(footer) < FOOTER or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise ValueError("no such footer")
    _, at = _handle(footer, 0)  # of a block about the blocks, which bundles leave empty
    place, _ = _handle(footer, at)
    for _, value in _block(file, place):
        yield from _block(file, _handle(value, 0)[0])


def _block(file: bytes, place: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of the block at (offset, size)."""
    offset, size = place
    if offset + size + TRAILER > len(file) or file[offset + size] != PLAIN:
        raise ValueError("a block that is cut off or compressed")
    block = file[offset : offset + size]
    restarts = struct.unpack("<I", block[-4:])[0]  # places where a key is written out: for searching only
    end = size - 4 - 4 * restarts
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _entry(message: bytes) -> _Entry:
    kind = offset = size = 0
    shape: tuple[int, ...] = ()
    for field, value in _fields(message):
        if field == 1 and isinstance(value, int):
            kind = value
        elif field == 2 and isinstance(value, bytes):
            shape = tuple(_dimension(v) for f, v in _fields(value) if f == 2 and isinstance(v, bytes))
        elif field == 3 and value:
            raise ValueError("a checkpoint in several files")
        elif field == 4 and isinstance(value, int):
            offset = value
        elif field == 5 and isinstance(value, int):
            size = value
    return _Entry(kind, shape, offset, size)


def _dimension(message: bytes) -> int:
    return next((value for field, value in _fields(message) if field == 1 and isinstance(value, int)), 0)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a protocol buffer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        value: int | bytes
        if wire == VARINT:
            value, at = _varint(message, at)
        elif wire == BYTES:
            length, at = _varint(message, at)
            value, at = message[at : at + length], at + length
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
            value, at = message[at : at + length], at + length
        else:
            raise ValueError(f"wire type {wire}")
        yield tag >> 3, value


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """((offset, size) of a block, where reading goes on)."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(number, where reading goes on) of seven bits a byte, lowest first."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at
        if shift > 63:
            raise ValueError("a number without an end")
