"""One command for a pair of real servers, each the other's peer: it is said who did it, who not."""

import json
from hashlib import sha256

import pytest
from gslb import cli

from running import CONFIG, Running, free_ports, wait_for

PAIR = CONFIG.replace(
    'control: {{ listen: "127.0.0.1:{control}" }}',
    'control: {{ listen: "127.0.0.1:{control}", peers: ["http://127.0.0.1:PEER"]TOKENS }}',
)
TOKEN = "operator-0123456789"


def tokens_of(**tokens):
    """The end of `control:` with tokens; braces twice, as they go through str.format."""
    digests = {name: sha256(token.encode()).hexdigest() for name, token in tokens.items()}
    each = (f"{name}: {{{{ role: operate, sha256: {digests[name]} }}}}" for name in tokens)
    return f", tokens: {{{{ {', '.join(each)} }}}}"


WHY = ("--why", "a test")


class Pair:
    """Two servers that both run; the commands ask the first one, `a`."""

    def __init__(self, folder):
        dns_a, control_a, dns_b, control_b, port = free_ports(5)
        for name in ("a", "b"):
            (folder / name).mkdir()
        self.a = Running(folder / "a", dns_a, control_a, port)
        self.b = Running(folder / "b", dns_b, control_b, port)
        self.token_file = folder / "operator"
        self.write(self.a, tokens_of(operator=TOKEN, other="other"))
        self.write(self.b, tokens_of(operator=TOKEN))

    def write(self, server, tokens):
        """The configuration of one of them, with the other one as its peer."""
        peer = self.b if server is self.a else self.a
        server.write(PAIR.replace("PEER", str(peer.control)).replace("TOKENS", tokens))

    def start(self, *servers):
        """All at the same time."""
        for server in servers:
            server.launch()
        for server in servers:
            wait_for(lambda server=server: server.get("/readyz")[0] == 200)

    def urls(self):
        return [f"http://127.0.0.1:{server.control}" for server in (self.a, self.b)]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A pair for the whole file; each test leaves it as it was, without overrides."""
    servers = Pair(tmp_path_factory.mktemp("pair"))
    servers.a.open("127.10.1.1", "127.10.2.1")
    servers.start(servers.a, servers.b)
    yield servers
    for server in (servers.a, servers.b):
        server.stop()


@pytest.fixture
def pair(both):
    yield both
    for server in (both.a, both.b):
        assert forced(server) == []


@pytest.fixture
def run(both, capsys):
    """Status, lines of standard output and of standard error of a command."""

    def call(*arguments, of=both.a, token=TOKEN):
        both.token_file.write_text(f"{token}\n")
        shown = ("--token-file", str(both.token_file)) if token else ()
        status = cli.run([*arguments, "-c", str(of.config), *shown])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()

    return call


def forced(server):
    """What a server lists, read over HTTP."""
    status, body = server.get("/v1/overrides")
    assert status == 200
    return [(each["kind"], each["name"], each["state"]) for each in json.loads(body)["overrides"]]


def test_a_drain_of_both_by_one_command_and_back(pair, run):
    status, out, err = run("drain", "fra", "--for", "2h", *WHY)
    assert (status, err) == (0, [])
    for url, line in zip(pair.urls(), out, strict=True):
        assert line.startswith(f"{url}: drain datacenter/fra from ")
    assert all("; caches are empty in 30 s, at " in line for line in out)
    for server in (pair.a, pair.b):
        assert forced(server) == [("datacenter", "fra", "drain")]
        assert server.addresses() == {"127.10.2.1"}
    status, out, _ = run("overrides")
    assert status == 0
    assert out[1].split()[:3] == ["datacenter/fra", "drain", "up"]
    assert out[1].split()[-1] == "operator"
    assert out[2] == "    a test"
    status, out, _ = run("override", "fra", "clear", *WHY)
    assert status == 0
    assert out == [
        f"{url}: cleared drain datacenter/fra; the probes say: up" for url in pair.urls()
    ]
    assert run("overrides")[1] == ["(none)"]
    assert pair.b.addresses() == {"127.10.1.1"}


def test_what_only_one_of_them_has_is_cleared_by_one_command(pair, run):
    status, out, _ = run("override", "pool/web-fra", "down", "--here", *WHY)
    assert (status, len(out)) == (0, 1)
    assert forced(pair.a) == [("pool", "web-fra", "down")]
    assert forced(pair.b) == []
    own, peer = pair.urls()
    nothing = "nothing to clear: web-fra has no override"
    status, out, err = run("override", "web-fra", "clear", *WHY)
    assert (status, err) == (0, [])
    assert out == [f"{own}: cleared down pool/web-fra; the probes say: up", f"{peer}: {nothing}"]
    status, out, err = run("override", "web-fra", "clear", *WHY)
    assert (status, err) == (1, [])
    assert out == [f"{own}: {nothing}", f"{peer}: {nothing}"]


def test_a_dead_peer_holds_nothing_up_and_is_named(pair, run):
    own, peer = pair.urls()
    pair.b.stop_process()
    status, out, err = run("drain", "fra", *WHY)
    assert status == 3
    assert [line.split(" drain")[0] for line in out] == [f"{own}:"]
    assert err == [f"gslb: {peer}: Connection refused"]
    assert forced(pair.a) == [("datacenter", "fra", "drain")]
    # And the other way round: the peer is told although the own server is gone.
    status, out, err = run("drain", "iad", *WHY, "--json", of=pair.b)
    assert status == 3
    bodies = json.loads(out[0])
    assert bodies[peer] == {"error": f"{peer}: Connection refused"}
    assert bodies[own]["override"]["name"] == "iad"
    assert bodies[own]["kept"] is True
    # Said again, it is done, although the one that came back has neither.
    pair.start(pair.b)
    assert [run("override", name, "clear", *WHY)[0] for name in ("fra", "iad")] == [0, 0]


def test_a_peer_that_does_not_know_the_token_refuses_and_the_other_one_does_it(pair, run):
    status, out, err = run("drain", "fra", *WHY, token="other")
    own, peer = pair.urls()
    assert (status, len(out), len(err)) == (1, 1, 1)
    assert out[0].startswith(f"{own}: drain datacenter/fra")
    assert err[0].startswith(f"gslb: {peer}: ")
    assert err[0].endswith(f"; look into {pair.token_file}")
    assert forced(pair.b) == []
    assert run("override", "fra", "clear", *WHY)[0] == 0


def test_a_single_server_is_operated_with_the_token_that_it_made(pair, run):
    pair.write(pair.a, "")
    pair.a.reload()
    pair.a.close("127.10.1.1")
    wait_for(lambda: run("health", token=None)[0] == 1)
    _, out, err = run("health", token=None)
    assert err == []
    assert out[0] == "2 targets: 1 down, 1 up"
    assert out[3].split()[:3] == ["down", "web", f"127.10.1.1:{pair.a.port}"]
    assert any("up -> down: connect refused (2 in a row)" in line for line in out)
    ordered = run("override", "127.10.1.1", "up", "--for", "5m", "--here", *WHY, token=None)
    assert ordered[0] == 0, ordered
    assert "up endpoint/127.10.1.1 from " in ordered[1][0]
    assert ordered[1][0].endswith("; the probes say: down")
    assert run("drain", "127.10.1.9", "--here", *WHY, token=None)[0] == 1
    _, out, _ = run("health", "--json", token=None)
    down, up = sorted(json.loads(out[0])["targets"], key=lambda target: target["address"])
    assert (down["state"], down["endpoints"][0]["forced"]) == ("down", "up")
    assert (up["state"], up["endpoints"][0]["forced"]) == ("up", None)
    status, body = pair.a.call("PUT", "/v1/checks/wep/127.10.1.1", {"state": "up"})
    assert (status, body["detail"]) == (404, 'no check "wep"; did you mean "web"?')
    status, body = pair.a.call("PUT", "/v1/checks/web/127.10.1.1", {"state": "up"})
    assert (status, body["detail"]) == (400, 'check "web" is of type tcp; only push takes reports')
    assert run("override", "127.10.1.1", "clear", "--here", *WHY, token=None)[0] == 0
    pair.a.open("127.10.1.1")
    pair.write(pair.a, tokens_of(operator=TOKEN, other="other"))
    pair.a.reload()
