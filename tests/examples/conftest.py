"""Servers among the examples, for a test or for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest
from started import Example, Start, wait_until_answering


@contextmanager
def servers() -> Iterator[Start]:
    """Start servers; stop what still runs in the end, and expect all to end cleanly."""
    examples: list[Example] = []

    def start(name: str, *options: str) -> Example:
        example = Example(name, *options)
        examples.append(example)
        wait_until_answering(example)
        return example

    try:
        yield start
        for example in examples:
            if example.process.returncode is None:
                example.interrupt()
                example.wait()
    finally:
        for example in examples:
            example.kill()


@pytest.fixture
def start() -> Iterator[Start]:
    with servers() as start:
        yield start


@pytest.fixture(scope="module")
def share() -> Iterator[Start]:
    """Start each server once, for the tests that it does not remember."""
    with servers() as start:
        yield cache(start)
