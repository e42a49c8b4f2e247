"""Markdown to safe HTML, for model output and for our own pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import nh3
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

LONGEST: Final = 200_000  # characters; longer text is shown as plain text
# Total characters of all link targets. Thousands of three-letter reference links can share one long
# target, and the HTML could exhaust memory.
MOST_ADDRESSES: Final = 500_000
FIRST_HEADING: Final = 3  # level of `#`; the page uses the levels above
_TEXT: Final = (
    "a",
    "p",
    "br",
    "hr",
    "em",
    "strong",
    "s",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "h3",
    "h4",
    "h5",
    "h6",
)
_TABLE: Final = ("div", "table", "thead", "tbody", "tr", "th", "td")
_ATTRIBUTES: Final[dict[str, set[str]]] = {"*": set(), "a": {"href"}, "ol": {"start"}}
# Column alignment uses classes because the content security policy blocks inline styles.
_CLASSES: Final = {"th": {"num", "middle"}, "td": {"num", "middle"}, "div": {"scroll"}}
_SCHEMES: Final = frozenset({"http", "https", "mailto"})


def answer_html(text: str) -> SafeString:
    """Render model output as HTML that loads nothing.

    Images become links and markup is shown as text. Links may use http, https or mailto and open
    in a new tab.
    """
    env: dict[str, Any] = {}
    tokens = _parser().parse(text, env) if len(text) <= LONGEST else None
    if tokens is None or _addresses(tokens) > MOST_ADDRESSES:
        return plain_html(text)
    clean = nh3.clean(
        _parser().renderer.render(tokens, _parser().options, env),
        tags={*_TEXT, *_TABLE},
        attributes=_ATTRIBUTES,
        allowed_classes=_CLASSES,
        url_schemes=set(_SCHEMES),
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        # Makes scrollable elements reachable with Tab.
        set_tag_attribute_values={
            "a": {"target": "_blank"},
            "pre": {"tabindex": "0"},
            "div": {"tabindex": "0"},
        },
    )
    return mark_safe(clean)  # noqa: S308 - sanitised above


def plain_html(text: str) -> SafeString:
    """Show text verbatim."""
    return format_html("<pre>{}</pre>", text)


def _addresses(tokens: Sequence[Token]) -> int:
    return sum(
        len(str(value))
        for token in tokens
        for part in token.children or ()
        for value in part.attrs.values()
    )


CODE = ("\ue000", "\ue001")  # mark the start and end of code in a section's text


@dataclass(slots=True)
class Section:
    """The content under one heading.

    Args:
        id: The heading's anchor; "" before the first heading.
        level: The heading's level.
        text: Plain text, with code between the CODE markers.
    """

    id: str
    title: str
    level: int
    text: str = ""


@dataclass(slots=True)
class Document:
    """A rendered page of our own.

    Args:
        title: The first heading, which is not in the HTML.
        sections: For the table of contents and search.
    """

    title: str
    html: SafeString
    sections: list[Section] = field(default_factory=list)


def document(text: str, *, link: Callable[[str], str]) -> Document:
    """Render a page that ships with the product, with an anchor for each heading.

    Args:
        link: Maps a link target in the text to a URL. Links to other hosts open in a new tab.
    """
    env: dict[str, Any] = {"first_heading": 1}
    tokens = _parser().parse(text, env)
    title, tokens = (
        (tokens[1].content, tokens[3:]) if tokens and tokens[0].tag == "h1" else ("", tokens)
    )
    sections = _sections(tokens)
    for token in tokens:
        for inner in token.children or ():
            if inner.type == "link_open":
                _lead(inner, link(str(inner.attrs.get("href", ""))))
    clean = nh3.clean(
        _parser().renderer.render(tokens, _parser().options, env),
        tags={*_TEXT, *_TABLE, "h2"},
        attributes=_ATTRIBUTES
        | {"a": {"href", "target", "rel"}}
        | {f"h{level}": {"id"} for level in range(2, 7)},
        allowed_classes=_CLASSES,
        url_schemes=set(_SCHEMES),
        set_tag_attribute_values={
            "pre": {"tabindex": "0"},
            "div": {"tabindex": "0"},
        },  # makes scrollable elements reachable with Tab
        link_rel=None,
    )
    return Document(title, mark_safe(clean), sections)  # noqa: S308 - sanitised above


def _sections(tokens: Sequence[Token]) -> list[Section]:
    """Return the sections, adding an anchor to each heading token."""
    result = [Section("", "", 1)]
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            title = _plain(tokens[at + 1]).replace(CODE[0], "").replace(CODE[1], "")
            anchor = slugify(title, allow_unicode=True) or f"s{at}"
            taken = sum(
                section.id == anchor or section.id.startswith(f"{anchor}--") for section in result
            )
            token.attrs["id"] = f"{anchor}--{taken + 1}" if taken else anchor
            result.append(Section(str(token.attrs["id"]), title, int(token.tag[1])))
        elif token.type == "inline" and tokens[at - 1].type != "heading_open":
            result[-1].text += _plain(token) + " "
        elif token.type == "fence":
            result[-1].text += f"{CODE[0]}{token.content.strip()}{CODE[1]} "
    return result


def _plain(token: Token) -> str:
    return "".join(_text_of(part) for part in token.children or ())


def _text_of(part: Token) -> str:
    if part.type == "code_inline":
        return f"{CODE[0]}{part.content}{CODE[1]}"
    return " " if part.type in ("softbreak", "hardbreak") else part.content


def _lead(token: Token, address: str) -> None:
    token.attrs["href"] = address
    if address.startswith(("http://", "https://")):
        token.attrs |= {"target": "_blank", "rel": "noopener noreferrer"}


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": False})
    parser.enable(["table", "strikethrough"])
    for rule in (
        "image",
        "heading_open",
        "heading_close",
        "table_open",
        "table_close",
        "th_open",
        "td_open",
    ):
        parser.add_render_rule(rule, _RULES[rule])
    return parser


def _image(_self: RendererHTML, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    """Render a link instead: loading an image would tell its author who reads the text and when."""
    address, label = str(tokens[at].attrs.get("src", "")), tokens[at].content
    return f'<a href="{escape(address)}">{escape(label or address)}</a>'


def _heading(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    token.tag = f"h{min(6, int(token.tag[1]) + env.get('first_heading', FIRST_HEADING) - 1)}"
    return self.renderToken(tokens, at, options, env)


def _table(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """Wrap a table so that it scrolls on its own instead of widening the page."""
    tag = self.renderToken(tokens, at, options, env)
    return f'<div class="scroll">{tag}' if tokens[at].nesting == 1 else f"{tag}</div>"


def _cell(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    style = str(tokens[at].attrs.pop("style", ""))
    if style.endswith(("right", "center")):
        tokens[at].attrs["class"] = "num" if style.endswith("right") else "middle"
    return self.renderToken(tokens, at, options, env)


_RULES: Final = {
    "image": _image,
    "heading_open": _heading,
    "heading_close": _heading,
    "table_open": _table,
    "table_close": _table,
    "th_open": _cell,
    "td_open": _cell,
}
