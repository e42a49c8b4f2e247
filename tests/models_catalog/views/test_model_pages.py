"""Pages of providers' models and keys: one's own values, the order of keys and of fallbacks, and
what is said of states.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone, translation

from models_catalog import queries
from models_catalog.models import DefaultModel, TenantModel
from models_catalog.services import defaults, models
from providers import queries as provider_queries
from providers.models import CredentialState, ProviderCredential
from providers.transport import egress
from tenants.audit.trail import COMMAND
from tenants.models import AuditEntry
from tenants.scope import all_tenants, tenant_scope
from tests import walk
from tests.factories import Workspace, make_credential, make_user
from tests.page_text import folded

# On PostgreSQL, core/test_furnished_pages.py opens every page.
pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
SETTINGS = "/t/acme/settings"
PROVIDERS = f"{SETTINGS}/model-providers"
MODEL = f"{PROVIDERS}/openai/models/gpt-5.5/"
DEFAULTS = f"{SETTINGS}/default-models/"


@pytest.fixture
def page(acme: Workspace) -> Client:
    make_credential(acme.tenant, provider="openai", name="Production")
    return walk.browser(acme.admin)


def entry(acme: Workspace, model: str = "gpt-5.5") -> Any:
    with tenant_scope(acme.tenant):
        return queries.entry(tenant_id=acme.tenant.pk, provider="openai", model=model)


# ---------------------------------------------------------------------------------------- one model


def test_own_values_count_are_audited_and_are_taken_back(
    page: Client, acme: Workspace, globex: Workspace
) -> None:
    before = entry(acme)
    form = {
        "label": "Ours",
        "context_window": "4096",
        "features": "vision, tools",
        "currency": "CNY",
        "input": "0.5",
        "output": "2",
    }
    shown = folded(page.post(MODEL, form, follow=True))
    found = entry(acme)
    assert (found.label, found.context_window, found.features) == (
        "Ours",
        4096,
        {"vision", "tools"},
    )
    assert (found.price.currency, str(found.price.input), str(found.price.output)) == (
        "CNY",
        "0.5",
        "2",
    )
    assert "Your own value" in shown
    assert f"built-in value: {before.context_window:,}" in shown
    with tenant_scope(globex.tenant):
        other = queries.entry(tenant_id=globex.tenant.pk, provider="openai", model="gpt-5.5")
        assert other is not None
        assert other.context_window == before.context_window
    with all_tenants():
        noted = AuditEntry.objects.get(tenant=acme.tenant, action="model.overridden")
        assert noted.user == acme.admin
        assert noted.details["facts"] == ["context_window", "features", "label", "price"]
    page.post(MODEL, {})
    assert entry(acme) == before


def test_nothing_changes_where_nothing_was_typed(page: Client, acme: Workspace) -> None:
    assert page.post(MODEL, {}).status_code == 302
    with all_tenants():
        assert not TenantModel.objects.filter(tenant=acme.tenant).exists()


@pytest.mark.parametrize(
    "form",
    [
        {"context_window": "0"},
        {"context_window": "many"},
        {"input": "1"},
        {"currency": "USD"},
        {"currency": "USD", "input": "-1"},
        {"since": "2026-11-01"},
        {"currency": "USD", "input": "1", "since": "yesterday"},
        {"currency": "USD", "input": "1", "since": "0001-01-01"},
    ],
)
def test_values_that_cannot_be_are_refused_beside_their_field(
    form: dict[str, str], page: Client, acme: Workspace
) -> None:
    answer = page.post(MODEL, form)
    assert answer.status_code == 422
    assert b'aria-invalid="true"' in answer.content
    with all_tenants():
        assert not TenantModel.objects.filter(tenant=acme.tenant).exists()


def test_an_own_price_has_all_amounts_and_a_date(page: Client, acme: Workspace) -> None:
    form = {
        "currency": "USD",
        "input": "3",
        "output": "15",
        "cached_input": "0.3",
        "cache_write": "3.75",
        "cache_write_1h": "6",
        "thinking_output": "20",
        "audio_input": "40",
        "audio_output": "80",
    }
    page.post(MODEL, form | {"since": "2026-11-01"})
    rates = entry(acme).price.rates
    assert {name: str(getattr(rates, name)) for name in form if name != "currency"} == {
        name: amount for name, amount in form.items() if name != "currency"
    }
    before = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)
    assert entry(acme).prices.at(before).is_own is False
    assert entry(acme).prices.at(before + timedelta(minutes=1)).is_own is True
    shown = folded(page.get(MODEL))
    for amount in ("3.75", "80"):
        assert f'value="{amount}"' in shown
    assert '<details class="advanced" open>' in shown
    # The date is that of a version, and asked for anew with the next one.
    assert 'name="since" value' not in shown
    page.post(MODEL, form)
    with tenant_scope(acme.tenant):
        assert len(TenantModel.objects.get(provider="openai", model="gpt-5.5").prices) == 1


def test_saving_the_form_keeps_what_only_the_api_can_set(page: Client, acme: Workspace) -> None:
    price = {
        "currency": "USD",
        "input": "3",
        "output": "15",
        "tiers": [{"above": 200_000, "input": "6"}],
        "tools": {"web_search": "0.01"},
        "service_tiers": {"fast": "2"},
        "regions": {"us": "1.1"},
        "image_input": "5",
    }
    with tenant_scope(acme.tenant):
        models.override(
            tenant=acme.tenant,
            actor=COMMAND,
            provider="openai",
            model="gpt-5.5",
            overrides={"price": price},
        )
    assert "Set through the REST API, and kept: tiers, tools" in folded(page.get(MODEL))
    page.post(MODEL, {"currency": "USD", "input": "4", "output": "15"})
    with tenant_scope(acme.tenant):
        stored = TenantModel.objects.get(provider="openai", model="gpt-5.5").overrides["price"]
    assert stored == price | {"input": "4"}


def test_who_may_look_may_not_change(page: Client, acme: Workspace) -> None:
    viewer = walk.browser(acme.viewer)
    shown = viewer.get(MODEL)
    assert shown.status_code == 200
    assert b"Save values" not in shown.content
    assert viewer.post(MODEL, {"label": "Mine"}).status_code == 403
    assert walk.browser(make_user("stranger@nowhere.test")).get(MODEL).status_code == 404
    assert page.get(f"{PROVIDERS}/openai/models/no-such-model/").status_code == 404
    assert page.get(f"{PROVIDERS}/nobody/models/x/").status_code == 404


def test_a_retired_model_says_when_and_what_follows(page: Client) -> None:
    shown = folded(page.get(f"{PROVIDERS}/openai/models/gpt-4/"))
    assert "Retired on 2026-10-23." in shown
    assert f'href="{PROVIDERS}/openai/models/gpt-5.6-sol/"' in shown
    listed = folded(page.get(f"{PROVIDERS}/openai/?state=retired"))
    assert "gpt-4-32k" in listed
    assert ">gpt-6-sol<" not in listed.replace("Successor: gpt-6-sol", "")


def test_a_model_shows_the_facts_of_its_type(page: Client, acme: Workspace) -> None:
    with tenant_scope(acme.tenant):
        TenantModel.objects.create(
            tenant=acme.tenant,
            provider="openai_compatible",
            model="ours",
            type="embedding",
            origin="added",
        )
    shown = folded(page.get(f"{PROVIDERS}/openai_compatible/models/ours/"))
    assert '<dt>Model type</dt><dd><span class="clip">Embedding</span>' in shown
    assert "<dt>Texts in one request</dt>" in shown
    assert "<dt>Longest answer" not in shown
    assert "<dt>Texts in one request</dt>" not in folded(page.get(MODEL))


def test_a_provider_without_models_offers_one_thing_to_do(page: Client, acme: Workspace) -> None:
    for slug, words in (("huggingface_hub", "Set up"), ("deepseek", "Set up")):
        shown = folded(page.get(f"{PROVIDERS}/{slug}/"))
        assert [*re.findall(r'class="btn primary"[^>]*>(?:<svg.*?</svg>)?([^<]+)<', shown)] == [
            words
        ]
        assert 'role="search"' not in shown
        assert f"/help/providers/{slug}/" in shown
    make_credential(
        acme.tenant,
        provider="openai_compatible",
        name="Server",
        values={},
        base_url="https://models.example/v1",
    )
    shown = folded(page.get(f"{PROVIDERS}/openai_compatible/"))
    assert [*re.findall(r'class="btn primary"[^>]*>(?:<svg.*?</svg>)?([^<]+)<', shown)] == [
        "Add model"
    ]
    assert 'role="search"' in folded(page.get(f"{PROVIDERS}/openai_compatible/?q=x")), (
        "there a filter can be taken back"
    )


def test_a_model_is_tried_on_the_page_of_its_type(page: Client) -> None:
    shown = folded(page.get(f"{PROVIDERS}/openai/?q=gpt-5.5"))
    assert 'href="/t/acme/playground/?model=openai%2Fgpt-5.5"' in shown
    shown = folded(page.get(f"{PROVIDERS}/openai/?q=whisper"))
    assert 'href="/t/acme/playground/speech/?model=openai%2Fwhisper-1"' in shown


@pytest.mark.parametrize(
    "path",
    [MODEL, f"{PROVIDERS}/", f"{PROVIDERS}/openai/", DEFAULTS, f"{PROVIDERS}/openai_compatible/"],
)
def test_five_hundred_models_take_few_queries(
    path: str, page: Client, acme: Workspace, django_assert_max_num_queries: Any
) -> None:
    make_credential(
        acme.tenant,
        provider="openai_compatible",
        name="Server",
        values={},
        base_url="https://models.example/v1",
    )
    with tenant_scope(acme.tenant):
        TenantModel.objects.bulk_create(
            TenantModel(
                tenant=acme.tenant,
                provider="openai_compatible",
                model=f"m-{number:03}",
                type="reasoning",
                origin="added",
            )
            for number in range(500)
        )
    page.get(path)
    with django_assert_max_num_queries(12):
        assert page.get(path).status_code == 200


# --------------------------------------------------------------------------------------------- keys


def names(acme: Workspace) -> list[tuple[str, bool]]:
    with tenant_scope(acme.tenant):
        rows = provider_queries.credentials(tenant_id=acme.tenant.pk, provider="openai")
        return list(rows.values_list("name", "is_active"))


@pytest.fixture
def three(page: Client, acme: Workspace) -> dict[str, ProviderCredential]:
    rows = [
        make_credential(acme.tenant, provider="openai", name=name, is_active=False)
        for name in ("Second", "Third")
    ]
    return {row.name: row for row in rows}


def test_standby_keys_change_places(
    page: Client, acme: Workspace, three: dict[str, ProviderCredential]
) -> None:
    path = f"{PROVIDERS}/openai/credentials/{three['Third'].pk}/move/"
    page.post(path, {"direction": "up"})
    assert names(acme) == [("Production", True), ("Third", False), ("Second", False)]
    page.post(path, {"direction": "up"})
    assert names(acme)[0] == ("Production", True), "the active one stays"
    page.post(path, {"direction": "down"})
    page.post(path, {"direction": "down"})
    assert names(acme) == [("Production", True), ("Second", False), ("Third", False)]
    with all_tenants():
        assert (
            AuditEntry.objects.filter(tenant=acme.tenant, action="credential.ordered").count() == 2
        ), "two of the four changed something"


def test_who_deletes_the_active_key_says_which_one_takes_over(
    page: Client, acme: Workspace, three: dict[str, ProviderCredential]
) -> None:
    with all_tenants():
        active = ProviderCredential.objects.get(name="Production")
        ProviderCredential.objects.filter(name="Second").update(state=CredentialState.REJECTED)
    path = f"{PROVIDERS}/openai/credentials/{active.pk}/delete/"
    shown = folded(page.get(path))
    assert f'value="{three["Third"].pk}" checked' in shown, "one that works is proposed"
    page.post(path, {"successor": str(three["Third"].pk)})
    assert names(acme) == [("Third", True), ("Second", False)]


def test_a_foreign_successor_is_not_taken(
    page: Client, acme: Workspace, globex: Workspace, three: dict[str, ProviderCredential]
) -> None:
    foreign = make_credential(globex.tenant, provider="openai", name="Foreign")
    with all_tenants():
        active = ProviderCredential.objects.get(tenant=acme.tenant, name="Production")
    page.post(f"{PROVIDERS}/openai/credentials/{active.pk}/delete/", {"successor": str(foreign.pk)})
    assert names(acme) == [("Second", True), ("Third", False)]


def test_a_server_that_asks_for_a_key_rejected_none(page: Client, acme: Workspace) -> None:
    row = make_credential(
        acme.tenant,
        provider="openai_compatible",
        name="Ollama",
        values={},
        base_url="https://models.example/v1",
    )
    with all_tenants():
        ProviderCredential.objects.filter(pk=row.pk).update(
            state=CredentialState.REJECTED, state_detail={"text": "Unauthorized", "status": 401}
        )
    for path in (f"{PROVIDERS}/?q=compatible", f"{PROVIDERS}/openai_compatible/credentials/"):
        shown = folded(page.get(path))
        assert "Key needed" in shown
        assert "Key rejected" not in shown


def test_states_say_how_long_and_until_when(
    page: Client, acme: Workspace, three: dict[str, ProviderCredential]
) -> None:
    now = timezone.now()
    with all_tenants():
        ProviderCredential.objects.filter(name="Second").update(
            state=CredentialState.COOLING,
            resting_until=now + timedelta(minutes=5),
            state_since=now - timedelta(hours=3),
        )
        ProviderCredential.objects.filter(name="Third").update(
            state=CredentialState.COOLING, resting_until=now - timedelta(minutes=5)
        )
    shown = folded(page.get(f"{PROVIDERS}/openai/credentials/"))
    assert shown.count("Resting") == 1, "the rest of the third is over"
    assert "for 3\xa0hours" in shown
    assert "rests until" in shown


def test_providers_are_narrowed_by_state(page: Client, acme: Workspace) -> None:
    make_credential(acme.tenant, provider="deepseek", name="Empty", state=CredentialState.NO_FUNDS)
    found = {
        state: folded(page.get(f"{PROVIDERS}/?state={state}"))
        for state in ("attention", "connected", "available")
    }
    shown = {
        state: [
            slug for slug in ("openai", "deepseek", "anthropic") if f'id="provider-{slug}"' in text
        ]
        for state, text in found.items()
    }
    assert shown == {"attention": ["deepseek"], "connected": ["openai"], "available": ["anthropic"]}
    assert page.get(f"{PROVIDERS}/?state=nonsense").status_code == 200


def test_alternatives_of_a_form_stand_under_their_headings(page: Client) -> None:
    shown = folded(page.get(f"{PROVIDERS}/azure_openai/setup/"))
    assert (
        shown.index("With a resource key")
        < shown.index("With Microsoft Entra ID")
        < shown.index('name="values-client_secret"')
    )
    assert shown.count('class="either"') == 1
    shown = folded(page.get(f"{PROVIDERS}/spark/setup/"))
    assert shown.index("With an APIPassword") < shown.index("With APIKey and APISecret")


def test_forms_show_which_url_a_base_url_leads_to(page: Client, acme: Workspace) -> None:
    """While it is typed, after a refusal, and for a stored one."""
    setup, server = f"{PROVIDERS}/openai_compatible/setup/", "https://models.example.com"
    assert "Calls go to" not in folded(page.get(setup))
    both = f"{server}/x/v1/chat/completions, or to {server}/x/chat/completions"
    assert f"Calls go to {both}" in folded(page.get(setup, {"values-base_url": f"{server}/x"}))
    refused = page.post(setup, {"values-base_url": f"{server}/v1/chat/completions"})
    assert f"Calls go to {server}/v1/chat/completions." in folded(refused)
    row = make_credential(acme.tenant, provider="anthropic", base_url=server)
    stored = page.get(f"{PROVIDERS}/anthropic/credentials/{row.pk}/edit/")
    assert f"Calls go to {server}/v1/messages." in folded(stored)


def test_refused_addresses_are_said_in_the_readers_language() -> None:
    def translated(text: str) -> str:
        return f"<{text}>"

    for url in (
        "https://127.0.0.1",
        "http://models.example",
        "https://models.example:8443",
        "https://server.local",
    ):
        with pytest.raises(egress.Refused) as refused:
            egress.check_url(url, allow=[], tenant_typed=True)
        reason = refused.value.reason
        said = reason.describe(translated)
        assert said == " ".join(f"<{part}>" for part in str(reason).split(" The ", 1)).replace(
            "> <", "> <The "
        )
    with translation.override("zh-hans"):
        assert "MODELKEEP_EGRESS_ALLOW" in reason.describe(translation.gettext)
        assert "name of a local network" not in reason.describe(translation.gettext)


# ----------------------------------------------------------------------------------- default models


@pytest.fixture
def chosen(page: Client, acme: Workspace) -> Any:
    with tenant_scope(acme.tenant):
        return defaults.set_default(
            tenant=acme.tenant,
            actor=COMMAND,
            scenario="reasoning",
            model="openai/gpt-5.5",
            fallbacks=["openai/gpt-5.4", "openai/o3"],
        )


def fallbacks() -> list[str]:
    with all_tenants():
        return list(DefaultModel.objects.get(scenario="reasoning").fallbacks)


def test_fallbacks_are_moved_removed_and_added_by_plain_buttons(page: Client, chosen: Any) -> None:
    form = {
        "reasoning-model": "openai/gpt-5.5",
        "reasoning-fallback0": "openai/gpt-5.4",
        "reasoning-fallback1": "openai/o3",
    }
    page.post(DEFAULTS, {**form, "do": "down:reasoning:0"})
    assert fallbacks() == ["openai/o3", "openai/gpt-5.4"]
    page.post(DEFAULTS, {**form, "do": "up:reasoning:0"})
    assert fallbacks() == ["openai/gpt-5.4", "openai/o3"], "the first cannot go higher"
    page.post(DEFAULTS, {**form, "do": "remove:reasoning:0"})
    assert fallbacks() == ["openai/o3"]
    page.post(
        DEFAULTS,
        {
            "reasoning-model": "openai/gpt-5.5",
            "reasoning-fallback0": "openai/o3",
            "reasoning-fallback1": "openai/gpt-5.2",
        },
    )
    assert fallbacks() == ["openai/o3", "openai/gpt-5.2"]


@pytest.mark.parametrize(
    "do", ["up:reasoning:99", "down:nobody:0", "remove:reasoning:x", "up", "remove:reasoning:-1"]
)
def test_buttons_that_are_none_save_what_stands_in_the_form(
    do: str, page: Client, chosen: Any
) -> None:
    form = {
        "reasoning-model": "openai/gpt-5.5",
        "reasoning-fallback0": "openai/gpt-5.4",
        "reasoning-fallback1": "openai/o3",
    }
    assert page.post(DEFAULTS, {**form, "do": do}).status_code == 302
    assert fallbacks() == ["openai/gpt-5.4", "openai/o3"]


@pytest.mark.parametrize(
    ("language", "without", "warning"),
    [
        (
            "en",
            "Voice input is off until you choose one.",
            "Vectors of different models cannot be compared",
        ),
        ("zh-hans", "未设置默认语音转文本模型", "不同模型的向量无法相互比较"),
    ],
)
def test_a_scenario_says_what_its_default_means(
    page: Client, acme: Workspace, language: str, without: str, warning: str
) -> None:
    def shown() -> str:
        return folded(page.get(DEFAULTS, headers={"Accept-Language": language}))

    assert (shown().count(without), warning in shown()) == (1, False)
    models = {"embedding": "text-embedding-3-small", "speech-to-text": "whisper-1"}
    with tenant_scope(acme.tenant):
        for scenario, name in models.items():
            defaults.set_default(
                tenant=acme.tenant, actor=COMMAND, scenario=scenario, model=f"openai/{name}"
            )
    assert (without in shown(), shown().count(warning)) == (False, 1)


def test_the_successor_of_a_retired_default_is_one_click_away(
    page: Client, acme: Workspace
) -> None:
    with tenant_scope(acme.tenant):
        defaults.set_default(
            tenant=acme.tenant,
            actor=COMMAND,
            scenario="reasoning",
            model="openai/gpt-4",
            fallbacks=["openai/gpt-5.6-sol", "openai/o3"],
        )
    shown = folded(page.get(DEFAULTS))
    assert "Retired on 2026-10-23" in shown
    assert 'name="do" value="use:reasoning:openai/gpt-5.6-sol"' in shown
    posted = {
        "reasoning-model": "openai/gpt-4",
        "reasoning-fallback0": "openai/gpt-5.6-sol",
        "reasoning-fallback1": "openai/o3",
        "embedding-model": "openai/text-embedding-3-small",
        "do": "use:reasoning:openai/gpt-5.6-sol",
    }
    assert page.post(DEFAULTS, posted).status_code == 302
    with tenant_scope(acme.tenant):
        chosen = {one.scenario: one.model for one in DefaultModel.objects.all()}
    assert chosen == {
        "reasoning": "openai/gpt-5.6-sol",
        "embedding": "openai/text-embedding-3-small",
    }, "what else was chosen is saved too"
    assert fallbacks() == ["openai/o3"], "what is the default now is no fallback any more"


def test_strangers_find_no_model(page: Client, acme: Workspace, globex: Workspace) -> None:
    with tenant_scope(acme.tenant):
        TenantModel.objects.create(
            tenant=acme.tenant,
            provider="openai",
            model="acme-only",
            type="reasoning",
            origin=TenantModel.Origin.ADDED,
        )
    path = f"{PROVIDERS}/openai/models/acme-only/"
    assert page.get(path).status_code == 200
    for reader in (globex.admin, make_user("stranger@nowhere.test")):
        browser = walk.browser(reader)
        assert browser.get(path).status_code == 404
        assert browser.post(path, {"label": "Theirs"}).status_code == 404
    assert entry(acme, "acme-only").label != "Theirs"
    own = walk.browser(globex.admin)
    assert own.get(path.replace("acme/", "globex/", 1)).status_code == 404
