"""permessage-deflate: what client and server agree on (RFC 7692 7.1)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ..exceptions import InvalidExtension
from .base import Extension, Parameters
from .deflate import DeflateCodec

__all__ = ["PerMessageDeflate"]

_MAX_BITS: Final = 15
_WINDOW_BITS: Final = re.compile(r"[89]|1[0-5]")


class _Terms(NamedTuple):
    """Parameters of an offer or an answer; None for window bits that are not mentioned."""

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int | None
    client_max_window_bits: int | None


class PerMessageDeflate(Extension):
    """Compression of messages, with its settings (RFC 7692).

    - ``server_no_context_takeover``, ``client_no_context_takeover``: that end compresses each
      message by itself. True, the default, and a connection that rests costs no more memory than
      without compression. False compresses small messages better, at the price of up to 350 KiB
      for each connection. A client takes a server as well that does not promise it: then its
      decompressor keeps up to 100 KiB.
    - ``server_max_window_bits``, ``client_max_window_bits``: 8 to 15, the default; that end looks
      for repetitions in the last ``2**bits`` bytes.
    - ``level``: zlib's, 1 (fast), the default, to 9 (small); 0 for no compression.
    - ``threshold``: messages of fewer bytes go uncompressed unless ``send(compress=True)`` asks
      for it; of a fragmented message the first fragment counts. By default 1024, or the size of
      the smallest message that the peer has compressed: who does that values bytes over time.

    Both ends' parameters are ceilings: the agreement may be on less. Raises ValueError for what
    is out of range.
    """

    name = "permessage-deflate"

    def __init__(
        self,
        *,
        server_no_context_takeover: bool = True,
        client_no_context_takeover: bool = True,
        server_max_window_bits: int = _MAX_BITS,
        client_max_window_bits: int = _MAX_BITS,
        level: int = 1,
        threshold: int | None = None,
    ) -> None:
        for bits in (server_max_window_bits, client_max_window_bits):
            if not 8 <= bits <= _MAX_BITS:
                raise ValueError(f"window bits must be 8 to 15, not {bits}")
        if not 0 <= level <= 9:
            raise ValueError(f"level must be 0 to 9, not {level}")
        if threshold is not None and threshold < 0:
            raise ValueError(f"threshold must not be negative, not {threshold}")
        self._server_no_context_takeover = server_no_context_takeover
        self._client_no_context_takeover = client_no_context_takeover
        self._server_bits = server_max_window_bits
        self._client_bits = client_max_window_bits
        self._level = level
        self._threshold = threshold

    def offer(self) -> Parameters:
        offer: list[tuple[str, str | None]] = []
        if self._server_no_context_takeover:
            offer.append(("server_no_context_takeover", None))
        if self._client_no_context_takeover:
            offer.append(("client_no_context_takeover", None))
        if self._server_bits < _MAX_BITS:
            offer.append(("server_max_window_bits", str(self._server_bits)))
        # Without a value: the server may choose (7.1.2.2).
        bits = str(self._client_bits) if self._client_bits < _MAX_BITS else None
        offer.append(("client_max_window_bits", bits))
        return offer

    def accept(self, offered: Parameters) -> tuple[Parameters, DeflateCodec] | None:
        try:
            offer = _parse(offered, is_offer=True)
        except ValueError:
            return None  # 7.1: an offer that is not understood is declined
        server_stateless = self._server_no_context_takeover or offer.server_no_context_takeover
        client_stateless = self._client_no_context_takeover or offer.client_no_context_takeover
        server_bits = min(self._server_bits, offer.server_max_window_bits or _MAX_BITS)
        # 7.1.2.2: only a client that mentions its window can be told a smaller one.
        client_bits = _MAX_BITS
        if offer.client_max_window_bits is not None:
            client_bits = min(self._client_bits, offer.client_max_window_bits)
        answer: list[tuple[str, str | None]] = []
        if server_stateless:
            answer.append(("server_no_context_takeover", None))
        if client_stateless:
            answer.append(("client_no_context_takeover", None))
        if server_bits < _MAX_BITS or offer.server_max_window_bits is not None:
            answer.append(("server_max_window_bits", str(server_bits)))
        if client_bits < _MAX_BITS:
            answer.append(("client_max_window_bits", str(client_bits)))
        return answer, DeflateCodec(
            self._level,
            self._threshold,
            encode_bits=server_bits,
            encode_stateless=server_stateless,
            decode_bits=client_bits,
            decode_stateless=client_stateless,
        )

    def finalize(self, accepted: Parameters) -> DeflateCodec:
        try:
            answer = _parse(accepted, is_offer=False)
        except ValueError as exc:
            raise InvalidExtension(f"server answered {self.name} with {exc}") from None
        server_bits = answer.server_max_window_bits or _MAX_BITS
        if server_bits > self._server_bits:
            raise InvalidExtension("server did not agree to server_max_window_bits")
        client_bits = answer.client_max_window_bits or self._client_bits
        if client_bits > self._client_bits:
            raise InvalidExtension("server chose client_max_window_bits over the offered one")
        return DeflateCodec(
            self._level,
            self._threshold,
            encode_bits=client_bits,
            encode_stateless=self._client_no_context_takeover or answer.client_no_context_takeover,
            decode_bits=server_bits,
            # Common servers overlook that it was asked for: then this end remembers as well.
            decode_stateless=answer.server_no_context_takeover,
        )


def _parse(parameters: Parameters, *, is_offer: bool) -> _Terms:
    """Check the parameters by the rules of 7.1; raises ValueError that names the wrong one."""
    found = dict(parameters)
    if len(found) < len(parameters):
        raise ValueError("a parameter twice")
    if is_offer and found.get("client_max_window_bits", "") is None:
        found["client_max_window_bits"] = str(_MAX_BITS)
    bits: dict[str, int] = {}
    for name, value in found.items():
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            is_valid = value is None
        elif name in ("server_max_window_bits", "client_max_window_bits"):
            is_valid = value is not None and _WINDOW_BITS.fullmatch(value) is not None
            bits[name] = int(value) if value is not None and is_valid else 0
        else:
            is_valid = False
        if not is_valid:
            raise ValueError(f"parameter {name}" + ("" if value is None else f"={value}"))
    return _Terms(
        "server_no_context_takeover" in found,
        "client_no_context_takeover" in found,
        bits.get("server_max_window_bits"),
        bits.get("client_max_window_bits"),
    )
