"""Filling in the snippets of clients: an address, a key and a model, quoted for each language."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from gateway.clients.table import Snippet

# Shown where the key itself is unknown.
PLACEHOLDER_KEY: Final = "mk_live_..."
_MARK: Final = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Sample:
    """A program, command or file to copy.

    Args:
        slug: Used in element ids.
        label: Where it goes, or the tool's name.
        text: Complete: nothing is left to fill in, except a key that isn't known.
    """

    slug: str
    label: Any
    text: str


@dataclass(frozen=True, slots=True)
class Values:
    """What snippets leave open: `{{base_url}}`, `{{address}}`, `{{key}}` and `{{model}}`.

    Args:
        base_url: As OpenAI's libraries expect it, ending in /v1.
        model: May contain any character.
    """

    base_url: str
    model: str
    key: str = PLACEHOLDER_KEY

    @property
    def address(self) -> str:
        """The base URL as Anthropic's libraries expect it."""
        return self.base_url.removesuffix("/v1")


PLACEHOLDERS: Final = frozenset({field.name for field in fields(Values)} | {"address"})


@dataclass(frozen=True, slots=True)
class Language:
    """How a language is named and quoted.

    Args:
        fence: Its name in Markdown.
        quote: The quotation mark around placeholders; "" if nothing is quoted.
        escape: Makes any text safe between two of these marks.
        label: Where snippets without a file go.
    """

    fence: str
    quote: str
    escape: Callable[[str], str]
    label: Any = ""


def _in_double_quotes(text: str) -> str:
    """Escape as JSON does, which Python, JavaScript, TOML and YAML read in the same way."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_single_quotes(text: str) -> str:
    return text.replace("'", "'\\''")


LANGUAGES: Final[Mapping[str, Language]] = {
    "sh": Language("sh", "'", _in_single_quotes, _("In a terminal")),
    "env": Language("sh", "'", _in_single_quotes),
    "fields": Language("text", "", str, _("In the settings")),
    **{
        name: Language(name, '"', _in_double_quotes)
        for name in ("toml", "json", "yaml", "python", "javascript")
    },
}


def fill(snippet: Snippet, values: Values) -> str:
    escape = LANGUAGES[snippet.language].escape
    return _MARK.sub(lambda mark: escape(getattr(values, mark[1])), snippet.text).strip()


def label(snippet: Snippet) -> Any:
    return snippet.file or LANGUAGES[snippet.language].label
