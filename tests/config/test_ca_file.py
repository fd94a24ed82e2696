"""A `ca_file` that gives no authority: an error of `gslb check` and a reload, not of a start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from gslb.app import lastgood
from gslb.app.load import load, remap
from gslb.app.loaded import Loaded
from gslb.app.offline import explain_offline
from gslb.config.report import MOST_PROBLEMS, Report
from gslb.errors import ConfigError, Severity, Where

from checkcase import WEB, reading_of
from yamlcase import SMALL, edited, said, write

HTTPS = "{ type: https, ca_file: ca.pem }"
HINT = "name a file of certificates in PEM: until then every probe over TLS fails"
# No databases, which would be missing, too.
NO_GEO = edited(SMALL, "geo: { city: city.mmdb, asn: asn.mmdb }", "server: { state: state }")


def placed(folder: Path, check: str = HTTPS, more: str = "") -> str:
    """A gslb.yaml with no problem but what its check has."""
    return write(folder, edited(NO_GEO, WEB, check) + more)


def put_certificate(folder: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(folder / "ca.pem"))


def refusal(path: str) -> list[str]:
    """What a reload, which loads as `gslb check` does, is refused for."""
    with pytest.raises(ConfigError) as refused:
        load(path)
    return [str(problem) for problem in refused.value.problems if problem.severity == "error"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "cannot be read"),
        ("", "holds no certificate in PEM"),
        ("hello", "holds no certificate in PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "holds no certificate in PEM",
        ),
    ],
)
@pytest.mark.parametrize(
    "kind", ["https", "tcp, port: 1, tls: true, verify_tls: true", "http, follow_redirects: true"]
)
def test_one_that_is_none_is_an_error_but_at_a_start(
    tmp_path: Path, kind: str, content: str | None, fault: str
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    path = placed(tmp_path, f"{{ type: {kind}, ca_file: ca.pem }}")
    column = len(f"  web: {{ type: {kind}, ") + 1
    where, what = f"{path}:10:{column}: ", f'check "web": ca_file: "ca.pem" {fault}; {HINT}'
    assert refusal(path) == [f"{where}error: {what}"]
    assert f"{where}warning: {what}" in [str(each) for each in load(path, starting=True).warnings]


@pytest.mark.parametrize("kind", ["https", "tcp, port: 1, tls: true"])
def test_nobody_reads_it_where_no_certificate_has_to_be_good(tmp_path: Path, kind: str) -> None:
    path = placed(tmp_path, f"{{ type: {kind}, verify_tls: false, ca_file: ca.pem }}")
    (warning,) = (
        str(each) for each in load(path, starting=False).warnings if "ca_file" in each.what
    )
    assert "ca_file is not read; write verify_tls: true" in warning


def test_a_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").mkdir()
    assert "cannot be read" in refusal(placed(tmp_path))[0]


def test_it_is_looked_for_in_the_folder_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = placed(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    put_certificate(tmp_path / "elsewhere")
    assert len(refusal(path)) == 1
    put_certificate(tmp_path)
    (tmp_path / "elsewhere" / "ca.pem").unlink()
    assert load(path).plan.config.checks["web"].ca_file == str(tmp_path / "ca.pem")


def test_of_a_default_it_is_said_once(tmp_path: Path) -> None:
    more = "defaults:\n  checks: { ca_file: ca.pem }\n"
    path = placed(tmp_path, "{ type: https }\n  api: { type: https }", more)
    (error,) = refusal(path)
    assert 'ca_file: "ca.pem" cannot be read' in error


def test_other_errors_hide_it_no_more_than_it_hides_them(tmp_path: Path) -> None:
    path = placed(tmp_path, HTTPS + "\n  api: { type: nope }")
    ours, other = refusal(path)
    assert "ca_file" in ours
    assert "nope" in other


def test_however_much_is_wrong_it_is_not_left_out() -> None:
    report = Report()
    for line in range(MOST_PROBLEMS + 1):
        report.warn(Where("gslb.yaml", line + 1), "", "odd")
    report.defer(Where("gslb.yaml", 5000), "", "missing")
    assert report.late <= set(report.problems())
    assert {problem.what for problem in report.late} == {"missing"}


@pytest.mark.parametrize(("kind", "hint"), [("http", "type: https"), ("tcp, port: 1", "tls: true")])
def test_one_that_nobody_reads_is_one_warning(tmp_path: Path, kind: str, hint: str) -> None:
    path = placed(tmp_path, f"{{ type: {kind}, ca_file: ca.pem }}")
    (problem,) = [str(each) for each in load(path).warnings if "ca_file" in each.what]
    assert problem.split(": ca_file ")[-1].lower() == f"is not read without tls; write {hint}"


def test_a_good_one_is_no_matter(tmp_path: Path) -> None:
    put_certificate(tmp_path)
    reading = reading_of(tmp_path, HTTPS)
    assert said(reading) == []
    assert reading.config is not None
    assert reading.config.checks["web"].ca_file == str(tmp_path / "ca.pem")


def severities(loaded: Loaded) -> list[Severity]:
    return [problem.severity for problem in loaded.warnings if "ca.pem" in problem.what]


def test_a_start_keeps_a_copy_and_takes_over_databases_all_the_same(tmp_path: Path) -> None:
    path = placed(tmp_path)
    started = load(path, starting=True)
    assert lastgood.keep(path, started) == ()
    assert severities(remap(started)) == ["warning"]
    copy = lastgood.find(path)
    assert copy is not None
    (tmp_path / "gslb.yaml").write_text("broken: [")
    assert severities(load(path, starting=True, copy=copy)) == ["warning"]


def test_explaining_needs_none(tmp_path: Path) -> None:
    path = placed(tmp_path)
    explanation = explain_offline(path, "www.gslb.example.com", "A", "192.0.2.1", ())
    assert "192.0.2.10" in str(explanation)


def test_check_says_so_and_its_status_is_1(tmp_path: Path) -> None:
    placed(tmp_path)

    def check() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gslb", "check"]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )

    refused = check()
    assert refused.returncode == 1, refused.stdout
    line = f'gslb.yaml:10:23: error: check "web": ca_file: "ca.pem" cannot be read; {HINT}'
    assert line in refused.stdout.splitlines()
    assert refused.stdout.splitlines()[-1].startswith("gslb.yaml: 1 error, ")
    put_certificate(tmp_path)
    accepted = check()
    assert accepted.returncode == 0, accepted.stdout
    assert "ca.pem" not in accepted.stdout
