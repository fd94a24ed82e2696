"""Domain names in uncompressed wire form (RFC 1035 section 3.1), as `bytes`.

Knows: labels, the 63 and 255 octet limits, ASCII folding (RFC 4343), text form.
Refuses to know: zones, compression. Invariant: a name is a `bytes` ending in the
root label; a *key* is a name folded to lower case. Length octets are at most 63 and
"A" is 65, so `bytes.lower` folds a whole wire name and touches no length octet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gslb.errors import FormatError

ROOT: Final = b"\0"
MAX_NAME: Final = 255
MAX_LABEL: Final = 63


def parse(packet: bytes, offset: int) -> int:
    """The offset after the uncompressed name at `offset`.

    A compression pointer or any other label type is an error: the name in a question
    never needs one (RFC 9267 section 2 tells what happens to those who follow it).
    Raises FormatError.
    """
    end = len(packet)
    at = offset
    while at < end:
        length = packet[at]
        if length == 0:
            if at + 1 - offset > MAX_NAME:
                raise FormatError("name longer than 255 octets", offset)
            return at + 1
        if length > MAX_LABEL:
            raise FormatError("label type in question is not a plain label", at)
        at += length + 1
    raise FormatError("name runs past the end", offset)


def skip(packet: bytes, offset: int) -> int:
    """The offset after a name that may end in a compression pointer; not followed.

    Raises FormatError.
    """
    end = len(packet)
    at = offset
    while at < end:
        length = packet[at]
        if length == 0:
            return at + 1
        if length >= 0xC0:
            if at + 2 > end:
                break
            return at + 2
        if length > MAX_LABEL:
            raise FormatError("unknown label type", at)
        at += length + 1
    raise FormatError("name runs past the end", offset)


def parent(name: bytes) -> bytes:
    """The name without its first label; the root's parent is the root."""
    return name[name[0] + 1 :] if name[0] else name


def labels(name: bytes) -> list[bytes]:
    """The labels of a name without their length octets, the root label left out."""
    result: list[bytes] = []
    at = 0
    while name[at]:
        result.append(name[at + 1 : at + 1 + name[at]])
        at += name[at] + 1
    return result


def suffixes(name: bytes) -> Iterator[bytes]:
    """The name itself, its parent, and so on to the root."""
    while True:
        yield name
        if not name[0]:
            return
        name = name[name[0] + 1 :]


def is_below(name: bytes, ancestor: bytes) -> bool:
    """True if `name` equals `ancestor` or is below it; both are keys."""
    if not name.endswith(ancestor):
        return False
    cut = len(name) - len(ancestor)
    at = 0
    while at < cut:
        at += name[at] + 1
    return at == cut


def from_labels(parts: list[bytes]) -> bytes:
    """A name from its labels. Raises ValueError if a limit of RFC 1035 section 2.3.4 is broken."""
    for part in parts:
        if not 1 <= len(part) <= MAX_LABEL:
            raise ValueError("a label has 1 to 63 octets")
    name = b"".join(bytes((len(part),)) + part for part in parts) + ROOT
    if len(name) > MAX_NAME:
        raise ValueError("a name has at most 255 octets")
    return name


def from_text(text: str) -> bytes:
    r"""A name from its presentation form; every name is taken as absolute.

    `\.` and `\DDD` escapes as RFC 1035 section 5.1. Raises ValueError.
    """
    if text in ("", "."):
        return ROOT
    parts: list[bytes] = []
    label = bytearray()
    raw = text.encode("ascii", "strict") if text.isascii() else text.encode("idna")
    at = 0
    while at < len(raw):
        octet = raw[at]
        if octet == 0x2E:  # "."
            parts.append(bytes(label))
            label.clear()
            at += 1
        elif octet == 0x5C:  # "\"
            digits = raw[at + 1 : at + 4]
            if digits.isdigit() and len(digits) == 3 and int(digits) <= 255:
                label.append(int(digits))
                at += 4
            elif at + 1 < len(raw) and not raw[at + 1 : at + 2].isdigit():
                label.append(raw[at + 1])
                at += 2
            else:
                raise ValueError("a backslash needs three digits up to 255 or one other character")
        else:
            label.append(octet)
            at += 1
    if label or not text.endswith("."):
        parts.append(bytes(label))
    return from_labels(parts)


def to_text(name: bytes) -> str:
    r"""The presentation form with a final dot; octets outside printable ASCII as `\DDD`."""
    if name == ROOT:
        return "."
    text: list[str] = []
    for label in labels(name):
        for octet in label:
            if octet in b'.\\"();@$':
                text.append("\\" + chr(octet))
            elif 0x21 <= octet <= 0x7E:
                text.append(chr(octet))
            else:
                text.append(f"\\{octet:03d}")
        text.append(".")
    return "".join(text)
