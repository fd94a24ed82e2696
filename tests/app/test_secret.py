"""Cookie secrets and the first token: made once, kept over restarts and reloads, changed safely."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import dns.rcode
import pytest
from gslb.app.loaded import Loaded
from gslb.app.secret import LONGEST_TOKEN, SHORTEST_TOKEN, furnish, furnish_token
from gslb.core.setting import Cookies, Token
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
    running.reload()
    assert signed_with(OLD, ask(running))
    from_a_server_that_is_ahead = Jar((bytes.fromhex(NEW),)).check(CLIENT, "127.0.0.1")[1]
    assert is_valid(running, from_a_server_that_is_ahead)
    secret_file(running, NEW, OLD)
    running.reload()
    second = ask(running)
    assert signed_with(NEW, second)
    assert is_valid(running, first)
    secret_file(running, NEW)
    running.reload()
    assert is_valid(running, second)
    assert not is_valid(running, first)


def test_a_file_that_has_gone_is_written_again_with_what_is_in_use(running: Running) -> None:
    path = secret_file(running, NEW, OLD)
    running.start()
    cookie = ask(running)
    path.unlink()
    running.reload()
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
    running.reload()
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
    running.reload("reload_failed")
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


# ---- the first token ----------------------------------------------------------------------


def without_tokens(folder: Path, tokens: tuple[Token, ...] = (), control: bool = True) -> Loaded:
    """What was read of a configuration whose state directory is in a folder."""
    plan = make_world().plan
    settings = replace(
        plan.config.settings,
        state=str(folder / "state"),
        tokens=tokens,
        control=("127.0.0.1", 8053) if control else None,
    )
    plan = replace(plan, config=replace(plan.config, settings=settings))
    return Loaded(plan, (), (), Watch(()))


def tokens_of(loaded: Loaded) -> tuple[Token, ...]:
    return loaded.plan.config.settings.tokens


def token_file(folder: Path, octets: bytes, mode: int = 0o600) -> Path:
    path = folder / "state/token"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(octets)
    path.chmod(mode)
    return path


def local(text: bytes) -> Token:
    return Token("local", "operate", hashlib.sha256(text).digest())


TEXT = b"R9M7N3kLbRVsRrBj+n0WyjHBeD8VTrjNsEDYHJVcIOU="


def test_without_tokens_one_is_made_that_only_this_user_can_read(tmp_path: Path) -> None:
    furnished = furnish_token(without_tokens(tmp_path))
    path = tmp_path / "state/token"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", path.read_text()), "256 bits"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert tokens_of(furnished) == (local(path.read_bytes().strip()),)
    assert furnished.read == ()
    assert [entry.name for entry in path.parent.iterdir()] == ["token"]
    assert tokens_of(furnish_token(without_tokens(tmp_path))) == tokens_of(furnished)


def test_a_token_is_never_open_to_others_even_for_a_moment(tmp_path: Path) -> None:
    program = (
        "import os, sys; os.umask(0); from gslb.app import secret;"
        "made = os.link; modes = [];"
        "secret.os.link = lambda a, b: (modes.append(os.stat(a).st_mode & 0o777), made(a, b));"
        "secret._write(sys.argv[1], ['x']); print(modes, os.stat(sys.argv[1]).st_mode & 0o777)"
    )
    path = str(tmp_path / "token")
    run = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("[384] 384\n", "")  # 0600


def test_with_tokens_or_without_a_control_address_none_is_made(tmp_path: Path) -> None:
    mine = (Token("me", "read", bytes(32)),)
    assert tokens_of(furnish_token(without_tokens(tmp_path, mine))) == mine
    assert tokens_of(furnish_token(without_tokens(tmp_path, control=False))) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_token_that_is_there_is_used_and_never_overwritten(tmp_path: Path) -> None:
    path = token_file(tmp_path, b"  " + TEXT + b"\r\n\n")
    furnished = furnish_token(without_tokens(tmp_path))
    assert tokens_of(furnished) == (local(TEXT),)
    assert furnished.read == ()
    assert path.read_bytes() == b"  " + TEXT + b"\r\n\n"


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"", "it has 0 characters where a token has at least 32"),
        (b"\n", "it has 0 characters where a token has at least 32"),
        (TEXT[: SHORTEST_TOKEN - 1], "it has 31 characters where a token has at least 32"),
        (TEXT + b" " + TEXT, "it holds no token"),
        (TEXT + b"\n" + TEXT, "it holds no token"),
        (TEXT + b"\0", "it holds no token"),
        (TEXT + b"\xc3\xa4", "it holds no token"),
        (bytes(range(256)), "it holds no token"),
        (b"a" * (LONGEST_TOKEN + 1), "it holds no token"),
    ],
)
def test_a_file_of_garbage_is_no_token_and_a_warning_that_does_not_show_it(
    tmp_path: Path, octets: bytes, what: str
) -> None:
    path = token_file(tmp_path, octets)
    furnished = furnish_token(without_tokens(tmp_path))
    assert tokens_of(furnished) == ()
    (problem,) = furnished.read
    assert str(problem) == (
        f"{path}: warning: control.tokens: {what}: nobody can change anything over the control"
        " address; take the file away and reload, so that a new one is made; or set control.tokens"
    )
    assert path.read_bytes() == octets


def test_a_pipe_a_folder_and_a_link_to_nothing_do_not_hold_up_a_start(tmp_path: Path) -> None:
    path = tmp_path / "state/token"
    path.parent.mkdir()
    os.mkfifo(path)
    (problem,) = furnish_token(without_tokens(tmp_path)).read
    assert "it is no regular file" in problem.what
    path.unlink()
    path.mkdir()
    (problem,) = furnish_token(without_tokens(tmp_path)).read
    assert "it is no regular file" in problem.what
    path.rmdir()
    path.symlink_to(tmp_path / "elsewhere")
    (problem,) = furnish_token(without_tokens(tmp_path)).read
    assert "there is no token: No such file or directory" in problem.what
    assert not (tmp_path / "elsewhere").exists(), "what a link points to is not made"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_token_that_others_can_read_works_and_is_a_warning(tmp_path: Path, mode: int) -> None:
    token_file(tmp_path, TEXT, mode)
    furnished = furnish_token(without_tokens(tmp_path))
    assert tokens_of(furnished) == (local(TEXT),)
    (problem,) = furnished.read
    assert problem.what == f"others can read or write it (mode {mode:04o})"


def test_a_state_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    furnished = furnish_token(without_tokens(tmp_path))
    assert tokens_of(furnished) == ()
    (problem,) = furnished.read
    assert problem.what.endswith("; nobody can change anything over the control address")
    assert problem.severity == "warning"


def status(running: Running, token: str) -> int:
    """What the control address says to a change by the holder of a token."""
    url = f"http://127.0.0.1:{running.control}/v1/overrides/datacenter/nowhere?why=test"
    request = urllib.request.Request(url, method="DELETE")
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


NO_OBJECT = 404  # the token is right, and there is nothing to clear


def test_the_first_token_outlives_a_restart_and_is_changed_by_taking_it_away(
    running: Running,
) -> None:
    running.start()
    path = running.folder / "state/token"
    first = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [status(running, text) for text in (first, "wrong")] == [NO_OBJECT, 401]
    running.kill()
    running.start()
    assert status(running, first) == NO_OBJECT
    path.unlink()
    running.reload()
    second = path.read_text().strip()
    assert [status(running, text) for text in (first, second)] == [401, NO_OBJECT]
    digest = hashlib.sha256(b"mine").hexdigest()
    tokens = f"tokens: {{{{ me: {{{{ role: operate, sha256: {digest} }}}} }}}}, listen:"
    running.write(CONFIG.replace("control: {{ listen:", f"control: {{{{ {tokens}"))
    running.reload()
    assert [status(running, text) for text in (second, "mine")] == [401, NO_OBJECT]
    assert first not in running.log
    assert second not in running.log


def test_the_last_good_configuration_has_the_token_too(running: Running) -> None:
    running.start()
    token = (running.folder / "state/token").read_text().strip()
    running.kill()
    running.config.write_text("broken: [\n")
    running.start()
    assert status(running, token) == NO_OBJECT


def test_gslb_check_makes_no_token(running: Running) -> None:
    command = [sys.executable, "-m", "gslb", "check", str(running.config)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert not (running.folder / "state").exists()
