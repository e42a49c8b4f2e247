"""Rotation of pairs and master keys: nothing is lost, whenever it stops and whatever others do
meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from tenants.audit.trail import COMMAND
from tenants.crypto import envelope, key_pairs, keys, rotation, sealed_columns, sealing
from tenants.crypto.keys import CredentialUnreadable
from tenants.models import AuditEntry, KeyPair, MasterKeyCheck, Tenant
from tenants.scope import tenant_scope
from tests.factories import Workspace, make_tenant
from tests.tenants.conftest import binding, opened
from tests.tenants.crypto.first_format import move_back, opened_first

Vault = Callable[..., Any]


class Stopped(BaseException):
    """The process was killed here."""


def kids(workspace: Workspace) -> dict[str, str]:
    with tenant_scope(workspace.tenant):
        return {row.kid: row.state for row in KeyPair.objects.order_by("pk")}


def token_of(row: Any) -> envelope.Token:
    with tenant_scope(row.tenant_id):
        row.refresh_from_db()
    return envelope.parse(row.sealed)


def rotate(workspace: Workspace, **options: Any) -> keys.RotationReport:
    return keys.rotate(tenant=workspace.tenant, actor=COMMAND, **options)


def test_a_new_pair_and_everything_under_it(
    acme: Workspace, globex: Workspace, vault: Vault
) -> None:
    rows, foreign = [vault(acme, f"sk-{number}") for number in range(3)], vault(globex, "sk-globex")
    before, theirs = list(kids(acme)), token_of(foreign)
    report = rotate(acme)
    assert (report.failed, report.succeeded, report.resumed) == (0, 3, False)
    assert kids(acme) == {before[0]: "retired", report.kid: "current"}
    assert {token_of(row).kid for row in rows} == {report.kid}
    assert [opened(row) for row in rows] == ["sk-0", "sk-1", "sk-2"]
    assert token_of(foreign) == theirs
    assert opened(foreign) == "sk-globex"


def test_the_version_grows_so_that_caches_notice(acme: Workspace, vault: Vault) -> None:
    row = vault(acme, "sk-one")
    version = Tenant.objects.get(pk=acme.tenant.pk).config_version
    rotate(acme)
    token_of(row)
    assert row.version == 2
    assert Tenant.objects.get(pk=acme.tenant.pk).config_version > version


def test_it_is_in_the_audit_trail(acme: Workspace) -> None:
    rotate(acme)
    with tenant_scope(acme.tenant):
        entry = AuditEntry.objects.get(action="key_pair.rotated")
    assert entry.details == {"processed": 1, "succeeded": 0, "failed": 0}


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_interrupted_anywhere_it_is_finished_by_the_next_run(
    acme: Workspace, vault: Vault, after: int
) -> None:
    rows = [vault(acme, f"sk-{number}") for number in range(3)]
    with stopping_after(after), pytest.raises(Stopped):
        rotate(acme)
    keys.forget()
    assert [opened(row) for row in rows] == ["sk-0", "sk-1", "sk-2"]  # mixed, and readable
    report = rotate(acme)
    assert report.failed == 0
    assert {token_of(row).kid for row in rows} == {report.kid}
    assert [opened(row) for row in rows] == ["sk-0", "sk-1", "sk-2"]
    assert list(kids(acme).values()).count("current") == 1
    if 0 < after < 3:
        assert report.resumed
        assert len(kids(acme)) == 2  # no further pair


def stopping_after(sealings: int) -> Any:
    """Kill the process at the sealing that follows so many."""
    seal, done = sealing.seal, [0]

    def counted(**values: Any) -> str:
        if done[0] == sealings:
            raise Stopped
        done[0] += 1
        return seal(**values)

    if sealings == 3:  # all are sealed; killed before the end of the run
        return mock.patch.object(rotation, "record", side_effect=Stopped)
    return mock.patch.object(sealing, "seal", counted)


def test_interrupted_before_the_new_pair_is_current(acme: Workspace, vault: Vault) -> None:
    row = vault(acme, "sk-one")
    with mock.patch.object(key_pairs, "promote", side_effect=Stopped), pytest.raises(Stopped):
        rotate(acme)
    assert sorted(kids(acme).values()) == ["current", "next"]
    report = rotate(acme)
    assert report.resumed
    assert sorted(kids(acme).values()) == ["current", "retired"]
    assert token_of(row).kid == report.kid


def test_a_key_that_is_entered_meanwhile_is_kept(acme: Workspace, vault: Vault) -> None:
    """Compare and set: rotation does not bring the old key back."""
    row = vault(acme, "sk-old")
    seal, interrupted = sealing.seal, []

    def slow(**values: Any) -> str:
        token = seal(**values)
        if not interrupted:
            interrupted.append(True)
            new = seal(**binding(row), version=row.version + 1, text="sk-new")
            type(row).objects.filter(pk=row.pk).update(sealed=new, version=row.version + 1)
        return token

    with mock.patch.object(sealing, "seal", slow):
        report = rotate(acme)
    assert interrupted
    assert report.failed == 0
    assert opened(row) == "sk-new"


def test_a_row_that_is_deleted_meanwhile_is_no_failure(acme: Workspace, vault: Vault) -> None:
    row = vault(acme, "sk-old")
    with tenant_scope(acme.tenant):
        pks = sealed_columns.sealed_columns()[0].keys_of(acme.tenant.pk)
        row.delete()
        with mock.patch.object(sealed_columns.SealedColumn, "keys_of", return_value=pks):
            assert rotate(acme).failed == 0


def test_what_does_not_open_is_counted_and_left(acme: Workspace, vault: Vault) -> None:
    good, bad = vault(acme, "sk-good"), vault(acme, "sk-bad")
    damaged = bad.sealed[:-4] + "AAAA"
    with tenant_scope(acme.tenant):
        type(bad).objects.filter(pk=bad.pk).update(sealed=damaged)
    report = rotate(acme)
    assert report.failed >= 1
    assert any(str(bad.pk) in failure and "damaged" in failure for failure in report.failures)
    assert opened(good) == "sk-good"
    token_of(bad)
    assert bad.sealed == damaged
    kid = report.kid
    assert rotate(acme).kid != kid  # one bad row does not stop later rotations


def test_the_page_begins_a_further_one_beside_what_does_not_open(
    acme: Workspace, vault: Vault
) -> None:
    vault(acme, "sk-good")
    bad = vault(acme, "sk-bad")
    with tenant_scope(acme.tenant):
        type(bad).objects.filter(pk=bad.pk).update(sealed=bad.sealed[:-4] + "AAAA")
        for _turn in range(2):
            before = key_pairs.current_pair(acme.tenant.pk).kid
            assert keys.begin_rotation(tenant=acme.tenant, actor=COMMAND).left == 2
            assert key_pairs.current_pair(acme.tenant.pk).kid != before, (
                "one bad row does not stop later rotations"
            )
            report = keys.continue_rotation(tenant=acme.tenant, actor=COMMAND)
            assert (report.complete, report.succeeded, report.failed) == (True, 1, 1)


class TestFirstFormat:
    """Texts that earlier releases sealed, whose key pairs have no data key."""

    def test_it_opens_and_moves_with_rotation(
        self, acme: Workspace, globex: Workspace, vault: Vault
    ) -> None:
        row, foreign = vault(acme, "sk-old"), vault(globex, "sk-globex")
        for each, text in ((row, "sk-old"), (foreign, "sk-globex")):
            move_back(each, text)
        assert (opened(row), opened(foreign)) == ("sk-old", "sk-globex")
        with tenant_scope(acme.tenant):
            assert keys.progress(tenant=acme.tenant).left == 0  # no rotation was begun
        assert keys.complete_data_keys() == 2
        assert rotate(acme).failed == 0
        assert not token_of(row).is_first_format
        assert opened(row) == "sk-old"
        assert token_of(foreign).is_first_format
        assert opened(foreign) == "sk-globex"

    def test_it_moves_under_the_same_pair_too(self, acme: Workspace, vault: Vault) -> None:
        row = vault(acme, "sk-old")
        move_back(row, "sk-old")
        before = list(kids(acme))
        assert rotate(acme, new_pair=False).succeeded == 0
        keys.complete_data_keys()
        assert rotate(acme, new_pair=False).succeeded == 1
        assert (token_of(row).is_first_format, list(kids(acme))) == (False, before)
        assert opened(row) == "sk-old"

    def test_until_all_machines_are_upgraded_earlier_releases_open_everything(
        self, acme: Workspace, vault: Vault
    ) -> None:
        row = vault(acme, "sk-old")
        move_back(row, "sk-old")
        assert not keys.writes_data_keys()
        new = vault(acme, "sk-new", name="again")
        later = vault(Workspace(make_tenant("initech")), "sk-initech")
        assert [opened_first(each) for each in (row, new, later)] == [
            "sk-old",
            "sk-new",
            "sk-initech",
        ]
        assert rotate(acme).failed == 0
        assert token_of(row).is_first_format
        assert opened_first(row) == "sk-old"
        assert (opened(row), opened(new), opened(later)) == ("sk-old", "sk-new", "sk-initech")

        assert keys.complete_data_keys() == 3  # acme's retired pair too
        assert keys.complete_data_keys() == 0
        assert keys.writes_data_keys()
        assert not token_of(vault(acme, "sk-last", name="last")).is_first_format
        assert (opened(row), opened(later)) == ("sk-old", "sk-initech")
        assert keys.verify(tenant=acme.tenant).failed == 0


class TestMasterKeys:
    def test_a_newer_master_key_keeps_nobody_from_a_new_pair(
        self, db: None, request: Any, vault: Vault, master_keys: Callable[..., None]
    ) -> None:
        master_keys(1)
        acme: Workspace = request.getfixturevalue("acme")
        row = vault(acme, "sk-secret")
        master_keys(2, 1)
        with tenant_scope(acme.tenant):
            before = key_pairs.current_pair(acme.tenant.pk).kid
            keys.begin_rotation(tenant=acme.tenant, actor=COMMAND)
            assert key_pairs.current_pair(acme.tenant.pk).kid != before
            assert keys.continue_rotation(tenant=acme.tenant, actor=COMMAND).complete
        assert (token_of(row).kid, token_of(row).mkid) == (
            key_pairs.current_pair(acme.tenant.pk).kid,
            "m2",
        )

    def test_the_way_from_one_to_the_next(
        self, db: None, request: Any, vault: Vault, master_keys: Callable[..., None]
    ) -> None:
        master_keys(1)
        acme: Workspace = request.getfixturevalue("acme")
        row = vault(acme, "sk-secret")
        master_keys(1, 2)  # known to every machine
        assert opened(row) == "sk-secret"
        master_keys(2, 1)  # sealing with the new one
        assert opened(row) == "sk-secret"
        report = rotate(acme, new_pair=False)
        assert report.failed == 0
        assert token_of(row).mkid == "m2"
        assert keys.retire_master_keys() == ["m1"]
        master_keys(2)  # the old one is gone
        keys.forget()
        assert opened(row) == "sk-secret"
        assert keys.verify().failed == 0
        assert list(MasterKeyCheck.objects.values_list("mkid", flat=True)) == ["m2"]
        assert len(kids(acme)) == 1

    @pytest.mark.parametrize(
        "orders",
        [((1, 2), (2, 1)), ((2, 1), (1, 2))],
        ids=["old machine first", "new machine first"],
    )
    def test_machines_with_either_order_read_each_others_texts(
        self,
        db: None,
        request: Any,
        vault: Vault,
        master_keys: Callable[..., None],
        orders: tuple[tuple[int, ...], ...],
    ) -> None:
        master_keys(1, 2)
        acme: Workspace = request.getfixturevalue("acme")
        rows = []
        for number, order in enumerate(orders * 2):
            master_keys(*order)
            keys.forget()
            rows.append(vault(acme, f"sk-{number}"))
            for other in orders:
                master_keys(*other)
                keys.forget()
                assert [opened(row) for row in rows] == [f"sk-{one}" for one in range(len(rows))]
        assert {token_of(row).mkid for row in rows} == {"m1", "m2"}

    def test_a_rotation_on_one_machine_does_not_hinder_the_other(
        self, db: None, request: Any, vault: Vault, master_keys: Callable[..., None]
    ) -> None:
        master_keys(1, 2)
        acme: Workspace = request.getfixturevalue("acme")
        row = vault(acme, "sk-secret")
        master_keys(2, 1)
        assert rotate(acme).failed == 0
        master_keys(1, 2)  # the other machine, not yet turned round
        keys.forget()
        assert opened(row) == "sk-secret"
        late = vault(acme, "sk-late")
        master_keys(2, 1)
        keys.forget()
        assert opened(late) == "sk-late"
        assert rotate(acme).failed == 0
        assert {token_of(one).mkid for one in (row, late)} == {"m2"}

    def test_new_pairs_move_the_retired_ones_too(
        self, db: None, request: Any, vault: Vault, master_keys: Callable[..., None]
    ) -> None:
        master_keys(1)
        acme: Workspace = request.getfixturevalue("acme")
        vault(acme, "sk-secret")
        master_keys(2, 1)
        report = rotate(acme)
        assert not report.resumed
        with tenant_scope(acme.tenant):
            assert KeyPair.objects.count() == 2
            assert {envelope.private_mkid(row.private_sealed) for row in KeyPair.objects.all()} == {
                "m2"
            }

    def test_nothing_is_touched_under_a_wrong_master_key(
        self, db: None, request: Any, vault: Vault, master_keys: Callable[..., None], settings: Any
    ) -> None:
        master_keys(1)
        acme: Workspace = request.getfixturevalue("acme")
        row = vault(acme, "sk-secret")
        before = row.sealed
        master_keys(2)
        with pytest.raises(keys.KeysNotReady):
            rotate(acme)
        token_of(row)
        assert row.sealed == before
        assert list(kids(acme).values()) == ["current"]


class TestVerify:
    def test_all_is_well(self, acme: Workspace, globex: Workspace, vault: Vault) -> None:
        vault(acme, "sk-one")
        vault(globex, "sk-two")
        report = keys.verify()
        assert (report.key_pairs, report.sealed, report.failed) == (2, 2, 0)
        assert keys.verify(tenant=acme.tenant).sealed == 1

    def test_what_does_not_open_is_named_without_its_text(
        self, acme: Workspace, vault: Vault
    ) -> None:
        row = vault(acme, "sk-one")
        with tenant_scope(acme.tenant):
            type(row).objects.filter(pk=row.pk).update(base_url="https://evil.example.com")
        report = keys.verify()
        assert (report.sealed, report.sealed_failed, report.key_pairs_failed) == (1, 1, 0)
        assert report.failures == [f"acme: sealed {row.pk}: damaged"]

    def test_a_public_key_that_does_not_belong_is_noticed(
        self, acme: Workspace, globex: Workspace
    ) -> None:
        with tenant_scope(globex.tenant):
            foreign = KeyPair.objects.get().public_pem
        with tenant_scope(acme.tenant):
            KeyPair.objects.update(public_pem=foreign)
        report = keys.verify()
        assert (report.key_pairs, report.key_pairs_failed) == (2, 1)
        assert report.failures[0].startswith("acme: key pair")

    def test_a_data_key_that_does_not_open_is_noticed(self, acme: Workspace) -> None:
        with tenant_scope(acme.tenant):
            KeyPair.objects.update(data_key="d1.damaged")
        report = keys.verify(tenant=acme.tenant)
        assert (report.key_pairs, report.key_pairs_failed) == (1, 1)


def test_a_text_is_opened_at_one_place_only() -> None:
    """Of all our modules only tenants.crypto.sealing calls the envelope's opening, and only the
    listed ones call that.
    """
    from tests import source

    callers = {
        source.name_of(path)
        for path in source.files()
        if "open_token(" in path.read_text(encoding="utf-8")
        and source.name_of(path) != "tenants/crypto/envelope.py"
    }
    assert callers == {"tenants/crypto/sealing.py"}


def test_unreadable_is_a_503_that_says_what_to_do() -> None:
    error = CredentialUnreadable("damaged")
    assert error.status == 503
    assert "Enter the key again" in str(error)
