"""TLS, and the server's certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def secure(server: Callable) -> Callable[[ssl.SSLContext], str]:
    """A healthy server over TLS; gives its URL."""

    async def handler(ws: Any) -> None:
        await ws.wait_closed()

    return lambda context: f"wss://127.0.0.1:{server(handler, ssl=context)}/"


def test_a_healthy_server(doctor: Callable, secure: Callable, tls: Any, ca_file: str) -> None:
    found = doctor(secure(tls), "--cacert", ca_file)
    assert found.status == 0
    steps = {step["step"]: step for step in found.steps}
    assert (steps["TLS"]["version"], steps["TLS"]["text"][:9]) == ("TLSv1.3", "TLSv1.3, ")
    assert steps["certificate"]["names"] == ["127.0.0.1", "localhost"]
    assert "trustme" in steps["certificate"]["issuer"]
    assert steps["certificate"]["text"].startswith("for 127.0.0.1, localhost, by ")
    assert steps["certificate"]["text"].endswith(f"until {steps['certificate']['not_after']}")


def test_insecure(doctor: Callable, secure: Callable, tls: ssl.SSLContext) -> None:
    found = doctor(secure(tls), "--insecure")
    assert (found.status, found.names("warning")) == (0, ["certificate"])


def test_it_expires_soon(
    doctor: Callable, secure: Callable, authority: trustme.CA, ca_file: str
) -> None:
    certificate = authority.issue_cert("127.0.0.1", not_after=NOW + 3.5 * DAY)
    found = doctor(secure(context_of(certificate)), "--cacert", ca_file)
    (warning,) = (step for step in found.steps if step["state"] == "warning")
    assert (found.status, warning["step"]) == (0, "certificate")
    assert warning["problem"]["why"] == "It expires in 3 days."


@pytest.mark.parametrize(
    ("names", "times", "why"),
    [
        (["127.0.0.1"], (-9 * DAY, -DAY), "The certificate has expired"),
        (["127.0.0.1"], (DAY, 9 * DAY), "The certificate is not valid yet"),
        (["a.example", "b.example"], (-DAY, DAY), "for other names than 127.0.0.1."),
    ],
)
def test_a_certificate_that_does_not_fit(
    doctor: Callable,
    secure: Callable,
    authority: trustme.CA,
    ca_file: str,
    names: list[str],
    times: tuple[timedelta, timedelta],
    why: str,
) -> None:
    begin, end = (NOW + time for time in times)
    certificate = authority.issue_cert(*names, not_before=begin, not_after=end)
    found = doctor(secure(context_of(certificate)), "--cacert", ca_file)
    assert (found.status, found.last["step"], found.side) == (4, "certificate", "server")
    assert why in found.last["problem"]["why"]
    assert found.last["names"] == names
    if "example" in names[0]:
        assert "(a.example, b.example)" in found.last["problem"]["remedy"]


def test_an_authority_that_nobody_knows(
    doctor: Callable, secure: Callable, tls: ssl.SSLContext
) -> None:
    found = doctor(secure(tls))
    assert (found.status, found.last["step"]) == (4, "certificate")
    assert found.last["names"] == ["127.0.0.1", "localhost"]
    assert "--cacert" in found.last["problem"]["remedy"]


def test_a_chain_with_the_unknown_authority_in_it(
    doctor: Callable, secure: Callable, authority: trustme.CA, tmp_path: Path
) -> None:
    leaf = authority.issue_cert("127.0.0.1")
    pem = leaf.private_key_and_cert_chain_pem.bytes() + authority.cert_pem.bytes()
    (tmp_path / "chain.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem")
    found = doctor(secure(context))
    assert (found.status, found.side) == (4, "client")
    assert "authority is not one that this machine trusts" in found.last["problem"]["why"]


def test_an_intermediate_certificate_is_left_out(
    doctor: Callable, secure: Callable, authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    leaf = authority.create_child_ca().issue_cert("127.0.0.1")
    pem = leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes()
    (tmp_path / "leaf.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "leaf.pem")
    found = doctor(secure(context), "--cacert", ca_file)
    assert (found.status, found.side) == (4, "server")
    assert "The chain of certificates has a gap" in found.last["problem"]["why"]


def test_self_signed(doctor: Callable, secure: Callable, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "me\x1b")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    pem = certificate.public_bytes(encoding) + key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "own.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    found = doctor(secure(context))
    assert (found.status, found.side) == (4, "server")
    assert "signed its certificate itself" in found.last["problem"]["why"]
    assert r"for nobody, by me\x1b, until " in found.last["text"]


def test_a_plain_port(doctor: Callable, echo_port: int) -> None:
    found = doctor(f"wss://127.0.0.1:{echo_port}/")
    assert (found.status, found.last["step"], found.side) == (4, "TLS", "client")
    assert found.last["problem"]["why"] == "What answers at that port does not speak TLS."


def test_a_port_for_tls_is_spoken_to_without(
    doctor: Callable, raw_server: Callable, tls: ssl.SSLContext
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...

    found = doctor(f"ws://127.0.0.1:{raw_server(talk, tls=tls)}/")
    assert (found.status, found.last["step"]) == (5, "HTTP")
    assert "wss:" in found.last["problem"]["remedy"]


def test_no_version_in_common(
    doctor: Callable, secure: Callable, authority: trustme.CA, ca_file: str
) -> None:
    context = context_of(authority.issue_cert("127.0.0.1"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE-RSA-AES128-SHA@SECLEVEL=0")
    found = doctor(secure(context), "--cacert", ca_file)
    assert (found.status, found.last["step"], found.side) == (4, "TLS", "server")
    assert "no version, or cipher" in found.last["problem"]["why"]


@pytest.mark.parametrize("is_silent", [True, False])
def test_no_handshake(doctor: Callable, raw_server: Callable, is_silent: bool) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        if is_silent:
            await reader.read()

    found = doctor(f"wss://127.0.0.1:{raw_server(talk)}/", "--timeout", "0.2")
    assert (found.last["step"], found.side) == ("TLS", "server")
    assert found.status == (3 if is_silent else 4)
