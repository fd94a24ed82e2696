"""The file of the cookies' secrets: what it may hold, and that nobody is told what it holds."""

import os

import pytest
from gslb.config.report import Report
from gslb.config.secret import MAX_SECRETS, read_secrets

from yamlcase import read, said

FIRST, SECOND = "00112233445566778899aabbccddeeff", "FFeeDDccBBaa99887766554433221100"


def told(report, severity="error"):
    return [
        f"{problem.where}: {problem.what}; {problem.hint}"
        for problem in report.problems()
        if problem.severity == severity
    ]


def secrets_of(path, content, mode=0o600):
    path.write_text(content)
    path.chmod(mode)
    report = Report()
    return read_secrets(str(path), report), report


def test_the_first_line_signs_and_all_verify(tmp_path):
    text = f"# made by hand\n\n{FIRST}\r\n  {SECOND} # until May\n"
    secrets, report = secrets_of(tmp_path / "cookies", text)
    assert secrets == (bytes.fromhex(FIRST), bytes.fromhex(SECOND))
    assert report.problems() == ()


def test_a_file_that_is_not_there_yet_is_no_problem(tmp_path):
    report = Report()
    assert read_secrets(str(tmp_path / "none" / "cookies"), report) == ()
    assert report.problems() == ()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (FIRST[:-1], "one digit too few"),
        (FIRST + "0", "one too many"),
        (FIRST[:-1] + "g", "no digit"),
        (f"{FIRST} {SECOND}", "two on a line"),
        (f"secret: {FIRST}", "a word before it"),
        ("\x00" * 32, "no text"),
    ],
)
def test_a_line_that_is_no_secret_is_named_and_not_shown(tmp_path, line, why):
    path = tmp_path / "cookies"
    secrets, report = secrets_of(path, f"{SECOND}\n# a comment\n{line}\n")
    assert secrets == (), why
    assert told(report) == [f"{path}:3: is no secret; write 32 hexadecimal digits a line"]


def test_a_file_without_a_secret_is_refused(tmp_path):
    path = tmp_path / "cookies"
    secrets, report = secrets_of(path, "# nothing here\n\n")
    assert secrets == ()
    assert told(report)[0].startswith(f"{path}: has no secret; ")


def test_too_many_secrets_are_refused(tmp_path):
    lines = [f"{number:032x}" for number in range(MAX_SECRETS + 1)]
    assert len(secrets_of(tmp_path / "cookies", "\n".join(lines[:-1]))[0]) == MAX_SECRETS
    secrets, report = secrets_of(tmp_path / "cookies", "\n".join(lines))
    assert secrets == ()
    assert "has 9 secrets where 8 may be" in told(report)[0]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, make):
    make(tmp_path / "cookies")
    report = Report()
    assert read_secrets(str(tmp_path / "cookies"), report) == ()
    assert "it is no regular file" in told(report)[0]


def test_a_file_without_end_is_refused(tmp_path):
    secrets, report = secrets_of(tmp_path / "cookies", f"{FIRST}\n" * 10_000)
    assert secrets == ()
    assert "has more than 16384 octets" in told(report)[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_is_for_others_to_read_is_a_warning(tmp_path):
    secrets, report = secrets_of(tmp_path / "cookies", FIRST, 0)
    assert secrets == ()
    assert told(report) == []
    assert "cannot be read: Permission denied" in told(report, "warning")[0]


@pytest.mark.parametrize("content", ["", "nonsense\n", f"{FIRST}\n" * (MAX_SECRETS + 1)])
def test_where_secrets_are_not_needed_a_broken_file_is_a_warning(tmp_path, content):
    path = tmp_path / "cookies"
    path.write_text(content)
    path.chmod(0o600)
    report = Report()
    assert read_secrets(str(path), report, needed=False) == ()
    assert told(report) == []
    assert len(told(report, "warning")) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_that_others_can_read_is_taken_with_a_warning(tmp_path, mode):
    path = tmp_path / "cookies"
    secrets, report = secrets_of(path, FIRST, mode)
    assert secrets == (bytes.fromhex(FIRST),)
    assert told(report, "warning") == [
        f"{path}: others can read or write it (mode {mode:04o}); chmod 600"
    ]


def test_the_configuration_has_the_secrets_and_never_shows_them(tmp_path):
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "cookies"
    secrets_of(path, f"{FIRST}\n{SECOND}\n")
    settings = read(tmp_path, "server:\n", "").config.settings
    assert settings.cookies.secrets == (bytes.fromhex(FIRST), bytes.fromhex(SECOND))
    assert "secrets" not in repr(settings)


def test_a_broken_secret_file_refuses_the_load(tmp_path):
    secrets_of(tmp_path / "mine", "oops\n")
    reading = read(tmp_path, "server: { cookies: { secret_file: mine } }\n", "")
    assert reading.config is None
    (problem,) = [p for p in reading.problems if p.severity == "error"]
    assert str(problem) == (
        f"{tmp_path / 'mine'}:1: error: server.cookies: is no secret; "
        "write 32 hexadecimal digits a line"
    )


def test_cookies_that_are_off_need_no_file(tmp_path):
    (tmp_path / "state").mkdir()
    secrets_of(tmp_path / "state" / "cookies", "oops\n")
    assert said(read(tmp_path, "server: { cookies: off }\n", ""), "error") == []
