"""The web page over real HTTP, in front of a library in memory; and what a browser makes of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.web import looks
from bot.web.auth import host_allowed
from bot.web.questions import MAX_RUNNING
from bot.web.routes import make_app
from bot.web.shown import STATUS, plain, status_of
from bot.web.thumbs import COOKIE, MOST
from clipsim import errors
from clipsim import map as maps
from clipsim.courtesy import Youtube
from clipsim.model import HOME, Answer, Clip, Cluster, Label, Match, Progress, Vote
from clipsim.settings import Settings

LINK = "https://www.youtube.com/watch?v=aaaaaaaaaa1"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egnp.exe"
CROWD = Cluster(3, "warm slow guitar", 2)


def clip(number: int, title: str, **more: Any) -> Clip:
    video = f"aaaaaaaaaa{number}"
    return Clip(
        video,
        title,
        artist=f"Artist {number}",
        url=f"https://www.youtube.com/watch?v={video}",
        thumbnail=f"https://i.ytimg.com/vi/{video}/mqdefault.jpg",
        modalities=("audio", "video", "lyrics"),
        tempo=120.4,
        tags=(Label("guitar", 0.9),),
        **more,
    )


class Shelf:
    """The façade's answers for a handful of clips in memory. `gate` holds answers back until it is set."""

    def __init__(self, *clips: Clip) -> None:
        self.all = list(clips)
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[str] = []
        self.sick: Exception | None = None
        self.glimpse = False  # whether something can be said before all is known
        self.maps = 0
        self.recommended: list[str] = []
        self.cast: dict[tuple[str, str, str], Vote] = {}  # by voter, query and result
        self.key = b"of this library"
        self.free = 10**12
        self.refusal: Youtube | None = None

    async def clips(self, *, limit: int | None = None, **_: Any) -> list[Clip]:
        return self.all[:limit]

    async def count(self, **_: Any) -> int:
        return len(self.all)

    async def find(self, text: str, **_: Any) -> Clip:
        if "/" in text or "." in text:
            raise AssertionError(f"the façade would look on the disk for {text}")
        for known in self.all:
            if text == known.id:
                return known
        raise errors.UnknownClip

    async def complete(self, text: str, **_: Any) -> list[Clip]:
        return [known for known in self.all if text.casefold() in known.title.casefold()]

    async def query(self, asked: Clip, k: int = 5, by: str = "all", **_: Any) -> Answer:
        if by == "lyrics" and "lyrics" not in asked.modalities:
            raise errors.MissingModality
        others = [other for other in self.all if other.id != asked.id][:k]
        results = tuple(
            Match(rank, other, 1 - rank / 10, {"audio": 0.75, "video": 0.5}, CROWD, "Both are slow, with guitar.")
            for rank, other in enumerate(others, 1)
        )
        return Answer(asked, "raw", results, CROWD, notice="With 3 clips I compare raw features.")

    async def answer(
        self,
        source: str,
        *,
        k: int = 5,
        progress: Progress | None = None,
        early: Callable[[Answer], None] | None = None,
        **_: Any,
    ) -> Answer:
        self.asked.append(source)
        if progress:
            progress("listening")
        if early and self.glimpse:
            heard = replace(self.all[0], modalities=("audio", "lyrics"))
            early(replace(await self.query(heard, k), pending=("video",)))
        await self.gate.wait()
        if self.sick:
            raise self.sick
        return replace(await self.query(self.all[0], k), status="added")

    async def shown(self, answer: Answer) -> None:
        self.recommended += [match.clip.id for match in answer.results]

    async def secret(self) -> bytes:
        return self.key

    async def votes(self, asked: Clip, *, voter: str, **_: Any) -> dict[str, Vote]:
        return {vote.result: vote for vote in self.cast.values() if (vote.voter, vote.query) == (voter, asked.id)}

    async def vote(self, query: Clip, result: Clip, up: bool | None, *, voter: str, **more: Any) -> None:
        if query.id == result.id:
            raise errors.InvalidSetting("A clip is no result of its own.")
        self.cast.pop((voter, query.id, result.id), None)
        if up is not None:
            self.cast[voter, query.id, result.id] = Vote(query.id, result.id, up, voter, **more)

    async def version(self, *, community: str = HOME) -> str:
        return f"{community} {[known.id for known in self.all]}"

    async def map(self, path: Path, *, community: str = HOME) -> None:
        self.maps += 1
        if path.suffix == ".html":
            clips = [known for known in self.all if community == "guild"]
            await asyncio.to_thread(maps.draw, path, np.zeros((len(clips), 2)), clips, [])
            return
        await asyncio.to_thread(path.write_bytes, b"\x89PNG\r\n\x1a\n picture")

    async def status(self) -> dict[str, Any]:
        if self.sick:
            raise self.sick
        return {"clips": len(self.all), "method": "raw", "index": {"ok": True}, "jobs": {"queued": 2}}

    async def room(self) -> dict[str, int]:
        return {"free": self.free, "index": 5, "database": 7}

    def youtube(self) -> Youtube:
        return self.refusal or Youtube("closed", None, None, None, 0, 60.0, 300)


