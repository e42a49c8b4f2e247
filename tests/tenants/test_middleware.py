"""Who gets into a workspace: members, by the address in the URL; nobody else, and nobody learns
that it exists.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from config.urls import urlpatterns as product
from tenants.auth.decorators import page
from tenants.auth.permissions import Action, Role
from tenants.models import Membership, Tenant, User
from tenants.scope import NoActiveTenant, active_tenant, tenant_scope
from tests.factories import PASSWORD, Workspace

LOGIN = "/accounts/login/"


@page(Action.VIEW_MODELS, post=Action.MANAGE_MODELS)
def looked_at(request: Any) -> HttpResponse:
    assert active_tenant() == request.tenant.pk == request.principal.tenant_id
    return HttpResponse(
        f"{request.tenant.slug} {request.principal.role} {Membership.objects.count()}"
    )


@page(Action.VIEW_MODELS)
def streamed(request: Any) -> StreamingHttpResponse:
    def pieces() -> Iterator[bytes]:
        for _number in range(2):
            yield f"{Membership.objects.count()};".encode()

    return StreamingHttpResponse(pieces())


@page(Action.MANAGE_APP_KEYS)
def delicate(request: Any) -> HttpResponse:
    return HttpResponse(b"delicate")


def outside(request: HttpRequest) -> HttpResponse:
    with pytest.raises(NoActiveTenant):
        Membership.objects.count()
    return HttpResponse(b"outside")


@csrf_exempt
def api(request: Any) -> HttpResponse:
    if request.bad_credential is not None:
        with pytest.raises(NoActiveTenant):
            Membership.objects.count()
        return HttpResponse(request.bad_credential.code, status=request.bad_credential.status)
    assert active_tenant() == request.tenant.pk
    return HttpResponse(f"{request.tenant.slug} {request.principal.kind}")


urlpatterns = [
    path(
        "t/<slug:workspace>/test/",
        include([path("page/", looked_at), path("stream/", streamed), path("delicate/", delicate)]),
    ),
    path("outside/", outside),
    path("api/v1/test", api),
    *product,
]
pytestmark = pytest.mark.urls(__name__)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def set_session(client: Client, **values: Any) -> None:
    session = client.session
    session.update(values)
    session.save()


class TestWorkspaces:
    def test_a_member_gets_in(self, acme: Workspace) -> None:
        answer = signed_in(acme.editor).get("/t/acme/test/page/")
        assert answer.content.decode() == "acme editor 4"

    def test_a_stranger_gets_404_and_so_does_everybody_for_what_is_not_there(
        self, acme: Workspace, globex: Workspace, stranger: User, operator: User
    ) -> None:
        bodies = set()
        for person, slug in (
            (stranger, "acme"),
            (globex.owner, "acme"),
            (operator, "acme"),
            (acme.owner, "nowhere"),
            (acme.owner, "globex"),
        ):
            for method in ("get", "post", "put", "delete"):
                answer = getattr(signed_in(person), method)(f"/t/{slug}/test/page/")
                assert answer.status_code == 404, (person, slug, method)
            bodies.add(
                signed_in(person)
                .get(f"/t/{slug}/test/page/")
                .content.replace(slug.encode(), b"")
                .replace(person.email.encode(), b"")
            )
        assert not any(b"Acme" in body for body in bodies)

    def test_the_operators_own_row_is_no_workspace(self, operator: User, db: None) -> None:
        from tenants.services import workspaces

        tenant = workspaces.system_tenant()
        with tenant_scope(tenant):
            Membership.objects.create(tenant=tenant, user=operator, role=Role.OWNER)
        assert signed_in(operator).get(f"/t/{tenant.slug}/test/page/").status_code == 404

    @pytest.mark.parametrize("slug", ["acme", "nowhere"])
    def test_who_is_not_signed_in_is_asked_to_whether_it_exists_or_not(
        self, acme: Workspace, slug: str
    ) -> None:
        answer = Client().get(f"/t/{slug}/test/page/?a=1")
        assert (answer.status_code, answer["Location"]) == (
            302,
            f"{LOGIN}?next=/t/{slug}/test/page/%3Fa%3D1",
        )

    def test_a_suspended_workspace_refuses(self, acme: Workspace, stranger: User) -> None:
        Tenant.objects.filter(pk=acme.tenant.pk).update(status="suspended")
        answer = signed_in(acme.owner).get("/t/acme/test/page/")
        assert answer.status_code == 403
        assert "suspended" in answer.content.decode()
        assert signed_in(stranger).get("/t/acme/test/page/").status_code == 404

    def test_a_removed_member_is_out_with_the_next_request(self, acme: Workspace) -> None:
        client = signed_in(acme.viewer)
        assert client.get("/t/acme/test/page/").status_code == 200
        with tenant_scope(acme.tenant):
            Membership.objects.filter(user=acme.viewer).delete()
        assert client.get("/t/acme/test/page/").status_code == 404

    def test_a_closed_account_is_out_with_the_next_request(self, acme: Workspace) -> None:
        client = signed_in(acme.viewer)
        User.objects.filter(pk=acme.viewer.pk).update(is_active=False)
        assert client.get("/t/acme/test/page/").status_code == 302

    def test_an_app_key_is_no_session(self, acme: Workspace) -> None:
        assert Client().get("/t/acme/test/page/", **acme.headers()).status_code == 302

    def test_no_scope_elsewhere(self, acme: Workspace) -> None:
        assert signed_in(acme.owner).get("/outside/").content == b"outside"

    def test_a_streamed_answer_stays_in_its_workspace(self, acme: Workspace) -> None:
        answer: Any = signed_in(acme.owner).get("/t/acme/test/stream/")
        with pytest.raises(NoActiveTenant):
            active_tenant()
        assert b"".join(answer.streaming_content) == b"4;4;"

    def test_activity_is_noted_now_and_then(self, acme: Workspace) -> None:
        client = signed_in(acme.owner)
        client.get("/t/acme/test/page/")
        with tenant_scope(acme.tenant):
            first = Membership.objects.get(user=acme.owner).last_active
        client.get("/t/acme/test/page/")
        with tenant_scope(acme.tenant):
            assert Membership.objects.get(user=acme.owner).last_active == first
            assert first is not None
            Membership.objects.update(last_active=timezone.now() - timedelta(minutes=6))
        client.get("/t/acme/test/page/")
        with tenant_scope(acme.tenant):
            assert Membership.objects.get(user=acme.owner).last_active > first


class TestPages:
    @pytest.mark.parametrize("role", Role)
    def test_each_method_needs_its_action(self, acme: Workspace, role: Role) -> None:
        client = signed_in(acme.people[role])
        assert client.get("/t/acme/test/page/").status_code == 200
        allowed = role in (Role.OWNER, Role.ADMIN)
        for method in ("post", "put", "patch", "delete"):
            assert (getattr(client, method)("/t/acme/test/page/").status_code == 200) == allowed

    def test_a_refusal_names_the_role_and_whom_to_ask(self, acme: Workspace) -> None:
        answer = signed_in(acme.viewer).post("/t/acme/test/page/")
        assert answer.status_code == 403
        assert (
            "Your role (Viewer) cannot change models. Ask an admin: Acme admin, Acme owner."
            in answer.content.decode()
        )

    def test_the_decorator_tells_the_walker(self) -> None:
        assert looked_at.required_actions == {
            "GET": Action.VIEW_MODELS,
            "POST": Action.MANAGE_MODELS,
        }  # type: ignore[attr-defined]


class TestRestApi:
    def test_an_app_key_opens_its_own_workspace(self, acme: Workspace, globex: Workspace) -> None:
        assert Client().get("/api/v1/test", **acme.headers()).content == b"acme app_key"
        assert Client().post("/api/v1/test", **globex.headers()).content == b"globex app_key"

    def test_a_session_opens_nothing(self, acme: Workspace) -> None:
        answer = signed_in(acme.owner).get("/api/v1/test")
        assert (answer.status_code, answer.content) == (401, b"missing_key")

    def test_a_session_does_not_widen_a_key(self, acme: Workspace, globex: Workspace) -> None:
        assert (
            signed_in(acme.owner).get("/api/v1/test", **globex.headers()).content
            == b"globex app_key"
        )

    def test_no_cookie_is_looked_at(self, acme: Workspace, django_assert_num_queries: Any) -> None:
        client = signed_in(acme.owner)
        headers = acme.headers()
        client.get("/api/v1/test", **headers)
        with django_assert_num_queries(2):  # the key, the workspace
            answer = client.get("/api/v1/test", **headers)
        assert "Cookie" not in answer.get("Vary", "")

    def test_bad_ones(self, acme: Workspace) -> None:
        assert Client().get("/api/v1/test", HTTP_X_API_KEY="x").status_code == 401
        both = Client().get("/api/v1/test", **acme.headers(), HTTP_X_API_KEY=acme.narrow_key[1])
        assert (both.status_code, both.content) == (400, b"two_keys")
        Tenant.objects.filter(pk=acme.tenant.pk).update(status="suspended")
        assert Client().get("/api/v1/test", **acme.headers()).status_code == 403


class TestOperators:
    def test_the_operators_site_is_for_operators(self, acme: Workspace, operator: User) -> None:
        assert signed_in(operator).get("/admin/").status_code == 200
        for client in (Client(), signed_in(acme.owner)):
            answer = client.get("/admin/tenants/tenant/")
            assert (answer.status_code, answer["Location"]) == (
                302,
                "/admin/login/?next=/admin/tenants/tenant/",
            )


class TestSessions:
    def test_it_ends_when_idle(self, acme: Workspace) -> None:
        client = signed_in(acme.owner)
        set_session(client, seen=int(time.time()) - django_settings.SESSION_IDLE_LIMIT - 1)
        assert client.get("/t/acme/test/page/").status_code == 302
        assert not client.session.keys()

    def test_use_keeps_it(self, acme: Workspace) -> None:
        client = signed_in(acme.owner)
        earlier = int(time.time()) - django_settings.SESSION_IDLE_LIMIT + 30
        set_session(client, seen=earlier)
        assert client.get("/t/acme/test/page/").status_code == 200
        assert client.session["seen"] > earlier

    def test_it_ends_for_good_even_in_use(self, acme: Workspace) -> None:
        client = signed_in(acme.owner)
        set_session(client, signed_in=int(time.time()) - django_settings.SESSION_COOKIE_AGE - 1)
        assert client.get("/t/acme/test/page/").status_code == 302

    def test_it_is_not_written_by_every_request(
        self, acme: Workspace, django_assert_max_num_queries: Any
    ) -> None:
        client = signed_in(acme.owner)
        client.get("/t/acme/test/page/")
        with django_assert_max_num_queries(4):  # session, person, membership, the view's own
            client.get("/t/acme/test/page/")


class TestHtmx:
    HEADERS = {
        "HTTP_HX_REQUEST": "true",
        "HTTP_HX_CURRENT_URL": "http://testserver/t/acme/somewhere/?q=1",
    }

    def test_the_whole_page_goes_to_the_login_and_comes_back(self, acme: Workspace) -> None:
        answer = Client().post("/t/acme/test/page/", **self.HEADERS)
        assert answer.status_code == 204
        assert answer["HX-Redirect"] == f"{LOGIN}?next=/t/acme/somewhere/%3Fq%3D1"
        assert answer.content == b""

    def test_other_redirects_are_left_alone(self, acme: Workspace) -> None:
        answer = signed_in(acme.owner).get("/", **self.HEADERS)
        assert answer.status_code == 302


class TestFreshSignIn:
    def test_a_fresh_one_is_enough(self, acme: Workspace) -> None:
        assert signed_in(acme.owner).get("/t/acme/test/delicate/").status_code == 200

    @pytest.mark.parametrize(
        ("age", "method", "status"),
        [
            (14, "get", 200),
            (16, "get", 302),
            (16, "post", 200),
            (29, "post", 200),
            (31, "post", 302),
        ],
    )
    def test_an_old_one_is_repeated(
        self, acme: Workspace, age: int, method: str, status: int
    ) -> None:
        client = signed_in(acme.owner)
        set_session(client, proven=int(time.time()) - age * 60)
        answer = getattr(client, method)("/t/acme/test/delicate/")
        assert answer.status_code == status
        if status == 302:
            assert answer["Location"] == f"{LOGIN}?next=/t/acme/test/delicate/"

    def test_a_session_without_a_note_is_old(self, acme: Workspace) -> None:
        client = signed_in(acme.owner)
        session = client.session
        del session["proven"]
        session.save()
        assert client.get("/t/acme/test/delicate/").status_code == 302

    def test_htmx_takes_the_whole_page(self, acme: Workspace) -> None:
        client = signed_in(acme.owner)
        set_session(client, proven=0)
        answer = client.get("/t/acme/test/delicate/", **TestHtmx.HEADERS)
        assert (answer.status_code, answer["HX-Redirect"]) == (
            204,
            f"{LOGIN}?next=/t/acme/somewhere/%3Fq%3D1",
        )

    def test_typing_the_password_again_makes_it_fresh(self, acme: Workspace) -> None:
        client = signed_in(acme.owner)
        set_session(client, proven=0)
        answer = client.post(
            f"{LOGIN}?next=/t/acme/test/delicate/",
            {"username": acme.owner.email, "password": PASSWORD},
        )
        assert (answer.status_code, answer["Location"]) == (302, "/t/acme/test/delicate/")
        assert client.get("/t/acme/test/delicate/").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "key", ['"aaaaaaaa\\000bbbb"', '"aaaaaaaa\\377"', "x" * 5000, "A" * 32, "../../../../etc"]
)
def test_a_cookie_that_can_be_no_session_is_none(key: str) -> None:
    """Not a query either: PostgreSQL answers a NUL, which a quoted cookie can spell, with an
    error.
    """
    with CaptureQueriesContext(connection) as queries:
        answer = Client(headers={"cookie": f"{django_settings.SESSION_COOKIE_NAME}={key}"}).get("/")
    assert answer.status_code == 302
    assert answer["Location"].startswith(LOGIN)
    assert len(queries) == 0


def test_a_database_that_is_away_is_told_to_programs_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(_headers: Any) -> Any:
        raise OperationalError("no connection")

    monkeypatch.setattr("tenants.middleware.find_principal", away)
    answer = Client().get("/api/v1/test")
    assert (answer.status_code, answer.content) == (503, b"database_unavailable")
