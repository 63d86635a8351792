from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clipsim.errors import IndexUnavailable
from clipsim.index import HNSW, Index
from clipsim.model import HOME, Matrix
from tests.libraries import settings


def unit(count: int, size: int = 32, seed: int = 0) -> Matrix:
    rows = np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def named(rows: Matrix) -> dict[str, np.ndarray]:
    return {f"c{n}": row for n, row in enumerate(rows)}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = Index(settings(tmp_path), "0123abcd")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Chroma server of its own, as `chroma run` starts it."""
    folder = tmp_path_factory.mktemp("chroma")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--path", str(folder), "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(params=["embedded", "server"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    address = request.getfixturevalue("server") if request.param == "server" else None
    library = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]
    opened = Index(settings(tmp_path, chroma=address), library)
    yield opened
    opened.close()


def test_the_nearest_are_those_of_exact_search(either: Index) -> None:
    rows = unit(300)
    name = either.name("f", HOME)
    either.upsert(name, named(rows))
    assert either.count(name) == 300 and either.healthy(name) and either.names() == [name]
    for query in unit(5, seed=1):
        found = either.query(name, query, 10)
        exact = np.argsort(-(rows @ query))[:10]
        assert [clip_id for clip_id, _ in found] == [f"c{n}" for n in exact]
        np.testing.assert_allclose([cosine for _, cosine in found], (rows @ query)[exact], atol=1e-5)
    stored = either.vectors(name)
    assert set(stored) == set(named(rows))
    np.testing.assert_allclose(stored["c7"], rows[7], atol=1e-6)


def test_records_change_and_go(either: Index) -> None:
    rows = unit(20)
    name = either.name("f", "guild")
    either.upsert(name, named(rows))
    either.upsert(name, {"c0": -rows[0], "new": rows[0]})
    assert either.query(name, rows[0], 1)[0][0] == "new"
    either.delete(name, ["new", "never was"])
    assert either.count(name) == 20
    assert "new" not in [clip_id for clip_id, _ in either.query(name, rows[0], 30)]
    either.rebuild(name, named(rows[:5]))
    assert either.count(name) == 5 and either.healthy(name) and either.names() == [name]
    assert len(either.query(name, rows[0], 50)) == 5
    either.rebuild(name, named(unit(4, size=8)))  # a retrained fusion may have another size
    assert either.vectors(name)["c0"].shape == (8,)
    either.drop(name)
    either.drop(name)
    assert either.names() == [] and either.count(name) == 0 and either.vectors(name) == {}
    with pytest.raises(IndexUnavailable, match="no collection"):
        either.query(name, rows[0], 1)


def test_more_than_one_batch_and_more_than_one_page(index: Index) -> None:
    count = 5461 + 100  # what get_max_batch_size says, and more
    rows = unit(count, size=4)
    name = index.name("f", HOME)
    index.upsert(name, named(rows))
    assert index.count(name) == count and len(index.vectors(name)) == count
    index.delete(name, [f"c{n}" for n in range(5500)])
    assert sorted(index.vectors(name)) == sorted(f"c{n}" for n in range(5500, count))


def test_an_empty_collection_answers_with_nothing(index: Index) -> None:
    name = index.name("f", HOME)
    index.rebuild(name, {})
    assert index.query(name, unit(1)[0], 5) == [] and index.vectors(name) == {} and index.healthy(name)


def test_reopened_it_is_all_there(tmp_path: Path) -> None:
    rows = unit(50)
    for turn in range(2):
        index = Index(settings(tmp_path), "0123abcd")
        name = index.name("f", HOME)
        if turn == 0:
            index.upsert(name, named(rows))
        assert index.healthy(name)
        assert index.query(name, rows[3], 1)[0][0] == "c3"
        index.close()


@pytest.mark.parametrize("key", [key for key in HNSW if key != "space"] + ["space"])
def test_other_settings_are_seen(index: Index, key: str) -> None:
    name = index.name("f", HOME)
    index.ping()
    other = {**HNSW, key: "l2" if key == "space" else HNSW[key] + 1}
    index._client.create_collection(name, embedding_function=None, configuration={"hnsw": other})
    assert not index.healthy(name)
    index.rebuild(name, named(unit(3)))
    assert index.healthy(name)


def test_libraries_keep_apart_on_one_server(server: str, tmp_path: Path) -> None:
    one, two = (Index(settings(tmp_path, chroma=server), library) for library in ("11111111", "22222222"))
    for index in (one, two):
        index.upsert(index.name("f", HOME), named(unit(3)))
    assert one.names() == [one.name("f", HOME)]
    one.reset()
    assert one.names() == [] and two.count(two.name("f", HOME)) == 3
    two.reset()
    one.close()
    two.close()


def test_any_community_has_a_name_of_its_own(index: Index) -> None:
    communities = [
        HOME, "123456789012345678", "a b", "a-b", "a.b", "", ".", "é", "../../etc", "x" * 600, "x" * 601, "\x00",
        "HOME", "\ud800", "?",
    ]  # fmt: skip
    communities.append("x-" + hashlib.sha256(b"a b").hexdigest()[:32])  # the very name another one gets
    names = [index.name("standard-20260101000000-0123abcd", community) for community in communities]
    assert len(set(names)) == len(names)
    for name in names[:6]:  # what Chroma allows in a name, it allows
        index.rebuild(name, named(unit(2)))
    assert index.names() == sorted(names[:6])
    assert HOME in names[0]


def test_rebuilding_never_interrupts_queries(index: Index) -> None:
    rows = unit(200)
    name = index.name("f", HOME)
    index.upsert(name, named(rows))
    failures: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                assert index.query(name, rows[5], 1)[0][0] == "c5"
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        index.rebuild(name, named(rows))
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_draft_left_by_a_crash_is_no_hindrance(index: Index) -> None:
    name = index.name("f", HOME)
    index.upsert(f"{name}.draft", named(unit(3, size=7)))
    index.rebuild(name, named(unit(4)))
    assert index.names() == [name] and index.count(name) == 4


# What goes wrong


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "nonsense", "ftp://host", "http://"])
def test_a_server_that_is_not_there(tmp_path: Path, address: str) -> None:
    index = Index(settings(tmp_path, chroma=address), "0123abcd")
    with pytest.raises(IndexUnavailable) as caught:
        index.ping()
    assert "\n" not in str(caught.value) and "CLIPSIM_CHROMA" in str(caught.value)


def test_an_unreadable_index_says_so_and_can_be_made_anew(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "chroma.sqlite3").write_bytes(b"not a database" * 1000)
    index = Index(settings(tmp_path), "0123abcd")
    name = index.name("f", HOME)
    for _ in range(2):  # Chroma remembers a client that failed to start
        with pytest.raises(IndexUnavailable):
            index.query(name, unit(1)[0], 1)
    index.reset()
    index.rebuild(name, named(unit(3)))
    assert index.count(name) == 3
    index.close()


def test_a_vector_of_another_size_is_an_error_of_ours(index: Index) -> None:
    name = index.name("f", HOME)
    index.upsert(name, named(unit(3)))
    with pytest.raises(IndexUnavailable):
        index.query(name, unit(1, size=5)[0], 1)
    with pytest.raises(IndexUnavailable):
        index.upsert(name, named(unit(1, size=5)))


def test_nothing_is_sent_anywhere(index: Index) -> None:
    index.ping()
    assert index._client.get_settings().anonymized_telemetry is False
