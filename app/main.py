"""The console's server: security headers, a health page, warm imports."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
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
_SLOW: Final = ("plotly.graph_objects", "polars", "app.shelf", "policies.catalogue", "policies.paired", "policies.intent.lifecycle")


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


def warm() -> None:
    """Import what pages need and read the newest runs, so that the first visitor does not wait for it."""
    for name in _SLOW:
        if find_spec(name) is not None:
            import_module(name)
    from app import headlines, site, state

    for brief in state.stored()[:2]:
        for item in headlines.headlines(brief.run_id, site.limits(state.run(brief.run_id).manifest)):
            state.metric(brief.run_id, item.metric, item.scope)


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Warm the imports beside the server's own start."""
    threading.Thread(target=warm, daemon=True).start()
    yield {}


app = st.App(Path(__file__).resolve().parent / "page.py", middleware=[Middleware(SecurityHeaders)], lifespan=lifespan)
