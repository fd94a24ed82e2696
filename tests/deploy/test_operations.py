"""docs/operations.md: what can be looked up or run of it is right."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import dns.zone
import pytest
import yaml
from gslb.core.setting import Settings
from gslb.observe.metrics import TABLE

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/operations.md"
# What a parent zone has besides the lines of the page.
PARENT = """\
@  3600 SOA ns hostmaster 1 7200 900 1209600 60
@  3600 NS  ns
ns 3600 A   192.0.2.1
"""


def delegation() -> str:
    (block,) = re.findall(r"^```\n(\$ORIGIN example\.com\.\n.*?)```", PAGE.read_text(), re.M | re.S)
    origin, lines = str(block).split("\n", 1)
    return f"{origin}\n{PARENT}{lines}"


def anchors(path: Path) -> set[str]:
    """Of the headings of a page, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_every_link_leads_to_a_file_and_a_heading_that_are_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", PAGE.read_text())
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        path = PAGE.parent / name if name else PAGE
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


def test_the_delegation_has_two_servers_with_glue_of_both_families() -> None:
    zone = dns.zone.from_text(delegation(), check_origin=True)
    servers = {record.target for record in zone.find_rdataset("gslb", "NS")}
    assert len(servers) == 2
    for server in servers:
        for family in ("A", "AAAA"):
            assert zone.find_rdataset(server, family), server


@pytest.mark.skipif(
    shutil.which("nsd-checkzone") is None, reason="nsd-checkzone is not here: apt-get install nsd"
)
def test_nsd_takes_the_delegation(tmp_path: Path) -> None:
    (tmp_path / "zone").write_text(delegation())
    run = subprocess.run(
        ["nsd-checkzone", "example.com", tmp_path / "zone"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_lines_for_gslb_yaml_name_the_state_directory_of_the_unit() -> None:
    (block,) = re.findall(r"^```yaml\n(server:.*?)```", PAGE.read_text(), re.M | re.S)
    unit = (ROOT / "deploy/gslb.service").read_text()
    assert yaml.safe_load(block)["server"]["state"] == "/var/lib/gslb"
    assert "\nStateDirectory=gslb\n" in unit


def test_every_metric_to_watch_is_one_that_is_served() -> None:
    section = PAGE.read_text().split("\n## Metrics\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"(?:^|, )`([a-z_]+)", row)}
    served = {
        f"{name}_total" if metric.kind == "counter" else name for name, metric in TABLE.items()
    }
    assert named
    assert {name for name in named if not name.startswith("process_")} <= served


def test_every_alert_that_is_named_is_one_of_the_rules() -> None:
    rules = (ROOT / "deploy/prometheus/rules/gslb.yml").read_text()
    named = set(re.findall(r"`(Gslb\w+)`", PAGE.read_text()))
    assert named
    assert named <= set(re.findall(r"alert: (\w+)", rules))


def test_the_open_files_that_the_page_reckons_with_are_those_of_the_settings() -> None:
    settings = Settings()
    assert f"{settings.tcp.connections + settings.probe.concurrency + 64} by default" in (
        PAGE.read_text()
    )
