"""The rows of the table: every peer, what our end needs for it, and what it cannot do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from peers.aiohttp_peer import connect_aiohttp, serve_aiohttp
from peers.autobahn_peer import connect_autobahn
from peers.blocking_peer import connect_blocking
from peers.node_peer import connect_node, serve_node
from peers.picows_peer import connect_picows, serve_picows
from peers.tornado_peer import connect_tornado, serve_tornado
from peers.uvicorn_peer import serve_uvicorn
from peers.websockets_peer import connect_websockets, serve_websockets

from wsproto_async import PerMessageDeflate

CLIENTS = {
    "websockets": connect_websockets,
    "aiohttp": connect_aiohttp,
    "picows": connect_picows,
    "tornado": connect_tornado,
    "autobahn": connect_autobahn,
    "websocket-client": connect_blocking,
    "npm ws": partial(connect_node, library="ws"),
    "npm undici": partial(connect_node, library="undici"),
    "npm faye-websocket": partial(connect_node, library="faye"),
    "Chromium": partial(connect_node, library="chromium"),
}
SERVERS = {
    "websockets": serve_websockets,
    "aiohttp": serve_aiohttp,
    "picows": serve_picows,
    "tornado": serve_tornado,
    "uvicorn with websockets": partial(serve_uvicorn, implementation="websockets-sansio"),
    "uvicorn with wsproto": partial(serve_uvicorn, implementation="wsproto"),
    "npm ws": serve_node,
}

# By the peer's role and name, as the table shows it.
PEERS: dict[str, dict[str, Callable]] = {"client": CLIENTS, "server": SERVERS}

# What our end needs for a peer.
OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    # It overlooks each parameter that has no value.
    ("client", "tornado"): {"compression": PerMessageDeflate(client_no_context_takeover=False)},
    # The page is about:blank.
    ("client", "Chromium"): {"origins": ["null"]},
}

# What a peer has no way to do.
NO_FRAGMENTS = "sends no message in fragments"
NO_PINGS = "sends no pings"
NO_ABORT = "has no way to cut a connection off"
CANNOT: dict[tuple[str, str], dict[str, str]] = {
    ("client", "aiohttp"): {"their fragments": NO_FRAGMENTS},
    ("client", "picows"): {"they die": NO_ABORT},
    ("client", "tornado"): {"their fragments": NO_FRAGMENTS},
    ("client", "websocket-client"): {"compressed": "does not compress"},
    ("client", "npm undici"): {"their fragments": NO_FRAGMENTS, "they die": NO_ABORT},
    ("client", "npm faye-websocket"): {"their fragments": NO_FRAGMENTS},
    ("client", "Chromium"): {
        "their fragments": NO_FRAGMENTS,
        "their pings": NO_PINGS,
        "they die": NO_ABORT,
    },
    ("server", "aiohttp"): {"their fragments": NO_FRAGMENTS},
    ("server", "picows"): {"they die": NO_ABORT},
    ("server", "tornado"): {"their fragments": NO_FRAGMENTS},
    **{
        ("server", f"uvicorn with {implementation}"): {
            "their fragments": NO_FRAGMENTS,
            "their pings": NO_PINGS,
            "they die": NO_ABORT,
        }
        for implementation in ("websockets", "wsproto")
    },
}
