"""Sealing and opening through the tables: what breaks one tenant's keys breaks nobody else's, and
nothing wrong is ever sent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tenants.crypto import envelope, key_pairs, keys, sealing
from tenants.crypto.keys import CredentialUnreadable, KeysNotReady
from tenants.models import AuditEntry, KeyOpening, KeyPair, MasterKeyCheck
from tenants.scope import all_tenants, tenant_scope
from tests.factories import Workspace, make_tenant
from tests.tenants.conftest import binding, opened

Vault = Callable[..., Any]


def reason(row: Any, **changed: Any) -> str:
    with pytest.raises(CredentialUnreadable) as caught:
        opened(row, **changed)
    assert (caught.value.status, caught.value.code) == (503, "credential_unreadable")
    return caught.value.reason


def store_raw(pair: KeyPair, text: str) -> None:
    """Write the encrypted column past the field."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tenants_keypair SET private_sealed = %s WHERE kid = %s", [text, pair.kid]
        )


def the_pair(workspace: Workspace) -> KeyPair:
    with tenant_scope(workspace.tenant):
        return KeyPair.objects.get(state=KeyPair.State.CURRENT)


class TestOpening:
    def test_it_comes_back(self, acme: Workspace, vault: Vault) -> None:
        assert opened(vault(acme, "sk-secret")) == "sk-secret"

    def test_the_text_does_not_show_itself(self, acme: Workspace, vault: Vault) -> None:
        text = opened(vault(acme, "sk-secret"))
        assert repr(text) == "********"
        assert "sk-secret" not in f"{[text]}" + repr({"key": text})

    @pytest.mark.parametrize(
        "changed",
        [
            {"base_url": "https://evil.example.com"},
            {"base_url": "http://api.example.com"},
            {"base_url": "https://api.example.com:8443"},
            {"provider": "anthropic"},
            {"name": "other"},
            {"row_id": "other"},
            {"version": 2},
        ],
        ids=str,
    )
    def test_nothing_of_its_place_may_change(
        self, acme: Workspace, vault: Vault, changed: dict[str, Any]
    ) -> None:
        row = vault(acme, "sk-secret")
        opened(row)  # now in the cache
        assert reason(row, **changed) == "damaged"

    @pytest.mark.parametrize(
        "same",
        [
            "https://API.example.com/v1",
            "https://api.example.com:443",
            "https://api.example.com/other/path?x",
        ],
    )
    def test_the_same_origin_may_be_written_otherwise(
        self, acme: Workspace, vault: Vault, same: str
    ) -> None:
        assert opened(vault(acme, "sk-secret"), base_url=same) == "sk-secret"

    def test_another_tenants_text_stays_shut(
        self, acme: Workspace, globex: Workspace, vault: Vault
    ) -> None:
        row = vault(acme, "sk-secret")
        assert reason(row, tenant_id=globex.tenant.pk) == "no_pair"

    def test_swapped_rows_stay_shut(self, acme: Workspace, vault: Vault) -> None:
        one, two = vault(acme, "one"), vault(acme, "two")
        assert reason(one, token=two.sealed) == "damaged"

    @pytest.mark.parametrize("token", ["", "sk-plaintext", "c1.a.b.c", "c1"])
    def test_what_is_no_token_is_never_returned(
        self, acme: Workspace, vault: Vault, token: str
    ) -> None:
        assert reason(vault(acme, "sk-secret"), token=token) == "damaged"

    def test_a_damaged_token(self, acme: Workspace, vault: Vault) -> None:
        row = vault(acme, "sk-secret")
        assert reason(row, token=row.sealed[:-4] + "AAAA") == "damaged"

    def test_the_wrong_master_key(self, acme: Workspace, vault: Vault, settings: Any) -> None:
        right = settings.MODELKEEP_MASTER_KEYS
        row = vault(acme, "sk-secret")
        opened(row)  # now in the cache
        settings.MODELKEEP_MASTER_KEYS = "m1:" + master(5)
        assert reason(row) == "pair_lost"
        settings.MODELKEEP_MASTER_KEYS = "m2:" + master(5)
        assert reason(row) == "master_key"
        settings.MODELKEEP_MASTER_KEYS = right
        assert opened(row) == "sk-secret"

    def test_an_unknown_purpose_is_a_mistake(self, acme: Workspace, vault: Vault) -> None:
        with pytest.raises(ValueError, match="purpose"):
            opened(vault(acme, "sk-secret"), purpose="curiosity")


