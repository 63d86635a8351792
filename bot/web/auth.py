"""Who may talk to the page: this machine's own browser, and no other site through it.

The page has no login: it listens on loopback. What remains to be kept out are other web sites open in the same
browser. A site that points its own name at 127.0.0.1 (DNS rebinding) is known by its Host header; a form or script
that posts from elsewhere (cross-site request forgery) by Sec-Fetch-Site and Origin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - recognised here, not bound to
SIGNED = "/look/"  # how the paths begin that need a signature
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would make browsers send `Origin: null` with our own form
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def host_name(netloc: str) -> str | None:
    """The host of `name`, `name:port`, `[::1]` or `[::1]:port`, in lower case; None where it is none of these."""
    try:
        parts = urlsplit(f"//{netloc}")
        _ = parts.port  # raises where the port is no port
    except ValueError:
        return None
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    return parts.hostname.rstrip(".") if parts.hostname else None


def host_allowed(netloc: str, configured: str) -> bool:
    """Whether a request may name this host: loopback, and the address that the page was told to listen on.

    Where the page listens on every address, any IP address may be named: a rebound name is always a name.
    """
    name = host_name(netloc)
    if name is None:
        return False
    if name in LOOPBACK or name == configured.strip("[]").lower().rstrip("."):
        return True
    return configured.strip("[]") in EVERY_ADDRESS and _is_address(name)


def same_origin(request: web.Request) -> bool:
    """Whether a request that changes something comes from this page itself, or from a program that is no browser."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    return origin != "null" and urlsplit(origin).netloc.lower() == request.headers.get("Host", "").lower()


def guard(configured: str, public: str | None = None) -> Middleware:
    """Refuse requests for other hosts and from other origins (403).

    Under the name in `public` (CLIPSIM_WEB_URL), which strangers know, only signed links are answered.
    """
    outside = host_name(urlsplit(public).netloc) if public else None

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        signed = outside is not None and host_name(host) == outside and request.path.startswith(SIGNED)
        if not (signed or host_allowed(host, configured)):
            raise web.HTTPForbidden(reason="This page does not go by that name.")
        if request.method not in SAFE_METHODS and not same_origin(request):
            raise web.HTTPForbidden(reason="Another site may not post here.")
        return await handler(request)

    return middleware


@web.middleware
async def secure_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put `HEADERS` on every response, refusals included."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(HEADERS)
        raise
    if not response.prepared:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)  # a page may know better which scripts it has
    return response


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
