"""Linear layers by oneDNN: the same products, by kernels that do not ask who made the processor.

torch gives single-precision products to MKL, which keeps its widest instructions for Intel's own processors: on an AMD
one oneDNN's took 0.43 of the time. Its weights are laid out once, when the network is loaded. Off the processor, or
where torch has no oneDNN, the layer stays torch's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

ROWS = 512  # that the layout of the weights is chosen for

Map = Callable[[Tensor], Tensor]


def linear(weight: Tensor, bias: Tensor | None, *, gelu: bool = False) -> Map:
    """x ↦ x·weightᵀ + bias over the last axis, and the exact GELU after it if asked."""
    if weight.device.type == "cpu" and weight.dtype == torch.float32 and _has_onednn():
        after: tuple[str, list[Any], str] = ("gelu", [], "none") if gelu else ("none", [], "")
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), ROWS)
        return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, bias, *after)
    if gelu:
        return lambda x: F.gelu(F.linear(x, weight, bias))
    return lambda x: F.linear(x, weight, bias)


class Linear(nn.Module):
    """An `nn.Linear` whose products oneDNN computes."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self._map = linear(layer.weight.detach(), None if layer.bias is None else layer.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """As the layer it stands for."""
        return self._map(x)


def replaced(network: nn.Module) -> nn.Module:
    """The network with oneDNN's linear layers in place of torch's; itself, changed. For inference on the processor."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and child.weight.device.type == "cpu":
                setattr(module, name, Linear(child))
    return network


def _has_onednn() -> bool:
    operators: Any = torch.ops.mkldnn
    return torch.backends.mkldnn.is_available() and all(
        hasattr(operators, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
    )
