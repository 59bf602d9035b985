"""``wsproto-async serve``: an application's handler as a server."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import ssl
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from ..aio.bind import SocketFile, bind_unix
from ..aio.serve import serve
from ..aio.server import Handler
from ..aio.websocket import WebSocket
from ..exceptions import BrokerError
from ..status import Status
from ..workers.run import LOG_FORMAT, run_loaded
from . import application
from .exits import EXIT_FAILED, EXIT_USAGE, fail
from .numbers import number, seconds
from .reload import NO_WATCHER, can_watch, watching

__all__ = ["add_to"]

_DESCRIPTION: Final = """\
Serve WebSocket connections, each with a call of HANDLER, until SIGINT (Ctrl-C) or SIGTERM. With
more than one worker SIGHUP restarts them, one after another, with the code that is there then."""

_EXAMPLES: Final = """\
examples:
  wsproto-async serve chat:handler --port 8765
  wsproto-async serve chat:handler --port 8765 --reload
  wsproto-async serve chat:handler --port 8765 --host 0.0.0.0 --host :: --workers 4
  wsproto-async serve chat:handler --port 443 --certfile cert.pem --keyfile key.pem
  wsproto-async serve chat:handler --uds chat.sock --origin https://example.com
  wsproto-async serve chat:handler --port 8765 --workers 4 --broker redis://localhost
  wsproto-async serve chat:handler --port 8765 --options chat:OPTIONS

exit status:
  0  stopped by a signal
  1  the application failed, the address is taken, the broker is not there, or something
     would not stop
  2  an option is wrong, or the module or the handler is not there
"""

# What is an option of serve() too, if it is given.
_PASSED_ON: Final = (
    "broker",
    "liveness",
    "max_connections",
    "max_size",
    "ping_interval",
    "ping_timeout",
    "readiness",
)


def add_to(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="serve WebSocket connections",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=_serve)
    add = parser.add_argument
    add("handler", metavar="HANDLER", help="module:name of a coroutine function")
    add(
        "--options",
        metavar="NAME",
        help="module:name of a dict with what there is no option for here: topics, hooks, "
        "subprotocols, and what else serve() takes",
    )

    group = parser.add_argument_group(
        "where to listen; without --port and --uds, on systemd's sockets"
    )
    add = group.add_argument
    add(
        "--port",
        type=number(int, 0, 65535),
        metavar="N",
        help="0 picks a free one, the log tells which",
    )
    add("--host", action="append", metavar="HOST", help="default 127.0.0.1; may be repeated")
    add("--uds", metavar="PATH", help="a Unix socket in place of host and port")
    add("--certfile", metavar="FILE", help="TLS: certificate chain, PEM")
    add("--keyfile", metavar="FILE", help="TLS: private key, PEM, if not in --certfile")

    group = parser.add_argument_group("processes; times are in seconds")
    add = group.add_argument
    add("--workers", type=number(int, 1), default=1, metavar="N", help="default 1")
    add(
        "--grace",
        type=seconds(0),
        default=10,
        metavar="S",
        help="for handlers to end, default 10",
    )
    add(
        "--heartbeat-timeout",
        type=seconds(2),
        default=30,
        metavar="S",
        help="a worker whose event loop stands still for so long is replaced, default 30",
    )
    add(
        "--reload",
        action="store_true",
        help="restart when Python files in the working directory change; for development",
    )
    add(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="default info",
    )

    add(
        "--broker",
        metavar="URL",
        help="Redis or Valkey, by which servers share topics: redis://HOST:PORT; else the workers "
        "share them among themselves",
    )

    group = parser.add_argument_group("connections")
    add = group.add_argument
    add(
        "--origin",
        action="append",
        metavar="ORIGIN",
        help="pages that may connect; may be repeated",
    )
    add("--max-size", type=number(int, 0), metavar="N", help="bytes in a message, default 1 MiB")
    add(
        "--max-connections",
        type=number(int, 1),
        metavar="N",
        help="of each worker, default 65536",
    )
    add("--ping-interval", type=seconds(0.001), metavar="S", help="default 20")
    add("--ping-timeout", type=seconds(0.001), metavar="S", help="default 20")
    add("--liveness", metavar="PATH", help="answers 200 while the event loop runs")
    add("--readiness", metavar="PATH", help="answers 200 while connections are accepted, else 503")

    group = parser.add_argument_group("what goes on, shown to who comes from here with the token")
    add = group.add_argument
    add("--status", metavar="PATH", help="of a page; the log tells its address")
    add("--metrics", metavar="PATH", help="for Prometheus; the token goes into Authorization")
    add("--status-token", metavar="FILE", help="with the token; else --status tells a new one")
    add(
        "--status-allow",
        action="append",
        metavar="NETWORK",
        help="addresses that may ask in place of this machine's; may be repeated",
    )


def _serve(arguments: argparse.Namespace) -> int:
    if arguments.uds is not None and (arguments.port is not None or arguments.host):
        return fail("--uds takes the place of --port and --host", EXIT_USAGE)
    if arguments.keyfile is not None and arguments.certfile is None:
        return fail("--keyfile needs --certfile", EXIT_USAGE)
    if arguments.uds is None and arguments.port is None and "LISTEN_FDS" not in os.environ:
        return fail("--port or --uds is needed", EXIT_USAGE)
    if arguments.reload and not can_watch():
        return fail(NO_WATCHER, EXIT_USAGE)
    if arguments.host and "" in arguments.host:
        return fail("--host is empty; 0.0.0.0 and :: are all addresses", EXIT_USAGE)
    logging.basicConfig(level=arguments.log_level.upper(), format=LOG_FORMAT)
    options = serve_options(arguments)
    try:
        options |= _status_of(arguments)
        serve(WebSocket.wait_closed, arguments.port, **options)  # raises here, not in each worker
    except UnicodeError:
        return fail(f"the token in {arguments.status_token} has to be ASCII", EXIT_USAGE)
    except (TypeError, ValueError, ImportError) as exc:
        return fail(str(exc), EXIT_USAGE)
    except OSError as exc:
        return fail(f"no token in {arguments.status_token}: {exc.strerror or exc}", EXIT_USAGE)
    file: SocketFile | None = None
    try:
        if arguments.uds is not None:
            options["sock"] = bind_unix(arguments.uds)
            file = SocketFile(arguments.uds)
    except OSError as exc:
        return fail(f"cannot listen at {arguments.uds}: {exc.strerror or exc}", EXIT_FAILED)
    where = " and ".join(arguments.host or ["127.0.0.1"])
    watcher = watching(arguments.log_level.upper()) if arguments.reload else nullcontext()
    try:
        with watcher:
            run_loaded(
                lambda: _load(arguments, options),
                arguments.port,
                workers=arguments.workers,
                grace=arguments.grace,
                heartbeat_timeout=arguments.heartbeat_timeout,
                supervised=arguments.reload,
                is_last=True,
                **options,
            )
    except BrokerError as exc:
        return fail(str(exc), EXIT_FAILED)
    except socket.gaierror as exc:
        return fail(f"cannot listen on {where}: {exc.strerror}", EXIT_USAGE)
    except OSError as exc:
        return fail(f"cannot listen on {where}: {exc.strerror or exc}", EXIT_FAILED)
    except UnicodeError:  # a label over 63 characters, for one
        return fail(f"cannot listen on {where}: that is no name of a host", EXIT_USAGE)
    finally:
        if file is not None:
            file.close()
    return 0


def serve_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return those of the options that are ``serve``'s."""
    given = {name: getattr(arguments, name) for name in _PASSED_ON}
    given |= {"host": arguments.host, "origins": arguments.origin}
    return {name: value for name, value in given.items() if value is not None}


