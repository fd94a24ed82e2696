"""A tiny DNS server on real sockets, and the command line as a child process."""

import os
import socketserver
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from dnslib import DNSRecord


@contextmanager
def serving(reply):
    """A UDP and a TCP socket on one port; `reply(query, transport)` gives the octets of replies."""

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self):
            octets, sock = self.request
            for answer in reply(DNSRecord.parse(octets), "UDP"):
                sock.sendto(answer, self.client_address)

    class Stream(socketserver.StreamRequestHandler):
        def handle(self):
            length = int.from_bytes(self.rfile.read(2), "big")
            for answer in reply(DNSRecord.parse(self.rfile.read(length)), "TCP"):
                self.wfile.write(len(answer).to_bytes(2, "big") + answer)

    with (
        socketserver.TCPServer(("127.0.0.1", 0), Stream) as tcp,
        socketserver.UDPServer(tcp.server_address, Datagram) as udp,
    ):
        threads = [
            threading.Thread(target=server.serve_forever, args=(0.01,)) for server in (tcp, udp)
        ]
        for thread in threads:
            thread.start()
        try:
            yield tcp.server_address
        finally:
            for server in (tcp, udp):
                server.shutdown()
            for thread in threads:
                thread.join()


@pytest.fixture
def gslb(tmp_path):
    """Runs `python -m gslb …` in an empty folder, without a terminal."""

    def run(*arguments, **options):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GSLB_")}
        environment.pop("NO_COLOR", None)
        environment.pop("PYTHONUNBUFFERED", None)  # so that output is buffered as it usually is
        options.setdefault("stdout", subprocess.PIPE)
        return subprocess.run(
            [sys.executable, "-m", "gslb", *arguments],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment | options.pop("env", {}),
            timeout=60,
            **options,
        )

    return run
