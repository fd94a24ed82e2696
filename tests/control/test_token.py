"""Tokens: what one must look like in a request, and what it opens to whom."""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys

import pytest
from gslb.control.http import Control
from gslb.control.token import NO_TOKEN, find_token
from gslb.core.setting import Token

from running import Running

from .test_http import SUPPLIERS, assert_problem, get, send


def token(name, role="read", text=None):
    return Token(name, role, hashlib.sha256((text or f"{name}'s").encode()).digest())


TOKENS = (token("prometheus"), token("agent", "report"), token("me", "operate"))


@pytest.mark.parametrize(
    ("credentials", "name"),
    [
        (["Bearer prometheus's"], "prometheus"),
        (["bearer agent's"], "agent"),
        (["BEARER   me's  "], "me"),
        ([], None),
        ([""], None),
        (["Bearer"], None),
        (["Bearer "], None),
        (["Bearer wrong"], None),
        (["prometheus's"], None),
        (["Basic prometheus's"], None),
        (["Bearer prometheus's me's"], None),
        (["Bearer prometheus's", "Bearer prometheus's"], None),
        (["Bearer prometheus's", "Bearer wrong"], None),
        (["Bearer \udcff\udcfe"], None),
        (["Bearer \x00ü"], None),
        ([f"Bearer {TOKENS[0].sha256.hex()}"], None),
    ],
)
def test_a_token_is_one_header_of_the_scheme_bearer(credentials, name):
    found = find_token(TOKENS, credentials)
    assert (found and found.name) == name


def test_any_octets_can_be_a_token():
    octets = b"caf\xc3\xa9 \xff".strip()
    odd = Token("odd", "read", hashlib.sha256(octets).digest())
    assert find_token([odd], ["Bearer " + octets.decode("utf-8", "surrogateescape")]) is odd


def test_without_tokens_none_is_right():
    assert find_token((), ["Bearer x"]) is None


@contextlib.asynccontextmanager
async def running(tokens=TOKENS, hosts=()):
    control = Control(("127.0.0.1", 0), hosts, SUPPLIERS, tokens=tokens)
    address = await control.start()
    try:
        yield control, address
    finally:
        await control.stop()


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def refused(control):
    return control.stats()["dropped", "control_token"]


async def test_on_this_machine_reading_is_free_and_every_right_token_may():
    async with running() as (control, address):
        assert (await get(address, "/metrics"))[0] == 200
        for each in TOKENS:
            reply = await get(address, "/metrics", headers=bearer(f"{each.name}'s"))
            assert reply[0] == 200
        assert refused(control) == 0


@pytest.mark.parametrize(
    "value", ["Bearer wrong", "Basic cHJvbWV0aGV1czp4", "Bearer", "prometheus's"]
)
async def test_a_wrong_token_is_refused_at_once_and_counted_here_too(value):
    async with running() as (control, address):
        reply = await get(address, "/metrics", headers={"Authorization": value})
        assert "shows no token of control.tokens" in assert_problem(reply, 401)
        assert reply[1]["WWW-Authenticate"] == 'Bearer realm="gslb", error="invalid_token"'
        assert refused(control) == 1


async def test_who_shows_a_wrong_token_loses_the_connection():
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n\r\n"
    async with running() as (control, address):
        replies = await send(address, request * 3)
    assert replies.count(b"HTTP/1.1 ") == 1
    assert refused(control) == 1


async def test_health_is_told_whatever_token_is_shown():
    async with running() as (control, address):
        for path in ("/healthz", "/readyz"):
            assert (await get(address, path, headers=bearer("old")))[0] == 200
        assert refused(control) == 0


async def test_tokens_may_change_at_any_time():
    async with running(()) as (control, address):
        assert (await get(address, "/", headers=bearer("new's")))[0] == 401
        control.tokens = (token("new"),)
        assert (await get(address, "/", headers=bearer("new's")))[0] == 200
        control.tokens = ()
        assert (await get(address, "/", headers=bearer("new's")))[0] == 401


