"""Guesses that come side by side, from many addresses, or in somebody's open browser; and that they
keep no owner out.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from django.test import Client, RequestFactory

from tenants.auth import browsers, throttle
from tenants.auth.sign_in import ThrottledBackend
from tenants.models import KnownAddress, SignInFailures, User
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
ADA, HOME = "ada@example.org", "203.0.113.1"
LOGIN, CHANGE = "/accounts/login/", "/accounts/password_change/"


@pytest.fixture
def ada() -> User:
    return make_user(ADA)


def sign_in(
    address: str, password: str, account: str = ADA, client: Client | None = None
) -> tuple[int, Client]:
    client = client or Client()
    values = {"username": account, "password": password}
    return client.post(LOGIN, values, REMOTE_ADDR=address).status_code, client


def request(address: str) -> Any:
    return RequestFactory().post(LOGIN, REMOTE_ADDR=address)


@pytest.mark.slow
class TestManyAddresses:
    def test_one_ipv6_network_counts_as_one_address(self, ada: User) -> None:
        for number in range(20):
            sign_in(f"2001:db8:1:2::{number + 1:x}", "wrong")
        assert sign_in("2001:db8:1:2:ffff::1", PASSWORD)[0] == 429
        assert sign_in("2001:db8:ffff::1", PASSWORD)[0] == 302

    def test_many_networks_of_one_site(self, ada: User) -> None:
        for number in range(40):
            sign_in(f"2001:db8:1:{number:x}::1", "wrong")
        assert sign_in("2001:db8:1:ffff::1", PASSWORD)[0] == 429
        assert sign_in("2001:db8:2::1", PASSWORD)[0] == 302

    def test_ipv4_written_in_ipv6_is_not_one_network(self, ada: User) -> None:
        for number in range(5):
            sign_in("192.0.2.1", "wrong", f"{number}@example.org")
        assert sign_in("192.0.2.2", PASSWORD)[0] == 302


class TestTheOwnerIsNotLockedOut:
    def guess_from_everywhere(self) -> None:
        for number in range(30):
            sign_in(f"198.51.{number}.1", "wrong")

    @pytest.mark.slow
    def test_a_browser_that_signed_in_before_is_let_in_from_anywhere(self, ada: User) -> None:
        status, browser = sign_in(HOME, PASSWORD)
        browser.post("/accounts/logout/")
        self.guess_from_everywhere()
        assert status == 302
        assert sign_in("192.0.2.77", PASSWORD)[0] == 429, "a browser nobody knows"
        assert sign_in("192.0.2.77", PASSWORD, client=browser)[0] == 302

    def test_an_address_that_signed_in_before_is_let_in(self, ada: User) -> None:
        sign_in(HOME, PASSWORD)
        self.guess_from_everywhere()
        assert sign_in(HOME, PASSWORD)[0] == 302

    @pytest.mark.slow
    def test_everybody_behind_one_address(self, ada: User) -> None:
        """A proxy that isn't trusted: a stranger's guesses come from the owner's address."""
        sign_in(HOME, PASSWORD)
        for number in range(60):
            sign_in(HOME, "wrong", f"nobody{number}@example.org")
        assert sign_in(HOME, "wrong", "one-more@example.org")[0] == 429
        assert sign_in(HOME, PASSWORD)[0] == 302

    def test_a_known_browser_guesses_no_more_than_others(self, ada: User) -> None:
        _status, browser = sign_in(HOME, PASSWORD)
        browser.post("/accounts/logout/")
        for _time in range(5):
            assert sign_in(HOME, "wrong", client=browser)[0] == 422
        assert sign_in(HOME, PASSWORD, client=browser)[0] == 429
        assert sign_in("192.0.2.9", PASSWORD)[0] == 302, "others are not affected"

    def test_a_browser_is_known_to_its_own_accounts_only(self, ada: User) -> None:
        make_user("mallory@example.org")
        _status, browser = sign_in("192.0.2.66", PASSWORD, "mallory@example.org")
        browser.post("/accounts/logout/")
        self.guess_from_everywhere()
        assert sign_in("192.0.2.66", PASSWORD, client=browser)[0] == 429
        assert sign_in("192.0.2.66", PASSWORD, "mallory@example.org", browser)[0] == 302

    @pytest.mark.parametrize("text", ["", "x", "e30:1a:b", "a" * 5000])
    def test_a_cookie_that_was_made_up_is_no_browser(self, ada: User, text: str) -> None:
        client = Client()
        client.cookies[browsers.COOKIE] = text
        assert sign_in(HOME, PASSWORD, client=client)[0] == 302
        client.cookies[browsers.COOKIE] = text
        assert browsers.known(client.get(LOGIN).wsgi_request, "eve@example.org") is None

    def test_the_cookie_names_nobody(self, ada: User) -> None:
        _status, browser = sign_in(HOME, PASSWORD)
        cookie = browser.cookies[browsers.COOKIE]
        assert "ada" not in cookie.value
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
        assert not any("ada" in row.key or HOME in row.key for row in KnownAddress.objects.all())


