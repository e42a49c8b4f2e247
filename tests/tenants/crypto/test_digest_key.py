"""App keys in the database: whoever can write to it can neither add one nor change what one may do,
and they outlive the master keys.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.db.migrations.exceptions import IrreversibleError
from django.test import Client
from django.utils import timezone

from tenants.audit.trail import COMMAND
from tenants.auth.key_format import PREFIX_LENGTH, new_key
from tenants.auth.permissions import Role
from tenants.crypto import digest_key, envelope, keys
from tenants.models import AppKey, MasterKeyCheck, Tenant
from tenants.scope import all_tenants, tenant_scope
from tenants.services import app_keys, settings
from tests.factories import Workspace, make_app_key, make_workspace
from tests.migrating import migrate, migrate_all
from tests.tenants.conftest import master
from tests.tenants.services.test_services import acting

pytestmark = pytest.mark.django_db
SECRET = b"s" * digest_key.KEY_BYTES
SOON = timezone.now() + timedelta(days=1)


def status(text: str) -> int:
    answer = Client().get("/api/v1/workspace/", headers={"authorization": f"Bearer {text}"})
    return int(answer.status_code)


def change(row: AppKey, **columns: Any) -> None:
    """Write to the table past the product."""
    with all_tenants():
        AppKey.objects.filter(pk=row.pk).update(**columns)


class TestAWriterToTheDatabase:
    @pytest.mark.parametrize(
        "digest",
        [
            lambda text: hashlib.sha256(text.encode()).hexdigest(),
            lambda text: hmac.digest(b"", text.encode(), "sha256").hex(),
            lambda text: digest_key.digest_of_hash(hashlib.sha256(text.encode()).hexdigest(), b""),
        ],
        ids=["sha256", "hmac without a key", "ours without a key"],
    )
    def test_adds_no_key(self, acme: Workspace, digest: Callable[[str], str]) -> None:
        row, genuine = acme.app_key
        text = new_key()
        with tenant_scope(acme.tenant):
            AppKey.objects.create(
                tenant=acme.tenant,
                name="forged",
                prefix=text[:PREFIX_LENGTH],
                digest=digest(text),
                proof=row.proof,
                scopes=["use", "read", "manage"],
                made_by_command=True,
            )
        assert (status(text), status(genuine)) == (401, 200)

    def test_gives_a_key_to_no_other_workspace(self, acme: Workspace, globex: Workspace) -> None:
        row, text = globex.app_key
        assert status(text) == 200
        change(row, tenant_id=acme.tenant.pk)
        assert status(text) == 401
        change(row, tenant_id=globex.tenant.pk)
        assert status(text) == 200

    def test_puts_no_digest_into_another_row(self, acme: Workspace, globex: Workspace) -> None:
        (victim, _text), (own, text) = acme.app_key, globex.app_key
        change(own, digest="0" * 64)
        change(victim, digest=own.digest, proof=own.proof)
        assert status(text) == 401

    @pytest.mark.parametrize(
        "columns",
        [
            {"scopes": ["use", "read", "manage"]},
            {"allowed_providers": []},
            {"allowed_models": []},
            {"allowed_operations": []},
            {"created_by": None, "made_by_command": True},
            {"expires": None},
            {"expires": SOON + timedelta(days=365)},
            {"proof": ""},
            {"proof": "0" * 64},
        ],
        ids=lambda columns: "-".join(columns),  # values tell the time
    )
    def test_widens_no_key(self, acme: Workspace, columns: dict[str, Any]) -> None:
        row, text = make_app_key(
            acme.tenant,
            user=acme.admin,
            scopes=["read"],
            allowed_providers=["openai"],
            allowed_models=["openai/gpt-4o"],
            allowed_operations=["embeddings"],
            expires=SOON,
        )
        assert status(text) == 200
        change(row, **columns)
        assert status(text) == 401

    def test_brings_no_revoked_key_back(self, acme: Workspace) -> None:
        owner, (row, revoked) = acting(acme, Role.OWNER), make_app_key(acme.tenant, name="revoked")
        (replaced, early), (late, overlapping) = (
            make_app_key(acme.tenant, name="replaced", user=acme.owner),
            make_app_key(acme.tenant, name="overlapping", user=acme.owner),
        )
        with tenant_scope(acme.tenant):
            app_keys.revoke_app_key(tenant=acme.tenant, app_key_id=row.pk, actor=owner)
            for old, overlap in ((replaced, 0), (late, 1)):
                app_keys.rotate_app_key(
                    tenant=acme.tenant,
                    app_key_id=old.pk,
                    actor=owner,
                    overlap=timedelta(hours=overlap),
                )
        assert [status(text) for text in (revoked, early, overlapping)] == [401, 401, 200]
        for one in (row, replaced, late):
            change(one, revoked=None, expires=None)
        assert [status(text) for text in (revoked, early, overlapping)] == [401, 401, 401]

    def test_reopens_no_key_of_a_closed_workspace(self, acme: Workspace) -> None:
        row, text = acme.app_key
        with tenant_scope(acme.tenant):
            settings.close_workspace(
                tenant=acme.tenant, typed="acme", actor=acting(acme, Role.OWNER)
            )
        change(row, revoked=None)
        Tenant.objects.update(status=Tenant.Status.ACTIVE)
        assert status(text) == 401

    def test_hides_nothing_from_the_log(self, acme: Workspace, caplog: Any) -> None:
        row, text = acme.app_key
        change(row, scopes=["read"])
        assert status(text) == 401
        assert f"App key {row.pk} of workspace acme is refused" in caplog.text

    def test_is_found_out(self, acme: Workspace, globex: Workspace) -> None:
        row, _text = acme.app_key
        assert globex.app_key
        report = keys.verify()
        assert (report.app_keys, report.app_keys_failed) == (2, 0)
        change(row, scopes=["read"])
        report = keys.verify()
        assert (report.app_keys, report.app_keys_failed, report.failed) == (2, 1, 1)
        assert report.failures == [f"acme: app key {row.prefix}: changed in the database"]
        assert keys.verify(tenant=globex.tenant).failed == 0

    def test_makes_no_digest_key(self, acme: Workspace) -> None:
        """A copy sealed with a key of the writer's own, or moved from another purpose."""
        _row, text = acme.app_key
        mkid, genuine = MasterKeyCheck.objects.values_list("mkid", "digest_key").get()
        for sealed in (
            envelope.seal_secret(
                SECRET, purpose=digest_key.PURPOSE, mkid=mkid, master=b"writer's own key" * 2
            ),
            genuine[:-2] + "AA",
            "s1",
            "",
        ):
            MasterKeyCheck.objects.update(digest_key=sealed)
            digest_key.forget()
            answer = Client().get("/api/v1/workspace/", headers={"authorization": f"Bearer {text}"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "keys_not_ready")
        MasterKeyCheck.objects.update(digest_key=genuine)
        assert status(text) == 200


class TestMasterKeys:
    def test_app_keys_outlive_them(self, master_keys: Callable[..., None]) -> None:
        master_keys(1)
        acme, globex = make_workspace("acme"), make_workspace("globex")
        texts = [acme.app_key[1], globex.app_key[1]]
        stored = acme.app_key[0].digest
        master_keys(2, 1)
        digest_key.forget()
        assert [status(text) for text in texts] == [200, 200]
        for workspace in (acme, globex):
            keys.rotate(tenant=workspace.tenant, actor=COMMAND, new_pair=False)
        assert keys.retire_master_keys() == ["m1"]
        master_keys(2)
        digest_key.forget()
        assert [status(text) for text in texts] == [200, 200]
        _row, text = make_app_key(acme.tenant, name="made after")
        assert status(text) == 200
        with tenant_scope(acme.tenant):
            assert AppKey.objects.get(pk=acme.app_key[0].pk).digest == stored

    def test_a_machine_without_the_new_one_goes_on(self, master_keys: Callable[..., None]) -> None:
        master_keys(1)
        acme = make_workspace("acme")
        _row, early = acme.app_key
        master_keys(2, 1)
        _row, late = make_app_key(acme.tenant, name="made with m2")
        assert MasterKeyCheck.objects.exclude(digest_key="").count() == 2
        master_keys(1)
        digest_key.forget()
        assert (status(early), status(late)) == (200, 200)

    @pytest.mark.parametrize("numbers", [(), (3,)], ids=["none", "another"])
    def test_without_one_nothing_is_said_about_a_key(
        self, acme: Workspace, master_keys: Callable[..., None], numbers: tuple[int, ...]
    ) -> None:
        """Not 401, upon which applications throw their key away."""
        _row, text = acme.app_key
        master_keys(*numbers)
        digest_key.forget()
        assert status(text) == 503

    def test_a_server_without_app_keys_knows_none(self) -> None:
        digest_key.forget()
        assert status(new_key()) == 401
        assert not digest_key.is_loaded()

    def test_one_that_was_rolled_back_is_not_kept(self, master_keys: Callable[..., None]) -> None:
        """The first app key of a server, whose transaction fails; then another process makes it."""
        master_keys(1)
        acme, globex = (
            make_workspace("acme", with_keys=False),
            make_workspace("globex", with_keys=False),
        )
        self.fail_to_make_one(acme)
        assert not MasterKeyCheck.objects.exists()
        assert not digest_key.is_loaded()
        _row, text = make_app_key(globex.tenant)
        assert status(text) == 200

    def fail_to_make_one(self, workspace: Workspace) -> None:
        with transaction.atomic(), tenant_scope(workspace.tenant):
            app_keys.create_app_key(
                tenant=workspace.tenant, actor=COMMAND, name="lost", scopes=["use"]
            )
            transaction.set_rollback(True)

    def test_a_restored_database_is_followed(self, acme: Workspace) -> None:
        assert status(acme.app_key[1]) == 200
        with all_tenants():
            AppKey.objects.all().delete()
        MasterKeyCheck.objects.update(digest_key="")
        _row, text = make_app_key(acme.tenant, name="made with another digest key")
        assert status(text) == 200

    def test_it_is_made_once_and_kept(self, acme: Workspace, globex: Workspace) -> None:
        first = MasterKeyCheck.objects.get().digest_key
        make_app_key(acme.tenant, name="one more")
        make_app_key(globex.tenant, name="one more")
        assert MasterKeyCheck.objects.get().digest_key == first
        assert master(1) not in first

    def test_a_lost_one_is_not_replaced(self, acme: Workspace, caplog: Any) -> None:
        """All app keys would be dead for good; a backup still has it."""
        assert acme.app_key
        MasterKeyCheck.objects.update(digest_key="")
        with pytest.raises(keys.KeysNotReady):
            make_app_key(acme.tenant, name="one more")
        assert MasterKeyCheck.objects.get().digest_key == ""
        assert "lost the digest key" in caplog.text


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestUpgrade:
    def test_keys_of_before_work_and_their_stored_hashes_do_not(
        self, acme: Workspace, globex: Workspace
    ) -> None:
        texts = [new_key(), new_key()]
        try:
            before = migrate("tenants", "0005_end_sessions").get_model("tenants", "AppKey")
            for workspace, text in zip((acme, globex), texts, strict=True):
                before._base_manager.create(
                    tenant_id=workspace.tenant.pk,
                    name="of before",
                    prefix=text[:PREFIX_LENGTH],
                    digest=hashlib.sha256(text.encode()).hexdigest(),
                    scopes=["read"],
                    made_by_command=True,
                )
        finally:
            migrate_all()
        assert [status(text) for text in texts] == [200, 200]
        with all_tenants():
            stored = set(AppKey.objects.values_list("digest", flat=True))
        assert not stored & {hashlib.sha256(text.encode()).hexdigest() for text in texts}
        try:
            with pytest.raises(IrreversibleError):
                migrate("tenants", "0005_end_sessions")
        finally:
            migrate_all()
        with all_tenants():
            AppKey.objects.all().delete()

    def test_expiry_is_signed_from_then_on(self, acme: Workspace) -> None:
        """Keys go on working; those that were changed before stay refused; revoked ones end."""
        expires = {"expires": SOON}
        rows = [make_app_key(acme.tenant, name=f"{n}", **expires) for n in range(3)]
        lasting, (good, kept), (forged, wider), (revoked, ended) = acme.app_key, *rows
        try:
            migrate("tenants", "0014_note_made_by_link")
            change(forged, scopes=["manage"])
            change(revoked, revoked=timezone.now())
            with all_tenants():
                before = AppKey.objects.values_list("proof", flat=True).get(pk=good.pk)
        finally:
            migrate_all()
        assert [status(text) for text in (lasting[1], kept, wider, ended)] == [200, 200, 401, 401]
        change(revoked, revoked=None)
        change(good, expires=None)
        assert [status(text) for text in (kept, ended)] == [401, 401]
        change(good, expires=SOON, proof=before)
        assert status(kept) == 401, "the signature of before covered no expiry"
        with all_tenants():
            AppKey.objects.all().delete()

    def test_with_a_wrong_master_key_nothing_is_changed(
        self, acme: Workspace, master_keys: Callable[..., None], settings: Any
    ) -> None:
        right = settings.MODELKEEP_MASTER_KEYS
        digest = hashlib.sha256(b"x").hexdigest()
        try:
            before = migrate("tenants", "0005_end_sessions").get_model("tenants", "AppKey")
            row = {"tenant_id": acme.tenant.pk, "name": "of before", "prefix": "mk_live_abcd"}
            before._base_manager.create(pk=uuid4(), digest=digest, **row)
            master_keys(3)
            with pytest.raises(ValueError, match="is missing or wrong"):
                migrate_all()
            assert before._base_manager.get().digest == digest
        finally:
            settings.MODELKEEP_MASTER_KEYS = right
            migrate_all()
        with all_tenants():
            assert AppKey.objects.get().digest != digest
            AppKey.objects.all().delete()
