"""A page's HTML as a browser reads it: where a template breaks its lines makes no difference."""

from __future__ import annotations

import re
from typing import Any

_TAG = re.compile(r"""<[/!]?[a-zA-Z](?:"[^"]*"|'[^']*'|[^>"'])*>""")
_VERBATIM = re.compile(
    r"(<(pre|textarea|script|style)\b(?:\"[^\"]*\"|'[^']*'|[^>\"'])*>)(.*?)(</\2\s*>)",
    re.DOTALL | re.IGNORECASE,
)
_SPACE = re.compile(r"[ \t\r\n\f]+")  # what HTML folds; a no-break space stays
_IN_TAG = re.compile(r"""("[^"]*"|'[^']*')|[ \t\r\n\f]+""")
_CLASS = re.compile(r'(?<= class=")[^"]*')


def folded(page: Any) -> str:
    """The HTML of an answer, or of a string, without the white space that browsers don't show: one
    space between words and between attributes, none beside a tag. What stands in quotes, in
    <pre> and in <textarea> is left as it is.
    """
    html = page if isinstance(page, str) else page.content.decode()
    pieces = []
    end = 0
    for found in _VERBATIM.finditer(html):
        pieces += [_fold(html[end : found.start()]), _tag(found[1]), found[3], found[4]]
        end = found.end()
    pieces.append(_fold(html[end:]))
    return "".join(pieces)


def _fold(html: str) -> str:
    pieces = []
    end = 0
    for found in _TAG.finditer(html):
        pieces += [_text(html[end : found.start()]), _tag(found[0])]
        end = found.end()
    pieces.append(_text(html[end:]))
    return "".join(pieces)


def _text(text: str) -> str:
    return _SPACE.sub(" ", text).strip(" ")


def _tag(tag: str) -> str:
    one_line = _IN_TAG.sub(lambda found: found[1] or " ", tag).replace(" >", ">")
    return _CLASS.sub(lambda found: _text(found[0]), one_line)
