"""Load templates without their indentation, so that readable templates make no larger pages."""

from __future__ import annotations

import re

from django.template import Origin
from django.template.loaders.filesystem import Loader as FilesystemLoader

# White space counts inside these elements, and in a translated block it is part of the message id.
# A line break stays where it is, so that errors name the right line.
INDENTATION = re.compile(
    r"(?P<kept><(?P<tag>pre|textarea)\b.*?</(?P=tag)>"
    r"|\{%\s*blocktrans(?:late)?\b.*?\{%\s*endblocktrans(?:late)?\s*%\})"
    r"|\n[ \t]+",
    re.DOTALL,
)


class Loader(FilesystemLoader):
    """The filesystem loader; HTML templates lose their indentation once, when they are loaded."""

    def get_contents(self, origin: Origin) -> str:
        text = super().get_contents(origin)
        return without_indentation(text) if origin.name.endswith(".html") else text


def without_indentation(html: str) -> str:
    """Return `html` with each line starting at its first visible character."""
    return INDENTATION.sub(lambda match: match["kept"] or "\n", html)
