"""The bundled databases: those of the committed table, and what examples rely on."""

from __future__ import annotations

import csv
import importlib.util
from ipaddress import ip_network
from pathlib import Path
from types import ModuleType

import maxminddb
import pytest

GEODATA = Path(__file__).resolve().parents[2] / "geodata"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("geodata_build", GEODATA / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def city(address: str) -> dict[str, object]:
    with maxminddb.open_database(GEODATA / "lab.mmdb") as reader:
        record = reader.get(address)
    assert isinstance(record, dict)
    return record


def test_the_committed_databases_are_built_from_the_committed_table(
    build: ModuleType, tmp_path: Path
) -> None:
    build.build(tmp_path)
    for name in ("lab.mmdb", "lab-asn.mmdb"):
        assert (tmp_path / name).read_bytes() == (GEODATA / name).read_bytes(), (
            "run: python geodata/build.py"
        )


def test_every_row_is_found_at_its_first_and_last_address() -> None:
    with (GEODATA / "lab.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    networks = [ip_network(row["network"]) for row in rows]
    assert len(rows) > 40
    for row, network in zip(rows, networks, strict=True):
        inner = [n for n in networks if n.version == network.version and n != network]
        for address in (network[0], network[-1]):
            if any(address in n and n.prefixlen > network.prefixlen for n in inner):
                continue
            record = city(str(address))
            assert record.get("city", {"names": {"en": ""}})["names"]["en"] == row["city"]
            assert record.get("country", {"iso_code": ""})["iso_code"] == row["country"]
            assert record["continent"]["code"] == row["continent"]


@pytest.mark.parametrize(
    ("address", "continent"),
    [("127.1.0.1", "EU"), ("127.2.0.1", "NA"), ("127.3.0.1", "AS"), ("127.4.0.1", "AF")],
)
def test_a_lab_address_is_on_the_continent_that_the_documents_say(
    address: str, continent: str
) -> None:
    assert city(address)["continent"]["code"] == continent


def test_the_client_of_most_examples_is_in_london() -> None:
    record = city("81.2.69.160")
    assert record["city"]["names"]["en"] == "London"
    assert record["country"]["iso_code"] == "GB"
    assert [level["iso_code"] for level in record["subdivisions"]] == ["ENG"]
    assert record["location"]["latitude"] == 51.51


def test_a_place_may_lack_coordinates_or_everything_but_a_continent() -> None:
    assert "location" not in city("127.5.1.1")
    assert city("127.5.1.1")["country"]["iso_code"] == "AT"
    assert set(city("127.5.2.1")) == {"continent"}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.0.1", "8.8.8.8"])
def test_what_is_not_in_the_table_is_nowhere(address: str) -> None:
    with maxminddb.open_database(GEODATA / "lab.mmdb") as reader:
        assert reader.get(address) is None


def test_autonomous_systems_are_those_for_documentation() -> None:
    with maxminddb.open_database(GEODATA / "lab-asn.mmdb") as reader:
        numbers = {record["autonomous_system_number"] for _, record in reader}
    assert numbers
    assert all(64496 <= number <= 64511 for number in numbers)  # RFC 5398
