"""App keys in headers: which are looked at, which are refused, and what the one found may do."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tenants.auth.headers import BadCredential, read_header
from tenants.auth.key_format import _checksum, is_well_formed, new_key
from tenants.auth.permissions import Action, Role, Scope
from tenants.auth.principal import (
    PRINCIPAL_SQL,
    find_principal,
    principal_from_row,
    principal_of_member,
)
from tenants.crypto.digest_key import app_key_digest
from tenants.models import AppKey, Membership, Tenant
from tenants.scope import tenant_scope
from tests.factories import Workspace, make_app_key

# Fixed ones: they name tests, which several processes must collect alike.
KEY, OTHER = (
    body + _checksum(body)
    for body in ("mk_live_" + "aZ9" * 14 + "x", "mk_live_" + "bY8" * 14 + "y")
)
FORMS = {"authorization": "Bearer {}", "x-api-key": "{}", "api-key": "{}", "x-goog-api-key": "{}"}


def refused(headers: Mapping[str, str]) -> tuple[int, str]:
    with pytest.raises(BadCredential) as caught:
        find_principal(headers)
    return caught.value.status, caught.value.code


class TestText:
    def test_what_a_key_looks_like(self) -> None:
        assert len(KEY) == len("mk_live_") + 43 + 6
        assert KEY.startswith("mk_live_")
        assert KEY[8:].isalnum()
        assert is_well_formed(KEY)
        assert is_well_formed(new_key())
        assert new_key() != new_key()

    @given(st.integers(0, 56), st.sampled_from("0123456789ABCxyz_- é"))
    def test_a_slip_of_the_pen_is_noticed_without_a_query(self, position: int, letter: str) -> None:
        changed = KEY[:position] + letter + KEY[position + 1 :]
        assert is_well_formed(changed) == (changed == KEY)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "mk_live_",
            KEY[:-1],
            KEY + "0",
            KEY + "\n",
            KEY.upper(),
            "sk-" + KEY,
            hashlib.sha256(KEY.encode()).hexdigest(),
        ],
    )
    def test_anything_else_is_none(self, text: str) -> None:
        assert not is_well_formed(text)


class TestHeaders:
    @pytest.mark.parametrize("name", FORMS)
    def test_each_header_alone(self, name: str) -> None:
        assert read_header({name: FORMS[name].format(KEY)}) == KEY

    @pytest.mark.parametrize(
        "names", [some for size in (2, 3) for some in itertools.combinations(FORMS, size)], ids=str
    )
    def test_the_same_key_in_several(self, names: tuple[str, ...]) -> None:
        assert read_header({name: FORMS[name].format(KEY) for name in names}) == KEY

    @pytest.mark.parametrize(("first", "second"), list(itertools.permutations(FORMS, 2)))
    @pytest.mark.parametrize("other", [OTHER, "sk-ant-of-a-provider", "x"])
    def test_two_different_ones_are_refused(self, first: str, second: str, other: str) -> None:
        with pytest.raises(BadCredential) as caught:
            read_header({first: FORMS[first].format(KEY), second: FORMS[second].format(other)})
        assert (caught.value.status, caught.value.code) == (400, "two_keys")

    @pytest.mark.parametrize("name", FORMS)
    def test_two_in_one_header_are_seen(self, name: str) -> None:
        with pytest.raises(BadCredential) as caught:
            read_header({name: ", ".join(FORMS[name].format(key) for key in (KEY, OTHER))})
        assert caught.value.status == 400

    def test_another_scheme_is_not_skipped(self) -> None:
        with pytest.raises(BadCredential) as caught:
            read_header({"authorization": "Basic dXNlcjpwYXNz", "x-api-key": KEY})
        assert caught.value.status == 400

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"authorization": ""},
            {"authorization": "Bearer"},
            {"authorization": "Bearer  "},
            {"x-api-key": " "},
            {"cookie": KEY},
        ],
    )
    def test_none(self, headers: dict[str, str]) -> None:
        with pytest.raises(BadCredential) as caught:
            read_header(headers)
        assert (caught.value.status, caught.value.code) == (401, "missing_key")

    @pytest.mark.parametrize(
        "value",
        [
            "Bearer x",
            f"Bearer {KEY} {KEY}",
            KEY,
            "Basic " + KEY,
            f"Bearer {hashlib.sha256(KEY.encode()).hexdigest()}",
            "Bearer \udcff",
            "Token x",
        ],
    )
    def test_malformed(self, value: str) -> None:
        with pytest.raises(BadCredential) as caught:
            read_header({"authorization": value})
        assert (caught.value.status, caught.value.code) == (401, "malformed_key")

    @pytest.mark.parametrize("value", [f"bearer {KEY}", f"BEARER   {KEY}", f"  Bearer {KEY}  "])
    def test_spelling_of_the_scheme(self, value: str) -> None:
        assert read_header({"authorization": value}) == KEY

    def test_no_query_for_what_is_no_key(self, db: None, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            refused({"authorization": "Bearer " + KEY[:-1] + ("0" if KEY[-1] != "0" else "1")})


class TestPrincipal:
    def bearer(self, text: str) -> dict[str, str]:
        return {"authorization": f"Bearer {text}"}

    def test_a_commands_key(self, acme: Workspace) -> None:
        row, text = acme.app_key
        found = find_principal(self.bearer(text))
        assert (found.kind, found.tenant_id, found.tenant_slug, found.role) == (
            "app_key",
            acme.tenant.pk,
            "acme",
            None,
        )
        assert (found.app_key_id, found.app_key_name, found.user_id) == (row.pk, "Everything", None)
        assert found.scopes == frozenset(Scope)
        assert found.can(Action.MANAGE_PROVIDERS)
        assert not found.can(Action.OWN_WORKSPACE)
        assert found.config_version == Tenant.objects.get(pk=acme.tenant.pk).config_version

    def test_an_unknown_key(self, acme: Workspace) -> None:
        assert refused(self.bearer(KEY)) == (401, "unknown_key")

    def test_the_stored_hash_is_no_key(self, acme: Workspace) -> None:
        row, _text = acme.app_key
        assert refused(self.bearer(row.digest)) == (401, "malformed_key")
        assert refused(self.bearer(row.prefix)) == (401, "malformed_key")

    def test_a_revoked_key_is_refused_by_the_next_request(self, acme: Workspace) -> None:
        row, text = acme.app_key
        find_principal(self.bearer(text))
        with tenant_scope(acme.tenant):
            AppKey.objects.filter(pk=row.pk).update(revoked=timezone.now())
        assert refused(self.bearer(text)) == (401, "revoked_key")

    def test_an_expired_key(self, acme: Workspace) -> None:
        row, text = make_app_key(acme.tenant, expires=timezone.now() + timedelta(hours=1))
        find_principal(self.bearer(text))
        with tenant_scope(acme.tenant):
            AppKey.objects.filter(pk=row.pk).update(expires=timezone.now())
        assert refused(self.bearer(text)) == (401, "expired_key")

    def test_a_suspended_workspace(self, acme: Workspace) -> None:
        _row, text = acme.app_key
        Tenant.objects.filter(pk=acme.tenant.pk).update(status=Tenant.Status.SUSPENDED)
        assert refused(self.bearer(text)) == (403, "workspace_suspended")

    @pytest.mark.parametrize("role", [Role.EDITOR, Role.ADMIN, Role.OWNER])
    def test_a_persons_key_follows_the_persons_role(self, acme: Workspace, role: Role) -> None:
        _row, text = make_app_key(acme.tenant, user=acme.people[Role.ADMIN])
        with tenant_scope(acme.tenant):
            Membership.objects.filter(user=acme.people[Role.ADMIN]).update(role=role)
        found = find_principal(self.bearer(text))
        assert found.role is role
        assert found.user_id == acme.people[Role.ADMIN].pk
        assert found.can(Action.MANAGE_PROVIDERS) == (role is not Role.EDITOR)

    def test_a_viewers_key_reads_and_nothing_else(self, acme: Workspace) -> None:
        _row, text = make_app_key(acme.tenant, user=acme.editor, scopes=[Scope.USE, Scope.READ])
        with tenant_scope(acme.tenant):
            Membership.objects.filter(user=acme.editor).update(role=Role.VIEWER)
        found = find_principal(self.bearer(text))
        assert not found.can(Action.USE_MODELS)
        assert found.can(Action.VIEW_MODELS)

    def test_the_key_of_somebody_who_left(self, acme: Workspace) -> None:
        _row, text = make_app_key(acme.tenant, user=acme.editor, scopes=[Scope.USE])
        with tenant_scope(acme.tenant):
            Membership.objects.filter(user=acme.editor).delete()
        assert refused(self.bearer(text)) == (401, "owner_left")

    def test_a_membership_elsewhere_does_not_count(
        self, acme: Workspace, globex: Workspace
    ) -> None:
        _row, text = make_app_key(acme.tenant, user=acme.editor, scopes=[Scope.USE])
        with tenant_scope(acme.tenant):
            Membership.objects.filter(user=acme.editor).delete()
        with tenant_scope(globex.tenant):
            Membership.objects.create(tenant=globex.tenant, user=acme.editor, role=Role.OWNER)
        assert refused(self.bearer(text)) == (401, "owner_left")

    def test_the_key_of_a_closed_account(self, acme: Workspace) -> None:
        _row, text = make_app_key(acme.tenant, user=acme.editor, scopes=[Scope.USE])
        type(acme.editor).objects.filter(pk=acme.editor.pk).update(is_active=False)
        assert refused(self.bearer(text)) == (401, "owner_left")

    def test_the_key_of_somebody_who_is_gone(self, acme: Workspace) -> None:
        """Only a command's key may be without a person."""
        row, text = make_app_key(acme.tenant, user=acme.editor, scopes=[Scope.USE])
        with tenant_scope(acme.tenant):
            AppKey.objects.filter(pk=row.pk).update(created_by=None)
        assert refused(self.bearer(text)) == (401, "owner_left")

    def test_limits(self, acme: Workspace) -> None:
        _row, text = make_app_key(
            acme.tenant, allowed_providers=["openai"], allowed_models=["openai/gpt-4", "demo/chat"]
        )
        found = find_principal(self.bearer(text))
        assert found.may_use("openai", "gpt-4")
        assert not found.may_use("openai", "gpt-3")
        assert not found.may_use("demo", "chat")
        _row, text = make_app_key(acme.tenant, name="Free")
        assert find_principal(self.bearer(text)).may_use("openai", "whatever")

    def test_last_used_is_written_once_a_minute(
        self, acme: Workspace, django_assert_num_queries: Any
    ) -> None:
        row, text = acme.app_key
        with django_assert_num_queries(2):
            assert find_principal(self.bearer(text)).touch_due
        with django_assert_num_queries(1):
            assert not find_principal(self.bearer(text)).touch_due
        earlier = timezone.now() - timedelta(seconds=61)
        with tenant_scope(acme.tenant):
            AppKey.objects.filter(pk=row.pk).update(last_used=earlier)
            find_principal(self.bearer(text))
            row.refresh_from_db()
        assert row.last_used is not None
        assert timezone.now() - row.last_used < timedelta(seconds=30)

    def test_the_principal_of_a_person(self, acme: Workspace) -> None:
        with tenant_scope(acme.tenant):
            member = Membership.objects.select_related("tenant", "user").get(user=acme.viewer)
        found = principal_of_member(member)
        assert (found.kind, found.role, found.label) == ("user", Role.VIEWER, "viewer@acme.test")
        assert not found.can(Action.USE_MODELS)

    def test_a_row_as_other_drivers_give_it(self, acme: Workspace) -> None:
        """sqlite3 gives text, psycopg gives objects; both read the same."""
        _row, text = make_app_key(
            acme.tenant,
            user=acme.admin,
            allowed_models=["a/b"],
            expires=timezone.now() + timedelta(days=1),
        )
        with connection.cursor() as cursor:
            cursor.execute(PRINCIPAL_SQL.format(p="%s"), [app_key_digest(text)])
            row = list(cursor.fetchone())
        now = timezone.now()
        plain = principal_from_row(row, now)
        with tenant_scope(acme.tenant):
            stored = AppKey.objects.get(digest=app_key_digest(text))
        row[1], row[3], row[4], row[5], row[6], row[7], row[14] = (
            stored.pk,
            stored.scopes,
            stored.allowed_providers,
            stored.allowed_models,
            stored.allowed_operations,
            stored.expires,
            acme.tenant.pk,
        )
        assert principal_from_row(row, now) == plain

    def test_a_digest_that_is_not_the_keys_is_refused(self, acme: Workspace) -> None:
        _row, text = acme.app_key
        with connection.cursor() as cursor:
            cursor.execute(PRINCIPAL_SQL.format(p="%s"), [app_key_digest(text)])
            row = cursor.fetchone()
        with pytest.raises(BadCredential):
            principal_from_row(row, timezone.now(), digest=app_key_digest(KEY))
