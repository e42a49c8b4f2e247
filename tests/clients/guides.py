"""The guides that people get for a client: what is tried is what they copy."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from gateway.clients import table
from gateway.clients.snippets import Values, fill
from gateway.clients.table import Client
from tests.clients.hub import Hub


@dataclass(frozen=True)
class Setup:
    """A guide's variables, and the command that starts the client, if it has one."""

    env: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)


def guide_of(name: str) -> Client | None:
    clients = (client for group in table.groups() for client in group.clients)
    return next((client for client in clients if client.name == name), None)


def set_up(guide: Client, home: Path, hub: Hub, model: str) -> Setup:
    """Write a guide's files into a home, which is the working folder too."""
    setup = Setup()
    for snippet in guide.snippets:
        text = fill(snippet, Values(hub.base, model, hub.key))
        if snippet.file:
            path = home / snippet.file.removeprefix("~/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        elif snippet.language == "sh":
            _follow(text, setup)
    return setup


def _follow(text: str, setup: Setup) -> None:
    """Collect the variables that a shell's lines export; the last other line starts the client."""
    for line in text.splitlines():
        words = shlex.split(line)
        if words[0] == "export":
            setup.env.update(word.split("=", 1) for word in words[1:])
        else:
            setup.command[:] = words
