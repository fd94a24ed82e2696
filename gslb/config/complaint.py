"""What an unreadable entry is told: dnspython's messages in an operator's words.

Knows: the wording of dnspython's complaints, and how the data of the usual types is written.
Refuses to know: how entries are read. Invariant: a complaint says what is wrong, where, and,
as far as it can be known, what to write instead; a message nobody foresaw is passed on.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Final, NamedTuple

from gslb.config.entry import Entry, Fault, Word
from gslb.config.report import quote

FORMS: Final = {
    "A": "A 192.0.2.1",
    "AAAA": "AAAA 2001:db8::1",
    "APL": "APL 1:192.0.2.0/24 !1:192.0.2.64/28",
    "CAA": 'CAA 0 issue "ca.example.net"',
    "CNAME": "CNAME www.example.com.",
    "DNAME": "DNAME example.net.",
    "DNSKEY": "DNSKEY FLAGS 3 ALGORITHM BASE64",
    "DS": "DS KEYTAG ALGORITHM DIGESTTYPE HEX",
    "HINFO": 'HINFO "CPU" "OS"',
    "HTTPS": 'HTTPS 1 . alpn="h2,h3"',
    "LOC": "LOC 50 6 36 N 8 40 48 E 112m",
    "MX": "MX 10 mail.example.com.",
    "NAPTR": 'NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp.example.com.',
    "NS": "NS ns1.example.com.",
    "NSEC": "NSEC NEXT TYPES",
    "NSEC3": "NSEC3 1 0 0 - HASH TYPES",
    "NSEC3PARAM": "NSEC3PARAM 1 0 0 -",
    "PTR": "PTR host.example.com.",
    "RRSIG": "RRSIG TYPE ALGORITHM LABELS TTL EXPIRES SIGNED KEYTAG SIGNER BASE64",
    "SOA": "SOA ns1 hostmaster SERIAL REFRESH RETRY EXPIRE MINIMUM",
    "SRV": "SRV PRIORITY WEIGHT PORT HOST",
    "SSHFP": "SSHFP ALGORITHM DIGESTTYPE HEX",
    "STEER": "STEER POLICY",
    "SVCB": 'SVCB 1 host.example.com. alpn="h2"',
    "TLSA": "TLSA USAGE SELECTOR MATCHING HEX",
    "TXT": 'TXT "text"',
    "URI": 'URI 10 1 "https://example.com/"',
}
_SHAPE: Final = "write OWNER TTL TYPE DATA"
_DIRECTIVES: Final = "$ORIGIN, $TTL, $INCLUDE and $GENERATE"
_NUMBER_BITS: Final = {"8": 255, "16": 65_535, "32": 2**32 - 1, "48": 2**48 - 1}
_NO_FIT: Final = re.compile("Text input|DNS message|compressed data")
# Three digits above 255, or one or two only (RFC 1035 section 5.1).
_BAD_ESCAPE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\(?:25[6-9]|2[6-9]\d|[3-9]\d\d|\d{1,2}(?!\d))")
_TOO_EARLY: Final = ("expecting a", "Text input", "bad $")

# What is said (a pattern), what we say of the word ({}) unless that is good, what to do.
_SAYINGS: Final = (
    ("label is empty", "the name {} has an empty label", "write one dot between two labels"),
    ("label is > 63", "a label has more than 63 octets", "shorten it"),
    ("name is > 255", "a name has more than 255 octets", "shorten it or its origin"),
    (
        "escaped code",
        "{} has a backslash that means nothing",
        "write one character after it, or three digits up to 255",
    ),
    ("not zone's class", "{}: only the class IN is served", "leave the class out"),
    ("default TTL", "there is no TTL", 'write one before the type, or "$TTL 300" at the top'),
    ("expected EOL", "one word too many: {}", ""),
    ("TTL value|unknown unit", "{} is not a TTL", "write seconds, or units as in 1h30m"),
    ("is not allowed", "unknown directive {}", f"there are {_DIRECTIVES}"),
    ("Unknown origin", "the file's name is no origin", 'write "$ORIGIN example.com." at the top'),
    ("expecting an integer", "{} is not a number", ""),
    ("expecting an identifier", "{} must not stand in quotes", "take the quotes away"),
    ("string too long", "a string has more than 255 octets", 'write it in parts: "..." "..."'),
    ("codec can't decode", "{} is not UTF-8", ""),
    ("hexadecimal|Odd-length", "{} is not hexadecimal", ""),
    ("base64|[Pp]adding|data characters", "{} is not base64", ""),
    ("base32", "{} is not base32hex", ""),
    ("digest length", "the digest has not the length of its type", ""),
    ("SIG or RRSIG", "{} is not a time", "write it as YYYYMMDDHHMMSS"),
    ("does not start with", "{}: the data of this type is not known", r"write \# LENGTH HEX"),
    ("wrong length", "the hexadecimal data has not the length it says", ""),
    ("SVCB ParamKey", "an unknown service parameter", "write keyNNNNN=VALUE"),
    ("in AliasMode", "parameters of an alias (priority 0)", "take them away, or write 1 for 0"),
    ("duplicate key", "the same service parameter twice", "write its values in one, as alpn=h2,h3"),
    ("declared mandatory", "a parameter that mandatory= names is not there", "write it too"),
    ("but alpn missing", "no-default-alpn without alpn", "write alpn= too"),
    ("TTL .* is above", "", "write less"),
    ("type of questions", "", "take the record away"),
    ("more than .* octets", "", "shorten it"),
    ("is not ASCII", "", r"write the name's xn-- form, or octets as \DDD"),
)


class Complaint(NamedTuple):
    """What is wrong with an entry, what to do, and line and column of the word."""

    what: str
    hint: str
    line: int
    column: int


def complain_of_fault(entry: Entry, fault: Fault) -> Complaint:
    """A fault of the entry's text as a complaint."""
    return Complaint(fault.what, fault.hint, *entry.place(fault.at))


