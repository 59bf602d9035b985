"""What goes on in a server, for who operates it: a page, metrics, and traces.

:class:`Status` is given to :func:`wsproto_async.serve`. ``metrics.py`` needs prometheus-client, and
``traces.py`` OpenTelemetry's API: neither is imported unless it is asked for.
"""

from .status import Status

__all__ = ["Status"]
