"""What people paste as the endpoint of an Azure resource."""

from __future__ import annotations

import pytest

from providers.credentials.messages import Sent, message_for
from providers.declaration import registry
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Access, ModelFacts, Operation, Reply, Request
from providers.wire.dialects.azure_openai import errors, read_base_url
from tenants.scope import tenant_scope
from tests.factories import Workspace, marked_secret, store_credential
from tests.providers.driving import run

ACME = "https://acme.openai.azure.com"


@pytest.mark.parametrize(
    ("pasted", "endpoint", "version"),
    [
        (ACME, ACME, ""),
        (f"{ACME}/", ACME, ""),
        (f"{ACME}/openai", ACME, ""),
        (f"{ACME}/openai/v1/", ACME, ""),
        (f"{ACME}//openai/v1/responses?api-version=preview", ACME, "preview"),
        (
            f"{ACME}/openai/deployments/x/chat/completions?api-version=2024-10-21",
            ACME,
            "2024-10-21",
        ),
        (f"{ACME}/openai/deployments/x?a=b&api-version=2024-10-21#top", ACME, "2024-10-21"),
        (f"{ACME}/?api-version=", ACME, ""),
        (
            "acme.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
            "acme.services.ai.azure.com",
            "2024-05-01-preview",
        ),
        ("https://apim.example.com/team/openai/v1", "https://apim.example.com/team", ""),
        ("https://apim.example.com/openai-gateway", "https://apim.example.com/openai-gateway", ""),
        ("https://openai/", "https://openai", ""),
        ("", "", ""),
    ],
)
def test_a_pasted_address_tells_endpoint_and_version(
    pasted: str, endpoint: str, version: str
) -> None:
    assert read_base_url(pasted) == (endpoint, {"api_version": version} if version else {})


@pytest.mark.django_db
def test_what_a_pasted_address_tells_is_stored(acme: Workspace) -> None:
    def store(name: str, **values: str) -> tuple[str, str]:
        values["api_key"] = marked_secret("azure")
        with tenant_scope(acme.tenant):
            row = store_credential(
                tenant=acme.tenant, provider="azure_openai", name=name, values=values
            )
        return row.base_url, row.values.get("api_version", "")

    pasted = f"{ACME}/openai/deployments/x/chat/completions?api-version=2024-10-21"
    assert store("a", base_url=pasted) == (ACME, "2024-10-21")
    assert store("b", base_url=pasted, api_version="2025-04-01-preview") == (
        ACME,
        "2025-04-01-preview",
    )
    assert store("c", base_url=ACME) == (ACME, "")


def test_what_is_missing_is_said_before_anyone_is_asked() -> None:
    azure = registry.get("azure_openai")
    request = Request(Operation.CHAT, "d", {"messages": [{"role": "user", "content": "Hi"}]})
    with pytest.raises(ProviderError) as caught:
        run(azure, request, Access({"client_id": "app-0123456789"}, ACME), ModelFacts(), [])
    assert message_for(azure, caught.value, None) == (
        "Enter an API key, or all of directory (tenant) ID, application (client) ID and client "
        "secret. Nothing was saved."
    )


def test_a_status_that_is_the_code_as_well_is_said_once() -> None:
    error = errors(Reply(401, {}, b'{"error":{"code":"401","message":"Access denied"}}'))
    assert error is not None
    message = message_for(
        registry.get("azure_openai"),
        error,
        Sent("GET", "acme.openai.azure.com", "/openai/v1/models"),
    )
    assert message.startswith("Azure OpenAI Service refused this key (401).")
