"""What Discord refuses: limits of messages, embeds, components and commands, as its documentation states them.

Lengths are counted in UTF-16 units, the stricter of the readings: what fits here fits there.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

JSON = dict[str, Any]

CONTENT = 2000
EMBEDS, EMBED_TOTAL, FIELDS = 10, 6000, 25
EMBED_TEXT = {"title": 256, "description": 4096}
ROWS, BUTTONS, OPTIONS, LABEL, CUSTOM_ID = 5, 5, 25, 80, 100
CHOICES, CHOICE = 25, 100
STRING_SELECT, SELECTS = 3, (3, 5, 6, 7, 8)  # strings, users, roles, users and roles, channels
COMMAND_NAME = re.compile(r"[-_'\w]{1,32}")
CHAT_INPUT, MESSAGE_MENU = 1, 3


class Refusal(Exception):
    """An error response: status, Discord's own code, message, and the tree of field errors."""

    def __init__(self, status: int, code: int, message: str, errors: JSON | None = None) -> None:
        super().__init__(f"{status}/{code}: {message} {errors or ''}".strip())
        self.status, self.code, self.message, self.errors = status, code, message, errors

    def body(self) -> JSON:
        """The JSON that is sent."""
        body: JSON = {"message": self.message, "code": self.code}
        return body | {"errors": self.errors} if self.errors else body


def unknown(what: str, code: int) -> Refusal:
    """404: there is no such thing."""
    return Refusal(404, code, f"Unknown {what}")


MISSING_PERMISSIONS = (403, 50013, "Missing Permissions")
MISSING_ACCESS = (403, 50001, "Missing Access")


