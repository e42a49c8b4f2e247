"""Signing in: throttled by account and address, and telling nobody which accounts exist."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import authenticate as django_authenticate
from django.test import Client, RequestFactory
from django.utils import timezone

from tenants.auth import throttle
from tenants.installation import first_access
from tenants.models import SignInFailures, User
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
HERE, THERE = "192.0.2.1", "192.0.2.2"


def request(address: str = HERE) -> Any:
    return RequestFactory().post("/accounts/login/", REMOTE_ADDR=address)


@pytest.fixture
def ada() -> User:
    return make_user("ada@example.org")


def fail(times: int, email: str = "ada@example.org", address: str = HERE) -> None:
    for _time in range(times):
        assert authenticate(request(address), email=email, password="wrong") is None


def authenticate(request: Any, *, email: str, password: str) -> Any:
    return django_authenticate(request, username=email, password=password)


def blocked(email: str = "ada@example.org", address: str = HERE) -> bool:
    """Whether one more try, with a wrong password, is not looked at."""
    waits = throttle.wait_before_sign_in(request(address), email) > 0
    assert authenticate(request(address), email=email, password="wrong") is None
    return waits


def test_the_refusal_says_how_long_to_wait() -> None:
    fail(5)
    answer = Client(REMOTE_ADDR=HERE).post(
        "/accounts/login/", {"username": "ada@example.org", "password": "wrong"}
    )
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 15 * 60


def test_the_first_sign_in_deletes_the_first_passwords(
    ada: User, settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    first_access().write_text("Password  abc")
    client = Client()
    for password, remains in (("wrong", True), (PASSWORD, False), (PASSWORD, False)):
        client.post("/accounts/login/", {"username": ada.email, "password": password})
        assert first_access().exists() == remains


def test_the_right_password(ada: User) -> None:
    assert authenticate(request(), email=" Ada@Example.org ".strip(), password=PASSWORD) == ada


@pytest.mark.parametrize("email", ["ada@example.org", "nobody@example.org"])
def test_five_failures_from_one_address_whether_the_account_exists_or_not(
    ada: User, email: str
) -> None:
    fail(5, email)
    assert blocked(email)
    assert not blocked(email, THERE)


def test_while_blocked_the_right_password_does_not_help_nor_does_trying_count(ada: User) -> None:
    fail(5)
    assert authenticate(request(), email=ada.email, password=PASSWORD) is None
    assert max(SignInFailures.objects.values_list("count", flat=True)) == 5


def test_spelling_does_not_get_around(ada: User) -> None:
    fail(5)
    assert blocked(" ADA@example.ORG ")


def test_many_addresses_against_one_account(ada: User) -> None:
    for number in range(20):
        fail(1, address=f"198.51.100.{number}")
    assert blocked(address="203.0.113.9")
    assert not blocked("other@example.org", "203.0.113.9")


def test_many_accounts_from_one_address() -> None:
    for number in range(50):
        fail(1, f"person{number}@example.org")
    assert blocked("one-more@example.org")
    assert not blocked("one-more@example.org", THERE)


def test_it_ends_after_the_window(ada: User) -> None:
    fail(5)
    SignInFailures.objects.update(since=timezone.now() - throttle.WINDOW - timedelta(seconds=1))
    assert not blocked()
    assert SignInFailures.objects.count() == 3  # the old ones were cleared away


def test_success_forgets_the_account_but_not_the_address(ada: User) -> None:
    fail(4)
    client = Client(REMOTE_ADDR=HERE)
    client.post("/accounts/login/", {"username": ada.email, "password": PASSWORD})
    assert "_auth_user_id" in client.session
    assert SignInFailures.objects.get().count == 4
    fail(4)
    assert not blocked()


def test_closed_accounts_read_like_wrong_passwords(ada: User) -> None:
    User.objects.update(is_active=False)
    assert authenticate(request(), email=ada.email, password=PASSWORD) is None


def test_an_unknown_account_costs_a_hash_as_well(ada: User) -> None:
    hashed = []
    with mock.patch(
        "django.contrib.auth.hashers.MD5PasswordHasher.encode", autospec=True
    ) as encode:
        encode.side_effect = lambda *args: hashed.append(1) or "md5$x$y"
        for email in (ada.email, "nobody@example.org"):
            hashed.clear()
            authenticate(request(), email=email, password="wrong")
            assert hashed == [1], email


@pytest.mark.parametrize("url", ["/accounts/login/", "/admin/login/"])
def test_every_page_with_a_password_is_throttled(ada: User, url: str) -> None:
    ada.is_staff = True
    ada.save()
    client = Client(REMOTE_ADDR=HERE)
    for _time in range(5):
        client.post(url, {"username": ada.email, "password": "wrong"})
    client.post(url, {"username": ada.email, "password": PASSWORD})
    assert "_auth_user_id" not in client.session
    assert (
        max(SignInFailures.objects.values_list("count", flat=True)) == 5
    )  # each failure counted once


def test_the_pages_answer_does_not_tell_accounts_apart(ada: User) -> None:
    answers = []
    for email in (ada.email, "nobody@example.org"):
        answer = Client(REMOTE_ADDR=HERE).post(
            "/accounts/login/", {"username": email, "password": "wrong"}
        )
        answers.append((answer.status_code, str(answer.context["form"].errors)))
    assert answers[0] == answers[1]


def test_addresses_and_accounts_are_not_stored(ada: User) -> None:
    fail(1)
    for row in SignInFailures.objects.values():
        assert "ada" not in str(row)
        assert HERE not in str(row)


def test_odd_input() -> None:
    assert authenticate(request(), email="", password="x") is None
    assert authenticate(request(), email="a\x00b@example.org", password="x") is None
    assert authenticate(request(), email="\udcff@example.org", password="x") is None
