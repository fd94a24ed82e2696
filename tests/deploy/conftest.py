"""What tests of the container lab's program want: an engine, a compose tool, a small world."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from .smallworld import TOOLS, World, answers, copy_program, docker, making_world


@pytest.fixture(scope="module")
def client() -> str:
    path = shutil.which("docker")
    if path is None:
        pytest.skip("no docker command here")
    return path


@pytest.fixture(scope="module")
def engine(client: str) -> None:
    if not answers(client, "version"):
        pytest.skip("no Docker engine answers here")
    if not any(answers(*tool, "version") for tool in TOOLS):
        pytest.skip("no docker-compose here")


@pytest.fixture(scope="module", params=TOOLS, ids=" ".join)
def tool(request: pytest.FixtureRequest) -> tuple[str, ...]:
    command: tuple[str, ...] = request.param
    if not answers(*command, "version"):
        pytest.skip(f"no {' '.join(command)} here")
    return command


@pytest.fixture(scope="module")
def image(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image whose containers sleep."""
    name = f"gslb-test-{uuid.uuid4().hex[:10]}"
    folder = tmp_path_factory.mktemp("image")
    copy_program("sleep", folder / "root")
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY root /\nCMD ["/bin/sleep", "600"]\n')
    docker("build", "--quiet", "--tag", name, str(folder))
    yield name
    docker("image", "rm", "--force", name)


@pytest.fixture
def world(engine: None, tmp_path: Path) -> Iterator[World]:
    with making_world(tmp_path) as made:
        yield made
