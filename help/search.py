"""Full-text search of the help pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from core.markdown import CODE, Section
from help.pages import Page, provider_pages, topics

MOST_FOUND: Final = 20
LONGEST_QUERY: Final = 100
AROUND: Final = 70  # characters of context around a match
_ENDING: Final = re.compile(r"(?<=[a-z]{4})(?:ing|ed|es|s|e)$")
_CHINESE: Final = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Found:
    """A search result: the page, section heading ("" for the page's introduction), URL and
    excerpt.
    """

    page: Page
    title: str
    address: str
    excerpt: SafeString


def search(query: str) -> list[Found]:
    """Return sections that contain every word, best first, or else those with most of them."""
    words = list(dict.fromkeys(word.casefold() for word in query[:LONGEST_QUERY].split()))
    places = [
        (page, section) for page in [*topics(), *provider_pages()] for section in page.sections
    ]
    return _best(places, words, every=True) or _best(
        places, list(dict.fromkeys(_parts(words))), every=False
    )


def _parts(words: Iterable[str]) -> Iterator[str]:
    """Yield English words without their ending and Chinese text as pairs of characters.

    This way `rotate` also matches `Rotating`, and parts of `怎么设置密钥`, which has no
    spaces, match.
    """
    for word in words:
        if _CHINESE.search(word):
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        else:
            yield _ENDING.sub("", word)


def _best(places: list[tuple[Page, Section]], words: list[str], *, every: bool) -> list[Found]:
    rated = []
    for page, section in places:
        points = [score for word in words if (score := _points(page, section, word))]
        if points and (not every or len(points) == len(words)):
            rated.append((len(points), sum(points), page, section))
    rated.sort(key=lambda entry: (-entry[0], -entry[1]))
    return [_found(page, section, words) for _number, _sum, page, section in rated[:MOST_FOUND]]


def _points(page: Page, section: Section, word: str) -> int:
    """Score a word in a section.

    Page titles score highest, but only for the page's introduction; headings come next. Error codes
    score as high as titles on the errors page.
    """
    in_title = 20 if not section.id and word in page.title.casefold() else 0
    in_heading = 10 if word in section.title.casefold() else 0
    in_text = min(5, section.text.casefold().count(word))
    is_code = (
        20 if in_text and "_" in word and page.slug == "errors" and not page.is_provider else 0
    )
    return in_title + in_heading + in_text + is_code


def _found(page: Page, section: Section, words: list[str]) -> Found:
    address = f"{page.address}#{section.id}" if section.id else page.address
    return Found(page, section.title, address, _excerpt(section.text, words))


def _excerpt(text: str, words: list[str]) -> SafeString:
    lower = text.casefold()
    at = min((place for word in words if (place := lower.find(word)) >= 0), default=0)
    start, end = max(0, at - AROUND), min(len(text), at + 2 * AROUND)
    start = text.find(" ", start, at) + 1 or start  # don't start in the middle of a word
    is_code = text.count(CODE[0], 0, start) > text.count(CODE[1], 0, start)
    parts = ["… " if start else "", "<code>" if is_code else ""]
    for piece in re.split(f"([{CODE[0]}{CODE[1]}])", text[start:end].strip()):
        if piece in CODE:
            is_code = piece == CODE[0]
            parts.append("<code>" if is_code else "</code>")
        else:
            parts.append(_marked(piece, words))
    parts += ["</code>" if is_code else "", " …" if end < len(text) else ""]
    return mark_safe("".join(parts))  # noqa: S308 - each piece is escaped


def _marked(piece: str, words: list[str]) -> str:
    """Return a text escaped, with the search words marked."""
    marked = re.compile(
        "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.IGNORECASE
    )
    parts, last = [], 0
    for hit in marked.finditer(piece):
        parts.append(format_html("{}<mark>{}</mark>", piece[last : hit.start()], hit.group()))
        last = hit.end()
    return "".join(parts) + escape(piece[last:])
