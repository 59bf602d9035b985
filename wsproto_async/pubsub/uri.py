"""Brokers by their URI."""

from __future__ import annotations

from .broker import Broker

__all__ = ["open_broker"]


def open_broker(uri: str) -> Broker:
    """Return the broker at ``uri``; raises ValueError if there is none for its scheme."""
    raise ValueError(f"no broker for {uri.partition(':')[0]}:")
