"""Regular expressions that an attacker cannot make slow."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import wsproto_async

GREEDY = {_constants.MAX_REPEAT, _constants.MIN_REPEAT}


def patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    for found in pkgutil.walk_packages(wsproto_async.__path__, "wsproto_async."):
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield f"{found.name}.{name}", value


def goes_back_and_forth(parsed: Any, inside: bool = False) -> bool:
    """Tell if a repetition that gives back what it took stands in another one."""
    for op, argument in parsed:
        repeats = op in GREEDY and argument[1] > 1
        if repeats and inside:
            return True
        children = argument if isinstance(argument, (tuple, list)) else [argument]
        if op is _constants.BRANCH:
            children = argument[1]
        for child in children:
            if isinstance(child, _parser.SubPattern) and goes_back_and_forth(
                child, inside or repeats or op is _constants.POSSESSIVE_REPEAT
            ):
                return True
    return False


PATTERNS = dict(patterns())


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_goes_back_and_forth(name: str) -> None:
    pattern = PATTERNS[name]
    assert not goes_back_and_forth(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))


@pytest.mark.parametrize(
    ("pattern", "bad"),
    [
        (r"(a+)+", True),
        (r"(a|b+)*c", True),
        (r"(a++)+", False),
        (r"a+b+", False),
        (r"(a?b)+", False),
    ],
)
def test_what_goes_back_and_forth(pattern: str, bad: bool) -> None:
    assert goes_back_and_forth(_parser.parse(pattern)) is bad
