"""Help pages: Markdown files that ship with the product, in the reader's language."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from core import error_codes
from core.markdown import Section, document
from help import clients, generated
from providers.declaration import registry
from providers.declaration.spec import Provider
from tenants.auth import permissions

DOCS: Final[Path] = settings.BASE_DIR / "docs"
TOPICS: Final = (
    "start",
    "keys",
    "models",
    "api",
    "clients",
    "playground",
    "usage",
    "trials",
    "roles",
    "errors",
)
# Language -> folder below docs/. The English provider pages are also the repository's own
# documentation.
TOPIC_FOLDERS: Final = {"en": "help/en", "zh-hans": "help/zh-hans"}
PROVIDER_FOLDERS: Final = {"en": "providers", "zh-hans": "help/zh-hans/providers"}
# Placeholder for the roles table, which is generated from the permissions.
ROLES: Final = "<!-- roles -->"
# Placeholder for the guides to known clients.
CLIENTS: Final = "<!-- clients -->"
# Placeholder for the table of a group of error codes.
ERRORS: Final = re.compile(r"<!-- errors ([a-z-]+) -->")
# Replaced by this server's address in examples.
EXAMPLE_ADDRESS: Final = "https://hub.example.org"
_CHINESE_LINES: Final = re.compile(
    r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[\u3000-\u9fff\uff00-\uffef])"
)


@dataclass(frozen=True, slots=True)
class Page:
    """A help page.

    Args:
        slug: Slug of the topic or provider.
        summary: The first paragraph, without markup.
    """

    slug: str
    is_provider: bool
    title: str
    summary: str
    html: SafeString
    sections: tuple[Section, ...]

    @property
    def address(self) -> str:
        return reverse("help-provider" if self.is_provider else "help-page", args=[self.slug])

    @property
    def contents(self) -> list[Section]:
        """The sections listed in the table of contents."""
        return [section for section in self.sections if section.level == 2]


def language() -> str:
    """Return the active language, or English if it has no help pages."""
    active = get_language() or "en"
    return active if active in TOPIC_FOLDERS else "en"


def topics(in_language: str | None = None) -> list[Page]:
    return [topic(slug, in_language or language()) for slug in TOPICS]


def provider_pages(in_language: str | None = None) -> list[Page]:
    return [
        of_provider(provider.slug, in_language or language())
        for provider in registry.all_providers()
    ]


def provider(slug: str) -> Provider | None:
    return next((item for item in registry.all_providers() if item.slug == slug), None)


@lru_cache(maxsize=64)
def topic(slug: str, in_language: str) -> Page:
    folder = TOPIC_FOLDERS[in_language]
    with override(in_language):
        text = _read(f"{folder}/{slug}.md").replace(ROLES, _roles())
        if CLIENTS in text:
            text = text.replace(CLIENTS, clients.markdown(EXAMPLE_ADDRESS))
        text = ERRORS.sub(lambda marker: _errors(marker[1]), text)
        return _page(slug, text, folder, is_provider=False)


@lru_cache(maxsize=128)
def of_provider(slug: str, in_language: str) -> Page:
    """Return the provider's written page, or else one generated from its declaration."""
    folder = PROVIDER_FOLDERS[in_language]
    path = f"{folder}/{slug}.md"
    with override(in_language):
        text = _read(path) if (DOCS / path).is_file() else generated.markdown(registry.get(slug))
    return _page(slug, text, folder, is_provider=True)


def _read(path: str) -> str:
    """Return a file's text, with Chinese lines joined so that browsers show no space between
    them.
    """
    return _CHINESE_LINES.sub("", (DOCS / path).read_text(encoding="utf-8"))


def _page(slug: str, text: str, folder: str, *, is_provider: bool) -> Page:
    rendered = document(text, link=lambda target: _address(target, folder))
    return Page(
        slug,
        is_provider,
        rendered.title,
        _first_paragraph(text),
        rendered.html,
        tuple(rendered.sections),
    )


def _first_paragraph(text: str) -> str:
    first = next((block for block in text.split("\n\n")[1:] if block[:1] not in "#|`<"), "")
    return re.sub(r"[*`<>]|\]\([^)]*\)|\[", "", first.replace("\n", " ")).strip()


def _address(target: str, folder: str) -> str:
    """Map a link between Markdown files, which also works in the repository, to a help page URL."""
    path, hash_, anchor = target.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return target
    whole = posixpath.normpath(posixpath.join(folder, path))
    parent, name = posixpath.split(whole)
    slug = name.removesuffix(".md")
    if parent in PROVIDER_FOLDERS.values():
        return f"{reverse('help-provider', args=[slug])}{hash_}{anchor}"
    return f"{reverse('help-page', args=[slug])}{hash_}{anchor}"


def _roles() -> str:
    """Return the permissions table in the active language."""
    roles = sorted(permissions.Role, key=lambda role: permissions.RANK[role])
    head = [_("permission"), *(str(permissions.ROLE_LABELS[role]) for role in roles)]
    lines = [head, ["---", *[":-:"] * len(roles)]]
    for action, label in permissions.ACTION_LABELS.items():
        lines.append(
            [
                str(label),
                *("✓" if action in permissions.ROLE_ACTIONS[role] else "–" for role in roles),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _errors(group: str) -> str:
    """Return the table of a group of error codes in the active language."""
    lines = [[_("code"), _("status"), _("meaning"), _("what to do")], ["---"] * 4]
    for entry in error_codes.GROUPS[group]:
        statuses = ", ".join(
            str(status) if status != error_codes.RECORDED else "–" for status in entry.statuses
        )
        lines.append([f"`{entry.code}`", statuses, str(entry.title), str(entry.help)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_address(html: SafeString, address: str) -> SafeString:
    """Insert this server's address into the examples of a page."""
    return mark_safe(html.replace(EXAMPLE_ADDRESS, escape(address)))  # noqa: S308 - sanitised; the address is escaped
