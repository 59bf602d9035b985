"""Bytes <-> Request and Response: the opening handshake (RFC 6455 4, RFC 9112). No IO."""
