"""The documents agree with the code: tables, links, commands, and examples that are run as they
stand.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

from tests.server import Server
from tests.source import PACKAGES, ROOT
from tests.tables import CLIENTS, README, clients_document, with_tables

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)(?:#[^)]*)?\)")


def test_the_readmes_tables_are_the_registry_and_the_locks() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_tables(text) == text, "run: make tables"
    assert "| `openai` |" in text
    assert "| Claude Code |" in text


def test_the_document_of_clients_is_the_table() -> None:
    assert CLIENTS.read_text(encoding="utf-8") == clients_document(), "run: make tables"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    missing = [
        link
        for link in LINK.findall(document.read_text(encoding="utf-8"))
        if not (document.parent / link).exists()
    ]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= set(get_commands())
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets


def test_what_is_met_of_the_verification_standard_is_shown_somewhere() -> None:
    """Each row has a state and says where it shows, or what is missing."""
    text = (ROOT / "docs/asvs.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| \d", line)]
    assert len({number for number, *_rest in rows}) == len(rows) > 150
    for number, level, _requirement, state, shown in rows:
        assert level in ("1", "2"), number
        assert state in ("met", "*partly*", "**not met**"), number
        named = re.findall(r"`([\w.-]+(?:/[\w.-]+)*)`", shown)
        files = [name for name in named if (ROOT / name).is_file()]
        assert shown if state != "met" else files, f"{number} names no file"


def test_files_that_documents_name_exist() -> None:
    for document in DOCUMENTS:
        for name in re.findall(
            r"`((?:config|core|tenants|providers|models_catalog|quotas|gateway|tests|deploy|docs)/[\w./-]+)`",
            document.read_text("utf-8"),
        ):
            assert (ROOT / name).exists() or "example" in name, f"{document.name} names {name}"


@pytest.mark.parametrize("app", sorted({*PACKAGES} - {"config"}))
def test_the_readme_of_an_app_names_its_packages(app: str) -> None:
    text = (ROOT / app / "README.md").read_text("utf-8")
    named = {
        part
        for row in re.findall(r"^\| (`[^|]+)\|", text, re.MULTILINE)
        for part in re.findall(r"`(\w+)/`", row)
    }
    packages = {
        path.parent.name for path in (ROOT / app).glob("*/*") if path.suffix in (".py", ".toml")
    }
    assert named == packages - {"management", "migrations", "templatetags"}


@pytest.mark.parametrize("app", sorted({*PACKAGES} - {"config"}))
def test_files_that_the_readme_of_an_app_names_exist(app: str) -> None:
    for name in re.findall(
        r"`([a-z][\w/]+(?:/|\.py))`", (ROOT / app / "README.md").read_text("utf-8")
    ):
        assert (ROOT / app / name).exists() or (ROOT / name).exists(), name


@pytest.mark.slow
def test_commands_on_the_page_of_credits_work() -> None:
    text = (ROOT / "docs" / "credits.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python manage\.py (.+)$", text, re.MULTILINE)
    assert len(commands) == 5
    with Server() as server:
        for command in commands:
            assert server.manage(*shlex.split(command)), command
        assert "consistent" in server.manage("audit_credits")


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Of a shell beside a server as the first start leaves it."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with Server() as server:
        yield keep | {"MODELKEEP_URL": server.url, "MODELKEEP_KEY": server.app_key}


def examples(language: str) -> list[str]:
    text = (ROOT / "docs" / "integrators.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "example", [one for block in examples("sh") for one in block.strip().split("\n\n")]
)
def test_examples_with_curl_work(environment: dict[str, str], example: str) -> None:
    strict = example.replace("curl ", "curl --silent --show-error --fail-with-body ", 1)
    done = subprocess.run(
        ["bash", "-c", strict],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("example", examples("python"))
def test_examples_with_the_official_client_work(environment: dict[str, str], example: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", example],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Demo answer" in done.stdout
    assert "demo/demo-chat" in done.stdout
