"""Another project's OpenAI-compatible server (llama.cpp) behind ours, the official SDK in front."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import requests

from tests.command_server import REPOSITORY
from tests.server import Server, free_port

pytestmark = pytest.mark.peers
PYTHON = os.environ.get("PEERS_PYTHON", str(REPOSITORY / ".venv-peers" / "bin" / "python"))
MODEL = "openai_compatible/tiny-random"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a llama.cpp server with a random model of 80,000 weights."""
    folder = tmp_path_factory.mktemp("llama")
    model = folder / "tiny-random.gguf"
    subprocess.run([PYTHON, str(Path(__file__).with_name("tiny_gguf.py")), str(model)], check=True)
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                PYTHON,
                "-m",
                "llama_cpp.server",
                "--model",
                str(model),
                "--model_alias",
                "tiny-random",
                "--port",
                str(port),
                "--n_ctx",
                "512",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/v1/models", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-4000:])


@pytest.fixture(scope="module")
def server(llama: str) -> Iterator[Server]:
    """Our server with the foreign one entered as the REST API's users would, and set as the
    default.
    """
    with Server(env={"MODELKEEP_EGRESS_ALLOW": llama}) as server:
        _enter(server, llama)
        yield server


def _enter(server: Server, llama: str) -> None:
    api = _api(server)
    values = {"base_url": f"{llama}/v1"}
    added = api(
        "POST",
        "providers/openai_compatible/credentials/",
        {"name": "llama.cpp", "values": values, "check": True},
    )
    assert added["state"] == "connected", added
    model = {"model": "tiny-random", "type": "reasoning", "values": {}, "check": True}
    api("POST", "providers/openai_compatible/models/", model)
    api("PUT", "default-models/reasoning/", {"model": MODEL})


def _api(server: Server) -> Any:
    def call(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {server.app_key}"}
        answer = requests.request(
            method, f"{server.url}/api/v1/{path}", json=body, headers=headers, timeout=60
        )
        assert answer.status_code < 300, answer.text
        return answer.json()

    return call


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key=server.app_key, max_retries=0
    ) as client:
        yield client


def test_whole_answer_with_the_tokens_that_the_server_counted(
    client: openai.OpenAI, server: Server
) -> None:
    answer = client.chat.completions.create(
        model="default", messages=[{"role": "user", "content": "hello"}], max_tokens=12
    )
    assert answer.choices[0].finish_reason in ("length", "stop")
    assert answer.usage is not None
    record = _api(server)("GET", "usage/calls/")["results"][0]
    assert (record["prompt_tokens"], record["completion_tokens"]) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )
    assert record["usage_source"] == "reported"
    assert record["source"] == "credential:llama.cpp"


def test_streamed_answer_of_a_server_that_reports_no_usage(
    client: openai.OpenAI, server: Server
) -> None:
    chunks = list(
        client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": "hello"}],
            max_tokens=12,
            stream=True,
        )
    )
    assert chunks[-1].choices[0].finish_reason in ("length", "stop")
    record = _api(server)("GET", "usage/calls/")["results"][0]
    assert record["stream"]
    assert record["status"] == "ok"
    # This server knows no stream_options: what it did not say is marked as an estimate.
    assert record["usage_source"] == "estimated"
    assert record["prompt_tokens"] > 0


def test_a_prompt_that_is_too_long_is_the_clients_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(
            model="default", messages=[{"role": "user", "content": "a " * 2000}], max_tokens=12
        )
    assert refusal.value.code == "context_length_exceeded"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(
            model="openai_compatible/unknown", messages=[{"role": "user", "content": "hello"}]
        )
