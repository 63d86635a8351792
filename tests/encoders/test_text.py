"""The text encoders against plain calls of transformers, on small random networks and on the real weights."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import naive
from clipsim import weights
from clipsim._torchvision import transformers
from clipsim.encoders import Encoded, _linear, _reader, text
from clipsim.errors import EncoderError, WeightsError, WeightsUnavailable

WORDS = ["la", "love", "rain", "fire", "walk", "in", "the", "night", "and", "dance", "with", "me", "my", "heart", "oh"]
SPECIAL = {"bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "mpnet": ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]}


def _small(folder: Path, kind: str) -> Path:
    """A small random network of the real class, with a tokenizer of a few words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    hub = transformers()
    vocabulary = {word: i for i, word in enumerate(SPECIAL[kind] + WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    first, last, pad = ("[CLS]", "[SEP]", "[PAD]") if kind == "bert" else ("<s>", "</s>", "<pad>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(first, vocabulary[first]), (last, vocabulary[last])]
    )
    hub.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token=first, sep_token=last, pad_token=pad, unk_token="[UNK]"
    ).save_pretrained(folder)
    torch.manual_seed(7)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = getattr(hub, "BertConfig" if kind == "bert" else "MPNetConfig")(
        vocab_size=len(vocabulary), max_position_embeddings=64, pad_token_id=vocabulary[pad], **shape
    )
    hub.AutoModel.from_config(config).eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["bert", "mpnet"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _small(tmp_path_factory.mktemp(request.param), request.param)


def _plain(folder: Path, text_: str) -> torch.Tensor:
    """The last hidden states that transformers itself gives, special tokens included, shape (tokens, size)."""
    hub = transformers()
    tokenizer, network = hub.AutoTokenizer.from_pretrained(folder), hub.AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        return network(**tokenizer(text_, return_tensors="pt")).last_hidden_state[0]


def _song(words: int) -> str:
    return " ".join(np.random.default_rng(words).choice(WORDS, words))


def test_short_text_is_what_sentence_transformers_computes(folder: Path) -> None:
    song = _song(20)
    np.testing.assert_allclose(
        text.SentenceEncoder(folder, 32).encode(song).vector, _plain(folder, song).mean(0).numpy(), atol=1e-5
    )


def test_cls_of_short_text_is_what_transformers_computes(folder: Path) -> None:
    song = _song(20)
    np.testing.assert_allclose(
        text.FirstTokenEncoder(folder, 32).encode(song).vector, _plain(folder, song)[0].numpy(), atol=1e-5
    )


def test_cls_reads_only_the_beginning(folder: Path) -> None:
    encoder = text.FirstTokenEncoder(folder, 32)
    song = _song(100)
    begin = " ".join(song.split()[:30])
    np.testing.assert_allclose(encoder.encode(song).vector, _plain(folder, begin)[0].numpy(), atol=1e-5)


def test_long_text_counts_every_token_once(folder: Path) -> None:
    song = _song(70).split()
    # By hand: 30 tokens a window, at least 7 shared, 35 in each half: (0, 30) and (5, 35), which meet at 17.
    half = []
    for start in (0, 35):
        states = [_plain(folder, " ".join(song[start + a : start + b]))[1:-1] for a, b in ((0, 30), (5, 35))]
        half.append(torch.cat((states[0][:17], states[1][12:])))
    found = text.SentenceEncoder(folder, 32).encode(" ".join(song))
    np.testing.assert_allclose(found.vector, torch.cat(half).mean(0).numpy(), atol=1e-5)
    assert found.segments is not None and found.segments.shape == (2, 32) and found.segments.dtype == np.float32
    np.testing.assert_allclose(found.segments, torch.stack(half).mean(1).numpy(), atol=1e-5)


def test_halves_of_a_short_text_know_nothing_of_each_other(folder: Path) -> None:
    song = _song(20).split()
    found = text.SentenceEncoder(folder, 32).encode("\n".join((" ".join(song[:9]), " ".join(song[9:]))))
    expected = [_plain(folder, " ".join(part)).mean(0).numpy() for part in (song[:9], song[9:])]
    np.testing.assert_allclose(found.segments, expected, atol=1e-5)
    np.testing.assert_allclose(found.vector, _plain(folder, " ".join(song)).mean(0).numpy(), atol=1e-5)


def test_halves_of_a_text_whose_halves_fit_a_window(folder: Path) -> None:
    song = _song(40).split()
    states = [_plain(folder, " ".join(part)) for part in (song[:20], song[20:])]
    found = text.SentenceEncoder(folder, 32).encode(" ".join(song))
    np.testing.assert_allclose(found.segments, [state.mean(0).numpy() for state in states], atol=1e-5)
    whole = torch.cat([state[1:-1] for state in states]).mean(0)  # without special tokens, as every longer text
    np.testing.assert_allclose(found.vector, whole.numpy(), atol=1e-5)


SONGS = [(20, 1), (9, 1), (70, 10), (200, 7), (31, 31), (5, 1)]  # words, and on how many lines


def _songs() -> list[str]:
    rows = ((_song(words).split(), lines) for words, lines in SONGS)
    return ["\n".join(" ".join(words[i::lines]) for i in range(lines)) for words, lines in rows]


def test_every_vector_is_the_plain_loops(folder: Path) -> None:
    hub = transformers()
    tokenizer, network = hub.AutoTokenizer.from_pretrained(folder), hub.AutoModel.from_pretrained(folder).eval()
    for song, found in zip(_songs(), text.SentenceEncoder(folder, 32).encode_many(_songs()), strict=True):
        whole, *halves = naive.text_vectors(network, tokenizer, song, 32)
        assert isinstance(found, Encoded)
        np.testing.assert_allclose(found.vector, whole, atol=1e-5)
        assert len(halves) == (0 if found.segments is None else 2)
        if found.segments is not None:
            np.testing.assert_allclose(found.segments, halves, atol=1e-5)


@pytest.mark.parametrize("kind", [text.SentenceEncoder, text.FirstTokenEncoder])
def test_texts_together_are_texts_alone_and_a_bad_one_costs_only_itself(folder: Path, kind) -> None:
    encoder = kind(folder, 32)
    alone = [encoder.encode(song) for song in _songs()]
    together = encoder.encode_many([*_songs()[:2], "🎵", *_songs()[2:]])
    assert isinstance(together.pop(2), EncoderError)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(other.vector, one.vector, atol=1e-5)


def test_windows_beyond_one_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = text.SentenceEncoder(folder, 32)
    at_once = encoder.encode_many(_songs())
    monkeypatch.setattr(_reader, "TOKENS", 40)
    for one, other in zip(at_once, encoder.encode_many(_songs()), strict=True):
        np.testing.assert_allclose(other.vector, one.vector, atol=1e-5)


def test_without_onednn_the_numbers_are_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = text.SentenceEncoder(folder, 32).encode(_song(70))
    monkeypatch.setattr(_linear, "_has_onednn", lambda: False)
    np.testing.assert_allclose(text.SentenceEncoder(folder, 32).encode(_song(70)).vector, quick.vector, atol=1e-5)


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    folder = _small(tmp_path, "bert")
    hub = transformers()
    hub.AutoModel.from_config(
        hub.DistilBertConfig(vocab_size=20, dim=32, n_layers=1, n_heads=2, hidden_dim=32)
    ).save_pretrained(folder)
    with pytest.raises(WeightsError, match="neither BERT nor MPNet"):
        text.SentenceEncoder(folder, 32)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a b c d e\nf g h i j", ("a b c d e", "f g h i j")),
        ("a b c d e f g\nh i\nj k l m n", ("a b c d e f g", "h i j k l m n")),
        ("a b c d e f g h i j k l", ("a b c d e f", "g h i j k l")),  # one line
        ("a\nb c d e f g h i j k l m", ("a b c d e f", "g h i j k l m")),  # one line is most of it
        ("a b c d\ne f g h i", None),
        ("", None),
    ],
)
def test_halves(words: str, expected: tuple[str, str] | None) -> None:
    assert text.halves(words) == expected


