"""What a server gets ready beside its own start, in the order of need."""

import threading
import time
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from streamlit import runtime

# Numba and SciPy import in circles: of two threads that import them at once, one can meet half a module.
# They are imported here, one by one.
_FIRST: Final = ("numba", "polars", "policies.catalogue", "app.frame", "app.views.overview")
_THEN: Final = (
    "plotly.graph_objects",
    "policies.intent.lifecycle",
    "app.views.intents",
    "app.views.thermal",
    "app.views.serving",
    "app.views.memory",
    "app.views.workloads",
    "app.views.workflows",
    "app.views.functions",
    "app.views.incidents",
    "policies.knowledge",
    "policies.intent.propose",
    "policies.paired",
    "scipy.stats",
)
_AT_MOST_S: Final = 60.0

_begun, _ready, _drawn = threading.Event(), threading.Event(), threading.Event()


def start() -> None:
    """Begin, in a thread of its own."""
    _begun.set()
    threading.Thread(target=_work, daemon=True).start()


def wait() -> None:
    """Wait until a page can be drawn; at once where nothing was started."""
    if _begun.is_set():
        _ready.wait(_AT_MOST_S)


def drawn() -> None:
    """Hear that a page stands: what only later pages need may follow."""
    _drawn.set()


def _work() -> None:
    until_s = time.monotonic() + 5.0
    while not runtime.exists() and time.monotonic() < until_s:  # caches ask the server where to keep what they hold
        time.sleep(0.02)
    try:
        _imported(_FIRST)
        _read()
    finally:
        _ready.set()
    _drawn.wait()
    _imported(_THEN)


def _imported(names: tuple[str, ...]) -> None:
    for name in names:
        if find_spec(name) is not None:
            import_module(name)


def _read() -> None:
    """Read the newest runs, so that the first visitor does not wait for it."""
    from app import headlines, site, state

    for brief in state.stored()[:2]:
        with suppress(site.OtherFleet):  # the page says so when it is opened
            for item in headlines.headlines(brief.run_id, site.limits(state.run(brief.run_id).manifest)):
                state.metric(brief.run_id, item.metric, item.scope)
