"""gdnsd: one UDP thread, its geoip plugin in city-auto-mode on the same database."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from bench import dnsperf
from bench.world import DATACENTERS, ZONE, compose_zone, find_city_database

CONFIG = """\
options => {{
  listen => {{ 127.0.0.1:{port} => {{ udp_threads = 1, tcp_threads = 1, udp_rcvbuf = 1048576 }} }}
  run_dir = {folder}/run
  state_dir = {folder}/state
}}
plugins => {{
  geoip => {{
    maps => {{
      world => {{
        geoip2_db = {database}
        datacenters = [ {names} ]
        auto_dc_coords => {{ {coordinates} }}
      }}
    }}
    resources => {{
      web => {{ map = world, service_types = up, dcmap => {{ {addresses} }} }}
    }}
  }}
}}
"""


class Gdnsd:
    """gdnsd 3."""

    name = "gdnsd"
    skips: frozenset[str] = frozenset()
    outstanding = dnsperf.OUTSTANDING

    def missing(self) -> str:
        """What to install first, or nothing."""
        if not shutil.which("gdnsd"):
            return "gdnsd (the package of that name)"
        return "" if find_city_database() else "the City database (make test installs it)"

    def version(self) -> str:
        """`gdnsd 3.8.1`, from its usage text."""
        done = subprocess.run(["gdnsd", "-h"], capture_output=True, text=True)
        found = re.search(r"gdnsd version (\S+)", done.stdout + done.stderr)
        return f"gdnsd {found[1]}" if found else "gdnsd"

    def command(self, folder: Path, port: int) -> list[str]:
        """Writes configuration and zone below `folder`."""
        config = folder / "etc"
        for needed in (config / "zones", config / "geoip", folder / "run", folder / "state"):
            needed.mkdir(parents=True)
        text = CONFIG.format(
            port=port,
            folder=folder,
            database=find_city_database(),
            names=", ".join(name for name, _, _ in DATACENTERS),
            coordinates=", ".join(f"{name} = [ {at[0]}, {at[1]} ]" for name, at, _ in DATACENTERS),
            addresses=", ".join(f"{name} = {address}" for name, _, address in DATACENTERS),
        )
        (config / "config").write_text(text, encoding="ascii")
        (config / "zones" / ZONE).write_text(compose_zone("DYNA geoip!web"), encoding="ascii")
        return ["gdnsd", "-c", str(config), "start"]
