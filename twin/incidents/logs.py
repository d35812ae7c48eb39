"""Log lines: what services and hosts say, and innocent chatter."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.clock import DAY_S, HOUR_S
from twin.incidents import services as k
from twin.incidents.calibrated import number
from twin.incidents.callgraph import Graph
from twin.incidents.leaks import collecting
from twin.incidents.service_faults import Struck
from twin.incidents.settings import Settings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# From here on a host or an instance complains: share of cores stolen, seconds a card adds, core time of collections, rate over forecast.
_STEAL_SHARE: Final = 0.1
_NIC_S: Final = 0.005
_COLLECTING_SHARE: Final = 0.1
_FORECAST: Final = 1.5
# Segments sent again per second where a card adds one second to each call.
_RETRANSMITTED_PER_S: Final = 50.0


class Line(NamedTuple):
    """What may be said: of whom, how badly, the template it is counted under, an example of its words."""

    entity_kind: str
    entity_id: str
    level: str
    template: str
    words: str


_CHATTER: Final = {
    "service": (
        ("info", "configuration reloaded", "configuration reloaded"),
        ("warning", "query took <n> ms", "query took 812 ms"),
        ("info", "connection pool grew to <n>", "connection pool grew to 48"),
        ("warning", "request header <name> is deprecated", "request header x-trace is deprecated"),
    ),
    "host": (
        ("info", "scheduled job <name> started", "scheduled job logrotate started"),
        ("warning", "clock stepped by <n> ms", "clock stepped by 3 ms"),
        ("info", "session opened for user <name>", "session opened for user monitoring"),
    ),
}


class Chatter:
    """Innocent lines of a run, drawn before it begins: each at its own rate, and flurries of one of them."""

    def __init__(self, service_ids: Sequence[str], host_ids: Sequence[str], horizon_s: float, window_s: float, seed: int) -> None:
        ids = {"service": service_ids, "host": host_ids}
        self.lines = [Line(kind, name, *said) for kind, names in ids.items() for name in names for said in _CHATTER[kind]]
        drawn = stream(seed, "incidents", "chatter")
        each = drawn.poisson(number("logs.chatter_per_h") * horizon_s / HOUR_S, len(self.lines))
        lines = np.repeat(np.arange(len(self.lines)), each)
        times = drawn.random(len(lines)) * horizon_s
        flurries = int(drawn.poisson(number("logs.flurries_per_day") * horizon_s / DAY_S)) if self.lines else 0
        size = int(number("logs.flurry_lines"))
        if flurries:
            lines = np.concatenate([lines, np.repeat(drawn.integers(len(self.lines), size=flurries), size)])
            times = np.concatenate([times, np.repeat(drawn.random(flurries) * horizon_s, size)])
        keys, self._counts = np.unique(np.floor(times / window_s).astype(np.int64) * max(len(self.lines), 1) + lines, return_counts=True)
        self._windows, self._lines = np.divmod(keys, max(len(self.lines), 1))

    def during(self, window: int) -> list[tuple[Line, int]]:
        """Return the lines of one window with their counts."""
        begin, end = np.searchsorted(self._windows, [window, window + 1])
        return [(self.lines[self._lines[row]], int(self._counts[row])) for row in range(begin, end)]


class Complaints:
    """What services and hosts say of what they see. Every line follows from the state of the model, none from a fault as such."""

    def __init__(self, settings: Settings, found: Graph, names: Sequence[str], host_ids: Sequence[str]) -> None:
        """``names`` (C) are whom calls are made to; ``host_ids`` those of hosts with services."""
        ids, self._found = found.service_ids, found
        self._slow_s = np.array([service.latency_p99_objective_s for service in settings.services])
        lines: list[Line] = []
        callers = [ids[s] for s in found.callers]
        calls = list(zip(callers, names, found.calls[:, k.TIMEOUT_S], found.calls[:, k.RETRIES], strict=True))
        for who, to, timeout_s, _ in calls:
            lines.append(Line("service", who, "warning", "call to <name> timed out", f"call to {to} timed out after {timeout_s:g} s"))
        for who, to, _, retries in calls:
            lines.append(
                Line("service", who, "error", "call to <name> given up", f"call to {to} given up after {retries + 1:.0f} attempts")
            )
        for who, to, _, _ in calls:
            words = f"tls handshake with {to} refused: x509: certificate has expired"
            lines.append(Line("service", who, "error", "tls handshake refused: x509: certificate has expired", words))
        for who, to, _, _ in calls:
            lines.append(
                Line("service", who, "warning", "answer of <name> outside its objectives", f"answer of {to} outside its objectives")
            )
        for level, template, words in (
            ("error", "request answered with status 500", "request answered with status 500"),
            ("error", "unhandled exception in handler <name>", "unhandled exception in handler process: index out of range"),
            ("error", "connection reset by instance", "connection reset by instance"),
            ("warning", "queue full, request turned away", "queue full, request turned away"),
            ("error", "tls: client refused the certificate, it has expired", "tls: client refused the certificate, it has expired"),
            ("warning", "request took longer than its objective", "request took longer than its objective"),
            ("error", "instance killed: out of memory", "instance killed: out of memory, starting again"),
            ("warning", "garbage collection took more than a tenth of core time", "garbage collection took more than a tenth of core time"),
            ("warning", "request rate far above forecast", "request rate far above forecast"),
        ):
            lines += [Line("service", name, level, template, words) for name in ids]
        lines += [
            Line("host", name, "warning", "cpu steal above a tenth of cores", "cpu steal above a tenth of cores") for name in host_ids
        ]
        lines += [
            Line("host", name, "warning", "eth0: tcp segments retransmitted", "eth0: tcp segments retransmitted") for name in host_ids
        ]
        self.lines = lines

    def during(self, seen: "Window", drawn: np.random.Generator) -> list[tuple[Line, int]]:
        """Return the lines of one window with their counts; those that stand for single requests are counted by chance."""
        graph, out, calls, dt_s = self._found, seen.out, seen.calls, seen.window_s
        made = out[graph.callers, k.SERVED] * calls[:, k.TIMES] * dt_s
        limits = calls[:, k.RETRIES], calls[:, k.BUDGET]
        tried = made * np.array([k.attempts(*row) for row in zip(seen.failed_before, *limits, strict=True)])
        lost = np.array([k.given_up(*row) for row in zip(seen.failed, *limits, strict=True)])
        reached = tried * (1.0 - calls[:, k.REFUSED])
        answered = out[:, k.SERVED] * dt_s
        late = np.array([k.later_than(s, mean, var) for s, mean, var in zip(self._slow_s, out[:, k.MEAN_S], out[:, k.VAR], strict=True)])
        expected = (
            reached * calls[:, k.LATE],
            made * lost,
            tried * calls[:, k.REFUSED],
            reached * seen.unmet_share,
            answered * number("service.error_share"),
            answered * seen.struck.failing,
            answered * seen.cut_share,
            out[:, k.OFFERED] * out[:, k.TURNED_AWAY] * dt_s,
            out[:, k.CLIENT_REFUSED_PER_S] * dt_s,
            answered * late,
        )
        full = graph.per_service((collecting(seen.held_share) > _COLLECTING_SHARE).astype(np.float64))
        burst = (seen.struck.demand_factor > _FORECAST).astype(np.float64)
        nic_s = seen.struck.nic_s[seen.hosts]
        resent = np.where(nic_s > _NIC_S, nic_s * _RETRANSMITTED_PER_S * dt_s, 0.0)
        counted = (seen.restarts, full, burst, (seen.stolen > _STEAL_SHARE).astype(np.float64), np.ceil(resent))
        counts = np.concatenate([drawn.poisson(np.concatenate(expected)), np.concatenate(counted).astype(np.int64)])
        return [(self.lines[row], int(counts[row])) for row in np.flatnonzero(counts)]


class Window(NamedTuple):
    """What one window leaves for the logs: S services, C calls, I instances, N hosts with services (``hosts`` are their places).

    ``failed_before`` and ``failed`` (C) are shares of attempts that failed in the window before and in this one, ``unmet_share`` (C) of an
    endpoint's answers; ``cut_share`` (S) of requests went to instances that are gone, ``restarts`` (S) counts, ``held_share`` (I) is of
    memory, ``stolen`` (N) of cores.
    """

    window_s: float
    out: Floats
    calls: Floats
    failed_before: Floats
    failed: Floats
    unmet_share: Floats
    struck: Struck
    cut_share: Floats
    restarts: Floats
    held_share: Floats
    hosts: Ints
    stolen: Floats
