"""What each peer is given to serve the same world."""

from __future__ import annotations

from pathlib import Path

import bench.__main__
import pytest
import yaml
from bench.__main__ import PEERS, find_peers, parse
from bench.country import arc, nearest, nearest_by_country
from bench.peer import PeerError
from bench.peer_gslb import GUARDED, EarlierGslb, Gslb
from bench.peer_knot import Knot
from bench.peer_powerdns import BESIDE, PowerDns, PowerDnsLua
from bench.workload import WORKLOADS
from bench.world import DATACENTERS, STEERED, compose_zone, find_city_database

DATABASE = find_city_database()
assert DATABASE is not None, "the development dependencies hold it"
LONDON, TOKYO = (51.51, -0.13), (35.69, 139.69)


def test_the_nearest_data_center_is_nearest_on_the_globe() -> None:
    frankfurt, ashburn, narita = (address for _, _, address in DATACENTERS)
    assert (nearest(LONDON), nearest(TOKYO)) == (frankfurt, narita)
    # West across the date line: Hawaii is nearer to Narita than to Ashburn.
    assert nearest((21.31, -157.86)) == narita
    assert nearest((40.71, -74.01)) == ashburn


def test_an_arc_is_half_the_globe_at_most() -> None:
    assert arc((0, 0), (0, 180)) == pytest.approx(3.14159265)
    assert arc(LONDON, LONDON) == 0


def test_a_country_goes_where_most_of_it_goes() -> None:
    assert DATABASE is not None
    countries = nearest_by_country(DATABASE)
    frankfurt, ashburn, narita = (address for _, _, address in DATACENTERS)
    assert (countries["DE"], countries["US"], countries["JP"]) == (frankfurt, ashburn, narita)
    assert set(countries.values()) == {frankfurt, ashburn, narita}


def test_knot_knows_every_country(tmp_path: Path) -> None:
    assert DATABASE is not None
    Knot().command(tmp_path, 5300)
    (name, rules), *others = yaml.safe_load((tmp_path / "countries").read_text()).items()
    assert (name, others) == (STEERED, [])
    # YAML 1.1 takes Norway's NO for false; Knot's own YAML does not.
    known = nearest_by_country(DATABASE)
    assert {rule["geo"] or "NO": rule["A"] for rule in rules} == known


def test_powerdns_knows_every_country_and_a_default(tmp_path: Path) -> None:
    assert DATABASE is not None
    PowerDns().command(tmp_path, 5300)
    (domain,) = yaml.safe_load((tmp_path / "geoip.yaml").read_text())["domains"]
    records = domain["records"]
    for code, address in nearest_by_country(DATABASE).items():
        assert records[f"{code.lower()}.{STEERED}"] == [{"a": address}]
    assert domain["services"][STEERED] == [f"%cc.{STEERED}", f"default.{STEERED}"]
    assert records[f"default.{STEERED}"] == [{"a": DATACENTERS[0][2]}]


def test_powerdns_lua_chooses_among_addresses_beside_the_data_centers(tmp_path: Path) -> None:
    PowerDnsLua().command(tmp_path, 5300)
    zone = (tmp_path / "zone").read_text()
    assert "pickclosest" in zone
    for beside, (_, _, address) in zip(BESIDE, DATACENTERS, strict=True):
        assert f"['{beside}']='{address}'" in zone


def test_the_zones_of_all_peers_differ_in_one_line() -> None:
    one, other = (compose_zone(steer).splitlines() for steer in ("STEER web", "DYNA geoip!web"))
    assert sum(a != b for a, b in zip(one, other, strict=True)) == 1


@pytest.mark.parametrize(
    ("peer", "guards"),
    [
        (Gslb(), {"cookies": False, "rate_limit": False}),
        (Gslb("gslb-guarded", GUARDED), {"rate_limit": {"log_only": True}}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_gslb_is_measured_with_and_without_its_guards(
    peer: Gslb, guards: dict[str, object], tmp_path: Path
) -> None:
    peer.command(tmp_path, 5300)
    server = yaml.safe_load((tmp_path / "gslb.yaml").read_text())["server"]
    assert server == {"listen": ["127.0.0.1:5300"], "state": "state", **guards}


def test_an_earlier_gslb_runs_its_own_code(tmp_path: Path) -> None:
    peer = EarlierGslb("HEAD")
    assert peer.missing() == ""
    command = peer.command(tmp_path, 5300)
    assert command[:3] == ["env", "PYTHONSAFEPATH=1", f"PYTHONPATH={tmp_path / 'tree'}"]
    assert (tmp_path / "tree/gslb/__main__.py").is_file()


def test_a_commit_that_is_not_there_is_said(tmp_path: Path) -> None:
    peer = EarlierGslb("no-such-commit")
    assert peer.missing() == "the commit no-such-commit"
    with pytest.raises(PeerError, match="no-such-commit"):
        peer.command(tmp_path, 5300)


def test_only_workloads_that_there_are_are_skipped() -> None:
    names = {workload.name for workload in WORKLOADS}
    for peer in PEERS:
        assert peer.skips < names, peer.name


def test_the_earlier_commit_joins_the_chosen_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.__main__, "PEERS", (Gslb(), Gslb("gslb-guarded", GUARDED)))
    found = find_peers(["gslb"], "HEAD")
    assert [peer.name for peer in found] == ["gslb", "gslb@HEAD"]


def test_the_command_line_names_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    options = parse(["--peers", "knot,gslb", "--workloads", "cookie,overload", "--against", "main"])
    assert (options.peers, options.against) == (["knot", "gslb"], "main")
    with pytest.raises(SystemExit):
        parse(["--peers", "bind"])
    assert '"bind" is none of gdnsd, knot, powerdns' in capsys.readouterr().err
