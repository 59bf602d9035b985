"""Liveness and readiness over HTTP, for whoever watches over the process."""

from __future__ import annotations

from ..handshake.http11 import Request, Response

__all__ = ["Probes"]


class Probes:
    """Answers GET and HEAD of the two paths; None for a path leaves it to others."""

    __slots__ = ("_liveness", "_readiness")

    def __init__(self, liveness: str | None, readiness: str | None) -> None:
        for name, path in (("liveness", liveness), ("readiness", readiness)):
            if path is not None and not path.startswith("/"):
                raise ValueError(f"{name} must be a path that begins with /, not {path!r}")
        self._liveness = liveness
        self._readiness = readiness

    def are_there(self) -> bool:
        """Tell if there are any probes."""
        return self._liveness is not None or self._readiness is not None

    def answer(self, request: Request, is_ready: bool) -> Response | None:
        """Return the response to a probe, None if the request is none."""
        if not self.are_there():
            return None
        path = request.path.partition("?")[0]
        if path == self._liveness:
            return Response(200, body="ok\n")
        if path == self._readiness:
            return Response(200, body="ok\n") if is_ready else Response(503, body="not ready\n")
        return None
