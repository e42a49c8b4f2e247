"""The documents agree with the code: tables, links, commands, and examples that are run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.management import get_commands

from tests.providers_table import README, with_table
from tests.source import ROOT
from tests.test_start import clean_environment, free_port, wait_until_ready

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)(?:#[^)]*)?\)")


def test_the_readmes_table_of_providers_is_the_registry() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_table(text) == text, "run: python -m tests.providers_table"
    assert "| `openai` |" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    missing = [link for link in LINK.findall(document.read_text(encoding="utf-8")) if not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= set(get_commands())
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets


def test_files_that_documents_name_exist() -> None:
    for document in DOCUMENTS:
        for name in re.findall(
            r"`((?:config|tenants|providers|models_catalog|quotas|gateway|tests|deploy|docs)/[\w./-]+)`", document.read_text("utf-8")
        ):
            assert (ROOT / name).exists() or "example" in name, f"{document.name} names {name}"


@dataclass(frozen=True)
class Server:
    url: str
    key: str

    @property
    def environment(self) -> dict[str, str]:
        keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return keep | {"MODELKEEP_URL": self.url, "MODELKEEP_KEY": self.key}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, as the first start leaves it."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    environment = clean_environment(folder / "data", port, WEB_CONCURRENCY="1", GRACEFUL_TIMEOUT="5")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "config.start", "--serve"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/readyz", seconds=60)
        made = subprocess.run(
            [sys.executable, "manage.py", "app_key", "main", "--name", "docs", "--scopes", "use,read,manage", "--json"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        yield Server(f"http://127.0.0.1:{port}", json.loads(made.stdout)["app_key"])
    finally:
        process.terminate()
        process.wait(timeout=30)


def examples(language: str) -> list[str]:
    text = (ROOT / "docs" / "integrators.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("example", [one for block in examples("sh") for one in block.strip().split("\n\n")])
def test_examples_with_curl_work(server: Server, example: str) -> None:
    strict = example.replace("curl ", "curl --silent --show-error --fail-with-body ", 1)
    done = subprocess.run(["bash", "-c", strict], env=server.environment, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("example", examples("python"))
def test_examples_with_the_official_client_work(server: Server, example: str) -> None:
    done = subprocess.run([sys.executable, "-c", example], env=server.environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Demo answer" in done.stdout
    assert "demo/demo-chat" in done.stdout
