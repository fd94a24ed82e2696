"""gslb itself: one process, `nearest` over the same data centers on the same database.

`gslb` has its guards off, as gdnsd has no rate limit. `gslb-guarded` has cookies on, as they are
by default, and a rate limit that only counts: one that limits would, of course, be quicker.
`gslb@COMMIT` is an earlier one, run by the same Python and its packages.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from bench import dnsperf
from bench.peer import PeerError
from bench.world import DATACENTERS, ZONE, compose_zone, find_city_database

ROOT = Path(__file__).resolve().parents[1]

CONFIG = """\
server:
  listen: ["127.0.0.1:{port}"]
  state: state
{guards}
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
OFF = "  cookies: off\n  rate_limit: off"
GUARDED = "  rate_limit: { log_only: true }"


class Gslb:
    """This checkout, run by the Python that runs the bench."""

    skips: frozenset[str] = frozenset()
    outstanding = dnsperf.OUTSTANDING

    def __init__(self, name: str = "gslb", guards: str = OFF) -> None:
        self.name = name
        self._guards = guards

    def missing(self) -> str:
        """What to install first, or nothing."""
        return "" if find_city_database() else "the City database (make test installs it)"

    def version(self) -> str:
        """The installed distribution's version."""
        return f"{self.name} {version('gslb')} (python engine)"

    def command(self, folder: Path, port: int) -> list[str]:
        """Writes configuration, zone and a database of its own, so that it is compiled anew."""
        database = find_city_database()
        if database is None:
            raise FileNotFoundError(self.missing())
        (folder / "zones").mkdir()
        shutil.copyfile(database, folder / "city.mmdb")
        zone_file(folder).write_text(compose_zone("STEER web"), encoding="ascii")
        text = CONFIG.format(
            port=port,
            guards=self._guards,
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


class EarlierGslb(Gslb):
    """The code of a commit, taken out of the repository into the folder."""

    def __init__(self, commit: str) -> None:
        super().__init__(f"gslb@{commit}")
        self._commit = commit

    def missing(self) -> str:
        """The commit, or what any gslb lacks."""
        done = git("rev-parse", "--verify", "--quiet", f"{self._commit}^{{commit}}")
        return super().missing() if done.returncode == 0 else f"the commit {self._commit}"

    def command(self, folder: Path, port: int) -> list[str]:
        """As any gslb, with the commit's `gslb` before the installed one."""
        tree, archive = folder / "tree", folder / "tree.tar"
        done = git("archive", f"--output={archive}", self._commit, "gslb")
        if done.returncode:
            raise PeerError(f"git archive {self._commit}: {done.stderr}")
        shutil.unpack_archive(archive, tree, filter="data")
        # Safe path: the folder in which the bench runs holds a gslb too, and `-m`, which the
        # server's own children use as well, would look there first.
        environment = ["env", "PYTHONSAFEPATH=1", f"PYTHONPATH={tree}"]
        where = [*environment, sys.executable, "-c", "import gslb; print(gslb.__file__)"]
        found = subprocess.run(where, capture_output=True, text=True).stdout.strip()
        if not Path(found).is_relative_to(tree):
            raise PeerError(f"{self.name} would run {found or 'nothing'} instead of {tree}")
        return [*environment, *super().command(folder, port)]


def git(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs git on this repository; nothing is changed in it."""
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)


def zone_file(folder: Path) -> Path:
    """The zone's master file of a gslb that lives in `folder`."""
    return folder / "zones" / f"{ZONE}.zone"


def serve(config: Path) -> list[str]:
    """The command that serves a configuration."""
    return [sys.executable, "-m", "gslb", "serve", "-c", str(config)]
