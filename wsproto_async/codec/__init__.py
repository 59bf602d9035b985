"""Bytes <-> frames: functions and one buffer. Knows nothing of messages, handshakes or IO."""
