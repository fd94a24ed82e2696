"""The container lab's program with an engine: what goes wrong is one line, nothing stays."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import compose, preflight, removal

from .smallworld import ROOT, World, answers, docker, making_world, refusal, run

pytestmark = pytest.mark.slow


def test_up_is_healthy_and_down_leaves_nothing(world: World) -> None:
    done = world.run("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all are healthy" in done.stdout
    assert f"dig @127.0.0.1 -p {world.environment['GSLB_LAB_NS1_PORT']} " in done.stdout
    assert world.left()

    again = world.run("up")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "make compose-down first" in refusal(world.run("drill"))
    assert world.left()

    broken = world.folder / removal.BROKEN
    broken.parent.mkdir(parents=True)
    broken.touch()
    name = f"{world.name}_ns1-net_1"  # v2 has dashes
    name = name if has(name) else name.replace("_", "-")
    docker("pause", name)
    assert f"paused: {name}; docker unpause {name}, then" in refusal(world.run("up"))
    done = world.run("down")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "removed: 1 container, 1 network, 1 volume" in done.stdout
    assert not world.left()
    assert not broken.exists()
    assert "nothing to remove" in world.run("down").stdout


@pytest.fixture(scope="module")
def standing(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A lab that is up, for tests that leave it so."""
    with making_world(tmp_path_factory.mktemp("standing")) as world:
        done = world.run("up")
        assert done.returncode == 0, done.stdout + done.stderr
        yield world


def test_a_lab_with_a_drill_in_it_is_left_alone(standing: World) -> None:
    run_drill = (*preflight.find_tool().command, "run", "-d", "drill")
    where = {**os.environ, **standing.environment, "DRILL": "600"}
    container = subprocess.check_output(run_drill, cwd=standing.folder, env=where, text=True)
    assert "a drill runs in this lab" in refusal(standing.run("up"))
    # What is left of it is no reason to call the lab unwell.
    docker("kill", container.split()[-1])
    done = standing.run("up")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lab_of_another_folder_is_not_touched(standing: World, tmp_path: Path) -> None:
    shutil.copy(standing.folder / compose.FILE, tmp_path)
    where = {**standing.environment, "COMPOSE_PROJECT_NAME": standing.name}
    for command in ("up", "drill", "down"):
        done = run(command, folder=tmp_path, **where)
        assert f"was started in {standing.folder}" in refusal(done)
    assert standing.left()


def has(container: str) -> bool:
    return answers("docker", "container", "inspect", container)


def test_a_drill_has_its_own_lab_and_its_own_exit_status(world: World) -> None:
    done = world.run("drill")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not world.left()
    done = world.run("drill", DRILL="no number")
    assert done.returncode == 1
    assert "invalid time interval" in done.stdout + done.stderr
    assert not world.left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_drill_is_taken_down(world: World, number: signal.Signals) -> None:
    program = subprocess.Popen(
        (sys.executable, "-m", "deploy.compose", "drill", "--folder", str(world.folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, **world.environment, "DRILL": "600"},
    )
    assert program.stdout
    for line in program.stdout:
        if "all are healthy" in line:
            break
    program.send_signal(number)
    rest, _ = program.communicate(timeout=60)
    assert program.returncode == 130, rest
    assert "interrupted" in rest
    assert not world.left()


def test_what_does_not_get_healthy_is_named_and_taken_down(world: World) -> None:
    done = world.run("up", "--limit-s", "4", HEALTH="no number")
    line = refusal(done)
    assert re.search(r"ns1.* is (starting|unhealthy) \d+ s after the start", line)
    assert "invalid time interval" in done.stdout
    assert not world.left()


def test_what_does_not_start_is_named_and_taken_down(world: World) -> None:
    file = world.folder / compose.FILE
    file.write_text(file.read_text().replace("/bin/sleep", "/bin/absent"))
    assert "the containers do not start" in refusal(world.run("up"))
    assert "/bin/absent" in (world.folder / compose.LOG).read_text()
    assert not world.left()


def test_an_image_that_cannot_be_built_is_named_with_its_log(world: World) -> None:
    (world.folder / "Dockerfile").write_text("FROM scratch\nCOPY nowhere /\n")
    done = world.run("up")
    line = refusal(done)
    assert f"the image {world.name} cannot be built: " in line
    assert compose.LOG in line
    assert "nowhere" in done.stdout
    assert not world.left()


def test_a_base_image_that_cannot_be_had_is_named(world: World) -> None:
    file = world.folder / compose.FILE
    argument = "build: { context: ., args: { BASE_IMAGE: '${BASE_IMAGE:-debian}' } }"
    file.write_text(file.read_text().replace("build: { context: . }", argument))
    line = refusal(world.run("up", BASE_IMAGE="127.0.0.1:1/none:none"))
    assert "BASE_IMAGE=127.0.0.1:1/none:none is not here and cannot be pulled" in line
    assert not world.left()


def test_a_port_that_is_taken_stops_it_before_anything_is_made(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        number = str(holder.getsockname()[1])
        line = refusal(world.run("up", GSLB_LAB_NS1_PORT=number))
    assert f"127.0.0.1:{number}/udp, for ns1-net, is taken by " in line
    assert "GSLB_LAB_NS1_PORT=" in line
    assert not world.left()
    assert not answers("docker", "image", "inspect", world.name)


def test_a_docker_network_in_the_way_stops_it_before_anything_is_made(world: World) -> None:
    other = f"{world.name}-other"
    docker("network", "create", "--subnet", world.subnet, other)
    try:
        line = refusal(world.run("up"))
    finally:
        docker("network", "rm", other)
    assert f"the subnet {world.subnet} overlaps the docker network {other}" in line
    assert f"docker network rm {other}" in line
    assert not world.left()


def test_a_file_that_the_tool_refuses_is_one_line(world: World) -> None:
    (world.folder / compose.FILE).write_text("services: { ns1: { imago: x } }\n")
    assert "imago" in refusal(world.run("up"))
    assert not world.left()


def test_the_images_can_be_built_ahead_and_nothing_else_is_made(world: World) -> None:
    done = world.run("build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert answers("docker", "image", "inspect", world.name)
    assert not world.left()
