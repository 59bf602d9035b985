"""Other WebSocket libraries, each behind the same face, `base.Peer`.

``connect_<library>(uri, security, ...)`` is an async context manager of a peer;
``serve_<library>(handler, security, ...)`` is one of a port, and calls ``handler(peer)``. What a
library calls things, and where it bends a close code, stays in its file.
"""
