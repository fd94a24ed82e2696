"""docs/rfc.md is true as far as a machine can tell: its tests exist, nothing is forgotten."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PAGE = Path("docs/rfc.md")
LAST = "## Requirements and their tests"
FAMILIES = (
    "BASIC PKT INV EDNS COOK TCP TRUNC ECS GEO ZONE SEC RRL LIVE RELOAD".split()  # noqa: SIM905
)
ID = re.compile(rf"\b(?:{'|'.join(FAMILIES)})-\d\d\b")
LINK = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def functions(path: Path) -> frozenset[str]:
    """The test functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def ids_of(name: str) -> set[str]:
    """`test_zone_30_and_33_to_35_…` → ZONE-30, ZONE-33, ZONE-34, ZONE-35."""
    found, family, last, is_range = set(), "", 0, False
    for word in name.split("_"):
        if word.upper() in FAMILIES:
            family, is_range = word.upper(), False
        elif family and re.fullmatch(r"\d\d", word):
            first = last + 1 if is_range else int(word)
            last, is_range = int(word), False
            found |= {f"{family}-{number:02}" for number in range(first, last + 1)}
        elif word == "to":
            is_range = True
        elif word != "and":
            family = ""
    return found


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / PAGE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def requirements(text: str) -> dict[str, str]:
    """The rows of the last table by id."""
    rows = [line for line in text.partition(LAST)[2].splitlines() if line.startswith("| ")]
    found = {match[0]: row for row in rows if (match := ID.match(row, 2))}
    assert len(found) > 150
    assert len(found) == sum(1 for row in rows if ID.match(row, 2)), "an id has two rows"
    return found


def test_every_test_that_the_page_names_exists(root: Path, text: str) -> None:
    links = LINK.findall(text)
    assert len(links) > 150
    missing = {
        f"{path}::{name}"
        for path, name in links
        if not (root / path).is_file() or name not in functions(root / path)
    }
    assert not missing


def test_every_requirement_that_has_to_hold_has_a_test_of_its_name(
    requirements: dict[str, str],
) -> None:
    untested = {
        number
        for number, row in requirements.items()
        if row.split("|")[2].strip() in ("M", "S")
        and not any(number in ids_of(name) for _, name in LINK.findall(row))
    }
    assert not untested


def test_every_id_on_the_page_is_a_requirement(text: str, requirements: dict[str, str]) -> None:
    assert not set(ID.findall(text)) - set(requirements)


def test_every_test_of_a_requirement_is_on_the_page(
    root: Path, requirements: dict[str, str]
) -> None:
    forgotten = {
        f"{path.relative_to(root)}::{name}"
        for path in sorted((root / "tests" / "rfc").glob("test_*.py"))
        for name in functions(path)
        for number in ids_of(name)
        if f"{path.relative_to(root)}::{name}" not in requirements.get(number, "")
    }
    assert not forgotten


def test_a_section_that_is_done_and_asks_something_has_a_test(text: str) -> None:
    bare = [
        line
        for line in text.partition(LAST)[0].splitlines()
        if line.startswith("| ")
        and "| yes |" in line
        and not ID.search(line.rsplit("|", 2)[1])
        and not LINK.search(line.rsplit("|", 2)[1])
    ]
    assert [line for line in bare if "| 9499 |" not in line] == []
