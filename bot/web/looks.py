"""Links that show one community's map, for a while: signed, so that nobody can make one up or change it.

Whoever has such a link sees that map, with the titles and links of its clips, and nothing else of the page.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta

LIFE = timedelta(days=1)
LONGEST = 512  # characters of a token that are looked at
_PURPOSE = b"look"  # the secret signs other things too


def sign(secret: bytes, community: str, until: datetime) -> str:
    """A token for the map of a community that holds until then: letters, digits, `-`, `_` and a point."""
    said = _text(json.dumps([community, int(until.timestamp())], separators=(",", ":")).encode())
    return f"{said}.{_text(_signature(secret, said))}"


def community(secret: bytes, token: str, now: datetime) -> str | None:
    """Whose map a token shows; None where it is not one of ours, or has ended."""
    said, _, signature = token[:LONGEST].partition(".")
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), _text(_signature(secret, said)).encode()):
        return None
    try:
        name, until = json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
    except (ValueError, TypeError, binascii.Error):
        return None
    return str(name) if now < datetime.fromtimestamp(int(until), UTC) else None


def headers(page: bytes) -> dict[str, str]:
    """For a map, which is one file with its own style and one script, and nothing for search engines or caches."""
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    allowed = "'none'"
    if len(scripts) == 1 and page.count(b"<script") == 1:
        allowed = f"'sha256-{base64.b64encode(hashlib.sha256(scripts[0]).digest()).decode()}'"
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, no-store",
        "X-Robots-Tag": "noindex, nofollow",
    }


def _signature(secret: bytes, said: str) -> bytes:
    return hmac.new(secret, _PURPOSE + b":" + said.encode("utf-8", "replace"), hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
