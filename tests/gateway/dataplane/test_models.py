"""What the list of models promises can be called, and nothing else is promised."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
import requests

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import KEY, Hub, running_hub

pytestmark = pytest.mark.slow  # a server runs

TRIAL = ["gpt-3.5-turbo", "gpt-3.5-turbo-16k"]
ADDRESSED = "openai_compatible/llama"  # has an address of its own, and no key anywhere
STRANDED = "openai_compatible/stranded"  # was added with a credential that is gone


@pytest.fixture(scope="module")
def tried() -> Iterator[Hub]:
    """A workspace that lives on a trial at OpenAI and a server without a key."""
    with Running(FakeProvider()) as fake:
        for hub in running_hub(fake):
            hub.seed(
                plan={
                    "plan": "openai",
                    "limit": 1000,
                    "models": dict.fromkeys(TRIAL, 1),
                    "values": {"api_key": KEY, "base_url": fake.url},
                },
                models=[
                    {
                        "provider": "openai_compatible",
                        "model": "llama",
                        "type": "reasoning",
                        "base_url": f"{fake.url}/v1",
                    },
                    {"provider": "openai_compatible", "model": "stranded", "type": "reasoning"},
                ],
            )
            yield hub


def get(hub: Hub, name: str = "") -> requests.Response:
    path = f"/models/{name}" if name else "/models"
    return hub.session.get(
        hub.base + path, headers={"Authorization": f"Bearer {hub.server.app_key}"}, timeout=10
    )


def test_the_list_holds_what_can_be_called(tried: Hub) -> None:
    ids = [model.id for model in tried.sdk().models.list()]
    assert sorted(ids) == sorted([ADDRESSED, *(f"openai/{model}" for model in TRIAL)])
    for name in ids:
        assert tried.chat(name).status_code == 200, name
    for name, status in (("openai/gpt-4o-mini", 403), (STRANDED, 424)):
        assert tried.chat(name).status_code == status
        assert get(tried, name).status_code == 404


def test_a_bare_name_is_looked_up_among_them(tried: Hub) -> None:
    assert tried.sdk().models.retrieve("gpt-3.5-turbo").id == "openai/gpt-3.5-turbo"
    assert tried.sdk().models.retrieve("llama").id == ADDRESSED
    for name in ("gpt-4o-mini", "stranded", "nothing"):
        with pytest.raises(openai.NotFoundError):
            tried.sdk().models.retrieve(name)


def test_a_name_of_two_providers_says_so_and_a_full_name_is_its_own(tried: Hub) -> None:
    url = f"{tried.fake.url}/v1"
    for model in ("gpt-3.5-turbo-16k", "openai/gpt-3.5-turbo"):
        tried.seed(
            models=[
                {
                    "provider": "openai_compatible",
                    "model": model,
                    "type": "reasoning",
                    "base_url": url,
                }
            ]
        )
    refused = get(tried, "gpt-3.5-turbo-16k")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "ambiguous_model")
    assert (
        "openai/gpt-3.5-turbo-16k, openai_compatible/gpt-3.5-turbo-16k"
        in refused.json()["error"]["message"]
    )
    assert get(tried, "openai/gpt-3.5-turbo").json()["id"] == "openai/gpt-3.5-turbo"


def test_the_rest_api_says_of_each_whether_it_can_be_called(tried: Hub) -> None:
    listed = {model.id for model in tried.sdk().models.list()}
    headers = {"Authorization": f"Bearer {tried.server.app_key}"}
    for wanted in ("true", "false"):
        url = f"{tried.server.url}/api/v1/models/?limit=200&callable={wanted}"
        found = tried.session.get(url, headers=headers, timeout=10).json()["results"]
        assert {model["callable"] for model in found} == {wanted == "true"}
        assert ({model["id"] for model in found} == listed) is (wanted == "true")


def test_a_credential_makes_all_of_them_callable(tried: Hub) -> None:
    """Last: it changes the workspace."""
    tried.seed(
        credentials=[
            {
                "provider": "openai",
                "name": "Own",
                "values": {"api_key": KEY},
                "base_url": tried.fake.url,
            }
        ]
    )
    assert get(tried, "gpt-4o-mini").json()["id"] == "openai/gpt-4o-mini"
    assert tried.chat("gpt-4o-mini").status_code == 200
