"""gunicorn configuration, taken from Django's settings."""

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn_worker import UvicornWorker

from config import instance, settings
from core.asgi import draining
from core.asgi.http_protocol import HttpProtocol
from core.asgi.server import DrainingServer
from core.metrics.memory import memory
from gateway.dataplane.rates.meter import meter


class Worker(UvicornWorker):  # type: ignore[misc]  # the package is untyped
    """A worker with uvloop and httptools; uvicorn's access log is off because it logs query
    strings.
    """

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": HttpProtocol,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # core.asgi.forwarded reads them
        # Seconds for active streams to finish on restart. Below graceful_timeout, so that the
        # worker can end the others, record them and exit by itself.
        "timeout_graceful_shutdown": max(
            1, settings.GRACEFUL_TIMEOUT - max(2, settings.GRACEFUL_TIMEOUT // 6)
        ),
    }

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        self._install_sigquit_handler()
        server = DrainingServer(config=self.config)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def init_signals(self) -> None:
        super().init_signals()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end)


def _end(number: int, _frame: Any) -> None:
    """Write the rest of the log, then end by the signal: uvicorn sends it again once it has shut
    down, and nothing would run afterwards.
    """
    logging.shutdown()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def on_starting(server: Any) -> None:
    server.handle_term = partial(_drain_and_stop, server.handle_term)
    rows = 4 * workers + 4  # a reload starts new workers beside the old ones
    memory.share(rows)
    meter.share(rows + 1)
    # SIGUSR2 starts a second server beside the first, which goes away afterwards.
    if not server.master_pid:
        sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
        instance.claim(settings.DATA_DIR, alone=sqlite)


def _drain_and_stop(stop: Callable[[], None]) -> None:
    """Answer SIGTERM: go on serving while /readyz is red, then close the socket."""
    draining.begin()
    time.sleep(settings.SHUTDOWN_DELAY)
    stop()


def pre_fork(server: Any, worker: Any) -> None:
    """Load what workers would load at their first page, and let the collector leave it alone: so
    they share its memory.
    """
    from django.urls import get_resolver

    _patterns = get_resolver().url_patterns
    worker.metrics_row = memory.lend()
    gc.collect()
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:
    instance.leave_to_parent()
    memory.use(worker.metrics_row)
    meter.use(worker.metrics_row)


def child_exit(server: Any, worker: Any) -> None:
    memory.take_back(worker.metrics_row)
    meter.take_back(worker.metrics_row)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


bind = [_address(settings.HOST, settings.PORT)]
workers = settings.WORKERS
worker_class = Worker
preload_app = True  # the workers share the memory of what is loaded
# Seconds without a heartbeat before a worker is replaced; long streams do not block the heartbeat.
timeout = 60
graceful_timeout = settings.GRACEFUL_TIMEOUT
keepalive = 75  # seconds; above the proxy's, so that the proxy closes idle connections first
backlog = 2048
# The control socket would let any process of this user stop the server.
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
errorlog = "-"
accesslog = None
proc_name = "modelkeep"
umask = 0o077
# Formats gunicorn's log lines like all others, and uvicorn's, which use gunicorn.error's handlers.
logconfig_dict = settings.LOGGING | {
    "loggers": {
        "gunicorn.error": {"handlers": ["console"], "level": settings.LOG_LEVEL, "propagate": False}
    }
}
