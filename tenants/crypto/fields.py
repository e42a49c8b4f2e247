"""A strict encrypted model field based on django-encrypted-model-fields.

Release 0.6.5 of that package is unsafe on its own (tests/tenants/crypto/test_fields.py shows each
case): bulk_update writes every row's plaintext into every row, a wrong key goes unnoticed and the
next save encrypts twice, input that looks like a token is decrypted, lookups match nothing, and
dumpdata and forms print plaintext. Used for KeyPair.private_sealed only.
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
    """The column cannot be decrypted with this installation's master keys."""


@lru_cache(maxsize=8)
def _crypter(master_keys: str, secret_key: str) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in field_keys(parse(master_keys, secret_key))])


def crypter() -> MultiFernet:
    """Return the cipher for the current settings, not those at import. Raises MasterKeyError."""
    return _crypter(settings.MODELKEEP_MASTER_KEYS, settings.SECRET_KEY)


class StrictEncryptedTextField(EncryptedTextField):  # type: ignore[misc]  # the package has no types
    """Text that is encrypted in the database and decrypted only when read from it."""

    def to_python(self, value: Any) -> str | None:
        """Return the input unchanged, even if it looks like a token."""
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
                f"{self.model._meta.label}.{self.name} cannot be decrypted with this "
                "installation's master keys"
            ) from None

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> str | None:
        return self.get_db_prep_save(value, connection)

    def get_db_prep_save(self, value: Any, connection: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str):
            # update(F()), Value() and bulk_update() pass expressions; their repr would be stored.
            raise TypeError(
                f"{self.name} takes text, not {type(value).__name__}; use save(update_fields=...)"
            )
        return crypter().encrypt(value.encode("utf-8")).decode("ascii")

    def get_lookup(self, lookup_name: str) -> type[Lookup[Any]] | None:
        if lookup_name not in ALLOWED_LOOKUPS:
            raise FieldError(
                f"{self.name} is encrypted: only the isnull lookup works, not {lookup_name}"
            )
        lookup: type[Lookup[Any]] | None = super().get_lookup(lookup_name)
        return lookup

    def get_transform(self, lookup_name: str) -> NoReturn:
        raise FieldError(f"{self.name} is encrypted: transforms are not supported")

    def value_to_string(self, obj: Any) -> NoReturn:
        raise TypeError(
            f"{self.name} is encrypted and cannot be serialized; "
            f"exclude {self.model._meta.label} from dumpdata"
        )

    def formfield(self, **kwargs: Any) -> None:
        """Return None, so that no form includes the field."""
        return
