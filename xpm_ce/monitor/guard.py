"""Who may ask for what: the first thing that every request meets, before any path is looked at.

Requests need a cookie (given for a one-time link) or a bearer token, a Host that is this server's own (a page that
rebinds its name to 127.0.0.1 still sends its own name), and, where they come from a page, that page must be ours.
This module does not know what is served.
"""

import hmac
import html
import ipaddress
import json
import secrets
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

LARGEST_TARGET, LARGEST_HEADERS, MOST_HEADERS, LARGEST_BODY = 8_192, 16_384, 64, 4_096
"""Bytes of a request's path and query, bytes and number of its headers, bytes of its body"""
CONTENT_SECURITY_POLICY = "; ".join([
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:",
    "font-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
])  # fmt: skip
ALWAYS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""Headers of every answer"""
CSRF_HEADER = "x-xpm-ce-token"
UNAUTHORISED_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>xpm-ce monitor</title>
<h1>This page needs its link</h1>
<p>Open the link that <code>xpm-ce monitor</code> printed in its terminal. Each link opens the page once;
press Enter in that terminal for another one.</p></html>
"""
WELCOME_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>xpm-ce monitor</title>
<meta http-equiv="refresh" content="0; url={0}"><a href="{0}">Open the monitor</a></html>
"""


class Keys:
    """The secrets of one start of the server: of scripts, of the page, of its actions, and of one-time links."""

    def __init__(self) -> None:
        self.bearer, self.cookie, self.csrf = (secrets.token_urlsafe(32) for _ in range(3))
        self._links: set[str] = set()

    def new_link(self) -> str:
        """A word that opens the page once; links that were not used yet keep working."""
        word = secrets.token_urlsafe(32)
        self._links.add(word)
        return word

    def use_link(self, word: str) -> bool:
        """Whether a word opens the page; it does so once."""
        found = [each for each in self._links if _same(each, word)]
        self._links.difference_update(found)
        return bool(found)


class Refused(Exception):
    """A request that is not answered; with its status and what to say."""

    def __init__(self, status: int, what: str, remedy: str = ""):
        super().__init__(what)
        self.status, self.what, self.remedy = status, what, remedy


class Guard:
    """The ASGI application that stands before another one."""

    def __init__(self, application: Any, keys: Keys, *, hosts: Iterable[str], port: int, pages: Iterable[str]):
        self.application, self.keys, self.port = application, keys, port
        self.hosts, self.pages = frozenset(host.casefold() for host in hosts), frozenset(pages)
        self.any_address = bool(self.hosts & {"0.0.0.0", "[::]"})
        """Bound to all addresses: numbers are believed, since only names can be rebound"""
        self.cookie, self.csrf_cookie = f"xpm_ce_{port}", f"xpm_ce_actions_{port}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.application(scope, receive, send)
            return
        if scope["type"] != "http":  # a websocket: there is none
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            headers = self._checked(scope)
            if location := self._link(scope, headers):
                await self._welcome(send, location, headers)
                return
            self._authorise(scope, headers)
            if scope["method"] == "POST":
                receive = await _bounded(receive, headers)
        except Refused as refused:
            await self._refuse(scope, send, refused)
            return
        await self.application(scope, receive, _with_headers(send))

    # -- checks -----------------------------------------------------------------------------------------------

    def _checked(self, scope: Any) -> dict[str, str]:
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise Refused(405, "only GET and POST are answered")
        raw = scope["headers"]
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LARGEST_TARGET:
            raise Refused(414, "the address is too long")
        if len(raw) > MOST_HEADERS or sum(len(name) + len(value) for name, value in raw) > LARGEST_HEADERS:
            raise Refused(431, "the headers are too large")
        names = [name for name, _ in raw]
        if any(names.count(name) > 1 for name in (b"host", b"origin", b"authorization", b"content-length")):
            raise Refused(400, "a header stands twice")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
        headers["cookie"] = "; ".join(value.decode("latin-1") for name, value in raw if name == b"cookie")
        if not self._own_host(headers.get("host", "")):
            raise Refused(
                403,
                "this server has another name",
                "Open the address that `xpm-ce monitor` printed, unchanged.",
            )
        return headers

    def _own_host(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        if port != str(self.port):
            return False
        return name.casefold() in self.hosts or (self.any_address and _is_address(name))

    def _from_our_page(self, headers: Mapping[str, str]) -> bool:
        """Whether nothing says that another page asks."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        return origin in (None, f"http://{headers['host']}") and site in ("same-origin", "none")

    def _link(self, scope: Any, headers: Mapping[str, str]) -> str | None:
        """Where a one-time link leads: the same page without its word; None for another request."""
        if scope["method"] != "GET" or scope["path"] not in self.pages or b"token=" not in scope["query_string"]:
            return None
        query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        words = query.pop("token", [])
        if "prefetch" in headers.get("sec-purpose", ""):  # a browser that looks ahead would use the link up
            raise Refused(403, "not before the page is opened")
        if len(words) != 1 or not (self._has_cookie(headers) or self.keys.use_link(words[0])):
            raise Refused(401, "this link was used, or is not ours", "Press Enter where `xpm-ce monitor` runs.")
        rest = urllib.parse.urlencode(query, doseq=True)
        return scope["path"] + (f"?{rest}" if rest else "")

    def _has_cookie(self, headers: Mapping[str, str]) -> bool:
        cookies = dict(part.strip().partition("=")[::2] for part in headers["cookie"].split(";"))
        return _same(cookies.get(self.cookie, ""), self.keys.cookie)

    def _authorise(self, scope: Any, headers: Mapping[str, str]) -> None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        by_script = scheme.casefold() == "bearer" and _same(token.strip(), self.keys.bearer)
        if not by_script and not self._has_cookie(headers):
            raise Refused(401, "not authorised", "Open the link that `xpm-ce monitor` printed.")
        asks_for_data = scope["method"] == "POST" or scope["path"].startswith("/api/")
        if asks_for_data and not self._from_our_page(headers):
            raise Refused(403, "another page asked for this", "Only the monitor's own page may.")
        if scope["method"] == "POST" and not by_script:
            if "origin" not in headers and headers.get("sec-fetch-site") != "same-origin":
                raise Refused(403, "a browser says which page asks", "Use the monitor's own page.")
            if not _same(headers.get(CSRF_HEADER, ""), self.keys.csrf):
                raise Refused(403, f"the header {CSRF_HEADER} is missing or wrong", "Load the page again.")

    # -- answers ----------------------------------------------------------------------------------------------

    def _cookies(self) -> list[str]:
        return [
            f"{self.cookie}={self.keys.cookie}; Path=/; HttpOnly; SameSite=Strict",
            f"{self.csrf_cookie}={self.keys.csrf}; Path=/; SameSite=Strict",
        ]

    async def _welcome(self, send: Any, location: str, headers: Mapping[str, str]) -> None:
        """Give the cookies and lead on.

        After a click in another page (a terminal in a browser) no redirect carries strict cookies, so that this page
        itself has to lead on.
        """
        if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            await _answer(send, 303, {"location": location}, cookies=self._cookies())
            return
        page = WELCOME_PAGE.format(html.escape(location, quote=True)).encode()
        await _answer(send, 200, {"content-type": "text/html; charset=utf-8"}, body=page, cookies=self._cookies())

    async def _refuse(self, scope: Any, send: Any, refused: Refused) -> None:
        if refused.status == 401 and not scope["path"].startswith("/api/"):
            body, kind = UNAUTHORISED_PAGE.encode(), "text/html; charset=utf-8"
        else:
            error = {"what": refused.what, "where": "", "remedy": refused.remedy}
            body, kind = json.dumps({"schema": 1, "error": error}).encode(), "application/json"
        await _answer(send, refused.status, {"content-type": kind, "connection": "close"}, body=body)