class Form:
    """Collects field errors and raises them together, as 50035 does."""

    def __init__(self) -> None:
        self.tree: JSON = {}

    def wrong(self, path: str, code: str, message: str) -> None:
        """Note an error at a path such as `embeds.0.title`."""
        at = self.tree
        for name in path.split("."):
            at = at.setdefault(name, {})
        at.setdefault("_errors", []).append({"code": code, "message": message})

    def text(self, path: str, value: Any, most: int, *, required: bool = False) -> int:
        """A string no longer than `most`; returns its length."""
        if value is None or value == "":
            if required:
                self.wrong(path, "BASE_TYPE_REQUIRED", "This field is required")
            return 0
        if not isinstance(value, str):
            self.wrong(path, "BASE_TYPE_BAD_TYPE", "Could not interpret value as string.")
            return 0
        length = len(value.encode("utf-16-le", "surrogatepass")) // 2
        if length > most:
            self.wrong(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
        return length

    def many(self, path: str, value: Any, most: int) -> list[Any]:
        """A list of at most so many."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(path, "BASE_TYPE_BAD_TYPE", "Could not interpret value as list.")
            return []
        if len(value) > most:
            self.wrong(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
        return value

    def address(self, path: str, value: Any, schemes: tuple[str, ...]) -> None:
        """An http(s) address."""
        if value is None:
            return
        self.text(path, value, 2048)
        try:
            parts = urlsplit(str(value))
            scheme, there = parts.scheme, bool(parts.netloc) and not re.search(r"\s", str(value))
        except ValueError:
            scheme, there = "", False
        if scheme not in schemes:
            self.wrong(
                path, "URL_TYPE_INVALID_SCHEME", f"Scheme {scheme!r} is not supported. Must be one of {schemes}."
            )
        elif not there:
            self.wrong(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")

    def close(self) -> None:
        """Raise if anything was wrong."""
        if self.tree:
            raise Refusal(400, 50035, "Invalid Form Body", self.tree)


def message(payload: JSON, files: int, *, editing: bool = False) -> None:
    """Refuse a message (or an edit of one) that Discord refuses."""
    form = Form()
    form.text("content", payload.get("content"), CONTENT)
    embeds = form.many("embeds", payload.get("embeds"), EMBEDS)
    total = sum(_embed(form, f"embeds.{place}", embed) for place, embed in enumerate(embeds))
    if total > EMBED_TOTAL:
        form.wrong("embeds", "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {EMBED_TOTAL}")
    _components(form, payload.get("components"))
    _mentions(form, payload.get("allowed_mentions"))
    form.close()
    if not editing and not any((payload.get("content"), embeds, payload.get("components"), files)):
        raise Refusal(400, 50006, "Cannot send an empty message")


def _embed(form: Form, path: str, embed: Any) -> int:
    if not isinstance(embed, dict):
        form.wrong(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return 0
    length = sum(form.text(f"{path}.{name}", embed.get(name), most) for name, most in EMBED_TEXT.items())
    length += form.text(f"{path}.footer.text", (embed.get("footer") or {}).get("text"), 2048)
    length += form.text(f"{path}.author.name", (embed.get("author") or {}).get("name"), 256)
    for place, field in enumerate(form.many(f"{path}.fields", embed.get("fields"), FIELDS)):
        length += form.text(f"{path}.fields.{place}.name", field.get("name"), 256, required=True)
        length += form.text(f"{path}.fields.{place}.value", field.get("value"), 1024, required=True)
    form.address(f"{path}.url", embed.get("url"), ("http", "https"))
    pictures = [name for name in ("thumbnail", "image") if embed.get(name)]
    for name in pictures:
        form.address(f"{path}.{name}.url", embed[name].get("url", ""), ("http", "https", "attachment"))
    if not 0 <= (embed.get("color") or 0) <= 0xFFFFFF:
        form.wrong(f"{path}.color", "NUMBER_TYPE_MAX", "int value should be less than or equal to 16777215.")
    if not length and not pictures:
        form.wrong(f"{path}.description", "BASE_TYPE_REQUIRED", "This field is required")
    return length


def _components(form: Form, rows: Any) -> None:
    seen: set[str] = set()
    for place, row in enumerate(form.many("components", rows, ROWS)):
        for column, part in enumerate(form.many(f"components.{place}.components", row.get("components"), BUTTONS)):
            path = f"components.{place}.components.{column}"
            if part["type"] in SELECTS:
                if len(row["components"]) > 1:
                    form.wrong(f"components.{place}", "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "a select fills its row")
                _select(form, path, part)
            form.text(f"{path}.label", part.get("label"), LABEL)
            form.text(f"{path}.custom_id", part.get("custom_id"), CUSTOM_ID)
            form.many(f"{path}.options", part.get("options"), OPTIONS)
            if part.get("custom_id") in seen:
                form.wrong(
                    f"{path}.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated"
                )
            seen.add(part.get("custom_id") or path)


def modal(payload: JSON) -> None:
    """Refuse a modal that Discord refuses."""
    form = Form()
    form.text("data.title", payload.get("title"), 45, required=True)
    form.text("data.custom_id", payload.get("custom_id"), CUSTOM_ID, required=True)
    rows = form.many("data.components", payload.get("components"), ROWS)
    if not rows:
        form.wrong("data.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    for place, row in enumerate(rows):
        for column, part in enumerate(form.many(f"data.components.{place}.components", row.get("components"), 1)):
            path = f"data.components.{place}.components.{column}"
            form.text(f"{path}.label", part.get("label"), 45, required=True)
            form.text(f"{path}.custom_id", part.get("custom_id"), CUSTOM_ID, required=True)
            form.text(f"{path}.value", part.get("value"), part.get("max_length") or 4000)
            form.text(f"{path}.placeholder", part.get("placeholder"), 100)
    form.close()


def thread(payload: JSON) -> None:
    """Refuse a thread that Discord refuses."""
    form = Form()
    form.text("name", payload.get("name"), 100, required=True)
    form.close()


def _select(form: Form, path: str, part: JSON) -> None:
    """A select menu: of strings (with options), or of what Discord knows itself."""
    least, most = part.get("min_values", 1), part.get("max_values", 1)
    form.text(f"{path}.custom_id", part.get("custom_id"), CUSTOM_ID, required=True)
    form.text(f"{path}.placeholder", part.get("placeholder"), 150)
    if not 0 <= least <= most <= OPTIONS or most < 1:
        form.wrong(f"{path}.max_values", "NUMBER_TYPE_MAX", f"between {least} and {most} values cannot be picked")
    if part["type"] != STRING_SELECT:
        chosen = form.many(f"{path}.default_values", part.get("default_values"), most)
        if chosen and not least <= len(chosen) <= most:
            form.wrong(f"{path}.default_values", "BASE_TYPE_BAD_LENGTH", "as many as may be picked")
        return
    options = form.many(f"{path}.options", part.get("options"), OPTIONS)
    if not options:
        form.wrong(f"{path}.options", "BASE_TYPE_REQUIRED", "This field is required")
    if sum(bool(option.get("default")) for option in options) > most:
        form.wrong(f"{path}.options", "SELECT_COMPONENT_TOO_MANY_DEFAULT_VALUES", "too many defaults")
    if len({option.get("value") for option in options}) < len(options):
        form.wrong(f"{path}.options", "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "The specified value is already used")
    for number, option in enumerate(options):
        for name, limit in (("label", 100), ("value", 100), ("description", 100)):
            form.text(f"{path}.options.{number}.{name}", option.get(name), limit, required=name != "description")


def _mentions(form: Form, allowed: Any) -> None:
    if allowed is None:
        return
    for kind in ("users", "roles"):
        form.many(f"allowed_mentions.{kind}", allowed.get(kind), 100)
        if allowed.get(kind) and kind in allowed.get("parse", ()):
            form.wrong(
                "allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", f"parse and {kind} exclude each other"
            )


def may_ping(payload: JSON) -> bool:
    """Whether a message leaves it to its text to ping: `allowed_mentions` missing, or with anything to parse."""
    allowed = payload.get("allowed_mentions")
    return allowed is None or "parse" not in allowed or bool(allowed["parse"])


def commands(payload: Any) -> None:
    """Refuse commands that Discord refuses."""
    form = Form()
    names: set[tuple[int, str]] = set()
    for place, command in enumerate(form.many("", payload, 110)):
        kind, name = command.get("type", CHAT_INPUT), command.get("name", "")
        path = str(place)
        form.text(f"{path}.name", name, 32, required=True)
        localizations(form, path, command)
        if (kind, name) in names:
            form.wrong(
                f"{path}.name", "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique"
            )
        names.add((kind, name))
        if kind == CHAT_INPUT:
            if not COMMAND_NAME.fullmatch(name) or name != name.lower():
                form.wrong(f"{path}.name", "STRING_TYPE_REGEX", "String value did not match validation regex.")
            form.text(f"{path}.description", command.get("description"), 100, required=True)
        elif command.get("description"):
            form.wrong(
                f"{path}.description",
                "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION",
                "Context menu commands cannot have description",
            )
        optional = False
        for number, option in enumerate(form.many(f"{path}.options", command.get("options"), 25)):
            where = f"{path}.options.{number}"
            form.text(f"{where}.name", option.get("name"), 32, required=True)
            form.text(f"{where}.description", option.get("description"), 100, required=True)
            localizations(form, where, option)
            choices(form, f"{where}.choices", option.get("choices"))
            if optional and option.get("required"):
                form.wrong(
                    where,
                    "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                    "Required options must be placed before non-required options",
                )
            optional = optional or not option.get("required")
    form.close()


def localizations(form: Form, path: str, given: JSON) -> None:
    """Names and descriptions in other languages: within the same limits."""
    for kind, most in (("name", 32), ("description", 100)):
        for locale, said in (given.get(f"{kind}_localizations") or {}).items():
            form.text(f"{path}.{kind}_localizations.{locale}", said, most, required=True)


def choices(form: Form, path: str, given: Any) -> None:
    """Choices of an option, or of an autocomplete."""
    for place, choice in enumerate(form.many(path, given, CHOICES)):
        form.text(f"{path}.{place}.name", choice.get("name"), CHOICE, required=True)
        for locale, said in (choice.get("name_localizations") or {}).items():
            form.text(f"{path}.{place}.name_localizations.{locale}", said, CHOICE, required=True)
        if isinstance(choice.get("value"), str):
            form.text(f"{path}.{place}.value", choice["value"], CHOICE, required=True)
