"""Finds the browser that the browser tests drive."""

from __future__ import annotations

import os
import shutil

# The headless shell is the same engine without the windows, menus and pages of a desktop browser,
# which take a fifth of the tests' CPU time. deploy/install-chromium installs it.
NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)


def find_chromium() -> str | None:
    """The path of the browser; None if there is none. The variable CHROMIUM names another one."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
