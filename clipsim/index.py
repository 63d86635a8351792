"""The index: nearest embeddings, by Chroma. Rebuilt from the library at any time, never the only copy of anything.

One collection for each fusion and community, so that no query needs a filter (which takes ten times as long). Chroma is
imported when the index is first used: that is most of a second.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from clipsim.errors import ClipSimError, DiskFull, IndexUnavailable
from clipsim.model import Matrix, Vector
from clipsim.settings import Settings

FOLDER = "index"  # in the data folder
# Measured on 20,000 embeddings (benchmarks/bench_index.py): 50 candidates hold all of the exact best ten, and 0.99 of
# them even on random vectors, the worst case, where Chroma's own settings (100, 100, 16) reach 0.70.
HNSW: dict[str, Any] = {"space": "cosine", "ef_construction": 200, "ef_search": 400, "max_neighbors": 32}
PLAIN = re.compile(r"[A-Za-z0-9]{1,64}")  # a community whose name may stand in a collection's; others are hashed
DRAFT = ".draft"  # ends the name of a collection that is being built
PAGE = 1000  # records read at once
STEP = 500  # records written at once: a second's work
_NEEDED = object()

log = logging.getLogger(__name__)


class Index:
    """The collections of one library. Safe to use from several threads.

    Every method raises `IndexUnavailable` (or `DiskFull`) where Chroma fails.
    """

    def __init__(self, settings: Settings, library: str) -> None:
        """`library` is the library's id: it keeps libraries apart that share a Chroma server. Nothing is opened yet."""
        self._folder = settings.data / FOLDER
        self._address = settings.chroma
        self._library = library
        self._lock = threading.RLock()
        self._client: Any = None
        self._held: dict[str, Any] = {}

    # Names

    def name(self, fusion_id: str, community: str) -> str:
        """The collection of a fusion's embeddings of the clips that a community sees."""
        who = community
        if not PLAIN.fullmatch(community):  # a hash has a hyphen, so it is no other community's plain name
            who = "x-" + hashlib.sha256(community.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"{self._library}.{fusion_id}.{who}"

    def names(self) -> list[str]:
        """The library's collections, unfinished ones too."""
        with self._chroma() as client:
            found: list[str] = []
            while page := client.list_collections(limit=PAGE, offset=len(found)):
                found += [collection.name for collection in page]
            return sorted(name for name in found if name.startswith(f"{self._library}."))

    # Asking

    def query(self, name: str, vector: Vector, k: int) -> list[tuple[str, float]]:
        """The `k` nearest to a vector, float32 (n,): ids and cosines (-1 to 1), best first; fewer if there are fewer.

        The search is approximate: re-rank by the exact vectors.
        """
        return self.query_many(name, vector[np.newaxis], k)[0]

    def query_many(self, name: str, matrix: Matrix, k: int) -> list[list[tuple[str, float]]]:
        """`query` for each row of a matrix, float32 (queries, n)."""
        asked = {
            "query_embeddings": np.asarray(matrix, np.float32),
            "n_results": max(1, k),
            "include": ["distances"],
        }
        with self._chroma():
            answer = self._use(name, lambda collection: collection.query(**asked))
        return [
            [(clip_id, 1.0 - float(distance)) for clip_id, distance in zip(ids, distances, strict=True)]
            for ids, distances in zip(answer["ids"], answer["distances"], strict=True)
        ]

    def count(self, name: str) -> int:
        """How many records a collection has; 0 where there is no such collection."""
        with self._chroma():
            return int(self._use(name, lambda collection: collection.count(), missing=0))

    def vectors(self, name: str) -> dict[str, Vector]:
        """Every record of a collection, as it is stored; none where there is no such collection."""
        found: dict[str, Vector] = {}

        def page(collection: Any) -> Any:
            return collection.get(limit=PAGE, offset=len(found), include=["embeddings"])

        with self._chroma():
            while read := self._use(name, page, missing=None):
                found.update(zip(read["ids"], np.asarray(read["embeddings"], np.float32), strict=True))
                if len(read["ids"]) < PAGE:
                    break
        return found

    def healthy(self, name: str) -> bool:
        """Whether a collection is there with the settings of `HNSW` (`get_or_create` would ignore a difference)."""
        with self._chroma():
            self._held.pop(name, None)  # as it is stored, not as this process remembers it
            collection = self._find(name)
        if collection is None:
            return False
        settings: Mapping[str, Any] = collection.configuration.get("hnsw") or {}
        return all(settings.get(key) == value for key, value in HNSW.items())

    def ping(self) -> None:
        """Raise `IndexUnavailable` if Chroma does not answer."""
        with self._chroma() as client:
            client.heartbeat()

    # Changing

    def upsert(self, name: str, vectors: Mapping[str, Vector]) -> None:
        """Add or replace records, making the collection where there is none."""
        if vectors:
            with self._lock, self._chroma() as client:
                self._fill(client, self._find(name) or self._create(client, name), vectors)

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Forget records; those that are not there are no error."""
        with self._lock, self._chroma() as client:
            collection = self._find(name)
            if collection is not None:
                step = int(client.get_max_batch_size())
                for start in range(0, len(ids), step):
                    collection.delete(ids=list(ids[start : start + step]))

    def drop(self, name: str) -> None:
        """Forget a collection; one that is not there is no error."""
        with self._lock, self._chroma() as client:
            self._held.pop(name, None)
            _unless_missing(lambda: client.delete_collection(name))

    def rebuild(self, name: str, vectors: Mapping[str, Vector]) -> None:
        """Build the collection anew beside the old one, which answers until it is replaced."""
        draft = f"{name}{DRAFT}"
        with self._chroma() as client:
            with self._lock:
                _unless_missing(lambda: client.delete_collection(draft))
                fresh = self._create(client, draft)
                self._held.pop(draft, None)
            self._fill(client, fresh, vectors)
            with self._lock:
                _unless_missing(lambda: client.delete_collection(name))
                fresh.modify(name=name)
                self._held[name] = fresh

    def reset(self) -> None:
        """Throw away an embedded index, readable or not; on a server, this library's collections."""
        with self._lock:
            if self._address:
                for name in self.names():
                    self.drop(name)
                return
            self.close()
            try:
                if self._folder.exists():
                    shutil.rmtree(self._folder)
            except OSError as error:
                raise IndexUnavailable(f"The index's folder cannot be removed: {error}.") from error

    def close(self) -> None:
        """Let go of Chroma. The next use opens it again."""
        with self._lock:
            client, self._client, self._held = self._client, None, {}
            if client is not None:
                try:
                    client.close()
                except Exception:
                    log.warning("Chroma did not close cleanly", exc_info=True)

    # Chroma

    @contextmanager
    def _chroma(self) -> Iterator[Any]:
        try:
            if self._client is None:
                with self._lock:
                    if self._client is None:
                        self._client = self._connect()
            yield self._client
        except (ClipSimError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # a panic of Chroma's Rust code is no Exception
            log.debug("Chroma failed", exc_info=True)
            if "No space left" in str(error) or "disk is full" in str(error):
                raise DiskFull() from error
            raise IndexUnavailable(f"The index gives an error: {_first_line(error)}.") from error

    def _connect(self) -> Any:
        import chromadb
        from chromadb.config import Settings as ChromaSettings

        quiet = ChromaSettings(anonymized_telemetry=False)
        if self._address:
            parts = urlsplit(self._address)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise IndexUnavailable(f"CLIPSIM_CHROMA is not like http://host:port (it is {self._address}).")
            secure = parts.scheme == "https"
            port = parts.port or (443 if secure else 8000)
            return chromadb.HttpClient(host=parts.hostname, port=port, ssl=secure, settings=quiet)
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            return chromadb.PersistentClient(path=str(self._folder), settings=quiet)
        except BaseException:
            # Chroma keeps a client that failed to start, and would hand it out again.
            chromadb.api.client.SharedSystemClient._identifier_to_system.pop(str(self._folder), None)
            raise

    def _find(self, name: str) -> Any:
        """A collection's handle, or None."""
        from chromadb.errors import NotFoundError

        if name not in self._held:
            with self._lock:  # not between a rebuild's deleting the old one and naming the new one
                try:
                    self._held[name] = self._client.get_collection(name, embedding_function=None)
                except NotFoundError:
                    return None
        return self._held[name]

    def _use(self, name: str, call: Callable[[Any], Any], missing: Any = _NEEDED) -> Any:
        """What the call makes of the collection; `missing` where there is none."""
        for last in (False, False, True):
            collection = self._find(name)
            if collection is None:
                break
            try:
                return call(collection)
            except Exception as error:
                with self._lock:  # a rebuild replaced the collection during the call, or another process did
                    if last or (self._held.get(name) is collection and "does not exist" not in str(error)):
                        raise
                    if self._held.get(name) is collection:
                        del self._held[name]
        if missing is _NEEDED:
            raise IndexUnavailable(f"The index has no collection {name}.")
        return missing

    def _create(self, client: Any, name: str) -> Any:
        self._held[name] = client.create_collection(name, embedding_function=None, configuration={"hnsw": dict(HNSW)})
        return self._held[name]

    def _fill(self, client: Any, collection: Any, vectors: Mapping[str, Vector]) -> None:
        ids = list(vectors)
        step = min(STEP, int(client.get_max_batch_size()))
        for start in range(0, len(ids), step):
            part = ids[start : start + step]
            rows = np.array([vectors[clip_id] for clip_id in part], np.float32)
            with self._lock:  # for one step: others change other collections between two of them
                collection.upsert(ids=part, embeddings=rows)


def _unless_missing(call: Callable[[], Any]) -> None:
    from chromadb.errors import NotFoundError

    with suppress(NotFoundError):
        call()


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__).rstrip(".")[:300]
