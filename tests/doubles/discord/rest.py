"""The REST API, version 10: what each route answers, and what it refuses."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.doubles.discord import rules
from tests.doubles.discord.objects import ACK_WITHIN, EPHEMERAL, LOADING, Channel, Interaction, Message, Permission
from tests.doubles.discord.rules import JSON, Refusal

if TYPE_CHECKING:
    from tests.doubles.discord.server import FakeDiscord

PONG, MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 1, 4, 5, 6, 7, 8, 9


@dataclass(frozen=True)
class Call:
    """One request, read."""

    discord: FakeDiscord
    path: dict[str, str]
    query: dict[str, str]
    payload: Any
    files: list[str]


Answer = tuple[int, Any]  # status and JSON body (None: no body)
Handler = Callable[[Call], Awaitable[Answer]]
ROUTES: list[tuple[str, str, Handler, bool]] = []  # method, path, handler, whether the bot's token is needed


def route(method: str, path: str, *, token: bool = True) -> Callable[[Handler], Handler]:
    """Note a handler."""

    def note(handler: Handler) -> Handler:
        ROUTES.append((method, path, handler, token))
        return handler

    return note


# who am I


@route("GET", "/users/@me")
async def me(call: Call) -> Answer:
    return 200, call.discord.bot.json() | {
        "verified": True,
        "email": None,
        "flags": 0,
        "mfa_enabled": True,
        "locale": "en-US",
    }


@route("GET", "/gateway/bot")
async def gateway(call: Call) -> Answer:
    starts = {"total": 1000, "remaining": 999, "reset_after": 14400000, "max_concurrency": 1}
    return 200, {"url": call.discord.gateway_url, "shards": call.discord.shards, "session_start_limit": starts}


@route("GET", "/users/{user}")
async def user(call: Call) -> Answer:
    return 200, call.discord.user_by_id(int(call.path["user"])).json()


@route("GET", "/applications/@me")
@route("GET", "/oauth2/applications/@me")
async def application(call: Call) -> Answer:
    bot = call.discord.bot
    return 200, {
        "id": str(bot.id),
        "name": bot.name,
        "icon": None,
        "description": "",
        "bot_public": True,
        "bot_require_code_grant": False,
        "owner": call.discord.user("owner").json(),
        "team": None,
        "verify_key": "0" * 64,
        "flags": 0,
        "interactions_endpoint_url": None,
    }


@route("GET", "/applications/{application}/commands")
async def list_commands(call: Call) -> Answer:
    return 200, call.discord.commands


@route("PUT", "/applications/{application}/commands")
async def put_commands(call: Call) -> Answer:
    rules.commands(call.payload)
    call.discord.register(call.payload)
    return 200, call.discord.commands


@route("PUT", "/applications/{application}/guilds/{guild}/commands")
async def put_guild_commands(call: Call) -> Answer:
    return await put_commands(call)


# messages


@route("POST", "/users/@me/channels")
async def open_dm(call: Call) -> Answer:
    return 200, call.discord.dm(call.discord.user_by_id(int(call.payload["recipient_id"]))).json(call.discord.bot)


@route("GET", "/channels/{channel}")
async def get_channel(call: Call) -> Answer:
    return 200, _channel(call).json(call.discord.bot)


@route("POST", "/channels/{channel}/typing")
async def typing(call: Call) -> Answer:
    _channel(call, Permission.SEND_MESSAGES)
    return 204, None


@route("POST", "/channels/{channel}/messages")
async def send(call: Call) -> Answer:
    channel = _channel(call, *_needed(call))
    if channel.user is not None and channel.user.closed:
        raise Refusal(403, 50007, "Cannot send messages to this user")
    rules.message(call.payload, len(call.files))
    reference = (call.payload.get("message_reference") or {}).get("message_id")
    if reference is not None:
        _need(channel, Permission.READ_MESSAGE_HISTORY)
        if call.discord.find_message(channel, int(reference)) is None:
            if call.payload["message_reference"].get("fail_if_not_exists", True):
                errors = {
                    "message_reference": {
                        "_errors": [{"code": "REPLIES_UNKNOWN_MESSAGE", "message": "Unknown message"}]
                    }
                }
                raise Refusal(400, 50035, "Invalid Form Body", errors)
            reference = None
    nonce = call.payload.get("nonce")
    if nonce is not None and len(str(nonce)) > 25:
        raise Refusal(400, 50035, "Invalid Form Body", {"nonce": {"_errors": [{"code": "NONCE_TYPE_TOO_LONG"}]}})
    if call.payload.get("enforce_nonce") and (known := call.discord.with_nonce(channel, str(nonce))):
        return 200, known.json()  # as Discord does for some minutes: no second message
    message = Message(channel, call.discord.bot, reference=int(reference) if reference else None, nonce=nonce)
    await _write(call, message, new=True)
    return 200, message.json()


@route("GET", "/channels/{channel}/messages")
async def history(call: Call) -> Answer:
    channel = _channel(call, Permission.READ_MESSAGE_HISTORY)
    after, before = (int(call.query.get(name, 0)) for name in ("after", "before"))
    found = [m for m in call.discord.history(channel) if m.id > after and (not before or m.id < before)]
    most = int(call.query.get("limit", 50))
    found = found[:most] if "after" in call.query else found[-most:]  # those next to it, newest first in either case
    return 200, [message.json() for message in reversed(found)]


@route("GET", "/channels/{channel}/messages/{message}")
async def get_message(call: Call) -> Answer:
    channel = _channel(call, Permission.READ_MESSAGE_HISTORY)
    return 200, _message(call, channel).json()


@route("PATCH", "/channels/{channel}/messages/{message}")
async def edit(call: Call) -> Answer:
    channel = _channel(call)
    message = _message(call, channel)
    if message.author is not call.discord.bot:
        raise Refusal(403, 50005, "Cannot edit a message authored by another user")
    _need(channel, *(_needed(call)[2:]))
    rules.message(call.payload, len(call.files), editing=True)
    await _write(call, message)
    return 200, message.json()


@route("DELETE", "/channels/{channel}/messages/{message}")
async def delete(call: Call) -> Answer:
    channel = _channel(call)
    message = _message(call, channel)
    if message.author is not call.discord.bot:
        _need(channel, Permission.MANAGE_MESSAGES)
    await call.discord.delete(message)
    return 204, None


@route("PUT", "/channels/{channel}/messages/{message}/reactions/{emoji}/@me")
async def react(call: Call) -> Answer:
    channel = _channel(call, Permission.READ_MESSAGE_HISTORY)
    message = _message(call, channel)
    if call.path["emoji"] not in message.reactions:
        _need(channel, Permission.ADD_REACTIONS)
        message.reactions.append(call.path["emoji"])
    await call.discord.changed()
    return 204, None


@route("DELETE", "/channels/{channel}/messages/{message}/reactions/{emoji}/{user}")
async def take_reaction_back(call: Call) -> Answer:
    message = _message(call, _channel(call, Permission.READ_MESSAGE_HISTORY))
    if call.path["user"] not in ("@me", str(call.discord.bot.id)):
        raise Refusal(*rules.MISSING_PERMISSIONS)
    if call.path["emoji"] not in message.reactions:
        raise rules.unknown("Emoji", 10014)
    message.reactions.remove(call.path["emoji"])
    await call.discord.changed()
    return 204, None


@route("POST", "/channels/{channel}/messages/{message}/threads")
async def start_thread(call: Call) -> Answer:
    channel = _channel(call, Permission.CREATE_PUBLIC_THREADS)
    message = _message(call, channel)
    rules.thread(call.payload)
    if channel.guild is None or channel.parent is not None:
        raise Refusal(400, 50024, "Cannot execute action on this channel type")
    if message.id in call.discord.channels:
        raise Refusal(400, 160004, "A thread has already been created for this message")
    thread = Channel(call.payload["name"], channel.guild, id=message.id, parent=channel.id)
    call.discord.channels[thread.id] = thread
    await call.discord.dispatch("THREAD_CREATE", thread.json(call.discord.bot) | {"newly_created": True})
    return 201, thread.json(call.discord.bot)


# interactions: no token but their own


@route("POST", "/interactions/{interaction}/{token}/callback", token=False)
async def respond(call: Call) -> Answer:
    interaction = call.discord.interactions.get(int(call.path["interaction"]))
    if interaction is None or interaction.token != call.path["token"]:
        raise rules.unknown("interaction", 10062)
    if interaction.response_type is not None:
        raise Refusal(400, 40060, "Interaction has already been acknowledged.")
    if time.monotonic() - interaction.at > ACK_WITHIN:
        call.discord.failures.append(f"an interaction was not acknowledged within {ACK_WITHIN} s")
        interaction.late = True
        raise rules.unknown("interaction", 10062)
    kind, data = call.payload["type"], call.payload.get("data") or {}
    component = kind in (DEFERRED_UPDATE, UPDATE) and interaction.kind not in (3, 5)
    if (interaction.kind == 4) != (kind == CHOICES) or component or (kind == MODAL and interaction.kind == 5):
        raise Refusal(
            400,
            50035,
            "Invalid Form Body",
            {"type": {"_errors": [{"code": "INTERACTION_TYPE", "message": "Invalid type"}]}},
        )
    if kind == MESSAGE:
        rules.message(data, len(call.files))
    if kind == UPDATE:
        rules.message(data, len(call.files), editing=True)
    if kind == MODAL:
        rules.modal(data)
        interaction.modal = data
    if kind in (UPDATE, DEFERRED_UPDATE):
        interaction.original = interaction.source
    if kind == UPDATE and interaction.source is not None:
        await _write(call, interaction.source, data)
    if kind == CHOICES:
        form = rules.Form()
        rules.choices(form, "data.choices", data.get("choices", []))
        form.close()
        interaction.choices = data.get("choices", [])
    if kind in (MESSAGE, DEFERRED):
        flags = data.get("flags", 0) & EPHEMERAL | (LOADING if kind == DEFERRED else 0)
        interaction.original = Message(interaction.channel, call.discord.bot, flags=flags, interaction=interaction)
        if kind == MESSAGE:
            await _write(call, interaction.original, data, new=True)
        else:
            call.discord.add(interaction.original)
    interaction.acknowledged = time.monotonic() - interaction.at
    interaction.response_type = kind
    interaction.done.set()
    await call.discord.changed()
    if call.query.get("with_response") not in ("1", "true", "True"):
        return 204, None
    body: JSON = {"interaction": {"id": str(interaction.id), "type": interaction.kind}}
    if interaction.original is not None:
        body["interaction"] |= {
            "response_message_id": str(interaction.original.id),
            "response_message_loading": kind == DEFERRED,
            "response_message_ephemeral": interaction.original.ephemeral,
        }
        body["resource"] = {"type": kind, "message": interaction.original.json()}
    return 200, body


@route("POST", "/webhooks/{application}/{token}", token=False)
async def follow_up(call: Call) -> Answer:
    interaction = _interaction(call)
    rules.message(call.payload, len(call.files))
    first = interaction.original
    if (
        first is not None and not first.deleted and first.flags & LOADING
    ):  # the first one takes the place of "thinking…"
        await _write(call, first, call.payload | {"flags": first.flags & EPHEMERAL}, new=True)
        return 200, first.json()
    flags = call.payload.get("flags", 0)
    message = Message(interaction.channel, call.discord.bot, flags=flags, interaction=interaction)
    interaction.followups.append(message)
    await _write(call, message, new=True)
    return 200, message.json()


@route("GET", "/webhooks/{application}/{token}/messages/{message}", token=False)
async def get_response(call: Call) -> Answer:
    return 200, _response(call).json()


@route("PATCH", "/webhooks/{application}/{token}/messages/{message}", token=False)
async def edit_response(call: Call) -> Answer:
    message = _response(call)
    rules.message(call.payload, len(call.files), editing=True)
    await _write(call, message)
    return 200, message.json()


@route("DELETE", "/webhooks/{application}/{token}/messages/{message}", token=False)
async def delete_response(call: Call) -> Answer:
    await call.discord.delete(_response(call))
    return 204, None


# what they share


def _channel(call: Call, *needed: Permission) -> Channel:
    channel = call.discord.channels.get(int(call.path["channel"]))
    if channel is None:
        raise rules.unknown("Channel", 10003)
    if not channel.allowed & Permission.VIEW_CHANNEL:
        raise Refusal(*rules.MISSING_ACCESS)
    _need(channel, *needed)
    return channel


def _need(channel: Channel, *needed: Permission) -> None:
    if any(not channel.allowed & permission for permission in needed):
        raise Refusal(*rules.MISSING_PERMISSIONS)


def _needed(call: Call) -> list[Permission]:
    channel = call.discord.channels.get(int(call.path["channel"]))
    thread = channel is not None and channel.parent is not None
    writing = Permission.SEND_MESSAGES_IN_THREADS if thread else Permission.SEND_MESSAGES
    needed = [Permission.VIEW_CHANNEL, writing]
    needed += [Permission.EMBED_LINKS] if call.payload.get("embeds") else []
    return needed + ([Permission.ATTACH_FILES] if call.files else [])


def _message(call: Call, channel: Channel) -> Message:
    message = call.discord.find_message(channel, int(call.path["message"]))
    if message is None:
        raise rules.unknown("Message", 10008)
    return message


def _interaction(call: Call) -> Interaction:
    token = call.path["token"]
    found = next((known for known in call.discord.interactions.values() if known.token == token), None)
    if found is None or found.response_type is None:
        raise rules.unknown("Webhook", 10015)
    if found.expired:
        raise Refusal(401, 50027, "Invalid Webhook Token")
    return found


def _response(call: Call) -> Message:
    interaction, which = _interaction(call), call.path["message"]
    known = interaction.messages
    found = interaction.original if which == "@original" else next((m for m in known if str(m.id) == which), None)
    if found is None or found.deleted:
        raise rules.unknown("Message", 10008)
    return found


async def _write(call: Call, message: Message, payload: JSON | None = None, *, new: bool = False) -> None:
    payload = call.payload if payload is None else payload
    if rules.may_ping(payload) and (payload.get("content") or new):
        call.discord.failures.append(f"a message leaves it to its text to ping: {payload}")
    message.apply(payload, call.files)
    there = {attached["filename"] for attached in message.attachments}
    shown = {str((embed.get("image") or {}).get("url", "")) for embed in message.embeds}
    named = {url.removeprefix("attachment://") for url in shown if url.startswith("attachment://")}
    if missing := named - there:
        call.discord.failures.append(f"an embed shows what is not attached: {missing}")
    call.discord.add(message)
    await call.discord.dispatch("MESSAGE_CREATE" if new else "MESSAGE_UPDATE", call.discord.message_event(message))
    await call.discord.changed()
