"""Host names, against a name server on loopback."""

from __future__ import annotations

import asyncio
import gc
import struct
import time
from typing import Any

import aiodns
import pytest
import uvloop

from providers.transport.failures import TransportFailure
from providers.transport.http1.names import Names

ADDRESS = bytes([203, 0, 113, 7])
A = 1


class NameServer(asyncio.DatagramProtocol):
    """Knows an IPv4 address for every name but those that begin with "no" or "silent".

    Args:
        ttl: Of each answer, in seconds.
    """

    def __init__(self, ttl: int) -> None:
        self.ttl = ttl
        self.asked: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, client: Any) -> None:
        name, end = "", 12
        while length := data[end]:
            name += data[end + 1 : end + 1 + length].decode() + "."
            end += 1 + length
        (kind,) = struct.unpack("!H", data[end + 1 : end + 3])
        question = data[12 : end + 5]
        if kind == A:
            self.asked.append(name)
        if name.startswith("silent"):
            return
        is_known = not name.startswith("no")
        answers = 1 if kind == A and is_known else 0
        flags = 0x8180 if is_known else 0x8183
        head = data[:2] + struct.pack("!5H", flags, 1, answers, 0, 0)
        record = struct.pack("!3HIH", 0xC00C, A, 1, self.ttl, 4) + ADDRESS
        self.transport.sendto(head + question + record * answers, client)


def play(scene: Any, *, ttl: int = 60) -> Any:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(
            lambda: NameServer(ttl), local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        resolver = aiodns.DNSResolver(nameservers=[f"127.0.0.1:{port}"], timeout=0.2, tries=1)
        names = Names(resolver)
        try:
            return await scene(names, server)
        finally:
            await names.close()
            transport.close()

    return uvloop.run(main())


def address_of(infos: Any) -> Any:
    return infos[0][4]


def test_a_name_is_asked_for_once_and_kept_for_its_time() -> None:
    async def scene(names: Names, server: NameServer) -> None:
        calls = (names.resolve("a.example", port, seconds=5) for port in (443, 8443, 443))
        found = await asyncio.gather(*calls)
        assert [address_of(infos) for infos in found] == [
            ("203.0.113.7", 443),
            ("203.0.113.7", 8443),
            ("203.0.113.7", 443),
        ]
        await names.resolve("a.example", 443, seconds=5)
        assert server.asked == ["a.example."]

    play(scene)


def test_an_answer_without_a_lifetime_is_not_kept() -> None:
    async def scene(names: Names, server: NameServer) -> None:
        for _time in range(2):
            await names.resolve("a.example", 443, seconds=5)
        assert server.asked == ["a.example."] * 2

    play(scene, ttl=0)


@pytest.mark.parametrize("host", ["no.example", "silent.example", "x" * 70 + ".example"])
def test_a_name_without_an_address(host: str) -> None:
    async def scene(names: Names, _server: NameServer) -> Any:
        with pytest.raises(TransportFailure) as caught:
            await names.resolve(host, 443, seconds=5)
        return caught.value.kind, caught.value.sent

    assert play(scene) == ("dns", False)


def test_a_silent_name_server_delays_nobody_elses_names() -> None:
    async def scene(names: Names, server: NameServer) -> float:
        silent = [
            asyncio.ensure_future(names.resolve(f"silent{number % 40}.example", 443, seconds=5))
            for number in range(200)
        ]
        await asyncio.sleep(0)
        began = time.monotonic()
        await names.resolve("a.example", 443, seconds=5)
        took = time.monotonic() - began
        results = await asyncio.gather(*silent, return_exceptions=True)
        assert all(isinstance(result, TransportFailure) for result in results)
        assert len(server.asked) == 41, "each name is asked for once, whoever waits"
        return took

    assert play(scene) < 0.15


def test_one_who_stops_waiting_leaves_the_others_their_answer() -> None:
    async def scene(names: Names, _server: NameServer) -> Any:
        first = asyncio.ensure_future(names.resolve("a.example", 443, seconds=5))
        second = asyncio.ensure_future(names.resolve("a.example", 443, seconds=5))
        await asyncio.sleep(0)
        first.cancel()
        return address_of(await second)

    assert play(scene) == ("203.0.113.7", 443)


def test_a_failure_that_nobody_waits_for_is_no_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(names: Names, _server: NameServer) -> None:
        with pytest.raises(TransportFailure):
            await names.resolve("silent.example", 443, seconds=0.01)
        [task] = names._under_way.values()
        await asyncio.wait([task])
        del task

    play(scene)
    gc.collect()  # which is when asyncio tells
    assert not caplog.messages


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_addresses_and_this_machine_need_no_name_server(host: str) -> None:
    async def scene(names: Names, server: NameServer) -> Any:
        infos = await names.resolve(host, 80, seconds=5)
        assert not server.asked
        return {address_of([info])[:2] for info in infos}

    assert play(scene) <= {("127.0.0.1", 80), ("::1", 80)}
