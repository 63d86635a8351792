"""Networks by OpenVINO, where it is installed: compiled once, kept in the cache folder, and read from there.

Source: OpenVINO's processor plugin (oneDNN's kernels, with the layout of a network's memory chosen once for all of its
layers). Each of its streams is one window on one core, so that no core waits for another.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsim import settings
from clipsim.encoders._device import has_bfloat16, threads

log = logging.getLogger(__name__)

VERSION = 1  # of the graphs in `_graphs`: count up when one of them changes
STREAMS = 4  # windows at once at most: each takes some 100 MB


def installed() -> bool:
    """Whether there is an OpenVINO to run networks by."""
    return find_spec("openvino") is not None


class Network:
    """A compiled network of one input and one output, whose first axis is one."""

    def __init__(self, compiled: Any) -> None:
        import openvino

        self._queue = openvino.AsyncInferQueue(compiled, compiled.get_property("NUM_STREAMS"))
        self._queue.set_callback(_keep)

    def __call__(self, rows: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The answer to each row, in order; each row is an input without its first axis."""
        found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(rows)
        for i, row in enumerate(rows):
            self._queue.start_async({0: np.ascontiguousarray(row)[None]}, (found, i))
        self._queue.wait_all()
        return found


def network(name: str, build: Callable[[], Any], *, of: Path | None = None, bfloat16: bool | None = None) -> Network:
    """A network ready to run, by all threads of this process.

    `build` returns the `openvino.Model` with the weights that are in the file `of`. It is not called where the cache
    has the compiled network of that file, as it stands there (None: it is not kept). `bfloat16`: compute in it; by
    default where the processor does so itself.
    """
    import openvino

    core = openvino.Core()
    half = has_bfloat16() if bfloat16 is None else bfloat16
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        "INFERENCE_NUM_THREADS": threads(),
        "NUM_STREAMS": min(threads(), STREAMS),
        "ENABLE_CPU_PINNING": False,  # else every worker of this machine sits on the same cores
    }
    if of is None:
        return Network(core.compile_model(build(), "CPU", options))
    stat = of.stat()
    weights = (str(of), stat.st_size, stat.st_mtime_ns)
    facts = (VERSION, openvino.__version__, core.get_property("CPU", "FULL_DEVICE_NAME"), half, weights)
    file = _folder() / f"{name}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}.blob"
    with suppress(OSError, RuntimeError):  # not there, or damaged: it is made anew
        return Network(core.import_model(file.read_bytes(), "CPU", options))
    compiled = core.compile_model(build(), "CPU", options)
    _keep_file(file, compiled)
    return Network(compiled)


def _folder() -> Path:
    return settings.load().cache / "openvino"


def _keep_file(file: Path, compiled: Any) -> None:
    """Keep a compiled network for the next start, in place of older ones. A full or read-only disk costs only time."""
    try:
        exported = compiled.export_model()
        data = exported if isinstance(exported, bytes) else exported.getvalue()
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
            Path(partial).replace(file)
        finally:
            Path(partial).unlink(missing_ok=True)
        for old in file.parent.glob(f"{file.stem.rpartition('-')[0]}-*.blob"):
            if old != file:
                with suppress(OSError):
                    old.unlink()
    except (OSError, RuntimeError) as error:
        log.info("the compiled network could not be kept in %s: %s", file.parent, error)


def _keep(request: Any, place: tuple[list[NDArray[np.float32]], int]) -> None:
    found, i = place
    found[i] = np.array(request.get_output_tensor().data[0], np.float32)  # a copy: the request is used again
