"""Metrics for Prometheus: what a server counts, as prometheus-client wants it.

Law: no label has a value that a peer or an application can choose at will.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..aio.record import DURATIONS
from ..aio.server import Server
from ..codec.opcodes import CloseCode
from ..handshake.http11 import Response
from .snapshot import ROUND_TRIPS, Snapshot
from .survey import survey, survey_at_once

__all__ = ["ServerCollector", "render"]

_CODES: Final = (*(str(int(code)) for code in CloseCode), "3xxx", "4xxx")
_PATIENCE: Final = 10.0  # seconds for the event loop to answer another thread


class _Number(NamedTuple):
    name: str
    help: str
    value: Callable[[Snapshot], float]
    unit: str = ""


_GAUGES: Final = (
    _Number("connections", "Open connections.", lambda each: each.connections),
    _Number("handshakes", "Opening handshakes under way.", lambda each: each.handshakes),
    _Number(
        "buffered_bytes",
        "Bytes that were sent and have not left for the network.",
        lambda each: each.buffered,
        "bytes",
    ),
    _Number(
        "connections_behind",
        "Open connections whose peer has to take something before more is sent to it.",
        lambda each: each.behind,
    ),
    _Number(
        "connections_paused",
        "Open connections that are not read from, since what has come waits for the handler.",
        lambda each: each.paused,
    ),
    _Number("topics", "Topics with subscribers.", lambda each: each.topics["topics"]),
    _Number("subscriptions", "Subscriptions.", lambda each: each.topics["subscriptions"]),
    _Number(
        "broker_up",
        "1 while all of the broker is there, else 0.",
        lambda each: each.topics["is_broker_up"],
    ),
    _Number(
        "start_time_seconds",
        "When the server started, in seconds since 1970.",
        lambda each: each.started,
        "seconds",
    ),
)
_COUNTERS: Final = (
    _Number("connections_opened", "Connections opened.", lambda each: each.accepted),
    _Number(
        "requests_refused",
        "Requests answered by another status than 101, or that broke off.",
        lambda each: each.refused,
    ),
    _Number(
        "requests_shed",
        "Those of them that a limit on connections or handshakes has turned away.",
        lambda each: each.shed,
    ),
    _Number(
        "messages_received", "Messages that have arrived.", lambda each: each.messages_received
    ),
    _Number("messages_sent", "Messages sent.", lambda each: each.messages_sent),
    _Number(
        "received_bytes",
        "Bytes from the peers, HTTP included, before TLS.",
        lambda each: each.bytes_received,
        "bytes",
    ),
    _Number(
        "sent_bytes",
        "Bytes for the peers, HTTP included, before TLS.",
        lambda each: each.bytes_sent,
        "bytes",
    ),
    _Number(
        "topic_messages_published",
        "Messages published in this process.",
        lambda each: each.topics["published"],
    ),
    _Number(
        "topic_publications_received",
        "Publications that came from the broker, those of this process included.",
        lambda each: each.topics["received"],
    ),
    _Number(
        "topic_messages_dropped",
        "Messages that slow subscribers have not been sent.",
        lambda each: each.topics["dropped"],
    ),
    _Number(
        "topic_subscribers_closed",
        "Slow subscribers closed with 1013.",
        lambda each: each.topics["closed"],
    ),
    _Number(
        "topic_publications_duplicate",
        "Publications that came once more, and were dropped.",
        lambda each: each.topics["duplicates"],
    ),
    _Number(
        "topic_gaps",
        "Times that subscribers of a topic may have missed something.",
        lambda each: each.topics["gaps"],
    ),
    _Number(
        "topic_publications_refused",
        "What came from the broker and was no publication, or came too fast.",
        lambda each: each.topics["refused"],
    ),
)


class ServerCollector(Collector):
    """The metrics of one server for a registry: ``registry.register(ServerCollector(server))``.

    It may be asked in any thread; in another one than the server's it waits for the event loop to
    answer, for ten seconds at most, and raises TimeoutError then.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""
        loop = self._server._loop
        if loop.is_running() and asyncio._get_running_loop() is not loop:
            asking = asyncio.run_coroutine_threadsafe(survey(self._server), loop)
            snapshot = asking.result(_PATIENCE)
        else:
            snapshot = survey_at_once(self._server)
        return list(_families([snapshot], by_worker=False))


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def render(
    snapshots: Sequence[Snapshot],
    others: CollectorRegistry | None,
    accept: str,
    *,
    by_worker: bool,
) -> Response:
    """Return a page with the metrics of each worker, and with those of ``others``.

    ``accept`` is what the request says: OpenMetrics if it is preferred, else Prometheus's text; so
    for what prometheus-client does not understand. Raises what collecting ``others`` raises.
    """
    metrics = list(_families(snapshots, by_worker))
    if others is not None:
        metrics += others.collect()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(metrics))
    try:
        return _encoded(registry, accept)
    except Exception:
        return _encoded(registry, "")


def _encoded(registry: CollectorRegistry, accept: str) -> Response:
    encode, content_type = choose_encoder(accept)
    headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
    return Response(200, headers=headers, body=encode(registry))


def _families(snapshots: Sequence[Snapshot], by_worker: bool) -> Iterator[Metric]:
    names = ["worker"] if by_worker else []
    labelled = [([str(each.worker)] if by_worker else [], each) for each in snapshots]
    for number in _GAUGES:
        gauge = GaugeMetricFamily(
            f"websocket_{number.name}", number.help, labels=names, unit=number.unit
        )
        for labels, each in labelled:
            gauge.add_metric(labels, number.value(each))
        yield gauge
    for number in _COUNTERS:
        counter = CounterMetricFamily(
            f"websocket_{number.name}", number.help, labels=names, unit=number.unit
        )
        for labels, each in labelled:
            counter.add_metric(labels, number.value(each))
        yield counter
    yield _closed(names, labelled)
    round_trips = GaugeHistogramMetricFamily(
        "websocket_round_trip_seconds",
        "Round-trip times of the last pings of the connections that are open.",
        labels=names,
        unit="seconds",
    )
    durations = HistogramMetricFamily(
        "websocket_connection_duration_seconds",
        "How long connections were open that are gone.",
        labels=names,
        unit="seconds",
    )
    for labels, each in labelled:
        round_trips.add_metric(labels, _buckets(ROUND_TRIPS, each.round_trips), each.round_trip_sum)
        durations.add_metric(labels, _buckets(DURATIONS, each.durations), each.duration_sum)
    yield round_trips
    yield durations


def _closed(names: list[str], labelled: Iterable[tuple[list[str], Snapshot]]) -> Metric:
    closed = CounterMetricFamily(
        "websocket_connections_closed",
        "Connections that were open and are gone, by close code.",
        labels=[*names, "code"],
    )
    for labels, each in labelled:
        counts = dict.fromkeys(_CODES, 0)  # what is not there at 0 has no rate when it comes
        for code, count in each.closed:
            counts[_name_of(code)] += count
        for name, count in counts.items():
            closed.add_metric([*labels, name], count)
    return closed


def _name_of(code: int) -> str:
    """Return the label of a close code: peers may choose one out of two thousand."""
    name = str(code)
    return name if name in _CODES else f"{name[0]}xxx"


def _buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    names = [*map(str, bounds), "+Inf"]
    return list(zip(names, accumulate(counts), strict=True))
