"""Every row of the sitemap in Chinese, dark: nothing is left in English, and it fits into 320
pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.checks import PHONE
from tests.browser.site import Window
from tests.browser.sitemap import Row
from tests.browser.sweep import CHINESE, look_chinese, rows

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("row", rows(0, 1), ids=lambda row: row.name)
def test_page(
    row: Row, windows: Callable[..., Window], record_property: Callable[..., None]
) -> None:
    options = {"locale": "zh-CN", "viewport": PHONE, "color_scheme": "dark"}
    found = look_chinese(windows(row, cached=True, **options), row)
    record_property("seen in a browser", f"{row.name}: {', '.join(CHINESE)}")
    assert found == []
