"""Import, adding, switches, overrides and defaults of one tenant's catalog."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.errors import Conflict, NotFound, ServiceError
from models_catalog import queries
from models_catalog.errors import ModelNotFound
from models_catalog.facts import library
from models_catalog.facts.values import BadFact
from models_catalog.models import DefaultModel, TenantModel
from models_catalog.services import adding, defaults, models, setup
from providers import queries as provider_queries
from providers.credentials import opening
from providers.credentials import services as provider_services
from providers.credentials.checking import CredentialRefused
from providers.declaration.spec import ModelType
from providers.failures.detail import FailureDetail
from providers.models import ProviderChoice, ProviderCredential
from providers.transport import sync_client
from tenants.audit.trail import COMMAND
from tenants.crypto import keys
from tenants.models import AuditEntry, Tenant
from tenants.scope import tenant_scope
from tests.answers import Answers, model_list, openai_error, reply
from tests.factories import Workspace, make_credential, marked_secret

SERVER = "https://models.example/v1"
CHAT = reply(
    200,
    {
        "id": "1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "p"}}],
    },
)


@pytest.fixture
def openai(tenant: Tenant) -> Any:
    return make_credential(tenant)


@pytest.fixture
def server(tenant: Tenant) -> Any:
    values = {"api_key": marked_secret("server key")}
    return make_credential(tenant, provider="openai_compatible", values=values, base_url=SERVER)


def entry(tenant: Tenant, model: str, provider: str = "openai") -> Any:
    return queries.entry(tenant_id=tenant.pk, provider=provider, model=model)


def add(tenant: Tenant, model: str = "qwen", **more: Any) -> TenantModel:
    given = {"provider": "openai_compatible", "type": "reasoning", "values": {}} | more
    return adding.add_model(tenant=tenant, actor=COMMAND, model=model, **given)


# ------------------------------------------------------------------------------------------- import


def test_shipped_models_need_no_rows(tenant: Tenant, answers: Answers, openai: Any) -> None:
    answers.otherwise = model_list("gpt-6-luna", "gpt-6.2-sol")
    result = setup.import_models(tenant=tenant, provider="openai")
    assert (result.listed, result.new, result.failure) == (2, 0, FailureDetail())
    assert not TenantModel.objects.exists()
    assert not entry(tenant, "gpt-6-luna").missing
    assert entry(tenant, "gpt-6.1-sol").missing, "the account's list does not have it"
    assert not entry(tenant, "text-davinci-003").missing, "it is gone for everybody"


def test_unknown_models_get_a_guessed_type_and_no_price(
    tenant: Tenant, answers: Answers, openai: Any
) -> None:
    answers.otherwise = model_list(
        "gpt-9", "text-embedding-9", "sora-9", "gpt-6-luna", " odd\n", {"id": 7}
    )
    result = setup.import_models(tenant=tenant, provider="openai")
    assert result.new == 2
    found = {row.model: row for row in TenantModel.objects.all()}
    assert set(found) == {"gpt-9", "text-embedding-9"}
    new = entry(tenant, "gpt-9")
    assert (new.type, new.price, new.context_window, new.origin, new.added) == (
        ModelType.REASONING,
        None,
        None,
        "synced",
        False,
    )
    assert new.source
    assert new.as_of is not None
    assert entry(tenant, "text-embedding-9").type is ModelType.EMBEDDING


def test_what_the_list_says_beyond_the_shipped_facts_is_kept(
    tenant: Tenant, answers: Answers, openai: Any
) -> None:
    answers.otherwise = model_list(
        {"id": "gpt-6-luna", "shutdown_date": "2027-08-01", "context_window": 77}
    )
    setup.import_models(tenant=tenant, provider="openai")
    known = entry(tenant, "gpt-6-luna")
    assert (str(known.retired), known.context_window, known.is_retired) == ("2027-08-01", 77, False)
    assert known.price is not None, "the other facts are the shipped ones"
    assert known.origin == "shipped"


def test_a_model_that_vanished_is_flagged_and_comes_back(
    tenant: Tenant, answers: Answers, openai: Any
) -> None:
    for names, missing in (
        (["gpt-9", "gpt-6-luna"], False),
        (["gpt-6-luna"], True),
        (["gpt-6-luna", "gpt-9"], False),
    ):
        answers.otherwise = model_list(*names)
        setup.import_models(tenant=tenant, provider="openai")
        assert entry(tenant, "gpt-9").missing is missing
    assert TenantModel.objects.count() == 1


def test_a_sync_never_touches_a_switch_or_an_override(
    tenant: Tenant, answers: Answers, openai: Any
) -> None:
    answers.otherwise = model_list({"id": "gpt-9", "context_window": 10}, "gpt-6-luna")
    setup.import_models(tenant=tenant, provider="openai")
    for model in ("gpt-9", "gpt-6-luna"):
        models.change_model(
            tenant=tenant,
            actor=COMMAND,
            provider="openai",
            model=model,
            enabled=False,
            context_window=5,
            label="Ours",
        )
    answers.otherwise = model_list(
        {"id": "gpt-9", "context_window": 20}, {"id": "gpt-6-luna", "context_window": 30}
    )
    setup.import_models(tenant=tenant, provider="openai")
    for model in ("gpt-9", "gpt-6-luna"):
        known = entry(tenant, model)
        assert (known.enabled, known.context_window, known.label) == (False, 5, "Ours")
    models.override(
        tenant=tenant,
        actor=COMMAND,
        provider="openai",
        model="gpt-9",
        overrides={"context_window": None},
    )
    assert entry(tenant, "gpt-9").context_window == 20


@pytest.mark.parametrize(
    "answer",
    [
        openai_error(503, "down"),
        openai_error(401, "invalid_api_key"),
        model_list(),
        reply(200, b"<html>"),
    ],
)
def test_a_list_that_cannot_be_had_leaves_the_older_one(
    tenant: Tenant, answers: Answers, openai: Any, answer: Any
) -> None:
    answers.otherwise = model_list("gpt-9", "gpt-6-luna")
    setup.import_models(tenant=tenant, provider="openai")
    fetched = provider_queries.statuses(tenant_id=tenant.pk)["openai"].models_fetched
    answers.otherwise = answer
    result = setup.refresh(tenant=tenant, actor=COMMAND, provider="openai")
    status = provider_queries.statuses(tenant_id=tenant.pk)["openai"]
    assert result.failure
    assert (status.list_failure, status.models_fetched) == (result.failure, fetched)
    assert not entry(tenant, "gpt-9").missing
    answers.otherwise = model_list("gpt-6-luna")
    setup.refresh(tenant=tenant, actor=COMMAND, provider="openai")
    assert provider_queries.statuses(tenant_id=tenant.pk)["openai"].list_failure == FailureDetail()


def test_an_unreadable_key_is_no_reason_to_lose_the_list(
    tenant: Tenant, answers: Answers, openai: Any
) -> None:
    type(openai).objects.filter(pk=openai.pk).update(version=9)
    result = setup.import_models(tenant=tenant, provider="openai")
    assert "cannot be read" in str(result.failure.reason)
    assert answers.calls == []


def test_refreshing_needs_a_credential(tenant: Tenant) -> None:
    with pytest.raises(Conflict):
        setup.refresh(tenant=tenant, actor=COMMAND, provider="openai")
    with pytest.raises(NotFound):
        setup.refresh(tenant=tenant, actor=COMMAND, provider="nothing")


def test_saving_a_key_imports_after_the_commit(
    tenant: Tenant, answers: Answers, django_capture_on_commit_callbacks: Any
) -> None:
    answers.otherwise = model_list("gpt-6-luna", "gpt-9")
    with django_capture_on_commit_callbacks(execute=True):
        provider_services.add_credential(
            tenant=tenant,
            actor=COMMAND,
            provider="openai",
            name="Main",
            values={"api_key": marked_secret("openai api_key")},
        )
        assert not TenantModel.objects.exists()
    assert entry(tenant, "gpt-9") is not None
    assert ProviderChoice.objects.get().models_fetched is not None


def test_a_failing_import_leaves_the_key_saved(
    tenant: Tenant, answers: Answers, django_capture_on_commit_callbacks: Any
) -> None:
    answers.then([model_list("gpt-6-luna")])
    answers.otherwise = openai_error(503, "down")
    with django_capture_on_commit_callbacks(execute=True):
        row = provider_services.add_credential(
            tenant=tenant,
            actor=COMMAND,
            provider="openai",
            name="Main",
            values={"api_key": marked_secret("openai api_key")},
        )
    status = provider_queries.statuses(tenant_id=tenant.pk)["openai"]
    assert (status.state, status.active) == ("connected", row)
    assert status.list_failure.status == 503
    assert len(queries.entries(tenant_id=tenant.pk, provider="openai")) > 20, (
        "the shipped list is used"
    )


def test_five_hundred_models_take_few_queries(
    tenant: Tenant, answers: Answers, openai: Any
) -> None:
    def imported(number: int) -> int:
        answers.otherwise = model_list(*(f"gpt-9-{index:03}" for index in range(number)))
        with CaptureQueriesContext(connection) as captured:
            setup.import_models(tenant=tenant, provider="openai")
        return len(captured)

    def listed() -> int:
        with CaptureQueriesContext(connection) as captured:
            queries.entries(tenant_id=tenant.pk)
        return len(captured)

    first, reading = imported(3), listed()
    assert imported(500) <= first + 10, "a few inserts: SQLite takes some sixty rows in one"
    assert TenantModel.objects.count() == 500
    assert listed() == reading
    assert reading <= 5


# ------------------------------------------------------------------------------------ added by hand


def test_a_hosted_model_is_tried_and_added(tenant: Tenant, answers: Answers, server: Any) -> None:
    answers.otherwise = CHAT
    row = add(tenant, "meta/llama-3")
    assert [call.url for call in answers.calls] == [f"{SERVER}/chat/completions"]
    known = entry(tenant, "meta/llama-3", "openai_compatible")
    assert (known.id, known.type, known.added, known.price) == (
        "openai_compatible/meta/llama-3",
        ModelType.REASONING,
        True,
        None,
    )
    assert row.sealed == ""
    assert AuditEntry.objects.filter(action="model.added").count() == 1


@pytest.mark.parametrize(
    ("type", "path", "answer"),
    [
        (
            "embedding",
            "/embeddings",
            reply(
                200, {"object": "list", "data": [{"index": 0, "embedding": [0.1]}], "model": "m"}
            ),
        ),
        ("speech-to-text", "/audio/transcriptions", reply(200, {"text": ""})),
    ],
)
def test_every_type_is_tried_in_its_own_way(
    tenant: Tenant, answers: Answers, server: Any, type: str, path: str, answer: Any
) -> None:
    answers.otherwise = answer
    add(tenant, type=type)
    assert answers.calls[-1].url == SERVER + path


def test_what_is_there_cannot_be_added_again_but_after_removal(
    tenant: Tenant, answers: Answers, server: Any, openai: Any
) -> None:
    answers.otherwise = CHAT
    add(tenant)
    with pytest.raises(Conflict) as refused:
        add(tenant)
    assert refused.value.status == 409
    with pytest.raises(Conflict):
        add(tenant, "gpt-6-luna", provider="openai")
    models.remove_model(tenant=tenant, actor=COMMAND, provider="openai_compatible", model="qwen")
    assert entry(tenant, "qwen", "openai_compatible") is None
    add(tenant)


def test_a_model_that_the_server_does_not_have_is_not_stored(
    tenant: Tenant, answers: Answers, server: Any
) -> None:
    answers.otherwise = openai_error(404, "model_not_found", "The model does not exist.")
    with pytest.raises(CredentialRefused) as refused:
        add(tenant)
    assert refused.value.what_we_sent is not None
    assert not TenantModel.objects.exists()


def test_a_model_may_bring_its_own_key(tenant: Tenant, answers: Answers, server: Any) -> None:
    answers.otherwise = CHAT
    own = marked_secret("model key")
    row = add(tenant, values={"api_key": own})
    assert answers.keys[-1] == f"Bearer {own}"
    assert own not in row.sealed
    assert (row.mask, row.base_url) == (keys.mask(own), SERVER)
    row = TenantModel.objects.get(pk=row.pk)
    access = opening.open_access(credential=server, purpose="call", model_row=row)
    assert access.values["api_key"] == own
    TenantModel.objects.filter(pk=row.pk).update(base_url="https://evil.example/v1")
    row.refresh_from_db()
    with pytest.raises(keys.CredentialUnreadable):
        opening.open_access(credential=server, purpose="call", model_row=row)


def test_a_model_at_another_address_never_gets_the_credentials_key(
    tenant: Tenant, answers: Answers, server: Any
) -> None:
    answers.otherwise = CHAT
    add(tenant, base_url="https://elsewhere.example/v1")
    assert answers.calls[-1].url.startswith("https://elsewhere.example/v1/")
    assert answers.keys[-1] == ""


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": ""}, "model"),
        ({"model": "two words"}, "model"),
        ({"type": "video"}, "type"),
        ({"type": "rerank", "provider": "anthropic"}, "type"),
        ({"values": {"is_active": "1"}}, "is_active"),
        ({"values": {"api_key": "two words"}}, "api_key"),
        ({"base_url": "http://10.0.0.1/v1"}, "base_url"),
    ],
)
def test_wrong_values_are_refused_before_anything_is_sent(
    tenant: Tenant, answers: Answers, server: Any, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ServiceError) as refused:
        add(tenant, **{"model": "qwen", **changes})
    assert refused.value.field == field
    assert answers.calls == []


def test_without_a_credential_a_model_needs_its_own_address(
    tenant: Tenant, answers: Answers
) -> None:
    with pytest.raises(Conflict):
        add(tenant)
    add(tenant, base_url=SERVER, check=False)
    assert [known.id for known in queries.entries(tenant_id=tenant.pk)] == [
        "openai_compatible/qwen"
    ]


def test_only_added_models_are_removed(tenant: Tenant, openai: Any) -> None:
    with pytest.raises(Conflict):
        models.remove_model(tenant=tenant, actor=COMMAND, provider="openai", model="gpt-6-luna")
    with pytest.raises(ModelNotFound):
        models.remove_model(tenant=tenant, actor=COMMAND, provider="openai", model="nothing")


def test_a_removed_model_leaves_the_defaults(
    tenant: Tenant, answers: Answers, server: Any, openai: Any
) -> None:
    answers.otherwise = CHAT
    add(tenant)
    defaults.set_default(
        tenant=tenant,
        actor=COMMAND,
        scenario="reasoning",
        model="openai/gpt-6-luna",
        fallbacks=["openai_compatible/qwen"],
    )
    assert (
        models.remove_model(
            tenant=tenant, actor=COMMAND, provider="openai_compatible", model="qwen"
        )
        == ()
    )
    assert DefaultModel.objects.get().fallbacks == []
    add(tenant)
    defaults.set_default(
        tenant=tenant, actor=COMMAND, scenario="reasoning", model="openai_compatible/qwen"
    )
    assert models.remove_model(
        tenant=tenant, actor=COMMAND, provider="openai_compatible", model="qwen"
    ) == ("reasoning",)
    assert not DefaultModel.objects.exists()


# ------------------------------------------------------------------ a provider with its first model


def set_up(tenant: Tenant, **changes: Any) -> ProviderCredential:
    values = {"api_key": marked_secret("server key"), "base_url": SERVER}
    given = {
        "provider": "openai_compatible",
        "name": "Main",
        "values": values,
        "model": {"model": "qwen", "type": "reasoning", "values": {}},
    }
    return setup.set_up_provider(tenant=tenant, actor=COMMAND, **given | changes)


def test_a_credential_and_its_first_model_are_checked_and_then_stored(
    tenant: Tenant, answers: Answers
) -> None:
    answers.then([model_list("qwen"), CHAT])
    row = set_up(tenant)
    assert [call.url for call in answers.calls] == [
        f"{SERVER}/models",
        f"{SERVER}/chat/completions",
    ]
    assert len(set(answers.keys)) == 1, "the model is tried with the key that is to be stored"
    assert (row.is_active, row.state, entry(tenant, "qwen", "openai_compatible").added) == (
        True,
        "connected",
        True,
    )
    assert sorted(AuditEntry.objects.values_list("action", flat=True)) == [
        "credential.added",
        "model.added",
    ]
    access = opening.open_access(credential=ProviderCredential.objects.get(), purpose="call")
    assert f"Bearer {access.values['api_key']}" in answers.keys


def nothing_is_stored(tenant: Tenant) -> None:
    assert not ProviderCredential.objects.exists()
    assert not TenantModel.objects.exists()
    assert not AuditEntry.objects.exists()
    assert Tenant.objects.get(pk=tenant.pk).config_version == tenant.config_version


@pytest.mark.parametrize(
    ("script", "sent"),
    [
        ([openai_error(401, "invalid_api_key")], 1),
        ([model_list("qwen"), openai_error(404, "model_not_found")], 2),
    ],
)
def test_what_is_refused_leaves_neither(
    tenant: Tenant,
    answers: Answers,
    django_capture_on_commit_callbacks: Any,
    script: list[Any],
    sent: int,
) -> None:
    tenant.refresh_from_db()
    answers.then(script)
    with (
        django_capture_on_commit_callbacks(execute=True) as callbacks,
        pytest.raises(CredentialRefused),
    ):
        set_up(tenant)
    assert len(answers.calls) == sent
    assert callbacks == [], "no import begins"
    nothing_is_stored(tenant)


@pytest.mark.parametrize(
    "model", [{"model": "two words", "type": "reasoning"}, {"model": "qwen", "type": "video"}]
)
def test_a_first_model_that_cannot_be_is_refused_before_anybody_is_asked(
    tenant: Tenant, answers: Answers, model: dict[str, Any]
) -> None:
    tenant.refresh_from_db()
    with pytest.raises(ServiceError):
        set_up(tenant, model=model)
    assert answers.calls == []
    nothing_is_stored(tenant)


def test_a_model_that_came_meanwhile_takes_the_credential_back(
    tenant: Tenant, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(call: Any, **options: Any) -> Any:
        if call.url.endswith("/chat/completions"):
            TenantModel.objects.create(
                tenant=tenant,
                provider="openai_compatible",
                model="qwen",
                type="reasoning",
                origin="added",
            )
        return answers.send(call, **options)

    monkeypatch.setattr(sync_client, "send", send)
    answers.then([model_list("qwen"), CHAT])
    with pytest.raises(Conflict):
        set_up(tenant)
    assert not ProviderCredential.objects.exists()
    assert not AuditEntry.objects.exists()


# ------------------------------------------------------------------------------ switches, overrides


def test_a_switch_makes_the_row(tenant: Tenant, openai: Any) -> None:
    before = Tenant.objects.get(pk=tenant.pk).config_version
    models.set_enabled(
        tenant=tenant, actor=COMMAND, provider="openai", model="gpt-6-luna", enabled=False
    )
    assert TenantModel.objects.get().origin == TenantModel.Origin.SHIPPED
    assert not entry(tenant, "gpt-6-luna").enabled
    models.set_enabled(
        tenant=tenant, actor=COMMAND, provider="openai", model="gpt-6-luna", enabled=True
    )
    assert entry(tenant, "gpt-6-luna").enabled
    assert TenantModel.objects.count() == 1
    assert Tenant.objects.get(pk=tenant.pk).config_version == before + 2
    with pytest.raises(ModelNotFound):
        models.set_enabled(
            tenant=tenant, actor=COMMAND, provider="openai", model="nothing", enabled=False
        )


@pytest.mark.parametrize("model", ["a\0b", "a\r\nb", "\ud800"])
def test_a_name_that_no_model_has_is_not_looked_up(tenant: Tenant, openai: Any, model: str) -> None:
    with CaptureQueriesContext(connection) as made:
        assert queries.row(tenant_id=tenant.pk, provider="openai", model=model) is None
        assert entry(tenant, model) is None
    assert len(made) == 0
    with pytest.raises(ModelNotFound):
        models.set_enabled(
            tenant=tenant, actor=COMMAND, provider="openai", model=model, enabled=True
        )


def test_several_are_switched_or_none(tenant: Tenant, openai: Any) -> None:
    with pytest.raises(ModelNotFound):
        models.set_many_enabled(
            tenant=tenant,
            actor=COMMAND,
            provider="openai",
            models=["gpt-6-luna", "nothing"],
            enabled=False,
        )
    assert not TenantModel.objects.exists()
    assert (
        models.set_many_enabled(
            tenant=tenant,
            actor=COMMAND,
            provider="openai",
            models=["gpt-6-luna", "o3"],
            enabled=False,
        )
        == 2
    )
    assert [known.model for known in queries.entries(tenant_id=tenant.pk, enabled=False)] == [
        "gpt-6-luna",
        "o3",
    ]


def test_overrides_are_checked_and_taken_back(tenant: Tenant, openai: Any) -> None:
    def override(**given: Any) -> Any:
        return models.override(
            tenant=tenant, actor=COMMAND, provider="openai", model="gpt-6-luna", overrides=given
        )

    shipped = entry(tenant, "gpt-6-luna")
    own = override(
        price={"currency": "EUR", "input": "0.25"}, retired="2027-01-31", features=["tools"]
    )
    assert own.price is not None
    assert (own.price.currency, own.price.input, own.price.output) == ("EUR", Decimal("0.25"), None)
    assert (str(own.retired), own.features) == ("2027-01-31", {"tools"})
    for wrong in (
        {"context_window": 0},
        {"price": {"currency": "EUR", "input": 0}},
        {"enabled_by": "me"},
        {"type": "video"},
    ):
        with pytest.raises(BadFact):
            override(**wrong)
    back = override(price=None, retired=None, features=None)
    assert (back.price, back.retired, back.features) == (
        shipped.price,
        shipped.retired,
        shipped.features,
    )
    assert TenantModel.objects.get().overrides == {}


# ----------------------------------------------------------------------------------------- defaults


def test_a_default_is_chosen_changed_and_cleared(tenant: Tenant, openai: Any) -> None:
    for model, fallbacks in (
        ("openai/gpt-6-luna", ["openai/gpt-6.2-sol"]),
        ("openai/gpt-6.1-terra", []),
    ):
        defaults.set_default(
            tenant=tenant, actor=COMMAND, scenario="reasoning", model=model, fallbacks=fallbacks
        )
        chosen = queries.defaults(tenant_id=tenant.pk)["reasoning"]
        assert (chosen.model, list(chosen.fallbacks), chosen.is_usable) == (model, fallbacks, True)
    for _time in range(2):
        defaults.clear_default(tenant=tenant, actor=COMMAND, scenario="reasoning")
        assert queries.defaults(tenant_id=tenant.pk)["reasoning"].entry is None
    actions = list(
        AuditEntry.objects.filter(action__startswith="default.").values_list("action", flat=True)
    )
    assert sorted(actions) == ["default.cleared", "default.set", "default.set"]


@pytest.mark.parametrize(
    ("model", "fallbacks", "code", "field"),
    [
        ("openai/text-embedding-3-small", [], "wrong_type", "model"),
        ("openai/nothing", [], "model_not_found", "model"),
        ("gpt-6-luna", [], "model_not_found", "model"),
        ("anthropic/claude-haiku-5-5", [], "model_not_found", "model"),
        ("openai/o3", [], "model_disabled", "model"),
        ("openai/gpt-6-luna", ["openai/o3"], "model_disabled", "fallbacks"),
        ("openai/gpt-6-luna", ["openai/whisper-1"], "wrong_type", "fallbacks"),
        ("openai/gpt-6-luna", ["openai/gpt-6-luna"], "invalid_value", "fallbacks"),
        ("openai/gpt-6-luna", [f"openai/{n}" for n in range(11)], "invalid_value", "fallbacks"),
    ],
)
def test_only_enabled_models_of_the_fitting_type(
    tenant: Tenant, openai: Any, model: str, fallbacks: list[str], code: str, field: str
) -> None:
    models.set_enabled(tenant=tenant, actor=COMMAND, provider="openai", model="o3", enabled=False)
    with pytest.raises(ServiceError) as refused:
        defaults.set_default(
            tenant=tenant, actor=COMMAND, scenario="reasoning", model=model, fallbacks=fallbacks
        )
    assert (refused.value.code, refused.value.field) == (code, field)
    assert not DefaultModel.objects.exists()


def test_there_are_only_the_known_scenarios(tenant: Tenant) -> None:
    with pytest.raises(NotFound):
        defaults.clear_default(tenant=tenant, actor=COMMAND, scenario="dreaming")


# ------------------------------------------------------------------------------------------ tenants


def test_one_tenants_catalog_is_nobody_elses(
    tenant: Tenant, answers: Answers, server: Any, openai: Any, globex: Workspace
) -> None:
    answers.otherwise = CHAT
    add(tenant)
    models.set_enabled(
        tenant=tenant, actor=COMMAND, provider="openai", model="gpt-6-luna", enabled=False
    )
    defaults.set_default(
        tenant=tenant, actor=COMMAND, scenario="reasoning", model="openai_compatible/qwen"
    )
    with tenant_scope(globex.tenant):
        assert queries.entries(tenant_id=globex.tenant.pk) == []
        assert entry(globex.tenant, "qwen", "openai_compatible") is None
        assert entry(globex.tenant, "gpt-6-luna").enabled
        assert queries.defaults(tenant_id=globex.tenant.pk)["reasoning"].entry is None
        assert entry(tenant, "qwen", "openai_compatible") is None, (
            "the scope holds where an id is wrong"
        )
        with pytest.raises(ModelNotFound):
            models.remove_model(
                tenant=globex.tenant, actor=COMMAND, provider="openai_compatible", model="qwen"
            )
    assert library.shipped("openai").models["gpt-6-luna"]