@pytest.mark.django_db(transaction=True)
def test_guesses_side_by_side_take_a_slot_before_the_password_is_hashed(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All come before the first is known to be wrong: only as many are looked at as may fail."""
    monkeypatch.setattr(throttle, "_hashing", throttle._Hashing())
    hashed: list[str] = []
    everybody_came = threading.Event()

    def authenticate(self: Any, request: Any, username: str, password: str) -> None:
        hashed.append(password)
        everybody_came.wait(20)

    monkeypatch.setattr("django.contrib.auth.backends.ModelBackend.authenticate", authenticate)
    monkeypatch.setattr(throttle, "HASHED_AT_ONCE", 100)
    throttle._hashing._free = threading.BoundedSemaphore(100)
    refused: list[Exception] = []

    def guess(number: int) -> None:
        from django.core.exceptions import PermissionDenied
        from django.db import connection

        try:
            ThrottledBackend().authenticate(request(HOME), ADA, f"guess {number}")
        except PermissionDenied as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for _time in range(200):
        if len(refused) == 7:
            break
        threading.Event().wait(0.1)
    everybody_came.set()
    for thread in threads:
        thread.join()
    assert (len(hashed), len(refused)) == (5, 7)
    assert max(SignInFailures.objects.values_list("count", flat=True)) == 5


class TestHashingAtOnce:
    def test_more_wait_and_too_many_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(throttle, "WAIT_SECONDS", 0.05)
        hashing = throttle._Hashing()
        with hashing.slot(reserved=False), hashing.slot(reserved=False):
            with pytest.raises(throttle.Throttled), hashing.slot(reserved=False):
                pass
            with (
                hashing.slot(reserved=True),
                pytest.raises(throttle.Throttled),
                hashing.slot(reserved=True),
            ):
                pass
        with hashing.slot(reserved=False):
            pass

    def test_who_waits_holds_no_database_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        released: list[bool] = []
        monkeypatch.setattr(throttle, "WAIT_SECONDS", 0.01)
        monkeypatch.setattr(throttle, "release", lambda: released.append(True))
        hashing = throttle._Hashing()
        with hashing.slot(reserved=False), hashing.slot(reserved=False):
            assert not released
            with pytest.raises(throttle.Throttled), hashing.slot(reserved=False):
                pass
        assert released

    def test_waiting_has_an_end_of_its_own(self) -> None:
        hashing = throttle._Hashing()
        hashing._places = threading.BoundedSemaphore(1)
        hashing._places.acquire()
        with (
            hashing.slot(reserved=False),
            hashing.slot(reserved=False),
            pytest.raises(throttle.Throttled),
            hashing.slot(reserved=False),
        ):
            pass

    def test_a_refusal_for_want_of_a_slot_is_not_counted(
        self, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(throttle, "WAIT_SECONDS", 0.05)
        with throttle._hashing.slot(reserved=False), throttle._hashing.slot(reserved=False):
            status, _client = sign_in(HOME, PASSWORD)
        assert status == 429
        assert not SignInFailures.objects.exists()


@pytest.mark.slow
class TestAnOpenBrowser:
    def change(self, client: Client, old: str) -> Any:
        new = {"new_password1": "another long walk", "new_password2": "another long walk"}
        return client.post(CHANGE, {"old_password": old, **new}, REMOTE_ADDR=HOME)

    def test_the_current_password_is_not_guessed_there(self, ada: User) -> None:
        _status, browser = sign_in(HOME, PASSWORD)
        assert [self.change(browser, "wrong").status_code for _time in range(6)] == [422] * 5 + [
            429
        ]
        refused = self.change(browser, PASSWORD)
        assert (refused.status_code, int(refused["Retry-After"]) > 0) == (429, True)
        assert "wrong too often" in refused.content.decode()
        ada.refresh_from_db()
        assert ada.check_password(PASSWORD)

    def test_nor_where_a_signed_in_person_confirms_it(self, ada: User) -> None:
        _status, browser = sign_in(HOME, PASSWORD)
        for _time in range(3):
            self.change(browser, "wrong")
        for _time in range(2):
            assert sign_in(HOME, "wrong", client=browser)[0] == 422
        assert self.change(browser, PASSWORD).status_code == 429
        assert sign_in(HOME, PASSWORD, client=browser)[0] == 429

    def test_the_right_one_forgets_the_wrong_ones(self, ada: User) -> None:
        _status, browser = sign_in(HOME, PASSWORD)
        for _time in range(4):
            self.change(browser, "wrong")
        assert self.change(browser, PASSWORD).status_code == 302
        assert self.change(browser, "wrong").status_code == 422

    def test_strangers_guesses_do_not_keep_the_owner_from_changing_it(self, ada: User) -> None:
        _status, browser = sign_in(HOME, PASSWORD)
        for number in range(30):
            sign_in(f"198.51.{number}.1", "wrong")
        assert self.change(browser, PASSWORD).status_code == 302

    def test_operators_change_it_at_the_same_form(self, ada: User) -> None:
        ada.is_staff = ada.is_superuser = True
        ada.save()
        _status, browser = sign_in(HOME, PASSWORD)
        for method in (browser.get, browser.post):
            assert method("/admin/password_change/")["Location"] == "/accounts/profile/"


class TestLog:
    def test_sign_ins_and_failures_are_logged(
        self, ada: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "modelkeep.sign_in")
        sign_in(HOME, PASSWORD)
        for _time in range(5):
            sign_in("192.0.2.1", "wrong")
        sign_in("192.0.2.1", PASSWORD)
        lines = [record.getMessage() for record in caplog.records if "Sign-in" in record.msg]
        assert lines[0] == f"Sign-in of {ADA} from {HOME}"
        assert lines[1:6] == [f"Sign-in failed for {ADA} from 192.0.2.1"] * 5
        assert lines[6] == f"Sign-in refused after too many failures for {ADA} from 192.0.2.1"

    def test_what_is_no_account_is_not_logged(
        self, ada: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        """People type their password into the wrong field."""
        sign_in(HOME, "x", "my secret password")
        assert "Sign-in failed for an unknown account" in caplog.text
        assert "my secret password" not in caplog.text
