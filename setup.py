"""The compiled build: the hot modules become extension modules, each from its own ``.py``.

Beside each stands a ``.pxd`` with the C types. Some have a source of their own, a ``.pyx``, since C
does it in another way there. CPython takes an extension module where there is one, the
``.py`` elsewhere; without a C compiler, or with ``WSPROTO_ASYNC_BUILD=pure``, there is none.
``WSPROTO_ASYNC_BUILD=compiled`` makes a build fail that cannot compile.
"""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

BUILD = os.environ.get("WSPROTO_ASYNC_BUILD", "")
if not BUILD and "editable_wheel" in sys.argv:
    BUILD = "pure"  # what is edited has to be what runs
SOURCES = [
    "aio/admission.py",
    "aio/arrival.py",
    "aio/broadcast.py",
    "aio/call.pyx",
    "aio/calls.pyx",
    "aio/data.py",
    "aio/drive.pyx",
    "aio/fanout.py",
    "aio/flow.py",
    "aio/inbox.pyx",
    "aio/prepared.py",
    "aio/protocol.py",
    "aio/publishing.py",
    "aio/record.py",
    "aio/sender.py",
    "aio/shared.py",
    "aio/size.pyx",
    "aio/stream.py",
    "aio/thread.pyx",
    "aio/timer.py",
    "aio/tls.py",
    "aio/turns.py",
    "aio/websocket.py",
    "codec/frames.py",
    "codec/mask.pyx",
    "codec/parser.py",
    "codec/utf8.py",
    "handshake/headers.py",
    "handshake/http11.py",
    "handshake/server.py",
    "pubsub/batches.py",
    "pubsub/publication.py",
    "pubsub/redis/call.py",
    "pubsub/redis/publish.py",
    "pubsub/wire.py",
    "sansio/buffer.py",
    "sansio/client.py",
    "sansio/connection.py",
    "sansio/messages.py",
    "sansio/server.py",
    "sansio/state.py",
]
# A connection passes through these once: compiled as they are, they need no .pxd.
SOURCES += [
    "aio/keepalive.py",
    "aio/pings.py",
    "aio/server.py",
    "aio/upgrade.py",
]
if sys.platform == "linux":  # which has epoll
    SOURCES += ["aio/poller.pyx", "aio/transport.pyx"]
DIRECTIVES = {
    "language_level": "3",
    "annotation_typing": False,
    "embedsignature": False,
}


class BuildAllOrNone(build_ext):
    """Modules that were compiled know each other's layout: one without the others is no use."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self):
        try:
            super().run()
        except Exception as exc:
            if BUILD == "compiled":
                raise
            print(f"wsproto_async is not compiled: {exc}", file=sys.stderr)
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions.clear()


def extensions():
    if BUILD == "pure":
        return []
    return cythonize(
        [
            Extension(
                f"wsproto_async.{source.partition('.')[0].replace('/', '.')}",
                [f"wsproto_async/{source}"],
                extra_compile_args=["-O3", "-g0"],
            )
            for source in SOURCES
        ],
        compiler_directives=DIRECTIVES,
        build_dir="build/cython",
    )


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildAllOrNone})
