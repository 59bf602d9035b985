"""What a hub knows: who has subscribed to what, who is a member, and what is kept. No IO.

A publication is passed on as it came, with its position before it if it has one.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Container
from functools import lru_cache
from time import monotonic
from typing import Final, Protocol

from ..broker import Missed, Retention
from ..history import Histories
from ..publication import Kind, Position, Publication
from ..wire import encode, parts
from .protocol import (
    DONE,
    ENTER,
    FIRST,
    GOODBYE,
    GREETING,
    HELLO,
    KEPT,
    LAST,
    LEAVE,
    MEMBERS,
    MESSAGE,
    PAGE,
    PING,
    POSITION,
    PUBLISH,
    READ,
    SUBSCRIBE,
    U8,
    U32,
    U64,
    UNSUBSCRIBE,
    VERSION,
    WELCOME,
    WELCOMED,
    Fields,
    FrameError,
    frame_of,
    message,
    short,
    split_publish,
    topic_end,
)

__all__ = ["Hub", "Process", "done_frame"]

_PAGE: Final = 2**20
"""Bytes; an answer that has as many is not added to."""


class Process(Protocol):
    """A process that is connected, as the hub sees it; each connection is another one."""

    name: bytes
    """16 bytes, the same on all its connections; empty until it has said it."""
    number: int
    topics: set[bytes]
    """What it has subscribed to."""
    entered: set[tuple[bytes, str]]
    """The topics and ids of its members."""

    def write(self, frame: bytes) -> None:
        """Send it a publication."""

    def answer(self, frame: bytes) -> None:
        """Answer its command."""

    def done(self) -> None:
        """Answer its command: it has been done, and there is no more to tell."""

    def end(self) -> None:
        """End the connection."""


class Hub:
    """Takes the commands of processes, and answers them."""

    def __init__(self) -> None:
        self._run = secrets.token_bytes(8)
        self._processes: dict[bytes, Process] = {}
        self._subscribers: dict[bytes, dict[Process, None]] = {}
        self._histories = Histories(_Names(self._subscribers))
        self._members: dict[bytes, dict[str, tuple[Process, bytes]]] = {}
        self._commands: dict[int, Callable[[Process, bytes], None]] = {
            HELLO: self._hello,
            PUBLISH: self._publish,
            SUBSCRIBE: self._subscribe,
            UNSUBSCRIBE: self._unsubscribe,
            READ: self._read,
            ENTER: self._enter,
            LEAVE: self._leave,
            MEMBERS: self._tell_members,
            PING: self._ping,
            GOODBYE: self._goodbye,
        }

    def receive(self, process: Process, frame: bytes) -> None:
        """Do what a process wants.

        Raises ValueError if it is nothing that a process may want; then it has to go.
        """
        kind = frame[4]
        if kind == MESSAGE and process.name:
            self._deliver(frame[6 : topic_end(frame)], frame)
            process.done()
            return
        command = self._commands.get(kind)
        if command is None or bool(process.name) is (kind == HELLO):
            raise FrameError(f"frame of type {kind}")
        command(process, frame)

    def forget(self, process: Process) -> None:
        """A process is gone: nothing is left of it, and its members leave."""
        if self._processes.get(process.name) is process:
            del self._processes[process.name]
        for topic in process.topics:
            self._drop_subscriber(process, topic)
        process.topics.clear()
        for topic, member in tuple(process.entered):
            self._drop_member(process, topic, member)

    def _hello(self, process: Process, frame: bytes) -> None:
        fields = Fields(frame)
        version, number, name = fields.take(GREETING)
        if version != VERSION:
            raise FrameError(f"version {version}")
        fields.end()
        # Its connection before may be the last to know of it. What it has not read is not read
        # now: the process has gone on, and its order would be wrong.
        before = self._processes.get(name)
        if before is not None:
            before.end()
            self.forget(before)
        self._processes[name] = process
        process.name, process.number = name, number
        process.answer(frame_of(WELCOME, WELCOMED.pack(VERSION, self._run)))

    # Publications

    def _publish(self, process: Process, frame: bytes) -> None:
        topic, key, size, age, data = split_publish(frame)
        name = topic[1:].decode()
        now = monotonic()
        earlier = self._histories.published(name, key, now) if key else None
        if earlier is not None:
            process.answer(frame_of(POSITION, _position(earlier[0])))
            return
        first = None
        if size:
            if not (age > 0 and math.isfinite(age)):
                raise FrameError("no age")
            first = self._keep(name, data, Retention(size, age), now)
        if key:
            self._histories.remember(name, key, first, now)
        where = _position(first)
        if first is None:
            self._deliver(topic[1:], message(topic[1:], [data]))
        else:
            self._deliver(topic[1:], frame_of(KEPT, topic, where, data))
        process.answer(frame_of(POSITION, where))

    def _keep(self, topic: str, data: bytes, retention: Retention, now: float) -> Position | None:
        """Keep publications; return the position of the first."""
        first = None
        for begin, end in tuple(parts(data)):  # all of them, or none if there is anything else
            # What it is made of is not looked into: it is kept as the payload of another.
            publication = Publication(topic, data[begin:end], False)
            kept = self._histories.append(publication, retention, now)
            first = first or kept.position
        return first

    def _deliver(self, topic: bytes, frame: bytes) -> None:
        for subscriber in self._subscribers.get(topic, ()):
            subscriber.write(frame)

    def _read(self, process: Process, frame: bytes) -> None:
        fields = Fields(frame)
        topic = fields.text()
        epoch = fields.text()
        (offset,) = fields.take(U64)
        fields.end()
        since = Position(epoch, offset) if epoch else None
        missed = self._histories.read(topic, since, monotonic())
        process.answer(_page_frame(missed))

    # Subscribing

    def _subscribe(self, process: Process, frame: bytes) -> None:
        fields = Fields(frame)
        topic = fields.text().encode()
        fields.end()
        process.topics.add(topic)
        self._subscribers.setdefault(topic, {})[process] = None
        process.done()

    def _unsubscribe(self, process: Process, frame: bytes) -> None:
        fields = Fields(frame)
        topic = fields.short()
        fields.end()
        if topic in process.topics:
            process.topics.remove(topic)
            self._drop_subscriber(process, topic)
        process.done()

    def _drop_subscriber(self, process: Process, topic: bytes) -> None:
        subscribers = self._subscribers[topic]
        del subscribers[process]
        if not subscribers:
            del self._subscribers[topic]
            self._histories.release(topic.decode())

    # Presence

    def _enter(self, process: Process, frame: bytes) -> None:
        fields = Fields(frame)
        topic = fields.short()
        member = fields.text()
        (is_silent,) = fields.take(U8)
        name = fields.rest()
        members = self._members.setdefault(topic, {})
        before = members.get(member)
        if before is not None:
            before[0].entered.discard((topic, member))
        members[member] = process, name
        process.entered.add((topic, member))
        if before is None and not is_silent:
            self._tell(topic, Kind.JOIN, member, name)
        process.done()

    def _leave(self, process: Process, frame: bytes) -> None:
        fields = Fields(frame)
        topic = fields.short()
        member = fields.text()
        fields.end()
        if (topic, member) in process.entered:
            self._drop_member(process, topic, member)
        process.done()

    def _drop_member(self, process: Process, topic: bytes, member: str) -> None:
        process.entered.remove((topic, member))
        members = self._members[topic]
        _, name = members.pop(member)
        if not members:
            del self._members[topic]
        self._tell(topic, Kind.LEAVE, member, name)

    def _tell(self, topic: bytes, kind: Kind, member: str, name: bytes) -> None:
        told = Publication("", name, True, kind=kind, key=member)
        self._deliver(topic, message(topic, [encode(told)]))

    def _tell_members(self, process: Process, frame: bytes) -> None:
        fields = Fields(frame)
        topic = fields.short()
        fields.end()
        flag = FIRST
        part: list[bytes] = []
        size = 0
        for member, (_, name) in self._members.get(topic, {}).items():
            if size >= _PAGE:
                process.answer(frame_of(MEMBERS, U8.pack(flag), *part))
                flag = size = 0
                part.clear()
            part += (short(member.encode()), U32.pack(len(name)), name)
            size += len(member) + len(name)
        process.answer(frame_of(MEMBERS, U8.pack(flag | LAST), *part))

    # The connection

    def _ping(self, process: Process, frame: bytes) -> None:
        fields = Fields(frame)
        fields.end()
        process.done()

    def _goodbye(self, process: Process, frame: bytes) -> None:
        fields = Fields(frame)
        fields.end()
        self.forget(process)
        process.done()


class _Names(Container[str]):
    """Topics that stand by their bytes, by their names."""

    def __init__(self, topics: Container[bytes]) -> None:
        self._topics = topics

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.encode() in self._topics


@lru_cache(maxsize=4096)
def _epoch(epoch: str) -> bytes:
    return short(epoch.encode())


def _position(position: Position | None) -> bytes:
    epoch, offset = position or ("", 0)
    return _epoch(epoch) + U64.pack(offset)


def _page_frame(missed: Missed) -> bytes:
    page: list[bytes] = []
    size = 0
    for publication in missed.publications or ():
        page += (U32.pack(len(publication.payload)), publication.payload)
        size += len(publication.payload)
        if size >= _PAGE:
            break
    is_there = missed.publications is not None
    return frame_of(PAGE, _position(missed.position), U8.pack(is_there), *page)


def done_frame(count: int) -> bytes:
    """Return what answers so many commands."""
    return frame_of(DONE, U32.pack(count))
