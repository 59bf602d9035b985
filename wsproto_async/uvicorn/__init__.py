"""uvicorn's WebSocket connections: ``uvicorn --ws wsproto_async.uvicorn:WebSocketProtocol``.

ASGI applications, such as those of FastAPI, Starlette and Django Channels, stay as they are.
"""

from .protocol import WebSocketProtocol

__all__ = ["WebSocketProtocol"]
