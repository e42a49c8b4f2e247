"""Check what djangofmt leaves alone: `python -m tests.template_style`, run by `make lint`.

Lines have at most 120 columns, and an element with more than two attributes has a line of its own.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser

from tests.source import ROOT

COLUMNS = 120
FEW_ATTRIBUTES = 2
DJANGO = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}")


class OpeningTags(HTMLParser):
    """Collect line (from 1), column (from 0), text and number of attributes of every opening
    tag.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[int, int, str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((*self.getpos(), self.get_starttag_text() or "", len(attrs)))


def problems(template: str) -> Iterator[tuple[int, str]]:
    """Yield the line (from 1) and what is wrong with it."""
    for number, line in enumerate(template.splitlines(), 1):
        if len(line) > COLUMNS:
            yield number, f"{len(line)} columns, more than {COLUMNS}"
    yield from crowded(template)


def crowded(template: str) -> Iterator[tuple[int, str]]:
    """Yield elements with many attributes on one line, beside other content or elements."""
    # Django's tags hold quotes and angle brackets that are not HTML's.
    html = DJANGO.sub(lambda match: "x" * len(match[0]), template)
    parser = OpeningTags()
    parser.feed(html)
    lines = html.splitlines()
    tags_on_line = Counter(number for number, *_ in parser.tags)
    for number, column, tag, attributes in parser.tags:
        if attributes <= FEW_ATTRIBUTES or "\n" in tag:
            continue
        if tags_on_line[number] > 1 or lines[number - 1][:column].strip():
            yield number, f"an element with {attributes} attributes shares its line"


def main() -> int:
    count = 0
    for path in sorted((ROOT / "templates").rglob("*.*")):
        for number, problem in problems(path.read_text(encoding="utf-8")):
            print(f"{path.relative_to(ROOT)}:{number}: {problem}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
