"""gunicorn's settings, all from the environment: HOST, PORT, WEB_CONCURRENCY, FORWARDED_ALLOW_IPS, GRACEFUL_TIMEOUT."""

import os

from uvicorn_worker import UvicornWorker


class Worker(UvicornWorker):
    """uvloop and httptools; the access log is ours (config/logs.py), because uvicorn's writes query strings."""

    CONFIG_KWARGS = {
        "loop": "uvloop",
        "http": "httptools",
        "access_log": False,
        "server_header": False,
        # Seconds that streams under way get on a restart; below graceful_timeout, so that the worker ends by itself.
        "timeout_graceful_shutdown": max(1, int(os.environ.get("GRACEFUL_TIMEOUT", "30")) - 2),
    }


def _address() -> str:
    host = os.environ.get("HOST", "127.0.0.1")
    return f"[{host}]:{_port()}" if ":" in host and not host.startswith("[") else f"{host}:{_port()}"


def _port() -> int:
    return int(os.environ.get("PORT", "8000"))


bind = [_address()]
workers = int(os.environ.get("WEB_CONCURRENCY") or 0) or min(os.cpu_count() or 1, 4)
worker_class = Worker
# A worker whose event loop says nothing for so many seconds is replaced; a long stream keeps saying something.
timeout = 60
graceful_timeout = int(os.environ.get("GRACEFUL_TIMEOUT", "30"))
keepalive = 75  # seconds; above the proxy's, so that the proxy is the one who closes
backlog = 2048
# nginx is the one neighbour whose X-Forwarded-* lines are believed.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
# The control socket would let every process of this user stop the server.
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
errorlog = "-"
accesslog = None
loglevel = os.environ.get("LOG_LEVEL", "info").lower()
proc_name = "modelkeep"
