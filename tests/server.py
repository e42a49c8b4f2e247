"""A whole server of the product, as `make run` starts it, in a data folder of its own: for tests
that are programs outside.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from tests.command_server import CommandServer, Program
from tests.installation import install_copy, settings_of

READY_WITHIN = 300  # seconds
# What gunicorn's application consists of, beside config.asgi itself: that changes connections.
LOADED = ("config.urls", "gateway.dataplane.app", "gateway.playground.app", "gunicorn.app.wsgiapp")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server:
    """`with Server(env={...}) as server:` - `server.url`, `server.owner`, `server.password`,
    `server.app_key`, `server.manage(...)`.

    Args:
        postgres: URL of a database of the PostgreSQL server on which this server's own is made;
            else it is a SQLite file.
        workers: Number of gunicorn's processes.
        application: What gunicorn runs.
    """

    def __init__(
        self,
        *,
        env: dict[str, str] | None = None,
        postgres: str = "",
        workers: int = 1,
        application: str = "config.asgi:application",
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = tempfile.TemporaryDirectory(prefix="modelkeep-server-")
        self.data = Path(self._folder.name)
        self.log = self.data / "server.log"
        self.application = application
        inherited = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        installed = install_copy(self.data, inherited, postgres)
        self.first = installed.first
        self.env = inherited | settings_of(self.data, installed.database_url)
        self.env |= {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_CONCURRENCY": str(workers),
            "SHUTDOWN_DELAY": "0",
        } | (env or {})
        self._commands = CommandServer(self.env, LOADED)
        self._process: Program | None = None

    def __enter__(self) -> Server:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._commands.close()
        self._folder.cleanup()

    @property
    def workspace(self) -> str:
        return str(self.first["workspace"])

    @property
    def owner(self) -> str:
        return str(self.first["owner"])

    @property
    def password(self) -> str:
        return str(self.first["password"])

    @property
    def app_key(self) -> str:
        return str(self.first["app_key"])

    @property
    def pid(self) -> int:
        """gunicorn's own; its workers are its children."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self, *, until: str = "/readyz") -> None:
        """Start gunicorn and wait for a 200 from the path `until`.

        Raises:
            AssertionError: If the server ends or none comes in time.
        """
        if self._commands.environment != self.env:
            self._commands.close()
            self._commands = CommandServer(self.env, LOADED)
        gunicorn = str(Path(sys.executable).with_name("gunicorn"))
        settings = ("--config", "config/gunicorn.conf.py", self.application)
        self._process = self._commands.begin(gunicorn, *settings, log=self.log)
        self._wait(until)

    def stop(self) -> None:
        if self._process is not None:
            self._process.end(within=20)
            self._process = None

    def manage(self, *command: str, check: bool = True) -> str:
        """Run a management command; what it printed."""
        return self.python("manage.py", *command, check=check)

    def python(self, *arguments: str, check: bool = True) -> str:
        """Run a file, or a module after "-m", beside the server; what it printed."""
        done = self._commands.run(*arguments)
        if check and done.returncode:
            raise AssertionError(
                f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout

    def _wait(self, path: str) -> None:
        assert self._process is not None
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and not self._process.has_ended():
            try:
                with urllib.request.urlopen(f"{self.url}{path}", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                self._process.has_ended(0.1)
        raise AssertionError(
            f"the server did not get ready:\n{self.log.read_text(errors='replace')[-4000:]}"
        )


# What the test process was started with must not leak into the server under test.
SETTINGS = {
    "SECRET_KEY",
    "MODELKEEP_MASTER_KEYS",
    "MODELKEEP_DEMO_PROVIDER",
    "MODELKEEP_EGRESS_ALLOW",
    "DATA_DIR",
    "DATABASE_URL",
    "DJANGO_SETTINGS_MODULE",
}
