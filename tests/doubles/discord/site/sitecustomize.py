"""Points discord.py at the double named by FAKE_DISCORD, in a process that has not been changed otherwise.

Nothing is imported for it: the two modules are adjusted when the process itself imports them. Whatever other
`sitecustomize` is on the path is run as well.
"""

import importlib.machinery
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BASE = os.environ.get("FAKE_DISCORD")


def _http(module):
    module.Route.BASE = f"{BASE}/api/v10"


def _gateway(module):
    import yarl

    module.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(BASE.replace("http", "ws", 1) + "/gateway/")


ADJUST = {"discord.http": _http, "discord.gateway": _gateway}


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in ADJUST:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                ADJUST[name](module)

            spec.loader.exec_module = exec_module
        return spec


if BASE:
    sys.meta_path.insert(0, _Finder)

_others = [folder for folder in sys.path if Path(folder or ".").resolve() != HERE]
_next = importlib.machinery.PathFinder.find_spec("sitecustomize", _others)
if _next is not None and _next.loader is not None:
    import importlib.util

    _next.loader.exec_module(importlib.util.module_from_spec(_next))
