"""drain, override, overrides and health, against servers on real sockets."""

import json
import re
import threading
from contextlib import ExitStack

import pytest
from gslb import cli, remote

from .stand import DOWN, DRAIN, TARGET, health, standing

WHY = ["--why", "kernel upgrade"]


@pytest.fixture
def servers():
    """Starts any number of servers, each with the token it wants."""
    with ExitStack() as stack:
        yield lambda *tokens: [stack.enter_context(standing(token)) for token in tokens]


@pytest.fixture
def server(servers):
    (one,) = servers(None)
    return one


@pytest.fixture
def run(capsys):
    """Status, standard output and standard error of one command."""

    def call(*arguments):
        status = cli.run([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return call


def naming(*stands):
    return [word for stand in stands for word in ("--server", stand.url)]


def test_a_drain_says_what_was_done_and_when_caches_are_empty(run, server):
    status, out, err = run("drain", "fra", "--for", "2h", "--lead", "10m", *WHY, *naming(server))
    assert (status, err) == (0, "")
    assert out == (
        f"{server.url}: drain datacenter/fra from 18:40:00Z until 20:40:00Z; "
        "caches are empty in 5 min 30 s, at 18:45:30Z\n"
    )
    order = {"state": "drain", "why": "kernel upgrade", "until": "2h", "lead": "10m"}
    assert server.asked == [("PUT", "/v1/overrides/object/fra", order)]


def test_an_override_is_set_and_cleared(run, server):
    where = naming(server)
    assert run("override", "pool/web-fra", "up", "--for", "30m", *WHY, *where)[0] == 0
    assert run("override", "pool/web-fra", "down", *WHY, *where)[0] == 0
    status, out, err = run("override", "pool/web-fra", "clear", *WHY, *where)
    assert (status, err) == (0, "")
    assert out == f"{server.url}: cleared drain pool/web-fra; the probes say: 2 of 3 up\n"
    path = "/v1/overrides/pool/web-fra"
    assert server.asked == [
        ("PUT", path, {"state": "up", "why": "kernel upgrade", "until": "30m"}),
        ("PUT", path, {"state": "down", "why": "kernel upgrade", "until": None}),
        ("DELETE", path, {"why": "kernel upgrade"}),
    ]


NOTHING = {"cleared": None, "kept": True, "warning": None}


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_server_without_the_override_holds_up_no_clear_unless_none_has_it(run, servers, form):
    had, had_none, refuses = servers(None, None, "x")
    path = "/v1/overrides/object/fra"
    had_none.said[path] = (200, NOTHING)
    clear, dead = ["override", "fra", "clear", *WHY, *form], ["--server", "127.0.0.1:1"]
    status, out, err = run(*clear, *naming(had, had_none))
    assert (status, err) == (0, "")
    if form:
        assert json.loads(out)[had_none.url] == NOTHING
    else:
        assert out == (
            f"{had.url}: cleared drain datacenter/fra; the probes say: 2 of 3 up\n"
            f"{had_none.url}: nothing to clear: fra has no override\n"
        )
    # Whoever has none and whoever cannot say are still to be told apart from who refuses.
    assert run(*clear, *naming(had_none), *dead)[0] == 3
    assert run(*clear, *naming(had_none, refuses))[0] == 1
    had.said[path] = (200, NOTHING)
    assert run(*clear, *naming(had, had_none))[0] == 1
    assert run(*clear, *naming(had))[0] == 1
    had.said[path] = (200, {})  # no server of ours
    assert run(*clear, *naming(had))[0] == 1


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("fra", "object/fra"),
        ("datacenter/fra", "datacenter/fra"),
        ("endpoint/2001:db8::10", "endpoint/2001%3Adb8%3A%3A10"),
        ("192.0.2.10", "object/192.0.2.10"),
        ("pool/a/b?c#d", "pool/a%2Fb%3Fc%23d"),
        ("pool/ä", "pool/%C3%A4"),
    ],
)
def test_an_object_is_named_in_the_path(run, server, name, path):
    assert run("drain", name, *WHY, *naming(server))[0] == 0
    assert server.asked[0][1] == f"/v1/overrides/{path}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["drain"], "Missing argument 'OBJECT'"),
        (["drain", "fra"], "Missing option '--why'"),
        (["drain", "fra", "--why", " "], "--why is empty"),
        (["drain", "zone/fra", *WHY], "neither a NAME nor one of datacenter/NAME, pool/NAME"),
        (["drain", "pool/", *WHY], "neither a NAME nor one of"),
        (["drain", "", *WHY], "neither a NAME nor one of"),
        (["drain", "fra", "--for", "30", *WHY], "--for: 30 has no unit; write 30s"),
        (["drain", "fra", "--for", "soon", *WHY], "is not a duration; write it as"),
        (["drain", "fra", "--for", "0s", *WHY], "is no time at all"),
        (["drain", "fra", "--lead", "10", *WHY], "--lead: 10 has no unit"),
        (["override", "fra", "up", *WHY], "say for how long, as --for 30m"),
        (["override", "fra", "clear", "--for", "2h", *WHY], "leave --for out"),
        (["override", "fra", "drain", *WHY], '"drain" is no state to force: use `gslb drain`'),
        (["override", "fra", "dwon", *WHY], '"dwon" is no state to force: it is up, down or'),
        (["override", "fra", "down"], "Missing option '--why'"),
        (["override", "fra", "clear", "--why", ""], "--why is empty"),
        (["drain", "fra", "--here", *WHY], "--here is the server of the configuration"),
        (["health", "--watch", "--json"], "leave one out"),
    ],
)
def test_what_is_wrong_is_said_before_any_server_hears_of_it(run, server, arguments, said):
    status, out, err = run(*arguments, *naming(server))
    assert (status, out, server.asked) == (2, "", [])
    assert said in err
    assert "Value error" not in err


