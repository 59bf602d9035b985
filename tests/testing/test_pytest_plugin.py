"""The kit from outside: the tests of a small application, run by a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wsproto_async

CHAT = """
from wsproto_async import Topic, WebSocket, broadcast

people = {}


async def chat(ws: WebSocket) -> None:
    name = await ws.recv()
    people[name] = ws
    try:
        broadcast(people.values(), f"{name} is here")
        async for message in ws:
            broadcast(people.values(), f"{name}: {message}")
    finally:
        del people[name]
        broadcast(people.values(), f"{name} has left")
"""

CONFTEST = 'pytest_plugins = ["wsproto_async.testing.pytest_plugin"]\n'

TESTS = """
import asyncio

import pytest
from chat import chat, people

from wsproto_async import ConnectionClosedError
from wsproto_async.testing import serve_in_memory, virtual_clock

left_open = []


async def test_on_the_network(ws_server, ws_client):
    server = await ws_server(chat, compression=None)
    assert server.url.startswith("ws://127.0.0.1:")
    ann, bob = await ws_client(server.url), await ws_client(server.url, close_timeout=1)
    await ann.send("ann")
    assert await ann.recv() == "ann is here"
    await bob.send("bob")
    assert [await ann.recv(), await bob.recv()] == ["bob is here"] * 2
    await bob.send("hello")
    assert [await ann.recv(), await bob.recv()] == ["bob: hello"] * 2
    await bob.close()
    assert await ann.recv() == "bob has left"
    assert len(server.server.connections) == 1
    left_open.append(ann)  # and the server


def test_they_were_closed():
    assert people == {}
    assert [ws.close_code for ws in left_open] == [1000]


@pytest.mark.parametrize("text", ["a", "b"])
async def test_a_port_of_its_own(ws_server, ws_client, text):
    one, other = await ws_server(chat), await ws_server(chat)
    assert one.url != other.url
    ws = await ws_client(one.url)
    await ws.send(text)
    assert await ws.recv() == f"{text} is here"


@virtual_clock
async def test_who_vanishes_leaves_within_a_minute():
    async with serve_in_memory(chat) as server:
        async with server.connect() as ann, server.connect() as bob:
            await ann.client.send("ann")
            assert await ann.client.recv() == "ann is here"
            await bob.client.send("bob")
            assert await ann.client.recv() == "bob is here"
            bob.link.drop()
            async with asyncio.timeout(60):
                assert await ann.client.recv() == "bob has left"
"""

# pytest-asyncio warns of a default that will change.
SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")

MARKED = TESTS.replace("\n\nasync def", "\n\n@pytest.mark.asyncio\nasync def").replace(
    "\n@pytest.mark.param", "\n@pytest.mark.asyncio\n@pytest.mark.param"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "chat.py").write_text(CHAT)
    return tmp_path


def run_pytest(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(wsproto_async.__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *SCOPE, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([root, str(project)])},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_a_chat_is_tested(project: Path, mode: str) -> None:
    (project / "conftest.py").write_text(CONFTEST)
    (project / "test_chat.py").write_text(TESTS if mode == "auto" else MARKED)
    done = run_pytest(project, f"--asyncio-mode={mode}", "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


def test_it_is_asked_for_on_the_command_line_too(project: Path) -> None:
    (project / "test_chat.py").write_text(TESTS)
    arguments = ("--asyncio-mode=auto", "-W", "error")
    done = run_pytest(project, "-p", "wsproto_async.testing.pytest_plugin", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_who_does_not_ask_gets_nothing(project: Path) -> None:
    """Other people's test suites do not so much as import the package."""
    (project / "test_other.py").write_text(
        "import sys\n\n\ndef test_it():\n    assert 'wsproto_async' not in sys.modules\n"
    )
    done = run_pytest(project)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (("bob: hello", "bob said hello"), "bob said hello"),
        (('f"{name}: {message}"', "1 / 0"), "ConnectionClosedError"),
        (('has left")', 'has left")\n        raise KeyError(name)'), "KeyError"),
        (("async with asyncio.timeout(60)", "async with asyncio.timeout(10)"), "TimeoutError"),
    ],
)
def test_a_chat_that_is_wrong_is_found_out(
    project: Path, break_it: tuple[str, str], told: str
) -> None:
    (project / "conftest.py").write_text(CONFTEST)
    (project / "chat.py").write_text(CHAT.replace(*break_it))
    (project / "test_chat.py").write_text(TESTS.replace(*break_it))
    done = run_pytest(project, "--asyncio-mode=auto")
    assert done.returncode == 1
    assert told in done.stdout


LOOPS = """
import pytest

from wsproto_async import WebSocket
from wsproto_async.testing import virtual_clock


async def test_a_loop(ws_server, ws_client):
    server = await ws_server(WebSocket.wait_closed)
    with pytest.raises(ExceptionGroup):
        await ws_client(server.url)
"""


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ("@pytest.mark.asyncio(loop_scope='module')", ()),
        ("", ("-o", "asyncio_default_test_loop_scope=session")),
        ("", ("-o", "asyncio_default_fixture_loop_scope=session")),
        ("@pytest.mark.anyio", ()),
        ("@virtual_clock", ()),
    ],
)
def test_a_loop_that_is_not_the_fixtures(
    project: Path, mark: str, options: tuple[str, ...]
) -> None:
    """It is an error at once: what is opened in one loop is not closed in another."""
    (project / "conftest.py").write_text(CONFTEST)
    (project / "test_it.py").write_text(LOOPS.replace("\nasync def", f"\n{mark}\nasync def"))
    done = run_pytest(project, "--asyncio-mode=auto", *options)
    assert done.returncode == 1
    assert "RuntimeError: the test runs in another event loop than its fixtures" in done.stdout


WHERE = """
import pytest
import ssl
import trustme

from wsproto_async import WebSocket, connect


async def test_addresses(ws_server, ws_client):
    for options in ({"host": "::1"}, {"host": "localhost"}, {"host": None}, {"host": "0.0.0.0"}):
        server = await ws_server(WebSocket.wait_closed, **options)
        await ws_client(server.url)
    one = await ws_server(WebSocket.wait_closed)
    other = await ws_server(WebSocket.wait_closed, port=one.server.port, host="127.0.0.2")
    assert other.url == f"ws://127.0.0.2:{one.server.port}/"


async def test_tls(ws_server, ws_client):
    authority = trustme.CA()
    context, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(trusting)
    server = await ws_server(WebSocket.wait_closed, ssl=context)
    await ws_client(server.url, ssl=trusting)


async def fail(ws):
    raise RuntimeError("as told")


async def test_a_handler_that_fails(ws_server, ws_client):
    server = await ws_server(fail)
    await (await ws_client(server.url)).wait_closed()
"""


def test_where_servers_are(project: Path) -> None:
    (project / "conftest.py").write_text(CONFTEST)
    (project / "test_it.py").write_text(WHERE)
    done = run_pytest(project, "--asyncio-mode=auto")
    assert "3 passed, 1 error" in done.stdout, done.stdout
    assert "RuntimeError: as told" in done.stdout
