"""Which server a URL names, and how it is connected to."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme
from conformance import message, texts
from ports import Port
from process import Process, Recorder
from server import RedisServer

from wsproto_async.exceptions import BrokerError
from wsproto_async.pubsub import Retention
from wsproto_async.pubsub.redis import RedisBroker, broker
from wsproto_async.pubsub.redis.address import Address

KEPT = Retention(10, 60.0)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", ("localhost", 6379, "", 0, "", "")),
        ("redis://h", ("h", 6379, "", 0, "", "")),
        ("redis://h:1/2", ("h", 1, "", 2, "", "")),
        ("redis://[::1]:1", ("::1", 1, "", 0, "", "")),
        ("redis://u:p%40%2F@h/", ("h", 6379, "", 0, "u", "p@/")),
        ("redis://:p@h?db=3", ("h", 6379, "", 3, "", "p")),
        ("redis+unix:///a/b%20c?db=4", ("", 6379, "/a/b c", 4, "", "")),
        ("redis+unix://u:p@/a", ("", 6379, "/a", 0, "u", "p")),
    ],
)
def test_parsing(url: str, expected: tuple[object, ...]) -> None:
    address = Address.parse(url)
    assert address[:-1] == expected
    assert address.context is None
    assert not address.password or address.password not in str(address)


@pytest.mark.parametrize("port", ["9" * 5000, "0x50", "-1", ""])
def test_what_names_no_other_server(port: str) -> None:
    assert Address.parse("redis://h").named(f"MOVED 1 h:{port}") is None


@pytest.mark.parametrize("where", ["h:99999", f"{'h' * 70}.com:1", "\0:1", "\udcff:1"])
async def test_another_server_that_cannot_be(where: str) -> None:
    address = Address.parse("redis://h").named(f"MOVED 1 {where}")
    assert address is not None
    with pytest.raises(OSError, match=r"\w"):
        await address.connect(asyncio.Protocol)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h:1",
        "http://h",
        "redis://h:port",
        "redis://h/x",
        "redis://h/-1",
        "redis+unix://",
        "redis://h/٣",
        "redis://h?protocol=3",
        "redis://h?db",
        "redis://:pass#word@h",
        "redis://:pass?word@h",
    ],
)
def test_what_names_no_server(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        RedisBroker(url)


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="ssl"):
        RedisBroker("redis://h", ssl=ssl.create_default_context())
    with pytest.raises(ValueError, match="braces"):
        RedisBroker("redis://h", prefix="{a}")
    context = Address.parse("rediss://h").context
    assert context is not None
    assert context.check_hostname


async def talk(url: str, context: ssl.SSLContext | None = None, prefix: str = "p:") -> None:
    process = Process(RedisBroker(url, ssl=context, prefix=prefix), Recorder())
    await process.broker.start(process.recorder)
    try:
        await process.broker.subscribe("news")
        await process.broker.publish(message("news", "hello"), KEPT, "")
        assert texts(await process.receive(1)) == ["hello"]
    finally:
        await process.broker.close()


async def test_a_unix_socket_and_a_database(tmp_path: Path) -> None:
    async with RedisServer(tmp_path) as server:
        await talk(f"redis+unix://{server.path}?db=5")
        assert await server.call("DBSIZE") == 0
        await talk(f"{server.url}/6")
        assert b"db5:keys=" in await server.call("INFO", "keyspace")
        assert b"db6:keys=" in await server.call("INFO", "keyspace")


async def test_a_password(tmp_path: Path) -> None:
    async with RedisServer(tmp_path) as server:
        users = ["ann", "on", ">secret", "~*", "&*", "+@all"]
        await server.call("ACL", "SETUSER", *users)
        await server.call("ACL", "SETUSER", "default", ">general")
        where = f"127.0.0.1:{server.port}"
        await talk(f"redis://ann:secret@{where}")
        await talk(f"redis://:general@{where}")
        for wrong in ("ann:wrong@", ":secret@"):
            with pytest.raises(BrokerError, match="WRONGPASS") as caught:
                await talk(f"redis://{wrong}{where}")
            assert "secret" not in str(caught.value)


async def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    async with RedisServer(tmp_path) as server:
        with pytest.raises(BrokerError, match="DB index"):
            await talk(f"{server.url}/99")


async def test_a_cluster_without_slots_is_refused(tmp_path: Path) -> None:
    async with RedisServer(tmp_path, "--cluster-enabled", "yes") as server:
        with pytest.raises(BrokerError, match="who has which slots"):
            await talk(server.url)


async def test_two_prefixes_share_nothing(tmp_path: Path) -> None:
    async with RedisServer(tmp_path) as server:
        process = Process(RedisBroker(server.url, prefix="a:"), Recorder())
        await process.broker.start(process.recorder)
        await process.broker.subscribe("news")
        await talk(server.url, prefix="b:")
        await process.settle()
        assert process.recorder.publications == []
        await process.broker.close()


async def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_START_TIMEOUT", 1.0)
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    reserved = Port()
    port = reserved.number
    options = [
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(tmp_path / "server.pem")),
        *("--tls-key-file", str(tmp_path / "server.pem")),
        *("--tls-ca-cert-file", str(tmp_path / "ca.pem")),
    ]
    async with RedisServer(tmp_path, *options):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        await talk(f"rediss://localhost:{port}", context)
        with pytest.raises(BrokerError, match="CERTIFICATE_VERIFY_FAILED"):
            await talk(f"rediss://localhost:{port}")
        with pytest.raises(BrokerError, match="Redis at"):
            await talk(f"redis://localhost:{port}")


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR no\r\n", b"$9\r\n", b"*" * 99, b"*-9\r\n", b""],
)
async def test_what_is_no_redis(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_START_TIMEOUT", 0.3)

    class Answering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(answer)
            self.transport.close()

    loop = asyncio.get_running_loop()
    async with await loop.create_server(Answering, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(BrokerError, match="cannot use Redis"):
            await talk(f"redis://127.0.0.1:{port}")


async def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_START_TIMEOUT", 0.5)
    reserved = Port()
    port = reserved.number
    with pytest.raises(BrokerError, match=f"cannot use Redis at 127.0.0.1:{port}: "):
        await talk(f"redis://127.0.0.1:{port}")