async def _answer(
    send: Any, status: int, headers: Mapping[str, str], *, body: bytes = b"", cookies: Iterable[str] = ()
) -> None:
    every = {**ALWAYS, "content-length": str(len(body)), **headers}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in every.items()]
    raw += [(b"set-cookie", cookie.encode()) for cookie in cookies]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Any) -> Any:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message["headers"]}
            more = [(name.encode(), value.encode()) for name, value in ALWAYS.items() if name.encode() not in own]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sending


async def _bounded(receive: Any, headers: Mapping[str, str]) -> Any:
    """Read the body of a POST, JSON of bounded size; gives what hands it on. Refused for any other."""
    if headers.get("content-type", "").partition(";")[0].strip().casefold() != "application/json":
        raise Refused(415, "actions are told as JSON", "Send `Content-Type: application/json`.")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > LARGEST_BODY:
        raise Refused(413, f"a body has at most {LARGEST_BODY} bytes")
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the request broke off")
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > LARGEST_BODY:
            raise Refused(413, f"a body has at most {LARGEST_BODY} bytes")
    sent = False

    async def handing_on() -> Any:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return handing_on


def _same(given: str, wanted: str) -> bool:
    """Whether two secrets are equal, in a time that does not depend on where they differ."""
    return bool(given) and hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
