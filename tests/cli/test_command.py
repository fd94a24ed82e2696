"""The commands: what they call with what, what they print where, and their exit status."""

import json
import sys
from types import SimpleNamespace

import pytest
from gslb import cli
from gslb.errors import ConfigError, ListenError, Problem, Where

from .conftest import serving
from .test_ask import answering
from .test_remote import answering as answering_http

COMMANDS = [
    "serve", "check", "explain", "ask", "health", "drain", "override", "overrides", "schema", "geo",
    "lab",
]  # fmt: skip
PROBLEMS = (
    Problem(Where("gslb.yaml", 41, 9), 'policy "api"', 'unknown pool "x"', 'did you mean "y"?'),
    Problem(Where("gslb.yaml", 50, 1), "", "nobody uses this", "", "warning"),
)
BODY = {
    "name": "www.example.com.",
    "type": "A",
    "rcode": "NOERROR",
    "answer": ["192.0.2.10"],
    "ttl": 30,
    "scope": 24,
    "steps": [
        {"depth": 0, "kind": "zone", "text": "steered"},
        {"depth": 1, "kind": "nearest", "text": "web-fra 412 km"},
    ],
}


@pytest.fixture
def fake(monkeypatch):
    """Puts a module in the place of one of ours."""

    def put(name, **contents):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**contents))

    return put


@pytest.fixture
def offline(fake):
    """An explain_offline that remembers what it was asked."""
    asked = []

    def explain_offline(*arguments):
        asked.append(arguments)
        if arguments[2] == "NOPE":
            raise ValueError('"NOPE" is not a type')
        return SimpleNamespace(body=lambda: BODY)

    fake("gslb.app.offline", explain_offline=explain_offline)
    return asked


def raising(error):
    def fail(*arguments, **options):
        raise error

    return fail


def test_the_help_lists_this_release_s_commands(capsys):
    assert cli.run(["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in listed.splitlines()] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, capsys):
    for option in ("--help", "-h"):
        assert cli.run([command, option]) == 0
        assert f"  gslb {command}" in capsys.readouterr().out.replace("Example: ", "  ")


def test_the_version_is_printed(capsys):
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("gslb 0.")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["check", "--nope"],
        ["check", "a.yaml", "-c", "b.yaml"],
        ["serve", "--engine", "fast"],
        ["serve", "--log", "xml"],
        ["explain"],
        ["explain", "www.example.com", "--offline", "--server", "http://127.0.0.1:1"],
        ["explain", "www.example.com", "--server", "ftp://127.0.0.1"],
        ["explain", "www.example.com", "--offline", "--token-file", "token"],
        ["ask"],
        ["ask", "a", "A", "AAAA", "@127.0.0.1"],
        ["ask", "a", "@127.0.0.1", "@127.0.0.2"],
        ["ask", "@127.0.0.1"],
        ["ask", "a..b", "@127.0.0.1"],
        ["ask", "a", "NOPE", "@127.0.0.1"],
        ["ask", "a", "@127.0.0.1:x"],
        ["ask", "a", "@127.0.0.1", "--from", "nobody"],
        ["ask", "a", "@127.0.0.1", "--repeat", "0"],
        ["geo"],
        ["geo", "here"],
        ["lab", "failover"],
        ["lab", "--drill", "nope"],
    ],
)
def test_usage_errors_are_status_2_on_standard_error(arguments, capsys):
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Error: " in err


def test_serve_gets_its_options(fake):
    asked = []
    fake("gslb.app.serve", serve=lambda *arguments: asked.append(arguments) or 0)
    assert cli.run(["serve", "-c", "a.yaml"]) == 0
    assert cli.run(
        ["serve", "--config", "b.yaml", "--engine", "python", "--log", "json", "--strict"]
    ) == 0  # fmt: skip
    assert cli.run(["serve", "-c", "c.yaml", "--replace"]) == 0
    assert asked == [
        ("a.yaml", None, "text", False, False),
        ("b.yaml", "python", "json", True, False),
        ("c.yaml", None, "text", False, True),
    ]


def test_a_port_in_use_is_one_line(fake, capsys):
    fake("gslb.app.serve", serve=raising(ListenError("cannot listen on 127.0.0.1:53")))
    assert cli.run(["serve", "-c", "a.yaml"]) == 1
    assert capsys.readouterr() == ("", "gslb: cannot listen on 127.0.0.1:53\n")


