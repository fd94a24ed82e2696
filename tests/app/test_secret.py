"""Cookie secrets: made once, kept over restarts and reloads, changed without losing a client."""

from __future__ import annotations

import re
import signal
import stat
from dataclasses import replace
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import dns.rcode
import pytest
from gslb.app.loaded import Loaded
from gslb.app.secret import furnish
from gslb.core.setting import Cookies
from gslb.core.world import Plan
from gslb.geo.watch import Watch
from gslb.serve.cookie import Jar

from globe import city, write_database
from running import CONFIG, Running
from sample import make_world

OLD, NEW = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
CLIENT = b"\x24\x64\xc4\xab\xcf\x10\xc9\x57"


def ask(running: Running, cookie: bytes = CLIENT) -> bytes:
    """The cookie that comes back for one."""
    option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)
    query = dns.message.make_query(
        "txt.gslb.example.com.", "TXT", use_edns=0, options=[option], payload=1232
    )
    reply = dns.query.udp(query, "127.0.0.1", timeout=5, port=running.dns)
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.answer
    (got,) = (option for option in reply.options if option.otype == dns.edns.OptionType.COOKIE)
    wire: bytes = got.to_wire()
    assert wire[:8] == CLIENT
    assert len(wire) == 24
    return wire


def is_valid(running: Running, cookie: bytes) -> bool:
    """Whether the server takes a cookie for its own (one of an older secret is renewed)."""

    def count() -> float:
        page = running.get("/metrics")[1]
        results = re.findall(
            r'^gslb_cookies_total\{result="(?:valid|renewed)"\} (\S+)$', page, re.M
        )
        assert len(results) == 2
        return sum(map(float, results))

    before = count()
    ask(running, cookie)
    return count() > before


def signed_with(secret: str, cookie: bytes) -> bool:
    return Jar((bytes.fromhex(secret),)).check(cookie, "127.0.0.1")[0] == "valid"


def secret_file(running: Running, *secrets: str) -> Path:
    """The file, with these in it."""
    path = running.folder / "state/cookies"
    path.parent.mkdir(exist_ok=True)
    if secrets:
        path.touch(mode=0o600)
        path.write_text("".join(f"{secret}\n" for secret in secrets))
    return path


def reload(running: Running) -> None:
    done = len(running.events("reload"))
    running.signal(signal.SIGHUP)
    running.wait_events("reload", done + 1)


def test_the_first_start_makes_a_secret_and_the_next_one_keeps_it(running: Running) -> None:
    running.start()
    path = secret_file(running)
    assert re.fullmatch(r"[0-9a-f]{32}\n", path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    cookie = ask(running)
    assert signed_with(path.read_text().strip(), cookie)
    running.kill()
    running.start()
    assert is_valid(running, cookie)
    assert not is_valid(running, cookie[:-1] + bytes((cookie[-1] ^ 1,)))
    assert not running.events("problem")


def test_secrets_roll_over_without_losing_a_client(running: Running) -> None:
    """RFC 9018 section 5: staged, then signing, then alone."""
    secret_file(running, OLD)
    running.start()
    first = ask(running)
    assert signed_with(OLD, first)
    secret_file(running, OLD, NEW)
    reload(running)
    assert signed_with(OLD, ask(running))
    from_a_server_that_is_ahead = Jar((bytes.fromhex(NEW),)).check(CLIENT, "127.0.0.1")[1]
    assert is_valid(running, from_a_server_that_is_ahead)
    secret_file(running, NEW, OLD)
    reload(running)
    second = ask(running)
    assert signed_with(NEW, second)
    assert is_valid(running, first)
    secret_file(running, NEW)
    reload(running)
    assert is_valid(running, second)
    assert not is_valid(running, first)


def test_a_file_that_has_gone_is_written_again_with_what_is_in_use(running: Running) -> None:
    path = secret_file(running, NEW, OLD)
    running.start()
    cookie = ask(running)
    path.unlink()
    reload(running)
    assert is_valid(running, cookie)
    assert path.read_text().split() == [NEW, OLD]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (line,) = running.events("problem")
    assert "state/cookies: warning: server.cookies: is not there; the secrets in use are" in line


def test_a_new_map_does_not_bring_old_secrets_back(running: Running) -> None:
    running.write(CONFIG.replace("zones: zones/", "zones: zones/\ngeo: {{ city: city.mmdb }}"))
    database = running.folder / "city.mmdb"
    write_database(database, {"81.2.69.0/24": city("FR", (48.9, 2.4), "EU")})
    path = secret_file(running, OLD)
    running.start()
    secret_file(running, NEW)
    reload(running)
    cookie = ask(running)
    path.unlink()  # so that only what is in use can be known
    write_database(database, {"81.2.69.0/24": city("GB", (51.5, -0.1), "EU")})
    running.wait_events("geo_update", 1)
    assert is_valid(running, cookie)
    assert signed_with(NEW, ask(running))


def test_a_broken_file_refuses_a_reload_and_shows_no_secret(running: Running) -> None:
    secret_file(running, OLD)
    running.start()
    cookie = ask(running)
    secret_file(running, NEW[:-1])
    running.signal(signal.SIGHUP)
    running.wait_events("reload_failed", 1)
    assert "state/cookies:1: error: server.cookies: is no secret" in running.log
    assert NEW[:-1] not in running.log
    assert is_valid(running, cookie)


def plan_with(secret_file: Path, plan: Plan) -> Plan:
    config = plan.config
    settings = replace(config.settings, cookies=Cookies(str(secret_file)))
    return replace(plan, config=replace(config, settings=settings))


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """What was read when there was no file."""
    plan = plan_with(tmp_path / "state/cookies", make_world().plan)
    return Loaded(plan, (), (), Watch(()))


def secrets_of(loaded: Loaded) -> tuple[bytes, ...]:
    cookies = loaded.plan.config.settings.cookies
    assert cookies is not None
    return cookies.secrets


def test_a_file_that_somebody_else_has_just_made_is_never_overwritten(
    loaded: Loaded, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    path = tmp_path / "state/cookies"
    path.write_text(f"{OLD}\n")
    furnished = furnish(loaded, None)
    assert secrets_of(furnished) == (bytes.fromhex(OLD),)
    assert furnished.read == ()
    assert path.read_text() == f"{OLD}\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["cookies"]


def test_a_secret_that_cannot_be_written_is_kept_in_memory(loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    first = furnish(loaded, None)
    assert len(secrets_of(first)[0]) == 16
    (problem,) = first.read
    assert "cookies will not survive a restart" in problem.hint
    assert secrets_of(furnish(loaded, first.plan)) == secrets_of(first)
    assert secrets_of(furnish(loaded, None)) != secrets_of(first)
