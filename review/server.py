"""The review page on the network: routes, cookies, and the guard before them. The one module here that knows HTTP."""

import base64
import binascii
import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from review.page import FOLDER, Page
from review.page_filter import GroupKind
from review.page_guard import HEADERS, MAX_BODY, Access, Refusal, csrf, is_session, new_session, read_cookies
from review.page_picture import Size
from review.page_told import Asked, ChangedError, Given, GivenGroup, Named, NotInQueueError, Reply, TakenBack
from shards.errors import PictureError, StoreError, UsageError, VlmixError

_STATIC: Final[Mapping[str, str]] = {"page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml"}
_DECODERS: Final = 2
"""Pictures that are decoded at a time: one may take 300 MB."""

_YEAR: Final = 365 * 24 * 3600
_STATUS: Final[Mapping[type[VlmixError], int]] = {
    NotInQueueError: 404,
    PictureError: 404,
    ChangedError: 409,
    StoreError: 503,
}

ItemPath = Annotated[str, Path(pattern=r"^r[0-9a-f]{20}$")]


def listen(host: str, port: int) -> socket.socket:
    """Take a port; 0 is any free one.

    Raises:
        UsageError: the port is taken, or the address is not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen()  # who is told the address may come before the server is ready
    except OSError as error:
        remedy = "choose another --port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "choose another --host"
        raise UsageError(f"cannot listen on `{host}`, port {port}: {error.strerror}; {remedy}") from error
    return taken


def serve(page: Page, access: Access, listening: socket.socket, reviewer: str = "") -> None:
    """Serve a page until the process is told to stop.

    Args:
        page: what is served.
        access: to whom.
        listening: as `listen` gives it.
        reviewer: the name of reviewers that have not told theirs; empty: the page asks.
    """
    config = uvicorn.Config(
        application(page, access, reviewer),
        log_level="warning",
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=200,
        timeout_graceful_shutdown=3,
    )
    uvicorn.Server(config).run(sockets=[listening])


def application(page: Page, access: Access, reviewer: str = "") -> ASGIApp:
    """The page as an ASGI application, with its guard."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    routes = _Routes(page, access, reviewer, BoundedSemaphore(_DECODERS))
    app.add_api_route("/", routes.document)
    app.add_api_route("/who", routes.who)
    app.add_api_route("/item", routes.item)
    app.add_api_route("/group", routes.group)
    app.add_api_route("/part", routes.part)
    app.add_api_route("/text/{item}/{turn}", routes.text)
    app.add_api_route("/picture/{item}/{sha256}", routes.picture)
    app.add_api_route("/static/{name}", _static)
    app.add_api_route("/name", routes.name, methods=["POST"])
    app.add_api_route("/answer", routes.answer, methods=["POST"])
    app.add_api_route("/answer-group", routes.answer_group, methods=["POST"])
    app.add_api_route("/undo", routes.undo, methods=["POST"])
    for kind in _STATUS:
        app.add_exception_handler(kind, _said)
    return Guard(app, access)


