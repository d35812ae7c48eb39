"""Synthetic incidents on random call graphs, of PetShop's size and cadence."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from twin.incidents.cases import LabelledCase
from twin.incidents.dependencies import from_edges
from twin.incidents.series import FAILS, Series

STEP_S = 300.0
KINDS = ("latency", "errors", "load", "database", "silent")
_NORMAL, _WINDOW = 288, 5
Floats = NDArray[np.float64]


def graph(rng: np.random.Generator, services: int) -> NDArray[np.int64]:
    """Return a random call graph (services, services), row calls column; upper triangular, everything below service 0."""
    calls = np.zeros((services, services), dtype=np.int64)
    for callee in range(1, services):
        for caller in rng.choice(callee, size=min(callee, 1 + int(rng.random() < 0.25)), replace=False, p=_near(callee)):
            calls[caller, callee] = rng.integers(1, 3)
    return calls


def _near(callee: int) -> Floats:
    weights = 1.0 / (1.0 + np.arange(callee))
    return weights / weights.sum()


def make(seed: int, kind: str | None = None, quiet: bool = False) -> LabelledCase:
    """Make one incident; ``quiet`` leaves the cause out. Everything follows from ``seed``.

    A caller's latency is its own work plus its calls' latencies; its successes are its own times its callees' (each call fails the
    request with a given chance). Levels drift between the normal days and the incident's day. Some callees are seen a second time
    through a proxy that carries a fraction of the calls. Two or three services elsewhere are loud for reasons of their own.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(14, 34))
    calls = graph(rng, n)
    kind = kind or KINDS[seed % len(KINDS)]
    leaf = calls.sum(axis=1) == 0
    within = np.arange(1, n)
    pool = within[leaf[within]] if kind in ("database", "silent") else within
    cause = int(rng.choice(pool))
    steps = _NORMAL + _WINDOW
    effect = np.zeros(steps)
    shape = np.array([0.0, rng.choice([0.0, 0.5]), 1.0, 1.0, rng.choice([0.0, 0.4])])
    effect[_NORMAL:] = 0.0 if quiet else shape
    rate = np.zeros((steps, n))
    rate[:, 0] = rng.uniform(200, 900) * (1 + 0.05 * rng.standard_normal(steps))
    burst = effect * rng.uniform(0.8, 2.0) if kind == "load" else np.zeros(steps)
    part = np.where(calls > 0, rng.uniform(0.1, 1.0, calls.shape), 0.0) * calls
    for j in range(1, n):
        rate[:, j] = rng.poisson(np.maximum((rate[:, :j] * part[:j, j]).sum(axis=1), 1.0))
        if j == cause:
            rate[:, j] *= 1 + burst
    own = np.exp(rng.normal(-4.5, 0.9, n))
    other_day = np.exp(rng.normal(0, 0.08, n) + (rng.random(n) < 0.1) * rng.normal(0, 0.5, n))
    drift = np.where(np.arange(steps)[:, None] < _NORMAL, 1.0, other_day)
    work = own * drift * np.exp(rng.normal(0, 0.06, (steps, n)))
    fail = np.abs(rng.normal(0, 0.0005, (steps, n))) * (rng.random((steps, n)) < 0.2)
    through = _reach(part)[0, cause]
    needed = 0.35 * _total(own[None, :], part)[0, 0] / max(through, 1e-3)
    if kind in ("latency", "database", "silent"):
        work[:, cause] += effect * needed * rng.uniform(0.7, 2.5)
    if kind == "load":
        work[:, cause] *= 1 + burst * max(1.0, needed / own[cause])
    if kind in ("errors", "gone"):
        fail[:, cause] += effect * min(0.6, rng.uniform(0.02, 0.06) / max(min(through, 1.0), 0.05))
    latency, success = _total(work, part), _successes(fail, part)
    elsewhere = [int(j) for j in rng.choice(n, size=min(n, 3), replace=False) if j not in (0, cause) and _reach(part)[0, j] < 0.2]
    for j in elsewhere:
        latency[_NORMAL - 2 :, j] *= rng.uniform(2.0, 8.0)
    return _case(seed, kind, rng, calls, (rate, latency, success), cause, steps)


