"""Links into pages: the first page has one address, the others say where the root is."""

import asyncio
from typing import Any

from app.entry import Links

PAGE = b"<html><title>Streamlit</title><script>1</script><script>2</script></html>"


async def _site(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(PAGE)).encode()), (b"etag", b'"1"')]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE[:20], "more_body": True})
    await send({"type": "http.response.body", "body": PAGE[20:]})


def _get(path: str, query: bytes = b"") -> tuple[int, dict[bytes, bytes], bytes]:
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": [(b"accept-encoding", b"gzip")]}
    asyncio.run(Links(_site, ["thermal"], "overview")(scope, None, send))  # type: ignore[arg-type]
    return said[0]["status"], dict(said[0]["headers"]), b"".join(message.get("body", b"") for message in said[1:])


def test_the_first_page_goes_to_the_root_with_its_moment() -> None:
    status, headers, _ = _get("/overview", b"t=600&show=today")
    assert status == 307
    assert headers[b"location"] == b"./?t=600&show=today"


def test_another_page_is_told_where_the_root_is_before_its_first_script() -> None:
    _, headers, body = _get("/thermal")
    assert body.index(b"BACKEND_BASE_URL") < body.index(b"<script>1")
    assert body.count(b"BACKEND_BASE_URL") == 1
    assert int(headers[b"content-length"]) == len(body)
    assert b"etag" not in headers


def test_everything_else_passes_untouched() -> None:
    assert _get("/static/js/index.js")[2] == PAGE