def test_a_text_too_short_to_be_divided_has_no_halves(folder: Path) -> None:
    encoder = text.SentenceEncoder(folder, 32)
    assert encoder.encode("love rain fire walk in the night and dance").segments is None  # 9 words


@pytest.mark.parametrize("length", [1, 29, 30, 31, 49, 50, 51, 64, 333, 4096])
def test_windows_cover_every_token_exactly_once(length: int) -> None:
    spans = text.windows(length, 30, 10)
    assert all(0 < stop - start <= 30 for start, stop in spans)
    assert all(a[1] - b[0] >= 10 for a, b in pairwise(spans))
    counted = [
        start + i for (start, _), (keep, until) in zip(spans, text.kept(spans), strict=True) for i in range(keep, until)
    ]
    assert counted == list(range(length))


@pytest.mark.parametrize("words", ["", "   \n\t ", "\0\0", "🎵🎵🎵", "\ud800"])
def test_no_words(folder: Path, words: str) -> None:
    for kind in (text.SentenceEncoder, text.FirstTokenEncoder):
        with pytest.raises(EncoderError, match="no words"):
            kind(folder, 32).encode(words)


def test_hostile_text_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = text.SentenceEncoder(folder, 32)
    seen: list[int] = []
    network = encoder._network
    monkeypatch.setattr(encoder, "_network", lambda rows: seen.append(sum(map(len, rows))) or network(rows))
    for hostile in ("love " * 400_000, "\u202elove\u0000 🎵 \ud800" * 100_000, "爱" * 1_000_000 + " love", "a" * 10**6):
        seen.clear()
        try:
            vector = encoder.encode(hostile).vector
        except EncoderError:
            continue
        assert np.isfinite(vector).all()
        assert 0 < sum(seen) < 2 * text.MAX_TOKENS


