"""Fences around one fetch, put up inside its child process: resources, and for links to named hosts, the network.

A link to a host that the operator named may redirect anywhere, and a page there may point anywhere: to the machine
itself, its neighbours, a cloud's metadata address. So the fence is not in front of the link but around the sockets:
only names and ports on the list are resolved, and only what they resolved to is connected to.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any

DATA_LIMIT = 3 * 1024**3  # bytes of writable memory for each process (RLIMIT_DATA), deno included. RLIMIT_AS will not
#   do: V8 reserves tens of gigabytes of addresses that it never writes to.
CPU_SLACK = 30.0  # seconds of processor time beyond the wall-clock limit
FILE_SLACK = 1024 * 1024  # bytes beyond the size limit, so that our own refusal comes before the system's
OPEN_FILES = 256

_FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty")


class RefusedError(OSError):
    """The network fence was touched."""


refused: list[str] = []  # host:port of every attempt, for the sentence to the user


def limit_resources(max_bytes: int, seconds: float) -> None:
    """Bound memory, processor time, file size and open files of this process and those it starts."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    for name, value in (
        ("RLIMIT_CORE", 0),
        ("RLIMIT_FSIZE", max_bytes + FILE_SLACK),
        ("RLIMIT_CPU", int(seconds + CPU_SLACK)),
        ("RLIMIT_DATA", DATA_LIMIT),
        ("RLIMIT_NOFILE", OPEN_FILES),
    ):
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (soft, soft))


def confine(hosts: Sequence[str]) -> None:
    """From here on this process reaches only `hosts` (`host`, any port, or `host:port`), and starts no other process.

    Cannot be undone: audit hooks stay until the process ends.
    """
    listed = frozenset(host.lower() for host in hosts)
    reachable: set[tuple[str, int]] = set()
    resolve = socket.getaddrinfo

    def fenced(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
        name = name.lower().strip("[]").removesuffix(".")
        written = f"[{name}]" if ":" in name else name
        if not listed & {name, written, f"{written}:{port}"}:
            _refuse(f"{written}:{port}")
        found = resolve(host, port, *args, **kwargs)
        reachable.update((str(item[4][0]), int(item[4][1])) for item in found)
        return found

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            sock, address = args[0], args[1]
            if sock.family != getattr(socket, "AF_UNIX", None) and tuple(address[:2]) not in reachable:
                _refuse(f"{address[0]}:{address[1]}")
        elif event in _FORBIDDEN:
            raise FileNotFoundError(f"{event} is not allowed here")

    socket.getaddrinfo = fenced
    sys.addaudithook(hook)


def _refuse(where: str) -> None:
    refused.append(where)
    raise RefusedError(f"{where} is not among the allowed hosts")


def die_with_parent(descriptor: int = 0) -> None:
    """Wait until the parent closes its end of stdin, or is gone, then end this process and all it started."""
    import signal

    with contextlib.suppress(OSError):
        while os.read(descriptor, 4096):
            pass
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
