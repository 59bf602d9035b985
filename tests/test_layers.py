"""The folders are the layers: imports only point upward, and only the lower layers do IO."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "wsproto_async"
ROOT = Path(__file__).parent.parent / PACKAGE

# From top to bottom: a layer may import itself and what stands before it.
LAYERS = (
    "exceptions",
    "codec",
    "extensions",
    "handshake",
    "sansio",
    "build",
    "pubsub",
    "aio",
    "status",
    "uvicorn",
    "testing",
    "workers",
    "cli",
    "__main__",
)
IO_LAYERS = frozenset(LAYERS[LAYERS.index("pubsub") :])
IO_MODULES = frozenset({"asyncio", "select", "selectors", "signal", "socket", "ssl", "uvloop"})

MODULES = sorted(ROOT.rglob("*.py"))


def layer_of(path: Path) -> str | None:
    """The layer a file belongs to; None is the facade, ``__init__.py``."""
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return None if first == "__init__" else first


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below this one, except what stands under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for otherwise in child.orelse:
                yield otherwise
                yield from runtime_nodes(otherwise)
            continue
        yield child
        yield from runtime_nodes(child)


def imported_names(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all that is imported at run time, relative names resolved."""
    for node in runtime_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def package_of(path: Path) -> str:
    return ".".join([PACKAGE, *path.relative_to(ROOT).parts[:-1]])


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_every_module_belongs_to_a_layer(path: Path) -> None:
    assert layer_of(path) in (None, *LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_only_point_upward(path: Path) -> None:
    layer = layer_of(path)
    if layer is None:
        return
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    wrong = [
        f"line {line}: {name}"
        for line, name in imported_names(parse(path), package_of(path))
        if name.split(".")[0] == PACKAGE and name.split(".")[1] not in allowed
    ]
    assert not wrong, f"{relative(path)} may import {', '.join(allowed)}"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_only_the_lower_layers_do_io(path: Path) -> None:
    if layer_of(path) in IO_LAYERS:
        return
    tree = parse(path)
    wrong = [
        f"line {line}: {name}"
        for line, name in imported_names(tree, package_of(path))
        if name.split(".")[0] in IO_MODULES
    ]
    wrong += [
        f"line {node.lineno}: {type(node).__name__}"
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await)
    ]
    assert not wrong


def test_the_facade_only_imports() -> None:
    body = parse(ROOT / "__init__.py").body
    kinds = {type(node) for node in body[1:]}
    assert kinds <= {ast.ImportFrom, ast.Import, ast.Assign, ast.AnnAssign}
    assigned = [node for node in body if isinstance(node, ast.Assign)]
    assert [ast.unparse(node.targets[0]) for node in assigned] == ["__all__"]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from .. import codec", ["wsproto_async.codec"]),
        ("from ..codec.mask import x", ["wsproto_async.codec.mask.x"]),
        ("from . import y", ["wsproto_async.sansio.y"]),
        ("from .state import State", ["wsproto_async.sansio.state.State"]),
        ("import wsproto_async.aio", ["wsproto_async.aio"]),
        ("def f():\n    from ..aio import z", ["wsproto_async.aio.z"]),
        ("if TYPE_CHECKING:\n    from ..aio import z", []),
        ("if typing.TYPE_CHECKING:\n    import a\nelse:\n    import b", ["b"]),
    ],
)
def test_names_are_resolved(code: str, names: list[str]) -> None:
    found = imported_names(ast.parse(code), "wsproto_async.sansio")
    assert [name for _, name in found] == names
