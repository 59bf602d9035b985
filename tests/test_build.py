"""Both builds are one source: which of them is tested, and that no ``.pxd`` names what is gone."""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path

import pytest

import wsproto_async

SOURCES = Path(__file__).parent.parent / "wsproto_async"
PXDS = sorted(path for path in SOURCES.rglob("*.pxd") if path.with_suffix(".py").exists())


def test_the_build_is_the_one_that_was_asked_for() -> None:
    asked_for = os.environ.get("WSPROTO_ASYNC_BUILD")
    if asked_for:
        assert wsproto_async.compiled is (asked_for == "compiled")


def test_each_hot_module_is_compiled_or_none() -> None:
    folder = Path(wsproto_async.__file__).parent
    compiled = {
        module.relative_to(folder).with_name(module.name.partition(".")[0])
        for module in folder.rglob("*.so")
    }
    listed = re.findall(r'"((?:\w+/)+\w+)\.pyx?"', (SOURCES.parent / "setup.py").read_text())
    hot = set(map(Path, listed))
    sources = [*SOURCES.rglob("*.pxd"), *SOURCES.rglob("*.pyx")]
    assert hot >= {path.relative_to(SOURCES).with_suffix("") for path in sources}
    if sys.platform != "linux":
        hot -= {Path("aio/poller"), Path("aio/transport")}
    assert compiled == (hot if wsproto_async.compiled else set())


class Declared:
    """What a ``.pxd`` declares: attributes and functions by class, None for the module's own."""

    def __init__(self, text: str) -> None:
        self.attributes: dict[str | None, set[str]] = {None: set()}
        self.functions: dict[str | None, dict[str, set[str]]] = {None: {}}
        text = re.sub(r"#.*", "", text)
        found_locals: set[str] = set()
        for line in self._join(text).splitlines():
            owner = list(self.functions)[-1] if line.startswith(" ") else None
            if match := re.match(r"cdef class (\w+)", line):
                self.attributes[match[1]] = set()
                self.functions[match[1]] = {}
            elif match := re.match(r"\s*@cython\.locals\((.*)\)", line):
                found_locals = set(re.findall(r"(\w+)\s*=", match[1]))
            elif match := re.match(r"\s*cp?def\s+(?:[\w.]+[\s*]+)*?(\w+)\s*\(", line):
                self.functions[owner][match[1]] = found_locals
                found_locals = set()
            elif match := re.match(r"\s*cdef\s+(?:[\w.]+[\s*]+)+?(\w+)\s*$", line):
                self.attributes[owner].add(match[1])
            else:
                assert not line.strip() or "cimport" in line, f"not understood: {line!r}"

    @staticmethod
    def _join(text: str) -> str:
        """Bring what stands between brackets into one line."""
        return re.sub(r"\([^)]*\)", lambda match: " ".join(match[0].split()), text)


def slots_of(node: ast.ClassDef) -> set[str]:
    for statement in node.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__slots__":
            return set(ast.literal_eval(statement.value))
    raise AssertionError(f"class {node.name} has no __slots__")


def names_in(node: ast.AST) -> set[str]:
    found = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Name):
            found.add(child.id)
        elif isinstance(child, ast.ImportFrom | ast.Import):
            found |= {(alias.asname or alias.name) for alias in child.names}
    return found


def functions_in(node: ast.Module | ast.ClassDef) -> dict[str, ast.AST]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {child.name: child for child in node.body if isinstance(child, kinds)}


@pytest.mark.parametrize("path", PXDS, ids=lambda path: path.relative_to(SOURCES).as_posix())
def test_a_pxd_declares_what_is_in_its_module(path: Path) -> None:
    declared = Declared(path.read_text(encoding="utf-8"))
    module = ast.parse(path.with_suffix(".py").read_text(encoding="utf-8"))
    classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    assert declared.attributes[None] <= names_in(module)
    for owner, functions in declared.functions.items():
        assert owner is None or owner in classes
        defined = functions_in(module if owner is None else classes[owner])
        assert functions.keys() <= defined.keys()
        for name, variables in functions.items():
            assert variables <= names_in(defined[name]), f"locals of {name}"
    for owner, attributes in declared.attributes.items():
        if owner is not None:
            assert attributes == slots_of(classes[owner]), f"attributes of {owner}"


def test_a_pxd_is_understood() -> None:
    declared = Declared(
        "cimport cython\nfrom .a cimport (\n    b,\n    c,\n)\n\ncdef int LIMIT\n\n\n"
        "cdef class Thing(Other):\n    cdef readonly Py_ssize_t size\n    cdef object _name\n\n"
        "    @cython.locals(\n        data=bytes, pos=cython.Py_ssize_t\n    )\n"
        "    cpdef bytes take(self, Py_ssize_t limit=*)\n    cdef bint _go(self) except -1\n\n\n"
        "cpdef bytes whole(\n    bytes data, bint fin=*\n)\n"
    )
    assert declared.attributes == {None: {"LIMIT"}, "Thing": {"size", "_name"}}
    assert declared.functions == {
        None: {"whole": set()},
        "Thing": {"take": {"data", "pos"}, "_go": set()},
    }
