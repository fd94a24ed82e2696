"""The secret of DNS cookies, made where there is none.

Knows: that a secret outlives restarts and reloads, and where it is kept. Refuses to know: what it
is used for, and the form of the file but for its lines (config/secret.py). Invariant: a file that
is there is never overwritten, nobody else can read a new one even for a moment, and a server that
cannot write one still has a secret.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from typing import Final

from gslb.app.loaded import Loaded
from gslb.config.report import Report
from gslb.config.secret import read_secrets
from gslb.core.setting import Cookies
from gslb.core.world import Plan
from gslb.errors import Problem, Where

SECRET_OCTETS: Final = 16


def furnish(loaded: Loaded, running: Plan | None) -> Loaded:
    """The plan with secrets for its cookies: those of the file, else of what runs, else a new one.

    Those that are not in the file are written there.
    """
    cookies = loaded.plan.config.settings.cookies
    if cookies is None or cookies.secrets:
        return loaded
    before = running.config.settings.cookies if running is not None else None
    known = before.secrets if before is not None else ()
    secrets = known or (os.urandom(SECRET_OCTETS),)
    problems: tuple[Problem, ...] = ()
    try:
        if not _write(cookies.secret_file, secrets):  # another start was quicker
            secrets = read_secrets(cookies.secret_file, Report()) or secrets
        elif known:
            what = "is not there; the secrets in use are kept, and written to it again"
            problems = (_problem(cookies, what, "to change secrets, edit the file"),)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        hint = "the secret is in memory only: cookies will not survive a restart"
        problems = (_problem(cookies, what, hint),)
    return replace(loaded, plan=_with_secrets(loaded.plan, secrets), read=loaded.read + problems)


def _problem(cookies: Cookies, what: str, hint: str) -> Problem:
    return Problem(Where(cookies.secret_file), "server.cookies", what, hint, "warning")


def _with_secrets(plan: Plan, secrets: tuple[bytes, ...]) -> Plan:
    settings = plan.config.settings
    assert settings.cookies is not None, "only cookies have secrets"
    cookies = replace(settings.cookies, secrets=secrets)
    return replace(plan, config=replace(plan.config, settings=replace(settings, cookies=cookies)))


def _write(path: str, secrets: tuple[bytes, ...]) -> bool:
    """Makes the file; False if it is there. Raises OSError."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=folder, prefix=".", suffix=".draft")  # mode 0600
    try:
        with open(descriptor, "w") as file:
            file.writelines(f"{secret.hex()}\n" for secret in secrets)
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(draft, path)  # unlike a rename, this replaces nothing
        except FileExistsError:
            return False
        return True
    finally:
        with suppress(OSError):
            os.unlink(draft)
