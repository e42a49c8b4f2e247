"""The one encrypted column type: django-encrypted-model-fields made strict.

Release 0.6.5 of the package is unsafe as it comes (tests/tenants/crypto/test_fields.py shows each
trap): bulk_update writes every row's plaintext into every row, a wrong key is silent and the next
save encrypts twice, input that looks like a token is decrypted, look-ups find nothing, dumpdata and
forms print plaintext. Used for KeyPair.private_sealed only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NoReturn

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError
from django.db.models import Lookup
from encrypted_model_fields.fields import EncryptedTextField

from tenants.crypto.master_keys import field_keys, parse

ALLOWED_LOOKUPS: Final = frozenset({"isnull"})


class FieldUnreadable(RuntimeError):
    """The column's text does not open with the master keys of this installation."""


@lru_cache(maxsize=8)
def _crypter(master_keys: str, secret_key: str) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in field_keys(parse(master_keys, secret_key))])


def crypter() -> MultiFernet:
    """The keys of now, not those of the import. Raises MasterKeyError where there is no usable
    master key.
    """
    return _crypter(settings.MODELKEEP_MASTER_KEYS, settings.SECRET_KEY)


class StrictEncryptedTextField(EncryptedTextField):  # type: ignore[misc]  # the package has no types
    """Text that is encrypted in the column, and never decrypted unless it comes from the column."""

    def to_python(self, value: Any) -> str | None:
        """Input stays what it is, whatever it looks like."""
        if value is None or isinstance(value, str):
            return value
        raise TypeError(f"{self.name} takes text, not {type(value).__name__}")

    def from_db_value(
        self, value: Any, expression: Any = None, connection: Any = None
    ) -> str | None:
        if value is None:
            return None
        try:
            return crypter().decrypt(value.encode("ascii")).decode("utf-8")
        except (InvalidToken, UnicodeEncodeError):
            raise FieldUnreadable(
                f"{self.model._meta.label}.{self.name} does not open with this installation's master keys"
            ) from None

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> str | None:
        return self.get_db_prep_save(value, connection)

    def get_db_prep_save(self, value: Any, connection: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str):
            # Expressions come from update(F()), Value() and bulk_update(); their text would be
            # encrypted.
            raise TypeError(
                f"{self.name} takes text, not {type(value).__name__}; use save(update_fields=...)"
            )
        return crypter().encrypt(value.encode("utf-8")).decode("ascii")

    def get_lookup(self, lookup_name: str) -> type[Lookup[Any]] | None:
        if lookup_name not in ALLOWED_LOOKUPS:
            raise FieldError(
                f"{self.name} is encrypted: it can be looked up by isnull only, not by {lookup_name}"
            )
        found: type[Lookup[Any]] | None = super().get_lookup(lookup_name)
        return found

    def get_transform(self, lookup_name: str) -> NoReturn:
        raise FieldError(f"{self.name} is encrypted: nothing can be computed from it")

    def value_to_string(self, obj: Any) -> NoReturn:
        raise TypeError(
            f"{self.name} is encrypted and is not written out; exclude {self.model._meta.label} from dumpdata"
        )

    def formfield(self, **kwargs: Any) -> None:
        """No form shows it."""
        return
