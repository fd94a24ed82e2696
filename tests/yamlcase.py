"""A folder with a gslb.yaml and one zone, for the tests of the YAML reader.

What the reader accepts, the JSON Schema has to accept: `read` sees to it, in every test.
"""

from __future__ import annotations

import re
from pathlib import Path

from gslb.config.document import read_document
from gslb.config.reader import Reading, read_configuration
from gslb.config.report import Report
from gslb.config.schema import schema
from gslb.config.tree import plain

ZONE = """\
$ORIGIN gslb.example.com.
$TTL 300
@       SOA   ns1 hostmaster 2026112001 7200 900 1209600 60
        NS    ns1
        NS    ns2
ns1     A     192.0.2.53
ns2     A     198.51.100.53
"""

SMALL = """\
geo: { city: city.mmdb, asn: asn.mmdb }
clients:
  dach: [DE, AT, CH]
  office: [203.0.113.0/24]
datacenters:
  fra: { at: [50.11, 8.68] }
  iad: { at: [39.04, -77.49] }

checks:
  web: { type: http, port: 8080 }
pools:
  web-fra: { datacenter: fra, check: web, endpoints: [192.0.2.10] }
  web-iad: { datacenter: iad, check: web, endpoints: [198.51.100.10] }
policies:
  web: [web-fra, web-iad]
"""


def example() -> tuple[str, str]:
    """gslb.yaml and the zone file of docs/configuration.md's first example."""
    text = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text("utf-8")
    yaml = re.search(r"```yaml\n(# yaml-language-server.*?)```", text, re.DOTALL)
    zone = re.search(r"```\n(\$ORIGIN gslb\.example\.com\..*?)```", text, re.DOTALL)
    assert yaml is not None
    assert zone is not None
    return yaml[1], zone[1]


def write(folder: Path, text: str | bytes, zone: str = "www 30 STEER web\n") -> str:
    """Write gslb.yaml and a zone with some records more; gives the path of gslb.yaml."""
    (folder / "zones").mkdir(exist_ok=True)
    (folder / "zones" / "gslb.example.com.zone").write_text(ZONE + zone, "utf-8")
    path = folder / "gslb.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def read(folder: Path, text: str | bytes, zone: str = "www 30 STEER web\n") -> Reading:
    """Read such a folder."""
    path = write(folder, text, zone)
    reading = read_configuration(path)
    if reading.config is not None:
        assert refusal(document(path)) == ""
    return reading


def document(path: str) -> object:
    """What an editor hands to the schema."""
    root = read_document(path, Report())
    return None if root is None else plain(root)


SCHEMA = schema()
TYPES = {
    "object": dict,
    "array": tuple,
    "string": str,
    "null": type(None),
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
NOTES = {"$schema", "$defs", "title", "description", "default", "examples"}


def refusal(value: object, rule: dict = SCHEMA, path: str = "") -> str:
    """Where and by which keyword the JSON Schema refuses a value, or ""; draft 2020-12, as far
    as our schema goes: a keyword that is not known here is a KeyError."""
    for keyword, wanted in rule.items():
        if keyword not in NOTES and not KEYWORDS[keyword](value, wanted, path):
            return f"{path}: {keyword}"
    parts = {}
    if isinstance(value, dict):
        properties, others = rule.get("properties", {}), rule.get("additionalProperties", {})
        parts = {key: properties.get(key, others) for key in value}
    elif isinstance(value, tuple) and "items" in rule:
        parts = dict.fromkeys(range(len(value)), rule["items"])
    for key, part in parts.items():
        if part is False:
            return f"{path}/{key}: additionalProperties"
        if said := refusal(value[key], part, f"{path}/{key}"):
            return said
    return ""


def is_of(value: object, types: str | list[str]) -> bool:
    names = [types] if isinstance(types, str) else types
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, TYPES[name]) for name in names)


def applies(value: object, *types: type) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


KEYWORDS = {
    "type": lambda v, w, p: is_of(v, w),
    "const": lambda v, w, p: v == w,
    "enum": lambda v, w, p: v in w,
    "anyOf": lambda v, w, p: any(refusal(v, part, p) == "" for part in w),
    "$ref": lambda v, w, p: refusal(v, SCHEMA["$defs"][w.removeprefix("#/$defs/")], p) == "",
    "required": lambda v, w, p: not applies(v, dict) or set(w) <= v.keys(),
    "minProperties": lambda v, w, p: not applies(v, dict) or len(v) >= w,
    "minItems": lambda v, w, p: not applies(v, tuple) or len(v) >= w,
    "maxItems": lambda v, w, p: not applies(v, tuple) or len(v) <= w,
    "minLength": lambda v, w, p: not applies(v, str) or len(v) >= w,
    "pattern": lambda v, w, p: not applies(v, str) or re.search(w, v) is not None,
    "minimum": lambda v, w, p: not applies(v, int, float) or v >= w,
    "maximum": lambda v, w, p: not applies(v, int, float) or v <= w,
    "exclusiveMinimum": lambda v, w, p: not applies(v, int, float) or v > w,
    "properties": lambda v, w, p: True,  # these three go to the parts
    "additionalProperties": lambda v, w, p: True,
    "items": lambda v, w, p: True,
}


def said(reading: Reading, severity: str | None = None) -> list[str]:
    """The problems as `line:column: subject: what; hint`, files left out."""
    lines = []
    for problem in reading.problems:
        if severity in (None, problem.severity):
            text = str(problem).removeprefix(problem.where.file + ":")
            lines.append(text.replace(f" {problem.severity}:", "", 1))
    return lines


def edited(text: str, old: str, new: str) -> str:
    """The text with one part replaced, which must be there once."""
    assert text.count(old) == 1, old
    return text.replace(old, new)
