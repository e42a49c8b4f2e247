"""The help that ships with the product: Markdown files as pages, in the reader's language."""

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
from help import generated
from providers.declaration import registry
from providers.declaration.spec import Provider
from tenants.auth import permissions

DOCS: Final[Path] = settings.BASE_DIR / "docs"
TOPICS: Final = (
    "start",
    "keys",
    "models",
    "api",
    "playground",
    "usage",
    "trials",
    "roles",
    "errors",
)
# Language -> where its pages are, below docs/. The providers' English pages are those that
# everybody reads in the repository.
TOPIC_FOLDERS: Final = {"en": "help/en", "zh-hans": "help/zh-hans"}
PROVIDER_FOLDERS: Final = {"en": "providers", "zh-hans": "help/zh-hans/providers"}
ROLES: Final = (
    "<!-- roles -->"  # where the table of roles stands, which is made from the permissions
)
ERRORS: Final = re.compile(
    r"<!-- errors ([a-z-]+) -->"
)  # where the table of a group of error codes stands
EXAMPLE_ADDRESS: Final = (
    "https://hub.example.org"  # in the pages' examples; the reader sees the server's own
)
_CHINESE_LINES: Final = re.compile(
    r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[\u3000-\u9fff\uff00-\uffef])"
)


@dataclass(frozen=True, slots=True)
class Page:
    """slug: of a topic or a provider. summary: the first paragraph, without markup."""

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
        """For a list at the page's beginning."""
        return [one for one in self.sections if one.level == 2]


def language() -> str:
    """The one of the reader as far as there are pages in it."""
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
    return next((one for one in registry.all_providers() if one.slug == slug), None)


@lru_cache(maxsize=64)
def topic(slug: str, in_language: str) -> Page:
    folder = TOPIC_FOLDERS[in_language]
    with override(in_language):
        text = _read(f"{folder}/{slug}.md").replace(ROLES, _roles())
        text = ERRORS.sub(lambda marker: _errors(marker[1]), text)
        return _page(slug, text, folder, is_provider=False)


@lru_cache(maxsize=128)
def of_provider(slug: str, in_language: str) -> Page:
    """Return the page that was written; without one, the page that the declaration makes."""
    folder = PROVIDER_FOLDERS[in_language]
    path = f"{folder}/{slug}.md"
    with override(in_language):
        text = _read(path) if (DOCS / path).is_file() else generated.markdown(registry.get(slug))
    return _page(slug, text, folder, is_provider=True)


def _read(path: str) -> str:
    """The text; Chinese lines are joined without the blank that a browser would show for the end of
    a line.
    """
    return _CHINESE_LINES.sub("", (DOCS / path).read_text(encoding="utf-8"))


def _page(slug: str, text: str, folder: str, *, is_provider: bool) -> Page:
    made = document(text, link=lambda target: _address(target, folder))
    return Page(
        slug, is_provider, made.title, _first_paragraph(text), made.html, tuple(made.sections)
    )


def _first_paragraph(text: str) -> str:
    first = next((block for block in text.split("\n\n")[1:] if block[:1] not in "#|`<"), "")
    return re.sub(r"[*`<>]|\]\([^)]*\)|\[", "", first.replace("\n", " ")).strip()


def _address(target: str, folder: str) -> str:
    """Pages name each other as files, so that the links work in the repository as well."""
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
    """The table of the permissions, in the active language."""
    roles = sorted(permissions.Role, key=lambda role: permissions.RANK[role])
    head = [_("may"), *(str(permissions.ROLE_LABELS[role]) for role in roles)]
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
    """The table of a group of error codes, in the active language."""
    lines = [[_("code"), _("status"), _("meaning"), _("what to do")], ["---"] * 4]
    for entry in error_codes.GROUPS[group]:
        statuses = ", ".join(
            str(status) if status != error_codes.RECORDED else "–" for status in entry.statuses
        )
        lines.append([f"`{entry.code}`", statuses, str(entry.title), str(entry.help)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_address(html: SafeString, address: str) -> SafeString:
    """The page with this server's address in its examples."""
    return mark_safe(html.replace(EXAMPLE_ADDRESS, escape(address)))  # noqa: S308 - it was sanitised; the address is escaped