def _status_of(arguments: argparse.Namespace) -> dict[str, Status]:
    """Return the option for the status, if it is wanted; raises what Status does, and OSError."""
    if arguments.status is None and arguments.metrics is None:
        if arguments.status_token is not None or arguments.status_allow is not None:
            raise ValueError("--status-token and --status-allow need --status or --metrics")
        return {}
    if arguments.status is None and arguments.status_token is None:
        raise ValueError("--metrics needs --status-token, or --status, which tells the token")
    token: str | None = None
    if arguments.status_token is not None:
        token = Path(arguments.status_token).read_text("ascii").strip()
    given = {} if arguments.status_allow is None else {"allow": arguments.status_allow}
    return {"status": Status(arguments.status, metrics=arguments.metrics, token=token, **given)}


def _load(arguments: argparse.Namespace, given: dict[str, Any]) -> tuple[Handler, dict[str, Any]]:
    """Load what must be loaded anew when workers are restarted: the code, and the certificate.

    What is ``given`` on the command line counts.
    """
    try:
        handler = application.load_handler(arguments.handler)
        more = {}
        if arguments.options is not None:
            more = application.load_options(arguments.options, given)
        if arguments.certfile is not None:
            more["ssl"] = _context(arguments)
    except application.NotThere as exc:
        raise SystemExit(fail(str(exc), EXIT_USAGE)) from None
    except Exception as exc:
        traceback.print_exception(exc.with_traceback(application.own_frames(exc)))
        raise SystemExit(EXIT_FAILED) from None
    return handler, more


def _context(arguments: argparse.Namespace) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(arguments.certfile, arguments.keyfile)
    except OSError as exc:  # ssl.SSLError is one
        what = arguments.certfile
        if arguments.keyfile is not None:
            what += f" and {arguments.keyfile}"
        why = exc.strerror or str(exc)
        if isinstance(exc, ssl.SSLError) and exc.reason == "KEY_VALUES_MISMATCH":
            why = "the key is that of another certificate"
        elif isinstance(exc, ssl.SSLError) and exc.reason is None:
            why = "one of them is missing there"
        raise application.NotThere(f"no certificate and key in {what}: {why}") from None
    return context
