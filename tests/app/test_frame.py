"""The frame keeps the session and the URL alike, and seals every answer."""

import asyncio
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import main, parts


def _shown(at: AppTest) -> str:
    found = at.query_params.get("show", "")
    return found if isinstance(found, str) else found[0]


def test_choosing_today_is_written_into_the_url(console: AppTest, store: Any) -> None:
    at = console.run()
    at.button_group(key=f"bar-shown-{store.candidate}-candidate").set_value("today").run()
    assert not at.exception
    assert _shown(at) == "today"


def test_a_link_brings_the_cursor_with_it(console: AppTest) -> None:
    console.query_params["t"] = "1200"
    at = console.run()
    strip = next(item.proto for item in at.get("bidi_component") if item.proto.component_name == "intentwin.strip")
    assert '"t_s": 1200.0' in strip.json


def test_the_model_of_the_environment_is_the_one_that_is_offered(console: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_MODEL", "openai/house-model")
    at = console.run()
    assert at.text_input(key="you-model").value == "openai/house-model"


def test_every_answer_carries_the_security_headers() -> None:
    sent: list[dict[str, Any]] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(main.SecurityHeaders(inner)({"type": "http"}, None, send))  # type: ignore[arg-type]
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "http" not in headers["content-security-policy"]


def test_text_of_others_never_becomes_markdown() -> None:
    hostile = "![x](http://elsewhere.example/x.png) <b>x</b> $a$ :material/home: `c` **d**"
    shown = parts.plain(hostile)
    assert "](" not in shown.replace("\\]\\(", "")
    assert "<b>" not in shown
    assert "**" not in shown.replace("\\*\\*", "")
