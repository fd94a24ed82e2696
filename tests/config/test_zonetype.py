"""Every type that may stand in a zone: its text form, and RFC 3597's form of the same data."""

from __future__ import annotations

import pkgutil

import dns.rdatatype
import dns.rdtypes.ANY
import dns.rdtypes.IN
import pytest
from gslb.config.zonefolder import read_zones
from gslb.core.setting import Limits
from gslb.wire.name import from_text

# From the documents that define the types, names and addresses made ours.
DATA = {
    "A": "192.0.2.1",
    "AAAA": "2001:db8::1",
    "AFSDB": "1 afs.example.com.",
    "AMTRELAY": "10 0 3 amtrelays.example.com.",
    "APL": "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8",
    "AVC": '"app-name:WOLFGANG|app-class:OAM|business=yes"',
    "BRID": "owAAAYIEWCI=",
    "CAA": '0 issue "ca.example.net; policy=ev"',
    "CDNSKEY": "257 3 8 AwEAAcw5QLr0IjC0wKbGoBPQv4qmeqHy9mvLqgWJQgDZ",
    "CDS": "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118",
    "CERT": "PKIX 65534 RSASHA256 MxFcby9k/yvedMfQgKzhH5er0Mu/vILz45I=",
    "CNAME": "www.example.com.",
    "CSYNC": "66 3 A NS AAAA",
    "DHCID": "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
    "DLV": "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118",
    "DNAME": "example.net.",
    "DNSKEY": "256 3 8 AwEAAcw5QLr0IjC0wKbGoBPQv4qmeqHy9mvLqgWJQgDZ",
    "DS": "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118",
    "DSYNC": "CDS NOTIFY 5300 notify.example.net.",
    "EUI48": "00-00-5e-00-53-2a",
    "EUI64": "00-00-5e-ef-10-00-00-2a",
    "GPOS": "-32.6882 116.8652 10.0",
    "HHIT": "gwppbnRlcm5ldCBkcmFmdA==",
    "HINFO": '"Generic PC clone" "NetBSD-1.4"',
    "HIP": "2 200100107B1A74DF365639CC39F1D578 AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p "
    "rvs.example.com.",
    "HTTPS": '1 svc.example.com. mandatory=alpn alpn="h2,h3" port=8443 ipv4hint=192.0.2.1 '
    'ech=AAT+DQAA key667="\\210x"',
    "IPSECKEY": "10 3 2 gw.example.com. AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
    "ISDN": '"150862028003217" "004"',
    "KEY": "256 3 8 AwEAAcw5QLr0IjC0wKbGoBPQv4qmeqHy9mvLqgWJQgDZ",
    "KX": "10 kx.example.com.",
    "L32": "10 10.1.2.0",
    "L64": "10 2001:0db8:1140:1000",
    "LOC": "60 9 0.000 N 24 39 0.000 E 10.00m 20.00m 2000.00m 20.00m",
    "LP": "10 l64-subnet1.example.com.",
    "MX": "10 mail.example.com.",
    "NAPTR": '100 50 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .',
    "NID": "10 0014:4fff:ff20:ee64",
    "NINFO": '"zone status" "active"',
    "NS": "ns1.example.com.",
    "NSAP": "0x47000580005a0000000001e133ffffff00016100",
    "NSAP-PTR": "foo.example.com.",
    "NSEC": "host.example.com. A MX RRSIG NSEC TYPE1234",
    "NSEC3": "1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG",
    "NSEC3PARAM": "1 0 12 aabbccdd",
    "OPENPGPKEY": "mQENBFVHm5sBCADZ7SuNRbPvP9bn",
    "PTR": "host.example.com.",
    "PX": "10 example.com. px400.example.com.",
    "RESINFO": '"qnamemin" "exterr=15-17" "infourl=https://resolver.example.com/guide"',
    "RP": "mbox.example.com. txt.example.com.",
    "RRSIG": "A 8 3 3600 20300101000000 20260101000000 2642 example.com. "
    "oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTrPYGv07h108dUKGMeDPKijVCHX3DDKdfb+v6oB9wfuh3DTJXUAfI=",
    "RT": "10 relay.example.com.",
    "SIG": "A 8 3 3600 20300101000000 20260101000000 2642 example.com. "
    "oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTrPYGv07h108dUKGMeDPKijVCHX3DDKdfb+v6oB9wfuh3DTJXUAfI=",
    "SMIMEA": "3 0 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
    "SOA": "ns1 hostmaster 1 7200 900 1209600 60",
    "SPF": '"v=spf1 -all"',
    "SRV": "0 5 5060 sip.example.com.",
    "SSHFP": "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
    "SVCB": "16 foo.example.org. alpn=h2 port=53",
    "TLSA": "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
    "TXT": '"a;b" "c\\"d" \\000\\255',
    "URI": '10 1 "ftp://ftp1.example.com/public"',
    "WALLET": '"ETH" "0x0123"',
    "WKS": "192.0.2.1 6 25 80",
    "X25": "311061700956",
    "ZONEMD": "2018031500 1 1 "
    "c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c",
}
MESSAGES_OWN = {"OPT", "TKEY", "TSIG"}
HEAD = """\
$ORIGIN example.com.
$TTL 300
@ SOA ns1 h 1 2 3 4 5
@ NS ns1
@ NS ns2
ns1 A 192.0.2.53
ns2 A 192.0.2.54
"""