class Served:
    def __init__(self, shelf: Shelf, client: TestClient[web.Request, web.Application]) -> None:
        self.shelf, self.client = shelf, client

    async def page(self, path: str, status: int = 200) -> str:
        async with self.client.get(path) as response:
            assert response.status == status, await response.text()
            assert response.content_type == "text/html"
            return await response.text()

    async def api(self, path: str, status: int = 200) -> Any:
        async with self.client.get(path) as response:
            assert response.status == status, await response.text()
            return await response.json()

    async def ask(self, source: object, status: int = 200, **more: Any) -> Any:
        given = {"source": source, "wait": True} | more
        async with self.client.post("/api/answer", json=given) as response:
            assert response.status == status, await response.text()
            return await response.json()


Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve some clips; keywords are settings, and `discord`."""
    clients = []

    async def start(*clips: Clip, discord: Any = None, **settings: Any) -> Served:
        shelf = Shelf(*clips)
        app = make_app(shelf, Settings(**settings), discord=discord)  # type: ignore[arg-type]
        client: Any = TestClient(TestServer(app))
        await client.start_server()
        clients.append(client)
        return Served(shelf, client)

    yield start
    for client in clients:
        await client.close()


CLIPS = (clip(1, "Slow Guitar"), clip(2, "Slower Guitar"), clip(3, "Loud Drums"))


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


async def test_a_link_without_javascript_ends_in_the_answer(serve: Serve) -> None:
    served = await serve(*CLIPS)
    async with served.client.post("/answer", data={"source": LINK, "k": "2"}, allow_redirects=False) as response:
        assert response.status == 303
        place = response.headers["Location"]
    assert served.shelf.asked == [LINK]
    page = await served.page(place)
    text = text_of(page)
    assert "Slow Guitar" in text
    assert "warm slow guitar" in text
    assert "120 bpm" in text
    assert "90 %" in text  # the first result, overall
    assert "sound 75 %" in text
    assert "look 50 %" in text
    assert "words not compared" in text
    assert "Both are slow, with guitar." in text
    assert "With 3 clips I compare raw features." in text
    assert "New in the library." in text
    assert 'href="https://www.youtube.com/watch?v=aaaaaaaaaa2"' in page
    assert 'src="https://i.ytimg.com/vi/aaaaaaaaaa2/mqdefault.jpg"' in page
    assert "http-equiv" not in page  # answered: no more reloading


async def test_what_is_known_early_is_shown_early(serve: Serve) -> None:
    served = await serve(*CLIPS)
    served.shelf.gate.clear()
    served.shelf.glimpse = True
    job = (await served.ask(LINK, 202, wait=False))["id"]
    await asyncio.sleep(0)
    seen = await served.api(f"/api/jobs/{job}")
    assert (seen["state"], seen["answer"]) == ("running", None)
    assert seen["early"]["pending"] == ["video"] and len(seen["early"]["results"]) == 2
    page = await served.page(f"/answer/{job}")
    assert "from its sound and words alone" in page and 'id="progress"' in page and "Most similar" in page
    assert "refresh" in page and 'action="/vote"' not in page and 'class="ways"' not in page  # it is not in the library
    served.shelf.gate.set()
    for _ in range(50):
        if (seen := await served.api(f"/api/jobs/{job}"))["state"] == "done":
            break
        await asyncio.sleep(0.01)
    assert seen["early"] is None and seen["answer"]["pending"] == []
    page = await served.page(f"/answer/{job}")
    assert "alone" not in page and 'id="progress"' not in page and 'action="/vote"' in page
    assert served.shelf.recommended == [each.id for each in CLIPS[1:]]  # once, and not by what was said early


async def test_progress_is_shown_until_the_answer_is_there(serve: Serve) -> None:
    served = await serve(*CLIPS)
    served.shelf.gate.clear()
    async with served.client.post("/api/answer", json={"source": LINK}) as response:
        assert response.status == 202
        job = await response.json()
        assert response.headers["Location"] == f"/api/jobs/{job['id']}"
    await asyncio.sleep(0)
    seen = await served.api(f"/api/jobs/{job['id']}")
    assert (seen["state"], seen["stage"], seen["answer"]) == ("running", "listening", None)
    page = await served.page(job["page"])
    assert '<li data-stage="fetching" class="done">' in page
    assert '<li data-stage="listening" class="now">' in page
    assert '<noscript><meta http-equiv="refresh"' in page
    served.shelf.gate.set()
    await asyncio.sleep(0.05)
    seen = await served.api(f"/api/jobs/{job['id']}")
    assert seen["state"] == "done"
    assert [result["title"] for result in seen["answer"]["results"]] == ["Slower Guitar", "Loud Drums"]


async def test_json_answer(serve: Serve) -> None:
    served = await serve(*CLIPS)
    answer = (await served.ask(f"<{LINK}&list=PL1&t=3s>", k=1))["answer"]
    assert served.shelf.asked == [LINK]  # canonical
    assert answer["query"]["id"] == "aaaaaaaaaa1"
    assert answer["cluster"] == {"id": 3, "label": "warm slow guitar", "size": 2}
    assert answer["results"] == [
        {
            "rank": 1,
            "id": "aaaaaaaaaa2",
            "title": "Slower Guitar",
            "artist": "Artist 2",
            "url": "https://www.youtube.com/watch?v=aaaaaaaaaa2",
            "thumbnail": "https://i.ytimg.com/vi/aaaaaaaaaa2/mqdefault.jpg",
            "similarity": 0.9,
            "by": {"audio": 0.75, "video": 0.5, "lyrics": None},
            "cluster": "warm slow guitar",
            "why": "Both are slow, with guitar.",
        }
    ]


async def test_a_title_is_looked_up_and_never_fetched(serve: Serve) -> None:
    served = await serve(*CLIPS, clip(4, "Thunderbolt"), clip(5, "AC/DC: live.mp3 (what?)"))
    for title in ("slow guitar", "Thunderbolt", "AC/DC: live.mp3 (what?)"):  # the second is as long as a video's id
        answer = (await served.ask(title))["answer"]
        assert answer["query"]["title"].casefold() == title.casefold()
    assert served.shelf.asked == []
    error = (await served.ask("no such song", 404))["error"]
    assert error["code"] == "unknown-clip"
    assert "clipsim add" not in error["hint"]  # there is no command line on a page


async def test_links_are_found_in_a_sentence_and_as_bare_ids(serve: Serve) -> None:
    served = await serve(*CLIPS)
    await served.ask(f"listen to this: {LINK} please")
    await served.ask("dQw4w9WgXcQ")
    assert served.shelf.asked == [LINK, "https://www.youtube.com/watch?v=dQw4w9WgXcQ"]


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../secrets.mp4", "./here.mp3", "~/music.ogg", "C:\\music\\a.mp3", "\\\\host\\share", "file:///etc/passwd"],
)  # fmt: skip
async def test_paths_on_the_server_are_refused(serve: Serve, path: str) -> None:
    served = await serve(*CLIPS)
    assert (await served.ask(path, 400))["error"]["code"] == "unknown-link"
    assert served.shelf.asked == []


async def test_an_existing_file_cannot_be_named_nor_told_from_a_missing_one(serve: Serve, tmp_path: Path) -> None:
    there = tmp_path / "there.mp3"
    there.write_bytes(b"sound")
    local = replace(CLIPS[0], id="local-0123456789abcdef", url=None, path=str(there))
    served = await serve(local, *CLIPS[1:])
    bodies = [await served.ask(str(path), 400) for path in (there, tmp_path / "not-there.mp3")]
    assert bodies[0] == bodies[1]
    async with served.client.get("/api/similar", params={"clip": str(there)}) as response:
        assert response.status == 404
    page = await served.page("/clip/local-0123456789abcdef") + await served.page("/")
    answer = await served.api("/api/similar?clip=local-0123456789abcdef")
    assert str(there) not in page + str(answer)
    assert answer["query"]["url"] is None
    assert "<h1><bdi>Slow Guitar</bdi>" in re.sub(r"\s*(<|>)\s*", r"\1", page)  # a title without a link


@pytest.mark.parametrize(
    ("link", "status", "code"),
    [
        ("https://www.youtube.com/playlist?list=PL123", 400, "unknown-link"),
        ("https://example.com/video.mp4", 403, "host-not-allowed"),
        ("http://169.254.169.254/latest/meta-data", 403, "host-not-allowed"),
        ("javascript://alert(1)", 400, "unknown-link"),
        ("", 400, "unknown-link"),
        ("   ", 400, "unknown-link"),
        ("x" * 2001, 400, "unknown-link"),
    ],
)
async def test_links_that_may_not_be_fetched(serve: Serve, link: str, status: int, code: str) -> None:
    served = await serve(*CLIPS)
    assert (await served.ask(link, status))["error"]["code"] == code
    assert served.shelf.asked == []


async def test_an_error_is_a_sentence_with_a_code_and_a_status(serve: Serve) -> None:
    served = await serve(*CLIPS)
    served.shelf.sick = errors.Private()
    error = (await served.ask(LINK, 422))["error"]
    assert error == {
        "code": "private",
        "message": "That video is private.",
        "hint": "Ask its owner to publish it, or pick another.",
        "retry": False,
    }
    async with served.client.post("/answer", data={"source": LINK}) as response:
        assert response.status == 422
        assert "That video is private. Ask its owner" in text_of(await response.text())
    served.shelf.sick = RuntimeError("secret detail of the inside")
    body = await served.ask(LINK, 500)
    assert body["error"]["code"] == "unexpected"
    assert "secret" not in str(body)


async def test_every_error_has_a_sensible_status() -> None:
    for code, kind in errors.BY_CODE.items():
        assert 400 <= status_of(kind()) <= 507, code
    assert status_of(errors.RateLimited()) == status_of(errors.LibraryLocked()) == 503
    assert len({kind for kind, _ in STATUS}) == len(STATUS)


MALFORMED = ["", "{", "[]", "null", '{"source": 3}', '{"source": null}']
MALFORMED += ['{"source": "x", "k": 0}', '{"source": "x", "k": 99}', '{"source": "x", "k": true}']


@pytest.mark.parametrize("body", MALFORMED)
async def test_malformed_json(serve: Serve, body: str) -> None:
    served = await serve(*CLIPS)
    headers = {"Content-Type": "application/json"}
    async with served.client.post("/api/answer", data=body, headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == "usage"


async def test_bad_numbers_and_ways(serve: Serve) -> None:
    served = await serve(*CLIPS, replace(clip(4, "Wordless"), modalities=("audio",)))
    for query in ("k=0", "k=26", "k=many", "by=smell"):
        assert (await served.api(f"/api/similar?clip=aaaaaaaaaa1&{query}", 400))["error"]["code"] == "usage"
        assert "clipsim" in await served.page(f"/clip/aaaaaaaaaa1?{query}", 400)
    assert (await served.api("/api/similar?clip=aaaaaaaaaa4&by=lyrics", 422))["error"]["code"] == "missing-modality"
    assert len((await served.api("/api/similar?clip=Slow+Guitar&k=1&by=audio"))["results"]) == 1


async def test_too_large_a_body_is_refused(serve: Serve) -> None:
    served = await serve(*CLIPS)
    async with served.client.post("/api/answer", json={"source": "x" * 20_000}) as response:
        assert response.status == 413
    async with served.client.post("/answer", data={"source": "x" * 20_000}) as response:
        assert response.status == 413


async def test_too_many_questions_at_once_are_refused_until_some_are_answered(serve: Serve) -> None:
    served = await serve(*CLIPS)
    served.shelf.gate.clear()
    for _ in range(MAX_RUNNING):
        await served.ask(LINK, 202, wait=False)
    assert (await served.ask(LINK, 503))["error"]["code"] == "busy"
    served.shelf.gate.set()
    await asyncio.sleep(0.05)
    await served.ask(LINK)


async def test_unknown_places(serve: Serve) -> None:
    served = await serve(*CLIPS)
    assert "not known" in await served.page("/answer/nothing", 404)
    assert "There is nothing here." in await served.page("/nowhere", 404)
    assert (await served.api("/api/jobs/nothing", 404))["error"]["code"] == "http-404"
    assert "in the library." in await served.page("/clip/nothing", 404)
    for path in ("/static/../routes.py", "/static/%2e%2e/routes.py", "/static/..%2f..%2fapp.py"):
        async with served.client.get(path) as response:
            assert response.status in (403, 404), path
    async with served.client.get("/answer") as response:
        assert response.status == 405


# security


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "user@localhost",
        "localhost:x",
    ],
)
async def test_another_host_name_is_refused(serve: Serve, host: str) -> None:
    served = await serve(*CLIPS)
    for path in ("/", "/healthz", "/api/similar?clip=aaaaaaaaaa1", "/static/style.css"):
        async with served.client.get(path, headers={"Host": host}) as response:
            assert response.status in (400, 403), path
            assert "Guitar" not in await response.text()


async def test_own_host_names_are_allowed(serve: Serve) -> None:
    served = await serve(*CLIPS)
    for host in ("localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "LOCALHOST"):
        async with served.client.get("/", headers={"Host": host}) as response:
            assert response.status == 200, host


def test_a_configured_host_and_every_address() -> None:
    assert host_allowed("music.lan:8080", "music.lan")
    assert host_allowed("192.168.1.5:8080", "192.168.1.5")
    assert not host_allowed("192.168.1.6", "192.168.1.5")
    assert host_allowed("192.168.1.6:80", "0.0.0.0")
    assert host_allowed("[fd00::1]:80", "::")
    assert not host_allowed("music.lan", "0.0.0.0")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},  # another port is another origin
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_site_cannot_post(serve: Serve, headers: dict[str, str]) -> None:
    served = await serve(*CLIPS)
    async with served.client.post("/answer", data={"source": LINK}, headers=headers) as response:
        assert response.status == 403
    async with served.client.post("/api/answer", json={"source": LINK}, headers=headers) as response:
        assert response.status == 403
    assert served.shelf.asked == []


async def test_the_page_itself_can_post_and_a_form_cannot_reach_the_json_door(serve: Serve) -> None:
    served = await serve(*CLIPS)
    own = {"Origin": f"http://127.0.0.1:{served.client.port}", "Sec-Fetch-Site": "same-origin"}
    async with served.client.post("/answer", data={"source": LINK}, headers=own) as response:
        assert response.status == 200
    async with served.client.post("/api/answer", data='{"source": "x"}', headers={"Content-Type": "text/plain"}) as r:
        assert r.status == 400


async def test_every_response_carries_the_security_headers(serve: Serve) -> None:
    served = await serve(*CLIPS)
    for path in ("/", "/nowhere", "/healthz", "/api/jobs/x", "/static/style.css", "/map.png"):
        async with served.client.get(path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "img-src 'self' https:;" in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
    async with served.client.post("/answer", data={"source": LINK}, allow_redirects=False) as response:
        assert response.status == 303
        assert "Content-Security-Policy" in response.headers


async def test_hostile_titles_stay_text(serve: Serve) -> None:
    bad = replace(
        clip(6, HOSTILE, genre=HOSTILE),
        artist=HOSTILE,
        url="javascript://x/%0aalert(3)",
        thumbnail='http://plain.example/x.png" onload="alert(4)',
        tags=(Label(HOSTILE, 0.5),),
        words=(HOSTILE,),
        notes=(HOSTILE,),
    )
    served = await serve(bad, CLIPS[0])
    for path in ("/", "/clip/aaaaaaaaaa6", "/clip/aaaaaaaaaa1"):
        page = await served.page(path)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "javascript:" not in page
        assert "onload=" not in page
        assert "\u202e" not in page
        assert "alert(1)" in html.unescape(page)  # shown, as text
        assert "style=" not in page  # the policy would drop it
        assert not re.search(r"<script(?! src=\"/static/page.js\")", page)
    async with served.client.post("/answer", data={"source": f"https://{HOSTILE}"}) as response:
        assert response.status in (400, 403)
        assert "<script>alert" not in await response.text()


def test_plain_text() -> None:
    assert plain("a\u202eb\nc\x00d") == "ab c d"
    assert plain("x" * 500) == "x" * 199 + "…"
    assert plain(None) == ""


# thumbs


ON_SECOND = {"query": "aaaaaaaaaa1", "result": "aaaaaaaaaa2", "thumb": "up", "rank": "1", "method": "raw", "by": "all"}


async def put(served: Served, status: int = 303, headers: dict[str, str] | None = None, **more: str) -> str:
    """Send a thumb's form; where it leads, or what was said."""
    form = ON_SECOND | more
    async with served.client.post("/vote", data=form, headers=headers, allow_redirects=False) as response:
        text = await response.text()
        assert response.status == status, text
        return response.headers["Location"] if status == 303 else text_of(text)


