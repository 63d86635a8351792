"""Where networks run: CUDA in half precision where there is one, else the processor in single precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@lru_cache(maxsize=1)
def device() -> torch.device:
    """The device that this process's networks run on."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def inference(on: torch.device) -> Iterator[None]:
    """No gradients; on CUDA also half precision where it is safe (autocast)."""
    import torch

    half = torch.autocast("cuda", dtype=torch.float16) if on.type == "cuda" else nullcontext()
    with torch.inference_mode(), half:
        yield
