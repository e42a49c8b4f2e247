"""Master keys: what is refused, and that nothing derived from one is shared."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.fernet import Fernet

from tenants.crypto import master_keys
from tenants.crypto.master_keys import MasterKeyError, parse


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# The same ones in every process, because they stand in the names of tests, which pytest-xdist
# compares.
GOOD, ALSO_GOOD = b64(hashlib.sha256(b"good").digest()), b64(hashlib.sha256(b"also good").digest())


def test_newest_first() -> None:
    keys = parse(f"m2:{GOOD}, m1:{ALSO_GOOD}")
    assert (keys.newest, keys.ids) == ("m2", ("m2", "m1"))
    assert keys.get("m1") == base64.b64decode(ALSO_GOOD)
    assert keys.get("m3") is None
    assert GOOD not in repr(keys)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "missing"),
        ("  ", "missing"),
        (GOOD, "malformed"),
        (f"M1:{GOOD}", "malformed"),
        (f"m.1:{GOOD}", "malformed"),
        (f"m1:{GOOD},", "malformed"),
        ("m1:not base64!", "malformed"),
        (f"m1:{b64(bytes(range(31)))}", "short"),
        (f"m1:{b64(bytes(range(33)))}", "short"),
        ("m1:", "short"),
        (f"m1:{GOOD},m1:{ALSO_GOOD}", "repeated"),
        (f"m1:{GOOD},m2:{GOOD}", "repeated"),
        (f"m1:{b64(bytes(32))}", "example"),
        (f"m1:{b64(b'ab' * 16)}", "example"),
        (f"m1:{b64(b'change me, this is an example!!!')}", "example"),
        *((f"m1:{b64(example)}", "example") for example in sorted(master_keys.EXAMPLES)),
    ],
)
def test_what_is_refused(text: str, code: str) -> None:
    with pytest.raises(MasterKeyError) as caught:
        parse(text)
    assert caught.value.code == code
    assert GOOD not in str(caught.value)


@pytest.mark.parametrize("secret_key", [GOOD, base64.b64decode(GOOD).hex()[:0] + GOOD + "suffix"])
def test_a_master_key_is_not_the_secret_key(secret_key: str) -> None:
    with pytest.raises(MasterKeyError) as caught:
        parse(f"m1:{GOOD}", secret_key)
    assert caught.value.code == "secret_key"


def test_each_purpose_has_a_key_of_its_own() -> None:
    master = base64.b64decode(GOOD)
    derived = {
        master_keys.pepper(master),
        bytes.fromhex(master_keys.check_value(master)),
        base64.urlsafe_b64decode(master_keys.field_key(master)),
    }
    assert len(derived | {master}) == 4
    assert all(len(one) == 32 for one in derived)


def test_the_fields_keys_are_fernets_newest_first() -> None:
    first, second = master_keys.field_keys(parse(f"m2:{GOOD},m1:{ALSO_GOOD}"))
    assert first == master_keys.field_key(base64.b64decode(GOOD))
    assert Fernet(second).decrypt(Fernet(second).encrypt(b"x")) == b"x"


def test_the_placeholder_is_no_key_of_a_good_installation() -> None:
    placeholder = master_keys.field_keys_or_placeholder("", "")
    assert placeholder != master_keys.field_keys_or_placeholder(f"m1:{GOOD}", "")
    Fernet(placeholder[0])


def test_the_check_value_tells_keys_apart() -> None:
    one, two = base64.b64decode(GOOD), base64.b64decode(ALSO_GOOD)
    assert master_keys.is_check_value(one, master_keys.check_value(one))
    assert not master_keys.is_check_value(two, master_keys.check_value(one))
