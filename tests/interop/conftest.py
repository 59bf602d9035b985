"""Certificates, for plain TCP and TLS; and the matrix as a table, with ``--table``."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from peers.base import Certificates, Security


@pytest.fixture(scope="session")
def tls() -> Security:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(server)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    texts = (
        authority.cert_pem.bytes().decode(),
        "".join(blob.bytes().decode() for blob in certificate.cert_chain_pems),
        certificate.private_key_pem.bytes().decode(),
    )
    return Security(server, client, Certificates(*texts))


@pytest.fixture(params=["plain", "tls"])
def security(request: pytest.FixtureRequest, tls: Security) -> Security:
    return tls if request.param == "tls" else Security()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", type=Path, help="print the matrix and write it to this file")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    path = config.getoption("table", None)
    if path is None:
        return
    # Here, for it imports every peer.
    from table import format_tables

    passed: dict[tuple[str, str, str], bool] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            if report.when == "call":
                cell = tuple(dict(report.user_properties)["cell"])
                passed[cell] = passed.get(cell, True) and report.passed
    tables = format_tables(passed)
    terminalreporter.write(tables)
    path.write_text(tables)
