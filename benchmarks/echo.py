"""Echo over loopback: messages per second and server CPU per message, ours beside `websockets`.

Run: make bench   (Linux; one connection, binary messages of 256 bytes, uvloop, no compression)

The server has one core, this client the other, where there are two. Rounds are interleaved and
the table shows medians, so the ratios hold where the figures move with the machine.
"""

import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import time

SIZE = 256
ROUNDS = 5
WORK = {1: 20_000, 32: 100_000}  # messages in flight: messages in a round
SERVERS = ("wsproto_async", "websockets")
CORES = sorted(os.sched_getaffinity(0))
HEAD = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def serve_ours() -> None:
    from wsproto_async import WebSocket, serve

    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    async with serve(echo, 0) as server:
        print(server.port, flush=True)
        await server.serve_forever()


async def serve_websockets() -> None:
    from websockets.asyncio.server import ServerConnection, serve

    async def echo(ws: ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
        await server.wait_closed()


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def receive(sock: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        data = sock.recv(2**18)
        assert data, "the server has gone"
        received += data
    return bytes(received)


def measure(name: str, in_flight: int, messages: int) -> tuple[float, float]:
    """Return messages per second and microseconds of server CPU per message."""
    command = [sys.executable, __file__, name, str(CORES[0])]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    with server, socket.create_connection(("127.0.0.1", int(server.stdout.readline()))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(HEAD)
        while b"\r\n\r\n" not in sock.recv(65536):
            pass
        payload = os.urandom(SIZE)
        request = b"\x82\xfe" + SIZE.to_bytes(2, "big") + bytes(4) + payload
        reply = b"\x82\x7e" + SIZE.to_bytes(2, "big") + payload
        for _ in range(20):  # warm up
            sock.sendall(request * in_flight)
            assert receive(sock, len(reply) * in_flight) == reply * in_flight
        cpu, start = cpu_seconds(server.pid), time.perf_counter()
        for _ in range(messages // in_flight):
            sock.sendall(request * in_flight)
            assert receive(sock, len(reply) * in_flight) == reply * in_flight
        duration, cpu = time.perf_counter() - start, cpu_seconds(server.pid) - cpu
        sock.sendall(b"\x88\x82\0\0\0\0\x03\xe8")  # Close 1000: `websockets` logs worse ends
        receive(sock, 4)
        server.send_signal(signal.SIGTERM)
    return messages / duration, cpu / messages * 1e6


def main() -> None:
    os.sched_setaffinity(0, {CORES[-1]})
    print("| in flight | server | messages/s | server CPU per message |")
    print("|---|---|---|---|")
    for in_flight, messages in WORK.items():
        rounds = [[measure(name, in_flight, messages) for name in SERVERS] for _ in range(ROUNDS)]
        for name, results in zip(SERVERS, zip(*rounds, strict=True), strict=True):
            rate, cpu = (statistics.median(values) for values in zip(*results, strict=True))
            print(f"| {in_flight} | {name} | {rate:,.0f} | {cpu:.1f} µs |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        import uvloop

        os.sched_setaffinity(0, {int(sys.argv[2])})
        uvloop.run({"wsproto_async": serve_ours, "websockets": serve_websockets}[sys.argv[1]]())
    else:
        main()
