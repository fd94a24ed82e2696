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
from collections.abc import Callable
from typing import Final

from gslb.config.report import Report
from gslb.errors import Where

SECRET_FILE: Final = "cookies"  # in server.state, unless the setting says otherwise
MAX_SECRETS: Final = 8  # all verify, so each costs every cookie that is wrong one more hash
_MAX_OCTETS: Final = 16 * 1024
_SECRET: Final = re.compile(rb"[0-9a-fA-F]{32}")
SUBJECT: Final = "server.cookies"
Complain = Callable[[Where, str, str, str], None]
_FORM: Final = "write 32 hexadecimal digits a line"


def read_secrets(path: str, report: Report, *, needed: bool = True) -> tuple[bytes, ...]:
    """The secrets of a file, the one that signs first; none after complaining.

    What is wrong with the file is a warning if it is not `needed`: answers without cookies are
    better than none. So it is if we may not read it: who checks is not always who serves.
    """
    complain = report.error if needed else report.warn
    try:
        text = _read(path, report)
    except FileNotFoundError:
        return ()
    except PermissionError as error:
        what = f"cannot be read: {error.strerror}"
        hint = "whoever runs the server must own it; until then cookies have a passing secret"
        report.warn(Where(path), SUBJECT, what, hint)
        return ()
    except OSError as error:
        why = error.strerror or str(error)
        complain(Where(path), SUBJECT, f"cannot be read: {why}", "mend it or take it away")
        return ()
    return _parse(path, text, complain)


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
            report.warn(Where(path), SUBJECT, what, "chmod 600")
        return os.read(descriptor, _MAX_OCTETS + 1)
    finally:
        os.close(descriptor)


def _parse(path: str, text: bytes, complain: Complain) -> tuple[bytes, ...]:
    if len(text) > _MAX_OCTETS:
        complain(Where(path), SUBJECT, f"has more than {_MAX_OCTETS} octets", _FORM)
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
            complain(Where(path, number), SUBJECT, "is no secret", _FORM)
            is_good = False
    if is_good and not secrets:
        hint = f"{_FORM}, or take the file away: the server makes one when it starts"
        complain(Where(path), SUBJECT, "has no secret", hint)
    elif len(secrets) > MAX_SECRETS:
        what = f"has {len(secrets)} secrets where {MAX_SECRETS} may be"
        complain(Where(path), SUBJECT, what, "take the oldest away")
        is_good = False
    return tuple(secrets) if is_good else ()
