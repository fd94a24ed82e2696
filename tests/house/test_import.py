"""Imports go down only, outside packages come in by one door each, and the core knows no world.

The rules are architecture.md's (Layout, Direction, Doors). import-linter keeps the directions too;
here every import statement counts, those inside functions and under TYPE_CHECKING included.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from .conftest import Module

# From the top down: a layer may import the layers after it, and nothing before it. Parts of one
# layer never import each other. What is not named here is a module of the command line.
LAYERS = [
    {"app", "lab"},
    {"control", "serve", "probe", "geo", "observe"},
    {"config"},
    {"core"},
    {"wire"},
    {"errors"},
]

DOORS = {
    "yaml": ["gslb.config"],
    "pydantic": ["gslb.config", "gslb.control"],
    "pydantic_core": ["gslb.config", "gslb.control"],
    "dns": ["gslb.config.zonefile"],
    "maxminddb": ["gslb.geo.database"],
    "geoip2": ["gslb.geo.database"],
    "numpy": ["gslb.geo"],
    "aiohttp": ["gslb.control", "gslb.lab"],
    "h11": ["gslb.probe.exchange"],
    "siphash24": ["gslb.serve.cookie"],
    "dnslib": ["gslb.ask", "gslb.lab", "gslb.probe.dns"],
    "typer": ["gslb.cli", "gslb.operate", "gslb.option"],
    "click": ["gslb.cli"],
    "rich": ["gslb.cli", "gslb.console"],
    "prometheus_client": ["gslb.observe.metrics"],
    "sqlite3": ["gslb.control.statefile"],  # SQL apart from the store's thread and its queue
}

WORLD = {
    "asyncio", "socket", "os", "pathlib", "time", "random", "logging", "threading", "numpy",
}  # fmt: skip


def imported(module: Module) -> Iterator[tuple[str, int]]:
    """Dotted names that the module imports, with their lines; `from a import b` gives `a.b`."""
    package = module.name.split(".")
    if not module.path.endswith("__init__.py"):
        package = package[:-1]
    for node in ast.walk(module.tree):
        match node:
            case ast.Import():
                yield from ((alias.name, node.lineno) for alias in node.names)
            case ast.ImportFrom():
                base = package[: len(package) - node.level + 1] if node.level else []
                origin = ".".join([*base, *([node.module] if node.module else [])])
                yield from ((f"{origin}.{alias.name}", node.lineno) for alias in node.names)
            case _:
                pass


def part(name: str) -> str:
    """The part of gslb that a dotted name belongs to: `gslb.core.zone` → `core`."""
    pieces = name.split(".")
    return pieces[1] if len(pieces) > 1 else ""


def depth(of_part: str) -> int:
    """How far down a part stands; the command line stands on top."""
    return next((i for i, layer in enumerate(LAYERS, start=1) if of_part in layer), 0)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def test_imports_never_go_up_or_sideways(modules: list[Module]) -> None:
    wrong = []
    for module in modules:
        here = part(module.name)
        if not here:  # gslb/__init__.py has nothing to import
            here = "errors"
        for name, line in imported(module):
            there = part(name)
            if not within(name, "gslb") or there == here:
                continue
            if depth(here) > depth(there) or depth(here) == depth(there) > 0:
                wrong.append(f"{module.path}:{line}: {here} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_the_lab_imports_nothing_of_ours_but_wire_and_errors(modules: list[Module]) -> None:
    wrong = [
        f"{module.path}:{line}: {name}"
        for module in modules
        if part(module.name) == "lab"
        for name, line in imported(module)
        if within(name, "gslb") and part(name) not in {"lab", "wire", "errors"}
    ]
    assert not wrong, "\n".join(wrong)


def test_core_wire_and_errors_know_no_world(modules: list[Module]) -> None:
    wrong = [
        f"{module.path}:{line}: {name}"
        for module in modules
        if part(module.name) in {"core", "wire", "errors"}
        for name, line in imported(module)
        if name.split(".")[0] in WORLD
    ]
    assert not wrong, "\n".join(wrong)


def test_wire_imports_the_standard_library_only(modules: list[Module]) -> None:
    wrong = [
        f"{module.path}:{line}: {name}"
        for module in modules
        if part(module.name) == "wire"
        for name, line in imported(module)
        if name.split(".")[0] not in sys.stdlib_module_names | {"gslb"}
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", DOORS)
def test_every_outside_package_has_one_door(package: str, modules: list[Module]) -> None:
    wrong = [
        f"{module.path}:{line}: {name}"
        for module in modules
        for name, line in imported(module)
        if within(name, package) and not any(within(module.name, door) for door in DOORS[package])
    ]
    assert not wrong, "\n".join(wrong)


def test_every_import_from_outside_is_a_package_with_a_door(modules: list[Module]) -> None:
    known = sys.stdlib_module_names | DOORS.keys() | {"gslb"}
    wrong = [
        f"{module.path}:{line}: {name}"
        for module in modules
        for name, line in imported(module)
        if name.split(".")[0] not in known
    ]
    assert not wrong, "\n".join(wrong)


def test_the_command_line_starts_with_typer_and_the_standard_library_only() -> None:
    heavy = [
        "rich",
        "pydantic",
        "yaml",
        "numpy",
        "aiohttp",
        "dns",
        "dnslib",
        "maxminddb",
        "geoip2",
        "prometheus_client",
        "sqlite3",
    ]
    program = f"import sys, gslb.cli; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def test_what_answers_starts_without_what_only_the_loading_child_needs() -> None:
    # Not pydantic: the bodies of the HTTP API are made of it (control.md), for 0.1 s.
    heavy = ["numpy", "yaml", "dns", "dnslib", "typer"]
    program = f"import sys, gslb.app.start; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"
