"""What is shipped for Prometheus and Grafana, against Prometheus's own tools and a real server."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from gslb.observe.metrics import TABLE

from running import CONFIG, ZONE, Running, free_ports, wait_for

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus/rules/gslb.yml"
DASHBOARD = DEPLOY / "grafana/dashboards/gslb.json"
NAME = re.compile(r"\b((?:gslb|process)_[a-z_]+)")
SELECTOR = re.compile(r"\b((?:gslb|process)_[a-z_]+)\{([^}]*)\}")
GROUPING = re.compile(r"\bby ?\(([^)]*)\)")
SCRAPED = {"instance", "job", "le"}  # labels that Prometheus puts there
# Nothing of the kind happens to the server below.
QUIET = (
    "gslb_cap_total",
    "gslb_rrl_total",
    "gslb_errors_total",
    "gslb_truncated_total",
    "gslb_certificate_expiry_timestamp_seconds",
    "gslb_datacenter_load_ratio",
)

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not here: apt-get install prometheus"
)
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not here: apt-get install prometheus"
)


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load(RULES.read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def panel_queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def queries() -> list[str]:
    """Every expression of the rules and of the dashboard."""
    dashboard = json.loads(DASHBOARD.read_text())
    marks = [mark["expr"] for mark in dashboard["annotations"]["list"]]
    return [*(rule["expr"] for rule in rules()), *panel_queries(), *marks]


def promtool(*arguments: str | Path) -> None:
    run = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With a map, one policy on its last resort, a reload of each kind, and a drain."""
    dns_port, control, port = free_ports(3)
    running = Running(tmp_path_factory.mktemp("server"), dns_port, control, port)
    city = DEPLOY.parent / "geodata/lab.mmdb"
    config = CONFIG.replace("zones: zones/", f"zones: zones/\ngeo: {{{{ city: {city} }}}}")
    # Both data centers are to be down, not the prober blind.
    witness = f"allow: [127.0.0.0/8], witness: tcp://127.0.0.1:{dns_port}"
    config = config.replace("allow: [127.0.0.0/8]", witness)
    running.write(config, ZONE)
    running.open("127.10.1.1", "127.10.2.1")
    running.start()
    running.signal(signal.SIGHUP)
    running.wait_events("reload", 1)
    running.write(config, ZONE + "bad IN A 1.2.3\n")
    running.signal(signal.SIGHUP)
    running.wait_events("reload_failed", 1)
    running.close("127.10.1.1", "127.10.2.1")
    running.ask()
    wait_for(lambda: not running.ask() or bool(running.events("fallback")))
    running.force("pool/web-iad", "drain", why="kernel upgrade")
    yield running
    running.stop()


@needs_promtool
def test_promtool_takes_the_rules_and_the_example(tmp_path: Path) -> None:
    promtool("check", "rules", RULES)
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    (tmp_path / "prometheus/token").write_text("text")
    promtool("check", "config", tmp_path / "prometheus/prometheus.yml")


@needs_promtool
def test_alerts_come_when_they_should_and_only_then(tmp_path: Path) -> None:
    # promtool compares the texts, too; those are for people, and may change.
    loaded = yaml.safe_load(RULES.read_text())
    for group in loaded["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]
    (tmp_path / "gslb.yml").write_text(yaml.safe_dump(loaded))
    shutil.copy(Path(__file__).with_name("rules.yml"), tmp_path)
    promtool("test", "rules", tmp_path / "rules.yml")


def test_every_alert_says_how_urgent_it_is_what_is_wrong_and_what_to_do() -> None:
    assert rules()
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)


def test_every_metric_in_rules_and_dashboard_is_one_of_a_real_server(server: Running) -> None:
    page = server.get("/metrics")[1]
    families = re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE)
    served = {name for name, _ in families}
    served |= {f"{name}_bucket" for name, kind in families if kind == "histogram"}
    used = {name for query in queries() for name in NAME.findall(query)}
    assert used
    assert used <= served


def test_a_scrape_tells_what_people_have_decided_and_whether_it_is_kept(server: Running) -> None:
    lines = server.get("/metrics")[1].splitlines()
    assert 'gslb_endpoint_forced{endpoint="127.10.2.1",pool="web-iad"} 1.0' in lines
    assert 'gslb_endpoint_forced{endpoint="127.10.1.1",pool="web-fra"} 0.0' in lines
    assert 'gslb_overrides{state="drain"} 1.0' in lines
    assert 'gslb_overrides{state="up"} 0.0' in lines
    (since,) = (line for line in lines if line.startswith("gslb_override_set_timestamp_seconds{"))
    assert '{ends="no",kind="pool",object="web-iad",state="drain"}' in since
    assert abs(float(since.split()[-1]) - time.time()) < 600
    assert 'gslb_pool_share_ratio{pool="web-iad"} 1.0' in lines
    assert 'gslb_events_total{kind="override"} 1.0' in lines
    assert "gslb_prober_blind 0.0" in lines
    assert "gslb_state_writable 1.0" in lines
    assert "gslb_state_dropped_total 0.0" in lines