async def test_every_address_is_a_good_host_and_names_must_be_listed():
    # A forwarded port, as of a container, makes the client name an address that is not ours.
    async with running(hosts=("ns1",)) as (_, address):
        for host in ("192.0.2.7:8053", "[2001:db8::1]:8053", "ns1:8053", "NS1", "localhost"):
            assert (await get(address, "/", headers={"Host": host}))[0] == 200, host
        for host in ("ns2", "ns1.example.net", "192.0.2.7.example.net", "2130706433", "0x7f.1"):
            assert (await get(address, "/", headers={"Host": host}))[0] == 421, host


# ---- from another machine, which is a namespace with an address beyond loopback ------------

SERVER, CLIENT = "198.18.53.11", "198.18.53.21"
SERVER_6, CLIENT_6 = "2001:db8:53::11", "2001:db8:53::21"
CONFIG = """\
server: {{ listen: "127.0.0.1:{dns}", state: ./state }}
control:
  listen: "{listen}:{control}"
  hosts: [ns1]
  insecure: true
  tokens: {tokens}
zones: zones/
policies: {{ web: [near] }}
pools: {{ near: {{ endpoints: [192.0.2.10] }} }}
"""
NAMESPACE = [
    "unshare", "-n", "sh", "-ec",
    'ip link set lo up; for each in $0; do ip addr add $each dev lo; done; exec "$@"',
    f"{SERVER}/32 {CLIENT}/32 {SERVER_6}/128 {CLIENT_6}/128",
]  # fmt: skip
# Asks from a source address, with headers; prints status, challenge and body.
ASKER = """
import http.client, json, sys
for line in sys.stdin:
    source, host, port, path, headers = json.loads(line)
    asked = http.client.HTTPConnection(host, port, timeout=20, source_address=(source, 0))
    asked.request("GET", path, headers=headers)
    reply = asked.getresponse()
    print(json.dumps([reply.status, reply.headers["WWW-Authenticate"], reply.read().decode()]),
          flush=True)
"""


