"""Many questions at once: here, in fresh processes, or on a cluster."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from os import environ
from typing import Any, Final, Literal, Protocol, TypeVar

from twin.run import Cancelled, Progress

Q = TypeVar("Q", contravariant=True)
A = TypeVar("A", covariant=True)
Report = Callable[[Progress], None]
Cancel = Callable[[], bool]
Backend = Literal["local", "dask"]
BACKENDS: Final = ("local", "dask")


class Ask(Protocol[Q, A]):
    """How one question is answered; a module-level function, so that another process can find it."""

    def __call__(self, question: Q, progress: Report | None, cancel: Cancel | None, /) -> A:
        """Return the answer."""


def answer(
    ask: Ask[Q, A],
    questions: Sequence[Q],
    *,
    workers: int = 1,
    backend: str = "local",
    progress: Report | None = None,
    cancel: Cancel | None = None,
) -> list[A]:
    """Return the answers in the order of the questions.

    One worker answers in this process; more are fresh processes (spawned, so that no thread or cache is inherited), or
    those of a dask cluster. A question that fails stops the rest and raises here.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r} is not supported; it is one of {', '.join(BACKENDS)}")
    if backend == "dask":
        return _dask(ask, questions, workers, progress, cancel)
    if workers <= 1 or len(questions) <= 1:
        return [ask(question, _part(progress, index, len(questions)), cancel) for index, question in enumerate(questions)]
    context = get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(min(workers, len(questions)), context, _begin, (stop,)) as pool:
        futures = [pool.submit(_work, ask, question) for question in questions]
        try:
            _follow(futures, progress, cancel)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _part(progress: Report | None, index: int, count: int) -> Report | None:
    if progress is None:
        return None

    def part(now: Progress) -> None:
        text = now.text if count == 1 else f"{index + 1} of {count}: {now.text}"
        progress(Progress((index + now.done_share) / count, now.t_s, now.horizon_s, text))

    return part


def _follow(futures: Sequence[Future[Any]], progress: Report | None, cancel: Cancel | None) -> None:
    waiting: set[Future[Any]] = set(futures)
    while waiting:
        over, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
        for future in over:
            future.result()
        if cancel is not None and cancel():
            raise Cancelled
        if progress is not None and over:
            progress(_counted(len(futures) - len(waiting), len(futures)))


def _counted(done: int, count: int) -> Progress:
    return Progress(done / count, float(done), float(count), f"{done} of {count} runs")


_STOP: list[Any] = []


def _begin(stop: Any) -> None:
    _STOP.append(stop)


def _work(ask: Ask[Q, A], question: Q) -> A:
    return ask(question, None, _STOP[-1].is_set if _STOP else None)


def _dask(ask: Ask[Q, A], questions: Sequence[Q], workers: int, progress: Report | None, cancel: Cancel | None) -> list[A]:
    if find_spec("distributed") is None:
        raise ValueError("backend 'dask' is not installed; install intentwin[cluster] or use the local backend")
    distributed: Any = import_module("distributed")
    # An address in DASK_SCHEDULER_ADDRESS is a cluster that shares the store's folder; without one it is this machine.
    address = environ.get("DASK_SCHEDULER_ADDRESS")
    cluster = None if address else distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    with distributed.Client(address or cluster) as client:
        futures = [client.submit(_work, ask, question, pure=False) for question in questions]
        for done, _future in enumerate(distributed.as_completed(futures), start=1):
            if cancel is not None and cancel():
                client.cancel(futures)
                raise Cancelled
            if progress is not None:
                progress(_counted(done, len(futures)))
        answers = client.gather(futures)
    if cluster is not None:
        cluster.close()
    return list(answers)
