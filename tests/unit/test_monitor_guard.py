"""Who may ask the monitor for what: tokens, hosts, origins, paths, sizes; and text that stays text."""

import asyncio
import json
import re
import urllib.parse
from pathlib import Path

import pytest
from fixtures.asking import HOST, Answer, ask, asked
from synthetic_workspace import Synthetic

from xpm_ce.errors import ConfigurationError, MachineError
from xpm_ce.monitor.guard import ALWAYS, CONTENT_SECURITY_POLICY, LARGEST_BODY, Keys
from xpm_ce.monitor.page_files import read_assets
from xpm_ce.monitor.server import PAGES, VIEWS, site
from xpm_ce.monitor.serving import DEFAULT_PORT, listening

PORT = 8642
SECRET = "not of this workspace: 5f1c"


@pytest.fixture(scope="module")
def outside(tmp_path_factory) -> Path:
    """A folder with the workspace in it, and a secret beside the workspace."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret.txt").write_text(SECRET)
    return folder


@pytest.fixture(scope="module")
def synthetic(outside) -> Synthetic:
    return Synthetic(outside / "workspace", jobs=200)


class Server:
    """The application with its keys, and the headers of those who may ask."""

    def __init__(self, synthetic: Synthetic):
        self.keys = Keys()
        self.application = site(synthetic.workspace, self.keys, hosts=["127.0.0.1", "localhost"], port=PORT).application
        self.script = {"authorization": f"Bearer {self.keys.bearer}"}
        self.page = {"cookie": f"xpm_ce_{PORT}={self.keys.cookie}"}
        self.own = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin", "x-xpm-ce-token": self.keys.csrf}

    def get(self, target: str | bytes, headers: dict[str, str] | None = None, **words) -> Answer:
        return ask(self.application, target, headers=self.script if headers is None else headers, **words)

    def post(
        self, target: str, headers: dict[str, str], body: bytes = b'{"id": "x"}', kind="application/json"
    ) -> Answer:
        return ask(self.application, target, method="POST", headers={**headers, "content-type": kind}, body=body)


@pytest.fixture
def server(synthetic) -> Server:
    return Server(synthetic)


# -- tokens ---------------------------------------------------------------------------------------------------


def test_without_a_token_nothing_is_answered_but_how_to_get_one(server):
    for target in (
        *PAGES,
        *(f"/api/{name}" for name in VIEWS),
        "/assets/app.js",
        "/assets/",
        "/nothing",
        "/favicon.ico",
    ):
        answer = server.get(target, headers={})
        assert answer.status == 401, target
        assert b"xpm-ce monitor" in answer.body


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer"},
        {"authorization": "Basic eDp5"},
        {"cookie": f"xpm_ce_{PORT}=wrong"},
        {"cookie": f"xpm_ce_{PORT}="},
        {"cookie": "other=1; xpm_ce_1=x"},
        {"cookie": ";;=;=="},
    ],
)
def test_a_wrong_token_is_as_good_as_none(server, headers):
    assert server.get("/api/jobs", headers=headers).status == 401


def test_the_tokens_of_one_purpose_do_not_serve_another(server):
    keys = server.keys
    for wrong in (keys.cookie, keys.csrf):
        assert server.get("/api/jobs", headers={"authorization": f"Bearer {wrong}"}).status == 401
    for wrong in (keys.bearer, keys.csrf):
        assert server.get("/api/jobs", headers={"cookie": f"xpm_ce_{PORT}={wrong}"}).status == 401


def test_a_link_opens_the_page_once_and_gives_a_cookie_that_scripts_cannot_read(server):
    link = server.keys.new_link()
    answer = server.get(f"/?token={link}", headers={})
    assert (answer.status, answer.headers["location"]) == (303, "/")
    session, actions = answer.cookies
    assert re.fullmatch(rf"xpm_ce_{PORT}=\S+; Path=/; HttpOnly; SameSite=Strict", session)
    assert "HttpOnly" not in actions
    cookie = session.partition(";")[0]
    assert server.get("/api/jobs", headers={"cookie": cookie}).status == 200
    assert server.get(f"/?token={link}", headers={}).status == 401
    assert server.get(f"/?token={link}", headers={"cookie": cookie}).status == 303


def test_a_link_leads_to_the_view_that_it_names_and_never_elsewhere(server):
    answer = server.get(f"/heatmap?measure=RR%4010&token={server.keys.new_link()}", headers={})
    assert answer.headers["location"] == "/heatmap?measure=RR%4010"
    for path in ("//evil.example/", "/..//evil.example", "/https://evil.example", "/api/jobs", "/\\evil.example"):
        answer = server.get(f"{path}?token={server.keys.new_link()}", headers={})
        assert answer.status == 401, path
        assert "location" not in answer.headers


def test_a_link_survives_a_browser_that_looks_ahead_and_a_question_for_its_head(server):
    link = server.keys.new_link()
    assert server.get(f"/?token={link}", headers={"sec-purpose": "prefetch;prerender"}).status == 403
    assert server.get(f"/?token={link}", headers={}, method="HEAD").status == 401
    assert server.get(f"/?token={link}", headers={}).status == 303


def test_a_link_that_is_clicked_in_another_page_leads_on_from_our_own(server):
    """A browser sends no strict cookie after a redirect that another site began."""
    answer = server.get(f"/?token={server.keys.new_link()}", headers={"sec-fetch-site": "cross-site"})
    assert answer.status == 200
    assert b'content="0; url=/"' in answer.body
    assert len(answer.cookies) == 2


@pytest.mark.parametrize("query", ["token=", "token", "token=a&token=b", "token=%00", "token=%ff%fe", "a=b&token=x"])
def test_a_link_with_a_wrong_word_is_refused(server, query):
    assert server.get(f"/?{query}", headers={}).status == 401


# -- hosts and origins ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"LOCALHOST:{PORT}"])
def test_the_servers_own_names_are_answered(server, host):
    assert server.get("/api/jobs", host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        f"evil.example:{PORT}",
        "evil.example",
        "127.0.0.1",
        "127.0.0.1:80",
        f"127.0.0.1.evil.example:{PORT}",
        f"localhost:{PORT}.evil.example",
        f"[::1]:{PORT}",
        f"0.0.0.0:{PORT}",
        f"user@127.0.0.1:{PORT}",
        f"127.0.0.1:{PORT}/",
        "",
        None,
    ],
)
def test_a_name_that_was_rebound_to_this_machine_is_refused_with_the_right_token(server, host):
    answer = server.get("/api/jobs", host=host)
    assert answer.status == 403
    assert b"coordinates" not in answer.body


def test_two_hosts_are_refused(server):
    headers = [("host", HOST), ("host", "evil.example"), *server.script.items()]
    assert ask(server.application, "/api/jobs", headers=headers, host=None).status == 400


@pytest.mark.parametrize("view", ["jobs", "events", "experiments"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"https://{HOST}"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": f"http://localhost:{PORT}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_page_reads_nothing_and_hears_no_event(server, view, headers):
    answer = server.get(f"/api/{view}", headers={**server.page, **headers})
    assert answer.status == 403


# -- actions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["stop", "retry"])
def test_an_action_needs_cookie_page_and_token_together(server, action):
    target, everything = f"/api/{action}", {**server.page, **server.own}
    assert server.post(target, everything).status == 404  # it may, but there is no such job
    for missing in everything:
        kept = {name: value for name, value in everything.items() if name != missing}
        if missing in ("origin", "sec-fetch-site"):  # one of both says which page asks
            kept.pop("origin", None)
            kept.pop("sec-fetch-site", None)
        assert server.post(target, kept).status in (401, 403), missing
    for name, value in {
        "origin": "http://evil.example",
        "sec-fetch-site": "cross-site",
        "x-xpm-ce-token": "wrong",
        "cookie": f"xpm_ce_{PORT}=wrong",
    }.items():
        assert server.post(target, {**everything, name: value}).status in (401, 403), name


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_form_can_send_is_no_action(server, kind):
    assert server.post("/api/stop", {**server.page, **server.own}, kind=kind).status == 415


def test_an_action_is_not_done_by_reading_its_address(server):
    for action in ("stop", "retry"):
        assert server.get(f"/api/{action}?id=x").status == 405


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"id": 5}', b'{"id": ["a"]}', b'{"id": "a", "experiment": 3}',
     b"\xff\xfe", b"[" * 4000, b'{"id": NaN}'],
)  # fmt: skip
def test_a_body_that_is_no_action_is_a_wrong_question(server, body):
    assert server.post("/api/stop", {**server.page, **server.own}, body=body).status == 400


def test_a_body_that_is_too_long_is_refused_whatever_it_says_of_its_length(server):
    headers = {**server.page, **server.own}
    long = b'{"id": "' + b"x" * LARGEST_BODY + b'"}'
    assert server.post("/api/stop", headers, body=long).status == 413
    for length in ("5", "-1", "x", "1e9", "99999999999999999999"):
        told = [*headers.items(), ("content-type", "application/json"), ("content-length", length)]
        answer = asyncio.run(_without_length(server.application, told, long))
        assert answer.status == 413, length


async def _without_length(application, headers, body) -> Answer:
    """A POST whose length is told wrongly."""
    chunks = [body[:2000], body[2000:]]

    class Wrapped:
        async def __call__(self, scope, receive, send):
            waiting = [
                {"type": "http.request", "body": chunk, "more_body": chunk is not chunks[-1]} for chunk in chunks
            ]

            async def parts():
                return waiting.pop(0)

            await application(scope, parts, send)

    return await asked(Wrapped(), "/api/stop", method="POST", headers=headers)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"])
def test_other_methods_are_refused(server, method):
    assert server.get("/api/jobs", method=method).status == 405


# -- paths ----------------------------------------------------------------------------------------------------

ESCAPES = (
    "/../../secret.txt", "/assets/../../secret.txt", "/assets/../../../../../../etc/passwd",
    "/assets/..%2f..%2fsecret.txt",
    "/assets/%2e%2e/%2e%2e/secret.txt", "/assets/%252e%252e%252fsecret.txt", "/assets/..%252f..%252fetc%252fpasswd",
    "/assets//etc/passwd", "/assets/%2fetc%2fpasswd", "//etc/passwd", "/etc/passwd", "/assets/..\\..\\secret.txt",
    "/assets/..%5c..%5csecret.txt", "/assets/%c0%ae%c0%ae/secret.txt", "/assets/....//....//secret.txt",
    "/assets/index.html%00.js", "/assets/", "/assets", "/assets/vendor/", "/assets/..", "/assets/.",
    "/assets/__init__.py",
    "/assets/..;/secret.txt", "/assets/../server.py", "file:///etc/passwd", "/assets/file:///etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd", "/api/../../../etc/passwd", "/api/job/../../etc/passwd", "/.git/config",
)  # fmt: skip


@pytest.mark.parametrize("path", ESCAPES)
def test_no_path_leads_out_of_the_list_of_files(server, path):
    answer = server.get(path)
    assert answer.status == 404, path
    assert SECRET.encode() not in answer.body
    assert b"root:" not in answer.body


@pytest.mark.parametrize("word", [
    "../secret.txt", "..%2f..%2fsecret.txt", "%2e%2e%2fsecret.txt", "%252e%252e%252fsecret.txt", "/etc/passwd",
    "{outside}/secret.txt", "..", ".", "", "*", "[a-f]*", "%00", "a%00b", "~", "$HOME", "%ff", "0", "x" * 3000,
])  # fmt: skip
@pytest.mark.parametrize("name", ["id", "experiment", "a", "query", "protocol", "baseline"])
def test_no_word_of_a_question_becomes_a_path(server, outside, name, word):
    for view in VIEWS:
        answer = server.get(f"/api/{view}?{name}={word.replace('{outside}', str(outside))}")
        assert answer.status in (200, 400, 404, 409), (view, answer.body)
        assert SECRET.encode() not in answer.body
        assert b"root:" not in answer.body


def test_links_out_of_the_workspace_are_not_followed(outside, tmp_path):
    synthetic = Synthetic(tmp_path / "workspace", jobs=200)
    server = Server(synthetic)
    learners = [job for job in synthetic.grid.jobs if job["kind"] == "learn"]
    whole, parts = Path(learners[0]["folder"]), Path(learners[1]["folder"])
    aside = tmp_path / "aside"
    whole.rename(aside)
    for name in ("learner.err", "ledger.json", "curve.csv"):
        (aside / name).write_text(f'{{"secret": "{SECRET}"}}')
    whole.symlink_to(aside)
    for name in ("learner.err", "learner.out", "failure.json", "ledger.json", "params.json", "curve.csv", "kept.json"):
        (parts / name).unlink(missing_ok=True)
        (parts / name).symlink_to(outside / "secret.txt")
    for job in learners[:2]:
        for view in ("job", "ledger", "curves", "events"):
            if view == "events":
                body = asyncio.run(_first_events(Server(synthetic), f"/api/events?since=1&id={job['id']}"))
            else:
                body = server.get(f"/api/{view}?id={job['id']}").body
            assert SECRET.encode() not in body, view
        answer = server.get(f"/api/fair?a={job['id']}&b={learners[2]['id']}")
        assert SECRET.encode() not in answer.body
    for view in ("jobs", "failures", "table", "heatmap", "curves"):
        assert SECRET.encode() not in server.get(f"/api/{view}").body


async def _first_events(server: Server, target: str) -> bytes:
    """What an event stream says in its first moments."""
    parts: list[bytes] = []

    class Cut:
        async def __call__(self, scope, receive, send):
            async def noting(message):
                parts.append(message.get("body", b""))
                await send(message)

            await server.application(scope, receive, noting)

    try:
        async with asyncio.timeout(1.5):
            await asked(Cut(), target, headers=server.script)
    except TimeoutError:
        pass
    return b"".join(parts)


def test_events_begin_with_what_is_new_to_the_reader(server):
    text = asyncio.run(_first_events(server, "/api/events?since=1")).decode()
    assert "event: jobs\nid: " in text
    assert json.loads(text.partition("data: ")[2].partition("\n")[0])["reload"] is True


# -- sizes ----------------------------------------------------------------------------------------------------


def test_requests_that_are_too_large_are_refused(server):
    assert server.get("/api/jobs?x=" + "a" * 9000).status == 414
    assert server.get("/" + "a" * 9000).status == 414
    assert server.get("/api/jobs", headers={**server.script, "x-large": "a" * 20_000}).status == 431
    many = {f"x-{number}": "a" for number in range(100)}
    assert server.get("/api/jobs", headers={**server.script, **many}).status == 431


# -- answers --------------------------------------------------------------------------------------------------


def test_every_answer_says_how_little_it_may_do(server):
    targets = ["/", "/api/jobs", "/nothing", "/assets/nothing", "/api/jobs?x=" + "a" * 9000]
    answers = [server.get(target) for target in targets] + [server.get("/", headers={})]
    answers.append(server.get(f"/?token={server.keys.new_link()}", headers={}))
    for answer in answers:
        for name, value in ALWAYS.items():
            assert answer.headers[name] == value
        assert "access-control-allow-origin" not in answer.headers
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY


def test_markup_in_texts_stays_text(server):
    """Losses, titles, logs and failures of the synthetic grid hold markup."""
    jobs = server.get("/api/jobs").json["jobs"]
    failed = next(job["id"] for job in jobs if job["state"] == "failed")
    for target in ("/api/jobs", "/api/experiments", "/api/failures", "/api/heatmap", f"/api/job?id={failed}"):
        answer = server.get(target)
        assert answer.headers["content-type"] == "application/json"
        assert not set(b"<>&") & set(answer.body)
    assert any(job["coordinates"].get("loss") == '<script>alert("loss")</script>' for job in jobs)
    assert "<i>" in server.get("/api/failures").json["groups"][0]["what"]


def test_what_was_asked_for_wrongly_comes_back_as_text(server):
    word = "<script>alert(1)</script>"
    for target in (f"/{word}", f"/api/table?measure={word}", f"/api/jobs?experiment={word}", f"/assets/{word}"):
        answer = server.get(urllib.parse.quote(target, safe="/?=&<>()"))
        assert answer.status in (400, 404)
        assert not set(b"<>") & set(answer.body)


def test_the_files_of_the_page_come_from_a_fixed_list(tmp_path):
    (tmp_path / "app.js").write_text("x")
    (tmp_path / "notes.py").write_text("x")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "style.css").write_text("x")
    assert set(read_assets(tmp_path)) == {"app.js", "deep/style.css", "index.html"}


# -- where it listens -----------------------------------------------------------------------------------------


def test_beyond_loopback_is_refused_unless_asked_for():
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(ConfigurationError, match="other machines"):
            listening(host, 0, allow_remote=False)
    address = listening("0.0.0.0", 0, allow_remote=True)
    address.listener.close()
    assert "127.0.0.1" in address.names


def test_a_busy_port_is_told_where_it_was_asked_for_and_replaced_where_not():
    first = listening("127.0.0.1", 0, allow_remote=False)
    try:
        with pytest.raises(MachineError, match=f"port {first.port}"):
            listening("127.0.0.1", first.port, allow_remote=False)
    finally:
        first.listener.close()
    usual = listening("127.0.0.1", None, allow_remote=False)
    another = listening("127.0.0.1", None, allow_remote=False)
    try:
        assert another.port != usual.port
        assert another.taken == DEFAULT_PORT
    finally:
        usual.listener.close()
        another.listener.close()
