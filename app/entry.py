"""What the browser meets first: security headers and links into pages."""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Plotly and Streamlit write styles and evaluate templates in the page; everything must still come from this host.
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: wss: data: blob:; worker-src 'self' blob:; "
        "frame-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
# A page's address looks like a folder: without this the browser asks /thermal/_stcore/health first and logs what is not there.
_ROOT: Final = '<script>window.__streamlit={{BACKEND_BASE_URL:location.origin+location.pathname.replace(/({views})$/,"")}}</script>'


class SecurityHeaders:
    """Adds the headers to every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and put the headers on its answer."""

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, sealed if scope["type"] == "http" else send)


class Links:
    """Lets a link open any page: the first page under its name as well, the others without asking for what is not there."""

    def __init__(self, app: ASGIApp, views: Sequence[str], first: str) -> None:
        self._app, self._views, self._first = app, frozenset(views), first
        self._root = _ROOT.format(views="|".join(sorted(views))).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a link to the first page to the root, and tell the other pages where the root is."""
        view = scope.get("path", "").rsplit("/", 1)[-1]
        if scope["type"] != "http" or scope["method"] != "GET" or view not in {*self._views, self._first, ""}:
            await self._app(scope, receive, send)
        elif view == self._first:
            query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
            await RedirectResponse(f"./{query}", 307)(scope, receive, send)
        else:
            plain = {b"accept-encoding", b"if-none-match", b"if-modified-since"}
            asked = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name not in plain]}
            await self._app(asked, receive, _Rewritten(send, self._root))


class _Rewritten:
    """Puts a script before the first one of a page; other answers pass as they are."""

    def __init__(self, send: Send, script: bytes) -> None:
        self._send, self._script = send, script
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if MutableHeaders(scope=message).get("content-type", "").startswith("text/html"):
                self._start = message
                return
        elif self._start is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if message.get("more_body", False):
                return
            page = self._body.replace(b"<script", self._script + b"<script", 1).replace(b"<title>Streamlit<", b"<title>Intentwin<", 1)
            headers = MutableHeaders(scope=self._start)
            headers["content-length"] = str(len(page))
            for name in ("etag", "last-modified"):
                if name in headers:
                    del headers[name]
            await self._send(self._start)
            message = {"type": "http.response.body", "body": page}
        await self._send(message)
