"""The listening sockets of several processes."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from wsproto_async.aio.bind import bind_unix
from wsproto_async.workers.sockets import bind_each


@pytest.fixture
def bound() -> object:
    with ExitStack() as stack:

        def bound(*args: object, **options: object) -> list[list[socket.socket]]:
            socks = bind_each(*args, **options)
            for each in socks:
                for sock in each:
                    stack.enter_context(sock)
            return socks

        yield bound


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_each_worker_has_its_own_on_the_same_free_port(bound: object) -> None:
    socks = bound(3, 0)
    assert len({sock.fileno() for each in socks for sock in each}) == 3
    assert len({sock.getsockname() for each in socks for sock in each}) == 1


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_hosts_have_the_port_in_common(bound: object) -> None:
    socks = bound(2, 0, host=["127.0.0.1", "::1"])
    names = [[sock.getsockname()[:2] for sock in each] for each in socks]
    port = names[0][0][1]
    assert names == [[("127.0.0.1", port), ("::1", port)]] * 2


def test_on_demand_they_share(bound: object) -> None:
    first, second = bound(2, 0, reuse_port=False)
    assert first[0] is second[0]


def test_a_port_where_somebody_listens_is_an_error(bound: object) -> None:
    port = bound(2, 0)[0][0].getsockname()[1]
    with pytest.raises(OSError) as caught:
        bind_each(2, port)
    assert caught.value.errno == errno.EADDRINUSE


def test_who_allows_others_joins_them(bound: object) -> None:
    port = bound(2, 0)[0][0].getsockname()[1]
    assert bound(2, port, reuse_port=True)[0][0].getsockname()[1] == port


def test_a_unix_socket_takes_the_place_of_one_that_is_left(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    bind_unix(path).close()
    assert os.path.exists(path)
    with bind_unix(path) as sock, socket.socket(socket.AF_UNIX) as peer:
        assert sock.getsockname() == path
        peer.connect(path)


def test_a_unix_socket_where_somebody_listens_is_an_error(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with bind_unix(path), pytest.raises(OSError) as caught:
        bind_unix(path)
    assert caught.value.errno == errno.EADDRINUSE


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(OSError):
        bind_unix(str(path))
    assert path.read_text() == "mine"
