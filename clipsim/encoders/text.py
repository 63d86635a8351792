"""Lyrics to one vector: sentence transformers over overlapping windows, or BERT's first token (preset `paper`).

A song's lyrics are longer than what these networks read at once (384 tokens, 256 for the small one), and a chorus at
the end counts as much as a verse at the beginning. So the text is split into tokens once, read in windows that
overlap, and every token counts once in the mean: where two windows cover it, the one with more text around it speaks.
For a text that fits in one window this is exactly what sentence-transformers computes (Reimers & Gurevych 2019,
"Sentence-BERT", section 3: mean pooling, the special tokens at both ends included), without the final scaling to unit
length, which cosine does not see. In a longer text the special tokens of the windows do not count.

The halves (`Encoded.segments`) are read each on its own: a token's state knows everything in its window, so halves cut
out of one window would be alike by what they heard of each other. Where a text takes more than one window, no window
crosses its middle and the whole is made of both halves, which then cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from clipsim import weights
from clipsim._torchvision import transformers
from clipsim.encoders import Encoded
from clipsim.encoders._device import device
from clipsim.encoders._together import only, together
from clipsim.errors import ClipSimError, EncoderError, WeightsError
from clipsim.model import Vector

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

MPNET_TOKENS = 384  # one window, with its two special tokens: the model's own max_seq_length
MINILM_TOKENS = 256
BERT_TOKENS = 512
OVERLAP = 64  # tokens that a window shares with the one before it: some eight lines of context
MAX_CHARACTERS = 50_000  # read of a text; the longest of 395 real lyrics has 8566
MAX_TOKENS = 4096  # read of a text: 14 windows; bounds the time that hostile text can take
HALF_WORDS = 5  # of a half of a text; a shorter one says too little


class _Encoder:
    """A network of transformers, its tokenizer, and how long a text they read at once."""

    def __init__(self, folder: Path, tokens: int) -> None:
        hub = transformers()
        try:
            self._tokenizer: Any = hub.AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True)
            network = hub.AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except Exception as error:  # transformers raises many kinds, with many lines
            raise WeightsError(f"The text encoder in {folder} cannot be loaded ({type(error).__name__}).") from error
        from clipsim.encoders._reader import Reader

        self._network = Reader(network, tokens, device())
        self.tokens = tokens

    def encode(self, text: str) -> Encoded:
        """Encode a text, one line of it per line sung.

        Raises:
            EncoderError: the text has no words.
        """
        return only(self.encode_many([text]))

    def encode_many(self, texts: Sequence[str]) -> list[Encoded | ClipSimError]:
        """Encode several texts; the error takes the place of a text that has no words."""
        return together(texts, self._split, self._states, self._join)

    def _split(self, text: str) -> tuple[list[list[int]], Any]:
        """The windows that are read of a text (tokens, without special ones), and what `_join` needs to know."""
        raise NotImplementedError

    def _join(self, plan: Any, states: Sequence[Tensor]) -> Encoded:
        """The vector of a text from the states of its windows."""
        raise NotImplementedError

    def _ids(self, text: str) -> list[int]:
        """The tokens of a text without special ones, at most `MAX_TOKENS`.

        Raises:
            EncoderError: it has none, or none that the tokenizer knows (emoji alone, say).
        """
        # A lone surrogate is not text, and the tokenizer refuses it; NUL and other controls it drops by itself.
        clean = text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = self._tokenizer(clean, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        if not ids or set(ids) == {self._tokenizer.unk_token_id}:
            raise EncoderError("There are no words to read.")
        return ids[:MAX_TOKENS]

    def _states(self, windows: list[list[int]]) -> list[Tensor]:
        """The last hidden state of each window's own tokens and its two special ones, (tokens + 2, size), float32."""
        first, last = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        return self._network([[first, *ids, last] for ids in windows])