def pressed(page: str, clip_id: str = "aaaaaaaaaa2") -> list[str]:
    """Which thumbs of a result are pressed."""
    form = page.split(f'id="thumbs-{clip_id}"', 1)[1].split("</form>", 1)[0]
    return re.findall(r'data-thumb="(\w+)" value="none" aria-pressed="true"', form)


async def test_a_thumb_without_javascript_comes_back_to_the_answer_and_is_shown(serve: Serve) -> None:
    served = await serve(*CLIPS)
    async with served.client.post("/answer", data={"source": LINK, "k": "2"}) as response:
        job, page = response.url.path, await response.text()
    assert pressed(page) == [] and 'aria-label="Slower Guitar goes with Slow Guitar"' in page
    fields = dict(
        re.findall(r'name="(\w+)" value="([^"]*)"', page.split('id="thumbs-aaaaaaaaaa2"', 1)[1].split("<button", 1)[0])
    )
    assert await put(served, **fields) == f"{job}#result-aaaaaaaaaa2"
    (vote,) = served.shelf.cast.values()
    assert (vote.query, vote.result, vote.up, vote.rank, vote.method, vote.by) == (
        "aaaaaaaaaa1", "aaaaaaaaaa2", True, 1, "raw", "all",
    )  # fmt: skip
    page = await served.page(job)
    assert pressed(page) == ["up"] and pressed(page, "aaaaaaaaaa3") == []
    assert await put(served, thumb="down", by="audio", k="3") == "/clip/aaaaaaaaaa1?by=audio&k=3#result-aaaaaaaaaa2"
    assert pressed(await served.page("/clip/aaaaaaaaaa1")) == ["down"]
    await put(served, thumb="none")
    assert pressed(await served.page("/clip/aaaaaaaaaa1")) == [] and not served.shelf.cast