def test_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be loaded"):
        text.SentenceEncoder(tmp_path, 32)


def test_window_sizes_are_the_models_own() -> None:
    for name, tokens in (("mpnet", text.MPNET_TOKENS), ("minilm", text.MINILM_TOKENS)):
        state = next(state for state in weights.status([name]))
        if not state.ok:
            pytest.skip(f"{name} is {state.detail}")
        assert json.loads((state.path / "sentence_bert_config.json").read_text())["max_seq_length"] == tokens


@pytest.mark.weights
@pytest.mark.parametrize(("load", "size"), [(text.load_minilm, 384), (text.load_mpnet, 768)])
def test_meaning_not_wording_decides(load, size) -> None:
    encoder = load()
    songs = {
        "rain": "The sky is grey and drops are falling on my window, I am soaked and the storm goes on",
        "money": "Stacks of dollars, gold chains, I count my cash and drive my expensive car to the bank",
        "goodbye": "You packed your suitcase and left me crying, this empty house reminds me that you are gone",
    }
    queries = {
        "rain": "Thunder and wet clothes, clouds hide the sun all day",
        "money": "I am rich, my wallet is full of bills and I buy diamonds",
        "goodbye": "Since our breakup I am alone and miss my darling every night",
    }
    vectors = {name: encoder.encode(words).vector for name, words in songs.items()}
    assert all(vector.shape == (size,) and vector.dtype == np.float32 for vector in vectors.values())
    for name, words in queries.items():
        query = encoder.encode(words).vector
        cosines = {k: query @ v / np.linalg.norm(query) / np.linalg.norm(v) for k, v in vectors.items()}
        assert max(cosines, key=cosines.__getitem__) == name


@pytest.mark.weights
def test_real_lyrics_have_the_plain_loops_vectors(testdata: Path) -> None:
    with (testdata / "deck/lyrics.csv").open(encoding="utf-8", newline="") as file:
        lyrics = sorted((row["lyrics"] for row in csv.DictReader(file)), key=len)
    songs = [lyrics[len(lyrics) // 3], next(song for song in lyrics if len(song) > 1900)]  # one window, and several
    encoder = text.load_mpnet()
    hub, folder = transformers(), weights.path("mpnet")
    tokenizer, network = hub.AutoTokenizer.from_pretrained(folder), hub.AutoModel.from_pretrained(folder).eval()
    for song, found in zip(songs, encoder.encode_many(songs), strict=True):
        whole, *halves = naive.text_vectors(network, tokenizer, song, text.MPNET_TOKENS)
        np.testing.assert_allclose(found.vector, whole, atol=1e-5)
        np.testing.assert_allclose(found.segments, halves, atol=1e-5)


@pytest.mark.weights
def test_deck_vector_of_the_query(testdata: Path) -> None:
    """bert-base-uncased's vector of the deck's query is the one that the deck's authors computed."""
    found = json.loads((testdata / "deck/query_features.json").read_text())
    try:
        encoder = text.load_bert()
    except WeightsUnavailable as error:
        pytest.skip(str(error))
    vector, expected = encoder.encode(found["lyrics"]).vector, np.asarray(found["text"], np.float32)
    cosine = vector @ expected / np.linalg.norm(vector) / np.linalg.norm(expected)
    assert cosine > 0.999
