"""A server with an own key and a trial, whose providers and database fail in tests."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import KEY, Hub, running_hub


def seeded_hub(**limits: str) -> Iterator[Hub]:
    """Yield the server.

    Args:
        limits: Its settings.
    """
    with Running(FakeProvider()) as fake:
        for hub in running_hub(fake, **limits):
            values = {"api_key": KEY}
            hub.seed(
                credentials=[
                    {"provider": "openai_compatible", "name": "Lab", "values": values}
                    | {"base_url": f"{fake.url}/v1"}
                ],
                models=[
                    {"provider": "openai_compatible", "model": "gpt-4o-mini", "type": "reasoning"}
                ],
                plan={
                    "plan": "openai",
                    "limit": 1000,
                    "models": {"gpt-3.5-turbo": 1},
                    "values": values | {"base_url": fake.url},
                },
            )
            yield hub
