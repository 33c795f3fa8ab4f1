"""Ten thousand requests that nobody sends by accident: none is a fault of the server, none is answered from outside.

The workspace is as broken as the requests are: files that are no JSON, links, pipes, folders where files should be.
"""

import asyncio
import collections
import json
import os
import random
import socket
import threading
import time
from pathlib import Path

import pytest
import uvicorn
from fixtures.asking import HOST, asked
from synthetic_workspace import Synthetic

from xpm_ce.monitor.guard import Keys
from xpm_ce.monitor.server import PAGES, VIEWS, site
from xpm_ce.monitor.serving import LARGEST_HEAD

PORT = 8642
SECRET = "5f1c-outside-of-the-workspace"
IN_PROCESS, THROUGH_A_SOCKET = 10_000, 800

NASTY = (
    "", "..", "../secret.txt", "../../secret.txt", "..%2f..%2fsecret.txt", "%252e%252e%252fsecret.txt", "/etc/passwd",
    "%00", "\x00", "%", "%zz", "%ff%fe", "\ud800", "é", "💥", "<script>", "';--", "{{7*7}}", "${HOME}", "*", "[", "(",
    "\\", "-1", "0", "1e309", "NaN", "Infinity", "9" * 400, "a" * 3000, "true", "null", "=", "&", "=&=&", ";", "#", "?",
    "//", "\r\nX: y", "loss=InfoNCE", "RR@10", "RR@0", "nDCG@99999999999999999999", "seed", "loss,loss", "protocol",
    "seed:mean±std", "depth", "t", "bh", "text", "0.05", "2", "BM25", "all", "synthetic", "10",
)  # fmt: skip
WORDS = (
    "id", "experiment", "a", "b", "query", "protocol", "measure", "depth", "rows", "cols", "agg", "baseline", "test",
    "correction", "alpha", "sort", "documents", "token", "since", "x",
)  # fmt: skip


@pytest.fixture(scope="module")
def outside(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "secret.txt").write_text(SECRET)
    return folder


@pytest.fixture(scope="module")
def broken(outside) -> Synthetic:
    """A workspace of some jobs, many of them with files that no job writes."""
    synthetic = Synthetic(outside / "workspace", jobs=240)
    draw = random.Random(1)
    garbage = [
        "",
        "{",
        "[]",
        "7",
        "null",
        '"x"',
        '{"schema": 1}',
        "\x00\xff",
        '{"started": Infinity}',
        "{" * 2000,
        "[" * 90_000,
    ]
    for job in synthetic.grid.jobs:
        folder, name = Path(job["folder"]), job["task"].rpartition(".")[2]
        if not folder.exists() or draw.random() < 0.4:
            continue
        victim = draw.choice([
            "outputs.json", "failure.json", "params.json", "summary.json", "ledger.json", "curve.csv", "validation.csv",
            "kept.json", f"{name}.err", f"{name}.out", f"{name}.pid", f"{name}.failed", "per_query.parquet", "run.gz",
        ])  # fmt: skip
        (folder / victim).unlink(missing_ok=True)
        match draw.randrange(6):
            case 0:
                (folder / victim).symlink_to(outside / "secret.txt")
            case 1:
                os.mkfifo(folder / victim)
            case 2:
                (folder / victim).mkdir()
            case _:
                (folder / victim).write_text(draw.choice(garbage), errors="replace")
    return synthetic


def drawn_word(draw: random.Random, ids: list[str]) -> str:
    match draw.randrange(6):
        case 0:
            return draw.choice(ids)
        case 1:
            identity = list(draw.choice(ids))
            identity[draw.randrange(len(identity))] = draw.choice("0123456789abcdef./%*")
            return "".join(identity)
        case 2:
            return "".join(chr(draw.choice([draw.randrange(32, 127), draw.randrange(1, 0x2000)])) for _ in range(8))
        case _:
            return draw.choice(NASTY)


def drawn_target(draw: random.Random, ids: list[str]) -> bytes:
    known = [
        *PAGES,
        *(f"/api/{name}" for name in VIEWS),
        "/api/stop",
        "/api/retry",
        "/assets/index.html",
        "/favicon.ico",
    ]
    path = draw.choice(known)
    if draw.random() < 0.25:
        path = draw.choice([
            f"{path}/{drawn_word(draw, ids)}", f"/{drawn_word(draw, ids)}", f"/assets/{drawn_word(draw, ids)}",
            f"/api/{drawn_word(draw, ids)}", path[: draw.randrange(len(path) + 1)] or "/", path.upper(), f"//{path}",
            f"{path}%2f..", f"/assets/{'../' * draw.randrange(9)}secret.txt", f"/assets/{'%2e%2e%2f' * 5}etc/passwd",
        ])  # fmt: skip
    words = [f"{draw.choice(WORDS)}={drawn_word(draw, ids)}" for _ in range(draw.choice([0, 1, 1, 2, 3, 9]))]
    text = path + ("?" + "&".join(words) if words else "")
    return text.encode("utf-8", errors="replace").replace(b" ", b"+")


def drawn_body(draw: random.Random, ids: list[str]) -> bytes:
    return draw.choice([
        b"", b"{", b"null", b"[]", json.dumps({"id": drawn_word(draw, ids)}).encode(),
        json.dumps({"id": drawn_word(draw, ids), "experiment": drawn_word(draw, ids)}).encode(),
        json.dumps({"id": draw.choice([1, None, [], {}, 1e308])}).encode(), b'{"id": ' * 300, draw.randbytes(200),
        b"x" * 9000,
    ])  # fmt: skip


