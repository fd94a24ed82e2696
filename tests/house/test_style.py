"""Sizes, names, docstrings: what a reader meets in every file of gslb."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from .conftest import Module

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: Module) -> Iterator[Function]:
    """Every function and method, nested ones included."""
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def public(module: Module) -> Iterator[Function | ast.ClassDef]:
    """The functions and classes that another module may import."""
    for node in module.tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def test_no_file_is_longer_than_400_lines(modules: list[Module]) -> None:
    long = {m.path: lines for m in modules if (lines := m.text.count("\n")) > MAX_FILE_LINES}
    assert not long


def test_no_function_is_longer_than_60_lines(modules: list[Module]) -> None:
    long = {
        f"{module.path}:{node.lineno} {node.name}": lines
        for module in modules
        for node in functions(module)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert not long


def test_no_module_has_a_name_that_says_nothing(modules: list[Module]) -> None:
    assert not [m.path for m in modules if VAGUE & set(m.name.lstrip("_").split("."))]


def test_every_module_says_what_it_knows(modules: list[Module]) -> None:
    assert not [m.path for m in modules if m.text.strip() and not ast.get_docstring(m.tree)]


def test_everything_public_says_what_it_does(modules: list[Module]) -> None:
    silent = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules
        for node in public(module)
        if not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def test_nothing_is_of_type_any(modules: list[Module]) -> None:
    used = [
        f"{module.path}:{node.lineno}"
        for module in modules
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Name) and node.id == "Any")
        or (isinstance(node, ast.Attribute) and node.attr == "Any")
    ]
    assert not used, "\n".join(used)


def test_nothing_is_left_for_later(tracked: list[Path]) -> None:
    # Spelled apart, or this file would find itself.
    marks = ("TO" + "DO", "FIX" + "ME")
    left = [
        f"{path}:{number}"
        for path in tracked
        if path.suffix == ".py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if any(mark in line for mark in marks)
    ]
    assert not left, "\n".join(left)


def test_no_possessive_quantifier_stands_on_a_group(modules: list[Module]) -> None:
    """Python before 3.11.5 gets them wrong: they lose what the last round took."""
    assert not [m.path for m in modules if any(q in m.text for q in (")++", ")*+", ")?+"))]