def test_a_start_with_a_broken_configuration_prints_every_problem(fake, capsys):
    fake("gslb.app.serve", serve=raising(ConfigError(PROBLEMS)))
    assert cli.run(["serve", "-c", "a.yaml"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [str(problem) for problem in PROBLEMS]


def test_check_prints_the_problems_and_a_summary_last(fake, capsys):
    fake("gslb.app.load", load=raising(ConfigError(PROBLEMS)))
    assert cli.run(["check", "gslb.yaml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        'gslb.yaml:41:9: error: policy "api": unknown pool "x"; did you mean "y"?',
        "gslb.yaml:50:1: warning: nobody uses this",
        "gslb.yaml: 1 error, 1 warning",
    ]


def test_check_with_warnings_only_is_status_0(fake, capsys):
    fake("gslb.app.load", load=lambda path, progress: SimpleNamespace(warnings=PROBLEMS[1:]))
    assert cli.run(["check", "-c", "gslb.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "file": "gslb.yaml",
            "line": 50,
            "column": 1,
            "severity": "warning",
            "subject": "",
            "what": "nobody uses this",
            "hint": "",
        }
    ]


def test_explain_asks_the_running_server(offline, capsys):
    with answering_http(200, json.dumps(BODY).encode()) as (url, asked):
        arguments = ["explain", "www.example.com", "AAAA", "--from", "81.2.69.160"]
        arguments += ["--down", "fra", "--down", "iad", "--server", url]
        assert cli.run(arguments) == 0
        out, err = capsys.readouterr()
        assert cli.run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == BODY
    query = "name=www.example.com&type=AAAA&from=81.2.69.160&down=fra&down=iad"
    assert asked == [f"/v1/explain?{query}"] * 2
    assert (offline, err) == ([], "")
    assert out == (
        "www.example.com. A\n"
        "  192.0.2.10\n"
        "  NOERROR, TTL 30, scope /24\n"
        "\n"
        "  zone     steered\n"
        "  nearest    web-fra 412 km\n"
    )


def test_explain_without_a_server_uses_the_files_and_says_so(offline, capsys, tmp_path):
    config = tmp_path / "gslb.yaml"
    config.write_text("control: {listen: 127.0.0.1:1}\n")
    assert cli.run(["explain", "www.example.com", "-c", str(config), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == BODY
    assert err.splitlines() == [
        "gslb: no server there: http://127.0.0.1:1: Connection refused",
        f"gslb: explained from {config}, with everything up",
    ]
    assert offline == [(str(config), "www.example.com", "A", None, ())]


def test_explain_offline_asks_nobody(offline, capsys):
    assert cli.run(["explain", "a", "--offline", "-c", "x.yaml", "--down", "fra"]) == 0
    assert capsys.readouterr().err == "gslb: explained from x.yaml, with everything else up\n"
    assert offline == [("x.yaml", "a", "A", None, ("fra",))]


def test_explain_does_not_fall_back_from_a_server_that_was_named(offline, capsys):
    assert cli.run(["explain", "a", "--server", "127.0.0.1:1"]) == 3
    assert capsys.readouterr().err == "gslb: http://127.0.0.1:1: Connection refused\n"
    assert offline == []


def test_explain_shows_the_server_the_token_of_a_file(tmp_path, capsys):
    path, shown = tmp_path / "token", []
    path.write_text("a/token==\n")
    with answering_http(200, json.dumps(BODY).encode(), shown=shown) as (url, _):
        arguments = ["explain", "a", "--server", url, "--token-file"]
        assert cli.run([*arguments, str(path)]) == 0
        assert cli.run([*arguments, f"{path}s"]) == 1
        assert cli.run([*arguments, str(tmp_path)]) == 1
    assert shown == ["Bearer a/token=="]
    assert capsys.readouterr().err.splitlines() == [
        f"gslb: {path}s: No such file or directory",
        f"gslb: {tmp_path}: Is a directory",
    ]


@pytest.mark.parametrize(("status", "expected"), [(400, 2), (401, 1), (403, 1), (500, 1)])
def test_what_the_server_refuses_is_said(status, expected, capsys):
    body = json.dumps({"detail": "the reason"}).encode()
    with answering_http(status, body, "application/problem+json") as (url, _):
        assert cli.run(["explain", "a", "--server", url]) == expected
    assert "the reason" in capsys.readouterr().err


def test_a_question_that_is_wrong_offline_is_usage_too(offline, capsys):
    assert cli.run(["explain", "a", "NOPE", "--offline", "-c", "x.yaml"]) == 2
    assert '"NOPE" is not a type' in capsys.readouterr().err


def test_ask_prints_what_dig_would(capsys):
    with serving(answering("192.0.2.10", scope=24)) as (host, port):
        server = f"@{host}:{port}"
        assert cli.run(["ask", server, "www.example.com", "--subnet", "81.2.69.0/24"]) == 0
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith(f";; NOERROR, flags qr aa rd ra; {server[1:]} by UDP, ")
    assert second == ";; client subnet 81.2.69.0/24: scope /24"
    assert rest == ["www.example.com. 30 IN A 192.0.2.10"]


def test_ask_in_json(capsys):
    with serving(answering("192.0.2.10")) as (host, port):
        assert cli.run(["ask", "www.example.com", f"@{host}:{port}", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["answer"] == [
        {"name": "www.example.com.", "ttl": 30, "type": "A", "data": "192.0.2.10"}
    ]
    assert (body["rcode"], body["subnet"], body["scope"]) == ("NOERROR", None, None)


def test_ask_repeatedly_prints_shares(capsys):
    with serving(answering("192.0.2.10")) as (host, port):
        arguments = ["ask", "www.example.com", f"@{host}:{port}", "--repeat", "4"]
        assert cli.run(arguments) == 0
        out = capsys.readouterr().out
        assert cli.run([*arguments, "--json"]) == 0
    assert out.splitlines() == [
        f"www.example.com. A: 4 queries to {host}:{port}, 0 lost",
        f"  192.0.2.10       4  100.0%  {'#' * 40}",
    ]
    assert json.loads(capsys.readouterr().out)["answers"] == [
        {"answer": "192.0.2.10", "count": 4, "share": 1.0}
    ]


@pytest.mark.parametrize(("rcode", "status"), [(0, 0), (3, 0), (2, 1), (5, 1)])
@pytest.mark.parametrize("repeat", ["1", "2"])
def test_an_answer_is_status_0_and_a_failure_1(rcode, status, repeat):
    with serving(answering(rcode=rcode)) as (host, port):
        assert cli.run(["ask", "a.example", f"@{host}:{port}", "--repeat", repeat]) == status


def test_ask_finds_its_server_in_the_configuration(tmp_path, capsys):
    config = tmp_path / "gslb.yaml"
    with serving(answering("192.0.2.10")) as (host, port):
        config.write_text(f'server: {{listen: ["{host}:{port}"]}}\n')
        assert cli.run(["ask", "www.example.com", "-c", str(config)]) == 0
    assert "192.0.2.10" in capsys.readouterr().out


def test_nothing_a_server_sends_reaches_the_terminal_as_a_control_character(capsys):
    body = BODY | {"answer": ["\x1b[31mred\x07"], "steps": [{"kind": "\x9b", "text": "\x1b]0;x"}]}
    with answering_http(200, json.dumps(body).encode()) as (url, _):
        assert cli.run(["explain", "a", "--server", url]) == 0
    out = capsys.readouterr().out
    assert r"\x1b[31mred\x07" in out
    assert all(character == "\n" or character.isprintable() for character in out)


def test_geo_prints_a_fact_a_line(fake, capsys):
    def describe(address):
        facts = {"country": "GB", "at": None, "clients": ["a", "b"], "city": {"network": "/24"}}
        return {"address": address} | facts

    fake("gslb.app.offline", locator=lambda path: SimpleNamespace(describe=describe))
    assert cli.run(["geo", "81.2.69.160", "2001:db8::1", "-c", "x.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[:6] == [
        "81.2.69.160",
        "  country  GB",
        "  at       -",
        "  clients  a, b",
        "  city     network /24",
        "2001:db8::1",
    ]
    assert cli.run(["geo", "81.2.69.160", "-c", "x.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [describe("81.2.69.160")]


def test_the_help_of_lab_names_every_drill(capsys):
    from gslb.lab.drill import DRILLS

    assert cli.run(["lab", "--help"]) == 0
    assert f"Drills: {', '.join(DRILLS)}" in capsys.readouterr().out


def test_lab_runs_the_drill_that_is_named(monkeypatch):
    asked = []
    monkeypatch.setattr("gslb.lab.run.run_lab", lambda *arguments: asked.append(arguments) or 1)
    assert cli.run(["lab"]) == 1
    assert cli.run(["lab", "--drill"]) == 1
    assert cli.run(["lab", "--drill", "capacity", "--folder", "x", "--json"]) == 1
    assert asked == [
        (None, None, False), (None, "failover", False), ("x", "capacity", True),
    ]  # fmt: skip


def test_a_defect_is_one_line_that_says_how_to_see_more(fake, capsys, monkeypatch):
    fake("gslb.app.serve", serve=raising(KeyError("x")))
    monkeypatch.delenv("GSLB_TRACEBACK", raising=False)
    assert cli.run(["serve", "-c", "a.yaml"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "GSLB_TRACEBACK=1" in line
    assert "KeyError: 'x'" in line
    monkeypatch.setenv("GSLB_TRACEBACK", "1")
    with pytest.raises(KeyError):
        cli.run(["serve", "-c", "a.yaml"])
