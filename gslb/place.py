"""Where things are for a command: the configuration's file, and the server that it describes.

Knows: the default paths, and how a client reaches an address that a server listens on. Refuses to
know: what is asked there. Invariant: nothing is guessed silently: settings with an error in them
are a ConfigError, but no zone or policy is read to find a server.
"""

from __future__ import annotations

from pathlib import Path

from gslb.core.setting import Listen, Settings
from gslb.errors import ConfigError, Problem, Where

CONFIGURATIONS = ("gslb.yaml", "/etc/gslb/gslb.yaml")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def find_configuration(named: str | None) -> str:
    """The configuration's path: the one named, else the first that exists. Raises ConfigError."""
    if named is not None:
        return named
    for path in CONFIGURATIONS:
        if Path(path).exists():
            return path
    what = f"there is no such file, and no {CONFIGURATIONS[1]}"
    raise ConfigError((Problem(Where(CONFIGURATIONS[0]), "", what, "name one with -c FILE"),))


def read_settings(named: str | None) -> Settings:
    """The server's own settings, whatever else the file holds. Raises ConfigError."""
    from gslb.config import setting
    from gslb.config.document import read_document
    from gslb.config.report import Report

    path, report = find_configuration(named), Report()
    root = read_document(path, report)
    if root is not None:
        settings = setting.read_settings(root, str(Path(path).parent), report, needs_secrets=False)
        if not report.failed:
            return settings
    raise ConfigError(report.problems())


def first_listen(settings: Settings) -> Listen:
    """Where a DNS client on this machine asks the server."""
    return _reachable(settings.listen[0])


def control_url(settings: Settings) -> str | None:
    """Where a command on this machine asks the server; None if `control.listen` is off."""
    if settings.control is None:
        return None
    host, port = _reachable(settings.control)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reachable(listen: Listen) -> Listen:
    host, port = listen
    return _WILDCARDS.get(host, host), port
