"""What may be probed (health.md): the list, its hidden forms, and `probe.allow`."""

from __future__ import annotations

import pytest
from gslb.core.probing import forbid, refusal
from hypothesis import given
from hypothesis import strategies as st

FORBIDDEN = [
    "0.0.0.0",
    "0.255.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "febf::1",
    "ff02::1",
    "fd00:ec2::254",
]
FREE = [
    "1.0.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "100.100.100.199",
    "100.64.0.1",
    "168.63.129.17",
    "223.255.255.255",
    "240.0.0.1",
    "255.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "::2",
    "fe00::1",
    "fec0::1",
    "fd00::1",
    "fd00:ec2::253",
    "2001:db8::1",
    "::ffff:192.0.2.1",
    "2002:c000:201::1",
    "64:ff9b::192.0.2.1",
    "64:ff9b:1::10.0.0.1",
    "64:ff9b:2::127.0.0.1",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_the_list_of_the_design_is_refused(address):
    assert refusal(address, ()) is not None


@pytest.mark.parametrize("address", FREE)
def test_private_documentation_and_public_addresses_are_probed(address):
    assert refusal(address, ()) is None


@pytest.mark.parametrize("inner", [a for a in FORBIDDEN if "." in a])
@pytest.mark.parametrize(
    "form", ["::ffff:{}", "64:ff9b::{}", "64:ff9b:1:2:3:4:{}", "2002:{hex}::1"]
)
def test_a_forbidden_ipv4_address_does_not_hide_in_an_ipv6_one(inner, form):
    parts = [int(part) for part in inner.split(".")]
    hexed = f"{parts[0]:02x}{parts[1]:02x}:{parts[2]:02x}{parts[3]:02x}"
    address = form.format(inner, hex=hexed)
    reason = refusal(address, ())
    assert reason is not None
    assert f"stands for {inner}" in reason


def test_the_reason_names_the_network_and_what_it_is():
    assert refusal("127.0.0.1", ()) == "127.0.0.1 is in 127.0.0.0/8 (loopback)"
    assert (
        refusal("::ffff:127.0.0.1", ())
        == "::ffff:127.0.0.1 stands for 127.0.0.1, which is in 127.0.0.0/8 (loopback)"
    )
    assert refusal("169.254.169.254", ()) == (
        "169.254.169.254 is in 169.254.169.254/32 (a metadata service)"
    )


def test_an_allowed_network_may_be_probed_and_nothing_beside_it():
    allow = ("127.0.0.0/8", "fe80::/64")
    assert refusal("127.0.0.1", allow) is None
    assert refusal("fe80::1", allow) is None
    assert refusal("fe80:0:0:1::1", allow) is not None
    assert refusal("169.254.0.1", allow) is not None


def test_allowing_an_ipv4_network_allows_its_ipv6_forms():
    assert refusal("::ffff:127.0.0.1", ("127.0.0.0/8",)) is None
    assert refusal("::ffff:127.0.0.1", ("::ffff:0:0/96",)) is None
    assert refusal("64:ff9b::127.0.0.1", ("64:ff9b::/96",)) is None


def test_a_link_local_address_with_a_zone_is_still_link_local():
    assert refusal("fe80::1%eth0", ()) is not None


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "127.1", "0x7f.0.0.1", "::1::"])
def test_what_is_no_address_is_refused(text):
    assert refusal(text, ("0.0.0.0/0", "::/0")) == f"{text} is not an IP address"


def test_forbid_tells_which_network_to_allow():
    found = forbid("2002:7f00:1::")
    assert found is not None
    assert (found.address, found.network, found.kind) == ("127.0.0.1", "127.0.0.0/8", "loopback")
    assert forbid("192.0.2.1") is None


@given(st.ip_addresses())
def test_what_is_refused_is_allowed_by_the_network_it_is_told_to_name(address):
    found = forbid(str(address))
    if found is None:
        assert refusal(str(address), ()) is None
    else:
        assert refusal(str(address), ()) is not None
        assert refusal(str(address), (found.network,)) is None
