"""`xpm-ce monitor` as a user starts it: what it prints, where it listens, how it ends."""

import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from synthetic_workspace import Synthetic

LINK = re.compile(r"http://(\S+):(\d+)/\?token=(\S+)")
COMMAND = [str(Path(sys.executable).with_name("xpm-ce")), "monitor"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    return Synthetic(tmp_path_factory.mktemp("command") / "workspace", jobs=100).workspace.path


@pytest.fixture
def start(workspace) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def starting(*words: str, **streams) -> subprocess.Popen[str]:
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **streams}
        started.append(subprocess.Popen([*COMMAND, *words, "--workdir", str(workspace)], text=True, **given))
        return started[-1]

    yield starting
    for process in started:
        process.kill()
        process.wait()


def link_of(process: subprocess.Popen[str]) -> re.Match[str]:
    assert process.stdout is not None
    found = LINK.fullmatch(process.stdout.readline().strip())
    assert found
    return found


def status(host: str, port: int, target: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.request("GET", target, headers=headers)
    return connection.getresponse().status


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=20)
    assert process.returncode == 0
    return told


def test_it_prints_one_link_that_works_and_ctrl_c_ends_it_while_a_page_listens(start):
    process = start("--port", "0")
    host, port, word = link_of(process).groups()
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.request("GET", f"/?token={word}")
    answer = connection.getresponse()
    assert answer.status == 303
    cookie = answer.headers["set-cookie"].partition(";")[0]
    answer.read()
    connection.request("GET", "/api/events", headers={"Cookie": cookie})
    events = connection.getresponse()
    assert (events.status, events.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert events.readline() == b"retry: 2000\n"
    before = time.monotonic()
    rest, errors = end(process)
    assert (rest, errors) == ("", "")
    assert time.monotonic() - before < 15


def test_for_scripts_the_link_and_a_token_are_json(start):
    process = start("--port", "0", "--json")
    assert process.stdout is not None
    told = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
    host, port, _ = LINK.fullmatch(told["link"]).groups()
    assert status(host, int(port), "/api/jobs", Authorization=f"Bearer {told['bearer']}") == 200
    assert status(host, int(port), "/api/jobs") == 401
    assert set(told) == {"schema", "link", "bearer", "workspace"}


def test_a_busy_port_is_told_and_another_one_taken(start):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8642))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which is as good
        process = start()
        port = link_of(process)[2]
        assert port != "8642"
        assert end(process)[1] == f"port 8642 is busy, using {port}\n"
        asked = start("--port", "8642")
        assert asked.wait(30) == 1
        assert "port 8642" in asked.communicate()[1]


def test_beyond_loopback_needs_a_second_word_and_warns(start):
    refused = start("--host", "0.0.0.0", "--port", "0")
    assert refused.wait(30) == 2
    assert "--allow-remote" in refused.communicate()[1]
    process = start("--host", "0.0.0.0", "--port", "0", "--allow-remote")
    host, port, word = link_of(process).groups()
    assert host == socket.gethostname()
    for name, found in {f"{host}:{port}": 303, f"evil.example:{port}": 403}.items():
        assert status("127.0.0.1", int(port), f"/?token={word}", Host=name) == found
    assert "not encrypted" in end(process)[1]


def test_enter_gives_another_link_in_a_terminal(start):
    ours, theirs = pty.openpty()
    process = start("--port", "0", stdin=theirs)
    os.close(theirs)
    first = link_of(process)
    os.write(ours, b"\n")
    second = link_of(process)
    assert first[3] != second[3]
    for found in (second, first):
        assert status(found[1], int(found[2]), f"/?token={found[3]}") == 303
    os.close(ours)
