"""The help that ships with the product: Markdown of the repository as pages, in the reader's language, and a search in it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from config import help_generated
from core import error_codes
from providers import registry
from providers.spec import Provider
from tenants import permissions
from tenants.markdown import CODE, Section, document

DOCS: Final[Path] = settings.BASE_DIR / "docs"
TOPICS: Final = ("start", "keys", "models", "api", "playground", "usage", "trials", "roles", "errors")
# Language -> where its pages are, below docs/. The providers' English pages are those that everybody reads in the repository.
TOPIC_FOLDERS: Final = {"en": "help/en", "zh-hans": "help/zh-hans"}
PROVIDER_FOLDERS: Final = {"en": "providers", "zh-hans": "help/zh-hans/providers"}
ROLES: Final = "<!-- roles -->"  # where the table of roles stands, which is made from the permissions
ERRORS: Final = re.compile(r"<!-- errors ([a-z-]+) -->")  # where the table of a group of error codes stands
EXAMPLE_ADDRESS: Final = "https://hub.example.org"  # in the pages' examples; the reader sees the server's own
MOST_FOUND: Final = 20
LONGEST_QUERY: Final = 100
AROUND: Final = 70  # characters of a text before and after what was found
_ENDING: Final = re.compile(r"(?<=[a-z]{4})(?:ing|ed|es|s|e)$")
_CHINESE: Final = re.compile(r"[\u3400-\u9fff]")
_CHINESE_LINES: Final = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[\u3000-\u9fff\uff00-\uffef])")


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
    return [of_provider(provider.slug, in_language or language()) for provider in registry.all_providers()]


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
        text = _read(path) if (DOCS / path).is_file() else help_generated.markdown(registry.get(slug))
    return _page(slug, text, folder, is_provider=True)


def _read(path: str) -> str:
    """The text; Chinese lines are joined without the blank that a browser would show for the end of a line."""
    return _CHINESE_LINES.sub("", (DOCS / path).read_text(encoding="utf-8"))


def _page(slug: str, text: str, folder: str, *, is_provider: bool) -> Page:
    made = document(text, link=lambda target: _address(target, folder))
    return Page(slug, is_provider, made.title, _first_paragraph(text), made.html, tuple(made.sections))


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
        lines.append([str(label), *("✓" if action in permissions.ROLE_ACTIONS[role] else "–" for role in roles)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _errors(group: str) -> str:
    """The table of a group of error codes, in the active language."""
    lines = [[_("code"), _("status"), _("meaning"), _("what to do")], ["---"] * 4]
    for entry in error_codes.GROUPS[group]:
        statuses = ", ".join(str(status) if status != error_codes.RECORDED else "–" for status in entry.statuses)
        lines.append([f"`{entry.code}`", statuses, str(entry.title), str(entry.help)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_address(html: SafeString, address: str) -> SafeString:
    """The page with this server's address in its examples."""
    return mark_safe(html.replace(EXAMPLE_ADDRESS, escape(address)))  # noqa: S308 - it was sanitised; the address is escaped


# ------------------------------------------------------------------------------------------------------------ search


@dataclass(frozen=True, slots=True)
class Found:
    """A place that fits: the page, the section's heading ("" for the page's beginning), its address, and words around what was found."""

    page: Page
    title: str
    address: str
    excerpt: SafeString


def search(query: str) -> list[Found]:
    """Places that hold every word of the query, the best first; where there is none, those that hold the most of them."""
    words = list(dict.fromkeys(word.casefold() for word in query[:LONGEST_QUERY].split()))
    places = [(page, section) for page in [*topics(), *provider_pages()] for section in page.sections]
    return _best(places, words, every=True) or _best(places, list(dict.fromkeys(_parts(words))), every=False)


def _parts(words: Iterable[str]) -> Iterator[str]:
    """The words, English ones without their ending: who looks for `rotate` means `Rotating` too. Of Chinese every two characters that
    stand together: `怎么设置密钥` has no blanks to part it at.
    """
    for word in words:
        if _CHINESE.search(word):
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        else:
            yield _ENDING.sub("", word)


def _best(places: list[tuple[Page, Section]], words: list[str], *, every: bool) -> list[Found]:
    rated = []
    for page, section in places:
        points = [found for word in words if (found := _points(page, section, word))]
        if points and (not every or len(points) == len(words)):
            rated.append((len(points), sum(points), page, section))
    rated.sort(key=lambda one: (-one[0], -one[1]))
    return [_found(page, section, words) for _number, _sum, page, section in rated[:MOST_FOUND]]


def _points(page: Page, section: Section, word: str) -> int:
    """What one word counts: most in a page's title, which finds the page's beginning only; then in a heading; codes on the page of errors."""
    in_title = 20 if not section.id and word in page.title.casefold() else 0
    in_heading = 10 if word in section.title.casefold() else 0
    in_text = min(5, section.text.casefold().count(word))
    is_code = 20 if in_text and "_" in word and page.slug == "errors" and not page.is_provider else 0
    return in_title + in_heading + in_text + is_code


def _found(page: Page, section: Section, words: list[str]) -> Found:
    address = f"{page.address}#{section.id}" if section.id else page.address
    return Found(page, section.title, address, _excerpt(section.text, words))


def _excerpt(text: str, words: list[str]) -> SafeString:
    lower = text.casefold()
    at = min((place for word in words if (place := lower.find(word)) >= 0), default=0)
    start, end = max(0, at - AROUND), min(len(text), at + 2 * AROUND)
    start = text.find(" ", start, at) + 1 or start  # not in the middle of a word
    is_code = text.count(CODE[0], 0, start) > text.count(CODE[1], 0, start)
    parts = ["… " if start else "", "<code>" if is_code else ""]
    for piece in re.split(f"([{CODE[0]}{CODE[1]}])", text[start:end].strip()):
        if piece in CODE:
            is_code = piece == CODE[0]
            parts.append("<code>" if is_code else "</code>")
        else:
            parts.append(_marked(piece, words))
    return mark_safe("".join(parts) + ("</code>" if is_code else "") + (" …" if end < len(text) else ""))  # noqa: S308 - escaped piece by piece


def _marked(piece: str, words: list[str]) -> str:
    """Escaped, with the words that were looked for marked."""
    marked = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.IGNORECASE)
    parts, last = [], 0
    for hit in marked.finditer(piece):
        parts.append(format_html("{}<mark>{}</mark>", piece[last : hit.start()], hit.group()))
        last = hit.end()
    return "".join(parts) + escape(piece[last:])