async def test_each_browser_has_its_own_thumbs_and_those_who_only_look_get_no_cookie(serve: Serve) -> None:
    served = await serve(*CLIPS)
    async with served.client.get("/clip/aaaaaaaaaa1") as response:
        assert "Set-Cookie" not in response.headers
    await put(served, thumb="none")  # there was none to take back
    assert not served.client.session.cookie_jar.filter_cookies(served.client.make_url("/"))
    async with served.client.post("/vote", data=ON_SECOND, allow_redirects=False) as response:
        attributes = {part.strip().lower() for part in response.headers["Set-Cookie"].split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/"} <= attributes and any("max-age" in part for part in attributes)
    await put(served, thumb="down")
    served.client.session.cookie_jar.clear()
    assert pressed(await served.page("/clip/aaaaaaaaaa1")) == []
    await put(served)
    assert sorted(vote.up for vote in served.shelf.cast.values()) == [False, True]
    assert all(re.fullmatch(r"web-[0-9a-f]{32}", vote.voter) for vote in served.shelf.cast.values())


@pytest.mark.parametrize("tamper", ["name", "signature", "none", "other key", "garbage"])
async def test_nobody_votes_by_another_s_name(serve: Serve, tamper: str) -> None:
    served = await serve(*CLIPS)
    await put(served)
    (cookie,) = served.client.session.cookie_jar
    name, signature = cookie.value.split(".")
    served.client.session.cookie_jar.clear()
    if tamper == "other key":
        served = await serve(*CLIPS)
        served.shelf.key = b"of another library"
    value = {
        "name": f"{'0' * 32}.{signature}",
        "signature": f"{name}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
        "none": f"{name}.",
        "other key": f"{name}.{signature}",
        "garbage": "me.\u00e9" * 99,
    }[tamper]
    page = {"Cookie": f"{COOKIE}={value}"}
    async with served.client.get("/clip/aaaaaaaaaa1", headers=page) as response:
        assert response.status == 200 and pressed(await response.text()) == []
    await put(served, headers=page, thumb="down")
    assert not {"web-me", f"web-{'0' * 32}"} & {vote.voter for vote in served.shelf.cast.values()}
    assert [vote.up for vote in served.shelf.cast.values() if vote.voter == f"web-{name}"] in ([], [True])


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"thumb": "sideways"}, 400),
        ({"result": "aaaaaaaaaa1"}, 400),
        ({"result": "nothing"}, 404),
        ({"result": "aaaaaaaaaa9"}, 404),
        ({"query": "/etc/passwd"}, 404),
        ({"query": "Slow Guitar"}, 404),  # an id, and nothing else
        ({"by": "smell"}, 400),
        ({"k": "99"}, 400),
    ],
)
async def test_a_thumb_that_cannot_be_is_refused(serve: Serve, more: dict[str, str], status: int) -> None:
    served = await serve(*CLIPS)
    await put(served, status, **more)
    assert not served.shelf.cast


