"""Whom a command talks to, and who gets to see which token."""

import os
import shutil
import subprocess
import sys
from hashlib import sha256

import pytest
from gslb import access, place
from gslb.access import Contact, find_contacts
from gslb.core.setting import Settings, Token
from gslb.errors import ConfigError, UnreachableError

OWN, PEER = "http://127.0.0.1:8053", "http://192.0.2.2:8053"


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """Puts settings in the place of a file; None for a file that is not there."""

    def put(**fields):
        found = Settings(state=str(tmp_path), **fields)
        monkeypatch.setattr(access, "find_settings", lambda config, tell: found)

    return put


def shown(contacts):
    return {contact.url: contact.token for contact in contacts}


def test_what_changes_something_is_for_the_peers_too(settings):
    settings(peers=(PEER, OWN))
    assert list(shown(find_contacts((), None, None, changing=True))) == [OWN, PEER]
    assert list(shown(find_contacts((), None, None, changing=True, here=True))) == [OWN]
    assert list(shown(find_contacts((), None, None, changing=False))) == [OWN]


def test_of_two_servers_that_read_one_file_each_is_told_once(settings):
    here, peer = "http://127.0.0.2:8053", "http://198.51.100.2:8053"
    # Behind another port, scheme or family is something else: a tunnel, a proxy.
    others = ("http://127.0.0.2:8054", "https://127.0.0.2:8053", "http://[::1]:8053", peer)
    settings(control=("0.0.0.0", 8053), peers=(here, *others))
    assert list(shown(find_contacts((), None, None, changing=True))) == [OWN, *others]
    settings(peers=(OWN, here, peer))  # it listens on 127.0.0.1 only
    assert list(shown(find_contacts((), None, None, changing=True))) == [OWN, here, peer]


ADDRESSES = ("198.18.53.11", "2001:db8:53::11")
# Says of two addresses that the namespace has, and of two that it has not, which it takes for own.
OWNER = """
from gslb.access import find_contacts
from gslb import access
from gslb.core.setting import Settings
peers = tuple(f"http://{host}:8053" for host in
    ("198.18.53.11", "198.18.53.12", "[2001:db8:53::11]", "[2001:db8:53::12]", "ns1.example.net"))
for listen in ("0.0.0.0", "::"):
    access.find_settings = lambda config, tell: Settings(control=(listen, 8053), peers=peers)
    found = [each.url[7:-5] for each in find_contacts((), None, None, changing=True)]
    print(*(each for each in found if (":" in each) == (":" in listen)))
"""


