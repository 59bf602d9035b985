"""TLS: what both sides agree on, the server's certificate, and why it is not trusted."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from time import perf_counter, time
from typing import Any, Final, NamedTuple

from ..exits import EXIT_TLS, EXIT_UNREACHABLE
from ..failure import os_text, tls_text
from ..text import escape, quantity
from .report import Problem, Report

__all__ = ["Streams", "begin_tls"]

_SOON: Final = 14  # days before its end that a certificate is worth a warning
_DAY: Final = 86_400
_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which Python has no name for

# OpenSSL's X509_V_ERR numbers
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_SELF_SIGNED: Final = 18
_UNKNOWN_ROOT: Final = 19
_NO_ISSUER: Final = (2, 20, 21)
_OTHER_NAME: Final = (62, 64)

_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")

Certificate = dict[str, Any]  # what getpeercert() gives


class Streams(NamedTuple):
    """Both directions of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def close(self) -> None:
        """Hang up, without waiting: in the middle of TLS's handshake nobody tells of the end."""
        self.writer.transport.abort()


async def begin_tls(
    report: Report,
    streams: Streams,
    context: ssl.SSLContext,
    host: str,
    patience: float,
    *,
    is_direct: bool,
) -> None:
    """Begin TLS; ``is_direct`` if there is no proxy, so that the server can be asked again."""
    peer = streams.writer.get_extra_info("peername")
    start = perf_counter()
    try:
        async with asyncio.timeout(patience):
            await streams.writer.start_tls(context, server_hostname=host)
    except TimeoutError:
        report.stop("TLS", "no answer", _silent(patience), EXIT_UNREACHABLE)
    except ssl.SSLCertVerificationError as exc:
        certificate = await _read_certificate(peer, host, patience) if is_direct else None
        text = tls_text(exc)
        if certificate is not None:
            text += f"; {_describe(certificate)}"
        problem = _distrusted(exc, host, certificate)
        report.stop("certificate", text, problem, EXIT_TLS, **_details(certificate))
    except ssl.SSLError as exc:
        report.stop("TLS", tls_text(exc), _why_no_tls(exc), EXIT_TLS)
    except OSError as exc:
        report.stop("TLS", escape(os_text(exc)), _HUNG_UP, EXIT_TLS)
    tls: ssl.SSLObject = streams.writer.get_extra_info("ssl_object")
    cipher = tls.cipher()
    version, name = tls.version(), "" if cipher is None else cipher[0]
    seconds = perf_counter() - start
    report.ok("TLS", f"{version}, {name}", seconds, version=version, cipher=name)
    _report_certificate(report, tls.getpeercert() or None)


def _report_certificate(report: Report, certificate: Certificate | None) -> None:
    if certificate is None:  # of one that is not checked Python tells nothing
        report.warn("certificate", "not checked", _UNCHECKED)
        return
    text, details = _describe(certificate), _details(certificate)
    days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time()) / _DAY
    if days < _SOON:
        left = quantity(max(int(days), 0), "day")
        problem = Problem(
            f"It expires in {left}.", "server", "Renew it, and see why nothing did by itself."
        )
        report.warn("certificate", text, problem, **details)
    else:
        report.ok("certificate", text, **details)


async def _read_certificate(peer: Any, host: str, patience: float) -> Certificate | None:
    """Return the certificate of a server that is not trusted, None if it does not give it twice.

    Python parses no certificate that it has not verified: so it is asked for, and then taken for
    its own authority.
    """
    any_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    any_context.check_hostname = False
    any_context.verify_mode = ssl.CERT_NONE
    with suppress(OSError, TimeoutError):
        encoded = (await _handshake(peer, host, any_context, patience)).getpeercert(True)
        if encoded is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.load_verify_locations(cadata=encoded)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
            return (await _handshake(peer, host, context, patience)).getpeercert() or None
    return None


async def _handshake(
    peer: Any, host: str, context: ssl.SSLContext, patience: float
) -> ssl.SSLObject:
    async with asyncio.timeout(patience):
        streams = Streams(
            *await asyncio.open_connection(*peer[:2], ssl=context, server_hostname=host)
        )
    tls: ssl.SSLObject = streams.writer.get_extra_info("ssl_object")
    streams.close()
    return tls


