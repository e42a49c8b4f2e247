"""Credentials and catalog over a real socket, through a rotation of keys, and `manage.py check`."""

from __future__ import annotations

from typing import Any

import pytest

from models_catalog import checks as catalog_checks
from models_catalog import queries as catalog
from models_catalog.models import TenantModel
from models_catalog.services import adding
from providers import checks
from providers.credentials import opening, services
from providers.credentials.checking import CredentialRefused
from providers.models import CredentialState, ProviderCredential
from tenants.audit.trail import COMMAND
from tenants.crypto import keys
from tenants.models import KeyOpening, Tenant
from tenants.scope import tenant_scope
from tests.factories import Workspace, make_credential, marked_secret
from tests.fakes.fixtures import fake_provider  # noqa: F401  (a fixture)
from tests.fakes.provider import FakeProvider


def add(tenant: Tenant, fake: FakeProvider, **more: Any) -> ProviderCredential:
    given = {
        "provider": "openai",
        "name": "Main",
        "values": {"api_key": marked_secret("openai api_key")},
        "base_url": f"{fake.url}/v1",
    }
    return services.add_credential(tenant=tenant, actor=COMMAND, **given | more)


def test_a_key_is_checked_and_models_are_imported_over_the_wire(
    tenant: Tenant,
    fake_provider: FakeProvider,  # noqa: F811
    django_capture_on_commit_callbacks: Any,
) -> None:
    secret = marked_secret("openai api_key")
    with django_capture_on_commit_callbacks(execute=True):
        row = add(tenant, fake_provider, values={"api_key": secret})
    assert row.state == CredentialState.CONNECTED
    assert [(call.method, call.path) for call in fake_provider.calls] == [
        ("GET", "/v1/models")
    ] * 2, "the check, then the import"
    assert {call.headers["authorization"] for call in fake_provider.calls} == {f"Bearer {secret}"}
    assert not catalog.entry(tenant_id=tenant.pk, provider="openai", model="gpt-6-luna").missing
    assert catalog.entry(tenant_id=tenant.pk, provider="openai", model="gpt-6-astra").missing


@pytest.mark.parametrize(
    ("mode", "code", "words"),
    [
        ("status:401", "provider_auth_failed", "refused this key (401"),
        ("html", "provider_wrong_url", "/v1/models does not answer as an API. Nothing was saved."),
        ("status:404", "provider_wrong_url", "/v1/models answered 404."),
        ("redirect:https://elsewhere.example/", "provider_wrong_url", "answered 307"),
        ("close", "provider_error", "could not check this key"),
        (
            'body:500:{"error":{"message":"No full stop"}}',
            "provider_error",
            "No full stop. Nothing was saved.",
        ),
    ],
)
def test_real_failures_in_words(
    tenant: Tenant,
    fake_provider: FakeProvider,  # noqa: F811
    mode: str,
    code: str,
    words: str,
) -> None:
    fake_provider.mode = mode
    with pytest.raises(CredentialRefused) as refused:
        add(tenant, fake_provider)
    assert refused.value.code == code
    assert words in str(refused.value.message)
    assert (
        str(refused.value.what_we_sent)
        == f"GET {fake_provider.url.removeprefix('http://')}/v1/models"
    )
    assert not ProviderCredential.objects.exists()


def test_a_server_that_is_away_is_unreachable(tenant: Tenant, settings: Any) -> None:
    settings.MODELKEEP_EGRESS_ALLOW = ["http://127.0.0.1:9"]
    with pytest.raises(CredentialRefused) as refused:
        services.add_credential(
            tenant=tenant,
            actor=COMMAND,
            provider="openai_compatible",
            name="Main",
            values={"base_url": "http://127.0.0.1:9/v1"},
        )
    assert str(refused.value.message).startswith(
        "This server could not connect to 127.0.0.1:9: nothing answers there"
    )


def test_keys_of_credentials_and_models_survive_a_rotation(
    tenant: Tenant, globex: Workspace
) -> None:
    own = marked_secret("model key")
    row = make_credential(
        tenant,
        provider="openai_compatible",
        values={"api_key": marked_secret()},
        base_url="https://models.example/v1",
    )
    foreign = make_credential(globex.tenant)
    model = adding.add_model(
        tenant=tenant,
        actor=COMMAND,
        provider="openai_compatible",
        model="qwen",
        type="reasoning",
        values={"api_key": own},
        check=False,
    )
    before = dict(opening.open_access(credential=row, purpose="check").values)
    report = keys.rotate(tenant=tenant, actor=COMMAND)
    assert (report.failed, report.failures) == (0, [])
    keys.forget()
    changed, model_row = (
        ProviderCredential.objects.get(pk=row.pk),
        TenantModel.objects.get(pk=model.pk),
    )
    assert changed.sealed != row.sealed
    assert model_row.sealed != model.sealed
    assert dict(opening.open_access(credential=changed, purpose="check").values) == before
    assert (
        opening.open_access(credential=changed, purpose="call", model_row=model_row).values[
            "api_key"
        ]
        == own
    )
    assert keys.verify(tenant=tenant).sealed == 2
    assert KeyOpening.objects.filter(purpose="rotate").count() == 2
    with tenant_scope(globex.tenant):
        assert ProviderCredential.objects.get(pk=foreign.pk).sealed == foreign.sealed


def test_check_names_rows_of_providers_that_are_gone(tenant: Tenant) -> None:
    assert checks.adapters_are_sound(None) == []
    assert checks.stored_providers_are_known(None, ["default"]) == []
    assert checks.stored_providers_are_known(None, None) == [], (
        "the database is looked at only where it is asked for"
    )
    ProviderCredential.objects.create(tenant=tenant, provider="gone", name="Old")
    TenantModel.objects.create(tenant=tenant, provider="gone_too", model="m")
    found = [
        *checks.stored_providers_are_known(None, ["default"]),
        *catalog_checks.stored_providers_are_known(None, ["default"]),
    ]
    assert [message.id for message in found] == ["modelkeep.W101", "modelkeep.W111"]
    assert "gone" in found[0].msg


def test_a_broken_adapter_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("providers/adapters/x.py: no operation")

    monkeypatch.setattr("providers.declaration.registry.all_providers", broken)
    assert [message.id for message in checks.adapters_are_sound(None)] == ["modelkeep.E101"]
