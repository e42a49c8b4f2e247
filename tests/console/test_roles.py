"""Operators' roles: what each sees and changes, on pages and by actions alike, and that nobody but
a superuser gives rights away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client, RequestFactory

from console.roles import PERMISSIONS, permissions_of
from tenants.auth.permissions import OPERATOR_ROLE_LABELS, OperatorRole
from tenants.models import AuditEntry, KeyPair, User
from tenants.scope import all_tenants, tenant_scope
from tests.factories import PASSWORD, Workspace, make_credential, make_user

pytestmark = pytest.mark.django_db
SUPPORT, BILLING, SECURITY = OperatorRole
LISTS = {f"{model._meta.app_label}/{model._meta.model_name}" for model in admin.site._registry}
# What each role may do besides seeing: actions of lists that change something, and forms to add.
ACTIONS = {
    "tenants/tenant": {
        SECURITY: {"suspend", "resume", "rotate_key_pair"},
        BILLING: {"grant_trial"},
    },
    "tenants/user": {SECURITY: {"deactivate", "reactivate"}},
    "tenants/appkey": {SECURITY: {"revoke"}},
    "tenants/keypair": {SECURITY: {"rotate"}},
    "providers/providercredential": {SECURITY: {"check_again", "deactivate"}},
    "quotas/creditpool": {BILLING: {"grant_credits", "reset"}},
}
READING = {"export"}
ADDED = {"tenants/tenant": {SECURITY}, "tenants/user": {SECURITY}, "quotas/trialplan": {BILLING}}


def operator_with(*roles: OperatorRole, email: str = "colleague@hub.test") -> User:
    return make_user(email, is_staff=True, operator_roles=[str(role) for role in roles])


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def viewer() -> User:
    """Somebody whom Django's own permissions let see everything, without a role."""
    user = make_user("viewer@hub.test", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return user


@pytest.mark.slow
@pytest.mark.parametrize("roles", [(), (SUPPORT,), (BILLING,), (SECURITY,), (BILLING, SECURITY)])
def test_lists_actions_and_forms(roles: tuple[OperatorRole, ...], rf: RequestFactory) -> None:
    user = operator_with(*roles)
    client = signed_in(user)
    request = rf.get("/")
    request.user = user
    for model, page in admin.site._registry.items():
        name = f"{model._meta.app_label}/{model._meta.model_name}"
        assert client.get(f"/admin/{name}/").status_code == (200 if roles else 403), name
        expected = set().union(*(ACTIONS.get(name, {}).get(role, set()) for role in roles))
        assert set(page.get_actions(request)) - READING == (expected if roles else set()), name
        may_add = bool(ADDED.get(name, set()) & set(roles))
        assert client.get(f"/admin/{name}/add/").status_code == (200 if may_add else 403), name


def test_every_role_sees_all_lists_and_each_is_named() -> None:
    for role in OperatorRole:
        views = {name.replace(".view_", "/") for name in PERMISSIONS[role] if ".view_" in name}
        assert views - {"tenants/membership"} == LISTS
        assert OPERATOR_ROLE_LABELS[role]
    assert permissions_of(["of a later release"]) == set()


@pytest.mark.slow
@pytest.mark.parametrize("who", [viewer, lambda: operator_with(SUPPORT)], ids=["viewer", "support"])
def test_who_only_sees_changes_nothing(
    who: Callable[[], User], acme: Workspace, globex: Workspace, stranger: User
) -> None:
    """Not even with a request that no button sends."""
    client = signed_in(who())
    rows = {"tenants/tenant": acme.tenant, "tenants/user": stranger}
    rows["tenants/appkey"] = acme.app_key[0]
    rows["providers/providercredential"] = make_credential(acme.tenant)
    with all_tenants():
        rows["tenants/keypair"] = KeyPair.objects.get(tenant=acme.tenant)
        before = list(AuditEntry.objects.values_list("pk", flat=True))
    for name, row in rows.items():
        for action in set().union(*ACTIONS[name].values()):
            client.post(
                f"/admin/{name}/",
                {"action": action, "_selected_action": row.pk, "confirmed": "yes"}
                | {"credits": "1", "reason": "x", "plan": "openai"},
            )
        changed = client.post(f"/admin/{name}/{row.pk}/change/", {"name": "x", "email": "x@x.test"})
        assert changed.status_code == 403, name
    with all_tenants():
        assert list(AuditEntry.objects.values_list("pk", flat=True)) == before
    stranger.refresh_from_db()
    assert stranger.is_active
    assert client.get(f"/admin/tenants/user/{stranger.pk}/password/").status_code == 403


def test_security_revokes_and_billing_does_not(acme: Workspace, globex: Workspace) -> None:
    row, text = acme.app_key
    kept = globex.app_key[1]
    form = {"action": "revoke", "_selected_action": row.pk, "confirmed": "yes"}

    def status(key: str) -> int:
        headers = {"authorization": f"Bearer {key}"}
        return int(Client().get("/api/v1/workspace/", headers=headers).status_code)

    signed_in(operator_with(BILLING)).post("/admin/tenants/appkey/", form)
    assert (status(text), status(kept)) == (200, 200)
    other = operator_with(SECURITY, email="guard@hub.test")
    signed_in(other).post("/admin/tenants/appkey/", form)
    assert (status(text), status(kept)) == (401, 200)


def test_figures_are_for_who_may_see_their_lists(acme: Workspace) -> None:
    page = signed_in(operator_with()).get("/admin/")
    assert (page.status_code, page.context["figures"]) == (200, [])
    assert b"figures" not in page.content
    assert len(signed_in(viewer()).get("/admin/").context["figures"]) == 8
    some = make_user("some@hub.test", is_staff=True)
    some.user_permissions.set(Permission.objects.filter(codename="view_creditpool"))
    [figure] = signed_in(some).get("/admin/").context["figures"]
    assert figure.url.startswith("/admin/quotas/creditpool/")


def test_roles_mean_nothing_without_the_staff_flag(acme: Workspace) -> None:
    user = make_user("left@hub.test", operator_roles=list(OperatorRole))
    assert user.get_all_permissions() == set()
    assert signed_in(user).get("/admin/tenants/tenant/").status_code == 302


class TestRights:
    def form(self, user: User, **fields: Any) -> dict[str, Any]:
        counts = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
        return {"email": user.email, "name": user.name, **counts, **fields}

    def rights(self, user: User) -> tuple[Any, ...]:
        user.refresh_from_db()
        return user.is_staff, user.is_superuser, user.operator_roles

    def test_a_superuser_gives_roles_on_the_site(self, operator: User, stranger: User) -> None:
        url = f"/admin/tenants/user/{stranger.pk}/change/"
        typed = self.form(stranger, is_staff="on", operator_roles=["support", "billing"])
        assert signed_in(operator).post(url, typed).status_code == 302
        assert self.rights(stranger) == (True, False, ["support", "billing"])
        assert signed_in(stranger).get("/admin/quotas/trialplan/add/").status_code == 200
        refused = signed_in(operator).post(url, typed | {"operator_roles": ["owner"]})
        assert refused.status_code == 200
        assert self.rights(stranger) == (True, False, ["support", "billing"])

    def test_security_gives_none(self, stranger: User) -> None:
        client = signed_in(operator_with(SECURITY))
        everything = {"is_staff": "on", "is_superuser": "on", "operator_roles": list(OperatorRole)}
        url = f"/admin/tenants/user/{stranger.pk}/change/"
        answer = client.post(url, self.form(stranger, **everything) | {"name": "Changed"})
        assert answer.status_code == 302
        assert self.rights(stranger) == (False, False, [])
        assert stranger.name == "Changed"
        passwords = {"password1": "fresh horse 12", "password2": "fresh horse 12"}
        new = {"email": "new@x.test", "usable_password": "true", **passwords, **everything}
        assert client.post("/admin/tenants/user/add/", new).status_code == 302
        assert self.rights(User.objects.get(email="new@x.test")) == (False, False, [])

    def test_security_changes_no_operator(self, operator: User) -> None:
        own = operator_with(SECURITY)
        client = signed_in(own)
        for person in (operator, own, operator_with(SUPPORT, email="support@hub.test")):
            before, password = self.rights(person), person.password
            url = f"/admin/tenants/user/{person.pk}"
            typed = self.form(person, is_superuser="on", operator_roles=[])
            assert client.post(f"{url}/change/", typed).status_code == 403
            new = {"password1": "fresh horse 12", "password2": "fresh horse 12"}
            assert client.post(f"{url}/password/", new).status_code == 403
            client.post(
                "/admin/tenants/user/",
                {"action": "deactivate", "_selected_action": person.pk, "confirmed": "yes"},
            )
            assert self.rights(person) == before
            assert (person.is_active, person.password) == (True, password)

    def test_djangos_own_right_to_change_people_gives_none_either(self, stranger: User) -> None:
        user = make_user("chg@hub.test", is_staff=True)
        codes = ["view_user", "change_user"]
        user.user_permissions.set(Permission.objects.filter(codename__in=codes))
        for person in (user, stranger):
            typed = self.form(person, is_staff="on", is_superuser="on")
            signed_in(user).post(f"/admin/tenants/user/{person.pk}/change/", typed)
        assert self.rights(user) == (True, False, [])
        assert self.rights(stranger) == (False, False, [])


class TestAuditTrail:
    def entries(self, *workspaces: Workspace) -> list[list[tuple[str, str, str]]]:
        found = []
        for workspace in workspaces:
            with tenant_scope(workspace.tenant):
                rows = AuditEntry.objects.filter(action__startswith="member.").order_by("pk")
                found.append(list(rows.values_list("action", "actor", "object_label")))
        return found

    @pytest.fixture
    def both(self, acme: Workspace, globex: Workspace) -> User:
        from tenants.models import Membership

        person: User = acme.owner
        with tenant_scope(globex.tenant):
            Membership.objects.create(tenant=globex.tenant, user=person, role="viewer")
        return person

    @pytest.mark.parametrize(
        "typed",
        [
            {"password1": "set by operator 1", "password2": "set by operator 1"},
            {"usable_password": "false"},
        ],
        ids=["set", "taken away"],
    )
    def test_a_password_is_told_in_each_workspace(
        self, both: User, operator: User, acme: Workspace, globex: Workspace, typed: dict[str, str]
    ) -> None:
        url = f"/admin/tenants/user/{both.pk}/password/"
        form = {"usable_password": "true"} | typed
        if typed == {"usable_password": "false"}:
            form["unset-password"] = "1"
        assert signed_in(operator).post(url, form).status_code == 302
        told = [("member.password_set", operator.email, both.email)]
        assert self.entries(acme, globex) == [told, told]
        page = signed_in(acme.people["admin"]).get("/t/acme/settings/audit/")
        assert b"set another password for" in page.content

    def test_not_if_nothing_was_set(self, both: User, operator: User, acme: Workspace) -> None:
        url = f"/admin/tenants/user/{both.pk}/password/"
        typed = {"usable_password": "true", "password1": "one horse 12", "password2": "another 12"}
        assert signed_in(operator).post(url, typed).status_code == 200
        assert signed_in(operator).get("/admin/tenants/user/x/password/").status_code == 404
        assert self.entries(acme) == [[]]

    def test_nor_in_workspaces_of_others(
        self, stranger: User, operator: User, acme: Workspace, globex: Workspace
    ) -> None:
        url = f"/admin/tenants/user/{stranger.pk}/password/"
        typed = {
            "usable_password": "true",
            "password1": PASSWORD[::-1],
            "password2": PASSWORD[::-1],
        }
        assert signed_in(operator).post(url, typed).status_code == 302
        assert self.entries(acme, globex) == [[], []]

    def test_another_address_is_told_too(
        self, both: User, operator: User, acme: Workspace, globex: Workspace
    ) -> None:
        url = f"/admin/tenants/user/{both.pk}/change/"
        counts = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
        answer = signed_in(operator).post(url, {"email": " Taken@Over.test", "name": "", **counts})
        assert answer.status_code == 302
        told = [("member.email_changed", operator.email, "taken@over.test")]
        assert self.entries(acme, globex) == [told, told]
        with tenant_scope(acme.tenant):
            [entry] = AuditEntry.objects.filter(action="member.email_changed")
        assert entry.details == {"before": "owner@acme.test"}


@pytest.mark.parametrize(
    "query",
    [
        "tenants/appkey/?digest__startswith=0",
        "tenants/appkey/?created_by__password__startswith=md5",
        "tenants/user/?password__startswith=md5",
        "tenants/keypair/?private_sealed__isnull=True",
        "tenants/keypair/?public_pem__contains=A",
        "providers/providercredential/?sealed__startswith=c2",
        "providers/providercredential/?values__x=1",
        "tenants/auditentry/?details__icontains=a",
        "quotas/trialplan/?sealed__startswith=c2",
    ],
)
def test_a_filter_tells_nothing_of_columns_that_are_not_shown(
    query: str, operator: User, acme: Workspace
) -> None:
    assert signed_in(operator).get(f"/admin/{query}").status_code == 400


@pytest.mark.slow
def test_the_filters_of_a_list_work(operator: User, acme: Workspace) -> None:
    client = signed_in(operator)
    for model, page in admin.site._registry.items():
        url = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        answer = client.get(url)
        for spec in answer.context["cl"].filter_specs:
            for choice in spec.choices(answer.context["cl"]):
                link = url + choice["query_string"]
                assert client.get(link).status_code == 200, link
        if page.date_hierarchy:
            link = f"{url}?{page.date_hierarchy}__year=2026"
            assert client.get(link).status_code == 200, link
