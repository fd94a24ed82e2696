"""The image's health check: what it is told by a server, and by none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from gslb import readiness

from running import CONFIG, Running, free_ports


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """Files written, endpoints open, not started."""
    server = Running(tmp_path, *free_ports(3))
    server.write()
    server.open("127.10.1.1", "127.10.2.1")
    yield server
    server.stop() if server.process is not None else server.close(*server.listeners)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that runs, for the whole file."""
    server = Running(tmp_path_factory.mktemp("shared"), *free_ports(3))
    server.write()
    server.open("127.10.1.1", "127.10.2.1")
    server.start()
    yield server
    server.stop()


def command_line(running: Running) -> str:
    """A file that holds what /proc/1/cmdline would."""
    words = ["python3", "-P", "-m", "gslb", "serve", "-c", str(running.config), ""]
    path = running.folder / "cmdline"
    path.write_bytes("\0".join(words).encode())
    return str(path)


def test_a_server_that_answers_is_ready_and_where_there_is_none_nothing_is(
    running: Running, shared: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert readiness.main(command_line(shared)) == 0
    assert capsys.readouterr().out == (f"ready: http://127.0.0.1:{shared.control}/readyz says so\n")
    assert readiness.main(command_line(running)) == 1
    assert capsys.readouterr().out == (
        f"not ready: http://127.0.0.1:{running.control}/readyz: Connection refused\n"
    )


def test_a_file_that_is_being_mended_does_not_make_the_server_unready(
    shared: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    shared.config.write_text("server: [\n")
    # In the default place of the state, for nobody can read another one in such a file.
    assert readiness.main(command_line(shared)) == 0
    assert "readyz says so" in capsys.readouterr().out
    shared.write()


def test_without_a_control_address_it_asks_dns(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.write(CONFIG.replace('listen: "127.0.0.1:{control}"', "listen: off"))
    running.start()
    assert readiness.main(command_line(running)) == 0
    assert capsys.readouterr().out == f"ready: 127.0.0.1 port {running.dns} answers DNS queries\n"
    assert running.stop_process() == 0
    assert readiness.main(command_line(running)) == 1
    assert "Connection refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "503 Service Unavail"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 OK, but not from gslb"),
        (b"220 mail.example.com\r\n", "220 mail.example.com"),
        (b"", "closed connection"),
    ],
)
def test_another_answer_than_ready_is_none(
    running: Running, capsys: pytest.CaptureFixture[str], reply: bytes, said: str
) -> None:
    with socket.create_server(("127.0.0.1", running.control)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        assert readiness.main(command_line(running)) == 1
        thread.join()
    out = capsys.readouterr().out
    assert said in out
    assert out.count("\n") == 1


def test_no_configuration_is_one_line(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    running.config.unlink()
    assert readiness.main(command_line(running)) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"not ready: {running.config}: error: ")
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("gslb serve", None),
        ("gslb serve -c a.yaml --log json", "a.yaml"),
        ("gslb serve -ca.yaml", "a.yaml"),
        ("gslb serve --config a.yaml", "a.yaml"),
        ("docker-init -- gslb serve --config=a.yaml", "a.yaml"),
        ("gslb serve -c a.yaml -c b.yaml", "b.yaml"),
    ],
)
def test_the_configuration_is_the_one_that_the_server_was_told(
    words: str, named: str | None
) -> None:
    assert readiness.named_configuration(words.split()) == named
