"""Brokers by their URI."""

from __future__ import annotations

from .broker import Broker

__all__ = ["open_broker"]


def open_broker(uri: str) -> Broker:
    """Return the broker at ``uri``.

    Raises ValueError if there is none for its scheme, ImportError if what it needs is not
    installed.
    """
    scheme = uri.partition(":")[0]
    if scheme in ("redis", "rediss", "redis+unix"):
        try:
            from .redis import RedisBroker
        except ModuleNotFoundError as exc:
            if exc.name != "hiredis":
                raise
            raise ImportError("Redis needs hiredis: the extra wsproto_async[redis]") from exc

        return RedisBroker(uri)
    raise ValueError(f"no broker for {scheme}:, only for redis:, rediss: and redis+unix:")
