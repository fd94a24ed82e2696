"""What docker-compose.yml says: the reader of what the tools print of it, and the file itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from deploy.composition import Composition
from hypothesis import given
from hypothesis import strategies as st

from deploy import compose, composition, preflight

from .smallworld import ROOT


def leaves_of(value: object) -> composition.Leaves:
    return dict(composition.walk((), value))


# Some of them YAML 1.1 would read as something else, if they were not quoted.
WORD = st.sampled_from(["yes", "on", "false", "null", "x-y", "a.b_c"]) | st.text(
    "abnoxyz09_.-", min_size=1, max_size=8
).map("k".__add__)
SCALAR = (
    WORD
    | st.integers(0, 65535)
    | st.booleans()
    | st.just("a: b")
    | st.text("0189:/. ", min_size=1, max_size=20)
)
TREE = st.recursive(
    SCALAR,
    lambda inner: (
        st.dictionaries(WORD, inner, min_size=1, max_size=4)
        | st.lists(inner, min_size=1, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(WORD, TREE, min_size=1, max_size=4))
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


@pytest.fixture(scope="module")
def moved(tool: tuple[str, ...]) -> Iterator[tuple[compose.Lab, Composition]]:
    """The lab with a port that its environment has moved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("GSLB_LAB_NS1_PORT", "25301")
        here = lab(tool)
        yield here, here.read()


@pytest.fixture(scope="module")
def observed(tool: tuple[str, ...]) -> Composition:
    """The lab with all its profiles for people, and nothing moved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for name in [name for name in os.environ if name.startswith("GSLB_LAB_")]:
            patch.delenv(name)
        return lab(tool, "observe").read()


def test_the_tool_is_asked_for_ports_subnets_and_images(
    moved: tuple[compose.Lab, Composition],
) -> None:
    _, contents = moved
    assert {"web-fra", "web-iad", "web-nrt", "ns1", "ns2", "client-fra"} <= set(contents.services)
    assert not {"drill", "prometheus", "grafana"} & set(contents.services)
    ports = [port for port in contents.ports if port.variable == "GSLB_LAB_NS1_PORT"]
    assert {str(port) for port in ports} == {"127.0.0.1:25301/udp", "127.0.0.1:25301/tcp"}
    assert {(port.service, port.inside) for port in ports} == {("ns1-net", 53)}
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


def test_a_profile_adds_its_services_and_images(observed: Composition) -> None:
    assert {"prometheus", "grafana", "ns1"} <= set(observed.services)
    assert "grafana" in observed.fetched
    assert {image.name for image in observed.images} == {"gslb", "gslb-lab", "gslb-observe"}
    assert "GSLB_LAB_PROMETHEUS_PORT" in {port.variable for port in observed.ports}


def test_the_lines_to_copy_name_the_ports_in_use(
    tool: tuple[str, ...], moved: tuple[compose.Lab, Composition]
) -> None:
    text = compose.hint(*moved)
    assert "dig @127.0.0.1 -p 25301 " in text
    assert f"{' '.join(tool)} " in text
    addresses = set(re.findall(r"198\.[\d.]+", text))
    assert len(addresses) >= 4
    file = (ROOT / compose.FILE).read_text(encoding="utf-8")
    assert not [address for address in addresses if f" {address}" not in file]


def test_the_page_has_every_published_port(observed: Composition) -> None:
    page = (ROOT / "docs/lab.md").read_text(encoding="utf-8")
    said = re.findall(r"^\| (\d+) \| ([\w-]+).*\| `(\w+)` \|$", page, re.MULTILINE)
    assert set(said) == {(str(port.number), port.service, port.variable) for port in observed.ports}


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