def test_the_states_that_can_be_forced_are_completed(run, monkeypatch):
    monkeypatch.setenv("_GSLB_COMPLETE", "complete_bash")
    for begun, found in (("", "up\ndown\nclear"), ("d", "down")):
        monkeypatch.setenv("COMP_WORDS", f"gslb override fra {begun}")
        monkeypatch.setenv("COMP_CWORD", "3")
        assert run() == (0, f"{found}\n", "")


def test_every_server_has_a_line_and_the_lines_are_in_the_order_of_the_servers(run, servers):
    first, second = servers(None, None)
    first.held.clear()  # the first one answers only after the second one
    release = threading.Thread(target=lambda: (second.came.acquire(), first.held.set()))
    release.start()
    status, out, _ = run("drain", "fra", *WHY, *naming(first, second))
    release.join()
    assert status == 0
    assert [line.split(": ")[0] for line in out.splitlines()] == [first.url, second.url]


@pytest.mark.parametrize(
    ("tokens", "dead", "expected"),
    [([None, "x"], False, 1), ([None], True, 3), ([None, "x"], True, 1), ([], True, 3)],
)
def test_all_have_to_accept_and_a_refusal_counts_more_than_silence(
    run, servers, tokens, dead, expected
):
    stands = servers(*tokens)
    where = [*naming(*stands), *(["--server", "127.0.0.1:1"] if dead else [])]
    status, out, err = run("drain", "fra", *WHY, *where)
    assert status == expected
    assert out.count("\n") == tokens.count(None)
    complaints = [
        f"gslb: {stand.url}: the header shows no token of control.tokens; "
        "give its file by --token-file"
        for stand in stands
        if stand.token
    ]
    assert err.splitlines() == complaints + (
        ["gslb: http://127.0.0.1:1: Connection refused"] if dead else []
    )


def test_a_server_that_hangs_may_have_heard_of_a_change(run, server, monkeypatch):
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.1)
    server.held.clear()
    late = f"gslb: {server.url}: no answer in time"
    heard = f"{late} (it may have heard: see `gslb overrides`)\n"
    for change in (["drain", "fra"], ["override", "fra", "down"], ["override", "fra", "clear"]):
        assert run(*change, *WHY, *naming(server)) == (3, "", heard)
    assert run("overrides", *naming(server)) == (3, "", f"{late}\n")


def test_what_the_server_says_of_a_name_is_shown(run, server):
    text = '"fr" is no data center, pool or endpoint; did you mean "fra"?'
    server.said["/v1/overrides/object/fr"] = (404, {"detail": text})
    status, out, err = run("drain", "fr", *WHY, *naming(server))
    assert (status, out, err) == (1, "", f"gslb: {server.url}: {text}\n")


def test_what_will_not_survive_a_restart_is_a_warning(run, server):
    why = "it will not survive a restart of the server: disk full"
    reply = {"override": DRAIN, "kept": False, "warning": why}
    server.said["/v1/overrides/object/fra"] = (200, reply)
    for form in ([], ["--json"]):
        status, out, err = run("drain", "fra", *WHY, *naming(server), *form)
        assert (status, out.count("\n")) == (0, 1)
        assert err == f"gslb: warning: {server.url}: {why}\n"


def test_a_token_of_a_file_is_shown_to_all(run, servers, tmp_path):
    stands = servers("secret", "secret")
    path = tmp_path / "mine"
    path.write_text("secret\n")
    assert run("drain", "fra", *WHY, *naming(*stands), "--token-file", path)[0] == 0
    assert [stand.shown for stand in stands] == [["Bearer secret"]] * 2
    path.write_text("other\n")
    status, _, err = run("overrides", *naming(stands[0]), "--token-file", path)
    assert status == 1
    assert f"look into {path}" in err


