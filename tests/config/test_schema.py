"""The JSON Schema that editors use. That it accepts all that loads, yamlcase.read() sees to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gslb.config.schema import schema

from yamlcase import SMALL, document, edited, refusal, write

ROOT = Path(__file__).parents[2]


def test_the_published_schema_is_the_one_that_gslb_schema_prints():
    published = json.loads((ROOT / "gslb.schema.json").read_text("utf-8"))
    assert published == schema(), "run: gslb schema > gslb.schema.json"


@pytest.mark.parametrize("name", ["gslb.yaml", "gslb/lab/files/gslb.yaml"])
def test_our_own_files_name_the_schema(name):
    (line, *_) = (ROOT / name).read_text("utf-8").replace("$$", "$").splitlines()
    assert line == "# yaml-language-server: $schema=gslb.schema.json"


def test_the_repositorys_example_is_accepted():
    assert refusal(document(str(ROOT / "gslb.yaml"))) == ""


def test_a_pool_may_have_any_word_as_its_name(tmp_path):
    text = SMALL.replace("web-fra", "true").replace("web-iad", "10")
    assert refusal(document(write(tmp_path, text))) == ""


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("geo: {", "goe: {", "/goe: additionalProperties"),
        ("port: 8080", "prot: 8080", "/checks/web/prot: additionalProperties"),
        ("port: 8080", "interval: 5", "/checks/web/interval: type"),
        ("port: 8080", "interval: 5 s", "/checks/web/interval: pattern"),
        ("port: 8080", "timeout: 0s", "/checks/web/timeout: pattern"),
        ("port: 8080", "port: 0", "/checks/web/port: anyOf"),
        ("port: 8080", "need: [1]", "/checks/web/need: anyOf"),
        ("port: 8080", "rcode: OK", "/checks/web/rcode: enum"),
        ("port: 8080", "command: []", "/checks/web/command: anyOf"),
        ("type: http", "type: ftp", "/checks/web/type: enum"),
        ("[192.0.2.10]", "[]", "/pools/web-fra/endpoints: minItems"),
        ("[web-fra, web-iad]", "{ fastest: [web-fra] }", "/policies/web: anyOf"),
        ("geo: {", "server: { cookies: 5 }\ngeo: {", "/server/cookies: anyOf"),
        ("geo: {", "server: { listen: [] }\ngeo: {", "/server/listen: minItems"),
        ("geo: {", "server: { listen: '0.0.0.0' }\ngeo: {", "/server/listen: pattern"),
        ("geo: {", "control: { listen: '127.0.0.1' }\ngeo: {", "/control/listen: pattern"),
        ("geo: {", "control: { max_body: 64K }\ngeo: {", "/control/max_body: pattern"),
        ("geo: {", "control: { tokens: {} }\ngeo: {", "/control/tokens: minProperties"),
        (
            "geo: {",
            "control: { tokens: { a: { role: read, sha256: secret } } }\ngeo: {",
            "/control/tokens/a/sha256: pattern",
        ),
        ("geo: {", "server: { nsid: '' }\ngeo: {", "/server/nsid: anyOf"),
        ("geo: {", "server: { rate_limit: { slip: 101 } }\ngeo: {", "/server/rate_limit: anyOf"),
    ],
)
def test_a_mistake_is_seen_while_it_is_typed(tmp_path, old, new, place):
    assert refusal(document(write(tmp_path, edited(SMALL, old, new)))) == place
