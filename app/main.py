"""The console's server: the page, what the browser meets, warm imports."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware

from app import rail, warm
from app.api import Api
from app.entry import Links, SecurityHeaders


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Get pages ready beside the server's own start."""
    warm.start()
    with api.open():
        yield {}


_OTHERS = [name for views in rail.VIEWS.values() for name, *_ in views if name != rail.FIRST]
api = Api(os.environ)
app = st.App(
    Path(__file__).resolve().parent / "page.py",
    middleware=[Middleware(SecurityHeaders), Middleware(Links, views=_OTHERS, first=rail.FIRST)],
    routes=api.routes(),
    lifespan=lifespan,
)
