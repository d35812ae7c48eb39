"""The door of the API: who may ask, how often, and in how many bytes."""

import hmac
import ipaddress
import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.refusals import Refused, TooMany

BODY_BYTES: Final = 64 << 10
RATE_PER_S: Final = 50.0
BURST: Final = 200.0
# A wrong token costs as much as so many requests: a client may try about two a second.
WRONG_COSTS: Final = 25.0
_CLIENTS: Final = 1024
_SCHEME: Final = "bearer "


@dataclass
class Buckets:
    """A token bucket for each client; the least recent ones are forgotten."""

    now: Callable[[], float] = time.monotonic
    _left: "OrderedDict[str, tuple[float, float]]" = field(default_factory=OrderedDict)

    def take(self, client: str, cost: float) -> float:
        """Take ``cost`` out of a client's bucket and return 0, or return after how many seconds there is enough in it."""
        now_s = self.now()
        left, at_s = self._left.pop(client, (BURST, now_s))
        left = min(BURST, left + (now_s - at_s) * RATE_PER_S)
        wait_s = max(0.0, (cost - left) / RATE_PER_S)
        self._left[client] = (left if wait_s else left - cost, now_s)
        while len(self._left) > _CLIENTS:
            self._left.popitem(last=False)
        return wait_s

    def charge(self, client: str, cost: float) -> None:
        """Take ``cost`` out of a client's bucket even where it holds less, down to nothing but a debt of one burst."""
        self.take(client, 0.0)
        left, at_s = self._left[client]
        self._left[client] = (max(left - cost, -BURST), at_s)


class Guard:
    """Lets requests through that come from this machine, at a bearable rate and with the token; others get a line of JSON."""

    def __init__(self, app: ASGIApp, token: str, *, remote: bool = False, buckets: Buckets | None = None) -> None:
        self._app, self._token, self._remote = app, token.encode(), remote
        self._buckets = buckets or Buckets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say why not."""
        if scope["type"] != "http":
            return
        try:
            self._check(scope)
        except Refused as refused:
            await refusal(refused)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        client = scope["client"][0] if scope.get("client") else ""
        if not self._remote and not _here(client):
            raise Refused(403, "the API answers this machine alone; INTENTWIN_API_REMOTE=yes lets others in")
        if wait_s := self._buckets.take(client, 1.0):
            raise TooMany(f"more than {RATE_PER_S:g} requests a second; wait a moment", wait_s)
        given = Headers(scope=scope).get("authorization", "")
        token = given[len(_SCHEME) :].strip() if given.lower().startswith(_SCHEME) else ""
        if not hmac.compare_digest(token.encode("latin-1"), self._token):
            self._buckets.charge(client, WRONG_COSTS)
            raise Refused(401, "the token is wrong" if token else "no token; send the header Authorization: Bearer TOKEN")


def _here(client: str) -> bool:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def refusal(refused: Refused) -> JSONResponse:
    """Return the answer that says why a request was refused."""
    headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}
    if refused.retry_s:
        headers["Retry-After"] = str(math.ceil(refused.retry_s))
    return JSONResponse({"error": refused.text}, refused.status, headers)


async def body(request: Request) -> Any:
    """Return the JSON of a request; an empty body is an empty object."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > BODY_BYTES:
            raise Refused(413, f"the body has more than {BODY_BYTES >> 10} KiB; send less at once")
    if not content.strip():
        return {}
    try:
        return json.loads(content, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        told = str(error) if isinstance(error, json.JSONDecodeError) else "it is not UTF-8, nested too deeply, or holds no finite number"
        raise Refused(422, f"the body is no JSON: {told[:120]}") from None


def _constant(name: str) -> NoReturn:
    raise ValueError(name)
