"""``wsproto-async doctor``: a handshake step by step, and what keeps it from succeeding."""
