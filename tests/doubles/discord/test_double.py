"""The double is worth something only if it refuses what Discord refuses, and discord.py itself is content with it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.doubles.discord import FakeDiscord, Permission

SEND = "/channels/{}/messages"
WIDE = {"type": 1, "components": [{"type": 2, "label": "x" * 81}]}
QUIET: dict[str, Any] = {"allowed_mentions": {"parse": []}}


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as double:
        yield double


class Rest:
    def __init__(self, discord: FakeDiscord, session: aiohttp.ClientSession) -> None:
        self.discord, self.session = discord, session

    async def __call__(self, method: str, path: str, payload: Any = None, **more: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bot {self.discord.token}"} | more.pop("headers", {})
        address = f"{self.discord.url}/api/v10{path}"
        async with self.session.request(method, address, json=payload, headers=headers, **more) as response:
            body = await response.read()
            if body:
                assert response.headers["Content-Type"] == "application/json"
            return response.status, json.loads(body) if body else None


@pytest.fixture
async def rest(discord: FakeDiscord) -> AsyncIterator[Rest]:
    async with aiohttp.ClientSession() as session:
        yield Rest(discord, session)


def embed(**more: Any) -> dict[str, Any]:
    return {"embeds": [more], **QUIET}


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"content": "x" * 2001, **QUIET}, "content"),
        (embed(title="x" * 257), "embeds.0.title"),
        (embed(description="x" * 4097), "embeds.0.description"),
        (embed(title="x", fields=[{"name": "", "value": "x"}]), "embeds.0.fields.0.name"),
        (embed(title="x", fields=[{"name": "x", "value": "x" * 1025}]), "embeds.0.fields.0.value"),
        (embed(title="x", fields=[{"name": "x", "value": "x"}] * 26), "embeds.0.fields"),
        (embed(title="x", footer={"text": "x" * 2049}), "embeds.0.footer.text"),
        (embed(title="x", url="javascript:alert(1)"), "embeds.0.url"),
        (embed(title="x", thumbnail={"url": "https://a b"}), "embeds.0.thumbnail.url"),
        (embed(), "embeds.0.description"),
        ({"embeds": [{"title": "x"}] * 11, **QUIET}, "embeds"),
        ({"embeds": [{"description": "x" * 3001}] * 2, **QUIET}, "embeds"),
        ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, "allowed_mentions"),
        ({"content": "x", "components": [WIDE], **QUIET}, "components.0.components.0.label"),
    ],
)
async def test_limits_of_messages(discord: FakeDiscord, rest: Rest, payload: dict[str, Any], path: str) -> None:
    status, body = await rest("POST", SEND.format(discord.channel("general").id), payload)
    assert (status, body["code"]) == (400, 50035)
    at = body["errors"]
    for name in path.split("."):
        at = at[name]
    assert at["_errors"]
    assert discord.messages() == []


async def test_a_message_is_written_edited_read_and_deleted(discord: FakeDiscord, rest: Rest) -> None:
    where = SEND.format(discord.channel("general").id)
    status, message = await rest("POST", where, {"content": "one", **QUIET})
    assert status == 200
    one = f"{where}/{message['id']}"
    assert (await rest("PATCH", one, {"content": "two", **QUIET}))[1]["content"] == "two"
    assert (await rest("GET", one))[1]["content"] == "two"
    assert [edit.payload["content"] for edit in discord.messages("general")[0].history] == ["one", "two"]
    assert await rest("DELETE", one) == (204, None)
    status, body = await rest("PATCH", one, {"content": "three", **QUIET})
    assert (status, body) == (404, {"message": "Unknown Message", "code": 10008})
    assert discord.failures == []


async def test_what_is_refused_otherwise(discord: FakeDiscord, rest: Rest) -> None:
    quiet = discord.channel("quiet")
    quiet.denied = Permission.SEND_MESSAGES
    plain = discord.channel("plain")
    plain.denied = Permission.EMBED_LINKS
    secret = discord.channel("secret")
    secret.denied = Permission.VIEW_CHANNEL
    hello = {"content": "hello", **QUIET}
    for channel, payload, status, code in (
        (quiet.id, hello, 403, 50013),
        (plain.id, embed(title="x"), 403, 50013),
        (secret.id, hello, 403, 50001),
        (12345, hello, 404, 10003),
        (plain.id, {"content": "", **QUIET}, 400, 50006),
    ):
        got, body = await rest("POST", SEND.format(channel), payload)
        assert (got, body["code"]) == (status, code)
    other = await discord.say("general", "ann", "mine")
    got, body = await rest("PATCH", f"{SEND.format(other.channel.id)}/{other.id}", hello)
    assert (got, body["code"]) == (403, 50005)
    got, body = await rest("GET", "/users/@me", headers={"Authorization": "Bot wrong"})
    assert got == 401


async def test_a_message_that_may_ping_is_a_failure(discord: FakeDiscord, rest: Rest) -> None:
    where = SEND.format(discord.channel("general").id)
    for payload in ({"content": "@everyone"}, {"content": "x", "allowed_mentions": {"parse": ["everyone"]}}):
        assert (await rest("POST", where, payload))[0] == 200
    assert len(discord.failures) == 2


async def test_rate_limits_are_announced_and_kept(discord: FakeDiscord, rest: Rest) -> None:
    where = SEND.format(discord.channel("general").id)
    statuses = [(await rest("POST", where, {"content": "x", **QUIET}))[0] for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    other = SEND.format(discord.channel("other").id)
    assert (await rest("POST", other, {"content": "x", **QUIET}))[0] == 200  # each channel has its own
    discord.limit("GET /users/@me", 1, retry_after=0.25)
    status, body = await rest("GET", "/users/@me")
    assert (status, body["retry_after"], body["global"]) == (429, 0.25, False)
    assert (await rest("GET", "/users/@me"))[0] == 200


async def test_a_nonce_makes_one_message_of_two_and_a_history_shows_it(discord: FakeDiscord, rest: Rest) -> None:
    where = SEND.format(discord.channel("general").id)
    asked = await discord.say("general", "ann", "before")
    sent = {"content": "x", "nonce": "17", "enforce_nonce": True, **QUIET}
    (_, one), (_, two) = [await rest("POST", where, sent) for _ in range(2)]
    assert one["id"] == two["id"]
    discord.forget_nonces()
    assert (await rest("POST", where, sent))[1]["id"] != one["id"]
    assert (await rest("POST", where, sent | {"nonce": "1" * 26}))[0] == 400
    status, found = await rest("GET", f"{where}?limit=100&after={asked.id}")
    assert status == 200 and [message["content"] for message in found] == ["x", "x"]
    assert found[-1]["id"] == one["id"]  # newest first
    assert [m["content"] for m in (await rest("GET", f"{where}?limit=1"))[1]] == ["x"]


async def test_faults_that_a_test_asks_for(discord: FakeDiscord, rest: Rest) -> None:
    where = SEND.format(discord.channel("general").id)
    discord.fail("POST /channels/{channel}/messages", 503)
    assert (await rest("POST", where, {"content": "x", **QUIET}))[0] == 503 and discord.messages() == []
    discord.fail("POST /channels/{channel}/messages", 502, late=True)
    assert (await rest("POST", where, {"content": "x", **QUIET}))[0] == 502 and len(discord.messages()) == 1
    discord.limit_all(1, 0.5)
    status, body = await rest("GET", "/users/@me")
    assert (status, body["global"], body["retry_after"]) == (429, True, 0.5)
    assert (await rest("GET", "/users/@me"))[0] == 200


async def test_interactions_are_answered_once_in_time_and_by_token(discord: FakeDiscord, rest: Rest) -> None:
    status, known = await rest(
        "PUT", f"/applications/{discord.bot.id}/commands", [{"name": "hi", "description": "x", "type": 1}]
    )
    assert status == 200
    assert known[0]["id"]
    callback = "/interactions/{}/{}/callback?with_response=1"
    use = await discord.slash("hi", wait=False)
    assert (await rest("POST", callback.format(use.id, "wrong"), {"type": 5}))[1]["code"] == 10062
    assert (await rest("POST", f"/webhooks/{discord.bot.id}/{use.token}", {"content": "x", **QUIET}))[1][
        "code"
    ] == 10015
    status, body = await rest("POST", callback.format(use.id, use.token), {"type": 5, "data": {"flags": 64}})
    assert status == 200
    assert body["interaction"]["response_message_loading"]
    assert (await rest("POST", callback.format(use.id, use.token), {"type": 5}))[1]["code"] == 40060
    await rest("PATCH", f"/webhooks/{discord.bot.id}/{use.token}/messages/@original", {"content": "done", **QUIET})
    assert (await discord.answered(use)).content == "done"
    assert use.messages[0].ephemeral
    late = await discord.slash("hi", wait=False)
    late.at -= 3.5
    status, body = await rest("POST", callback.format(late.id, late.token), {"type": 5})
    assert (status, body["code"]) == (404, 10062)
    use.expired = True
    status, body = await rest(
        "PATCH", f"/webhooks/{discord.bot.id}/{use.token}/messages/@original", {"content": "x", **QUIET}
    )
    assert (status, body["code"]) == (401, 50027)


@pytest.mark.parametrize(
    "command",
    [
        {"name": "Upper", "description": "x"},
        {"name": "a b", "description": "x"},
        {"name": "x" * 33, "description": "x"},
        {"name": "x", "description": ""},
        {"name": "x", "description": "x" * 101},
        {"name": "Menu", "type": 3, "description": "none allowed"},
        {
            "name": "x",
            "description": "x",
            "options": [{"name": "a", "description": "x", "choices": [{"name": "", "value": 1}]}],
        },
    ],
)
async def test_limits_of_commands(discord: FakeDiscord, rest: Rest, command: dict[str, Any]) -> None:
    status, body = await rest("PUT", f"/applications/{discord.bot.id}/commands", [command])
    assert (status, body["code"]) == (400, 50035)
    assert discord.commands == []


class Socket:
    """A client of the gateway by hand."""

    def __init__(self, session: aiohttp.ClientSession, discord: FakeDiscord) -> None:
        self.session, self.discord, self.last = session, discord, 0

    async def open(self) -> Socket:
        self.socket = await self.session.ws_connect(
            self.discord.gateway_url + "?v=10&encoding=json&compress=zlib-stream"
        )
        self.inflate = zlib.decompressobj()
        self.buffer = b""
        assert (await self.read())["op"] == 10
        return self

    async def read(self) -> Any:
        while True:
            message = await self.socket.receive(timeout=5)
            if message.type is not aiohttp.WSMsgType.BINARY:
                return message
            self.buffer += message.data
            if self.buffer.endswith(b"\x00\x00\xff\xff"):
                payload = json.loads(self.inflate.decompress(self.buffer))
                self.buffer = b""
                self.last = payload["s"] or self.last
                return payload

    async def identify(self, token: str | None = None, intents: int = 1 << 15) -> None:
        await self.socket.send_json(
            {"op": 2, "d": {"token": token or self.discord.token, "intents": intents, "properties": {}}}
        )


async def test_the_gateway_replays_what_was_missed(discord: FakeDiscord) -> None:
    async with aiohttp.ClientSession() as session:
        socket = await Socket(session, discord).open()
        await socket.identify()
        ready = await socket.read()
        assert (ready["t"], ready["s"]) == ("READY", 1)
        assert (await socket.read())["t"] == "GUILD_CREATE"
        await socket.socket.send_json({"op": 1, "d": 2})
        assert (await socket.read())["op"] == 11
        await discord.drop_connection()
        assert (await socket.read()).type in (
            aiohttp.WSMsgType.CLOSED,
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.ERROR,
        )
        await discord.say("general", "ann", "while away")
        await socket.open()
        await socket.socket.send_json(
            {"op": 6, "d": {"token": discord.token, "session_id": ready["d"]["session_id"], "seq": 2}}
        )
        missed = await socket.read()
        assert (missed["t"], missed["s"], missed["d"]["content"]) == ("MESSAGE_CREATE", 3, "while away")
        assert (await socket.read())["t"] == "RESUMED"
        await discord.reconnect()
        assert (await socket.read())["op"] == 7
        await discord.invalidate()
        assert (await socket.read()) | {"s": None} == {"op": 9, "d": False, "s": None, "t": None}


@pytest.mark.parametrize(("token", "intents", "code"), [("wrong", 0, 4004), (None, 1 << 1, 4014), (None, 1 << 8, 4014)])
async def test_the_gateway_closes(discord: FakeDiscord, token: str | None, intents: int, code: int) -> None:
    async with aiohttp.ClientSession() as session:
        socket = await Socket(session, discord).open()
        await socket.identify(token, intents)
        closed = await socket.read()
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, code)


CLIENT = """
import discord, os, sys
from discord import app_commands