class TestCacheAndCount:
    def count(self, workspace: Workspace, purpose: str = "call") -> int:
        with tenant_scope(workspace.tenant):
            row = KeyOpening.objects.filter(purpose=purpose, subject="credential:x").first()
        return row.count if row else 0

    def test_each_real_opening_is_counted(self, acme: Workspace, vault: Vault) -> None:
        row = vault(acme, "sk-secret")
        for _time in range(3):
            opened(row)
        assert self.count(acme) == 1
        keys.forget()
        opened(row)
        assert self.count(acme) == 2
        with tenant_scope(acme.tenant):
            assert KeyOpening.objects.get().day == timezone.now().date()

    def test_verification_sees_what_is_stored(self, acme: Workspace, vault: Vault) -> None:
        row = vault(acme, "sk-secret")
        for _time in range(2):
            opened(row, purpose="verify")
        assert self.count(acme, "verify") == 2

    def test_a_failure_is_not_counted_as_an_opening(self, acme: Workspace, vault: Vault) -> None:
        reason(vault(acme, "sk-secret"), version=9)
        assert self.count(acme) == 0

    def test_a_cached_text_costs_no_query(
        self, acme: Workspace, vault: Vault, django_assert_num_queries: Any
    ) -> None:
        row = vault(acme, "sk-secret")
        values = binding(row) | {
            "version": row.version,
            "token": row.sealed,
            "purpose": "call",
            "subject": "x",
        }
        keys.open_sealed(**values)
        with django_assert_num_queries(0):
            assert keys.open_sealed(**values) == "sk-secret"

    def test_the_cache_has_a_limit_and_an_age(self) -> None:
        now = [0.0]
        cache: key_pairs.TimedCache[int] = key_pairs.TimedCache(2, 300, clock=lambda: now[0])
        cache.put("a", 1)
        cache.put("b", 2)
        assert cache.get("a") == 1
        cache.put("c", 3)
        assert cache.get("b") is None  # the longest unused
        now[0] = 299.9
        assert cache.get("a") == 1
        now[0] = 300.0
        assert cache.get("a") is None
        cache.put("d", 4, size=2)
        assert (cache.get("c"), cache.get("d"), cache._size) == (None, 4, 2)
        assert "1" not in repr(cache).replace("<1 cached>", "")

    def test_the_products_caches_have_the_documented_sizes(self) -> None:
        for cache, size, seconds in (
            (sealing._opened, 16 * 1024**2, 300.0),
            (sealing._data_keys, 65_536, 3600.0),
            (key_pairs._pairs, 256, 300.0),
        ):
            assert (cache._most, cache._seconds) == (size, seconds)


class TestMasterKeyCheck:
    def test_the_first_use_stores_a_check_value(self, acme: Workspace, settings: Any) -> None:
        stored = MasterKeyCheck.objects.get()
        assert stored.mkid == "m1"
        assert stored.check_value not in settings.MODELKEEP_MASTER_KEYS

    def test_a_wrong_key_is_noticed_before_anything_is_written(
        self, acme: Workspace, vault: Vault, master_keys: Callable[..., None], settings: Any
    ) -> None:
        settings.MODELKEEP_MASTER_KEYS = "m1:" + master(5)
        assert keys.master_key_problems() == [
            "Wrong master key m1: it is not the key this database was sealed with."
        ]
        for attempt in (
            lambda: vault(acme, "new"),
            lambda: keys.make_key_pair(tenant=make_tenant("new", with_keys=False)),
        ):
            with pytest.raises(KeysNotReady):
                attempt()
        with all_tenants():
            assert KeyPair.objects.count() == 1

    def test_a_missing_key_is_noticed(self, acme: Workspace, settings: Any) -> None:
        settings.MODELKEEP_MASTER_KEYS = "m2:" + master(5)
        assert keys.master_key_problems() == [
            "Master key m1 is missing: keys in this database are sealed with it."
        ]

    @pytest.mark.parametrize("text", ["", "m1:c2hvcnQ="])
    def test_no_usable_key(self, acme: Workspace, vault: Vault, settings: Any, text: str) -> None:
        row = vault(acme, "sk-secret")
        settings.MODELKEEP_MASTER_KEYS = text
        assert len(keys.master_key_problems()) == 1
        with pytest.raises(KeysNotReady):
            opened(row)
        with pytest.raises(KeysNotReady):
            vault(acme, "other")

    def test_a_second_key_is_not_announced_before_it_seals(
        self, acme: Workspace, vault: Vault, settings: Any
    ) -> None:
        """A machine that does not know it yet must go on."""
        first = settings.MODELKEEP_MASTER_KEYS
        settings.MODELKEEP_MASTER_KEYS = f"{first},m2:{master(2)}"
        vault(acme, "sk-one")
        settings.MODELKEEP_MASTER_KEYS = first
        vault(acme, "sk-two")
        assert MasterKeyCheck.objects.count() == 1


