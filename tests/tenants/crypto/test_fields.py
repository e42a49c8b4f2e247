"""Every trap of django-encrypted-model-fields 0.6.5, first as the package has it, then as our
subclass closes it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet, MultiFernet
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.core.serializers import serialize
from django.db import connection, models
from django.db.models import Case, F, Value, When
from django.forms import modelform_factory
from encrypted_model_fields import fields as package
from encrypted_model_fields.fields import EncryptedTextField

from tenants.crypto.fields import FieldUnreadable, StrictEncryptedTextField
from tenants.crypto.master_keys import MasterKeyError
from tenants.models import KeyPair
from tenants.scope import tenant_scope
from tests.factories import Workspace


class Raw(models.Model):
    text = EncryptedTextField(null=True)

    class Meta:
        app_label = "traps"


class Strict(models.Model):
    text = StrictEncryptedTextField(null=True)

    class Meta:
        app_label = "traps"


@pytest.fixture(autouse=True)
def tables(transactional_db: None) -> Iterator[None]:
    with connection.schema_editor() as editor:
        editor.create_model(Raw)
        editor.create_model(Strict)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Raw)
        editor.delete_model(Strict)


def stored(model: type[models.Model], pk: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT text FROM {model._meta.db_table} WHERE id = %s", [pk])
        value: str = cursor.fetchone()[0]
    return value


def other_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "CRYPTER", MultiFernet([Fernet(Fernet.generate_key())]))


def test_it_keeps_a_text() -> None:
    row = Strict.objects.create(text="süß")
    assert "süß" not in stored(Strict, row.pk)
    assert Strict.objects.get().text == "süß"
    Strict.objects.update(text="new")
    assert Strict.objects.get().text == "new"
    Strict.objects.update(text=None)
    assert Strict.objects.get().text is None


class TestBulkUpdate:
    def test_the_package_writes_all_plaintexts_into_every_row(self) -> None:
        rows = [Raw.objects.create(text="one"), Raw.objects.create(text="two")]
        Raw.objects.bulk_update(rows, ["text"])
        texts = {row.text for row in Raw.objects.all()}
        assert len(texts) == 1
        assert "one" in (text := texts.pop())
        assert "two" in text

    def test_ours_refuses(self) -> None:
        rows = [Strict.objects.create(text="one"), Strict.objects.create(text="two")]
        with pytest.raises(TypeError, match="takes text"):
            Strict.objects.bulk_update(rows, ["text"])
        assert [row.text for row in Strict.objects.order_by("pk")] == ["one", "two"]

    @pytest.mark.parametrize(
        "expression",
        [F("id"), F("text"), Value("x"), Case(When(pk=1, then=Value("x")))],
        ids=["id", "text", "value", "case"],
    )
    def test_ours_refuses_every_expression(self, expression: Any) -> None:
        row = Strict.objects.create(text="one")
        with pytest.raises(TypeError, match="takes text"):
            Strict.objects.update(text=expression)
        row.text = expression
        with pytest.raises(TypeError, match="takes text"):
            row.save()
        assert Strict.objects.get().text == "one"

    @pytest.mark.parametrize("value", [5, b"bytes", ["list"]])
    def test_ours_takes_nothing_but_text(self, value: Any) -> None:
        with pytest.raises(TypeError, match="takes text"):
            Strict.objects.create(text=value)


class TestWrongKey:
    def test_the_package_is_silent_and_encrypts_twice(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        right = package.CRYPTER
        row = Raw.objects.create(text="secret")
        other_key(monkeypatch)
        read = Raw.objects.get()
        assert read.text == stored(Raw, row.pk)  # ciphertext, as if it were the value
        read.save()
        monkeypatch.setattr(package, "CRYPTER", right)
        assert Raw.objects.get().text != "secret"

    def test_ours_raises(self, master_keys: Callable[..., None]) -> None:
        row = Strict.objects.create(text="secret")
        before = stored(Strict, row.pk)
        master_keys(9)
        with pytest.raises(FieldUnreadable):
            Strict.objects.get()
        assert stored(Strict, row.pk) == before

    @pytest.mark.parametrize("damage", ["", "no token", "gAAAAA", "é"])
    def test_ours_raises_for_what_is_no_token(self, damage: str) -> None:
        row = Strict.objects.create(text="secret")
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {Strict._meta.db_table} SET text = %s WHERE id = %s", [damage, row.pk]
            )
        with pytest.raises(FieldUnreadable):
            Strict.objects.get()

    def test_ours_needs_a_usable_master_key(self, settings: Any) -> None:
        settings.MODELKEEP_MASTER_KEYS = ""
        with pytest.raises(MasterKeyError):
            Strict.objects.create(text="secret")

    def test_an_older_master_key_still_reads(self, master_keys: Callable[..., None]) -> None:
        master_keys(1)
        Strict.objects.create(text="secret")
        master_keys(2, 1)
        assert Strict.objects.get().text == "secret"


class TestInputThatLooksLikeAToken:
    def test_the_package_decrypts_it(self) -> None:
        token = package.encrypt_str("inner").decode()
        assert Raw(text=token).text == token
        assert Raw._meta.get_field("text").clean(token, None) == "inner"

    def test_ours_leaves_it(self) -> None:
        Strict.objects.create(text="inner")
        token = stored(Strict, Strict.objects.get().pk)
        assert Strict._meta.get_field("text").clean(token, None) == token
        row = Strict.objects.create(text=token)
        assert Strict.objects.get(pk=row.pk).text == token


class TestLookups:
    def test_the_package_finds_nothing(self) -> None:
        Raw.objects.create(text="secret")
        assert not Raw.objects.filter(text="secret").exists()

    @pytest.mark.parametrize(
        "lookup", ["exact", "in", "contains", "startswith", "gt", "iexact", "regex", "length"]
    )
    def test_ours_refuses(self, lookup: str) -> None:
        with pytest.raises(FieldError):
            Strict.objects.filter(
                **{f"text__{lookup}": ["secret"] if lookup == "in" else "secret"}
            ).exists()

    def test_ours_refuses_without_a_name_too(self) -> None:
        with pytest.raises(FieldError):
            Strict.objects.filter(text="secret").exists()

    def test_ours_knows_whether_there_is_a_value(self) -> None:
        Strict.objects.create(text="secret")
        Strict.objects.create(text=None)
        assert (
            Strict.objects.filter(text__isnull=True).count()
            == Strict.objects.filter(text__isnull=False).count()
            == 1
        )


class TestSerialising:
    def test_the_package_prints_plaintext(self) -> None:
        Raw.objects.create(text="secret")
        assert "secret" in serialize("json", Raw.objects.all())

    def test_ours_refuses(self) -> None:
        Strict.objects.create(text="secret")
        with pytest.raises(TypeError, match="cannot be serialized"):
            serialize("json", Strict.objects.all())

    def test_dumpdata_refuses_key_pairs(self, acme: Workspace) -> None:
        from tenants.scope import all_tenants

        out = io.StringIO()
        with all_tenants(), pytest.raises(Exception, match="cannot be serialized"):
            call_command("dumpdata", "tenants.keypair", stdout=out)
        assert "k1." not in out.getvalue()


class TestForms:
    def test_the_package_shows_plaintext(self) -> None:
        form = modelform_factory(Raw, fields="__all__")(instance=Raw.objects.create(text="secret"))
        assert "secret" in form.as_p()

    def test_ours_has_no_form_field(self) -> None:
        form = modelform_factory(Strict, fields="__all__")(
            instance=Strict.objects.create(text="secret")
        )
        assert "secret" not in form.as_p()
        assert "text" not in form.fields


def test_it_is_one_column_of_the_product() -> None:
    from django.apps import apps

    columns = [
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.fields
        if isinstance(field, EncryptedTextField)
    ]
    assert columns == ["KeyPair.private_sealed"]


def test_key_pairs_come_without_their_private_half(
    acme: Workspace, django_assert_num_queries: Any
) -> None:
    with tenant_scope(acme.tenant):
        with django_assert_num_queries(1) as captured:
            row = KeyPair.objects.get()
        assert "private_sealed" not in captured.captured_queries[0]["sql"]
        assert row.get_deferred_fields() == {"private_sealed"}
        assert row.private_sealed.startswith("k1.")
