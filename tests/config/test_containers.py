"""What `deploy/compose.yaml` runs, without Docker: the image's own command with its variables, and
a TLS proxy on the host, whose connections come from the gateway of the network.

Addresses of the network are played by others of the loopback network, which Linux lets us use.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from requests.adapters import HTTPAdapter

from tests.installation import install_copy
from tests.server import READY_WITHIN, SETTINGS, free_port
from tests.source import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text("utf-8"))
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text("utf-8")
SITE = "https://hub.example.org"
# The gateway of the network, another container in it, and how we play them.
GATEWAY, NEIGHBOUR = "127.86.0.1", "127.86.0.9"
PERSON, STRANGER = "203.0.113.7", "198.51.100.9"


def network() -> dict[str, str]:
    [config] = COMPOSE["networks"]["default"]["ipam"]["config"]
    return dict(config)


def composed(operator: dict[str, str]) -> dict[str, str]:
    """The variables of the service, with those of the operator's shell filled in."""
    filled = {}
    for name, value in COMPOSE["services"]["web"]["environment"].items():
        if value is None:
            filled |= {name: operator[name]} if name in operator else {}
        else:
            filled[name] = re.sub(
                r"\$\{(\w+):-([^}]*)\}",
                lambda match: operator.get(match[1]) or match[2],
                str(value),
            )
    return filled


def instruction(name: str) -> str:
    """The rest of a Dockerfile's instruction, its lines joined; of its last stage."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)[-1]


class From(HTTPAdapter):
    """Connections from one address of the network."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, source_address=(self.address, 0), **kwargs)


@dataclass
class Container:
    """The running service. Like deploy/nginx.conf, its proxy sets both headers itself."""

    port: int
    first: dict[str, Any]
    env: dict[str, str] = field(repr=False)

    def browser(self, person: str, *, peer: str = GATEWAY) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", From(peer))
        session.headers.update(
            {
                "Host": "hub.example.org",
                "X-Forwarded-For": person,
                "X-Forwarded-Proto": "https",
                "Referer": f"{SITE}/accounts/login/",
            }
        )
        return session

    def get(self, session: requests.Session, path: str, **more: Any) -> requests.Response:
        url = f"http://127.0.0.1:{self.port}{path}"
        return session.get(url, allow_redirects=False, timeout=60, **more)

    def sign_in(self, person: str, email: str, password: str) -> requests.Response:
        """Sign in as a browser behind the proxy, which keeps cookies that are for https only."""
        session = self.browser(person)
        page = self.get(session, "/accounts/login/")
        assert page.status_code == 200, page.headers
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)
        return session.post(
            f"http://127.0.0.1:{self.port}/accounts/login/",
            data={"username": email, "password": password, "csrfmiddlewaretoken": token[1]},
            headers={"Cookie": cookies},
            allow_redirects=False,
            timeout=60,
        )


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    data, secrets = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("secrets")
    others = {*SETTINGS, "SITE_URL", "ALLOWED_HOSTS", "FORWARDED_ALLOW_IPS"}
    inherited = {name: value for name, value in os.environ.items() if name not in others}
    installed = install_copy(data, inherited)
    for name in ("secret_key", "master_keys"):
        (secrets / name).write_text((data / name).read_text("utf-8"), "utf-8")
        (data / name).unlink()  # the container has them as secrets only
    (secrets / "database_url").write_text(installed.database_url, "utf-8")
    image = dict(part.split("=", 1) for part in shlex.split(instruction("ENV")))
    service = composed({"SITE_URL": SITE})
    trusted = service["FORWARDED_ALLOW_IPS"].replace(network()["gateway"], GATEWAY)
    port = free_port()
    env = inherited | image | service | {"FORWARDED_ALLOW_IPS": trusted}
    env |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "WEB_CONCURRENCY": "1"}
    env |= {"DATA_DIR": str(data), "PORT": str(port), "DJANGO_SETTINGS_MODULE": "config.settings"}
    for name, value in env.items():
        env[name] = value.replace("/run/secrets/", f"{secrets}/")
    log = data / "container.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            json.loads(instruction("CMD")),
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(process, port, log)
        yield Container(port, installed.first, env)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text("utf-8")
        try:
            if requests.get(f"http://127.0.0.1:{port}/readyz", timeout=20).status_code == 200:
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.2)
    raise AssertionError(log.read_text("utf-8"))


def test_the_proxy_that_is_trusted_is_the_networks_gateway() -> None:
    gateway, trusted = network()["gateway"], composed({})["FORWARDED_ALLOW_IPS"]
    assert trusted == gateway
    assert ip_address(gateway) in ip_network(network()["subnet"])
    assert ip_address(gateway).is_private
    [published] = COMPOSE["services"]["web"]["ports"]
    assert published.startswith("127.0.0.1:"), "others reach the proxy only"
    assert composed({"FORWARDED_ALLOW_IPS": "10.0.0.0/8"})["FORWARDED_ALLOW_IPS"] == "10.0.0.0/8"


@pytest.mark.slow
class TestBehindTLS:
    def test_pages_come_over_https(self, container: Container) -> None:
        page = container.get(container.browser(PERSON), "/accounts/login/")
        assert page.status_code == 200
        assert "max-age=" in page.headers["Strict-Transport-Security"]
        assert "__Host-csrftoken" in page.headers["Set-Cookie"]
        assert "Secure" in page.headers["Set-Cookie"]

    def test_the_first_owner_signs_in(self, container: Container) -> None:
        first = container.first
        answer = container.sign_in(PERSON, first["owner"], first["password"])
        assert (answer.status_code, answer.headers["Location"]) == (302, "/"), answer.text[:500]
        assert "__Host-session" in answer.headers["Set-Cookie"]

    def test_applications_call(self, container: Container) -> None:
        bearer = {"Authorization": f"Bearer {container.first['app_key']}"}
        for path in ("/api/v1/workspace/", "/v1/models"):
            answer = container.get(container.browser(PERSON), path, headers=bearer)
            assert answer.status_code == 200, (path, answer.text)

    def test_a_strangers_failures_lock_out_nobody_else(self, container: Container) -> None:
        first = container.first
        last = [container.sign_in(STRANGER, first["owner"], "wrong") for _try in range(6)][-1]
        assert last.status_code == 429
        answer = container.sign_in(PERSON, first["owner"], first["password"])
        assert answer.status_code == 302

    def test_others_in_the_network_are_not_believed(self, container: Container) -> None:
        neighbour = container.browser(PERSON, peer=NEIGHBOUR)
        answer = container.get(neighbour, "/accounts/login/")
        assert (answer.status_code, answer.headers["Location"]) == (301, f"{SITE}/accounts/login/")

    def test_the_health_check_of_the_image(self, container: Container) -> None:
        check = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
        command = [part.replace(":8000/", f":{container.port}/") for part in check]
        assert subprocess.run(command, env=container.env, check=False).returncode == 0
