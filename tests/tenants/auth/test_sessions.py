"""Sessions in the database: of no use to whoever reads the table or writes to it, and a new one
with every sign-in.
"""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.db import InternalError, connection, transaction
from django.test import Client

from tenants.auth.sessions import SessionStore, row_key
from tests.factories import PASSWORD, Workspace
from tests.migrating import migrate, migrate_all

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"
SENSITIVE = "/t/acme/settings/app-keys/new/"


def signed_in(workspace: Workspace) -> Client:
    client = Client()
    client.force_login(workspace.owner)
    return client


def cookie(client: Client) -> str:
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def with_cookie(value: str) -> Client:
    return Client(headers={"cookie": f"{settings.SESSION_COOKIE_NAME}={value}"})


def grow_old(client: Client) -> None:
    session = client.session
    session["proven"] = 0
    session.save()


def test_what_the_table_holds_is_no_cookie(acme: Workspace, globex: Workspace) -> None:
    people = [signed_in(acme), signed_in(globex)]
    rows = list(Session.objects.all())
    assert {row.session_key for row in rows} == {row_key(cookie(person)) for person in people}
    for row in rows:
        for person in people:
            assert cookie(person) not in f"{row.session_key} {row.session_data}"
        assert with_cookie(row.session_key).get("/accounts/profile/").status_code == 302
    for person in people:
        assert person.get("/accounts/profile/").status_code == 200


def test_a_row_of_an_earlier_release_is_no_session(acme: Workspace) -> None:
    """Its key is the cookie itself, as a stolen backup shows it."""
    client = signed_in(acme)
    row = Session.objects.get()
    Session.objects.create(
        session_key="plain" * 6, session_data=row.session_data, expire_date=row.expire_date
    )
    assert with_cookie("plain" * 6).get("/accounts/profile/").status_code == 302
    assert client.get("/accounts/profile/").status_code == 200


def test_the_data_of_a_session_stays_in_its_row(acme: Workspace, globex: Workspace) -> None:
    """Who can write to the table copies the owner's data, which is signed, into the own row."""
    victim, thief = signed_in(acme), signed_in(globex)
    stolen = Session.objects.get(pk=row_key(cookie(victim))).session_data
    Session.objects.filter(pk=row_key(cookie(thief))).update(session_data=stolen)
    assert thief.get("/t/acme/").status_code == 302
    assert victim.get("/t/acme/").status_code == 200


def test_signing_in_again_ends_the_old_id(acme: Workspace) -> None:
    """A copy of the cookie does not become fresh with its owner."""
    client = signed_in(acme)
    grow_old(client)
    copy = cookie(client)
    assert with_cookie(copy).get(SENSITIVE).headers["Location"].startswith(LOGIN)
    assert with_cookie(copy).get("/t/acme/").status_code == 200
    client.post(LOGIN, {"username": acme.owner.email, "password": PASSWORD})
    assert cookie(client) != copy
    assert client.get(SENSITIVE).status_code == 200
    assert with_cookie(copy).get("/t/acme/").status_code == 302
    assert Session.objects.count() == 1


def test_a_new_password_and_the_end_of_the_others_give_a_new_id_too(acme: Workspace) -> None:
    client = signed_in(acme)
    for path, body in (
        (
            "/accounts/password_change/",
            {
                "old_password": PASSWORD,
                "new_password1": "another horse 12",
                "new_password2": "another horse 12",
            },
        ),
        ("/accounts/sign_out_elsewhere/", {}),
    ):
        copy = cookie(client)
        assert client.post(path, body).status_code == 302
        assert with_cookie(copy).get("/accounts/profile/").status_code == 302
        assert client.get("/accounts/profile/").status_code == 200


def test_an_attackers_cookie_is_not_adopted(acme: Workspace) -> None:
    client = with_cookie("attackerchosen1234567890abcdefgh")
    client.post(LOGIN, {"username": acme.owner.email, "password": PASSWORD})
    assert cookie(client) != "attackerchosen1234567890abcdefgh"


def test_signing_out_leaves_no_row(acme: Workspace) -> None:
    client = signed_in(acme)
    copy = cookie(client)
    client.post("/accounts/logout/")
    assert not Session.objects.exists()
    assert with_cookie(copy).get("/accounts/profile/").status_code == 302


@pytest.mark.django_db(transaction=True)
def test_the_asynchronous_half_stores_the_same() -> None:
    async def use() -> str:
        store = SessionStore()
        await store.aset("a", 1)
        await store.asave()
        key = str(store.session_key)
        again = SessionStore(key)
        assert await again.aget("a") == 1
        assert await again.aexists(key)
        assert not await again.aexists(row_key(key))
        return key

    key = async_to_sync(use)()
    assert Session.objects.get().session_key == row_key(key)
    assert SessionStore(key)["a"] == 1
    async_to_sync(SessionStore(key).adelete)()
    assert not SessionStore(key).exists(key)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_upgrade_ends_sessions_of_before(acme: Workspace) -> None:
    signed_in(acme)  # before, as today's sign-in needs today's tables
    session = Session.objects.get()
    try:
        migrate("tenants", "0004_count_sent_invitations")
        session.save(force_insert=True)
        assert Session.objects.count() == 1
    finally:
        migrate_all()
    assert not Session.objects.exists()


def test_nothing_is_asked_of_the_database_for_no_cookie(django_assert_num_queries: Any) -> None:
    store = SessionStore()
    with django_assert_num_queries(0):
        store.delete()
        assert store.get("a") is None


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no such transactions")
def test_a_database_that_takes_no_changes_is_told_as_such(acme: Workspace) -> None:
    session = signed_in(acme).session
    session["seen"] = 1
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    with pytest.raises(InternalError):
        session.save()
    transaction.set_rollback(True)


def test_a_session_that_ended_meanwhile_is_not_written(acme: Workspace) -> None:
    session = signed_in(acme).session
    Session.objects.all().delete()
    with pytest.raises(UpdateError):
        session.save()
