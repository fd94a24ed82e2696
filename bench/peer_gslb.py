"""gslb itself: one process, `nearest` over the same data centers on the same database."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from bench.world import DATACENTERS, ZONE, compose_zone, find_city_database

# As gdnsd with its defaults, this server has no rate limit; cookies nobody sends cost nothing.
CONFIG = """\
server:
  listen: ["127.0.0.1:{port}"]
  state: state
  rate_limit: off
  cookies: off
control:
  listen: off
zones: zones/
geo:
  city: city.mmdb
datacenters:
{datacenters}
pools:
{pools}
policies:
  web: {{ nearest: [{names}] }}
"""


class Gslb:
    """This checkout, run by the Python that runs the bench."""

    name = "gslb"

    def missing(self) -> str:
        """What to install first, or nothing."""
        return "" if find_city_database() else "the City database (make test installs it)"

    def version(self) -> str:
        """The installed distribution's version."""
        return f"gslb {version('gslb')} (python engine)"

    def command(self, folder: Path, port: int) -> list[str]:
        """Writes configuration, zone and a database of its own, so that it is compiled anew."""
        database = find_city_database()
        if database is None:
            raise FileNotFoundError(self.missing())
        (folder / "zones").mkdir()
        shutil.copyfile(database, folder / "city.mmdb")
        (folder / "zones" / f"{ZONE}.zone").write_text(compose_zone("STEER web"), encoding="ascii")
        text = CONFIG.format(
            port=port,
            datacenters="\n".join(
                f"  {name}: {{ at: [{at[0]}, {at[1]}] }}" for name, at, _ in DATACENTERS
            ),
            pools="\n".join(
                f"  web-{name}: {{ datacenter: {name}, endpoints: [{address}] }}"
                for name, _, address in DATACENTERS
            ),
            names=", ".join(f"web-{name}" for name, _, _ in DATACENTERS),
        )
        config = folder / "gslb.yaml"
        config.write_text(text, encoding="ascii")
        return serve(config)


def serve(config: Path) -> list[str]:
    """The command that serves a configuration."""
    return [sys.executable, "-m", "gslb", "serve", "-c", str(config)]