def test_the_server_of_the_configuration_is_found_with_its_token(run, servers, tmp_path):
    (own,) = servers("secret")
    config = tmp_path / "gslb.yaml"
    config.write_text(f"server: {{state: st}}\ncontrol: {{listen: {own.url[7:]}}}\n")
    (tmp_path / "st").mkdir()
    (tmp_path / "st" / "token").write_text("secret\n")
    assert run("drain", "fra", *WHY, "-c", config)[0] == 0
    # In the middle of an edit, at three in the morning.
    (tmp_path / "st" / "last-good").mkdir()
    (tmp_path / "st" / "last-good" / "origin").write_text(str(config))
    (tmp_path / "st" / "last-good" / "gslb.yaml").write_text(config.read_text())
    config.write_text("server: {state: st}\ncontrol: [\n")
    status, out, err = run("drain", "fra", "--here", *WHY, "-c", config)
    assert (status, out.count("\n")) == (0, 1)
    assert err.startswith(f"gslb: {config} has errors; the settings are those of its last good")
    assert own.shown == ["Bearer secret"] * 2


def test_overrides_are_listed(run, servers):
    stands = servers(None, None)
    status, out, err = run("overrides", *naming(stands[0]))
    assert (status, err) == (0, "")
    assert re.match(r"OBJECT .*\ndatacenter/fra +drain +2 of 3 up ", out)
    assert "    kernel upgrade\n" in out
    stands[1].said["/v1/overrides"] = (200, {"overrides": [], "kept": False, "problem": "full"})
    status, out, err = run("overrides", *naming(*stands))
    assert status == 0
    assert out.startswith(f"{stands[0].url}\nOBJECT")
    assert out.endswith(f"\n\n{stands[1].url}\n(none)\n")
    assert err == "gslb: warning: overrides will not survive a restart of the server: full\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (health(TARGET), 0),
        (health(), 0),
        (health(TARGET | {"state": "unknown"}), 0),
        (health(TARGET, DOWN), 1),
        (health(TARGET, blind={"why": "x", "since": None}), 1),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_status_of_health_says_whether_all_is_well(run, server, body, expected, form):
    server.said["/v1/health"] = (200, body)
    status, out, err = run("health", *naming(server), *form)
    assert (status, err) == (expected, "")
    assert json.loads(out) == body if form else "target" in out or "no checks" in out


def test_the_status_of_health_counts_what_is_down_more_than_who_is_silent(run, server):
    where = [*naming(server), "--server", "127.0.0.1:1"]
    assert run("health", *where)[0] == 3
    server.said["/v1/health"] = (200, health(DOWN))
    assert run("health", *where)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "path"),
    [(["drain", "fra", *WHY], "/v1/overrides/object/fra"), (["overrides"], "/v1/overrides")],
)
def test_json_is_the_body_and_of_several_servers_each_by_its_url(run, server, arguments, path):
    body = {"kept": True, "override": DRAIN, "overrides": [DRAIN], "more": "\x1b"}
    server.said[path] = (200, body)
    status, out, _ = run(*arguments, "--json", *naming(server))
    assert (status, json.loads(out)) == (0, body)
    status, out, err = run(*arguments, "--json", *naming(server), "--server", "127.0.0.1:1")
    silent = "http://127.0.0.1:1"
    assert (status, err) == (3, "")
    assert json.loads(out) == {server.url: body, silent: {"error": f"{silent}: Connection refused"}}
    status, out, err = run(*arguments, "--json", "--server", silent)
    assert (status, out, err) == (3, "", f"gslb: {silent}: Connection refused\n")


def test_nothing_a_server_sends_reaches_the_terminal_as_a_control_character(run, server):
    nasty = "\x1b[31mred\x07\x9b\u202e"
    server.said["/v1/overrides"] = (200, {"overrides": [dict.fromkeys(DRAIN, nasty)]})
    server.said["/v1/health"] = (
        200,
        health(dict.fromkeys(TARGET, nasty) | {"failing": [nasty]}, blind={"why": nasty}),
    )
    server.said["/v1/overrides/object/a"] = (200, {"override": dict.fromkeys(DRAIN, nasty)})
    server.said["/v1/overrides/object/b"] = (400, {"detail": nasty})
    for arguments in (["overrides"], ["health"], ["drain", "a", *WHY], ["drain", "b", *WHY]):
        _, out, err = run(*arguments, *naming(server))
        assert r"\x1b[31mred\x07" in out + err
        assert all(c == "\n" or c.isprintable() for c in out + err)
