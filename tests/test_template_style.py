"""The check of templates finds what it is there for."""

from __future__ import annotations

import pytest

from tests.template_style import problems

MANY = 'class="a" id="b" title="c"'


@pytest.mark.parametrize(
    "template",
    [
        "x" * 120,
        f'<p>\n  <a {MANY}>{{% trans "one" %}}</a>\n</p>',
        '<p><a\n  class="a"\n  id="b"\n  title="c"\n>one</a></p>',
        '<p class="a" id="b"><b class="a" id="b">one</b></p>',
        '<a class="a" href="{% url "home" query="x>y" %}">{% trans "one" %}</a><b>two</b>',
    ],
)
def test_what_may_stand_in_a_template(template: str) -> None:
    assert list(problems(template)) == []


@pytest.mark.parametrize(
    "template",
    [
        "\n" + "x" * 121,
        f"\n<p><a {MANY}>one</a></p>",
        f"\n<a {MANY}><b>one</b></a>",
        f"\none <a {MANY}>two</a>",
        f"\n{{% if one %}}<a {MANY}>two</a>{{% endif %}}",
    ],
)
def test_what_is_found(template: str) -> None:
    assert [line for line, _ in problems(template)] == [2]