client = discord.Client(intents=discord.Intents(guilds=True, guild_messages=True, message_content=CONTENT),
                        allowed_mentions=discord.AllowedMentions.none())
tree = app_commands.CommandTree(client)

@tree.command(description="echo")
async def echo(interaction, what: str):
    await interaction.response.defer()
    await interaction.edit_original_response(content=what, attachments=[discord.File(__file__, "a.txt")])

@echo.autocomplete("what")
async def complete(interaction, typed):
    return [app_commands.Choice(name=typed.upper(), value=typed)]

@client.event
async def on_ready():
    await tree.sync()

@client.event
async def on_message(message):
    if message.author != client.user:
        reply = await message.reply(f"{message.content!r}", file=discord.File(__file__, "b.txt"))
        await reply.edit(content=reply.content + " edited")

client.run(os.environ["DISCORD_TOKEN"])
"""


@pytest.mark.parametrize("content", [True, False])
async def test_discord_py_itself_is_content(discord: FakeDiscord, tmp_path: Path, content: bool) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import builtins; builtins.another = True")
    script = tmp_path / "client.py"
    script.write_text(
        CLIENT.replace("CONTENT", str(content)) if content else "assert another\n" + CLIENT.replace("CONTENT", "False")
    )
    env = discord.environment({**os.environ, "PYTHONPATH": str(other)})
    child = await asyncio.create_subprocess_exec(sys.executable, str(script), env=env)
    try:
        await discord.connected(30)
        assert len(discord.calls("GET /users/@me")) == 1
        said = await discord.say("general", "ann", "hello")
        heard = "'hello' edited" if content else "'' edited"
        reply = await discord.wait_for_message(lambda message: message.content == heard)
        assert (reply.reference, [file["filename"] for file in reply.attachments]) == (said.id, ["b.txt"])
        assert await discord.autocomplete("echo", "what", "abc") == [{"name": "ABC", "value": "abc"}]
        answer = await discord.answered(await discord.slash("echo", what="x"))
        assert (answer.content, answer.attachments[0]["filename"]) == ("x", "a.txt")
        assert discord.failures == []
    finally:
        child.terminate()
        await child.wait()


def row(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"content": "x", "components": [{"type": 1, "components": list(parts)}], **QUIET}


def select(**more: Any) -> dict[str, Any]:
    return {"type": 3, "custom_id": "s", "options": [{"label": "a", "value": "a"}]} | more


@pytest.mark.parametrize(
    "payload",
    [
        row(select(options=[])),
        row(select(options=[{"label": "x" * 101, "value": "a"}])),
        row(select(options=[{"label": "a", "value": "a"}] * 2)),
        row(select(options=[{"label": str(n), "value": str(n)} for n in range(26)])),
        row(select(options=[{"label": n, "value": n, "default": True} for n in "ab"])),
        row(select(min_values=2)),
        row(select(custom_id="x" * 101)),
        row(select(placeholder="x" * 151)),
        row(select(), {"type": 2, "custom_id": "b", "label": "beside a select"}),
        row({"type": 8, "custom_id": "c", "max_values": 1, "default_values": [{"id": "1"}, {"id": "2"}]}),
    ],
)
async def test_limits_of_selects(discord: FakeDiscord, rest: Rest, payload: dict[str, Any]) -> None:
    status, body = await rest("POST", SEND.format(discord.channel("general").id), payload)
    assert (status, body["code"]) == (400, 50035)


async def test_threads_and_reactions(discord: FakeDiscord, rest: Rest) -> None:
    general, mute = discord.channel("general"), discord.channel("mute")
    mute.denied = Permission.ADD_REACTIONS | Permission.CREATE_PUBLIC_THREADS
    said, quiet = await discord.say("general", "ann", "hello"), await discord.say("mute", "ann", "hello")
    start = "/channels/{}/messages/{}/threads"
    assert (await rest("POST", start.format(mute.id, quiet.id), {"name": "x"}))[1]["code"] == 50013
    assert (await rest("POST", start.format(general.id, said.id), {"name": "x" * 101}))[1]["code"] == 50035
    status, thread = await rest("POST", start.format(general.id, said.id), {"name": "a thread"})
    assert (status, thread["id"], thread["parent_id"]) == (201, str(said.id), str(general.id))
    assert (await rest("POST", start.format(general.id, said.id), {"name": "again"}))[1]["code"] == 160004
    assert (await rest("POST", SEND.format(thread["id"]), {"content": "in it", **QUIET}))[0] == 200
    one = "/channels/{}/messages/{}/reactions/%E2%9C%85/@me"
    assert (await rest("PUT", one.format(mute.id, quiet.id)))[1]["code"] == 50013
    assert (await rest("PUT", one.format(general.id, said.id)))[0] == 204
    assert said.reactions == ["✅"]
    assert (await rest("DELETE", one.format(general.id, said.id)))[0] == 204
    assert (await rest("DELETE", one.format(general.id, said.id)))[1]["code"] == 10014
    discord.user("ann").closed = True
    status, body = await rest("POST", SEND.format(discord.dm(discord.user("ann")).id), {"content": "x", **QUIET})
    assert (status, body["code"]) == (403, 50007)


async def test_components_and_modals(discord: FakeDiscord, rest: Rest) -> None:
    button = {"type": 2, "custom_id": "b", "label": "Press", "style": 2}
    _, sent = await rest("POST", SEND.format(discord.channel("general").id), row(button))
    message = next(each for each in discord.messages() if str(each.id) == sent["id"])
    callback = "/interactions/{}/{}/callback"
    use = await discord.press(message, "b", wait=False)
    field = {"type": 4, "custom_id": "f", "label": "x" * 46, "style": 1}
    modal = {"title": "T", "custom_id": "m", "components": [{"type": 1, "components": [field]}]}
    assert (await rest("POST", callback.format(use.id, use.token), {"type": 9, "data": modal}))[1]["code"] == 50035
    field["label"] = "A field"
    assert (await rest("POST", callback.format(use.id, use.token), {"type": 9, "data": modal}))[0] == 204
    assert use.modal == modal
    use = await discord.press(message, "b", wait=False)
    update = {"type": 7, "data": {"content": "pressed", "components": [], **QUIET}}
    assert (await rest("POST", callback.format(use.id, use.token), update))[0] == 204
    assert (message.content, message.components) == ("pressed", [])
    with pytest.raises(ValueError, match="has no b"):
        await discord.press(message, "b", wait=False)
    await rest(
        "PUT",
        f"/applications/{discord.bot.id}/commands",
        [{"name": "hi", "description": "x", "type": 1, "default_member_permissions": "32"}],
    )
    with pytest.raises(ValueError, match="does not offer"):
        await discord.slash("hi", wait=False)
    discord.user("boss").manager = True
    use = await discord.slash("hi", author="boss", wait=False)
    assert (await rest("POST", callback.format(use.id, use.token), {"type": 6}))[1]["code"] == 50035  # no component
