"""Metrics for Prometheus, read by its own parsers."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from asking import BEARER, TOKEN, echo, get
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_text
from raw_peer import CLOSE, raw_peer, until

from wsproto_async import Server, TopicStats, connect, serve
from wsproto_async.aio.record import DURATIONS
from wsproto_async.codec.opcodes import CloseCode
from wsproto_async.status import Status
from wsproto_async.status.metrics import ServerCollector, render
from wsproto_async.status.snapshot import ROUND_TRIPS, Snapshot

STATUS = Status(metrics="/metrics", token=TOKEN)
DOCS = Path(__file__).parent.parent.parent / "docs" / "monitoring.md"
OPENMETRICS = "Accept: application/openmetrics-text; version=1.0.0,text/plain;version=0.0.4;q=0.5"


async def use(server: Server) -> None:
    """Five connections that are gone, of which three have closed by codes of their own."""
    for code in (1000, 1000, 3001, 4001, 4002):
        async with connect(f"ws://127.0.0.1:{server.port}/") as ws:
            await ws.send("x" * 10)
            await ws.recv()
            await ws.close(code)
    async with raw_peer(server.port) as peer:
        await peer.send(b"\x88\x80" + bytes(4))
        assert (await peer.read_frame()).opcode == CLOSE
    await until(lambda: not server._websockets)


def values(registry: CollectorRegistry, name: str) -> dict[str, float]:
    """The samples of a metric by its last label."""
    return {
        list(sample.labels.values())[-1]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    }


async def test_what_is_counted() -> None:
    async with serve(echo, 0) as server:
        registry = CollectorRegistry()
        registry.register(ServerCollector(server))
        await use(server)
        value = registry.get_sample_value
        stats = server.stats()
        assert value("websocket_connections_opened_total") == 6
        assert value("websocket_connections") == 0
        assert value("websocket_messages_received_total") == 5
        assert value("websocket_messages_sent_total") == 5
        assert value("websocket_received_bytes_total") == stats.bytes_received
        assert value("websocket_sent_bytes_total") == stats.bytes_sent
        assert value("websocket_requests_refused_total") == 0
        assert value("websocket_start_time_seconds") == server._record.started
        closed = values(registry, "websocket_connections_closed_total")
        expected = dict.fromkeys((str(int(code)) for code in CloseCode), 0)
        assert closed == {**expected, "1000": 2, "1005": 1, "3xxx": 1, "4xxx": 2}
        assert value("websocket_connection_duration_seconds_count") == 6
        assert value("websocket_connection_duration_seconds_bucket", {"le": "1.0"}) == 6
        assert 0 < value("websocket_connection_duration_seconds_sum") < 6


async def test_round_trips_are_those_of_now() -> None:
    async with serve(echo, 0, ping_interval=0.01) as server:
        registry = CollectorRegistry()
        registry.register(ServerCollector(server))
        async with connect(f"ws://127.0.0.1:{server.port}/"):
            (ws,) = server.connections
            await until(lambda: ws.latency)
            assert registry.get_sample_value("websocket_round_trip_seconds_gcount") == 1
            assert registry.get_sample_value("websocket_round_trip_seconds_gsum") > 0
        await until(lambda: not server._websockets)
        assert registry.get_sample_value("websocket_round_trip_seconds_gcount") == 0


async def test_names_keep_to_prometheuss_conventions_and_are_in_the_docs() -> None:
    async with serve(echo, 0, status=STATUS) as server:
        text = (await get(server, "/metrics", BEARER)).body.decode()
        types = {}
        samples = set()
        for family in parse_text(text):
            assert family.documentation.endswith(".")
            types[family.name] = family.type
            for sample in family.samples:
                samples.add(sample.name)
                assert sample.labels.keys() <= {"code", "le"}
    table = DOCS.read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(websocket_\w+)` \|", table, re.MULTILINE))
    exposed = {f"{name}_total" if type == "counter" else name for name, type in types.items()}
    assert documented == {name for name in exposed if not name.endswith(("_gcount", "_gsum"))}
    for rules in re.findall(r"^```yaml\n(.*?)^```$", table, re.MULTILINE | re.DOTALL):
        assert samples >= set(re.findall(r"\bwebsocket_\w+", rules))


def test_each_number_is_where_it_belongs() -> None:
    """Of a snapshot in which no two are equal."""
    codes = [*(int(code) for code in CloseCode), 3999, 4000]
    snapshot = Snapshot(
        worker=7,
        started=101.5,
        at=102.5,
        connections=103,
        handshakes=104,
        accepted=105,
        refused=106,
        shed=107,
        messages_received=108,
        messages_sent=109,
        bytes_received=110,
        bytes_sent=111,
        buffered=112,
        behind=113,
        paused=114,
        closed=[[code, 200 + number] for number, code in enumerate(codes)],
        round_trips=[2**number for number in range(len(ROUND_TRIPS) + 1)],
        round_trip_sum=115.5,
        durations=[3**number for number in range(len(DURATIONS) + 1)],
        duration_sum=116.5,
        topics=TopicStats(
            topics=117,
            subscriptions=118,
            is_broker_up=True,
            published=119,
            received=120,
            dropped=121,
            closed=122,
            duplicates=123,
            gaps=124,
            refused=125,
        )._asdict(),
        largest=[["news", 126]],
        slowest=[["somebody", 127]],
    )
    numbers = {
        "websocket_connections": 103,
        "websocket_handshakes": 104,
        "websocket_buffered_bytes": 112,
        "websocket_connections_behind": 113,
        "websocket_connections_paused": 114,
        "websocket_start_time_seconds": 101.5,
        "websocket_connections_opened_total": 105,
        "websocket_requests_refused_total": 106,
        "websocket_requests_shed_total": 107,
        "websocket_messages_received_total": 108,
        "websocket_messages_sent_total": 109,
        "websocket_received_bytes_total": 110,
        "websocket_sent_bytes_total": 111,
        "websocket_topics": 117,
        "websocket_subscriptions": 118,
        "websocket_broker_up": 1,
        "websocket_topic_messages_published_total": 119,
        "websocket_topic_publications_received_total": 120,
        "websocket_topic_messages_dropped_total": 121,
        "websocket_topic_subscribers_closed_total": 122,
        "websocket_topic_publications_duplicate_total": 123,
        "websocket_topic_gaps_total": 124,
        "websocket_topic_publications_refused_total": 125,
        "websocket_round_trip_seconds_gcount": 2 ** (len(ROUND_TRIPS) + 1) - 1,
        "websocket_round_trip_seconds_gsum": 115.5,
        "websocket_connection_duration_seconds_count": (3 ** (len(DURATIONS) + 1) - 1) / 2,
        "websocket_connection_duration_seconds_sum": 116.5,
    }
    expected = {(name, ""): value for name, value in numbers.items()}
    for number, name in enumerate([*map(str, codes[:-2]), "3xxx", "4xxx"]):
        expected["websocket_connections_closed_total", name] = 200 + number
    for number, bound in enumerate((*ROUND_TRIPS, "+Inf")):
        expected["websocket_round_trip_seconds_bucket", str(bound)] = 2 ** (number + 1) - 1
    for number, bound in enumerate((*DURATIONS, "+Inf")):
        name = "websocket_connection_duration_seconds_bucket"
        expected[name, str(bound)] = (3 ** (number + 1) - 1) / 2
    for by_worker in (False, True):
        found = {}
        for family in parse_text(render([snapshot], None, "", by_worker=by_worker).body.decode()):
            for sample in family.samples:
                assert sample.labels.pop("worker", None) == ("7" if by_worker else None)
                found[sample.name, "".join(sample.labels.values())] = sample.value
        assert found == expected


async def test_openmetrics_for_who_prefers_it() -> None:
    async with serve(echo, 0, status=STATUS) as server:
        await use(server)
        answer = await get(server, "/metrics", BEARER, OPENMETRICS)
        assert answer.header("Content-Type").startswith("application/openmetrics-text; version=1")
        families = {family.name: family for family in parse_open(answer.body.decode())}
        assert families["websocket_round_trip_seconds"].type == "gaugehistogram"
        assert families["websocket_received_bytes"].unit == "bytes"
        answer = await get(server, "/metrics", BEARER)
        assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("version", ["x", "1.0.x", "2.0.x", ""])
@pytest.mark.parametrize("type", ["application/openmetrics-text", "text/plain"])
async def test_a_version_that_is_none_gets_text(type: str, version: str) -> None:
    async with serve(echo, 0, status=STATUS) as server:
        answer = await get(server, "/metrics", BEARER, f"Accept: {type}; version={version}")
        assert answer.status == 200
        assert b"\nwebsocket_connections 0.0\n" in answer.body


async def test_an_applications_registry_stands_beside() -> None:
    registry = CollectorRegistry()
    Counter("orders", "Orders.", registry=registry).inc(3)
    status = Status(metrics="/metrics", token=TOKEN, registry=registry)
    async with serve(echo, 0, status=status) as server:
        for lines in ((), (OPENMETRICS,)):
            body = (await get(server, "/metrics", BEARER, *lines)).body
            assert b"\norders_total 3.0\n" in body
            assert b"\nwebsocket_connections 0.0\n" in body
    assert b"websocket" not in generate_latest(registry)


async def test_a_collector_may_be_asked_by_other_threads() -> None:
    """The event loop looks at its connections itself; after the end anybody may."""
    async with serve(echo, 0) as server:
        collector = ServerCollector(server)
        with ThreadPoolExecutor() as threads:
            asking = threads.submit(collector.collect)
            with pytest.raises(TimeoutError):
                asking.result(0.1)  # while the event loop stands still
            found = await asyncio.wrap_future(asking)
        assert found[0].name == "websocket_connections"
        await use(server)
    assert len(await asyncio.to_thread(collector.collect)) == len(found)


@pytest.mark.one_loop
async def test_a_collector_of_a_loop_that_is_over() -> None:
    async def make() -> ServerCollector:
        async with serve(echo, 0) as server:
            return ServerCollector(server)

    collector = await asyncio.to_thread(asyncio.run, make())
    assert collector.collect()


def test_without_the_extra(tmp_path: Path) -> None:
    """The page needs nothing; metrics say what is missing."""
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('none here')")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from wsproto_async.status import Status\n"
        "Status()\n"
        "try: Status(metrics='/metrics')\n"
        "except ImportError as exc: print(exc)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "metrics need prometheus-client: wsproto_async[metrics]\n", done.stderr
