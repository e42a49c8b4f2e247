"""Which URL a typed base URL leads to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from providers.credentials.called import called_urls
from providers.declaration import registry

SERVER = "https://models.example.com"


@pytest.mark.parametrize(
    ("provider", "typed", "urls"),
    [
        (
            "openai_compatible",
            f"{SERVER}/inference",
            [f"{SERVER}/inference/v1/chat/completions", f"{SERVER}/inference/chat/completions"],
        ),
        ("openai_compatible", f"{SERVER}/v1/chat/completions", [f"{SERVER}/v1/chat/completions"]),
        ("openai_compatible", "http://10.0.0.1", []),
        ("anthropic", f"{SERVER}/v1/messages", [f"{SERVER}/v1/messages"]),
        ("azure_openai", SERVER, [f"{SERVER}/openai/v1/chat/completions"]),
        (
            "azure_openai",
            f"{SERVER}/openai/deployments/d/chat/completions?api-version=2024-10-21",
            [f"{SERVER}/openai/deployments/MODEL/chat/completions"],
        ),
        ("wenxin", SERVER, [f"{SERVER}/v2/chat/completions"]),
        ("demo", SERVER, []),
    ],
)
def test_urls(provider: str, typed: str, urls: Sequence[str]) -> None:
    declared = next(item for item in registry.all_providers() if item.slug == provider)
    assert list(called_urls(declared, {}, typed)) == urls
