"""The secrets of DNS cookies, as the file `server.cookies.secret_file` holds them.

Knows: the file's form, one secret of 16 octets in hexadecimal digits a line, `#` for comments, and
who may read it. Refuses to know: what a secret is used for, who makes the file. Invariant: no
message ever shows what stands in the file; a file that is not there is no problem, it has no
secrets yet.

The form is that of NSD's cookie-secret-file, so that servers of one anycast address can share a
file (RFC 9018 section 5).
"""

from __future__ import annotations

import os
import re
import stat
from typing import Final

from gslb.config.report import Report
from gslb.errors import Where

SECRET_FILE: Final = "cookies"  # in server.state, unless the setting says otherwise
MAX_SECRETS: Final = 8  # all verify, so each costs every cookie that is wrong one more hash
_MAX_OCTETS: Final = 16 * 1024
_SECRET: Final = re.compile(rb"[0-9a-fA-F]{32}")
_FORM: Final = "write 32 hexadecimal digits a line"


def read_secrets(path: str, report: Report) -> tuple[bytes, ...]:
    """The secrets of a file, the one that signs first; none after complaining."""
    try:
        text = _read(path, report)
    except FileNotFoundError:
        return ()
    except OSError as error:
        why = error.strerror or str(error)
        _refuse(Where(path), f"cannot be read: {why}", "mend it or take it away", report)
        return ()
    return _parse(path, text, report)


def _read(path: str, report: Report) -> bytes:
    """What the file holds, as far as it may be long. Raises OSError."""
    # O_NONBLOCK: opening a pipe must not wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError("it is no regular file")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            what = f"others can read or write it (mode {stat.S_IMODE(mode):04o})"
            report.warn(Where(path), "server.cookies", what, "chmod 600")
        return os.read(descriptor, _MAX_OCTETS + 1)
    finally:
        os.close(descriptor)


def _parse(path: str, text: bytes, report: Report) -> tuple[bytes, ...]:
    if len(text) > _MAX_OCTETS:
        _refuse(Where(path), f"has more than {_MAX_OCTETS} octets", _FORM, report)
        return ()
    secrets: list[bytes] = []
    is_good = True
    for number, line in enumerate(text.splitlines(), 1):
        digits = line.partition(b"#")[0].strip()
        if not digits:
            continue
        if _SECRET.fullmatch(digits):
            secrets.append(bytes.fromhex(digits.decode()))
        else:
            _refuse(Where(path, number), "is no secret", _FORM, report)
            is_good = False
    if is_good and not secrets:
        hint = f"{_FORM}, or take the file away: the server makes one when it starts"
        _refuse(Where(path), "has no secret", hint, report)
    elif len(secrets) > MAX_SECRETS:
        what = f"has {len(secrets)} secrets where {MAX_SECRETS} may be"
        _refuse(Where(path), what, "take the oldest away", report)
        is_good = False
    return tuple(secrets) if is_good else ()


def _refuse(where: Where, what: str, hint: str, report: Report) -> None:
    report.error(where, "server.cookies", what, hint)
