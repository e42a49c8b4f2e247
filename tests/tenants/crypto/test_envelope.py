"""The envelope: opens for exactly what it was sealed for, and for nothing that was changed."""

from __future__ import annotations

import dataclasses
import re
import string
from typing import Any
from uuid import UUID

import pytest
from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF
from Crypto.PublicKey import RSA
from hypothesis import given, settings
from hypothesis import strategies as st

from tenants.crypto import envelope, master_keys
from tenants.crypto.envelope import Binding, EnvelopeError
from tests.pairs import pair
from tests.tenants.crypto.first_format import oaep, sealed_first

MASTER = bytes(range(7, 39))
PEPPER = master_keys.pepper(MASTER)
HERE = Binding(UUID(int=5), "openai", "https://api.openai.com:443", "sealed", "row-1", 3)
DATA_KEY = bytes(range(32))
FIELDS = [field.name for field in dataclasses.fields(Binding)]
quick = settings(deadline=None, max_examples=25)


def seal(text: str = "sk-secret", binding: Binding = HERE, **changed: Any) -> str:
    values: dict[str, Any] = {
        "data_key": DATA_KEY,
        "kid": "k1",
        "mkid": "m1",
        "pepper": PEPPER,
    } | changed
    return envelope.seal(text, binding=binding, **values)


def seal_first(text: str = "sk-secret", binding: Binding = HERE, pepper: bytes = PEPPER) -> str:
    public = pair("spare-0").public_key()
    return sealed_first(text, public=public, kid="k1", mkid="m1", pepper=pepper, binding=binding)


formats = pytest.mark.parametrize("seal", [seal, seal_first])


def unseal(
    token: str,
    binding: Binding = HERE,
    data_key: bytes = DATA_KEY,
    private: RSA.RsaKey | None = None,
    pepper: bytes = PEPPER,
) -> str:
    parsed = envelope.parse(token)
    if parsed.is_first_format:
        private = private or pair("spare-0")
        data_key = envelope.unwrap_token(parsed, private=private, binding=binding)
    return envelope.open_token(parsed, data_key=data_key, pepper=pepper, binding=binding)


def other(value: Any) -> Any:
    if isinstance(value, UUID):
        return UUID(int=value.int + 1)
    return value + 1 if isinstance(value, int) else value + "x"


@quick
@given(st.text(max_size=600).filter(lambda text: text.isprintable() or True))
def test_whatever_is_sealed_is_opened(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert unseal(seal(text)) == text


def by_hand(start: str, data_key: bytes, nonce: str, sealed: str) -> bytes:
    """Open a text with nothing of ours but the context's parts."""
    context = prefixed(
        start,
        str(HERE.tenant),
        "openai",
        "https://api.openai.com:443",
        "sealed",
        "row-1",
        "3",
        "k1",
        "m1",
    )
    pepper = HKDF(MASTER, 32, b"", SHA256, context=b"modelkeep/pepper/v1")
    key = HKDF(data_key, 32, pepper, SHA256, context=context)
    body = envelope._decode(sealed)
    cipher = AES.new(key, AES.MODE_GCM, nonce=envelope._decode(nonce))
    cipher.update(context)
    return bytes(cipher.decrypt_and_verify(body[:-16], body[-16:]))


def prefixed(*parts: str) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part.encode() for part in parts)


def test_the_token_is_written_as_the_documentation_says() -> None:
    start, kid, mkid, nonce, sealed = seal().split(".")
    assert (start, kid, mkid) == ("c2", "k1", "m1")
    assert by_hand("c2", DATA_KEY, nonce, sealed) == b"sk-secret"


def test_the_data_key_is_written_as_the_documentation_says() -> None:
    private = pair("spare-0")
    text = wrapped_data_key()
    assert re.fullmatch(r"d1\.[A-Za-z0-9_-]{512}", text)
    label = prefixed("d1", str(HERE.tenant), "k1")
    assert oaep(private, label).decrypt(envelope._decode(text[3:])) == DATA_KEY


def test_the_first_format_is_read_as_it_was_documented() -> None:
    start, _kid, _mkid, wrapped, nonce, sealed = seal_first().split(".")
    label = HERE.context("k1", "m1", "c1")
    data_key = oaep(pair("spare-0"), label).decrypt(envelope._decode(wrapped))
    assert by_hand(start, data_key, nonce, sealed) == b"sk-secret"
    assert unseal(seal_first()) == "sk-secret"


def wrapped_data_key() -> str:
    public = pair("spare-0").public_key()
    return envelope.wrap_data_key(DATA_KEY, public=public, tenant=HERE.tenant, kid="k1")


@pytest.mark.parametrize(
    "changed",
    [
        {"tenant": UUID(int=6)},
        {"kid": "k2"},
        {"private": "spare-1"},
        {"text": "d1."},
        {"text": "d2.AAAA"},
        {"text": seal_first().split(".")[3]},
    ],
)
def test_a_data_key_opens_for_its_pair_only(changed: dict[str, Any]) -> None:
    values: dict[str, Any] = {"tenant": HERE.tenant, "kid": "k1", "private": "spare-0"} | changed
    text, private = values.pop("text", wrapped_data_key()), pair(values.pop("private"))
    with pytest.raises(EnvelopeError):
        envelope.unwrap_data_key(text, private=private, **values)


