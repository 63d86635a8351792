"""BERT's and MPNet's network over many windows of text at once, without padding.

A transformer looks at the tokens of a window together in one place only, its attention; everything else is done token
by token. So the tokens of all windows stand in one row after the other, and only the attention goes from window to
window: no padding is computed, and short windows cost what they are long. MPNet's bias by relative position (Song et
al. 2020, "MPNet", as in T5) depends on the distance of two tokens alone: it is made once, for the longest window.

Source of the layers: Devlin et al. 2019, "BERT", and Vaswani et al. 2017, "Attention is all you need", section 3. The
weights come out of transformers' own modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from clipsim.encoders._device import inference
from clipsim.encoders._linear import Map, linear
from clipsim.errors import WeightsError

TOKENS = 2048  # of all windows that are computed at once on the processor: bounds the memory, more gain nothing
TOKENS_CUDA = 32_768


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer: attention and a small network, each added to its input and normalised."""

    inputs: Map  # query, key and value side by side
    attended: Map
    attention_norm: nn.LayerNorm
    wide: Map  # with its GELU
    narrow: Map
    output_norm: nn.LayerNorm


class Reader:
    """A network of transformers (`BertModel` or `MPNetModel`) for inference, its dropout left out."""

    def __init__(self, network: Any, longest: int, on: torch.device) -> None:
        """Windows have at most `longest` tokens.

        Raises:
            WeightsError: it is another kind of network.
        """
        kind, config = type(network).__name__, network.config
        if kind not in ("BertModel", "MPNetModel") or config.hidden_act != "gelu":
            raise WeightsError(f"The text encoder is a {kind}, which is neither BERT nor MPNet.")
        network = network.eval().requires_grad_(False).to(on)
        self._on = on
        self._heads: int = config.num_attention_heads
        given = network.embeddings
        self._words: nn.Embedding = given.word_embeddings
        # MPNet counts places from behind its padding; BERT adds what says that this is the first sentence.
        first = 0 if kind == "BertModel" else given.padding_idx + 1
        self._places: Tensor = given.position_embeddings.weight[first : first + longest]
        if kind == "BertModel":
            self._places = self._places + given.token_type_embeddings.weight[0]
        self._norm: nn.LayerNorm = given.LayerNorm
        self._bias: Tensor | None = None
        if kind == "MPNetModel":
            self._bias = network.encoder.compute_position_bias(torch.empty(1, longest, 1, device=on))
        self._layers = [_bert(layer) if kind == "BertModel" else _mpnet(layer) for layer in network.encoder.layer]

    def __call__(self, windows: Sequence[Sequence[int]]) -> list[Tensor]:
        """The last hidden state of each window, its special tokens included: float32 (tokens, size), on the processor.

        Each window brings its special tokens itself.
        """
        room = TOKENS if self._on.type == "cpu" else TOKENS_CUDA
        found: list[Tensor] = []
        batch: list[Sequence[int]] = []
        with inference(self._on):
            for window in windows:
                if batch and sum(map(len, batch)) + len(window) > room:
                    found += self._states(batch)
                    batch = []
                batch.append(window)
            if batch:
                found += self._states(batch)
        return found

    def _states(self, windows: list[Sequence[int]]) -> list[Tensor]:
        lengths = [len(window) for window in windows]
        ids = torch.tensor([token for window in windows for token in window], device=self._on)
        places = torch.cat([torch.arange(length, device=self._on) for length in lengths])
        x = self._norm(self._words(ids) + self._places[places])  # (tokens of all windows, size)
        ends = list(accumulate(lengths))
        spans = list(zip([0, *ends[:-1]], ends, strict=True))
        for layer in self._layers:
            x = layer.attention_norm(x + layer.attended(self._attention(layer.inputs(x), spans)))
            x = layer.output_norm(x + layer.narrow(layer.wide(x)))
        return list(x.float().cpu().split(lengths))

    def _attention(self, inputs: Tensor, spans: list[tuple[int, int]]) -> Tensor:
        """Scaled dot-product attention within each window: (tokens, 3 · size) → (tokens, size)."""
        tokens, size = len(inputs), inputs.shape[1] // 3
        query, key, value = inputs.view(tokens, 3, self._heads, -1).permute(1, 2, 0, 3)  # each (heads, tokens, size)
        found = inputs.new_empty(tokens, size)
        bias = None if self._bias is None else self._bias.to(inputs.dtype)
        for begin, end in spans:
            n = end - begin
            part = F.scaled_dot_product_attention(
                query[None, :, begin:end],
                key[None, :, begin:end],
                value[None, :, begin:end],
                attn_mask=None if bias is None else bias[:, :, :n, :n],
            )
            found[begin:end] = part[0].transpose(0, 1).reshape(n, size)
        return found


def _bert(layer: Any) -> _Layer:
    own, output = layer.attention.self, layer.attention.output
    return _layer(layer, (own.query, own.key, own.value), output.dense, output.LayerNorm)


def _mpnet(layer: Any) -> _Layer:
    own = layer.attention.attn
    return _layer(layer, (own.q, own.k, own.v), own.o, layer.attention.LayerNorm)


def _layer(layer: Any, inputs: Sequence[nn.Linear], attended: nn.Linear, norm: nn.LayerNorm) -> _Layer:
    together = torch.cat([part.weight for part in inputs]), torch.cat([part.bias for part in inputs])
    wide, narrow = layer.intermediate.dense, layer.output.dense
    made = _Layer(
        inputs=linear(*together),
        attended=linear(attended.weight, attended.bias),
        attention_norm=norm,
        wide=linear(wide.weight, wide.bias, gelu=True),
        narrow=linear(narrow.weight, narrow.bias),
        output_norm=layer.output.LayerNorm,
    )
    for spent in (*inputs, attended, wide, narrow):  # layer by layer, so that the weights are never there twice
        spent.weight = nn.Parameter(torch.empty(0), requires_grad=False)
    return made
