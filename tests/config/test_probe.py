"""The section `probe`: its witnesses, and whether its places are enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from gslb.config.scalar import ScalarError, read_witness
from gslb.core.setting import ProbeSettings, Witness
from hypothesis import given
from hypothesis import strategies as st

from yamlcase import SMALL, edited, read, said


def test_the_probe_settings(tmp_path: Path) -> None:
    text = "probe: { exec: true, witness: ["
    text += "'tcp://192.0.2.1:53', 'icmp://[2001:DB8::1]', icmp://192.0.2.9] }\n"
    probe = read(tmp_path, SMALL + text).config.settings.probe
    assert probe == ProbeSettings(
        witness=(
            Witness("tcp", "192.0.2.1", 53),
            Witness("icmp", "2001:db8::1"),
            Witness("icmp", "192.0.2.9"),
        ),
        exec=True,
    )
    one = read(tmp_path, SMALL + "probe: { witness: 'tcp://[2001:db8::1]:53' }\n")
    assert one.config.settings.probe.witness == (Witness("tcp", "2001:db8::1", 53),)


@pytest.mark.parametrize(
    ("witness", "problem"),
    [
        ("192.0.2.1", '"192.0.2.1" is no witness; write it as tcp://192.0.2.1:53 or icmp://'),
        ("udp://192.0.2.1:53", '"udp://192.0.2.1:53" is no witness; write it as tcp://'),
        ("5", "5 is no witness; write it as tcp://192.0.2.1:53 or icmp://192.0.2.1"),
        ("tcp://192.0.2.1", '"192.0.2.1" is not an address and a port; write it as tcp://'),
        ("tcp://192.0.2.1:0", '"tcp://192.0.2.1:0" has port 0; write a port that listens'),
        ("tcp://a.example:53", '"a.example" is a host name; write the IP address it stands for'),
        ("icmp://a.example", '"a.example" is a host name; write the IP address it stands for'),
        ("'icmp://[192.0.2.1]'", '"[192.0.2.1]" has an IPv4 address in brackets; leave them out'),
        ("'icmp://2001:db8::1'", '"2001:db8::1" is neither an IPv4 address nor one in brackets;'),
        ("icmp://192.0.2.1:53", '"192.0.2.1:53" is neither an IPv4 address nor one in brackets;'),
        ("tcp://127.0.0.1:53", '"tcp://127.0.0.1:53" may not be probed: 127.0.0.1 is in'),
        ("'icmp://[fe80::1]'", '"icmp://[fe80::1]" may not be probed: fe80::1 is in fe80::/10'),
    ],
)
def test_a_witness_that_is_none_is_said(tmp_path: Path, witness: str, problem: str) -> None:
    (error,) = said(read(tmp_path, SMALL + f"probe: {{ witness: [{witness}] }}\n"), "error")
    assert error.startswith(f"16:20: probe: witness: {problem}")


def test_a_witness_that_may_not_be_probed_is_told_what_to_allow(tmp_path: Path) -> None:
    text = "probe: { witness: 'tcp://[::1]:53' }\n"
    (error,) = said(read(tmp_path, SMALL + text), "error")
    assert error.endswith('allow it with `probe.allow: ["::1/128"]`')
    allowed = "probe: { witness: 'tcp://[::1]:53', allow: '::1/128' }\n"
    assert said(read(tmp_path, SMALL + allowed)) == []


@given(st.text(alphabet="tcpimu:/[].0123456789abcdef ", max_size=30))
def test_no_text_breaks_the_reader_of_witnesses(text: str) -> None:
    try:
        witness = read_witness(text)
    except ScalarError:
        return
    assert read_witness(witness.text) == witness


def test_a_witness_that_stands_twice_is_one_witness_and_said(tmp_path: Path) -> None:
    text = "probe: { witness: ['icmp://[2001:db8::1]', 'icmp://[2001:DB8:0::1]'] }\n"
    assert said(read(tmp_path, SMALL + text), "error") == [
        '16:44: probe: witness: "icmp://[2001:db8::1]" stands twice;'
        " name another, of another kind if you can"
    ]


# ---- places ------------------------------------------------------------------------------


def with_targets(number: int, check: str, more: str = "") -> str:
    """SMALL with a pool of so many endpoints."""
    endpoints = ", ".join(f"10.0.{n // 250}.{n % 250 + 1}" for n in range(number))
    text = edited(SMALL, "{ type: http, port: 8080 }", check)
    return edited(text, "[192.0.2.10]", f"[{endpoints}]") + more


SLOW = "{ type: http, interval: 10s, timeout: 2s }"


def test_more_targets_than_there_are_places_for_if_none_answers_are_a_warning(
    tmp_path: Path,
) -> None:
    # The other pool has one target: 74 + 1 at 2 s of 10 s are 15 places.
    assert said(read(tmp_path, with_targets(74, SLOW, "probe: { concurrency: 10 }\n"))) == []
    assert said(read(tmp_path, with_targets(99, SLOW, "probe: { concurrency: 5 }\n"))) == [
        "16:10: probe: concurrency 5 is too low: if all 100 targets time out, 20 probes are under"
        " way; it takes 120 s instead of 30 s until all are down;"
        " set concurrency: 20, or make timeouts shorter or intervals longer"
    ]
    more = with_targets(75, SLOW, "probe: { concurrency: 10 }\n")
    assert "if all 76 targets time out, 16 probes are under way" in said(read(tmp_path, more))[0]


def test_the_usual_places_are_enough_for_some_thousand_targets(tmp_path: Path) -> None:
    assert said(read(tmp_path, with_targets(3839, SLOW))) == []
    (warning,) = said(read(tmp_path, with_targets(3840, SLOW)))
    assert warning.startswith("1:1: probe: concurrency 512 is too low: if all 3841 targets time")


@pytest.mark.parametrize(
    ("check", "is_enough"),
    [
        ("{ type: push }", True),
        ("{ type: icmp, interval: 10s, enabled: false }", True),
        ("{ type: icmp, interval: 10s }", False),
        ("{ type: calculated, of: [a], need: 1 }\n  a: " + SLOW, False),
        ("{ type: calculated, of: [a], need: 1 }\n  a: { type: push }", True),
    ],
)
def test_what_is_not_probed_needs_no_place(tmp_path: Path, check: str, is_enough: bool) -> None:
    text = with_targets(99, check, "probe: { concurrency: 13 }\n")
    told = [line for line in said(read(tmp_path, text)) if " concurrency 13 " in line]
    assert (told == []) == is_enough
    assert all(" if all 100 targets time out, 20 probes are under way" in line for line in told)


def test_both_addresses_of_a_pair_need_a_place(tmp_path: Path) -> None:
    text = with_targets(1, SLOW, "probe: { concurrency: 1 }\n")
    pairs = ", ".join(f"{{ ipv4: 10.0.0.{n}, ipv6: '2001:db8::{n}' }}" for n in range(1, 5))
    warnings = said(read(tmp_path, edited(text, "[10.0.0.1]", f"[{pairs}]")))
    assert "if all 9 targets time out, 2 probes are under way" in warnings[-1]


def test_a_target_of_many_pools_needs_one_place(tmp_path: Path) -> None:
    text = edited(SMALL, "{ type: http, port: 8080 }", SLOW)
    twins = "".join(f"  p{n}: {{ check: web, endpoints: [10.0.0.1] }}\n" for n in range(60))
    text = edited(text, "pools:\n", f"pools:\n{twins}") + "probe: { concurrency: 1 }\n"
    assert [line for line in said(read(tmp_path, text)) if "concurrency" in line] == []
