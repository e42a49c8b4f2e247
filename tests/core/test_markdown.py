"""Markdown that means no good: nothing of it runs, nothing of it is fetched."""

from __future__ import annotations

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.markdown import LONGEST, MOST_ADDRESSES, answer_html

pytestmark = pytest.mark.one_database

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.test/pixel.png)",
    "![x](javascript:alert(1))",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:x)",
    "[x](/t/acme/settings/)",
    "[x](//evil.test/)",
    "<https://evil.test/?a=\"onmouseover='x'>",
    '[x](https://a.test "onclick=alert(1)")',
    '<svg onload=alert(1)><style>*{}</style><iframe src="https://evil.test">',
    "<form action=https://evil.test><input name=x>",
    "```html\n<script>alert(1)</script>\n```",
    "| a | b |\n|:-:|--:|\n| <b onclick=x> | ![](https://evil.test/p) |",
    '<a href="https://evil.test" style="position:fixed">x</a>',
    "[x]: javascript:alert(1)\n\n[x]",
]
ALLOWED = {"href", "rel", "target", "class", "start", "tabindex"}


def elements(text: str) -> list[tuple[str, dict[str, str]]]:
    tree = html5lib.parseFragment(str(answer_html(text)), namespaceHTMLElements=False)
    return [
        (one.tag, dict(one.attrib))
        for one in tree.iter()
        if isinstance(one.tag, str) and one.tag != "DOCUMENT_FRAGMENT"
    ]


def check(text: str) -> None:
    for tag, attributes in elements(text):
        assert tag not in {
            "script",
            "style",
            "img",
            "iframe",
            "svg",
            "form",
            "input",
            "object",
            "embed",
            "link",
            "meta",
            "base",
        }
        assert set(attributes) <= ALLOWED
        if "href" in attributes:
            assert attributes["href"].lower().startswith(("http://", "https://", "mailto:"))
            assert attributes["rel"] == "noopener noreferrer nofollow"
            assert attributes["target"] == "_blank"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile(text: str) -> None:
    check(text)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*HOSTILE, "\n", "\n\n", "> ", "- ", "`", "**", "| ", "&", "a", "😀", "\x00"]
        ),
        max_size=12,
    )
)
def test_hostile_pieces_in_any_order(pieces: list[str]) -> None:
    check("".join(pieces))


def test_markup_is_shown_as_it_was_written() -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer_html("<script>alert(1)</script>")


def test_what_models_write() -> None:
    html = answer_html(
        "# Title\n\nSome **bold** `code`\n\n1. one\n2. two\n\n| a | b |\n|---|--:|\n| 1 | 2 "
        "|\n\n```py\nprint(1)\n```\n"
    )
    assert "<h3>Title</h3>" in html
    assert "<strong>bold</strong>" in html
    assert '<div class="scroll" tabindex="0"><table>' in html
    assert '<td class="num">2</td>' in html
    assert '<pre tabindex="0"><code>print(1)\n</code></pre>' in html


def test_an_image_is_a_link() -> None:
    html = answer_html("![a **cat**](https://pictures.test/cat.png)")
    assert html.count("<a ") == 1
    assert "a cat</a>" in html.replace("**", "")


def test_what_is_too_long_is_not_parsed() -> None:
    assert str(answer_html("*" * (LONGEST + 1))).startswith("<pre>***")


@pytest.mark.parametrize(
    "piece", ["[", "![", "*a ", "> ", "- ", "`", "<a ", "_", "|", "[a](", "\\", "&"]
)
def test_long_repeats_take_no_time(piece: str) -> None:
    answer_html(piece * (20_000 // len(piece)))


@pytest.mark.parametrize("use", ["[a] ", "![a] ", "[b][a] "])
def test_an_address_that_is_used_many_times_does_not_fill_the_memory(use: str) -> None:
    text = f"[a]: https://a.test/{'x' * 5_000} '{'y' * 5_000}'\n\n{use * 500}"
    html = str(answer_html(text))
    assert html.startswith("<pre>[a]: ")
    assert len(html) < 2 * len(text)
    few = str(answer_html(f"[a]: https://a.test/{'x' * 5_000}\n\n{use * 20}"))
    assert few.count("<a ") == 20
    assert len(few) < MOST_ADDRESSES
