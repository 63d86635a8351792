from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clipsim.errors import FolderNotWritable, LibraryLocked
from clipsim.owner import NOTE, Owner, owner

HOLD = """
import sys, time
from pathlib import Path
from clipsim.owner import Owner
held = Owner.acquire(Path(sys.argv[1]), "clipsim-bot")
print("held", flush=True)
time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_owns_the_folder(tmp_path: Path) -> None:
    process = holder(tmp_path)
    try:
        with pytest.raises(
            LibraryLocked, match=rf"owned by process {process.pid} \(clipsim-bot, since \d\d:\d\d\)\."
        ) as caught:
            Owner.acquire(tmp_path)
        assert caught.value.retry
    finally:
        process.kill()
        process.wait()


def test_a_killed_owner_leaves_the_folder_free(tmp_path: Path) -> None:
    process = holder(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (tmp_path / NOTE).exists()  # its note stays, and is not believed
    with Owner.acquire(tmp_path, "clipsim"):
        assert json.loads((tmp_path / NOTE).read_text())["pid"] == os.getpid()
        with pytest.raises(LibraryLocked, match=str(os.getpid())):
            Owner.acquire(tmp_path)
    assert not (tmp_path / NOTE).exists()


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    held = Owner.acquire(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    held.release()
    held.release()
    Owner.acquire(tmp_path).release()
    child.kill()
    child.wait()


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"pid": "x", "program": 1, "since": "never"}', "\x00"])
def test_an_unreadable_note_is_no_hindrance(tmp_path: Path, note: str) -> None:
    (tmp_path / NOTE).write_text(note)
    assert owner(tmp_path) == "another process"
    Owner.acquire(tmp_path).release()


def test_an_older_owner_is_told_with_its_date(tmp_path: Path) -> None:
    (tmp_path / NOTE).write_text(
        json.dumps({"pid": 1234, "program": "clipsim-bot", "since": "2020-01-02T12:03:00+00:00"})
    )
    assert owner(tmp_path) == "process 1234 (clipsim-bot, since 2020-01-02 12:03)"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderNotWritable):
        Owner.acquire(tmp_path / "file" / "library")


def test_what_one_thread_took_another_gives_back(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        held = one.submit(Owner.acquire, tmp_path).result()
        other.submit(held.release).result()
        other.submit(Owner.acquire, tmp_path).result().release()
