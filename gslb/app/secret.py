"""What a server makes for itself where there is none: the secret of DNS cookies, the first token.

Knows: that both outlive restarts and reloads, and where they are kept. Refuses to know: what they
are used for, and the form of a file of secrets but for its lines (config/secret.py). Invariant: a
file that is there is never overwritten, nobody else can read a new one even for a moment, a server
that cannot write a secret still has one; a token's text leaves this module for its file only.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

from gslb.app.loaded import Loaded
from gslb.config.report import Report
from gslb.config.secret import read_secrets
from gslb.core.setting import TOKEN_FILE, Cookies, Token
from gslb.core.world import Plan
from gslb.errors import Problem, Where

SECRET_OCTETS: Final = 16
TOKEN_OCTETS: Final = 32  # 256 random bits
TOKEN_NAME: Final = "local"
SHORTEST_TOKEN: Final = 32  # characters
LONGEST_TOKEN: Final = 4096


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
        if not _write(
            cookies.secret_file, (secret.hex() for secret in secrets)
        ):  # another start was quicker
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


def furnish_token(loaded: Loaded) -> Loaded:
    """The plan with the token "local", which may do everything, unless it has tokens or no control
    address (control.md, Who may).

    It is the one of the file `token` in the state directory, made if there is none.
    """
    settings = loaded.plan.config.settings
    if settings.tokens or settings.control is None:
        return loaded
    path = os.path.join(settings.state, TOKEN_FILE)
    problems: tuple[Problem, ...]
    try:
        text, problems = _take_token(path)
    except _NoTokenError as error:
        what = f"{error}: nobody can change anything over the control address"
        hint = "take the file away and reload, so that a new one is made; or set control.tokens"
        return replace(loaded, read=(*loaded.read, _warning(path, what, hint)))
    except OSError as error:
        what = f"there is no token: {error.strerror or error}"
        what += "; nobody can change anything over the control address"
        hint = "let this server write its server.state, or set control.tokens"
        return replace(loaded, read=(*loaded.read, _warning(path, what, hint)))
    token = Token(TOKEN_NAME, "operate", sha256(text).digest())
    config = replace(loaded.plan.config, settings=replace(settings, tokens=(token,)))
    plan = replace(loaded.plan, config=config)
    return replace(loaded, plan=plan, read=loaded.read + problems)


class _NoTokenError(Exception):
    """The file is there and has no token; the text says what it has."""


def _take_token(path: str) -> tuple[bytes, tuple[Problem, ...]]:
    """The text of the token in a file, and a warning if it is not for one pair of eyes.

    Makes the file if there is none. Raises OSError, _NoTokenError.
    """
    try:
        return _read_token(path)
    except FileNotFoundError:
        _write(path, (token_urlsafe(TOKEN_OCTETS),))
    return _read_token(path)  # not what was written: another start may have been quicker


def _read_token(path: str) -> tuple[bytes, tuple[Problem, ...]]:
    # O_NONBLOCK: opening a pipe must not wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise _NoTokenError("it is no regular file")
        octets = os.read(descriptor, LONGEST_TOKEN + 1)
    finally:
        os.close(descriptor)
    text = octets.strip()
    # As the command line takes it (remote.py), and too long for anybody to try all.
    is_word = text.isascii() and text.decode("ascii", "replace").isprintable() and b" " not in text
    if len(octets) > LONGEST_TOKEN or not is_word:
        raise _NoTokenError("it holds no token")
    if len(text) < SHORTEST_TOKEN:
        what = f"it has {len(text)} characters where a token has at least {SHORTEST_TOKEN}"
        raise _NoTokenError(what)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        what = f"others can read or write it (mode {stat.S_IMODE(mode):04o})"
        return text, (_warning(path, what, "take it away and reload: a new one is made"),)
    return text, ()


def _warning(path: str, what: str, hint: str) -> Problem:
    return Problem(Where(path), "control.tokens", what, hint, "warning")


def _write(path: str, lines: Iterable[str]) -> bool:
    """Makes the file; False if it is there. Raises OSError."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=folder, prefix=".", suffix=".draft")  # mode 0600
    try:
        with open(descriptor, "w") as file:
            file.writelines(f"{line}\n" for line in lines)
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
