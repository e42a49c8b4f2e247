"""Trial plans: credentials sealed for the operators' row, pools for every workspace, limits that
follow the plan.
"""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from core.errors import Conflict, ServiceError
from quotas import ports
from quotas.ledger import invariants
from quotas.models import CreditPool, Grant, TrialPlan
from quotas.trials import plans, queries
from quotas.trials.plans import BelowUsed, PlanAccess
from tenants.audit import trail
from tenants.audit.trail import COMMAND
from tenants.crypto import keys
from tenants.models import AuditEntry, Tenant, User
from tenants.scope import all_tenants, tenant_scope
from tenants.services.workspaces import create_workspace, system_tenant
from tests import ledger
from tests.factories import make_tenant, marked_secret
from tests.quotas.conftest import make_plan, record_for, request_for


@pytest.fixture(autouse=True)
def everyone(db: None):
    with all_tenants():
        yield


@pytest.fixture
def plan() -> TrialPlan:
    return make_plan(limit=100, is_on=False)


def switch_on(plan: TrialPlan, **changes) -> TrialPlan:
    plans.set_plan_credential(actor=COMMAND, plan=plan, values={"api_key": "sk-" + "a" * 30})
    return plans.update_plan(actor=COMMAND, plan=plan, is_on=True, **changes)


def pools(plan: TrialPlan) -> dict[str, tuple[int, int, int]]:
    return {
        pool.tenant.slug: (pool.limit, pool.settled, pool.held)
        for pool in CreditPool.objects.filter(plan=plan)
    }


def use(pool: CreditPool, credits: int, key: str = "k1") -> None:
    hold = ledger.hold(request_for(pool, key, amount=credits))
    ledger.settle(hold_id=hold.hold_id, record=record_for(pool.tenant))


# -- seed ------------------------------------------------------------------------------------------


def test_the_two_plans_of_a_new_installation_are_there_and_off() -> None:
    seeded = {plan.slug: plan for plan in TrialPlan.objects.all()}
    assert {slug: (plan.limit, plan.is_on, plan.provider) for slug, plan in seeded.items()} == {
        "openai": (500, False, "openai"),
        "anthropic": (1000, False, "anthropic"),
    }
    models = {
        slug: [(row.model, row.credits) for row in plan.models.order_by("pk")]
        for slug, plan in seeded.items()
    }
    assert models == {
        "openai": [("gpt-3.5-turbo", 1), ("gpt-3.5-turbo-16k", 1), ("text-davinci-003", 1)],
        "anthropic": [("claude-instant-1", 1), ("claude-2", 1)],
    }


# -- pools -----------------------------------------------------------------------------------------


def test_switching_on_gives_every_workspace_its_credits_once(
    plan: TrialPlan, tenant: Tenant, other: Tenant
) -> None:
    system_tenant()
    plan = switch_on(plan)
    plans.update_plan(actor=COMMAND, plan=plan, is_on=True)

    assert pools(plan) == {"acme": (100, 0, 0), "globex": (100, 0, 0)}
    assert sorted(Grant.objects.values_list("amount", flat=True)) == [100, 100]
    assert invariants.audit() == []


def test_a_new_workspace_gets_the_credits_of_plans_that_are_on(plan: TrialPlan) -> None:
    switch_on(plan)
    tenant = create_workspace(
        slug="new", name="New", owner=User.objects.create_user("o@new.test"), actor=COMMAND
    )
    assert [(pool.plan.slug, pool.limit) for pool in CreditPool.objects.filter(tenant=tenant)] == [
        ("trial", 100)
    ]
    assert invariants.audit() == []


def test_switching_off_keeps_the_credits(plan: TrialPlan, tenant: Tenant) -> None:
    plan = plans.update_plan(actor=COMMAND, plan=switch_on(plan), is_on=False)
    assert pools(plan) == {"acme": (100, 0, 0)}
    [view] = queries.trials(tenant_id=tenant.pk)
    assert view.is_on is False


