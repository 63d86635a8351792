"""`python -m benchmarks [NAME …]`: run every `bench_NAME.py` of this folder, each in its own process, in turn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(names: list[str]) -> int:
    """Run the benchmarks named, or all. Returns 1 if one failed or is unknown."""
    found = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    unknown = [name for name in names if name not in found]
    if unknown:
        print(f"No such benchmark: {', '.join(unknown)}. There are: {', '.join(found) or 'none'}.", file=sys.stderr)
        return 1
    if not found:
        print("There are no benchmarks yet.", file=sys.stderr)
        return 0
    failed = []
    for name in names or found:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"{HERE.name}.{found[name].stem}"]
        if subprocess.run(command, cwd=HERE.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"Failed: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
