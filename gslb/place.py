"""Where things are for a command: the configuration's file, and the server that it describes.

Knows: the default paths, the last good copy, and how a client reaches an address that a server
listens on. Refuses to know: what is asked there. Invariant: nothing is guessed silently: settings
with an error in them are a ConfigError, but no zone or policy is read to find a server.
"""

from __future__ import annotations

from collections.abc import Callable
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
    path = find_configuration(named)
    return _read_settings(path, path)


def find_settings(named: str | None, tell: Callable[[str], None] = lambda text: None) -> Settings:
    """The settings in force: a file that is being mended still has its last good copy.

    `tell` gets a line if that is what they are from. Raises ConfigError.
    """
    path = find_configuration(named)
    try:
        return _read_settings(path, path)
    except ConfigError:
        from gslb.app.lastgood import find

        copy = find(path)
        if copy is None:
            raise
        tell(f"{path} has errors; the settings are those of its last good copy, {copy.file}")
        return _read_settings(copy.file, path)


def _read_settings(path: str, origin: str) -> Settings:
    """Of the file at `path`, whose relative paths start from the folder of `origin`."""
    from gslb.config import setting
    from gslb.config.document import read_document
    from gslb.config.report import Report

    report, folder = Report(), str(Path(origin).parent)
    root = read_document(path, report)
    if root is not None:
        settings = setting.read_settings(root, folder, report, needs_secrets=False)
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
