"""Each kind of broker against the laws."""

from conformance import *  # noqa: F403
