"""Knot DNS: one UDP worker, its geoip module by country on the same database.

The module knows keys of the database, not distances, so every country has one data center; the
zone keeps a default for clients whose country it does not know.
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
server:
  listen: 127.0.0.1@{port}
  rundir: {folder}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  edns-client-subnet: on
log:
  - target: stdout
    any: warning
database:
  storage: {folder}
mod-geoip:
  - id: world
    config-file: {folder}/countries
    ttl: 30
    mode: geodb
    geodb-file: {database}
    geodb-key: country/iso_code
template:
  - id: default
    storage: {folder}
    global-module: mod-cookies
zone:
  - domain: {zone}
    file: zone
    module: mod-geoip/world
"""


class Knot:
    """Knot DNS 3 with mod-geoip, and mod-cookies for the workload that sends cookies."""

    name = "knot"
    # mod-cookies answers a client cookie alone with BADCOOKIE and no records.
    skips = frozenset({"cookie-first"})
    outstanding = dnsperf.OUTSTANDING

    def missing(self) -> str:
        """What to install first, or nothing."""
        if not shutil.which("knotd"):
            return "knotd (the package knot)"
        if find_city_database() is None:
            return "the City database (make test installs it)"
        known = any(Path("/usr/lib").glob("**/knot/modules-*/geoip.so"))
        return "" if known else "mod-geoip (the package knot-module-geoip)"

    def version(self) -> str:
        """`knot 3.2.6`."""
        done = subprocess.run(["knotd", "--version"], capture_output=True, text=True)
        found = re.search(r"version (\S+)", done.stdout)
        return f"knot {found[1]}" if found else "knot"

    def command(self, folder: Path, port: int) -> list[str]:
        """Writes configuration, zone and the countries' addresses."""
        database = find_city_database()
        if database is None:
            raise FileNotFoundError(self.missing())
        text = CONFIG.format(port=port, folder=folder, database=database, zone=ZONE)
        (folder / "knot.conf").write_text(text, encoding="ascii")
        (folder / "zone").write_text(compose_zone(f"A {DATACENTERS[0][2]}"), encoding="ascii")
        lines = [f"{STEERED}:"]
        for country, address in nearest_by_country(database).items():
            lines += [f"  - geo: {country}", f"    A: {address}"]
        (folder / "countries").write_text("\n".join(lines) + "\n", encoding="ascii")
        return ["knotd", "-c", str(folder / "knot.conf")]