def _reach(part: Floats) -> Floats:
    """Calls of each service per request of another (n, n)."""
    return np.asarray(np.linalg.inv(np.eye(len(part)) - part))


def _total(work: Floats, part: Floats) -> Floats:
    found = work.copy()
    for j in range(work.shape[1] - 1, -1, -1):
        found[:, j] += found[:, j + 1 :] @ part[j, j + 1 :]
    return found


def _successes(fail: Floats, part: Floats) -> Floats:
    found = 1.0 - fail
    for j in range(fail.shape[1] - 1, -1, -1):
        found[:, j] *= np.prod(found[:, j + 1 :] ** np.minimum(part[j, j + 1 :], 1.0), axis=1)
    return found


def _case(
    seed: int,
    kind: str,
    rng: np.random.Generator,
    calls: NDArray[np.int64],
    measured: tuple[Floats, Floats, Floats],
    cause: int,
    steps: int,
) -> LabelledCase:
    rate, latency, success = measured
    n = len(calls)
    seen = rng.binomial(np.maximum(rate, 1).astype(int), np.clip(success, 0, 1)) / np.maximum(rate, 1).astype(int) * 100.0
    latency = latency * np.exp(rng.normal(0, 0.02, latency.shape) + rng.normal(0, 0.3, latency.shape) / np.sqrt(np.maximum(rate, 1)))
    names = [f"svc-{j:02d}" for j in range(n)]
    edges = [(names[a], names[b]) for a, b in np.argwhere(calls > 0)]
    of = {"latency": latency, "availability": np.minimum(seen, 100.0), "requests": rate}
    columns = {(names[j], metric): values[:, j].copy() for j in range(n) for metric, values in of.items()}
    for a, b in np.argwhere(calls > 0):
        if rng.random() < 0.2:  # a proxy: the caller's own sight of a part of the calls
            name = f"proxy-{a:02d}-{b:02d}"
            edges.append((names[a], name))
            part = rate[:, b] * rng.uniform(0.03, 0.1)
            columns[name, "latency"] = latency[:, b] * rng.uniform(1.2, 3.0) * np.exp(rng.normal(0, 0.1, steps))
            failed = rng.binomial(np.maximum(part, 1).astype(int), np.clip(1 - success[:, b], 0, 1)) / np.maximum(part, 1).astype(int)
            columns[name, "availability"] = 100.0 * (1 - failed)
            columns[name, "requests"] = part
    if kind == "silent":
        for metric in ("latency", "availability"):
            columns[names[cause], metric] = np.full(steps, np.nan)
    if kind == "gone":
        for metric in ("latency", "availability", "requests"):
            columns[names[cause], metric][_NORMAL + 2 : _NORMAL + 4] = np.nan
    t_s = np.concatenate([np.arange(_NORMAL), 10_000 + np.arange(_WINDOW)]) * STEP_S
    ids = tuple(sorted({name for name, _ in columns}))
    order = sorted(columns)
    series = Series(
        t_s,
        np.stack([columns[key] for key in order], axis=1),
        ids,
        np.array([ids.index(name) for name, _ in order]),
        tuple(metric for _, metric in order),
        np.array([FAILS[metric] for _, metric in order]),
    )
    window = np.arange(steps) >= _NORMAL
    symptom = ("svc-00", "availability" if kind in ("errors", "gone") else "latency")
    onset_s = float(t_s[_NORMAL + 1]) - (STEP_S / 2 if rng.random() < 0.5 else 0.0)
    return LabelledCase(f"synthetic/{seed}", kind, series, from_edges(edges, ids), symptom, onset_s, ~window, window, names[cause], kind)


@pytest.fixture(scope="session")
def incident() -> Callable[..., LabelledCase]:
    """Make a synthetic incident from a seed; see ``make``."""
    return make