class TestPairs:
    def test_every_tenant_has_its_own(self, acme: Workspace, globex: Workspace) -> None:
        assert the_pair(acme).fingerprint != the_pair(globex).fingerprint

    def test_it_has_3072_bits(self, acme: Workspace) -> None:
        from Crypto.PublicKey import RSA

        assert RSA.import_key(the_pair(acme).public_pem).size_in_bits() == keys.RSA_BITS == 3072

    def test_making_it_twice_makes_it_once(self, acme: Workspace) -> None:
        assert keys.make_key_pair(tenant=acme.tenant).kid == the_pair(acme).kid

    def test_sealing_makes_a_missing_one(self, vault: Vault, db: None) -> None:
        workspace = Workspace(make_tenant("late", with_keys=False))
        assert opened(vault(workspace, "sk-secret")) == "sk-secret"

    def test_a_lost_pair_breaks_its_own_tenants_texts_only(
        self, acme: Workspace, globex: Workspace, vault: Vault
    ) -> None:
        row, other = vault(acme, "sk-acme"), vault(globex, "sk-globex")
        store_raw(the_pair(acme), "damaged")
        keys.forget()
        assert reason(row) == "pair_lost"
        assert opened(other) == "sk-globex"

    def test_a_pair_of_another_tenant_in_its_place_is_lost_too(
        self, acme: Workspace, globex: Workspace, vault: Vault
    ) -> None:
        row = vault(acme, "sk-acme")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT private_sealed FROM tenants_keypair WHERE kid = %s", [the_pair(globex).kid]
            )
            store_raw(the_pair(acme), cursor.fetchone()[0])
        keys.forget()
        assert reason(row) == "pair_lost"

    def test_keys_can_be_entered_again_after_a_loss(self, acme: Workspace, vault: Vault) -> None:
        row, lost = vault(acme, "sk-old"), the_pair(acme)
        store_raw(lost, "damaged")
        keys.forget()
        assert opened(vault(acme, "sk-new", name="again")) == "sk-new"
        assert reason(row) == "pair_lost"  # not overwritten
        with tenant_scope(acme.tenant):
            assert KeyPair.objects.get(kid=lost.kid).state == KeyPair.State.RETIRED
            assert AuditEntry.objects.filter(action="key_pair.replaced").count() == 1

    def test_a_pair_is_not_replaced_because_of_a_wrong_master_key(
        self, acme: Workspace, vault: Vault, settings: Any
    ) -> None:
        before = the_pair(acme).kid
        settings.MODELKEEP_MASTER_KEYS = "m1:" + master(5)
        with pytest.raises(KeysNotReady):
            vault(acme, "sk-new")
        assert the_pair(acme).kid == before

    def test_a_swapped_public_key_catches_nothing(
        self, acme: Workspace, globex: Workspace, vault: Vault
    ) -> None:
        """A writer of the database who plants the own public key gets nothing sealed for it."""
        with tenant_scope(acme.tenant):
            KeyPair.objects.filter(kid=the_pair(acme).kid).update(public_pem=the_pair_pem(globex))
        keys.forget()
        row = vault(acme, "sk-secret")
        assert envelope.parse(row.sealed).kid == the_pair(acme).kid
        attackers = key_pairs.current_pair(globex.tenant.pk)
        with pytest.raises(envelope.EnvelopeError):
            envelope.unwrap_data_key(
                the_pair(acme).data_key,
                private=attackers.key,
                tenant=acme.tenant.pk,
                kid=the_pair(acme).kid,
            )

    def test_nobody_sees_the_numbers(self, acme: Workspace) -> None:
        pair = key_pairs.current_pair(acme.tenant.pk)
        assert repr(pair) == f"Pair({pair.kid}, ********)"

    def test_two_that_make_it_at_once_get_one(self, transactional_db: None) -> None:
        tenant = make_tenant("both", with_keys=False)
        made: list[str] = []

        def make() -> None:
            made.append(keys.make_key_pair(tenant=tenant).kid)
            connection.close()

        both = [threading.Thread(target=make) for _number in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(30)
        assert len(made) == 2
        assert len(set(made)) == 1


def the_pair_pem(workspace: Workspace) -> str:
    return the_pair(workspace).public_pem


def master(number: int) -> str:
    from tests.tenants.conftest import master as text

    return text(number)


class TestMask:
    @given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=200))
    def test_at_most_a_fifth_shows_and_the_length_does_not(self, secret: str) -> None:
        shown = keys.mask(secret)
        assert shown.startswith("•" * 8)
        tail = shown.lstrip("•")
        assert len(tail) * 5 <= len(secret) or tail == ""
        assert secret.endswith(tail)
        assert len(shown) in (8, 12)

    def test_examples(self) -> None:
        assert keys.mask("sk-" + "a" * 16) == "•" * 8
        assert keys.mask("sk-" + "a" * 13 + "x7Qd") == "•" * 8 + "x7Qd"
        assert keys.mask("") == "•" * 8


class TestOrigin:
    @pytest.mark.parametrize(
        ("url", "origin"),
        [
            ("", ""),
            ("https://api.openai.com/v1", "https://api.openai.com:443"),
            ("HTTPS://Api.OpenAI.com", "https://api.openai.com:443"),
            ("http://127.0.0.1:9001/x", "http://127.0.0.1:9001"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("http://localhost", "http://localhost:80"),
        ],
    )
    def test_scheme_host_and_port(self, url: str, origin: str) -> None:
        assert keys.origin_of(url) == origin

    @pytest.mark.parametrize(
        "url", ["ftp://x", "api.openai.com", "https://", "javascript:alert(1)", "https://x:99999"]
    )
    def test_anything_else_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError):
            keys.origin_of(url)
