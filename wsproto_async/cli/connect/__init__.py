"""``wsproto-async connect``: talk to a server, by hand or from a script."""
