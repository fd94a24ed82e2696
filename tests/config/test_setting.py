"""The server's own settings: what is written, and what is meant where nothing is."""

from __future__ import annotations

import pytest
from gslb.core.client import Location, Network
from gslb.core.setting import (
    Cookies,
    GeoSettings,
    Limits,
    ProbeSettings,
    RateLimit,
    Settings,
    TcpLimits,
)

from yamlcase import read, said


def config_of(folder, text):
    reading = read(folder, text, "")
    assert said(reading, "error") == []
    return reading.config


def test_a_file_that_says_little_has_the_defaults(tmp_path):
    config = config_of(tmp_path, "server:\npools:\ntests:\ndefaults: { checks: }\n")
    assert config.settings == Settings(
        state=str(tmp_path / "state"),
        cookies=Cookies(str(tmp_path / "state" / "cookies")),
        rate_limit=RateLimit(200, 2, (), False),
    )
    assert (config.pools, config.policies, config.tests) == ((), {}, ())


def test_every_setting(tmp_path):
    config = config_of(
        tmp_path,
        """\
server:
  listen: ["0.0.0.0:53", "[::]:53"]
  engine: python
  state: /var/lib/gslb
  at: [50, 8]
  ecs_from: [192.0.2.0/24, "2001:db8::/32"]
  udp_size: 1400
  nsid: "fra é"
  cookies: { secret_file: secret/cookies }
  rate_limit: { per_second: 5, slip: 0, exempt: [192.0.2.1, "2001:db8::/48"], log_only: true }
  tcp: { connections: 1, per_source: 2, idle: 3s, message: 4s, pipeline: 5 }
  limits:
    { rrset: 1000, types_per_name: 20, cname_chain: 3, additional: 0, zone: 7, udp_batch: 8,
      log_lines: 9 }
control: { listen: "[::1]:8053", hosts: [gslb.example.com], max_body: 1KiB }
geo:
  city: geo/city.mmdb
  asn: /srv/asn.mmdb
  max_scope: [20, 48]
  table_memory: 1GiB
  overrides:
    192.0.2.0/24: { country: de, subdivisions: [de-be], at: [52.5, 13.4] }
    "2001:db8::/56": { subdivision: GB-ENG, continent: EU }
    198.51.100.0/24: { at: [0, 0] }
probe: { allow: [127.0.0.0/8, "::1"], concurrency: 7, settle: 0s, state_max_age: 1h }
""",
    )
    assert config.settings == Settings(
        listen=(("0.0.0.0", 53), ("::", 53)),
        engine="python",
        state="/var/lib/gslb",
        ecs_from=("192.0.2.0/24", "2001:db8::/32"),
        nsid="fra é".encode(),
        udp_size=1400,
        cookies=Cookies(str(tmp_path / "secret" / "cookies")),
        rate_limit=RateLimit(5, 0, ("192.0.2.1/32", "2001:db8::/48"), True),
        tcp=TcpLimits(1, 2, 3.0, 4.0, 5),
        limits=Limits(1000, 20, 3, 0, 7, 8, 9),
        control=("::1", 8053),
        control_hosts=("gslb.example.com",),
        max_body=1024,
        geo=GeoSettings(str(tmp_path / "geo/city.mmdb"), "/srv/asn.mmdb", (20, 48), 2**30),
        probe=ProbeSettings(("127.0.0.0/8", "::1/128"), 7, 0.0, 3600.0),
    )
    overrides = {o.network: o.location for o in config.overrides}
    assert overrides == {
        Network(4, 0xC0000200, 24): Location("", "DE", ("DE-BE",), (52.5, 13.4)),
        Network(6, 0x20010DB800000000, 56): Location("EU", "GB", ("GB-ENG",)),
        Network(4, 0xC6336400, 24): Location("", "", (), (0.0, 0.0)),
    }


def test_one_listen_address_needs_no_list_and_control_may_be_off(tmp_path):
    config = config_of(tmp_path, "server: { listen: '127.0.0.1:0' }\ncontrol: { listen: off }\n")
    assert config.settings.listen == (("127.0.0.1", 0),)
    assert config.settings.control is None


def test_ecs_is_believed_from_anybody_by_default_and_from_nobody_if_asked(tmp_path):
    assert config_of(tmp_path, "server: { ecs_from: any }\n").settings.ecs_from is None
    assert config_of(tmp_path, "server: { ecs_from: [] }\n").settings.ecs_from == ()


@pytest.mark.parametrize("written", ["cookies:", "cookies: {}", "rate_limit:", "rate_limit: {}"])
def test_an_empty_section_that_may_be_off_has_the_defaults(tmp_path, written):
    config = config_of(tmp_path, f"server: {{ {written} }}\n")
    assert config.settings.cookies == Cookies(str(tmp_path / "state" / "cookies"))
    assert config.settings.rate_limit == RateLimit()


def test_cookies_and_the_rate_limit_are_off_when_the_file_says_so(tmp_path):
    settings = config_of(tmp_path, "server: { cookies: off, rate_limit: off }\n").settings
    assert (settings.cookies, settings.rate_limit) == (None, None)


def test_the_secret_file_is_in_the_state_folder_unless_it_is_set(tmp_path):
    settings = config_of(tmp_path, "server: { state: var }\n").settings
    assert settings.cookies == Cookies(str(tmp_path / "var" / "cookies"))
    text = "server: { state: var, cookies: { secret_file: x } }\n"
    settings = config_of(tmp_path, text).settings
    assert settings.cookies == Cookies(str(tmp_path / "x"))
