"""Print what pyproject.toml declares: `python tools/requirements.py` all of it, or only the packages named after it.

For places that install what clipsim needs before clipsim itself (the Dockerfile's layers, tools/setup_venv.py), so
that every range is written once. Standard library only.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def requirements(*names: str) -> list[str]:
    """The declared requirements, in order, with their ranges; of these packages only, where any are named.

    Raises:
        SystemExit: a package named is not declared.
    """
    import tomllib

    declared: list[str] = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    by_name = {re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0]: line for line in declared}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise SystemExit(f"not declared in {PYPROJECT.name}: {', '.join(unknown)}")
    return [by_name[name] for name in names] if names else declared


if __name__ == "__main__":
    print("\n".join(requirements(*sys.argv[1:])))