async def test_a_thumb_leads_nowhere_else(serve: Serve) -> None:
    served = await serve(*CLIPS)
    for job in ("//evil.example", "https://evil.example/", "../../x", "nothing"):
        assert (await put(served, job=job)).startswith("/clip/aaaaaaaaaa1?")
    await put(served, rank="-1", method="<script>", job="")
    assert {(vote.rank, vote.method) for vote in served.shelf.cast.values()} == {(None, None)}


async def test_another_site_cannot_vote(serve: Serve) -> None:
    served = await serve(*CLIPS)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        await put(served, 403, headers)
    async with served.client.get("/vote", params=ON_SECOND) as response:
        assert response.status == 405
    assert not served.shelf.cast


async def test_too_many_thumbs_are_refused(serve: Serve) -> None:
    served = await serve(*CLIPS)
    for number in range(MOST):
        await put(served, thumb=("up", "down")[number % 2])
    assert "a lot of thumbs" in await put(served, 503)


# the rest of the page


async def test_an_empty_library_says_what_to_do(serve: Serve) -> None:
    text = text_of(await (await serve()).page("/"))
    assert "The library is empty" in text
    assert "DISCORD_TOKEN" in text


async def test_the_home_page_lists_the_newest_and_hides_the_token(serve: Serve) -> None:
    served = await serve(*CLIPS, discord_token="very-secret-token", DISCORD_TOKEN="very-secret-token")
    page = await served.page("/")
    assert "Newest in the library 3 clips" in text_of(page)
    assert "/clip/aaaaaaaaaa3" in page
    assert "To have the bot in Discord" not in page
    assert "very-secret-token" not in page


