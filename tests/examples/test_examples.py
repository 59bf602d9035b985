"""Each example, started as its own docstring says, does what it says and stops on Ctrl-C."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest
from ports import Port
from started import (
    EXAMPLES,
    TIMEOUT,
    Start,
    expect_close,
    port_option,
    receive,
    say,
)

from wsproto_async import InvalidStatus, WebSocket, connect, serve

pytestmark = pytest.mark.one_loop  # the examples have theirs

SERVERS = [
    "echo.py",
    "scream.py",
    "chat.py",
    "demo/server.py",
    "rooms/server.py",
    "cursors/server.py",
    "ticker/server.py",
    "tokens/server.py",
    "upload/server.py",
    "whiteboard/server.py",
    "game/server.py",
    "dashboard/server.py",
]
PAGES = ["rooms", "cursors", "ticker", "tokens", "upload", "whiteboard", "game", "dashboard"]


# --- echo, scream, chat --------------------------------------------------------------------


@pytest.mark.parametrize("message", ["hi", "", "grüße 🎉", b"hi", b"", bytes(range(256)) * 256])
async def test_echo(share: Start, message: str | bytes) -> None:
    async with connect(share("echo.py").uri) as ws:
        await ws.send(message)
        assert await receive(ws) == message


async def test_scream(start: Start) -> None:
    example = start("scream.py")
    async with connect(example.uri) as ws:
        for message, answer in [("hi", "HI!!!"), ("", "!!!"), ("straße", "STRASSE!!!")]:
            await ws.send(message)
            assert await receive(ws) == answer
        await ws.send(b"hi")
        await expect_close(ws, 1003)
    async with connect(example.uri) as ws:
        await ws.send("still here")
        assert await receive(ws) == "STILL HERE!!!"


@pytest.mark.one_loop
@pytest.mark.parametrize("name", SERVERS)
async def test_interrupted_server_says_going_away(start: Start, name: str) -> None:
    example = start(name)
    async with connect(example.uri + ("upload?size=1" if "upload" in name else "")) as ws:
        example.interrupt()
        await expect_close(ws, 1001)
    example.wait()


@pytest.mark.parametrize("name", [name for name in SERVERS if name != "demo/server.py"])
def test_port_in_use_is_an_error(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        done = subprocess.run(
            [sys.executable, EXAMPLES / name, *port_option(name, sock.getsockname()[1])],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    assert done.returncode != 0
    assert "address already in use" in done.stderr.lower()


@pytest.mark.parametrize("name", ["demo", "fastapi", *PAGES])
def test_page_says_where_it_is(start: Start, name: str) -> None:
    example = start(f"{name}/server.py")
    example.interrupt()
    printed, _ = example.process.communicate(timeout=TIMEOUT)
    assert printed.startswith(f"Open http://127.0.0.1:{example.port}/\n")


async def test_chat(start: Start) -> None:
    uri = start("chat.py").uri
    async with connect(uri) as first:
        assert await receive(first) == "* guest 1 joined, 1 here"
        async with connect(uri) as second:
            for ws in (first, second):
                assert await receive(ws) == "* guest 2 joined, 2 here"
            await second.send(b"not text: nobody hears it")
            await second.send("hello")
            for ws in (first, second):
                assert await receive(ws) == "guest 2: hello"
        assert await receive(first) == "* guest 2 left, 1 here"


async def test_chat_goes_on_when_a_member_is_cut_off(start: Start) -> None:
    uri = start("chat.py").uri
    async with connect(uri) as first, connect(uri) as second:
        while "guest 2" not in await receive(first):
            pass
        second.abort()
        assert await receive(first) == "* guest 2 left, 1 here"
        await first.send("alone")
        assert await receive(first) == "guest 1: alone"


async def test_chat_goes_on_when_a_member_does_not_read(start: Start) -> None:
    """Far more is said than fits on the way to a member that never reads."""
    uri = start("chat.py").uri
    text = "x" * 2**16
    async with connect(uri) as first, connect(uri) as second:
        while "guest 2 joined" not in await receive(second):
            pass
        with socket.create_connection(("127.0.0.1", int(uri.split(":")[-1][:-1]))) as slow:
            slow.sendall(
                b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            while "guest 3 joined" not in await receive(second):
                pass
            for count in range(400):
                await first.send(f"{count} {text}")
                while (heard := await receive(second)).startswith("*"):
                    pass
                assert heard == f"guest 1: {count} {text}"
        while "guest 3 left" not in (heard := await receive(second)):
            pass


def test_readme_names_each_example() -> None:
    servers = [*EXAMPLES.glob("*/server.py"), *EXAMPLES.glob("*.py")]
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`python examples/(\S+\.py)", text))
    assert named == {path.relative_to(EXAMPLES).as_posix() for path in servers}


# --- client --------------------------------------------------------------------------------


def run_client(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / "client.py", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def test_client(share: Start) -> None:
    done = run_client(share("scream.py").uri, "hi", "how are you")
    assert done.stderr == ""
    assert done.stdout == "> hi\n< HI!!!\n> how are you\n< HOW ARE YOU!!!\n"
    assert done.returncode == 0


def test_client_says_hi_by_default(share: Start) -> None:
    done = run_client(share("echo.py").uri)
    assert (done.stdout, done.stderr, done.returncode) == ("> hi\n< hi\n", "", 0)


def test_client_without_a_server() -> None:
    nobodys = Port()
    done = run_client(f"ws://127.0.0.1:{nobodys.number}/")
    assert done.returncode == 1
    assert done.stderr.startswith("client: ")
    assert "Traceback" not in done.stderr


def test_client_refused(share: Start) -> None:
    done = run_client(share("demo/server.py").uri + "nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("client: ")
    assert "404" in done.stderr
    assert "Traceback" not in done.stderr


async def test_client_interrupted_while_it_waits() -> None:
    asked = asyncio.Event()
    codes: list[int | None] = []

    async def never_answer(ws: WebSocket) -> None:
        await ws.recv()
        asked.set()
        await ws.wait_closed()
        codes.append(ws.close_code)

    async with serve(never_answer, 0) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            EXAMPLES / "client.py",
            f"ws://127.0.0.1:{server.port}/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(TIMEOUT):
            await asked.wait()
            process.send_signal(signal.SIGINT)
            _, errors = await process.communicate()
    assert errors == b""
    assert process.returncode == 0
    assert len(codes) == 1
    assert codes != [1006]  # it said goodbye, it did not just vanish


# --- the demo's plain HTTP -----------------------------------------------------------------


def ask(port: int, method: str, target: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request(method, target)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_demo_on_a_taken_port_tells_how_to_choose_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        done = subprocess.run(
            [sys.executable, EXAMPLES / "demo" / "server.py", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Port {port} is taken. Another one: make demo PORT={port + 1}\n"


def test_demo_page(share: Start) -> None:
    response, body = ask(share("demo/server.py").port, "GET", "/?a=query")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert int(response.headers["Content-Length"]) == len(body)
    assert body.decode() == (EXAMPLES / "demo" / "index.html").read_text(encoding="utf-8")


def test_demo_page_allows_only_its_own_style_and_script(share: Start) -> None:
    response, body = ask(share("demo/server.py").port, "GET", "/")
    directives = response.headers["Content-Security-Policy"].split("; ")
    policy = dict(directive.split(" ", 1) for directive in directives)
    for element in ("style", "script"):
        content = re.findall(rf"<{element}>(.*?)</{element}>".encode(), body, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content[0]).digest()).decode()
        assert policy.pop(f"{element}-src") == f"'sha256-{digest}'"
        assert len(content) == 1
    assert policy == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_demo_page_head_has_no_body(share: Start) -> None:
    port = share("demo/server.py").port
    _, page = ask(port, "GET", "/")
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as sock:
        sock.sendall(b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: sock.recv(2**16), b""))
    head, end, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert end
    assert f"content-length: {len(page)}".encode() in head.lower().split(b"\r\n")
    assert body == b""


@pytest.mark.parametrize(
    ("method", "target", "status", "body"),
    [
        ("GET", "/healthz", 200, b"OK\n"),
        ("HEAD", "/healthz", 200, b""),
        ("GET", "/nowhere", 404, b"Not found\n"),
        ("GET", "/index.html", 404, b"Not found\n"),
        ("GET", "/../server.py", 404, b"Not found\n"),
    ],
)
def test_demo_plain_paths(share: Start, method: str, target: str, status: int, body: bytes) -> None:
    response, seen = ask(share("demo/server.py").port, method, target)
    assert (response.status, seen) == (status, body)
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_demo_tells_a_plain_request_to_upgrade(share: Start) -> None:
    response, _ = ask(share("demo/server.py").port, "GET", "/chat")
    assert response.status == 426
    assert response.headers["Upgrade"] == "websocket"


def test_demo_takes_no_post(share: Start) -> None:
    response, _ = ask(share("demo/server.py").port, "POST", "/")
    assert response.status == 405


# --- the demo's WebSockets -----------------------------------------------------------------


async def test_demo_screams_text_and_echoes_binary(share: Start) -> None:
    async with connect(share("demo/server.py").uri, max_size=None) as ws:
        await ws.send("hi")
        assert await receive(ws) == "HI!!!"
        for data in (b"", b"hi", bytes(range(256)) * 2**16):  # the last one: 16 MiB, the limit
            await ws.send(data)
            assert await receive(ws) == data
        await ws.send(bytes(2**24 + 1))
        await expect_close(ws, 1009)


async def test_demo_echoes_probes(share: Start) -> None:
    async with connect(share("demo/server.py").uri + "ping?a=query") as ws:
        for probe in ("hi", b"\x00\x01"):
            await ws.send(probe)
            assert await receive(ws) == probe


@pytest.mark.parametrize("path", ["nowhere", "healthz", "chat/"])
async def test_demo_has_no_other_websockets(share: Start, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(share("demo/server.py").uri + path)
    assert refused.value.response.status == 404


async def test_demo_refuses_the_pages_of_others(share: Start) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(share("demo/server.py").uri, origin="https://elsewhere.example")
    assert refused.value.response.status == 403


async def hear(ws: WebSocket) -> tuple[str, str, str, int]:
    message = json.loads(await receive(ws))
    return message["kind"], message["name"], message["text"], message["present"]


async def test_demo_chat(start: Start) -> None:
    uri = start("demo/server.py").uri + "chat"
    async with connect(uri) as first:
        await say(first, kind="name", name="  Ada \n Lovelace ")
        assert await hear(first) == ("you", "Ada Lovelace", "", 1)
        assert await hear(first) == ("join", "Ada Lovelace", "", 1)
        async with connect(uri) as second:
            await say(second, kind="name", name="Ada Lovelace")
            assert await hear(second) == ("you", "Ada Lovelace 2", "", 2)
            for ws in (first, second):
                assert await hear(ws) == ("join", "Ada Lovelace 2", "", 2)
            await say(second, kind="say", text="hello")
            for ws in (first, second):
                assert await hear(ws) == ("say", "Ada Lovelace 2", "hello", 2)
            await say(second, kind="name", name="")
            assert await hear(second) == ("you", "Guest", "", 2)
            for ws in (first, second):
                assert await hear(ws) == ("rename", "Ada Lovelace 2", "Guest", 2)
        assert await hear(first) == ("leave", "Guest", "", 1)


async def test_demo_chat_refuses_other_messages(start: Start) -> None:
    uri = start("demo/server.py").uri + "chat"
    async with connect(uri) as other:
        for message in (
            "hello",
            b"{}",
            "[]",
            "null",
            '{"kind": "say", "text": "before the name"}',
            '{"kind": "name", "name": 1}',
            '{"kind": "shout", "text": "hi"}',
            "[" * 8000,
            json.dumps({"kind": "name", "name": "x" * 8192}),
        ):
            async with connect(uri) as ws:
                await ws.send(message)
                await expect_close(ws, 1008)
        await say(other, kind="name", name="Ada")
        assert await hear(other) == ("you", "Ada", "", 1)


# --- the pages of the others ---------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_page_allows_only_its_own_style_and_script(share: Start, name: str) -> None:
    response, body = ask(share(f"{name}/server.py").port, "GET", "/")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert body.decode() == (EXAMPLES / name / "index.html").read_text(encoding="utf-8")
    directives = response.headers["Content-Security-Policy"].split("; ")
    policy = dict(directive.split(" ", 1) for directive in directives)
    contents = re.findall(rb"<style>(.*?)</style>|<script>(.*?)</script>", body, re.DOTALL)
    hashes = [hashlib.sha256(style or script).digest() for style, script in contents]
    allowed = [f"'sha256-{base64.b64encode(each).decode()}'" for each in hashes]
    assert len(allowed) == 2
    assert policy.pop("default-src").split() == allowed
    assert policy == {
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


# --- rooms, cursors, ticker ----------------------------------------------------------------


async def hear_all(ws: WebSocket) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await receive(ws))
    message.pop("at", None)
    return message


async def join(ws: WebSocket, since: str = "", **who: str) -> list[dict[str, Any]]:
    """Join a room; return what is told until that is done."""
    await say(ws, kind="join", since=since, **{"room": "kitchen", "name": "Ada", **who})
    told = [await hear_all(ws)]
    while told[-1]["kind"] != "entered":
        told.append(await hear_all(ws))
    return told


def key(number: int) -> str:
    return f"{number:032x}"


async def test_rooms(start: Start) -> None:
    uri = start("rooms/server.py").uri
    async with connect(uri) as first:
        await join(first)
        await say(first, kind="say", text="hello", id=key(1))
        said = await hear_all(first)
        position = said.pop("position")
        assert said == {"kind": "said", "name": "Ada", "text": "hello", "id": key(1)}

        async with connect(uri) as second:
            *history, entered = await join(second, name="Grace")
            assert await hear_all(first) == {"kind": "join", "name": "Grace"}
            assert [each.get("text") for each in history if each["kind"] == "said"] == ["hello"]
            assert entered["position"] == position
            await say(second, kind="who")
            while (here := await hear_all(second))["kind"] != "here":
                pass
            assert here["names"] == ["Ada", "Grace"]
        while await hear_all(first) != {"kind": "leave", "name": "Grace"}:
            pass

        for number in (2, 2, 3):  # one of them twice, as if it did not know
            await say(first, kind="say", text=f"number {number}", id=key(number))
        async with connect(uri) as third:
            told = await join(third, since=position, name="Grace")
            missed = [each["text"] for each in told if each["kind"] == "said"]
            while len(missed) < 2:
                missed += (
                    [told["text"]] if (told := await hear_all(third))["kind"] == "said" else []
                )
            assert missed == ["number 2", "number 3"]


async def test_rooms_refuse_who_cannot_be(share: Start) -> None:
    uri = share("rooms/server.py").uri
    whos: list[dict[str, Any]] = [
        {"room": ""},
        {"name": ""},
        {"room": "x" * 33},
        {"name": "x" * 33},
        {"room": "a*"},
        {"name": "a\nb"},
        {"name": "\ud800"},
        {"room": 1},
        {"since": None},
        {"kind": "say"},
    ]
    for who in whos:
        async with connect(uri) as ws:
            message = {"kind": "join", "room": "kitchen", "name": "Ada", "since": "", **who}
            await ws.send(json.dumps(message))
            await expect_close(ws, 1008)


async def test_rooms_take_any_since_for_a_position(share: Start) -> None:
    uri = share("rooms/server.py").uri
    for since in ("x", "abc:1", "abc:" + "9" * 400, "\ud800:1"):
        async with connect(uri) as ws:
            assert (await join(ws, since))[-1]["kind"] == "entered"


async def test_rooms_refuse_other_messages(share: Start) -> None:
    uri = share("rooms/server.py").uri
    for message in (
        "hello",
        b"{}",
        "[" * 8000,
        '{"kind": "join", "room": "cellar", "name": "Ada", "since": ""}',
        '{"kind": "say", "text": "hi"}',
        json.dumps({"kind": "say", "text": "", "id": key(1)}),
        json.dumps({"kind": "say", "text": "x" * 1001, "id": key(1)}),
        json.dumps({"kind": "say", "text": "hi", "id": "x" * 32}),
        json.dumps({"kind": "say", "text": 1, "id": key(1)}),
    ):
        async with connect(uri) as ws:
            await join(ws)
            await ws.send(message)
            await expect_close(ws, 1008)


async def test_cursors(start: Start) -> None:
    uri = start("cursors/server.py").uri
    async with connect(uri) as first, connect(uri) as second:
        while (told := json.loads(await receive(second)))["kind"] != "you":
            pass
        await second.send(json.dumps({"x": 0.25, "y": 1}))
        while (moved := json.loads(await receive(first)))["kind"] != "move":
            pass
        assert moved == {"kind": "move", "id": told["id"], "x": 0.25, "y": 1}
        await first.send(json.dumps({"x": 0, "y": 0.5}))
        while (moved := json.loads(await receive(second)))["kind"] != "move":
            pass
        assert (moved["x"], moved["y"]) == (0, 0.5)  # the other's: it is not told of its own
        await second.close()
        assert json.loads(await receive(first)) == {"kind": "leave", "id": told["id"]}


async def test_cursors_refuse_other_places(share: Start) -> None:
    uri = share("cursors/server.py").uri
    for message in (
        "{}",
        b"{}",
        "[",
        '{"x": 0, "y": 1.01}',
        '{"x": -0.1, "y": 0}',
        '{"x": NaN, "y": 0}',
    ):
        async with connect(uri) as ws:
            await ws.send(message)
            await expect_close(ws, 1008)


async def test_ticker(start: Start) -> None:
    async with connect(start("ticker/server.py").uri) as ws:
        numbers: dict[str, list[int]] = {}
        while len(numbers) < 12 or min(map(len, numbers.values())) < 5:
            quote = json.loads(await receive(ws))
            numbers.setdefault(quote["symbol"], []).append(quote["number"])
            assert 1 <= len(quote["trend"]) <= 60
        for seen in numbers.values():
            assert seen == list(range(seen[0], seen[0] + len(seen)))
        await ws.send("buy")
        await expect_close(ws, 1008)