def _describe(certificate: Certificate) -> str:
    names = _names(certificate)
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    issuer = _holder(certificate.get("issuer", ()))
    return escape(f"for {shown or 'nobody'}, by {issuer}, until {certificate['notAfter']}")


def _details(certificate: Certificate | None) -> dict[str, Any]:
    if certificate is None:
        return {}
    return {
        "subject": _holder(certificate.get("subject", ())),
        "issuer": _holder(certificate.get("issuer", ())),
        "names": _names(certificate),
        "not_before": certificate["notBefore"],
        "not_after": certificate["notAfter"],
    }


def _names(certificate: Certificate) -> list[str]:
    """Return the host names and addresses that a certificate is for."""
    return [name for _, name in certificate.get("subjectAltName", ())]


def _holder(name: Any) -> str:
    """Return a distinguished name's parts that tell the most."""
    parts = {key: value for part in name for key, value in part}
    known = (parts.get("commonName"), parts.get("organizationName"))
    return ", ".join(part for part in known if part) or "somebody without a name"


def _distrusted(
    error: ssl.SSLCertVerificationError, host: str, certificate: Certificate | None
) -> Problem:
    code = error.verify_code
    if code == _EXPIRED:
        return Problem(
            "The certificate has expired, or the clock of this machine is wrong.",
            "server",
            "Renew the certificate, and have the server load it.",
        )
    if code == _NOT_YET_VALID:
        return Problem(
            "The certificate is not valid yet, or the clock of this machine is wrong.",
            "server",
            "Check both clocks, and the certificate.",
        )
    if code in _OTHER_NAME:
        names = ", ".join(_names(certificate)) if certificate else ""
        return Problem(
            f"The certificate is for other names than {host}.",
            "server",
            (f"Connect by one of its names ({escape(names)})" if names else "Connect by its name")
            + f", or get a certificate for {host}.",
        )
    if code == _SELF_SIGNED:
        return Problem(
            "The server has signed its certificate itself: nobody vouches for it.",
            "server",
            "Get one of an authority. For tests: --cacert with the certificate, or --insecure.",
        )
    if code == _UNKNOWN_ROOT:
        return Problem(
            "The certificate's authority is not one that this machine trusts.",
            "client",
            "If it is an authority of your own, give its certificate with --cacert.",
        )
    if code in _NO_ISSUER:
        return Problem(
            "The chain of certificates has a gap: the server leaves out an intermediate one, or "
            "its authority is not one that this machine trusts.",
            "server",
            "Have the server send the full chain (a certfile with the intermediate certificates "
            "too). For an authority of your own, give its certificate with --cacert.",
        )
    return Problem(
        "OpenSSL does not accept the certificate.", "server", "Get another one of an authority."
    )


def _why_no_tls(error: ssl.SSLError) -> Problem:
    reason = error.reason or ""
    if reason in _NO_TLS:
        return Problem(
            "What answers at that port does not speak TLS.",
            "client",
            "Take a ws: URL, or the port for wss:, often 443.",
        )
    if "CERTIFICATE_REQUIRED" in reason:
        return Problem(
            "The server wants a certificate of its client's.",
            "server",
            "Connect from a program: connect(ssl=...) with a context that has one.",
        )
    if "UNRECOGNIZED_NAME" in reason:
        return Problem(
            "The server does not know that name.", "server", "Check the host of the URL."
        )
    return Problem(
        "The two sides have found no version, or cipher, that both take.",
        "server",
        "Have the server speak TLS 1.2 or 1.3.",
    )


def _silent(patience: float) -> Problem:
    return Problem(
        f"Nothing has answered to the beginning of TLS within {patience:g} s.",
        "server",
        "Check that the port is one for TLS: a server without waits for another beginning.",
    )


_HUNG_UP: Final = Problem(
    "The connection was closed in the middle of TLS's handshake.",
    "server",
    "Check that the port is one for TLS; its log, or that of a proxy before it, may tell more.",
)
_UNCHECKED: Final = Problem(
    "With --insecure anybody can be the server.", "client", "Leave it out, but for tests."
)