def complain_of_error(entry: Entry, taken: int, ended: bool, said: str) -> Complaint:
    """What to tell of an entry that was refused after `taken` words with what was `said`.

    `ended`: a word beyond the last one was asked for.
    """
    word = entry.words[max(taken, 1) - 1]
    if said.startswith("Text input") and (escaped := _find_bad_escape(entry)) is not None:
        word, said = escaped, "escaped code"
    rrtype = _type_of(entry)
    what, hint = _say(entry, word, rrtype, ended, said)
    if not hint and rrtype in FORMS:
        hint = f"write it as {FORMS[rrtype]}"
    return Complaint(what, hint, *entry.place(word.at))


def _find_bad_escape(entry: Entry) -> Word | None:
    """The first word with a backslash that means nothing."""
    return next((word for word in entry.words if _BAD_ESCAPE.search(word.text)), None)


def _say(entry: Entry, word: Word, rrtype: str, ended: bool, said: str) -> tuple[str, str]:
    text = quote(word.text)
    if word.text.upper() == "ANY" and "not zone's class" in said:
        return "ANY is a type of questions, not of data", "take the record away"
    if found := re.match("unknown rdatatype", said):
        return _say_type(entry, word.text)
    if _NO_FIT.match(said) and any(word.text == r"\#" for word in entry.words):
        return f"the data does not fit the type {rrtype}", ""
    if ended and said.startswith(_TOO_EARLY):
        shape = "write a value after it" if entry.words[0].text[0] == "$" else _SHAPE
        return f"the entry ends too early, after {text}", "" if rrtype in FORMS else shape
    if found := re.search(r"is not an (?:octal )?unsigned (\d+)-bit", said):
        return f"{text} is not a number from 0 to {_NUMBER_BITS[found[1]]}", ""
    if rrtype in ("A", "AAAA") and said.startswith("Text input"):
        return f"{text} is not an IPv{'4' if rrtype == 'A' else '6'} address", ""
    for pattern, what, hint in _SAYINGS:
        if re.search(pattern, said):
            return what.format(text) or said, hint
    if said.startswith("Text input"):
        return f"{text} cannot be read here", ""
    return quote(said), ""


def _say_type(entry: Entry, text: str) -> tuple[str, str]:
    """An unknown type: a slip of the pen, a missing owner, or a directive that is indented."""
    what = f"unknown type {quote(text)}"
    if text.lstrip("-+")[:1].isdigit():
        hint = "a TTL is at most 2147483647, in seconds or with units as in 1h30m"
        return f"{quote(text)} is neither a TTL nor a type", hint
    if text.startswith("$"):
        return what, "a directive begins in the first column"
    if not entry.indented and entry.words[0].text.upper() in FORMS:
        return what, "the owner is missing: begin the line with a name, @ or a blank"
    if near := get_close_matches(text.upper(), FORMS, 1, 0.6):
        return what, f'did you mean "{near[0]}"?'
    return what, r"write a type without a name as TYPE12345 \# LENGTH HEX"


def _type_of(entry: Entry) -> str:
    """The first word after the owner that is neither TTL nor class, in upper case."""
    for word in entry.words[0 if entry.indented else 1 :]:
        text = word.text.upper()
        if text != "IN" and not text[:1].isdigit():
            return text
    return ""