async def test_titles_complete(serve: Serve) -> None:
    served = await serve(*CLIPS)
    assert [found["title"] for found in await served.api("/api/complete?text=slow")] == ["Slow Guitar", "Slower Guitar"]


def maps_on_disk() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("clipsim-map-*"))


async def test_the_map_is_drawn_once_for_each_state_of_the_library(serve: Serve) -> None:
    served = await serve(*CLIPS)
    before = maps_on_disk()
    for _ in range(3):
        async with served.client.get("/map.png") as response:
            assert response.status == 200
            assert response.content_type == "image/png"
            assert (await response.read()).startswith(b"\x89PNG")
    assert served.shelf.maps == 1
    served.shelf.all.insert(0, clip(7, "New"))
    async with served.client.get("/map.png") as response:
        assert response.status == 200
    assert served.shelf.maps == 2
    assert maps_on_disk() == before


# a signed link to one community's map


OUTSIDE = {"Host": "clips.example"}


async def look(served: Served, token: str, **headers: str) -> tuple[int, str, Any]:
    async with served.client.get(f"/look/{token}", headers={**OUTSIDE, **headers}) as response:
        return response.status, await response.text(), response.headers


async def test_a_signed_link_shows_one_communitys_map_and_nothing_else(serve: Serve) -> None:
    served = await serve(*CLIPS, web_url="https://clips.example/")
    until = datetime.now(UTC) + timedelta(hours=1)
    status, body, headers = await look(served, looks.sign(served.shelf.key, "guild", until))
    assert status == 200
    assert all(known.title in body for known in CLIPS)
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    script = re.findall(r"<script>(.*?)</script>", body, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in headers["Content-Security-Policy"]
    status, body, _ = await look(served, looks.sign(served.shelf.key, "another", until))
    assert status == 200
    assert not any(known.title in body for known in CLIPS)
    for path in (
        "/",
        "/map.png",
        "/api/complete?text=a",
        f"/clip/{CLIPS[0].id}",
        "/healthz",
        "/metrics",
        "/static/style.css",
    ):
        async with served.client.get(path, headers=OUTSIDE) as response:
            assert response.status == 403, path
    async with served.client.post("/api/answer", json={"source": "x"}, headers=OUTSIDE) as response:
        assert response.status == 403


async def test_a_link_that_has_ended_or_was_made_up_shows_nothing(serve: Serve) -> None:
    served = await serve(*CLIPS, web_url="https://clips.example/")
    now = datetime.now(UTC)
    good = looks.sign(served.shelf.key, "guild", now + timedelta(hours=1))
    said, signature = good.split(".")
    other = looks.sign(served.shelf.key, "home", now + timedelta(hours=1)).split(".")[0]
    wrong = [
        looks.sign(served.shelf.key, "guild", now - timedelta(seconds=2)),
        looks.sign(b"another library", "guild", now + timedelta(hours=1)),
        *(f"{other}.{signature}", said, f"{said}.", f".{signature}", "x", "x" * 5000, good[:-1], good + "A"),
        *("é.é", f"{said}.%00", "bnVsbA.x"),
    ]
    for token in wrong:
        status, body, _ = await look(served, token)
        assert status == 404, token
        assert not any(known.title in body for known in CLIPS)
    assert (await look(served, good))[0] == 200


async def test_without_a_public_address_its_name_is_refused(serve: Serve) -> None:
    served = await serve(*CLIPS)
    token = looks.sign(served.shelf.key, "guild", datetime.now(UTC) + timedelta(hours=1))
    assert (await look(served, token))[0] == 403
    assert (await look(served, token, Host="127.0.0.1"))[0] == 200


async def test_health(serve: Serve) -> None:
    talk = {"state": "connected", "ok": True}
    served = await serve(*CLIPS, discord=lambda: talk, DISCORD_TOKEN="a.b.c")
    report = await served.api("/healthz")
    assert report["ok"] is True
    assert report["clips"] == 3
    assert report["index"] == {"ok": True}
    assert report["discord"] == talk
    talk |= {"state": "the token was refused", "ok": False}
    report = await served.api("/healthz")  # to start the process again would bring nothing
    assert report["discord"]["ok"] is False
    report = await served.api("/readyz", 503)
    assert (report["ok"], report["missing"]) == (False, ["discord"])
    talk["ok"] = True
    assert (await served.api("/readyz"))["ok"] is True
    served.shelf.sick = errors.IndexUnavailable()
    assert (await served.api("/healthz", 503))["error"]["code"] == "index"
    report = await served.api("/readyz", 503)
    assert report["missing"] == ["library"] and report["library"]["error"]["code"] == "index"


async def test_health_without_discord(serve: Serve) -> None:
    served = await serve()
    assert (await served.api("/healthz"))["discord"] == {"state": "off"}
    assert "discord" not in await served.api("/readyz")


# in a browser

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing but the page itself is reached
)


