"""The addresses that the drill goes by are those of docker-compose.yml and of its zone."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from gslb.lab import site
from gslb.lab.stub import AAAA, A

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
CONFIG = yaml.safe_load((ROOT / "deploy/lab/gslb/gslb.yaml").read_text(encoding="utf-8"))
ZONE = (ROOT / "deploy/lab/gslb/zones/gslb.example.com.zone").read_text(encoding="utf-8")


def placed(service: str, network: str) -> dict[str, str]:
    place: dict[str, str] = COMPOSE["services"][service]["networks"][network]
    return place


def test_every_service_and_network_of_the_drill_is_in_the_compose_file() -> None:
    assert set(site.SERVICES) <= COMPOSE["services"].keys()
    assert site.NETWORK_NUMBERS.keys() <= COMPOSE["networks"].keys()


@pytest.mark.parametrize("name", site.NETWORK_NUMBERS)
def test_each_networks_number_is_in_both_its_subnets(name: str) -> None:
    subnets = [one["subnet"] for one in COMPOSE["networks"][name]["ipam"]["config"]]
    number = site.NETWORK_NUMBERS[name]
    assert subnets == [f"198.18.{number}.0/24", f"2001:db8:{number}::/64"]


@pytest.mark.parametrize("server", site.SERVERS, ids=lambda server: str(server.name))
def test_servers_are_where_the_compose_file_puts_them(server: site.Server) -> None:
    assert COMPOSE["services"][server.name]["network_mode"] == f"service:{server.net}"
    place = placed(server.net, "core")
    assert place["aliases"] == [server.name]
    assert server.addresses == {place["ipv4_address"], place["ipv6_address"]}
    assert server.dns.host == place["ipv4_address"]
    assert server.control_url == f"http://{place['ipv4_address']}:8053"
    assert f"{place['ipv6_address']}\n" in ZONE


@pytest.mark.parametrize("server", site.SERVERS, ids=lambda server: str(server.name))
def test_what_a_server_remembers_is_on_a_volume_of_its_own(server: site.Server) -> None:
    state = CONFIG["server"]["state"]
    (volume,) = (
        mount.split(":")[0]
        for mount in COMPOSE["services"][server.name]["volumes"]
        if mount.split(":")[1] == state
    )
    assert volume == f"state-{server.name}"
    assert volume in COMPOSE["volumes"]
    assert "tmpfs" not in COMPOSE["services"][server.name]


@pytest.mark.parametrize("server", site.SERVERS, ids=lambda server: str(server.name))
def test_each_servers_peer_is_the_other_one(server: site.Server) -> None:
    (peer,) = CONFIG["control"]["peers"]
    name = urlsplit(peer).hostname
    assert name in CONFIG["control"]["hosts"]
    (other,) = (one for one in site.SERVERS if one is not server)
    assert COMPOSE["services"][server.net]["extra_hosts"] == [f"{name}:{other.dns.host}"]


def test_the_tokens_of_the_lab_are_those_of_its_configuration() -> None:
    tokens = CONFIG["control"]["tokens"]
    for name, role, file in (("lab", "read", "token"), ("operator", "operate", "operator-token")):
        text = (ROOT / "deploy/lab" / file).read_text(encoding="ascii").strip()
        assert tokens[name] == {"role": role, "sha256": sha256(text.encode()).hexdigest()}
    for server in site.SERVERS:  # where `gslb` looks for it
        place = f"{CONFIG['server']['state']}/token:ro"
        mounts = COMPOSE["services"][server.name]["volumes"]
        assert f"./deploy/lab/operator-token:{place}" in mounts


def test_the_witness_is_no_region_and_answers_while_all_of_them_are_down() -> None:
    assert CONFIG["probe"]["witness"] == [f"tcp://{site.PARENT.host}:53"]


@pytest.mark.parametrize("dweller", site.DWELLERS, ids=lambda dweller: str(dweller.name))
def test_clients_are_where_the_compose_file_puts_them(dweller: site.Dweller) -> None:
    assert dweller.visits_url == (
        f"http://{placed(dweller.name, 'core')['ipv4_address']}:8070/visits"
    )
    # The resolver passes on the network that it is asked from.
    resolver = COMPOSE["services"][dweller.name]["command"][-1]
    assert resolver == placed("resolver", dweller.region)["ipv4_address"]
    assert placed(dweller.name, dweller.region)["ipv4_address"].startswith(
        str(site.subnet(dweller.region).network_address).removesuffix("0")
    )


def test_the_resolver_and_the_parent_are_where_the_compose_file_puts_them() -> None:
    assert site.RESOLVER.host == placed("resolver", "core")["ipv4_address"]
    assert site.PARENT.host == placed("parent", "core")["ipv4_address"]


@pytest.mark.parametrize("region", ["fra", "iad", "nrt", site.SORRY])
def test_pages_are_where_the_compose_file_puts_them(region: str) -> None:
    service, network = ("sorry", "core") if region == site.SORRY else (f"web-{region}", region)
    place = placed(service, network)
    assert site.page_address(region, A) == place["ipv4_address"]
    assert site.page_address(region, AAAA) == place["ipv6_address"]


def test_without_frankfurt_its_clients_cross_the_atlantic() -> None:
    assert site.refuge("fra", {"fra"}) == "iad"
    assert site.refuge("nrt", {"nrt"}) == "fra"


def test_who_has_a_region_left_goes_to_the_nearest_and_without_any_to_the_sorry_page() -> None:
    assert site.refuge("iad", {"fra"}) == "iad"
    assert site.refuge("fra", {"fra", "iad"}) == "nrt"
    assert set(site.places({"fra", "iad", "nrt"}).values()) == {site.SORRY}


def test_each_client_belongs_to_its_region_over_both_families() -> None:
    assert site.places() == {
        f"client-{region} over IPv{family}": region
        for region in ("fra", "iad", "nrt")
        for family in (4, 6)
    }
