"""TLS: only a server whose certificate is valid for its name is called."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from providers.declaration.spec import Call
from providers.transport.failures import TransportFailure
from providers.transport.http1.pool import Opener, Pool, tls_context
from providers.transport.http1.request import target_of

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


async def served(certificate: Path, host: str, *, is_trusted: bool) -> Any:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            writer.write(REPLY)
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    origin = f"https://{host}:{server.sockets[0].getsockname()[1]}"
    allow = frozenset({origin})
    opener = Opener(allow=allow, connect_timeout=5, idle_timeout=5)
    if is_trusted:
        opener._tls = tls_context.__wrapped__()
        opener._tls.load_verify_locations(certificate)
    pool = Pool(opener, 4)
    try:
        bodies = []
        for _time in range(2):
            call = Call("GET", f"{origin}/x")
            target = target_of(call.url, allow)
            response = await pool.request(call, target, deadline=time.monotonic() + 5)
            bodies.append(await response.readany())
            response.release()
        return bodies, len(pool._idle)
    finally:
        pool.close()
        await opener.names.close()
        server.close()
        await asyncio.sleep(0.01)


def test_a_trusted_server_is_called_over_one_connection(certificate: Path) -> None:
    assert uvloop.run(served(certificate, "127.0.0.1", is_trusted=True)) == ([b"abc"] * 2, 1)


@pytest.mark.parametrize(
    ("host", "is_trusted"), [("127.0.0.1", False), ("localhost", True)], ids=["signer", "name"]
)
def test_no_other_server_is_called(certificate: Path, host: str, is_trusted: bool) -> None:
    with pytest.raises(TransportFailure) as caught:
        uvloop.run(served(certificate, host, is_trusted=is_trusted))
    assert (caught.value.kind, caught.value.sent) == ("tls", False)
