"""What takes more than a blink: worked out once, beside the page, in a thread."""

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

BLINK_S: Final = 0.12
_EVERY_S: Final = 0.4
_MOST: Final = 512
# One thread: of two that import numba or SciPy at once, one can meet half a module.
_WORKER: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="later")
_ASKED: "Final[dict[tuple[str, Hashable], Future[Any]]]" = {}
_LOCK: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question. ``ready`` False: it is being worked out; ``why`` says in one line why there is no value."""

    key: tuple[str, Hashable]
    value: Any = None
    why: str = ""
    ready: bool = True


def ask(family: str, about: Hashable, work: Callable[[], Any], *, wait_s: float = 0.0) -> Answer:
    """Return what ``work`` gives, where it was asked before or takes no longer than ``wait_s``; else it is begun.

    ``about`` says what it depends on. Questions of the same ``family`` that have not begun yet give way to a new one.
    """
    key = (family, about)
    with _LOCK:
        future = _ASKED.get(key)
        if future is None or future.cancelled():
            _give_way(family)
            future = _ASKED[key] = _WORKER.submit(work)
    try:
        return Answer(key, future.result(timeout=wait_s))
    except (TooLate, CancelledError):
        return Answer(key, ready=False)
    except ValueError as error:
        return Answer(key, why=str(error))


def _give_way(family: str) -> None:
    for key, future in list(_ASKED.items()):
        if (key[0] == family and not future.running() and future.cancel()) or (len(_ASKED) >= _MOST and future.done()):
            _ASKED.pop(key)


def over(answers: Sequence[Answer]) -> bool:
    """Return whether one of these answers has come in since."""
    with _LOCK:
        found = [_ASKED.get(answer.key) for answer in answers]
    return any(future is None or future.done() for future in found)


def follow(answers: Sequence[Answer], *, key: str) -> None:
    """Draw the page anew once one of the answers that it waits for is there."""
    waiting = [answer for answer in answers if not answer.ready]
    if waiting:

        @st.fragment(run_every=_EVERY_S)
        def look() -> None:
            st.html(f'<span class="iw-note" data-waiting="{len(waiting)}"></span>', width="content")
            if over(waiting):
                st.rerun()

        with st.container(key=f"later-{key}"):
            look()
