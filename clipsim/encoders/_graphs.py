"""The two video networks as OpenVINO graphs, layer by layer from their torch modules.

Written out, not traced: tracing fixes the padding of TensorFlow's "SAME" to one size and fails at some of its pools,
while a graph has a word for it. Batch norms are folded into the convolutions before them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from clipsim.encoders import i3d

ONES = [1, 1, 1]
ZEROS = [0, 0, 0]


def i3d_graph(network: i3d.I3D, frames: int, side: int) -> Any:
    """I3D: uint8 RGB (1, frames, side, side, 3) → float32 (1, classes). Frames are scaled to [-1, 1] inside."""
    from openvino import Model
    from openvino import opset13 as op

    given = op.parameter([1, frames, side, side, 3], np.uint8, name="frames")
    x = op.transpose(op.convert(given, "f32"), op.constant([0, 4, 1, 2, 3]))
    x = op.subtract(op.multiply(x, op.constant(np.float32(1 / 127.5))), op.constant(np.float32(1)))
    x = _pool(_unit(x, network.conv1a), (1, 3, 3), (1, 2, 2))
    x = _unit(_unit(x, network.conv2b), network.conv2c)
    for name, module in network.mixed.items():
        assert isinstance(module, i3d.Mixed)
        if name in i3d.POOLS:
            x = _pool(x, *i3d.POOLS[name])
        heads = op.variadic_split(_unit(x, module.heads), op.constant(1), op.constant(list(module.split)))
        straight, narrow1, narrow2 = heads.outputs()
        pooled = _unit(_pool(x, (3, 3, 3), (1, 1, 1)), module.branch3)
        x = op.concat([straight, _unit(narrow1, module.branch1), _unit(narrow2, module.branch2), pooled], 1)
    x = op.reduce_mean(x, op.constant([3, 4]))
    # The mean of neighbouring steps, and the mean of those: the first and the last step of time count half.
    steps = x.get_output_shape(0)[2]
    share = np.full((steps, 1), 2.0)
    share[[0, -1]] = 1 if steps > 1 else 2
    x = op.squeeze(op.matmul(x, op.constant((share / share.sum()).astype(np.float32)), False, False), op.constant(2))
    return Model([op.result(_linear(x, network.logits))], [given], "i3d")


def r3d_graph(network: Any, frames: int, side: int) -> Any:
    """torchvision's `r3d_18`: float32 (1, 3, frames, side, side), normalised → float32 (1, classes)."""
    from openvino import Model
    from openvino import opset13 as op

    given = op.parameter([1, 3, frames, side, side], np.float32, name="frames")
    x = op.relu(_normalised(given, network.stem[0], network.stem[1]))
    for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
        for block in layer:
            straight = x if block.downsample is None else _normalised(x, block.downsample[0], block.downsample[1])
            x = op.relu(_normalised(x, block.conv1[0], block.conv1[1]))
            x = op.relu(op.add(_normalised(x, block.conv2[0], block.conv2[1]), straight))
    x = op.reduce_mean(x, op.constant([2, 3, 4]))
    return Model([op.result(_linear(x, network.fc))], [given], "r3d_18")


def _unit(x: Any, unit: i3d.Unit) -> Any:
    from openvino import opset13 as op

    kernel, bias = _array(unit.weight), _array(unit.bias)
    y = op.convolution(x, op.constant(kernel), list(unit.stride), ZEROS, ZEROS, ONES, auto_pad="same_upper")
    return op.relu(op.add(y, op.constant(bias.reshape(1, -1, 1, 1, 1))))


def _pool(x: Any, kernel: i3d.Triple, stride: i3d.Triple) -> Any:
    from openvino import opset13 as op

    return op.max_pool(x, list(stride), ONES, ZEROS, ZEROS, list(kernel), auto_pad="same_upper").output(0)


def _normalised(x: Any, conv: nn.Conv3d, norm: nn.BatchNorm3d) -> Any:
    """A convolution without bias, and the batch norm after it (folded in float64)."""
    from openvino import opset13 as op

    scale = _array(norm.weight, np.float64) / np.sqrt(_array(norm.running_var, np.float64) + norm.eps)
    bias = _array(norm.bias, np.float64) - _array(norm.running_mean, np.float64) * scale
    kernel = _array(conv.weight, np.float64) * scale.reshape(-1, 1, 1, 1, 1)
    padding = list(conv.padding)
    y = op.convolution(x, op.constant(kernel.astype(np.float32)), list(conv.stride), padding, padding, ONES)
    return op.add(y, op.constant(bias.astype(np.float32).reshape(1, -1, 1, 1, 1)))


def _linear(x: Any, layer: nn.Linear) -> Any:
    from openvino import opset13 as op

    return op.add(op.matmul(x, op.constant(_array(layer.weight)), False, True), op.constant(_array(layer.bias)))


def _array(parameter: Any, dtype: Any = np.float32) -> NDArray[Any]:
    return np.ascontiguousarray(parameter.detach().numpy(), dtype)