class Elsewhere(Running):
    """A server in a network namespace of its own, and who asks it there."""

    asker = None

    def set_tokens(self, *tokens, listen="0.0.0.0"):
        """Writes the configuration."""
        written = {
            each.name: {"role": each.role, "sha256": each.sha256.hex()}
            | ({"only": ["near"]} if each.role == "report" else {})
            for each in tokens
        }
        self.write()
        text = CONFIG.format(
            dns=self.dns, control=self.control, listen=listen, tokens=json.dumps(written)
        )
        self.config.write_text(text)

    def launch(self, *arguments, **environment):
        """Starts the server in its namespace."""
        self.told_before = 0
        with open(self.folder / "log", "w") as log:
            self.process = subprocess.Popen(
                [*NAMESPACE, sys.executable, "-m", "gslb", "serve", "-c", str(self.config)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def within(self, *command, **options):
        """Runs a command in the server's namespace."""
        enter = [*self._enter(), *command]
        return subprocess.run(enter, capture_output=True, text=True, timeout=60, **options)

    def _enter(self):
        return ["nsenter", "-t", str(self.pid), "-n", sys.executable]

    def asked(self, path, text=None, source=CLIENT, host=SERVER, **headers):
        """Status, challenge and a problem's detail, of anything else nothing."""
        status, challenge, body = self.read(path, text, source, host, **headers)
        return status, challenge, "" if status == 200 else json.loads(body)["detail"]

    def read(self, path, text=None, source=CLIENT, host=SERVER, **headers):
        """Status, challenge and body; one process asks everything."""
        if self.asker is None:
            self.asker = subprocess.Popen(
                [*self._enter(), "-c", ASKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True,
            )  # fmt: skip
        if text is not None:
            headers |= bearer(text)
        print(json.dumps([source, host, self.control, path, headers]), file=self.asker.stdin)
        self.asker.stdin.flush()
        return json.loads(self.asker.stdout.readline())

    def count_wrong(self, loopback):
        """How many wrong tokens the server says that it has seen."""
        page = self.read("/metrics", None, loopback, loopback)[2]
        (line,) = (each for each in page.splitlines() if 'reason="control_token"' in each)
        return float(line.split()[-1])

    def stop(self):
        """The server and who asks it."""
        if self.asker is not None:
            self.asker.communicate()
        return super().stop()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Gives the running server that listens on an address, with TOKENS; for the whole file."""
    if (
        not all(map(shutil.which, ("unshare", "nsenter", "ip")))
        or subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("a network namespace needs root")
    running = {}

    def start(listen):
        if listen not in running:
            folder = tmp_path_factory.mktemp("elsewhere")
            # Nobody else has ports in its namespace.
            server = running[listen] = Elsewhere(folder, 5300, 8053, 8080)
            server.set_tokens(*TOKENS, listen=listen)
            server.start()
        return running[listen]

    yield start
    for server in running.values():
        server.stop()


@pytest.fixture
def elsewhere(servers):
    return servers("0.0.0.0")


READ = (200, None, "")


@pytest.mark.parametrize(
    ("listen", "loopback", "server", "client"),
    [("0.0.0.0", "127.0.0.1", SERVER, CLIENT), ("[::]", "::1", SERVER_6, CLIENT_6)],
)
def test_from_another_machine_only_a_token_reads(servers, listen, loopback, server, client):
    elsewhere = servers(listen)
    wrong = elsewhere.count_wrong(loopback)

    def asked(path, text=None, **headers):
        return elsewhere.asked(path, text, client, server, **headers)

    explain = "/v1/explain?name=www.gslb.example.com"
    for path in ("/healthz", "/readyz"):
        assert asked(path) == READ
    for path in ("/", "/metrics", explain, "/nowhere", "/metrics?access_token=prometheus's"):
        assert asked(path) == (401, 'Bearer realm="gslb"', NO_TOKEN)
    for path in ("/", "/metrics", explain):
        assert asked(path, "prometheus's") == READ
        assert asked(path, "me's") == READ
        assert elsewhere.asked(path, None, loopback, loopback) == READ
        assert asked(path, "wrong")[0] == 401
    status, challenge, detail = asked("/metrics", "agent's")
    assert (status, challenge) == (403, 'Bearer realm="gslb", error="insufficient_scope"')
    assert detail == 'token "agent" has the role report, which reads nothing'
    assert asked("/metrics", "prometheus's", Host="ns1:8053") == READ
    assert asked("/metrics", "prometheus's", Host="evil.example.net")[0] == 421
    assert elsewhere.count_wrong(loopback) == wrong + 3


def test_tokens_change_at_a_reload_and_a_bad_one_changes_nothing(elsewhere):
    assert elsewhere.asked("/", "new's")[0] == 401
    elsewhere.set_tokens(token("old"), token("new"))
    elsewhere.reload()
    assert [elsewhere.asked("/", f"{who}'s")[0] for who in ("old", "new")] == [200, 200]
    elsewhere.set_tokens(token("new"), token("twin", text="new's"))
    elsewhere.reload("reload_failed")
    assert [elsewhere.asked("/", f"{who}'s")[0] for who in ("old", "new")] == [200, 200]
    elsewhere.set_tokens(token("new"), *TOKENS)
    elsewhere.reload()
    assert [elsewhere.asked("/", f"{who}'s")[0] for who in ("old", "new")] == [401, 200]


def test_gslb_explain_reads_from_another_machine_with_a_token_file(elsewhere, tmp_path):
    (tmp_path / "right").write_text("me's\n")
    (tmp_path / "wrong").write_text("mine\n")
    command = ["-m", "gslb", "explain", "www.gslb.example.com", "--server", f"{SERVER}:8053"]
    run = elsewhere.within(*command, "--token-file", str(tmp_path / "right"), "--json")
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["answer"] == ["192.0.2.10"]
    run = elsewhere.within(*command)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        f"gslb: http://{SERVER}:8053: {NO_TOKEN}; give its file by --token-file\n"
    )
    run = elsewhere.within(*command, "--token-file", str(tmp_path / "wrong"))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.endswith("; look into the one of --token-file\n")
    assert "mine" not in run.stderr
