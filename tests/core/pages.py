"""Where the pages of the workspace acme are, how a test signs in and reads them, and what holds of
all of them.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import html5lib
from django.test import Client

from tests import factories

SETTINGS = "/t/acme/settings"
PROVIDERS = f"{SETTINGS}/model-providers"
MOST_QUERIES = 12


def signed_in(user: Any) -> Client:
    """Through the form, so that cookies and the time of the sign-in are as they are for people."""
    client = Client()
    answer = client.post(
        "/accounts/login/", {"username": user.email, "password": factories.PASSWORD}
    )
    assert answer.status_code == 302, answer.content[:300]
    return client


def parsed(answer: Any) -> Any:
    return html5lib.parse(answer.content, namespaceHTMLElements=False)


def headings(tree: Any) -> list[int]:
    return [
        int(one.tag[1])
        for one in tree.find("body").iter()
        if isinstance(one.tag, str) and re.fullmatch("h[1-6]", one.tag)
    ]


def sorted_without_gaps(levels: list[int]) -> list[int]:
    """The same list if there is one h1 and no level is skipped on the way down; else what was
    wrong.
    """
    # The navigation's own heading stands before the page's h1.
    body = levels[levels.index(1) :] if 1 in levels else []
    fine = levels.count(1) == 1 and all(
        after - before <= 1 for before, after in itertools.pairwise(body)
    )
    return levels if fine else [-1]


def unlabelled(tree: Any) -> list[str]:
    labelled = {label.get("for") for label in tree.iter("label")} | {
        inner.get("id") for label in tree.iter("label") for inner in label.iter("input")
    }
    inside = {id(inner) for label in tree.iter("label") for inner in label.iter("input")}
    found = []
    for tag in ("input", "select", "textarea"):
        for one in tree.iter(tag):
            named = one.get("id") in labelled or id(one) in inside or one.get("aria-label")
            if one.get("type") not in ("hidden", "submit") and not named:
                found.append(f"{tag} {one.get('name')}")
    return found
