"""torchvision and transformers, imported so that they load beside a CPU-only torch too.

The torchvision wheel on the package index carries operators compiled against the CUDA build of torch. Beside a
CPU-only torch they cannot load, and `import torchvision` stops with "operator torchvision::nms does not exist", because
it registers meta functions for operators that were never declared. transformers imports torchvision where it finds it,
and stops with it. Declaring the two schemas first is enough: no model here uses those operators.

Everything here imports torchvision and transformers through this module only.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_declared: Any = None  # the torch.library.Library: its declarations last as long as it does


def torchvision() -> ModuleType:
    """The module torchvision."""
    _declare()
    import torchvision as module

    return module  # type: ignore[no-any-return]


def transformers() -> ModuleType:
    """The module transformers, silent: no progress bars, and only errors logged."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers are processes already
    _declare()
    import transformers as module

    module.utils.logging.set_verbosity_error()
    module.utils.logging.disable_progress_bar()
    return module  # type: ignore[no-any-return]


def _declare() -> None:
    global _declared  # noqa: PLW0603
    import torch

    if _declared is not None or _exists():
        return
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    for library in Path(spec.origin).parent.glob("_C*"):  # _C.so, or _C_stable.so by its side: what torchvision loads
        try:
            torch.ops.load_library(str(library))
        except OSError:
            continue
    if not _exists():
        _declared = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            _declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _exists() -> bool:
    import torch

    return hasattr(torch.ops.torchvision, "nms")
