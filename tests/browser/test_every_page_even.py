"""Every even row of the sitemap in English: light, 320 pixels, wide text, forced colours, reduced
motion; each page once also dark.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.site import Window
from tests.browser.sitemap import Row
from tests.browser.sweep import ENGLISH, look, measured, rows

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("row", rows(0, 2), ids=lambda row: row.name)
def test_page(
    row: Row, windows: Callable[..., Window], record_property: Callable[..., None]
) -> None:
    found, numbers = look(windows(row, cached=False), row)
    record_property("seen in a browser", f"{row.name}: {', '.join(ENGLISH)}")
    for what, number in measured(row, numbers).items():
        record_property("the most of a page", f"{what}|{number}|{row.name}")
    assert found == []
