"""The web page: paste a link (or a title), see what the bot would answer. And the same as JSON.

| request | answers with |
|---|---|
| `GET /` | the page: a field for a link, the newest clips |
| `POST /answer` (form: source, k) | 303 to `GET /answer/{job}`, which shows progress, then the answer |
| `GET /clip/{id}?by=&k=` | what is similar to a clip of the library |
| `POST /vote` (form: query, result, thumb, …) | 303 to the answer, with the thumb on that result |
| `POST /api/answer` `{"source", "k", "wait"}` | 202 and the job; with `"wait": true` 200 and the job with its answer |
| `GET /api/jobs/{job}` | `{"id", "state", "stage", "answer", "error"}` |
| `GET /api/similar?clip=&k=&by=` | an answer |
| `GET /api/complete?text=` | titles of the library that fit |
| `GET /map.png` | the library as a picture |
| `GET /look/{token}` | one community's map, by a signed link from `/map` in Discord, which ends after a day |
| `GET /healthz`, `GET /readyz` | 200 where the process is alive, and where it can do all that it is for; else 503 |
| `GET /metrics` | figures for Prometheus |
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import jinja2
from aiohttp import web

from bot import text
from bot.health import Discord, Health
from bot.web import looks
from bot.web.auth import Handler, guard, secure_headers
from bot.web.questions import Question, Questions, named
from bot.web.shown import SENSES, answer_json, error_json, percent, picture, plain, status_of, web_link
from bot.web.thumbs import Thumbs
from bot.web.vitals import PATHS, Vitals
from clipsim import __version__
from clipsim.errors import ClipSimError, UnexpectedError
from clipsim.model import HOME, JSON, MODALITIES, Answer, By, Stage
from clipsim.settings import Settings

if TYPE_CHECKING:
    from clipsim.core import ClipSim

log = logging.getLogger(__name__)

MAX_BODY = 16 * 1024  # bytes of a request: a link and a number
MAX_K = 25  # results
DEFAULT_K = 5
NEWEST = 24  # clips listed on the page
PATIENCE = 0.6  # seconds that a form waits: a clip in the library is answered by then, without a progress page
MAPS = 16  # pictures and pages of maps that are kept in memory
STATIC = Path(__file__).parent / "static"
STAGES: tuple[Stage, ...] = get_args(Stage)
WAYS: dict[By, str] = {"all": "everything", "audio": "sound", "video": "look", "lyrics": "words"}


class BadRequestError(ClipSimError):
    """A request of the wrong shape."""

    code = "usage"
    sentence = "That request cannot be read."


class Page:
    """The page of one running `ClipSim`: its handlers, and what they share."""

    def __init__(self, sim: ClipSim, settings: Settings, discord: Discord | None) -> None:
        self.sim = sim
        self.settings = settings
        self.discord = discord
        self.questions = Questions(sim, settings.hosts)
        self.thumbs = Thumbs(sim)
        self._map_lock = asyncio.Lock()
        self._maps: OrderedDict[str, tuple[str, bytes]] = OrderedDict()  # by file: the library's version, the map
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("bot.web"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
        )
        self._templates.filters |= {"plain": plain, "percent": percent, "picture": picture, "web_link": web_link}
        self._templates.globals |= {"MODALITIES": MODALITIES, "SENSES": SENSES, "STAGES": STAGES, "WAYS": WAYS}

    # pages

    async def home(self, request: web.Request) -> web.Response:
        """The field and the newest clips."""
        clips, count = await asyncio.gather(self.sim.clips(limit=NEWEST), self.sim.count())
        return self._page("home.html", clips=clips, count=count)

    async def ask(self, request: web.Request) -> web.Response:
        """A form was sent: 303 to its answer."""
        form = await request.post()
        question = self.questions.ask(str(form.get("source", "")), number(form.get("k")))
        await question.wait(PATIENCE)
        raise web.HTTPSeeOther(f"/answer/{question.id}")

    async def answer(self, request: web.Request) -> web.Response:
        """Progress, then what sound and words say while the picture is being watched, then the answer."""
        question = self._question(request)
        if question.error is not None:
            raise question.error
        if question.answer is not None:
            return await self._answered(request, question.answer, question.k, "all", question.id)
        if question.early is not None:
            return self._page(
                "answer.html", answer=question.early, k=question.k, by="all", votes={}, question=question, refresh=True
            )
        return self._page("progress.html", question=question, refresh=True)

    async def clip(self, request: web.Request) -> web.Response:
        """What is similar to a clip of the library."""
        k, by = number(request.query.get("k")), way(request.query.get("by"))
        found = await named(self.sim, request.match_info["id"])
        answer = await self.sim.query(found, k, by)
        await self.sim.shown(answer)
        return await self._answered(request, answer, k, by)

    async def vote(self, request: web.Request) -> web.Response:
        """A thumb was put on a result, or taken off: 303 to the answer that it was put on."""
        form = await request.post()
        k, by = number(form.get("k")), way(str(form.get("by", "")))
        try:
            back: str | None = f"/answer/{self.questions[str(form.get('job', ''))].id}"
        except KeyError:
            back = None
        return await self.thumbs.cast(request, form, by, k, back)

    async def map(self, request: web.Request) -> web.Response:
        """The library as a picture; drawn once for each state of the library."""
        body = await self._drawn("map.png", HOME)
        return web.Response(body=body, content_type="image/png", headers={"Cache-Control": "no-cache"})

    async def look(self, request: web.Request) -> web.Response:
        """One community's map as a page of its own, for whoever has a link that says so."""
        now = datetime.now(UTC)
        community = looks.community(await self.sim.secret(), request.match_info["token"], now)
        if community is None:
            raise web.HTTPNotFound(reason="This link has ended. Use /map in Discord to get a new one.")
        body = await self._drawn("map.html", community)
        return web.Response(body=body, content_type="text/html", charset="utf-8", headers=looks.headers(body))

    async def _drawn(self, name: str, community: str) -> bytes:
        version = await self.sim.version(community=community)
        async with self._map_lock:
            key = f"{community}/{name}"
            known = self._maps.pop(key, None)
            if known is None or known[0] != version:
                with tempfile.TemporaryDirectory(prefix="clipsim-map-") as folder:
                    path = Path(folder) / name
                    await self.sim.map(path, community=community)
                    known = version, await asyncio.to_thread(path.read_bytes)
            self._maps[key] = known
            while len(self._maps) > MAPS:
                self._maps.popitem(last=False)
            return known[1]

    # JSON

    async def api_answer(self, request: web.Request) -> web.Response:
        """Begin to answer; 202 and the job."""
        if request.content_type != "application/json":
            raise BadRequestError(hint="Send JSON, as application/json.")
        try:
            given = await request.json()
        except ValueError:
            given = None
        if not isinstance(given, dict) or not isinstance(given.get("source"), str):
            raise BadRequestError(hint='Send {"source": "a link or a title", "k": 5}.')
        question = self.questions.ask(given["source"], number(given.get("k")))
        if given.get("wait") is True:
            await question.wait()
            if question.error is not None:
                raise question.error
            return web.json_response(job_json(question))
        return web.json_response(job_json(question), status=202, headers={"Location": f"/api/jobs/{question.id}"})

    async def api_job(self, request: web.Request) -> web.Response:
        """How far a question got."""
        return web.json_response(job_json(self._question(request)), headers={"Cache-Control": "no-store"})

    async def api_similar(self, request: web.Request) -> web.Response:
        """What is similar to a clip of the library."""
        k, by = number(request.query.get("k")), way(request.query.get("by"))
        found = await named(self.sim, request.query.get("clip", ""))
        return web.json_response(answer_json(await self.sim.query(found, k, by)))

    async def api_complete(self, request: web.Request) -> web.Response:
        """Clips whose titles fit what has been typed."""
        clips = await self.sim.complete(request.query.get("text", "")[:100], limit=10)
        return web.json_response([{"id": clip.id, "title": plain(clip.title)} for clip in clips])

    # helpers

    def _question(self, request: web.Request) -> Question:
        try:
            return self.questions[request.match_info["job"]]
        except KeyError:
            raise web.HTTPNotFound(reason="That question is not known (any more): ask it again.") from None

    async def _answered(
        self, request: web.Request, answer: Answer, k: int, by: By, job: str | None = None
    ) -> web.Response:
        votes = await self.thumbs.of(request, answer.query)
        return self._page("answer.html", answer=answer, k=k, by=by, votes=votes, job=job)

    def _page(self, template: str, status: int = 200, **values: Any) -> web.Response:
        talk = self.discord() if self.discord else None
        given = {"refresh": False, "k": DEFAULT_K, "discord": talk, "version": __version__, "pause": self._pause()}
        values = given | values
        values["token"] = self.settings.discord_token is not None
        text = self._templates.get_template(template).render(values)
        return web.Response(text=text, content_type="text/html", status=status, headers={"Cache-Control": "no-cache"})

    def _pause(self) -> str | None:
        """A sentence where YouTube is being left alone."""
        youtube = self.sim.youtube()
        if youtube.error is None or youtube.until is None:
            return None
        return text.youtube_pauses(str(youtube.error), f"{youtube.until:%H:%M}", youtube.waiting)

    def _refused(self, request: web.Request, status: int, error: JSON) -> web.Response:
        if request.path.startswith("/api/") or request.path in PATHS:
            return web.json_response({"error": error}, status=status)
        return self._page("error.html", status, error=error, status_code=status)

    @web.middleware
    async def errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every failure becomes its sentence and code: a page, or JSON under `/api/`."""
        try:
            return await handler(request)
        except ClipSimError as error:
            status = 400 if isinstance(error, BadRequestError) else status_of(error)
            return self._refused(request, status, error_json(error))
        except web.HTTPException as refusal:
            if refusal.status < 400:
                raise
            sentence = {404: "There is nothing here.", 405: "That cannot be done here.", 413: "That is too much text."}
            message = refusal.reason if refusal.status == 403 or "." in refusal.reason else sentence.get(refusal.status)
            body = {"code": f"http-{refusal.status}", "message": message or refusal.reason, "hint": "", "retry": False}
            return self._refused(request, refusal.status, body)
        except Exception:
            log.exception("the web page failed at %s", request.path)
            return self._refused(request, 500, error_json(UnexpectedError()))


def job_json(question: Question) -> JSON:
    """A question and how far it got."""
    return {
        "id": question.id,
        "state": question.state,
        "stage": question.stage,
        "early": answer_json(question.early) if question.early and question.state == "running" else None,
        "answer": answer_json(question.answer) if question.answer else None,
        "error": error_json(question.error) if question.error else None,
        "page": f"/answer/{question.id}",
    }


def number(value: object) -> int:
    """How many results were asked for: 1 to `MAX_K`, else `DEFAULT_K` where nothing was said."""
    if value is None or value == "":
        return DEFAULT_K
    try:
        k = int(str(value)) if not isinstance(value, bool) else 0
    except ValueError:
        k = 0
    if not 1 <= k <= MAX_K:
        raise BadRequestError(f"The number of results is 1 to {MAX_K}.")
    return k


def way(value: str | None) -> By:
    """By what to compare."""
    if value is None or value == "":
        return "all"
    if value not in WAYS:
        raise BadRequestError(f"Clips are compared by {', '.join(WAYS)}.")
    return value


def make_app(
    sim: ClipSim, settings: Settings, *, discord: Discord | None = None, health: Health | None = None
) -> web.Application:
    """The page as an application for `aiohttp.web.AppRunner`.

    Args:
        sim: the running façade; the page answers from its whole library.
        settings: `web_host` says by which name the page may be called, `allowed_hosts` which links are fetched.
        discord: tells the state of the Discord client, for `/healthz` and the foot of the page: a dict with `state`,
            and `ok: False` where it is not well.
        health: what `/healthz` and `/readyz` ask; by default it knows of no watchdog and no workers.
    """
    vitals = Vitals(sim, health or Health(sim, settings, discord))
    page = Page(sim, settings, discord)
    app = web.Application(
        middlewares=[secure_headers, page.errors, guard(settings.web_host, settings.web_url)], client_max_size=MAX_BODY
    )
    app.add_routes(
        [
            web.get("/", page.home),
            web.post("/answer", page.ask),
            web.get("/answer/{job}", page.answer),
            web.get("/clip/{id}", page.clip),
            web.post("/vote", page.vote),
            web.get("/map.png", page.map),
            web.get("/look/{token}", page.look),
            web.get("/healthz", vitals.healthz),
            web.get("/readyz", vitals.readyz),
            web.get("/metrics", vitals.metrics),
            web.post("/api/answer", page.api_answer),
            web.get("/api/jobs/{job}", page.api_job),
            web.get("/api/similar", page.api_similar),
            web.get("/api/complete", page.api_complete),
            web.static("/static", STATIC),
        ]
    )

    async def questions(_: web.Application) -> AsyncIterator[None]:
        yield
        await page.questions.close()

    app.cleanup_ctx.append(questions)
    return app
