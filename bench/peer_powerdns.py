"""PowerDNS: one receiver thread; the zone in its bind backend, the steered name in two ways.

`powerdns`: the geoip backend, which knows countries, not distances. It serves zones of its own,
so the steered name is one.
`powerdns-lua`: a Lua record in the zone, whose `pickclosest` chooses by distance. It asks the
database where the addresses themselves are. Ours, kept for documentation, are nowhere, so it
chooses among addresses that the database puts beside our data centers.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from bench import dnsperf
from bench.country import nearest_by_country
from bench.world import DATACENTERS, STEERED, ZONE, compose_zone, find_city_database

CONFIG = """\
launch=bind,geoip
local-address=127.0.0.1
local-port={port}
socket-dir={folder}
bind-config={folder}/named.conf
geoip-database-files=mmdb:{database}
geoip-zones-file={folder}/geoip.yaml
edns-subnet-processing=yes
enable-lua-records={lua}
edns-cookie-secret=00112233445566778899aabbccddeeff
receiver-threads=1
distributor-threads=1
consistent-backends=yes
security-poll-suffix=
"""

NAMED = 'zone "{zone}" {{ type master; file "{folder}/zone"; }};\n'

GEOIP = """\
domains:
- domain: {name}
  ttl: 30
  records:
    {name}:
    - soa: ns1.{zone} hostmaster.{zone} 1 7200 900 1209600 60
    - ns: ns1.{zone}
    - ns: ns2.{zone}
    default.{name}:
    - a: {default}
{countries}
  services:
    {name}: ["%cc.{name}", "default.{name}"]
"""

# Networks that the database puts within eight kilometres of each data center, in their order.
# They are looked up in a file; nothing is ever sent there.
BESIDE = ("93.197.63.1", "216.36.45.1", "126.66.222.1")


class PowerDns:
    """PowerDNS 4 with its geoip backend."""

    name = "powerdns"
    # With a secret it answers a client cookie alone with BADCOOKIE and no records.
    skips = frozenset({"cookie-first"})
    outstanding = dnsperf.OUTSTANDING
    lua = False

    def missing(self) -> str:
        """What to install first, or nothing."""
        if not shutil.which("pdns_server"):
            return "pdns_server (the package pdns-server)"
        for backend in ("bind", "geoip"):
            if not any(Path("/usr/lib").glob(f"**/pdns/lib{backend}backend.so")):
                return f"its {backend} backend (the package pdns-backend-{backend})"
        return "" if find_city_database() else "the City database (make test installs it)"

    def version(self) -> str:
        """`powerdns 4.7.3`."""
        done = subprocess.run(["pdns_server", "--version"], capture_output=True, text=True)
        found = re.search(r"Server (\S+)", done.stdout + done.stderr)
        return f"{self.name} {found[1]}" if found else self.name

    def command(self, folder: Path, port: int) -> list[str]:
        """Writes configuration, zone and the countries' addresses."""
        database = find_city_database()
        if database is None:
            raise FileNotFoundError(self.missing())
        text = CONFIG.format(
            port=port, folder=folder, database=database, lua="yes" if self.lua else "no"
        )
        (folder / "pdns.conf").write_text(text, encoding="ascii")
        (folder / "named.conf").write_text(NAMED.format(zone=ZONE, folder=folder), encoding="ascii")
        (folder / "zone").write_text(compose_zone(self.steer()), encoding="ascii")
        (folder / "geoip.yaml").write_text(self.countries(database), encoding="ascii")
        return ["pdns_server", f"--config-dir={folder}", "--daemon=no", "--guardian=no"]

    def steer(self) -> str:
        """The steered name is served by the other backend: here it is only delegated to it."""
        return f"NS ns1.{ZONE}."

    def countries(self, database: Path) -> str:
        """The geoip backend's zone: an address for each country, and one for the others."""
        records = [
            f"    {code.lower()}.{STEERED}:\n    - a: {address}"
            for code, address in nearest_by_country(database).items()
        ]
        return GEOIP.format(
            name=STEERED, zone=ZONE, default=DATACENTERS[0][2], countries="\n".join(records)
        )


class PowerDnsLua(PowerDns):
    """PowerDNS 4 with a Lua record."""

    name = "powerdns-lua"
    # Without the steered name it is the same server as above.
    skips = frozenset({"static", "nxdomain", "cookie", "cookie-first"})
    outstanding = 20  # of 200 some are answered too late
    lua = True

    def steer(self) -> str:
        """The nearest of the addresses beside the data centers stands for that data center."""
        places = ",".join(
            f"['{beside}']='{address}'"
            for beside, (_, _, address) in zip(BESIDE, DATACENTERS, strict=True)
        )
        choices = ",".join(f"'{beside}'" for beside in BESIDE)
        return f'LUA A ";local at={{{places}}} return at[pickclosest({{{choices}}})]"'

    def countries(self, database: Path) -> str:
        """No zone: the backend only lends the database to Lua."""
        return "domains: []\n"