def test_an_address_is_the_servers_own_if_this_machine_has_it(tmp_path):
    if (
        not all(map(shutil.which, ("unshare", "ip")))
        or subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("a network namespace needs root")
    # An address that anything may be bound to (keepalived) is not its own for that.
    prepare = (
        "ip link set lo up; for each in $0; do ip addr add $each dev lo; done; "
        'echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind; exec "$@"'
    )
    command = ["unshare", "-n", "sh", "-ec", prepare, " ".join(ADDRESSES), sys.executable]
    run = subprocess.run(
        [*command, "-c", OWNER], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert run.stderr == ""
    ours = ["127.0.0.1 198.18.53.12 ns1.example.net", "[::1] [2001:db8:53::12]"]
    assert run.stdout.splitlines() == ours


def test_the_servers_named_are_the_only_ones_and_each_is_told_once(settings):
    settings(peers=(PEER,))
    named = ("192.0.2.7:1", "http://192.0.2.7:1/", "[::1]:2")
    contacts = find_contacts(named, None, None, changing=True)
    assert [contact.url for contact in contacts] == ["http://192.0.2.7:1", "http://[::1]:2"]


def test_the_servers_own_token_is_shown_to_it_and_its_peers(settings, tmp_path):
    settings(peers=(PEER,))
    (tmp_path / "token").write_text("secret\n")
    contacts = find_contacts((), None, None, changing=True)
    assert shown(contacts) == {OWN: "secret", PEER: "secret"}
    assert "secret" not in repr(contacts)


def test_a_token_that_was_found_is_shown_to_no_stranger(settings, tmp_path):
    settings(peers=(PEER,))
    (tmp_path / "token").write_text("secret\n")
    named = ("http://192.0.2.66:8053", PEER, "http://127.0.0.1:9")
    contacts = find_contacts(named, None, None, changing=True)
    assert list(shown(contacts).values()) == [None, "secret", None]


def test_a_token_that_was_given_is_shown_to_all(settings, tmp_path):
    settings(peers=(PEER,))
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "mine").write_text("mine\n")
    given = str(tmp_path / "mine")
    assert shown(find_contacts((), given, None, changing=True)) == {OWN: "mine", PEER: "mine"}
    (contact,) = find_contacts(("192.0.2.66",), given, None, changing=False)
    assert contact == Contact("http://192.0.2.66", "mine", f"look into {given}")


def test_reading_on_this_machine_needs_no_token_so_a_wrong_one_does_no_harm(settings, tmp_path):
    settings(peers=(PEER,))
    (tmp_path / "token").write_text("old\n")
    assert shown(find_contacts((OWN, PEER), None, None, changing=False)) == {OWN: None, PEER: "old"}


def test_a_token_that_the_configuration_no_longer_knows_is_not_shown(settings, tmp_path):
    (tmp_path / "token").write_text("secret\n")
    settings(tokens=(Token("other", "operate", sha256(b"other").digest()),))
    assert shown(find_contacts((), None, None, changing=True)) == {OWN: None}
    settings(tokens=(Token("ours", "operate", sha256(b"secret").digest()),))
    assert shown(find_contacts((), None, None, changing=True)) == {OWN: "secret"}


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_token_that_may_not_be_read_says_who_may(settings, tmp_path, what, monkeypatch):
    settings()
    path = tmp_path / "token"
    path.write_text("secret\n")
    hidden = path if what == "file" else tmp_path
    hidden.chmod(0)
    try:
        if os.geteuid() == 0:  # root may read it all: what the kernel says to others
            refusal = PermissionError(13, "Permission denied", str(path))
            monkeypatch.setattr(access, "read_token", lambda path: (_ for _ in ()).throw(refusal))
        with pytest.raises(ConfigError) as caught:
            find_contacts((), None, None, changing=True)
        assert str(caught.value) == (
            f"{path}: error: cannot be read: Permission denied; "
            "be the user that runs the server, or give --token-file"
        )
        # Whoever only reads can do without.
        assert shown(find_contacts((), None, None, changing=False)) == {OWN: None}
    finally:
        hidden.chmod(0o700)


def test_without_a_control_address_there_are_the_peers_or_nobody(settings):
    told = []
    settings(control=None, peers=(PEER,))
    contacts = find_contacts((), None, None, changing=True, tell=told.append)
    assert list(shown(contacts)) == [PEER]
    assert told == ["control.listen is off; only control.peers are told"]
    with pytest.raises(UnreachableError, match="name a server with --server"):
        find_contacts((), None, None, changing=True, here=True)
    with pytest.raises(UnreachableError, match=r"control\.listen is off"):
        find_contacts((), None, None, changing=False)


def test_named_servers_need_no_configuration_unless_that_is_named_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(place, "CONFIGURATIONS", ("gslb.yaml", str(tmp_path / "none.yaml")))
    assert find_contacts((OWN,), None, None, changing=True) == (Contact(OWN),)
    with pytest.raises(ConfigError):
        find_contacts((OWN,), None, "nope.yaml", changing=True)
    with pytest.raises(ConfigError, match="name one with -c FILE"):
        find_contacts((), None, None, changing=True)


def test_what_is_no_url_is_a_mistake_of_whoever_typed_it(settings):
    settings()
    with pytest.raises(ValueError, match="is not a URL like"):
        find_contacts(("ftp://a",), None, None, changing=True)
