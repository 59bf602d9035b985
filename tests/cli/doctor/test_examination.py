"""The course of an examination."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable

import pytest


def test_a_healthy_server(run: Callable, echo_port: int) -> None:
    status, out, err = run("doctor", f"ws://127.0.0.1:{echo_port}/")
    assert (status, err) == (0, "")
    out = re.sub(r"\d[\d.]* (µs|ms|s)\b", "TIME", out)
    out = re.sub(r"Accept: \S+", "Accept: TOKEN", out)
    deflate = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    assert out.splitlines() == [
        f"ws://127.0.0.1:{echo_port}/",
        f"ok       TCP           IPv4 127.0.0.1 port {echo_port} (TIME)",
        "ok       HTTP          101 Switching Protocols (Server: wsproto_async) (TIME)",
        "ok       header        Upgrade: websocket (RFC 6455 4.1, 4.2.2)",
        "ok       header        Connection: Upgrade (RFC 6455 4.1, 4.2.2)",
        "ok       header        Sec-WebSocket-Accept: TOKEN (RFC 6455 4.1, 4.2.2)",
        f"ok       header        Sec-WebSocket-Extensions: {deflate} (RFC 6455 9.1, RFC 7692 7.1)",
        f"ok       compression   {deflate}",
        "ok       ping          round trip TIME at best, TIME at worst",
        "ok       close         answered with 1000 (OK) (TIME)",
        "healthy",
    ]


def test_what_fails_is_explained(run: Callable, echo_port: int) -> None:
    status, out, _ = run("doctor", f"ws://127.0.0.1:{echo_port}/", "--origin", "https://a.example")
    assert status == 5
    assert out.splitlines()[-5:] == [
        "failed   HTTP          403 Forbidden (Server: wsproto_async): origin https://a.example is "
        "not allowed by the parameter origins",
        "         what is wrong: The server does not let pages of https://a.example connect, or "
        "not this user.",
        "         on whose side: server",
        "         what to do:    Add that origin to those that it allows (in this package: "
        "serve(origins=[...])), or connect from a page of the server's own.",
        "not healthy: HTTP",
    ]


def test_options_are_those_of_connect(doctor: Callable, talking: Callable) -> None:
    requests: list[str] = []

    async def talk(peer: object) -> None:
        requests.append(await peer.read_request())

    options = ("-H", "X-Mine: 1", "--origin", "https://a.example", "--subprotocol", "chat")
    doctor(talking(talk) + "path?x=1", *options, "--no-compression")
    (request,) = requests
    assert request.startswith("GET /path?x=1 HTTP/1.1\r\n")
    assert "\r\nX-Mine: 1\r\n" in request
    assert "\r\nOrigin: https://a.example\r\n" in request
    assert "\r\nSec-WebSocket-Protocol: chat\r\n" in request
    assert "Extensions" not in request


def redirecting(location: str, status: str = "301 Moved") -> bytes:
    return f"HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def test_a_redirect_is_followed(
    doctor: Callable, answering: Callable, echo_port: int, run: Callable
) -> None:
    url = answering(redirecting(f"http://127.0.0.1:{echo_port}/there"))
    found = doctor(url)
    assert found.status == 0
    (redirect,) = (step for step in found.steps if step["state"] == "warning")
    assert redirect["text"] == f"301 Moved, to http://127.0.0.1:{echo_port}/there"
    assert redirect["problem"]["remedy"] == f"Connect to ws://127.0.0.1:{echo_port}/there at once."
    assert found.names().count("TCP") == 2
    out = run("doctor", url, "--no-proxy").out.splitlines()
    assert f"ws://127.0.0.1:{echo_port}/there" in out
    assert out[-1] == "healthy, but see HTTP"


def test_secrets_stay_with_their_origin(
    doctor: Callable, answering: Callable, talking: Callable
) -> None:
    requests: list[str] = []

    async def talk(peer: object) -> None:
        requests.append(await peer.read_request())

    url = answering(redirecting(talking(talk)))
    doctor(url, "-H", "Authorization: secret", "-H", "X-Mine: 1")
    (request,) = requests
    assert "X-Mine: 1" in request and "secret" not in request


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("ftp://a.example/", "301 Moved, to ftp://a.example/"),
        ("/round\x85", r"over 5 redirects"),
    ],
)
def test_redirects_that_are_not_followed(
    doctor: Callable, answering: Callable, location: str, text: str
) -> None:
    found = doctor(answering(redirecting(location)))
    assert (found.status, found.last["text"], found.side) == (5, text, "server")


def test_no_redirect_from_tls_to_none(
    doctor: Callable, talking: Callable, tls: object, ca_file: str
) -> None:
    async def talk(peer: object) -> None:
        await peer.read_request()
        peer.writer.write(redirecting("http://a.example/"))

    found = doctor(talking(talk, tls=tls), "--cacert", ca_file)
    assert found.status == 5
    assert "redirects from wss: to ws:" in found.last["problem"]["why"]


def test_ctrl_c(run: Callable, talking: Callable, interrupt: Callable) -> None:
    async def talk(peer: object) -> None:
        await peer.read_request()
        interrupt()
        await peer.reader.read()

    assert run("doctor", talking(talk), "--json", "--no-proxy") == (130, "", "")


def test_nobody_reads(run: Callable, echo_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        status, _, err = run("doctor", f"ws://127.0.0.1:{echo_port}/")
    assert (status, err) == (141, "")


def test_json_is_for_programs(run: Callable, echo_port: int) -> None:
    report = json.loads(run("doctor", f"ws://127.0.0.1:{echo_port}/", "--json").out)
    steps = {step["step"]: step for step in report["steps"]}
    assert steps["HTTP"]["http_status"] == 101
    assert ["Upgrade", "websocket"] in steps["HTTP"]["headers"]
    assert steps["TCP"]["seconds"] > 0
    assert len(steps["ping"]["round_trips"]) == 3
    assert steps["close"]["code"] == 1000
