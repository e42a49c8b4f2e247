"""Load templates without indentation, so that readable templates don't enlarge pages."""

from __future__ import annotations

import re

from django.template import Origin
from django.template.loaders.filesystem import Loader as FilesystemLoader

# White space is significant in these elements and part of the message id in translated blocks.
# Line breaks are kept so that errors report the right line.
INDENTATION = re.compile(
    r"(?P<kept><(?P<tag>pre|textarea)\b.*?</(?P=tag)>"
    r"|\{%\s*blocktrans(?:late)?\b.*?\{%\s*endblocktrans(?:late)?\s*%\})"
    r"|\n[ \t]+",
    re.DOTALL,
)


class Loader(FilesystemLoader):
    """A filesystem loader that strips indentation from HTML templates."""

    def get_contents(self, origin: Origin) -> str:
        text = super().get_contents(origin)
        return without_indentation(text) if origin.name.endswith(".html") else text


def without_indentation(html: str) -> str:
    """Remove the indentation of each line."""
    return INDENTATION.sub(lambda match: match["kept"] or "\n", html)
