"""The files around the code: they are portable, agree with each other, and do what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# Spelled apart, or this file would find itself.
REGISTRY = re.compile(r"pypi\.(org|io)|python" + r"hosted|deb\.deb" + r"ian|archive\.ub" + "untu")
MACHINE_PATH = re.compile(r"(?<![\w.~<>{}$-])/(work|root|home|Users)/\w")


def readable(path: Path) -> str:
    """The text of a file; of one that is no text, nothing."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def offences(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(readable(path).splitlines(), start=1)
        if pattern.search(line)
    ]


def targets(root: Path) -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", readable(root / "Makefile"), re.MULTILINE))


def commands(root: Path, program: str) -> set[str]:
    """First words after `program` in the code of the README and CONTRIBUTING."""
    found: set[str] = set()
    for name in ("README.md", "CONTRIBUTING.md"):
        text = readable(root / name)
        code = re.findall(r"```.*?\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
        for block, inline in code:
            for line in (block or inline).splitlines():
                words = re.match(rf"\s*(?:\$ )?(?:\S*/)?{program} ([a-z][a-z-]*)", line)
                found |= {words[1]} if words else set()
    return found


def test_no_file_names_a_package_registry(tracked: list[Path]) -> None:
    assert not offences(REGISTRY, tracked)


def test_no_file_names_a_path_of_somebodys_machine(tracked: list[Path]) -> None:
    assert not offences(MACHINE_PATH, tracked)


def test_every_make_command_in_the_readme_is_a_target(root: Path) -> None:
    said = commands(root, "make")
    assert {"lab", "test"} <= said
    assert said <= targets(root)


def test_every_make_target_is_explained_by_make_help(root: Path) -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=root, capture_output=True, text=True
    )
    assert {"lab", "test", "check", "bench", "help"} <= targets(root)
    assert targets(root) <= set(re.findall(r"^  make ([a-z-]+) ", shown.stdout, re.MULTILINE))


def test_every_gslb_command_in_the_readme_exists(root: Path) -> None:
    said = commands(root, "gslb")
    assert "check" in said
    missing = [
        command
        for command in sorted(said)
        if subprocess.run(
            [sys.executable, "-m", "gslb", command, "--help"], cwd=root, capture_output=True
        ).returncode
    ]
    assert not missing


def test_the_configuration_in_the_readme_loads_and_passes_its_tests(
    root: Path, tmp_path: Path
) -> None:
    blocks = re.findall(r"```(?:yaml)?\n(.*?)```", readable(root / "README.md"), re.DOTALL)
    (zone,) = (block for block in blocks if block.startswith("$ORIGIN"))
    (config,) = (block for block in blocks if block.startswith("server:\n"))
    (tmp_path / "zones").mkdir()
    (tmp_path / "zones/gslb.example.com.zone").write_text(zone, encoding="utf-8")
    (tmp_path / "gslb.yaml").write_text(config, encoding="utf-8")
    shutil.copytree(root / "geodata", tmp_path / "geodata")
    run = subprocess.run(
        [sys.executable, "-m", "gslb", "check"], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_gate_runs_the_tests_as_the_readme_says(root: Path) -> None:
    assert "make test" in readable(root / ".ci/run")


def anchors(text: str) -> set[str]:
    """What a fragment may name: the headings, as GitHub makes anchors of them."""
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.+?) *$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_in_a_document_leads_somewhere(root: Path, tracked: list[Path]) -> None:
    lost, found = [], 0
    for page in (path for path in tracked if path.suffix == ".md" and path.exists()):
        links = re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)", readable(page))
        found += len(links)
        for link, fragment in links:
            place = page.parent / link if link else page
            if not place.exists() or (fragment and fragment not in anchors(readable(place))):
                lost.append(f"{page.relative_to(root)}: {link}#{fragment}")
    assert not lost
    assert found > 50, "or nothing was looked at"


def test_the_changelog_has_a_place_for_the_next_change(root: Path) -> None:
    assert re.search(r"^## \[Unreleased\]$", readable(root / "CHANGELOG.md"), re.MULTILINE)


def test_every_decision_has_a_number_of_its_own(root: Path) -> None:
    names = [path.name for path in (root / "docs/decisions").iterdir()]
    assert names
    assert not [name for name in names if not re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name)]
    assert len({name[:4] for name in names}) == len(names)


def test_every_dependency_has_a_reason(root: Path) -> None:
    project = tomllib.loads(readable(root / "pyproject.toml"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.split(r"[<>=!~\[ ]", requirement)[0] for requirement in wanted}
    given = re.findall(
        r"^\| `([\w.-]+)` \|", readable(root / "docs/decisions/0001-dependencies.md"), re.MULTILINE
    )
    assert sorted(names) == sorted(given)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"])
def test_a_visitor_finds_what_every_repository_has(name: str, root: Path) -> None:
    assert readable(root / name).strip()
