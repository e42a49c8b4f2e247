"""Markdown to HTML that is safe to show whoever wrote it: answers of models, and pages of our
own.
"""

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

LONGEST: Final = 200_000  # characters; what is longer is shown as it was typed
# Characters of all addresses together. An address that is written once can be used by thousands of
# links: three letters each, and the HTML would be longer than the memory.
MOST_ADDRESSES: Final = 500_000
FIRST_HEADING: Final = 3  # what `#` becomes: the page has the levels above
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
# Alignment of columns comes as a class: a style would be blocked by the content security policy.
_CLASSES: Final = {"th": {"num", "middle"}, "td": {"num", "middle"}, "div": {"scroll"}}
_SCHEMES: Final = frozenset({"http", "https", "mailto"})


def answer_html(text: str) -> SafeString:
    """What a model wrote, as HTML. Nothing in it loads anything: an image becomes a link, markup is
    shown as text, a link leads to http, https or mail and opens a new tab.
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
        # What scrolls by itself can be reached by Tab.
        set_tag_attribute_values={
            "a": {"target": "_blank"},
            "pre": {"tabindex": "0"},
            "div": {"tabindex": "0"},
        },
    )
    return mark_safe(clean)  # noqa: S308 - by the sanitiser just now


def plain_html(text: str) -> SafeString:
    """As it was typed."""
    return format_html("<pre>{}</pre>", text)


def _addresses(tokens: Sequence[Token]) -> int:
    return sum(
        len(str(value))
        for token in tokens
        for part in token.children or ()
        for value in part.attrs.values()
    )


CODE = ("\ue000", "\ue001")  # around code in a section's text


@dataclass(slots=True)
class Section:
    """What stands under one heading. id: the heading's anchor, "" before the first one. level: of
    the heading.

    text: without markup, but code stands between CODE and its end.
    """

    id: str
    title: str
    level: int
    text: str = ""


@dataclass(slots=True)
class Document:
    """A page of our own. title: its first heading, which is not part of the HTML; sections: for a
    table of contents and a search.
    """

    title: str
    html: SafeString
    sections: list[Section] = field(default_factory=list)


def document(text: str, *, link: Callable[[str], str]) -> Document:
    """A page that ships with the product. Its headings keep their level and are anchors. link: from
    an address in the text to that of the page; one to another host opens a new tab.
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
        },  # what scrolls is reached by Tab
        link_rel=None,
    )
    return Document(title, mark_safe(clean), sections)  # noqa: S308 - by the sanitiser just now


def _sections(tokens: Sequence[Token]) -> list[Section]:
    """Gives every heading its anchor on the way."""
    found = [Section("", "", 1)]
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            title = _plain(tokens[at + 1]).replace(CODE[0], "").replace(CODE[1], "")
            anchor = slugify(title, allow_unicode=True) or f"s{at}"
            taken = sum(one.id == anchor or one.id.startswith(f"{anchor}--") for one in found)
            token.attrs["id"] = f"{anchor}--{taken + 1}" if taken else anchor
            found.append(Section(str(token.attrs["id"]), title, int(token.tag[1])))
        elif token.type == "inline" and tokens[at - 1].type != "heading_open":
            found[-1].text += _plain(token) + " "
        elif token.type == "fence":
            found[-1].text += f"{CODE[0]}{token.content.strip()}{CODE[1]} "
    return found


def _plain(token: Token) -> str:
    return "".join(_text_of(one) for one in token.children or ())


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
    """Never an image: whoever wrote it would learn from the request who reads, and when."""
    address, label = str(tokens[at].attrs.get("src", "")), tokens[at].content
    return f'<a href="{escape(address)}">{escape(label or address)}</a>'


def _heading(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    token.tag = f"h{min(6, int(token.tag[1]) + env.get('first_heading', FIRST_HEADING) - 1)}"
    return self.renderToken(tokens, at, options, env)


def _table(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """A wide table scrolls by itself and not the page."""
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
