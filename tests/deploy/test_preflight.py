"""What is in the container lab's way is found before anything is started, and is one line."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest
import yaml
from deploy.composition import Port

from deploy import compose, composition, preflight

from .smallworld import ROOT, find_port, refusal, run


@pytest.mark.parametrize(
    ("kind", "protocol"), [(socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")]
)
def test_a_port_that_is_taken_is_named_with_its_holder_and_its_variable(
    kind: socket.SocketKind, protocol: str
) -> None:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        number = holder.getsockname()[1]
        port = Port("127.0.0.1", number, protocol, "ns1", 53, "GSLB_LAB_NS1_PORT")
        with pytest.raises(preflight.ObstacleError) as caught:
            preflight.check_ports([port])
    said = str(caught.value)
    assert f"127.0.0.1:{number}/{protocol}, for ns1, is taken by " in said
    assert f"(pid {os.getpid()})" in said
    assert "GSLB_LAB_NS1_PORT=" in said
    preflight.check_ports([port])


def test_two_services_cannot_have_one_port() -> None:
    number = int(find_port())
    one = Port("127.0.0.1", number, "udp", "ns1", 53, "GSLB_LAB_NS1_PORT")
    two = Port("127.0.0.1", number, "udp", "ns2", 53, "GSLB_LAB_NS2_PORT")
    with pytest.raises(preflight.ObstacleError) as caught:
        preflight.check_ports([one, two])
    assert "give GSLB_LAB_NS1_PORT and GSLB_LAB_NS2_PORT different ports" in str(caught.value)


@pytest.mark.parametrize("number", ["53x", "99999", "-1", "٣"])
def test_a_variable_that_is_no_port_is_named(number: str) -> None:
    with pytest.raises(preflight.ObstacleError, match=f"NS1_PORT={number} is no port"):
        preflight.check_numbers([("NS1_PORT", number)])


def test_two_variables_cannot_be_one_port() -> None:
    preflight.check_numbers([("A_PORT", "1"), ("A_PORT", "1"), ("B_PORT", "0"), ("C_PORT", "0")])
    with pytest.raises(preflight.ObstacleError, match="A_PORT and B_PORT are both 5301"):
        preflight.check_numbers([("A_PORT", "5301"), ("B_PORT", "5301")])


def test_what_a_container_could_not_read_is_named_with_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "zones/one.zone"
    file.parent.mkdir(mode=0o755)
    file.touch(mode=0o644)
    preflight.check_files(tmp_path, ["zones", "absent"])
    file.chmod(0o600)
    with pytest.raises(preflight.ObstacleError, match=r"zones/one\.zone \(mode 0600\).*chmod -R"):
        preflight.check_files(tmp_path, ["zones"])


def test_what_is_mounted_is_known_from_the_file() -> None:
    raw = yaml.safe_load((ROOT / compose.FILE).read_text(encoding="utf-8"))
    volumes = [text for one in raw["services"].values() for text in one.get("volumes", ())]
    own = {text.partition(":")[0] for text in volumes if text.startswith("./")}
    mounted = composition.mounts((ROOT / compose.FILE).read_text(encoding="utf-8"))
    assert {f"./{name}" for name in mounted} == own


def test_a_drill_of_its_own_starts_nothing_that_another_has_stopped() -> None:
    raw = yaml.safe_load((ROOT / compose.FILE).read_text(encoding="utf-8"))
    assert "depends_on" not in raw["services"]["drill"]


def test_a_subnet_must_not_be_another_networks() -> None:
    subnet = ip_network("198.18.1.0/24")
    plain = preflight.DockerNetwork("lan", "", (ip_network("198.18.0.0/16"),))
    with pytest.raises(preflight.ObstacleError) as caught:
        preflight.check_subnets([subnet], "mine", [plain], [])
    assert "docker network lan" in str(caught.value)
    assert "docker network rm lan" in str(caught.value)
    other = preflight.DockerNetwork("other_fra", "other", (subnet,))
    with pytest.raises(preflight.ObstacleError) as caught:
        preflight.check_subnets([subnet], "mine", [other], [])
    assert "one lab at a time" in str(caught.value)
    assert "COMPOSE_PROJECT_NAME=other make compose-down" in str(caught.value)
    preflight.check_subnets([subnet], "other", [other], [("br-1", ip_interface("198.18.1.1/24"))])


@pytest.mark.parametrize(
    ("subnet", "route", "collides"),
    [
        ("198.18.1.0/24", "198.18.0.0/15", True),
        ("198.18.1.0/24", "198.18.1.77/32", True),
        ("198.18.1.0/24", "198.18.2.0/24", False),
        ("198.18.1.0/24", "0.0.0.0/0", False),
        ("198.18.1.0/24", "128.0.0.0/1", False),
        ("2001:db8:1::/64", "2001:db8:1::/48", True),
        ("2001:db8:1::/64", "2000::/3", False),
        ("2001:db8:1::/64", "2001:db8:2::/64", False),
    ],
)
def test_a_subnet_must_not_be_one_of_this_machine(subnet: str, route: str, collides: bool) -> None:
    routes = [("tun0", ip_interface(route))]
    if collides:
        with pytest.raises(preflight.ObstacleError, match="tun0 of this machine"):
            preflight.check_subnets([ip_network(subnet)], "mine", [], routes)
    else:
        preflight.check_subnets([ip_network(subnet)], "mine", [], routes)


def test_routes_and_addresses_are_read_as_the_kernel_prints_them(tmp_path: Path) -> None:
    def number(text: str) -> str:
        return f"{struct.unpack('=I', socket.inet_aton(text))[0]:08X}"

    (tmp_path / "route").write_text(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        f"tun0 {number('198.18.0.0')} 00000000 0001 0 0 0 {number('255.254.0.0')} 0 0 0\n"
    )
    (tmp_path / "fib_trie").write_text(
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 198.18.7.1\n        /32 host LOCAL\n"
        "     |-- 10.0.0.0\n        /24 link UNICAST\n"
    )
    (tmp_path / "ipv6_route").write_text(
        "20010db8000100000000000000000000 40 " + "0" * 32 + " 00 " + "0" * 32
        + " 00000100 00000001 00000000 00000001     wg0\n"
    )  # fmt: skip
    assert [(device, str(route)) for device, route in preflight.list_routes(tmp_path)] == [
        ("tun0", "198.18.0.0/15"),
        ("an interface", "198.18.7.1/32"),
        ("wg0", "2001:db8:1::/64"),
    ]


def test_a_kernel_without_ipv6_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "route").touch()
    with pytest.raises(preflight.ObstacleError, match=r"ipv6\.disable=1"):
        preflight.check_ipv6(tmp_path)
    (tmp_path / "if_inet6").touch()
    preflight.check_ipv6(tmp_path)


def test_the_program_needs_nothing_but_python() -> None:
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-S", "-m", "deploy.compose", "--help")
    done = subprocess.run(command, cwd=ROOT, env=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_the_docker_command_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    for command in ("up", "drill", "down"):
        assert "the docker command is missing" in refusal(run(command, PATH=str(tmp_path)))


def test_an_engine_that_is_not_there_is_one_line(client: str) -> None:
    for command in ("up", "drill", "down"):
        line = refusal(run(command, DOCKER_HOST="unix:///nonexistent"))
        assert "the Docker engine does not answer" in line
        assert "correct or unset DOCKER_HOST=unix:///nonexistent" in line


def test_an_engine_that_never_answers_is_given_up(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "engine"))
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine")
        with pytest.raises(
            preflight.ObstacleError, match=r"does not answer .*did not end within 0\.5 s"
        ):
            preflight.find_engine(limit_s=0.5)


def test_without_a_compose_tool_one_line_says_how_to_get_it(
    engine: None, client: str, tmp_path: Path
) -> None:
    (tmp_path / "docker").symlink_to(client)
    where = {"PATH": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
    if not subprocess.run(
        ("docker", "compose", "version"), env={**os.environ, **where}, capture_output=True
    ).returncode:
        pytest.skip("docker compose is installed for the whole machine")
    assert "neither docker compose nor docker-compose 1.28" in refusal(run("up", **where))
