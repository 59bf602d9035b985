"""Certificates: what a test needs to run over plain TCP and over TLS."""

from __future__ import annotations

import ssl

import pytest
import trustme
from interop_peers import Security


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> Security:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    return Security(server, client)


@pytest.fixture(params=["plain", "tls"])
def security(request: pytest.FixtureRequest, tls: Security) -> Security:
    return tls if request.param == "tls" else Security(None, None)
