"""``wsproto-async bench``: how many messages an echo server returns, and how soon."""