def drawn_headers(draw: random.Random, keys: Keys) -> list[tuple[str, str]]:
    own = {
        "authorization": f"Bearer {keys.bearer}", "cookie": f"xpm_ce_{PORT}={keys.cookie}", "origin": f"http://{HOST}",
        "sec-fetch-site": "same-origin", "x-xpm-ce-token": keys.csrf, "content-type": "application/json",
    }  # fmt: skip
    kept = [(name, value) for name, value in own.items() if draw.random() < 0.85]
    for _ in range(draw.choice([0, 0, 0, 1, 3])):
        word = (
            draw.choice(NASTY).encode("latin-1", errors="replace").decode("latin-1").replace("\r", "").replace("\n", "")
        )
        kept.append((draw.choice([*own, "x-other", "range", "last-event-id", "if-none-match", "host"]), word))
    return kept


def checked(status: int, body: bytes, target: bytes) -> None:
    assert status < 500, (status, target, body[:500])
    assert SECRET.encode() not in body, target
    assert b"root:x:" not in body, target


def test_no_request_is_a_fault_of_the_server_nor_reads_outside(broken):
    draw, keys = random.Random(20261121), Keys()
    application = site(broken.workspace, keys, hosts=["127.0.0.1"], port=PORT).application
    ids = [job["id"] for job in broken.grid.jobs]
    statuses: collections.Counter[int] = collections.Counter()

    async def all_of_them() -> None:
        for number in range(IN_PROCESS):
            target = drawn_target(draw, ids)
            method = draw.choice(["GET"] * 12 + ["POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "x"])
            body = drawn_body(draw, ids) if method == "POST" else b""
            headers = drawn_headers(draw, keys) if number % 3 else [("authorization", f"Bearer {keys.bearer}")]
            async with asyncio.timeout(20):
                answer = await asked(application, target, method=method, headers=headers, body=body)
            checked(answer.status, answer.body, target)
            statuses[answer.status] += 1

    asyncio.run(all_of_them())
    assert sum(statuses.values()) == IN_PROCESS
    assert {200, 400, 401, 403, 404, 405, 409, 413} <= set(statuses)
    assert statuses[200] > IN_PROCESS / 10


@pytest.fixture
def address(broken):
    """The application on a real port; gives the port and the keys."""
    keys = Keys()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    application = site(broken.workspace, keys, hosts=["127.0.0.1"], port=port).application
    config = uvicorn.Config(
        application, http="h11", ws="none", lifespan="off", log_config=None, h11_max_incomplete_event_size=LARGEST_HEAD
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield port, keys
    server.should_exit = True
    thread.join(10)


def test_bytes_that_are_hardly_requests_neither_break_the_server_nor_read_outside(address, broken):
    port, keys = address
    draw = random.Random(3)
    ids = [job["id"] for job in broken.grid.jobs]
    own = [b"Host: 127.0.0.1:%d" % port, b"Authorization: Bearer " + keys.bearer.encode(), b"Connection: close"]
    statuses: collections.Counter[int] = collections.Counter()
    for number in range(THROUGH_A_SOCKET):
        target = drawn_target(draw, ids).replace(b"\r\n", b"")
        head, body = [b"GET " + target + b" HTTP/1.1", *own], b""
        match number % 8:
            case 1:
                head, body = [draw.randbytes(draw.randrange(1, 300))], b""
            case 2:
                head.append(b"X-Large: " + b"a" * draw.choice([1000, 20_000, 70_000]))
            case 3:
                head[0] = head[0].replace(b"GET", b"POST")
                head += [b"Content-Length: 4", b"Transfer-Encoding: chunked", b"Content-Type: application/json"]
                body = b"5\r\nabcde\r\n0\r\n\r\n"
            case 4:
                head[0] = b"GET http://evil.example" + target + b" HTTP/1.1"
            case 5:
                head[0] = head[0].replace(b"HTTP/1.1", draw.choice([b"HTTP/1.0", b"HTTP/9.9", b"", b"HTTP/2"]))
            case 6:
                head = head[: draw.randrange(1, len(head) + 1)]
            case 7:
                head.append(draw.choice([b"Upgrade: websocket", b"Expect: 100-continue", b": x", b"Host: x", b"\0: y"]))
        answered = said(port, b"\r\n".join(head) + b"\r\n\r\n" + body)
        status = int(answered[9:12]) if answered.startswith(b"HTTP/1.1 ") else 0
        checked(status, answered, target)
        statuses[status] += 1
    assert {200, 400, 404, 431} <= set(statuses), statuses
    assert statuses[200] > THROUGH_A_SOCKET / 20
    fine = said(port, b"\r\n".join([b"GET /api/jobs HTTP/1.1", *own]) + b"\r\n\r\n")
    assert fine.startswith(b"HTTP/1.1 200")


def said(port: int, request: bytes) -> bytes:
    """What the server answers to some bytes, as far as it comes soon."""
    answered = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            connection.sendall(request)
            connection.settimeout(2 if b"Connection: close" in request else 0.2)
            while chunk := connection.recv(65536):
                answered += chunk
        except (ConnectionError, TimeoutError):
            pass
    return answered
