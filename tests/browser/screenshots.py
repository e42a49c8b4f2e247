"""Pictures of every row of the sitemap in light, dark, Chinese and at 320 pixels, and a page that
shows them all:

    python -m tests.browser.screenshots FOLDER [NAME ...] [--docs]

NAME: only the rows whose name begins so. --docs: also write the pictures that the README shows, to
docs/images.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
# Playwright keeps an event loop in this thread; the ORM is used beside it, never inside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

import django

django.setup()

from playwright.sync_api import Browser  # noqa: E402
from playwright.sync_api import Error as BrowserError  # noqa: E402

from tests.browser import sweep  # noqa: E402
from tests.browser.acts import ACTS  # noqa: E402
from tests.browser.checks import DESK, PHONE  # noqa: E402
from tests.browser.chromium import browser  # noqa: E402
from tests.browser.site import Site, Window, running_site  # noqa: E402
from tests.browser.sitemap import SITEMAP, Row  # noqa: E402
from tests.command_server import REPOSITORY  # noqa: E402

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "chinese": {"locale": "zh-CN"},
    "narrow": {"viewport": PHONE},
}
# File in docs/images -> row, look, height of the window.
README = {
    "model-providers.png": ("providers", "light", 860),
    "setup-refused.png": ("setup dialog refused", "dark", 700),
    "playground.png": ("playground answered", "light", 760),
}


def file_name(row: Row, look: str) -> str:
    return f"{row.name.replace(' ', '-')}-{look}.png"


def take(site: Site, running: Browser, rows: list[Row], look: str, folder: Path) -> Iterator[str]:
    """Take the pictures of one look; what went wrong."""
    with ExitStack() as opened:
        windows: dict[str, Window] = {}
        for row in rows:
            if row.space not in windows:
                windows[row.space] = opened.enter_context(
                    sweep.window_of(site, running, row, **LOOKS[look])
                )
            try:
                picture(windows[row.space], row, folder / file_name(row, look))
            except BrowserError as error:
                yield f"{row.name} {look}: {str(error).splitlines()[0]}"
            yield from (
                f"{row.name} {look}: {line}" for line in windows[row.space].watch.everything()
            )
            windows[row.space].watch.forget()


def picture(window: Window, row: Row, path: Path, *, full_page: bool = True) -> None:
    sweep.load(window, row)
    sweep.act(window, row)
    has_dialog = row.act in (ACTS.keys() & {"open_dialog", "open_long_dialog", "refuse_in_dialog"})
    window.page.screenshot(path=path, full_page=full_page and not has_dialog)


def for_readme(site: Site, running: Browser) -> None:
    rows = {row.name: row for row in SITEMAP}
    for name, (row, look, height) in README.items():
        size = {"width": DESK["width"], "height": height}
        with sweep.window_of(
            site, running, rows[row], **LOOKS[look] | {"viewport": size}
        ) as window:
            picture(window, rows[row], REPOSITORY / "docs" / "images" / name, full_page=False)


def gallery(rows: list[Row], folder: Path) -> str:
    """A page with all pictures, small, each a link to the whole one."""
    head = "".join(f"<th>{look}</th>" for look in LOOKS)
    lines = []
    for row in rows:
        cells = "".join(_cell(folder, file_name(row, look)) for look in LOOKS)
        lines.append(
            f"<tr><th scope=row>{escape(row.name)}<br>"
            f"<code>{escape(row.path)}</code></th>{cells}</tr>"
        )
    style = (
        "body{font:14px "
        "system-ui;margin:1rem}td{vertical-align:top}img{width:18rem;border:1px solid "
        "#ccc}td:last-child img{width:8rem}"
    )
    table = (
        f"<table><thead><tr><th>Page</th>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )
    head = f"<meta charset=utf-8><title>Pages of Modelkeep</title><style>{style}</style>"
    return f"<!doctype html>{head}{table}"


def _cell(folder: Path, name: str) -> str:
    if not (folder / name).exists():
        return "<td>–</td>"
    return f'<td><a href="{name}"><img src="{name}" alt="" loading="lazy"></a></td>'


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--docs", action="store_true")
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    rows = [row for row in SITEMAP if not wanted.names or row.name.startswith(tuple(wanted.names))]
    with running_site() as site, browser() as running:
        if wanted.docs:
            for_readme(site, running)
        faults = [line for look in LOOKS for line in take(site, running, rows, look, wanted.folder)]
    (wanted.folder / "index.html").write_text(gallery(rows, wanted.folder), encoding="utf-8")
    print(
        f"{wanted.folder}/index.html shows {len(rows)} pages in {len(LOOKS)} looks",
        *faults,
        sep="\n",
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
