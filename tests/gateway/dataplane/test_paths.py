"""Which requests are the gateway's, and which addresses its messages name, wherever the server is
mounted.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.urls import get_script_prefix, resolve, set_script_prefix

from core.asgi.paths import path_of
from gateway import page_urls


@pytest.mark.parametrize(
    ("script_name", "root_path", "path", "expected"),
    [
        (None, "", "/v1/models", "/v1/models"),
        (None, "/hub", "/hub/v1/models", "/v1/models"),
        ("/hub", "", "/hub/v1/models", "/v1/models"),
        ("/hub", "", "/v1/models", "/v1/models"),  # the proxy has taken the prefix off
        ("/v1", "", "/v1/t/acme/", "/t/acme/"),
        (None, "/hub", "/hubble/v1/models", "/hubble/v1/models"),
    ],
)
def test_the_prefix_is_taken_off(
    settings: object, script_name: str | None, root_path: str, path: str, expected: str
) -> None:
    settings.FORCE_SCRIPT_NAME = script_name  # type: ignore[attr-defined]
    assert path_of({"type": "http", "path": path, "root_path": root_path}) == expected


@pytest.fixture(params=["/", "/hub/"])
def known_prefix(request: pytest.FixtureRequest) -> Iterator[str]:
    """Whether Django's thread happens to know the prefix: it does within its own requests."""
    before = get_script_prefix()
    set_script_prefix(request.param)
    yield request.param
    set_script_prefix(before)


@pytest.mark.parametrize("script_name", [None, "/hub", "/hub/"])
def test_a_page_is_named_where_it_is(
    settings: object, known_prefix: str, script_name: str | None
) -> None:
    settings.FORCE_SCRIPT_NAME = script_name  # type: ignore[attr-defined]
    named = page_urls.page("provider-credentials", workspace="acme", provider="openai")
    assert (
        named
        == ("/hub" if script_name else "") + "/t/acme/settings/model-providers/openai/credentials/"
    )
    assert resolve(named.removeprefix("/hub")).url_name == "provider-credentials"
