"""Compressed request bodies: read within the limits, and refused if damaged or unknown."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import requests

from gateway.dataplane.errors import Refusal
from gateway.dataplane.requests.encodings import PIECE, Decompression
from tests.gateway.conftest import Hub

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.one_database


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate raw": raw_deflate,
    "zstd": zstd.compress,
}
BODY = json.dumps(
    {"model": "demo/demo-chat", "messages": [{"role": "user", "content": "Hello " * 9}]}
).encode()


def read(encoding: str, chunks: list[bytes]) -> list[bytes]:
    decompression = Decompression(encoding)
    pieces = [piece for chunk in chunks for piece in decompression.feed(chunk)]
    decompression.finish()
    return pieces


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_a_body_in_chunks(name: str, size: int) -> None:
    sent = ENCODERS[name](BODY)
    chunks = [sent[start : start + size] for start in range(0, len(sent), size)]
    assert b"".join(read(name.split()[0], chunks)) == BODY


@pytest.mark.parametrize("name", ENCODERS)
def test_a_bomb_comes_in_small_pieces(name: str) -> None:
    bomb = ENCODERS[name](bytes(8 * 1024 * 1024))
    decompression = Decompression(name.split()[0])
    seen = 0
    for piece in decompression.feed(bomb):
        assert len(piece) <= PIECE
        seen += len(piece)
        if seen > 2 * 1024 * 1024:
            break
    assert seen <= 2 * 1024 * 1024 + PIECE


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda sent: sent[:-1],
        lambda sent: sent + b"x",
        lambda sent: sent + sent,
        lambda sent: b"",
        lambda sent: b"x" + sent,
    ],
)
def test_a_damaged_body_is_refused(name: str, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Refusal) as caught:
        read(name.split()[0], [damage(ENCODERS[name](BODY))])
    assert (caught.value.status, caught.value.code) == (400, "invalid_request")


def test_a_window_that_takes_much_memory_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 27}
    compressor = zstd.ZstdCompressor(options=options)
    sent = compressor.compress(bytes(1000)) + compressor.flush()
    with pytest.raises(Refusal):
        read("zstd", [sent])


@pytest.mark.slow
class TestServed:
    def post(self, hub: Hub, encoding: str, data: Any) -> requests.Response:
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        return hub.post("/chat/completions", data=data, headers=headers)

    @pytest.mark.parametrize("name", ENCODERS)
    def test_a_compressed_call(self, name: str, hub: Hub) -> None:
        answer = self.post(hub, name.split()[0], ENCODERS[name](BODY))
        assert answer.status_code == 200, answer.text

    @pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "compress"])
    def test_another_encoding_is_refused_with_those_accepted(self, encoding: str, hub: Hub) -> None:
        answer = self.post(hub, encoding, BODY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (
            415,
            "unsupported_media_type",
        )
        assert answer.headers["accept-encoding"] == "gzip, deflate, zstd"

    def test_a_bomb_is_too_large(self, hub: Hub) -> None:
        answer = self.post(hub, "gzip", gzip.compress(bytes(33 * 1024 * 1024), 1))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
