"""A key that cannot be opened goes nowhere: wrong master key, damaged or moved ciphertext, edited
address.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import Iterator

import pytest
import requests

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import CHAT, KEY, Hub, running_hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]


@pytest.fixture(scope="module")
def trapped() -> Iterator[tuple[Hub, FakeProvider]]:
    """A hub, and a second provider that must never hear anything."""
    with Running(FakeProvider()) as fake, Running(FakeProvider()) as trap:
        for hub in running_hub(fake, MODELKEEP_EGRESS_ALLOW=f"{fake.url},{trap.url}"):
            hub.seed(
                credentials=[
                    {
                        "provider": "openai",
                        "name": "Main",
                        "values": {"api_key": KEY},
                        "base_url": fake.url,
                    }
                ]
            )
            yield hub, trap


@pytest.fixture
def stored(trapped: tuple[Hub, FakeProvider]) -> Iterator[tuple[Hub, FakeProvider, str]]:
    """(hub, trap, sealed value), with the row put right afterwards."""
    hub, trap = trapped
    [(sealed, base_url)] = hub.rows("SELECT sealed, base_url FROM providers_providercredential")
    assert hub.chat(CHAT).status_code == 200
    yield hub, trap, sealed
    hub.execute(
        f"UPDATE providers_providercredential SET sealed = '{sealed}', base_url = '{base_url}', "
        f"state = 'connected', resting_until = NULL"
    )
    hub.server.stop()
    hub.server.start()
    assert trap.count == 0


def refused_as_unreadable(hub: Hub) -> None:
    hub.server.stop()  # nothing opened is remembered
    hub.server.start()
    hub.fake.reset()
    response = hub.chat(CHAT)
    assert (response.status_code, response.json()["error"]["code"]) == (
        503,
        "credential_unreadable",
    )
    assert hub.fake.count == 0
    record = hub.record(response)
    assert (record["status"], record["error_code"]) == ("error", "credential_unreadable")


def test_an_edited_address_gets_no_key(stored: tuple[Hub, FakeProvider, str]) -> None:
    hub, trap, _sealed = stored
    hub.execute(f"UPDATE providers_providercredential SET base_url = '{trap.url}'")
    refused_as_unreadable(hub)


def test_damaged_ciphertext_is_never_sent(stored: tuple[Hub, FakeProvider, str]) -> None:
    hub, _trap, sealed = stored
    middle = len(sealed) // 2
    hub.execute(
        f"UPDATE providers_providercredential SET sealed = "
        f"'{sealed[:middle]}{'A' if sealed[middle] != 'A' else 'B'}{sealed[middle + 1 :]}'"
    )
    refused_as_unreadable(hub)


def test_a_wrong_master_key_opens_nothing(stored: tuple[Hub, FakeProvider, str]) -> None:
    hub, _trap, _sealed = stored
    hub.server.stop()
    right = hub.server.env.get("MODELKEEP_MASTER_KEYS")
    hub.server.env["MODELKEEP_MASTER_KEYS"] = (
        "m9:" + base64.b64encode(secrets.token_bytes(32)).decode()
    )
    hub.fake.reset()
    with contextlib.suppress(AssertionError):  # it may refuse to start; it must not serve either
        hub.server.start(until="/healthz")
    try:
        with contextlib.suppress(requests.ConnectionError):
            assert hub.chat(CHAT).status_code == 503
    finally:
        hub.server.stop()
        hub.server.env.pop("MODELKEEP_MASTER_KEYS")
        if right is not None:
            hub.server.env["MODELKEEP_MASTER_KEYS"] = right
        hub.server.start()
    assert hub.fake.count == 0
    assert hub.chat(CHAT).status_code == 200
