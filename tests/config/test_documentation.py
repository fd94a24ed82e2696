"""docs/configuration.md: its examples load, and it names every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gslb.config.schema import schema

from yamlcase import read, said

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.mark.parametrize(
    "block", re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.S)
)
def test_every_example_of_the_documentation_loads(tmp_path, block):
    zone = "www 30 STEER web\n" if re.search(r"^  web:", block, re.M) else ""
    if "api:" in block:
        zone += "api 30 STEER api\n"
    assert said(read(tmp_path, block, zone), "error") == []


def test_the_documentation_names_every_key():
    text = DOCUMENT.read_text("utf-8")
    properties = schema()["properties"]

    def keys(part):
        for key, value in part.get("properties", {}).items():
            yield key
            yield from keys(value)
        for inner in (*part.get("anyOf", ()), part.get("additionalProperties"), part.get("items")):
            if isinstance(inner, dict):
                yield from keys(inner)

    missing = {key for key in keys({"properties": properties}) if f"`{key}`" not in text}
    assert {key for key in missing if not re.search(rf"\b{key}\b", text)} == set()
