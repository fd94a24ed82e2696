"""The container lab's program: what is in its way is one line, and it leaves nothing behind.

The worlds here are small ones, beside the lab's own: a folder with a docker-compose.yml, one
container, one network. What needs an engine is left out where none answers.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest
import yaml
from deploy.composition import Port
from hypothesis import given
from hypothesis import strategies as st

from deploy import compose, composition, preflight

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (("docker", "compose"), ("docker-compose",))
PROJECT = "com.docker.compose.project"


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


# ---- what docker-compose.yml says -----------------------------------------------------------


def leaves_of(value: object) -> composition.Leaves:
    return dict(composition.walk((), value))


WORD = st.from_regex(r"[a-z][a-z0-9_.-]{0,11}", fullmatch=True).filter(
    lambda word: isinstance(yaml.safe_load(word), str)
)
SCALAR = (
    WORD
    | st.integers(0, 65535)
    | st.booleans()
    | st.from_regex(r"[0-9:/. ]{1,20}|a: b", fullmatch=True)
)
TREE = st.recursive(
    SCALAR,
    lambda inner: (
        st.dictionaries(WORD, inner, min_size=1, max_size=4)
        | st.lists(inner, min_size=1, max_size=4)
    ),
)


@given(st.dictionaries(WORD, TREE, min_size=1))
def test_the_reader_of_what_a_tool_prints_agrees_with_yaml(tree: Mapping[str, object]) -> None:
    printed = yaml.safe_dump(tree, default_flow_style=False, indent=2, width=80)
    assert composition.read_block(printed) == leaves_of(tree)


def lab(tool: tuple[str, ...], *profiles: str) -> compose.Lab:
    said = subprocess.check_output((*tool, "version", "--short"), text=True)
    version = tuple(map(int, re.findall(r"\d+", said)[:2]))
    there = preflight.Tool(tool, version)
    return compose.Lab(ROOT, "main", there, os.environ, frozenset(profiles), 60)


def test_docker_compose_accepts_the_file(tool: tuple[str, ...]) -> None:
    done = subprocess.run((*tool, "config", "-q"), cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_tool_is_asked_for_ports_subnets_and_images(
    tool: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("GSLB_LAB_NS1_PORT", "25301")
    contents = lab(tool).read()
    assert {"web-fra", "web-iad", "web-nrt", "ns1", "ns2", "client-fra"} <= set(contents.services)
    assert not {"drill", "prometheus", "grafana"} & set(contents.services)
    moved = [port for port in contents.ports if port.variable == "GSLB_LAB_NS1_PORT"]
    assert {str(port) for port in moved} == {"127.0.0.1:25301/udp", "127.0.0.1:25301/tcp"}
    assert {(port.service, port.inside) for port in moved} == {("ns1-net", 53)}
    assert all(port.address == "127.0.0.1" and port.variable for port in contents.ports)
    assert {(image.name, image.target) for image in contents.images} == {
        ("gslb", "runtime"),
        ("gslb-lab", "lab"),
    }
    # As the file has them, read as plain YAML.
    raw = yaml.safe_load((ROOT / compose.FILE).read_text(encoding="utf-8"))
    assert contents.subnets == {
        name: tuple(ip_network(one["subnet"]) for one in network["ipam"]["config"])
        for name, network in raw["networks"].items()
    }


def test_a_profile_adds_its_services(
    tool: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    contents = lab(tool, "observe").read()
    assert {"prometheus", "grafana", "ns1"} <= set(contents.services)
    assert "grafana" in contents.fetched
    assert "GSLB_LAB_PROMETHEUS_PORT" in {port.variable for port in contents.ports}


def test_the_lines_to_copy_name_the_ports_in_use(
    tool: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("GSLB_LAB_NS1_PORT", "25301")
    here = lab(tool)
    text = compose.hint(here, here.read())
    assert "dig @127.0.0.1 -p 25301 " in text
    assert f"{' '.join(tool)} " in text
    addresses = set(re.findall(r"198\.[\d.]+", text))
    assert len(addresses) >= 4
    file = (ROOT / compose.FILE).read_text(encoding="utf-8")
    assert not [address for address in addresses if f" {address}" not in file]


def test_the_page_has_every_published_port(
    tool: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for name in [name for name in os.environ if name.startswith("GSLB_LAB_")]:
        monkeypatch.delenv(name)
    page = (ROOT / "docs/lab.md").read_text(encoding="utf-8")
    said = re.findall(r"^\| (\d+) \| ([\w-]+).*\| `(\w+)` \|$", page, re.MULTILINE)
    ports = lab(tool, "observe").read().ports
    assert set(said) == {(str(port.number), port.service, port.variable) for port in ports}


def schema_complaints(path: Path) -> str:
    done = subprocess.run(
        (
            sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec",
            str(path),
        ),
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert bool(done.returncode) == ("ok -- validation done" not in done.stdout)
    return done.stdout if done.returncode else ""


def test_the_file_follows_the_compose_specification(tmp_path: Path) -> None:
    assert not schema_complaints(ROOT / compose.FILE)
    wrong = (ROOT / compose.FILE).read_text(encoding="utf-8").replace("cap_drop:", "cap_drip:")
    (tmp_path / "wrong.yml").write_text(wrong, encoding="utf-8")
    assert "cap_drip" in schema_complaints(tmp_path / "wrong.yml")


def test_a_project_is_named_as_both_tools_name_it() -> None:
    assert compose.name_project(Path("/srv/GSLB Lab.2"), {}) == "gslblab2"
    assert compose.name_project(Path("/srv/_x"), {"COMPOSE_PROJECT_NAME": "mine"}) == "mine"


def test_settings_come_from_the_environment_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text('# mine\nBASE_IMAGE="a:1"\nGSLB_LAB_NS1_PORT=1\n')
    monkeypatch.setenv("GSLB_LAB_NS1_PORT", "2")
    settings = compose.find_settings(tmp_path)
    assert (settings["BASE_IMAGE"], settings["GSLB_LAB_NS1_PORT"]) == ("a:1", "2")


# ---- what is in the way ---------------------------------------------------------------------


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
    one = Port("127.0.0.1", 25301, "udp", "ns1", 53, "GSLB_LAB_NS1_PORT")
    two = Port("127.0.0.1", 25301, "udp", "ns2", 53, "GSLB_LAB_NS2_PORT")
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


# ---- small worlds ---------------------------------------------------------------------------

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
    assert path
    needed = re.findall(r"(/\S+) \(0x", subprocess.check_output(("ldd", path), text=True))
    for source, target in [(path, f"/bin/{name}"), *((file, file) for file in needed)]:
        place = root / target.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(source).resolve(), place)


def find_port() -> str:
    """A number that nobody has now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return str(trial.getsockname()[1])


