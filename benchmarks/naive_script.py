"""The whole way of a clip, written plainly: yt-dlp fetches stream after stream, one model follows the other.

What `benchmarks.naive` has of each modality, put together as a script would: the reference of `bench_pipeline.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import naive
from clipsim import weights
from clipsim._torchvision import transformers
from clipsim.encoders import i3d, tags, text, video
from clipsim.sources.lyrics import read_lyrics


@dataclass(frozen=True)
class Models:
    """What is loaded once."""

    ears: Any
    eyes: dict[str, torch.Tensor]
    tokenizer: Any
    reader: Any


def models() -> Models:
    """The three networks with their weights, in float32."""
    with weights.path("i3d").open("rb") as file:
        eyes = naive.i3d_tensors(i3d.read_checkpoint(file))
    hub, folder = transformers(), weights.path("mpnet")
    reader = hub.AutoModel.from_pretrained(folder).eval()
    return Models(tags.network(weights.path("musicnn")).eval(), eyes, hub.AutoTokenizer.from_pretrained(folder), reader)


def fetch(link: str, folder: Path) -> tuple[Path, Path, str]:
    """(sound, picture, words) of a clip, one after the other."""
    import yt_dlp

    options = {
        "format": "bestaudio,bestvideo",
        "outtmpl": str(folder / "%(acodec)s.%(ext)s"),
        "writesubtitles": True,
        "subtitleslangs": ["en"],
        "subtitlesformat": "vtt",
        "quiet": True,
        "noprogress": True,
    }
    with yt_dlp.YoutubeDL(options) as ydl:
        ydl.download([link])
    words = read_lyrics(next(folder.glob("*.vtt")))
    assert words is not None
    return next(folder.glob("opus.*m")), folder / "none.mp4", words.text


def clip(sound: Path, picture: Path, words: str, loaded: Models) -> NDArray[np.float32]:
    """The features of a clip side by side, as the library's columns: picture, sound (257, musicnn), words."""
    with av.open(str(sound)) as container:
        frames = [frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    y = librosa.resample(np.concatenate(frames).astype(np.float32), orig_sr=rate, target_sr=naive.SAMPLE_RATE)
    measures = np.array(list(naive.audio_features(y).values()), np.float32)
    with torch.no_grad():
        patches = torch.from_numpy(tags.log_mel_patches(y))
        heard = torch.cat([naive.musicnn(loaded.ears, patch[None])[1] for patch in patches]).mean(0).numpy()
    seen = naive.i3d_logits(loaded.eyes, picture, video.I3D_WINDOW).mean(0)
    read = naive.text_vectors(loaded.reader, loaded.tokenizer, words, text.MPNET_TOKENS)[0]
    return np.concatenate([seen, measures, heard, read]).astype(np.float32)


def nearest(row: NDArray[np.float32], rows: NDArray[np.float32], k: int) -> list[int]:
    """The rows most similar to one, by the cosine of standardised columns."""
    mean, spread = rows.mean(0), rows.std(0)
    others, one = (rows - mean) / spread, (row - mean) / spread
    similarity = others @ one / np.linalg.norm(others, axis=1) / np.linalg.norm(one)
    return np.argsort(-similarity)[:k].tolist()