def known_types() -> list[str]:
    """The types for which dnspython has a module of its own, as zone files name them."""
    packages = (dns.rdtypes.ANY, dns.rdtypes.IN)
    names = [m.name for package in packages for m in pkgutil.iter_modules(package.__path__)]
    return sorted(name.replace("_", "-") for name in names)


def load(folder, text):
    """The zone of a text, and the errors."""
    (folder / "example.com.zone").write_text(text)
    found = read_zones(str(folder), Limits(), "zones")
    errors = [str(problem) for problem in found.problems if problem.severity == "error"]
    return (found.zones[0] if found.zones else None), errors


def rdatas(zone, owner, rrtype):
    (rrset,) = [r for r in zone.find(from_text(owner)).rrsets if r.type == rrtype]
    return rrset.rdatas


def test_there_is_an_example_of_every_type_that_is_known():
    assert set(known_types()) == set(DATA) | MESSAGES_OWN


@pytest.mark.parametrize("name", sorted(DATA))
def test_a_type_is_read_as_it_is_written_and_as_octets(tmp_path, name):
    rrtype = int(dns.rdatatype.from_text(name))
    if name == "SOA":
        zone, errors = load(tmp_path, HEAD.replace("ns1 h 1 2 3 4 5", DATA[name]))
        owner = "example.com"
    else:
        zone, errors = load(
            tmp_path, f"{HEAD}x {name} {DATA[name]}\nX.y {name.lower()} {DATA[name]}\n"
        )
        owner = "x.example.com"
    assert errors == []
    (octets,) = rdatas(zone, owner, rrtype)
    # RFC 3597 section 5: any type may be written as its number and its octets.
    again = f"\\# {len(octets)} {octets[:3].hex()} ( {octets[3:].hex()} )"
    if name == "SOA":
        text = HEAD.replace("SOA ns1 h 1 2 3 4 5", f"TYPE6 {again}")
    else:
        text = f"{HEAD}x {name} {again}\nz CLASS1 TYPE{rrtype} {again}\n"
    zone, errors = load(tmp_path, text)
    assert errors == []
    assert rdatas(zone, owner, rrtype) == (octets,)
    if name != "SOA":
        assert rdatas(zone, "z.example.com", rrtype) == (octets,)


@pytest.mark.parametrize("rrtype", [1234, 65280, 65534])
@pytest.mark.parametrize("octets", [b"", b"\x00", bytes(range(256)), b"\xff" * 60_000])
def test_an_unknown_type_is_kept_as_it_is(tmp_path, rrtype, octets):
    zone, errors = load(tmp_path, f"{HEAD}x TYPE{rrtype} \\# {len(octets)} {octets.hex()}\n")
    assert errors == []
    assert rdatas(zone, "x.example.com", rrtype) == (octets,)


@pytest.mark.parametrize(
    "rrtype", ["TYPE0", "OPT", "TKEY", "TSIG", "IXFR", "AXFR", "MAILB", "MAILA", "ANY", "TYPE128"]
)
def test_what_only_messages_and_questions_have_is_no_data(tmp_path, rrtype):
    _, errors = load(tmp_path, f"{HEAD}x {rrtype} \\# 1 00\n")
    (error,) = errors
    assert error.startswith("zones/example.com.zone:8:")


@pytest.mark.parametrize("name", sorted(set(DATA) - {"APL"}))
def test_data_that_is_no_data_of_its_type_is_refused_at_its_line(tmp_path, name):
    _, errors = load(tmp_path, f"{HEAD}x {name}\n")
    (error,) = [each for each in errors if "zone:8:" in each]
    assert "zones/example.com.zone:8:" in error