@pytest.fixture
def world(engine: None, tmp_path: Path) -> Iterator[World]:
    if shutil.which("ldd") is None:
        pytest.skip("no ldd here, to make a small image")
    name = f"gslb-test-{uuid.uuid4().hex[:10]}"
    folder = tmp_path / name
    subnet = f"198.19.{uuid.uuid4().int % 256}.0/24"
    copy_program("sleep", folder / "root")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY root /\n")
    (folder / compose.FILE).write_text(FILE.format(name=name, subnet=subnet))
    environment = {"GSLB_LAB_NS1_PORT": find_port()}
    world = World(folder, name, subnet, environment)
    try:
        yield world
    finally:
        compose.clear(name, folder)
        subprocess.run(("docker", "image", "rm", "--force", name), capture_output=True)


@pytest.mark.slow
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

    broken = world.folder / compose.BROKEN
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


@pytest.mark.slow
def test_a_lab_with_a_drill_in_it_is_left_alone(world: World) -> None:
    assert world.run("up").returncode == 0
    run_drill = (*preflight.find_tool().command, "run", "-d", "drill")
    where = {**os.environ, **world.environment, "DRILL": "600"}
    container = subprocess.check_output(run_drill, cwd=world.folder, env=where, text=True).split()
    assert "a drill runs in this lab" in refusal(world.run("up"))
    # What is left of it is no reason to call the lab unwell.
    docker("kill", container[-1])
    done = world.run("up")
    assert done.returncode == 0, done.stdout + done.stderr


def has(container: str) -> bool:
    return answers("docker", "container", "inspect", container)


@pytest.mark.slow
def test_a_drill_has_its_own_lab_and_its_own_exit_status(world: World) -> None:
    done = world.run("drill")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not world.left()
    done = world.run("drill", DRILL="no number")
    assert done.returncode == 1
    assert "invalid time interval" in done.stdout + done.stderr
    assert not world.left()


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_does_not_get_healthy_is_named_and_taken_down(world: World) -> None:
    done = world.run("up", "--limit-s", "4", HEALTH="no number")
    line = refusal(done)
    assert re.search(r"ns1.* is (starting|unhealthy) \d+ s after the start", line)
    assert "invalid time interval" in done.stdout
    assert not world.left()


@pytest.mark.slow
def test_what_does_not_start_is_named_and_taken_down(world: World) -> None:
    file = world.folder / compose.FILE
    file.write_text(file.read_text().replace("/bin/sleep", "/bin/absent"))
    assert "the containers do not start" in refusal(world.run("up"))
    assert "/bin/absent" in (world.folder / compose.LOG).read_text()
    assert not world.left()


@pytest.mark.slow
def test_an_image_that_cannot_be_built_is_named_with_its_log(world: World) -> None:
    (world.folder / "Dockerfile").write_text("FROM scratch\nCOPY nowhere /\n")
    done = world.run("up")
    line = refusal(done)
    assert f"the image {world.name} cannot be built: " in line
    assert compose.LOG in line
    assert "nowhere" in done.stdout
    assert not world.left()


@pytest.mark.slow
def test_a_base_image_that_cannot_be_had_is_named(world: World) -> None:
    file = world.folder / compose.FILE
    argument = "build: { context: ., args: { BASE_IMAGE: '${BASE_IMAGE:-debian}' } }"
    file.write_text(file.read_text().replace("build: { context: . }", argument))
    line = refusal(world.run("up", BASE_IMAGE="127.0.0.1:1/none:none"))
    assert "BASE_IMAGE=127.0.0.1:1/none:none is not here and cannot be pulled" in line
    assert not world.left()


@pytest.mark.slow
def test_a_port_that_is_taken_stops_it_before_anything_is_made(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        number = str(holder.getsockname()[1])
        line = refusal(world.run("up", GSLB_LAB_NS1_PORT=number))
    assert f"127.0.0.1:{number}/udp, for ns1-net, is taken by " in line
    assert "GSLB_LAB_NS1_PORT=" in line
    assert not world.left()
    assert not answers("docker", "image", "inspect", world.name)


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_lab_of_another_folder_is_not_touched(world: World, tmp_path: Path) -> None:
    assert world.run("up").returncode == 0
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(world.folder / compose.FILE, other)
    for command in ("up", "drill", "down"):
        done = run(command, folder=other, COMPOSE_PROJECT_NAME=world.name, **world.environment)
        assert f"was started in {world.folder}" in refusal(done)
    assert world.left()


@pytest.mark.slow
def test_a_file_that_the_tool_refuses_is_one_line(world: World) -> None:
    (world.folder / compose.FILE).write_text("services: { ns1: { imago: x } }\n")
    assert "imago" in refusal(world.run("up"))
    assert not world.left()
