from __future__ import annotations

from collections.abc import Iterator

import pytest
from started import Example, Start, wait_until_answering


@pytest.fixture
def start() -> Iterator[Start]:
    """Start servers; stop what still runs after the test, and expect all to end cleanly."""
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
