"""gunicorn's settings, from the same place as Django's: where it listens, how many processes, how
long they may take to stop.
"""

import os
from typing import Any

from uvicorn_worker import UvicornWorker

from config import settings


class Worker(UvicornWorker):  # type: ignore[misc]  # the package has no types
    """uvloop and httptools; the access log is ours (config/logs.py), because uvicorn's writes query
    strings.
    """

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": "httptools",
        "access_log": False,
        "server_header": False,
        # Seconds that streams under way get on a restart; below graceful_timeout, so that the
        # worker ends by itself.
        "timeout_graceful_shutdown": max(1, settings.GRACEFUL_TIMEOUT - 2),
    }


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


bind = [_address(settings.HOST, settings.PORT)]
workers = settings.WEB_CONCURRENCY or min(os.cpu_count() or 1, 4)
worker_class = Worker
# A worker whose event loop says nothing for so many seconds is replaced; a long stream keeps saying
# something.
timeout = 60
graceful_timeout = settings.GRACEFUL_TIMEOUT
keepalive = 75  # seconds; above the proxy's, so that the proxy is the one who closes
backlog = 2048
# nginx is the one neighbour whose X-Forwarded-* lines are believed.
forwarded_allow_ips = ",".join(settings.FORWARDED_ALLOW_IPS)
# The control socket would let every process of this user stop the server.
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
errorlog = "-"
accesslog = None
proc_name = "modelkeep"
umask = 0o077
# gunicorn's own lines, and uvicorn's, which are given the handlers of gunicorn.error, look like all
# others.
logconfig_dict = settings.LOGGING | {
    "loggers": {
        "gunicorn.error": {"handlers": ["console"], "level": settings.LOG_LEVEL, "propagate": False}
    }
}
