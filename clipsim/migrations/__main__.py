"""Write a new migration from the difference between `clipsim.tables` and the newest one: for developers.

python -m clipsim.migrations "what changes"
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from clipsim.database import connect


def main(message: str) -> None:
    """Write `versions/NNNN_message.py`; read it before you commit it, and set `clipsim.tables.HEAD`."""
    folder = Path(__file__).parent
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    number = 1 + len(list((folder / "versions").glob("[0-9]*.py")))
    with tempfile.TemporaryDirectory() as scratch:
        engine = connect(f"sqlite:///{Path(scratch) / 'scratch.sqlite'}")
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            if number > 1:
                command.upgrade(config, "head")
            command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
        engine.dispose()


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or sys.exit('Usage: python -m clipsim.migrations "what changes"'))
