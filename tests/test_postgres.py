"""The library on a Postgres of its own, started for the test; skipped where there is none."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from clipsim import tables
from clipsim.audit import audit
from clipsim.backup import backup, restore
from clipsim.errors import LibraryMismatch
from clipsim.history import History
from clipsim.index import Index
from clipsim.jobs import Jobs
from clipsim.library import Library
from clipsim.model import HOME, Clip, Lyrics
from clipsim.retrieval import search
from clipsim.search import Searcher
from tests.libraries import OTHER, TINY, features, fill, settings, train


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="no Postgres driver: pip install 'clipsim[postgres]'")
    found = shutil.which("initdb")
    if found is None:
        pytest.skip("no Postgres server: initdb is not on the path")
    programs = Path(found).resolve().parent
    with tempfile.TemporaryDirectory(prefix="clipsim-postgres-") as folder:
        become: list[str] = []
        if os.geteuid() == 0:  # Postgres refuses to be root
            become = ["runuser", "-u", "nobody", "--"]
            shutil.chown(folder, "nobody")
        data = f"{folder}/data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        make = [
            *become,
            str(programs / "initdb"),
            "-D",
            data,
            "-U",
            "clipsim",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        made = subprocess.run(make, capture_output=True, text=True, check=False, cwd=folder)
        if made.returncode:
            pytest.skip(f"Postgres cannot be set up here: {made.stderr[-200:]}")
        control = [*become, str(programs / "pg_ctl"), "-D", data, "-w"]
        options = f"-h 127.0.0.1 -p {port} -k {folder} -F"
        start = [*control, "-l", f"{folder}/log", "-o", options, "start"]
        subprocess.run(start, check=True, capture_output=True, cwd=folder, stdin=subprocess.DEVNULL)
        try:
            yield f"postgresql+psycopg://clipsim@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder)


def test_the_whole_way_on_postgres(url: str, tmp_path: Path) -> None:
    library = Library.open(settings(tmp_path, database=url), TINY)
    with library.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []

    fill(library, 20)
    stored = library.add(
        Clip("sung", "Süng\x00 \ud800", artist="É", keywords=("k",)), features(77), "guild", lyrics=Lyrics("w\x00ords")
    )
    assert library.get("sung", "guild") == stored and library.find("sung").id == "sung"
    assert library.modality_sets("guild") == {frozenset({"audio", "video", "lyrics"})}
    index = Index(settings(tmp_path), library.id)
    fusion_id, fusion = train(library, index)
    jobs = Jobs(library)
    job = jobs.start(jobs.accept("link", reply={"é": 1}).id)
    assert job.reply == {"é": 1} and job.updated.tzinfo is not None
    history = History(library)
    history.note(["sung", "clip-0001", "nowhere\x00"], "guild", "a place")
    history.note(["sung"], "guild", "a place")
    assert history.times("guild") == {"sung": 2}  # the guild does not see the others
    assert history.played("guild", "a place", ("answer",)) == {"sung": 0}
    found = Searcher(TINY, library)
    assert [hit.clip.id for hit in found.search(found.index("guild"), "words", 5, None, None).hits] == ["sung"]
    assert len(found.search(found.index(HOME), "title 7", 30, None, None).hits) > 1
    library.remove("clip-0003")
    report = audit(library, index, TINY)
    assert [one.what for one in report.found] == ["clip in the index that is not in the library"]
    answer = search(library, index, fusion_id, fusion, stored)
    assert len(answer) == 5

    file = tmp_path / "backup.zip"
    assert backup(library, file).clips == 20
    restore(file, tmp_path / "file")
    copy = Library.open(settings(tmp_path / "file"), TINY)
    assert copy.get("sung") == stored and copy.ids() == library.ids()
    np.testing.assert_array_equal(copy.embeddings(fusion_id)[1], library.embeddings(fusion_id)[1])
    assert [one.clip for one in search(copy, index, fusion_id, fusion, stored)] == [one.clip for one in answer]
    copy.close()

    library.remove("sung")
    restore(file, tmp_path, replace=True, database=url)
    assert library.get("sung") == stored
    assert jobs.accept("another", reply={}).id > job.id  # its counter was moved past the restored ids
    library.close()
    index.close()
    with pytest.raises(LibraryMismatch):
        Library.open(settings(tmp_path, database=url), OTHER)