@dataclass(frozen=True, slots=True)
class _Routes:
    page: Page
    access: Access
    reviewer: str
    decoders: BoundedSemaphore

    def document(self, request: Request, asked: Annotated[Asked, Query()]) -> Response:
        reviewer = self._reviewer(request)
        if not reviewer:
            return self.who(request)
        try:
            return HTMLResponse(self.page.whole(reviewer, asked.wanted, asked.item, _secret(request)))
        except NotInQueueError:
            return RedirectResponse("/", status_code=303)

    def who(self, request: Request) -> HTMLResponse:
        return HTMLResponse(self.page.render("name.html", title=self.page.title, secret=_secret(request)))

    def item(self, request: Request, asked: Annotated[Asked, Query()]) -> Reply:
        if asked.item and asked.to:
            return self.page.move(self._known(request), asked.wanted, asked.item, asked.to)
        return self.page.show(self._known(request), asked.wanted, asked.item)

    def group(self, request: Request, item: Annotated[str, Query()], by: GroupKind) -> HTMLResponse:
        return HTMLResponse(self.page.group(self._known(request), item, by))

    def part(self, item: str, turn: int, start: int, end: int) -> HTMLResponse:
        return HTMLResponse(self.page.part(item, turn, start, end))

    def text(self, item: ItemPath, turn: int) -> PlainTextResponse:
        text = self.page.text(item, turn)
        return PlainTextResponse(text.encode(errors="replace"), headers={"content-disposition": "inline"})

    def picture(
        self, item: ItemPath, sha256: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")], size: Size = "fit"
    ) -> Response:
        with self.decoders:
            found = self.page.picture(item, sha256, size)
        return Response(found.data, media_type=found.media_type, headers={"cache-control": "private, max-age=3600"})

    def name(self, named: Named) -> JSONResponse:
        value = base64.urlsafe_b64encode(named.name.encode()).decode().rstrip("=")
        answer = JSONResponse({"name": named.name})
        answer.set_cookie(self.access.cookie("name"), value, max_age=_YEAR, httponly=True, samesite="lax")
        return answer

    def answer(self, request: Request, given: Given) -> Reply:
        return self.page.answer(self._known(request), given)

    def answer_group(self, request: Request, given: GivenGroup) -> Reply:
        return self.page.answer_group(self._known(request), given)

    def undo(self, request: Request, given: TakenBack) -> Reply:
        return self.page.take_back(self._known(request), given)

    def _known(self, request: Request) -> str:
        reviewer = self._reviewer(request)
        if not reviewer:
            raise ChangedError("nobody knows your name; load the page again")
        return reviewer

    def _reviewer(self, request: Request) -> str:
        told = request.scope["vlmix.cookies"].get(self.access.cookie("name"), "")
        try:
            return Named(name=base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)).decode()).name
        except (binascii.Error, UnicodeDecodeError, ValidationError):
            return self.reviewer


def _secret(request: Request) -> str:
    return csrf(request.scope["vlmix.session"])


def _static(name: Literal["page.js", "page.css", "icon.svg"]) -> Response:
    data = (FOLDER / "static" / name).read_bytes()
    return Response(data, media_type=_STATIC[name], headers={"cache-control": "no-cache"})


def _said(request: Request, error: Exception) -> Response:
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    return JSONResponse({"detail": str(error)}, status_code=status)


@dataclass(frozen=True, slots=True)
class Guard:
    """Refuses what `Access` refuses, bounds bodies, gives each browser a session, and sets the headers."""

    app: ASGIApp
    access: Access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")
        headers = _headers(scope)
        cookies = read_cookies(headers.get("cookie", ""))
        session = cookies.get(self.access.cookie("session"), "")
        fresh = "" if is_session(session) else new_session()
        answer = self._guarded(send, fresh)
        refusal = self.access.refusal(scope["method"], scope["path"], headers, cookies)
        if refusal is None and self.access.token is not None and scope["path"] == "/enter":
            await self._enter(scope)(scope, receive, answer)
            return
        body = b""
        if refusal is None and scope["method"] == "POST":
            body, refusal = await _read(receive)
        if refusal is not None:
            await PlainTextResponse(f"{refusal.why}\n", refusal.status)(scope, receive, answer)
            return
        own: dict[str, Any] = {"vlmix.session": fresh or session, "vlmix.cookies": cookies}
        await self.app({**scope, **own}, _replay(body, receive), answer)

    def _enter(self, scope: Scope) -> Response:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not self.access.is_token(given):
            return PlainTextResponse("this is not the token that the server printed\n", 401)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(self.access.cookie("token"), given, max_age=_YEAR, httponly=True, samesite="lax")
        return answer

    def _guarded(self, send: Send, fresh: str) -> Send:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
                if fresh:
                    headers.append(
                        "set-cookie", f"{self.access.cookie('session')}={fresh}; HttpOnly; Path=/; SameSite=lax"
                    )
            await send(message)

        return guarded


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, told = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}; {told}" if key == "cookie" and key in found else told
    return found


async def _read(receive: Receive) -> tuple[bytes, Refusal | None]:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return b"", Refusal(413, f"expected at most {MAX_BODY} bytes")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return bytes(body), None


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
