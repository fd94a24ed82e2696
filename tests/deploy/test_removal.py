"""What a lab that is gone has left is told from a lab that is there, and taken away."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from deploy.composition import Subnet
from deploy.preflight import NETWORK, PROJECT, DockerNetwork

from deploy import preflight, removal

from .smallworld import docker, take_subnet

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Remains:
    """A network as compose makes it, of a project that has no container."""

    name: str
    project: str
    subnets: dict[str, tuple[Subnet, ...]]  # what docker-compose.yml says
    image: str

    def find(self, later_s: float = removal.STARTING_S + 5) -> set[str]:
        """The leftovers that are found so much later."""
        networks = preflight.list_networks()
        found = removal.find_leftovers(self.subnets, networks, time.time() + later_s)
        return {network.name for network in found}

    def create_container(self, *options: str) -> str:
        """A container that was never started; it is in the network unless told otherwise."""
        return docker("create", *(options or ("--network", self.name)), self.image).strip()


@pytest.fixture
def remains(engine: None, image: str) -> Iterator[Remains]:
    project = f"gslb-test-{uuid.uuid4().hex[:10]}"
    subnet = ip_network(take_subnet())
    labels = ("--label", f"{PROJECT}={project}", "--label", f"{NETWORK}=fra")
    name = f"{project}_fra"
    docker("network", "create", "--internal", "--subnet", str(subnet), *labels, name)
    try:
        yield Remains(name, project, {"fra": (subnet,)}, image)
    finally:
        if name in docker("network", "ls", "--format", "{{.Name}}").split():
            docker("network", "rm", name)


def test_a_network_of_a_lab_without_containers_is_removed_and_said_so(
    remains: Remains, capsys: pytest.CaptureFixture[str]
) -> None:
    found = next(one for one in preflight.list_networks() if one.name == remains.name)
    assert (found.project, found.key, found.subnets) == (
        remains.project, "fra", remains.subnets["fra"],
    )  # fmt: skip
    assert abs(found.created_s - time.time()) < 60
    assert remains.name in remains.find()
    removal.remove_leftovers(remains.subnets, [replace(found, created_s=0.0)])
    said = f"removed the network {remains.name}: the lab of the project {remains.project}"
    assert said in capsys.readouterr().out
    assert remains.name not in docker("network", "ls", "--format", "{{.Name}}").split()


def test_a_lab_that_is_only_starting_keeps_its_networks(remains: Remains) -> None:
    assert remains.name not in remains.find(later_s=0.0)


def test_a_network_that_is_not_as_in_our_file_is_none_of_ours(remains: Remains) -> None:
    for subnets in (
        {"fra": (ip_network("198.18.1.0/24"),)},
        {"iad": remains.subnets["fra"]},
        {},
    ):
        assert remains.name not in replace(remains, subnets=subnets).find()


def test_a_network_that_compose_did_not_make_is_none_of_ours(remains: Remains) -> None:
    (subnet,) = remains.subnets["fra"]
    plain = DockerNetwork(remains.name, "", (subnet,), "fra")
    assert removal.find_leftovers(remains.subnets, [plain], time.time()) == ()


def test_a_container_that_exists_keeps_its_network_and_its_labs(remains: Remains) -> None:
    of_project = ("--label", f"{PROJECT}={remains.project}", "--network", "none")
    for options in ((), of_project):
        container = remains.create_container(*options)
        try:
            assert remains.name not in remains.find(), options
        finally:
            docker("rm", "--force", container)
    assert remains.name in remains.find()


def test_a_network_in_which_somebody_is_stays_and_nobody_is_thrown_out(remains: Remains) -> None:
    container = remains.create_container()
    docker("start", container)
    try:
        with pytest.raises(preflight.ObstacleError, match="active endpoints"):
            removal.remove_network(remains.name)
        where = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}"
        assert docker("inspect", "--format", where, container).strip() == remains.name
    finally:
        docker("rm", "--force", container)


GHOSTLY = """#!/bin/sh
# As Docker 20.10 was seen: a network stays, for a container is in it that is gone.
case "$*" in
    "network rm "*) [ -e GHOST ] || exit 0
        echo "Error response from daemon: network lab_fra has active endpoints" >&2
        echo "exit status 1" >&2; exit 1 ;;
    "network inspect "*) [ ! -e GHOST ] || echo "lab_web_1 " ;;
    "network disconnect --force lab_fra lab_web_1") rm STUBBORN 2>/dev/null || rm GHOST ;;
esac
"""


@pytest.fixture
def ghost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is there as long as the ghost is."""
    ghost, program = tmp_path / "ghost", tmp_path / "docker"
    ghost.touch()
    text = GHOSTLY.replace("GHOST", str(ghost)).replace("STUBBORN", str(tmp_path / "stubborn"))
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return ghost


LEFT = DockerNetwork("lab_fra", "lab", (ip_network("198.18.1.0/24"),), "fra")


def test_a_container_that_is_gone_is_thrown_out_of_a_network(ghost: Path) -> None:
    removal.remove_network("lab_fra")
    assert not ghost.exists()


def test_a_network_that_the_engine_keeps_is_named_with_the_remedy(ghost: Path) -> None:
    ghost.with_name("stubborn").touch()
    with pytest.raises(preflight.ObstacleError) as caught:
        removal.remove_leftovers({"fra": LEFT.subnets}, [LEFT])
    said = str(caught.value)
    assert "lab_fra is left over from a lab that is gone (project lab)" in said
    assert "has active endpoints" in said
    assert said.endswith("systemctl restart docker), then docker network rm lab_fra")