def test_a_scrape_tells_that_state_cannot_be_kept_and_that_it_can_again(server: Running) -> None:
    state = server.folder / "state"
    state.rename(server.folder / "moved")
    state.write_text("a file where a directory should be")
    token = server.folder / "moved/token"

    def is_said(value: str) -> bool:
        return f"gslb_state_writable {value}" in server.get("/metrics")[1].splitlines()

    wait_for(lambda: is_said("0.0"))
    state.unlink()
    wait_for(lambda: is_said("1.0"))
    shutil.copy(token, state)
    assert [line.partition("why=")[2] for line in server.events("state")][-1] == '"kept again"'
    assert server.call("GET", "/v1/overrides")[1]["kept"] is True


def test_every_label_in_rules_and_dashboard_is_one_that_the_metric_has() -> None:
    labels = {
        f"gslb_{name}{suffix}": set(metric.labels) | SCRAPED
        for name, metric in TABLE.items()
        for suffix in ("", "_total", "_bucket")
    }
    for query in queries():
        for name, matchers in SELECTOR.findall(query):
            given = set(re.findall(r"(\w+)\s*[=!]", matchers))
            assert given <= labels.get(name, SCRAPED), query
        known = set[str]().union(*(labels.get(name, SCRAPED) for name in NAME.findall(query)))
        for group in GROUPING.findall(query):
            assert {label.strip() for label in group.split(",")} <= known | SCRAPED, query


def test_panels_lie_beside_each_other_and_have_names_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (column, line)
            for column in range(place["x"], place["x"] + place["w"])
            for line in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)


def test_grafana_of_the_lab_finds_its_prometheus_and_the_dashboard() -> None:
    provisioning = DEPLOY / "grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    (folder,) = yaml.safe_load((provisioning / "dashboards/gslb.yml").read_text())["providers"]
    compose = (DEPLOY.parent / "docker-compose.yml").read_text()
    assert source["url"] == "http://prometheus:9090"
    assert "\n  prometheus:" in compose
    assert f"./deploy/grafana/dashboards:{folder['options']['path']}:ro" in compose
    assert "./deploy/grafana/provisioning:/etc/grafana/provisioning:ro" in compose


class Prometheus:
    """A real one that scrapes a server and has the shipped rules."""

    def __init__(self, folder: Path, control: int) -> None:
        (self._port,) = free_ports(1)
        folder.mkdir()
        config = {
            "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {
                    "job_name": "gslb",
                    "scrape_timeout": "200ms",
                    "static_configs": [{"targets": [f"127.0.0.1:{control}"]}],
                }
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        words = [
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        with open(folder / "log", "w") as log:
            self._process = subprocess.Popen(["prometheus", *words], stdout=log, stderr=log)

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """The data of a reply; nothing while it starts. AssertionError if it is an error."""
        url = f"http://127.0.0.1:{self._port}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                body = json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 503:  # it starts
                    return {}
                raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        except urllib.error.URLError:
            return {}
        assert body["status"] == "success", body
        data: dict[str, Any] = body["data"]
        return data

    def ask(self, query: str) -> list[Any]:
        """What a panel's query finds now."""
        written = query.replace("$instance", ".*").replace("$__rate_interval", "10s")
        found: list[Any] = self.get("/api/v1/query", query=written).get("result", [])
        return found

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.mark.slow
@needs_prometheus
def test_a_real_prometheus_finds_something_for_every_panel_and_raises_the_alerts(
    server: Running, tmp_path: Path
) -> None:
    prometheus = Prometheus(tmp_path / "prometheus", server.control)
    empty = {query for query in panel_queries() if not any(name in query for name in QUIET)}

    def fill() -> bool:
        server.ask()
        server.ask("nope", tcp=True)
        server.ask(network="203.0.113.0/24")
        empty.difference_update([query for query in empty if prometheus.ask(query)])
        return not empty

    def find_states() -> dict[str, str]:
        groups = prometheus.get("/api/v1/rules").get("groups", [])
        found = [rule for group in groups for rule in group["rules"]]
        assert not [rule for rule in found if rule["health"] == "err"], found
        return {rule["name"]: rule["state"] for rule in found if rule["health"] == "ok"}

    def are_raised() -> bool:
        states = find_states()
        raised = {name for name, state in states.items() if state != "inactive"}
        return len(states) == len(rules()) and {"GslbLastResort", "GslbPoolUnavailable"} <= raised

    try:
        wait_for(lambda: bool(prometheus.ask('up{job="gslb"} == 1')))
        server.signal(signal.SIGHUP)
        wait_for(fill, complaint=lambda: "\n".join(empty))
        wait_for(are_raised, complaint=lambda: str(find_states()))
        for query in queries():
            prometheus.ask(query)
        assert find_states()["GslbDown"] == "inactive"
    finally:
        prometheus.close()
