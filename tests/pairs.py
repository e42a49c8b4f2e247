"""RSA pairs for tests: making one takes a second or two, so each is made once per run and kept in
its folder.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from Crypto.PublicKey import RSA
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.installation import run_folder

BITS = 3072
generate = RSA.generate
_made: dict[str, RSA.RsaKey] = {}


def pair(name: str) -> RSA.RsaKey:
    """The pair called `name`, from memory, from the run's folder, or made now."""
    if name not in _made:
        path = run_folder() / f"pair-{name}.der"
        if path.is_file():
            _made[name] = RSA.import_key(path.read_bytes())
        else:
            der = _generate_quickly()
            _made[name] = RSA.import_key(der)
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_bytes(der)
            partial.chmod(0o600)
            partial.replace(path)
    return _made[name]


def _generate_quickly() -> bytes:
    """A pair made by OpenSSL, which takes a tenth of pycryptodome's time."""
    return rsa.generate_private_key(65537, BITS).private_bytes(
        Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )


@contextmanager
def stored_pairs() -> Iterator[None]:
    """Within: pycryptodome gives the first pair of the store, then the second, and so on, instead
    of making new ones.

    All pairs of one test differ; the next test gets the same ones again.
    """
    numbers = itertools.count(1)

    def given(bits: int, *args: object, **kwargs: object) -> RSA.RsaKey:
        if bits != BITS:
            raise AssertionError(
                f"a pair of {bits} bits was asked for; the product makes pairs of {BITS} bits"
            )
        return pair(str(next(numbers)))

    with mock.patch.object(RSA, "generate", given):
        yield
