"""The probing bench: its figures are the server's own, and who probed too little has none."""

from __future__ import annotations

import socket
from math import inf
from pathlib import Path

import dns.message
import pytest
from bench.machine import Cpu, cores, staying_on
from bench.probe import (
    CHECKS,
    Figures,
    Load,
    compose_config,
    fetch,
    judge_probes,
    measure_alone,
    parse,
    quantile,
    read_figures,
    running,
    target_server,
    tell_probes,
)
from bench.question import query
from bench.world import compose_zone
from gslb.config.reader import read_configuration

PAGE = """\
# TYPE gslb_probes_total counter
gslb_probes_total{check="all",result="ok"} 98.0
gslb_probes_total{check="all",result="failed"} 2.0
gslb_probe_lateness_seconds_bucket{le="0.001"} 90.0
gslb_probe_lateness_seconds_bucket{le="0.25"} 98.0
gslb_probe_lateness_seconds_bucket{le="1.0"} 98.0
gslb_probe_lateness_seconds_bucket{le="+Inf"} 100.0
gslb_probe_lateness_seconds_sum 3.5
"""
LOAD = Load("http", 100, 1.0, 1.0, 100)


def test_the_cores_stay_the_same_while_the_bench_is_on_one_of_them() -> None:
    before = cores()
    with staying_on(before[1]):
        assert cores() == before


def test_buckets_are_read_without_what_is_below_them() -> None:
    seen = read_figures(PAGE)
    assert seen.probes == {"ok": 98, "failed": 2}
    assert seen.late == {0.001: 90, 0.25: 8, 1.0: 0, inf: 2}
    assert (seen - seen).late == {0.001: 0, 0.25: 0, 1.0: 0, inf: 0}


def test_a_quantile_is_a_bound_that_is_known_and_no_guess() -> None:
    late = read_figures(PAGE).late
    assert [quantile(late, share) for share in (0.5, 0.9, 0.98, 0.99)] == [0.001, 0.001, 0.25, inf]
    assert quantile({0.001: 5, 0.25: 0}, 1.0) == 0.001
    assert quantile({}, 0.5) == inf


def test_too_few_probes_and_failed_ones_are_no_figure() -> None:
    assert judge_probes(LOAD, Figures({"ok": 100}, {}), 1.0) == ""
    assert judge_probes(LOAD, Figures({"ok": 50}, {}), 1.0) == "50 probes a second of 100"
    assert judge_probes(LOAD, Figures({"ok": 98, "failed": 2}, {}), 1.0) == "2 probes failed"


def test_a_start_that_was_too_late_fails() -> None:
    facts = tell_probes(
        "probing", LOAD, Figures({"ok": 100}, {0.1: 98, 0.5: 2}), 1.0, Cpu(0.2, 0.1)
    )
    assert [fact.name for fact in facts if fact.failed] == ["probing: lateness p99, at most"]
    assert facts[-1].value == pytest.approx(30)


@pytest.mark.parametrize("kind", CHECKS)
def test_every_type_is_a_configuration_without_errors(kind: str, tmp_path: Path) -> None:
    text = compose_config(Load(kind, 23, 2.0, 1.0, 1), 25300, 25301, 25302)
    path = tmp_path / "gslb.yaml"
    path.write_text(text, encoding="ascii")
    (tmp_path / "zones").mkdir()
    (tmp_path / "zones" / "bench.zone").write_text(compose_zone("STEER web"), encoding="ascii")
    reading = read_configuration(str(path))
    assert reading.config is not None, reading.problems
    addresses = [one.ipv4 for pool in reading.config.pools for one in pool.endpoints]
    assert (len(addresses), len(set(addresses))) == (23, 23)


def test_a_quick_look_is_short() -> None:
    quick = parse(["--quick", "--type", "tcp"])
    assert (quick.targets, quick.interval, quick.seconds, quick.type) == (1000, 2.0, 5.0, "tcp")
    with pytest.raises(SystemExit):
        parse(["--seconds", "3600"])


def test_every_address_of_loopback_is_well_in_every_way(tmp_path: Path) -> None:
    with target_server(tmp_path) as port, socket.socket(type=socket.SOCK_DGRAM) as asker:
        assert fetch(port, "127.64.39.15") == "ok\n"
        asker.settimeout(10)
        asker.connect(("127.77.0.9", port))  # so that no other address's reply is taken
        asker.send(query("health.example"))
        reply = dns.message.from_wire(asker.recv(512))
    assert (reply.rcode(), reply.question[0].name.to_text()) == (0, "health.example.")


def test_targets_on_many_addresses_are_really_probed(tmp_path: Path) -> None:
    load = Load("http", targets=30, interval_s=1.0, seconds=1.5, qps=100)
    with (
        target_server(tmp_path) as targets,
        running(load, tmp_path / "server", targets) as (server, control, _),
    ):
        facts = {fact.name: fact for fact in measure_alone(load, server, control)}
    # Those that were probed at the start have their turn later, so that there may be fewer.
    assert not [fact.fault for fact in facts.values() if "probes failed" in fact.fault]
    assert facts["probing: probes a second"].value > 10
    assert facts["probing: RSS"].value > 1
