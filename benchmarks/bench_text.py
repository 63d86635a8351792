"""What a clip's words cost: 64 real lyrics to vectors, whole and in halves, against the plain loop.

    python -m benchmarks text        (writes benchmarks/results/text.json; some ten minutes)

The lyrics are the deck's, in the folder of test data (CLIPSIM_TESTDATA).
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import clips
from benchmarks.paired import HEAD, compare, save
from clipsim import weights
from clipsim._torchvision import transformers
from clipsim.encoders import text

WARM = "come a little closer now, I need you here tonight"


def ours() -> Callable[[], object]:
    encoder, songs = text.load_mpnet(), clips.lyrics()
    encoder.encode(WARM)
    return lambda: encoder.encode_many(songs)


def one_by_one() -> Callable[[], object]:
    encoder, songs = text.load_mpnet(), clips.lyrics()
    encoder.encode(WARM)
    return lambda: [encoder.encode(song) for song in songs]


def naive() -> Callable[[], object]:
    return _naive("mpnet", text.MPNET_TOKENS)


def our_minilm() -> Callable[[], object]:
    encoder, songs = text.load_minilm(), clips.lyrics()
    encoder.encode(WARM)
    return lambda: encoder.encode_many(songs)


def naive_minilm() -> Callable[[], object]:
    return _naive("minilm", text.MINILM_TOKENS)


def _naive(name: str, tokens: int) -> Callable[[], object]:
    from benchmarks.naive import text_vectors

    hub, folder, songs = transformers(), weights.path(name), clips.lyrics()
    tokenizer = hub.AutoTokenizer.from_pretrained(folder)
    network = hub.AutoModel.from_pretrained(folder).eval()
    text_vectors(network, tokenizer, WARM, tokens)
    return lambda: [text_vectors(network, tokenizer, song, tokens) for song in songs]


def main() -> None:
    clips.needed()
    work = f"{clips.LYRICS} lyrics"
    print(HEAD)
    found = [
        compare("MPNet", work, ours, naive),
        compare("MPNet, one text at a time", work, one_by_one, naive),
        compare("MiniLM", work, our_minilm, naive_minilm),
    ]
    save("text", found)


if __name__ == "__main__":
    main()
