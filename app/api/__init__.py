"""The local API: programs put hints, hear notices and answer them."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from app import token

PATH: Final = "/api/v1"
REMOTE: Final = "INTENTWIN_API_REMOTE"


async def _off(scope: Scope, receive: Receive, send: Send) -> None:
    text = f"the API is off; start with {token.VARIABLE} set, or `intentwin serve --api-token-file FILE`"
    await JSONResponse({"error": text}, 404)(scope, receive, send)


class Api:
    """The API of a server: its routes, and what it has open. Without a token in the environment it is off: there is only a 404."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._sessions: Any = None
        found = token.from_environment(environment)
        if found is None:
            self._app: Any = _off
            return
        from app.api.doors import doors
        from app.api.guard import Guard
        from app.api.sessions import Sessions
        from twin.sources import home_dir

        self._sessions = Sessions(home_dir())
        self._app = Guard(doors(self._sessions), found, remote=environment.get(REMOTE, "").lower() in {"1", "yes", "true"})

    def routes(self) -> list[BaseRoute]:
        """Return what is to be mounted on the server."""
        return [Mount(PATH, app=self._app)]

    @contextmanager
    def open(self) -> Iterator[None]:
        """Be there while the server is; then keep the logs of what is open. Streams end at once when it is told to stop."""
        if self._sessions is None:
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def stop(number: int, frame: Any) -> None:
            self._sessions.stopping()
            if callable(handler := before.get(signal.Signals(number))):
                handler(number, frame)

        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, stop)
        try:
            yield
        finally:
            self._sessions.stop()
