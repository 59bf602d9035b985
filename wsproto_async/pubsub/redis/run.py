"""What a server tells of itself: which run of it this is, and how it publishes."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ...exceptions import BrokerError

__all__ = ["ELSEWHERE", "INFO", "NO_RUN", "REPLICA", "Run"]

INFO: Final = ("INFO",)

ELSEWHERE: Final = ("MOVED ", "ASK ", "TRYAGAIN", "CLUSTERDOWN")
"""How the errors begin that a server answers with if a slot is, or soon will be, another's."""

REPLICA: Final = "it is a replica"
"""Why a server is of no use, though it may become something else."""

_SHARDS_SINCE: Final = 7  # the version whose clusters have channels of one shard


class Run(NamedTuple):
    """From one start of a server to its end.

    In a cluster a channel can be one of its shard alone; what is published on others goes to all.
    ``data`` is another when the server was a replica for a time, and may have lost something.
    """

    id: str
    is_cluster: bool
    is_sharded: bool
    is_replica: bool
    data: str

    @classmethod
    def parse(cls, reply: Any) -> Run:
        """Return the run that a reply to ``INFO`` tells of; raises BrokerError if it is none."""
        lines = reply.decode(errors="replace").splitlines() if type(reply) is bytes else ()
        info = {name: value for name, _, value in (line.partition(":") for line in lines)}
        if "run_id" not in info:
            raise BrokerError("it does not tell its run_id")
        # Valkey has a name of its own for the mode, and tells the version of Redis that it is like.
        is_cluster = "cluster" in (info.get("redis_mode"), info.get("server_mode"))
        version = info.get("redis_version", "").partition(".")[0]
        has_shards = version.isdecimal() and int(version) >= _SHARDS_SINCE
        is_replica = info.get("role") == "slave"
        is_sharded = is_cluster and has_shards
        return cls(
            info["run_id"], is_cluster, is_sharded, is_replica, info.get("master_replid", "")
        )

    @property
    def publish(self) -> str:
        """The command that publishes."""
        return "SPUBLISH" if self.is_sharded else "PUBLISH"

    @property
    def subscribe(self) -> str:
        """The command that subscribes."""
        return "SSUBSCRIBE" if self.is_sharded else "SUBSCRIBE"

    @property
    def unsubscribe(self) -> str:
        """The command that unsubscribes."""
        return "SUNSUBSCRIBE" if self.is_sharded else "UNSUBSCRIBE"


NO_RUN: Final = Run("", False, False, False, "")
"""Before there was a connection."""
