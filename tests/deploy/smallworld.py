"""A world as the container lab's program knows one, but small: one container, one network.

Beside them stands what tests with an engine share: how it and the program are asked.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy import compose, removal

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (("docker", "compose"), ("docker-compose",))
PROJECT = "com.docker.compose.project"

NUMBERS = itertools.count(uuid.uuid4().int % 200)

FILE = """
services:
  ns1-net:
    image: {name}
    build: {{ context: . }}
    command: [/bin/sleep, "600"]
    stop_grace_period: 1s
    volumes: ["state:/state"]
    networks: [one]
    ports: ["127.0.0.1:${{GSLB_LAB_NS1_PORT:-0}}:53/udp", "127.0.0.1:${{GSLB_LAB_NS1_PORT:-0}}:53"]
    healthcheck: {{ test: [CMD, /bin/sleep, "${{HEALTH:-0}}"], interval: 1s, retries: 1 }}
  drill:
    image: {name}
    build: {{ context: . }}
    profiles: [drill]
    command: [/bin/sleep, "${{DRILL:-0}}"]
    networks: [one]
networks:
  one: {{ ipam: {{ config: [{{ subnet: {subnet} }}] }} }}
volumes:
  state: {{}}
"""


@dataclass(frozen=True)
class World:
    """A folder with a docker-compose.yml, and what the engine has of it."""

    folder: Path
    name: str
    subnet: str
    environment: Mapping[str, str]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run(*arguments, folder=self.folder, **{**self.environment, **environment})

    def left(self) -> str:
        """Everything that the engine still has of it, but for the image."""
        label = f"label={PROJECT}={self.name}"
        return "".join(
            docker(kind, "ls", *every, "--quiet", "--filter", label)
            for kind, *every in (("container", "--all"), ("network",), ("volume",))
        )


def copy_program(name: str, root: Path) -> None:
    """A program of this machine, with the libraries it needs, at the same places under a root."""
    path = shutil.which(name)
    if path is None or shutil.which("ldd") is None:
        pytest.skip(f"no {name} and ldd here, to make a small image")
    needed = re.findall(r"(/\S+) \(0x", subprocess.check_output(("ldd", path), text=True))
    for source, target in [(path, f"/bin/{name}"), *((file, file) for file in needed)]:
        place = root / target.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(source).resolve(), place)


def take_subnet() -> str:
    """A subnet that no test before has had; tests/lab/test_engine.py has those from 200 on."""
    return f"198.19.{next(NUMBERS) % 200}.0/24"


@contextmanager
def making_world(folder: Path) -> Iterator[World]:
    """A new one below a folder; what the engine has of it is removed in the end."""
    name = f"gslb-test-{uuid.uuid4().hex[:10]}"
    place = folder / name
    copy_program("sleep", place / "root")
    subnet = take_subnet()
    (place / "Dockerfile").write_text("FROM scratch\nCOPY root /\n")
    (place / compose.FILE).write_text(FILE.format(name=name, subnet=subnet))
    try:
        yield World(place, name, subnet, {"GSLB_LAB_NS1_PORT": find_port()})
    finally:
        removal.clear(name, place)
        subprocess.run(("docker", "image", "rm", "--force", name), capture_output=True)


def find_port() -> str:
    """A number that nobody has now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return str(trial.getsockname()[1])


def docker(*arguments: str) -> str:
    done = subprocess.run(("docker", *arguments), capture_output=True, text=True, check=True)
    return done.stdout


def answers(*command: str) -> bool:
    try:
        return not subprocess.run(command, capture_output=True, timeout=10).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


def run(
    *arguments: str, folder: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "deploy.compose", *arguments, "--folder", str(folder)),
        capture_output=True,
        text=True,
        timeout=100,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a run that refused."""
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("compose: ")
    return line