def test_a_plan_without_a_credential_is_not_switched_on(
    plan: TrialPlan, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def needs_a_key(provider: str, values: dict) -> None:
        raise ServiceError("invalid_value", "API key is required.", "api_key")

    monkeypatch.setattr(ports.check_credential, "_answer", needs_a_key)
    with pytest.raises(ServiceError) as caught:
        plans.update_plan(actor=COMMAND, plan=plan, is_on=True)
    assert (caught.value.code, caught.value.field) == ("no_credential", "is_on")
    assert pools(plan) == {}


@pytest.mark.parametrize(
    ("limits", "used", "expected"),
    [
        ([150], 0, 150),
        ([40], 0, 40),
        ([40], 60, 60),  # never below what is used
        ([40, 100], 60, 100),  # and back up without gaining by it
        ([0, 100], 0, 100),
        ([40, 40], 60, 60),
    ],
)
def test_pools_follow_the_plan_s_limit(
    plan: TrialPlan, tenant: Tenant, limits: list[int], used: int, expected: int
) -> None:
    plan = switch_on(plan)
    if used:
        use(CreditPool.objects.get(plan=plan), used)
    for limit in limits:
        plan = plans.update_plan(actor=COMMAND, plan=plan, limit=limit)
    assert pools(plan)["acme"] == (expected, used, 0)
    assert invariants.audit() == []


def test_held_credits_are_not_taken_back(plan: TrialPlan, tenant: Tenant) -> None:
    plan = switch_on(plan)
    ledger.hold(request_for(CreditPool.objects.get(plan=plan), amount=30))
    plan = plans.update_plan(actor=COMMAND, plan=plan, limit=10)
    assert pools(plan)["acme"] == (30, 0, 30)


def test_single_grants_stay_when_the_limit_changes(plan: TrialPlan, tenant: Tenant) -> None:
    plan = switch_on(plan)
    plans.grant(actor=COMMAND, pool=CreditPool.objects.get(plan=plan), amount=25, reason="refund")
    plans.update_plan(actor=COMMAND, plan=plan, limit=10)
    assert pools(plan)["acme"] == (35, 0, 0)
    assert invariants.audit() == []


@pytest.mark.parametrize("limit", [-1, 2_000_000_001])
def test_impossible_limits_are_refused(plan: TrialPlan, limit: int) -> None:
    with pytest.raises(ServiceError, match=r"The limit must be 0 to"):
        plans.update_plan(actor=COMMAND, plan=plan, limit=limit)


@pytest.mark.parametrize("models", [{"": 1}, {"x" * 201: 1}, {"a\nb": 1}, {"a": 0}, {"a": -5}])
def test_impossible_models_are_refused(plan: TrialPlan, models: dict[str, int]) -> None:
    with pytest.raises(ServiceError):
        plans.update_plan(actor=COMMAND, plan=plan, models=models)
    assert plan.models.count() == 2


def test_two_plans_of_one_name_are_refused(plan: TrialPlan) -> None:
    with pytest.raises(Conflict):
        plans.create_plan(
            actor=COMMAND, slug="trial", label="x", provider="x", limit=1, models={"a": 1}
        )


# -- grants ----------------------------------------------------------------------------------------


def test_a_grant_changes_the_limit_and_is_in_the_audit_trail(
    plan: TrialPlan, tenant: Tenant, other: Tenant
) -> None:
    plan = switch_on(plan)
    pool = CreditPool.objects.get(plan=plan, tenant=tenant)
    before = Tenant.objects.get(pk=tenant.pk).config_version
    plans.grant(actor=trail.Actor("ops@hub.test"), pool=pool, amount=7, reason="  goodwill ")

    assert pools(plan) == {"acme": (107, 0, 0), "globex": (100, 0, 0)}
    given = Grant.objects.get(amount=7)
    assert (given.tenant_id, given.reason, given.actor) == (tenant.pk, "goodwill", "ops@hub.test")
    entry = AuditEntry.objects.get(action="trial.granted")
    assert (entry.tenant_id, entry.details) == (tenant.pk, {"credits": 7, "reason": "goodwill"})
    assert Tenant.objects.get(pk=tenant.pk).config_version > before


def test_credits_in_use_cannot_be_taken_back(plan: TrialPlan, tenant: Tenant) -> None:
    plan = switch_on(plan)
    pool = CreditPool.objects.get(plan=plan)
    use(pool, 60)
    with pytest.raises(BelowUsed):
        plans.grant(actor=COMMAND, pool=pool, amount=-41, reason="too much")
    plans.grant(actor=COMMAND, pool=pool, amount=-40, reason="just enough")
    assert pools(plan)["acme"] == (60, 60, 0)
    assert invariants.audit() == []


@pytest.mark.parametrize(("amount", "reason"), [(0, "x"), (5, ""), (5, "   "), (5, "x" * 201)])
def test_grants_need_an_amount_and_a_reason(
    plan: TrialPlan, tenant: Tenant, amount: int, reason: str
) -> None:
    pool = CreditPool.objects.get(plan=switch_on(plan))
    with pytest.raises(ServiceError):
        plans.grant(actor=COMMAND, pool=pool, amount=amount, reason=reason)
    assert Grant.objects.count() == 1


# -- the operator's credential ---------------------------------------------------------------------


def test_the_credential_is_sealed_for_the_operators_row_and_opens_again(plan: TrialPlan) -> None:
    secret = marked_secret("plan")
    plan = plans.set_plan_credential(
        actor=COMMAND,
        plan=plan,
        values={"api_key": secret, "base_url": "https://api.example.org/v1"},
    )
    plan.refresh_from_db()

    assert secret not in plan.sealed
    assert plan.mask == keys.mask(secret)
    assert plan.base_url == "https://api.example.org/v1"
    opened = plans.open_plan_credential(plan_id=plan.pk)
    assert opened == PlanAccess({"api_key": secret}, "https://api.example.org/v1")
    assert secret not in repr(opened)
    entry = AuditEntry.objects.get(action="trial_plan.credential_set")
    assert entry.tenant == system_tenant()
    assert secret not in json.dumps(entry.details)


def test_an_edited_base_url_makes_the_credential_unreadable(plan: TrialPlan) -> None:
    plans.set_plan_credential(
        actor=COMMAND,
        plan=plan,
        values={"api_key": marked_secret(), "base_url": "https://api.example.org"},
    )
    TrialPlan.objects.update(base_url="https://evil.example.net")
    with pytest.raises(keys.CredentialUnreadable):
        plans.open_plan_credential(plan_id=plan.pk)


def test_rotation_and_verification_reach_the_plan(plan: TrialPlan) -> None:
    secret = marked_secret()
    sealed = plans.set_plan_credential(actor=COMMAND, plan=plan, values={"api_key": secret}).sealed
    report = keys.rotate(tenant=system_tenant(), actor=COMMAND)
    plan.refresh_from_db()
    assert (report.failed, plan.sealed != sealed) == (0, True)
    assert plans.open_plan_credential(plan_id=plan.pk).values == {"api_key": secret}
    assert keys.verify(tenant=system_tenant()).failed == 0


def test_a_new_credential_tells_every_workspace_s_routes(plan: TrialPlan, tenant: Tenant) -> None:
    before = Tenant.objects.get(pk=tenant.pk).config_version
    plans.set_plan_credential(actor=COMMAND, plan=plan, values={"api_key": marked_secret()})
    assert Tenant.objects.get(pk=tenant.pk).config_version > before


# -- commands --------------------------------------------------------------------------------------


def run(*args: str, capsys: pytest.CaptureFixture[str]) -> str:
    call_command(*args)
    return capsys.readouterr().out


def test_trial_plan_sets_all_at_once(tenant: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    secret = marked_secret()
    out = run(
        "trial_plan",
        "openai",
        "--credential",
        f"api_key={secret}",
        "base_url=https://api.openai.com/v1",
        "--model",
        "gpt-4o-mini",
        "--model",
        "ft:gpt-4o:acme=5",
        "--limit",
        "20",
        "--on",
        capsys=capsys,
    )
    plan = TrialPlan.objects.get(slug="openai")
    assert {row.model: row.credits for row in plan.models.all()} == {
        "gpt-4o-mini": 1,
        "ft:gpt-4o:acme": 5,
    }
    assert (plan.limit, plan.is_on) == (20, True)
    assert pools(plan) == {"acme": (20, 0, 0)}
    assert plans.open_plan_credential(plan_id=plan.pk).values == {"api_key": secret}
    assert "openai: on, 20 credits" in out
    assert secret not in out


def test_trial_plan_leaves_alone_what_is_not_named(
    tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = marked_secret()
    run("trial_plan", "anthropic", "--credential", f"api_key={secret}", "--on", capsys=capsys)
    run("trial_plan", "anthropic", "--limit", "7", capsys=capsys)
    run("trial_plan", "anthropic", "--off", capsys=capsys)
    plan = TrialPlan.objects.get(slug="anthropic")
    assert (plan.limit, plan.is_on, plan.models.count()) == (7, False, 2)
    assert plans.open_plan_credential(plan_id=plan.pk).values == {"api_key": secret}


def test_trial_plan_makes_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    run(
        "trial_plan",
        "extra",
        "--provider",
        "openai",
        "--limit",
        "3",
        "--model",
        "a=2",
        "b",
        capsys=capsys,
    )
    [plan] = TrialPlan.objects.filter(slug="extra", provider="openai", limit=3, is_on=False)
    assert {row.model: row.credits for row in plan.models.all()} == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    "args",
    [
        ("nowhere", "--on"),
        ("nowhere", "--limit", "5"),
        ("openai", "--model", "a="),
        ("openai", "--model", "a=x"),
        ("openai", "--model", "a=0"),
        ("openai", "--limit", "-1"),
        ("openai", "--credential", "justakey"),
        ("openai", "--on", "--off"),
    ],
)
def test_trial_plan_refuses_nonsense_and_changes_nothing(args: tuple[str, ...]) -> None:
    before = list(TrialPlan.objects.order_by("pk").values())
    with pytest.raises(CommandError):
        call_command("trial_plan", *args)
    assert list(TrialPlan.objects.order_by("pk").values()) == before


def test_a_key_typed_without_its_field_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("trial_plan", "openai", "--credential", marked_secret())
    assert "canary" not in str(caught.value)


def test_audit_credits_says_so_and_fails_when_something_is_wrong(
    tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "consistent" in run("audit_credits", capsys=capsys)
    assert json.loads(run("audit_credits", "--json", capsys=capsys)) == {
        "ok": True,
        "violations": [],
    }
    pool = CreditPool.objects.create(tenant=tenant, plan=make_plan(), limit=5)
    with pytest.raises(CommandError, match="1 violations"):
        call_command("audit_credits", "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["violations"] == [
        {
            "invariant": "I5",
            "message": "limit 5, grants 0",
            "pool_id": pool.pk,
            "tenant_id": str(tenant.pk),
        },
    ]


def test_reap_holds_says_what_it_did(tenant: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("reap_holds", "--json", capsys=capsys) == '{"voided": 0, "settled": 0}\n'


# -- what workspaces see ---------------------------------------------------------------------------


def test_trials_of_one_workspace_only_in_one_query(
    plan: TrialPlan, tenant: Tenant, other: Tenant, django_assert_num_queries
) -> None:
    switch_on(plan)
    second = switch_on(make_plan("second", limit=20, is_on=False, models={"z": 3}))
    use(CreditPool.objects.get(plan=second, tenant=tenant), 19)
    with tenant_scope(tenant), django_assert_num_queries(1):
        views = queries.trials(tenant_id=tenant.pk)
    assert [
        (view.plan, view.limit, view.settled, view.left, view.percent, str(view.level))
        for view in views
    ] == [
        ("trial", 100, 0, 100, 0, "ok"),
        ("second", 20, 19, 1, 95, "nearly"),
    ]
    assert views[1].models == {"z": 3}
    with tenant_scope(other):
        assert [view.settled for view in queries.trials(tenant_id=other.pk)] == [0, 0]
        assert queries.trials(tenant_id=tenant.pk) == []
    stranger = make_tenant("late", with_keys=False)
    with tenant_scope(stranger):
        assert queries.trials(tenant_id=stranger.pk) == []


@pytest.mark.parametrize(
    ("used", "level"),
    [(79, "ok"), (80, "low"), (94, "low"), (95, "nearly"), (99, "nearly"), (100, "over")],
)
def test_warnings_come_at_80_and_95_percent(
    plan: TrialPlan, tenant: Tenant, used: int, level: str
) -> None:
    plan = switch_on(plan)
    use(CreditPool.objects.get(plan=plan), used)
    [view] = queries.trials(tenant_id=tenant.pk)
    assert str(view.level) == level
