"""Where networks run: CUDA in half precision where there is one, else the processor; and how many inputs at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
# Of an x86 processor: products of bfloat16 in hardware. Without either they are slower than those of float32.
BFLOAT16 = ("avx512_bf16", "amx_bf16")


@lru_cache(maxsize=1)
def device() -> torch.device:
    """The device that this process's networks run on."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def threads() -> int:
    """How many cores this process may use: what its parent gave it (OMP_NUM_THREADS), else all it can run on."""
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if given.isdigit() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def precision(on: torch.device) -> torch.dtype:
    """What products are computed in: half precision on CUDA, single on the processor."""
    import torch

    return torch.float16 if on.type == "cuda" else torch.float32


@lru_cache(maxsize=1)
def has_bfloat16() -> bool:
    """Whether the processor itself computes in bfloat16: twice as fast, with the exponents of float32."""
    import torch

    try:
        found = torch.cpu.get_capabilities()
    except (AttributeError, RuntimeError):  # a torch built without them
        return False
    return any(found.get(name) is True for name in BFLOAT16)


@contextmanager
def inference(on: torch.device) -> Iterator[None]:
    """No gradients; in half precision where it is safe (autocast), if that is the device's `precision`."""
    import torch

    half = precision(on)
    with torch.inference_mode(), nullcontext() if half == torch.float32 else torch.autocast(on.type, dtype=half):
        yield


def in_batches(rows: Sequence[T], size: int, run: Callable[[Sequence[T]], Any]) -> list[Any]:
    """What `run` returns for `size` rows at a time, in order; half as many where the device's memory is too small."""
    import torch

    found: list[Any] = []
    start = 0
    while start < len(rows):
        try:
            found.append(run(rows[start : start + size]))
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size //= 2
            torch.cuda.empty_cache()
        else:
            start += size
    return found
