"""Two nodes on one PostgreSQL behind nginx, which runs deploy/nginx.conf."""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.fakes.provider import FakeProvider
from tests.server import Server, free_port
from tests.source import ROOT

HOST = "hub.example.org"
FORWARDED = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
MAIN = """
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    include {folder}/site.conf;
}}
"""


@dataclass
class Stage:
    """nodes: the two servers. url: nginx's address. certificate: what nginx shows."""

    nodes: tuple[Server, Server]
    fake: FakeProvider
    url: str
    certificate: Path

    def ask(self, node: Server | None, method: str, path: str, **more: Any) -> requests.Response:
        """Ask a node as nginx does, or nginx itself."""
        key = more.pop("key", self.nodes[0].app_key)
        headers = {"Authorization": f"Bearer {key}"} | (FORWARDED if node else {"Host": HOST})
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self.certificate)
            base = node.url if node else self.url
            return session.request(method, base + path, headers=headers, timeout=60, **more)

    def chat(
        self, node: Server | None, model: str | None, *, stream: bool = False, **more: Any
    ) -> requests.Response:
        messages = [{"role": "user", "content": "Hello"}]
        body = {"model": model, "messages": messages, "stream": stream}
        return self.ask(node, "POST", "/v1/chat/completions", json=body, **more)


@dataclass
class Load:
    """Calls from several threads through nginx until `end`; every second one is a stream."""

    stage: Stage
    model: str
    outcomes: Counter[str] = field(default_factory=Counter)
    served: list[str] = field(default_factory=list)  # ids of requests that were answered with 200
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, threads: int = 4) -> None:
        self._threads = [threading.Thread(target=self._call) for _number in range(threads)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, calls: int) -> None:
        """Wait until so many more calls were served."""
        enough = len(self.served) + calls
        until = time.monotonic() + 120
        while len(self.served) < enough:
            assert time.monotonic() < until, self.outcomes
            time.sleep(0.02)

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        is_stream = False
        while not self._over.is_set():
            is_stream = not is_stream
            try:
                answer = self.stage.chat(None, self.model, stream=is_stream)
            except requests.RequestException as error:
                self.outcomes[type(error).__name__] += 1
                continue
            is_whole = answer.text.endswith("data: [DONE]\n\n" if is_stream else "}")
            self.outcomes[str(answer.status_code) if is_whole else "cut"] += 1
            if answer.status_code == 200 and is_whole:
                self.served.append(answer.headers["X-Request-Id"])


@contextmanager
def two_nodes(fake: FakeProvider, postgres: str, folder: Path) -> Iterator[Stage]:
    env = {
        "MODELKEEP_EGRESS_ALLOW": fake.url,
        "SITE_URL": f"https://{HOST}",
        "GRACEFUL_TIMEOUT": "10",
        "SHUTDOWN_DELAY": "1",
    }
    with Server(env=env, postgres=postgres) as one:
        two = Server(env=env, postgres=postgres)
        two.first = one.first
        two.env["DATABASE_URL"] = one.env["DATABASE_URL"]
        for name in ("secret_key", "master_keys"):
            shutil.copy(one.data / name, two.data / name)
        with two, nginx(folder, one.port, two.port) as url:
            yield Stage((one, two), fake, url, folder / "fullchain.pem")


@contextmanager
def nginx(folder: Path, *nodes: int) -> Iterator[str]:
    """Run deploy/nginx.conf with other ports, files and nodes; gives its address."""
    port = free_port()
    text = (ROOT / "deploy/nginx.conf").read_text("utf-8")
    lines = "".join(f"    server 127.0.0.1:{node} max_fails=0;\n" for node in nodes)
    text, changed = re.subn(r"    server 127\.0\.0\.1:8000 max_fails=0;\n", lines, text)
    assert changed == 1
    text = re.sub(r"listen \[::\]:.*\n", "", text)
    text = text.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    text = text.replace("listen 443 ", f"listen 127.0.0.1:{port} ")
    text = text.replace("/etc/letsencrypt/live/hub.example.org", str(folder))
    text = text.replace("/var/log/nginx", str(folder))
    (folder / "site.conf").write_text(text)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    certify(folder)
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while not (folder / "nginx.pid").exists():
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def certify(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "privkey.pem").write_bytes(private)
    (folder / "fullchain.pem").write_bytes(made.public_bytes(Encoding.PEM))


def kill(server: Server) -> None:
    """End a node and its workers as the kernel does when memory is short."""
    os.killpg(server.pid, signal.SIGKILL)
    server.stop()
