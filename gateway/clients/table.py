"""The table of known clients: the TOML files in `data/`, one for each group."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

from django.utils.text import slugify

from core.i18n.localized import localized

FOLDER: Final = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Snippet:
    """Part of a client's setup: a file, a command, or the fields of a form.

    Args:
        language: A key of `snippets.LANGUAGES`.
        text: With the placeholders of `snippets.Values`, each inside quotes.
        file: Where the text goes, if it's a file.
    """

    language: str
    text: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """When the snippets were last run as they are, and with which version.

    Args:
        package: The part of the client that has this version; "" for the client itself.
    """

    version: str
    date: date
    package: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The documentation that the snippets of a client that wasn't run follow."""

    title: str
    date: date


@dataclass(frozen=True, slots=True)
class Client:
    """An application, or a library for applications.

    Args:
        name: Its own name, the same in every language.
        door: The format that it speaks, a module of `gateway.dataplane.doors`.
        website: The page of its documentation about these settings.
        note: What the snippets don't say, in Markdown.
        evidence: Why the snippets should work.
    """

    name: str
    door: str
    website: str
    note: Any
    snippets: Sequence[Snippet]
    evidence: Run | Source

    @property
    def slug(self) -> str:
        """For element ids; also the anchor of its heading in the help."""
        return slugify(self.name)


@dataclass(frozen=True, slots=True)
class Group:
    label: Any
    clients: Sequence[Client]


@cache
def groups() -> Sequence[Group]:
    """Return all clients in the order of the files."""
    return [_group(tomllib.loads(path.read_text("utf-8"))) for path in sorted(FOLDER.iterdir())]


def _group(content: Mapping[str, Any]) -> Group:
    return Group(localized(content["label"]), [_client(**row) for row in content["client"]])


def _client(
    *,
    note: Mapping[str, str],
    snippet: Sequence[Mapping[str, str]],
    run: Mapping[str, Any] | None = None,
    source: Mapping[str, Any] | None = None,
    **facts: str,
) -> Client:
    evidence = Run(**run) if run else Source(**(source or {}))
    snippets = [Snippet(**values) for values in snippet]
    return Client(note=localized(note), snippets=snippets, evidence=evidence, **facts)
