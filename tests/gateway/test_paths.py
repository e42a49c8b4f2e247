"""Which requests are the gateway's, wherever the server is mounted."""

from __future__ import annotations

import pytest

from config.asgi import path_of


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
def test_the_prefix_is_taken_off(settings: object, script_name: str | None, root_path: str, path: str, expected: str) -> None:
    settings.FORCE_SCRIPT_NAME = script_name  # type: ignore[attr-defined]
    assert path_of({"type": "http", "path": path, "root_path": root_path}) == expected