class Browser:
    """A page of a headless Chromium, driven through its DevTools socket as a person would: by keys."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket, self.number = socket, 0
        self.complaints: list[str] = []  # what the page logged: refusals of its policy, errors of its script

    async def __call__(self, method: str, **params: Any) -> Any:
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": params})
        while True:
            message = await self.socket.receive_json(timeout=30)
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] in (
                "error",
                "warning",
            ):
                self.complaints.append(message["params"]["entry"]["text"])
            if message.get("id") == self.number:
                return message.get("result")  # an error where the page has changed meanwhile

    async def text(self) -> str:
        root = await self("DOM.getDocument", depth=0)
        found = root and await self("DOM.getOuterHTML", nodeId=root["root"]["nodeId"])
        return text_of(found["outerHTML"]) if found else ""

    async def has(self, selector: str) -> None:
        """Wait until the page has an element."""
        for _ in range(300):
            root = await self("DOM.getDocument", depth=0)
            found = root and await self("DOM.querySelector", nodeId=root["root"]["nodeId"], selector=selector)
            if found and found["nodeId"]:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"the browser never had {selector!r}; {self.complaints}")

    async def focus(self, selector: str) -> None:
        """Focus an element as soon as the page has it (node ids change while a page is still being loaded)."""
        for _ in range(300):
            root = await self("DOM.getDocument", depth=0)
            found = root and await self("DOM.querySelector", nodeId=root["root"]["nodeId"], selector=selector)
            if found and found["nodeId"] and await self("DOM.focus", nodeId=found["nodeId"]) is not None:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"the browser never had {selector!r}; {self.complaints}")

    async def shows(self, wanted: str) -> str:
        text = ""
        for _ in range(300):
            if wanted in (text := await self.text()):
                return text
            await asyncio.sleep(0.1)
        raise AssertionError(f"the browser never showed {wanted!r}, but {text!r}; {self.complaints}")


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on PATH: the page was not looked at in a browser")
    profile = tmp_path / "profile"
    flags = (*FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank")
    silent = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(chromium, *flags, stdout=silent, stderr=silent)
    try:
        port = await asyncio.to_thread(_port, profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                pages = [target for target in await response.json() if target["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Browser(socket)
                await page("Log.enable")
                yield page
    finally:
        process.kill()
        await process.wait()


def _port(file: Path) -> int:
    for _ in range(300):
        if file.exists() and (lines := file.read_text().split()):
            return int(lines[0])
        time.sleep(0.1)
    raise AssertionError("chromium did not start")


@pytest.mark.slow
@pytest.mark.parametrize("javascript", [True, False])
async def test_a_person_pastes_a_link_in_a_browser(serve: Serve, browser: Browser, javascript: bool) -> None:
    served = await serve(*CLIPS)
    served.shelf.gate.clear()
    await browser("Emulation.setScriptExecutionDisabled", value=not javascript)
    await browser("Page.navigate", url=str(served.client.make_url("/")))
    await browser.shows("Newest in the library")
    await browser.focus("#source")
    await browser("Input.insertText", text=LINK)
    for kind in ("keyDown", "keyUp"):
        await browser(
            "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
        )
    await browser.shows("On it")
    assert served.shelf.asked == [LINK]
    served.shelf.gate.set()
    text = await browser.shows("Most similar")
    assert "Slower Guitar" in text
    assert "On it" not in text
    for shown in ("up", "down", "none"):  # by keys, in place or by a new page
        thumb = "down" if shown == "none" else shown
        await browser.focus(f'#thumbs-aaaaaaaaaa2 [data-thumb="{thumb}"]')
        for kind in ("keyDown", "keyUp"):
            await browser(
                "Input.dispatchKeyEvent", type=kind, key=" ", code="Space", windowsVirtualKeyCode=32, text=" "
            )
        await browser.has(
            f'#thumbs-aaaaaaaaaa2 [data-thumb="{thumb}"][aria-pressed="{"false" if shown == "none" else "true"}"]'
        )
        assert [vote.up for vote in served.shelf.cast.values()] == {"up": [True], "down": [False], "none": []}[shown]
    complaints = [text for text in browser.complaints if "ERR_NAME_NOT_RESOLVED" not in text]  # thumbnails: no network
    assert complaints == []
    await browser("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
    size = (await browser("Page.getLayoutMetrics"))["cssContentSize"]
    assert size["width"] == 360  # nothing sticks out of a phone
