"""RSA pairs for tests: making one takes a second or two, so each name's pair is made once per run and kept in DATA_DIR."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from Crypto.PublicKey import RSA
from django.conf import settings

BITS = 3072
_generate = RSA.generate
_made: dict[str, RSA.RsaKey] = {}


def pair(name: str) -> RSA.RsaKey:
    """The pair called `name`, from memory, from the run's folder, or made now."""
    if name not in _made:
        path = Path(settings.DATA_DIR) / f"pair-{name}.der"
        if path.is_file():
            _made[name] = RSA.import_key(path.read_bytes())
        else:
            _made[name] = _generate(BITS)
            partial = path.with_suffix(f".{id(path)}")
            partial.write_bytes(_made[name].export_key("DER"))
            partial.chmod(0o600)
            partial.replace(path)
    return _made[name]


@contextmanager
def cached_pair(name: str) -> Iterator[None]:
    """Within: whoever asks pycryptodome for a new 3072-bit pair gets the one called `name`."""

    def given(bits: int, *args: object, **kwargs: object) -> RSA.RsaKey:
        if bits != BITS:
            raise AssertionError(f"a pair of {bits} bits was asked for; the product makes pairs of {BITS} bits")
        return pair(name)

    with mock.patch.object(RSA, "generate", given):
        yield
