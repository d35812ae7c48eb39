"""What takes more than a blink: worked out once, beside the page."""

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

BLINK_S: Final = 0.12
_EVERY_S: Final = 0.4
_MOST_KEPT: Final = 512
_MOST_WAITING: Final = 24
Key = tuple[str, Hashable]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question. ``ready`` False: it is being worked out; ``why`` says in one line why there is no value."""

    key: Key
    value: Any = None
    why: str = ""
    ready: bool = True


class _Desk:
    """Questions and their answers. One thread works: of two that import numba or SciPy at once, one can meet half a module.

    The newest question goes first, since it is what is looked at now; of many that wait the oldest are let go.
    """

    def __init__(self) -> None:
        self._asked: dict[Key, Future[Any]] = {}
        self._waiting: list[tuple[Key, Callable[[], Any]]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def ask(self, key: Key, work: Callable[[], Any]) -> "tuple[Future[Any], bool]":
        """Return the answer to come, and whether it was begun just now: where nobody has asked before."""
        with self._changed:
            future, begun = self._asked.get(key), False
            if future is None:
                begun = True
                future = self._asked[key] = Future()
                self._waiting.append((key, work))
                self._forget()
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="later", daemon=True)
                    self._thread.start()
                self._changed.notify()
            return future, begun

    def over(self, key: Key) -> bool:
        """Return whether an answer has come in, or its question was let go and must be asked again."""
        with self._changed:
            future = self._asked.get(key)
            return future is None or future.done()

    def _forget(self) -> None:
        while len(self._waiting) > _MOST_WAITING:
            self._asked.pop(self._waiting.pop(0)[0])
        for key in [key for key, future in self._asked.items() if future.done()][: max(len(self._asked) - _MOST_KEPT, 0)]:
            self._asked.pop(key)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                key, work = self._waiting.pop()
                future = self._asked[key]
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)


_DESK: Final = _Desk()


def ask(family: str, about: Hashable, work: Callable[[], Any], *, wait_s: float = 0.0) -> Answer:
    """Return what ``work`` gives, where it was asked before or takes no longer than ``wait_s``, which is waited once; else it is begun.

    ``about`` says all that it depends on. A ValueError of ``work`` is an answer, too: why there is none.
    """
    key = (family, about)
    future, begun = _DESK.ask(key, work)
    try:
        return Answer(key, future.result(timeout=wait_s if begun else 0.0))
    except TooLate:
        return Answer(key, ready=False)
    except ValueError as error:
        return Answer(key, why=str(error))


def follow(answers: Sequence[Answer], may: Callable[[], bool], *, key: str) -> None:
    """Draw the page anew as soon as one of the answers that it waits for is there and it ``may`` be drawn.

    To be called once a page, at a fixed place.
    """
    waiting = [answer for answer in answers if not answer.ready]

    @st.fragment(run_every=_EVERY_S if waiting else None)
    def look() -> None:
        st.html(f'<span class="iw-note" data-waiting="{len(waiting)}"></span>', width="content")
        if any(_DESK.over(answer.key) for answer in waiting) and may():
            st.rerun()

    with st.container(key=f"later-{key}"):
        look()
