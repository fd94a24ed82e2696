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


def tokens_of(name, token):
    """The end of `control:` with one token; braces twice, as they go through str.format."""
    digest = sha256(token.encode()).hexdigest()
    return f", tokens: {{{{ {name}: {{{{ role: operate, sha256: {digest} }}}} }}}}"


OPERATOR, OTHER = tokens_of("operator", TOKEN), tokens_of("other", "other")
WHY = ("--why", "a test")


class Pair:
    """Two servers, not started; the commands ask the first one, `a`."""

    def __init__(self, folder, capsys):
        dns_a, control_a, dns_b, control_b, port = free_ports(5)
        for name in ("a", "b"):
            (folder / name).mkdir()
        self.a = Running(folder / "a", dns_a, control_a, port)
        self.b = Running(folder / "b", dns_b, control_b, port)
        self.token_file = folder / "operator"
        self.token_file.write_text(f"{TOKEN}\n")
        self._capsys = capsys

    def write(self, of_a=OPERATOR, of_b=OPERATOR):
        for server, peer, tokens in ((self.a, self.b, of_a), (self.b, self.a, of_b)):
            text = PAIR.replace("PEER", str(peer.control)).replace("TOKENS", tokens)
            server.write(text)

    def run(self, *arguments, token=True):
        """Status, lines of standard output and of standard error."""
        shown = ("--token-file", str(self.token_file)) if token else ()
        status = cli.run([*arguments, "-c", str(self.a.config), *shown])
        out, err = self._capsys.readouterr()
        return status, out.splitlines(), err.splitlines()

    def start(self):
        """Both, at the same time."""
        self.a.launch()
        self.b.launch()
        for server in (self.a, self.b):
            wait_for(lambda server=server: server.get("/readyz")[0] == 200)

    def urls(self):
        return [f"http://127.0.0.1:{server.control}" for server in (self.a, self.b)]


@pytest.fixture
def pair(tmp_path, capsys):
    both = Pair(tmp_path, capsys)
    both.a.open("127.10.1.1", "127.10.2.1")
    yield both
    for server in (both.a, both.b):
        if server.process is not None:
            server.stop()
    both.a.close(*both.a.listeners)


def forced(server):
    """What a server lists, read over HTTP."""
    status, body = server.get("/v1/overrides")
    assert status == 200
    return [(each["kind"], each["name"], each["state"]) for each in json.loads(body)["overrides"]]


def test_a_drain_of_both_by_one_command_and_back(pair):
    pair.write()
    pair.start()
    status, out, err = pair.run("drain", "fra", "--for", "2h", *WHY)
    assert (status, err) == (0, [])
    for url, line in zip(pair.urls(), out, strict=True):
        assert line.startswith(f"{url}: drain datacenter/fra from ")
    assert all("; caches are empty in 30 s, at " in line for line in out)
    for server in (pair.a, pair.b):
        assert forced(server) == [("datacenter", "fra", "drain")]
        assert server.addresses() == {"127.10.2.1"}
    status, out, _ = pair.run("overrides")
    assert status == 0
    assert out[1].split()[:3] == ["datacenter/fra", "drain", "up"]
    assert out[1].split()[-1] == "operator"
    assert out[2] == "    a test"
    status, out, _ = pair.run("override", "fra", "clear", *WHY)
    assert status == 0
    assert out == [
        f"{url}: cleared drain datacenter/fra; the probes say: up" for url in pair.urls()
    ]
    assert pair.run("overrides")[1] == ["(none)"]
    assert pair.b.addresses() == {"127.10.1.1"}
    # And one of them alone.
    status, out, _ = pair.run("override", "pool/web-fra", "down", "--here", *WHY)
    assert (status, len(out)) == (0, 1)
    assert forced(pair.a) == [("pool", "web-fra", "down")]
    assert forced(pair.b) == []


def test_a_dead_peer_holds_nothing_up_and_is_named(pair):
    pair.write()
    pair.a.start()
    status, out, err = pair.run("drain", "fra", *WHY)
    own, peer = pair.urls()
    assert status == 3
    assert [line.split(" drain")[0] for line in out] == [f"{own}:"]
    assert err == [f"gslb: {peer}: Connection refused"]
    assert forced(pair.a) == [("datacenter", "fra", "drain")]
    # And the other way round: the peer is told although the own server is gone.
    pair.a.stop_process()
    pair.b.start()
    status, out, err = pair.run("drain", "fra", *WHY, "--json")
    assert status == 3
    bodies = json.loads(out[0])
    assert bodies[own] == {"error": f"{own}: Connection refused"}
    assert bodies[peer]["override"]["name"] == "fra"
    assert bodies[peer]["kept"] is True


def test_a_peer_that_does_not_know_the_token_refuses_and_the_other_one_does_it(pair):
    pair.write(of_b=OTHER)
    pair.start()
    status, out, err = pair.run("drain", "fra", *WHY)
    own, peer = pair.urls()
    assert (status, len(out), len(err)) == (1, 1, 1)
    assert out[0].startswith(f"{own}: drain datacenter/fra")
    assert err[0].startswith(f"gslb: {peer}: ")
    assert err[0].endswith(f"; look into {pair.token_file}")
    assert forced(pair.b) == []


def test_a_single_server_is_operated_with_the_token_that_it_made(pair):
    pair.write(of_a="")
    pair.a.start()
    pair.a.close("127.10.1.1")
    wait_for(lambda: pair.run("health", token=False)[0] == 1)
    _, out, err = pair.run("health", token=False)
    assert err == []
    assert out[0] == "2 targets: 1 down, 1 up"
    assert out[3].split()[:3] == ["down", "web", f"127.10.1.1:{pair.a.port}"]
    assert any("up -> down: connect refused (2 in a row)" in line for line in out)
    ordered = pair.run("override", "127.10.1.1", "up", "--for", "5m", "--here", *WHY, token=False)
    assert ordered[0] == 0, ordered
    assert "up endpoint/127.10.1.1 from " in ordered[1][0]
    assert ordered[1][0].endswith("; the probes say: down")
    assert pair.run("drain", "127.10.1.9", "--here", *WHY, token=False)[0] == 1
    _, out, _ = pair.run("health", "--json", token=False)
    down, up = sorted(json.loads(out[0])["targets"], key=lambda target: target["address"])
    assert (down["state"], down["endpoints"][0]["forced"]) == ("down", "up")
    assert (up["state"], up["endpoints"][0]["forced"]) == ("up", None)
