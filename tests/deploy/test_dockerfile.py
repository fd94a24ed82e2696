"""What the Dockerfile says twice, it says alike; nothing in it needs BuildKit."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_version_licence_and_description_are_the_projects() -> None:
    assert re.search(rf"^ARG .*\bVERSION={re.escape(PROJECT['version'])}( |$)", DOCKERFILE, re.M)
    assert f'licenses="{PROJECT["license"]["text"]}"' in DOCKERFILE
    assert f'description="{PROJECT["description"]}"' in DOCKERFILE


def test_the_classic_builder_can_read_it() -> None:
    for alien in (r"^#\s*syntax=", r"--mount=", r"--chmod", r"--link", r"<<-?\w"):
        assert not re.search(alien, DOCKERFILE, re.MULTILINE), alien


def test_what_it_copies_is_sent_to_the_builder() -> None:
    sent = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE)
    assert {name for name in copied if name != "."} <= sent
    assert all((ROOT / name).exists() for name in sent)
    # Files of the package may be links to files elsewhere.
    for link in (path for path in (ROOT / "gslb").rglob("*") if path.is_symlink()):
        assert str(link.resolve().relative_to(ROOT)) in sent
