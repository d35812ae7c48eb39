"""Notices as they are sent: a line of JSON each, or server-sent events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from app.api.session import Session

EVENTS: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"
MOST: Final = 8
_LOOKS_EVERY_S: Final = 0.1
_BEATS_EVERY_S: Final = 15.0
_AT_ONCE: Final = 500


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as JSON takes it: not-a-number is nothing."""
    return {key: None if isinstance(value, float) and value != value else value for key, value in row.items()}


async def notices(
    session: Session, rows: Callable[[int], list[dict[str, Any]]], after: int, *, events: bool, stopped: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Give out notices with a higher number than ``after`` until the session is over; something at least every 15 s."""
    beat = b": here\n\n" if events else b"\n"
    spoke_s = time.monotonic()
    yield beat
    while not stopped():
        over, found = session.over, rows(after)
        for row in found[:_AT_ONCE]:
            after, text = row["id"], json.dumps(row, allow_nan=False)
            yield (f"id: {after}\nevent: notice\ndata: {text}\n\n" if events else f"{text}\n").encode()
        if found or time.monotonic() - spoke_s > _BEATS_EVERY_S:
            session.touch()
            spoke_s = time.monotonic()
            if not found:
                yield beat
        if over and not found:
            return
        if not found:
            await asyncio.sleep(_LOOKS_EVERY_S)
