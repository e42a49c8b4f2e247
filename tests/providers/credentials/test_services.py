"""Credentials: added, replaced, checked, ordered, deleted; sealed always, opened rarely."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from core.errors import Conflict, NotFound, ServiceError
from providers import queries
from providers.credentials import health, messages, opening, services
from providers.credentials.checking import CredentialRefused
from providers.declaration.errors import Failure, ProviderError
from providers.models import CredentialState, ProviderChoice, ProviderCredential
from providers.queries import State
from providers.transport import sync_client
from tenants.audit.trail import COMMAND
from tenants.crypto import keys
from tenants.crypto.keys import CredentialUnreadable
from tenants.models import AuditEntry, KeyPair, Tenant
from tenants.scope import tenant_scope
from tests.answers import Answers, model_list, no_connection, openai_error, reply, unreachable
from tests.factories import Workspace, make_credential, make_workspace, marked_secret

KEY_LENGTH = 20


def add(
    tenant: Tenant, *, provider: str = "openai", name: str = "Production", **more: Any
) -> ProviderCredential:
    more.setdefault("values", {"api_key": marked_secret("openai api_key")})
    return services.add_credential(
        tenant=tenant, actor=COMMAND, provider=provider, name=name, **more
    )


def version(tenant: Tenant) -> int:
    return Tenant.objects.get(pk=tenant.pk).config_version


def opened(row: ProviderCredential) -> dict[str, str]:
    keys.forget()
    row.refresh_from_db()
    return dict(opening.open_access(credential=row, purpose="check").values)


# ---------------------------------------------------------------------------------------------- add


def test_a_checked_key_is_stored_sealed_and_becomes_active(
    tenant: Tenant, answers: Answers
) -> None:
    secret = marked_secret("openai api_key")
    before = version(tenant)
    row = add(tenant, values={"api_key": f"  {secret}\n", "organization": "org-7"})
    stored = ProviderCredential.objects.get(pk=row.pk)
    assert (stored.state, stored.is_active, stored.base_url) == (
        CredentialState.CONNECTED,
        True,
        "",
    )
    assert stored.values == {"organization": "org-7"}
    assert stored.sealed.startswith("c2.")
    assert secret not in stored.sealed
    assert stored.mask == keys.mask(secret)
    assert stored.checked is not None
    assert opened(row) == {"api_key": secret, "organization": "org-7"}
    assert [call.url for call in answers.calls] == ["https://api.openai.com/v1/models"]
    assert answers.keys == [f"Bearer {secret}"]
    assert version(tenant) > before
    entry = AuditEntry.objects.get(action="credential.added")
    assert entry.object_id == str(row.pk)
    assert secret not in str(entry.details)


OUTCOMES = [
    (
        openai_error(401, "invalid_api_key"),
        Failure.AUTH,
        "OpenAI refused this key (401 invalid_api_key). Nothing was saved.",
    ),
    (
        unreachable(),
        Failure.UNREACHABLE,
        "This server could not look up the host name api.openai.com.",
    ),
    (
        no_connection("connect"),
        Failure.UNREACHABLE,
        "This server could not connect to api.openai.com: nothing answers there",
    ),
    (
        no_connection("connect_timeout"),
        Failure.UNREACHABLE,
        "This server could not reach api.openai.com within 10 s.",
    ),
    (
        no_connection("tls"),
        Failure.UNREACHABLE,
        "This server could not establish a trusted TLS connection to api.openai.com.",
    ),
    (
        reply(404, b"<html>nothing here</html>", {"content-type": "text/html"}),
        Failure.NOT_AN_API,
        "https://api.openai.com/v1/models answered 404. The base URL usually ends in /v1. Nothing "
        "was saved.",
    ),
    (
        openai_error(403, "unsupported_country_region_territory"),
        Failure.PERMISSION,
        "OpenAI recognised this key but denied the request",
    ),
    (
        openai_error(429, "rate_limit_exceeded", kind="requests"),
        Failure.RATE_LIMIT,
        "OpenAI is currently limiting requests",
    ),
    (
        openai_error(500, "server_error", kind="server_error"),
        Failure.ERROR,
        "OpenAI could not check this key",
    ),
]


@pytest.mark.parametrize(
    ("answer", "failure", "words"), OUTCOMES, ids=[case[2] for case in OUTCOMES]
)
def test_a_failed_check_says_what_happened_and_stores_nothing(
    tenant: Tenant, answers: Answers, answer: Any, failure: Failure, words: str
) -> None:
    answers.otherwise = answer
    before = version(tenant)
    with pytest.raises(CredentialRefused) as refused:
        add(tenant)
    assert refused.value.error.failure is failure
    assert str(refused.value.message).startswith(words)
    assert "Nothing was saved." in str(refused.value.message)
    assert str(refused.value.what_we_sent) == "GET api.openai.com/v1/models"
    assert not ProviderCredential.objects.exists()
    assert not AuditEntry.objects.filter(action__startswith="credential.").exists()
    assert version(tenant) == before


def test_the_messages_differ(tenant: Tenant) -> None:
    from providers.declaration import registry

    sent = messages.Sent("GET", "api.openai.com", "/v1/models")
    kinds = (
        Failure.AUTH,
        Failure.NO_FUNDS,
        Failure.NOT_AN_API,
        Failure.UNREACHABLE,
        Failure.PERMISSION,
    )
    texts = {
        messages.message_for(registry.get("openai"), ProviderError(kind, "m", status=400), sent)
        for kind in kinds
    }
    assert len(texts) == len(kinds)


def test_an_account_without_money_is_stored_with_that_state(
    tenant: Tenant, answers: Answers
) -> None:
    answers.otherwise = openai_error(429, "insufficient_quota", kind="insufficient_quota")
    row = add(tenant)
    assert row.state == CredentialState.NO_FUNDS
    assert "insufficient_quota" in row.failure.codes
    assert queries.statuses(tenant_id=tenant.pk)["openai"].state is State.NO_FUNDS


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "api_key"),
        ({"api_key": "   "}, "api_key"),
        ({"api_key": "sk-two words"}, "api_key"),
        ({"api_key": "sk-line\nfeed"}, "api_key"),
        ({"api_key": "sk-ключ"}, "api_key"),
        ({"api_key": 7}, "api_key"),
        ({"api_key": "sk-" + "x" * 5000}, "api_key"),
        ({"api_key": "sk-x", "organization": "org\x007"}, "organization"),
        ({"api_key": "sk-x", "is_active": "1"}, "is_active"),
        ({"api_key": "sk-x", "base_url": "http://169.254.169.254/"}, "base_url"),
        ({"api_key": "sk-x", "base_url": "https://user:pw@relay.example/v1"}, "base_url"),
        ({"api_key": "sk-x", "base_url": "ftp://relay.example"}, "base_url"),
    ],
)
def test_values_that_cannot_be_right_are_refused_before_anything_is_sent(
    tenant: Tenant, answers: Answers, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(ServiceError) as refused:
        add(tenant, values=values)
    assert refused.value.field == field
    assert answers.calls == []


@pytest.mark.parametrize(
    ("provider", "key"),
    [
        ("openai", "sk-ant-api03-"),
        ("tongyi", "hf_"),
        ("anthropic", "r8_"),
        ("replicate", "sk-ant-api03-"),
    ],
)
def test_a_key_that_is_surely_of_another_vendor_is_not_sent(
    tenant: Tenant, answers: Answers, provider: str, key: str
) -> None:
    field = "replicate_api_token" if provider == "replicate" else "api_key"
    with pytest.raises(CredentialRefused) as refused:
        add(tenant, provider=provider, values={field: key + "k" * KEY_LENGTH})
    assert str(refused.value.message).startswith("This looks like a")
    assert str(refused.value.message).endswith(". Nothing was saved.")
    assert answers.calls == []
    assert not ProviderCredential.objects.filter(tenant=tenant).exists()


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\nb", None])
def test_a_name_is_needed(tenant: Tenant, answers: Answers, name: Any) -> None:
    with pytest.raises(ServiceError) as refused:
        add(tenant, name=name)
    assert refused.value.field == "name"


def test_a_key_of_another_shape_is_a_hint_and_no_refusal(tenant: Tenant, answers: Answers) -> None:
    add(tenant, name="Relay", values={"api_key": "relay-" + "k" * KEY_LENGTH})
    answers.otherwise = openai_error(401, "invalid_api_key")
    with pytest.raises(CredentialRefused) as refused:
        add(
            tenant,
            values={
                "api_key": "sk-ant-api03-" + "k" * KEY_LENGTH,
                "base_url": "https://relay.example.com",
            },
        )
    assert (
        refused.value.hint
        == "This looks like an Anthropic key (sk-ant-…). OpenAI keys start with sk-."
    )
    answers.otherwise = unreachable()
    with pytest.raises(CredentialRefused) as away:
        add(tenant, provider="anthropic", values={"api_key": "sk-proj-" + "k" * KEY_LENGTH})
    assert (
        away.value.hint
        == "This looks like an OpenAI key (sk-…). Anthropic keys start with sk-ant-."
    ), "whatever else went wrong"
    with pytest.raises(CredentialRefused) as plain:
        add(tenant, values={"api_key": "sk-proj-" + "k" * KEY_LENGTH})
    assert plain.value.hint == ""


@pytest.mark.parametrize("provider", ["openai_compatible", "chatglm"])
def test_a_server_that_wants_a_key_is_not_said_to_have_refused_one(
    tenant: Tenant, answers: Answers, provider: str
) -> None:
    answers.otherwise = openai_error(401, "invalid_api_key")
    with pytest.raises(CredentialRefused) as none_typed:
        add(tenant, provider=provider, values={"base_url": "https://models.example.org/v1"})
    assert str(none_typed.value.message).startswith(
        "models.example.org asks for a key (401 invalid_api_key). Nothing was saved."
    )
    with pytest.raises(CredentialRefused) as typed:
        add(
            tenant,
            provider=provider,
            values={"base_url": "https://models.example.org/v1", "api_key": "k" * KEY_LENGTH},
        )
    assert "refused this key (401 invalid_api_key)" in str(typed.value.message)


def test_a_version_that_we_put_into_the_address_ourselves_is_not_asked_for(
    tenant: Tenant, answers: Answers
) -> None:
    answers.otherwise = reply(404, b"nothing here", {"content-type": "text/html"})
    with pytest.raises(CredentialRefused) as refused:
        add(
            tenant,
            provider="openai_compatible",
            values={"base_url": "https://models.example.org/openai"},
        )
    words = (
        "https://models.example.org/openai/v1/chat/completions answered 404. Nothing was saved. "
        "Check the API base URL."
    )
    assert str(refused.value.message) == words
    assert [
        call.url.removeprefix("https://models.example.org/openai") for call in answers.calls
    ] == [
        "/v1/models",
        "/models",
        "/v1/chat/completions",
        "/chat/completions",
    ]


def test_a_server_without_a_list_of_models_is_asked_for_a_chat(
    tenant: Tenant, answers: Answers
) -> None:
    body = {"error": {"message": "messages must not be empty"}}
    answers.then([reply(404, {"detail": "Not Found"}), reply(400, body)])
    credential = add(
        tenant,
        provider="openai_compatible",
        values={"base_url": "https://models.example.org/v1"},
    )
    assert credential.base_url == "https://models.example.org/v1"


@pytest.mark.parametrize(
    "typed",
    [
        "https://models.example.org/v1/chat/completions",
        "https://models.example.org/v1/completions/",
        "models.example.org/v1/audio/speech",
    ],
)
def test_a_whole_address_is_shortened_to_the_base_url(
    tenant: Tenant, answers: Answers, typed: str
) -> None:
    credential = add(tenant, provider="openai_compatible", values={"base_url": typed})
    assert credential.base_url == "https://models.example.org/v1"
    assert [call.url for call in answers.calls] == ["https://models.example.org/v1/models"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_check_asks_once_and_waits_for_nobody(
    tenant: Tenant, answers: Answers, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(sync_client.time, "sleep", slept.append)
    body = {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}}
    answers.otherwise = reply(status, body, {"retry-after": "5"})
    with pytest.raises(CredentialRefused):
        add(tenant)
    assert (len(answers.calls), slept) == (1, [])


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:9711/v1", "(http://127.0.0.1:9711 in MODELKEEP_EGRESS_ALLOW)."),
        ("http://127.0.0.1:9711/v1", "by adding http://127.0.0.1:9711 to MODELKEEP_EGRESS_ALLOW."),
        (
            "https://models.example.org:8443",
            "by adding https://models.example.org:8443 to MODELKEEP_EGRESS_ALLOW.",
        ),
    ],
)
def test_a_refused_address_says_what_to_allow(
    tenant: Tenant, answers: Answers, settings: Any, address: str, words: str
) -> None:
    settings.MODELKEEP_EGRESS_ALLOW = ["127.0.0.1:9711"]
    with pytest.raises(ServiceError) as refused:
        add(tenant, provider="openai_compatible", values={"base_url": address})
    assert words in str(refused.value.message)
    assert str(refused.value.message).startswith("Start the base URL with https://") is (
        "://" not in address
    )
    assert answers.calls == []


def test_only_self_hosted_servers_are_saved_without_a_check(
    tenant: Tenant, answers: Answers, settings: Any
) -> None:
    settings.MODELKEEP_EGRESS_ALLOW = ["http://127.0.0.1:9001"]
    with pytest.raises(ServiceError) as refused:
        add(tenant, check=False)
    assert refused.value.code == "check_required"
    row = add(
        tenant,
        provider="openai_compatible",
        values={"base_url": "http://127.0.0.1:9001/v1"},
        check=False,
    )
    assert (row.state, row.sealed, row.mask) == (CredentialState.UNCHECKED, "", "")
    assert answers.calls == []


def test_a_provider_that_is_not_offered_is_not_found(tenant: Tenant, settings: Any) -> None:
    settings.MODELKEEP_DEMO_PROVIDER = False
    for slug in ("demo", "nothing"):
        with pytest.raises(NotFound):
            add(tenant, provider=slug, values={})


def test_a_name_is_taken_once_per_provider_and_tenant(
    tenant: Tenant, answers: Answers, globex: Workspace
) -> None:
    add(tenant)
    with pytest.raises(Conflict):
        add(tenant)
    with tenant_scope(globex.tenant):
        assert add(globex.tenant).is_active


def test_the_provider_is_told_the_base_url_that_was_typed(tenant: Tenant, answers: Answers) -> None:
    row = add(tenant, base_url="https://EU.api.openai.com:443/v1/")
    assert row.base_url == "https://eu.api.openai.com/v1"
    assert answers.calls[0].url == "https://eu.api.openai.com/v1/models"
    own = add(tenant, name="Own", base_url="https://api.openai.com/v1")
    assert own.base_url == "", "the provider's own address is no other address"


# ------------------------------------------------------------------------------------------ replace


def test_an_empty_secret_keeps_its_value(tenant: Tenant, answers: Answers) -> None:
    secret = marked_secret()
    row = add(tenant, values={"api_key": secret, "organization": "org-1", "project": "proj_1"})
    services.replace_credential(
        tenant=tenant,
        actor=COMMAND,
        credential=row,
        values={"api_key": "", "organization": "org-2"},
    )
    assert opened(row) == {"api_key": secret, "organization": "org-2", "project": "proj_1"}
    assert row.version == 2
    services.replace_credential(
        tenant=tenant, actor=COMMAND, credential=row, values={"project": ""}
    )
    assert opened(row) == {"api_key": secret, "organization": "org-2"}


def test_a_new_key_is_checked_before_the_old_one_goes(tenant: Tenant, answers: Answers) -> None:
    old, new = marked_secret(), marked_secret()
    row = add(tenant, values={"api_key": old})
    answers.then([openai_error(401, "invalid_api_key")])
    with pytest.raises(CredentialRefused):
        services.replace_credential(
            tenant=tenant, actor=COMMAND, credential=row, values={"api_key": new}
        )
    assert opened(row) == {"api_key": old}
    services.replace_credential(
        tenant=tenant, actor=COMMAND, credential=row, values={"api_key": new}
    )
    assert opened(row) == {"api_key": new}
    assert row.mask == keys.mask(new)


def test_another_base_url_needs_the_key_again(tenant: Tenant, answers: Answers) -> None:
    secret = marked_secret()
    row = add(tenant, values={"api_key": secret})
    calls = len(answers.calls)
    for values in (
        {},
        {"api_key": ""},
        {"api_key": "  "},
        {"base_url": "https://relay.example/v1"},
    ):
        url = None if "base_url" in values else "https://relay.example/v1"
        with pytest.raises(ServiceError) as refused:
            services.replace_credential(
                tenant=tenant, actor=COMMAND, credential=row, values=values, base_url=url
            )
        assert (refused.value.code, refused.value.field) == ("key_required", "api_key")
    assert len(answers.calls) == calls, "the stored key went nowhere"
    services.replace_credential(
        tenant=tenant,
        actor=COMMAND,
        credential=row,
        values={"api_key": secret},
        base_url="https://relay.example/v1",
    )
    assert answers.calls[-1].url == "https://relay.example/v1/models"
    assert opened(row) == {"api_key": secret}


def test_of_two_who_replace_at_once_the_second_is_told(tenant: Tenant, answers: Answers) -> None:
    row = add(tenant)
    stale = ProviderCredential.objects.get(pk=row.pk)
    services.replace_credential(
        tenant=tenant, actor=COMMAND, credential=row, values={"api_key": marked_secret()}
    )
    with pytest.raises(Conflict):
        services.replace_credential(
            tenant=tenant, actor=COMMAND, credential=stale, values={"api_key": marked_secret()}
        )


def test_keys_and_name_change_together_or_not_at_all(
    tenant: Tenant, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, other = add(tenant), add(tenant, name="Other")
    before, asked = opened(row), len(answers.calls)

    def change(name: str) -> ProviderCredential:
        stored = ProviderCredential.objects.get(pk=row.pk)
        return services.replace_credential(
            tenant=tenant,
            actor=COMMAND,
            credential=stored,
            values={"api_key": marked_secret()},
            name=name,
        )

    with pytest.raises(Conflict):
        change("Other")
    assert len(answers.calls) == asked, "a name that is taken is refused before anybody is asked"

    def send(call: Any, **options: Any) -> Any:
        ProviderCredential.objects.filter(pk=other.pk).update(name="Taken meanwhile")
        return answers.send(call, **options)

    monkeypatch.setattr(sync_client, "send", send)
    with pytest.raises(Conflict):
        change("Taken meanwhile")
    row.refresh_from_db()
    assert (row.name, opened(row)) == ("Production", before)
    assert not AuditEntry.objects.filter(
        action__in=("credential.replaced", "credential.renamed")
    ).exists()

    changed = change("Both")
    assert changed.name == ProviderCredential.objects.get(pk=row.pk).name == "Both"
    assert opened(changed) != before


def test_renaming_needs_no_key(tenant: Tenant, answers: Answers) -> None:
    row, other = add(tenant), add(tenant, name="Other")
    services.rename_credential(tenant=tenant, actor=COMMAND, credential=row, name="Renamed")
    assert "api_key" in opened(row)
    with pytest.raises(Conflict):
        services.rename_credential(tenant=tenant, actor=COMMAND, credential=other, name="Renamed")


# --------------------------------------------------------------------------------------- unreadable


def damage(row: ProviderCredential, how: str) -> None:
    rows = ProviderCredential.objects.filter(pk=row.pk)
    if how == "base_url":
        rows.update(base_url="https://evil.example/v1")
    elif how == "version":
        rows.update(version=F("version") + 1)
    elif how == "text":
        rows.update(
            sealed=row.sealed[:-6] + ("AAAAAA" if not row.sealed.endswith("AAAAAA") else "BBBBBB")
        )
    elif how == "pair":
        KeyPair.objects.filter(tenant_id=row.tenant_id).delete()
    keys.forget()
    row.refresh_from_db()


@pytest.mark.parametrize("how", ["base_url", "version", "text", "pair"])
def test_what_cannot_be_opened_is_never_sent_nor_overwritten(
    tenant: Tenant, answers: Answers, how: str
) -> None:
    row = add(tenant)
    damage(row, how)
    sealed, calls = row.sealed, len(answers.calls)
    with pytest.raises(CredentialUnreadable):
        opening.open_access(credential=row, purpose="call")
    services.check_credential(tenant=tenant, actor=COMMAND, credential=row)
    row.refresh_from_db()
    assert (row.state, row.sealed) == (CredentialState.UNREADABLE, sealed)
    assert len(answers.calls) == calls
    assert queries.statuses(tenant_id=tenant.pk)["openai"].state is State.UNREADABLE
    services.delete_credential(tenant=tenant, actor=COMMAND, credential=row)
    assert not ProviderCredential.objects.exists()


def test_an_unreadable_key_can_be_entered_again(tenant: Tenant, answers: Answers) -> None:
    row = add(tenant)
    damage(row, "text")
    with pytest.raises(CredentialUnreadable):
        services.replace_credential(
            tenant=tenant, actor=COMMAND, credential=row, values={"organization": "org-1"}
        )
    secret = marked_secret()
    row.refresh_from_db()
    services.replace_credential(
        tenant=tenant, actor=COMMAND, credential=row, values={"api_key": secret}
    )
    assert row.state == CredentialState.CONNECTED
    assert opened(row)["api_key"] == secret


# ----------------------------------------------------------------------------- check, order, delete


def test_checking_again_writes_what_the_provider_said(tenant: Tenant, answers: Answers) -> None:
    row = add(tenant)
    answers.otherwise = openai_error(401, "invalid_api_key", "Incorrect API key.")
    services.check_credential(tenant=tenant, actor=COMMAND, credential=row)
    assert (row.state, row.failure_words) == (
        CredentialState.REJECTED,
        "Incorrect API key. (401 invalid_api_key)",
    )
    since = row.state_since
    services.check_credential(tenant=tenant, actor=COMMAND, credential=row)
    assert row.state_since == since
    answers.otherwise = model_list("gpt-6-luna")
    services.check_credential(tenant=tenant, actor=COMMAND, credential=row)
    assert (row.state, row.state_detail, row.resting_until) == (CredentialState.CONNECTED, {}, None)


def test_one_is_active_and_the_others_stand_by_in_order(tenant: Tenant, answers: Answers) -> None:
    first, second, third = (add(tenant, name=name) for name in "ABC")

    def order() -> list[str]:
        rows = queries.routable_credentials(
            tenant_id=tenant.pk, provider="openai", now=timezone.now()
        )
        assert [row.is_active for row in rows] == [True] + [False] * (len(rows) - 1)
        return [row.name for row in rows]

    assert order() == ["A", "B", "C"]
    services.activate_credential(tenant=tenant, actor=COMMAND, credential=third)
    assert order() == ["C", "A", "B"]
    services.deactivate_credential(tenant=tenant, actor=COMMAND, credential=third)
    assert order() == ["A", "B", "C"]
    services.order_credentials(
        tenant=tenant, actor=COMMAND, provider="openai", ids=[second.pk, third.pk, first.pk]
    )
    assert order() == ["B", "C", "A"]
    second.refresh_from_db()
    assert services.delete_credential(tenant=tenant, actor=COMMAND, credential=second) == third
    assert order() == ["C", "A"]
    for ids in ([], [first.pk], [first.pk, first.pk], [first.pk, second.pk]):
        with pytest.raises(ServiceError):
            services.order_credentials(tenant=tenant, actor=COMMAND, provider="openai", ids=ids)


def test_what_was_deleted_meanwhile_takes_nothing_with_it(tenant: Tenant, answers: Answers) -> None:
    active, gone = add(tenant, name="A"), add(tenant, name="B")
    stale = ProviderCredential.objects.get(pk=gone.pk)
    services.delete_credential(tenant=tenant, actor=COMMAND, credential=gone)
    for act in (services.activate_credential, services.delete_credential):
        with pytest.raises(NotFound):
            act(tenant=tenant, actor=COMMAND, credential=stale)
    active.refresh_from_db()
    assert active.is_active
    assert AuditEntry.objects.filter(action="credential.deleted").count() == 1


def test_a_name_that_somebody_takes_at_the_same_moment(
    tenant: Tenant, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tenant, name="A")
    other = add(tenant, name="B")
    monkeypatch.setattr(QuerySet, "exists", lambda rows: False)  # both looked before either wrote
    with pytest.raises(Conflict):
        services.rename_credential(tenant=tenant, actor=COMMAND, credential=other, name="A")
    with pytest.raises(Conflict):
        add(tenant, name="A")
    assert sorted(ProviderCredential.objects.values_list("name", flat=True)) == ["A", "B"]


def test_the_only_credential_cannot_be_deactivated(tenant: Tenant, answers: Answers) -> None:
    with pytest.raises(Conflict):
        services.deactivate_credential(tenant=tenant, actor=COMMAND, credential=add(tenant))


def test_the_source_order_is_kept_per_provider(tenant: Tenant) -> None:
    assert not queries.trial_first(tenant_id=tenant.pk, provider="openai")
    for wanted in (True, True, False):
        services.set_source_order(
            tenant=tenant, actor=COMMAND, provider="openai", trial_first=wanted
        )
        assert queries.trial_first(tenant_id=tenant.pk, provider="openai") is wanted
    assert ProviderChoice.objects.count() == 1


# ---------------------------------------------------------------------------------- what calls tell


def note(row: ProviderCredential, failure: Failure, **more: Any) -> ProviderCredential:
    error = ProviderError(failure, "No.", **more)
    health.note_failure(
        tenant_id=row.tenant_id, credential_id=row.pk, version=row.version, error=error
    )
    row.refresh_from_db()
    return row


@pytest.mark.parametrize(("asked", "seconds"), [(None, 60), (7.0, 7), (0.0, 1), (999999.0, 3600)])
def test_a_throttled_credential_rests_as_long_as_it_was_told(
    tenant: Tenant, asked: float | None, seconds: int
) -> None:
    row = note(make_credential(tenant), Failure.RATE_LIMIT, retry_after=asked)
    assert row.state == CredentialState.COOLING
    assert row.resting_until is not None
    assert abs((row.resting_until - timezone.now()).total_seconds() - seconds) < 5
    assert queries.statuses(tenant_id=tenant.pk)["openai"].state is State.RESTING
    ProviderCredential.objects.filter(pk=row.pk).update(
        resting_until=timezone.now() - timedelta(seconds=1)
    )
    assert queries.statuses(tenant_id=tenant.pk)["openai"].state is State.CONNECTED


def test_resting_credentials_are_tried_last(tenant: Tenant) -> None:
    first, _second = (
        make_credential(tenant, name="A"),
        make_credential(tenant, name="B", is_active=False),
    )
    note(first, Failure.AUTH)
    names = [
        row.name
        for row in queries.routable_credentials(
            tenant_id=tenant.pk, provider="openai", now=timezone.now()
        )
    ]
    assert names == ["B", "A"]
    later = timezone.now() + timedelta(hours=1)
    names = [
        row.name
        for row in queries.routable_credentials(tenant_id=tenant.pk, provider="openai", now=later)
    ]
    assert names == ["A", "B"]


@pytest.mark.parametrize(
    "failure",
    [
        Failure.BAD_REQUEST,
        Failure.CONTEXT_LENGTH,
        Failure.MODEL_NOT_FOUND,
        Failure.PERMISSION,
        Failure.TIMEOUT,
        Failure.ERROR,
    ],
)
def test_a_failure_of_the_request_says_nothing_of_the_credential(
    tenant: Tenant, failure: Failure
) -> None:
    before = version(tenant)
    assert note(make_credential(tenant), failure).state == CredentialState.CONNECTED
    assert version(tenant) == before + 1, "the credential itself"


def test_notes_write_only_what_changes(tenant: Tenant) -> None:
    row = make_credential(tenant)
    note(row, Failure.AUTH)
    written = version(tenant)
    note(row, Failure.AUTH)
    assert version(tenant) == written
    health.note_success(tenant_id=tenant.pk, credential_id=row.pk, version=row.version)
    row.refresh_from_db()
    assert (row.state, row.state_detail, row.resting_until) == (CredentialState.CONNECTED, {}, None)
    used, written = row.last_used, version(tenant)
    health.note_success(tenant_id=tenant.pk, credential_id=row.pk, version=row.version)
    row.refresh_from_db()
    assert (row.last_used, version(tenant)) == (used, written)


def test_notes_on_secrets_that_were_replaced_are_forgotten(tenant: Tenant) -> None:
    row = make_credential(tenant)
    whose = {"tenant_id": tenant.pk, "credential_id": row.pk, "version": row.version}
    ProviderCredential.objects.filter(pk=row.pk).update(version=row.version + 1)
    health.note_failure(**whose, error=ProviderError(Failure.AUTH, "No."))
    row.refresh_from_db()
    assert row.state == CredentialState.CONNECTED, "the new key was not rejected"
    note(row, Failure.AUTH)
    written = version(tenant)
    health.note_success(**whose)
    row.refresh_from_db()
    assert (row.state, row.last_used) == (CredentialState.REJECTED, None), "the new key works not"
    assert version(tenant) == written
    stale = ProviderCredential(pk=row.pk, tenant_id=tenant.pk, version=whose["version"])
    assert not health.set_state(stale, CredentialState.COOLING, health.NO_FAILURE, None)


def test_notes_on_what_is_gone_are_forgotten(tenant: Tenant, globex: Workspace) -> None:
    foreign = make_credential(globex.tenant)
    error = ProviderError(Failure.AUTH, "No.")
    whose = {"tenant_id": tenant.pk, "credential_id": foreign.pk, "version": foreign.version}
    health.note_failure(**whose, error=error)
    health.note_success(**whose)
    with tenant_scope(globex.tenant):
        foreign.refresh_from_db()
    assert (foreign.state, foreign.last_used) == (CredentialState.CONNECTED, None)


# ------------------------------------------------------------------------------------------ tenants


def test_one_tenants_credentials_are_nobody_elses(
    tenant: Tenant, answers: Answers, globex: Workspace
) -> None:
    foreign = make_credential(globex.tenant, name="Theirs")
    own = add(tenant)
    assert [row.pk for row in queries.credentials(tenant_id=tenant.pk)] == [own.pk]
    assert queries.credential(tenant_id=tenant.pk, provider="openai", pk=foreign.pk) is None
    assert not queries.credentials(tenant_id=globex.tenant.pk).exists(), (
        "the scope holds where an id is wrong"
    )
    foreign.tenant_id = globex.tenant.pk
    with pytest.raises(Exception, match="tenant"):
        services.delete_credential(tenant=tenant, actor=COMMAND, credential=foreign)
    with tenant_scope(globex.tenant):
        assert ProviderCredential.objects.filter(pk=foreign.pk).exists()


def test_a_sealed_text_of_another_tenant_does_not_open(
    tenant: Tenant, answers: Answers, globex: Workspace
) -> None:
    theirs, own = make_credential(globex.tenant), add(tenant)
    ProviderCredential.objects.filter(pk=own.pk).update(sealed=theirs.sealed)
    own.refresh_from_db()
    with pytest.raises(CredentialUnreadable):
        opening.open_access(credential=own, purpose="call")


def test_the_provider_of_a_hosted_model_never_gets_the_key_of_another_host(
    tenant: Tenant, answers: Answers
) -> None:
    from models_catalog.models import TenantModel

    row = add(tenant)
    elsewhere = TenantModel(
        tenant=tenant, provider="openai", model="m", base_url="https://other.example/v1"
    )
    access = opening.open_access(credential=row, purpose="call", model_row=elsewhere)
    assert (dict(access.values), access.base_url) == ({}, "https://other.example/v1")
    same = TenantModel(
        tenant=tenant, provider="openai", model="m", base_url="https://api.openai.com/v2"
    )
    assert "api_key" in opening.open_access(credential=row, purpose="call", model_row=same).values


def test_a_models_own_key_does_not_follow_the_credential_to_a_new_address(
    tenant: Tenant, answers: Answers
) -> None:
    from models_catalog.models import TenantModel

    row, own = add(tenant), marked_secret("model key")
    model = TenantModel(tenant=tenant, provider="openai", model="ft:own")
    model.sealed = opening.seal_values(
        tenant_id=tenant.pk,
        provider="openai",
        base_url="",
        name=opening.MODEL_ENVELOPE,
        row_id=model.pk,
        version=model.version,
        secret={"api_key": own},
    )
    services.replace_credential(
        tenant=tenant,
        actor=COMMAND,
        credential=row,
        values={"api_key": marked_secret("other")},
        base_url="https://evil.example/v1",
    )
    row.refresh_from_db()
    access = opening.open_access(credential=row, purpose="call", model_row=model)
    assert (access.base_url, dict(access.values)) == ("", {"api_key": own})
    # A model without a key of its own goes where the credential goes.
    plain = TenantModel(tenant=tenant, provider="openai", model="plain")
    assert (
        opening.open_access(credential=row, purpose="call", model_row=plain).base_url
        == "https://evil.example/v1"
    )


@pytest.mark.django_db(transaction=True)
def test_no_database_connection_is_kept_while_a_provider_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = make_workspace("acme")
    done: list[str] = []
    monkeypatch.setattr(connection, "close", lambda: done.append("closed"))

    def send(call: Any, **_more: Any) -> Any:
        done.append("sent")
        return model_list("gpt-6-luna")

    monkeypatch.setattr(sync_client, "send", send)
    with tenant_scope(workspace.tenant):
        row = make_credential(workspace.tenant)
        done.clear()  # its models were imported
        services.check_credential(tenant=workspace.tenant, actor=COMMAND, credential=row)
        assert done == ["closed", "sent"]
        with transaction.atomic():  # what is under way there must not be lost
            services.check_credential(tenant=workspace.tenant, actor=COMMAND, credential=row)
    assert done == ["closed", "sent", "sent"]
