"""Writes the tables of services: measured, with noise, window by window."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.incidents import services as k
from twin.incidents.calibrated import number
from twin.incidents.changes import Change
from twin.incidents.logs import Line
from twin.incidents.readings import CHANGES, LOGS, SERVICE_HOSTS, SERVICES
from twin.tables import Sink, Table

Columns = dict[str, NDArray[Any]]
Floats = NDArray[np.float64]
_SHARES: Final = ("cpu_share", "memory_share", "steal_share")
_COUNTED: Final = ("error_share", "restarts")


@dataclass(frozen=True, slots=True)
class Measured:
    """What telemetry said of services (S) at the end of the last window: NaN where nothing was served or no window has ended."""

    t_s: float
    latency_p99_s: Floats
    error_share: Floats


def of_services(out: Floats, cpu_share: Floats, memory_share: Floats, restarts: Floats) -> Columns:
    """Return the columns of ``services`` as they are. Attempts that were refused count as errors of whom they were for."""
    served, refused = out[:, k.SERVED] > 0.0, out[:, k.CLIENT_REFUSED_PER_S]
    whole = out[:, k.OFFERED] + refused
    failed = refused + out[:, k.OFFERED] * out[:, k.ERROR]
    halves, nines = (np.where(served, k.quantile_s(out[:, k.MEAN_S], out[:, k.VAR], share), np.nan) for share in (0.5, 0.99))
    return {
        "requests_per_s": out[:, k.SERVED].copy(),
        "offered_per_s": out[:, k.OFFERED].copy(),
        "latency_p50_s": halves,
        "latency_p99_s": nines,
        "error_share": np.divide(failed, whole, out=np.zeros(len(out)), where=whole > 0.0),
        "cpu_share": cpu_share,
        "memory_share": memory_share,
        "retries_per_s": out[:, k.RETRIED].copy(),
        "restarts": restarts.astype(np.int64),
    }


def counted(columns: Columns, asked: Floats, drawn: np.random.Generator) -> None:
    """Count errors among so many attempts (S): of few requests the share of errors jumps."""
    failed = drawn.poisson(columns["error_share"] * asked)
    columns["error_share"] = np.minimum(np.divide(failed, asked, out=np.zeros(len(asked)), where=asked > 0.0), 1.0)


def measured(columns: Columns, drawn: np.random.Generator) -> Columns:
    """Return columns with the noise of what measures them; what is counted is exact, and shares stay within 0 and 1."""
    spread, out = number("telemetry.noise_share"), {}
    for name, values in columns.items():
        if name in _COUNTED:
            out[name] = values
            continue
        noisy = values * np.exp(spread * drawn.standard_normal(len(values)))
        out[name] = np.minimum(noisy, 1.0) if name in _SHARES else noisy
    if "latency_p99_s" in out:
        out["latency_p50_s"] = np.minimum(out["latency_p50_s"], out["latency_p99_s"])
    return out


class Recorder:
    """Holds rows until they are written."""

    def __init__(self, service_ids: Sequence[str], host_ids: Sequence[str]) -> None:
        """``host_ids`` are those of hosts with services."""
        self._ids = {"service": tuple(service_ids), "host": tuple(host_ids)}
        self._rows: list[tuple[Table, Columns]] = []

    def end_window(self, t_s: float, services: Columns, hosts: Columns, lines: Sequence[tuple[Line, int]]) -> None:
        """Take a window that ended."""
        for table, columns in ((SERVICES, services), (SERVICE_HOSTS, hosts)):
            self._rows.append((table, {"t_s": np.full(len(next(iter(columns.values()))), t_s), **columns}))
        if lines:
            text = {name: _texts([getattr(line, name) for line, _ in lines]) for name in Line._fields}
            counts = np.array([count for _, count in lines], dtype=np.int64)
            self._rows.append((LOGS, {"t_s": np.full(len(lines), t_s), **text, "count": counts}))

    def change(self, changes: Sequence[Change]) -> None:
        """Take entries of the change log."""
        if changes:
            times = np.array([change.t_s for change in changes])
            text = {name: _texts([getattr(change, name) for change in changes]) for name in Change._fields[1:]}
            self._rows.append((CHANGES, {"t_s": times, **text}))

    def record(self, sink: Sink) -> None:
        """Write what is held."""
        for table, columns in self._rows:
            for kind in ("service", "host"):
                if table.columns[1].entity == kind:
                    places = {name: place for place, name in enumerate(sink.ids[kind])}
                    columns[f"{kind}_id"] = np.array([places[name] for name in self._ids[kind]], dtype=np.uint32)
            sink.append(table, columns)
        self._rows = []

    def forget(self) -> None:
        """Drop what is held."""
        self._rows = []


def _texts(values: Sequence[str]) -> NDArray[Any]:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out