class SentenceEncoder(_Encoder):
    """A sentence transformer: the mean of its last hidden states over the whole text. Not scaled to unit length.

    A text may be of any length; beyond `MAX_TOKENS` tokens the rest is not read.
    """

    def _split(self, text: str) -> tuple[list[list[int]], _Plan]:
        ids = self._ids(text)
        divided = halves(text[:MAX_CHARACTERS])
        try:
            parts = [self._ids(half)[: MAX_TOKENS // 2] for half in divided or ()]
        except EncoderError:  # one half has no word that the network knows
            parts = []
        size = self.tokens - 2  # without the special tokens
        short = len(ids) <= size
        texts = [ids, *parts] if short or not parts else parts
        spans = [windows(len(each), size, min(OVERLAP, size // 4)) for each in texts]
        rows = [each[a:b] for each, own in zip(texts, spans, strict=True) for a, b in own]
        return rows, _Plan(spans, len(parts), whole=short or not parts)

    def _join(self, plan: _Plan, states: Sequence[Tensor]) -> Encoded:
        means, sums, counts = [], [], []
        left = iter(states)
        for spans in plan.spans:
            inner: Any = 0
            for keep, until in kept(spans):
                state = next(left).double()
                inner = inner + state[keep + 1 : until + 1].sum(0).numpy()
            counts.append(spans[-1][1])
            sums.append(inner)
            # one window: its special tokens too
            means.append(state.mean(0).numpy() if len(spans) == 1 else inner / counts[-1])
        vector = means[0] if plan.whole else sum(sums) / sum(counts)
        return Encoded(_finite(vector), segments=np.stack([_finite(m) for m in means[-2:]]) if plan.parts else None)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a text is put together from its windows: the spans of the whole (if it is read itself) and of its halves."""

    spans: list[list[tuple[int, int]]]  # of each text that is read, in tokens
    parts: int  # how many of them, the last, are halves
    whole: bool  # whether the first is the whole text; else the whole is made of both halves


class FirstTokenEncoder(_Encoder):
    """The last hidden state of the first token, `[CLS]`, over the first `tokens` tokens, as in the deck."""

    def _split(self, text: str) -> tuple[list[list[int]], None]:
        return [self._ids(text)[: self.tokens - 2]], None

    def _join(self, plan: None, states: Sequence[Tensor]) -> Encoded:
        return Encoded(_finite(states[0][0].numpy()))


def halves(text: str) -> tuple[str, str] | None:
    """The first and the second half of a text, divided between two lines where one ends near the middle.

    None where either half would have under `HALF_WORDS` words.
    """
    lines = [line.split() for line in text.split("\n")]
    words = [word for line in lines for word in line]
    cut = min(accumulate(map(len, lines)), key=lambda end: abs(2 * end - len(words)))
    if 4 * min(cut, len(words) - cut) < len(words):  # one line is most of the text
        cut = len(words) // 2
    if min(cut, len(words) - cut) < HALF_WORDS:
        return None
    return " ".join(words[:cut]), " ".join(words[cut:])


def windows(length: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """(start, stop) of the windows of at most `size` tokens that cover a text, of one size where there are several.

    Neighbours share at least `overlap` tokens; the windows are spread evenly, so that the last is as full as the rest.
    """
    if length <= size:
        return [(0, length)]
    count = -(-(length - overlap) // (size - overlap))
    starts = [round(i * (length - size) / (count - 1)) for i in range(count)]
    return [(start, start + size) for start in starts]


def kept(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Which tokens of each window count, relative to its start: neighbours meet in the middle of what they share."""
    cuts = [0, *((spans[i][1] + spans[i + 1][0]) // 2 for i in range(len(spans) - 1)), spans[-1][1]]
    return [(cuts[i] - start, cuts[i + 1] - start) for i, (start, _) in enumerate(spans)]


def load_mpnet() -> SentenceEncoder:
    """all-mpnet-base-v2, 768 numbers; raises WeightsError."""
    return SentenceEncoder(weights.path("mpnet"), MPNET_TOKENS)


def load_minilm() -> SentenceEncoder:
    """all-MiniLM-L6-v2, 384 numbers; raises WeightsError."""
    return SentenceEncoder(weights.path("minilm"), MINILM_TOKENS)


def load_bert() -> FirstTokenEncoder:
    """bert-base-uncased, 768 numbers; raises WeightsError."""
    return FirstTokenEncoder(weights.path("bert"), BERT_TOKENS)


def _finite(vector: Any) -> Vector:
    found: Vector = np.asarray(vector, np.float32)
    if not np.isfinite(found).all() or not found.any():
        raise EncoderError("The text network returned numbers that are not finite.")
    return found
