"""The envelope: opens for exactly what it was sealed for, and for nothing that was changed."""

from __future__ import annotations

import dataclasses
import re
import string
from typing import Any
from uuid import UUID

import pytest
from Crypto.Cipher import PKCS1_OAEP
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF
from Crypto.PublicKey import RSA
from Crypto.Signature.pss import MGF1
from hypothesis import given, settings
from hypothesis import strategies as st

from tenants.crypto import envelope, master_keys
from tenants.crypto.envelope import Binding, EnvelopeError
from tests.pairs import pair

MASTER = bytes(range(7, 39))
PEPPER = master_keys.pepper(MASTER)
HERE = Binding(UUID(int=5), "openai", "https://api.openai.com:443", "sealed", "row-1", 3)
FIELDS = [field.name for field in dataclasses.fields(Binding)]
quick = settings(deadline=None, max_examples=25)


def seal(text: str = "sk-secret", binding: Binding = HERE, **changed: Any) -> str:
    values: dict[str, Any] = {
        "public": pair("spare-0"),
        "kid": "k1",
        "mkid": "m1",
        "pepper": PEPPER,
    } | changed
    return envelope.seal(text, binding=binding, **values)


def unseal(token: str, binding: Binding = HERE, **changed: Any) -> str:
    values: dict[str, Any] = {"private": pair("spare-0"), "pepper": PEPPER} | changed
    return envelope.open_token(envelope.parse(token), binding=binding, **values)


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


def test_the_token_is_written_as_the_documentation_says() -> None:
    """Opened here by hand, with nothing of ours but the context's parts."""
    token = seal("sk-secret")
    start, kid, mkid, wrapped, nonce, sealed = token.split(".")
    assert (start, kid, mkid) == ("c1", "k1", "m1")
    assert re.fullmatch(r"[A-Za-z0-9_-]{512}", wrapped)
    parts = [
        "c1",
        str(HERE.tenant),
        "openai",
        "https://api.openai.com:443",
        "sealed",
        "row-1",
        "3",
        "k1",
        "m1",
    ]
    context = b"".join(len(part).to_bytes(4, "big") + part.encode() for part in parts)
    oaep = PKCS1_OAEP.new(
        pair("spare-0"), SHA256, lambda seed, length: MGF1(seed, length, SHA256), context
    )
    dek = oaep.decrypt(envelope._decode(wrapped))
    assert len(dek) == 32
    key = HKDF(
        dek,
        32,
        HKDF(MASTER, 32, b"", SHA256, context=b"modelkeep/pepper/v1"),
        SHA256,
        context=context,
    )
    from Crypto.Cipher import AES

    body = envelope._decode(sealed)
    cipher = AES.new(key, AES.MODE_GCM, nonce=envelope._decode(nonce))
    cipher.update(context)
    assert cipher.decrypt_and_verify(body[:-16], body[-16:]) == b"sk-secret"


def test_two_sealings_of_one_text_have_nothing_in_common() -> None:
    first, second = seal(), seal()
    assert not set(first.split(".")[3:]) & set(second.split(".")[3:])


@pytest.mark.parametrize("field", FIELDS)
def test_it_opens_nowhere_else(field: str) -> None:
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
        unseal(seal(), private=pair("spare-1"))


def test_the_public_key_alone_forges_nothing() -> None:
    """Who can write the database knows every public key, yet not the pepper."""
    forged = seal("attacker's key", pepper=bytes(32))
    with pytest.raises(EnvelopeError):
        unseal(forged)


@quick
@given(st.data())
def test_no_changed_character_passes(data: st.DataObject) -> None:
    token = seal("sk-secret-of-some-length")
    position = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_.=+/ é"))
    changed = token[:position] + letter + token[position + 1 :]
    if changed != token:
        with pytest.raises(EnvelopeError):
            unseal(changed)


@pytest.mark.parametrize("part", [3, 4, 5])
def test_parts_of_two_tokens_do_not_mix(part: int) -> None:
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
        lambda t: t.replace("c1.", "c2."),
        lambda t: t + ".x",
        lambda t: " " + t,
    ],
)
def test_one_text_has_one_spelling(change: Any) -> None:
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
        lambda: unseal(seal(), private=pair("spare-1")),
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
