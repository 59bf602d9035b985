"""What WebSocket servers are tried with: bytes that no library would send, and what has to come.

Laws: knows nothing of the rest of wsproto_async, so that what is tested does not test itself, and
needs nothing but Python's standard library. A row is written once, for our server's exact answer,
and tells what the RFC leaves beside that.
"""

from .check import Finding, check_server

__all__ = ["Finding", "check_server"]