@formats
def test_two_sealings_of_one_text_have_nothing_in_common(seal: Any) -> None:
    first, second = seal(), seal()
    assert not set(first.split(".")[3:]) & set(second.split(".")[3:])


@formats
@pytest.mark.parametrize("field", FIELDS)
def test_it_opens_nowhere_else(field: str, seal: Any) -> None:
    elsewhere = dataclasses.replace(HERE, **{field: other(getattr(HERE, field))})
    with pytest.raises(EnvelopeError):
        unseal(seal(), elsewhere)


def test_parts_cannot_be_moved_between_neighbouring_fields() -> None:
    one = dataclasses.replace(HERE, name="ab", row="c")
    two = dataclasses.replace(HERE, name="a", row="bc")
    assert one.context("k", "m") != two.context("k", "m")
    with pytest.raises(EnvelopeError):
        unseal(seal(binding=one), two)


def test_another_pair_does_not_open_it() -> None:
    with pytest.raises(EnvelopeError):
        unseal(seal(), data_key=bytes(32))
    with pytest.raises(EnvelopeError):
        unseal(seal_first(), private=pair("spare-1"))


@formats
def test_the_public_key_alone_forges_nothing(seal: Any) -> None:
    """Who can write the database knows every public key, and may plant a data key for it, yet
    does not know the pepper.
    """
    forged = seal("attacker's key", pepper=bytes(32))
    with pytest.raises(EnvelopeError):
        unseal(forged)


@quick
@given(st.data(), st.sampled_from([seal, seal_first]))
def test_no_changed_character_passes(data: st.DataObject, seal: Any) -> None:
    token = seal("sk-secret-of-some-length")
    position = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_.=+/ é"))
    changed = token[:position] + letter + token[position + 1 :]
    if changed != token:
        with pytest.raises(EnvelopeError):
            unseal(changed)


@formats
@pytest.mark.parametrize("part", [-1, -2, 3])
def test_parts_of_two_tokens_do_not_mix(part: int, seal: Any) -> None:
    first, second = seal("one").split("."), seal("two").split(".")
    first[part] = second[part]
    with pytest.raises(EnvelopeError):
        unseal(".".join(first))


@quick
@given(st.text(max_size=80))
def test_what_is_no_token_is_refused_as_such(text: str) -> None:
    with pytest.raises(EnvelopeError):
        envelope.parse(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t + "=",
        lambda t: t[:-1],
        lambda t: t.replace("c2.", "c1.").replace("c1.", "c3."),
        lambda t: f"c1.{t[3:]}" if t.startswith("c2") else f"c2.{t[3:]}",
        lambda t: t + ".x",
        lambda t: " " + t,
    ],
)
@formats
def test_one_text_has_one_spelling(change: Any, seal: Any) -> None:
    with pytest.raises(EnvelopeError):
        unseal(change(seal()))


def test_a_text_that_is_too_long_is_refused() -> None:
    assert unseal(seal("x" * envelope.LONGEST_TEXT)) == "x" * envelope.LONGEST_TEXT
    with pytest.raises(EnvelopeError):
        seal("x" * (envelope.LONGEST_TEXT + 1))


def test_errors_do_not_tell_what_was_wrong() -> None:
    damaged = seal()[:-3] + "AAA"
    messages = set()
    for attempt in (
        lambda: unseal(damaged),
        lambda: unseal(seal(), pepper=bytes(32)),
        lambda: unseal(seal(), data_key=bytes(32)),
        lambda: unseal(seal_first(), private=pair("spare-1")),
    ):
        with pytest.raises(EnvelopeError) as caught:
            attempt()
        messages.add(str(caught.value))
        assert caught.value.__cause__ is None
    assert len(messages) == 1


class TestPrivateKey:
    def sealed(self, **changed: Any) -> str:
        values: dict[str, Any] = {
            "tenant": HERE.tenant,
            "kid": "k1",
            "mkid": "m1",
            "master": MASTER,
        } | changed
        return envelope.seal_private(pair("spare-0"), **values)

    def opened(self, sealed: str, **changed: Any) -> RSA.RsaKey:
        print_ = envelope.fingerprint(pair("spare-0"))
        values: dict[str, Any] = {
            "tenant": HERE.tenant,
            "kid": "k1",
            "fingerprint": print_,
            "master": MASTER,
        } | changed
        return envelope.open_private(sealed, **values)

    def test_it_comes_back_whole(self) -> None:
        assert self.opened(self.sealed()) == pair("spare-0")
        assert self.opened(self.sealed()).has_private()

    @pytest.mark.parametrize(
        "changed",
        [
            {"tenant": UUID(int=6)},
            {"kid": "k2"},
            {"fingerprint": "0" * 64},
            {"master": bytes(range(8, 40))},
        ],
        ids=str,
    )
    def test_it_is_bound_to_tenant_id_fingerprint_and_master_key(
        self, changed: dict[str, Any]
    ) -> None:
        with pytest.raises(EnvelopeError):
            self.opened(self.sealed(), **changed)

    def test_the_id_of_the_master_key_is_bound_too(self) -> None:
        with pytest.raises(EnvelopeError):
            self.opened(self.sealed().replace("k1.m1.", "k1.m2."))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "k1",
            "k1.m1.AAAA",
            "k2.m1.AAAA.AAAA",
            "k1.M1.AAAA.AAAA",
            "-----BEGIN RSA PRIVATE KEY-----",
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(EnvelopeError):
            self.opened(text)
