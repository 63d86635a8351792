"""What is asked through the page: each question runs in the background, and can be watched until it is answered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from clipsim import sources
from clipsim.errors import ClipSimError, UnexpectedError, UnknownClip, UnknownLink
from clipsim.model import Answer, Clip, Stage

if TYPE_CHECKING:
    from clipsim.core import ClipSim

log = logging.getLogger(__name__)

MAX_RUNNING = 16  # questions at once
MAX_KEPT = 256  # questions remembered; the oldest answered ones are forgotten first
MAX_TEXT = 2000  # characters of a question
HINT = "Paste a YouTube link to one video, or the title of a clip in the library."
NO_CLIP_HINT = "Paste a link to it instead."
ADDED_BY = "web"

_PATH = re.compile(r"[/\\]|~[/\\]|\.{1,2}[/\\]|[a-z]:[/\\]|file:", re.IGNORECASE)  # how a path starts
_LINK = re.compile(r"<?\s*(https?://|[\w-]+(\.[\w-]+)+(:\d+)?[/?#])", re.IGNORECASE)  # how a link starts
_ID = re.compile(r"[\w-]{11}", re.ASCII)
_CLIP_ID = re.compile(r"[\w-]{11}|(local|web)-[0-9a-f]{16}", re.ASCII)

State = Literal["running", "done", "failed"]


class TooBusyError(ClipSimError):
    """Too many questions at once."""

    code = "busy"
    sentence = "I am busy with other clips."
    hint = "Try again in a minute."
    retry: ClassVar[bool] = True


@dataclass(slots=True, eq=False)
class Question:
    """One question and how far it got. `stage` is set from any thread."""

    id: str
    text: str
    k: int
    stage: Stage | None = None
    early: Answer | None = None  # from sound and words alone, while the picture is still being watched
    answer: Answer | None = None
    error: ClipSimError | None = None
    task: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        """`running` until there is an answer or an error."""
        if self.error is not None:
            return "failed"
        return "running" if self.answer is None else "done"

    def begin(self, stage: Stage) -> None:
        """Note that a stage has begun (a `Progress`)."""
        self.stage = stage

    def show(self, early: Answer) -> None:
        """Note what can be said already."""
        self.early = early

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until it is answered, or until `seconds` have passed."""
        if self.task is not None:
            await asyncio.wait({self.task}, timeout=seconds)


class Questions:
    """All questions of one running page."""

    def __init__(self, sim: ClipSim, hosts: tuple[str, ...] = ()) -> None:
        self._sim = sim
        self._hosts = hosts
        self._all: OrderedDict[str, Question] = OrderedDict()

    def __getitem__(self, question_id: str) -> Question:
        return self._all[question_id]

    def ask(self, text: str, k: int) -> Question:
        """Begin to answer a link, or the title or id of a clip in the library.

        Raises:
            UnknownLink: nothing was asked, or a file on the server was named.
            TooBusyError: too many questions are running.
        """
        text = " ".join(text.split())
        if not text or len(text) > MAX_TEXT:
            raise UnknownLink(hint=HINT)
        if _PATH.match(text):
            raise UnknownLink("A file on the server cannot be named here.", hint=HINT)
        if sum(question.state == "running" for question in self._all.values()) >= MAX_RUNNING:
            raise TooBusyError
        question = Question(secrets.token_urlsafe(12), text, k)
        self._all[question.id] = question
        for old in [q for q in self._all.values() if q.state != "running"][: max(0, len(self._all) - MAX_KEPT)]:
            del self._all[old.id]
        question.task = asyncio.create_task(self._run(question), name=f"web question {question.id}")
        return question

    async def close(self) -> None:
        """Stop what still runs."""
        tasks = [question.task for question in self._all.values() if question.task and not question.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, question: Question) -> None:
        try:
            question.answer = await self._answer(question)
            await self._sim.shown(question.answer)
        except ClipSimError as error:
            question.error = error
        except asyncio.CancelledError:
            question.error = UnexpectedError("clipsim was stopped before it could answer.", hint="Ask again.")
            raise
        except Exception:
            log.exception("a question from the web page failed")
            question.error = UnexpectedError()

    async def _answer(self, question: Question) -> Answer:
        if _ID.fullmatch(question.text) and (clip := await self._exactly(question.text)):
            return await self._sim.query(clip, question.k)  # "Thunderbolt" has the shape of a video's id
        if (url := link_in(question.text, self._hosts)) is not None:
            return await self._sim.answer(
                url, k=question.k, added_by=ADDED_BY, progress=question.begin, early=question.show
            )
        return await self._sim.query(await named(self._sim, question.text), question.k)

    async def _exactly(self, text: str) -> Clip | None:
        """The clip whose id or title is exactly this."""
        try:
            clip = await named(self._sim, text)
        except ClipSimError:
            return None
        return clip if clip.id == text or clip.title.casefold() == text.casefold() else None


async def by_id(sim: ClipSim, text: str) -> Clip:
    """The clip of the library with exactly this id.

    Raises:
        UnknownClip: there is none.
    """
    if not _CLIP_ID.fullmatch(text):
        raise UnknownClip(hint=NO_CLIP_HINT)  # the façade would take other texts for paths, too
    return await sim.find(text)


async def named(sim: ClipSim, text: str) -> Clip:
    """The clip of the library with this id or title. A text from the web is never looked for on the disk.

    Raises:
        UnknownClip: there is none.
    """
    text = text.strip()
    if _CLIP_ID.fullmatch(text):
        with contextlib.suppress(UnknownClip):
            return await sim.find(text)  # which would take other texts for paths, too
    if text and (found := await sim.complete(text, limit=1)):
        return found[0]
    raise UnknownClip(f"There is no clip “{text[:80]}” in the library.", hint=NO_CLIP_HINT)


def link_in(text: str, hosts: tuple[str, ...] = ()) -> str | None:
    """The canonical link that a text is or contains; None where it can only be a title. Never a path.

    Raises:
        UnknownLink, HostNotAllowed: it is a link, but not one to a clip that may be fetched.
    """
    link = bool(_LINK.match(text))
    if not link and "://" in text:
        found = sources.find_links(text, hosts)
        if found:
            return found[0].url
        link = True
    if not link and not _ID.fullmatch(text):
        return None
    try:
        return sources.parse(text, hosts, files=False).url
    except UnknownLink as error:
        if "://" not in text:
            return None
        raise UnknownLink(error.message, hint=HINT) from None
