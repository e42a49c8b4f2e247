"""Templates lose their indentation, and nothing else."""

from __future__ import annotations

import pytest
from django.template.loader import get_template

from core.web.template_loader import without_indentation

KEPT = [
    "<p>one <b>two</b>  three</p>\n",
    "<pre>\n  if true; then\n    echo\n</pre>",
    '<textarea name="text">\n  one\n</textarea>',
    "<p>\n{% blocktrans with n=n %}one\n  two{% endblocktrans %}\n</p>",
    "<p>\n{% blocktranslate %}one\n  two{% endblocktranslate %}\n</p>",
]


def test_lines_start_at_their_first_visible_character() -> None:
    html = "<ul>\n  {% for one in all %}\n    <li>{{ one }}</li>\n  {% endfor %}\n\n</ul>\n"
    assert without_indentation(html) == (
        "<ul>\n{% for one in all %}\n<li>{{ one }}</li>\n{% endfor %}\n\n</ul>\n"
    )


@pytest.mark.parametrize("html", KEPT)
def test_white_space_that_is_content_stays(html: str) -> None:
    assert without_indentation(html) == html


def test_indentation_after_what_is_kept_goes() -> None:
    assert without_indentation("<pre>\n  a\n</pre>\n  <p>\n    b\n  </p>") == (
        "<pre>\n  a\n</pre>\n<p>\nb\n</p>"
    )


def test_pages_are_loaded_so() -> None:
    source = get_template("base_workspace.html").template.source
    assert "<main" in source
    assert "\n " not in source
