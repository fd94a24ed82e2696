"""A folder with a gslb.yaml and one zone, for the tests of the YAML reader."""

from __future__ import annotations

import re
from pathlib import Path

from gslb.config.reader import Reading, read_configuration

ZONE = """\
$ORIGIN gslb.example.com.
$TTL 300
@       SOA   ns1 hostmaster 2026112001 7200 900 1209600 60
        NS    ns1
        NS    ns2
ns1     A     192.0.2.53
ns2     A     198.51.100.53
"""

SMALL = """\
geo: { city: city.mmdb, asn: asn.mmdb }
clients:
  dach: [DE, AT, CH]
  office: [203.0.113.0/24]
datacenters:
  fra: { at: [50.11, 8.68] }
  iad: { at: [39.04, -77.49] }

checks:
  web: { type: http, port: 8080 }
pools:
  web-fra: { datacenter: fra, check: web, endpoints: [192.0.2.10] }
  web-iad: { datacenter: iad, check: web, endpoints: [198.51.100.10] }
policies:
  web: [web-fra, web-iad]
"""


def example() -> tuple[str, str]:
    """gslb.yaml and the zone file of docs/configuration.md's first example."""
    text = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text("utf-8")
    yaml = re.search(r"```yaml\n(# yaml-language-server.*?)```", text, re.DOTALL)
    zone = re.search(r"```\n(\$ORIGIN gslb\.example\.com\..*?)```", text, re.DOTALL)
    assert yaml is not None
    assert zone is not None
    return yaml[1], zone[1]


def write(folder: Path, text: str | bytes, zone: str = "www 30 STEER web\n") -> str:
    """Write gslb.yaml and a zone with some records more; gives the path of gslb.yaml."""
    (folder / "zones").mkdir(exist_ok=True)
    (folder / "zones" / "gslb.example.com.zone").write_text(ZONE + zone, "utf-8")
    path = folder / "gslb.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def read(folder: Path, text: str | bytes, zone: str = "www 30 STEER web\n") -> Reading:
    """Read such a folder."""
    return read_configuration(write(folder, text, zone))


def said(reading: Reading, severity: str | None = None) -> list[str]:
    """The problems as `line:column: subject: what; hint`, files left out."""
    lines = []
    for problem in reading.problems:
        if severity in (None, problem.severity):
            text = str(problem).removeprefix(problem.where.file + ":")
            lines.append(text.replace(f" {problem.severity}:", "", 1))
    return lines


def edited(text: str, old: str, new: str) -> str:
    """The text with one part replaced, which must be there once."""
    assert text.count(old) == 1, old
    return text.replace(old, new)
