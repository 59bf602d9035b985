"""uvicorn's own tests of WebSocket connections, with our class in place of one of its own.

Run: make test-uvicorn. A plug-in for pytest: it takes the place before the tests import it.
"""

from __future__ import annotations

from uvicorn.protocols.websockets import websockets_sansio_impl

from wsproto_async.uvicorn import WebSocketProtocol

websockets_sansio_impl.WebSocketsSansIOProtocol = WebSocketProtocol  # type: ignore[misc, assignment]
